"""Building a computation graph: leaves, one method per operation, and their checks."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnlib.ops import OPS, Op, Shape


class Builder:
    """The part of `nnlib.graph.Graph` that adds vertices; described there."""

    def __init__(self) -> None:
        self.name: list[str] = []
        self.children: list[list[int]] = []
        self.parents: list[list[int]] = []
        self.parent: list[int | None] = []
        self.shape: list[Shape] = []
        self.dtype: list[np.dtype] = []
        self.value: list[np.ndarray | None] = []
        self.grad: list[np.ndarray | None] = []
        self.operation: list[Op | None] = []
        self.attributes: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self.name)

    def tensor(self, value: ArrayLike, name: str | None = None) -> int:
        """Add a leaf that holds a copy of a value.

        Parameters
        ----------
        value : array_like of any shape
            Integers become float64; floats keep their precision.
        name : str, optional

        Returns
        -------
        int
            The ID of the leaf.

        Raises
        ------
        ValueError
            Unless the values are integers or floats.
        """
        array = real_array(value)
        leaf = self._add("tensor" if name is None else name, array.shape, array.dtype)
        self.value[leaf] = array
        return leaf

    def add(self, a: int, b: int) -> int:
        """Add a vertex for a + b, broadcast against each other."""
        return self._apply("add", a, b)

    def sub(self, a: int, b: int) -> int:
        """Add a vertex for a − b, broadcast against each other."""
        return self._apply("sub", a, b)

    def mul(self, a: int, b: int) -> int:
        """Add a vertex for a · b element by element, broadcast against each other."""
        return self._apply("mul", a, b)

    def neg(self, a: int) -> int:
        """Add a vertex for −a."""
        return self._apply("neg", a)

    def matmul(self, a: int, b: int) -> int:
        """Add a vertex for the matrix product a @ b.

        A 1-D operand is a row on the left, a column on the right; two of them give a scalar. More
        than two dimensions are stacks of matrices in the last two, and the others broadcast.
        """
        return self._apply("matmul", a, b)

    def relu(self, a: int) -> int:
        """Add a vertex for max(0, a), with slope 0 at 0."""
        return self._apply("relu", a)

    def step(self, a: int) -> int:
        """Add a vertex for 1 where a > 0, else 0: the slope of relu. Its own slope is 0."""
        return self._apply("step", a)

    def square(self, a: int) -> int:
        """Add a vertex for a², element by element."""
        return self._apply("square", a)

    def sum(self, a: int, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> int:
        """Add a vertex for Σ a over one axis, several, or all; keepdims leaves them with size 1."""
        axis = None if axis is None else _integers(axis)
        return self._apply("sum", a, axis=axis, keepdims=bool(keepdims))

    def transpose(self, a: int, axes: Sequence[int] | None = None) -> int:
        """Add a vertex for aᵀ: the axes in reverse, or in the order given."""
        axes = None if axes is None else _integers(axes)
        return self._apply("transpose", a, axes=axes)

    def reshape(self, a: int, shape: int | Sequence[int]) -> int:
        """Add a vertex for a reshaped, in C order; one size may be −1, for whatever is left."""
        return self._apply("reshape", a, shape=_integers(shape))

    def broadcast_to(self, a: int, shape: int | Sequence[int]) -> int:
        """Add a vertex for a broadcast to a shape."""
        return self._apply("broadcast_to", a, shape=_integers(shape))

    def _apply(self, name: str, *operands: int, **attributes: Any) -> int:
        op = OPS[name]
        operands = self._vertices(operands)
        try:
            shape = op.shape(*[self.shape[i] for i in operands], **attributes)
        except ValueError as error:
            described = ", ".join(self._describe(i) for i in operands)
            raise ValueError(f"{name}: {error}: {described}") from None
        dtype = self.dtype[operands[0]]
        if any(self.dtype[i] != dtype for i in operands):
            dtype = np.result_type(*[self.dtype[i] for i in operands])
        return self._add(name, shape, dtype, operands, op, attributes)

    def _add(
        self,
        name: str,
        shape: Shape,
        dtype: np.dtype,
        children: Sequence[int] = (),
        op: Op | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> int:
        vertex = len(self)
        self.name.append(name)
        self.children.append(list(children))
        self.parents.append([])
        self.parent.append(None)
        self.shape.append(shape)
        self.dtype.append(dtype)
        self.value.append(None)
        self.grad.append(None)
        self.operation.append(op)
        self.attributes.append(attributes or {})
        for child in children:
            if self.parent[child] != vertex:
                self.parents[child].append(vertex)
                self.parent[child] = vertex
        return vertex

    def _vertex(self, i: int) -> int:
        if isinstance(i, bool) or not isinstance(i, int | np.integer):
            raise ValueError(
                "expected a vertex, the integer that tensor or an operation returned, "
                f"not {type(i).__name__}"
            )
        if not 0 <= i < len(self):
            raise ValueError(f"there is no vertex {i}: the graph has {len(self)}, counted from 0")
        return int(i)

    def _vertices(self, ids: Sequence[int]) -> list[int]:
        if not np.iterable(ids):
            raise ValueError(f"expected a sequence of vertices, not {ids!r}: write [{ids!r}]")
        return [self._vertex(i) for i in ids]

    def _describe(self, i: int) -> str:
        return f"vertex {i} ({self.name[i]}) of shape {self.shape[i]}"


def real_array(value: ArrayLike, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a read-only copy of real numbers in C order, of a given type or as `tensor` has it.

    Raises
    ------
    ValueError
        Unless the values are integers or floats.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"expected integers or floats, not values of type {array.dtype}")
    if dtype is None:
        is_float = array.dtype.kind == "f"
        dtype = array.dtype.newbyteorder("=") if is_float else np.dtype(np.float64)
    return frozen(np.array(array, dtype, order="C"))


def frozen(array: np.ndarray) -> np.ndarray:
    """Return the same array, made read-only."""
    array.setflags(write=False)
    return array


def _integers(values: int | Sequence[int]) -> tuple[int, ...]:
    """Return axes or a shape as a tuple: hashable, and out of the caller's reach."""
    try:
        return tuple(map(operator.index, values if np.iterable(values) else (values,)))
    except TypeError:
        raise ValueError(f"expected an integer or a sequence of them, not {values!r}") from None
