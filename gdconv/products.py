"""Products of many rows with one matrix in which a row's bits depend on the row alone.

A BLAS promises no such thing. OpenBLAS rounds a row in the same way wherever it stands and whatever
stands beside it only as long as the product takes the same path through its kernels, and the number
of rows may decide on the path: its AVX-512 kernels (SkylakeX) have another one for products of up
to 10⁶ multiplications. So one block of `BLOCK` rows is the measure, and a product of another height
is used where a trial shows that it gives the same bits. If not even the block gives a row the same
bits at every place, each row is multiplied alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BLOCK = 64
# A kernel works on so many rows or columns at a time; what is left over takes other paths.
UNIT = 8
# Up to so many multiplications of a block OpenBLAS's small path takes all heights up to BLOCK.
SMALL = 10**6
# So many elements are compared at least; the trial's numbers repeat with a prime period.
COMPARED, PERIOD = 256, 4093
multiply = np.matmul


@dataclass(frozen=True)
class Stack:
    """How rows are cut: `blocks` products of `height` rows each, of which the first rows are used.

    Attributes
    ----------
    blocks, height : int
    """

    blocks: int
    height: int

    @property
    def rows(self) -> int:
        """Number of rows, padding included."""
        return self.blocks * self.height


def padded(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix with rows and columns of zeros up to multiples of UNIT, if it is large.

    Beyond its small path, the last digits that OpenBLAS's AVX-512 kernels compute depend on the
    place of a row, or on the number of rows, unless both dimensions are such multiples.
    """
    rows, columns = matrix.shape
    wide = np.zeros(padded_shape(matrix.shape))
    wide[:rows, :columns] = matrix
    return wide


def padded_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of a matrix after `padded`."""
    rows, columns = shape
    return shape if BLOCK * rows * columns <= SMALL else (_up(rows), _up(columns))


@lru_cache(maxsize=4096)
def stack(rows: int, shape: tuple[int, int]) -> Stack:
    """Return how to multiply so many rows with matrices of a shape, as `padded` returns it.

    The products are those of an iteration, W matrixᵀ and the result times matrix, both with the
    right operand in C order.
    """
    if rows == 0:
        return Stack(0, 0)
    if not rows_are_independent(shape):
        return Stack(rows, 1)
    whole = _up(rows)
    if same_bits(whole, shape):
        return Stack(1, whole)
    blocks = -(-rows // BLOCK)
    height = _up(-(-rows // blocks))
    while not same_bits(height, shape):
        height += UNIT
    return Stack(blocks, height)


def rows_are_independent(shape: tuple[int, int]) -> bool:
    """Return whether a row has the same bits at every place in a block of BLOCK rows."""
    return same_bits(BLOCK, shape)


@lru_cache(maxsize=4096)
def same_bits(height: int, shape: tuple[int, int]) -> bool:
    """Return whether a product of so many rows gives each the bits it has in a block of BLOCK.

    Both products of an iteration are tried, on numbers without a pattern, with rows in random
    order. Takes about as long as an iteration with BLOCK + `height` rows. Which bits they are
    depends on the BLAS and on the number of its threads, which must be the same for what is
    multiplied afterwards.
    """
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(PERIOD)
    matrix = np.resize(numbers, shape)
    for factor in (np.ascontiguousarray(matrix.T), matrix):
        inner, outer = factor.shape
        block = np.resize(numbers[::-1], (BLOCK, inner))
        reference = multiply(block, factor)
        blocks = max(-(-BLOCK // height), -(-COMPARED // (height * outer)))
        orders = [rng.permutation(BLOCK) for _ in range(-(-blocks * height // BLOCK))]
        places = np.concatenate(orders)[: blocks * height].reshape(blocks, height)
        if not np.array_equal(multiply(block[places], factor), reference[places]):
            return False
    return True


def _up(number: int) -> int:
    return -(-number // UNIT) * UNIT
