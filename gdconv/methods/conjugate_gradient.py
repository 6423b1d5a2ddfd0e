"""Conjugate gradients (Hestenes and Stiefel 1952), with products with X and Xᵀ only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from gdconv.config.rules import ConfigError, boolean, key
from gdconv.methods.protocol import Choosing, Products, exact_step
from gdconv.theory.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.average.limit import Limit

# Of former gradients so many numbers are kept at most, 0.8 GB.
MOST_KEPT = 10**8


@dataclass(frozen=True)
class ConjugateGradient(Choosing):
    """Conjugate gradients: after t steps no other method with t gradients has a smaller gap."""

    name: ClassVar[str] = "conjugate_gradient"
    state: ClassVar[tuple[str, ...]] = ("direction",)
    residuals: ClassVar[tuple[str, ...]] = ("left",)
    numbers: ClassVar[tuple[str, ...]] = ("square", "length")
    takes_gradient: ClassVar[bool] = False
    steps_by: ClassVar[tuple[str, ...]] = ()
    reorthogonalize: bool = key(
        False,
        boolean,
        "`true`: make each gradient orthogonal to all former ones, so that rounding does not delay"
        " the method; this keeps d·min(iterations, d) numbers, at most 10⁸ (0.8 GB)",
    )

    @property
    def kind(self) -> str:
        """Whether former gradients are kept."""
        return "reorthogonalized" if self.reorthogonalize else ""

    @property
    def histories(self) -> tuple[str, ...]:  # type: ignore[override]
        """The former gradients, as long as 1."""
        return ("former",) if self.reorthogonalize else ()

    def refuse_size(self, n_features: int) -> None:
        """Raise ConfigError if too many numbers would be kept."""
        kept = n_features * min(self.iterations, n_features)
        if self.reorthogonalize and kept > MOST_KEPT:
            raise ConfigError(
                "method.reorthogonalize",
                True,
                f"keeps d·min(iterations, d) numbers, which may be {MOST_KEPT:,} at most; with"
                f" d={n_features} and method.iterations={self.iterations} they are {kept:,}."
                f" method.iterations may be {MOST_KEPT // n_features} at most",
            )

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
        if self.reorthogonalize:
            orthogonalize(t, slope, state["former"], products)
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
    def limits(
        t: np.ndarray, eigenvalues: np.ndarray, coefficients: Mapping[str, np.ndarray]
    ) -> Limits:
        """1/T_t((κ + 1)/(κ − 1))² on the gap, and λmax ‖w_0 − w*‖²/(2 (2t + 1)²).

        T_t is Chebyshev's polynomial. The gap is the least of all polynomials of degree t, so it is
        at most that of Chebyshev's method, and of the best polynomial for 0 < λ <= λmax.
        """
        return Limits(chebyshev(t, eigenvalues, 0), None, 1 / (2 * t + 1.0) ** 2)

    @staticmethod
    def limit_of_spectrum(t: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
        """1/T_{t−k}((κ_k + 1)/(κ_k − 1))² with κ_k = λ_{k+1}/λ⁺min, the least over k.

        Their polynomial is 0 at the k largest eigenvalues, and Chebyshev's for the others. Rounding
        may make the method look for each of the k several times.
        """
        least = chebyshev(t, eigenvalues, 0)
        for k in range(1, len(eigenvalues)):
            if k > t.max(initial=0):
                break
            least = least.clip(max=chebyshev(t - k, eigenvalues, k))
        return least

    def on_average(
        self,
        limit: Limit,
        coefficients: Mapping[str, np.ndarray],
        column: np.ndarray,
        t: np.ndarray,
    ) -> np.ndarray:
        """The least gap of any polynomial."""
        return limit.least_gap(int(t.max()))[t]

    def exact(self) -> ConjugateGradient:
        """Without rounding the gradients are orthogonal by themselves."""
        return replace(self, reorthogonalize=False)


def chebyshev(t: np.ndarray, eigenvalues: np.ndarray, k: int) -> np.ndarray:
    """Return 1/T_t((κ + 1)/(κ − 1))² without the k largest eigenvalues; 1 for t < 0."""
    largest, smallest = eigenvalues[k], eigenvalues[-1]
    # (√κ − 1)/(√κ + 1), with all digits also if κ is about 1.
    root = (largest - smallest) / (largest**0.5 + smallest**0.5) ** 2
    part: np.ndarray = (2 * root ** t.clip(0) / (1 + root ** (2 * t.clip(0)))) ** 2
    return part


def orthogonalize(t: int, slope: np.ndarray, former: np.ndarray, products: Products) -> None:
    """Make the gradient of iteration t orthogonal to the former ones, and keep it among them.

    Doing it twice suffices (Parlett, The Symmetric Eigenvalue Problem, 1980). As many gradients as
    X has rank are orthogonal to everything else, so the next one is 0.
    """
    if t >= former.shape[-2]:
        slope[...] = 0
        return
    before = former[..., :t, :]
    for _ in range(2):
        slope -= (products.inner(before, slope[..., None, :]) * before).sum(axis=-2)
    square = products.inner(slope, slope)
    former[..., t, :] = slope * products.quotient(square**0.5, square)
