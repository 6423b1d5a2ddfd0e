"""Building a computation graph: leaves, one method per operation, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nnlib.inputs import Vertex, float_type, integer, integers, real_array
from nnlib.ops import OPS, Op
from nnlib.shapes import Shape, concatenated
from nnlib.slices import Key, box


class Builder:
    """The part of `nnlib.graph.Graph` that adds vertices; described there."""

    def __init__(self) -> None:
        # Shared by the copies of a graph, in which its vertices have the same IDs.
        self.lineage = uuid4().hex
        self.vertices: list[Vertex] = []
        self.name: list[str] = []
        self.children: list[list[Vertex]] = []
        self.parents: list[list[Vertex]] = []
        self.parent: list[Vertex | None] = []
        self.shape: list[Shape] = []
        self.dtype: list[np.dtype] = []
        # Arrays or None; typed Any, because readers know which values exist.
        self.value: list[Any] = []
        self.grad: list[Any] = []
        self.operation: list[Op | None] = []
        self.attributes: list[dict[str, Any]] = []
        # What the latest evaluation left beside the value, after the operand; see `nnlib.ops.Op`.
        self.byproduct: list[Any] = []

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
            Integers become float64 and float16 becomes float32; other floats keep their precision.
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

    def add(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for a + b, broadcast against each other."""
        return self._apply("add", a, b)

    def sub(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for a − b, broadcast against each other."""
        return self._apply("sub", a, b)

    def mul(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for a · b element by element, broadcast against each other."""
        return self._apply("mul", a, b)

    def div(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for a / b element by element, broadcast against each other."""
        return self._apply("div", a, b)

    def maximum(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for max(a, b), broadcast; where a = b, each has slope ½."""
        return self._apply("maximum", a, b)

    def matmul(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for the matrix product a @ b.

        A 1-D operand is a row on the left, a column on the right; two of them give a scalar. More
        than two dimensions are stacks of matrices in the last two, and the others broadcast.
        """
        return self._apply("matmul", a, b)

    def neg(self, a: Vertex) -> Vertex:
        """Add a vertex for −a."""
        return self._apply("neg", a)

    def relu(self, a: Vertex) -> Vertex:
        """Add a vertex for max(0, a), with slope 0 at 0."""
        return self._apply("relu", a)

    def step(self, a: Vertex) -> Vertex:
        """Add a vertex for 1 where a > 0, else 0: the slope of relu. Its own slope is 0."""
        return self._apply("step", a)

    def abs(self, a: Vertex) -> Vertex:
        """Add a vertex for |a|, with slope 0 at 0."""
        return self._apply("abs", a)

    def sign(self, a: Vertex) -> Vertex:
        """Add a vertex for 1 where a > 0, −1 where a < 0, else 0: the slope of abs."""
        return self._apply("sign", a)

    def is_larger(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for 1 where a > b, ½ where a = b, else 0: the slope of maximum along a."""
        return self._apply("is_larger", a, b)

    def gate(self, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for a · b, 0 where b = 0, even if a is infinite or NaN; equal shapes."""
        return self._apply("gate", a, b)

    def where(self, condition: Vertex, a: Vertex, b: Vertex) -> Vertex:
        """Add a vertex for a where a condition is not 0, else b, all broadcast.

        The condition has the slope 0. What is not chosen gets the gradient 0, even if ∂f/∂value is
        infinite or NaN.
        """
        condition, a, b = self.require([condition, a, b])
        dtype = np.result_type(self.dtype[a], self.dtype[b])
        if np.result_type(dtype, self.dtype[condition]) != dtype:
            # The type is that of a and b; a small number must not become 0 in it.
            condition = self.cast(self.sign(condition), dtype)
        return self._apply("where", condition, a, b)

    def square(self, a: Vertex) -> Vertex:
        """Add a vertex for a², element by element."""
        return self._apply("square", a)

    def sqrt(self, a: Vertex) -> Vertex:
        """Add a vertex for √a, element by element."""
        return self._apply("sqrt", a)

    def exp(self, a: Vertex) -> Vertex:
        """Add a vertex for eᵃ, element by element."""
        return self._apply("exp", a)

    def log(self, a: Vertex) -> Vertex:
        """Add a vertex for ln a, element by element."""
        return self._apply("log", a)

    def tanh(self, a: Vertex) -> Vertex:
        """Add a vertex for tanh a, element by element."""
        return self._apply("tanh", a)

    def sigmoid(self, a: Vertex) -> Vertex:
        """Add a vertex for 1 / (1 + e⁻ᵃ), element by element."""
        return self._apply("sigmoid", a)

    def cast(self, a: Vertex, dtype: DTypeLike) -> Vertex:
        """Add a vertex for a in another type, float32 or float64."""
        return self._apply("cast", a, dtype=float_type(dtype))

    def sum(
        self, a: Vertex, axis: int | Sequence[int] | None = None, keepdims: bool = False
    ) -> Vertex:
        """Add a vertex for Σ a over one axis, several, or all; keepdims leaves them with size 1."""
        return self._apply("sum", a, axis=_axes(axis), keepdims=bool(keepdims))

    def mean(
        self, a: Vertex, axis: int | Sequence[int] | None = None, keepdims: bool = False
    ) -> Vertex:
        """Add a vertex for Σ a / count over one axis, several, or all; keepdims as in sum."""
        return self._apply("mean", a, axis=_axes(axis), keepdims=bool(keepdims))

    def max(
        self, a: Vertex, axis: int | Sequence[int] | None = None, keepdims: bool = False
    ) -> Vertex:
        """Add a vertex for the largest a over one axis, several, or all; keepdims as in sum.

        If k elements are the largest, each has slope 1 / k.
        """
        return self._apply("max", a, axis=_axes(axis), keepdims=bool(keepdims))

    def is_largest(self, a: Vertex, axis: int | Sequence[int] | None = None) -> Vertex:
        """Add a vertex for 1 / k where a is one of the k largest, else 0: the slope of max."""
        return self._apply("is_largest", a, axis=_axes(axis))

    def transpose(self, a: Vertex, axes: Sequence[int] | None = None) -> Vertex:
        """Add a vertex for aᵀ: the axes in reverse, or in the order given."""
        return self._apply("transpose", a, axes=_axes(axes))

    def reshape(self, a: Vertex, shape: int | Sequence[int]) -> Vertex:
        """Add a vertex for a reshaped, in C order; one size may be −1, for whatever is left."""
        return self._apply("reshape", a, shape=integers(shape))

    def broadcast_to(self, a: Vertex, shape: int | Sequence[int]) -> Vertex:
        """Add a vertex for a broadcast to a shape."""
        return self._apply("broadcast_to", a, shape=integers(shape))

    def getitem(self, a: Vertex, key: Key) -> Vertex:
        """Add a vertex for a part of a, given by a slice or a tuple of slices, one for each axis.

        The steps of the slices are positive, and there are no plain indices: element k of an axis
        is ``slice(k, k + 1)``, which leaves the axis with size 1. In a program it is a view.
        """
        a = self._vertex(a)
        try:
            part = box(key, self.shape[a])
        except ValueError as error:
            raise ValueError(f"getitem: {error}: {self._describe(a)}") from None
        return self._apply("getitem", a, key=part)

    def embed(self, *parts: Vertex, keys: Sequence[Key], shape: int | Sequence[int]) -> Vertex:
        """Add a vertex for zeros with a and others in their places, added up where they overlap.

        The place of a part is given by a key, as for getitem, which is the opposite. There is a key
        for every part.
        """
        size = integers(shape)
        places = tuple(box(key, size) for key in keys)
        return self._apply("embed", *parts, keys=places, shape=size)

    def concatenate(self, parts: Sequence[Vertex], axis: int = 0) -> Vertex:
        """Add a vertex for the parts one after the other along an axis that they have.

        It is `embed` with places that fill the whole shape.
        """
        parts, axis = self.require(parts), integer(axis)
        try:
            keys, shape = concatenated([self.shape[i] for i in parts], axis)
        except ValueError as error:
            described = ", ".join(map(self._describe, parts))
            raise ValueError(f"concatenate: {error}: {described}") from None
        return self.embed(*parts, keys=keys, shape=shape)

    def log_softmax(self, a: Vertex, axis: int = -1) -> Vertex:
        """Add a vertex for a − ln Σ eᵃ, the sum over one axis, without overflow."""
        return self._apply("log_softmax", a, axis=integer(axis))

    def one_hot(self, labels: Vertex, classes: int) -> Vertex:
        """Add a vertex with 1 in column a, else 0, for class numbers a; its slope is 0.

        The columns are one more axis, the last. A run raises ValueError if a label is not one of
        0, 1, …, classes − 1.
        """
        return self._one_hot(labels, integer(classes), self.dtype[self._vertex(labels)])

    def mean_squared_error(self, prediction: Vertex, target: Vertex) -> Vertex:
        """Add a vertex for Σ (a − b)² / count, the mean over all elements; the shapes are equal."""
        return self._apply("mean_squared_error", prediction, target)

    def softmax_cross_entropy(self, logits: Vertex, labels: Vertex) -> Vertex:
        """Add a vertex for −Σ b · log_softmax(a) / rows: the mean cross-entropy of the rows.

        The last axis of the logits a is for the classes. The labels are either probabilities b, of
        the same shape, or class numbers, of that shape without its last axis. For class numbers a
        vertex `one_hot` is added.
        """
        logits, labels = self.require([logits, labels])
        if self.shape[logits] and self.shape[labels] == self.shape[logits][:-1]:
            labels = self._one_hot(labels, self.shape[logits][-1], self.dtype[logits])
        return self._apply("softmax_cross_entropy", logits, labels)

    def require(self, vertices: Sequence[Vertex]) -> list[Vertex]:
        """Return vertices as a list.

        Raises
        ------
        ValueError
            If one of them is not a vertex of this graph.
        """
        if not np.iterable(vertices):
            raise ValueError(
                f"expected a sequence of vertices, not {vertices!r}: write [{vertices!r}]"
            )
        return [self._vertex(i) for i in vertices]

    def _apply(self, name: str, *operands: Vertex, **attributes: Any) -> Vertex:
        op = OPS[name]
        children = [self._vertex(i) for i in operands]
        try:
            shape = op.shape(*[self.shape[i] for i in children], **attributes)
        except ValueError as error:
            described = ", ".join(self._describe(i) for i in children)
            raise ValueError(f"{name}: {error}: {described}") from None
        dtype = attributes.get("dtype")
        if dtype is None:
            dtype, *others = (self.dtype[i] for i in children)
            if any(other != dtype for other in others):
                dtype = np.result_type(dtype, *others)
        return self._add(name, shape, dtype, children, op, attributes)

    def _add(
        self,
        name: str,
        shape: Shape,
        dtype: np.dtype,
        children: Sequence[Vertex] = (),
        op: Op | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Vertex:
        vertex = Vertex(len(self.name))
        vertex.lineage = self.lineage
        self.vertices.append(vertex)
        self.name.append(name)
        self.children.append(list(children))
        self.parents.append([])
        self.parent.append(None)
        self.shape.append(shape)
        self.dtype.append(dtype)
        self.value.append(None)
        self.grad.append(None)
        self.byproduct.append(None)
        self.operation.append(op)
        self.attributes.append(attributes or {})
        for child in children:
            if self.parent[child] != vertex:
                self.parents[child].append(vertex)
                self.parent[child] = vertex
        return vertex

    def _one_hot(self, labels: Vertex, classes: int, dtype: np.dtype) -> Vertex:
        for each in (self.dtype[labels], dtype):
            largest = int(2 / np.finfo(each).eps)
            if classes - 1 > largest:
                raise ValueError(
                    f"one_hot: {each} has all whole numbers up to {largest} only, too few for "
                    f"{classes} classes: take float64: {self._describe(labels)}"
                )
        return self._apply("one_hot", labels, classes=classes, dtype=dtype)

    def _vertex(self, i: object) -> Vertex:
        if not isinstance(i, Vertex):
            is_id = isinstance(i, int) and not isinstance(i, bool) and 0 <= i < len(self)
            raise ValueError(
                f"expected a vertex, as tensor and the operations return it, not {i!r} of type "
                f"{type(i).__name__}: numbers become one by g.tensor"
                + (f", and vertex {i} is g.vertices[{i}]" if is_id else "")
            )
        if i.lineage != self.lineage:
            raise ValueError(f"vertex {i} is one of another graph")
        if i >= len(self.name):
            raise ValueError(f"there is no vertex {i}: the graph has {len(self)}, counted from 0")
        return i

    def _formula(self, i: int) -> str:
        if self.operation[i] is None:
            return f"v{i} = {self.name[i]}"
        attributes = self.attributes[i].items()
        given = [f"{k}={v}" for k, v in attributes if v is not None and v is not False]
        operands = [f"v{child}" for child in self.children[i]]
        return f"v{i} = {self.name[i]}({', '.join(operands + given)})"

    def _describe(self, i: int) -> str:
        return f"vertex {i} ({self.name[i]}) of shape {self.shape[i]}"


def _axes(axes: int | Sequence[int] | None) -> tuple[int, ...] | None:
    return None if axes is None else integers(axes)


def _shown(count: int) -> Sequence[int]:
    """Return the vertices of a listing: all, or the first and last 500."""
    return range(count) if count <= 1000 else [*range(500), *range(count - 500, count)]
