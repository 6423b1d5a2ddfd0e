"""The recorded iterations of a run, and how far rounding errors may have moved each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gdconv.config.runs import Run
from gdconv.experiment.prediction import Theory
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.protocol import Method
from gdconv.problems.spectrum import Spectrum

# A run is followed for at most so many iterations.
LONGEST = 10_000


@dataclass(frozen=True)
class Moment:
    """A recorded iteration of the run, and how far rounding errors may have moved it.

    Attributes
    ----------
    t : int
    w : ndarray, shape (d,)
    following : ndarray, shape (d,), or None
        w_{t+1}; None if the run was stopped because it had moved too far away.
    gap : float
        ‖X(w_t − w*)‖².
    components_error : ndarray, shape (rank,)
        How far v_iᵀ w_t may be off.
    distance_error, gap_error : float
        How far ‖w_t − w*‖ and √gap may be off; not finite if it is not known.
    chosen : mapping of str to float
        Step size and momentum of the next step if the method chooses them, otherwise empty.
    """

    t: int
    w: np.ndarray
    following: Any
    gap: float
    components_error: np.ndarray
    distance_error: float
    gap_error: float
    chosen: Mapping[str, float]


class Sizes(Protocol):
    """What is needed of a `gdconv.verify.case.Case`."""

    run: Run
    method: Method
    theory: Theory
    spectrum: Spectrum
    eigenvalues: np.ndarray
    start: np.ndarray
    columns: np.ndarray
    unit: float
    width: float
    step_size: float

    @property
    def factors(self) -> np.ndarray:
        """The factor of a late iteration along each v_i."""

    def away(self, w: np.ndarray) -> np.ndarray:
        """w − w*."""

    def magnitude(self, *points: np.ndarray) -> float:
        """The size of the terms added up in the residuals."""


class AddedUp:
    """How far rounding may have moved a run of gradient descent, added up from step to step.

    A step multiplies the component e_i = v_iᵀ(w − w*), and all earlier errors of it, by
    1 − step_size λ_i. It adds a new error from w and from the gradient; the residual's error enters
    the gradient through Xᵀ and is therefore multiplied by σ_i.
    """

    def __init__(self, case: Sizes) -> None:
        self.case = case
        self.singular, self.V = case.spectrum.singular_values, np.abs(case.spectrum.right).T
        self.factor = case.factors
        # |v_ij| is at most c_j / σ_i, and the error of v_ij at most unit times that.
        self.largest = np.minimum(1.0, case.columns / self.singular[:, None])
        away = case.away(case.start)
        self.carried = case.unit * (self.largest @ np.abs(away))
        self.outside = case.unit * float(np.linalg.norm(case.start) + np.linalg.norm(away))
        self.iterations = min(case.run.method.iterations, LONGEST)

    def of_gap(self, t: int, w: np.ndarray) -> float:
        """How far √gap at w_t may be off."""
        case = self.case
        noise = float(np.linalg.norm(self.singular * self.carried))
        return noise + case.unit * (case.magnitude(w) + case.width * self.outside)

    def of_error(self, t: int, w: np.ndarray) -> tuple[np.ndarray, float]:
        """How far each v_iᵀ w_t, and ‖w_t − w*‖, may be off."""
        case = self.case
        components = self.carried + case.unit * (self.largest @ np.abs(case.away(w)))
        return components, float(np.hypot(np.linalg.norm(components), self.outside))

    def step(self, w: np.ndarray, along: np.ndarray) -> None:
        """Add the errors of the step from w, where X(w − w*) is `along`."""
        case = self.case
        product = case.width * float(np.linalg.norm(along))
        magnitude = self.singular * case.magnitude(w) + product
        errors = self.V @ np.abs(w) + 2 * case.step_size * magnitude
        self.carried = self.factor * self.carried + case.unit * errors
        self.outside += case.unit * (float(np.linalg.norm(w)) + 2 * case.step_size * product)


class Derived:
    """The same for any other method, from the rounding floor of `gdconv.theory`."""

    def __init__(self, case: Sizes) -> None:
        self.eigenvalues = case.eigenvalues
        self.iterations = min(case.run.method.iterations, LONGEST)
        times = np.arange(self.iterations + 2)
        # nan where none is known.
        self.floors = np.sqrt(case.theory.floor(np.zeros_like(times), times))
        # Rounding errors in the null space of X remain; they change no gap.
        self.outside = 0.0
        if case.spectrum.rank < len(case.start):
            lasting = float(case.theory.of_method.lasting()[0])
            away, start = (np.linalg.norm(each) for each in (case.away(case.start), case.start))
            self.outside = case.unit * float(lasting * away + start)

    def of_gap(self, t: int, w: np.ndarray) -> float:
        """How far √gap at w_t may be off."""
        return float(self.floors[t])

    def of_error(self, t: int, w: np.ndarray) -> tuple[np.ndarray, float]:
        """How far each v_iᵀ w_t, and ‖w_t − w*‖, may be off.

        An error e along v_i is a gap of ½ λ_i e².
        """
        components = self.floors[t] * np.sqrt(2 / self.eigenvalues)
        return components, float(np.hypot(components[-1], self.outside))

    def step(self, w: np.ndarray, along: np.ndarray) -> None:
        """Nothing is added up."""


def rounding_of(case: Sizes) -> AddedUp | Derived:
    """Return the rounding errors of a run, before its first step."""
    return AddedUp(case) if isinstance(case.method, GradientDescent) else Derived(case)
