"""The iterations of a method, for all runs of a group at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from gdconv.methods.protocol import Method, Products
from gdconv.problems.least_squares import Objective
from gdconv.problems.products import Stack, inner, quotient

# Arrays are made anew when so small a part of their rows is needed; that takes as long as a hundred
# short iterations.
SHRUNK = 7 / 8

# A number for each row of W − w*, see `Method.invariant`.
Invariant = Callable[[np.ndarray], np.ndarray]


class Beside(NamedTuple):
    """What an observer sees beside w and the residual.

    invariant : callable or None
        `Method.invariant` of W − w*; None if the method has none.
    choices : mapping of str to ndarray
        What each row has chosen for its next step; empty if nothing is.
    """

    invariant: Invariant | None
    choices: Mapping[str, np.ndarray]

    def chosen(self) -> dict[str, np.ndarray]:
        """The numbers of each row, shape (height,); a momentum that is not chosen is 0."""
        found = {name: _rows(each)[:, 0].copy() for name, each in self.choices.items()}
        if found and "momentum" not in found:
            found["momentum"] = np.zeros_like(found["step_size"])
        return found


# observe(iteration, runs, W, residual, beside): W has the shape (height, d), and residual is
# W matrixᵀ − target. Row k belongs to run runs[k]; rows beyond len(runs) are padding. Returns which
# of the runs leave, shape (len(runs),), or None for none. Both arrays are overwritten later.
Observer = Callable[[int, np.ndarray, np.ndarray, np.ndarray, Beside], np.ndarray | None]


# What a method divides may be 0, in a row that has arrived and in padding.
@np.errstate(divide="ignore", invalid="ignore")
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
    runs, iteration = np.arange(len(next(iter(coefficients.values())))), 0
    before: _Arrays | None = None
    while len(runs):
        # All is reused as long as the rows are cut in the same way.
        cut = objective.stack(len(runs))
        of_runs = {name: values[runs] for name, values in coefficients.items()}
        now = _Arrays(method, objective, cut, of_runs, iterations)
        if before is None:
            _rows(now.w)[: len(runs), : len(start)] = start
        else:
            now.go_on_from(before, len(runs))
        before = now
        shown, beside = now.shown(objective.matrix.shape), Beside(now.invariant(len(start)), {})
        while True:
            now.program(now.w)
            if method.chooses:
                beside = beside._replace(choices=now.choices(iteration))
            leaving = observe(iteration, runs, *shown, beside)
            if iteration == iterations:
                return
            if leaving is not None:
                now.drop(leaving)
                runs = runs[~leaving]
            method.update(iteration, now.w, now.gradient, now.matrices, now.state)
            iteration += 1
            if leaving is not None and objective.stack(len(runs)).rows <= SHRUNK * cut.rows:
                break


class _Arrays:
    """The arrays of all runs, as long as the rows are cut in the same way.

    All have the shape (blocks, height, …), and zeros where they are padded.
    """

    def __init__(
        self,
        method: Method,
        objective: Objective,
        cut: Stack,
        coefficients: Mapping[str, np.ndarray],
        iterations: int,
    ) -> None:
        leading = cut.blocks, cut.height
        self.method = method
        self.program = objective.program(*leading, with_gradient=method.takes_gradient)
        (self.w,) = self.program.inputs
        self.residual, *slopes = self.program.outputs
        (self.gradient,) = slopes or [np.zeros_like(self.w)]
        like = dict.fromkeys(method.state, self.w) | dict.fromkeys(method.residuals, self.residual)
        like |= dict.fromkeys(method.numbers, self.w[..., :1])
        self.state = {name: np.zeros(each.shape) for name, each in like.items()}
        most = min(iterations, objective.spectrum.rank)
        for name in method.histories:
            self.state[name] = np.zeros((*leading, most, self.w.shape[-1]))
        # They fill whole matrices, because NumPy broadcasts a column more slowly.
        self.chosen = method.steps_by if method.chooses else ()
        self.matrices = {name: np.zeros_like(self.w) for name in (*coefficients, *self.chosen)}
        for name, values in coefficients.items():
            _rows(self.matrices[name])[: len(values)] = values[:, None]
        if method.chooses:
            widths = self.w.shape[-1], self.residual.shape[-1]
            self.products = Products(*objective.products(*leading), inner(widths), quotient)

    def go_on_from(self, before: _Arrays, count: int) -> None:
        """Take over the first runs of other arrays."""
        pairs = [(self.w, before.w), *((self.state[k], before.state[k]) for k in self.state)]
        for array, old in pairs:
            _rows(array)[:count] = _rows(old)[:count]

    def shown(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return W and the residual without the padding in the last dimension."""
        rows, columns = shape
        return _rows(self.w)[:, :columns], _rows(self.residual)[:, :rows]

    def choices(self, t: int) -> dict[str, np.ndarray]:
        """Return what the method chooses; what `update` needs is spread out."""
        seen = self.w, self.residual, self.gradient
        found = self.method.choose(t, *seen, self.matrices, self.state, self.products)
        for name in self.chosen:
            self.matrices[name][...] = found[name]
        return found

    def drop(self, leaving: np.ndarray) -> None:
        """Move the remaining runs to the front."""
        count = len(leaving)
        stay = np.flatnonzero(~leaving)
        for each in (self.w, self.gradient, *self.state.values(), *self.matrices.values()):
            array = _rows(each)
            array[: len(stay)] = array[:count][stay]
            array[len(stay) :] = 0.0

    def invariant(self, columns: int) -> Invariant | None:
        """`Method.invariant` of the rows that these arrays hold at the time; None without one."""
        if self.method.invariant is Method.invariant:
            return None
        coefficients, state = (
            {name: _rows(each)[:, :columns] for name, each in of.items()}
            for of in (self.matrices, self.state)
        )
        gradient = _rows(self.gradient)[:, :columns]
        return partial(
            self.method.invariant, gradient=gradient, coefficients=coefficients, state=state
        )


def _rows(blocks: np.ndarray) -> np.ndarray:
    """Blocks of rows as rows, a view."""
    return blocks.reshape(-1, *blocks.shape[2:])
