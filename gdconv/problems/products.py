"""Products of many rows with one matrix, in which the bits of a row depend on this row only.

A BLAS does not promise this. OpenBLAS rounds a row independently of its place and of the other rows
only if the product takes the same path through its kernels. The number of rows may change the path:
the AVX-512 kernels (SkylakeX) have a separate one for products of up to 10⁶ multiplications.
Therefore the reference is a block of `BLOCK` rows. A product with another number of rows is used
only if a trial shows that it gives the same bits. If even the block gives a row different bits at
different places, each row is multiplied alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

BLOCK = 64
# A kernel works on so many rows or columns at a time; the rest takes other paths.
UNIT = 8
# If a block needs at most so many multiplications, all heights up to BLOCK take OpenBLAS's path for
# small products.
SMALL = 10**6
# Few rows take fewer numbers through the processor, unless the matrix is too large for its cache:
# then reading it takes as long with few rows as with many.
FEW, CACHED = (2, 4), 2**18
# At least so many elements are compared; the trial's numbers repeat with a prime period.
COMPARED, PERIOD = 256, 4093
multiply = np.matmul


@dataclass(frozen=True)
class Stack:
    """How rows are cut: into `blocks` products of `height` rows each, padded at the end.

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
    """Return a matrix, with zeros added up to multiples of UNIT rows and columns if it is large.

    For large products, the last digits that OpenBLAS's AVX-512 kernels compute depend on the place
    of a row, or on the number of rows, unless both dimensions are multiples of UNIT.
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
    """Return how to cut so many rows for products with a matrix of a shape that `padded` returned.

    An iteration has two products, W matrixᵀ and the result times matrix, both with the right
    operand in C order.
    """
    if rows == 0:
        return Stack(0, 0)
    if not rows_are_independent(shape):
        return Stack(rows, 1)
    few = FEW if shape[0] * shape[1] <= CACHED else ()
    for height in (*(each for each in few if each >= rows), _up(rows)):
        if same_bits(height, shape):
            return Stack(1, height)
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

    Tries both products of an iteration, on numbers without a pattern, with rows in random order.
    This takes about as long as an iteration with BLOCK + `height` rows. The result is valid only
    for this BLAS and this number of its threads.
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


def inner(widths: Iterable[int]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return what computes the inner products of rows, as a column, for rows of these widths.

    BLAS does, unless its bits depend on where a row lies in memory.
    """
    if all(map(place_does_not_matter, widths)):
        return partial(np.vecdot, keepdims=True)
    return lambda a, b: np.einsum("...i,...i->...", a, b)[..., None]


@lru_cache(maxsize=4096)
def place_does_not_matter(width: int) -> bool:
    """Return whether BLAS gives an inner product the same bits at every place in memory.

    Some kernels begin a sum at the first number whose address is a multiple of 16.
    """
    numbers = np.random.default_rng(0).standard_normal((2, width))
    space = np.empty((2, width + UNIT))
    found = set()
    for places in np.ndindex(UNIT, UNIT):
        pair = [row[place : place + width] for row, place in zip(space, places, strict=True)]
        for row, values in zip(pair, numbers, strict=True):
            row[:] = values
        found.add(float(np.vecdot(*pair)))
    return len(found) == 1


def quotient(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return top/bottom, and 0 where bottom is 0, in a fourth of the time of `numpy.divide`."""
    result = top / bottom
    result[np.logical_not(bottom)] = 0.0
    return result


def _up(number: int) -> int:
    return -(-number // UNIT) * UNIT
