import mpmath
import numpy as np
import pytest
import scipy.linalg

from gdconv.spectra import eigh_difference, nearest_minimiser, spectrum

EPS = np.finfo(float).eps


def gaussian(n_samples, n_features, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features))


def exact_eigenvalues(X):
    """Eigenvalues of 2 XᵀX for the very numbers in X, in 80 digits."""
    with mpmath.workdps(80):
        A = mpmath.matrix(X.tolist())
        return sorted((mpmath.eigsy(2 * A.T * A, eigvals_only=True)), reverse=True)


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
def test_lambda_min_against_high_precision(degree):
    """Powers of points: condition numbers of H up to 1e14, where eigh(H) has lost digits."""
    X = np.vander(np.linspace(-1, 1, 25), degree + 1) * np.logspace(0, -2, degree + 1)
    found = spectrum(X)
    exact = exact_eigenvalues(X)
    relative = abs(found.lambda_min / float(exact[-1]) - 1)
    # Singular values are right to eps * sigma_1, so lambda_min to 2 eps * sqrt(condition number).
    assert relative <= 20 * EPS * np.sqrt(found.condition_number)
    assert found.lambda_max == pytest.approx(float(exact[0]), rel=20 * EPS)


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
    assert found.lambda_min_positive == pytest.approx(float(exact[rank - 1]), rel=1e-12)


def test_minimiser_is_the_solution_of_least_squares():
    X, y = gaussian(30, 6), gaussian(30, 1, seed=1)[:, 0]
    expected = scipy.linalg.lstsq(X, y)[0]
    for w in (np.zeros(6), np.arange(6.0)):
        found = nearest_minimiser(spectrum(X), X, y, w)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_minimiser_of_a_flat_loss_is_the_nearest():
    X, y = gaussian(4, 9), gaussian(4, 1, seed=1)[:, 0]
    w = np.arange(9.0)
    found = nearest_minimiser(spectrum(X), X, y, w)
    assert X @ found == pytest.approx(y, abs=1e-12)
    null_space = scipy.linalg.null_space(X)
    assert null_space.T @ (found - w) == pytest.approx(np.zeros(5), abs=1e-12)


@pytest.mark.parametrize(
    ("X", "words"), [(np.zeros((3, 2)), "every value of X is 0"), (np.full((3, 2), 1e200), "scale")]
)
def test_matrices_without_a_step_size_are_refused(X, words):
    with pytest.raises(ValueError, match=words):
        spectrum(X)
