"""How fast a measured sequence of gaps converges, and in which sense (k).

For errors e_t → 0, convergence is sublinear if e_{t+1} / e_t → 1, linear with rate r if this ratio
tends to r in (0, 1), superlinear if it tends to 0, and quadratic if e_{t+1} / e_t² stays bounded.
These definitions are about t → ∞, but a measured sequence ends at some T. So it is judged by how
the slope of ln e has changed over the octaves ..., T/4 to T/2, T/2 to T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# A gap this many times above its floor is off by less than 0.2 % (errors add as amplitudes).
FLOOR_MARGIN = 1e6
# With fewer gaps than this above the floor the kind is undecided.
FEWEST_GAPS = 5
# A slope this small is only rounding and counts as 0.
STILL = 1e-14
# A slope has settled if it changes by at most this part of itself in an octave. It is used only if
# ln gap has fallen by at least LEAST_CHANGE at this slope.
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
        Standard error of the rate, from the scatter of the gaps and from how much the slope still
        changes; nan for fewer than five gaps. See also `missed`.
    order : float
        q in gap_{t+1} ~ gap_t^q: 1 for sublinear and linear, 2 for quadratic convergence; nan if
        the convergence is of no such kind.
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
    Linear: the slope of ln gap has settled, and the gap has shrunk by a factor e at this slope; or
    the limit of the slope is known, and the gap has shrunk by e⁴. Sublinear: the slope goes to 0
    like 1/t or like 1/(t ln t), that is, the exponent of a power law is the same in four octaves,
    or falls evenly. Superlinear: the slope becomes steeper at least as fast as before; for an order
    q > 1 it grows like q^t. Diverging: the gap grows at least as fast as before. Everything else is
    undecided.

    The gap of gradient descent is a sum of powers r^t with positive weights. So the slope of ln gap
    can only rise, and its limit is the logarithm of the rate. While it still rises, two powers are
    fitted through four gaps, equally spaced over the last half; the rate is that of the slower one.
    """
    record = _above(iterations, gaps, floor)
    if record is None:
        return Convergence(np.nan, np.nan, np.nan, "undecided")
    slope, error = _limit(record)
    kind, order = _kind(record, slope, error)
    rate = _exp(slope)
    return Convergence(rate, rate * error, order, kind)


def missed(iterations: np.ndarray, gaps: np.ndarray, floor: ArrayLike, rate: float) -> float:
    """Return how far a rate measured on exact gaps is from their true rate; 0 if none is measured.

    No measurement can detect a component that has not yet appeared in the gap, or that shrinks only
    a little more slowly than the others. The true rate of gaps given by theory is known. So the
    error of a measurement on them tells its error on the same gaps computed by a run.
    """
    record = _above(iterations, gaps, floor)
    return 0.0 if record is None else abs(_exp(_limit(record)[0]) - rate)


def _above(iterations: np.ndarray, gaps: np.ndarray, floor: ArrayLike) -> _Record | None:
    """The gaps well above their floor, if there are two."""
    # Numbers below the smallest normal float have lost digits too.
    above = gaps > np.maximum(FLOOR_MARGIN * np.asarray(floor), np.finfo(float).tiny)
    # Once below the floor, everything after is noise. A sequence may begin with 0.
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
        # An additional error, beside the noise that the floor accounts for and the gap's rounding.
        self.scatter = _scatter(self.t, self.log_gap)
        self.error = np.hypot(2 * np.sqrt(floor / gaps) + 1e-12, self.scatter)
        self.end = self.t[-1]

    def slope(self, start: float, end: float) -> tuple[float, float]:
        """Least-squares slope over start <= t <= end, or of the two nearest gaps, and its error."""
        stop = max(int(np.searchsorted(self.t, end, side="right")), 2)
        first = min(int(np.searchsorted(self.t, start)), stop - 2)
        return _fit(*(each[first:stop] for each in (self.t, self.log_gap, self.error)))

    def at(self, t: float) -> float:
        """ln gap at any t, from the polynomial through the four nearest recorded iterations."""
        first = min(max(int(np.searchsorted(self.t, t)) - 2, 0), len(self.t) - 4)
        nodes, values = self.t[first : first + 4], self.log_gap[first : first + 4]
        apart = np.where(_ITSELF, 1.0, nodes[:, None] - nodes)
        towards = np.where(_ITSELF, 1.0, t - nodes)
        return float(values @ np.prod(towards / apart, axis=1))

    def shrinks(self, octaves: int) -> np.ndarray:
        """How much ln gap falls in each of the last octaves of t, the last octave first."""
        octave = [self.end / 2**k for k in range(octaves + 1)]
        return np.diff(np.interp(np.log(octave), np.log(self.t[1:]), self.log_gap[1:]))


def _fit(x: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    centred = x - x.mean()
    square = centred @ centred
    return centred @ y / square, np.sqrt((centred * error) @ (centred * error)) / square


def _scatter(t: np.ndarray, log_gap: np.ndarray) -> float:
    """Standard deviation of the noise in a sequence.

    A smooth sequence lies on one side of the chords between neighbours; noise lies on both.
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
    # Three steps of this length are the last half of the record, or more if it is sparse.
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
    """Return how far ln (g_{k+1}/g_k) will still rise if g is a sum of two powers.

    The bases of the two powers through g_0, ..., g_3 are the roots of R² − p R + q (Prony 1795).
    Only the changes of ln (g_{k+1}/g_k) are needed. nan if there are no such powers.
    """
    with np.errstate(all="ignore"):
        # g_1/g_0 and g_2/g_1, both divided by g_3/g_2.
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
    # If a slope tends to a limit, it changes less in each octave than in the one before.
    if early > middle and steeper >= 0.8 * (early - middle):
        return _superlinear(record)
    return undecided


def _is_power_law(record: _Record) -> bool:
    """Whether the gap is like a power law: if t^−p fits an octave, 1/p is constant or grows evenly.

    1/p grows evenly for gaps like 1/ln t.
    """
    shrinks = record.shrinks(4)
    if not (shrinks > 0).all():
        return False
    # Proportional to 1/p.
    inverse = 1 / shrinks
    change = np.diff(inverse)
    growth, uneven = change / inverse[1:], np.diff(change) / inverse[1:-1]
    return bool((np.abs(growth) <= 0.3).all() and (np.abs(uneven) <= 0.03).all())


def _superlinear(record: _Record) -> tuple[str, float]:
    """Kind and order q: if gap_{t+1} ~ gap_t^q, the slope of ln gap grows like q^t."""
    slopes = -np.diff(record.log_gap) / np.diff(record.t)
    if slopes[0] < 0 or not (np.diff(slopes) > 0).all():
        return "undecided", np.nan
    middles = (record.t[1:] + record.t[:-1]) / 2
    late = middles >= record.end / 4
    x, y = middles[late], np.log(slopes[late])
    growth, _ = _fit(x, y, np.zeros(len(x)))
    # Noise may make a few slopes grow, but hardly evenly.
    if np.std(y - growth * x) > 0.1 or len(x) < 3:
        return "undecided", np.nan
    return ("quadratic" if np.exp(growth) >= 1.9 else "superlinear"), float(np.exp(growth))
