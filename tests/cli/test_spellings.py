"""Names and paths as people type them: what Hydra refuses is answered by what it takes."""

import re
import shlex

import pytest

from gdconv.config.mapping import to_mapping
from gdconv.config.problems import Table

SPELLINGS = {
    "problem.path": [
        "[0-9]*.csv",
        "{a,b}",
        "{a,b}.csv",
        "~/x",
        "x(1).csv",
        "é.csv",
        "a;b.csv",
        "it's",
    ],
    "problem.target": ["log(y)", "R&D", "é", "a=b", "Mass (kg)", 'say "y"', "a,b", "y'"],
    "problem.columns": ["[log(y),b]", "[R&D]", "é", "[a=b,'c d']", "x,y"],
    "problem.drop": ["[x(1)]", "[a b,R&D]"],
    "problem.dates": ["[Tag & Monat]"],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in SPELLINGS.items() for value in values]
)
def test_a_spelling_that_hydra_refuses_is_answered_by_one_that_it_takes(gdconv, key, value):
    """The quoted form in the message, typed in a shell, gives the value as it was typed."""
    usual = {"problem.path": "a.csv", "problem.target": "y"}
    rest = [f"{name}={text}" for name, text in usual.items() if name != key]
    status, said = gdconv("problem=table", f"{key}={value}", *rest)
    assert status == 2
    assert said.startswith(f"gdconv: {key}={value}: ")
    quoted = re.findall(rf"'{re.escape(key)}=.*", said)[0].strip()
    words = shlex.split(quoted.partition("; if it is one value, type ")[0])
    (config,) = gdconv("problem=table", *words, *rest, composed=True)
    found = getattr(config.problem, key.partition(".")[2])
    texts = {
        "[log(y),b]": ("log(y)", "b"),
        "[R&D]": ("R&D",),
        "[a=b,'c d']": ("a=b", "c d"),
        "x,y": ("x", "y"),
        "[x(1)]": ("x(1)",),
        "[a b,R&D]": ("a b", "R&D"),
        "[Tag & Monat]": ("Tag & Monat",),
    }
    expected = texts.get(value, value if key == "problem.target" else (value,))
    assert found == expected


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("problem.separator=;", "must be one of auto, comma, semicolon, tab, pipe, blanks"),
        ("problem.separator=,", "must be one of auto, comma, semicolon, tab, pipe, blanks"),
        ("problem.separator=|", "must be one of auto, comma, semicolon, tab, pipe, blanks"),
        ("problem.decimal=,", "must be one of auto, point, comma"),
        ("problem.comment=#", "must be one of auto, none, hash, percent"),
        ("problem.text=onehot", "must be one of refuse, drop, one_hot"),
    ],
)
def test_marks_have_names(gdconv, word, said):
    done = gdconv("problem=table", "problem.path=a.csv", "problem.target=y", word)
    assert done == (2, f"gdconv: {word}: {said}\n")


def test_a_number_among_names_is_a_name(gdconv):
    words = ["problem=csv", "problem.path=a.csv", "problem.target=2021", "problem.drop=[2020,b]"]
    (config,) = gdconv(*words, composed=True)
    assert config.problem == Table(("a.csv",), "2021", drop=("2020", "b"))
    assert to_mapping(config)["problem"]["name"] == "table"
