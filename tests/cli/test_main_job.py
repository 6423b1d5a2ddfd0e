"""A whole study of a real table, 442 patients with diabetes: minimiser, rates and iterations."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

from gdconv.config.problems import Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import make
from gdconv.problems.least_squares import Objective
from gdconv.sweep.sweep import run_study

DIABETES = Path(__file__).parents[1] / "data" / "diabetes.csv"


def problem(standardize):
    return Table(path=str(DIABETES), target="progression", standardize=standardize)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_w_star_is_that_of_scipy(standardize, reduce):
    data = make(problem(standardize), 0, 0)
    found, _ = Objective(data, reduce).nearest_minimiser(np.zeros(11))
    expected = scipy.linalg.lstsq(data.X, data.y)[0]
    # Both solvers are backward stable: they differ by eps times the condition number of X.
    relative = np.finfo(float).eps * np.linalg.cond(data.X)
    assert np.linalg.norm(found - expected) <= 10 * relative * np.linalg.norm(expected)


@pytest.fixture(scope="module")
def standardized():
    return run_study(
        RunConfig(
            problem(True),
            method=GradientDescent(iterations=20_000),
            step=Step(value=[0.5, 1.0, 1.9, 2 - 1e-3, 2.1]),
        )
    )


def test_published_properties(standardized):
    """Residual variance of the ordinary fit: the R² of 0.5177 that the data are known for."""
    run = standardized.runs.iloc[0]
    y = make(problem(True), 0, 0).y
    assert (run.n_samples, run.n_features, run["rank"]) == (442, 11, 11)
    assert 1 - run.loss_star / np.sum((y - y.mean()) ** 2) == pytest.approx(0.5177, abs=5e-5)


def test_standardized_converges_at_the_predicted_rate(standardized):
    runs = standardized.runs.set_index("step_value")
    assert runs.rate_measured.to_numpy() == pytest.approx(runs.rate_predicted.to_numpy(), rel=1e-4)
    slow, done = "max_iterations", "converged"
    assert runs.status.tolist() == [slow, done, done, slow, "diverged"]
    assert runs.convergence.tolist() == ["linear"] * 4 + ["diverging"]
    assert runs.bound_holds.all()
    assert runs.bound_coursework_holds.tolist() == [True, True, True, False, False]


def test_raw_is_too_ill_conditioned_to_finish_and_follows_theory_all_the_same():
    tables = run_study(RunConfig(problem(False), step=Step(value=[0.5, 1.0, 1.9, 2.1])))
    runs, curves = tables.runs.set_index("step_value"), tables.curves
    assert 1e7 < runs.condition_number.iloc[0] < 1e8
    assert runs.status.tolist() == ["max_iterations"] * 3 + ["diverged"]
    assert runs.bound_holds.all()
    # 2,000 iterations are a 10,000th of the time constant: the slowest part has hardly moved, and
    # what is measured is the exact formula's mixture.
    assert curves.gap.to_numpy() == pytest.approx(curves.gap_exact.to_numpy(), rel=1e-9)
    assert (runs.rate_measured[:3] < runs.rate_predicted[:3]).all()
    # Past the edge the fastest part takes over within a few iterations.
    assert runs.rate_measured[2.1] == pytest.approx(runs.rate_predicted[2.1], rel=1e-9)


def test_raw_reaches_the_predicted_rate_where_the_edge_sets_it():
    """Just below the edge nu belongs to lambda_max, so that even raw data show it in time."""
    tables = run_study(
        RunConfig(
            problem(False),
            method=GradientDescent(iterations=200),
            step=Step(value=2.02),
        )
    )
    run = tables.runs.iloc[0]
    assert run.rate_measured == pytest.approx(1.02**2, rel=1e-4)
