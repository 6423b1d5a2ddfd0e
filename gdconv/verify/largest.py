"""Statements about the largest value of p_t², from which bounds and predictions follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext

import numpy as np

from gdconv.theory.recurrence import Recurrence
from gdconv.verify.case import Case
from gdconv.verify.checks import (
    DIGITS,
    EPS,
    LEAST_COMPARED,
    TIMES,
    Check,
    agree,
    enclosing,
    not_below,
    positive,
)
from gdconv.verify.known import Known, known_of, least_worst
from gdconv.verify.moments import LONGEST
from gdconv.verify.polynomial import decided_by_rounding, known, rounding, times_of

LABEL = "max p_t"
# By which part a bound may be larger than its maximum. With `Recurrence` that is 6 %, and next to
# nothing where theory has closed forms. A search may miss the higher one of two waves.
ABOVE_RECURRENCE, ABOVE_CLOSED, MISSED = 0.06, 1e-4, 0.01
# A polynomial of degree n is at most 1/cos(π/2k) times as large as on k n Chebyshev nodes.
NODES = 10
FINER = 201


def largest_values(case: Case) -> Iterator[Check]:
    """The bounds are right: each is compared with its maximum, found by search from below."""
    times = times_of(case)
    square, weighted = (
        _with_error(case, [searched(case, t, weight) for t in times.tolist()], times)
        for weight in (False, True)
    )
    bounds = case.theory.curves(np.zeros_like(times), times)
    distance, initial = case.distance_squared, float(case.theory.shares.sum())
    for name, (exact, error), scale, statement in (
        ("gap_bound", square, case.lambda_max / 2 * distance, "½λmax max pₜ²‖w₀ − w*‖²"),
        ("gap_bound_relative", square, initial, "max pₜ² times the initial gap"),
        ("gap_bound_sharp", weighted, distance / 2, "½ max λpₜ²‖w₀ − w*‖²"),
        ("distance_bound", square, distance, "max pₜ² ‖w₀ − w*‖²"),
    ):
        text = f"{statement}, the maximum by search"
        yield enclosing(LABEL, text, bounds[name], scale * exact, above(case) + MISSED, error)
    with localcontext(prec=DIGITS):
        form = known(case)
        if form is None or form.worst(0) is None:
            return
        closed = np.array([float(form.worst(t) ** 2) for t in times.tolist()])
        closed *= square[0] > 0
    found, _ = case.theory.of_method.maxima(np.zeros_like(times), times)
    statement = "max pₜ² in closed form, to 200 digits"
    yield enclosing(LABEL, statement, found, closed, above(case), square[1])


def above(case: Case) -> float:
    """Return by which part a bound may be larger than its maximum."""
    general = type(case.theory.of_method).maxima is Recurrence.maxima
    return ABOVE_RECURRENCE if general else ABOVE_CLOSED


def searched(case: Case, t: int, weighted: bool = False) -> tuple[float, float]:
    """Return max p_t², or max λp_t², over λ⁺min <= λ <= λmax, or a little less, and that λ."""
    smallest, largest = case.ends
    count = NODES * (2 * t + 1)
    at = np.cos(np.pi * np.arange(count + 1) / count)
    nodes = np.clip((largest + smallest) / 2 + (largest - smallest) / 2 * at, smallest, largest)
    p, form = polynomial(case), known(case)
    k = int(np.argmax((nodes if weighted else 1.0) * p(nodes, t) ** 2))
    finer = np.linspace(nodes[min(k + 1, count)], nodes[max(k - 1, 0)], FINER)
    best = finer[np.argmax((finer if weighted else 1.0) * p(finer, t) ** 2)]
    points = [smallest, float(best), largest]
    return max(((each if weighted else 1.0) * _square(form, p, each, t), each) for each in points)


def _with_error(
    case: Case, found: Sequence[tuple[float, float]], times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maxima, and by which part of them the same in floats may be off."""
    square, at = np.array(found).T
    p = np.sqrt(
        [_square(known(case), polynomial(case), *one) for one in zip(at, times, strict=True)]
    )
    # The last term is for the factors of the bounds.
    off = np.diag(rounding(case, at, times.tolist())) / positive(p)
    known_digits = p**2 > decided_by_rounding(times)
    return np.where(known_digits, square, 0.0), off * (2 + off) + 8 * EPS


