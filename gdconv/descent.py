"""The iteration (6), for all step sizes of a group at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdconv.objective import Objective

# OpenBLAS computes a column of a product in the same way wherever it stands and whatever stands
# beside it, as long as the number of columns is a multiple of 8 (measured for 7 to 400 rows).
COLUMN_BLOCK = 8

# observe(iteration, columns, W, residual), W of shape (d, width) and residual = matrix W − target:
# column k belongs to run columns[k], those beyond len(columns) are padding. Returns which of the
# columns leave, shape (len(columns),), or None. Both arrays are buffers.
Observer = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]


def descend(
    objective: Objective,
    start: np.ndarray,
    step_sizes: np.ndarray,
    iterations: int,
    observe: Observer,
) -> None:
    """Run w_t = w_{t−1} − step_size ∇L(w_{t−1}) (6) from one start with m step sizes.

    Every column gets the bits it would get alone: the number of columns is padded to a multiple of
    COLUMN_BLOCK.

    Parameters
    ----------
    start : ndarray, shape (d,)
    step_sizes : ndarray, shape (m,)
    iterations : int
        The last iteration; `observe` sees all of 0, 1, ..., iterations unless every column has
        left.
    observe : Observer
        Called before each step. A column it lets leave is not iterated any further.
    """
    columns = np.arange(len(step_sizes))
    W = np.repeat(start[:, None], len(columns), axis=1)
    iteration = 0
    while len(columns):
        # One program for as long as the number of column blocks stays the same.
        width = _padded(len(columns))
        program = objective.program(width)
        (iterate,) = program.inputs
        iterate[:, : len(columns)] = W
        steps = np.zeros(width)
        steps[: len(columns)] = step_sizes[columns]
        move = np.empty_like(iterate)
        while _padded(len(columns)) == width:
            residual, gradient = program(iterate)
            count = len(columns)
            leaving = observe(iteration, columns, iterate, residual)
            if iteration == iterations:
                return
            if leaving is not None:
                columns = columns[~leaving]
                for array in (iterate, gradient, steps):
                    array[..., : len(columns)] = array[..., :count][..., ~leaving]
                    array[..., len(columns) :] = 0.0
            np.multiply(gradient, steps, out=move)
            np.subtract(iterate, move, out=iterate)
            iteration += 1
        W = iterate[:, : len(columns)]


def _padded(columns: int) -> int:
    return -(-columns // COLUMN_BLOCK) * COLUMN_BLOCK
