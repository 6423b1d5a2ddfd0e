"""The theory of gradient descent on L(w) = ‖Xw − y‖², as closed forms.

All functions broadcast: step sizes may be arrays of shape (m,), iterations of shape (k, m).
lambda_max is the largest eigenvalue of H = 2 XᵀX, lambda_min the smallest, lambda_min_positive the
smallest that is not 0. distance_squared is ‖w_0 − w*‖², gap is L(w) − L(w*). Equation numbers are
the coursework's. A value too large for a float is inf, without a warning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gdconv.theory import rounding
from gdconv.theory.recurrence import Recurrence, part_of_gap


def optimal_step_size(lambda_max: float, lambda_min_positive: float) -> float:
    """Return the step size with the smallest nu, 2 / (lambda_min_positive + lambda_max)."""
    return 2 / (lambda_min_positive + lambda_max)


def contraction(step_size: ArrayLike, lambda_max: float, lambda_min_positive: float) -> np.ndarray:
    """Return nu, the largest |1 − step_size * lambda| over the eigenvalues that are not 0.

    The coursework's text below (14) says "largest eigenvalue of I − step_size H", but (14) is true
    only with the largest absolute value.
    """
    step_size = np.asarray(step_size)
    return np.maximum(
        np.abs(1 - step_size * lambda_min_positive), np.abs(1 - step_size * lambda_max)
    )


def log_contraction(
    step_size: ArrayLike, lambda_max: float, lambda_min_positive: float
) -> np.ndarray:
    """Return ln nu, accurate even if 1 − step_size * lambda is close to 1 and loses digits."""
    step_size = np.asarray(step_size, dtype=float)
    return np.maximum(
        _log_factor(step_size * lambda_min_positive), _log_factor(step_size * lambda_max)
    )


def contraction_coursework(step_size: ArrayLike, lambda_min: float) -> np.ndarray:
    """Return the factor in the coursework's (19), 1 − lambda_min / K with K = 1 / step_size.

    It is equal to nu only if K >= (lambda_min + lambda_max) / 2 and lambda_min > 0.
    """
    return 1 - np.asarray(step_size) * lambda_min


def exact_gap(
    eigenvalues: np.ndarray, shares: np.ndarray, step_size: ArrayLike, iterations: ArrayLike
) -> np.ndarray:
    """Return the gap after some iterations, ½ Σ_i lambda_i (1 − step_size lambda_i)^{2t} c_i².

    Exact, by (9) and (17). shares holds ½ lambda_i c_i² with c_i = v_iᵀ(w_0 − w*), the part of
    the initial gap along each eigenvector. Both arrays have shape (r,).
    """
    step_size, iterations = np.broadcast_arrays(step_size, iterations)
    gap = np.zeros(iterations.shape)
    for eigenvalue, share in zip(eigenvalues, shares, strict=True):
        gap += part_of_gap(share, iterations, _power, step_size * eigenvalue)
    return gap


def distance_bound(
    step_size: ArrayLike,
    iterations: ArrayLike,
    distance_squared: ArrayLike,
    lambda_max: float,
    lambda_min_positive: float,
) -> np.ndarray:
    """Return (14), ‖w_t − w*‖² <= nu^{2t} ‖w_0 − w*‖². Valid for every step size > 0."""
    step_size = np.asarray(step_size)
    with np.errstate(over="ignore"):
        ends = (_power(step_size * end, iterations) for end in (lambda_max, lambda_min_positive))
        return np.maximum(*ends) * np.asarray(distance_squared)


def gap_bound(
    step_size: ArrayLike,
    iterations: ArrayLike,
    distance_squared: ArrayLike,
    lambda_max: float,
    lambda_min_positive: float,
) -> np.ndarray:
    """Return (18), gap_t <= lambda_max / 2 * nu^{2t} ‖w_0 − w*‖². Valid for every step size > 0."""
    scaled = lambda_max / 2 * np.asarray(distance_squared)
    return distance_bound(step_size, iterations, scaled, lambda_max, lambda_min_positive)


def gap_bound_coursework(
    step_size: ArrayLike,
    iterations: ArrayLike,
    distance_squared: ArrayLike,
    lambda_max: float,
    lambda_min: float,
) -> np.ndarray:
    """Return (19), lambda_max / 2 * (1 − lambda_min / K)^{2t} ‖w_0 − w*‖², K = 1 / step_size.

    The coursework states it for every K > lambda_min; it is true only for
    K >= (lambda_min + lambda_max) / 2.
    """
    scaled = lambda_max / 2 * np.asarray(distance_squared)
    return distance_bound(step_size, iterations, scaled, lambda_min, lambda_min)


def gap_bound_relative(
    step_size: ArrayLike,
    iterations: ArrayLike,
    gap: ArrayLike,
    lambda_max: float,
    lambda_min_positive: float,
) -> np.ndarray:
    """Return gap_t <= nu^{2t} gap_0. Valid for every step size > 0."""
    return distance_bound(step_size, iterations, gap, lambda_max, lambda_min_positive)


def gap_bound_sharp(
    step_size: ArrayLike,
    iterations: ArrayLike,
    distance_squared: ArrayLike,
    lambda_max: float,
    lambda_min_positive: float,
) -> np.ndarray:
    """Return gap_t <= ½ max lambda (1 − step_size lambda)^{2t} ‖w_0 − w*‖².

    The maximum is over lambda_min_positive <= lambda <= lambda_max. It is attained at lambda_max or
    at 1 / (step_size (2t + 1)), clipped to that range. Valid for every step size > 0. No bound that
    uses only the two eigenvalues and the distance is better. Source: (17), as derived in
    docs/theory.md, "Sharper bounds".
    """
    step_size, iterations = np.asarray(step_size), np.asarray(iterations)
    inner = np.clip(1 / (step_size * (2.0 * iterations + 1)), lambda_min_positive, lambda_max)
    with np.errstate(over="ignore"):
        worst = np.maximum(
            inner * _power(step_size * inner, iterations),
            lambda_max * _power(step_size * lambda_max, iterations),
        )
        return worst / 2 * np.asarray(distance_squared)


def iterations_to(reduction: float, log_nu: ArrayLike) -> np.ndarray:
    """Return the least whole t >= 1 with nu^{2t} <= reduction, t >= ln reduction / (2 ln nu).

    reduction lies in (0, 1). The result is inf if nu >= 1, because then theory promises no
    reduction.
    """
    log_nu = np.asarray(log_nu, dtype=float)
    with np.errstate(divide="ignore"):
        needed = np.ceil(np.log(reduction) / (2 * log_nu))
    return np.where(log_nu < 0, np.maximum(needed, 1), np.inf)


def _power(relative_step: ArrayLike, iterations: ArrayLike) -> np.ndarray:
    """(1 − x)^{2t}: for x < 0.5 from log1p, which keeps the digits of a small x; else as a power.

    A power is more accurate for large x: an error in the last digit of a large logarithm would
    change many digits of the result.
    """
    relative_step, iterations = np.broadcast_arrays(relative_step, 2.0 * np.asarray(iterations))
    small = np.minimum(relative_step, 0.5)
    with np.errstate(over="ignore"):
        return np.where(
            relative_step < 0.5,
            np.exp(iterations * np.log1p(-small)),
            np.abs(1 - relative_step) ** iterations,
        )


def _log_factor(relative_step: np.ndarray) -> np.ndarray:
    """ln |1 − x|."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            relative_step < 0.5, np.log1p(-relative_step), np.log(np.abs(1 - relative_step))
        )


