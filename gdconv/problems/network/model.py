"""Loss, gradient and sharpness of a network, by nnlib, for several sets of parameters at once."""

from __future__ import annotations

import numpy as np

from gdconv.config.networks import Network
from gdconv.problems.network.samples import Samples, Shape
from nnlib import Graph, Program, Vertex
from nnlib.hessian import hessian_vector_product, largest_eigenvalue

# Up to so many parameters the Hessian is made whole, which has no start vector to depend on. Its
# columns are made together, as long as their arrays have at most so many numbers.
MOST_WHOLE, ELEMENTS = 256, 2**20


def losses_of(
    graph: Graph, problem: Network, shape: Shape, W: Vertex, X: Vertex, Y: Vertex
) -> Vertex:
    """Add the loss of each row of W to a graph, shape (runs,).

    The rows share the samples, X of shape (n, inputs) and Y of shape (n, outputs).
    """
    (runs, _), n = graph.shape[W], graph.shape[X][0]
    parts, start = {}, 0
    for name, (rows, columns) in shape.layers:
        stop = start + rows * columns
        flat = graph.getitem(W, (slice(None), slice(start, stop)))
        parts[name], start = graph.reshape(flat, (runs, rows, columns)), stop
    if shape.hidden:
        inner = graph.add(graph.matmul(X, parts["W1"]), parts["b1"])
    else:
        inner = graph.mul(X, parts["w1"])
    active = (
        inner
        if problem.activation == "identity"
        else getattr(graph, str(problem.activation))(inner)
    )
    if shape.hidden:
        outputs = graph.add(graph.matmul(active, parts["W2"]), parts["b2"])
    else:
        outputs = graph.mul(active, parts["w2"])
    if problem.loss == "cross_entropy":
        terms, factor = graph.mul(graph.log_softmax(outputs), Y), -1 / n
    else:
        # That of the point is the loss of the published example, without a half.
        terms = graph.square(graph.sub(outputs, Y))
        factor = 1.0 if problem.data == "point" else 1 / (2 * n)
    return graph.mul(graph.sum(terms, axis=(1, 2)), graph.tensor(factor))


def gradient_program(problem: Network, shape: Shape, samples: Samples, runs: int) -> Program:
    """Return a program from W, X and Y to the losses and their gradients, shaped like W.

    Each row has the bits that it has alone. X and Y are `samples` until others are passed, of the
    same shape.
    """
    graph = Graph()
    W = graph.tensor(np.zeros((runs, shape.parameters)), name="W")
    X, Y = graph.tensor(samples.X, name="X"), graph.tensor(samples.Y, name="Y")
    losses = losses_of(graph, problem, shape, W, X, Y)
    (gradient,) = graph.grad_graph(graph.sum(losses), [W])
    return Program(graph, inputs=[W, X, Y], outputs=[losses, gradient])


class Sharpness:
    """The largest eigenvalue of the loss's Hessian, as a function of the parameters."""

    def __init__(self, problem: Network, shape: Shape, samples: Samples) -> None:
        self.count = shape.parameters
        self.whole = self.count <= MOST_WHOLE
        widest = shape.samples * max(shape.hidden, shape.outputs)
        rows = min(self.count, max(1, ELEMENTS // widest)) if self.whole else 1
        graph = Graph()
        W = graph.tensor(np.zeros((rows, self.count)), name="W")
        X, Y = graph.tensor(samples.X, name="X"), graph.tensor(samples.Y, name="Y")
        total = graph.sum(losses_of(graph, problem, shape, W, X, Y))
        self.product = hessian_vector_product(graph, total, W)

    def __call__(self, w: np.ndarray) -> float:
        """Return it at w, shape (parameters,); nan where it does not fit into a float."""
        with np.errstate(all="ignore"):
            if not self.whole:
                return largest_eigenvalue(self.product, w[None, :])
            hessian = self.hessian(w)
        if not np.isfinite(hessian).all():
            return float("nan")
        return float(np.linalg.eigvalsh(hessian)[-1])

    def hessian(self, w: np.ndarray) -> np.ndarray:
        """Return the whole Hessian at w; each row of the program makes a column of it."""
        W, V = self.product.inputs
        W[...] = w
        columns, identity = [], np.eye(self.count)
        for start in range(0, self.count, len(W)):
            part = identity[start : start + len(W)]
            V[: len(part)], V[len(part) :] = part, 0.0
            columns.append(self.product(W, V)[0][: len(part)].copy())
        hessian = np.concatenate(columns)
        return (hessian + hessian.T) / 2


def dead_units(problem: Network, shape: Shape, samples: Samples, w: np.ndarray) -> int | None:
    """Return how many units are 0 for all samples, so that they have no gradient; None unless ReLU.

    w has the shape (parameters,).
    """
    if problem.activation != "relu":
        return None
    return int((inner(shape, samples, w) <= 0).all(axis=0).sum())


def inner(shape: Shape, samples: Samples, w: np.ndarray) -> np.ndarray:
    """Return what the activation is applied to, shape (n, units), for w of shape (parameters,)."""
    units = max(shape.hidden, 1)
    weights, rest = np.split(w[: (shape.inputs + 1) * units], [shape.inputs * units])
    values: np.ndarray = samples.X @ weights.reshape(shape.inputs, units)
    return values + rest if shape.hidden else values
