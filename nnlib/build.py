"""Building a computation graph: leaves, one method per operation, and their checks."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike

from nnlib.ops import OPS, Op
from nnlib.shapes import Shape


class Vertex(int):
    """The ID of a vertex: an integer that remembers which graph handed it out.

    Two of them cannot be added, multiplied and so on: that would be the ID of another vertex.
    """

    lineage: str

    def __add__(self, other: Any) -> int:
        return int(self) + self._plain(other, "add")

    def __sub__(self, other: Any) -> int:
        return int(self) - self._plain(other, "sub")

    def __mul__(self, other: Any) -> int:
        return int(self) * self._plain(other, "mul")

    def __truediv__(self, other: Any) -> float:
        return int(self) / self._plain(other, "div")

    def __matmul__(self, other: Any) -> Any:
        return int(self) @ self._plain(other, "matmul")

    @staticmethod
    def _plain(other: Any, method: str) -> Any:
        if isinstance(other, Vertex):
            raise TypeError(f"vertices are only numbers: use g.{method}(a, b)")
        return other


class Builder:
    """The part of `nnlib.graph.Graph` that adds vertices; described there."""

    def __init__(self) -> None:
        # Shared by the copies of a graph, in which its vertices have the same IDs.
        self.lineage = uuid4().hex
        self.name: list[str] = []
        self.children: list[list[int]] = []
        self.parents: list[list[int]] = []
        self.parent: list[int | None] = []
        self.shape: list[Shape] = []
        self.dtype: list[np.dtype] = []
        # Arrays, or None; whoever reads one knows that it is there.
        self.value: list[Any] = []
        self.grad: list[Any] = []
        self.operation: list[Op | None] = []
        self.attributes: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self.name)

    def __repr__(self) -> str:
        lines = [f"{self._formula(i)}  {self.shape[i]}" for i in _shown(len(self))]
        if len(lines) < len(self):
            lines.insert(len(lines) // 2, f"… {len(self) - len(lines)} more …")
        return "\n".join([f"{type(self).__name__} of {len(self)} vertices", *lines])

    def tensor(self, value: ArrayLike, name: str | None = None) -> Vertex:
        """Add a leaf that holds a copy of a value.

        Parameters
        ----------
        value : array_like of any shape
            Integers become float64; floats keep their precision.
        name : str, optional

        Returns
        -------
        Vertex
            The ID of the leaf, an integer.

        Raises
        ------
        ValueError
            Unless the values are integers or floats.
        """
        array = real_array(value)
        leaf = self._add("tensor" if name is None else str(name), array.shape, array.dtype)
        self.value[leaf] = array
        return leaf

    def add(self, a: int, b: int) -> Vertex:
        """Add a vertex for a + b, broadcast against each other."""
        return self._apply("add", a, b)

    def sub(self, a: int, b: int) -> Vertex:
        """Add a vertex for a − b, broadcast against each other."""
        return self._apply("sub", a, b)

    def mul(self, a: int, b: int) -> Vertex:
        """Add a vertex for a · b element by element, broadcast against each other."""
        return self._apply("mul", a, b)

    def div(self, a: int, b: int) -> Vertex:
        """Add a vertex for a / b element by element, broadcast against each other."""
        return self._apply("div", a, b)

    def maximum(self, a: int, b: int) -> Vertex:
        """Add a vertex for max(a, b), broadcast; where a = b, each has slope ½."""
        return self._apply("maximum", a, b)

    def matmul(self, a: int, b: int) -> Vertex:
        """Add a vertex for the matrix product a @ b.

        A 1-D operand is a row on the left, a column on the right; two of them give a scalar. More
        than two dimensions are stacks of matrices in the last two, and the others broadcast.
        """
        return self._apply("matmul", a, b)

    def neg(self, a: int) -> Vertex:
        """Add a vertex for −a."""
        return self._apply("neg", a)

    def relu(self, a: int) -> Vertex:
        """Add a vertex for max(0, a), with slope 0 at 0."""
        return self._apply("relu", a)

    def step(self, a: int) -> Vertex:
        """Add a vertex for 1 where a > 0, else 0: the slope of relu. Its own slope is 0."""
        return self._apply("step", a)

    def abs(self, a: int) -> Vertex:
        """Add a vertex for |a|, with slope 0 at 0."""
        return self._apply("abs", a)

    def sign(self, a: int) -> Vertex:
        """Add a vertex for 1 where a > 0, −1 where a < 0, else 0: the slope of abs."""
        return self._apply("sign", a)

    def square(self, a: int) -> Vertex:
        """Add a vertex for a², element by element."""
        return self._apply("square", a)

    def sqrt(self, a: int) -> Vertex:
        """Add a vertex for √a, element by element."""
        return self._apply("sqrt", a)

    def exp(self, a: int) -> Vertex:
        """Add a vertex for eᵃ, element by element."""
        return self._apply("exp", a)

    def log(self, a: int) -> Vertex:
        """Add a vertex for ln a, element by element."""
        return self._apply("log", a)

    def tanh(self, a: int) -> Vertex:
        """Add a vertex for tanh a, element by element."""
        return self._apply("tanh", a)

    def sigmoid(self, a: int) -> Vertex:
        """Add a vertex for 1 / (1 + e⁻ᵃ), element by element."""
        return self._apply("sigmoid", a)

    def sum(
        self, a: int, axis: int | Sequence[int] | None = None, keepdims: bool = False
    ) -> Vertex:
        """Add a vertex for Σ a over one axis, several, or all; keepdims leaves them with size 1."""
        return self._apply("sum", a, axis=_axes(axis), keepdims=bool(keepdims))

    def mean(
        self, a: int, axis: int | Sequence[int] | None = None, keepdims: bool = False
    ) -> Vertex:
        """Add a vertex for Σ a / count over one axis, several, or all; keepdims as in sum."""
        return self._apply("mean", a, axis=_axes(axis), keepdims=bool(keepdims))

    def transpose(self, a: int, axes: Sequence[int] | None = None) -> Vertex:
        """Add a vertex for aᵀ: the axes in reverse, or in the order given."""
        return self._apply("transpose", a, axes=_axes(axes))

    def reshape(self, a: int, shape: int | Sequence[int]) -> Vertex:
        """Add a vertex for a reshaped, in C order; one size may be −1, for whatever is left."""
        return self._apply("reshape", a, shape=_integers(shape))

    def broadcast_to(self, a: int, shape: int | Sequence[int]) -> Vertex:
        """Add a vertex for a broadcast to a shape."""
        return self._apply("broadcast_to", a, shape=_integers(shape))

    def log_softmax(self, a: int, axis: int = -1) -> Vertex:
        """Add a vertex for a − ln Σ eᵃ, the sum over one axis, without overflow."""
        return self._apply("log_softmax", a, axis=_integer(axis))

    def one_hot(self, labels: int, classes: int) -> Vertex:
        """Add a vertex with 1 in column a, else 0, for class numbers a; its slope is 0.

        The columns are one more axis, the last. A run raises ValueError if a label is not one of
        0, 1, …, classes − 1.
        """
        dtype = self.dtype[self._vertex(labels)]
        return self._apply("one_hot", labels, classes=_integer(classes), dtype=dtype)

    def mean_squared_error(self, prediction: int, target: int) -> Vertex:
        """Add a vertex for Σ (a − b)² / count, the mean over all elements; the shapes are equal."""
        return self._apply("mean_squared_error", prediction, target)

    def softmax_cross_entropy(self, logits: int, labels: int) -> Vertex:
        """Add a vertex for −Σ b · log_softmax(a) / rows: the mean cross-entropy of the rows.

        The last axis of the logits a is that of the classes. The labels are either probabilities b,
        of the same shape, or class numbers, of that shape without its last axis, for which a vertex
        `one_hot` is added.
        """
        logits, labels = self.vertices([logits, labels])
        if self.shape[logits] and self.shape[labels] == self.shape[logits][:-1]:
            classes, dtype = self.shape[logits][-1], self.dtype[logits]
            labels = self._apply("one_hot", labels, classes=classes, dtype=dtype)
        return self._apply("softmax_cross_entropy", logits, labels)

    def vertices(self, ids: Sequence[int]) -> list[int]:
        """Return IDs as plain integers.

        Raises
        ------
        ValueError
            If one of them is not a vertex of this graph.
        """
        if not np.iterable(ids):
            raise ValueError(f"expected a sequence of vertices, not {ids!r}: write [{ids!r}]")
        return [self._vertex(i) for i in ids]

    def _apply(self, name: str, *operands: int, **attributes: Any) -> Vertex:
        op = OPS[name]
        children = self.vertices(operands)
        try:
            shape = op.shape(*[self.shape[i] for i in children], **attributes)
        except ValueError as error:
            described = ", ".join(self._describe(i) for i in children)
            raise ValueError(f"{name}: {error}: {described}") from None
        dtype = attributes.get("dtype", self.dtype[children[0]])
        if "dtype" not in attributes and any(self.dtype[i] != dtype for i in children):
            dtype = np.result_type(*[self.dtype[i] for i in children])
        return self._add(name, shape, dtype, children, op, attributes)

    def _add(
        self,
        name: str,
        shape: Shape,
        dtype: np.dtype,
        children: Sequence[int] = (),
        op: Op | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Vertex:
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
        handed_out = Vertex(vertex)
        handed_out.lineage = self.lineage
        return handed_out

    def _vertex(self, i: int) -> int:
        if isinstance(i, Vertex) and i.lineage != self.lineage:
            raise ValueError(f"vertex {i} is one of another graph")
        if isinstance(i, bool) or not isinstance(i, int | np.integer):
            raise ValueError(
                "expected a vertex, the integer that tensor or an operation returned, "
                f"not {type(i).__name__}"
            )
        if not 0 <= i < len(self):
            raise ValueError(f"there is no vertex {i}: the graph has {len(self)}, counted from 0")
        return int(i)

    def _formula(self, i: int) -> str:
        if self.operation[i] is None:
            return f"v{i} = {self.name[i]}"
        attributes = self.attributes[i].items()
        given = [f"{k}={v}" for k, v in attributes if v is not None and v is not False]
        operands = [f"v{child}" for child in self.children[i]]
        return f"v{i} = {self.name[i]}({', '.join(operands + given)})"

    def _describe(self, i: int) -> str:
        return f"vertex {i} ({self.name[i]}) of shape {self.shape[i]}"


def real_array(value: ArrayLike, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a read-only copy of real numbers in C order, of a given type or as `tensor` has it.

    Raises
    ------
    ValueError
        Unless the values are integers or floats.
    """
    if isinstance(value, Vertex):
        raise ValueError(f"expected numbers, not vertex {value}, which can be used as it is")
    if np.ma.isMaskedArray(value):
        raise ValueError("expected an array without a mask: fill it first")
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


def _axes(axes: int | Sequence[int] | None) -> tuple[int, ...] | None:
    return None if axes is None else _integers(axes)


def _integers(values: int | Sequence[int]) -> tuple[int, ...]:
    """Return axes or a shape as a tuple: hashable, and out of the caller's reach."""
    try:
        return tuple(map(operator.index, values if np.iterable(values) else (values,)))
    except TypeError:
        raise ValueError(f"expected an integer or a sequence of them, not {values!r}") from None


def _integer(value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"expected an integer, not {value!r}") from None


def _shown(count: int) -> Sequence[int]:
    """Return the vertices of a listing: all, or the first and last 500."""
    return range(count) if count <= 1000 else [*range(500), *range(count - 500, count)]
