"""Statements about the error w_t − w*: an iteration (6) to (8), t of them (9), and (12) to (14)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

import numpy as np

from gdconv.theory import bounds
from gdconv.verify.case import Case
from gdconv.verify.checks import (
    DIGITS,
    EPS,
    TIMES,
    Check,
    agree,
    closed_form,
    not_below,
    positive,
    step_asked_for,
    under,
)


def step_6(case: Case) -> Iterator[Check]:
    """(6) The step size is the one asked for; the optimal one has 1 − ηλ⁺min = −(1 − ηλmax)."""
    with localcontext(prec=DIGITS):
        both = Decimal(case.lambda_min_positive) + Decimal(case.lambda_max)
        ratio = step_asked_for(case, 2 / both, Decimal(case.lambda_max))
        best = Decimal(bounds.optimal_step_size(case.lambda_max, case.lambda_min_positive))
        twice = float(best * both)
    unit = case.run.step_unit
    yield agree("(6)", f"η is step.value in the unit {unit}", ratio, 1.0, 1.0, 4 * EPS)
    yield agree("(6)", "at the optimal η, η(λ⁺min + λmax) = 2", twice, 2.0, 1.0, 4 * EPS)


def step_7(case: Case) -> Iterator[Check]:
    """(7) w_t = w_{t−1} − ηH(w_{t−1} − w*) for iterates of the run."""
    found, expected, sizes = [], [], []
    for moment in case.moves:
        found.append(moment.following - moment.w)
        expected.append(-case.step_size * case.hessian_times(case.away(moment.w)))
        sizes.append(case.move_size(moment, case.lengths))
    statement = "wₜ = wₜ₋₁ − ηH(wₜ₋₁ − w*)"
    yield agree("(7)", statement, found, expected, sizes, 2 * case.unit)


def step_8(case: Case) -> Iterator[Check]:
    """(8) w_t − w* = (I − ηH)(w_{t−1} − w*), with H made from its eigenvalues and eigenvectors."""
    V = case.spectrum.right
    found, expected, sizes = [], [], []
    for moment in case.moves:
        found.append(moment.following - moment.w)
        away = V.T @ case.away(moment.w)
        expected.append(-V @ (case.step_size * case.eigenvalues * away))
        sizes.append(case.move_size(moment, case.width))
    statement = "wₜ − w* = (I − ηH)(wₜ₋₁ − w*), H = Σ λᵢvᵢvᵢᵀ"
    yield agree("(8)", statement, found, expected, sizes, 2 * case.unit)


def unrolled_9(case: Case) -> Iterator[Check]:
    """(9) w_t − w* = (I − ηH)^t(w_0 − w*), where the component along v_i gets (1 − ηλ_i)^t."""
    largest = max(1.0, float(np.exp(case.logs.max())))
    found, expected, tolerance, sizes = [], [], [], []
    for moment in case.moments:
        found.append(case.spectrum.right.T @ case.away(moment.w))
        expected.append(case.powers(moment.t) * case.components)
        tolerance.append(moment.components_error)
        size = np.sqrt(case.distance_squared) * largest**moment.t
        sizes.append(np.full(case.spectrum.rank, size))
    statement = "wₜ − w* = (I − ηH)ᵗ(w₀ − w*)"
    tolerance = np.array(tolerance) / positive(sizes)
    yield agree("(9)", statement, found, expected, sizes, tolerance)


def eigenvectors_12(case: Case) -> Iterator[Check]:
    """(12) The Lagrangian F(w) = wᵀHw − λ(wᵀw − 1) has gradient 0 at v_i, with λ = λ_i.

    The computed decomposition is the exact one of a matrix X + E. So H v_i − λ_i v_i is
    −2(XᵀE + EᵀX) v_i, whose component j is at most 2 unit (c_j ‖X‖ + ‖X‖ σ_i).
    """
    V, singular = case.spectrum.right, case.spectrum.singular_values
    found = 2 * (case.X.T @ (case.X @ V))
    sizes = 2 * case.width * (case.columns[:, None] + singular)
    statement = "½∇F(vᵢ) = Hvᵢ − λᵢvᵢ = 0 with λ = λᵢ, F the Lagrangian"
    yield agree("(12)", statement, found, V * case.eigenvalues, sizes, case.unit)


def quadratic_form_13(case: Case) -> Iterator[Check]:
    """(13) wᵀHw <= λmax ‖w‖², with equality at v_max."""
    points = case.points / np.linalg.norm(case.points, axis=1)[:, None]
    values = 2 * np.sum((case.X @ points.T) ** 2, axis=0)
    size = 1 + 2 * case.width**2 / case.lambda_max
    slack = 1 - values / case.lambda_max
    yield not_below("(13)", "wᵀHw ≤ λmax‖w‖²", slack, 2 * case.unit * size)
    v = case.spectrum.right[:, 0]
    ratio = 2 * np.sum((case.X @ v) ** 2) / case.lambda_max
    yield agree("(13)", "with equality at v_max", ratio, 1.0, size, 2 * case.unit)


def distance_14(case: Case) -> Iterator[Check]:
    """(14) ‖w_t − w*‖² = (w_0 − w*)ᵀ(I − ηH)^{2t}(w_0 − w*) <= ν^{2t} ‖w_0 − w*‖².

    ν is the largest absolute eigenvalue of I − ηH on the range of H.
    """
    measured = np.array([np.linalg.norm(case.away(m.w)) for m in case.moments])
    exact = np.array([np.linalg.norm(case.powers(m.t) * case.components) for m in case.moments])
    error = np.array([moment.distance_error for moment in case.moments])
    # What the bounds start from has to be the distance, too.
    start = np.where(case.times == 0, np.sqrt(case.distance_squared), measured)
    size = positive(measured + exact + error)
    statement = "‖wₜ − w*‖² = (w₀ − w*)ᵀ(I − ηH)²ᵗ(w₀ − w*)"
    yield agree("(14)", statement, [measured, start], exact, size, error / size)
    ends = case.ends[::-1]
    bound = np.sqrt(bounds.distance_bound(case.step_size, case.times, case.distance_squared, *ends))
    yield under("(14)", "‖wₜ − w*‖² ≤ ν²ᵗ‖w₀ − w*‖²", measured, bound, error)
    found = bounds.distance_bound(case.step_size, TIMES, case.distance_squared, *ends)
    statement = "ν²ᵗ‖w₀ − w*‖² is reached along an eigenvector"
    yield closed_form("(14)", statement, case, found, case.ends, case.distance_squared)
