"""Eigenvalues and eigenvectors of the Hessian H = 2 XᵀX, from the singular values of X.

Forming H squares the condition number: an eigenvalue solver on H has an absolute error of about
eps * lambda_max and loses lambda_min entirely once the condition number passes 1/eps.
2 * singular_value**2 keeps a relative error of about eps * sqrt(condition_number), and where the
condition number comes from columns of different size far better: see `_decompose`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.linalg.lapack

# Up to this ratio of the largest to the smallest singular value the ordinary decomposition loses no
# more than three digits of the smallest.
ORDINARY = 1e3


@dataclass(frozen=True)
class Spectrum:
    """The singular value decomposition of X (n x d), read as the spectrum of H = 2 XᵀX (4).

    Attributes
    ----------
    eigenvalues : ndarray, shape (d,)
        lambda_1 >= ... >= lambda_d >= 0; exactly 0 beyond the rank.
    rank : int
        Number of singular values above max(n, d) * eps * singular_values[0].
    singular_values : ndarray, shape (rank,)
    left : ndarray, shape (n, rank)
        Left singular vectors of X.
    right : ndarray, shape (d, rank)
        Right singular vectors of X: the eigenvectors v_i of H with lambda_i > 0.
    """

    eigenvalues: np.ndarray
    rank: int
    singular_values: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @property
    def lambda_max(self) -> float:
        """Largest eigenvalue of H."""
        return float(self.eigenvalues[0])

    @property
    def lambda_min(self) -> float:
        """Smallest eigenvalue of H, 0 when X has not full column rank."""
        return float(self.eigenvalues[-1])

    @property
    def lambda_min_positive(self) -> float:
        """Smallest non-zero eigenvalue of H, the one that decides the rate."""
        return float(self.eigenvalues[self.rank - 1])

    @property
    def condition_number(self) -> float:
        """lambda_max / lambda_min_positive."""
        return self.lambda_max / self.lambda_min_positive


def spectrum(X: np.ndarray) -> Spectrum:
    """Return the spectrum of H = 2 XᵀX for X of shape (n, d).

    Raises
    ------
    ValueError
        If X is zero or its squares overflow or underflow: no step size is defined by it.
    """
    n_samples, n_features = X.shape
    left, values, right = _decompose(X)
    rank = int(
        np.count_nonzero(values > max(n_samples, n_features) * np.finfo(float).eps * values[0])
    )
    if rank == 0:
        raise ValueError("every value of X is 0: the loss is flat and no step size is defined")
    eigenvalues = np.zeros(n_features)
    with np.errstate(over="ignore", under="ignore"):
        eigenvalues[:rank] = 2 * values[:rank] ** 2
    if not 0 < eigenvalues[rank - 1] <= eigenvalues[0] < np.inf:
        raise ValueError(
            f"the squares of X's singular values, {values[rank - 1]:.3g} to {values[0]:.3g}, do "
            "not fit into a float; scale the features"
        )
    return Spectrum(eigenvalues, rank, values[:rank], left[:, :rank], right[:rank].T)


def _decompose(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U, the singular values and Vᵀ of X = U Σ Vᵀ, the small singular values accurately.

    The ordinary decomposition is that of X + E with ‖E‖ about eps σ_1, which leaves σ_i a relative
    error of eps σ_1 / σ_i. LAPACK's dgejsv, a QR decomposition with column pivoting followed by
    one-sided Jacobi rotations, is backward stable column by column, ‖E_j‖ about eps ‖X_j‖ (Drmač
    and Veselić, SIAM J. Matrix Anal. Appl. 29, 2008). With X = B D, columns of B of length 1 and D
    diagonal, X + E = (I + E D⁻¹ B⁺) X has singular values that differ from those of X by no more
    than ‖E D⁻¹‖ ‖B⁺‖, about eps times the condition number of B, in relative terms: D does not
    matter. The same with rows for a wide X, of which the transpose is decomposed. It takes several
    times as long, hence only where it pays.
    """
    left, values, right = scipy.linalg.svd(X, full_matrices=False)
    if values[0] <= ORDINARY * values[-1]:
        return left, values, right
    wide = X.shape[0] < X.shape[1]
    # joba=0: "high relative accuracy for B D"; jobr=0 and jobp=1: keep columns however small.
    values, left, right, scale, _, failed = scipy.linalg.lapack.dgejsv(
        X.T if wide else X, joba=0, jobr=0, jobp=1
    )
    if failed:
        raise scipy.linalg.LinAlgError("the singular values of X did not converge")
    with np.errstate(over="ignore"):
        values = values * (scale[0] / scale[1])
    return (right, values, left.T) if wide else (left, values, right.T)


def nearest_minimiser(
    decomposition: Spectrum, X: np.ndarray, y: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """Return the minimiser of ‖Xw − y‖² nearest to w, w + X⁺(y − Xw), of shape (d,).

    It is the point gradient descent from w converges to. With full column rank it is the ordinary
    solution of (5), whatever w.
    """
    right, values = decomposition.right, decomposition.singular_values
    # Of w, only its part in the null space stays: a large w must not leave its roundings behind.
    for _ in range(2):
        w = w - right @ (right.T @ w) if decomposition.rank < len(w) else np.zeros_like(w)
    # The second pass removes the error of the decomposition, which may be tens of roundings.
    for _ in range(2):
        w = w + right @ (decomposition.left.T @ (y - X @ w) / values)
    # The left vectors span the range of X but for eps times the condition number: what they see of
    # the residual there, the gradient does not.
    gradient = product(X.T, y - product(X, w))
    return w + right @ (right.T @ gradient / values / values)


def product(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the product of a matrix and a vector, each element rounded only once.

    Every product of two floats is the sum of two (Dekker, Numerische Mathematik 18, 1971).
    """
    rounded = matrix * vector
    (a, b), (c, d) = _halves(matrix), _halves(vector)
    rest = b * d - (((rounded - a * c) - b * c) - a * d)
    return np.array([math.fsum(row) for row in np.hstack([rounded, rest]).tolist()])


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers of 26 bits that add up to each."""
    shifted = (2.0**27 + 1) * values
    high = shifted - (shifted - values)
    return high, values - high


def eigh_difference(decomposition: Spectrum, X: np.ndarray) -> float:
    """Return max_i |lambda_i − lambda_i of scipy.linalg.eigh(2 XᵀX)| / lambda_max.

    The cross-check of the spectrum by another algorithm: a few d * eps when both are right. eigh is
    wrong by eps * lambda_max in every eigenvalue, so this compares each of them as far as eigh can
    be trusted: of one below eps * lambda_max it only says that it is that small.
    """
    by_eigh = scipy.linalg.eigh(2 * (X.T @ X), eigvals_only=True)[::-1]
    return float(np.max(np.abs(by_eigh - decomposition.eigenvalues)) / decomposition.lambda_max)
