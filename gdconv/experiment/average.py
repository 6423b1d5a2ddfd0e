"""What is to be expected of a group of runs before its data are drawn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np

from gdconv.config.rules import ConfigError
from gdconv.config.sections import Gaussian, Normal, Problem, Run, Start, Zeros
from gdconv.experiment.prediction import coefficients_of, method_of
from gdconv.experiment.trajectory import Trajectories
from gdconv.methods.protocol import Facts
from gdconv.theory.average.limit import Limit


def limit_of(problem: Problem, start: Start) -> Limit | None:
    """Return the limit of a problem and a start as n and d grow; None where no law is known.

    The weights w_true of `gaussian` are standard normal. So w_0 − w_true is isotropic from a start
    at 0, and from a random one. The column of ones is as long as the others, and orthogonal to none
    in particular, so it changes nothing in the limit.
    """
    if not isinstance(problem, Gaussian) or problem.feature_mean != 0:
        return None
    if isinstance(start, Zeros):
        spread = 1.0
    elif isinstance(start, Normal):
        spread = 1 + start.radius * start.radius
    else:
        return None
    return Limit(problem.n_samples, problem.n_features, spread, problem.noise)


def gap_average(runs: Sequence[Run], column: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the limit of the gap of run column[k] at iteration t[k]; nan where none is known."""
    first = runs[0]
    limit = limit_of(first.problem, first.start)
    if limit is None:
        return np.full(len(t), np.nan)
    # All draws of a problem have the same limit.
    asked = [(run.problem, run.start, run.method, run.step_unit, run.step_value) for run in runs]
    known = [_known(*each) for each in asked]
    places = list(zip(column.tolist(), t.tolist(), strict=True))
    new = np.array([each not in known[run] for run, each in places])
    if new.any():
        found = _computed(limit, runs, column[new], t[new])
        for run, each, gap in zip(column[new].tolist(), t[new].tolist(), found, strict=True):
            known[run][each] = gap
    return np.array([known[run][each] for run, each in places])


def iterations_average(
    runs: Sequence[Run], measured: Trajectories, gap: np.ndarray
) -> list[int | None]:
    """Return the first iteration whose limit is at most tolerance times the initial one.

    It is searched for between two recorded iterations, as if the limit fell there. None if it is
    not known, or not reached at a recorded iteration. gap is what `gap_average` returned for these.
    """
    rows, t = measured.rows, measured.t
    wanted = np.array([runs[0].method.tolerance * gap[each.start] for each in rows])
    reached = gap <= np.repeat(wanted, [each.stop - each.start for each in rows])
    first = [each.start + int(np.argmax(reached[each])) for each in rows]
    known = np.flatnonzero([reached[index] for index in first])
    high = t[first]
    low = np.where(high > 0, t[np.maximum(first, 1) - 1], 0)
    while (open_ := known[high[known] - low[known] > 1]).size:
        middle = (low[open_] + high[open_]) // 2
        enough = gap_average(runs, open_, middle) <= wanted[open_]
        high[open_] = np.where(enough, middle, high[open_])
        low[open_] = np.where(enough, low[open_], middle)
    found: list[int | None] = [None] * len(runs)
    for run in known.tolist():
        found[run] = int(high[run])
    return found


@lru_cache(maxsize=4096)
def _known(*asked: Hashable) -> dict[int, float]:
    """Iteration → limit, as far as it has been computed."""
    return {}


def _computed(limit: Limit, runs: Sequence[Run], column: np.ndarray, t: np.ndarray) -> np.ndarray:
    """What `gap_average` returns."""
    gap = np.full(len(t), np.nan)
    largest, smallest = limit.ends.tolist()
    facts = Facts(largest, smallest, *limit.shape)
    fitting, each = [], []
    for number, run in enumerate(runs):
        # Keys that fit to the drawn eigenvalues may not fit to the edges.
        with suppress(ConfigError):
            each.append(coefficients_of(run, facts))
            fitting.append(number)
    rows = np.isin(column, fitting)
    if rows.any():
        coefficients = {name: np.array([found[name] for found in each]) for name in each[0]}
        place = np.searchsorted(fitting, column[rows])
        gap[rows] = method_of(runs[0]).on_average(limit, coefficients, place, t[rows])
    return gap
