"""How a statement is judged: its deviation or slack is compared with what rounding can explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from gdconv.verify.case import Case

EPS = float(np.finfo(float).eps)
TINY = float(np.finfo(float).tiny)
HOLDS, FAILS = "holds", "FAILS"
NOTHING = "says nothing: rounding may be as large as the quantity itself"
# With a tolerance of this or more a slack says nothing: the left side might be twice the right one.
HALF = 0.5
# With 200 digits, 1 − x still has twenty digits of x for x = 1e-180.
DIGITS = 200
# Closed forms are compared only up to this size, because they or powers inside them may overflow.
MOST_COMPARED = 1e200
# And down to this one, because smaller ones lose digits.
LEAST_COMPARED = 1e-200
# If a step size is closer to a threshold than this part of it, rounding decides on which side it
# lies.
CLOSE = 8 * EPS

# Iterations at which the closed forms are compared.
TIMES = (0, 1, 2, 3, 10, 31, 100, 316, 1000)


@dataclass(frozen=True)
class Check:
    """The result of checking one statement.

    Attributes
    ----------
    equation, statement : str
    measure : str
        deviation: must not exceed the tolerance; slack: must not be below minus the tolerance.
    value, tolerance : float
        Of all comparisons, those of the one nearest to failing. A deviation is relative to the size
        of the terms that are added up on either side. A slack is how far the left side stays below
        the right one, as a part of the right one plus rounding.
    verdict : str
    passed : bool
        Whether the run agrees with theory. It is True for a false statement of the coursework that
        fails where theory predicts it.
    """

    equation: str
    statement: str
    measure: str
    value: float
    tolerance: float
    verdict: str
    passed: bool


def agree(
    equation: str,
    statement: str,
    found: ArrayLike,
    expected: ArrayLike,
    size: ArrayLike,
    tolerance: ArrayLike,
    may_be_zero: bool = False,
) -> Check:
    """Return whether |found − expected| <= size * tolerance, element by element.

    If rounding may be as large as every element, the check says nothing, unless `may_be_zero`.
    """
    found, expected, size, tolerance = np.broadcast_arrays(
        found, expected, positive(size), tolerance
    )
    deviation = np.abs(found - expected) / size
    good = deviation <= tolerance
    share = np.where(good, deviation / np.maximum(tolerance, TINY), np.inf)
    small = (np.maximum(np.abs(found), np.abs(expected)) <= size * tolerance).all()
    says = may_be_zero or not small or not np.any(expected)
    return _worst(equation, statement, "deviation", deviation, tolerance, good, share, says)


def enclosing(
    equation: str,
    statement: str,
    found: ArrayLike,
    least: np.ndarray,
    above: float,
    error: np.ndarray,
) -> Check:
    """Return whether least <= found <= (1 + above) least, up to a relative error.

    What would be too small or too large for a float is left out, and what is not known.
    """
    found, least, error = np.broadcast_arrays(np.asarray(found, dtype=float), least, error)
    fits = np.isfinite(found) & (least >= LEAST_COMPARED) & (least <= MOST_COMPARED)
    deviation, error = found[fits] / least[fits] - 1, error[fits]
    good = (deviation >= -error) & (deviation <= above + error)
    order = np.where(good, np.abs(deviation), np.inf)
    return _worst(equation, statement, "deviation", deviation, above + error, good, order, True)


def step_asked_for(case: Case, optimal: Decimal, largest: Decimal) -> float:
    """Return the step size as a part of the one that was asked for, given what λmax stands for."""
    unit, value = case.run.step_unit or "", case.run.step_value or 0.0
    with localcontext(prec=DIGITS):
        asked = Decimal(value)
        expected = {
            "lambda_max": asked / largest,
            "optimal": asked * optimal,
            "absolute": asked,
            "K": 1 / asked,
            "samples": asked / case.objective.problem.n_samples,
            # Of gradient descent alone.
            "limit": 2 * asked / largest,
        }[unit]
        return float(Decimal(case.step_size) / expected)


def not_below(equation: str, statement: str, slack: ArrayLike, tolerance: ArrayLike) -> Check:
    """Return whether slack >= −tolerance, element by element."""
    slack, tolerance = np.broadcast_arrays(np.asarray(slack, dtype=float), tolerance)
    good = slack >= -tolerance
    order = np.where(good, -slack - tolerance, np.inf)
    says = bool((tolerance < HALF).any())
    return _worst(equation, statement, "slack", slack, tolerance, good, order, says)


def under(
    equation: str, statement: str, measured: np.ndarray, bound: np.ndarray, error: np.ndarray
) -> Check:
    """Return whether measured² <= bound², element by element, if measured is off by up to error."""
    slack, tolerance = slacks(measured, bound, error)
    finite = np.isfinite(slack)
    return not_below(equation, statement, slack[finite], tolerance[finite])


def slacks(
    measured: np.ndarray, bound: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slack (bound² − measured²) / size and its tolerance, with size = (bound + error)².

    The arguments are lengths or square roots of gaps, because their errors are known: a true bound
    allows measured to be up to bound + error.
    """
    size = positive((bound + error) ** 2)
    slack = (bound - measured) * (bound + measured) / size
    return slack, error * (2 * bound + error) / size


