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
|p_t| falls up to the first zero and rises after the last one, and between two neighbouring zeros
p_t² has one peak (`concave`). Let ψ = tθ + φ be the phase and A² = b^t (1 + g²) the *amplitude* of
p_t², or A² = x b^t (1 + g²) that of x p_t². With L = d ln A/dθ, the peaks are where

    ψ − arctan(L/ψ') = (k + ½) π,        k π < ψ < (k + 1) π.

Up to one angle A falls, and then it rises; in Nesterov's method A² falls only, or falls, rises and
falls. On the way down a peak is higher than all that follow, on the way up than all before. So a
maximum over an interval is at an end of it, at the first or the last peak, or at a peak beside the
angle at which Nesterov's A² of x p_t² is largest. The peak of x p_t² before the first zero may lie
below the edges; it is looked for in x.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gdconv.theory.maxima.concave import around, before_first_zero, crossing, highest
from gdconv.theory.maxima.search import Enclosed
from gdconv.theory.recurrence import squared
from gdconv.theory.roots import Roots

# So many pairs of run and iteration are bounded at a time, which limits the memory.
AT_ONCE = 20_000
# Steps of Newton's method to the first zero.
STEPS = 12
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
        left, right = np.maximum(low, lower), np.minimum(high, upper)
        inside = np.flatnonzero((left < right) & (pairs.t > 0))
        angles = self._angle(np.array([left, right])[:, inside], pairs.momentum[inside])
        # What no value inside exceeds.
        most = np.fmin(*self._limits(angles, pairs.some(inside))).max(axis=0)
        found = [(square, most, False)]
        if weigh:
            weighted = np.maximum(weighted, self._before_first_zero(low, high, pairs))
            found.append((weighted, right[inside] * most, True))
        for values, limit, is_weighted in found:
            open_ = limit > np.maximum(values[inside], 0.0 if is_weighted else reduction)
            some = inside[open_]
            peaks = self._peaks(angles[:, open_], limit[open_], pairs.some(some), is_weighted)
            values[some] = np.maximum(values[some], peaks)
        return square, weighted

    def _before_first_zero(self, low: np.ndarray, high: np.ndarray, pairs: Pairs) -> np.ndarray:
        """The bound of x p_t² at its peak before the first zero; 0 where it has none."""
        angle = np.zeros_like(pairs.t)
        for _ in range(STEPS):
            phase, speed, _ = self._phase(angle, pairs)
            # The phase rises less and less on the way, so it is never beyond π.
            angle = np.minimum(angle + (np.pi - phase) / speed, np.pi / 2 if self.ahead else np.pi)
        end = np.minimum(high, self._at_angle(angle, pairs.momentum))
        some = np.flatnonzero((low < end) & (pairs.t > 0))
        pairs, found = pairs.some(some), np.zeros_like(low)
        found[some] = before_first_zero(
            lambda x, index: self._squared(x, pairs.some(index)),
            *(low[some], end[some], (1 - pairs.momentum) / (2 * pairs.t)),
        )
        return found

    def _peaks(
        self, angles: np.ndarray, limit: np.ndarray, pairs: Pairs, weigh: bool
    ) -> np.ndarray:
        """The bound of p_t² or x p_t² at its peaks between two angles; 0 where it has none.

        limit is a bound that is known.
        """
        first, last = angles
        count = [self._count(each, pairs, weigh) for each in angles]
        numbers = [np.ceil(count[0])]
        if not self.ahead:
            numbers.append(np.floor(count[1]))
        elif weigh:
            middle = self._count(self._most_weighted(first, last, pairs), pairs, weigh)
            numbers += [np.floor(middle), np.ceil(middle)]
        number = np.maximum(numbers, 1.0)
        # There are (t − 1)/2 peaks up to Nesterov's upper edge, and t − 1 of heavy ball, or fewer.
        most = np.ceil((pairs.t + 1) / 2) - 1 if self.ahead else pairs.t - 1
        there = (count[0] <= number) & (number <= np.minimum(count[1], most))
        part = (number - count[0]) / (count[1] - count[0])
        start = first + np.where(there, part, 0.5) * (last - first)
        slope = np.broadcast_to(pairs.t / np.pi, number.shape)
        angle = crossing(
            lambda at: np.where(there, self._count(at, pairs, weigh) - number, 0.0),
            *(first, last, start, slope),
        )
        _, speed, lean = self._phase(angle, pairs, weigh)
        near = around(angle, 1 / np.hypot(speed, lean))
        values = self._swings(near, pairs, weigh)
        return np.max(np.where(there, highest(values, limit), 0.0), axis=0)

    def _phase(
        self, angle: np.ndarray, pairs: Pairs, weigh: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ψ, ψ' and L."""
        momentum, cosine, sine = pairs.momentum, np.cos(angle), np.sin(angle)
        towards, part = self._towards(cosine, pairs), self._part(pairs)
        size = sine**2 + towards**2
        # ψ' − t, for g sin θ = part cos θ − another number.
        turning = (part * sine**2 + towards * cosine) / size
        lean = sine * (cosine - part * towards) / size - cosine / sine
        if self.ahead:
            lean -= pairs.t * sine / cosine
        if weigh:
            slope = self._width(momentum) * sine * (cosine if self.ahead else 0.25)
            lean += slope / self._at_angle(angle, momentum)
        return pairs.t * angle + np.arctan2(sine, towards), pairs.t + turning, lean

    def _count(self, angle: np.ndarray, pairs: Pairs, weigh: bool) -> np.ndarray:
        """The number of peaks up to an angle; it is a whole number at a peak only."""
        phase, speed, lean = self._phase(angle, pairs, weigh)
        return (phase - np.arctan(lean / speed)) / np.pi - 0.5

    def _swings(self, angle: np.ndarray, pairs: Pairs, weigh: bool) -> np.ndarray:
        """p_t² or x p_t² between the edges."""
        cosine, sine = np.cos(angle), np.sin(angle)
        towards = self._towards(cosine, pairs)
        turned = np.sin(pairs.t * angle + np.arctan2(sine, towards))
        values = (1 + (towards / sine) ** 2) * turned**2 * self._shrunk(cosine, pairs)
        return values * self._at_angle(angle, pairs.momentum) if weigh else values

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
        whole = (pairs.first == 1) & (not self.ahead)
        return self._part(pairs) * cosine - np.where(whole, np.sqrt(pairs.momentum), 0.0)

    def _part(self, pairs: Pairs) -> np.ndarray:
        """The factor of cos θ in it."""
        whole = (pairs.first == 1) & (not self.ahead)
        return np.where(whole, 1.0, (1 - pairs.momentum) / (1 + pairs.momentum))

    def _shrunk(self, cosine: np.ndarray, pairs: Pairs) -> np.ndarray:
        """b^t."""
        momentum = pairs.momentum
        if self.ahead:
            momentum = (2 * momentum / (1 + momentum) * cosine) ** 2
        return momentum**pairs.t


def _envelopes(
    towards: np.ndarray, sine: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """1 + g² and (1 + t |g| sin θ)²; each times b^t bounds p_t²."""
    # The sine of the float π is not 0.
    amplitude = np.where(sine > 1e-15, 1 + (towards / sine) ** 2, np.inf)
    return amplitude, (1 + t * np.abs(towards)) ** 2
