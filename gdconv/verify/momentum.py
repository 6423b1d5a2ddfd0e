"""Statements that only one of the methods with momentum has."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import DIGITS, EPS, Check, agree, not_below, positive
from gdconv.verify.known import KnownChebyshev, KnownMarchenkoPastur
from gdconv.verify.moments import Moment
from gdconv.verify.polynomial import converges, known, rounding

# So many iterations of the best method on average are compared with each other.
ORTHOGONAL = 20


def momentum_asked_for(case: Case) -> Iterator[Check]:
    """The momentum is the one that was asked for, and no choice has a smaller ν than the best."""
    if case.method.chooses:
        return
    asked: Any = getattr(case.method, "momentum", None)
    with localcontext(prec=DIGITS):
        form = known(case)
        assert form is not None
        best, least = form.best_momentum(), form.best_radius()
    if asked != "convex":
        optimal = asked == "optimal"
        words = "the best one for this η, to 200 digits" if optimal else "method.momentum"
        expected = best if optimal else asked
        found = case.coefficients["momentum"]
        # Nesterov's is a search for equal ρ at both ends, where one root may be double.
        off = 2 * np.sqrt(EPS) if optimal and least is not None else 64 * EPS
        yield agree("β", f"β is {words}", found, float(expected), 1.0, off, may_be_zero=True)
    if least is not None:
        statement = f"ν ≥ 1 − 2/√(3κ + 1) = {least:.6g}, that of the best η and β"
        # At a double root a computed ν may be off by √eps.
        yield not_below("β", statement, 1 - float(least) / case.nu if case.nu else 0.0, 1e-7)


class Form(NamedTuple):
    """S_t, the size of the terms added up in it, and its derivative with respect to e_t."""

    value: float
    size: float
    slope: np.ndarray


def form_of(case: Case, now: np.ndarray, before: np.ndarray) -> Form:
    """S_t = ‖e_t‖² + β ‖e_{t−1}‖² − (1 + β) e_tᵀe_{t−1} + η e_tᵀHe_{t−1}."""
    step_size, beta = case.coefficients["step_size"], case.coefficients["momentum"]
    turned = step_size * case.hessian_times(before) - (1 + beta) * before
    value = float(now @ now + beta * (before @ before) + now @ turned)
    lengths = [float(case.columns @ np.abs(e)) for e in (now, before)]
    size = now @ now + beta * (before @ before) + (1 + beta) * np.abs(now) @ np.abs(before)
    return Form(value, float(size + 2 * step_size * np.prod(lengths)), 2 * now + turned)


def invariant(case: Case) -> Iterator[Check]:
    """Heavy ball: S_t shrinks by the momentum β in every step, whatever H, η and β are."""
    beta, found, expected, sizes, errors = case.coefficients["momentum"], [], [], [], []
    measured = []
    for before, moment in pairwise(case.moments):
        if moment.t != before.t + 1 or moment.following is None:
            continue
        errors_of = [case.away(w) for w in (before.w, moment.w, moment.following)]
        # The squares of what diverges would overflow.
        scale = float(positive(np.max(np.abs(errors_of))))
        first, second, third = (e / scale for e in errors_of)
        now, after = form_of(case, second, first), form_of(case, third, second)
        found.append(after.value)
        expected.append(beta * now.value)
        sizes.append(beta * now.size + after.size)
        errors.append(_off(case, moment, before, after, scale))
        slope = case.gradient(moment.w) / scale
        numbers = {name: np.array(value) for name, value in case.coefficients.items()}
        state = {"move": (before.w - moment.w) / scale}
        by_method = case.method.invariant(second, slope, numbers, state)
        measured.append(beta * float(by_method))
    tolerance = np.array(errors) / positive(sizes) + 2 * case.unit
    statement = "Sₜ₊₁ = β Sₜ, Sₜ a quadratic form of eₜ and eₜ₋₁"
    yield agree("S_t", statement, found, expected, sizes, tolerance)
    statement = "Sₜ = ‖eₜ‖² − eₜ₊₁ᵀeₜ₋₁, from which the rate is measured"
    yield agree("S_t", statement, measured, found, sizes, 2 * tolerance)
    yield from _first_form(case)


def _first_form(case: Case) -> Iterator[Check]:
    """S_1 is 2ηβ times the gap at the start, or what an averaged first step makes of it."""
    step_size, beta = case.coefficients["step_size"], case.coefficients["momentum"]
    start = case.moments[0]
    if start.following is None:
        return
    e = [case.away(w) for w in (start.w, start.following)]
    scale = float(positive(np.max(np.abs(e))))
    now = form_of(case, e[1] / scale, e[0] / scale)
    slope = case.hessian_times(e[0] / scale)
    terms = [step_size * beta * float(e[0] / scale @ slope)]
    statement = "S₁ = 2ηβ (L(w₀) − L(w*))"
    if getattr(case.method, "first_step", None) == "averaged":
        terms = [2 * terms[0], -(step_size**2) * beta / (1 + beta) * float(slope @ slope)]
        terms = [each / (1 + beta) for each in terms]
        statement = "S₁ = 4ηβ/(1 + β) (L(w₀) − L(w*)) − β(η/(1 + β))² ‖H(w₀ − w*)‖²"
    size = now.size + float(np.sum(np.abs(terms)))
    size += 4 * step_size * float(case.columns @ np.abs(e[0] / scale)) ** 2
    error = _off(case, start, start, now, scale)
    tolerance = error / positive(size) + 2 * case.unit
    yield agree("S_t", statement, now.value, float(np.sum(terms)), size, tolerance)


def _off(case: Case, moment: Moment, before: Moment, after: Form, scale: float) -> float:
    """How far S_{t+1} may be off, given w_t and w_{t−1}, because w_{t+1} was rounded."""
    moved = case.move_size(moment, case.lengths) + np.abs(before.w)
    off = 2 * case.unit * (2 + 2 * case.coefficients["momentum"]) * moved / scale
    return float(off @ np.abs(after.slope) + off @ off)


def interval(case: Case) -> Iterator[Check]:
    """Chebyshev: with the interval [a, b], p_t(λ) → 0 for 0 < λ < a + b and for no larger λ."""
    with localcontext(prec=DIGITS):
        form = known(case)
        assert isinstance(form, KnownChebyshev)
        limit = 2 * form.theta
        margin = float(limit / Decimal(case.lambda_max) - 1)
    yield converges("a + b", f"λmax < a + b = {float(limit):.6g}", case, margin)


def least_on_average(case: Case) -> Iterator[Check]:
    """Marchenko–Pastur: p_t is orthogonal to all earlier ones, so it is the best on average.

    The weight is Marchenko and Pastur's law times λ, which is a semicircle: with m parts of [0, π]
    the rule is exact for polynomials of a degree below 2m − 2.
    """
    form = known(case)
    assert isinstance(form, KnownMarchenkoPastur)
    ratio, many = float(form.few / form.many), float(form.many)
    found = np.array([np.exp(case.coefficients["log_ratio"]), case.coefficients["last"]])
    expected = np.array([ratio, 1 / (2 * many)])
    statement = "r = min(d/n, n/d), and ηₜ → 1/(2 max(n, d))"
    off = np.array([4 + np.abs(np.log(ratio)), 4]) * EPS
    yield agree("d/n", statement, found, expected, expected, off)
    last = min(ORTHOGONAL, case.run.method.iterations)
    angle = np.pi * np.arange(1, last + 2) / (last + 2)
    weights = 2 / (last + 2) * np.sin(angle) ** 2
    values = 2 * many * (1 + ratio - 2 * np.sqrt(ratio) * np.cos(angle))
    p, change = [np.ones_like(values)], np.zeros_like(values)
    for t in range(last):
        b, c = case.method.recurrence(t, values, case.coefficients)
        change = b * change - c * p[-1]
        p.append(p[-1] + change)
    of_t, off = np.array(p), rounding(case, values, range(last + 1)) + 8 * EPS
    with localcontext(prec=DIGITS):
        squares = np.diag([float(form.at_start(t)) for t in range(last + 1)])
    # That of t = 0, because in floats λ is off by eps times its size.
    error = 2 * (np.abs(of_t) * weights) @ off.T
    error = np.maximum(error, error.T)
    statement = "∫λpₜpₛdμ = 0 for s < t, and ∫λpₜ²dμ = ∫λdμ/Uₜ(s₀)²"
    found, size = (of_t * weights) @ of_t.T, np.sqrt(np.outer(*[np.diag(squares)] * 2))
    yield agree("d/n", statement, found, squares, size, error / size, may_be_zero=True)
