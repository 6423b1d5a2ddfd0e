"""Numerics and gradients that do not fit into a row of `nnlib.ops`, which says how to read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from nnlib import shapes
from nnlib.shapes import Shape

Array = np.ndarray
# Typed Any: NumPy's types do not allow passing all arguments by position, which is faster.
_add_up: Any = np.add.reduce
_largest: Any = np.maximum.reduce
_smallest: Any = np.minimum.reduce


def pass_on(_ops: Any, upstream: Any, *_: Any, **_attributes: Any) -> Any:
    """∂f/∂a = ∂f/∂value: (22) of the coursework."""
    return upstream


def sum_to_shape(ops: Any, gradient: Any, shape: Shape) -> Any:
    """Return a gradient summed over the axes along which an operand of this shape was broadcast."""
    wide = ops.shape(gradient)
    if wide == shape:
        return gradient
    gradient = ops.sum(gradient, axis=shapes.stretched(shape, wide), keepdims=False)
    return gradient if ops.shape(gradient) == shape else ops.reshape(gradient, shape=shape)


# Element by element. The calls are nested, because a NumPy scalar cannot be passed as `out`.


def maximum(a: Array, b: Array, out: Array | None = None) -> Array:
    """max(a, b)."""
    return np.maximum(a, b, out=out)


def relu(x: Array, out: Array | None = None) -> Array:
    """max(0, x)."""
    return np.maximum(x, 0.0, out=out)


def step(x: Array, out: Array | None = None) -> Array:
    """1 where x > 0, else 0."""
    # np.heaviside takes three times as long; np.greater needs a temporary array for its booleans.
    return np.maximum(np.sign(x, out), 0.0, out=out)


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """1 / (1 + e⁻ˣ): where e⁻ˣ overflows, the result is 0."""
    return np.reciprocal(np.add(np.exp(np.negative(x, out), out), 1.0, out), out)


def one_minus(ops: Any, x: Any) -> Any:
    """1 − x."""
    return ops.sub(ops.constant(1.0, x), x)


def is_larger(a: Array, b: Array, out: Array | None, difference: Array) -> Array:
    """1 where a > b, ½ where a = b, else 0."""
    np.subtract(a, b, difference)
    if _has_nan(difference):
        # ∞ − ∞ is NaN, but equal operands have the difference 0.
        np.copyto(difference, 0.0, where=a == b)
    return np.add(np.multiply(np.sign(difference, out), 0.5, out), 0.5, out)


def gate(a: Array, b: Array, out: Array | None = None) -> Array:
    """a · b, 0 where b = 0: there the product is NaN if a is infinite or NaN."""
    product = np.multiply(a, b, out)
    if _has_nan(product):
        product = np.asarray(product)
        np.copyto(product, 0.0, where=b == 0)
    return product


def where(condition: Array, a: Array, b: Array, out: Array | None = None) -> Array:
    """A where the condition is not 0, else b."""
    if out is None:
        return np.where(condition, a, b)
    np.copyto(out, b)
    np.copyto(out, a, where=condition != 0)
    return out


def _has_nan(array: Array) -> bool:
    """Return whether an element is NaN; the minimum is NaN then, so no temporary is needed."""
    return math.isnan(_smallest(array, None, None, None, False, 0.0))


def cast(x: Array, out: Array | None = None, *, dtype: np.dtype) -> Array:
    """Return x in another type."""
    if out is None:
        return x.astype(dtype, order="C")
    np.copyto(out, x, casting="same_kind")
    return out


def div_gradient_b(ops: Any, upstream: Any, value: Any, _a: Any, b: Any) -> Any:
    """−∂f/∂value · a / b², from value = a / b."""
    return ops.neg(ops.div(ops.mul(upstream, value), b))


# Products. matmul treats a 1-D left operand as a row, and a 1-D right one as a column. Gradients
# restore the missing axis, so that one formula fits all combinations, and drop it at the end.


def _upstream_matrix(ops: Any, upstream: Any, a: Any, b: Any) -> Any:
    shape = ops.shape(upstream)
    if len(ops.shape(b)) == 1:
        shape = (*shape, 1)
    if len(ops.shape(a)) == 1:
        shape = (*shape[:-1], 1, shape[-1])
    return upstream if shape == ops.shape(upstream) else ops.reshape(upstream, shape=shape)


def _transposed(ops: Any, matrix: Any) -> Any:
    ndim = len(ops.shape(matrix))
    return ops.transpose(matrix, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


def matmul_gradient_a(ops: Any, upstream: Any, _value: Any, a: Any, b: Any) -> Any:
    """∂f/∂a = ∂f/∂value bᵀ: (24) of the coursework."""
    is_column = len(ops.shape(b)) == 1
    b_transposed = ops.reshape(b, shape=(1, *ops.shape(b))) if is_column else _transposed(ops, b)
    gradient = ops.matmul(_upstream_matrix(ops, upstream, a, b), b_transposed)
    if len(ops.shape(a)) > 1:
        return gradient
    *stack, _, inner = ops.shape(gradient)
    return ops.reshape(gradient, shape=(*stack, inner))


def matmul_gradient_b(ops: Any, upstream: Any, _value: Any, a: Any, b: Any) -> Any:
    """∂f/∂b = aᵀ ∂f/∂value."""
    is_row = len(ops.shape(a)) == 1
    a_transposed = ops.reshape(a, shape=(*ops.shape(a), 1)) if is_row else _transposed(ops, a)
    gradient = ops.matmul(a_transposed, _upstream_matrix(ops, upstream, a, b))
    if len(ops.shape(b)) > 1:
        return gradient
    return ops.reshape(gradient, shape=ops.shape(gradient)[:-1])


# Shapes


def transpose(x: Array, *, axes: Shape | None) -> Array:
    """xᵀ, as a view. NumPy's function takes five times as long as its method."""
    return x.transpose(axes)


