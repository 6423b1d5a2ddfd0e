"""From vertices to the calls of a program: what needs no call is found out when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnlib.build import Builder
from nnlib.inputs import Vertex
from nnlib.ops import OPS, Op, evaluate, temporaries, unchanged
from nnlib.shapes import Shape, broadcast
from nnlib.slices import Box, index, tiling

# A number, and the operation and the numbers of the operands that it has the value of.
Line = tuple[int, str, Sequence[int]]
Calls = list["partial[Any]"]


class Recorder:
    """Gives each result a number and a buffer, and notes the calls that fill the buffers.

    A vertex of the graph has its ID as its number. Operations of a gradient get the IDs that they
    would have as vertices, which `nnlib.graph.Graph.grad_graph` adds.

    Parameters
    ----------
    g : Builder
    inputs : sequence of Vertex
        Leaves.
    takes_byproducts : bool, optional
        Whether to take an array that another operation computes besides, such as the softmax from
        its loss, instead of computing it by itself. False if nothing else needs the loss.

    Attributes
    ----------
    array : dict
        Number → buffer or constant.
    lines : list of (Line, Calls)
        What was noted, and the calls that compute it: none for a view.
    labels : dict
        Number → what it is, for constants that are no vertices; these numbers are negative.
    """

    def __init__(self, g: Builder, inputs: Sequence[Vertex], takes_byproducts: bool = True) -> None:
        self._g, self._next, self._takes_byproducts = g, len(g), takes_byproducts
        self.array: dict[int, np.ndarray] = {i: np.array(g.value[i], order="C") for i in inputs}
        self.lines: list[tuple[Line, Calls]] = []
        self.labels: dict[int, str] = {}
        self._varying: set[int] = set(inputs)
        self._known: dict[tuple[Any, ...], int] = {}
        # The key of an operation → the number whose calls compute it besides, and where.
        self._byproducts: dict[tuple[Any, ...], tuple[int, np.ndarray]] = {}
        # Number → the number that it is a power of two times, and that power.
        self._powers: dict[int, tuple[int, np.ndarray]] = {}

    def namespace(self) -> SimpleNamespace:
        """Return the namespace (see `nnlib.ops`) in which a gradient is noted, by numbers.

        It is not kept: it knows the recorder, so neither would be freed when both are done.
        """
        array = self.array

        @cache
        def constant(value: float, dtype: np.dtype) -> int:
            return self.constant(np.array(value, dtype))

        return SimpleNamespace(
            shape=lambda k: array[k].shape,
            dtype=lambda k: array[k].dtype,
            constant=lambda value, like: constant(value, array[like].dtype),
            **{name: partial(self._operation, op) for name, op in OPS.items()},
        )

    def vertices(self, order: Iterable[Vertex]) -> dict[Vertex, int]:
        """Note vertices of the graph, and return the number that each has the value of."""
        g, numbers = self._g, dict[Vertex, int]()
        for i in order:
            op = g.operation[i]
            if op is None:
                self.array.setdefault(i, g.value[i])
                numbers[i] = i
            else:
                operands = [numbers[child] for child in g.children[i]]
                numbers[i] = self._note(i, op, operands, g.attributes[i])
        return numbers

    def constant(self, array: np.ndarray, _name: str = "") -> int:
        """Return the next number, which has this value."""
        number, self._next = self._next, self._next + 1
        self.array[number] = array
        return number

    def needed(self, outputs: Iterable[int]) -> list[tuple[Line, Calls]]:
        """Return the lines that the outputs depend on."""
        needed, lines = set(outputs), []
        for each in reversed(self.lines):
            number, _, operands = each[0]
            if number in needed:
                needed.update(operands)
                lines.append(each)
        return lines[::-1]

    def _operation(self, op: Op, *operands: int, **attributes: Any) -> int:
        number, self._next = self._next, self._next + 1
        return self._note(number, op, operands, attributes)

    def _note(self, i: int, op: Op, numbers: Sequence[int], attributes: dict[str, Any]) -> int:
        """Return the number that has the value of an operation: i, if no other has it already."""
        if self._powers and op.name == "matmul":
            numbers = self._moved(numbers)
        key = op.key(numbers, attributes)
        if (known := self._known.setdefault(key, i)) != i:
            return known
        operands = [self.array[k] for k in numbers]
        varies = [k in self._varying for k in numbers]
        if True not in varies:
            self.array[i] = evaluate(op, *operands, **attributes)
            return i
        calls: Calls = []
        if self._byproducts and key in self._byproducts:
            source, value = self._byproducts[key]
            numbers = [source]
        elif op.view and (view := _view(op, operands, attributes)) is not None:
            value = view
        else:
            value = _buffer(op, operands, attributes)
            is_partly_constant = False in varies
            same = unchanged(op, operands, varies, value) if is_partly_constant else None
            if same is not None:
                self._known[key] = numbers[same]
                return numbers[same]
            if is_partly_constant and op.name == "mul":
                place = varies.index(False)
                if _is_power_of_two(operands[place]):
                    self._powers[i] = numbers[1 - place], operands[place]
            calls = _calls(op, operands, varies, attributes, value)
            if op.byproduct and self._takes_byproducts:
                work = calls[-1].args[len(operands) + 1]
                if work.dtype == operands[0].dtype:
                    self._byproducts[op.byproduct_key(numbers[0])] = i, work
        self._varying.add(i)
        self.array[i] = value
        self.lines.append(((i, op.name, numbers), calls))
        return i

    def _moved(self, numbers: Sequence[int]) -> Sequence[int]:
        """Multiply the constant operand of a matrix product by a power of two, not the other.

        That is done once. It is exact, so all products have the same bits.
        """
        for place, (number, other) in enumerate(zip(numbers, numbers[::-1], strict=True)):
            if number in self._powers and other not in self._varying:
                operand, power = self._powers[number]
                key = "power of two", float(power), other
                new = self._known.setdefault(key, -1 - len(self.labels))
                if new not in self.array:
                    with np.errstate(all="ignore"):
                        self.array[new] = self.array[other] * power
                    self.labels[new] = f"{power:g}·v{other}"
                if np.array_equal(self.array[new] / power, self.array[other]):
                    return (operand, new) if place == 0 else (new, operand)
        return numbers


def _is_power_of_two(factor: np.ndarray) -> bool:
    return factor.ndim == 0 and factor.dtype.kind == "f" and math.frexp(float(factor))[0] == 0.5


def _view(op: Op, operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray | None:
    """Return the value as a view of an operand, if it is one."""
    value = op.forward(*operands, **attributes)
    # A reshape may have made a copy; arrays without elements never share memory.
    is_view = value.size == 0 or np.may_share_memory(value, operands[0])
    return value if is_view else None


def _buffer(op: Op, operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    """Return an array that the value fits into."""
    shape = op.shape(*[operand.shape for operand in operands], **attributes)
    if "dtype" in attributes:
        return np.empty(shape, attributes["dtype"])
    dtypes = [operand.dtype for operand in operands]
    are_alike = dtypes.count(dtypes[0]) == len(dtypes)
    return np.empty(shape, dtypes[0] if are_alike else np.result_type(*dtypes))


def _calls(
    op: Op,
    operands: Sequence[np.ndarray],
    varies: Sequence[bool],
    attributes: dict[str, Any],
    out: np.ndarray,
) -> Calls:
    """Return the calls that compute an operation into its buffer."""
    if op.name == "embed" and (calls := _copies(operands, out, **attributes)) is not None:
        return calls
    operands = list(operands)
    spread: Calls = []
    if op.shape is broadcast and out.ndim > 0:
        # Unless an operand is a scalar, NumPy broadcasts it through a temporary buffer, which takes
        # up to twice the time. So it is broadcast before: a constant once, others into `out`.
        for k, operand in enumerate(operands):
            if operand.ndim > 0 and operand.shape != out.shape:
                wide = np.broadcast_to(operand, out.shape)
                if not varies[k]:
                    operands[k] = np.ascontiguousarray(wide)
                elif not spread:
                    spread, operands[k] = [partial(np.copyto, out, wide)], out
    if op.name == "matmul" and out.ndim > 1 and min(out.shape[-2:]) > 1:
        # BLAS takes up to twice as long for a small product with a matrix that is not in C order.
        for k, operand in enumerate(operands):
            if not varies[k]:
                operands[k] = np.ascontiguousarray(operand)
    work = temporaries(op, *operands, **attributes) if op.temporaries else ()
    return [*spread, partial(op.forward, *operands, out, *work, **attributes)]


def _copies(
    parts: Sequence[np.ndarray], out: np.ndarray, keys: tuple[Box, ...], shape: Shape
) -> Calls | None:
    """Return a copy for each part of an array, and for the zeros between; None if they overlap."""
    are_apart, are_all = tiling(keys, shape)
    if not are_apart:
        return None
    zeros = [] if are_all else [partial(np.copyto, out, np.zeros((), out.dtype))]
    places = [out[index(key)] for key in keys]
    copies = [partial(np.copyto, *each) for each in zip(places, parts, strict=True)]
    return [*zeros, *copies]
