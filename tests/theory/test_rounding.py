"""The rounding floor, against the level at which long runs really stall."""

import mpmath
import numpy as np
import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import Run
from gdconv.config.sections import Record, Zeros
from gdconv.experiment.iterate import iterate
from gdconv.experiment.prediction import Theory
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective
from gdconv.theory.rounding import drift, relative_error

RELATIVE_STEPS = [0.3, 1.0, 1.7, 1.95]


def runs(iterations, reduce, steps=RELATIVE_STEPS):
    method = GradientDescent(iterations=iterations, reduce=reduce)
    return [Run(Gaussian(), Zeros(), method, Record(), 0, 0, "lambda_max", step) for step in steps]


def orthogonal(n, d, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, d)))[0]


def problem(name):
    if name == "tall":
        return make(Gaussian(n_samples=60, n_features=20), 0, 0)
    if name == "wide":
        return make(Gaussian(n_samples=10, n_features=30), 0, 0)
    if name == "single feature":
        return make(Gaussian(n_samples=5, n_features=1), 0, 0)
    if name == "shifted features":
        return make(Gaussian(n_samples=5, n_features=2, feature_mean=3.0), 0, 0)
    X = orthogonal(30, 10, 0) * np.geomspace(1, 0.1, 10) @ orthogonal(10, 10, 1).T
    rng = np.random.default_rng(2)
    fit = X @ rng.standard_normal(10)
    return LeastSquares(X, fit if name == "exact fit" else fit + 10 * rng.standard_normal(30))


def stall(data, reduce, iterations, steps=RELATIVE_STEPS):
    """The highest gap of the last fifth, the floor, and which runs had the time to come to rest."""
    objective = Objective(data, reduce)
    start = np.zeros(objective.matrix.shape[1])
    theory = Theory(objective, start, runs(iterations, reduce, steps))
    level = np.zeros(len(steps))

    def observe(iteration, runs, W, residual, _):
        if iteration > 0.8 * iterations:
            gap = np.sum(residual**2, axis=1)[: len(runs)]
            np.maximum(level, gap, out=level)

    iterate(GradientDescent(), objective, start, theory.coefficients, iterations, observe)
    floor = theory.noise(np.arange(len(steps)), np.full(len(steps), iterations))
    # By theory, the gap was far below the floor when the last fifth began.
    rested = theory.nu ** (1.6 * iterations) * theory.shares.sum() < 1e-4 * floor
    return level, floor, rested


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize(
    "name", ["tall", "wide", "single feature", "shifted features", "exact fit", "large residual"]
)
def test_floor_lies_just_above_where_the_gap_stalls(name, reduce):
    data = problem(name)
    level, floor, rested = stall(data, reduce, 20_000)
    assert rested.sum() >= 2
    assert (level <= floor)[rested].all()
    # Where all errors happen to cancel, a gap can hit 0: then one rounding of y is the scale.
    scale = (np.finfo(float).eps * np.linalg.norm(data.y)) ** 2
    assert (floor <= 1e6 * np.maximum(level, scale))[rested].all()


@pytest.mark.parametrize(
    ("n", "d", "condition"), [(1, 1, 1), (3, 2, 1), (30, 20, 1), (30, 20, 100), (60, 10, 1)]
)
@pytest.mark.slow_where(case=lambda d: d in (2, 20))
def test_close_to_the_edge_too(n, d, condition):
    """There errors add up over hundreds of steps, if they have the same sign, or average out."""
    rng = np.random.default_rng(0)
    scales = np.geomspace(1, condition**-0.5, d)
    X = orthogonal(n, d, 0) * scales @ orthogonal(d, d, 1).T
    data = LeastSquares(X, X @ rng.standard_normal(d) + rng.standard_normal(n))
    level, floor, rested = stall(data, "none", 50_000, [1.99, 1.999])
    assert rested.all()
    assert (level <= floor).all()
    scale = (np.finfo(float).eps * np.linalg.norm(data.y)) ** 2
    assert (floor <= 1e6 * np.maximum(level, scale)).all()


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 1), (3, 2), (10, 3), (20, 5)])
@pytest.mark.slow_where(case=lambda n, reduce: (n in (5, 10)) == (reduce == "none"))
def test_no_small_problem_stalls_above_its_floor(n, d, reduce):
    """Few features mean few roundings, so that a single large one is not averaged away."""
    rests = 0
    for seed in range(20):
        data = make(Gaussian(n_samples=n, n_features=d, feature_mean=seed % 2), seed, 0)
        level, floor, rested = stall(data, reduce, 1000)
        assert (level <= floor)[rested].all()
        rests += rested.sum()
    assert rests >= 30


def test_floor_grows_with_a_growing_error():
    objective = Objective(problem("tall"), "qr")
    theory = Theory(objective, np.zeros(20), runs(1000, "qr", [1.0, 2.1]))
    early, late = (theory.noise(np.arange(2), np.full(2, t)) for t in (50, 100))
    assert early[0] == late[0]
    # The noise grows as the error does, by 1.1 an iteration, so its square by 1.21.
    assert late[1] / early[1] == pytest.approx(1.21**50, rel=0.05)


@pytest.mark.parametrize("relative_step", [1e-3, 1.0, 1.9, 2.5])
@pytest.mark.parametrize("nu", [0.0, 1e-20, 0.5, 1.0, 1.5])
def test_drift_is_the_difference_of_two_powers(nu, relative_step):
    unit = relative_error(10)
    error = unit * (1 + relative_step)
    for t in (0, 1, 7, 400):
        with mpmath.workdps(60):
            base = mpmath.mpf(nu)
            expected = (base + error) ** t - base**t + unit * base**t
        found = drift(nu, relative_step, t, columns=10)
        # Some roundings of a power, each of the size of its exponent.
        assert found == pytest.approx(float(expected), rel=1e-12)
