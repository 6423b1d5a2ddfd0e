"""Statements about any method that moves w_t − w* by a residual polynomial p_t(H).

They follow from its recurrence e_{t+1} = e_t + b (e_t − e_{t−1}) − c e_t. Where p_t is known in
closed form (`known.py`), it is compared with that too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext

import numpy as np

from gdconv.theory.recurrence import LATE
from gdconv.verify.case import Case
from gdconv.verify.checks import (
    CLOSE,
    DIGITS,
    EPS,
    FAILS,
    HOLDS,
    LEAST_COMPARED,
    TIMES,
    Check,
    agree,
    enclosed,
    positive,
    step_asked_for,
    under,
)
from gdconv.verify.known import Known, known_of, radius, radius_error

LABEL = "p_t"


def known(case: Case) -> Known | None:
    """What is known in closed form of the run, in decimals."""
    return known_of(case.method, case.coefficients, case.ends, shape=case.X.shape)


def times_of(case: Case) -> np.ndarray:
    """The iterations at which closed forms are compared, of those that the run may have."""
    return np.array([t for t in TIMES if t <= case.run.method.iterations])


def decided_by_rounding(times: np.ndarray) -> np.ndarray:
    """Return the p_t² below which all digits of p_t are rounding.

    If 1 − c is only a few eps, a rounding of c changes all its digits. A root z of the recurrence
    may be the square root of that, about 1e-7. So an iteration that shrinks e to 1e-6 of it or less
    is left out.
    """
    return np.maximum(1e-12 ** np.minimum(times, 20.0), LEAST_COMPARED) * (times > 0)


def size_of_steps(case: Case) -> Iterator[Check]:
    """The step size is the one that was asked for, and the optimal one is the method's."""
    with localcontext(prec=DIGITS):
        form = known(case)
        smallest, largest = form.tuned if form else map(Decimal, case.ends)
        best = Decimal(case.method.optimal_step_size(float(largest), float(smallest)))
        if form and (exact := form.best_step_size()):
            statement = f"{form.best_words} in closed form, to 200 digits"
            yield agree("η", statement, float(best / exact), 1.0, 1.0, 8 * EPS)
            best = exact
    if not case.method.takes_step:
        return
    statement = f"η is step.value in the unit {case.run.step_unit}"
    yield agree("η", statement, step_asked_for(case, best, largest), 1.0, 1.0, 8 * EPS)


def two_terms(case: Case) -> Iterator[Check]:
    """One step: e_{t+1} = e_t + b (e_t − e_{t−1}) − c e_t, e the part of w − w* along each v_i."""
    V, found, expected, sizes = case.spectrum.right, [], [], []
    flat, _ = case.method.recurrence(1, 0.0, case.coefficients)
    # In the first step there is no e_{t−1}.
    for before, moment in zip([case.moments[0], *case.moments], case.moments, strict=False):
        if moment.t > before.t + 1 or moment.following is None:
            continue
        b, c = case.method.recurrence(moment.t, case.eigenvalues, case.coefficients)
        now, earlier = (V.T @ case.away(each.w) for each in (moment, before))
        found.append(V.T @ case.away(moment.following))
        expected.append(now + b * (now - earlier) - c * now)
        # Nesterov's step also uses the gradient of the iterate before.
        moved = sum(case.move_size(each, case.lengths) for each in (moment, before))
        sizes.append((2 + 2 * float(np.abs(flat))) * np.abs(V.T) @ moved)
    statement = "vᵢᵀ(eₜ₊₁ − eₜ) = b vᵢᵀ(eₜ − eₜ₋₁) − c vᵢᵀeₜ, e = w − w*"
    yield agree(LABEL, statement, found, expected, sizes, 2 * case.unit)
    shown, in_rule = [], []
    for t in times_of(case).tolist():
        step_size, momentum = case.method.of_step(t, case.coefficients)
        shown.append((step_size * case.lambda_max, momentum if t else 0.0))
        b, _ = case.method.recurrence(t, 0.0, case.coefficients)
        _, c = case.method.recurrence(t, case.lambda_max, case.coefficients)
        in_rule.append((c, b if t else 0.0))
    statement = "ηₜ and βₜ of the tables: c = ηₜλ, and b = βₜ for λ = 0"
    size = np.abs(in_rule)
    yield agree(LABEL, statement, shown, in_rule, size, 16 * EPS, may_be_zero=True)


def exact_gap(case: Case) -> Iterator[Check]:
    """The gap is ½ Σ λ_i p_t(λ_i)² c_i², c_i the component of w_0 − w* along v_i."""
    measured, error = case.measured
    exact = np.sqrt(case.curves["gap_exact"])
    size = positive(measured + exact + error)
    fits = np.isfinite(size)
    statement = "the run's gap is ½ Σ λᵢ pₜ(λᵢ)² cᵢ²"
    yield agree(LABEL, statement, measured[fits], exact[fits], size[fits], (error / size)[fits])
    times = times_of(case)
    with localcontext(prec=DIGITS):
        form = known(case)
        if form is None:
            return
        values = list(map(Decimal, case.eigenvalues.tolist()))
        p = np.array([[float(form.polynomial(each, t)) for each in values] for t in times.tolist()])
    found = case.theory.of_method.gap(case.shares, np.zeros_like(times), times)
    squares = p**2 @ case.shares
    off = rounding(case, case.eigenvalues, times.tolist())
    off = (np.abs(p) + off) ** 2 @ case.shares - squares
    fits = squares > case.shares.sum() * decided_by_rounding(times)
    off = off[fits] + len(values) * EPS * squares[fits]
    size, statement = (
        np.max(p[fits] ** 2, axis=1),
        "½ Σ λᵢ pₜ(λᵢ)² cᵢ² in closed form, to 200 digits",
    )
    yield enclosed(LABEL, statement, found[fits], squares[fits], off, size)


