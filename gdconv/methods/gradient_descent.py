"""Gradient descent with a fixed step size, the method of the coursework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.methods.protocol import Coefficients, Method, descend

if TYPE_CHECKING:
    from gdconv.theory.bounds import ClosedForms


@dataclass(frozen=True)
class GradientDescent(Method):
    """Plain gradient descent with a fixed step size (6): w ← w − step_size ∇L(w)."""

    name: ClassVar[str] = "gradient_descent"
    best_step: ClassVar[str] = "2/(λ⁺min + λmax)"
    units: ClassVar[tuple[str, ...]] = (*Method.units, "limit")

    def refuse_network(self) -> None:
        """Nothing is refused."""

    # (6).
    update = staticmethod(descend)

    @staticmethod
    def recurrence(t: int, eigenvalue: Any, coefficients: Coefficients) -> tuple[Any, Any]:
        """(9): e_{t+1} = e_t − step_size λ e_t."""
        return 0.0, coefficients["step_size"] * eigenvalue

    def optimal_step_size(self, lambda_max: float, lambda_min_positive: float) -> float:
        """Return 2 / (lambda_min_positive + lambda_max), see `bounds.optimal_step_size`."""
        from gdconv.theory.bounds import optimal_step_size

        return optimal_step_size(lambda_max, lambda_min_positive)

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> float:
        """Return 2 / lambda_max."""
        return 2 / lambda_max

    def closed_forms(self) -> type[ClosedForms]:
        """Return those of `gdconv.theory.bounds`."""
        from gdconv.theory.bounds import ClosedForms

        return ClosedForms
