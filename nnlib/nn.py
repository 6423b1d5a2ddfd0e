"""Layers of networks. All that a layer does is add vertices to a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from nnlib.graph import Graph
from nnlib.inputs import Vertex, float_type, integer

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
