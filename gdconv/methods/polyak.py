"""Gradient descent with Polyak's step size (Polyak 1969), which knows the loss at the minimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import key, one_or_more, real
from gdconv.methods.protocol import Choosing, Facts, Products
from gdconv.theory.limits import Limits

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Polyak(Choosing):
    """Polyak's step: factor (L(w) − L(w*))/‖∇L(w)‖² along −∇L(w)."""

    name: ClassVar[str] = "polyak"
    factor: tuple[float, ...] = key(
        1.0,
        one_or_more(real(lambda value: 0 < value < 4, " greater than 0 and less than 4")),
        "multiple of (L(w) − L(w*))/‖∇L(w)‖², or a list; 2 minimises the distance to w*",
    )

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return `factor`."""
        factor: Any = self.factor
        return {"factor": factor}

    def choose(
        self,
        t: int,
        w: np.ndarray,
        residual: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        products: Products,
    ) -> dict[str, np.ndarray]:
        """step_size = factor (L(w) − L(w*))/‖∇L(w)‖²."""
        gap, square = (products.inner(each, each) for each in (residual, gradient))
        step_size = coefficients["factor"][..., :1] * products.quotient(gap, square)
        return {"step_size": step_size}

    @staticmethod
    def limits(
        t: np.ndarray, eigenvalues: np.ndarray, coefficients: Mapping[str, np.ndarray]
    ) -> Limits:
        """1 − γ(1 − γ/4) 4κ/(κ + 1)² a step on ‖w − w*‖², γ being the factor.

        A step subtracts γ(1 − γ/4) (eᵀHe)²/(eᵀH²e) from ‖e‖², e = w − w*; then Kantorovich's
        inequality. Written as below, no digits are lost for γ = 2 and a small κ.
        """
        factor, kappa = coefficients["factor"], eigenvalues[0] / eigenvalues[-1]
        one = ((kappa - 1) ** 2 + (2 - factor) ** 2 * kappa) / (kappa + 1) ** 2
        return Limits(None, one**t, one**t)
