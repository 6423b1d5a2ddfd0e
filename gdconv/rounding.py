"""What floating point can tell of a trajectory: how far a computed gap is off, and its floor.

The computed iteration is w_t − w* = (I − step_size H)(w_{t−1} − w*) + p_t with a perturbation p_t
made of the rounding errors of one step. With u the unit roundoff, A the matrix that is iterated
(n x d), b its target, y the target of the problem, absolute values taken element by element, and
rounding errors taken as independent (Higham and Mary, SIAM J. Sci. Comput. 41, 2019: √d u in place
of the worst case d u):

    e_k² = d u² ((|A||w*|)_k² + ‖y‖²/n)            error of the computed residual (A w − b)_k
    g_j² = n u² Σ_k A_kj² (A w* − b)_k²            error of the product of Aᵀ with it
    |v_iᵀ p_t| = 2 step_size (σ_i √Σ_k u_ik² e_k² + √Σ_j v_ij² g_j²) + u |v_i|ᵀ|w*|

σ_i and the left singular vector u_i weigh e because it enters through Aᵀ; g stays where the fit is
not exact; the last term is the rounding of w itself, which lets the iteration stop moving, or jump
to and fro between two points, where the step is smaller than the last digit: it is the same in each
step and has the signs of v_i, so that its parts are added up, not their squares. The errors of
different entries are independent, those of different steps need not be. Summed over the steps,
component i stalls at |v_iᵀ p| S_i, S_i = Σ_{s<t} |1 − step_size λ_i|^s, and the gap at

    noise = Σ_i ½ λ_i (|v_iᵀ p| S_i)² + 9 Σ_k e_k²,

the last term being the error of the gap that is computed from the residual: those of A w_t − b and
A w* − b, and that of w*, which is rounded too.

At that level a run has come to rest. Far from w* the errors of a step are in proportion to w − w*,
which is multiplied by I − step_size H + E with ‖E‖ <= ε (1 + step_size λ_max), ε = 8 √d u: a
handful of roundings in two products with A. With ν' = ν + ε (1 + step_size λ_max), t steps make of
it at most ν'^t − ν^t of ‖w_0 − w*‖, along any direction, and the residual that the gap is computed
from adds ε ν^t. It is more than a small part of the gap where w_0 − w* lacks the directions that
shrink most slowly, or all but those of small λ_i. Altogether

    |√computed gap − √gap| <= √gap_floor
    gap_floor = (√noise + √(λ_max / 2) ‖w_0 − w*‖ (ν'^t − ν^t + ε ν^t))²,

and gap and bound are told apart only where their square roots differ by more.
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
        ‖e‖, the size of the error of a computed residual A w − b.
    gradient : ndarray, shape (r,)
        Error of the gradient along each v_i, to be multiplied by the step size.
    iterate : ndarray, shape (r,)
        Rounding of w along each v_i.
    """

    residual: float
    gradient: np.ndarray
    iterate: np.ndarray


def step_errors(
    matrix: np.ndarray, residual: np.ndarray, w_star: np.ndarray, y_norm: float, spectrum: Spectrum
) -> StepErrors:
    """Return the errors of one step for A of shape (n, d), A w* − b of shape (n,) and ‖y‖."""
    rows, columns = matrix.shape
    size = np.hypot(np.abs(matrix) @ np.abs(w_star), y_norm / np.sqrt(rows))
    error = np.sqrt(columns) * UNIT_ROUNDOFF * size
    product = np.sqrt(rows) * UNIT_ROUNDOFF * _norms(matrix, residual)
    through = spectrum.singular_values * _norms(spectrum.left, error)
    return StepErrors(
        residual=float(np.linalg.norm(error)),
        gradient=2 * (through + _norms(spectrum.right, product)),
        iterate=UNIT_ROUNDOFF * (np.abs(spectrum.right).T @ np.abs(w_star)),
    )


def _norms(matrix: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """√Σ_k matrix_kj² errors_k² for each column j: independent errors, carried along by it."""
    # Its square might not fit into a float.
    largest = np.abs(errors).max() or 1.0
    return largest * np.linalg.norm(matrix * (errors / largest)[:, None], axis=0)


def noise_level(
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
    floor = np.full(step_size.shape, (3 * errors.residual) ** 2)
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


def size_of_error(matrix: np.ndarray, error: np.ndarray, spectrum: Spectrum) -> float:
    """Return what bounds ‖|A||w_t − w*|‖ν^−t for all t, given w_0 − w*, as derived above."""
    V, singular = spectrum.right, spectrum.singular_values
    components = np.abs(V.T @ error)
    by_columns = np.linalg.norm(matrix, axis=0) @ (np.abs(V) @ components)
    return float(min(singular[0] * np.linalg.norm(error), by_columns))


def drift(nu: ArrayLike, relative_step: ArrayLike, t: ArrayLike, columns: int) -> np.ndarray:
    """Return how far rounding may carry w_t − w* off, as a part of ‖w_0 − w*‖, as derived above.

    Parameters
    ----------
    nu, relative_step, t : array_like
        Contraction, step_size lambda_max and iteration.
    columns : int
        d.
    """
    unit = relative_error(columns)
    error = unit * (1 + np.asarray(relative_step, dtype=float))
    nu, t = np.maximum(nu, np.finfo(float).tiny), np.asarray(t)
    with np.errstate(over="ignore"):
        steps = (nu + error) ** t * -np.expm1(-t * np.log1p(error / nu))
        return steps + unit * nu**t


def _summed(relative_step: np.ndarray, iterations: int, t: np.ndarray) -> np.ndarray:
    """Σ_{s<t} |1 − x|^s: at its limit (or after all iterations) where |1 − x| <= 1, else at t."""
    decay = np.minimum(relative_step, 2 - relative_step)
    growth = -decay
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bounded = np.minimum(1 / np.maximum(decay, 1 / iterations), iterations)
        growing = np.expm1(t * np.log1p(growth)) / growth
    return np.where(decay >= 0, bounded, growing)