def transpose_gradient(ops: Any, upstream: Any, _value: Any, _a: Any, *, axes: Shape | None) -> Any:
    """The gradient, transposed back."""
    if axes is None:
        return ops.transpose(upstream, axes=None)
    axes = normalize_axis_tuple(axes, len(axes))
    return ops.transpose(upstream, axes=tuple(axes.index(k) for k in range(len(axes))))


def reshape(x: Array, out: Array | None = None, *, shape: Shape) -> Array:
    """Return x in another shape, as a view where NumPy can make one, or copied into `out`."""
    if out is None:
        return x.reshape(shape)
    np.copyto(out.reshape(x.shape), x)
    return out


# Reductions


def sum(  # noqa: A001
    x: Array, out: Array | None = None, *, axis: Shape | None, keepdims: bool
) -> Array:
    """Σ x."""
    return _add_up(x, axis, None, out, keepdims)


def sum_gradient(
    ops: Any, upstream: Any, _value: Any, a: Any, *, axis: Shape | None, keepdims: bool
) -> Any:
    """The gradient of a sum, which every summand gets."""
    shape = ops.shape(a)
    kept = shapes.reduce(shape, axis=axis, keepdims=True)
    if ops.shape(upstream) != kept:
        upstream = ops.reshape(upstream, shape=kept)
    return ops.broadcast_to(upstream, shape=shape)


def _count(a: Shape, axis: Shape | None) -> int:
    """Return how many elements go into each one of the result."""
    axes = range(len(a)) if axis is None else normalize_axis_tuple(axis, len(a))
    return math.prod(a[k] for k in axes)


def mean(x: Array, out: Array | None = None, *, axis: Shape | None, keepdims: bool) -> Array:
    """Σ x / count; NaN if there is nothing to count."""
    return np.divide(_add_up(x, axis, None, out, keepdims), _count(x.shape, axis), out)


def mean_gradient(
    ops: Any, upstream: Any, value: Any, a: Any, *, axis: Shape | None, keepdims: bool
) -> Any:
    """The gradient of a sum, divided by the count."""
    count = _count(ops.shape(a), axis) or 1
    share = ops.div(upstream, ops.constant(count, upstream))
    return sum_gradient(ops, share, value, a, axis=axis, keepdims=keepdims)


def max(  # noqa: A001
    x: Array, out: Array | None = None, *, axis: Shape | None, keepdims: bool
) -> Array:
    """Return the largest x."""
    return _largest(x, axis, None, out, keepdims)


def max_gradient(
    ops: Any, upstream: Any, value: Any, a: Any, *, axis: Shape | None, keepdims: bool
) -> Any:
    """The gradient for the largest element; if several are, each gets the same part of it."""
    wide = sum_gradient(ops, upstream, value, a, axis=axis, keepdims=keepdims)
    return ops.gate(wide, ops.is_largest(a, axis=axis))


def is_largest(x: Array, out: Array | None, number: Array, *, axis: Shape | None) -> Array:
    """1 / k where x is one of the k largest, else 0; NaN where the largest is NaN."""
    if out is None:
        out = np.empty(x.shape, x.dtype)
    np.equal(x, _largest(x, axis, None, number, True), out)
    return np.divide(out, _add_up(out, axis, None, number, True), out)


# Classes and losses


