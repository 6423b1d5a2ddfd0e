"""The iteration of gradient descent, against the same iteration in high precision."""

import mpmath
import numpy as np
import pytest

from gdconv.config.problems import Gaussian
from gdconv.experiment.iterate import iterate
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import make
from gdconv.problems.least_squares import Objective


def iterates(objective, start, step_sizes, iterations, leave_at=None):
    """W_t of every run at every iteration it took part in; run k leaves at leave_at[k]."""
    seen = {run: [] for run in range(len(step_sizes))}

    def observe(iteration, runs, W, residual, _):
        for place, run in enumerate(runs):
            seen[run].append(W[place].copy())
        if leave_at is None:
            return None
        return np.array([leave_at[run] == iteration for run in runs])

    coefficients = {"step_size": np.asarray(step_sizes)}
    iterate(GradientDescent(), objective, start, coefficients, iterations, observe)
    return {run: np.array(rows) for run, rows in seen.items()}


@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_follows_the_iteration_in_high_precision(reduce):
    problem = make(Gaussian(n_samples=12, n_features=4), 0, 0)
    start = np.arange(4.0)
    steps = np.array([0.1, 1.0, 1.9]) / (2 * np.linalg.norm(problem.X, 2) ** 2)
    found = iterates(Objective(problem, reduce), start, steps, 30)
    with mpmath.workdps(50):
        X, y = mpmath.matrix(problem.X.tolist()), mpmath.matrix(problem.y.tolist())
        for run, step in enumerate(steps):
            w = mpmath.matrix(start.tolist())
            for t in range(31):
                exact = np.array([float(value) for value in w])
                # Rounding of some 30 steps with sums of 4 and 12 numbers, in units of ‖w‖.
                assert np.abs(found[run][t] - exact).max() < 1e-13 * np.linalg.norm(exact)
                w -= mpmath.mpf(float(step)) * 2 * (X.T * (X * w - y))


def test_runs_do_not_know_of_each_other():
    """Bit for bit: alone, among 3, among 40, and while others leave."""
    problem = make(Gaussian(n_samples=40, n_features=13), 0, 0)
    objective, start = Objective(problem, "qr"), np.zeros(13)
    steps = np.geomspace(0.01, 2.2, 40) / (2 * np.linalg.norm(problem.X, 2) ** 2)
    together = iterates(objective, start, steps, 50)
    for run in (0, 17, 39):
        assert (iterates(objective, start, steps[[run]], 50)[0] == together[run]).all()
    three = iterates(objective, start, steps[[5, 20, 33]], 50)
    assert all((three[k] == together[run]).all() for k, run in enumerate((5, 20, 33)))
    leave_at = np.random.default_rng(0).integers(1, 50, size=40)
    thinned = iterates(objective, start, steps, 50, leave_at)
    for run, rows in thinned.items():
        assert len(rows) == leave_at[run] + 1
        assert (rows == together[run][: len(rows)]).all()


def test_stops_when_every_run_has_left():
    problem = make(Gaussian(n_samples=5, n_features=2), 0, 0)
    found = iterates(Objective(problem, "qr"), np.zeros(2), [0.01] * 9, 10**9, [3] * 9)
    assert all(len(rows) == 4 for rows in found.values())
