"""The iterations of a method that draws samples, for all runs and all their paths at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from gdconv.experiment.sampled.draws import drawn
from gdconv.methods.sampling import Sampling
from gdconv.problems.least_squares import Objective
from nnlib import Graph, Program

# Rows are as long as multiples of so many numbers, so that each begins at the same place in memory.
UNIT = 8
# observe(iteration, W), W of the shape (runs, paths, d); for averages, the average instead.
Observer = Callable[[int, np.ndarray], None]


class Gradients(Protocol):
    """∇L(w), or an estimate from what was drawn.

    W : ndarray, shape (runs, paths, 1, width)
        Each row is a path. It is updated in place.
    """

    W: np.ndarray

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """Return the gradients for what each path has drawn; the next call overwrites them."""
        ...


def follow(
    method: Sampling,
    objective: Objective,
    start: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    draws_of: tuple[int, int],
    observe: Observer,
) -> None:
    """Run a method from one start; `observe` sees every iteration, 0 and the last included.

    Parameters
    ----------
    coefficients : mapping of str to ndarray, shape (runs,)
    draws_of : tuple of int
        Seed and repetition.
    """
    runs, columns = len(next(iter(coefficients.values()))), len(start)
    matrix = objective.matrix if method.draws_columns else objective.problem.X
    chances = method.chances(np.square(matrix).sum(axis=0 if method.draws_columns else 1))
    given = method, objective, chances, runs
    gradients: Gradients = OfColumns(*given) if method.draws_columns else OfBatches(*given)
    W = gradients.W
    W[..., :columns] = start
    of_rows = {
        name: np.broadcast_to(values.reshape(-1, 1, 1, 1), W.shape)
        for name, values in coefficients.items()
    }
    state = {name: np.zeros_like(W) for name in method.state}
    shown = _Shown(method, W)
    observe(0, shown.at(0)[:, :, 0, :columns])
    for t, which in enumerate(drawn(method, chances, *draws_of, method.iterations)):
        method.update(t, W, gradients(which), of_rows, state)
        observe(t + 1, shown.at(t + 1)[:, :, 0, :columns])


class _Shown:
    """W itself, or the average of the iterates that the method averages."""

    def __init__(self, method: Sampling, W: np.ndarray) -> None:
        self.W, self.begin, self.count = W, first_averaged(method), 0
        shape = () if self.begin is None else W.shape
        self.total, self.average = np.zeros(shape), np.zeros(shape)

    def at(self, t: int) -> np.ndarray:
        """Return what is shown of w_t; to be called for each t."""
        if self.begin is None or t < self.begin:
            return self.W
        self.total += self.W
        self.count += 1
        return np.divide(self.total, self.count, out=self.average)


def first_averaged(method: Sampling) -> int | None:
    """Return the iteration from which on iterates are averaged; None if none are."""
    return {"none": None, "all": 0, "tail": -(-method.iterations // 2)}[method.averages]


class OfBatches:
    """The gradient of a batch for each path, by nnlib, divided so that its mean is ∇L(w).

    With probabilities p_i and B rows that is (1/B) Σ 2x_i(x_iᵀw − y_i)/p_i. So x_i and y_i are
    divided by √(B p_i) before. Each path of each run is a product of its own, as if it were alone.
    """

    def __init__(
        self, method: Sampling, objective: Objective, chances: np.ndarray, runs: int
    ) -> None:
        X, y = objective.problem.X, objective.problem.y
        scale = np.sqrt(np.where(chances > 0, method.draws * chances, 1.0))
        self.rows = np.zeros((len(X), _up(X.shape[1])))
        self.rows[:, : X.shape[1]] = X / scale[:, None]
        self.targets = y / scale
        graph = Graph()
        batch = method.paths, method.draws, self.rows.shape[1]
        W = graph.tensor(np.zeros((runs, method.paths, 1, batch[-1])), name="W")
        X_of = graph.tensor(np.zeros(batch), name="rows")
        y_of = graph.tensor(np.zeros((method.paths, 1, method.draws)), name="targets")
        along = graph.matmul(W, graph.transpose(X_of, (0, 2, 1)))
        loss = graph.sum(graph.square(graph.sub(along, y_of)))
        (gradient,) = graph.grad_graph(loss, [W])
        self.program = Program(graph, inputs=[W, X_of, y_of], outputs=[gradient])
        self.W, self._X, self._y = self.program.inputs

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """Return the gradients of batches of rows, shaped like W."""
        np.take(self.rows, drawn, axis=0, out=self._X, mode="clip")
        np.take(self.targets, drawn, out=self._y[:, 0], mode="clip")
        return self.program(self.W, self._X, self._y)[0]


class OfColumns:
    """The whole gradient for each path, of which a step takes one component.

    The component is divided by p_j = H_jj/tr H, so that the step size 1/tr H makes it 0. Each run
    is a product of its own.
    """

    def __init__(
        self, method: Sampling, objective: Objective, chances: np.ndarray, runs: int
    ) -> None:
        count = objective.stack(method.paths)
        self.program = objective.program(count.blocks, count.height)
        (self._rows,) = self.program.inputs
        self._paths, width = method.paths, self._rows.shape[-1]
        self.W = np.zeros((runs, method.paths, 1, width))
        self._gradient = np.zeros_like(self.W)
        self._divisor = np.where(chances > 0, chances, np.inf)

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """Return the one component that each path has drawn, and zeros; shaped like W."""
        self._gradient[...] = 0.0
        path, j = np.arange(self._paths), drawn[:, 0]
        for run, W in enumerate(self.W):
            rows = self._rows.reshape(-1, self._rows.shape[-1])
            rows[: self._paths] = W[:, 0]
            _, gradient = self.program(self._rows)
            found = gradient.reshape(rows.shape)[path, j]
            self._gradient[run, path, 0, j] = found / self._divisor[j]
        return self._gradient


def _up(number: int) -> int:
    return -(-number // UNIT) * UNIT
