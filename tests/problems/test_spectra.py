"""Eigenvalues, eigenvectors and rank of a problem, against closed forms and high precision."""

from pathlib import Path

import mpmath
import numpy as np
import pytest

from gdconv.problems.spectrum import eigh_difference, spectrum

EPS = np.finfo(float).eps


def gaussian(n_samples, n_features, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features))


def exact_eigenvalues(X, digits=80):
    """Eigenvalues of 2 XᵀX for the very numbers in X."""
    with mpmath.workdps(digits):
        A = mpmath.matrix(X.tolist())
        found = mpmath.eigsy(2 * A.T * A, eigvals_only=True)
        return np.array(sorted(map(float, found), reverse=True))


def test_known_singular_values():
    found = spectrum(np.diag([3.0, 1.0, 2.0]))
    assert found.eigenvalues.tolist() == pytest.approx([18, 8, 2], rel=4 * EPS)
    assert found.rank == 3
    assert found.condition_number == pytest.approx(9, rel=8 * EPS)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 1), (1, 5), (7, 7), (40, 12), (12, 40)])
def test_eigenvectors_and_cross_check(n, d):
    X = gaussian(n, d)
    found = spectrum(X)
    H = 2 * X.T @ X
    v, eigenvalues = found.right, found.eigenvalues[: found.rank]
    assert found.rank == min(n, d)
    # Backward errors of a d x d eigenvalue problem: a few d eps of the largest eigenvalue.
    tolerance = 20 * (n + d) * EPS
    assert np.abs(H @ v - v * eigenvalues).max() <= tolerance * found.lambda_max
    assert np.abs(v.T @ v - np.eye(found.rank)).max() <= tolerance
    assert eigh_difference(found, X) <= tolerance
    assert not found.eigenvalues[found.rank :].any()


def test_cross_check_notices_a_wrong_spectrum():
    X = gaussian(20, 5)
    assert eigh_difference(spectrum(X * (1 + 1e-6)), X) > 1e-6


# The eigenvalue is twice the square of a singular value that is right to some roundings.
ALL_DIGITS = 40 * EPS


@pytest.mark.parametrize("degree", [3, 6, 9])
def test_lambda_min_of_powers_of_points(degree):
    """Condition numbers of H up to 1e14, where eigh(H) has lost digits."""
    X = np.vander(np.linspace(-1, 1, 25), degree + 1) * np.logspace(0, -2, degree + 1)
    found = spectrum(X)
    # An ordinary decomposition leaves the smallest singular value eps times κ, up to 1e3.
    allowed = ALL_DIGITS * (1e3 if found.is_ordinary else 1)
    assert found.eigenvalues == pytest.approx(exact_eigenvalues(X), rel=allowed)


@pytest.mark.parametrize("condition_number", [1e3, 1e6, 1e8, 1e12, 1e15, 1e18])
@pytest.mark.parametrize("shape", [(20, 6), (6, 20), (9, 9)])
def test_lambda_min_of_a_problem_built_in_high_precision(shape, condition_number):
    """X = U Σ Vᵀ with orthogonal factors of 50 digits: the smallest eigenvalue is known."""
    rank = min(shape)
    with mpmath.workdps(50):
        left, right = (
            mpmath.qr(mpmath.matrix(gaussian(rows, rank, seed).tolist()))[0][:, :rank]
            for seed, rows in enumerate(shape)
        )
        ratio = mpmath.mpf(condition_number) ** (mpmath.mpf(-1) / (2 * (rank - 1)))
        scaled = left * mpmath.diag([ratio**i for i in range(rank)])
        X = np.array((scaled * right.T).tolist(), dtype=float)
    found = spectrum(X)
    assert found.rank == rank
    # Rounding X to floats costs a few eps * √condition_number: 1e-6 for 1e18.
    tolerance = 20 * EPS * np.sqrt(condition_number)
    assert tolerance < 1e-5
    assert found.lambda_min_positive == pytest.approx(2 / condition_number, rel=tolerance)
    transposed = X if shape[0] >= shape[1] else X.T
    smallest = exact_eigenvalues(transposed)[-1]
    allowed = ALL_DIGITS * (1e3 if found.is_ordinary else 1)
    assert found.lambda_min_positive == pytest.approx(smallest, rel=allowed)
    assert eigh_difference(found, X) <= 20 * sum(shape) * EPS


