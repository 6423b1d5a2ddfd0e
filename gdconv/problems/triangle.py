"""X = QR by blocks of rows, without a copy of X and without Q.

Each block of rows is decomposed in the cache; then pairs of their triangles are, until one is left
(Demmel, Grigori, Hoemmen and Langou, SIAM J. Sci. Comput. 34, 2012). Such a tree adds up pairwise,
so its rounding errors hardly grow with the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import scipy.linalg.lapack

from gdconv.problems.doubled import BLOCK

# A block has at least so many times as many rows as columns.
HEIGHT = 4
# Columns that LAPACK takes together, at most.
TOGETHER = 64

Rows = slice | np.ndarray


class Tall:
    """A matrix with at least as many rows as columns, given by its blocks of rows.

    Parameters
    ----------
    block : callable
        From a slice or an array of row numbers to these rows, of shape (..., k).
    shape : tuple of int
        n and k, with n >= k.
    order : ndarray, shape (n,), optional
        The order in which rows are decomposed. If rows differ in size, the largest have to come
        first. Then each keeps its own last digits, provided that the longest columns come first,
        too (Cox and Higham, in Numerical Analysis 1997, 1998).
    """

    def __init__(
        self,
        block: Callable[[Rows], np.ndarray],
        shape: tuple[int, int],
        order: np.ndarray | None = None,
    ) -> None:
        self.shape, self.order = shape, order
        self._height = max(BLOCK // shape[1], HEIGHT * shape[1])
        # If there is only one block, it is made once, and so are its reflections.
        # They do not refer to self: it would keep the rows until the garbage is collected.
        numbers = partial(_numbers, order)
        rows = self._rows = lru_cache(maxsize=1)(lambda *ends: block(numbers(*ends)))
        self._leaf = lru_cache(maxsize=1)(lambda *ends: _reflections(rows(*ends)))
        self._numbers = numbers

    def reduced(self, z: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return R, of shape (k, k), and Qᵀz, of shape (k, ...) for z of shape (n, ...)."""
        z = np.empty((self.shape[0], 0)) if z is None else z
        R, along = self._part(0, self.shape[0], z.reshape(len(z), -1))
        return R, along.reshape(self.shape[1], *z.shape[1:])

    def compact(self) -> np.ndarray:
        """Return a matrix that differs by orthonormal columns: itself if it is one block, or R."""
        n_rows = self.shape[0]
        return self._rows(0, n_rows) if n_rows <= self._height else self.reduced()[0]

    def times(self, right: np.ndarray) -> np.ndarray:
        """Return its product with a matrix or a vector."""
        n_rows = self.shape[0]
        found = np.empty((n_rows, *right.shape[1:]))
        for start in range(0, n_rows, self._height):
            ends = start, min(start + self._height, n_rows)
            found[self._numbers(*ends)] = self._rows(*ends) @ right
        return found

    def _part(self, start: int, stop: int, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if stop - start <= self._height:
            factors = self._leaf(start, stop)
            part = z[self._numbers(start, stop)]
        else:
            middle = (start + stop) // 2
            halves = self._part(start, middle, z), self._part(middle, stop, z)
            triangles, parts = zip(*halves, strict=True)
            factors, part = _reflections(np.vstack(triangles)), np.vstack(parts)
        columns = self.shape[1]
        reflections, scales = factors
        if part.shape[1]:
            lwork = TOGETHER * (part.shape[1] + TOGETHER + 1)
            part, _, _ = scipy.linalg.lapack.dormqr("L", "T", reflections, scales, part, lwork)
        return np.triu(reflections[:columns]), part[:columns]


def _numbers(order: np.ndarray | None, start: int, stop: int) -> Rows:
    return slice(start, stop) if order is None else order[start:stop]


def _reflections(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Householder's reflections that make a block a triangle, and their scales."""
    lwork = TOGETHER * block.shape[1]
    reflections, scales, _, _ = scipy.linalg.lapack.dgeqrf(block, lwork=lwork)
    return reflections, scales


def triangle_of(block: np.ndarray) -> np.ndarray:
    """Return R of a block = QR, square; the last rows are 0 if the block has fewer rows."""
    rows, columns = block.shape
    if rows >= columns:
        return Tall(block.__getitem__, block.shape).reduced()[0]
    reflections, _ = _reflections(block)
    R = np.zeros((columns, columns))
    R[:rows] = np.triu(reflections)
    return R


def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the triangle of two blocks of rows from their triangles."""
    return triangle_of(np.vstack([first, second]))
