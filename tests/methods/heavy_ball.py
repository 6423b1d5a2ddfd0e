"""A second method, as short as one can be: it shows that the rest of gdconv needs no other line."""

from dataclasses import dataclass
from typing import ClassVar

from gdconv.config.rules import key, one_or_more, real
from gdconv.methods.protocol import Method


@dataclass(frozen=True)
class HeavyBall(Method):
    """Heavy ball (Polyak 1964): v ← momentum v + ∇L(w), w ← w − step_size v; v is 0 at first."""

    name: ClassVar[str] = "toy_heavy_ball"
    state: ClassVar[tuple[str, ...]] = ("velocity",)
    momentum: tuple[float, ...] = key(
        0.5,
        one_or_more(real(lambda value: 0 <= value < 1, "")),
        "part of the velocity that is kept",
    )

    def coefficients(self, *where):
        return super().coefficients(*where) | {"momentum": self.momentum}

    @staticmethod
    def update(t, w, gradient, coefficients, state):
        velocity = state["velocity"]
        velocity *= coefficients["momentum"]
        velocity += gradient
        w -= coefficients["step_size"] * velocity

    @staticmethod
    def recurrence(t, eigenvalue, coefficients):
        return coefficients["momentum"], coefficients["step_size"] * eigenvalue

    def optimal_step_size(self, lambda_max, lambda_min_positive):
        return 4 / (lambda_max**0.5 + lambda_min_positive**0.5) ** 2

    @staticmethod
    def step_limit(coefficients, lambda_max):
        return 2 * (1 + coefficients["momentum"]) / lambda_max
