"""Minimisers of ‖Xw − y‖², with twice the digits of a float.

The rounding of w* to a float may leave a gap of (eps ‖|X||w*|‖)², and a distance to a point close
by hardly a digit. So what rounding takes off w* is kept beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gdconv.doubled import Doubled, add, product
from gdconv.spectra import EPS, Spectrum, powers_of_two

# Of refinements, each makes what is wrong with w* smaller by a factor of 2 at least.
REFINEMENTS = 20


@dataclass(frozen=True)
class Minimiser:
    """The minimiser of least norm.

    Attributes
    ----------
    w, rest : ndarray, shape (d,)
        The minimiser is w + rest, w what is left of it when it is rounded to floats.
    residual : ndarray, shape (n,)
        y − X (w + rest), rounded once: what of y is orthogonal to the range of X.
    """

    w: np.ndarray
    rest: np.ndarray
    residual: np.ndarray


def least_norm(decomposition: Spectrum, X: np.ndarray, y: np.ndarray) -> Minimiser:
    """Return X⁺y, of shape (d,), the ordinary solution of (5) where X has full column rank.

    It is refined with the gradient, which knows what of y is in the range of X better than the left
    singular vectors of an ordinary decomposition do.
    """
    left, right, values = decomposition.left, decomposition.right, decomposition.singular_values
    w = right @ (left.T @ y / values)
    w = w + right @ (left.T @ (y - X @ w) / values)
    rest, size = np.zeros_like(w), math.inf
    for _ in range(REFINEMENTS):
        gradient, _ = _added(product(X.T, np.column_stack(_residual(X, y, w, rest))))
        step = right @ (right.T @ gradient / values / values)
        previous, size = size, float(np.linalg.norm(step))
        if size > previous / 2:
            break
        w, rest = add(w, rest + step)
        if decomposition.is_ordinary or size <= EPS * np.linalg.norm(w):
            break
    residual, _ = _residual(X, y, w, rest)
    if not decomposition.is_ordinary:
        # Where w + rest cannot be refined to the end, they still know to the last digit.
        for _ in range(2):
            residual = residual - left @ (left.T @ residual)
    return Minimiser(w, rest, residual)


def loss(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Return ‖Xw − y‖² at w of shape (d,), however large the parts are that cancel in Xw."""
    residual, _ = _residual(X, y, w, np.zeros_like(w))
    return float(residual @ residual)


def _residual(X: np.ndarray, y: np.ndarray, w: np.ndarray, rest: np.ndarray) -> Doubled:
    """y − X (w + rest)."""
    parts = np.column_stack([X, y])
    factors = np.column_stack([np.append(-w, 1.0), np.append(-rest, 0.0)])
    # A small column counts as much as a large one.
    scale = powers_of_two(np.linalg.norm(parts, axis=0))
    return _added(product(parts * scale, factors / scale[:, None]))


def _added(columns: Doubled) -> Doubled:
    """The sum of two columns."""
    high, low = columns
    total, lost = add(high[:, 0], high[:, 1])
    return add(total, lost + low.sum(axis=1))
