"""The largest values of p_t for Nesterov's method with the momentum (t − 1)/(t + 2).

With x = step_size λ <= 1 and x = sin² φ, and P_t Legendre's polynomial,

    p_t = 2 cos^{t+1} φ P_t'(cos φ) / (t (t + 1)).

All zeros of p_t are real and at most 1, so p_t² has one peak between two neighbouring zeros
(`concave`), and beyond x = 1 it rises. The peaks of P_t'(s)² fall with φ, and so do those of
(1 − s²) P_t'(s)², as two theorems about differential equations say: with N = (t − 1)(t + 2),

    P_t'(s)² + (1 − s²) P_t''(s)²/N                          rises with s > 0 (Sonin),
    v² + ((1 − s²) v')²/(t (t + 1) (1 − s²) − 1)             rises where v = √(1 − s²) P_t'(s) has
                                                             peaks (Sonin and Pólya).

cos^{t+1} φ falls with φ as well. So p_t² and x p_t² are largest at an end of an interval, or at the
first peak in it. Neighbouring peaks of p_t are about π/(t + 3/2) apart in φ. The first one at all,
but for t <= 2, is near 5.14/(t + 3/2), where Bessel's J_2 is 0.

p_t has no closed form that is as exact as its recurrence. So this takes as many operations as there
are iterations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gdconv.theory.maxima.concave import APART, around, highest
from gdconv.theory.recurrence import Recurrence

_STEPS = 20
_J2 = 5.135622
# Values of φ where p_t is looked at in every iteration, and iterations that are looked at closely.
_SAMPLES, _CANDIDATES = 120, 64
_quiet = np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


class Convex(Recurrence):
    """What theory knows of m runs with this momentum."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.step_size = self.coefficients["step_size"]

    @_quiet
    def maxima(self, column: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and max λ p_t², for run column[k] at iteration t[k]."""
        column, t = np.asarray(column), np.asarray(t)
        step_size = self.step_size[column]
        ends = np.outer(self.eigenvalues[[-1, 0]], step_size)
        angle = np.arcsin(np.sqrt(np.minimum(ends, 1)))
        beside = angle[0] + APART / (t + 1.5)
        p = self._polynomial(np.array([*ends, np.sin(beside) ** 2]), t)
        square = (p[:2] ** 2).max(axis=0)
        weighted = (ends * p[:2] ** 2).max(axis=0) / step_size
        some = np.flatnonzero((angle[0] < angle[1]) & (t > 0))
        # Both at once, p_t² first.
        slope = np.log(np.abs(p[2] / p[0])) / (beside - angle[0])
        slopes = np.array([slope, slope + 1 / np.tan(angle[0])])[:, some]
        peaks = self._first_peaks(angle[:, some], p[0, some], slopes, t[some])
        square[some] = np.fmax(square[some], peaks[0])
        weighted[some] = np.fmax(weighted[some], peaks[1] / step_size[some])
        return square, weighted

    def iterations_to(self, reduction: float) -> np.ndarray:
        """The least t >= 1 with max p_t² <= reduction, shape (m,); inf if it is not known.

        It is known up to the last iteration. Samples and parabolas through the three highest tell
        which iterations may suffice; for most runs the first one does.
        """
        found = np.full(self.runs, np.inf)
        column, t = self._candidates(reduction)
        if len(t):
            suffices = self.maxima(column, t)[0] <= reduction
            np.minimum.at(found, column[suffices], t[suffices])
        return found

    @_quiet
    def _first_peaks(
        self, angle: np.ndarray, p: np.ndarray, slopes: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """The bounds of p_t² and x p_t² at the first peak between two φ; 0 where there is none.

        p and slopes are p_t and the derivatives of ln |p_t| and ln |√x p_t| at the first φ.
        """
        scale = t + 1.5
        first, last = angle
        rises = slopes > 0
        # As if the slope were scale · cot of an angle that grows evenly; at a peak that is π/2.
        way = np.pi / 2 - np.arctan2(scale, slopes)
        at = first + np.where(rises, way, way + np.pi) / scale
        at[0] = np.maximum(at[0], _J2 / scale)
        low, high = np.broadcast_to(first, at.shape), np.minimum(at + 2 / scale, np.pi / 2)
        at = np.where(at < high, at, (low + high) / 2)
        sign, weigh = np.where(rises, 1.0, -1.0) * np.sign(p), np.array([[0.0], [1.0]])
        for _ in range(_STEPS):
            # Where it falls fast, peaks are sharper.
            unit = np.cos(at) / scale
            near = around(at, unit)
            found = self._polynomial(np.sin(near).reshape(6, -1) ** 2, t).reshape(near.shape)
            # Before the zero that precedes the peak, the sign is another.
            before = found[1] * sign <= 0
            logs = np.log(np.abs(found)) + weigh * np.log(np.sin(near))
            slope = (logs[2] - logs[0]) / (2 * APART * unit)
            bend = (logs[0] - 2 * logs[1] + logs[2]) / (APART * unit) ** 2
            left = before | (slope > 0)
            low, high = np.where(left, at, low), np.where(left, high, at)
            new = at - np.arctan(slope / scale) * (scale**2 + slope**2) / (scale * bend)
            new = np.where((low < new) & (new < high) & ~before, new, (low + high) / 2)
            if not (far := np.abs(new - at) > APART / 4 * unit).any():
                break
            at = np.where(far, new, at)
        values = np.exp(2 * logs)
        # |P_t'| is largest for s = 1, where p_t is 1.
        bound = highest(values, np.cos(first) ** (2 * (t + 1)))
        return np.where(before | (at > last), 0.0, bound)

    @_quiet
    def _candidates(self, reduction: float) -> tuple[np.ndarray, np.ndarray]:
        """Runs and iterations whose max p_t² may be at most a reduction: the first of each run."""
        ends = np.outer(self.eigenvalues[[-1, 0]], self.step_size)
        first, last = np.arcsin(np.sqrt(np.minimum(ends, 1)))
        offsets = np.geomspace(0.3 / (self.iterations + 2), np.pi / 2, _SAMPLES)
        angles = np.clip(first + offsets[:, None], None, np.minimum(last, np.pi / 2))
        x = np.vstack([ends[1], ends[0], np.sin(angles) ** 2])
        p, change = np.ones_like(x), np.zeros_like(x)
        left = np.full(self.runs, _CANDIDATES)
        columns, times = [], []
        for t in range(1, self.iterations + 1):
            b, c = self.rule(t - 1, x, {"step_size": 1.0})
            change = b * change - c * p
            p = p + change
            square = p**2
            maybe = np.flatnonzero((square.max(axis=0) <= reduction) & (left > 0))
            if len(maybe):
                maybe = maybe[_vertices(square[1:, maybe]) <= reduction * 1.001]
                left[maybe] -= 1
                columns.append(maybe)
                times.append(np.full(len(maybe), t))
                if not left.any():
                    break
        if not times:
            return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
        return np.concatenate(columns), np.concatenate(times)

    def _polynomial(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """p_t at x, shape (n, k), where t has shape (k,)."""
        order = np.argsort(-t, kind="stable")
        t = t[order]
        x = np.ascontiguousarray(x.T[order])
        p, change = np.ones_like(x), np.zeros_like(x)
        more = np.searchsorted(-t, -np.arange(max(t, default=0)), side="left")
        for s, rows in enumerate(more):
            b, c = self.rule(s, x[:rows], {"step_size": 1.0})
            change[:rows] = b * change[:rows] - c * p[:rows]
            p[:rows] += change[:rows]
        found = np.empty_like(p)
        found[order] = p
        return found.T


def _vertices(values: np.ndarray) -> np.ndarray:
    """The largest value of each column, or of the parabola through it and its neighbours."""
    top = np.argmax(values, axis=0)
    middle = np.clip(top, 1, len(values) - 2)
    low, at, high = (
        np.take_along_axis(values, middle[None] + step, axis=0)[0] for step in (-1, 0, 1)
    )
    rise = (high - low) ** 2 / (8 * (2 * at - low - high))
    inside = (top == middle) & (2 * at > low + high)
    return np.where(inside, at + rise, values.max(axis=0))
