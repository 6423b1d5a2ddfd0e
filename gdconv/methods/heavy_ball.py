"""Heavy ball: gradient descent with momentum (Polyak 1964)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import ConfigError, choice, key, one_or_more
from gdconv.methods.protocol import (
    MOST_MOMENTUM,
    Coefficients,
    Facts,
    Method,
    momentum_or,
    push,
    refuse_for_network,
    tuned,
    tuned_to_key,
)

if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.recurrence import Recurrence


@dataclass(frozen=True)
class HeavyBall(Method):
    """Heavy ball: w_{t+1} = w_t + momentum (w_t − w_{t−1}) − step_size ∇L(w_t)."""

    name: ClassVar[str] = "heavy_ball"
    best_step: ClassVar[str] = "4/(√λ⁺min + √λmax)²"
    state: ClassVar[tuple[str, ...]] = ("move",)
    momentum: tuple[Any, ...] = key(
        "optimal",
        one_or_more(momentum_or("optimal")),
        "β from 0 to below 1, or a list: β times the last step, w_t − w_{t−1}, is added to the"
        " next one; `optimal`: the best β for the step size",
    )
    first_step: str = key(
        "full",
        choice("full", "averaged"),
        "`full`: the first step has the step size of the others; `averaged`: it has the step size"
        " divided by 1 + β, which keeps the error from growing at first",
    )
    tuned_to: str = tuned_to_key()

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return step_size, momentum, and `first`, the length of the first step in step sizes."""
        facts = tuned(facts, self.tuned_to)
        found = super().coefficients(unit, value, facts)
        momentum: Any = self.momentum
        if momentum == "optimal":
            ends = [found["step_size"] * each for each in facts[:2]]
            momentum = min(max((1 - sqrt(end)) ** 2 for end in ends), MOST_MOMENTUM)
            if ends[0] >= 4:
                raise ConfigError(
                    "method.momentum",
                    "optimal",
                    f"is 1 or more for step.value={value:g} step.unit={unit}, where the step size"
                    " is 4/λmax or more: no momentum lets heavy ball converge then. Choose a"
                    " smaller step.value, or a number as momentum",
                )
        first = 1.0 if self.first_step == "full" else 1 / (1 + momentum)
        return found | {"momentum": momentum, "first": first}

    def refuse_network(self) -> None:
        """Raise ConfigError for keys that need the eigenvalues of H."""
        needs = "it follows from the eigenvalues of H; give a number, as method.momentum=0.9"
        refuse_for_network(self, "momentum", ["optimal"], needs)
        needs = "it has no eigenvalues; take spectrum, which has no effect then"
        refuse_for_network(self, "tuned_to", ["edges"], needs)

    def doubtful(self, unit: str | None, value: float | None, shape: tuple[int, int]) -> bool:
        """Whether the best momentum may be 1 or more, or the lower edge is 0."""
        if self.tuned_to == "edges" and shape[0] == shape[1]:
            return True
        momentum: Any = self.momentum
        least = {"lambda_max": 4.0, "optimal": 1.1}.get(str(unit), 0.0)
        return momentum == "optimal" and value is not None and value >= least

    def optimal_step_size(self, lambda_max: float, lambda_min_positive: float) -> float:
        """Return 4/(√lambda_max + √lambda_min_positive)²: the best one, with the best momentum."""
        return 4 / (sqrt(lambda_max) + sqrt(lambda_min_positive)) ** 2

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> Any:
        """Return 2 (1 + momentum)/lambda_max."""
        return 2 * (1 + coefficients["momentum"]) / lambda_max

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """One step; `move` is w_t − w_{t+1}."""
        move = state["move"]
        gradient *= coefficients["step_size"]
        if t == 0:
            gradient *= coefficients["first"]
        push(w, gradient, coefficients["momentum"], move)

    @staticmethod
    def invariant(
        away: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Return S_t = ‖e_t‖² − ⟨e_{t+1}, e_{t−1}⟩, for which S_{t+1} = momentum S_t.

        Along each eigenvector it is the determinant of two successive errors, which the recurrence
        multiplies by b = momentum whatever the eigenvalue is. See docs/methods.md.
        """
        # e_{t−1} = away + move, and e_{t+1} = away − momentum move − step_size gradient.
        move, momentum = state["move"], coefficients["momentum"]
        pull = coefficients["step_size"] * gradient
        return (pull * away + move * (pull + momentum * move - (1 - momentum) * away)).sum(axis=-1)

    @staticmethod
    def of_step(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
        """The first step has another length, and no momentum."""
        step_size, momentum = coefficients["step_size"], coefficients["momentum"]
        return (step_size, momentum) if t else (coefficients["first"] * step_size, 0.0 * momentum)

    @staticmethod
    def recurrence(t: int, eigenvalue: Any, coefficients: Coefficients) -> tuple[Any, Any]:
        """b is the momentum, c = step_size λ."""
        relative_step = coefficients["step_size"] * eigenvalue
        if t == 0:
            relative_step = coefficients["first"] * relative_step
        return coefficients["momentum"], relative_step

    def closed_forms(self) -> Callable[..., Recurrence]:
        """Return those of `gdconv.theory.maxima.momentum`."""
        from gdconv.theory.maxima.momentum import Momentum

        return partial(Momentum, ahead=False)
