"""The minimiser and its residual, against SciPy and mpmath, also for rank-deficient X."""

from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
import scipy.linalg

from gdconv.problems.families import LeastSquares
from gdconv.problems.least_squares import Objective
from gdconv.problems.minimisers import least_norm, loss
from gdconv.problems.spectrum import spectrum

EPS = np.finfo(float).eps
DIGITS = 120


def gaussian(n_samples, n_features, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features))


def rotated(n, d, smallest):
    """Singular values from 1 down to smallest."""
    left, right = np.linalg.qr(gaussian(n, d))[0], np.linalg.qr(gaussian(d, d, 1))[0]
    return (left * np.geomspace(1, smallest, d)) @ right.T


def twins(n, d):
    """Two columns that differ by a part of 1e-13, as 2a ± 1e-13 does from a."""
    X = gaussian(n, d)
    X[:, 1] = 2 * X[:, 0] + 1e-13 * np.random.default_rng(1).integers(-2, 3, n)
    return X


def with_fill_value(n, d, rows):
    X = gaussian(n, d)
    X[:rows, :2] = 1e12
    return X


PROBLEMS = {
    "gaussian": gaussian(20, 5),
    "square": gaussian(6, 6),
    "rotated, 1e6": rotated(20, 5, 1e-3),
    "rotated, 1e18": rotated(20, 5, 1e-9),
    "rotated, 1e26": rotated(20, 5, 1e-13),
    "columns of all sizes": gaussian(20, 5) * 10.0 ** np.arange(-20, 20, 8),
    "clock ticks": np.vander(4e9 + 225.0 * np.arange(20), 2),
    "powers of years": np.vander(1990.0 + np.arange(30), 4),
    "near twins": twins(20, 4),
    "fill value": with_fill_value(20, 4, 1),
    "wide": gaussian(4, 9),
    "wide, rows of all sizes": gaussian(4, 9) * 10.0 ** np.arange(-20, 20, 10)[:, None],
}


def exact(X, y):
    """X⁺y and L(w*) for X of full rank."""
    with mpmath.workdps(DIGITS):
        A, b = mpmath.matrix(X.tolist()), mpmath.matrix(y.tolist())
        if A.rows < A.cols:
            w = A.T * mpmath.lu_solve(A * A.T, b)
        else:
            w = mpmath.lu_solve(A.T * A, A.T * b)
        off = b - A * w
        return SimpleNamespace(w=w, residual=off, loss=(off.T * off)[0])


def size(values):
    return float(mpmath.norm(values))


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("X", PROBLEMS.values(), ids=PROBLEMS)
def test_minimiser_and_residual_in_high_precision(X, noise):
    n, d = X.shape
    y = X @ (1 / np.linalg.norm(X, axis=0)) + noise * gaussian(n, 1, 2)[:, 0]
    found, truth = least_norm(spectrum(X), X, y), exact(X, y)
    with mpmath.workdps(DIGITS):
        w, rest = (mpmath.matrix(each.tolist()) for each in (found.w, found.rest))
        off = w + rest - truth.w
        along = mpmath.matrix(spectrum(X).right.T.tolist()) * off
        missed = mpmath.matrix(found.residual.tolist()) - truth.residual
    # The rounding of w* to floats is in rest; what is left along the v_i is a small part of it,
    # beside them, in the null space, some roundings of the v_i.
    assert size(along) <= 0.1 * EPS * size(truth.w)
    assert size(off) <= (0.1 if n >= d else 4) * EPS * size(truth.w)
    # The residual is rounded once, and twice projected where the decomposition is no ordinary one;
    # w + rest of an ordinary one, with κ up to 1e6, is off by a last digit of rest, and 1e3 more.
    assert size(missed) <= 10 * EPS * (size(truth.residual) + 1e3 * EPS * np.linalg.norm(y))
    assert loss(X, y, found.w) >= (1 - 4 * n * EPS) * float(truth.loss)


@pytest.mark.parametrize("X", PROBLEMS.values(), ids=PROBLEMS)
def test_a_loss_is_rounded_once(X):
    y = gaussian(len(X), 1, 2)[:, 0]
    w = least_norm(spectrum(X), X, y).w
    with mpmath.workdps(DIGITS):
        off = mpmath.matrix(X.tolist()) * mpmath.matrix(w.tolist()) - mpmath.matrix(y.tolist())
        expected = float((off.T * off)[0])
    # Squares of numbers that are rounded once, and their sum.
    assert loss(X, y, w) == pytest.approx(expected, rel=2 * len(y) * EPS, abs=(EPS * 1e-14) ** 2)


def test_fill_values_that_no_float_can_cancel():
    """1e20 twice in two columns: w* cannot be told, what is orthogonal to the range of X can."""
    X, y = gaussian(20, 4), gaussian(20, 1, 2)[:, 0]
    X[:2, :2] = 1e20
    found, truth = least_norm(spectrum(X), X, y), exact(X, y)
    with mpmath.workdps(DIGITS):
        missed = mpmath.matrix(found.residual.tolist()) - truth.residual
    assert size(missed) <= 1e-10


def test_minimiser_is_that_of_scipy():
    X, y = gaussian(30, 6), gaussian(30, 1, seed=1)[:, 0]
    found = least_norm(spectrum(X), X, y).w
    # Two solvers, at a condition number of 3.
    assert found == pytest.approx(scipy.linalg.lstsq(X, y)[0], rel=1e-13)


def nearest(X, y, w, reduce="qr"):
    return Objective(LeastSquares(X, y), reduce).nearest_minimiser(w)


@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_minimiser_of_a_flat_loss_is_the_nearest(reduce):
    X, y = gaussian(4, 9), gaussian(4, 1, seed=1)[:, 0]
    w = np.arange(9.0)
    found, rest = nearest(X, y, w, reduce)
    assert X @ found == pytest.approx(y, abs=1e-12)
    assert (np.abs(rest) <= 4 * EPS * np.linalg.norm(found)).all()
    null_space = scipy.linalg.null_space(X)
    assert null_space.T @ (w - found) == pytest.approx(np.zeros(5), abs=1e-12)


@pytest.mark.parametrize("far", [1e8, 1e16, 1e30])
def test_minimiser_does_not_feel_how_far_away_the_start_is(far):
    X, y = gaussian(30, 6), gaussian(30, 1, seed=1)[:, 0]
    near, _ = nearest(X, y, np.zeros(6))
    assert (nearest(X, y, far * gaussian(6, 1)[:, 0])[0] == near).all()


def test_the_way_from_a_start_close_by_has_all_digits():
    """From w* = (1/3, 1/3) to a start 1e-12 off, of which the rounding of w* is 1e-4."""
    X, y = np.diag([3.0, 3.0]), np.ones(2)
    start = np.array([1 / 3 + 1e-12, 1 / 3])
    w_star, rest = nearest(X, y, start)
    with mpmath.workdps(40):
        expected = [float(mpmath.mpf(each) - mpmath.mpf(1) / 3) for each in start.tolist()]
    assert (start - w_star) - rest == pytest.approx(expected, rel=4 * EPS, abs=0.0)
