"""What floating point can tell of a trajectory: the floor below which a gap is rounding noise.

The computed iteration is w_t − w* = (I − step_size H)(w_{t−1} − w*) + p_t with a perturbation p_t
made of the rounding errors of one step. With u the unit roundoff, A the matrix that is iterated (n
x d) and b its target, and rounding errors taken as independent (Higham and Mary, SIAM J. Sci.
Comput. 41, 2019: √d u in place of the worst case d u):

    e = √d u (‖A‖_F ‖w*‖ + ‖b‖)       error of the computed residual A w − b g = √n u ‖A‖_F ‖A w* −
    b‖          error of Aᵀ times a residual, which stays where the fit is not exact |v_iᵀ p_t| <=
    step_size (2 σ_i e + 2 g) + u ‖w*‖

where σ_i multiplies e because e enters through Aᵀ, and u ‖w*‖ is the rounding of w itself, which
lets the iteration stop moving where the step is smaller than the last digit. Summed over the steps,
component i stalls at |v_iᵀ p| S_i, S_i = Σ_{s<t} |1 − step_size λ_i|^s, and the gap at

    gap_floor = Σ_i ½ λ_i (|v_iᵀ p| S_i)² + (2 e)²,

the last term being the error of the gap that is computed from the residual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gdconv.spectra import Spectrum

UNIT_ROUNDOFF = np.finfo(float).eps / 2


@dataclass(frozen=True)
class Scale:
    """The sizes that rounding errors of a problem are proportional to.

    Attributes
    ----------
    rows, columns : int
        Shape (n, d) of the matrix A that is iterated.
    matrix, target, solution, residual : float
        ‖A‖_F, ‖b‖, ‖w*‖ and ‖A w* − b‖.
    """

    rows: int
    columns: int
    matrix: float
    target: float
    solution: float
    residual: float

    @property
    def residual_error(self) -> float:
        """Size of the rounding error of a computed residual A w − b near w*."""
        unit = np.sqrt(self.columns) * UNIT_ROUNDOFF
        return float(unit * (self.matrix * self.solution + self.target))


def gap_floor(
    scale: Scale, spectrum: Spectrum, step_size: ArrayLike, iterations: int, t: ArrayLike
) -> np.ndarray:
    """Return the level of the noise in the computed gap, shape (m,), as derived above.

    Parameters
    ----------
    step_size : array_like, shape (m,)
    iterations : int
        The longest the iteration may run: on the edge of stability rounding errors add up until
        then.
    t : array_like, shape (m,)
        The iteration at which the floor is wanted. It matters only where a component grows: there
        the noise grows along with it.
    """
    step_size = np.asarray(step_size, dtype=float)
    matrix_error = np.sqrt(scale.rows) * UNIT_ROUNDOFF * scale.matrix * scale.residual
    floor = np.full(step_size.shape, (2 * scale.residual_error) ** 2)
    with np.errstate(over="ignore", invalid="ignore"):
        for eigenvalue, sigma in zip(spectrum.eigenvalues, spectrum.singular_values, strict=False):
            perturbation = (
                2 * step_size * (sigma * scale.residual_error + matrix_error)
                + UNIT_ROUNDOFF * scale.solution
            )
            summed = _summed(step_size * eigenvalue, iterations, np.asarray(t, dtype=float))
            floor += eigenvalue / 2 * (perturbation * summed) ** 2
    return floor


def contraction_error(columns: int, relative_step: ArrayLike) -> np.ndarray:
    """Return by how much rounding may change the factor by which one step shrinks the error.

    A step multiplies w − w* by I − step_size H with a relative error of about √d u times
    1 + step_size lambda_max, and the computed nu is off by no more. The constant 8 stands for the
    handful of roundings a step consists of. So a computed trajectory that obeys a bound obeys it
    with nu + contraction_error in place of nu.
    """
    return 8 * np.sqrt(columns) * UNIT_ROUNDOFF * (1 + np.asarray(relative_step, dtype=float))


def _summed(relative_step: np.ndarray, iterations: int, t: np.ndarray) -> np.ndarray:
    """Σ_{s<t} |1 − x|^s: at its limit (or after all iterations) where |1 − x| <= 1, else at t."""
    decay = np.minimum(relative_step, 2 - relative_step)
    growth = -decay
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bounded = np.minimum(1 / np.maximum(decay, 1 / iterations), iterations)
        growing = np.expm1(t * np.log1p(growth)) / growth
    return np.where(decay >= 0, bounded, growing)
