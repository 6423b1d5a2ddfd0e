"""coefficients.csv: the names of columns, w* as NumPy finds it, and where each run ended."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Gaussian, Polynomial, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Record, Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.nesterov import Nesterov
from gdconv.problems.families import make
from gdconv.report.page.document import page
from gdconv.sweep.sweep import run_study, run_sweep
from gdconv.tables.csv import read

DATA = Path(__file__).parents[1] / "data"
DIABETES = Table(str(DATA / "diabetes.csv"), "progression")


def solution(tables):
    rows = tables.coefficients[tables.coefficients.run_id.isna()]
    return dict(zip(rows["column"], rows.coefficient, strict=True))


@pytest.mark.parametrize("standardize", [False, True])
def test_the_coefficients_of_a_table_have_its_names(standardize):
    tables = run_study(RunConfig(Table(DIABETES.path, "progression", standardize)))
    frame = pd.read_csv(DIABETES.path[0])
    X = frame.drop(columns="progression")
    X = (X - X.mean()) / X.std(ddof=0) if standardize else X
    with_ones = np.column_stack([X, np.ones(len(X))])
    expected, *_ = np.linalg.lstsq(with_ones, frame.progression, rcond=None)
    found = solution(tables)
    assert list(found) == [*X.columns, "(intercept)"]
    # lstsq is off by eps times the condition number of X, which is 7e3 here.
    assert [*found.values()] == pytest.approx(expected.tolist(), rel=1e-9)


def test_texts_and_no_intercept(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("city,x,y\nRome,1,2\nOslo,2,3\nRome,5,1\nBern,4,4\n")
    tables = run_study(RunConfig(Table(str(path), "y", text="one_hot", intercept=False)))
    X = np.array([[0, 1, 1], [1, 0, 2], [0, 1, 5], [0, 0, 4]])
    expected, *_ = np.linalg.lstsq(X, np.array([2, 3, 1, 4.0]), rcond=None)
    assert list(solution(tables)) == ["city=Oslo", "city=Rome", "x"]
    assert [*solution(tables).values()] == pytest.approx(expected.tolist(), rel=1e-12)


def test_where_each_run_ended():
    """One step of gradient descent from 0 is η 2 Xᵀy, and two of Nesterov's method are by hand."""
    problem, record = Gaussian(n_samples=30, n_features=4), Record(coefficients=True)
    drawn = make(problem, 0, 0)
    configs = [
        RunConfig(problem, record=record, method=method, step=Step(value=[0.5, 1.0]))
        for method in (GradientDescent(iterations=1), Nesterov(iterations=2, momentum=0.5))
    ]
    tables = run_study(configs)
    w = tables.coefficients.groupby("run_id").coefficient.apply(list)
    assert list(solution(tables)) == ["x1", "x2", "x3", "x4"]
    for run in tables.runs.itertuples():
        step = run.step_size

        def gradient(at):
            return 2 * drawn.X.T @ (drawn.X @ at - drawn.y)

        expected = -step * gradient(np.zeros(4))
        if run.method == "nesterov":
            ahead = expected + 0.5 * expected
            expected = ahead - step * gradient(ahead)
        assert w[run.run_id] == pytest.approx(expected.tolist(), rel=1e-12)


def test_runs_that_end_early_have_their_last_point():
    config = RunConfig(
        DIABETES,
        record=Record(points=3, coefficients=True),
        method=GradientDescent(iterations=10**4),
        step=Step(value=[1.0, 2.5]),
    )
    tables = run_study(config)
    minimiser = np.array([*solution(tables).values()])
    for run in tables.runs.itertuples():
        rows = tables.coefficients[tables.coefficients.run_id == run.run_id]
        distance = np.linalg.norm(rows.coefficient.to_numpy() - minimiser)
        assert distance == pytest.approx(run.final_distance, rel=1e-6)


def test_drawn_problems_have_coefficients_only_if_asked(tmp_path):
    """Also if the problem has been stored without them before; and each w* stands there once."""
    study = StudyConfig(study="s", results_dir=str(tmp_path), report=False)
    problem = Polynomial(n_samples=20, degree=2)
    folder = run_sweep([RunConfig(problem)], study).folder
    assert read(folder).coefficients.empty
    asked = RunConfig(problem, record=Record(coefficients=True), step=Step(value=[1.0, 1.5]))
    run_sweep([asked], study)
    run_sweep([RunConfig(problem, record=asked.record, step=Step(value=0.7))], study)
    coefficients = read(folder).coefficients
    assert coefficients.groupby("run_id", dropna=False).size().tolist() == [3, 3, 3, 3]
    assert coefficients["column"].tolist() == ["x1", "x2", "x3"] * 4


def test_a_lost_row_is_made_again(tmp_path):
    study = StudyConfig(study="s", results_dir=str(tmp_path), report=False)
    config = RunConfig(DIABETES, record=Record(coefficients=True), step=Step(value=[0.5, 1.0]))
    folder = run_sweep([config], study).folder
    path = folder / "coefficients.csv"
    whole = path.read_bytes()
    for lines in (whole.splitlines(keepends=True)[:-1], whole.splitlines(keepends=True)[:5]):
        path.write_bytes(b"".join(lines))
        (folder / "provenance.json").unlink()
        assert run_sweep([config], study).added > 0
        assert path.read_bytes() == whole


def test_the_page_shows_the_coefficients_with_their_names(tmp_path):
    run_study([RunConfig(DIABETES), RunConfig(Gaussian(20, 3))], folder=tmp_path / "s")
    tables = read(tmp_path / "s")
    text = page(tmp_path / "s", tables, {}, {})
    part = text.partition("<h3>Coefficients</h3>")[2].partition("<h3>")[0]
    assert "w* of table diabetes.csv, target=progression standardize=false" in part
    assert part.count("<tr>") == 1 + 11
    assert "<td class=text>bmi</td>" in part
    assert "<h3>Coefficients</h3>" not in page(
        tmp_path / "s", run_study(RunConfig(Gaussian(20, 3))), {}, {}
    )
