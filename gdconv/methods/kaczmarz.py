"""Kaczmarz's method with random rows (Strohmer and Vershynin 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import key, one_or_more, real
from gdconv.methods.protocol import Facts
from gdconv.methods.sampling import Sampling

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Kaczmarz(Sampling):
    """Kaczmarz's method: w ← w − relaxation xᵢ(xᵢᵀw − yᵢ)/‖xᵢ‖², row i with probability ∝ ‖xᵢ‖²."""

    name: ClassVar[str] = "kaczmarz"
    takes_step: ClassVar[bool] = False
    relaxation: tuple[Any, ...] = key(
        *(1.0, one_or_more(real(lambda value: 0 < value < 2, " above 0 and below 2"))),
        "ω above 0 and below 2, or a list: how far a step goes towards the wᵢ that fit to the row;"
        " with 1 it gets there",
    )

    @property
    def kind(self) -> str:
        """All that decides what is drawn."""
        return str(self.paths)

    def chances(self, squares: np.ndarray) -> np.ndarray:
        """‖x_i‖²/‖X‖²."""
        return squares / squares.sum()

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return step_size = relaxation/tr H: a step is one with the unbiased gradient of a row.

        That is 2x_i(x_iᵀw − y_i)/p_i, where 2/p_i = tr H/‖x_i‖².
        """
        relaxation: Any = self.relaxation
        return {"step_size": relaxation / facts.trace}