@pytest.mark.parametrize("spread", [1e-5, 1e-9, 1e-12])
@pytest.mark.parametrize("n_features", [6, 40])
def test_columns_of_different_size_cost_nothing(n_features, spread):
    """Condition numbers of H up to 1e24, and every eigenvalue right to the last digits."""
    sizes = np.random.default_rng(0).permutation(np.geomspace(1, spread, n_features))
    X = gaussian(60, n_features) * sizes
    found = spectrum(X)
    assert found.eigenvalues == pytest.approx(exact_eigenvalues(X), rel=ALL_DIGITS)
    V = found.right
    assert np.abs(V.T @ V - np.eye(n_features)).max() <= 20 * n_features * EPS
    assert (
        np.abs((found.left * found.singular_values) @ V.T - X).max() <= 100 * EPS * np.abs(X).max()
    )


DATA = Path(__file__).parents[1] / "data"
DIABETES = np.loadtxt(DATA / "diabetes.csv", delimiter=",", skiprows=1)


@pytest.mark.parametrize(("column", "condition_number"), [(7, 1.7e12), (8, 3.9e15), (6, 8.7e22)])
def test_polynomial_of_measured_data(column, condition_number):
    """Degree 5 in one measured variable."""
    X = np.vander(DIABETES[:, column], 6)
    found = spectrum(X)
    smallest = exact_eigenvalues(X)[-1]
    assert found.condition_number == pytest.approx(condition_number, rel=0.05)
    assert found.lambda_min == pytest.approx(smallest, rel=ALL_DIGITS)


@pytest.mark.parametrize(
    ("X", "rank"),
    [
        (np.repeat(gaussian(10, 3), 2, axis=1), 3),
        (np.column_stack([gaussian(10, 3), np.ones(10), np.ones(10)]), 4),
        (np.column_stack([gaussian(10, 3), np.zeros(10)]), 3),
        (np.tile([[1.0, 2.0, 1.0]], (8, 1)), 1),
    ],
    ids=["duplicated columns", "ones twice", "zero column", "equal rows"],
)
def test_rank_deficient(X, rank):
    found = spectrum(X)
    assert found.rank == rank
    assert found.lambda_min == 0
    assert (found.eigenvalues > 0).sum() == rank
    exact = exact_eigenvalues(X)
    assert found.lambda_min_positive == pytest.approx(exact[rank - 1], rel=1e-12)


def sizes(n_features, spread=20, seed=0):
    """Powers of ten that columns, or rows, are multiplied by."""
    return 10.0 ** np.random.default_rng(seed).integers(-spread, spread + 1, n_features)


def one_hot(n_samples, levels, seed=0):
    return np.eye(levels)[np.random.default_rng(seed).integers(0, levels, n_samples)]


def filled(X, rows, columns, value):
    X = X.copy()
    X[np.ix_(rows, columns)] = value
    return X


def near_twins():
    X = np.column_stack([np.arange(1.0, 6), np.arange(2.0, 12, 2), np.ones(5)])
    X[[0, 3], 1] += [1e-13, -2e-13]
    return X


DATA, ONES = gaussian(40, 3), np.ones(40)
CELSIUS = np.round(20 + 5 * gaussian(40, 1, 1)[:, 0], 1)
FAHRENHEIT = 1.8 * CELSIUS + 32
DUMMIES = one_hot(40, 4)
LOW_RANK = gaussian(40, 3) @ gaussian(3, 7, 1)
FILLED = filled(gaussian(40, 4), [7], [0, 1, 2], 1e20)
DEFICIENT = {
    "dummies": (np.column_stack([DATA, DUMMIES, ONES]), 7),
    "dummies of two factors": (np.column_stack([one_hot(40, 3), one_hot(40, 4, 1), ONES]), 6),
    "dummies, large columns": (np.column_stack([1e12 * DATA, DUMMIES, ONES]), 7),
    "dummies, tiny columns": (np.column_stack([1e-17 * DATA, DUMMIES, ONES]), 7),
    "dummies of all sizes": (np.column_stack([DATA, DUMMIES, ONES]) * sizes(8), 7),
    "twins": (np.column_stack([DATA, 2 * DATA, ONES]), 4),
    "twins, tiny columns": (np.column_stack([CELSIUS, 2 * CELSIUS, 1e-20 * DATA, ONES]), 5),
    "tiny twins": (np.column_stack([1e-20 * DATA[:, :1], 3e-20 * DATA[:, :1], ONES]), 2),
    "constants": (np.column_stack([1e9 * DATA, 1e-9 * ONES, ONES]), 4),
    "°F beside °C": (np.column_stack([CELSIUS, FAHRENHEIT, ONES]), 2),
    "equal rows": (np.tile([[1.0, 1e-9, 1e9]], (8, 1)), 1),
    "low rank": (LOW_RANK, 3),
    "low rank, columns of all sizes": (LOW_RANK * sizes(7), 3),
    "low rank, rows of all sizes": (LOW_RANK * sizes(40, 10)[:, None], 3),
    "low rank, wide": ((LOW_RANK * sizes(7)).T, 3),
    "fill value and a twin": (np.column_stack([FILLED, 2 * FILLED[:, 1], ONES]), 5),
    "fill value and dummies": (np.column_stack([FILLED, DUMMIES]), 8),
}
FULL = {
    "clock ticks": np.vander(4155915253.0 + 225 * np.arange(60), 2),
    "milliseconds since 1970": np.vander(1704067200000.0 + 86400000 * np.arange(3), 2),
    "large numbers": np.vander(1.3e14 + 6.7e12 * np.arange(10), 2),
    "powers of years": np.vander(1990.0 + np.arange(30), 4),
    "powers to 40": np.vander(np.random.default_rng(0).uniform(-1, 1, 60), 41),
    "near twins": near_twins(),
    "rotated, 1e26": (np.linalg.qr(gaussian(30, 7))[0] * np.geomspace(1, 1e-13, 7))
    @ np.linalg.qr(gaussian(7, 7, 1))[0],
    "columns of all sizes": gaussian(40, 5) * sizes(5),
    "rows and columns of all sizes": gaussian(40, 5) * sizes(5) * sizes(40, 10, 1)[:, None],
    "wide": gaussian(4, 9) * sizes(9),
    "fill value": FILLED,
    "fill value in three rows": filled(gaussian(40, 4), [7, 9, 20], [0, 1], 1e12),
    "huge fill value in three rows": filled(gaussian(40, 4), [7, 9, 20], [0, 1], 1e20),
    "units and a fill value": np.column_stack([FILLED, 1e10 * DATA, ONES]),
}


