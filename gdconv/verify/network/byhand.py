"""Loss and gradient of a network by the formulas of backpropagation, in NumPy's long doubles.

They do without nnlib. Where a long double has no more digits than a float, as on some processors,
the statements that use them have the wider tolerance that follows from its eps.
"""

from __future__ import annotations

import numpy as np

from gdconv.config.networks import Network
from gdconv.problems.network.samples import Samples, Shape

LONG = np.longdouble


def loss_and_gradient(
    problem: Network, shape: Shape, samples: Samples, w: np.ndarray
) -> tuple[np.longdouble, np.ndarray]:
    """Return L(w) and ∇L(w), shape (parameters,), with the digits of a long double."""
    X, Y, w = samples.X.astype(LONG), samples.Y.astype(LONG), w.astype(LONG)
    bias = constant = np.zeros(1, LONG)
    first, second = w[:1, None], w[1:, None]
    if shape.hidden:
        k, inputs, outputs = shape.hidden, shape.inputs, shape.outputs
        ends = np.cumsum([inputs * k, k, k * outputs, outputs])
        first, second = w[: ends[0]].reshape(inputs, k), w[ends[1] : ends[2]].reshape(k, outputs)
        bias, constant = w[ends[0] : ends[1]], w[ends[2] :]
    inner = X @ first + bias
    active, slope = {
        "tanh": lambda z: (np.tanh(z), 1 - np.tanh(z) ** 2),
        "relu": lambda z: (np.maximum(z, 0), (z > 0).astype(LONG)),
        "identity": lambda z: (z, np.ones_like(z)),
    }[str(problem.activation)](inner)
    loss, back = _of_outputs(problem, active @ second + constant, Y)
    through = (back @ second.T) * slope
    parts = [X.T @ through, active.T @ back]
    if shape.hidden:
        parts = [parts[0], through.sum(axis=0), parts[1], back.sum(axis=0)]
    return loss, np.concatenate([part.ravel() for part in parts])


def _of_outputs(
    problem: Network, outputs: np.ndarray, Y: np.ndarray
) -> tuple[np.longdouble, np.ndarray]:
    """The loss, and its derivative with respect to each output."""
    n = len(Y)
    if problem.loss == "cross_entropy":
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1, keepdims=True)
        loss = -((shifted - np.log(total)) * Y).sum() / n
        return loss, (np.exp(shifted) / total - Y) / n
    off = outputs - Y
    factor = LONG(1) if problem.data == "point" else 1 / LONG(2 * n)
    return factor * (off**2).sum(), 2 * factor * off
