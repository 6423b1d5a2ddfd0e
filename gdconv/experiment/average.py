"""What is to be expected of a group of runs before its data are drawn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from gdconv.config.problems import Gaussian, Problem
from gdconv.config.rules import ConfigError
from gdconv.config.runs import Run
from gdconv.config.sections import Normal, Start, Zeros
from gdconv.experiment.prediction import coefficients_of, method_of
from gdconv.experiment.trajectory import Trajectories
from gdconv.methods.protocol import Facts
from gdconv.theory.average.limit import Limit

# So many recorded iterations are looked at together.
TOGETHER = 8
# More than there are iterations.
APART = 2**40


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


class Average:
    """What is expected of the runs of a group.

    Attributes
    ----------
    limit : Limit or None
        See `limit_of`.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, first = runs, runs[0]
        self.limit = limit_of(first.problem, first.start)
        # All draws of a problem have the same limit.
        asked = tuple((run.method, run.step_unit, run.step_value) for run in runs)
        self._known = _known(first.problem, first.start, asked)

    def gap(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the limit of the gap of run column[k] at iteration t[k]; nan without one."""
        if self.limit is None:
            return np.full(len(t), np.nan)
        known, keys = self._known, column * APART + t
        place = np.searchsorted(known.keys, keys)
        new = np.unique(keys[known.keys[np.minimum(place, len(known.keys) - 1)] != keys])
        if len(new):
            every = np.concatenate([known.keys, new])
            order = np.argsort(every)
            found = self._computed(self.limit, new // APART, new % APART)
            known.keys, known.gaps = every[order], np.concatenate([known.gaps, found])[order]
        return known.gaps[np.searchsorted(known.keys, keys)]

    def iterations(self, measured: Trajectories) -> list[int | None]:
        """Return the first iteration whose limit is at most tolerance times the initial one.

        It is searched for between two recorded iterations, as if the limit fell there. None if it
        is not known or not reached at a recorded iteration, or if the limit grows without end.
        """
        runs = self.runs
        if self.limit is None:
            return [None] * len(runs)
        every = np.arange(len(runs))
        wanted = runs[0].method.tolerance * self.gap(every, np.zeros_like(every))
        recorded = measured.table(measured.t, -1)
        low, high = np.full((2, len(runs)), -1)
        searched = every[~np.isnan(wanted) & ~_grows(self.limit, runs)]
        # The limits of late iterations cost most, and most runs do not need them.
        for place in range(0, recorded.shape[1], TOGETHER):
            t = recorded[searched, place : place + TOGETHER]
            gap, column = np.full(t.shape, np.inf), np.broadcast_to(searched[:, None], t.shape)
            gap[t >= 0] = self.gap(column[t >= 0], t[t >= 0])
            enough = gap <= wanted[searched, None]
            reached, first = enough.any(axis=1), place + np.argmax(enough, axis=1)
            found = searched[reached], first[reached]
            high[found[0]], low[found[0]] = recorded[found], recorded[found[0], found[1] - 1]
            searched = searched[~reached & (t[:, -1] >= 0)]
        while (open_ := every[(high >= 0) & (high - low > 1)]).size:
            middle = (low[open_] + high[open_]) // 2
            enough = self.gap(open_, middle) <= wanted[open_]
            high[open_] = np.where(enough, middle, high[open_])
            low[open_] = np.where(enough, low[open_], middle)
        return [each if each >= 0 else None for each in high.tolist()]

    def _computed(self, limit: Limit, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        gap = np.full(len(t), np.nan)
        fitting, coefficients = _at_edges(limit, self.runs)
        rows = np.isin(column, fitting)
        if rows.any():
            place = np.searchsorted(fitting, column[rows])
            gap[rows] = method_of(self.runs[0]).on_average(limit, coefficients, place, t[rows])
        return gap


@dataclass
class _Known:
    """Limits that have been computed: of run key // APART at iteration key % APART, in order.

    The first one is of no run.
    """

    keys: np.ndarray = field(default_factory=lambda: np.array([-1]))
    gaps: np.ndarray = field(default_factory=lambda: np.array([np.nan]))


@lru_cache(maxsize=64)
def _known(*asked: Hashable) -> _Known:
    return _Known()


def _grows(limit: Limit, runs: Sequence[Run]) -> np.ndarray:
    """Whether the limit of a run's gap grows without end."""
    grows = np.zeros(len(runs), dtype=bool)
    fitting, coefficients = _at_edges(limit, runs)
    if len(fitting):
        theory = method_of(runs[0]).theory(coefficients, limit.ends, 1)
        grows[fitting] = theory.log_contraction() > 0
    return grows


def _at_edges(limit: Limit, runs: Sequence[Run]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The runs whose keys fit to the edges as eigenvalues, and their coefficients.

    Keys that fit to the eigenvalues that were drawn may not fit to the edges.
    """
    largest, smallest = limit.ends.tolist()
    facts = Facts(largest, smallest, *limit.shape)
    found: dict[int, dict[str, float]] = {}
    for number, run in enumerate(runs):
        with suppress(ConfigError):
            found[number] = coefficients_of(run, facts)
    names = next(iter(found.values()), {})
    return np.array([*found], dtype=int), {
        name: np.array([each[name] for each in found.values()]) for name in names
    }