def _square(form: Known | None, p: Callable[..., np.ndarray], at: float, t: int) -> float:
    """p_t², in high precision where there is a closed form."""
    if form is None:
        return float(p(np.array([at]), t)[0] ** 2)
    with localcontext(prec=DIGITS):
        return float(form.polynomial(Decimal(at), t) ** 2)


def polynomial(case: Case) -> Callable[..., np.ndarray]:
    """Return p_t in floats, as a function of eigenvalues and t."""
    form = known_of(case.method, case.coefficients, case.ends, float, case.X.shape)
    if form is not None:
        return form.polynomial

    def recurred(values: np.ndarray, t: int) -> np.ndarray:
        p, change = np.ones_like(values), np.zeros_like(values)
        for s in range(t):
            b, c = case.method.recurrence(s, values, case.coefficients)
            change = b * change - c * p
            p = p + change
        return p

    return recurred


def least_of_any_method(case: Case) -> Iterator[Check]:
    """max |p_t| is at least 1/T_t((κ + 1)/(κ − 1)), and ν at least its limit, for every method."""
    times = times_of(case)
    with localcontext(prec=DIGITS):
        smallest, largest = map(Decimal, case.ends)
        least = np.array([float(least_worst(smallest, largest, t) ** 2) for t in times.tolist()])
        small, large = smallest.sqrt(), largest.sqrt()
        limit = float((large - small) / (large + small))
    found, _ = case.theory.of_method.maxima(np.zeros_like(times), times)
    fits = np.isfinite(found) & (least > decided_by_rounding(times))
    at = np.array([searched(case, t)[1] for t in times.tolist()])
    off = np.diag(rounding(case, at, times.tolist())) / np.sqrt(positive(least))
    statement = "max |pₜ| ≥ 1/Tₜ((κ + 1)/(κ − 1)), the least of any method"
    yield not_below("1/T_t", statement, 1 - least[fits] / found[fits], (off * (2 + off))[fits])
    statement = "ν ≥ (√κ − 1)/(√κ + 1), the least of any method"
    # At a double root a computed ν may be off by √eps.
    yield not_below("1/T_t", statement, 1 - limit / case.nu if case.nu else 0.0, 1e-7)


def iterations_predicted(case: Case) -> Iterator[Check]:
    """The predicted number is the least t >= 1 with max p_t² <= method.tolerance."""
    tolerance, of_method = case.run.method.tolerance, case.theory.of_method
    t = float(case.theory.iterations_predicted[0])
    last = min(t, LONGEST, case.run.method.iterations)
    earlier = np.arange(1, last)
    square, _ = of_method.maxima(np.zeros_like(earlier, dtype=int), earlier.astype(int))
    # Up to rounding, and up to the part by which a bound may be too large.
    worst = [0.0, *np.log(tolerance / square[np.isfinite(square)])]
    if math.isinf(t):
        statement = f"no known max pₜ² is ≤ {tolerance:g}"
        yield agree("t", statement, max(worst), 0.0, 1.0, 1e-9)
        return
    worst.append(abs(t - round(t)))
    if t <= TIMES[-1]:
        enough = searched(case, round(t))[0]
        before = searched(case, round(t) - 1)[0] * (1 + above(case) + MISSED)
        worst += [math.log(max(enough, LEAST_COMPARED) / tolerance), math.log(tolerance / before)]
    statement = f"the least t with max pₜ² ≤ {tolerance:g} is {t:.6g}"
    yield agree("t", statement, max(worst), 0.0, 1.0, 1e-9)
