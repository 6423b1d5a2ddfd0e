"""Numbers as text: few digits, but enough that a number is not mistaken for another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

NONE = "–"
# Values at which theory changes its verdict: K/λmax at the edge of stability; a rate, κ or relative
# step of 1; the relative step at the edge.
LANDMARKS = (0.5, 1.0, 2.0)
# Numbers that differ by at most this part are equal up to rounding. For n = 1200 and d = 800, equal
# eigenvalues were computed up to 37 units in the last place apart.
ROUNDING = 64 * 2.0**-52
# In a figure, a number that is longer than this and this close to a landmark is written as its
# distance from the landmark.
LONGEST, CLOSE = len("1.999998"), 1e-5

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def same(a: Any, b: Any) -> Any:
    """Return whether positive numbers, or arrays of them, are equal up to rounding."""
    return np.abs(np.subtract(a, b)) <= ROUNDING * np.abs(b)


def rounded(value: float, digits: int) -> str:
    """Return a number with so many digits, or more if it would read like a landmark.

    1.998 is not the edge 2, and a rate of 0.999999 is not 1.
    """
    text = f"{value:.{digits}g}"
    while float(text) in LANDMARKS and not same(value, float(text)):
        digits += 1
        text = f"{value:.{digits}g}"
    return text


def exact(value: float, digits: int) -> str:
    """Return a number with at least so many digits, and as many as it needs to be read back."""
    return next(
        text for k in range(digits, 18) if float(text := f"{value:.{k}g}") == value or k == 17
    )


def short(value: Any, digits: int = 5) -> str:
    """Return a value of a table in short form for a reader; NONE if it does not apply."""
    if pd.isna(value):
        return NONE
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return rounded(value, digits) if isinstance(value, float) else str(value)


def number(value: float, digits: int = 3) -> str:
    """Return a number for a figure, with powers of ten; one very close to 2 becomes 2 − 10⁻⁹."""
    text = rounded(value, digits)
    landmark = min(LANDMARKS, key=lambda each: abs(value - each))
    if len(text) > LONGEST and abs(value - landmark) < CLOSE:
        off = with_powers(f"{abs(value - landmark):.{digits - 1}g}")
        return f"{landmark:g} {'−' if value < landmark else '+'} {off}"
    return with_powers(text)


def distinct(
    values: Sequence[float], digits: int, say: Callable[[float, int], str] = rounded
) -> list[str]:
    """Return numbers as texts made by `say`, with more digits if two of them would look alike."""
    texts = [say(value, digits) for value in values]
    for more in range(digits + 1, 18):
        count = Counter(texts)
        texts = [
            text if count[text] == 1 else say(value, more)
            for text, value in zip(texts, values, strict=True)
        ]
    return texts


def with_powers(text: str) -> str:
    """Return a number's text with 10⁶ for e+06."""
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return mantissa
    power = ten_to(int(exponent))
    return power if mantissa == "1" else f"{mantissa}×{power}"


def ten_to(power: int) -> str:
    """Return 10ⁿ as plain text, which Matplotlib draws ten times as fast as mathematics."""
    return "10" + str(power).translate(_SUPERSCRIPTS)
