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

from gdconv.theory.recurrence import Enclosed, weighted_below

CELLS = 32
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
            most = self._turned_weighted(ends, column, t) * self._highest(lower, column, t) ** 2
            weighted = np.maximum(weighted, np.where(meets, most, 0.0))
        below = np.flatnonzero(low < np.minimum(lower, high))
        if weigh and len(below):
            end = np.minimum(lower, high)[below]
            bound = weighted_below(
                lambda x: self._highest(x, column[below], t[below]) ** 2,
                np.full_like(end, low),
                end,
                self._steepest(column[below], t[below]),
            )
            weighted[below] = np.maximum(weighted[below], bound)
        return square, weighted

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

    def _steepest(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """−1/(2 p_t'(0)), near which λ p_t² is largest: √(ab)/(2 t tanh(t ln 1/r))."""
        root = np.sqrt(self.lower[column]) * np.sqrt(self.upper[column])
        t = np.maximum(t, 1)
        return root / (2 * t * np.tanh(-t * self._log_ratio(column)))

    def _turned(self, ends: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The largest T_t² between two values inside the interval, where T_t(cos φ) = cos tφ."""
        phases = [t * self._angle(each, column) for each in ends]
        close = 1e-9
        peak = np.ceil(phases[0] / np.pi - close) <= np.floor(phases[1] / np.pi + close)
        return np.where(peak, 1.0, np.maximum(*(np.cos(phase) ** 2 for phase in phases)))

    def _turned_weighted(self, ends: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """An upper bound of λ T_t² between two values inside the interval.

        It is largest in the last half period of T_t, which is cut into CELLS parts.
        """
        first, last = (self._angle(each, column) for each in ends)
        start = np.maximum(first, last - np.pi / np.maximum(t, 1))
        angle = start + np.arange(CELLS + 1)[:, None] / CELLS * (last - start)
        turns = np.cos(t * angle) ** 2
        peak = np.floor(t * angle[:-1] / np.pi) < np.floor(t * angle[1:] / np.pi)
        turned = np.where(peak, 1.0, np.maximum(turns[:-1], turns[1:]))
        lower, upper = self.lower[column], self.upper[column]
        value = np.minimum(lower + (upper - lower) * np.sin(angle[1:] / 2) ** 2, ends[1])
        value[-1] = ends[1]
        return np.max(value * turned, axis=0)

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
