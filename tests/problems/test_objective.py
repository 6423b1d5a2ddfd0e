"""The loss and its gradient, with and without QR, are those of the problem."""

import mpmath
import numpy as np
import pytest

from gdconv.config.problems import Gaussian
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (30, 1), (30, 6), (6, 6), (4, 9)])
def test_gradient_and_loss_are_those_of_the_problem(n, d, reduce):
    problem = make(Gaussian(n_samples=n, n_features=d, feature_mean=1.0), 0, 0)
    objective = Objective(problem, reduce)
    W = np.random.default_rng(1).standard_normal((8, d))
    residual, gradient = objective.program(8)(W)
    expected = W @ problem.X.T - problem.y
    scale = np.linalg.norm(problem.X) ** 2 * np.linalg.norm(W) + np.linalg.norm(problem.y)
    # A few roundings of sums over n and d numbers.
    tolerance = 10 * (n + d) * np.finfo(float).eps * scale
    assert gradient == pytest.approx(2 * expected @ problem.X, abs=tolerance)
    loss = np.sum(residual**2, axis=1) + objective.offset
    assert loss == pytest.approx(np.sum(expected**2, axis=1), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "d", "rank", "rows"), [(30, 6, 6, 6), (4, 6, 4, 4), (30, 6, 3, 3), (30, 40, 3, 3)]
)
def test_qr_reduces_the_rows_to_the_rank(n, d, rank, rows):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    if rank < min(n, d):
        X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    problem = LeastSquares(X, rng.standard_normal(n))
    reduced, whole = (Objective(problem, reduce) for reduce in ("qr", "none"))
    assert (reduced.spectrum.rank, reduced.matrix.shape) == (rank, (rows, d))
    assert whole.matrix is X
    # Both have the same minimum, 0 where the rank is n.
    assert reduced.offset == whole.offset
    assert (whole.offset == 0) == (rank == n)


@pytest.mark.parametrize("outside", [0.0, 1e-7, 1.0, 1e3])
@pytest.mark.parametrize("smallest", [1e-2, 1e-5, 1e-7])
def test_the_reduced_problem_has_the_minimiser_of_the_whole_one(smallest, outside):
    """In 60 digits, however far y is from the range of X."""
    n, d = 20, 6
    rng = np.random.default_rng(0)
    values = np.geomspace(1.0, smallest, d)
    left = np.linalg.qr(rng.standard_normal((n, d + 1)))[0]
    right = np.linalg.qr(rng.standard_normal((d, d)))[0]
    X = (left[:, :d] * values) @ right.T
    y = X @ right.sum(axis=1) + outside * left[:, d]
    objective = Objective(LeastSquares(X, y), "qr")
    with mpmath.workdps(60):
        A, b = mpmath.matrix(X.tolist()), mpmath.matrix(y.tolist())
        R, target = objective.matrix.tolist(), objective.target.tolist()
        off = mpmath.lu_solve(mpmath.matrix(R), mpmath.matrix(target))
        off -= mpmath.lu_solve(A.T * A, A.T * b)
        off = np.array([float(each) for each in off])
    # R is that of X but for roundings of ‖X‖ = 1, times ‖w*‖ = √6; so is the residual of its own.
    allowed = 30 * np.finfo(float).eps * (1 + outside)
    assert np.abs(values * (right.T @ off)).max() <= allowed
