"""Products of matrices, and sums, with twice the digits of a float: as the sum of two floats.

A matrix is cut into slices that have so few digits that the product of two slices has no rounding
error: it is a sum of integers below 2⁵³, times a power of two (Ozaki, Ogita, Oishi and Rump,
Numerical Algorithms 59, 2012). The BLAS multiplies the slices; since nothing is rounded, each of
its kernels gives the same bits. A is expected to be the larger matrix, so its slices are the
longer ones, and there are fewer of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

# Binary digits of a float, of a slice of A, and of a row of A and a column of B that are used.
MANTISSA, BITS, DIGITS = 53, 27, 110
# Elements of A that are processed at a time, so that they and their slices stay in the cache.
BLOCK = 2**16

# Two numbers, or arrays of them; the second is at most half a unit in the last place of the first.
Doubled = tuple[np.ndarray, np.ndarray]


def add(a: np.ndarray, b: np.ndarray) -> Doubled:
    """Return a + b, and its rounding error (Knuth)."""
    total = np.asarray(a + b)
    kept = total - a
    return total, (a - (total - kept)) + (b - kept)


def product(A: np.ndarray, B: np.ndarray, scale: np.ndarray | None = None) -> Doubled:
    """Return A B for A of shape (n, k) and B of shape (k, m).

    An element is off by at most about 2⁻¹⁰⁰ k times the largest element of its row of A times that
    of its column of B. With `scale`, k powers of 2, these are the rows of A diag(scale) and the
    columns of diag(1 / scale) B.
    """
    high, low = np.zeros((2, len(A), B.shape[1]))
    for rows, inner in _blocks(A):
        columns = B[inner] if scale is None else B[inner] / scale[inner, None]
        block = A[rows, inner] if scale is None else A[rows, inner] * scale[inner]
        more, rest = _multiply(block, columns)
        total, lost = add(high[rows], more)
        high[rows], low[rows] = add(total, low[rows] + (lost + rest))
    return high, low


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut the rows of a matrix into blocks of about BLOCK elements."""
    height = max(BLOCK // max(columns, 1), 1)
    return (slice(first, first + height) for first in range(0, rows, height))


def _blocks(A: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Cut a matrix into blocks of at most BLOCK elements that are next to each other in memory."""
    if A.strides[0] < A.strides[1]:
        return (block[::-1] for block in _blocks(A.T))
    width = min(A.shape[1], BLOCK)
    return itertools.product(blocks(len(A), width), blocks(A.shape[1], BLOCK // width))


def _multiply(A: np.ndarray, B: np.ndarray) -> Doubled:
    """Multiply all slices of two matrices, and add up the products, the smallest first."""
    bits = MANTISSA - BITS - math.ceil(math.log2(max(A.shape[1], 2)))
    columns = _slices(B.T, bits)
    stacked = np.concatenate(columns).T
    shape = len(A), len(columns), B.shape[1]
    products = [(row @ stacked).reshape(shape) for row in _slices(A, BITS)]
    orders = [(i, j) for i in range(len(products)) for j in range(len(columns))]
    high = low = np.zeros(())
    for i, j in sorted(orders, key=lambda order: -BITS * order[0] - bits * order[1]):
        # Of what is that small, no rounding error counts.
        if BITS * i + bits * j >= MANTISSA:
            low = low + products[i][:, j]
        else:
            high, lost = add(high, products[i][:, j])
            low = low + lost
    return add(high, low)


def _slices(values: np.ndarray, bits: int) -> list[np.ndarray]:
    """Cut each row into parts that add up to it: integers of few bits times a power of two."""
    _, exponent = np.frexp(np.abs(values).max(axis=1, keepdims=True))
    parts: list[np.ndarray] = []
    while len(parts) * bits < DIGITS and (not parts or values.any()):
        # The sum of this number and a float keeps the float's digits down to that power of two.
        large = np.ldexp(1.5, exponent - (len(parts) + 1) * bits + MANTISSA - 1)
        part = values + large
        part -= large
        parts.append(part)
        values = values - part
    return parts
