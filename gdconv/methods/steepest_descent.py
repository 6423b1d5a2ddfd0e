"""Steepest descent: gradient descent with an exact line search (Cauchy 1847)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gdconv.methods.protocol import Choosing, Products, exact_step
from gdconv.theory.limits import Limits

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class SteepestDescent(Choosing):
    """Steepest descent: each step goes along −∇L(w) as far as the loss falls."""

    name: ClassVar[str] = "steepest_descent"

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
        """step_size = gᵀg/(gᵀHg), g = ∇L(w): the minimum of L along g."""
        image = products.images(gradient)
        step_size = exact_step(products.inner(gradient, gradient), image, products)
        return {"step_size": step_size}

    @staticmethod
    def limits(
        t: np.ndarray, eigenvalues: np.ndarray, coefficients: Mapping[str, np.ndarray]
    ) -> Limits:
        """((κ − 1)/(κ + 1))² a step on the gap.

        Source: Kantorovich's inequality, (gᵀg)² >= 4κ/(κ + 1)² gᵀHg gᵀH⁻¹g.
        """
        kappa = eigenvalues[0] / eigenvalues[-1]
        part = ((kappa - 1) / (kappa + 1)) ** (2 * t)
        return Limits(part, None, part)
