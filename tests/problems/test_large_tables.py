"""Tables that are never whole in memory: they give the problem that they give in memory."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gdconv.config.rules import ConfigError
from gdconv.config.sections import Processes, RunConfig, Step, StudyConfig, Table
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import block_ends, known, make, rows_of, shape
from gdconv.problems.least_squares import Objective
from gdconv.problems.table import reading
from gdconv.sweep.sweep import run_study, run_sweep
from gdconv.tables.columns import COLUMNS

N = 400


def written(frame, folder, kind):
    path = folder / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    elif kind == "parts":
        path.mkdir()
        for number in range(3):
            frame[number * 150 : (number + 1) * 150].to_csv(path / f"{number}.csv", index=False)
    elif kind == "parquet":
        frame.to_parquet(path, row_group_size=170)
    else:
        frame.to_feather(path)
    return str(path)


KINDS = ["csv", "gz", "parts", "parquet", "feather"]
KEYS = {"text": "one_hot", "dates": "day", "missing": "drop_rows"}


def whole(problem):
    """The problem with all rows in memory, in the order of the file."""
    n_samples, n_features = shape(problem)
    X, y = np.empty((n_samples, n_features)), np.empty(n_samples)
    rows_of(problem, 0, 0).fill(0, n_samples, X, y)
    return X, y


@pytest.mark.parametrize("missing", ["drop_rows", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_are_those_in_memory(frame, tmp_path, kind, missing, small, monkeypatch):
    problem = Table(written(frame, tmp_path, kind), "y", **(KEYS | {"missing": missing}))
    X, y = whole(problem)
    facts, ends = reading.facts(problem), block_ends(problem)
    assert reading.read(problem).is_large
    assert len(ends) > 3
    assert [stop for _, stop in ends[:-1]] == [start for start, _ in ends[1:]]
    monkeypatch.undo()
    reading._read.cache_clear()
    reading._FACTS.clear()
    in_memory = reading.read(problem)
    assert not in_memory.is_large
    assert (X[:, :-1] == in_memory.X).all()
    assert (y == in_memory.y).all()
    assert facts == in_memory.facts
    assert facts.rows == (N if missing == "mean" else N - frame.gap.isna().sum())


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_problem_is_that_of_all_rows(frame, tmp_path, standardize, intercept, small):
    keys = KEYS | {"standardize": standardize, "intercept": intercept}
    problem = Table(written(frame, tmp_path, "csv"), "y", **keys)
    found = Objective(make(problem, 0, 0), "qr")
    assert found.problem.rows == shape(problem)[0]
    X, y = whole(replace(problem, standardize=False, intercept=True))
    X = X[:, :-1]
    if standardize:
        # In two passes, as the program does it in memory.
        X = X - X.mean(axis=0)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    if intercept:
        X = np.column_stack([X, np.ones(len(X))])
    w, _, _, sizes = np.linalg.lstsq(X / np.linalg.norm(X, axis=0), y)
    residual = y - X @ (w / np.linalg.norm(X, axis=0))
    # A mean of 1e9 beside a variation of 1 costs nine digits here, and none there.
    digits = 1e-12 if standardize else 1e-6
    assert found.offset == pytest.approx(residual @ residual, rel=digits)
    assert found.spectrum.lambda_max == pytest.approx(2 * np.linalg.norm(X, 2) ** 2, rel=1e-12)
    assert found.spectrum.rank == len(sizes)


def test_workers_are_told_what_is_known(frame, tmp_path, small):
    """They read only their own rows: with their own settings the table would be small."""
    config = RunConfig(
        Table(written(frame, tmp_path, "csv"), "y", **KEYS),
        method=GradientDescent(iterations=20),
        step=Step(value=[0.5, 1.0]),
    )
    expected = run_study(config)
    study = StudyConfig(study="s", results_dir=str(tmp_path), engine=Processes(workers=2))
    found = run_sweep([config], study)
    assert (found.added, found.failed) == (2, 0)
    again = run_sweep([config], replace(study, study="t", engine=StudyConfig().engine))
    for name in COLUMNS:
        one, other = ((each.folder / f"{name}.csv").read_bytes() for each in (found, again))
        assert one == other
    assert expected.runs.loss_star.tolist() == pytest.approx(
        pd.read_csv(found.folder / "runs.csv").loss_star.tolist(), rel=1e-15
    )


def test_a_file_that_changes_meanwhile_is_refused(frame, tmp_path, small):
    path = written(frame, tmp_path, "csv")
    problem = Table(path, "y", **KEYS)
    data = known(problem)
    with open(path, "a", encoding="utf-8") as file:
        file.write("1,red,2020-01-01,1,1,1\n")
    with pytest.raises(ConfigError, match="was changed since it was looked at"):
        data.between(0, 10)


def test_the_line_of_a_fault_is_that_of_the_file(tmp_path, small):
    lines = ["a,y"] + [f"{k},{2 * k}" for k in range(1000)]
    lines[900] = "1,2,3"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match="line 901 has 3 cells instead of 2"):
        make(Table(str(path), "y"), 0, 0)


def test_the_row_of_a_text_is_that_of_the_file(tmp_path, small):
    rows = [f"{k},{2 * k}" for k in range(1000)]
    rows[899] = "x,2"
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "\n".join(rows) + "\n")
    with pytest.raises(ConfigError, match=r"row 900, column 1 \(a\) has 'x'"):
        make(Table(str(path), "y"), 0, 0)
