"""Rounding errors of a trajectory: how far a computed gap may be off, and its rounding floor.

The computed iteration is w_t − w* = (I − step_size H)(w_{t−1} − w*) + p_t, where the perturbation
p_t consists of the rounding errors of one step. Let u be the unit roundoff, A the matrix that is
iterated with (n x d), b its target, which is in the range of A, and y the target of the problem.
Absolute values are taken element by element. Rounding errors are taken as independent (Higham and
Mary, SIAM J. Sci. Comput. 41, 2019), which gives √d u, here with a factor of 4, in place of the
worst case d u:

    e_k² = 16 d u² ((|A||w°|)_k² + ‖y‖²/n)         error of the computed residual (A w − b)_k
    |v_iᵀ p_t| = 2 step_size σ_i √Σ_k u_ik² e_k² + u |v_i|ᵀ|w°|

w° is about the point that the run can reach in T iterations. Along a v_i with a small λ_i it hardly
moves: the component of w_0 − w* along v_i is multiplied by (1 − step_size λ_i)^t, which after T
iterations is at least 1 − T step_size λ_i. So

    w° = w_0 − Σ_i min(1, T step_size λ_i) c_i v_i,        c_i = v_iᵀ(w_0 − w*).

If T is large enough for all of them, w° is w*. If A has a null space, nothing ever shrinks the
rounding errors of the way in it, so those of all steps are added to |w°|. They count if w_0 is
farther from w* by many orders of magnitude than w* is from 0.

The error e enters the step through Aᵀ; therefore it is weighed by σ_i and the left singular vector
u_i. The last term is the rounding of w itself. When the step is smaller than the last digit of w,
this rounding makes the iteration stop, or jump between two points. It is the same in each step and
may have the signs of v_i, so its parts are added up, not their squares. The errors of different
entries are independent, but the errors of different steps need not be. Summed over the steps,
component i stalls at |v_iᵀ p| S_i with S_i = Σ_{s<t} |1 − step_size λ_i|^s, and the gap at

    noise = Σ_i ½ λ_i (|v_iᵀ p| S_i)² + Σ_k e_k²,

where the last term is the error of the computed residual, from which the gap is computed.

At that level a run comes to rest. Before, the errors of a step are also proportional to w − w°,
whose components are at most ν^t min(1, T step_size λ_i) |c_i|. They are a handful of roundings in
two products with A, of a size that is ν^t times

    moved = Σ_j ‖A_j‖ Σ_i |v_ij| min(1, T step_size λ_i) |c_i|, or ‖A‖‖w_0 − w*‖ if that is less.

The first is far smaller if columns differ in size. Let ε = 16 √d u and
ν' = ν + ε (1 + step_size λ_max). In t steps these errors grow to at most ν'^t − ν^t times moved,
along any direction, and the residual that the gap is computed from adds ε ν^t times moved. This is
more than a small part of the gap only if w_0 − w* has hardly any component along the directions
that shrink most slowly, or components only along those with small λ_i. Altogether

    |√computed gap − √gap| <= √gap_floor
    gap_floor = (√noise + moved (ν'^t − ν^t + ε ν^t))²,

so a gap counts as larger than a bound only if their square roots differ by more than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gdconv.problems.spectrum import Spectrum

UNIT_ROUNDOFF = np.finfo(float).eps / 2


@dataclass(frozen=True)
class StepErrors:
    """Rounding errors of one step of m runs, as derived above.

    Attributes
    ----------
    residual : ndarray, shape (m,)
        ‖e‖, the size of the error of a computed residual A w − b.
    gradient : ndarray, shape (m, r)
        Error of the gradient along each v_i, to be multiplied by the step size.
    iterate : ndarray, shape (m, r)
        Rounding of w along each v_i.
    moved : ndarray, shape (m,)
        Scale of the errors that are proportional to w − w°.
    """

    residual: np.ndarray
    gradient: np.ndarray
    iterate: np.ndarray
    moved: np.ndarray


def step_errors(
    matrix: np.ndarray,
    left: np.ndarray,
    start: np.ndarray,
    away: np.ndarray,
    y_norm: float,
    spectrum: Spectrum,
    reach: np.ndarray,
    lasting: np.ndarray,
) -> StepErrors:
    """Return the errors of one step.

    Parameters
    ----------
    matrix : ndarray, shape (n, d)
        A.
    left : ndarray, shape (n, r)
        Its left singular vectors.
    start, away : ndarray, shape (d,)
        w_0, and w_0 − w*.
    y_norm : float
        ‖y‖.
    reach : ndarray, shape (r, m)
        The largest part of the way to w* along v_i that a run may go.
    lasting : ndarray, shape (m,)
        How many roundings of the way add up in the null space of A.
    """
    rows, columns = matrix.shape
    V, singular = spectrum.right, spectrum.singular_values
    sizes, turns, lengths = np.abs(matrix), np.abs(V), np.linalg.norm(matrix, axis=0)
    components, whole = V.T @ away, float(singular[0] * np.linalg.norm(away))

    def of(part: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        moved = part[:-1] * components
        at_rest = np.abs(start - V @ moved)
        at_rest += part[-1] * UNIT_ROUNDOFF * (turns @ np.abs(moved))
        error = np.hypot(sizes @ at_rest, y_norm / np.sqrt(rows))
        error *= 4 * np.sqrt(columns) * UNIT_ROUNDOFF
        # Scaled, because the square of an error might not fit into a float.
        largest = error.max() or 1.0
        along = largest * np.linalg.norm(left * (error / largest)[:, None], axis=0)
        return (
            float(np.linalg.norm(error)),
            2 * singular * along,
            UNIT_ROUNDOFF * (turns.T @ at_rest),
            min(float(lengths @ (turns @ np.abs(moved))), whole),
        )

    if spectrum.rank == columns:
        lasting = np.zeros_like(lasting)
    parts, which = np.unique(np.vstack([reach, lasting]).T, axis=0, return_inverse=True)
    # One at a time, because the rounding of a joint product would depend on the other runs.
    found = zip(*map(of, parts), strict=True)
    return StepErrors(*(np.array(values)[which.ravel()] for values in found))


def relative_error(columns: int) -> float:
    """Return the relative error of one step, a handful (16) of roundings of size √d u."""
    return float(16 * np.sqrt(columns) * UNIT_ROUNDOFF)


def drift(nu: ArrayLike, relative_step: ArrayLike, t: ArrayLike, columns: int) -> np.ndarray:
    """Return how far rounding may carry w_t off on its way, as a part of moved; derived above.

    Parameters
    ----------
    nu, relative_step, t : array_like
        Contraction factor, step_size lambda_max and iteration.
    columns : int
        d.
    """
    unit = relative_error(columns)
    error = unit * (1 + np.asarray(relative_step, dtype=float))
    nu, t = np.maximum(nu, np.finfo(float).tiny), np.asarray(t)
    with np.errstate(over="ignore"):
        steps = (nu + error) ** t * -np.expm1(-t * np.log1p(error / nu))
        return steps + unit * nu**t


def summed(relative_step: np.ndarray, iterations: int, t: np.ndarray) -> np.ndarray:
    """Return Σ_{s<t} |1 − x|^s at t; if |1 − x| <= 1, its limit, or the sum over all iterations.

    On the edge of stability rounding errors add up until the last iteration.
    """
    decay = np.minimum(relative_step, 2 - relative_step)
    growth = -decay
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bounded = np.minimum(1 / np.maximum(decay, 1 / iterations), iterations)
        growing = np.expm1(t * np.log1p(growth)) / growth
    return np.where(decay >= 0, bounded, growing)
