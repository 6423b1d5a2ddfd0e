"""Where stochastic gradient descent is stable, and where it comes to rest.

Without momentum, the covariance obeys C ← T C + noise with T = 1 − ηA + η²B (see `moments`), where
A C = HC + CH and B C = (1 − φ) HCH + 4nφ Σ (x_iᵀCx_i) x_i x_iᵀ. Both are symmetric and positive,
and T keeps positive matrices positive. So T shrinks everything if and only if η is below
1/(the largest μ with B C = μ A C) (Défossez and Bach, AISTATS 2015). A symmetric matrix is written
as the vector of its upper triangle, the elements off the diagonal times √2, which keeps angles.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from gdconv.theory.sampled.moments import Data

# Up to this size of the vectors, matrices are formed; beyond it, only products are.
DENSE = 1300


class SecondMoments:
    """The operators A and B of a data set for one kind of batches.

    Parameters
    ----------
    data : Data
    phi : float
        See `moments.share`.
    """

    def __init__(self, data: Data, phi: float) -> None:
        self.data, self._phi = data, phi
        k = len(data.eigenvalues)
        self._upper = np.triu_indices(k)
        self._weight = np.where(self._upper[0] == self._upper[1], 1.0, math.sqrt(2))
        rows, columns = (data.eigenvalues[each] for each in self._upper)
        self._A, self._of_mean = rows + columns, (1 - phi) * rows * columns

    def vector(self, C: np.ndarray) -> np.ndarray:
        """Return a symmetric matrix as a vector."""
        return C[self._upper] * self._weight

    def matrix(self, vector: np.ndarray) -> np.ndarray:
        """Return the matrix of a vector."""
        k = len(self.data.eigenvalues)
        C = np.zeros((k, k))
        C[self._upper] = vector / self._weight
        return C + np.triu(C, 1).T

    def _B(self, vector: np.ndarray) -> np.ndarray:
        X = self.data.rows
        squares = np.einsum("nk,nk->n", X @ self.matrix(vector), X)
        noise = 4 * len(X) * self._phi * (X.T @ (squares[:, None] * X))
        return self._of_mean * vector + self.vector(noise)

    def _symmetric(self, function: object) -> np.ndarray | scipy.sparse.linalg.LinearOperator:
        """A symmetric function as a matrix if it is small, else as an operator."""
        size = len(self._A)
        operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=function, dtype=float)
        if size > DENSE:
            return operator
        dense = np.column_stack([function(each) for each in np.eye(size)])
        return (dense + dense.T) / 2

    def _largest(self, function: object) -> float:
        """The largest eigenvalue of a symmetric function."""
        found = self._symmetric(function)
        if isinstance(found, np.ndarray):
            last = len(found) - 1
            return float(scipy.linalg.eigvalsh(found, subset_by_index=(last, last))[0])
        first = np.ones(len(self._A))
        return float(
            scipy.sparse.linalg.eigsh(
                found, 1, which="LA", v0=first, return_eigenvectors=False, tol=1e-13
            )[0]
        )

    @cached_property
    def step_limit(self) -> float:
        """The step size from which on E gap no longer stays bounded."""
        root = np.sqrt(self._A)
        return 1 / self._largest(lambda vector: self._B(vector.ravel() / root) / root)

    def rate(self, step_size: float) -> float:
        """Return the factor by which E gap minus its floor shrinks, in the end."""

        def T(vector: np.ndarray) -> np.ndarray:
            vector = vector.ravel()
            return vector - step_size * self._A * vector + step_size**2 * self._B(vector)

        return self._largest(T)

    def floor(self, step_size: float) -> float:
        """Return E gap at rest; inf for a step size of `step_limit` or more."""
        if step_size >= self.step_limit:
            return math.inf
        X, r = self.data.rows, self.data.residuals
        noise = step_size * self._phi * 4 * len(X) * (X.T @ (r[:, None] ** 2 * X))
        found = self._symmetric(
            lambda vector: self._A * vector.ravel() - step_size * self._B(vector.ravel())
        )
        wanted = self.vector(noise)
        if isinstance(found, np.ndarray):
            C = scipy.linalg.solve(found, wanted, assume_a="pos")
        else:
            C, _ = scipy.sparse.linalg.cg(found, wanted, rtol=1e-12, maxiter=10 * len(wanted))
        return float(0.5 * self.data.eigenvalues @ np.diag(self.matrix(C)))


def safe_limit(data: Data) -> float:
    """Return 1/(n max ‖x_i‖²): up to it no step with any batch makes an error longer."""
    squares = np.einsum("nk,nk->n", data.rows, data.rows)
    return float(1 / (len(data.rows) * squares.max()))
