"""Minimisers of ‖Xw − y‖², with twice the digits of a float.

If w* is rounded to floats, its gap may be as large as (eps ‖|X||w*|‖)², and the distance from a
point close to it may have hardly a correct digit. So the rounding error of w* is kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gdconv.problems.doubled import Doubled, add, blocks, product
from gdconv.problems.spectrum import EPS, Spectrum, powers_of_two

# Refinement stops when it changes w* by less than this part, or after so many refinements.
LAST, REFINEMENTS = 1e-3 * EPS, 12
# A refinement is kept if the loss grows by no more than this factor, which is only rounding.
NOT_MORE = 1 + 1e-8


@dataclass(frozen=True)
class Minimiser:
    """The minimiser of least norm.

    Attributes
    ----------
    w, rest : ndarray, shape (d,)
        The minimiser is w + rest; w is its rounding to floats.
    residual : ndarray, shape (n,)
        y − X (w + rest), rounded once: the part of y that is orthogonal to the range of X.
    loss : float
        ‖Xw − y‖².
    """

    w: np.ndarray
    rest: np.ndarray
    residual: np.ndarray
    loss: float


# `theory` refuses a w* whose square does not fit into a float.
@np.errstate(over="ignore", invalid="ignore")
def least_norm(decomposition: Spectrum, X: np.ndarray, y: np.ndarray) -> Minimiser:
    """Return X⁺y, of shape (d,); if X has full column rank, it is the only solution of (5)."""
    right, values = decomposition.right, decomposition.singular_values
    w = _first(decomposition, X, y)
    rest = np.zeros_like(w)
    residual = at_w = _residual(X, y, w)
    # With an ordinary decomposition, one refinement reduces the error by a factor of 1e-9.
    for _ in range(1 if decomposition.is_ordinary else REFINEMENTS):
        step = right @ (_along(decomposition, X, residual) / values)
        refined, rounded = add(w, rest + step)
        at_refined = _residual(X, y, refined)
        less = add(at_refined[0], at_refined[1] - X @ rounded)
        if less[0] @ less[0] > NOT_MORE * (residual[0] @ residual[0]):
            break
        w, rest, at_w, residual = refined, rounded, at_refined, less
        if np.linalg.norm(step) <= LAST * np.linalg.norm(w):
            break
    outside, _ = residual
    if not decomposition.is_ordinary:
        # If no floats make it smaller, the left vectors still tell what lies in the range of X.
        for _ in range(2):
            outside = decomposition.outside(outside)
    outside = outside if decomposition.rank < len(y) else np.zeros_like(y)
    return Minimiser(w, rest, outside, float(at_w[0] @ at_w[0]))


def _first(decomposition: Spectrum, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """X⁺y before its refinement, off by about eps κ if y is in the range of X, else eps κ²."""
    right, values = decomposition.right, decomposition.singular_values
    if not decomposition.is_ordinary:
        return right @ (decomposition.along(y) / values)
    w = np.zeros(X.shape[1])
    for _ in range(2):
        off = y - X @ w
        gradient = sum(X[rows].T @ off[rows] for rows in blocks(*X.shape))
        w = w + right @ (right.T @ gradient / values**2)
    return w


def _along(decomposition: Spectrum, X: np.ndarray, residual: Doubled) -> np.ndarray:
    """u_iᵀ residual, shape (rank,).

    Computed from the gradient if the residual has a part orthogonal to the range of X: errors of
    the left vectors would mix that part in.
    """
    if decomposition.rank == len(residual[0]):
        return decomposition.along(residual[0])
    scale = 1 / powers_of_two(np.abs(residual[0]))
    high, low = product(X.T, np.column_stack(residual), scale)
    gradient = high[:, 0] + (high[:, 1] + low[:, 0])
    return decomposition.right.T @ gradient / decomposition.singular_values


def loss(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Return ‖Xw − y‖² at w of shape (d,), accurate even if large terms cancel in Xw."""
    residual, _ = _residual(X, y, w)
    return float(residual @ residual)


def _residual(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> Doubled:
    """y − Xw, off by a small part of the largest term of a row."""
    high, low = product(X, w[:, None], 1 / powers_of_two(np.abs(w)))
    residual, lost = add(y, -high[:, 0])
    return add(residual, lost - low[:, 0])
