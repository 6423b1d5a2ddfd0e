"""Conjugate gradients (Hestenes and Stiefel 1952), with products with X and Xᵀ only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gdconv.methods.protocol import Choosing, Products, exact_step
from gdconv.theory.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.average.limit import Limit


@dataclass(frozen=True)
class ConjugateGradient(Choosing):
    """Conjugate gradients: after t steps no other method with t gradients has a smaller gap."""

    name: ClassVar[str] = "conjugate_gradient"
    state: ClassVar[tuple[str, ...]] = ("direction",)
    residuals: ClassVar[tuple[str, ...]] = ("left",)
    numbers: ClassVar[tuple[str, ...]] = ("square", "length")
    takes_gradient: ClassVar[bool] = False
    steps_by: ClassVar[tuple[str, ...]] = ()

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
        """The direction g + (gᵀg/g₋ᵀg₋) p₋, and step_size = gᵀg/(pᵀHp) along −p.

        g₋ and p₋ are the gradient and the direction before. g is that of the residual that the
        method updates along with w (CGLS, Björck, Numerical Methods for Least Squares Problems,
        1996); the gap is that of w itself. As w_{t+1} − w_t = −step_size p, the momentum, by which
        the last step is multiplied, follows from both step sizes.
        """
        direction, left = state["direction"], state["left"]
        if t == 0:
            left[...] = residual
        slope = products.slopes(left)
        square = products.inner(slope, slope)
        repeated = products.quotient(square, state["square"])
        # Broadcasting a column takes longer than filling a matrix with it, here the gradient's.
        gradient[...] = repeated
        direction *= gradient
        direction += slope
        image = products.images(direction)
        step_size = exact_step(square, image, products)
        gradient[...] = step_size
        gradient *= direction
        image *= step_size
        left -= image
        momentum = products.quotient(repeated * step_size, state["length"])
        state["square"][...], state["length"][...] = square, step_size
        return {"step_size": step_size, "momentum": momentum}

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """w ← w − step_size p, which stands in the gradient's place."""
        w -= gradient

    @staticmethod
    def limits(t: np.ndarray, kappa: float, coefficients: Mapping[str, np.ndarray]) -> Limits:
        """1/T_t((κ + 1)/(κ − 1))² on the gap, and λmax ‖w_0 − w*‖²/(2 (2t + 1)²).

        T_t is Chebyshev's polynomial. The gap is the least of all polynomials of degree t, so it is
        at most that of Chebyshev's method, and of the best polynomial for 0 < λ <= λmax.
        """
        root = (kappa**0.5 - 1) / (kappa**0.5 + 1)
        part = (2 * root**t / (1 + root ** (2 * t))) ** 2
        return Limits(part, None, 1 / (2 * t + 1.0) ** 2)

    def on_average(
        self,
        limit: Limit,
        coefficients: Mapping[str, np.ndarray],
        column: np.ndarray,
        t: np.ndarray,
    ) -> np.ndarray:
        """The least gap of any polynomial."""
        return limit.least_gap(int(t.max()))[t]
