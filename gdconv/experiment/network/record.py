"""What is recorded while networks are trained, and where their sharpness crosses its threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gdconv.experiment.network.training import Checkpoint, Coefficients, Setting, Training
from gdconv.problems.network.model import Sharpness, dead_units

# A run whose loss is this many times that at the start, or 1, has diverged: the squares of its
# numbers are still floats.
CEILING = 1e60
# The sharpness is looked at after so many iterations, at first more often, for crossings. What is
# recorded does not matter. So a crossing is found that lasts only for a while.
LOOKS, DENSE = 50, 16
# A loss has risen if it is larger by more than this part, which rounding does not make up.
RISE = 1e-12


class Row(NamedTuple):
    """A recorded iteration of a run; nan where a number does not fit into a float."""

    t: int
    loss: float
    gradient_norm: float
    sharpness: float
    w: np.ndarray


@dataclass
class Record:
    """What was recorded of m runs.

    Attributes
    ----------
    rows : list of list of Row
        Those of each run, in the order of iterations.
    crossing, rise : list of int or None
        Of each run the first iteration at which the sharpness is at its threshold or above, and
        the first one whose loss is larger than the one before.
    diverged : ndarray of bool
    dead : list of int or None
        Units without gradient at the end; None unless ReLU.
    """

    rows: list[list[Row]]
    crossing: list[int | None]
    rise: list[int | None]
    diverged: np.ndarray
    dead: list[int | None] = field(default_factory=list)


class Recorder:
    """Trains m runs, and records them."""

    def __init__(self, setting: Setting, coefficients: Coefficients, threshold: np.ndarray) -> None:
        runs = len(threshold)
        self.setting, self.coefficients, self.threshold = setting, coefficients, threshold
        shape = setting.samples.shape(setting.problem.hidden or 0)
        self.shape = shape
        self.sharpness = Sharpness(setting.problem, shape, setting.samples)
        self.training = Training(setting, coefficients)
        rows: list[list[Row]] = [[] for _ in range(runs)]
        self.found = Record(rows, [None] * runs, [None] * runs, np.zeros(runs, dtype=bool))
        # Since the sharpness was looked at: where each run was, and what was drawn.
        self._before: list[Checkpoint] = []
        self._drawn: list[np.ndarray | None] = []
        self._next = 0

    def follow(self, recorded: np.ndarray, draws: Iterator[np.ndarray] | None) -> Record:
        """Train up to the last recorded iteration.

        Parameters
        ----------
        recorded : ndarray of int
            In order, 0 among them.
        draws : iterator of ndarray, optional
            The samples of each iteration's batch, for a method that draws them.
        """
        wanted, last = set(recorded.tolist()), int(recorded[-1])
        previous = np.full(len(self.threshold), np.inf)
        with np.errstate(all="ignore"):
            while True:
                if self.training.t in wanted:
                    self._record()
                if self.training.t in (self._next, last):
                    self._look()
                if self.training.t == last or self.found.diverged.all():
                    break
                drawn = None if draws is None else next(draws)
                t = self.training.t
                losses = self.training.step(drawn)
                self._drawn.append(drawn)
                if draws is None:
                    self._watch(t, losses, previous)
                self._leave(t, losses, previous)
                np.copyto(previous, losses)
        problem, samples = self.setting.problem, self.setting.samples
        self.found.dead = [
            dead_units(problem, self.shape, samples, rows[-1].w) for rows in self.found.rows
        ]
        return self.found

    def _watch(self, t: int, losses: np.ndarray, previous: np.ndarray) -> None:
        """Note which losses have risen."""
        for run in np.flatnonzero(losses > previous * (1 + RISE)):
            if self.found.rise[run] is None:
                self.found.rise[run] = t

    def _leave(self, t: int, losses: np.ndarray, previous: np.ndarray) -> None:
        """Stop the runs whose loss has become too large, after noting it."""
        if t == 0:
            self.ceiling = CEILING * np.maximum(losses, 1.0)
        over = ~(losses <= self.ceiling) & ~self.found.diverged
        for run in np.flatnonzero(over).tolist():
            finite = bool(np.isfinite(losses[run]))
            number, loss = (t, losses[run]) if finite else (t - 1, previous[run])
            rows = self.found.rows[run]
            if number > rows[-1].t:
                nothing = np.full(self.shape.parameters, np.nan)
                rows.append(Row(number, float(loss), np.nan, np.nan, nothing))
            self.found.diverged[run] = True
            self.training.stop(np.array([run]))
        losses[self.found.diverged] = 0.0

    def _record(self) -> None:
        """Record all runs that have not diverged."""
        training, found = self.training, self.found
        losses, gradients = training.at_iterate()
        for run in np.flatnonzero(~found.diverged).tolist():
            w = training.iterate[run].copy()
            norm = float(np.linalg.norm(gradients[run]))
            row = Row(training.t, float(losses[run]), norm, self.sharpness(w), w)
            found.rows[run].append(row)

    def _look(self) -> None:
        """Look for crossings since the last time."""
        training, found = self.training, self.found
        for run in np.flatnonzero(~found.diverged).tolist():
            if found.crossing[run] is None:
                # The sharpness takes long, and is known if this iteration was recorded.
                last = found.rows[run][-1]
                known = last.t == training.t
                sharpness = last.sharpness if known else self.sharpness(training.iterate[run])
                if sharpness >= self.threshold[run]:
                    found.crossing[run] = self._first_crossing(run) if training.t else 0
        self._before = [training.saved(run) for run in range(len(self.threshold))]
        self._drawn = []
        self._next = training.t + max(1, min(LOOKS, training.t // DENSE))

    def _first_crossing(self, run: int) -> int:
        """Bisect the iterations since the last look, at which the sharpness was lower."""
        of_run = {name: values[run : run + 1] for name, values in self.coefficients.items()}
        one = Training(self.setting, of_run)
        low, start, high = self._before[run], self._before[run].t, self.training.t
        while high - low.t > 1:
            one.go_on_from(low)
            for t in range(low.t, (low.t + high) // 2):
                one.step(self._drawn[t - start])
            if self.sharpness(one.iterate[0]) >= self.threshold[run]:
                high = one.t
            else:
                low = one.saved(0)
        return high
