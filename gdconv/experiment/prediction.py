"""Theory of one group of runs: its spectrum, its step sizes, and the bounds for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdconv.config.sections import Run
from gdconv.problems.least_squares import Objective
from gdconv.theory import bounds
from gdconv.theory.rounding import drift, noise_level, relative_error, step_errors

# No gap, loss or squared distance of a run may exceed this, so that everything computed from them
# is finite.
LARGEST = 1e300
# Smallest scale for which squares of residuals, and of their rounding errors, are normal floats.
SMALLEST = 1e-130


class Theory:
    """What theory knows of each run before it runs; arrays of shape (m,), a value for each run.

    Raises ValueError if the eigenvalues, or the loss at the start, do not fit into a float.
    """

    def __init__(self, objective: Objective, start: np.ndarray, runs: Sequence[Run]) -> None:
        matrix, target = objective.matrix, objective.target
        self.spectrum = objective.spectrum
        self.w_star, rest = objective.nearest_minimiser(start)
        away = (start - self.w_star) - rest
        largest, smallest = self.spectrum.lambda_max, self.spectrum.lambda_min_positive
        self.step_size = np.array(
            [
                bounds.step_size(run.step_unit, run.step_value, largest, smallest).item()
                for run in runs
            ]
        )
        self.relative_step = self.step_size * largest
        self.nu = bounds.contraction(self.step_size, largest, smallest)
        self.rate = self.nu**2
        self.nu_coursework = bounds.contraction_coursework(self.step_size, self.spectrum.lambda_min)
        method = runs[0].method
        self.iterations = method.iterations
        self.iterations_predicted = bounds.iterations_to(
            method.tolerance, bounds.log_contraction(self.step_size, largest, smallest)
        )
        # ½ λ_i c_i², computed without c_i = v_iᵀ(w_0 − w*), which would need a division by σ_i.
        self.components = (self.spectrum.left.T @ (matrix @ start - target)) ** 2
        self.distance = float(away @ away)
        fits = max(self.components.sum() + objective.offset, self.distance) <= LARGEST
        if not fits or 0 < np.abs(target).max() < SMALLEST:
            raise ValueError("the loss at the start does not fit into a float; scale the target")
        self.loss_star = objective.loss(self.w_star)
        y_norm = float(np.hypot(np.linalg.norm(target), np.sqrt(objective.offset)))
        self.errors = step_errors(
            matrix, start, away, y_norm, self.spectrum, self.step_size, self.iterations
        )
        self.relative_error = relative_error(matrix.shape[1])

    @property
    def error_components_squared(self) -> np.ndarray:
        """c_i², shape (d,), with c_i = v_iᵀ(w_0 − w*).

        It is 0 if lambda_i is 0, because w* is the minimiser nearest to w_0.
        """
        squares = np.zeros_like(self.spectrum.eigenvalues)
        positive = self.spectrum.eigenvalues[: self.spectrum.rank]
        squares[: self.spectrum.rank] = 2 * self.components / positive
        return squares

    def rates_of_start(self) -> np.ndarray:
        """(1 − step_size λ_i)² of the slowest v_i along which w_0 − w* has more than noise."""
        runs = np.arange(len(self.step_size))
        has = self.components[:, None] > self.noise(runs, np.zeros(len(runs)))
        positive = self.spectrum.eigenvalues[: self.spectrum.rank]
        factors = (1 - np.outer(positive, self.step_size)) ** 2
        return np.max(factors, axis=0, where=has, initial=0.0)

    def floor(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap that rounding alone may cause in run column[k] at iteration t[k]."""
        columns = self.spectrum.right.shape[0]
        off = drift(self.nu[column], self.relative_step[column], t, columns)
        off *= self.errors.moved[column]
        return (np.sqrt(self.noise(column, t)) + off) ** 2

    def noise(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The level of noise at which the gap of run column[k] comes to rest, at iteration t[k]."""
        return noise_level(self.errors, self.spectrum, self.step_size, self.iterations, column, t)

    def ceiling(self) -> np.ndarray:
        """The gap above which the next gap or squared distance may exceed LARGEST."""
        growth = np.maximum(self.rate, 1)
        return LARGEST / growth / max(1.0, 2 / self.spectrum.lambda_min_positive)

    def curves(self, column: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
        """What theory knows of run column[k] at iteration t[k]: column of curves.csv → values."""
        largest = self.spectrum.lambda_max
        ends = largest, self.spectrum.lambda_min_positive
        positive = self.spectrum.eigenvalues[: self.spectrum.rank]
        step_size, distance = self.step_size[column], self.distance
        return {
            "gap_exact": bounds.exact_gap(positive, self.components, step_size, t),
            "gap_bound": bounds.gap_bound(step_size, t, distance, *ends),
            "gap_bound_coursework": bounds.gap_bound_coursework(
                step_size, t, distance, largest, self.spectrum.lambda_min
            ),
            "gap_bound_relative": bounds.gap_bound_relative(
                step_size, t, self.components.sum(), *ends
            ),
            "gap_bound_sharp": bounds.gap_bound_sharp(step_size, t, distance, *ends),
            "distance_bound": bounds.distance_bound(step_size, t, distance, *ends),
            "gap_floor": self.floor(column, t),
        }

    def loosest_start(self, gap: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The largest gap of a computed run after t iterations if its exact gap is constant."""
        error = self.relative_error * (1 + self.relative_step[column])
        return gap[column] * (1 + error) ** (2.0 * t)
