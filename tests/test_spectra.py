from pathlib import Path

import mpmath
import numpy as np
import pytest

from gdconv.spectra import eigh_difference, spectrum

EPS = np.finfo(float).eps


def gaussian(n_samples, n_features, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features))


def exact_eigenvalues(X):
    """Eigenvalues of 2 XᵀX for the very numbers in X, in 80 digits."""
    with mpmath.workdps(80):
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


@pytest.mark.parametrize("degree", [3, 6, 9])
def test_lambda_min_of_powers_of_points(degree):
    """Condition numbers of H up to 1e14, where eigh(H) has lost digits."""
    X = np.vander(np.linspace(-1, 1, 25), degree + 1) * np.logspace(0, -2, degree + 1)
    found = spectrum(X)
    exact = exact_eigenvalues(X)
    assert found.eigenvalues == pytest.approx(exact, rel=graded_tolerance(X))


def graded_tolerance(X):
    """2 eps times the condition number of X with columns of length 1; 20 for growth with d."""
    return 20 * 2 * EPS * np.linalg.cond(X / np.linalg.norm(X, axis=0))


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
    # Rounding X to floats and the decomposition cost a few eps * √condition_number: 1e-6 for 1e18.
    tolerance = 20 * EPS * np.sqrt(condition_number)
    assert tolerance < 1e-5
    assert found.lambda_min_positive == pytest.approx(2 / condition_number, rel=tolerance)
    transposed = X if shape[0] >= shape[1] else X.T
    smallest = exact_eigenvalues(transposed)[-1]
    assert found.lambda_min_positive == pytest.approx(smallest, rel=tolerance)
    assert eigh_difference(found, X) <= 20 * sum(shape) * EPS


@pytest.mark.parametrize("spread", [1e-5, 1e-9, 1e-12])
@pytest.mark.parametrize("n_features", [6, 40])
def test_columns_of_different_size_cost_nothing(n_features, spread):
    """Condition numbers of H up to 1e24, and every eigenvalue right to the last digits."""
    sizes = np.random.default_rng(0).permutation(np.geomspace(1, spread, n_features))
    X = gaussian(60, n_features) * sizes
    found = spectrum(X)
    assert graded_tolerance(X) < 1e-12
    assert found.eigenvalues == pytest.approx(exact_eigenvalues(X), rel=graded_tolerance(X))
    V = found.right
    assert np.abs(V.T @ V - np.eye(n_features)).max() <= 20 * n_features * EPS
    assert (
        np.abs((found.left * found.singular_values) @ V.T - X).max() <= 100 * EPS * np.abs(X).max()
    )


DIABETES = np.loadtxt(Path(__file__).parent / "data" / "diabetes.csv", delimiter=",", skiprows=1)


@pytest.mark.parametrize(("column", "condition_number"), [(7, 1.7e12), (8, 3.9e15), (6, 8.7e22)])
def test_polynomial_of_measured_data(column, condition_number):
    """Degree 5 in one measured variable."""
    X = np.vander(DIABETES[:, column], 6)
    found = spectrum(X)
    smallest = exact_eigenvalues(X)[-1]
    assert found.condition_number == pytest.approx(condition_number, rel=0.05)
    # graded_tolerance allows up to 1e-9 here, for the worst of all roundings.
    assert found.lambda_min == pytest.approx(smallest, rel=1e-12)


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


@pytest.mark.parametrize(
    ("X", "words"), [(np.zeros((3, 2)), "every value of X is 0"), (np.full((3, 2), 1e200), "scale")]
)
def test_matrices_without_a_step_size_are_refused(X, words):
    with pytest.raises(ValueError, match=words):
        spectrum(X)


def test_the_singular_values_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="singular values, 3e-170 to 7e-170, do not fit"):
        spectrum(np.diag([5e-170, 7e-170, 3e-170]))
