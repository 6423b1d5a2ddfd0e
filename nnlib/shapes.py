"""The shape rules: from the shapes of the operands to the shape of the value.

If the shapes do not fit, a rule raises a ValueError that says why; the graph adds the vertices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

Shape = tuple[int, ...]


def same(a: Shape, **_attributes: object) -> Shape:
    """Return the shape of an operation that works element by element on one operand."""
    return a


def alike(a: Shape, b: Shape) -> Shape:
    """Return the shape that both operands have."""
    if a != b:
        raise ValueError("the shapes differ")
    return a


def broadcast(a: Shape, b: Shape) -> Shape:
    """Return the shape of an operation that works element by element on two operands."""
    if a == b:
        return a
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError("the shapes do not broadcast") from None


def broadcast_to(a: Shape, *, shape: Shape) -> Shape:
    """Return the shape that was asked for, if `a` can be broadcast to it."""
    if broadcast(a, shape) != shape:
        raise ValueError(f"the shape does not broadcast to {shape}")
    return shape


def matmul(a: Shape, b: Shape) -> Shape:
    """Return the shape of a matrix product: a 1-D operand is a row on the left, a column right."""
    if not a or not b:
        raise ValueError("a scalar cannot be multiplied as a matrix, use mul")
    rows, columns = a[-2:-1], b[-1:] if len(b) > 1 else ()
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ValueError(f"the inner dimensions {a[-1]} and {inner} differ")
    return (*broadcast(a[:-2], b[:-2]), *rows, *columns)


def transpose(a: Shape, *, axes: Shape | None) -> Shape:
    """Return the axes in reverse, or in the order given."""
    if axes is None:
        return a[::-1]
    axes = normalize_axis_tuple(axes, len(a))
    if len(axes) != len(a):
        raise ValueError(f"axes={axes} must name each of the {len(a)} axes once")
    return tuple(a[axis] for axis in axes)


def reshape(a: Shape, *, shape: Shape) -> Shape:
    """Return the shape that was asked for, with −1 replaced by the size that fits."""
    size, known = math.prod(a), math.prod(n for n in shape if n != -1)
    if shape.count(-1) == 1 and known > 0 and size % known == 0:
        shape = tuple(size // known if n == -1 else n for n in shape)
    if min(shape, default=0) < 0 or math.prod(shape) != size:
        raise ValueError(f"{size} elements do not fill the shape {shape}")
    return shape


def reduce(a: Shape, *, axis: Shape | None, keepdims: bool) -> Shape:
    """Return the shape after a sum over some axes, or all."""
    reduced = range(len(a)) if axis is None else normalize_axis_tuple(axis, len(a))
    if keepdims:
        return tuple(1 if k in reduced else n for k, n in enumerate(a))
    return tuple(n for k, n in enumerate(a) if k not in reduced)


def reduce_some(a: Shape, *, axis: Shape | None, keepdims: bool) -> Shape:
    """Return the shape after a maximum over some axes, or all: of nothing there is none."""
    for k in range(len(a)) if axis is None else normalize_axis_tuple(axis, len(a)):
        if a[k] == 0:
            raise ValueError(f"there is nothing to choose from along axis {k}")
    return reduce(a, axis=axis, keepdims=keepdims)


def largest(a: Shape, *, axis: Shape | None) -> Shape:
    """Return the same shape, if there is an element to be the largest."""
    reduce_some(a, axis=axis, keepdims=True)
    return a


def where(condition: Shape, a: Shape, b: Shape) -> Shape:
    """Return the shape of three operands that are broadcast against each other."""
    return broadcast(broadcast(condition, a), b)


def softmax(a: Shape, *, axis: int) -> Shape:
    """Return the same shape, if there is at least one class along the axis."""
    (index,) = normalize_axis_tuple(axis, len(a))
    if a[index] == 0:
        raise ValueError(f"there are no classes along axis {axis}")
    return a


def one_hot(labels: Shape, *, classes: int, **_dtype: object) -> Shape:
    """Return the shape of the labels with the classes as one more axis."""
    if classes < 1:
        raise ValueError(f"classes={classes} must be at least 1")
    return (*labels, classes)


def concatenated(parts: Sequence[Shape], axis: int) -> tuple[list[tuple[range, ...]], Shape]:
    """Return the places of parts one after the other along an axis, and the shape of the whole."""
    if not parts:
        raise ValueError("there is nothing to put together")
    first = parts[0]
    (k,) = normalize_axis_tuple(axis, len(first))
    if any(part[:k] + part[k + 1 :] != first[:k] + first[k + 1 :] for part in parts):
        raise ValueError(f"the shapes differ along other axes than axis {axis}")
    ends = list(accumulate((part[k] for part in parts), initial=0))
    before, after = tuple(map(range, first[:k])), tuple(map(range, first[k + 1 :]))
    keys = [(*before, range(*limits), *after) for limits in pairwise(ends)]
    return keys, (*first[:k], ends[-1], *first[k + 1 :])


def equal(a: Shape, b: Shape) -> Shape:
    """Return () for two operands of the same shape: a loss must not broadcast unnoticed."""
    alike(a, b)
    return ()


def cross_entropy(logits: Shape, labels: Shape) -> Shape:
    """Return () for logits and probabilities of the same shape, with classes in the last axis."""
    if not logits:
        raise ValueError("the logits need an axis of classes")
    softmax(logits, axis=-1)
    return equal(logits, labels)


def stretched(narrow: Shape, wide: Sequence[int]) -> Shape:
    """Return the axes of `wide` along which an operand of the shape `narrow` was broadcast."""
    new = len(wide) - len(narrow)
    old = (new + k for k, size in enumerate(narrow) if size == 1 and wide[new + k] != 1)
    return (*range(new), *old)
