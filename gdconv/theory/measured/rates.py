"""How fast a measured sequence of gaps converges, and in which sense (k).

For errors e_t → 0, convergence is sublinear if e_{t+1} / e_t → 1, linear with rate r if this ratio
tends to r in (0, 1), superlinear if it tends to 0, and quadratic if e_{t+1} / e_t² stays bounded.
These definitions are about t → ∞, but a measured sequence ends at some T. So it is judged by how
the slope of ln e has changed over the octaves ..., T/4 to T/2, T/2 to T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
# So many recorded gaps are measured at a time, which bounds the memory.
_AT_ONCE = 10**6


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
    if not len(gaps):
        return Convergence(np.nan, np.nan, np.nan, "undecided")
    floors = np.broadcast_to(floor, np.shape(gaps))
    return measure_all(iterations, gaps, floors, [slice(0, len(gaps))])[0]


# What stands beyond the end of a short sequence has no meaning, and is replaced in the end.
@np.errstate(all="ignore")
def measure_all(
    iterations: np.ndarray, gaps: np.ndarray, floor: np.ndarray, rows: Sequence[slice]
) -> list[Convergence]:
    """Return what `measure` says of each of some sequences that stand one after the other.

    No sequence's result depends on the others, in any digit.
    """
    found = []
    for part in parts(rows):
        records = Records(iterations, gaps, floor, part)
        limits, errors = _limits(records)
        rates = np.exp(limits)
        kinds = _kinds(records, limits, errors)
        numbers = zip(rates.tolist(), (rates * errors).tolist(), kinds, strict=True)
        found += [Convergence(rate, error, order, kind) for rate, error, (kind, order) in numbers]
    return found


@np.errstate(all="ignore")
def missed(found: Sequence[Convergence], rates: np.ndarray) -> np.ndarray:
    """Return how far rates measured on exact gaps are from the true ones; 0 without either.

    No measurement can detect a component that has not yet appeared in the gap, or that shrinks only
    a little more slowly than the others. The true rate of gaps given by theory is known. So the
    error of a measurement on them tells its error on the same gaps computed by a run.
    """
    measured = np.array([each.rate for each in found])
    return np.where(np.isnan(measured) | np.isnan(rates), 0.0, np.abs(measured - rates))


def parts(rows: Sequence[slice]) -> list[Sequence[slice]]:
    """Split sequences so that not too many gaps are measured at a time."""
    longest = max(each.stop - each.start for each in rows)
    count = max(1, _AT_ONCE // max(longest, 1))
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def total(values: np.ndarray) -> np.ndarray:
    """The sum of each row, added up from the left, so that zeros at the end change no digit."""
    return np.cumsum(values, axis=-1)[..., -1]


class Records:
    """ln gap against t of m sequences, a row each, counted from the first gap above the floor.

    Of each sequence those gaps count that are well above their floor, up to the first one that is
    not. Sequences with fewer than two of them are empty.

    Attributes
    ----------
    count : ndarray, shape (m,)
        How many gaps count. What stands beyond them in a row has no meaning; there t is inf.
    t, log_gap, error : ndarray, shape (m, k)
        error: the uncertainty of log_gap.
    end : ndarray, shape (m,)
        The last t; nan for an empty sequence.
    """

    def __init__(
        self, iterations: np.ndarray, gaps: np.ndarray, floor: np.ndarray, rows: Sequence[slice]
    ) -> None:
        first = np.array([each.start for each in rows])
        length = np.array([each.stop - each.start for each in rows])
        self.k = np.arange(length.max())
        # Numbers below the smallest normal float have lost digits too.
        above = gaps > np.maximum(FLOOR_MARGIN * floor, np.finfo(float).tiny)
        at = np.minimum(first[:, None] + self.k, len(gaps) - 1)
        counts = (self.k < length[:, None]) & above[at]
        # A sequence may begin with 0. Once below the floor, everything after is noise.
        skipped = np.argmax(counts, axis=1)
        early = self.k < skipped[:, None]
        self.count = np.logical_and.accumulate(counts | early, axis=1).sum(axis=1) - skipped
        self.count[self.count < 2] = 0
        self.k = np.arange(max(int(self.count.max()), 4))
        self.valid = self.k < self.count[:, None]
        at = np.minimum((first + skipped)[:, None] + self.k, len(gaps) - 1)
        t, gap, low = (np.where(self.valid, each[at], 1.0) for each in (iterations, gaps, floor))
        self.t = np.where(self.valid, t - t[:, :1], np.inf)
        self.log_gap = np.log(gap)
        self.end = np.where(self.count > 0, _at(self.t, self.count - 1), np.nan)
        # An additional error, beside the noise that the floor accounts for and the gap's rounding.
        scatter = self._scatter()[:, None]
        self.error = np.where(self.valid, np.hypot(2 * np.sqrt(low / gap) + 1e-12, scatter), 0.0)

    def ending(self, most: int) -> np.ndarray:
        """The iteration at which each sequence's last so many gaps begin, shape (m,)."""
        return _at(self.t, np.maximum(self.count - most, 0))

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """t and ln gap of one sequence."""
        kept = slice(0, self.count[index])
        return self.t[index, kept], self.log_gap[index, kept]

    def before(self, t: np.ndarray) -> np.ndarray:
        """How many gaps of each sequence were recorded before t, shape (m,)."""
        return (self.t < t[:, None]).sum(axis=1)

    def slope(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least-squares slope over start <= t <= end, or of the two nearest gaps, and its error."""
        stop = np.maximum((self.t <= end[:, None]).sum(axis=1), 2)
        first = np.minimum(self.before(start), stop - 2)
        chosen = (self.k >= first[:, None]) & (self.k < stop[:, None]) & self.valid
        return _fit(np.where(chosen, self.t, 0.0), self.log_gap, self.error, chosen)

    def at(self, t: np.ndarray) -> np.ndarray:
        """ln gap at any t, from the polynomial through the four nearest recorded iterations."""
        first = np.clip(self.before(t) - 2, 0, np.maximum(self.count - 4, 0))
        nodes, values = (_at(each, first[:, None] + self.k[:4]) for each in (self.t, self.log_gap))
        apart = np.where(_ITSELF, 1.0, nodes[:, :, None] - nodes[:, None, :])
        towards = np.where(_ITSELF, 1.0, (t[:, None] - nodes)[:, None, :])
        return total(values * np.prod(towards / apart, axis=2))

    def error_at(self, t: np.ndarray) -> np.ndarray:
        """The error at any t, on the straight line between recorded iterations."""
        left = np.clip(self.before(t) - 1, 0, np.maximum(self.count - 2, 0))
        (t0, t1), (e0, e1) = (
            (_at(each, left), _at(each, left + 1)) for each in (self.t, self.error)
        )
        return e0 + (e1 - e0) / (t1 - t0) * (t - t0)

    def _scatter(self) -> np.ndarray:
        """Standard deviation of the noise in each sequence.

        A smooth sequence lies on one side of the chords between neighbours; noise lies on both.
        """
        t, log_gap, inner = self.t, self.log_gap, self.valid[:, 2:]
        part = (t[:, 1:-1] - t[:, :-2]) / (t[:, 2:] - t[:, :-2])
        off = log_gap[:, 1:-1] - ((1 - part) * log_gap[:, :-2] + part * log_gap[:, 2:])
        off = np.where(inner, off * np.abs(off) / (1 + part**2 + (1 - part) ** 2), 0.0)
        sides = total(np.maximum(off, 0.0)), total(np.maximum(-off, 0.0))
        return np.sqrt(2 * np.minimum(*sides) / np.maximum(inner.sum(axis=1), 1))


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The element of each row, or the elements, at an index."""
    if index.ndim == 1:
        return values[np.arange(len(values)), index]
    return np.take_along_axis(values, index, axis=1)


def _fit(
    x: np.ndarray, y: np.ndarray, error: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares slope of each row's chosen elements, and its error."""
    mean = total(np.where(chosen, x, 0.0)) / chosen.sum(axis=1)
    centred = np.where(chosen, x - mean[:, None], 0.0)
    square = total(centred**2)
    return total(centred * y) / square, np.sqrt(total((centred * error) ** 2)) / square


def _limits(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """The slope of ln gap for t → ∞ of each sequence, and its standard error."""
    end, count = records.end, records.count
    slope, error = records.slope(end / 2, end)
    # Three steps of this length are the last half of the record, or more if it is sparse.
    last_step = end - _at(records.t, np.maximum(count - 2, 0))
    length = np.maximum(end / 6, np.minimum(last_step, end / 3))
    at = [np.maximum(end - length * steps, 0.0) for steps in (3, 2, 1)]
    noise = [records.error_at(each) for each in (*at[1:], end)]
    gaps = [*(records.at(each) for each in at), _at(records.log_gap, np.maximum(count - 1, 0))]
    pieces = [after - before for before, after in pairwise(gaps)]
    earlier, later = pieces[1] - pieces[0], pieces[2] - pieces[1]
    of_slope = np.hypot(noise[1], noise[2])
    of_change = np.sqrt(noise[0] ** 2 + 4 * noise[1] ** 2 + noise[2] ** 2)
    left = _still_to_come(earlier, later)
    known = np.isfinite(left)
    far = np.hypot(of_slope + 2 * np.abs(left / later) * of_change, 2 * left)
    far = np.where(known, far, 3 * np.maximum(np.abs(later), np.abs(earlier)))
    settled = np.abs(later) <= 2 * of_change
    limit = np.where(settled, slope, (pieces[2] + np.where(known, left, 0.0)) / length)
    uncertainty = np.where(settled, np.hypot(error, of_change / end), far / length)
    few = count < FEWEST_GAPS
    limit = np.where(few, slope, limit)
    return np.where(count > 0, limit, np.nan), np.where(few, np.nan, uncertainty)


def _still_to_come(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return how far ln (g_{k+1}/g_k) will still rise if g is a sum of two powers.

    The bases of the two powers through g_0, ..., g_3 are the roots of R² − p R + q (Prony 1795).
    Only the changes of ln (g_{k+1}/g_k) are needed. nan if there are no such powers.
    """
    # g_1/g_0 and g_2/g_1, both divided by g_3/g_2.
    first, second = np.exp(-earlier - later), np.exp(-later)
    p = second * (1 - first) / (second - first)
    q = first * second * (1 - second) / (second - first)
    return np.log(p / 2 + np.sqrt(p**2 / 4 - q))


def _kinds(
    records: Records, limits: np.ndarray, limit_errors: np.ndarray
) -> list[tuple[str, float]]:
    """The kind and the order of each sequence."""
    slopes = [records.slope(end / 2, end) for end in (records.end / part for part in (1, 2, 4))]
    early_on = _at(records.log_gap, np.minimum(records.before(records.end / 4), len(records.k) - 1))
    changes = early_on - _at(records.log_gap, np.maximum(records.count - 1, 0))
    columns = [records.count, *slopes[0], *slopes[1], slopes[2][0], changes, limits, limit_errors]
    return [
        _kind(records, index, *numbers)
        for index, numbers in enumerate(zip(*(each.tolist() for each in columns), strict=True))
    ]


def _kind(
    records: Records,
    index: int,
    count: int,
    late: float,
    late_error: float,
    middle: float,
    middle_error: float,
    early: float,
    change: float,
    limit: float,
    limit_error: float,
) -> tuple[str, float]:
    """The kind and the order of one sequence."""
    undecided = "undecided", np.nan
    if count < FEWEST_GAPS:
        return undecided
    error, steeper = math.hypot(middle_error, late_error), middle - late
    if max(abs(late), abs(middle)) <= STILL:
        return "stalled", np.nan
    if late > 3 * late_error:
        return ("diverging", np.nan) if steeper <= SETTLED * late + 3 * error else undecided
    if late > -3 * late_error:
        return undecided
    if abs(steeper) <= SETTLED * abs(late) + 3 * error:
        return ("linear", 1.0) if change >= LEAST_CHANGE else undecided
    if steeper < 0:
        if _is_power_law(*records.row(index)):
            return "sublinear", 1.0
        known = limit_error <= SETTLED * -limit and change >= 4 * LEAST_CHANGE
        return ("linear", 1.0) if known else undecided
    # If a slope tends to a limit, it changes less in each octave than in the one before.
    if early > middle and steeper >= 0.8 * (early - middle):
        return _superlinear(*records.row(index))
    return undecided


def _is_power_law(t: np.ndarray, log_gap: np.ndarray) -> bool:
    """Whether the gap is like a power law: if t^−p fits an octave, 1/p is constant or grows evenly.

    1/p grows evenly for gaps like 1/ln t.
    """
    octaves = np.log(t[-1] / 2.0 ** np.arange(5))
    # How much ln gap falls in each of the last octaves of t, the last octave first.
    shrinks = np.diff(np.interp(octaves, np.log(t[1:]), log_gap[1:]))
    if not (shrinks > 0).all():
        return False
    # Proportional to 1/p.
    inverse = 1 / shrinks
    change = np.diff(inverse)
    growth, uneven = change / inverse[1:], np.diff(change) / inverse[1:-1]
    return bool((np.abs(growth) <= 0.3).all() and (np.abs(uneven) <= 0.03).all())


def _superlinear(t: np.ndarray, log_gap: np.ndarray) -> tuple[str, float]:
    """Kind and order q: if gap_{t+1} ~ gap_t^q, the slope of ln gap grows like q^t."""
    slopes = -np.diff(log_gap) / np.diff(t)
    if slopes[0] < 0 or not (np.diff(slopes) > 0).all():
        return "undecided", np.nan
    middles = (t[1:] + t[:-1]) / 2
    late = middles >= t[-1] / 4
    x, y = middles[late], np.log(slopes[late])
    everything = np.ones((1, len(x)), dtype=bool)
    growth = float(_fit(x[None], y[None], np.zeros((1, len(x))), everything)[0][0])
    # Noise may make a few slopes grow, but hardly evenly.
    if np.std(y - growth * x) > 0.1 or len(x) < 3:
        return "undecided", np.nan
    return ("quadratic" if np.exp(growth) >= 1.9 else "superlinear"), float(np.exp(growth))
