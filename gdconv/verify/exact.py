"""Bounds of a case compared with the same formula in 200 digits.

A bound that is 0.1 % too large would still hold on a run, so a comparison with the run does not
detect it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import EPS, Check, enclosed, powers

# Iterations at which the closed forms are compared.
TIMES = (0, 1, 2, 3, 10, 31, 100, 316, 1000)


def growth(case: Case) -> np.ndarray:
    """The largest factor (1 − ηλ)^{2t} of an eigenvalue, at TIMES."""
    return max(abs(1 - case.step_size * value) for value in case.ends) ** (2.0 * np.array(TIMES))


def closed_form(
    equation: str,
    statement: str,
    case: Case,
    found: np.ndarray,
    eigenvalues: Sequence[float],
    scale: float,
) -> Check:
    """Compare a bound at TIMES with scale times the largest (1 − ηλ)^{2t}, from 200 digits."""
    terms = [powers(case.step_size, value, TIMES) for value in eigenvalues]
    exact = np.max([power for power, _ in terms], axis=0)
    error = np.max([power + error for power, error in terms], axis=0) - exact
    error = scale * (error + 4 * EPS * exact)
    return enclosed(equation, statement, found, scale * exact, error, growth(case))
