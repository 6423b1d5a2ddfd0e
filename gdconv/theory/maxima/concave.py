"""The largest value of a polynomial between two of its zeros.

If all zeros z of p are real, ln p(x)² = Σ 2 ln|x − z| + constant. Every term is concave in x and in
ln x on either side of z. So between two neighbouring zeros ln p² is concave, and so is ln(x p²):
each has one maximum there. Three points around it bound it from above: a line through two points of
a concave function is above it outside of them. If the middle point is the highest,

    maximum <= middle · max(middle/left, middle/right).

The points are so close that this is more than the maximum by about 1e-10 of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# The distance of the three points, in units of the scale on which a function changes.
APART = 1e-5
_AROUND = np.array([-1.0, 0.0, 1.0])
_STEPS, _CLOSE = 40, 1e-7


def around(at: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return three points, APART of a scale from each other, with a new axis in front."""
    return at + np.multiply.outer(_AROUND, APART * scale)


def highest(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return an upper bound of a maximum from its values at the three points, or otherwise."""
    left, middle, right = values
    inside = (middle >= left) & (middle >= right) & (middle > 0)
    return np.where(inside, middle * np.fmax(middle / left, middle / right), otherwise)


def crossing(
    rising: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    at: np.ndarray,
    slope: np.ndarray,
) -> np.ndarray:
    """Return where a function that is negative up to a point between low and high is 0.

    Parameters
    ----------
    rising : callable
        Positive beyond that point; of about this slope.
    at : ndarray
        Where to begin.
    """
    value = rising(at)
    for _ in range(_STEPS):
        if not (np.abs(value) > _CLOSE).any():
            break
        low, high = np.where(value < 0, at, low), np.where(value > 0, at, high)
        new = at - value / slope
        new = np.where((low < new) & (new < high), new, (low + high) / 2)
        # What is close stays there, because rounding decides what follows.
        new = np.where(np.abs(value) > _CLOSE, new, at)
        before, value = value, rising(new)
        secant = (value - before) / (new - at)
        slope = np.where((secant > slope / 8) & (secant < slope * 8), secant, slope)
        at = new
    return at


def before_first_zero(
    squared: Callable[[np.ndarray, np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    guess: np.ndarray,
) -> np.ndarray:
    """Return an upper bound of x p(x)² at its peak between low and high; 0 where it has none there.

    All zeros of p lie at high or above. In terms of ln x, ln(x p²) has the slope 1 less a part that
    grows at least as fast as x. Newton's method for the logarithm of that part finds the peak.

    Parameters
    ----------
    squared : callable
        x, shape (3, k), and an index of k of the m elements → p(x)².
    low, high, guess : ndarray, shape (m,)
        guess is about where x p² is largest.
    """
    ends = np.log([low, high])
    some = np.arange(len(low))

    def weighted(at: np.ndarray) -> np.ndarray:
        return np.exp(at) * squared(np.exp(at), some)

    beside = ends + np.array([[1.0], [-1.0]]) * APART
    inner, outer = weighted(beside), weighted(ends)
    # Close to a zero both may be too small for a float.
    some = np.flatnonzero((beside[0] < beside[1]) & (inner[0] > outer[0]) & ~(inner[1] < outer[1]))
    found = np.zeros_like(low)
    if not len(some):
        return found
    low, high = beside[:, some]
    at = np.clip(np.log(guess[some]), low, (low + high) / 2)
    for _ in range(_STEPS):
        values = weighted(around(at, np.ones_like(at)))
        logs = np.log(values)
        slope = (logs[2] - logs[0]) / (2 * APART)
        bend = (logs[0] - 2 * logs[1] + logs[2]) / APART**2
        # It is nan where p² is too small for a float.
        low, high = np.where(slope > 0, at, low), np.where(slope > 0, high, at)
        new = at + np.log(1 - slope) * (1 - slope) / bend
        new = np.where((low < new) & (new < high), new, (low + high) / 2)
        if not (far := np.abs(new - at) > APART / 4).any():
            break
        at = np.where(far, new, at)
    # It rises by at most as much as its argument does.
    found[some] = highest(values, weighted(low) * np.exp(high - low))
    return found
