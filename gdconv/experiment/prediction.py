"""What theory says about one group of runs: its spectrum, its step sizes, and its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from gdconv.config.runs import Run
from gdconv.methods.protocol import Facts, Method
from gdconv.methods.sampling import Sampling
from gdconv.problems.least_squares import Objective
from gdconv.theory.rounding import relative_error, step_errors

# No gap, loss or squared distance of a run may exceed this, so that everything computed from them
# is finite.
LARGEST = 1e300
# Smallest scale for which squares of residuals, and of their rounding errors, are normal floats.
SMALLEST = 1e-130


def method_of(run: Run) -> Method:
    """Return the method of a run; raise TypeError if it is one of another protocol."""
    if not isinstance(run.method, Method):
        raise TypeError(f"{type(run.method).__qualname__} is not a gdconv.methods.protocol.Method")
    return run.method


def facts_of(objective: Objective) -> Facts:
    """Return what a method may know of a problem."""
    spectrum = objective.spectrum
    ends = spectrum.lambda_max, spectrum.lambda_min_positive
    problem = objective.problem
    shape = problem.n_samples, problem.X.shape[1]
    trace = float(spectrum.eigenvalues.sum())

    @cache
    def mean_square_limit(method: Sampling) -> float:
        from gdconv.experiment.sampled.expectation import mean_square_limit

        return mean_square_limit(objective, method)

    return Facts(*ends, *shape, trace, mean_square_limit)


def coefficients_of(run: Run, facts: Facts) -> dict[str, float]:
    """Return the numbers that a run iterates with, see `Method.coefficients`."""
    return method_of(run).coefficients(run.step_unit, run.step_value, facts)


def coefficients_together(runs: Sequence[Run], objective: Objective) -> dict[str, np.ndarray]:
    """Return the same for the runs of a group, a value for each run."""
    facts = facts_of(objective)
    each = [coefficients_of(run, facts) for run in runs]
    return {name: np.array([found[name] for found in each]) for name in each[0]}


class Theory:
    """What theory knows of each run before it runs; arrays of shape (m,), a value for each run.

    Raises ValueError if the eigenvalues, or the loss at the start, do not fit into a float.
    """

    def __init__(self, objective: Objective, start: np.ndarray, runs: Sequence[Run]) -> None:
        matrix, target = objective.matrix, objective.target
        self.spectrum = objective.spectrum
        # w* is the sum of both.
        self.w_star, self.rest = objective.nearest_minimiser(start)
        away = (start - self.w_star) - self.rest
        self.coefficients = coefficients_together(runs, objective)
        self.step_size = self.coefficient("step_size")
        self.relative_step = self.step_size * self.spectrum.lambda_max
        self.method = method = method_of(runs[0])
        positive = self.spectrum.eigenvalues[: self.spectrum.rank]
        self.of_method = method.theory(self.coefficients, positive, method.iterations)
        self.nu, self.log_nu = self.of_method.contraction(), self.of_method.log_contraction()
        self.rate = self.nu**2
        self.nu_coursework = self.of_method.contraction_coursework(self.spectrum.lambda_min)
        self.iterations_predicted = self.of_method.iterations_to(method.tolerance)
        # ½ λ_i c_i², computed without c_i = v_iᵀ(w_0 − w*), which would need a division by σ_i.
        self.shares = (objective.left.T @ (matrix @ start - target)) ** 2
        self.distance_squared = float(away @ away)
        fits = max(self.shares.sum() + objective.offset, self.distance_squared) <= LARGEST
        if not fits or 0 < np.abs(target).max() < SMALLEST:
            raise ValueError("the loss at the start does not fit into a float; scale the target")
        self.loss_star = objective.loss(self.w_star)
        y_norm = float(np.hypot(np.linalg.norm(target), np.sqrt(objective.offset)))
        run = self.of_method.reach(), self.of_method.lasting()
        self.errors = step_errors(matrix, objective.left, start, away, y_norm, self.spectrum, *run)
        self.relative_error = relative_error(matrix.shape[1])

    def coefficient(self, name: str) -> np.ndarray:
        """A number of each run's iteration; nan if the method has none of this name."""
        runs = len(next(iter(self.coefficients.values())))
        return self.coefficients.get(name, np.full(runs, np.nan))

    def steps(
        self, column: np.ndarray, t: np.ndarray, chosen: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Step size and momentum of the step of run column[k] from iteration t[k].

        chosen are those that a run chose itself; they are returned if the method chooses.
        """
        if self.method.chooses:
            return chosen
        if type(self.method).of_step is Method.of_step:
            # It is the same in all iterations.
            each = Method.of_step(0, self.coefficients)
            return tuple(np.broadcast_to(of, self.step_size.shape)[column] for of in each)
        steps = np.empty((2, len(t)))
        for each in np.unique(t):
            rows = t == each
            values = {name: of[column[rows]] for name, of in self.coefficients.items()}
            steps[0, rows], steps[1, rows] = self.method.of_step(int(each), values)
        return steps[0], steps[1]

    def step_limit(self) -> np.ndarray:
        """The step size at which each run's method ceases to converge; nan without one."""
        limit = self.method.step_limit(self.coefficients, self.spectrum.lambda_max)
        return np.broadcast_to(np.nan if limit is None else limit, self.nu.shape)

    @property
    def error_components_squared(self) -> np.ndarray:
        """c_i², shape (d,), with c_i = v_iᵀ(w_0 − w*).

        It is 0 if lambda_i is 0, because w* is the minimiser nearest to w_0.
        """
        squares = np.zeros_like(self.spectrum.eigenvalues)
        positive = self.spectrum.eigenvalues[: self.spectrum.rank]
        squares[: self.spectrum.rank] = 2 * self.shares / positive
        return squares

    def rates_of_start(self) -> np.ndarray:
        """The rate of the slowest v_i along which w_0 − w* has more than noise."""
        runs = np.arange(len(self.step_size))
        has = self.shares[:, None] > self.noise(runs, np.zeros(len(runs)))
        return np.max(self.of_method.factors() ** 2, axis=0, where=has, initial=0.0)

    def floor(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap that rounding alone may cause in run column[k] at iteration t[k]."""
        off = self.of_method.drift(column, t, self.spectrum.right.shape[0])
        off = off * self.errors.moved[column]
        # p_t² itself has lost digits, or all of them, if it is below the smallest normal float.
        scale = max(self.shares.sum(), self.spectrum.lambda_max / 2 * self.distance_squared)
        least = np.finfo(float).tiny * scale
        return (np.sqrt(self.noise(column, t)) + off) ** 2 + least

    def noise(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The level of noise at which the gap of run column[k] comes to rest, at iteration t[k].

        t matters only if a component grows, because the noise then grows along with it.
        """
        errors, t = self.errors, np.asarray(t, dtype=float)
        of_gradient, of_iterate = (weight[column] for weight in self.of_method.weights())
        floor = (of_iterate * errors.residual[column]) ** 2
        positive = self.spectrum.eigenvalues[: self.spectrum.rank]
        along = zip(positive, errors.gradient.T, errors.iterate.T, strict=True)
        with np.errstate(over="ignore", invalid="ignore"):
            for index, (eigenvalue, gradient, iterate) in enumerate(along):
                perturbation = of_gradient * gradient[column] + of_iterate * iterate[column]
                summed = self.of_method.summed(index, column, t)
                floor += (np.sqrt(eigenvalue / 2) * perturbation * summed) ** 2
        return floor

    def ceiling(self) -> np.ndarray:
        """The gap above which the next gap or squared distance may exceed LARGEST."""
        growth = np.maximum(self.of_method.growth(), 1)
        return LARGEST / growth / max(1.0, 2 / self.spectrum.lambda_min_positive)

    def curves(self, column: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
        """What theory knows of run column[k] at iteration t[k]: column of curves.csv → values."""
        of_method, at = self.of_method, (column, t)
        distance = self.distance_squared
        limits = of_method.limits(*at)
        half, initial = self.spectrum.lambda_max / 2 * distance, self.shares.sum()
        of_spectrum = of_method.limit_of_spectrum(*at) * initial
        return {
            "gap_exact": of_method.gap(self.shares, *at),
            "gap_bound": np.fmin(limits.gap, limits.distance) * half,
            "gap_bound_coursework": of_method.coursework(distance, self.spectrum.lambda_min, *at),
            "gap_bound_relative": limits.gap * initial,
            "gap_bound_sharp": np.fmin(limits.sharp / 2 * distance, of_spectrum),
            "distance_bound": limits.distance * distance,
            "gap_floor": self.floor(*at),
        }

    def loosest_start(self, gap: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The largest gap of a computed run after t iterations if its exact gap is constant."""
        error = self.relative_error * self.of_method.step_error()[column]
        return gap[column] * (1 + error) ** (2.0 * t)
