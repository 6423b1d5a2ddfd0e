"""Minimisers of ‖Xw − y‖², with twice the digits of a float.

The rounding of w* to a float may leave a gap of (eps ‖|X||w*|‖)², and a distance to a point close
by hardly a digit. So what rounding takes off w* is kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gdconv.doubled import Doubled, add, product
from gdconv.spectra import EPS, Spectrum, powers_of_two

# The last refinement is one that changes w* by a small part of its rounding, or one of so many.
LAST, REFINEMENTS = 1e-3 * EPS, 12
# Refined is what does not make the loss larger, but for its rounding.
NOT_MORE = 1 + 1e-8


@dataclass(frozen=True)
class Minimiser:
    """The minimiser of least norm.

    Attributes
    ----------
    w, rest : ndarray, shape (d,)
        The minimiser is w + rest, and w is what it is rounded to.
    residual : ndarray, shape (n,)
        y − X (w + rest), rounded once: what of y is orthogonal to the range of X.
    """

    w: np.ndarray
    rest: np.ndarray
    residual: np.ndarray


# A w* whose square is no float is refused by `theory`.
@np.errstate(over="ignore", invalid="ignore")
def least_norm(decomposition: Spectrum, X: np.ndarray, y: np.ndarray) -> Minimiser:
    """Return X⁺y, of shape (d,), the ordinary solution of (5) where X has full column rank."""
    left, right, values = decomposition.left, decomposition.right, decomposition.singular_values
    w = right @ (left.T @ y / values)
    w = w + right @ (left.T @ (y - X @ w) / values)
    minimiser = w, np.zeros_like(w)
    residual = _residual(X, y, minimiser)
    # Of an ordinary decomposition one refinement leaves a part of 1e-9 of what was wrong.
    for _ in range(1 if decomposition.is_ordinary else REFINEMENTS):
        step = right @ (_along(decomposition, X, residual) / values)
        refined = add(minimiser[0], minimiser[1] + step)
        less = _residual(X, y, refined)
        if less[0] @ less[0] > NOT_MORE * (residual[0] @ residual[0]):
            break
        minimiser, residual = refined, less
        if np.linalg.norm(step) <= LAST * np.linalg.norm(minimiser[0]):
            break
    outside, _ = residual
    if not decomposition.is_ordinary:
        # Where no floats make it less, the left vectors still know what is in the range of X.
        for _ in range(2):
            outside = outside - left @ (left.T @ outside)
    return Minimiser(*minimiser, outside if decomposition.rank < len(y) else np.zeros_like(y))


def _along(decomposition: Spectrum, X: np.ndarray, residual: Doubled) -> np.ndarray:
    """u_iᵀ residual, shape (rank,).

    By the gradient if something of it is orthogonal to the range of X: then the left vectors let
    through as much of that as they are wrong.
    """
    if decomposition.rank == len(residual[0]):
        return decomposition.left.T @ residual[0]
    gradient, _ = _times(X.T, residual)
    return decomposition.right.T @ gradient / decomposition.singular_values


def loss(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Return ‖Xw − y‖² at w of shape (d,), however large the parts are that cancel in Xw."""
    residual, _ = _residual(X, y, (w, np.zeros_like(w)))
    return float(residual @ residual)


def _residual(X: np.ndarray, y: np.ndarray, point: Doubled) -> Doubled:
    """y − Xw at w, the sum of two vectors."""
    w, rest = point
    return _times(np.column_stack([X, y]), (np.append(-w, 1.0), np.append(-rest, 0.0)))


def _times(matrix: np.ndarray, vector: Doubled) -> Doubled:
    """A matrix times the sum of two vectors, off by a small part of the largest term of a row."""
    scale = powers_of_two(np.abs(vector[0]))
    high, low = product(matrix / scale, scale[:, None] * np.column_stack(vector))
    total, lost = add(high[:, 0], high[:, 1])
    return add(total, lost + low.sum(axis=1))
