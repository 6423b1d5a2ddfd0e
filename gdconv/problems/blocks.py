"""Least-squares problems, whole or by blocks of rows.

Of a problem with too many rows for the memory only a triangle is kept. If [X y] = QT, then
‖Xw − y‖ = ‖T (w, −1)‖ for every w. So the columns of T are a problem with at most d + 1 rows that
has the same loss, gradient, minimisers and spectrum. T is made block by block: each block of rows
is decomposed, and their triangles are joined in pairs (see `triangle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

# A block has so many elements, which are 32 MiB, unless problem.block_rows says otherwise. With
# copies and all that is imported, decomposing it needs less than 200 MB.
ELEMENTS = 2**22
# At least so many times as many rows as columns, so that blocks are worth being decomposed.
HEIGHT = 4
# A place in the tree of joins: the level, 0 for blocks, and the number in it.
Place = tuple[int, int]


@dataclass(frozen=True)
class LeastSquares:
    """Minimise L(w) = ‖Xw − y‖² (1); X has shape (n, d) and y shape (n,).

    The last column of X is all ones, except in the family with a prescribed spectrum.

    Attributes
    ----------
    rows : int or None
        The number of rows of the problem for which X and y stand, if they are its triangle.
    """

    X: np.ndarray
    y: np.ndarray
    rows: int | None = None

    @property
    def n_samples(self) -> int:
        """The number of rows of the problem."""
        return self.rows or len(self.y)


class Rows:
    """The rows of one problem, each of which can be made without the others.

    Attributes
    ----------
    shape : tuple of int
        n_samples and n_features.
    """

    shape: tuple[int, int]

    @property
    def columns(self) -> int:
        """The number of columns that `fill` writes beside y."""
        return self.shape[1]

    def means(self) -> np.ndarray | None:
        """Return about the means of the features and of y, shape (n_features,).

        None if the last column of X is not all ones.
        """
        raise NotImplementedError

    def fill(self, start: int, stop: int, X: np.ndarray, y: np.ndarray) -> None:
        """Write rows of the problem into arrays, of shape (stop − start, ...)."""
        raise NotImplementedError

    def whole(self) -> LeastSquares:
        """Return the problem with all its rows."""
        X, y = np.empty(self.shape), np.empty(self.shape[0])
        self.fill(0, self.shape[0], X, y)
        return LeastSquares(X, y)

    def triangle(self, start: int, stop: int) -> np.ndarray:
        """Return the triangle of some rows, to be joined with others.

        Means are large beside what varies in columns as years, and rounding is relative to them. If
        there is a column of ones, it comes first, and the means are subtracted from the others.
        Then their triangle keeps the digits of what varies.
        """
        from gdconv.problems.triangle import triangle_of

        block = np.empty((stop - start, self.columns + 1))
        self.fill(start, stop, block[:, :-1], block[:, -1])
        if (means := self.means()) is not None:
            block[:, :-2] -= means[:-1]
            block[:, -1] -= means[-1]
            block[:, [0, -2]] = block[:, [-2, 0]]
        return triangle_of(block)

    def of_triangle(self, triangle: np.ndarray) -> LeastSquares:
        """Return the problem from the triangle of all its rows."""
        triangle = triangle.copy()
        if (means := self.means()) is not None:
            triangle[:, [0, -2]] = triangle[:, [-2, 0]]
            # The multiple of the column of ones that was subtracted.
            triangle[0, :-2] += triangle[0, -2] * means[:-1]
            triangle[0, -1] += triangle[0, -2] * means[-1]
        return LeastSquares(triangle[:, :-1].copy(), triangle[:, -1].copy(), self.shape[0])


def height(columns: int) -> int:
    """Return how many rows of [X y] are a block by default."""
    return max(ELEMENTS // columns, HEIGHT * columns)


def ends(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """Yield the first row of each block, and the first one after it."""
    return ((start, min(start + height, rows)) for start in range(0, rows, height))


class Tree:
    """The triangles of some blocks, joined in pairs as they come.

    Which triangles are joined depends on the number of blocks alone, not on which one is ready
    first. So the result has the same bytes, whoever decomposes the blocks.

    Attributes
    ----------
    kept : dict
        Place → triangle, for those that are not joined yet.
    """

    def __init__(self, count: int, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.kept: dict[Place, np.ndarray] = {}
        self._count, self._join = count, join

    def add(self, place: Place, triangle: np.ndarray) -> tuple[Place, list[Place]]:
        """Take a triangle, and join what can be joined.

        Returns
        -------
        tuple and list of tuples
            The place of the triangle that it is part of now, and those of the others in it.
        """
        (level, number), gone = place, []
        while (count := -(-self._count // 2**level)) > 1:
            other = number ^ 1
            # The last one of a level may have no partner, and moves up.
            if other < count:
                if (level, other) not in self.kept:
                    break
                pair = {number: triangle, other: self.kept.pop((level, other))}
                triangle = self._join(*(pair[each] for each in sorted(pair)))
                gone.append((level, other))
            level, number = level + 1, number // 2
        self.kept[level, number] = triangle
        return (level, number), gone

    def lacks(self, block: int) -> bool:
        """Whether a block is not part of any triangle that is kept."""
        return not any(block >> level == number for level, number in self.kept)

    @property
    def root(self) -> np.ndarray | None:
        """The triangle of all blocks; None as long as some are missing."""
        top = (self._count - 1).bit_length(), 0
        return self.kept.get(top)
