"""Statements about the rate: (20), when gradient descent converges (j), and of what kind (k)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal, localcontext

import numpy as np

from gdconv.theory import bounds
from gdconv.verify.case import Case
from gdconv.verify.checks import (
    CLOSE,
    DIGITS,
    EPS,
    FAILS,
    HOLDS,
    NOTHING,
    Check,
    agree,
    positive,
    under,
)


def rate_20(case: Case) -> Iterator[Check]:
    """(20) L(w_t) − L(w*) <= O(r^t) with r = ν², and the predicted number of iterations.

    That number is the least whole t >= 1 with ν^{2t} <= method.tolerance. For a small x,
    ln |1 − x| has a relative error of a few eps; otherwise 1 − x is off by a few eps (1 + x).
    """
    log_nu = case.log_nu
    with localcontext(prec=DIGITS):
        factors = [abs(1 - Decimal(case.step_size) * Decimal(value)) for value in case.ends]
        logs = np.array([float(factor.ln()) for factor in factors])
    x = case.step_size * np.array(case.ends)
    size, delta = np.array(factors, dtype=float), 4 * EPS * (1 + x)
    low = np.where(x < 0.5, logs, np.log(np.maximum(size - delta, 0.0)))
    high = np.where(x < 0.5, logs, np.log(size + delta))
    exact = logs.max()
    error = max(high.max() - exact, exact - low.max()) + 4 * EPS * abs(exact)
    if exact > math.log(CLOSE * (1 + x.max())):
        yield agree("(20)", "ln ν to 200 digits", log_nu, exact, 1.0, error)
    else:
        yield agree("(20)", "ν is 0 up to rounding", math.exp(log_nu), 0.0, 1 + x.max(), 2 * CLOSE)
    tolerance = case.run.method.tolerance
    t = float(bounds.iterations_to(tolerance, log_nu))
    statement = f"L(wₜ) − L(w*) ≤ O(rᵗ), r = ν² = {_rate(case, log_nu)}"
    if case.lambda_min == 0:
        statement += " by λ⁺min (λmin = 0 makes it r = 1)"
    if log_nu >= 0:
        passed, value = math.isinf(t), -math.expm1(min(2 * log_nu, 700))
        verdict = "no r below 1" if passed else FAILS
        yield Check("(20)", statement + ": r < 1", "slack", value, 0.0, verdict, passed)
        return
    # Up to the rounding of a logarithm, t iterations are enough, t − 1 are not, and t is whole.
    target = math.log(tolerance)
    enough = 2 * t * log_nu - target
    short = target - 2 * (t - 1) * log_nu if t > 1 else -math.inf
    worst = max(enough, short, abs(t - round(t)), 0.0)
    statement += f": {t:.6g} iterations to {tolerance:g}"
    yield agree("(20)", statement, worst, 0.0, abs(target), CLOSE)


def condition_j(case: Case) -> Iterator[Check]:
    """(j) The coursework asks for K > λmin; gradient descent converges if and only if K > λmax/2.

    One step from w* + v_max multiplies the error by 1 − λmax/K, whatever (19) promises.
    """
    factor = abs(1 - case.lambda_max / case.K)
    found, error = case.step_along(0)
    statement = f"a step along v_max multiplies by |1 − λmax/K| = {factor:.6g}"
    size = 1 + case.lambda_max / case.K
    yield agree("(j)", statement, found, factor, size, error, may_be_zero=True)
    margin = 2 * case.K / case.lambda_max - 1
    converges = case.log_nu < 0
    passed = abs(margin) <= CLOSE or converges == (margin > 0)
    verdict = FAILS
    if passed:
        verdict = "holds: it converges" if converges else "holds: it does not converge"
    statement = "corrected: it converges if and only if K > λmax/2"
    yield Check("(j)", statement, "slack", margin, CLOSE, verdict, bool(passed))
    slack = float(case.K / positive(case.lambda_min) - 1)
    verdict = HOLDS
    if slack <= 0:
        verdict = "says nothing about this K ≤ λmin"
    elif not converges:
        verdict = "fails, as expected for this K ≤ λmax/2"
    statement = "coursework's statement: it converges if K > λmin"
    yield Check("(j)", statement, "slack", slack, CLOSE, verdict, True)


def kind_k(case: Case) -> Iterator[Check]:
    """(k) Linear: one step from w* + v_i, v_i the slowest, multiplies the gap by exactly r = ν².

    A run converges at the rate of the slowest v_i along which w_0 − w* has a component.
    """
    logs = case.logs
    slowest = int(np.argmax(logs))
    found, error = case.step_along(slowest)
    size = 1 + case.step_size * case.lambda_max
    statement = f"{_kind(case, logs[slowest], 'ν')}: a step along the slowest vᵢ multiplies by ν"
    yield agree("(k)", statement, found, case.nu, size, error, may_be_zero=True)

    measured, errors = case.measured
    has = case.spectrum.singular_values * np.abs(case.components) > errors[:1].sum()
    log_own = float(np.max(logs, where=has, initial=-np.inf))
    kind = _kind(case, log_own, "(1 − ηλᵢ)")
    statement = f"this run: {kind}, of the slowest vᵢ in w₀ − w*"
    if not has.any():
        yield Check("(k)", "this run", "slack", 0.0, 0.0, NOTHING, True)
    elif _rate(case, log_own) == "0":
        yield agree("(k)", statement, measured[1:], 0.0, measured[0], errors[1:] / measured[0])
    else:
        power = np.exp(log_own * np.diff(case.times))
        carried = errors[1:] + power * errors[:-1]
        yield under("(k)", statement, measured[1:], power * measured[:-1], carried)


def _kind(case: Case, log_factor: float, factor: str) -> str:
    """The kind of convergence for a factor, with the rate, which is its square."""
    rate = _rate(case, log_factor)
    if rate == "0":
        return "one step ends at w*, r = 0"
    return f"{'linear' if log_factor < 0 else 'no convergence'}, r = {factor}² = {rate}"


def _rate(case: Case, log_factor: float) -> str:
    """The rate, the square of a factor, as text; 0 if it is only rounding."""
    if log_factor <= math.log(CLOSE * (1 + case.step_size * case.lambda_max)):
        return "0"
    return factor(2 * log_factor)


def factor(logarithm: float) -> str:
    """Return a factor as text, given its logarithm: as 1 − a small number if it is close to 1."""
    below = -math.expm1(logarithm) if logarithm < 1 else -math.inf
    return f"1 − {below:.3g}" if 0 < below < 1e-4 else f"{math.exp(min(logarithm, 700)):.6g}"
