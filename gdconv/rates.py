"""How fast a measured sequence of gaps converges, and in which sense (k).

For errors e_t → 0: sublinear if e_{t+1} / e_t → 1, linear with rate r if it tends to r in (0, 1),
superlinear if it tends to 0, of order q if e_{t+1} / e_t^q stays bounded, quadratic for q = 2. All
of it is about t → ∞, and a measurement ends: what is judged is how the slope of ln e changes over
the last iterations above the floor, and where that allows more than one answer it is "undecided".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

# A gap this many times above its floor is off by less than 0.2 % (errors add as amplitudes), so
# that half a percent can be measured even from one iteration to the next.
FLOOR_MARGIN = 1e6
# With fewer gaps than this above the floor no kind is named.
FEWEST_GAPS = 5
# Rounding of ln gap, and the slope that is indistinguishable from 0: some roundings an iteration.
ROUNDING, STILL = 1e-13, 1e-14
# The slope has settled if its standard error is no more than this part of it, and it means
# something once the gap has shrunk by e² at that slope.
SETTLED, LEAST_CHANGE = 0.1, 2.0


@dataclass(frozen=True)
class Convergence:
    """The measured convergence of one sequence of gaps.

    Attributes
    ----------
    rate : float
        Asymptotic contraction of the gap per iteration, lim gap_{t+1} / gap_t; nan for fewer than
        two gaps above the floor.
    standard_error : float
        Of the rate; nan for fewer than three gaps above the floor.
    order : float
        q: 1 for linear and sublinear convergence; nan when undecided, stalled or diverging.
    kind : str
        sublinear, linear, superlinear, quadratic, diverging, stalled or undecided.
    """

    rate: float
    standard_error: float
    order: float
    kind: str


def measure(iterations: np.ndarray, gaps: np.ndarray, floor: ArrayLike) -> Convergence:
    """Return rate, order and kind of convergence of gaps recorded at increasing iterations.

    Parameters
    ----------
    iterations, gaps : ndarray, shape (k,)
        All iterations, or some of them.
    floor : float or ndarray, shape (k,)
        The level at which the gaps are rounding noise; only those well above it count.

    Notes
    -----
    The gap of gradient descent is a sum of exponentials with positive weights, so the slope of
    ln gap only ever rises, towards ln rate. Of its last part two exponentials are made: with the
    gaps g_0, ..., g_3 at four iterations that are L apart, the larger root of

        R² − p R + q = 0,   p = (g_0 g_3 − g_1 g_2) / (g_0 g_2 − g_1²),
                            q = (g_1 g_3 − g_2²) / (g_0 g_2 − g_1²)     (Prony 1795)

    is the contraction of the slower one over L iterations. The standard error is twice the
    distance from the last slope that was measured to this limit, and the noise of the gaps.
    """
    above = (gaps > FLOOR_MARGIN * np.asarray(floor)) & (gaps > 0)
    # Below the floor once, noise from there on.
    count = len(gaps) if above.all() else int(np.argmin(above))
    if count < 2:
        return Convergence(np.nan, np.nan, np.nan, "undecided")
    gaps, floor = gaps[:count], np.broadcast_to(floor, gaps.shape)[:count]
    curve = _Curve(iterations[:count].astype(float), np.log(gaps), np.sqrt(floor / gaps))
    slope, error = curve.limit()
    kind, order = _kind(curve, slope, error) if count >= FEWEST_GAPS else ("undecided", np.nan)
    with np.errstate(over="ignore"):
        rate = float(np.exp(slope))
    return Convergence(rate, rate * error, order, kind)


class _Curve:
    """ln gap as a function of the iteration, with its noise."""

    def __init__(self, t: np.ndarray, log_gap: np.ndarray, relative_noise: np.ndarray) -> None:
        self.t, self.log_gap, self.span = t, log_gap, t[-1] - t[0]
        self.noise = np.sqrt(relative_noise**2 + ROUNDING**2 + _roughness(t, log_gap) ** 2)

    def slopes(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean slopes between iterations, and the noise of ln gap there."""
        values = PchipInterpolator(self.t, self.log_gap)(ends)
        return np.diff(values) / np.diff(ends), np.interp(ends, self.t, self.noise)

    def limit(self) -> tuple[float, float]:
        """The slope that ln gap tends to, and its standard error."""
        if len(self.t) < 4:
            slopes = np.diff(self.log_gap) / np.diff(self.t)
            return float(slopes[-1]), float(2 * abs(slopes[-1] - slopes[0])) or np.nan
        # Half of the curve, its first part is history; all of it where noise hides any change.
        shortest = max(self.span / 6, min(self.t[-1] - self.t[-2], self.span / 3))
        slope, error, changes = self._limit(shortest)
        if not changes:
            longer = self._limit(self.span / 3)
            slope, error = longer[:2] if not longer[2] else (slope, error)
        return slope, error

    def _limit(self, length: float) -> tuple[float, float, bool]:
        """Limit of the slope, its standard error and whether it changes, from three pieces."""
        ends = np.maximum(self.t[-1] - length * np.array([3.0, 2.0, 1.0, 0.0]), self.t[0])
        slopes, noise = self.slopes(ends)
        earlier, later = np.diff(slopes) * length
        of_slope = np.hypot(noise[2], noise[3])
        of_change = np.sqrt(noise[1] ** 2 + 4 * noise[2] ** 2 + noise[3] ** 2)
        if abs(later) <= 2 * of_change:
            return float(slopes[2]), float(np.hypot(of_slope, of_change) / length), False
        # All contractions over the last one, so that nothing overflows.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            first, second = np.exp(-earlier - later), np.exp(-later)
            p = second * (1 - first) / (second - first)
            q = first * second * (1 - second) / (second - first)
            change = np.log(p / 2 + np.sqrt(p**2 / 4 - q))
            error = np.hypot(of_slope + 2 * abs(change / later) * of_change, 2 * change)
        if not np.isfinite(error):
            # Not two exponentials; what is still to come is at least what came last.
            return float(slopes[2]), float(2 * (abs(later) + abs(earlier)) / length), True
        return float(slopes[2] + change / length), float(error / length), True


