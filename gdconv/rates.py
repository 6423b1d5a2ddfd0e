"""How fast a measured sequence of gaps converges, and in which sense (k)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# A gap this many times above its floor is off by less than 2 % (errors add as amplitudes).
FLOOR_MARGIN = 1e4
# With fewer gaps than this above the floor nothing is said.
FEWEST_GAPS = 4


@dataclass(frozen=True)
class Convergence:
    """The measured convergence of one sequence of gaps.

    Attributes
    ----------
    rate : float
        Asymptotic contraction of the gap per iteration, gap_{t+1} / gap_t; nan when undecided.
    kind : str
        sublinear, linear, superlinear, diverging, stalled or undecided.
    """

    rate: float
    kind: str


def measure(iterations: np.ndarray, gaps: np.ndarray, floor: ArrayLike) -> Convergence:
    """Return rate and kind of convergence of gaps recorded at increasing iterations.

    Parameters
    ----------
    iterations, gaps : ndarray, shape (k,)
    floor : float or ndarray, shape (k,)
        The level at which the gaps are rounding noise; only those well above it count.

    Notes
    -----
    Linear means that gap_{t+1} / gap_t tends to a number between 0 and 1, so the slope of ln gap
    against t, taken over the last third of the iterations, is the rate's logarithm. The kind comes
    from how that slope compares with the slope before: unchanged (linear), ever flatter
    (sublinear), ever steeper (superlinear). A slope that still changes when the gap has hardly
    shrunk leaves the kind undecided.
    """
    above = gaps > FLOOR_MARGIN * np.asarray(floor)
    # Below the floor once, noise from there on.
    count = len(gaps) if above.all() else int(np.argmin(above))
    if count < 2:
        return Convergence(np.nan, "undecided")
    t, log_gap = iterations[:count].astype(float), np.log(gaps[:count])
    slope = _slope(t, log_gap, t[-1] * 2 / 3, t[-1])
    rate = float(np.exp(slope))
    if count < FEWEST_GAPS:
        return Convergence(rate, "undecided")
    return Convergence(rate, _kind(t, log_gap, slope))


def _kind(t: np.ndarray, log_gap: np.ndarray, slope: float) -> str:
    change = slope * t[-1]
    if abs(change) < 1e-6:
        return "stalled"
    if slope > 0:
        return "diverging"
    ratio = slope / _slope(t, log_gap, t[-1] / 3, t[-1] * 2 / 3)
    if 0.8 <= ratio <= 1.25:
        return "linear" if abs(change) > 1 else "undecided"
    if ratio > 1.25:
        return "superlinear"
    # t^-p has the same slope p against ln t over the last three octaves; what is still a mixture of
    # parts that die out one after the other has not.
    t, log_gap, ends = t[1:], log_gap[1:], t[-1] / np.array([1, 2, 4])
    exponents = -np.array([_slope(np.log(t), log_gap, *np.log([end / 2, end])) for end in ends])
    steady = 0 < exponents.max() < 1.25 * exponents.min()
    return "sublinear" if steady else "undecided"


def _slope(t: np.ndarray, log_gap: np.ndarray, first: float, last: float) -> float:
    """Least-squares slope over first <= t <= last, over at least the two gaps nearest to it."""
    end = max(int(np.searchsorted(t, last, side="right")), 2)
    start = min(int(np.searchsorted(t, first)), end - 2)
    t, log_gap = t[start:end], log_gap[start:end]
    centred = t - t.mean()
    return float(centred @ (log_gap - log_gap.mean()) / (centred @ centred))
