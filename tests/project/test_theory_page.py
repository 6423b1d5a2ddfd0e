"""docs/theory.md: it names every check of gdconv-verify, and other tests run its commands."""

import re
from pathlib import Path

from gdconv.verify import statements

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "theory.md").read_text(encoding="utf-8")


def test_every_check_is_named_and_every_name_is_a_check():
    named = re.findall(r"`statements\.(\w+)`", PAGE)
    assert named == [function.__name__ for function in statements.EQUATIONS]


def test_its_commands_are_those_of_the_coursework_page():
    """test_coursework_page.py runs them there, and looks at the numbers they print.

    The others, on all formulas, are run by tests/verify/test_identities.py.
    """
    commands = re.findall(r"^    (gdconv.*)$", PAGE, re.MULTILINE)
    commands = [each for each in commands if not re.match(r"\S* problem=spectrum step\.", each)]
    assert len(commands) == 2
    other = (DOCS / "coursework.md").read_text(encoding="utf-8")
    assert all(f"\n    {command}\n" in other for command in commands)
