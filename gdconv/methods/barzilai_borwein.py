"""Gradient descent with the step size of Barzilai and Borwein (IMA J. Numer. Anal. 8, 1988)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gdconv.methods.protocol import Choosing, Products, exact_step
from gdconv.theory.limits import Limits

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class BarzilaiBorwein(Choosing):
    """Barzilai and Borwein: the best step for the step before; the first one is exact."""

    name: ClassVar[str] = "barzilai_borwein"
    state: ClassVar[tuple[str, ...]] = ("before", "slope")

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
        """step_size = sᵀs/(sᵀy), s and y being the last changes of w and of ∇L(w)."""
        if t == 0:
            image = products.images(gradient)
            step_size = exact_step(products.inner(gradient, gradient), image, products)
        else:
            change, bend = w - state["before"], gradient - state["slope"]
            square = products.inner(change, change)
            step_size = products.quotient(square, products.inner(change, bend))
        return {"step_size": step_size}

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """w ← w − step_size ∇L(w)."""
        state["before"][...] = w
        state["slope"][...] = gradient
        gradient *= coefficients["step_size"]
        w -= gradient

    @staticmethod
    def limits(
        t: np.ndarray, eigenvalues: np.ndarray, coefficients: Mapping[str, np.ndarray]
    ) -> Limits:
        """None is known: the gap may grow a hundredfold in a step."""
        return Limits(None, None, None)
