"""Products of matrices, and sums, with twice the digits of a float: as the sum of two floats.

A matrix is cut into slices that have so few digits that the product of two slices has no rounding
error: it is a sum of integers below 2⁵³, times a power of two (Ozaki, Ogita, Oishi and Rump,
Numerical Algorithms 59, 2012). The BLAS multiplies the slices; since nothing is rounded, each of
its kernels gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

# Binary digits of a float, and the number of digits of a row of A and a column of B that are used.
MANTISSA, DIGITS = 53, 108
# Elements of A that are processed at a time, so that they and their slices stay in the cache.
BLOCK = 2**14

# Two numbers, or arrays of them; the second is at most half a unit in the last place of the first.
Doubled = tuple[np.ndarray, np.ndarray]


def add(a: np.ndarray, b: np.ndarray) -> Doubled:
    """Return a + b, and its rounding error (Knuth)."""
    total = np.asarray(a + b)
    kept = total - a
    return total, (a - (total - kept)) + (b - kept)


def product(A: np.ndarray, B: np.ndarray) -> Doubled:
    """Return A B for A of shape (n, k) and B of shape (k, m).

    An element is off by at most about 2⁻¹⁰⁰ k times the largest element of its row of A times that
    of its column of B.
    """
    bits = (MANTISSA - math.ceil(math.log2(max(A.shape[1], 2)))) // 2
    count = math.ceil(DIGITS / bits)
    columns = [part.T for part in _slices(B.T, bits, count)]
    height = max(BLOCK // A.shape[1], 1)
    blocks = [
        _multiply(_slices(A[first : first + height], bits, count), columns)
        for first in range(0, len(A), height)
    ]
    high, low = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return high, low


def _slices(values: np.ndarray, bits: int, count: int) -> list[np.ndarray]:
    """Cut each row into parts that add up to it: integers of few bits times a power of two."""
    _, exponent = np.frexp(np.abs(values).max(axis=1, keepdims=True))
    parts = []
    for k in range(1, count + 1):
        # The sum of this number and a float keeps the float's digits down to 2^(exponent − k bits).
        large = np.ldexp(1.5, exponent - k * bits + MANTISSA - 1)
        part = values + large
        part -= large
        parts.append(part)
        values = values - part
    return parts


def _multiply(rows: list[np.ndarray], columns: list[np.ndarray]) -> Doubled:
    """Add up the products of slices, the smallest first."""
    high = low = np.zeros(())
    for order in reversed(range(len(rows))):
        for row, column in zip(rows[: order + 1], columns[order::-1], strict=True):
            high, lost = add(high, row @ column)
            low = low + lost
    return add(high, low)
