"""The theory of gradient descent in closed forms, which are exact and fast for every iteration."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdconv.theory import bounds, rounding
from gdconv.theory.recurrence import Recurrence


class ClosedForms(Recurrence):
    """What theory knows of m runs of gradient descent: e_t = (1 − step_size λ_i)^t e_0."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.step_size = self.coefficients["step_size"]
        self.ends = self.eigenvalues[0], self.eigenvalues[-1]

    def factors(self) -> np.ndarray:
        """|1 − step_size λ_i|."""
        return np.abs(1 - np.outer(self.eigenvalues, self.step_size))

    def contraction(self) -> np.ndarray:
        """See `bounds.contraction`."""
        return bounds.contraction(self.step_size, *self.ends)

    def log_contraction(self) -> np.ndarray:
        """See `bounds.log_contraction`."""
        return bounds.log_contraction(self.step_size, *self.ends)

    def growth(self) -> np.ndarray:
        """ν², or 1 if that is less."""
        return np.maximum(self.contraction() ** 2, 1)

    def iterations_to(self, reduction: float) -> np.ndarray:
        """See `bounds.iterations_to`."""
        return bounds.iterations_to(reduction, self.log_contraction())

    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """See `bounds.exact_gap`."""
        return bounds.exact_gap(self.eigenvalues, shares, self.step_size[column], t)

    def maxima(self, column: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `bounds.distance_bound` and `bounds.gap_bound_sharp`."""
        step_size = self.step_size[column]
        square = bounds.distance_bound(step_size, t, 1.0, *self.ends)
        return square, 2 * bounds.gap_bound_sharp(step_size, t, 1.0, *self.ends)

    def coursework(
        self, scale: float, lambda_min: float, column: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """See `bounds.gap_bound_coursework`."""
        return bounds.gap_bound_coursework(
            self.step_size[column], t, scale, self.ends[0], lambda_min
        )

    def contraction_coursework(self, lambda_min: float) -> np.ndarray:
        """See `bounds.contraction_coursework`."""
        return bounds.contraction_coursework(self.step_size, lambda_min)

    def reach(self) -> np.ndarray:
        """At most the number of iterations times step_size λ_i."""
        return np.minimum(1.0, self.iterations * np.outer(self.eigenvalues, self.step_size))

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The step size, and 1."""
        return self.step_size, np.ones(self.runs)

    def summed(self, index: int, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """See `rounding.summed`."""
        relative = self.step_size[column] * self.eigenvalues[index]
        return rounding.summed(relative, self.iterations, t)

    def drift(self, column: np.ndarray, t: np.ndarray, columns: int) -> np.ndarray:
        """See `rounding.drift`."""
        relative = self.step_size * self.ends[0]
        return rounding.drift(self.contraction()[column], relative[column], t, columns)
