"""Statements about the gap L(w_t) − L(w*): (15) to (17), and its bounds (18) and (19)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, localcontext

import numpy as np

from gdconv.theory import bounds
from gdconv.verify.case import Case
from gdconv.verify.checks import (
    CLOSE,
    DIGITS,
    EPS,
    FAILS,
    HALF,
    HOLDS,
    NOTHING,
    TIMES,
    Check,
    agree,
    closed_form,
    enclosed,
    growth,
    largest_product,
    positive,
    powers,
    slacks,
    under,
)


def taylor_15(case: Case) -> Iterator[Check]:
    """(15) L(w_1) = L(w_2) + ∇L(w_2)ᵀ(w_1 − w_2) + ½(w_1 − w_2)ᵀH(w_1 − w_2)."""
    found, expected, sizes = [], [], []
    for w, other in zip(case.points, np.roll(case.points, 1, axis=0), strict=True):
        away = w - other
        second = away @ case.hessian_times(away) / 2
        expected.append(case.loss(other) + case.gradient(other) @ away + second)
        found.append(case.loss(w))
        sizes.append(case.magnitude(w, other) ** 2)
    statement = "L(w) = L(w′) + ∇L(w′)ᵀ(w − w′) + ½(w − w′)ᵀH(w − w′)"
    yield agree("(15)", statement, found, expected, sizes, 4 * case.unit)


def gap_16(case: Case) -> Iterator[Check]:
    """(16) L(w) − L(w*) = ½(w − w*)ᵀH(w − w*) at random w."""
    yield _gap_at("(16)", "L(w) − L(w*) = ½(w − w*)ᵀH(w − w*)", case, case.points)


def gap_17(case: Case) -> Iterator[Check]:
    """(17) The same at w_t; by (9) the gap is ½ Σ λ_i (1 − ηλ_i)^{2t} c_i²."""
    iterates = [moment.w for moment in case.moments]
    yield _gap_at("(17)", "L(wₜ) − L(w*) = ½(wₜ − w*)ᵀH(wₜ − w*)", case, iterates)
    shares = case.shares
    exact = bounds.exact_gap(case.eigenvalues, shares, case.step_size, case.times)
    measured, error = case.measured
    size = positive(measured + np.sqrt(exact) + error)
    statement = "the run's gap is ½ Σ λᵢ(1 − ηλᵢ)²ᵗcᵢ²"
    yield agree("(17)", statement, measured, np.sqrt(exact), size, error / size)
    found = bounds.exact_gap(case.eigenvalues, shares, case.step_size, TIMES)
    terms = [powers(case.step_size, value, TIMES) for value in case.eigenvalues]
    expected = sum(share * power for share, (power, _) in zip(shares, terms, strict=True))
    error = sum(share * error for share, (_, error) in zip(shares, terms, strict=True))
    error += len(shares) * EPS * expected
    statement = "½ Σ λᵢ(1 − ηλᵢ)²ᵗcᵢ² to 200 digits"
    yield enclosed("(17)", statement, found, expected, error, growth(case))


def bound_18(case: Case) -> Iterator[Check]:
    """(18) L(w_t) − L(w*) <= λmax/2 ν^{2t} ‖w_0 − w*‖², and two sharper bounds.

    The relative bound is ν^{2t} times the initial gap. The sharp bound is the largest value of
    ½ λ(1 − ηλ)^{2t} ‖w_0 − w*‖² over λ⁺min <= λ <= λmax.
    """
    measured, error = case.measured
    ends, t = case.ends[::-1], case.times
    bound = bounds.gap_bound(case.step_size, t, case.distance_squared, *ends)
    statement = "L(wₜ) − L(w*) ≤ ½λmax ν²ᵗ‖w₀ − w*‖²"
    yield under("(18)", statement, measured, np.sqrt(bound), error)
    found = bounds.gap_bound(case.step_size, TIMES, case.distance_squared, *ends)
    scale = case.lambda_max / 2 * case.distance_squared
    statement = "½λmax ν²ᵗ‖w₀ − w*‖² to 200 digits"
    yield closed_form("(18)", statement, case, found, case.ends, scale)

    initial = measured[0] ** 2 if len(measured) else 0.0
    bound = bounds.gap_bound_relative(case.step_size, t, initial, *ends)
    statement = "relative: gap ≤ ν²ᵗ times the initial gap"
    carried = error + error[:1] * case.nu**t
    yield under("(18)", statement, measured, np.sqrt(bound), carried)
    found = bounds.gap_bound_relative(case.step_size, TIMES, initial, *ends)
    statement = "ν²ᵗ times the initial gap to 200 digits"
    yield closed_form("(18)", statement, case, found, case.ends, initial)

    bound = bounds.gap_bound_sharp(case.step_size, t, case.distance_squared, *ends)
    statement = "sharp: gap ≤ max ½λ(1 − ηλ)²ᵗ‖w₀ − w*‖²"
    yield under("(18)", statement, measured, np.sqrt(bound), error)
    found = bounds.gap_bound_sharp(case.step_size, TIMES, case.distance_squared, *ends)
    exact, error = largest_product(case.step_size, case.ends, TIMES, case.distance_squared / 2)
    yield enclosed("(18)", "that maximum, by search", found, exact, error, growth(case))


def bound_19(case: Case) -> Iterator[Check]:
    """(19) L(w_t) − L(w*) <= λmax/2 (1 − λmin/K)^{2t} ‖w_0 − w*‖², and the corrected bound.

    The coursework's bound is true if |1 − λmin/K| is the largest |1 − λ/K|: for
    K >= (λmin + λmax)/2, and for λmin = λmax. Otherwise some starts break it. Where the exact gap
    exceeds the bound, the measured gap has to exceed it too.
    """
    stated = float(bounds.contraction_coursework(case.step_size, case.lambda_min))
    yield _coursework(case, stated)

    ends = case.lambda_max, case.lambda_min
    found = bounds.gap_bound_coursework(case.step_size, TIMES, case.distance_squared, *ends)
    scale = case.lambda_max / 2 * case.distance_squared
    statement = "½λmax(1 − λmin/K)²ᵗ‖w₀ − w*‖² to 200 digits"
    yield closed_form("(19)", statement, case, found, [case.lambda_min], scale)
    with localcontext(prec=DIGITS):
        smallest = Decimal(float(case.spectrum.eigenvalues[-1]))
        exactly = float(1 - Decimal(case.step_size) * smallest)
    size = 1 + case.step_size * case.lambda_min
    statement = "1 − λmin/K to 200 digits"
    yield agree("(19)", statement, stated, exactly, size, 4 * EPS, may_be_zero=True)

    nu, (measured, error) = case.nu, case.measured
    corrected = max(abs(1 - case.lambda_min_positive / case.K), abs(1 - case.lambda_max / case.K))
    size = 1 + case.lambda_max * case.step_size
    statement = "ν is max(|1 − λ⁺min/K|, |1 − λmax/K|)"
    yield agree("(19)", statement, nu, corrected, size, 4 * EPS, may_be_zero=True)
    bound = case.lambda_max / 2 * corrected ** (2.0 * case.times) * case.distance_squared
    statement = "corrected: gap ≤ ½λmax ν²ᵗ‖w₀ − w*‖²"
    yield under("(19)", statement, measured, np.sqrt(bound), error)


def _gap_at(equation: str, statement: str, case: Case, points: Iterable[np.ndarray]) -> Check:
    """Compare L(w) − L(w*) with the quadratic form.

    Both losses and the form are squares of lengths; each length is off by up to unit times the size
    of the terms that are added up. The form does not contain the singular values that the rank rule
    takes for 0, so their contribution may differ.
    """
    V, minimum = case.spectrum.right, case.loss(case.w_star)
    residual = np.linalg.norm(case.X @ case.w_star - case.y)
    found, expected, sizes, errors = [], [], [], []
    for w in points:
        away, loss = w - case.w_star, case.loss(w)
        form = away @ case.hessian_times(away) / 2
        found.append(loss - minimum)
        expected.append(form)
        sizes.append(loss + minimum + form)
        off = 2 * case.unit * case.magnitude(w, case.w_star)
        lengths = np.sqrt(np.maximum([loss, minimum, form], 0.0))
        cut = np.linalg.norm(case.X @ (away - V @ (V.T @ away)))
        errors.append(np.sum(off * (2 * lengths + off)) + 2 * cut * residual)
    tolerance = np.array(errors) / positive(sizes) + case.unit
    return agree(equation, statement, found, expected, sizes, tolerance)


def _coursework(case: Case, stated: float) -> Check:
    """Check that (19) is broken where theory says that it is, and nowhere else."""
    measured, error = case.measured
    t, scale = case.times, case.lambda_max / 2 * case.distance_squared
    ends = case.lambda_max, case.lambda_min
    bound = np.sqrt(bounds.gap_bound_coursework(case.step_size, t, case.distance_squared, *ends))
    exact = np.sqrt(bounds.exact_gap(case.eigenvalues, case.shares, case.step_size, t))
    # How much larger the factor of λmax is; at the optimum and for κ = 1 only by rounding.
    beyond = max(abs(1 - case.lambda_max / case.K) - abs(stated), 0.0)
    true = beyond <= CLOSE * (1 + case.lambda_max / case.K)
    if true:
        error = error + np.sqrt(scale) * ((abs(stated) + beyond) ** t - abs(stated) ** t)
    broken, may_be = measured > bound + error, exact > bound
    must_be = exact > bound + 2 * error
    slack, tolerance = slacks(measured, bound, error)
    # The iteration to report: where the bound is first broken or, if it never is, nearly reached.
    order = np.where(np.isfinite(slack), slack, np.inf)
    at = int(np.argmax(broken) if broken.any() else np.argmin(order)) if len(order) else 0
    value, allowed = (order[at], tolerance[at]) if len(order) else (0.0, 0.0)
    passed = not (broken & (true | ~may_be)).any() and not (must_be & ~broken).any()
    verdict = HOLDS
    if not passed:
        verdict = FAILS
    elif broken.any():
        first = case.moments[at].t
        verdict = f"fails at t = {first}, as expected for this K < (λmin + λmax)/2"
    elif not (tolerance < HALF).any():
        verdict = NOTHING
    elif not true:
        verdict = "holds for this start, but not for all: K < (λmin + λmax)/2"
    statement = "coursework's bound: gap ≤ ½λmax(1 − λmin/K)²ᵗ‖w₀ − w*‖²"
    return Check("(19)", statement, "slack", float(value), float(allowed), verdict, bool(passed))
