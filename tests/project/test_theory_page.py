"""docs/theory.md: it names every check of gdconv-verify, and other tests run its commands."""

import re
from pathlib import Path

from gdconv.verify import statements

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "theory.md").read_text(encoding="utf-8")


def test_every_check_is_named_and_every_name_is_a_check():
    """The coursework's, those of any method, those that choose or draw, those of one."""
    named = re.findall(r"`statements\.(\w+)`", PAGE)
    own = [each for equations in statements.OF_ONE_METHOD.values() for each in equations]
    kinds = statements.OF_ANY_METHOD, statements.OF_CHOOSING, statements.OF_SAMPLING
    common = [*statements.EQUATIONS, *(each for kind in kinds for each in kind)]
    functions = dict.fromkeys([*common, *own])
    assert named == [function.__name__ for function in functions]


def test_what_is_checked_of_the_problem_is_named():
    (told,) = re.findall(
        r"For \[another method\]\(methods\.md\), (.*?) are checked too", PAGE, re.DOTALL
    )
    assert " ".join(told.split()) == "(1) to (5), (12), (13), (15) and (16)"
    both = [each for each in statements.OF_ANY_METHOD if each in statements.EQUATIONS]
    assert both == [each for each in statements.OF_CHOOSING if each in statements.EQUATIONS]
    assert both == [each for each in statements.OF_SAMPLING if each in statements.EQUATIONS]
    numbers = [each.__name__.rpartition("_")[2] for each in both]
    assert numbers == ["1", "3", "4", "5", "12", "13", "15", "16"]


def test_its_commands_are_those_of_the_coursework_page():
    """test_coursework_page.py runs them there, and looks at the numbers they print.

    The others, on all formulas, are run by tests/verify/test_identities.py.
    """
    commands = re.findall(r"^    (gdconv.*)$", PAGE, re.MULTILINE)
    commands = [each for each in commands if not re.match(r"\S* problem=spectrum step\.", each)]
    assert len(commands) == 2
    other = (DOCS / "coursework.md").read_text(encoding="utf-8")
    assert all(f"\n    {command}\n" in other for command in commands)
