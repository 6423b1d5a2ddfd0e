"""The theory of Chebyshev's method on an interval a <= λ <= b, in closed forms.

With θ = (a + b)/2, δ = (b − a)/2 and r = (√(b/a) − 1)/(√(b/a) + 1), and T_t Chebyshev's polynomial,

    p_t(λ) = T_t((θ − λ)/δ) / T_t(θ/δ),        T_t(θ/δ) = (r^t + r^−t)/2.

So |p_t| <= 1/T_t(θ/δ) = 2 r^t/(1 + r^{2t}) on the interval, and no polynomial of degree t with
p_t(0) = 1 has a smaller maximum there (Flanders and Shortley, J. Appl. Phys. 21, 1950). Outside,
|p_t| grows with the distance from the interval:

    |p_t| = q^t (1 + (r/q)^{2t})/(1 + r^{2t}),
    q = (1 + r²)/2 (|1 − λ/θ| + √((a − λ)(b − λ))/θ).

Where κ is large, r and q are so close to 1 that their logarithms have more digits. With
m = min(λ, a + b − λ), w = √(ab) and v = √((a − λ)(b − λ)),

    ln r = ln(1 − 2√a/(√a + √b)),        ln q = −ln(1 + (m + m (a + b − m)/(w + v))/(θ − m + v)).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gdconv.theory.maxima.concave import around, before_first_zero, crossing, highest
from gdconv.theory.maxima.search import Enclosed

_quiet = np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


class SemiIterative(Enclosed):
    """What theory knows of m runs of Chebyshev's method."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        names = ("lower", "upper", "ratio", "first")
        self.lower, self.upper, self.ratio, self.first = (self.coefficients[n] for n in names)

    def factors(self) -> np.ndarray:
        """r inside the interval, q outside."""
        return np.exp(self._log_factor(self.eigenvalues[:, None], slice(None)))

    def log_contraction(self) -> np.ndarray:
        """The logarithm of `contraction`, shape (m,)."""
        return np.max(self._log_factor(self.eigenvalues[:, None], slice(None)), axis=0)

    def reach(self) -> np.ndarray:
        """The first steps are longer than the later ones, and with more momentum."""
        return np.minimum(1.0, 4 * super().reach())

    @_quiet
    def enclosed(
        self, column: np.ndarray, t: np.ndarray, weigh: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and, if asked for, of max λ p_t²."""
        column, t = np.asarray(column), np.asarray(t, dtype=float)
        low, high = self.eigenvalues[-1], self.eigenvalues[0]
        lower, upper = self.lower[column], self.upper[column]
        ends = np.array([np.full_like(lower, low), np.full_like(lower, high)])
        values = np.where((ends < lower) | (ends > upper), self._highest(ends, column, t) ** 2, 0.0)
        square, weighted = values.max(axis=0), (ends * values).max(axis=0)
        ends = np.clip(ends, lower, upper)
        most = self._turned(ends, column, t) * self._highest(lower, column, t) ** 2
        meets = (lower <= high) & (upper >= low)
        square = np.maximum(square, np.where(meets, most, 0.0))
        if weigh:
            inside = self._most_weighted(ends, column, t)
            inside *= self._highest(lower, column, t) ** 2
            weighted = np.maximum(weighted, np.where(meets, inside, 0.0))
            weighted = np.maximum(weighted, self._before_first_zero(column, t))
        return square, weighted

    def _before_first_zero(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The bound of λ p_t² at its peak before the first zero; 0 where it has none."""
        lower, upper = self.lower[column], self.upper[column]
        low, high = self.eigenvalues[-1], self.eigenvalues[0]
        zero = lower + (upper - lower) * np.sin(np.pi / (4 * np.maximum(t, 1))) ** 2
        end = np.minimum(high, zero)
        some = np.flatnonzero((low < end) & (t > 0))
        column, t, found = column[some], t[some], np.zeros_like(t)
        found[some] = before_first_zero(
            lambda x, index: self._polynomial(x, column[index], t[index]) ** 2,
            *(np.full(len(some), low), end[some], 1 / (self.first[column] * t)),
        )
        return found

    def _polynomial(self, value: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """|p_t|."""
        turned = np.abs(np.cos(t * self._angle(value, column)))
        return self._highest(value, column, t) * turned

    @_quiet
    def attained(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The maximum itself."""
        return self.enclosed(column, t, weigh=False)[0]

    @_quiet
    def surely(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """As if the eigenvalues inside the interval met no maximum of T_t, unless they must."""
        ends = np.array([self.eigenvalues[[-1, 0]]] * len(column)).T
        lower, upper = self.lower[column], self.upper[column]
        outside = ((ends <= lower) | (ends >= upper)) * self._highest(ends, column, t) ** 2
        angles = [self._angle(end, column) for end in np.clip(ends, lower, upper)]
        inside = (angles[1] - angles[0] >= np.pi / t) * self._highest(lower, column, t) ** 2
        return np.maximum(outside.max(axis=0), inside)

    def _turned(self, ends: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The largest T_t² between two values inside the interval, where T_t(cos φ) = cos tφ."""
        phases = [t * self._angle(each, column) for each in ends]
        close = 1e-9
        peak = np.ceil(phases[0] / np.pi - close) <= np.floor(phases[1] / np.pi + close)
        return np.where(peak, 1.0, np.maximum(*(np.cos(phase) ** 2 for phase in phases)))

    def _most_weighted(self, ends: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The bound of λ T_t² between two values inside: at one of them, or at the last peak.

        λ rises, so each peak is higher than the one before. With L = d ln √λ/dφ the peaks are where
        tφ − arctan(L/t) is a whole number of half turns.
        """
        lower, length = self.lower[column], self.upper[column] - self.lower[column]

        def lean(angle: np.ndarray) -> np.ndarray:
            return length * np.sin(angle) / (4 * (lower + length * np.sin(angle / 2) ** 2))

        def count(angle: np.ndarray) -> np.ndarray:
            return (t * angle - np.arctan(lean(angle) / t)) / np.pi

        first, last = at_ends = np.array([self._angle(each, column) for each in ends])
        number = np.minimum(np.floor(count(last)), t - 1)
        there = (number >= 1) & (count(first) <= number)
        part = np.where(there, (number - count(first)) / (count(last) - count(first)), 0.5)
        angle = crossing(
            lambda at: np.where(there, count(at) - number, 0.0),
            *(first, last, first + part * (last - first), t / np.pi),
        )
        near = around(angle, 1 / np.hypot(t, lean(angle)))
        values = (lower + length * np.sin(near / 2) ** 2) * np.cos(t * near) ** 2
        beside = np.max(ends * np.cos(t * at_ends) ** 2, axis=0)
        return np.maximum(beside, np.where(there, highest(values, ends[1]), 0.0))

    def _angle(self, value: np.ndarray, column: np.ndarray) -> np.ndarray:
        """φ with cos φ = (θ − λ)/δ, which is 0 at a and π at b."""
        length = self.upper[column] - self.lower[column]
        parts = (value - self.lower[column], self.upper[column] - value)
        low, high = (2 * np.arcsin(np.sqrt(np.clip(part / length, 0, 1))) for part in parts)
        angle = np.where(low < np.pi / 2, low, np.pi - high)
        return np.where(length > 0, angle, 0.0)

    def _highest(self, value: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """|p_t| outside of the interval, and inside its largest value there."""
        factor, inside = self._log_factor(value, column), self._log_ratio(column)
        # r/q is 0/0 if the interval is a point and an eigenvalue.
        rest = np.where(factor > -np.inf, np.exp(2 * t * (inside - factor)), 1.0)
        highest = np.exp(t * factor) * (1 + rest) / (1 + np.exp(2 * t * inside))
        return np.where(t > 0, highest, 1.0)

    @_quiet
    def _log_factor(self, value: np.ndarray, column: Any) -> np.ndarray:
        lower, upper = self.lower[column], self.upper[column]
        least = np.minimum(value, lower + (upper - value))
        # Products of eigenvalues might not fit into a float.
        root = np.sqrt(lower) * np.sqrt(upper)
        of_value = np.sqrt(np.abs(lower - value)) * np.sqrt(np.abs(upper - value))
        less = least + least * ((lower + upper - least) / (root + of_value))
        found = -np.log1p(less / ((lower - least) / 2 + (upper - least) / 2 + of_value))
        return np.where((value < lower) | (value > upper), found, self._log_ratio(column))

    def _log_ratio(self, column: Any) -> np.ndarray:
        roots = np.sqrt(self.lower[column]), np.sqrt(self.upper[column])
        close = np.log1p(-2 * roots[0] / (roots[0] + roots[1]))
        return np.where(self.ratio[column] < 0.5, np.log(self.ratio[column]), close)
