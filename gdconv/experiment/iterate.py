"""The iteration (6), for all step sizes of a group at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdconv.problems.least_squares import Objective

# observe(iteration, runs, W, residual), W of shape (height, d) and residual = W matrixᵀ − target:
# row k belongs to run runs[k], and rows beyond len(runs) are padding. Returns which of the runs
# leave, shape (len(runs),), or None for none. Both arrays are buffers that are overwritten.
Observer = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]


def descend(
    objective: Objective,
    start: np.ndarray,
    step_sizes: np.ndarray,
    iterations: int,
    observe: Observer,
) -> None:
    """Run w_t = w_{t−1} − step_size ∇L(w_{t−1}) (6) from one start with m step sizes.

    Every run gets exactly the bits that it would get alone: see `products`.

    Parameters
    ----------
    start : ndarray, shape (d,)
    step_sizes : ndarray, shape (m,)
    iterations : int
        The last iteration; `observe` sees all of 0, 1, ..., iterations unless every run has left.
    observe : Observer
        Called before each step. A run that it reports as leaving is not iterated any further.
    """
    runs = np.arange(len(step_sizes))
    W = np.repeat(start[None, :], len(runs), axis=0)
    rows, columns = objective.matrix.shape
    iteration = 0
    while len(runs):
        # A program is reused as long as the rows are cut in the same way.
        cut = objective.stack(len(runs))
        program = objective.program(cut.blocks, cut.height)
        (iterate,) = program.inputs
        # The step sizes fill a whole matrix, because NumPy broadcasts a column more slowly.
        steps, move = np.zeros_like(iterate), np.empty_like(iterate)
        flat = [array.reshape(cut.rows, -1) for array in (*program.inputs, *program.outputs, steps)]
        w, residual, gradient, step = flat
        w[: len(runs), :columns] = W
        step[: len(runs)] = step_sizes[runs, None]
        shown = w[:, :columns], residual[:, :rows]
        while True:
            program(iterate)
            leaving = observe(iteration, runs, *shown)
            if iteration == iterations:
                return
            if leaving is not None:
                count = len(runs)
                runs = runs[~leaving]
                for array in (w, gradient, step):
                    array[: len(runs)] = array[:count][~leaving]
                    array[len(runs) :] = 0.0
            np.multiply(program.outputs[1], steps, out=move)
            np.subtract(iterate, move, out=iterate)
            iteration += 1
            if leaving is not None and objective.stack(len(runs)) != cut:
                break
        W = w[: len(runs), :columns]