def rounding(case: Case, values: np.ndarray, times: Sequence[int]) -> np.ndarray:
    """Return how far p_t(λ), computed in floats, may be off, shape (len(times), len(values)).

    The change d = p_{s+1} − p_s of a step is off by a few eps of its terms, and p by eps. What is
    left of that at t follows from the recurrence, read backwards.
    """
    p, d = [np.ones_like(values)], [np.zeros_like(values)]
    rules, sizes = [], []
    for s in range(max(times)):
        b, c = case.method.recurrence(s, values, case.coefficients)
        flat = np.abs(case.method.recurrence(s, 0.0, case.coefficients)[0])
        rules.append((b, c))
        # A momentum may be a square, and is then off by its root times eps.
        sizes.append(8 * EPS * (np.sqrt(flat) * (1 + c) * np.abs(d[-1]) + np.abs(c * p[-1])))
        d.append(b * d[-1] - c * p[-1])
        p.append(p[-1] + d[-1])
    off = np.zeros((len(times), len(values)))
    for row, t in zip(off, times, strict=True):
        of_p, of_d = np.ones_like(values), np.zeros_like(values)
        for s in range(t - 1, -1, -1):
            both = of_p + of_d
            row += np.abs(both) * sizes[s] + 4 * EPS * np.abs(of_p * p[s + 1])
            b, c = rules[s]
            of_p, of_d = of_p - c * both, b * both
    return off


def bounds_hold(case: Case) -> Iterator[Check]:
    """No gap or distance is above its bound, which is a maximum over λ⁺min <= λ <= λmax."""
    measured, error = case.measured
    bounds = case.curves
    for name, statement in (
        ("gap_bound", "L(wₜ) − L(w*) ≤ ½λmax max pₜ² ‖w₀ − w*‖²"),
        ("gap_bound_relative", "gap ≤ max pₜ² times the initial gap"),
        ("gap_bound_sharp", "gap ≤ ½ max λpₜ² ‖w₀ − w*‖²"),
    ):
        yield under(LABEL, statement, measured, np.sqrt(bounds[name]), error)
    distance = np.array([np.linalg.norm(case.away(moment.w)) for moment in case.moments])
    off = np.array([moment.distance_error for moment in case.moments])
    statement = "‖wₜ − w*‖² ≤ max pₜ² ‖w₀ − w*‖²"
    yield under(LABEL, statement, distance, np.sqrt(bounds["distance_bound"]), off)


def contraction(case: Case) -> Iterator[Check]:
    """ν is the larger root of z² = (1 + b − c) z − b; in closed form it is that of an end."""
    with localcontext(prec=DIGITS):
        form = known(case)
        if form is None:
            b, c = case.method.recurrence(LATE, case.eigenvalues, case.coefficients)
            pairs = [
                (1 + Decimal(float(one)) - Decimal(float(other)), Decimal(float(one)))
                for one, other in np.broadcast(b, c)
            ]
        else:
            pairs = [form.late(end) for end in map(Decimal, case.ends)]
        exact, error = (
            float(max(map(of, *zip(*pairs, strict=True)))) for of in (radius, radius_error)
        )
    which = "of the recurrence" if form is None else "at λ⁺min or λmax, to 200 digits"
    # A momentum that changes has come as close to its limit as this.
    error += 10 / LATE * (1 + exact)
    yield agree("ν", f"ν is the larger root {which}", case.nu, exact, 1 + exact, error, True)
    if exact > 1e3 * error:
        off = error / exact + 4 * EPS * abs(math.log(exact))
        yield agree("ν", "ln ν is its logarithm", case.log_nu, math.log(exact), 1.0, off, True)


def converges(equation: str, condition: str, case: Case, margin: float) -> Check:
    """Return whether the method converges if and only if the margin is positive."""
    on_the_edge = min(abs(margin), abs(case.nu - 1)) <= CLOSE
    passed = on_the_edge or (case.nu < 1) == (margin > 0)
    outcome = "" if on_the_edge else ": it converges" if margin > 0 else ": it does not converge"
    verdict, statement = HOLDS + outcome, f"it converges if and only if {condition}"
    return Check(equation, statement, "slack", margin, CLOSE, verdict if passed else FAILS, passed)


def limit_of_steps(case: Case) -> Iterator[Check]:
    """The method converges if and only if its step size is below its limit.

    There the error along v_max neither grows nor shrinks.
    """
    limit = case.method.step_limit(case.coefficients, case.lambda_max)
    if limit is None:
        return
    margin = float(limit / case.step_size - 1)
    yield converges("η", f"η < {limit:.6g}", case, margin)
    there = case.coefficients | {"step_size": float(limit)}
    b, c = (Decimal(float(each)) for each in case.method.recurrence(LATE, case.lambda_max, there))
    with localcontext(prec=DIGITS):
        found, error = (float(of(1 + b - c, b)) for of in (radius, radius_error))
    statement = f"at η = {limit:.6g} a late iteration keeps the error along v_max"
    yield agree("η", statement, found, 1.0, 1.0, error + 10 / LATE)
