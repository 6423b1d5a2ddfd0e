"""How fast a measured sequence of gaps converges, and in which sense (k).

For errors e_t → 0: sublinear if e_{t+1} / e_t → 1, linear with rate r if it tends to r in (0, 1),
superlinear if it tends to 0, quadratic if e_{t+1} / e_t² stays bounded. All of this is about t → ∞,
and a measured sequence ends, at some T: it is judged by how the slope of ln e has changed over the
octaves T/2 to T, T/4 to T/2, ... before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# A gap this many times above its floor is off by less than 0.2 % (errors add as amplitudes).
FLOOR_MARGIN = 1e6
# With fewer gaps than this above the floor no kind is named.
FEWEST_GAPS = 5
# A slope that cannot be told from 0: some roundings an iteration.
STILL = 1e-14
# A slope has settled where it changes by no more than this part of it in an octave, and it means
# something once the gap has shrunk by e at it.
SETTLED, LEAST_CHANGE = 0.1, 1.0
_ITSELF = np.eye(4, dtype=bool)


@dataclass(frozen=True)
class Convergence:
    """The measured convergence of one sequence of gaps.

    Attributes
    ----------
    rate : float
        Asymptotic contraction of the gap per iteration, lim gap_{t+1} / gap_t; nan for fewer than
        two gaps above the floor.
    standard_error : float
        Of the rate: from the scatter of the gaps and from how far the slope is from settled; nan
        for fewer than five gaps. See also `missed`.
    order : float
        q in gap_{t+1} ~ gap_t^q: 1 for sublinear and linear, 2 for quadratic convergence; nan where
        the kind is another one.
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
    Linear: the slope of ln gap has settled, and the gap has shrunk by e at it; or the limit of the
    slope is known, and the gap has shrunk by e⁴. Sublinear: the slope goes to 0 like 1/t or like
    1/(t ln t): the exponent of a power law is the same in four octaves, or falls evenly.
    Superlinear: the slope becomes steeper, and not more slowly than before; as q^t, if q > 1 is the
    order. Diverging: the gap grows, and grows no more slowly than before. Everything else is
    undecided.

    The gap of gradient descent is a sum of powers with positive weights, so that the slope of
    ln gap only ever rises, to the logarithm of the rate. Where it still does, the rate is that of
    the slower of two powers through four gaps, equally spaced over the last half.
    """
    record = _above(iterations, gaps, floor)
    if record is None:
        return Convergence(np.nan, np.nan, np.nan, "undecided")
    slope, error = _limit(record)
    kind, order = _kind(record, slope, error)
    rate = _exp(slope)
    return Convergence(rate, rate * error, order, kind)


def missed(iterations: np.ndarray, gaps: np.ndarray, floor: ArrayLike, rate: float) -> float:
    """Return how far the rate measured on exact gaps is from theirs; 0 where none is measured.

    A part of a gap that has not shown yet no measurement can find, nor one that shrinks hardly more
    slowly than the others. Of the gaps that theory gives the rate is known, and what a measurement
    misses of it, it misses of the same gaps computed by a run.
    """
    record = _above(iterations, gaps, floor)
    return 0.0 if record is None else abs(_exp(_limit(record)[0]) - rate)


def _above(iterations: np.ndarray, gaps: np.ndarray, floor: ArrayLike) -> _Record | None:
    """The gaps well above their floor, if there are two."""
    # Of numbers below the smallest normal one, digits are lost too.
    above = gaps > np.maximum(FLOOR_MARGIN * np.asarray(floor), np.finfo(float).tiny)
    # Below the floor once, noise from there on. A sequence may begin with 0.
    bordered = np.concatenate([[False], above, [False]])
    changes = np.flatnonzero(bordered[1:] != bordered[:-1])
    if len(changes) == 0 or changes[1] - changes[0] < 2:
        return None
    chosen = slice(changes[0], changes[1])
    return _Record(iterations[chosen], gaps[chosen], np.broadcast_to(floor, gaps.shape)[chosen])


def _exp(slope: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(slope))


class _Record:
    """ln gap against t, counted from the first gap above the floor, and its uncertainty."""

    def __init__(self, iterations: np.ndarray, gaps: np.ndarray, floor: np.ndarray) -> None:
        self.t = (iterations - iterations[0]).astype(float)
        self.log_gap = np.log(gaps)
        # Beside the noise the floor tells of, and the roundings of the gap itself.
        self.scatter = _scatter(self.t, self.log_gap)
        self.error = np.hypot(2 * np.sqrt(floor / gaps) + 1e-12, self.scatter)
        self.end = self.t[-1]

    def slope(self, start: float, end: float) -> tuple[float, float]:
        """Least-squares slope over start <= t <= end, or the two gaps nearest, and its error."""
        stop = max(int(np.searchsorted(self.t, end, side="right")), 2)
        first = min(int(np.searchsorted(self.t, start)), stop - 2)
        return _fit(*(each[first:stop] for each in (self.t, self.log_gap, self.error)))

    def at(self, t: float) -> float:
        """ln gap between recorded iterations, by the polynomial through the four nearest."""
        first = min(max(int(np.searchsorted(self.t, t)) - 2, 0), len(self.t) - 4)
        nodes, values = self.t[first : first + 4], self.log_gap[first : first + 4]
        apart = np.where(_ITSELF, 1.0, nodes[:, None] - nodes)
        towards = np.where(_ITSELF, 1.0, t - nodes)
        return float(values @ np.prod(towards / apart, axis=1))

    def shrinks(self, octaves: int) -> np.ndarray:
        """By how much ln gap falls in each of the last octaves of t, the last one first."""
        octave = [self.end / 2**k for k in range(octaves + 1)]
        return np.diff(np.interp(np.log(octave), np.log(self.t[1:]), self.log_gap[1:]))


def _fit(x: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    centred = x - x.mean()
    square = centred @ centred
    return centred @ y / square, np.sqrt((centred * error) @ (centred * error)) / square


def _scatter(t: np.ndarray, log_gap: np.ndarray) -> float:
    """Standard deviation of what is not smooth in a sequence.

    A smooth one lies above the chords between neighbours or below them, noise on either side.
    """
    part = (t[1:-1] - t[:-2]) / (t[2:] - t[:-2])
    off = log_gap[1:-1] - ((1 - part) * log_gap[:-2] + part * log_gap[2:])
    off = off * np.abs(off) / (1 + part**2 + (1 - part) ** 2)
    return float(np.sqrt(2 * min(off[off > 0].sum(), -off[off < 0].sum()) / max(len(off), 1)))


def _limit(record: _Record) -> tuple[float, float]:
    """The slope of ln gap for t → ∞, and its standard error."""
    t, end = record.t, record.end
    if len(t) < FEWEST_GAPS:
        return record.slope(end / 2, end)[0], np.nan
    # The last half, its first part is history; or as much as three steps of the record.
    length = max(end / 6, min(t[-1] - t[-2], end / 3))
    at = np.maximum(end - length * np.arange(3, -1, -1), 0.0)
    noise = np.interp(at, t, record.error)
    pieces = np.diff([*(record.at(each) for each in at[:3]), record.log_gap[-1]])
    earlier, later = np.diff(pieces)
    of_slope = np.hypot(noise[2], noise[3])
    of_change = np.sqrt(noise[1] ** 2 + 4 * noise[2] ** 2 + noise[3] ** 2)
    if abs(later) <= 2 * of_change:
        slope, error = record.slope(end / 2, end)
        return slope, np.hypot(error, of_change / end)
    left = _still_to_come(earlier, later)
    if np.isfinite(left):
        error = np.hypot(of_slope + 2 * abs(left / later) * of_change, 2 * left)
    else:
        left, error = 0.0, 3 * max(abs(later), abs(earlier))
    return (pieces[2] + left) / length, float(error / length)


def _still_to_come(earlier: float, later: float) -> float:
    """What the limit of ln (g_{k+1}/g_k) is above its last value if g is a sum of two powers.

    Of g_0, ..., g_3 the two are the roots of R² − p R + q (Prony 1795). Only the changes of
    ln (g_{k+1}/g_k) are needed. nan if there are no such powers.
    """
    with np.errstate(all="ignore"):
        # g_1/g_0 and g_2/g_1 as parts of g_3/g_2.
        first, second = np.exp(-earlier - later), np.exp(-later)
        p = second * (1 - first) / (second - first)
        q = first * second * (1 - second) / (second - first)
        return float(np.log(p / 2 + np.sqrt(p**2 / 4 - q)))


def _kind(record: _Record, limit: float, limit_error: float) -> tuple[str, float]:
    """The kind and the order."""
    undecided = "undecided", np.nan
    if len(record.t) < FEWEST_GAPS:
        return undecided
    ends = record.end / np.array([1, 2, 4])
    (late, late_error), (middle, error), (early, _) = (record.slope(t / 2, t) for t in ends)
    error, steeper = np.hypot(error, late_error), middle - late
    if max(abs(late), abs(middle)) <= STILL:
        return "stalled", np.nan
    if late > 3 * late_error:
        return ("diverging", np.nan) if steeper <= SETTLED * late + 3 * error else undecided
    if late > -3 * late_error:
        return undecided
    change = record.log_gap[np.searchsorted(record.t, record.end / 4)] - record.log_gap[-1]
    if abs(steeper) <= SETTLED * abs(late) + 3 * error:
        return ("linear", 1.0) if change >= LEAST_CHANGE else undecided
    if steeper < 0:
        if _is_power_law(record):
            return "sublinear", 1.0
        known = limit_error <= SETTLED * -limit and change >= 4 * LEAST_CHANGE
        return ("linear", 1.0) if known else undecided
    # A slope on its way to a limit changes less in each octave than in the one before.
    if early > middle and steeper >= 0.8 * (early - middle):
        return _superlinear(record)
    return undecided


def _is_power_law(record: _Record) -> bool:
    """Whether 1/p is constant or grows evenly, as for 1/ln t, if t^−p fits an octave best."""
    shrinks = record.shrinks(4)
    if not (shrinks > 0).all():
        return False
    # Of 1/p, to a factor.
    inverse = 1 / shrinks
    change = np.diff(inverse)
    growth, uneven = change / inverse[1:], np.diff(change) / inverse[1:-1]
    return bool((np.abs(growth) <= 0.3).all() and (np.abs(uneven) <= 0.03).all())


def _superlinear(record: _Record) -> tuple[str, float]:
    """Kind and order q: where gap_{t+1} ~ gap_t^q, the slope of ln gap grows like q^t."""
    slopes = -np.diff(record.log_gap) / np.diff(record.t)
    if slopes[0] < 0 or not (np.diff(slopes) > 0).all():
        return "undecided", np.nan
    middles = (record.t[1:] + record.t[:-1]) / 2
    late = middles >= record.end / 4
    x, y = middles[late], np.log(slopes[late])
    growth, _ = _fit(x, y, np.zeros(len(x)))
    # Noise may make a few slopes grow, but hardly like a power.
    if np.std(y - growth * x) > 0.1 or len(x) < 3:
        return "undecided", np.nan
    return ("quadratic" if np.exp(growth) >= 1.9 else "superlinear"), float(np.exp(growth))
