"""The iteration (6), for all step sizes of a group at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdconv.objective import Objective

# OpenBLAS computes a row of a product in the same way wherever it stands and whatever stands beside
# it, as long as the number of rows is a multiple of 8 (measured for rows of 7 to 400 elements).
ROW_BLOCK = 8

# observe(iteration, runs, W, residual), W of shape (height, d) and residual = W matrixᵀ − target:
# row k belongs to run runs[k], those beyond len(runs) are padding. Returns which of the runs leave,
# shape (len(runs),), or None. Both arrays are buffers.
Observer = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]


def descend(
    objective: Objective,
    start: np.ndarray,
    step_sizes: np.ndarray,
    iterations: int,
    observe: Observer,
) -> None:
    """Run w_t = w_{t−1} − step_size ∇L(w_{t−1}) (6) from one start with m step sizes.

    Every run gets the bits it would get alone: the number of rows is padded to a multiple of
    ROW_BLOCK.

    Parameters
    ----------
    start : ndarray, shape (d,)
    step_sizes : ndarray, shape (m,)
    iterations : int
        The last iteration; `observe` sees all of 0, 1, ..., iterations unless every run has left.
    observe : Observer
        Called before each step. A run it lets leave is not iterated any further.
    """
    runs = np.arange(len(step_sizes))
    W = np.repeat(start[None, :], len(runs), axis=0)
    iteration = 0
    while len(runs):
        # One program for as long as the number of row blocks stays the same.
        height = _padded(len(runs))
        program = objective.program(height)
        (iterate,) = program.inputs
        iterate[: len(runs)] = W
        # One step size an element: NumPy would broadcast a column through a buffer, at every step.
        steps = np.zeros_like(iterate)
        steps[: len(runs)] = step_sizes[runs, None]
        move = np.empty_like(iterate)
        while _padded(len(runs)) == height:
            residual, gradient = program(iterate)
            count = len(runs)
            leaving = observe(iteration, runs, iterate, residual)
            if iteration == iterations:
                return
            if leaving is not None:
                runs = runs[~leaving]
                for array in (iterate, gradient, steps):
                    array[: len(runs)] = array[:count][~leaving]
                    array[len(runs) :] = 0.0
            np.multiply(gradient, steps, out=move)
            np.subtract(iterate, move, out=iterate)
            iteration += 1
        W = iterate[: len(runs)]


def _padded(runs: int) -> int:
    return -(-runs // ROW_BLOCK) * ROW_BLOCK
