"""Layers of networks. All that a layer does is add vertices to a graph."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nnlib.graph import Graph
from nnlib.inputs import Vertex, float_type, integer, real
from nnlib.program import Program

Initialiser = Callable[[int, int, np.random.Generator], np.ndarray]


def he(n_inputs: int, n_outputs: int, rng: np.random.Generator) -> np.ndarray:
    """Draw weights for a layer that ReLU follows: normal, with variance 2 / n_inputs.

    Keeps the variance of the signal from layer to layer: K. He, X. Zhang, S. Ren, J. Sun, "Delving
    deep into rectifiers", ICCV 2015, (10).

    Returns
    -------
    ndarray, shape (n_inputs, n_outputs)
    """
    return math.sqrt(2 / n_inputs) * rng.standard_normal((n_inputs, n_outputs))


def xavier(n_inputs: int, n_outputs: int, rng: np.random.Generator) -> np.ndarray:
    """Draw weights for a layer that tanh follows: uniform, of variance 2 / (n_inputs + n_outputs).

    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, (16).

    Returns
    -------
    ndarray, shape (n_inputs, n_outputs)
    """
    limit = math.sqrt(6 / (n_inputs + n_outputs))
    return rng.uniform(-limit, limit, (n_inputs, n_outputs))


class Layer(Protocol):
    """A part of a network."""

    @property
    def parameters(self) -> Sequence[Vertex]:
        """The leaves that are trained."""

    def __call__(self, x: Vertex) -> Vertex:
        """Add the vertices of the layer applied to x, and return the last one."""


class Linear:
    """The layer xW + b; called with the vertex of x, it returns the vertex of the result.

    Parameters
    ----------
    g : Graph
        Gets W and b as leaves, when the layer is made; all calls of the layer share them.
    n_inputs, n_outputs : int
        Features of a row of x and of the result.
    rng : numpy.random.Generator
    initialiser : callable, optional
        ``initialiser(n_inputs, n_outputs, rng)`` returns W, such as `he` or `xavier`; b is 0.
    dtype : optional
        Type of W and b: float32 or float64.

    Attributes
    ----------
    parameters : list of Vertex
        The leaves W, shape (n_inputs, n_outputs), and b, shape (n_outputs,).
    """

    def __init__(
        self,
        g: Graph,
        n_inputs: int,
        n_outputs: int,
        rng: np.random.Generator,
        initialiser: Initialiser = he,
        dtype: DTypeLike = np.float64,
    ) -> None:
        n_inputs, n_outputs, dtype = integer(n_inputs), integer(n_outputs), float_type(dtype)
        if not (n_inputs >= 1 and n_outputs >= 1):
            raise ValueError(f"a layer needs inputs and outputs, not {n_inputs} and {n_outputs}")
        self._g = g
        W = initialiser(n_inputs, n_outputs, rng).astype(dtype)
        self.parameters = [g.tensor(W, "W"), g.tensor(np.zeros(n_outputs, dtype), "b")]

    def __call__(self, x: Vertex) -> Vertex:
        """Add the vertices for xW + b; x has shape (…, n_inputs)."""
        W, b = self.parameters
        return self._g.add(self._g.matmul(x, W), b)


class _Elementwise:
    """A layer without parameters: the operation of this name, element by element."""

    operation: str

    def __init__(self, g: Graph) -> None:
        self._g = g
        self.parameters: list[Vertex] = []

    def __call__(self, x: Vertex) -> Vertex:
        """Add the vertex of the operation."""
        return getattr(self._g, self.operation)(x)


class ReLU(_Elementwise):
    """The layer max(0, x), without parameters."""

    operation = "relu"


class Tanh(_Elementwise):
    """The layer tanh x, without parameters."""

    operation = "tanh"


class Sequential:
    """Layers one after the other, which together are a layer too.

    Examples
    --------
    The two-layer network (21):

    >>> g, rng = Graph(), np.random.default_rng(0)
    >>> network = Sequential(Linear(g, 2, 16, rng), ReLU(g), Linear(g, 16, 2, rng))
    >>> output = network(g.tensor(np.ones((5, 2)), name="x"))
    >>> g.shape[output]
    (5, 2)
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers
        # A layer that is used twice has its parameters once.
        self.parameters = list(dict.fromkeys(i for layer in layers for i in layer.parameters))

    def __call__(self, x: Vertex) -> Vertex:
        """Add the vertices of all layers, each applied to the result of the one before."""
        for layer in self.layers:
            x = layer(x)
        return x


# Programs that a predictor keeps, each for a number of rows and a type.
_MOST_PROGRAMS = 8


class Predictor:
    """What a network makes of any number of rows, batch by batch, without growing its graph.

    A program is made for each size of a batch: mostly two, for the last batch may be smaller. The
    parameters have their present values in the graph at every call.

    Parameters
    ----------
    g : Graph
        Left unchanged.
    network : Layer
        It and its layers hold the graph as an attribute, as all layers here do.
    batch : int, optional
        Rows at a time, at least 1. More rows need more memory.

    Examples
    --------
    >>> g, rng = Graph(), np.random.default_rng(0)
    >>> predict = Predictor(g, Linear(g, 2, 3, rng), batch=4)
    >>> predict(np.ones((10, 2))).shape, len(g)
    ((10, 3), 2)
    """

    def __init__(self, g: Graph, network: Layer, batch: int = 256) -> None:
        self._g, self._network, self._batch = g, network, integer(batch)
        if self._batch < 1:
            raise ValueError(f"batch={batch} must be at least 1")
        self._programs: dict[tuple[object, ...], Program] = {}

    def __call__(self, X: ArrayLike) -> np.ndarray:
        """Return the outputs for rows, one for each.

        Parameters
        ----------
        X : array_like, shape (n_rows, …)

        Raises
        ------
        ValueError
            If X has no rows to go through, or they do not fit the network.
        """
        X = real(X)
        if X.ndim == 0:
            raise ValueError("expected rows, not a single number")
        starts = range(0, max(len(X), 1), self._batch)
        return np.concatenate([self._of_batch(X[k : k + self._batch]) for k in starts])

    def evaluate(self, X: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
        """Return the mean cross-entropy, and the part of the rows that are classified correctly.

        Parameters
        ----------
        X : array_like, shape (n_rows, …)
            For which the network returns one logit for each class, at least one row.
        labels : array_like of int, shape (n_rows,)
            Class numbers.
        """
        logits, labels = self(X), real(labels)
        if len(logits) == 0 or labels.shape != logits.shape[:-1]:
            raise ValueError(
                f"labels of shape {labels.shape} do not fit logits of shape {logits.shape}"
            )
        each = Graph()
        loss = each.softmax_cross_entropy(each.tensor(logits), each.tensor(labels))
        each.run_eval(loss)
        return each.value[loss].item(), float(np.mean(np.argmax(logits, axis=-1) == labels))

    @np.errstate(all="ignore")
    def _of_batch(self, rows: np.ndarray) -> np.ndarray:
        key = rows.shape, rows.dtype
        if key not in self._programs:
            if len(self._programs) == _MOST_PROGRAMS:
                del self._programs[next(iter(self._programs))]
            self._programs[key] = self._program(rows)
        parameters = [self._g.value[i] for i in self._network.parameters]
        return self._programs[key](rows, *parameters)[0]

    def _program(self, rows: np.ndarray) -> Program:
        # A layer adds vertices to the graph that it holds, here to a copy of it.
        g, network = copy.deepcopy((self._g, self._network))
        x = g.tensor(rows, "x")
        return Program(g, [x, *network.parameters], [network(x)], copy=True)