def enclosed(
    equation: str,
    statement: str,
    found: ArrayLike,
    exact: np.ndarray,
    error: np.ndarray,
    growth: np.ndarray,
) -> Check:
    """Return whether found is exact up to error, wherever neither it nor growth may overflow."""
    size = exact + error
    fits = np.maximum(size, growth) <= MOST_COMPARED
    found = np.asarray(found, dtype=float)
    tolerance = error / positive(size)
    return agree(equation, statement, found[fits], exact[fits], size[fits], tolerance[fits])


def growth(case: Case) -> np.ndarray:
    """The largest factor (1 − ηλ)^{2t} of an eigenvalue, at TIMES."""
    return max(abs(1 - case.step_size * value) for value in case.ends) ** (2.0 * np.array(TIMES))


def closed_form(
    equation: str,
    statement: str,
    case: Case,
    found: np.ndarray,
    eigenvalues: Sequence[float],
    scale: float,
) -> Check:
    """Compare a bound at TIMES with scale times the largest (1 − ηλ)^{2t}, from 200 digits.

    A bound that is 0.1 % too large would still hold on a run, so a comparison with the run does not
    detect it.
    """
    terms = [powers(case.step_size, value, TIMES) for value in eigenvalues]
    exact = np.max([power for power, _ in terms], axis=0)
    error = np.max([power + error for power, error in terms], axis=0) - exact
    error = scale * (error + 4 * EPS * exact)
    return enclosed(equation, statement, found, scale * exact, error, growth(case))


def powers(
    step_size: float, eigenvalue: float, times: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (1 − step_size eigenvalue)^{2t} from 200 digits, and how far a float may be off.

    A float 1 − x is off by up to delta = 4 eps (1 + x), so its power may be as large as
    (|1 − x| + delta)^{2t}. Computing the power, or the exponential of its logarithm, adds a
    relative error of 4 eps times the exponent. Anything below the smallest float may be rounded to
    0.
    """
    with localcontext(prec=DIGITS):
        base = abs(1 - Decimal(step_size) * Decimal(eigenvalue))
        delta = 4 * Decimal(EPS) * (1 + Decimal(step_size) * Decimal(eigenvalue))
        exact = [base ** (2 * t) if t else Decimal(1) for t in times]
        raised = [(base + delta) ** (2 * t) if t else Decimal(1) for t in times]
        spread = [high - low for high, low in zip(raised, exact, strict=True)]
        logarithm = abs(float((base + delta).ln()))
    exponent = 2 * np.array(times) * logarithm
    rounding = 4 * EPS * (1 + exponent) * np.array(raised, dtype=float)
    return np.array(exact, dtype=float), np.array(spread, dtype=float) + rounding + TINY


def largest_product(
    step_size: float, ends: tuple[float, float], times: Sequence[int], scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return scale max λ(1 − step_size λ)^{2t} for λ between two ends, and how far it may be off.

    Up to λ = 1 / step_size the logarithm is concave in ln λ, so there is a single maximum, which is
    found by search. The search is off by 1e-7 of λ. Near a maximum the value is off by about the
    square of this, far less than 1e-10 of it. Beyond 1 / step_size the product grows up to the end.
    """
    low, high = math.log(ends[0]), math.log(min(ends[1], 1 / step_size))
    at_ends = [[scale * end * part for part in powers(step_size, end, times)] for end in ends]
    exact = np.max([value for value, _ in at_ends], axis=0)
    if low < high:
        for k, t in enumerate(times):

            def below(s: float, t: int = t) -> float:
                return -s - 2 * t * math.log1p(-min(step_size * math.exp(s), 1 - EPS))

            best = minimize_scalar(
                below, bounds=(low, high), method="bounded", options={"xatol": 1e-7}
            )
            exact[k] = max(exact[k], scale * math.exp(-best.fun))
    return exact, sum(error for _, error in at_ends) + 1e-10 * exact


def positive(size: ArrayLike) -> np.ndarray:
    """Return size with the smallest normal float in place of 0, so that one can divide by it."""
    return np.maximum(np.asarray(size, dtype=float), TINY)


def _worst(
    equation: str,
    statement: str,
    measure: str,
    value: np.ndarray,
    tolerance: np.ndarray,
    good: np.ndarray,
    order: np.ndarray,
    says: bool,
) -> Check:
    if not value.size:
        return Check(equation, statement, measure, 0.0, 0.0, "nothing to compare", True)
    at = np.unravel_index(np.argmax(order), order.shape)
    passed = bool(good.all())
    verdict = (HOLDS if says else NOTHING) if passed else FAILS
    return Check(
        equation, statement, measure, float(value[at]), float(tolerance[at]), verdict, passed
    )
