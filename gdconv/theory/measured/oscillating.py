"""How fast gaps converge that may oscillate, as they do with momentum.

With momentum the error along an eigenvector is a multiple of ρ^t cos(tθ + φ), or of t ρ^t where two
roots coincide. So ln gap is a straight line in t, perhaps with a multiple of ln t, and with waves
that the recorded iterations meet at any phase. Its slope is fitted by least squares over the last
three quarters of the record: as a line, and as a line with a multiple of ln t, which is taken if it
explains most of the scatter. The waves count as noise in the standard error.

Heavy ball has an *invariant*: a number S_t with S_{t+1} = momentum S_t, see
`gdconv.methods.heavy_ball`. If every eigenvalue has complex roots, or a double one, the momentum is
the rate. Then the rate is measured as the slope of ln S_t, which does not oscillate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdconv.theory.measured.rates import (
    FEWEST_GAPS,
    LEAST_CHANGE,
    STILL,
    Convergence,
    Records,
    parts,
    total,
)
from gdconv.theory.rounding import UNIT_ROUNDOFF

# The fit uses the iterations after this part of the record, and so many gaps at least.
FROM, FEWEST = 0.25, 5
# ln t is taken into the fit if it leaves less than this part of the scatter.
EXPLAINED = 0.5
_quiet = np.errstate(all="ignore")


@_quiet
def measure_all(
    iterations: np.ndarray, gaps: np.ndarray, floor: np.ndarray, rows: Sequence[slice]
) -> list[Convergence]:
    """Return rate, order and kind of some sequences of gaps, as `rates.measure_all` does.

    A kind is linear, diverging, stalled or undecided.
    """
    found = []
    for part in parts(rows):
        records = Records(iterations, gaps, floor, part)
        limits, errors = slopes(records)
        found += [
            Convergence(float(np.exp(limit)), float(np.exp(limit) * error), *kind)
            for limit, error, kind in zip(
                limits, errors, _kinds(records, limits, errors), strict=True
            )
        ]
    return found


@_quiet
def slopes(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """The slope of ln gap for t → ∞ of each sequence, and its standard error."""
    start = np.minimum(FROM * records.end, records.ending(FEWEST))
    chosen = records.valid & (records.t >= start[:, None]) & (records.t > 0)
    count = chosen.sum(axis=1)
    t = np.where(chosen, records.t / records.end[:, None], 1.0)
    x, logs, y = (_centred(each, chosen) for each in (t, np.log(t), records.log_gap))
    straight = total(x * y) / total(x**2)
    left = total((y - straight[:, None] * x) ** 2) / np.maximum(count - 2, 1)
    # Of ln t, what is not a straight line in t.
    bent = logs - (total(x * logs) / total(x**2))[:, None] * x
    power = total(bent * y) / total(bent**2)
    turned = straight - power * total(x * logs) / total(x**2)
    rest = y - turned[:, None] * x - power[:, None] * logs
    less = total(rest**2) / np.maximum(count - 3, 1)
    bends = (less < EXPLAINED * left) & (count > FEWEST)
    # The slope of the second fit is uncertain in proportion to what of t is no multiple of ln t.
    own = total((x - (total(x * logs) / total(logs**2))[:, None] * logs) ** 2)
    error = np.sqrt(np.where(bends, less / own, left / total(x**2)))
    noise = np.sqrt(total(np.where(chosen, records.error * x, 0.0) ** 2)) / total(x**2)
    few = records.count < FEWEST_GAPS
    slope = np.where(bends, turned, straight) / records.end
    error = np.where(few, np.nan, np.hypot(error, noise) / records.end)
    return np.where(records.count > 1, slope, np.nan), error


@_quiet
def from_invariant(
    t: np.ndarray, invariant: np.ndarray, gap: np.ndarray, floor: np.ndarray, rows: slice
) -> tuple[float, float]:
    """Return the factor of an invariant per iteration and its standard error; nan for too few.

    Those iterations from 1 count that are well above the floor, as in `rates`.
    """
    t, gap, floor, invariant = (each[rows] for each in (t, gap, floor, invariant))
    # The invariant is a difference of products of errors, each of which is off by this part.
    off = np.sqrt(floor / gap) + 64 * UNIT_ROUNDOFF
    good = np.logical_and.accumulate((off < 1e-3) & (invariant > 0) | (t < 1)) & (t >= 1)
    if good.sum() < 2:
        return np.nan, np.nan
    t, off, invariant = t[good], off[good], invariant[good]
    lengths = t[1:] - t[0]
    errors = np.hypot(off[0], off[1:]) / lengths
    best = np.argmin(errors)
    rate = np.exp(np.log(invariant[1 + best] / invariant[0]) / lengths[best])
    return float(rate), float(rate * errors[best])


def _centred(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Each row's chosen values minus their mean; the others are 0."""
    kept = np.where(chosen, values, 0.0)
    return np.where(chosen, kept - (total(kept) / chosen.sum(axis=1))[:, None], 0.0)


@_quiet
def _kinds(records: Records, limits: np.ndarray, errors: np.ndarray) -> list[tuple[float, str]]:
    """The order and the kind of each sequence."""
    change = limits * records.end
    kinds = np.full(len(limits), "undecided", dtype=object)
    kinds[(change <= -LEAST_CHANGE) & (limits < -3 * errors)] = "linear"
    kinds[(change > 0) & (limits > 3 * errors)] = "diverging"
    kinds[np.abs(limits) <= STILL] = "stalled"
    kinds[records.count < FEWEST_GAPS] = "undecided"
    return [(1.0 if kind == "linear" else np.nan, kind) for kind in kinds]
