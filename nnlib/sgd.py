"""Minibatch stochastic gradient descent with momentum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from nnlib.graph import Graph
from nnlib.inputs import Vertex, integer, is_number
from nnlib.program import Program


class SGD:
    """Stochastic gradient descent with momentum on the parameters of a graph.

    A step takes v ← momentum · v + ∂loss/∂w + weight_decay · w, w ← w − step_size · v for every
    parameter w, with v = 0 at first: B. T. Polyak's heavy ball (1964), in the form PyTorch has it.
    The decay is the gradient of ½ weight_decay · ‖w‖², the classical penalty, which is not part of
    the loss that a step returns.

    Parameters
    ----------
    g : Graph
        Not changed until `store`.
    loss : Vertex
        A single number.
    parameters : sequence of Vertex
        The leaves to change.
    batch : sequence of Vertex
        The leaves that hold the samples of a step, such as inputs and labels.
    step_size : float, positive
    momentum : float in [0, 1)
    weight_decay : float, not negative

    Attributes
    ----------
    g : Graph
    step_size, momentum, weight_decay : float
        May be set between steps.

    Raises
    ------
    ValueError
        If a number is out of its range, or the vertices are not as above.

    Examples
    --------
    >>> g = Graph()
    >>> x, y, w = g.tensor([0.0, 0.0]), g.tensor([0.0, 0.0]), g.tensor(0.0, name="w")
    >>> loss = g.mean_squared_error(g.mul(w, x), y)
    >>> sgd = SGD(g, loss, [w], [x, y], step_size=0.1)
    >>> [sgd.step([1, 2], [3, 6]) for _ in range(3)]
    [22.5, 5.625, 1.40625]
    >>> sgd.store()
    >>> float(g.value[w])
    2.625
    """

    def __init__(
        self,
        g: Graph,
        loss: Vertex,
        parameters: Sequence[Vertex],
        batch: Sequence[Vertex],
        step_size: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.g, self.step_size, self.momentum = g, step_size, momentum
        self.weight_decay = weight_decay
        (loss,), self._leaves, batch = map(g.require, ([loss], parameters, batch))
        twin = g.copy()
        outputs = [loss, *twin.grad_graph(loss, self._leaves)]
        self._program = Program(twin, [*self._leaves, *batch], outputs)
        self._velocities = [np.zeros_like(w) for w in self._parameters]
        self._moves = [np.empty_like(w) for w in self._parameters]

    @property
    def step_size(self) -> float:
        """The factor of the velocity in a step, positive."""
        return self._step_size

    @step_size.setter
    def step_size(self, value: float) -> None:
        if not (is_number(value) and 0 < value < math.inf):
            raise ValueError(f"step_size={value!r} must be a positive number")
        self._step_size = float(value)

    @property
    def momentum(self) -> float:
        """The part of the velocity that the next step keeps, at least 0 and below 1."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        if not (is_number(value) and 0 <= value < 1):
            raise ValueError(f"momentum={value!r} must be at least 0 and below 1")
        self._momentum = float(value)

    @property
    def weight_decay(self) -> float:
        """The factor of the parameters in a step's gradient, at least 0."""
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, value: float) -> None:
        if not (is_number(value) and 0 <= value < math.inf):
            raise ValueError(f"weight_decay={value!r} must be a number, at least 0")
        self._weight_decay = float(value)

    @property
    def _parameters(self) -> tuple[np.ndarray, ...]:
        return self._program.inputs[: len(self._leaves)]

    def step(self, *batch: ArrayLike) -> float:
        """Take one step on a batch, given as an array for each of its leaves.

        Returns
        -------
        float
            The loss of the batch before the step.

        Raises
        ------
        ValueError
            If an array does not fit its leaf.
        """
        parameters = self._parameters
        loss, *gradients = self._program(*parameters, *batch)
        every = zip(parameters, self._velocities, gradients, self._moves, strict=True)
        for w, v, gradient, move in every:
            v *= self.momentum
            v += gradient
            if self.weight_decay:
                v += np.multiply(w, self.weight_decay, out=move)
            w -= np.multiply(v, self.step_size, out=move)
        return loss.item()

    def store(self) -> None:
        """Set the parameters of the graph to the values after the latest step."""
        for leaf, w in zip(self._leaves, self._parameters, strict=True):
            self.g.set(leaf, w)


def batches(n_samples: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the indices of the samples of each batch of an epoch, in a new random order.

    All batches have the same size; when it does not divide n_samples, the samples left at the end
    of the order are not used in this epoch.

    Yields
    ------
    ndarray of int, shape (size,)

    Raises
    ------
    ValueError
        Unless size is from 1 to n_samples.
    """
    if not 1 <= integer(size) <= n_samples:
        raise ValueError(f"size={size} must be from 1 to n_samples={n_samples}")
    order = rng.permutation(n_samples)
    for start in range(0, n_samples - size + 1, size):
        yield order[start : start + size]
