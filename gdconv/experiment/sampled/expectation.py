"""What is expected of the runs of a group that draw samples, before they run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gdconv.experiment.sampled.paths import first_averaged
from gdconv.methods.sampling import Sampling
from gdconv.problems.least_squares import Objective
from gdconv.theory.sampled import coordinates, doubling, fourth, high_dimension, limits
from gdconv.theory.sampled.moments import Average, Data, Moments, share, weighted
from gdconv.theory.sampled.products import products

# So many numbers of one moment are held at a time, at most.
AT_ONCE = 2**22
# With up to so many features a study has the moments of the rows, 990 numbers then.
MOST_WITH_MOMENTS = 10
# Residuals at w* that are so small a part of y are rounding: the data are consistent.
CONSISTENT = 1e-12


class Curves(NamedTuple):
    """Numbers of m runs at the recorded iterations, shape (m, T); nan where nothing is known."""

    expected: np.ndarray
    of_mean: np.ndarray
    high_dimension: np.ndarray


class Numbers(NamedTuple):
    """Numbers of one run; nan where nothing is known.

    step_limit : the step size from which on the expected gap does not stay bounded
    fourth_moment : that from which on its fourth moments do not
    exactly : whether this is exact, or only a step size below which they do; None without one
    stationary : the expected gap at rest
    rate : the factor by which it approaches that in the end
    averaging : t times the expected gap of the average of t iterates, in the end
    """

    step_limit: float
    fourth_moment: float
    exactly: bool | None
    stationary: float
    rate: float
    averaging: float


NOTHING = Numbers(math.nan, math.nan, None, math.nan, math.nan, math.nan)


class Expectation:
    """The expectation of methods that draw samples.

    Parameters
    ----------
    method : Sampling
        That of the first run; the others differ in what does not change what is drawn.
    start : ndarray, shape (d,)
        w_0.
    """

    def __init__(self, method: Sampling, objective: Objective, start: np.ndarray) -> None:
        self.method, self.objective = method, objective
        self.spectrum = objective.spectrum
        # w* is the sum of both.
        self.w_star, self.rest = objective.nearest_minimiser(start)
        self.away = (start - self.w_star) - self.rest
        self.eigenvalues = self.spectrum.eigenvalues[: self.spectrum.rank]
        self.error = self.spectrum.right.T @ self.away
        self.loss_star = objective.loss(self.w_star)
        self.n_samples = objective.problem.n_samples
        replacement = method.with_replacement
        self.phi = share(self.n_samples, method.draws, replacement) if method.draws else 0.0

    @property
    def is_random(self) -> bool:
        """Whether anything is drawn at all."""
        return self.phi > 0

    @property
    def error_components_squared(self) -> np.ndarray:
        """c_i², shape (d,)."""
        squares = np.zeros_like(self.spectrum.eigenvalues)
        squares[: len(self.error)] = self.error**2
        return squares

    @cached_property
    def data(self) -> Data:
        """The rows along the eigenvectors, as `gdconv.theory.sampled` has them."""
        right = self.spectrum.right
        if self.method.draws_columns:
            return coordinates.drawn(right, self.eigenvalues)
        problem = self.objective.problem
        chances = self.method.chances(np.square(problem.X).sum(axis=1))
        residuals = problem.X @ self.w_star - problem.y
        return weighted(problem.X @ right, residuals, self.eigenvalues, chances)

    @property
    def moments_of_rows(self) -> dict[str, list[Any]]:
        """The columns of moments.csv, from which the page computes what is expected."""
        if not self.method.draws_alike or len(self.eigenvalues) > MOST_WITH_MOMENTS:
            return {}
        # The squares of the components of the error do not tell their signs.
        signs = np.where(self.error < 0, -1.0, 1.0)
        indices, sums = products(self.data.rows * signs, self.data.residuals)
        columns = zip(("first", "second", "third", "fourth"), indices.T.tolist(), strict=True)
        return dict(columns) | {"moment": sums.tolist()}

    def _in_units(self, step_size: np.ndarray) -> np.ndarray:
        """Step sizes as `data` needs them: its Hessian is twice H if coordinates are drawn."""
        return step_size / 2 if self.method.draws_columns else step_size

    def curves(self, coefficients: Mapping[str, np.ndarray], recorded: np.ndarray) -> Curves:
        """The expected gap of each run."""
        step_size = coefficients["step_size"]
        unknown = np.full((len(step_size), len(recorded)), np.nan)
        if not self.method.draws:
            found = self._cyclic(recorded)
            return Curves(found + 0 * step_size[:, None], found + 0 * step_size[:, None], unknown)
        exact = self._exact(coefficients, recorded)
        return Curves(*exact, self._high_dimension(coefficients, recorded))

    def _exact(
        self, coefficients: Mapping[str, np.ndarray], recorded: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The expected gap and the gap of the mean, where they are within the budget.

        Each run's are computed in the way that takes fewer multiplications. That does not depend on
        the other runs.
        """
        step_size = coefficients["step_size"]
        expected, of_mean = np.full((2, len(step_size), len(recorded)), np.nan)
        n, k = self.data.rows.shape
        by_steps, budget = n * k * k * self.method.iterations, self.method.exact_budget
        by_doubling = doubling.cost(n, k, recorded)
        left = np.full(len(step_size), True)
        if first_averaged(self.method) is None and by_doubling < by_steps:
            left = coefficients.get("momentum", 0 * step_size) != 0
            if by_doubling <= budget and not left.all():
                of = doubling.Doubling(self.data, self._start_of(self.error), self.phi)
                for run in np.flatnonzero(~left):
                    size = float(self._in_units(step_size[run]))
                    expected[run], of_mean[run] = of.expected(size, recorded)
        if by_steps <= budget:
            length, runs = max(1, AT_ONCE // (n * k)), np.flatnonzero(left)
            for some in (runs[i : i + length] for i in range(0, len(runs), length)):
                part = {name: of[some] for name, of in coefficients.items()}
                expected[some], of_mean[some] = self._moments(part, recorded)
        return expected, of_mean

    def _cyclic(self, recorded: np.ndarray) -> np.ndarray:
        of = coordinates.Cyclic(self.spectrum.right, self.eigenvalues, self.error)
        found, t = [], 0
        for wanted in recorded.tolist():
            while t < wanted:
                of.step()
                t += 1
            found.append(of.gap)
        return np.array(found)

    def _moments(
        self, coefficients: Mapping[str, np.ndarray], recorded: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        moments = self.moments_from(self.error, coefficients)
        step_size = coefficients["step_size"]
        begin, shown = first_averaged(self.method), moments
        unknown = np.full_like(step_size, np.nan)
        expected, of_mean, wanted = [], [], set(recorded.tolist())
        for t in range(int(recorded[-1]) + 1):
            if t:
                shown.step()
            if t == begin:
                shown = Average(moments)  # type: ignore[assignment]
            if t in wanted:
                expected.append(shown.gap)
                of_mean.append(moments.gap_of_mean if shown is moments else unknown)
        return np.transpose(expected), np.transpose(of_mean)

    def moments_from(self, error: np.ndarray, coefficients: Mapping[str, np.ndarray]) -> Moments:
        """Return the moments of runs from a start with some error along the eigenvectors."""
        step_size = self._in_units(coefficients["step_size"])
        momentum = coefficients.get("momentum", np.zeros_like(step_size))
        phi = np.full_like(step_size, self.phi)
        return Moments(self.data, self._start_of(error), step_size, momentum, phi)

    def _start_of(self, error: np.ndarray) -> np.ndarray:
        """An error as `data` needs it."""
        return np.sqrt(self.eigenvalues) * error if self.method.draws_columns else error

    def _high_dimension(
        self, coefficients: Mapping[str, np.ndarray], recorded: np.ndarray
    ) -> np.ndarray:
        """The prediction for many features, of stochastic gradient descent without momentum."""
        step_size = coefficients["step_size"]
        momentum = coefficients.get("momentum", np.full_like(step_size, np.nan))
        found = np.full((len(step_size), len(recorded)), np.nan)
        known = momentum == 0
        if known.any() and first_averaged(self.method) is None:
            given = self.loss_star, self.error**2, self.eigenvalues, step_size[known]
            of = high_dimension.expected(*given, np.full(known.sum(), self.phi), recorded)
            found[known] = np.transpose(list(of))
        return found

    def numbers(self, coefficients: Mapping[str, np.ndarray]) -> list[Numbers]:
        """Limits, floor and rate of each run."""
        momentum = coefficients.get("momentum", np.zeros_like(coefficients["step_size"]))
        pairs = zip(coefficients["step_size"].tolist(), momentum.tolist(), strict=True)
        return [self._of_run(*pair) for pair in pairs]

    def _of_run(self, step_size: float, momentum: float) -> Numbers:
        if not self.method.draws:
            of = coordinates.Cyclic(self.spectrum.right, self.eigenvalues, self.error)
            # Of a step; a sweep has one for each column.
            return NOTHING._replace(stationary=0.0, rate=of.rate() ** (1 / len(self.away)))
        if not self.is_computed:
            return NOTHING
        second = self.second(momentum)
        step = float(self._in_units(np.array(step_size)))
        stationary = rate = averaging = math.nan
        if self.is_noisy and step < second.step_limit:
            averaging = second.averaging(step)
        if first_averaged(self.method) is None:
            noisy = self.is_noisy
            stationary = second.floor(step) if noisy or step >= second.step_limit else 0.0
            # The mean is part of how the noise changes, and may fall more slowly than the rest.
            rate = max(second.rate(step), second.mean_rate(step) if noisy else 0.0)
        if not self.method.takes_step:
            # It has no step size of its own that could be too long.
            return Numbers(math.nan, math.nan, None, stationary, rate, averaging)
        fourth_moment, exactly = self._fourth(second.step_limit, momentum)
        limits_of = second.step_limit, fourth_moment, exactly
        return Numbers(*limits_of, stationary, rate, averaging)

    @property
    def is_computed(self) -> bool:
        """Whether limits are within the budget."""
        n, k = self.n_samples, len(self.eigenvalues)
        return n * k**4 <= 4 * self.method.exact_budget

    @property
    def is_noisy(self) -> bool:
        """Whether steps are random at w* as well."""
        if self.method.draws_columns or not self.is_random:
            return False
        y = self.objective.problem.y
        return math.sqrt(self.loss_star) > CONSISTENT * float(np.linalg.norm(y))

    def second(self, momentum: float) -> limits.SecondMoments:
        """The covariance with this momentum."""
        if momentum not in self._known:
            self._known[momentum] = limits.SecondMoments(self.data, self.phi, momentum)
        return self._known[momentum]

    @cached_property
    def _known(self) -> dict[float, limits.SecondMoments]:
        return {}

    def _fourth(self, step_limit: float, momentum: float) -> tuple[float, bool | None]:
        """The limit of fourth moments, and whether it is exact."""
        if not self.is_random:
            return step_limit, True
        k = len(self.eigenvalues)
        if momentum and k > fourth.MOST_WITH_MOMENTUM:
            return math.nan, None
        if k > fourth.MOST_FEATURES:
            return limits.safe_limit(self.data), False
        if momentum not in self._fourths:
            batch = self.method.draws, self.method.with_replacement
            found = fourth.fourth_moment_limit(self.data, *batch, step_limit, momentum)
            self._fourths[momentum] = found
        return self._fourths[momentum], True

    @cached_property
    def _fourths(self) -> dict[float, float]:
        return {}


def mean_square_limit(objective: Objective, method: Sampling) -> float:
    """Return the step size from which on the expected gap does not stay bounded."""
    of = Expectation(method, objective, np.zeros(objective.matrix.shape[1]))
    momentum: Any = method.options.get("momentum", 0.0)
    return of.second(momentum).step_limit
