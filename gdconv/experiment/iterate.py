"""The iterations of a method, for all runs of a group at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gdconv.methods.protocol import Choosing, Method, Products
from gdconv.problems.least_squares import Objective
from gdconv.problems.products import Stack
from nnlib import Program

# A number for each row of W − w*, see `Method.invariant`.
Invariant = Callable[[np.ndarray], np.ndarray]


class Beside(NamedTuple):
    """What an observer sees beside w and the residual.

    invariant : callable or None
        `Method.invariant` of W − w*; None if the method has none.
    chosen : mapping of str to ndarray, shape (height,)
        The numbers that each row has chosen for its next step; empty if they are not chosen.
    """

    invariant: Invariant | None
    chosen: Mapping[str, np.ndarray]


# observe(iteration, runs, W, residual, beside): W has the shape (height, d), and residual is
# W matrixᵀ − target. Row k belongs to run runs[k]; rows beyond len(runs) are padding. Returns which
# of the runs leave, shape (len(runs),), or None for none. Both arrays are overwritten later.
Observer = Callable[[int, np.ndarray, np.ndarray, np.ndarray, Beside], np.ndarray | None]


def iterate(
    method: Method,
    objective: Objective,
    start: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    iterations: int,
    observe: Observer,
) -> None:
    """Run a method from one start with m sets of coefficients.

    Every run gets exactly the bits that it would get alone: see `products`.

    Parameters
    ----------
    start : ndarray, shape (d,)
    coefficients : mapping of str to ndarray, shape (m,)
        What the method calls `coefficients`, a value for each run.
    iterations : int
        The last iteration; `observe` sees all of 0, 1, ..., iterations unless every run has left.
    observe : Observer
        Called before each step. A run that it reports as leaving is not iterated any further.
    """
    m = len(next(iter(coefficients.values())))
    runs, iteration = np.arange(m), 0
    rows, columns = objective.matrix.shape
    W = np.repeat(start[None, :], m, axis=0)
    widths: dict[str, Any] = dict.fromkeys(method.state, columns)
    widths |= dict.fromkeys(method.residuals, rows)
    kept = {name: np.zeros((m, width)) for name, width in widths.items()}
    while len(runs):
        # A program is reused as long as the rows are cut in the same way.
        cut = objective.stack(len(runs))
        program = objective.program(cut.blocks, cut.height)
        (w,) = program.inputs
        residual, gradient = program.outputs
        like = dict.fromkeys(method.state, w) | dict.fromkeys(method.residuals, residual)
        state = {name: np.zeros_like(each) for name, each in like.items()}
        # They fill whole matrices, because NumPy broadcasts a column more slowly.
        matrices = {name: np.zeros_like(w) for name in coefficients}
        for array, values in [(w, W), *((state[name], kept[name]) for name in kept)]:
            _rows(array)[: len(runs), : values.shape[1]] = values
        for name, values in coefficients.items():
            _rows(matrices[name])[: len(runs)] = values[runs, None]
        shown = _rows(w)[:, :columns], _rows(residual)[:, :rows]
        flat = [_rows(array) for array in (w, gradient, *state.values(), *matrices.values())]
        invariant = _invariant(method, columns, gradient, matrices, state)
        choose = _chooser(method, objective, cut, w, residual, gradient, matrices, state)
        while True:
            program(w)
            chosen = choose(iteration)
            columns_of = {name: _rows(each)[:, 0] for name, each in chosen.items()}
            leaving = observe(iteration, runs, *shown, Beside(invariant, columns_of))
            if iteration == iterations:
                return
            if leaving is not None:
                count = len(runs)
                runs = runs[~leaving]
                for array in [*flat, *map(_rows, chosen.values())]:
                    array[: len(runs)] = array[:count][~leaving]
                    array[len(runs) :] = 0.0
            method.update(iteration, w, gradient, matrices | chosen, state)
            iteration += 1
            if leaving is not None and objective.stack(len(runs)) != cut:
                break
        W = _rows(w)[: len(runs), :columns]
        kept = {name: _rows(each)[: len(runs), : widths[name]] for name, each in state.items()}


def _invariant(
    method: Method,
    columns: int,
    gradient: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    state: Mapping[str, np.ndarray],
) -> Invariant | None:
    """`Method.invariant` of the rows that these arrays hold at the time; None without one."""
    if method.invariant is Method.invariant:
        return None
    return partial(
        method.invariant,
        gradient=_rows(gradient)[:, :columns],
        coefficients={name: _rows(each)[:, :columns] for name, each in coefficients.items()},
        state={name: _rows(each)[:, :columns] for name, each in state.items()},
    )


def _chooser(
    method: Method,
    objective: Objective,
    cut: Stack,
    w: np.ndarray,
    residual: np.ndarray,
    gradient: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    state: Mapping[str, np.ndarray],
) -> Callable[[int], dict[str, np.ndarray]]:
    """Return what makes the choices of an iteration: none, unless the method makes some."""
    if not isinstance(method, Choosing):
        return lambda _: {}
    images, slopes = map(_of_copy, objective.products(cut.blocks, cut.height))
    products = Products(images, slopes)
    return lambda t: method.choose(t, w, residual, gradient, coefficients, state, products)


def _of_copy(program: Program) -> Callable[[np.ndarray], np.ndarray]:
    """A function that a program computes from its own copy of the argument."""
    (given,) = program.inputs

    def apply(values: np.ndarray) -> np.ndarray:
        given[...] = values
        (result,) = program(given)
        return result

    return apply


def _rows(blocks: np.ndarray) -> np.ndarray:
    """Blocks of rows as one matrix, a view."""
    return blocks.reshape(-1, blocks.shape[-1])
