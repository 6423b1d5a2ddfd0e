"""The theory of gradient descent with a constant momentum β, in closed forms: for any iteration.

Let η be the step size and x = ηλ. Along an eigenvector, for heavy ball and for Nesterov's method,

    heavy ball:   e_{t+1} − e_t = β (e_t − e_{t−1}) − x e_t
    Nesterov:     e_{t+1} − e_t = β (1 − x) (e_t − e_{t−1}) − x e_t,

and p_t follows from the roots of a quadratic equation (`gdconv.theory.roots`). They are complex for
x between two edges, where √b is their absolute value and θ their angle. There

    p_t = b^{t/2} (cos tθ + g sin tθ) = b^{t/2} √(1 + g²) sin(tθ + φ),          cot φ = g,
    |p_t| <= b^{t/2} min(√(1 + g²), 1 + t |g| sin θ).

    heavy ball:   x = (1 − √β)² + 4 √β sin²(θ/2),   b = β,          0 <= θ <= π
       with the first step η:           g = (cos θ − √β)/sin θ
       with the first step η/(1 + β):   g = (1 − β)/(1 + β) cot θ
    Nesterov:     x = ((1 − β)² + 4 β sin²θ)/(1 + β)²,   b = β (1 − x),   0 <= θ <= π/2
                                        g = (1 − β)/(1 + β) cot θ

*Maxima over an interval of x.* All zeros of p_t are between the edges, or at the upper edge. So
|p_t| falls up to the first zero and rises after the last one. Between the edges, the *amplitude*
b^t (1 + g²) falls up to one point, and then rises. So p_t² is largest at an end of the interval, or
within half a period of sin(tθ + φ) from an end of the part between the edges. That stretch is cut
into CELLS parts; each has a bound from the amplitude at its ends and the range of sin². The same
holds for x p_t², except that for Nesterov's method its amplitude may have a maximum inside, around
which there are cells too. Below the edges see `recurrence.weighted_below`.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gdconv.theory.recurrence import Enclosed, squared, weighted_below
from gdconv.theory.roots import Roots

CELLS = 32
# So many pairs of run and iteration are bounded at a time, which limits the memory.
AT_ONCE = 20_000
# A bound that is at most this much above a value that is attained needs no cells.
CLOSE = 1.02
_quiet = np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


class Pairs(NamedTuple):
    """Some pairs of a run and an iteration t; arrays that broadcast."""

    momentum: np.ndarray
    first: np.ndarray
    t: np.ndarray

    def some(self, index: np.ndarray) -> Pairs:
        """Those at an index."""
        return Pairs(self.momentum[index], self.first[index], self.t[index])


class Momentum(Enclosed):
    """What theory knows of m runs with a constant momentum.

    Parameters
    ----------
    ahead : bool
        Whether the gradient is taken ahead, as in Nesterov's method.
    """

    def __init__(self, *arguments: Any, ahead: bool) -> None:
        super().__init__(*arguments)
        self.ahead = ahead
        self.step_size, self.momentum = (self.coefficients[n] for n in ("step_size", "momentum"))
        self.first = self.coefficients.get("first", np.ones(self.runs))

    def follows_invariant(self) -> np.ndarray:
        """Whether all roots of heavy ball are complex, or double; then all have the size √β."""
        roots = self._roots_late
        return (roots.is_complex | (roots.apart == 0)).all(axis=0) & (not self.ahead)

    @_quiet
    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap of run column[k] at iteration t[k], given ½ λ_i c_i² of shape (r,)."""
        gap = np.zeros(len(t))
        for eigenvalue, share in zip(self.eigenvalues, shares, strict=True):
            roots = self._roots(self.step_size * eigenvalue, self.momentum, self.first)
            p = roots[column].polynomial(t)
            gap += squared(share, p, p**2)
        return gap

    @_quiet
    def polynomials(self, values: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """|p_t| at some λ, for run column[k] at iteration t[k]; shape (len(t), len(values))."""
        coefficients = self.step_size, self.momentum, self.first
        step_size, momentum, first = (each[column][:, None] for each in coefficients)
        return np.abs(self._roots(step_size * values, momentum, first).polynomial(t[:, None]))

    @_quiet
    def enclosed(
        self, column: np.ndarray, t: np.ndarray, weigh: bool, reduction: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and, if asked for, of max λ p_t².

        A bound of max p_t² that is below a reduction is not made any closer.
        """
        parts = []
        for start in range(0, max(len(t), 1), AT_ONCE):
            runs = column[start : start + AT_ONCE]
            pairs = self._pairs(runs, t[start : start + AT_ONCE])
            parts.append(self._of_interval(runs, pairs, weigh, reduction))
        square, weighted = (np.concatenate(part) for part in zip(*parts, strict=True))
        return square, weighted / self.step_size[column]

    def reaches(self, column: np.ndarray, t: np.ndarray, reduction: float) -> np.ndarray:
        """Whether the upper bound of max p_t² is at most a number."""
        return self.enclosed(column, t, weigh=False, reduction=reduction)[0] <= reduction

    @_quiet
    def attained(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The larger p_t² of the two ends."""
        return self._at_ends(column, t).max(axis=0)

    @_quiet
    def surely(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The amplitude half a period from an end: before, sin² is 1 somewhere."""
        pairs = self._pairs(column, t)
        low, high = np.outer(self.eigenvalues[[-1, 0]], self.step_size[column])
        lower, upper = self._edges(pairs.momentum)
        at_ends = self._at_ends(column, t)
        found = np.where([low <= lower, high >= upper], at_ends, 0.0)
        ends = np.array([np.maximum(low, lower), np.minimum(high, upper)])
        first, last = self._angle(ends, pairs.momentum)
        away = np.pi / pairs.t
        # Where the amplitude is least; of Nesterov's method that is the last angle.
        full = (pairs.first == 1) & (not self.ahead)
        calm = np.arccos(np.where(full, np.sqrt(pairs.momentum), 0.0))
        angles = np.array([first + away, last - away])[: 2 - self.ahead]
        falls = np.array([first + away < calm, last - away > calm])[: 2 - self.ahead]
        amplitude, _ = self._limits(angles, pairs)
        inside = (first <= angles) & (angles <= last) & falls
        # After very many iterations an amplitude may be 0 · inf.
        return np.fmax.reduce(np.vstack([found, np.where(inside, amplitude, 0.0)]))

    def _pairs(self, column: np.ndarray, t: np.ndarray) -> Pairs:
        return Pairs(self.momentum[column], self.first[column], np.asarray(t, dtype=float))

    @cached_property
    def _roots_at_ends(self) -> Roots:
        """The roots at λ⁺min and λmax, shape (2, m)."""
        ends = np.outer(self.eigenvalues[[-1, 0]], self.step_size)
        return self._roots(ends, self.momentum, self.first)

    def _at_ends(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """p_t² at λ⁺min and λmax."""
        return self._roots_at_ends[:, column].polynomial(t) ** 2

    def _of_interval(
        self, column: np.ndarray, pairs: Pairs, weigh: bool, reduction: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The bounds for λ⁺min <= λ <= λmax, in terms of x = ηλ."""
        low, high = ends = np.outer(self.eigenvalues[[-1, 0]], self.step_size[column])
        values = self._at_ends(column, pairs.t)
        square, weighted = values.max(axis=0), (ends * values).max(axis=0)
        lower, upper = self._edges(pairs.momentum)
        edge = np.minimum(high, lower)
        if weigh and (slow := low < edge).any():
            some = pairs.some(slow)
            guess = (1 - some.momentum) / (2 * np.maximum(some.t, 1))
            bound = weighted_below(lambda x: self._squared(x, some), low[slow], edge[slow], guess)
            weighted[slow] = np.maximum(weighted[slow], bound)
        left, right = np.maximum(low, lower), np.minimum(high, upper)
        inside = np.flatnonzero((left < right) & (pairs.t > 0))
        angles = self._angle(np.array([left, right])[:, inside], pairs.momentum[inside])
        # Without cells, the bounds are the larger amplitude of both ends.
        most = np.fmin(*self._limits(angles, pairs.some(inside))).max(axis=0)
        found = most, right[inside] * most
        loose = most > np.maximum(CLOSE * square[inside], reduction)
        if weigh:
            loose |= found[1] > CLOSE * weighted[inside]
        if loose.any():
            cells = self._between(angles[:, loose], pairs.some(inside[loose]))
            for coarse, fine in zip(found, cells, strict=True):
                coarse[loose] = np.minimum(coarse[loose], fine)
        square[inside] = np.maximum(square[inside], found[0])
        weighted[inside] = np.maximum(weighted[inside], found[1])
        return square, weighted

    def _between(self, angles: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """The bounds between two angles, shape (2, k), from cells next to them."""
        first, last = angles
        half_period = np.pi / pairs.t
        offsets = np.arange(CELLS + 1)[:, None] / CELLS * half_period
        stretches = [np.minimum(first + offsets, last)]
        if self.ahead:
            stretches = [np.minimum(first + _falling(first, pairs.t), last)]
            most = self._most_weighted(first, last, pairs)
            around = most + 2 * offsets - half_period
            stretches += [np.clip(around, stretches[0][-1], last), last[None]]
        else:
            stretches.append(np.maximum(last - offsets, first)[::-1])
        square = weighted = np.zeros(len(first))
        for angle in stretches:
            bound = self._of_cells(angle, pairs)
            x = self._at_angle(angle, pairs.momentum)
            square = np.maximum(square, bound.max(axis=0, initial=0.0))
            weighted = np.maximum(weighted, (x[1:] * bound).max(axis=0, initial=0.0))
        # In what is left between two stretches, the amplitude is largest at an end of it.
        for left, right in pairwise(stretches):
            gap = np.array([left[-1], right[0]])
            bound = np.where(gap[0] < gap[1], self._limits(gap, pairs)[0], 0.0)
            square = np.maximum(square, bound.max(axis=0))
            x = self._at_angle(gap, pairs.momentum)
            weighted = np.maximum(weighted, (x * bound).max(axis=0))
        return square, weighted

    def _of_cells(self, angle: np.ndarray, pairs: Pairs) -> np.ndarray:
        """A bound of p_t² between each angle and the next one, shape (CELLS, k)."""
        cosine, sine = np.cos(angle), np.sin(angle)
        towards = self._towards(cosine, pairs)
        amplitude, straight = _envelopes(towards, sine, pairs.t)
        phase = pairs.t * angle + np.arctan2(sine, towards)
        turns = np.sin(phase) ** 2
        peak = np.ceil(phase[:-1] / np.pi - 0.5) <= np.floor(phase[1:] / np.pi - 0.5)
        turned = np.where(peak, 1.0, _larger(turns))
        bound = np.minimum(_larger(amplitude) * turned, _larger(straight))
        # Before the first zero and after the last one, |p_t| is monotone.
        values = np.where(np.isfinite(amplitude), amplitude * turns, straight)
        bound = np.where(phase[1:] <= np.pi, values[:-1], bound)
        bound = np.where(phase[:-1] >= np.pi * pairs.t, values[1:], bound)
        return bound * self._shrunk(cosine[:-1], pairs)

    def _limits(self, angle: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """b^t (1 + g²) and b^t (1 + t |g| sin θ)² at some angles."""
        cosine = np.cos(angle)
        found = _envelopes(self._towards(cosine, pairs), np.sin(angle), pairs.t)
        shrunk = self._shrunk(cosine, pairs)
        return found[0] * shrunk, found[1] * shrunk

    def _most_weighted(self, first: np.ndarray, last: np.ndarray, pairs: Pairs) -> np.ndarray:
        """The angle between two at which Nesterov's amplitude of x p_t² is largest inside."""
        ends = (1 + pairs.momentum) ** 2, (1 - pairs.momentum) ** 2
        half = (ends[0] + (2 + pairs.t) * ends[1]) / 2
        under = np.maximum(half**2 - 2 * (1 + pairs.t) * ends[0] * ends[1], 0)
        x = (half + np.sqrt(under)) / ((1 + pairs.t) * ends[0])
        return np.clip(self._angle(x, pairs.momentum), first, last)

    def _roots(self, x: np.ndarray, momentum: np.ndarray, first: np.ndarray) -> Roots:
        return Roots(momentum * (1 - x) if self.ahead else momentum, x, first * x)

    def _squared(self, x: np.ndarray, pairs: Pairs) -> np.ndarray:
        """p_t² at x."""
        return self._roots(x, pairs.momentum, pairs.first).polynomial(pairs.t) ** 2

    def _edges(self, momentum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of x between which the roots are complex."""
        if self.ahead:
            return ((1 - momentum) / (1 + momentum)) ** 2, np.ones_like(momentum)
        root = np.sqrt(momentum)
        return ((1 - momentum) / (1 + root)) ** 2, (1 + root) ** 2

    def _width(self, momentum: np.ndarray) -> np.ndarray:
        """x at the angle θ is the lower edge plus this times sin²θ, or sin²(θ/2) for heavy ball."""
        return 4 * momentum / (1 + momentum) ** 2 if self.ahead else 4 * np.sqrt(momentum)

    def _angle(self, x: np.ndarray, momentum: np.ndarray) -> np.ndarray:
        """θ at x, from 0 at the lower edge to π, or to π/2 for Nesterov's method."""
        lower, upper = self._edges(momentum)
        width = self._width(momentum)
        low, high = (
            np.arcsin(np.sqrt(np.clip(each / width, 0, 1))) for each in (x - lower, upper - x)
        )
        angle = np.where(low < 0.8, low, np.pi / 2 - high)
        return angle if self.ahead else 2 * angle

    def _at_angle(self, angle: np.ndarray, momentum: np.ndarray) -> np.ndarray:
        """x at θ, the inverse of `_angle`."""
        sine = np.sin(angle if self.ahead else angle / 2)
        return self._edges(momentum)[0] + self._width(momentum) * sine**2

    def _towards(self, cosine: np.ndarray, pairs: Pairs) -> np.ndarray:
        """g sin θ."""
        momentum = pairs.momentum
        turned = (1 - momentum) / (1 + momentum) * cosine
        if self.ahead:
            return turned
        return np.where(pairs.first == 1, cosine - np.sqrt(momentum), turned)

    def _shrunk(self, cosine: np.ndarray, pairs: Pairs) -> np.ndarray:
        """b^t."""
        momentum = pairs.momentum
        if self.ahead:
            momentum = (2 * momentum / (1 + momentum) * cosine) ** 2
        return momentum**pairs.t


def _falling(first: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Offsets from an angle up to half a period, close together where Nesterov's b^t falls.

    There b is proportional to cos² θ, so b^t falls by the factor e^−2 in about 1/(t tan θ).
    """
    half_period = np.pi / t
    near = np.minimum(4 / (t * np.maximum(np.tan(first), 1e-9)), half_period)
    steps = np.arange(1, CELLS // 2 + 1)[:, None] / (CELLS // 2)
    beyond = near * (half_period / near) ** steps
    return np.concatenate([np.arange(2 * CELLS + 1)[:, None] / (2 * CELLS) * near, beyond])


def _envelopes(
    towards: np.ndarray, sine: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """1 + g² and (1 + t |g| sin θ)²; each times b^t bounds p_t²."""
    # The sine of the float π is not 0.
    amplitude = np.where(sine > 1e-15, 1 + (towards / sine) ** 2, np.inf)
    return amplitude, (1 + t * np.abs(towards)) ** 2


def _larger(values: np.ndarray) -> np.ndarray:
    """The larger one of each value and the next one."""
    return np.maximum(values[:-1], values[1:])
