"""Bounds and exact gaps, against their definition as powers of I − step_size H."""

import mpmath
import numpy as np
import pytest

from gdconv.theory import bounds

# Ten eigenvalues with a condition number of 1000, an error in every direction.
EIGENVALUES = np.geomspace(20.0, 0.02, 10)
ERROR = np.linspace(1.0, 2.0, 10) * (-1.0) ** np.arange(10)
LARGEST, SMALLEST = EIGENVALUES[0], EIGENVALUES[-1]
DISTANCE = float(ERROR @ ERROR)
COMPONENTS = EIGENVALUES / 2 * ERROR**2
T = np.array([0, 1, 2, 5, 20, 100, 1000])
RELATIVE_STEPS = [1e-3, 0.1, 0.5, 1.0, 1.5, 1.99, 2.0, 2.1, 3.0]
# 1 − x is off by eps in relation to 1 + x, its power by 2t times that.
TOLERANCE = 1e-12


def powers(step_size):
    """(1 − step_size lambda_i)^t for all t (rows) and i (columns), in 40 digits."""
    with mpmath.workdps(40):
        base = [1 - mpmath.mpf(step_size) * mpmath.mpf(value) for value in EIGENVALUES]
        return [[each ** int(t) for each in base] for t in T]


def true_gap(step_size):
    return np.array(
        [
            float(sum(mpmath.mpf(c) * p**2 for c, p in zip(COMPONENTS, row, strict=True)))
            for row in powers(step_size)
        ]
    )


def true_distance(step_size):
    return np.array(
        [
            float(sum(mpmath.mpf(e * e) * p**2 for e, p in zip(ERROR, row, strict=True)))
            for row in powers(step_size)
        ]
    )


@pytest.mark.parametrize("relative_step", RELATIVE_STEPS)
def test_exact_gap(relative_step):
    step_size = relative_step / LARGEST
    found = bounds.exact_gap(EIGENVALUES, COMPONENTS, step_size, T)
    assert found == pytest.approx(true_gap(step_size), rel=TOLERANCE)


@pytest.mark.parametrize("relative_step", RELATIVE_STEPS)
def test_valid_bounds_hold(relative_step):
    step_size = relative_step / LARGEST
    gap, distance = true_gap(step_size), true_distance(step_size)
    allowed = 1 + TOLERANCE
    sharp = bounds.gap_bound_sharp(step_size, T, DISTANCE, LARGEST, SMALLEST)
    loose = bounds.gap_bound(step_size, T, DISTANCE, LARGEST, SMALLEST)
    assert (
        distance <= bounds.distance_bound(step_size, T, DISTANCE, LARGEST, SMALLEST) * allowed
    ).all()
    assert (gap <= sharp * allowed).all()
    assert (sharp <= loose * allowed).all()
    relative = bounds.gap_bound_relative(step_size, T, COMPONENTS.sum(), LARGEST, SMALLEST)
    assert (gap <= relative * allowed).all()


@pytest.mark.parametrize("which", [0, -1])
def test_bounds_are_attained_along_an_eigenvector(which):
    """From w* + v the distance bound is an equality where v's factor is the largest."""
    step_size = 0.5 / LARGEST if which else 2.1 / LARGEST
    nu = bounds.contraction(step_size, LARGEST, SMALLEST)
    assert nu == abs(1 - step_size * EIGENVALUES[which])
    gap = bounds.exact_gap(EIGENVALUES[[which]], np.array([1.0]), step_size, T)
    bound = bounds.gap_bound_relative(step_size, T, 1.0, LARGEST, SMALLEST)
    assert bound == pytest.approx(gap, rel=TOLERANCE)


@pytest.mark.parametrize("relative_step", RELATIVE_STEPS)
def test_sharp_bound_is_the_maximum_over_the_spectrum(relative_step):
    step_size = relative_step / LARGEST
    spectrum = np.geomspace(SMALLEST, LARGEST, 200_001)
    for t in T[:-1]:
        values = spectrum / 2 * np.abs(1 - step_size * spectrum) ** (2.0 * t)
        sharp = float(bounds.gap_bound_sharp(step_size, t, 1.0, LARGEST, SMALLEST))
        # The grid misses the maximum by less than its spacing squared.
        assert sharp == pytest.approx(values.max(), rel=1e-6)
        assert sharp >= values.max() * (1 - TOLERANCE)


