"""What floating point can tell of a trajectory: the floor below which a gap is rounding noise.

The computed iteration is w_t − w* = (I − step_size H)(w_{t−1} − w*) + p_t with a perturbation p_t
made of the rounding errors of one step. With u the unit roundoff, A the matrix that is iterated
(n x d), b its target, y the target of the problem, absolute values taken element by element, and
rounding errors taken as independent (Higham and Mary, SIAM J. Sci. Comput. 41, 2019: √d u in place
of the worst case d u):

    e_k = √d u (|A||w*| + |b|)_k            error of entry k of the computed residual A w − b
    g_j = √n u (|A|ᵀ|A w* − b|)_j           error of entry j of the product with Aᵀ
    |v_iᵀ p_t| ~ step_size 2 (σ_i ‖u_i∘e‖ + ‖v_i∘g‖) + u |v_i|ᵀ|w*|

with u_i and v_i the singular vectors of A and ∘ the product entry by entry: independent errors add
up by their squares. σ_i stands before e because e enters through Aᵀ; g stays where the fit is not
exact. The last term, the rounding of w itself, is no matter of chance: an entry of w no longer
moves once its step is smaller than half its last digit, and each stops on the side it comes from.
Summed over the steps, component i stalls at |v_iᵀ p| S_i, S_i = Σ_{s<t} |1 − step_size λ_i|^s, and
the gap at

    gap_floor = Σ_i ½ λ_i (|v_iᵀ p| S_i)² + (2 (‖e‖ + √d u ‖y‖))²,

the last term being the error of the gap that is computed from the residual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gdconv.spectra import Spectrum

UNIT_ROUNDOFF = np.finfo(float).eps / 2


@dataclass(frozen=True)
class StepErrors:
    """Rounding errors of one step near w*, as derived above.

    Attributes
    ----------
    residual : float
        e, the size of the error of a computed residual A w − b.
    gradient : ndarray, shape (r,)
        Error of the gradient along each v_i, to be multiplied by the step size.
    iterate : ndarray, shape (r,)
        Rounding of w along each v_i.
    """

    residual: float
    gradient: np.ndarray
    iterate: np.ndarray


def step_errors(
    matrix: np.ndarray, target: np.ndarray, w_star: np.ndarray, y_norm: float, spectrum: Spectrum
) -> StepErrors:
    """Return the errors of one step for A of shape (n, d), b of shape (n,) and ‖y‖."""
    rows, columns = matrix.shape
    size, unit = np.abs(matrix), np.sqrt(columns) * UNIT_ROUNDOFF
    error = unit * (size @ np.abs(w_star) + np.abs(target))
    product = np.sqrt(rows) * UNIT_ROUNDOFF * (size.T @ np.abs(matrix @ w_star - target))
    left, right = spectrum.left.T, spectrum.right.T
    return StepErrors(
        residual=float(np.linalg.norm(error) + unit * y_norm),
        gradient=2
        * (
            spectrum.singular_values * np.linalg.norm(left * error, axis=1)
            + np.linalg.norm(right * product, axis=1)
        ),
        iterate=UNIT_ROUNDOFF * (np.abs(right) @ np.abs(w_star)),
    )


def gap_floor(
    errors: StepErrors, spectrum: Spectrum, step_size: ArrayLike, iterations: int, t: ArrayLike
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
    step_size, t = np.asarray(step_size, dtype=float), np.asarray(t, dtype=float)
    floor = np.full(step_size.shape, (2 * errors.residual) ** 2)
    with np.errstate(over="ignore", invalid="ignore"):
        for eigenvalue, gradient, iterate in zip(
            spectrum.eigenvalues, errors.gradient, errors.iterate, strict=False
        ):
            perturbation = step_size * gradient + iterate
            summed = _summed(step_size * eigenvalue, iterations, t)
            floor += (np.sqrt(eigenvalue / 2) * perturbation * summed) ** 2
    return floor


def relative_error(columns: int) -> float:
    """Return the relative error of one step: a handful of roundings (8) of the size √d u."""
    return float(8 * np.sqrt(columns) * UNIT_ROUNDOFF)


def drift(nu: ArrayLike, relative_step: ArrayLike, columns: int, t: ArrayLike) -> np.ndarray:
    """Return how far rounding may take the error after t iterations, as a part of that at t = 0.

    A step multiplies w − w* by I − step_size H with an error delta of `relative_error` rho times
    1 + step_size lambda_max, the size of that matrix, and reading the gap off adds rho:

        (1 + rho) (nu + delta)^t − nu^t

    It is the same whatever is claimed of the run: a start along v_min has rounding errors along
    v_max, and they grow or shrink in their own way.
    """
    rho = relative_error(columns)
    nu, t = np.asarray(nu, dtype=float), np.asarray(t, dtype=float)
    delta = rho * (1 + np.asarray(relative_step, dtype=float))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        grown = nu**t * np.expm1(t * np.log1p(delta / nu) + np.log1p(rho))
        return np.where(nu > 0, grown, np.where(t > 0, (1 + rho) * delta**t, rho))


def _summed(relative_step: np.ndarray, iterations: int, t: np.ndarray) -> np.ndarray:
    """Σ_{s<t} |1 − x|^s: at its limit (or after all iterations) where |1 − x| <= 1, else at t."""
    decay = np.minimum(relative_step, 2 - relative_step)
    growth = -decay
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bounded = np.minimum(1 / np.maximum(decay, 1 / iterations), iterations)
        growing = np.expm1(t * np.log1p(growth)) / growth
    return np.where(decay >= 0, bounded, growing)