def log_softmax(
    x: Array, out: Array | None, exponentials: Array, total: Array, *, axis: int
) -> Array:
    """X − ln Σ eˣ: with the largest x subtracted first, no eˣ overflows and their sum is ≥ 1."""
    # Broadcast into an array first, because NumPy would broadcast through a slow buffer.
    np.copyto(exponentials, _largest(x, axis, None, total, True))
    out = np.subtract(x, exponentials, out)
    _add_up(np.exp(out, exponentials), axis, None, total, True)
    np.copyto(exponentials, np.log(total, total))
    return np.subtract(out, exponentials, out)


def log_softmax_temporaries(a: Shape, *, axis: int) -> tuple[Shape, ...]:
    """Shapes of the exponentials and of their sum."""
    return a, shapes.reduce(a, axis=(axis,), keepdims=True)


def log_softmax_gradient(ops: Any, upstream: Any, value: Any, _a: Any, *, axis: int) -> Any:
    """∂f/∂a = u − softmax(a) Σ u, with u = ∂f/∂value and softmax = e^value."""
    total = ops.sum(upstream, axis=(axis,), keepdims=True)
    return ops.sub(upstream, ops.mul(ops.exp(value), total))


def one_hot(
    labels: Array, out: Array | None, distance: Array, *, classes: int, dtype: np.dtype
) -> Array:
    """Return rows of zeros with a 1 in the column of the label; refuse all other numbers."""
    if out is None:
        out = np.empty(distance.shape, dtype)
    np.copyto(out, np.arange(classes))
    np.copyto(distance, labels[..., None])
    np.abs(np.sign(np.subtract(distance, out, distance), distance), distance)
    np.subtract(1.0, distance, out)
    if _add_up(out, None, np.float64) != labels.size:
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}")
    return out


def mean_squared_error(
    prediction: Array, target: Array, out: Array | None, difference: Array
) -> Array:
    """Σ (prediction − target)² / count."""
    squares = np.square(np.subtract(prediction, target, difference), difference)
    return np.divide(_add_up(squares, None, None, out), squares.size, out)


def mean_squared_error_gradient(
    ops: Any, upstream: Any, _value: Any, prediction: Any, target: Any
) -> Any:
    """∂f/∂prediction = ∂f/∂value · 2 (prediction − target) / count."""
    difference = ops.sub(prediction, target)
    factor = ops.constant(2.0 / (math.prod(ops.shape(difference)) or 1), difference)
    return ops.mul(upstream, ops.mul(difference, factor))


def softmax_cross_entropy(
    logits: Array,
    labels: Array,
    out: Array | None,
    log_probabilities: Array,
    products: Array,
    total: Array,
) -> Array:
    """−Σ labels · log_softmax(logits) / rows."""
    log_softmax(logits, log_probabilities, products, total, axis=-1)
    np.multiply(labels, log_probabilities, products)
    if np.isnan(_add_up(products, None)):
        # A class with the logit −∞ adds nothing to the loss if its probability is 0.
        np.copyto(products, 0.0, where=(labels == 0) & np.isneginf(log_probabilities))
    return np.divide(_add_up(products, None, None, out), -total.size, out)


def softmax_cross_entropy_temporaries(logits: Shape, _labels: Shape) -> tuple[Shape, ...]:
    """Shapes of the logarithms, of what they are multiplied by, and of the rows' sums."""
    return logits, *log_softmax_temporaries(logits, axis=-1)


def _per_row(ops: Any, upstream: Any, logits: Any) -> Any:
    rows = math.prod(ops.shape(logits)[:-1]) or 1
    return ops.div(upstream, ops.constant(rows, upstream))


def softmax_cross_entropy_gradient_logits(
    ops: Any, upstream: Any, _value: Any, logits: Any, labels: Any
) -> Any:
    """∂f/∂logits = ∂f/∂value (softmax(logits) Σ labels − labels) / rows, Σ over a row: mostly 1."""
    softmax = ops.exp(ops.log_softmax(logits, axis=-1))
    expected = ops.mul(softmax, ops.sum(labels, axis=(-1,), keepdims=True))
    return ops.mul(_per_row(ops, upstream, logits), ops.sub(expected, labels))


def softmax_cross_entropy_gradient_labels(
    ops: Any, upstream: Any, _value: Any, logits: Any, _labels: Any
) -> Any:
    """∂f/∂labels = −∂f/∂value log_softmax(logits) / rows."""
    log_probabilities = ops.log_softmax(logits, axis=-1)
    return ops.neg(ops.mul(_per_row(ops, upstream, logits), log_probabilities))
