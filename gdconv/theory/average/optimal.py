"""The theory of the method that is the best on average, in closed forms.

Let r be the smaller one of d/n and n/d, and N the larger one of n and d. With x = λ/(2N) and
s = (1 + r − x)/(2√r), U_t being Chebyshev's polynomials of the second kind,

    p_t = U_t(s) / U_t(s_0) = r^{t/2} U_t(s) (1 − r)/(1 − r^{t+1}),        s_0 = (1 + r)/(2√r),

and (1 − r)/(1 − r^{t+1}) is 1/(t + 1) for r = 1. The U_t are orthogonal for Marchenko and Pastur's
law times λ, therefore p_t has the least ∫ p² of all p of degree t with p(0) = 1, where the integral
is over the positive eigenvalues (Pedregosa and Scieur, ICML 2020).

r^{t/2} U_t(s) obeys the recurrence of heavy ball with the momentum r and the step size 1/(2N). In
the notation of `gdconv.theory.maxima.momentum` it has g = cot θ. So the maxima are found as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gdconv.theory.maxima.momentum import Momentum, Pairs
from gdconv.theory.roots import Roots


class Optimal(Momentum):
    """What theory knows of m runs of the method."""

    def __init__(self, *arguments: Any) -> None:
        # Those of the recurrence that U_t obeys.
        rule, coefficients, *others = arguments
        self.log_ratio = coefficients["log_ratio"]
        of_limit = {"step_size": coefficients["last"], "momentum": np.exp(self.log_ratio)}
        of_limit["first"] = np.full_like(self.log_ratio, np.nan)
        super().__init__(rule, {**coefficients, **of_limit}, *others, ahead=False)

    def follows_invariant(self) -> np.ndarray:
        """Its momentum changes."""
        return np.zeros(self.runs, dtype=bool)

    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap of run column[k] at iteration t[k], given ½ λ_i c_i² of shape (r,)."""
        return super().gap(shares, column, t) * self._scale(column, t)

    def polynomials(self, values: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """|p_t| at some λ, for run column[k] at iteration t[k]; shape (len(t), len(values))."""
        return super().polynomials(values, column, t) * np.sqrt(self._scale(column, t))[:, None]

    def enclosed(
        self, column: np.ndarray, t: np.ndarray, weigh: bool, reduction: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and, if asked for, of max λ p_t²."""
        square, weighted = super().enclosed(column, t, weigh)
        scale = self._scale(column, t)
        return square * scale, weighted * scale

    def attained(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The larger p_t² of the two ends."""
        return super().attained(column, t) * self._scale(column, t)

    def surely(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """A lower bound of max p_t² that falls with t."""
        return super().surely(column, t) * self._scale(column, t)

    def _scale(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """((1 − r)/(1 − r^{t+1}))²."""
        log_ratio = self.log_ratio[column]
        return (np.expm1(log_ratio) / np.expm1((np.asarray(t) + 1.0) * log_ratio)) ** 2

    def _rest(self) -> np.ndarray:
        """|p_s| is at most ρ^s times the height."""
        return np.ones(self.runs)

    def _roots(self, x: np.ndarray, momentum: np.ndarray, first: np.ndarray) -> Roots:
        """Of r^{t/2} U_t, which is 1 + r − x for t = 1."""
        return Roots(momentum, x, x - momentum)

    def _towards(self, cosine: np.ndarray, pairs: Pairs) -> np.ndarray:
        """g sin θ."""
        return cosine

    def _part(self, pairs: Pairs) -> np.ndarray:
        """The factor of cos θ in it."""
        return np.ones_like(pairs.t)
