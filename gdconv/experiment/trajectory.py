"""Which numbers of an iteration are kept, and when a run can stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gdconv.experiment.iterate import Beside


def recorded_iterations(iterations: int, points: int, spacing: str = "log") -> np.ndarray:
    """Return at most `points` iterations, with 0 and the last, and if `spacing` is log with 1."""
    if spacing == "linear":
        return np.unique(np.rint(np.linspace(0, iterations, points)).astype(np.int64))
    spaced = np.geomspace(1, iterations, points - 1) if points > 2 else np.array([iterations])
    return np.unique(np.concatenate([[0], np.rint(spaced).astype(np.int64)]))


@dataclass(frozen=True)
class Trajectories:
    """The recorded numbers of m runs, one run after the other, each in order of iterations.

    Attributes
    ----------
    column, t, loss, gap, distance_squared : ndarray, shape (N,)
        Number of the run, iteration, L(w_t), L(w_t) − L(w*) and ‖w_t − w*‖².
    invariant : ndarray, shape (N,)
        `Method.invariant`; nan if the method has none.
    step_size, momentum, restarts : ndarray, shape (N,)
        What the run chose for the step from w_t, and how often it has restarted; nan if it does
        not.
    rows : list of slice
        The rows of each run.
    first, last : ndarray, shape (m,)
        Index of the first and the last row of each run.
    to_tolerance : ndarray, shape (m,)
        First iteration with gap <= tolerance * initial gap; −1 if there was none.
    reached_floor, reached_ceiling : ndarray of bool, shape (m,)
        Whether the run was stopped because the gap was rounding noise, or was about to overflow.
    """

    column: np.ndarray
    t: np.ndarray
    loss: np.ndarray
    gap: np.ndarray
    distance_squared: np.ndarray
    invariant: np.ndarray
    step_size: np.ndarray
    momentum: np.ndarray
    restarts: np.ndarray
    rows: list[slice]
    first: np.ndarray
    last: np.ndarray
    to_tolerance: np.ndarray
    reached_floor: np.ndarray
    reached_ceiling: np.ndarray

    def of_runs(self, function: np.ufunc, values: np.ndarray) -> np.ndarray:
        """Reduce the values in the rows of each run to one, as numpy.logical_or does to any."""
        return np.asarray(function.reduceat(values, self.first))

    def first_where(self, chosen: np.ndarray) -> list[int | None]:
        """Return the first iteration of each run whose row is chosen; None if none is."""
        rows = np.append(np.flatnonzero(chosen), len(chosen))
        found = rows[np.searchsorted(rows, self.first)]
        iterations = self.t[np.minimum(found, self.last)].tolist()
        return [
            t if is_one else None
            for t, is_one in zip(iterations, (found <= self.last).tolist(), strict=True)
        ]

    def table(self, values: np.ndarray, filler: float) -> np.ndarray:
        """Return the values in the rows of each run as a row of a table, filled up at its end."""
        place = np.arange(len(values)) - self.first[self.column]
        found = np.full((len(self.first), place.max() + 1), filler, values.dtype)
        found[self.column, place] = values
        return found


# What a method may choose.
CHOSEN = ("step_size", "momentum", "restarts")
# What each recorded iteration of a run has.
RECORDED = (
    *("column", "t", "loss", "gap", "distance_squared"),
    *("invariant", *CHOSEN),
)


class Recorder:
    """Watches the iteration: records what is needed, and stops runs that are finished.

    Attributes
    ----------
    latest : ndarray, shape (m, d)
        w of each run at the iteration that was recorded last.
    """

    def __init__(
        self,
        w_star: np.ndarray,
        offset: float,
        recorded: np.ndarray,
        floor: np.ndarray,
        ceiling: np.ndarray,
        tolerance: float,
    ) -> None:
        self.w_star, self.offset = w_star, offset
        self.recorded = set(recorded.tolist())
        self.floor, self.ceiling, self.tolerance = floor, ceiling, tolerance
        self.to_tolerance = np.full(len(floor), -1, dtype=np.int64)
        self.reached_floor = np.zeros(len(floor), dtype=bool)
        self.reached_ceiling = np.zeros(len(floor), dtype=bool)
        self.latest = np.tile(w_star, (len(floor), 1))
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._squares = np.empty((0, 0))

    def observe(
        self,
        iteration: int,
        runs: np.ndarray,
        W: np.ndarray,
        residual: np.ndarray,
        beside: Beside,
    ) -> np.ndarray | None:
        """Record, and return which runs have reached their floor or are about to overflow."""
        if len(self._squares) != len(residual):
            self._squares = np.empty_like(residual)
        # The residual at w* is 0, because the target is in the range of the matrix.
        np.square(residual, out=self._squares)
        gap = np.add.reduce(self._squares, axis=1)[: len(runs)]
        if iteration == 0:
            self.wanted = self.tolerance * gap
            self._attend(runs)
        leaving = None
        np.less(self.lower, gap, out=self._above)
        np.less(gap, self.upper, out=self._below)
        # Comparing bytes takes a tenth of the time of `numpy.all`.
        if self._within.tobytes() != self._usual:
            reached = (gap <= self.wanted[runs]) & (self.to_tolerance[runs] < 0)
            self.to_tolerance[runs[reached]] = iteration
            self.reached_floor[runs] = gap <= self.floor[runs]
            self.reached_ceiling[runs] = gap >= self.upper
            leaves = self.reached_floor[runs] | self.reached_ceiling[runs]
            self._attend(runs[~leaves])
            # Most runs only reach the tolerance here, and then nothing has to be moved.
            leaving = leaves if leaves.any() else None
        if iteration in self.recorded:
            self._record(iteration, runs, W, gap, beside, slice(None))
        elif leaving is not None:
            self._record(iteration, runs, W, gap, beside, leaving)
        return leaving

    def _attend(self, runs: np.ndarray) -> None:
        """Note the range of gaps within which nothing has to be done for the remaining runs."""
        wanted = np.where(self.to_tolerance[runs] < 0, self.wanted[runs], 0.0)
        self.lower = np.maximum(wanted, self.floor[runs])
        self.upper = self.ceiling[runs]
        self._within = np.empty((2, len(runs)), dtype=bool)
        self._above, self._below = self._within
        self._usual = b"\x01" * self._within.size

    def _record(
        self,
        iteration: int,
        runs: np.ndarray,
        W: np.ndarray,
        gap: np.ndarray,
        beside: Beside,
        rows: Any,
    ) -> None:
        count, away = len(runs), W - self.w_star
        self.latest[runs[rows]] = W[:count][rows]
        distance = np.add.reduce(np.square(away), axis=1)[:count][rows]
        none = np.full(count, np.nan)
        invariant = beside.invariant(away)[:count] if beside.invariant else none
        chosen = beside.chosen()
        numbers = [chosen.get(name, none)[:count] for name in CHOSEN]
        runs, gap, *more = (each[rows] for each in (runs, gap, invariant, *numbers))
        loss, t = gap + self.offset, np.full(len(runs), iteration)
        self._rows.append((runs, t, loss, gap, distance, *more))

    def trajectories(self) -> Trajectories:
        """Return what was recorded; to be called after the iteration."""
        columns = [np.concatenate(parts) for parts in zip(*self._rows, strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        recorded: dict[str, Any] = {
            name: values[order] for name, values in zip(RECORDED, columns, strict=True)
        }
        column = recorded["column"]
        ends = np.searchsorted(column, np.arange(len(self.floor)), side="right")
        first = np.append(0, ends[:-1])
        return Trajectories(
            **recorded,
            rows=[slice(start, end) for start, end in zip(first, ends, strict=True)],
            first=first,
            last=ends - 1,
            to_tolerance=self.to_tolerance,
            reached_floor=self.reached_floor,
            reached_ceiling=self.reached_ceiling,
        )
