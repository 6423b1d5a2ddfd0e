"""Chebyshev's semi-iterative method, which no method with fixed coefficients beats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import ConfigError, key, one_or_more, positive
from gdconv.methods.protocol import Coefficients, Facts, Method, push, tuned, tuned_to_key

if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.maxima.chebyshev import SemiIterative


@dataclass(frozen=True)
class Chebyshev(Method):
    """Chebyshev: momentum and step size change so that the worst error is the least possible.

    It needs an interval [a, b] that holds the eigenvalues, with 0 < a <= b.
    """

    name: ClassVar[str] = "chebyshev"
    state: ClassVar[tuple[str, ...]] = ("move",)
    takes_step: ClassVar[bool] = False
    lower: tuple[float, ...] = key(
        1.0,
        one_or_more(positive),
        "lower end of the interval in which the method expects the eigenvalues, or a list; 1 is"
        " the smallest eigenvalue that is not 0",
        "λ⁺min",
    )
    upper: tuple[float, ...] = key(
        1.0,
        one_or_more(positive),
        "upper end of this interval, or a list; 1 is the largest eigenvalue",
        "λmax",
    )
    tuned_to: str = tuned_to_key()

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return a, b, `ratio` r = (√(b/a) − 1)/(√(b/a) + 1), and the first step 2/(a + b)."""
        lower: Any = self.lower
        upper: Any = self.upper
        lambda_max, lambda_min_positive, *_ = tuned(facts, self.tuned_to)
        a, b = lower * lambda_min_positive, upper * lambda_max
        if not a <= b:
            raise ConfigError(
                "method.lower",
                lower,
                f"makes the interval empty: with method.upper={upper:g} and λmax/λ⁺min ="
                f" {lambda_max / lambda_min_positive:.6g} it must be at most"
                f" {upper * lambda_max / lambda_min_positive:.6g}",
            )
        # The same as (√b − √a)/(√b + √a), which would lose digits if a is close to b.
        ratio = (b - a) / (sqrt(b) + sqrt(a)) ** 2
        return {"lower": a, "upper": b, "ratio": ratio, "first": 2 / (a + b)}

    def doubtful(self, unit: str | None, value: float | None, shape: tuple[int, int]) -> bool:
        """Whether the interval may be empty, or the lower edge is 0."""
        flat = self.tuned_to == "edges" and shape[0] == shape[1]
        return flat or self.lower > self.upper

    def optimal_step_size(self, lambda_max: float, lambda_min_positive: float) -> float:
        """Return the first step, 2/(lambda_max + lambda_min_positive)."""
        return 2 / (lambda_max + lambda_min_positive)

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> None:
        """Return None, because it takes no step size."""

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """One step; `move` is w_t − w_{t+1}."""
        ratio, first = coefficients["ratio"], coefficients["first"]
        if t > 1 and (ratio[..., :1] <= 2.0 ** (30 / (1 - t))).all():
            # Then r^{2t} is less than 2^−60 r², so that it changes nothing. Powers that are too
            # small for a float are slow, and so are columns.
            momentum = ratio * ratio
            step_size = first * (1 + momentum)
        else:
            narrow = {"ratio": ratio[..., :1], "first": first[..., :1]}
            momentum, step_size = coefficients_of(t, narrow)
        gradient *= step_size
        push(w, gradient, momentum, state["move"])

    @staticmethod
    def of_step(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
        """See `coefficients_of`."""
        return coefficients_of(t, coefficients)[::-1]

    @staticmethod
    def recurrence(t: int, eigenvalue: Any, coefficients: Coefficients) -> tuple[Any, Any]:
        """b is the momentum of this step, c its step size times λ."""
        momentum, step_size = coefficients_of(t, coefficients)
        return momentum, step_size * eigenvalue

    def closed_forms(self) -> type[SemiIterative]:
        """Return those of `gdconv.theory.maxima.chebyshev`."""
        from gdconv.theory.maxima.chebyshev import SemiIterative

        return SemiIterative


def coefficients_of(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
    """Return momentum and step size of the step from w_t to w_{t+1}.

    They follow from p_t = T_t((b + a − 2λ)/(b − a))/T_t((b + a)/(b − a)), T_t being Chebyshev's
    polynomials, whose value at (b + a)/(b − a) is (r^t + r^−t)/2.
    """
    square, first = coefficients["ratio"] ** 2, coefficients["first"]
    if t == 0:
        return 0.0, first
    power = square**t
    beyond = 1 + power * square
    return (square + power) / beyond, first * (1 + square) * (1 + power) / beyond
