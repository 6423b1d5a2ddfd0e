"""How a statement is judged: a deviation or a slack beside what rounding explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

EPS = float(np.finfo(float).eps)
TINY = float(np.finfo(float).tiny)
HOLDS, FAILS = "holds", "FAILS"
NOTHING = "says nothing: rounding may be as large as what it states"
# A slack's tolerance from which on it says nothing: the left side might be twice the right one.
HALF = 0.5
# So many that 1 − x keeps twenty of a float x = 1e-180.
DIGITS = 200
# Closed forms are not compared where they, or powers on the way to them, may overflow.
LARGEST = 1e200


@dataclass(frozen=True)
class Check:
    """What became of one statement.

    Attributes
    ----------
    equation, statement : str
    measure : str
        deviation: must not exceed the tolerance; slack: must not be below minus the tolerance.
    value, tolerance : float
        A deviation is relative to the size of what is added up on either side, a slack is how far
        the left side stays below the right one, as a part of that and its tolerance; of all
        comparisons the one nearest to failing.
    verdict : str
    passed : bool
        Whether theory is right; so it is about a bound that as stated fails where theory says so.
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

    Unless it may be zero, it says nothing if every element is so small that it might as well be 0.
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
    """Return whether measured² <= bound² wherever recorded, measured being off by up to error."""
    slack, tolerance = slacks(measured, bound, error)
    finite = np.isfinite(slack)
    return not_below(equation, statement, slack[finite], tolerance[finite])


def slacks(
    measured: np.ndarray, bound: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (bound² − measured²) / size and error / size, with size = (bound + error)².

    Of numbers that are the roots of gaps, or lengths, of which errors add up: measured may be as
    much as bound + error.
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
    """Return whether found is exact up to error, wherever both and growth, a power, fit."""
    size = exact + error
    fits = np.maximum(size, growth) <= LARGEST
    found = np.asarray(found, dtype=float)
    tolerance = error / positive(size)
    return agree(equation, statement, found[fits], exact[fits], size[fits], tolerance[fits])


def powers(
    step_size: float, eigenvalue: float, times: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (1 − step_size eigenvalue)^{2t} from 200 digits, and how far a float may be off.

    A float 1 − x is off by delta = 4 eps (1 + x), which makes (|1 − x| + delta)^{2t} of the power,
    and a power or an exponential of a logarithm by 4 eps for each unit of its exponent; below the
    smallest float nothing is known.
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

    Found by search. Up to λ = 1 / step_size the logarithm is concave in ln λ, so there is one
    maximum, and where the search ends beside it the value is off by the square of that: 1e-7 of λ,
    hence far less than 1e-10 of the value. Beyond, the product grows up to the end.
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
    """Return size with the smallest float in place of 0, to divide by."""
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
