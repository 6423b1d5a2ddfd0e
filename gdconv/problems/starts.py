"""Where gradient descent starts: from a checked configuration to w_0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gdconv.config.sections import Eigenvector, Normal, Start, Zeros
from gdconv.problems.least_squares import Objective


def starting_point(start: Start, seed: int, repetition: int, objective: Objective) -> np.ndarray:
    """Return w_0, shape (d,).

    Its random numbers depend only on seed and repetition, and differ from those of the problem.
    """
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(repetition, 1)))
    return _FUNCTIONS[start.name](start, generator, objective)


def zeros(start: Zeros, generator: np.random.Generator, objective: Objective) -> np.ndarray:
    """w_0 = 0."""
    return np.zeros(objective.matrix.shape[1])


def normal(start: Normal, generator: np.random.Generator, objective: Objective) -> np.ndarray:
    """w_0 with independent normal entries of mean 0 and standard deviation radius."""
    return start.radius * generator.standard_normal((objective.matrix.shape[1],))


def eigenvector(
    start: Eigenvector, generator: np.random.Generator, objective: Objective
) -> np.ndarray:
    """w_0 = w* + radius v, with v the eigenvector of lambda_max or of lambda_min_positive.

    w* is the minimiser of least norm. It is also the one nearest to w_0, because v has no component
    in the null space of H. If the eigenvalue is multiple, v is one of its eigenvectors.
    """
    v = objective.spectrum.right[:, 0 if start.which == "max" else -1]
    return objective.least_norm.w + start.radius * v


_FUNCTIONS: dict[str, Callable[[Any, np.random.Generator, Objective], np.ndarray]] = {
    Zeros.name: zeros,
    Normal.name: normal,
    Eigenvector.name: eigenvector,
}
