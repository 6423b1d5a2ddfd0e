"""The commands of docs/sweeps.md on methods and pairs: they run what the page says."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sweeps.md"
SMALL = ["report=false", "method.iterations=50"]
SECTIONS = ["Several methods", "Values that belong together"]
GRADIENT_DESCENT = ("gradient_descent", "", 1.0)


def heavy_ball(*momenta):
    """The runs of heavy ball; the best momentum for the step size is found elsewhere."""
    return [("heavy_ball", momentum, 1.0) for momentum in momenta]


# Study → columns, and the rows of runs.csv in them when the page's commands have been run.
RUNS = {
    "methods": (
        ["method", "step_value"],
        [("chebyshev", ""), ("gradient_descent", 1.0), ("heavy_ball", 1.0), ("nesterov", 1.0)],
    ),
    "momentum": (
        ["method", "asked", "step_value"],
        [GRADIENT_DESCENT, *heavy_ball(0.3, 0.6, 0.9, "optimal")],
    ),
    "together": (["step_value", "asked"], [(1.0, 0.3), (2.0, 0.6)]),
    "sizes": (["n_features", "n_samples"], [(10, 100), (50, 500)]),
    "own_step": (["method", "step_value"], [("gradient_descent", 1.9), ("heavy_ball", 2.5)]),
}


def commands(section):
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [shlex.split(line)[1:] for line in re.findall(r"^    (gdconv .*)$", text, re.MULTILINE)]


def rows(study, columns):
    runs = pd.read_csv(Path("results") / study / "runs.csv", keep_default_na=False)
    optimal = runs["method_options"].str.contains("momentum=optimal")
    runs["asked"] = runs["momentum"].mask(optimal, "optimal")
    found = runs[columns].map(lambda each: each if isinstance(each, float | int) else number(each))
    return sorted(map(tuple, found.to_numpy().tolist()), key=str)


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize("section", SECTIONS)
def test_the_commands_of_the_page_run_what_it_says(gdconv, section):
    studies = {}
    for words in commands(section):
        assert gdconv(*words, *SMALL)[0] == 0
        (study,) = (word.removeprefix("study=") for word in words if word.startswith("study="))
        studies[study] = words
    for study in studies:
        columns, expected = RUNS[study]
        assert rows(study, columns) == sorted(expected, key=str)


def test_the_page_has_a_command_for_every_study():
    said = " ".join(word for section in SECTIONS for words in commands(section) for word in words)
    assert set(re.findall(r"study=(\w+)", said)) == RUNS.keys()


def test_the_third_command_adds_one_run(gdconv):
    *_, second, third = commands(SECTIONS[0])
    gdconv(*second, *SMALL)
    before = rows("momentum", ["run_id"])
    gdconv(*third, *SMALL)
    assert len(set(rows("momentum", ["run_id"])) - set(before)) == 1
