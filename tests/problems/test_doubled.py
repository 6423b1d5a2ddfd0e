"""Sums and products with twice the digits of a float, against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from gdconv.problems.doubled import add, product


def fractions(values):
    return [[Fraction(each) for each in row] for row in np.atleast_2d(values).tolist()]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 2), (40, 2, 5), (4, 5000, 1), (20_000, 1, 1)])
def test_a_product_has_twice_the_digits(shape):
    """Terms of all sizes that nearly cancel; the last shapes are cut into blocks."""
    n, k, m = shape
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, k)) * 10.0 ** rng.integers(-8, 9, (n, k))
    B = rng.standard_normal((k, m)) * 10.0 ** rng.integers(-8, 9, (k, m))
    if k > 1:
        B[-1] = -(A[0, :-1] @ B[:-1]) / A[0, -1]
    high, low = product(A, B)
    assert (np.abs(low) <= np.spacing(np.abs(high)) / 2).all()
    rows, columns = fractions(A[:40]), fractions(B.T)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            exact = sum(a * b for a, b in zip(row, column, strict=True))
            off = abs(Fraction(high[i, j]) + Fraction(low[i, j]) - exact)
            largest = Fraction(np.abs(A[i]).max()) * Fraction(np.abs(B[:, j]).max())
            assert off <= k * largest / 2**100


@pytest.mark.parametrize("shape", [(2, 70_000), (70_000, 2), (300, 400)])
def test_a_matrix_is_multiplied_however_it_lies_in_memory(shape):
    """Blocks of rows or of columns, of a part of a matrix too, and with scaled columns."""
    rng = np.random.default_rng(0)
    n, k = shape
    whole, B = rng.standard_normal((n, k + 1)), rng.standard_normal((k, 2))
    A = whole[:, :-1]
    scale = 2.0 ** rng.integers(-3, 4, k)
    exact = np.array([[math.fsum(row * column) for column in B.T] for row in A[:9]])
    for matrix in (A, A.copy(), np.asfortranarray(A), np.asfortranarray(whole)[:, :-1]):
        for scaled in (None, scale):
            high, low = product(matrix, B, scaled)
            # Products of two floats are rounded before fsum adds them up.
            assert high[:9] == pytest.approx(exact, abs=np.sqrt(k) * 1e-14)
            assert (np.abs(low) <= np.spacing(np.abs(high)) / 2).all()
            assert (high == product(A, B)[0]).all()


def test_a_product_does_not_depend_on_the_order_of_its_terms():
    """No product of slices is rounded, so that all kernels of the BLAS give the same."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((30, 200)), rng.standard_normal((200, 3))
    order = rng.permutation(200)
    for one, other in zip(product(A, B), product(A[:, order], B[order]), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("scale", [0.0, 1e-140, 1e140])
def test_products_of_any_size(scale):
    A = scale * np.array([[1.0, 1e-17], [0.0, 0.0]])
    high, low = product(A, np.array([[1.0], [1.0]]))
    assert high[:, 0].tolist() == [scale, 0.0]
    # 1e-17 of it to the last bit, which fits into the second float.
    assert low[:, 0].tolist() == [A[0, 1] + (A[0, 0] - scale), 0.0]


def test_a_sum_and_what_its_rounding_loses():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 500)) * 10.0 ** rng.integers(-20, 21, (2, 500))
    total, lost = add(a, b)
    assert (total == a + b).all()
    for parts in zip(a, b, total, lost, strict=True):
        one, other, whole, rest = map(Fraction, parts)
        assert one + other == whole + rest
