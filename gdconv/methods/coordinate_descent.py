"""Coordinate descent with exact steps, in random order or in cycles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gdconv.config.rules import choice, key
from gdconv.config.sections import reduce_key
from gdconv.methods.protocol import Facts
from gdconv.methods.sampling import Sampling

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class CoordinateDescent(Sampling):
    """Coordinate descent: each step makes one component of the gradient 0 by one weight alone."""

    name: ClassVar[str] = "coordinate_descent"
    takes_step: ClassVar[bool] = False
    draws_columns: ClassVar[bool] = True
    reductions: ClassVar[tuple[str, ...]] = ("qr", "none")
    reduce: str = reduce_key("qr")
    order: str = key(
        *("random", choice("random", "cyclic")),
        "`random`: coordinate j with probability Hⱼⱼ/tr H; `cyclic`: one after the other, which is"
        " the method of Gauss and Seidel",
    )

    @property
    def kind(self) -> str:
        """All that decides what is drawn."""
        return f"{self.order} {self.paths}"

    @property
    def draws(self) -> int:
        """None if the order is fixed."""
        return 1 if self.order == "random" else 0

    def chances(self, squares: np.ndarray) -> np.ndarray:
        """H_jj/tr H, where H_jj is twice the squared length of column j."""
        return squares / squares.sum()

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return step_size = 1/tr H, with which gradient descent has the mean step."""
        return {"step_size": 1 / facts.trace}