def test_the_coursework_errs_beyond_the_optimum():
    """A 2 x 2 example by hand: eigenvalues 1 and 4, step size 1/2, from w* + v_max.

    The error changes sign and keeps its size: I − H/2 has the eigenvalues 1/2 and −1. The statement
    as it stands (19) promises a contraction of 1 − 1/2.
    """
    assert bounds.contraction(0.5, 4.0, 1.0) == 1.0
    assert bounds.contraction_coursework(0.5, 1.0) == 0.5
    gap = bounds.exact_gap(np.array([4.0]), np.array([2.0]), 0.5, np.array([0, 1, 2]))
    assert gap.tolist() == [2, 2, 2]
    assert bounds.gap_bound(0.5, [0, 1, 2], 1.0, 4.0, 1.0).tolist() == [2, 2, 2]
    assert bounds.gap_bound_coursework(0.5, [0, 1, 2], 1.0, 4.0, 1.0).tolist() == [2, 0.5, 0.125]


@pytest.mark.parametrize("relative_step", [0.01, 0.5, 1.0, 1.9])
def test_the_coursework_bound_agrees_with_the_bound_up_to_the_optimum(relative_step):
    step_size = relative_step / LARGEST
    assert step_size <= bounds.optimal_step_size(LARGEST, SMALLEST)
    stated = bounds.gap_bound_coursework(step_size, T, DISTANCE, LARGEST, SMALLEST)
    assert stated == pytest.approx(
        bounds.gap_bound(step_size, T, DISTANCE, LARGEST, SMALLEST), rel=TOLERANCE
    )


def test_optimal_step_size():
    best = bounds.optimal_step_size(LARGEST, SMALLEST)
    kappa = LARGEST / SMALLEST
    nu = bounds.contraction(best, LARGEST, SMALLEST)
    assert nu == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-15)
    others = bounds.contraction(best * np.linspace(0.9, 1.1, 101), LARGEST, SMALLEST)
    assert others.min() == nu


def test_iterations_to():
    nu = np.array([0.5, 0.9, 1 / 10, 1.0, 1.1, 0.0])
    with np.errstate(divide="ignore"):
        found = bounds.iterations_to(1e-6, np.log(nu))
    assert found.tolist() == [10, 66, 3, np.inf, np.inf, 1]
    assert (nu[:2] ** (2 * found[:2]) <= 1e-6).all()
    assert (nu[:2] ** (2 * (found[:2] - 1)) > 1e-6).all()


def test_overflow_is_infinite_and_silent():
    assert bounds.gap_bound(4.0, 1000, 1.0, 1.0, 0.5) == np.inf
    assert bounds.gap_bound_sharp(4.0, 1000, 1.0, 1.0, 0.5) == np.inf
    assert bounds.exact_gap(np.array([1.0]), np.array([1.0]), 4.0, 1000) == np.inf


def test_tiny_relative_steps_keep_their_digits():
    """1 − 1e-17 rounds to 1, yet 1e18 such factors make e^-20."""
    expected = pytest.approx(np.exp(-20), rel=1e-13)
    assert bounds.exact_gap(np.array([1e-17]), np.array([1.0]), 1.0, 10**18) == expected
    ends = 1e-17, 1e-17
    assert bounds.distance_bound(1.0, 10**18, 1.0, *ends) == expected
    assert bounds.gap_bound(1.0, 10**18, 2e17, *ends) == expected
    assert bounds.gap_bound_coursework(1.0, 10**18, 2e17, *ends) == expected
    assert bounds.gap_bound_relative(1.0, 10**18, 1.0, *ends) == expected


@pytest.mark.parametrize("relative_step", [0.3, 2.5, 26.0, 1e40])
def test_large_powers_keep_their_digits(relative_step):
    """A power from the logarithm would be off by as many roundings as its exponent is large."""
    t = int(300 / abs(np.log10(abs(1 - relative_step)))) // 2
    with mpmath.workdps(40):
        exact = float((1 - mpmath.mpf(relative_step)) ** (2 * t))
    found = bounds.distance_bound(relative_step, t, 1.0, 1.0, 1.0)
    assert found == pytest.approx(exact, rel=(2 * t + 2) * np.finfo(float).eps)
