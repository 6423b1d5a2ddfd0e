"""Eigenvalues and eigenvectors of the Hessian H = 2 XᵀX, from the singular values of X.

Forming H squares the condition number: an eigenvalue solver on H has an absolute error of about
eps * lambda_max, and loses lambda_min entirely if the condition number exceeds 1/eps.
2 * singular_value**2 is as accurate as the singular value, and `_refined` finds all digits of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.linalg.lapack

from gdconv.problems.doubled import blocks, product
from gdconv.problems.triangle import Tall

EPS = np.finfo(float).eps
# Up to this ratio of the largest to the smallest singular value, the ordinary decomposition loses
# at most three digits of the smallest.
ORDINARY = 1e3
# Each refinement reduces the error by a factor of at least 1e13.
REFINEMENTS = 4
# A singular value this many times above the largest that counts as 0 is clearly not 0.
CLEARLY = 1e3
# In a triangle, the errors of so many rows add up; beyond that, blocks are joined in pairs.
PAIRWISE = 1000
# Scales are powers of 2 with at most this exponent, so that their squares do not overflow.
LARGEST_EXPONENT = 500


@dataclass(frozen=True)
class Spectrum:
    """The singular value decomposition of X (n x d), read as the spectrum of H = 2 XᵀX (4).

    Attributes
    ----------
    eigenvalues : ndarray, shape (d,)
        lambda_1 >= ... >= lambda_d >= 0; exactly 0 beyond the rank.
    rank : int
        Number of singular values of X, with its rows and columns scaled to one size, above
        max(n, d) * eps times the largest of them.
    singular_values : ndarray, shape (rank,)
    right : ndarray, shape (d, rank)
        Right singular vectors of X: the eigenvectors v_i of H with lambda_i > 0.
    rows : Tall
        A matrix M of shape (n, rank or d) with the range of X; its QR decomposition gives Q.
    reduced : ndarray, shape (columns of M, d)
        QᵀX, so that X = Q reduced.
    turn : ndarray, shape (columns of M, rank)
        Left singular vectors of `reduced`; Q turn are those of X.
    factor : ndarray, shape (columns of M, rank)
        M factor is about Q turn.
    """

    eigenvalues: np.ndarray
    rank: int
    singular_values: np.ndarray
    right: np.ndarray
    rows: Tall
    reduced: np.ndarray
    turn: np.ndarray
    factor: np.ndarray

    @cached_property
    def left(self) -> np.ndarray:
        """Left singular vectors of X, shape (n, rank)."""
        left = self.rows.times(self.factor)
        # Orthogonal to about 1e3 eps, so it is made so once more.
        R, _ = Tall(left.__getitem__, left.shape).reduced()
        inverse = scipy.linalg.solve_triangular(R, np.diag(np.sign(np.diag(R))))
        for rows in blocks(*left.shape):
            left[rows] = left[rows] @ inverse
        return left

    def along(self, z: np.ndarray) -> np.ndarray:
        """u_iᵀ z, shape (rank,), for z of shape (n,)."""
        if self.rank == len(z):
            # Entries of all sizes keep their own digits, which reflections would mix.
            return self.left.T @ z
        return self.turn.T @ self.rows.reduced(z)[1]

    def outside(self, z: np.ndarray) -> np.ndarray:
        """The part of z that is orthogonal to the range of X."""
        return z - self.rows.times(self.factor @ self.along(z))

    @property
    def lambda_max(self) -> float:
        """Largest eigenvalue of H."""
        return float(self.eigenvalues[0])

    @property
    def lambda_min(self) -> float:
        """Smallest eigenvalue of H; 0 if X does not have full column rank."""
        return float(self.eigenvalues[-1])

    @property
    def lambda_min_positive(self) -> float:
        """Smallest non-zero eigenvalue of H, which determines the rate of slow steps."""
        return float(self.eigenvalues[self.rank - 1])

    @property
    def condition_number(self) -> float:
        """lambda_max / lambda_min_positive."""
        return self.lambda_max / self.lambda_min_positive

    @property
    def is_ordinary(self) -> bool:
        """Whether it is the ordinary decomposition, exact for X + E with ‖E‖ about eps ‖X‖."""
        return bool(self.singular_values[0] <= ORDINARY * self.singular_values[-1])


def spectrum(X: np.ndarray, n_samples: int = 0) -> Spectrum:
    """Return the spectrum of H = 2 XᵀX for X of shape (n, d).

    Parameters
    ----------
    n_samples : int
        The number of rows of which X is the triangle, if it is one.

    Raises
    ------
    ValueError
        If X is zero, so that no step size is defined, or its squares overflow or underflow.
    """
    if len(X) < X.shape[1]:
        return _transposed(spectrum(X.T, n_samples), X)
    rows = Tall(X.__getitem__, X.shape)
    R, _ = rows.reduced()
    turn, values, right = scipy.linalg.svd(R)
    if values[0] == 0:
        raise ValueError("every value of X is 0: the loss is flat and no step size is defined")
    with np.errstate(all="ignore"):
        parts = values, right.T, rows, R, turn, right.T / values
        if values[0] > ORDINARY * values[-1] and values[0] ** 2 < np.inf:
            basis = _row_space(X, n_samples)
            parts = _refined(X, right.T if basis is None else basis, np.linalg.norm(R, axis=0))
        values, right, *others = parts
        squares = 2 * values**2
    if not 0 < squares[-1] <= squares[0] < np.inf:
        raise ValueError(
            f"the squares of X's singular values, {values[-1]:.3g} to {values[0]:.3g}, do "
            "not fit into a float; scale the features"
        )
    eigenvalues = np.concatenate([squares, np.zeros(X.shape[1] - len(values))])
    return Spectrum(eigenvalues, len(values), values, right, *others)


def _transposed(found: Spectrum, X: np.ndarray) -> Spectrum:
    """Return the spectrum of X from that of Xᵀ."""
    left, values = found.right, found.singular_values
    eigenvalues = np.concatenate([2 * values**2, np.zeros(X.shape[1] - len(values))])
    rows, factor = Tall(left.__getitem__, left.shape), np.eye(len(values))
    turn, reduced = rows.reduced(X)
    turned = Spectrum(eigenvalues, len(values), values, found.left, rows, reduced, turn, factor)
    # Known already, each entry to its own last digits.
    vars(turned)["left"] = left
    return turned


# Singular values, right, rows, reduced, turn and factor of a `Spectrum`.
Decomposition = tuple[np.ndarray, np.ndarray, Tall, np.ndarray, np.ndarray, np.ndarray]


def _refined(X: np.ndarray, V: np.ndarray, lengths: np.ndarray) -> Decomposition:
    """Return the decomposition of X, to all digits, from an orthonormal basis V of its row space.

    The ordinary decomposition is exact for a matrix X + E with ‖E‖ about eps σ_1. So every v_i may
    contain about eps of v_1, and X v_i about eps σ_1 u_1. But X V, computed with all digits, has
    columns that are nearly orthogonal relative to their lengths. Its triangle R has such columns,
    too. One-sided Jacobi rotations, as in LAPACK's dgejsv (Drmač and Veselić, SIAM J. Matrix Anal.
    Appl. 29, 2008), decompose such a matrix with an error of about eps in each column, however
    different their lengths are. The rotations turn V into the v_i. `lengths` are those of the
    columns of X.
    """
    scale = powers_of_two(lengths)
    sizes = np.concatenate([np.abs(X[rows] * scale).max(axis=1) for rows in blocks(*X.shape)])
    order = np.argsort(-sizes, kind="stable")
    for _ in range(REFINEMENTS):
        rows = _image(X, V, scale, order)
        R, reduced = rows.reduced(X)
        # joba=2: rows may differ in size too; jobr=0, jobp=1: keep even the smallest columns.
        values, left, turn, factor, _, failed = scipy.linalg.lapack.dgejsv(
            R, joba=2, jobr=0, jobp=1
        )
        if failed:
            raise scipy.linalg.LinAlgError("the singular values of X did not converge")
        values = values * (factor[0] / factor[1])
        V = V @ turn
        # By Hadamard's inequality this is 0 for orthogonal columns, and larger for all others.
        if np.sum(np.log(np.linalg.norm(R, axis=0)) - np.log(values)) < 1:
            break
    # Xᵀ u_i / σ_i also has all digits of v_i's entries for columns that are small beside σ_i.
    parts = reduced.T @ left / values
    right = np.where(lengths[:, None] <= values, parts, V)
    return values, right, rows, reduced, left, turn / values


def _image(X: np.ndarray, V: np.ndarray, scale: np.ndarray, order: np.ndarray) -> Tall:
    """X V, with all digits."""
    return Tall(lambda where: product(X[where], V, scale)[0], (len(X), V.shape[1]), order)


def _row_space(X: np.ndarray, n_samples: int) -> np.ndarray | None:
    """Return an orthonormal basis, shape (d, rank), of the row space of X; None if it is all of ℝᵈ.

    If columns are exactly dependent, rounding changes each of their elements by about eps of it, so
    the scaled matrix gets a singular value of about eps times its norm. One of at most max(n, d)
    eps times the norm counts as 0. Scaling the rows as well may reveal a direction that large rows
    hide. But then only what is clearly 0 is left out, because a direction may be large in the rows
    that were scaled down. The last rows of a triangle may be nothing but rounding, so its rows are
    not scaled.
    """
    longest = max(min(n_samples, PAIRWISE), *X.shape)
    for by_rows in (False,) if n_samples else (True, False):
        rows, scale = _equilibrated(X, by_rows)
        scaled = rows.compact()
        values = scipy.linalg.svdvals(scaled)
        zero = longest * EPS * values[0]
        rank = np.count_nonzero(values > zero)
        if rank == len(values):
            return None
        if values[rank - 1] > CLEARLY * zero:
            break
    return _independent(scaled, scale, zero)


def _independent(scaled: np.ndarray, scale: np.ndarray, zero: float) -> np.ndarray:
    """Return an orthonormal basis of the row space of scaled / scale, without what counts as 0.

    The remainders of large columns could hide small columns. Therefore columns of about the same
    size are taken together, the largest first, and their parts that depend on earlier columns are
    set to 0.
    """
    d = len(scale)
    range_, rows = np.empty((len(scaled), 0)), np.empty((0, d))
    remaining = np.argsort(scale, kind="stable")
    while len(remaining):
        rest = scaled[:, remaining]
        for _ in range(2):
            rest = rest - range_ @ (range_.T @ rest)
        alike = scale[remaining] <= ORDINARY * scale[remaining[0]]
        left, values, _ = scipy.linalg.svd(rest[:, alike], full_matrices=False)
        new = left[:, values > zero]
        # scaled = range_ @ rows, where the new rows have zeros in the columns of earlier blocks.
        range_ = np.hstack([range_, new])
        rows = np.vstack([rows, np.zeros((new.shape[1], d))])
        rows[len(rows) - new.shape[1] :, remaining] = new.T @ rest
        remaining = remaining[~alike]
    return scipy.linalg.qr((rows / scale).T, mode="economic")[0]


def _equilibrated(X: np.ndarray, by_rows: bool) -> tuple[Tall, np.ndarray]:
    """Return X scaled by powers of 2 so that its columns have one size, and the columns' scales.

    With by_rows, rows are scaled as well. Then columns are first scaled by the median of their
    elements. A few huge elements do not change a median, so their rows are scaled down instead.
    """
    scale, of_rows = np.ones(X.shape[1]), np.ones((len(X), 1))
    if by_rows:
        sizes = (np.abs(column) for column in X.T)
        scale = powers_of_two(
            np.array([np.median(each[each > 0]) if each.any() else 0.0 for each in sizes])
        )
        for rows in blocks(*X.shape):
            of_rows[rows] = powers_of_two(np.abs(X[rows] * scale).max(axis=1, keepdims=True))
    largest = np.zeros(X.shape[1])
    for rows in blocks(*X.shape):
        np.maximum(largest, np.abs(X[rows] * scale * of_rows[rows]).max(axis=0), out=largest)
    again = powers_of_two(largest)
    scaled = Tall(lambda where: X[where] * scale * of_rows[where] * again, X.shape)
    return scaled, scale * again


def powers_of_two(size: np.ndarray) -> np.ndarray:
    """Return the powers of 2 that scale sizes to about 1; 1 for a size of 0."""
    _, exponent = np.frexp(size)
    return np.ldexp(1.0, np.clip(-exponent, -LARGEST_EXPONENT, LARGEST_EXPONENT))


def eigh_difference(decomposition: Spectrum, X: np.ndarray) -> float:
    """Return max_i |lambda_i − lambda_i of scipy.linalg.eigh(2 XᵀX)| / lambda_max.

    A check of the spectrum by another algorithm; it is a few d * eps if both are right. eigh is off
    by about eps * lambda_max in every eigenvalue. So for an eigenvalue below eps * lambda_max, this
    only checks that it is that small.
    """
    by_eigh = scipy.linalg.eigh(2 * (X.T @ X), eigvals_only=True)[::-1]
    return float(np.max(np.abs(by_eigh - decomposition.eigenvalues)) / decomposition.lambda_max)