class ClosedForms(Recurrence):
    """What theory knows of m runs of gradient descent: e_t = (1 − step_size λ_i)^t e_0."""

    is_monotone = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.step_size = self.coefficients["step_size"]
        self.ends = self.eigenvalues[0], self.eigenvalues[-1]

    def factors(self) -> np.ndarray:
        """|1 − step_size λ_i|."""
        return np.abs(1 - np.outer(self.eigenvalues, self.step_size))

    def contraction(self) -> np.ndarray:
        """See the function `contraction`."""
        return contraction(self.step_size, *self.ends)

    def log_contraction(self) -> np.ndarray:
        """See the function `log_contraction`."""
        return log_contraction(self.step_size, *self.ends)

    def growth(self) -> np.ndarray:
        """ν², or 1 if that is less."""
        return np.maximum(self.contraction() ** 2, 1)

    def iterations_to(self, reduction: float) -> np.ndarray:
        """See the function `iterations_to`."""
        return iterations_to(reduction, self.log_contraction())

    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """See the function `exact_gap`."""
        return exact_gap(self.eigenvalues, shares, self.step_size[column], t)

    def polynomials(self, values: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """|1 − step_size λ|^t."""
        return _power(np.outer(self.step_size[column], values), t[:, None] / 2)

    def maxima(self, column: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See the function `distance_bound` and `gap_bound_sharp`."""
        step_size = self.step_size[column]
        square = distance_bound(step_size, t, 1.0, *self.ends)
        return square, 2 * gap_bound_sharp(step_size, t, 1.0, *self.ends)

    def coursework(
        self, scale: float, lambda_min: float, column: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """See the function `gap_bound_coursework`."""
        return gap_bound_coursework(self.step_size[column], t, scale, self.ends[0], lambda_min)

    def contraction_coursework(self, lambda_min: float) -> np.ndarray:
        """See the function `contraction_coursework`."""
        return contraction_coursework(self.step_size, lambda_min)

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
