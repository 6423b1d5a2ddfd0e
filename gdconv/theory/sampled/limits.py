"""Where stochastic gradient descent is stable, where it comes to rest, and how fast.

What one step adds to the covariance C, φη²(N C + V), is sent on by all later ones (see `moments`).
Here N C = 4n Σ (x_iᵀCx_i) x_i x_iᵀ − HCH and V = 4n Σ r_i² x_i x_iᵀ. Along the eigenvectors v_i and
v_j the later steps multiply it by k_s(λ_i) k_s(λ_j), where k_s is the impulse response of the mean.
So C at rest is R ∘ φη²(N C + V), element by element, with

    R_ij = Σ k_s(λ_i) k_s(λ_j) = (1 − β²)/((1 − β)² ((1 + β)² − a_i a_j) + β (a_i − a_j)²)

and a_i = 1 + β − ηλ_i. It exists if and only if C → φη² R ∘ N C shrinks everything. All these
functions keep positive matrices positive, so the largest eigenvalue decides. Without momentum R is
1/(η(λ_i + λ_j) − η²λ_iλ_j), and the condition becomes η < 1/(the largest μ with B C = μ A C), where
A C = HC + CH and B C = φ N C + HCH (Défossez and Bach, AISTATS 2015).

A symmetric matrix is written as the vector of its upper triangle, the elements off the diagonal
times √2, which keeps angles. Then N is 4n ZᵀZ minus a diagonal, where Z has the rows x_i x_iᵀ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
from scipy.optimize import brentq

from gdconv.theory.sampled.moments import Data

# Up to this size of the vectors, matrices are decomposed; up to the second one they are formed, and
# beyond it, only products are.
SMALL, DENSE = 200, 1300
# Just above the largest eigenvalue of a step that shrinks everything.
BOUND = 1 + 1e-9
# To this part, roots are found.
CLOSE = 4e-16

Function = Callable[[np.ndarray], np.ndarray]


class SecondMoments:
    """The covariance of a data set for one kind of batches and one momentum.

    Parameters
    ----------
    data : Data
    phi : float
        See `moments.share`.
    momentum : float
    """

    def __init__(self, data: Data, phi: float, momentum: float = 0.0) -> None:
        self.data, self._phi, self._beta = data, phi, momentum
        self._upper = np.triu_indices(len(data.eigenvalues))
        self._weight = np.where(self._upper[0] == self._upper[1], 1.0, math.sqrt(2))
        self._first, self._second = (data.eigenvalues[each] for each in self._upper)
        self._both = self._first * self._second
        self._Z = data.rows[:, self._upper[0]] * data.rows[:, self._upper[1]] * self._weight
        self._on_diagonal = self._upper[0] == self._upper[1]
        self._known: dict[float, np.ndarray] = {}

    def _of_rows(self, scale: np.ndarray, diagonal: np.ndarray) -> np.ndarray | Function:
        """The matrix scale · 4nφ ZᵀZ · scale plus a diagonal, or its products if it is large."""
        Z, times = self._Z * scale, 4 * len(self._Z) * self._phi
        if len(scale) <= DENSE:
            return times * (Z.T @ Z) + np.diag(diagonal)
        return lambda vector: times * (Z.T @ (Z @ vector)) + diagonal * vector

    @cached_property
    def step_limit(self) -> float:
        """The step size from which on E gap no longer stays bounded."""
        if self._beta == 0:
            A = self._first + self._second
            found = self._of_rows(1 / np.sqrt(A), (1 - self._phi) * self._both / A)
            return 1 / _largest(found, len(A))
        end = 2 * (1 + self._beta) / self.data.eigenvalues[0]
        if self._phi == 0:
            return float(end)
        low, high = 1e-9 * end, (1 - 1e-12) * end

        def excess(step_size: float) -> float:
            return self._gain(step_size, 1.0) - 1

        if excess(high) <= 0:
            return float(end)
        return float(brentq(excess, low, high, xtol=CLOSE * high, rtol=4 * CLOSE))

    def rate(self, step_size: float) -> float:
        """Return the factor by which the covariance approaches what it is at rest, in the end."""
        if self._beta == 0:
            x = step_size * (self._first + self._second)
            diagonal = 1 - x + step_size**2 * (1 - self._phi) * self._both
            found = self._of_rows(np.full(len(x), step_size), diagonal)
            # Up to step_limit none is above 1; the largest is close to it, among many others.
            return _largest(found, len(x), BOUND if step_size < self.step_limit else None)
        of_mean = self.mean_rate(step_size) ** 2
        if self._phi == 0:
            return of_mean

        def excess(rate: float) -> float:
            return self._gain(step_size, rate) - 1

        high = 2 * of_mean
        while excess(high) > 0:
            high *= 2
        # Above of_mean the gain falls from infinity, unless that is lost in rounding.
        if excess(of_mean * (1 + 1e-12)) <= 0:
            return of_mean
        return float(brentq(excess, of_mean * (1 + 1e-12), high, xtol=CLOSE, rtol=4 * CLOSE))

    def mean_rate(self, step_size: float) -> float:
        """Return the factor by which E e shrinks in the end."""
        a = (1 + self._beta - step_size * self.data.eigenvalues).astype(complex)
        root = np.sqrt(a * a - 4 * self._beta)
        return float(np.maximum(np.abs(a + root), np.abs(a - root)).max() / 2)

    def floor(self, step_size: float) -> float:
        """Return E gap at rest; inf for a step size of `step_limit` or more."""
        if step_size >= self.step_limit:
            return math.inf
        return float(0.5 * self.data.of_gap @ self._at_rest(step_size)[self._on_diagonal])

    def averaging(self, step_size: float) -> float:
        """Return ½ tr(H⁻¹V), with V the covariance of the gradient at rest; inf as `floor`.

        The average of t iterates has about this over t as E gap. With momentum, too: the sum of the
        steps is short, so H times the average is about minus the mean of what is random in them.
        """
        if step_size >= self.step_limit:
            return math.inf
        C, values = self._at_rest(step_size), self.data.eigenvalues
        squares = self._Z @ C + self.data.residuals**2
        V = 4 * len(self._Z) * (self._Z[:, self._on_diagonal].T @ squares)
        V -= values**2 * C[self._on_diagonal]
        return float(0.5 * self._phi * (V / values).sum())

    def _at_rest(self, step_size: float) -> np.ndarray:
        """E eeᵀ at rest."""
        if step_size not in self._known:
            self._known[step_size] = self._found_at_rest(step_size)
        return self._known[step_size]

    def _found_at_rest(self, step_size: float) -> np.ndarray:
        r, times = self.data.residuals, 4 * len(self._Z) * self._phi * step_size**2
        noise = times * (self._Z.T @ r**2)
        # With u = C/√R that is u = φη² √R ∘ N(√R ∘ u) + √R ∘ noise.
        root = np.sqrt(self._response(step_size, 1.0))
        added = self._added(step_size, root)
        if isinstance(added, np.ndarray) and len(root) <= SMALL:
            u = scipy.linalg.solve(np.eye(len(root)) - added, root * noise, assume_a="sym")
        else:
            operator = _operator(lambda vector: vector - _times(added, vector), len(root))
            most = 10 * len(root)
            u, _ = scipy.sparse.linalg.cg(operator, root * noise, rtol=1e-12, maxiter=most)
        return np.asarray(root * u)

    def _added(self, step_size: float, root: np.ndarray) -> np.ndarray | Function:
        """u → φη² root ∘ N(root ∘ u)."""
        scale = step_size * root
        return self._of_rows(scale, -self._phi * scale**2 * self._both)

    def _gain(self, step_size: float, rate: float) -> float:
        """The largest eigenvalue of C → φη² R ∘ N C, if what is older by a step counts 1/rate."""
        root = np.sqrt(self._response(step_size, rate))
        return _largest(self._added(step_size, root), len(root))

    def _response(self, step_size: float, rate: float) -> np.ndarray:
        """R, if what is older by a step counts 1/rate."""
        b, largest = self._beta / rate, (1 + self._beta) / math.sqrt(rate)
        x, y = (step_size * each / math.sqrt(rate) for each in (self._first, self._second))
        # (1 + b)² minus the product of both a, which is largest² − …, without cancellation.
        rest = (1 + b + largest) * (1 + b - largest) + largest * (x + y) - x * y
        return (1 - b * b) / ((1 - b) ** 2 * rest + b * (x - y) ** 2) / rate


def _operator(function: Function, size: int) -> scipy.sparse.linalg.LinearOperator:
    return scipy.sparse.linalg.LinearOperator(
        (size, size), matvec=lambda vector: function(vector.ravel()), dtype=float
    )


def _times(function: np.ndarray | Function, vector: np.ndarray) -> np.ndarray:
    return function @ vector if isinstance(function, np.ndarray) else function(vector)


def _largest(found: np.ndarray | Function, size: int, bound: float | None = None) -> float:
    """The largest eigenvalue of a symmetric function; a close upper bound helps to find it."""
    is_formed = isinstance(found, np.ndarray)
    if is_formed and size <= SMALL:
        last = size - 1
        return float(scipy.linalg.eigvalsh(found, subset_by_index=(last, last))[0])
    near = {"sigma": bound, "which": "LM"} if is_formed and bound is not None else {"which": "LA"}
    given = found if isinstance(found, np.ndarray) else _operator(found, size)
    first = np.ones(size)
    values = scipy.sparse.linalg.eigsh(
        given, 1, v0=first, return_eigenvectors=False, tol=1e-13, **near
    )
    return float(values[0])


def safe_limit(data: Data) -> float:
    """Return 1/(n max ‖x_i‖²): up to it no step with any batch makes an error longer."""
    squares = np.einsum("nk,nk->n", data.rows, data.rows)
    return float(1 / (len(data.rows) * squares.max()))
