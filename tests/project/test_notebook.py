"""docs/examples/notebook.py: its cells run, show something, and draw what theory says."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "notebook.py"
TEXT = SOURCE.read_text(encoding="utf-8")
_, *CELLS = re.split(r"^# %%(.*)\n", TEXT, flags=re.MULTILINE)


def value_of(code, names):
    """Run a cell and return the value of its last line, as a notebook does."""
    tree = ast.parse(code)
    *_, last = tree.body
    if not isinstance(last, ast.Expr):
        exec(compile(tree, "cell", "exec"), names)
        return None
    tree.body.pop()
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The folder in which it ran, its names, and what its cells show."""
    folder, names, shown = tmp_path_factory.mktemp("notebook"), {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, code in zip(CELLS[::2], CELLS[1::2], strict=True):
            if kind.strip() == "[markdown]":
                assert all(line.startswith("#") for line in code.strip().splitlines())
            else:
                shown.append(value_of(code, names))
    return folder, names, shown


def test_every_cell_but_that_of_the_figure_shows_something(notebook):
    _, names, shown = notebook
    assert [value is None for value in shown].count(True) == 1
    for value in shown:
        # Tables and DataFrames show as HTML, and a figure as a picture.
        if value is not None:
            assert hasattr(value, "_repr_html_") or value._repr_png_()[0].startswith(b"\x89PNG")
    assert names["first"].runs.status.tolist() == ["converged"]


def rate_by_theory(method, step, values):
    """The square of the largest root of z² − (1 + β − ηλ)z + β, over the eigenvalues."""
    beta = {"gradient_descent": 0.0, "heavy_ball": 0.5}[method]
    roots = [np.roots([1, -(1 + beta - step * value), beta]) for value in values]
    return max(abs(np.concatenate(roots))) ** 2


def test_what_is_drawn_is_measured_and_predicted(notebook):
    folder, names, _ = notebook
    runs = pd.read_csv(folder / "results" / "momentum_or_not" / "runs.csv")
    eigenvalues = pd.read_csv(folder / "results" / "momentum_or_not" / "eigenvalues.csv")
    lines = names["axes"].lines
    for (method, steps), number in zip(names["STEPS"].items(), (0, 2), strict=True):
        predicted, measured = (lines[number + k].get_xydata().T for k in (0, 1))
        assert predicted[0] == pytest.approx(steps, rel=1e-15)
        own = runs[runs.method == method].sort_values("step_value")
        expected = [rate_by_theory(method, step, eigenvalues.eigenvalue) for step in own.step_size]
        # Roots that are nearly equal lose half of their digits.
        assert predicted[1] == pytest.approx(expected, rel=1e-6)
        assert measured[1].tolist() == own.rate_measured.tolist()
        # Twice the standard error, and rounding.
        error = own.rate_standard_error.to_numpy()
        assert (abs(measured[1] - predicted[1]) < 2 * error + 1e-9).all()
    assert (names["gaps"].notna().sum() > 10).all()


def test_the_figure_is_as_wide_as_a_column(notebook):
    folder, _, shown = notebook
    content = (folder / "rates.pdf").read_bytes()
    (box,) = re.findall(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", content)
    # A PDF counts points, 72 an inch.
    assert [float(each) for each in box] == pytest.approx([3.3 * 72, 2.5 * 72])
    assert shown[-1].get_figwidth() == pytest.approx(3.3)
