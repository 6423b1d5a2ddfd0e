"""Small tables on which digits are easily lost: results agree with arithmetic of 120 digits."""

from pathlib import Path

import numpy as np
import pytest

from gdconv.config.problems import Table
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Step, Zeros
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import make
from gdconv.sweep.sweep import run_study
from gdconv.verify.case import Case
from gdconv.verify.statements import verify

CASES = Path(__file__).parents[1] / "data" / "cases"
# Rank, L(w*), and λmin if the rank is full. L(w*) is that of w* rounded to floats: not below, and
# above by what the rounding costs.
TABLES = {
    "big_x_3": (2, 2.1220358831805e-28, 1.1, 0.28241317),
    "ticks": (2, 1108.95501532319, 1 + 1e-13, 9.0219e-11),
    "epoch": (2, 2 / 3, 1 + 1e-13, 1.02818e-08),
    "epoch_ms_year": (2, 5033.69799341479, 1 + 1e-13, 0.0204544),
    "nist_filip": (11, 7.95851392628374e-4, 1 + 1e-9, 3.31417e-11),
    "near_twin2": (3, 0.071875, 0.0735 / 0.071875, 1.27795e-26),
    "sentinel_1e+12": (4, 294.642469672756, 1 + 1e-9, 42.6369),
    "nist_wampler2": (6, 7.35338e-30, 100, 1.18368),
}


def table(name, standardize=False):
    return Table(str(CASES / f"{name}.csv"), "y", standardize)


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize("name", TABLES)
def test_rank_minimum_and_smallest_eigenvalue(name, reduce):
    rank, minimum, above, lambda_min = TABLES[name]
    config = RunConfig(
        table(name), method=GradientDescent(reduce=reduce), step=Step(value=[0.5, 1.0, 1.9, 2.1])
    )
    tables = run_study(config)
    runs, curves = tables.runs, tables.curves
    assert (runs["rank"] == rank).all()
    # The digits given.
    assert (1 - 1e-13) * minimum <= runs.loss_star.iloc[0] <= above * minimum
    assert runs.lambda_min.iloc[0] == pytest.approx(lambda_min, rel=1e-5)
    # Nothing below the minimum is ever said, and y = Xw + residual adds up.
    assert (curves.loss >= (1 - 1e-13) * minimum).all()
    y = np.loadtxt(CASES / f"{name}.csv", delimiter=",", skiprows=1, usecols=_target(name))
    at_start = curves[curves.iteration == 0]
    assert at_start.loss.to_numpy() == pytest.approx(y @ y, rel=1e-13)
    # All of them are judged: they have got on only along the largest eigenvectors.
    assert runs.status.tolist() == ["max_iterations"] * 3 + ["diverged"]
    assert runs.bound_holds.all()
    assert runs.bound_coursework_holds.tolist() == [True] * 3 + [False]


def _target(name):
    with (CASES / f"{name}.csv").open() as file:
        return file.readline().strip().split(",").index("y")


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("name", [*TABLES, "bigint"])
@pytest.mark.slow_where(case=lambda standardize, reduce: standardize == (reduce == "qr"))
def test_every_statement_holds(name, standardize, reduce):
    method = GradientDescent(iterations=200, reduce=reduce)
    for start, step in ((Zeros(), 1.0), (Eigenvector("min"), 1.9), (Eigenvector("max"), 2.1)):
        (run,) = expand(RunConfig(table(name, standardize), start, method, Step(value=step)))
        assert [check for check in verify(Case(run)) if not check.passed] == []


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("ticks", 1108.955015323203),
        ("epoch", 2 / 3),
        ("epoch_ms_year", 5033.69799341479),
        ("bigint", 0.75),
    ],
)
def test_one_standardized_feature_has_a_condition_number_of_1(name, minimum):
    """The coursework's bound holds with equality: all |1 − ηλ| are the same."""
    runs = run_study(RunConfig(table(name, True), step=Step(value=[0.5, 1.0, 1.9, 1.99]))).runs
    n = runs.n_samples.iloc[0]
    for column in ("lambda_min", "lambda_max"):
        # Eigenvalues of n I with some roundings of n.
        assert runs[column].iloc[0] == pytest.approx(2 * n, rel=1e-14)
    assert runs.loss_star.iloc[0] == pytest.approx(minimum, rel=1e-13)
    assert runs.bound_holds.all()
    assert runs.bound_coursework_holds.all()


def test_integers_that_are_no_floats():
    """Above 2⁵³: as it is, the column differs from a constant by its last digits alone."""
    (run,) = run_study(RunConfig(table("bigint"))).runs.itertuples()
    assert run.rank == 1
    assert run.loss_star == pytest.approx(8.75, rel=1e-14)
    assert run.bound_holds


# Tables that are written in other ways, or have names that need care: L(w*), and κ where known.
WRITTEN = {
    "numname.csv": ("2020", 4.2, 55.782),
    "trail_all.csv": ("y", 1.8, 55.782),
    "idx.csv": ("y", 94 / 35, 50.80889),
    "space.txt": ("y", 1.8, 55.782),
    "paren.csv": ("Mass (kg)", 4.2, 55.782),
    "gz.csv.gz": ("y", 1.8, 55.782),
    "../commaname.csv": ("Smith, J", 4.2, 55.782),
    "../merge_1.csv": ("y", 1.8, 55.782),
    "../merge_2.csv": ("y", 66.7, 55.782),
    "../tab.parquet": ("y", 1 / 6, None),
    "semicolon_comma.csv": ("y", None, None),
    "comment_top.csv": ("y", None, None),
    "year_cols.csv": ("2021", None, None),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_tables_however_they_are_written(name):
    target, minimum, kappa = WRITTEN[name]
    tables = run_study(RunConfig(Table(str(CASES / name), target)))
    run = tables.runs.iloc[0]
    assert run.status != "failed"
    if minimum is not None:
        assert run.loss_star == pytest.approx(minimum, rel=1e-12)
    if kappa is not None:
        # As many digits as are given.
        assert run.condition_number == pytest.approx(kappa, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "X", "y"),
    [
        ("semicolon_comma.csv", [1.5, 2.5], [2.5, 3]),
        ("comment_top.csv", [1, 2], [2, 3]),
    ],
)
def test_their_numbers_are_those_that_are_written(name, X, y):
    problem = make(Table(str(CASES / name), "y"), 0, 0)
    assert problem.X[:2, 0].tolist() == X
    assert problem.y[:2].tolist() == y
