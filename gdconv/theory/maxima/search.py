"""The least iteration at which the largest p_t² is small enough."""

from __future__ import annotations

import numpy as np

from gdconv.theory.recurrence import Recurrence

# Up to so many iterations every one is tried, and so many of those that may suffice.
SHORT, LONGEST = 64, 10_000
_AT_ONCE = 100_000


class Enclosed(Recurrence):
    """A recurrence whose maxima are known for any iteration, from closed forms.

    A subclass supplies `enclosed`, `attained` and `surely`.
    """

    def enclosed(
        self, column: np.ndarray, t: np.ndarray, weigh: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and, if asked for, of max λ p_t²."""
        raise NotImplementedError

    def maxima(self, column: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and max λ p_t², for run column[k] at iteration t[k]."""
        return self.enclosed(column, t, weigh=True)

    def iterations_to(self, reduction: float) -> np.ndarray:
        """The least t >= 1 with max p_t² <= reduction, shape (m,); inf if there is none.

        Where p_t oscillates, its maximum may be small for a time before it stays small. This is
        looked for at the first SHORT iterations, where an unstable method may shrink the error too,
        and, of those that `surely` does not exclude, at LONGEST early ones and as many late ones.
        """
        found = self._enough(reduction)
        start, end = np.ones(self.runs), np.minimum(found, SHORT + 1.0)
        stable = np.flatnonzero(np.isfinite(found))
        end[stable] = self._early(stable, end[stable], found[stable], reduction)
        found = self._least(start, end, found, reduction)
        late = found[stable]
        start[stable] = np.maximum(self._late_start(stable, late, reduction), late - LONGEST)
        end[stable] = late
        return self._least(start, end, found, reduction)

    def _enough(self, reduction: float) -> np.ndarray:
        """An iteration that suffices for each run, while the one before does not; inf if none."""
        runs = np.flatnonzero(self.log_contraction() < 0)
        low, high = np.zeros(len(runs)), np.ones(len(runs))
        more = np.arange(len(runs))
        while len(more := more[~self._suffices(runs[more], high[more], reduction)]):
            low[more] = high[more]
            high[more] *= 2
        # Of large whole numbers not all are floats.
        while len(apart := np.flatnonzero(high - low > np.maximum(1, np.spacing(low)))):
            middle = np.floor((low[apart] + high[apart]) / 2)
            suffices = self._suffices(runs[apart], middle, reduction)
            high[apart[suffices]] = middle[suffices]
            low[apart[~suffices]] = middle[~suffices]
        found = np.full(self.runs, np.inf)
        found[runs] = high
        return found

    def _early(
        self, runs: np.ndarray, end: np.ndarray, enough: np.ndarray, reduction: float
    ) -> np.ndarray:
        """The end of the early iterations that `surely` does not exclude, about doubled."""
        end, open_ = end.copy(), np.arange(len(runs))
        while len(open_ := open_[(end[open_] < enough[open_]) & (end[open_] <= LONGEST)]):
            open_ = open_[self.surely(runs[open_], end[open_]) <= reduction]
            end[open_] = np.minimum(2 * end[open_], enough[open_])
        return end

    def _late_start(self, runs: np.ndarray, enough: np.ndarray, reduction: float) -> np.ndarray:
        """The start of the iterations before `enough` that `surely` does not exclude, or before."""
        start, step = np.maximum(enough - 1, 1), 1
        open_ = np.arange(len(runs))
        while len(open_ := open_[start[open_] > 1]):
            open_ = open_[self.surely(runs[open_], start[open_]) <= reduction]
            step *= 2
            start[open_] = np.maximum(start[open_] - step, 1)
        return start

    def _least(
        self, start: np.ndarray, end: np.ndarray, otherwise: np.ndarray, reduction: float
    ) -> np.ndarray:
        """The least t with start <= t < end that suffices, for each run."""
        found, at = otherwise.copy(), start.copy()
        open_ = np.flatnonzero(at < end)
        while len(open_):
            length = np.minimum(end[open_] - at[open_], max(1, _AT_ONCE // len(open_))).astype(int)
            column = np.repeat(open_, length)
            before = np.repeat(np.cumsum(length) - length, length)
            t = at[column] + (np.arange(len(column)) - before)
            suffices = self._suffices(column, t, reduction)
            np.minimum.at(found, column[suffices], t[suffices])
            at[open_] += length
            open_ = open_[(at[open_] < end[open_]) & ~(found[open_] < at[open_])]
        return found

    def _suffices(self, column: np.ndarray, t: np.ndarray, reduction: float) -> np.ndarray:
        """Whether max p_t² <= reduction."""
        suffices = self.attained(column, t) <= reduction
        maybe = np.flatnonzero(suffices)
        suffices[maybe] = self.reaches(column[maybe], t[maybe], reduction)
        return suffices

    def reaches(self, column: np.ndarray, t: np.ndarray, reduction: float) -> np.ndarray:
        """Whether the upper bound of max p_t² is at most a number; it may be known sooner."""
        return self.enclosed(column, t, weigh=False)[0] <= reduction

    def attained(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """A value of p_t² in the interval."""
        raise NotImplementedError

    def surely(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """A lower bound of max p_t² that falls with t, after the first few iterations."""
        raise NotImplementedError