def _roughness(t: np.ndarray, log_gap: np.ndarray) -> float:
    """Standard deviation of what is not smooth in ln gap.

    A smooth sequence lies above the lines between neighbours or below them, noise on either side.
    """
    if len(t) < 3:
        return 0.0
    part = (t[1:-1] - t[:-2]) / (t[2:] - t[:-2])
    off = log_gap[1:-1] - ((1 - part) * log_gap[:-2] + part * log_gap[2:])
    off /= np.sqrt(1 + part**2 + (1 - part) ** 2)
    rarer = min(np.sum(off[off > 0] ** 2), np.sum(off[off < 0] ** 2))
    return float(np.sqrt(2 * rarer / len(off)))


def _kind(curve: _Curve, slope: float, error: float) -> tuple[str, float]:
    """Kind and order."""
    span = curve.span
    (early, middle, late), noise = curve.slopes(curve.t[0] + span * np.arange(4) / 3)
    if max(abs(middle), abs(late)) <= STILL:
        return "stalled", np.nan
    if late > 0:
        grows = late * span / 3 > 3 * noise.max() and late >= 0.9 * middle
        return ("diverging", np.nan) if grows else ("undecided", np.nan)
    if late < 1.1 * middle < 1.1 * early < 0 and late / middle > (middle / early) ** 0.8:
        return _superlinear(curve)
    if _is_sublinear(curve):
        return "sublinear", 1.0
    settled = error <= SETTLED * -slope and -slope * span >= LEAST_CHANGE
    return ("linear", 1.0) if settled else ("undecided", np.nan)


def _superlinear(curve: _Curve) -> tuple[str, float]:
    """Superlinear, with its order: the slopes of order q grow as q^t."""
    t, steepness = curve.t, -np.diff(curve.log_gap) / np.diff(curve.t)
    change = steepness[-2:] * np.diff(t)[-2:]
    # Where growth is no more than noise there is none.
    if not (steepness[-2] > 0 and steepness[-1] > 1.05 * steepness[-2]) or (
        change.min() < 10 * curve.noise[-3:].max()
    ):
        return "undecided", np.nan
    order = float(np.exp(np.log(steepness[-1] / steepness[-2]) * 2 / (t[-1] - t[-3])))
    return ("quadratic" if order >= 1.9 else "superlinear"), order


def _is_sublinear(curve: _Curve) -> bool:
    """Whether the exponent p of t^-p, or that of (ln t)^-p, is the same octave after octave.

    What is still a mixture of exponentials that die out one after the other has none.
    """
    t, log_gap = curve.t[curve.t > 0], curve.log_gap[curve.t > 0]
    octaves = t[-1] / 2.0 ** np.arange(5)
    if octaves[-1] < t[0]:
        return False
    exponents = np.diff(np.interp(np.log(octaves), np.log(t), log_gap)) / np.log(2)
    if not (exponents > 0).all():
        return False
    # Of t^-p 1/exponent is constant, of (ln t)^-p it grows evenly with ln t.
    inverse = 1 / exponents
    growth, uneven = np.diff(inverse), np.diff(inverse, 2)
    return bool(
        (abs(uneven) <= 0.03 * inverse[:-2]).all()
        and (growth >= -0.25 * inverse[:-1]).all()
        and (growth <= 0.05 * inverse[:-1]).all()
    )