@pytest.mark.parametrize(
    ("X", "rank"),
    [*DEFICIENT.values(), *((X, min(X.shape)) for X in FULL.values())],
    ids=[*DEFICIENT, *FULL],
)
@pytest.mark.slow_where(case=lambda rank: rank != 5)
def test_directions_are_kept_where_they_are_known_and_to_all_digits(X, rank):
    """Those of X itself, in 300 digits; what rounding leaves of a dependence is none."""
    found = spectrum(X)
    assert found.rank == rank
    exact = exact_eigenvalues(X if len(X) >= X.shape[1] else X.T, 300)
    assert found.eigenvalues[:rank] == pytest.approx(exact[:rank], rel=1e-12)
    lengths = np.linalg.norm(X, axis=0)
    U, V = found.left, found.right
    assert np.abs(U.T @ U - np.eye(rank)).max() <= 20 * sum(X.shape) * EPS
    assert np.abs(V.T @ V - np.eye(rank)).max() <= 20 * sum(X.shape) * EPS
    # Each column is decomposed to its own last digits, by the ordinary one to those of the largest.
    lengths = np.full_like(lengths, lengths.max()) if found.is_ordinary else lengths
    product = (U * found.singular_values) @ (V / lengths[:, None]).T
    assert np.abs(product - X / lengths).max() <= 20 * sum(X.shape) * EPS


@pytest.mark.parametrize("name", DEFICIENT)
def test_the_rank_is_that_of_scaled_and_rotated_features_too(name):
    """Powers of 2 change no digit, an orthogonal matrix changes them all."""
    X, rank = DEFICIENT[name]
    scale = 2.0 ** np.random.default_rng(0).integers(-30, 31, X.shape[1])
    assert spectrum(X * scale).rank == rank
    assert spectrum(X[::-1, ::-1]).rank == rank
    if "fill value" not in name:
        similar = X / np.linalg.norm(X, axis=0)
        rotated = similar @ np.linalg.qr(gaussian(X.shape[1], X.shape[1]))[0]
        assert spectrum(rotated).rank == spectrum(similar).rank == rank


@pytest.mark.slow
def test_powers_beyond_what_floats_can_tell():
    """Of the powers to 60 of 60 points the singular values reach down to 1e-31 of the largest."""
    X = np.vander(np.random.default_rng(0).uniform(-1, 1, 60), 61)
    found = spectrum(X)
    exact = exact_eigenvalues(X.T, 120)
    assert 35 <= found.rank <= 45
    # Some that are close to what counts as 0 are mixed with those that do.
    known = found.rank - 8
    assert found.eigenvalues[:known] == pytest.approx(exact[:known], rel=1e-9)


@pytest.mark.parametrize(
    ("X", "words"), [(np.zeros((3, 2)), "every value of X is 0"), (np.full((3, 2), 1e200), "scale")]
)
def test_matrices_without_a_step_size_are_refused(X, words):
    with pytest.raises(ValueError, match=words):
        spectrum(X)


def test_the_singular_values_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="singular values, 3e-170 to 7e-170, do not fit"):
        spectrum(np.diag([5e-170, 7e-170, 3e-170]))
