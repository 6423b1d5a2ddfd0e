"""Programs: parts of a graph as flat lists of instructions with fixed buffers, for hot loops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from nnlib.build import frozen
from nnlib.graph import Graph
from nnlib.ops import broadcast, evaluate


class Program:
    """A function of some leaves of a graph that reuses its buffers; made by `compile`.

    Calling it with one array for each input returns `outputs`. **They are the same arrays at every
    call, and the next call overwrites them**: copy what has to last. For the same reason a program
    must not be called from two threads at once.

    An array that is passed is copied into the program's own, unless it *is* that one:
    ``W = program.inputs[0]`` can be updated in place and passed without a copy.

    Attributes
    ----------
    inputs : tuple of ndarray
        Writable; they start with the values the leaves had when the program was compiled.
    outputs : tuple of ndarray
        Without meaning before the first call. They may show memory of an input or of each other.
    instructions : tuple of str
        What a call computes, such as ``"v4 = sub(v3, v2)"``, v3 being vertex 3 of the graph.
    """

    def __init__(
        self,
        inputs: Sequence[np.ndarray],
        steps: Sequence[partial],
        outputs: Sequence[np.ndarray],
        instructions: Sequence[str],
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.instructions = tuple(instructions)
        self._steps = tuple(steps)

    def __call__(self, *arrays: ArrayLike) -> tuple[np.ndarray, ...]:
        """Run on new values of the inputs and return `outputs`.

        Raises
        ------
        ValueError
            If the number of arrays or the shape of one does not fit.
        """
        if len(arrays) != len(self.inputs):
            raise ValueError(f"the program takes {len(self.inputs)} arrays, not {len(arrays)}")
        for k, buffer in enumerate(self.inputs):
            if arrays[k] is not buffer:
                shape = np.shape(arrays[k])
                if shape != buffer.shape:
                    raise ValueError(f"input {k} has shape {buffer.shape}, not {shape}")
                np.copyto(buffer, arrays[k])
        for step in self._steps:
            step()
        return self.outputs


def compile(graph: Graph, inputs: Sequence[int], outputs: Sequence[int]) -> Program:  # noqa: A001
    """Turn the part of a graph that computes some vertices from some leaves into a program.

    What does not depend on the inputs is computed here, once, from the present values of the other
    leaves; a later `Graph.set` does not reach the program. Views are made once, as buffers stay
    where they are. Nothing is computed that no output needs, or twice, or to multiply by 1. The
    rest runs in the order of the graph, and the results are those of `Graph.run_eval`, bit for bit.

    Parameters
    ----------
    graph : Graph
        Left unchanged, and not needed by the program.
    inputs : sequence of int
        Leaves, each once.
    outputs : sequence of int
        Any vertices, those added by `Graph.grad_graph` included.

    Returns
    -------
    Program

    Raises
    ------
    ValueError
        If an input is not a leaf or is given twice, or a vertex does not exist.

    Examples
    --------
    >>> g = Graph()
    >>> X, w, y = g.tensor([[1.0, 2.0], [3.0, 4.0]]), g.tensor([0.0, 0.0]), g.tensor([1.0, 1.0])
    >>> residual = g.sub(g.matmul(X, w), y)
    >>> (gradient,) = g.grad_graph(g.sum(g.square(residual)), [w])
    >>> program = compile(g, inputs=[w], outputs=[gradient])
    >>> program([1.0, 1.0])
    (array([40., 56.]),)
    """
    is_leaf = [graph.operation[i] is None for i in graph.order(inputs)]
    if not all(is_leaf) or len(is_leaf) != len(inputs):
        raise ValueError(f"compile: inputs={list(inputs)} must be leaves, each given once")

    array = {i: np.array(graph.value[i], order="C") for i in inputs}
    varying = set(inputs)
    # `array` keeps every operand alive, so its id tells it from all others.
    known: dict[tuple, np.ndarray] = {}
    label: dict[int, str] = {}
    steps, instructions = [], []
    for i in graph.order(outputs):
        op, attributes, children = graph.operation[i], graph.attributes[i], graph.children[i]
        if op is None:
            array.setdefault(i, graph.value[i])
        else:
            if not varying.isdisjoint(children):
                varying.add(i)
            operands = [array[child] for child in children]
            key = (op.name, *attributes.items(), *map(id, operands))
            if key not in known:
                if i not in varying:
                    value = frozen(evaluate(op, *operands, **attributes))
                elif (value := _free(graph, i, operands, varying)) is None:
                    value = np.empty(graph.shape[i], graph.dtype[i])
                    steps.append(_step(graph, i, operands, varying, value))
                    arguments = ", ".join(label[id(operand)] for operand in operands)
                    instructions.append(f"v{i} = {op.name}({arguments})")
                known[key] = value
            array[i] = known[key]
        label.setdefault(id(array[i]), f"v{i}")
    return Program([array[i] for i in inputs], steps, [array[i] for i in outputs], instructions)


def _free(
    graph: Graph, i: int, operands: Sequence[np.ndarray], varying: set[int]
) -> np.ndarray | None:
    """Return the value of a vertex if a call has nothing to do for it: a view, a product with 1."""
    op = graph.operation[i]
    if op.view:
        value = op.forward(*operands, **graph.attributes[i])
        # A reshape may have had to copy; nothing is shared by arrays without elements.
        if value.size == 0 or np.may_share_memory(value, operands[0]):
            return value
    if op.name == "mul":
        for child, factor, other in zip(graph.children[i], operands, operands[::-1], strict=True):
            unchanged = (other.shape, other.dtype) == (graph.shape[i], graph.dtype[i])
            if unchanged and child not in varying and np.all(factor == 1):
                return other
    return None


def _step(
    graph: Graph, i: int, operands: Sequence[np.ndarray], varying: set[int], out: np.ndarray
) -> partial:
    """Return the call that computes a vertex into its buffer."""
    op = graph.operation[i]
    if op.shape is broadcast:
        # NumPy broadcasts through a temporary buffer, in up to twice the time, at every call. A
        # constant is better broadcast once, unless it is a scalar, which costs NumPy nothing.
        operands = [
            operand
            if child in varying or operand.ndim == 0
            else np.ascontiguousarray(np.broadcast_to(operand, out.shape))
            for child, operand in zip(graph.children[i], operands, strict=True)
        ]
    return partial(op.forward, *operands, out, **graph.attributes[i])
