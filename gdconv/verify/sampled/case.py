"""One run of a method that draws samples: its first path, and what is expected of it."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from gdconv.experiment.prediction import coefficients_together
from gdconv.experiment.sampled.expectation import Expectation, Numbers
from gdconv.experiment.sampled.paths import follow
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.methods.sampling import Sampling
from gdconv.problems.spectrum import Spectrum
from gdconv.verify.case import FARTHEST, FEW, POINTS, Case
from gdconv.verify.moments import LONGEST, Moment


class SampledTheory(NamedTuple):
    """What a `Case` needs of a theory, and the rest of it."""

    expectation: Expectation
    coefficients: dict[str, np.ndarray]
    spectrum: Spectrum
    w_star: np.ndarray
    rest: np.ndarray
    distance_squared: float
    step_size: np.ndarray


class SampledCase(Case):
    """A run of a method that draws samples; ν and what follows from it is not known."""

    @property
    def sampling(self) -> Sampling:
        """The method."""
        assert isinstance(self.method, Sampling)
        return self.method

    @property
    def expectation(self) -> Expectation:
        """What is expected of the run."""
        found: Expectation = self.theory.expectation
        return found

    @cached_property
    def numbers(self) -> Numbers:
        """Limits, floor and rate."""
        (found,) = self.expectation.numbers(self.theory.coefficients)
        return found

    @property
    def nu(self) -> float:
        """Not known."""
        return float("nan")

    @property
    def log_nu(self) -> float:
        """Not known."""
        return float("nan")

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """What is expected at the recorded iterations."""
        found = self.expectation.curves(self.theory.coefficients, self.times)
        names = "gap_expected", "gap_of_mean", "gap_high_dimension"
        return {name: values[0] for name, values in zip(names, found, strict=True)}

    def _theory(self) -> SampledTheory:
        of = Expectation(self.sampling, self.objective, self.start)
        coefficients = coefficients_together([self.run], self.objective)
        of_start = of.w_star, of.rest, float(of.away @ of.away), coefficients["step_size"]
        return SampledTheory(of, coefficients, of.spectrum, *of_start)

    def _follow(self) -> list[Moment]:
        """Follow the first path; how far rounding moves it is not known."""
        iterations = min(self.sampling.iterations, LONGEST)
        recorded = {*FEW, *recorded_iterations(iterations, POINTS).tolist()}
        root, right = np.sqrt(self.eigenvalues / 2), self.spectrum.right
        unknown = np.full(self.spectrum.rank, np.nan)
        moments: list[Moment] = []

        def observe(t: int, W: np.ndarray) -> None:
            w = W[0, 0].copy()
            gap = float(np.square((self.away(w) @ right) * root).sum())
            if t in recorded and gap <= FARTHEST:
                moments.append(Moment(t, w, None, gap, unknown, np.nan, np.nan, {}))

        draws_of = self.run.seed, self.run.repetition
        given = self.sampling, self.objective, self.start, self.theory.coefficients, draws_of
        follow(*given, observe)
        return moments
