"""Statements about any method that moves w_t − w* by a residual polynomial p_t(H)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import CLOSE, FAILS, HOLDS, Check, agree, positive, under

LABEL = "p_t"


def two_terms(case: Case) -> Iterator[Check]:
    """One step: e_{t+1} = e_t + b (e_t − e_{t−1}) − c e_t, e the part of w − w* along each v_i."""
    V, found, expected, sizes = case.spectrum.right, [], [], []
    flat, _ = case.method.recurrence(1, 0.0, case.theory.coefficients)
    for before, moment in zip(case.moments, case.moments[1:], strict=False):
        if moment.t != before.t + 1 or moment.following is None:
            continue
        b, c = case.method.recurrence(
            moment.t, case.eigenvalues, {k: v[0] for k, v in case.theory.coefficients.items()}
        )
        now, earlier = (V.T @ case.away(each.w) for each in (moment, before))
        found.append(V.T @ case.away(moment.following))
        expected.append(now + b * (now - earlier) - c * now)
        moved = case.move_size(moment, case.lengths) + np.abs(before.w)
        sizes.append((2 + 2 * np.abs(flat).max()) * np.abs(V.T) @ moved)
    statement = "vᵢᵀ(eₜ₊₁ − eₜ) = b vᵢᵀ(eₜ − eₜ₋₁) − c vᵢᵀeₜ, e = w − w*"
    yield agree(LABEL, statement, found, expected, sizes, 2 * case.unit)


def exact_gap(case: Case) -> Iterator[Check]:
    """The gap is ½ Σ λ_i p_t(λ_i)² c_i², c_i the component of w_0 − w* along v_i."""
    measured, error = case.measured
    exact = np.sqrt(case.theory.curves(*case.recorded)["gap_exact"])
    size = positive(measured + exact + error)
    statement = "the run's gap is ½ Σ λᵢ pₜ(λᵢ)² cᵢ²"
    yield agree(LABEL, statement, measured, exact, size, error / size)


def bounds_hold(case: Case) -> Iterator[Check]:
    """No gap or distance is above its bound, which is a maximum over λ⁺min <= λ <= λmax."""
    measured, error = case.measured
    bounds = case.theory.curves(*case.recorded)
    for name, statement in (
        ("gap_bound", "L(wₜ) − L(w*) ≤ ½λmax max pₜ² ‖w₀ − w*‖²"),
        ("gap_bound_relative", "gap ≤ max pₜ² times the initial gap"),
        ("gap_bound_sharp", "gap ≤ ½ max λpₜ² ‖w₀ − w*‖²"),
    ):
        yield under(LABEL, statement, measured, np.sqrt(bounds[name]), error)
    distance = np.array([np.linalg.norm(case.away(moment.w)) for moment in case.moments])
    # A gap of rounding may be a distance that is larger by √(2/λ⁺min).
    off = error * np.sqrt(2 / case.lambda_min_positive)
    statement = "‖wₜ − w*‖² ≤ max pₜ² ‖w₀ − w*‖²"
    yield under(LABEL, statement, distance, np.sqrt(bounds["distance_bound"]), off)


def limit_of_steps(case: Case) -> Iterator[Check]:
    """The method converges if and only if its step size is below its limit."""
    coefficients = {name: values[0] for name, values in case.theory.coefficients.items()}
    limit = case.method.step_limit(coefficients, case.lambda_max)
    if limit is None:
        return
    margin = float(limit / case.step_size - 1)
    passed = abs(margin) <= CLOSE or (case.nu < 1) == (margin > 0)
    statement = f"it converges if and only if η < {limit:.6g}"
    yield Check(LABEL, statement, "slack", margin, CLOSE, HOLDS if passed else FAILS, passed)
