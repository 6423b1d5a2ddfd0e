"""The command gdconv-table: what it prints agrees with NumPy, and its last line can be run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv.cli import commands

ROOT = Path(__file__).resolve().parents[2]
DIABETES = ROOT / "tests" / "data" / "diabetes.csv"
PETS = """\
kind;day;age;weight;price
dog;2024-03-01;2;;120,5
cat;2024-03-02;5;4,5;80
dog;2024-03-05;;11;90
fish;2024-03-01;1;0,5;10
cat;2024-03-09;3;4;70
bird;2024-03-10;3;4;71
"""


@pytest.fixture
def table(monkeypatch, capsys):
    """Run the command in this process: exit status, lines, error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gdconv-table", *map(str, words)])
        status = commands.table()
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return run


def condition_number(X):
    values = np.linalg.svd(X, compute_uv=False)
    return (values[0] / values[-1]) ** 2


def test_the_numbers_are_those_of_numpy(table):
    status, lines, err = table(DIABETES, "target=progression")
    assert (status, err) == (0, "")
    frame = pd.read_csv(DIABETES)
    for line, (name, column) in zip(lines[2:], frame.items(), strict=False):
        found = line.removeprefix("y").split()
        assert found[:2] == [name, "number"]
        assert [*map(float, found[2:])] == pytest.approx([column.min(), column.max()], rel=1e-5)
    X = frame.drop(columns="progression").to_numpy(float)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    for name, numbers in {"as it is": X, "standardised": Z}.items():
        (line,) = (line for line in lines if line.startswith(f"  {name}: "))
        ones = np.ones((len(X), 1))
        # Five digits are printed.
        kappa = condition_number(np.hstack([numbers, ones]))
        assert float(re.search(r"κ = ([\d.e+]+)", line)[1]) == pytest.approx(kappa, rel=1e-4)
        rest = {
            each: condition_number(np.hstack([np.delete(numbers, j, axis=1), ones]))
            for j, each in enumerate(frame.columns[:-1])
        }
        spoiler = min(rest, key=rest.get)
        name, least = re.search(r"without (\w+) κ = ([\d.e+]+)", line).groups()
        assert name == spoiler
        assert float(least) == pytest.approx(rest[spoiler], rel=1e-4)


def test_correlated_pairs_are_named(table, tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    frame = pd.DataFrame({"a": a, "b": b, "c": -a + 0.1 * b, "y": a + b})
    frame.to_csv(tmp_path / "t.csv", index=False)
    _, lines, _ = table(tmp_path / "t.csv", "target=y")
    correlation = frame.a.corr(frame.c)
    assert f"  a and c are correlated: {correlation:.4f}" in lines
    assert sum("correlated" in line for line in lines if line.startswith("  ")) == 1


def test_texts_dates_and_missing_cells(table, tmp_path):
    path = tmp_path / "pets.csv"
    path.write_text(PETS)
    status, lines, _ = table(path, "problem.target=price", "problem.dates=[day]")
    assert status == 0
    assert [" ".join(line.split()) for line in lines[:7]] == [
        f"{path}: 6 rows, 5 columns",
        "column type missing from to texts",
        "- kind text 4: bird 1, cat 2, dog 2, fish 1",
        "day date 2024-03-01 2024-03-10",
        "age number 1 1 5",
        "weight number 1 0.5 11",
        "y price number 10 120.5",
    ]
    told = [line.removeprefix(f"{path}: ") for line in lines[8:12]]
    assert told == [
        "read as having semicolons between cells (problem.separator=semicolon), decimal commas"
        " (problem.decimal=comma)",
        "column 1 (kind) is left out, because it has texts",
        "day counts days since 2024-03-01",
        "2 of 6 rows are left out, because cells are missing: age 1, weight 1",
    ]
    assert lines[-1] == (
        f"next: gdconv problem=table problem.path={path} problem.target=price problem.text=drop"
        " problem.missing=drop_rows 'problem.dates=[day]' problem.standardize=true"
    )


@pytest.mark.parametrize("columns", [60, 80])
def test_a_narrow_terminal_shows_all_words_and_the_same_command(
    table, tmp_path, monkeypatch, columns
):
    path = tmp_path / "t.csv"
    names = ["the_monthly_income_of_a_household", "kind_of_heating", "y"]
    kinds = [f"{kind} heating with a boiler" for kind in ("gas", "oil", "wood")]
    cells = [f"{k},{kinds[k % 3]},{k * k}" for k in range(9)]
    path.write_text("\n".join([",".join(names), *cells]))
    words = ["target=y", "text=one_hot"]
    _, wide, _ = table(path, *words)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    _, narrow, _ = table(path, *words)
    # The path of the file may be longer than a line.
    assert all(len(line) <= columns or str(path) in line for line in narrow)
    told = "".join("".join(narrow).split())
    for word in " ".join(wide[:-1]).split():
        # Below a row, the number of texts has no heading: "3 texts: …".
        assert word in told + told.replace("texts:", ":")
    # The shell joins lines after a backslash.
    command = shlex.split("\n".join(narrow).partition("next: ")[2].replace("\\\n", ""))
    assert command == shlex.split(wide[-1].removeprefix("next: "))


@pytest.mark.slow
def test_the_last_line_can_be_run(table, tmp_path):
    path = tmp_path / "a b (1).csv"
    path.write_text(PETS.replace("price", "prix (€)"))
    keys = ["target=prix (€)", "dates=[day]", "text=one_hot"]
    _, lines, _ = table(path, *keys)
    program, *words = shlex.split(lines[-1].removeprefix("next: "))
    command = [Path(sys.executable).with_name(program), *words, "report=false"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "n_samples 4, n_features 7" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["t.csv", "tarrget=y"], "tarrget=y: is not a key; allowed: columns, comment,"),
        (["nosuch.csv"], "problem.path=nosuch.csv: must be a readable file (no such file"),
        (["t.csv", "target=z"], "problem.target=z: must be a column of t.csv: a, y"),
        (["t.csv", "separator=;"], "problem.separator=;: must be one of auto, comma, semicolon"),
        (["target=z"], "gdconv-table needs the name of a file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(table, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,y\n1,2\n3,4\n")
    status, lines, err = table(*words)
    assert (status, lines) == (2, [])
    assert err.startswith(f"gdconv-table: {said}")
    assert len(err.splitlines()) == 1


def test_help_lists_every_key(table):
    status, lines, _ = table("--help")
    assert status == 0
    assert [line.split()[0] for line in lines if re.match(r"  [a-z]+ +[a-z`]", line)][-2:] == [
        "standardize",
        "intercept",
    ]
