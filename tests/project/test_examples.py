"""The scripts in docs/examples: they are short, they run, and what they compute is right."""

import ast
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
# These three belong to docs/coursework.md, and test_coursework_page.py tests them.
OF_THE_COURSEWORK = {"coursework_graph", "finite_differences", "linear_convergence"}
# A notebook is longer, and test_notebook.py tests it.
SHORT = {path.stem for path in EXAMPLES.glob("*.py")} - OF_THE_COURSEWORK - {"notebook"}
MOST_LINES = 15


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a script in a folder that has the stored study, and return its names."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    monkeypatch.chdir(tmp_path)
    return lambda name: runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize("name", sorted(SHORT))
def test_an_example_is_short_and_in_the_readme(name):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    docstring, *statements = ast.parse(text).body
    assert ast.get_docstring(ast.parse(text))
    lines = text.splitlines()[docstring.end_lineno :]
    assert len(statements) <= len([line for line in lines if line.strip()]) <= MOST_LINES
    assert f"    .venv/bin/python docs/examples/{name}.py\n" in text
    assert f"(docs/examples/{name}.py)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_study_from_python(run, capsys):
    runs = run("study_from_python")["runs"]
    # With the step f·2/(λmin + λmax), the largest |1 − step_size λ| is at λmax or at λmin.
    ends = np.outer(runs.step_value, [2, 2]) / (1 + runs.condition_number.to_numpy()[:, None])
    ends[:, 1] *= runs.condition_number
    rate = np.max(np.abs(1 - ends), axis=1) ** 2
    # A few roundings of numbers of the size of 1.
    assert runs.rate_predicted.to_numpy() == pytest.approx(rate, rel=1e-13)
    assert runs.rate_measured.to_numpy() == pytest.approx(rate, rel=0.01)
    assert len(runs) == 9
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        *("0.5", "1.0", "1.2")
    ]


def test_curves_with_pandas(run, capsys):
    names = run("curves_with_pandas")
    eigenvalues = pd.read_csv(ROOT / "results" / "reference" / "eigenvalues.csv")
    assert len(names["table"].columns) > 10
    for each in names["chosen"].itertuples():
        parts = eigenvalues[eigenvalues.problem_id == each.problem_id]
        values, squares = parts[["eigenvalue", "error_component_squared"]].to_numpy().T
        shown = names["table"][each.relative_step].head(8)
        t = shown.index.to_numpy()[:, None]
        gap = np.sum(values / 2 * squares * (1 - each.step_size * values) ** (2 * t), axis=1)
        # These gaps are a million times their rounding floor and more.
        assert shown.to_numpy() == pytest.approx(gap / gap[0], rel=1e-6)
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].split() == ["0", "1.000000", "1.000000", "1.000000"]


def test_own_problem(run):
    names = run("own_problem")
    X = np.column_stack([names["X"], np.ones(100)])
    [found] = names["tables"].runs.itertuples()
    w, [loss], *_ = np.linalg.lstsq(X, names["y"])
    # The condition number of H is the square of that of X. Both lose a few digits at most.
    assert found.condition_number == pytest.approx(np.linalg.cond(X) ** 2, rel=1e-12)
    assert found.loss_star == pytest.approx(loss, rel=1e-12)
    coefficients = names["tables"].coefficients
    assert coefficients["column"].tolist() == ["height", "width", "(intercept)"]
    assert coefficients.coefficient.tolist() == pytest.approx(w.tolist(), rel=1e-12)


def test_own_figure(run, tmp_path):
    names = run("own_figure")
    runs = pd.read_csv(ROOT / "results" / "reference" / "runs.csv")
    for line, start in zip(names["axes"].lines, ["zeros", "eigenvector"], strict=False):
        group = runs[runs.start == start]
        assert len(group) > 100
        drawn = np.ma.filled(np.ma.masked_invalid(line.get_xydata().astype(float)), -1)
        columns = ["iterations_predicted", "iterations_to_tolerance"]
        assert drawn.tolist() == group[columns].fillna(-1).to_numpy().tolist()
    assert imread(tmp_path / "results" / "own_figure.png").shape == (600, 750, 4)


def test_network_with_nnlib(run):
    names = run("network_with_nnlib")
    g, X, Y = names["g"], names["X"], names["Y"]
    W1, b1, W2, b2 = (g.value[each] for each in names["network"].parameters)
    loss = np.mean((np.maximum(0, X @ W1 + b1) @ W2 + b2 - Y) ** 2)
    # Below 1e-3 of the variance of the sine; the last step changes the loss by little.
    assert loss < 5e-4
    assert loss == pytest.approx(names["losses"][-1], rel=0.01)
