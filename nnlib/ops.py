"""The operations: one row each, with numerics, gradient and shape rule side by side.

A gradient is written in terms of operations, not of arrays. It is handed a namespace `ops` that has
every operation by name, `ops.shape(x)`, and `ops.constant(value, like)`, a scalar of the type of
`like`. In the namespace `ARRAYS` the gradient computes; in that of a graph the same line adds
vertices, which can be differentiated in their turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """A row of the table.

    Attributes
    ----------
    name : str
        Also the name of the method of `Graph` that adds such a vertex.
    formula : str
        What it computes from its operands a and b.
    forward : callable
        ``forward(*operands, out=None, **attributes)`` returns the value, written into `out` if that
        is given; `out` may be passed by position, after the operands.
    shape : callable
        ``shape(*operand_shapes, **attributes)`` returns the shape of the value; if there is none,
        a ValueError says why.
    gradients : tuple
        For each operand ``gradient(ops, upstream, value, *operands, **attributes)``, which returns
        ∂f/∂operand from upstream = ∂f/∂value; None for a slope of 0 everywhere. The result may
        still have the axes along which the operand was broadcast: `sum_to_shape` removes them.
    view : bool
        The value shows the operand's memory and needs no buffer. `forward` takes `out` only if
        NumPy cannot always manage that.
    """

    name: str
    formula: str
    forward: Callable[..., Any]
    shape: Callable[..., Shape]
    gradients: tuple[Callable[..., Any] | None, ...]
    view: bool = False


def evaluate(op: Op, *operands: np.ndarray, **attributes: Any) -> np.ndarray:
    """Return the value of an operation: a view, or else a new array in C order.

    BLAS rounds differently in another memory order, so the order must not depend on how an operand
    came about.
    """
    value = op.forward(*operands, **attributes)
    return value if op.view else np.asarray(value, order="C")


def sum_to_shape(ops: Any, gradient: Any, shape: Shape) -> Any:
    """Return a gradient summed over the axes along which an operand of this shape was broadcast."""
    wide = ops.shape(gradient)
    if wide == shape:
        return gradient
    new = len(wide) - len(shape)
    stretched = [new + k for k, size in enumerate(shape) if size == 1 and wide[new + k] != 1]
    gradient = ops.sum(gradient, axis=(*range(new), *stretched), keepdims=False)
    return gradient if ops.shape(gradient) == shape else ops.reshape(gradient, shape=shape)


def _pass_on(_ops: Any, upstream: Any, *_: Any, **_attributes: Any) -> Any:
    return upstream


def _same(a: Shape) -> Shape:
    return a


def broadcast(a: Shape, b: Shape) -> Shape:
    """Shape rule of the operations that work element by element on two operands."""
    if a == b:
        return a
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError("the shapes do not broadcast") from None


def _broadcast_to(a: Shape, *, shape: Shape) -> Shape:
    if broadcast(a, shape) != shape:
        raise ValueError(f"the shape does not broadcast to {shape}")
    return shape


def _transpose(a: Shape, *, axes: Shape | None) -> Shape:
    if axes is None:
        return a[::-1]
    axes = normalize_axis_tuple(axes, len(a))
    if len(axes) != len(a):
        raise ValueError(f"axes={axes} must name each of the {len(a)} axes once")
    return tuple(a[axis] for axis in axes)


def _transpose_gradient(
    ops: Any, upstream: Any, _value: Any, _a: Any, *, axes: Shape | None
) -> Any:
    if axes is None:
        return ops.transpose(upstream, axes=None)
    axes = normalize_axis_tuple(axes, len(axes))
    return ops.transpose(upstream, axes=tuple(axes.index(k) for k in range(len(axes))))


def _reshape(a: Shape, *, shape: Shape) -> Shape:
    size, known = math.prod(a), math.prod(n for n in shape if n != -1)
    if shape.count(-1) == 1 and known > 0 and size % known == 0:
        shape = tuple(size // known if n == -1 else n for n in shape)
    if min(shape, default=0) < 0 or math.prod(shape) != size:
        raise ValueError(f"{size} elements do not fill the shape {shape}")
    return shape


def _reshape_forward(x: np.ndarray, out: np.ndarray | None = None, *, shape: Shape) -> np.ndarray:
    if out is None:
        return x.reshape(shape)
    np.copyto(out.reshape(x.shape), x)
    return out


def _sum(a: Shape, *, axis: Shape | None, keepdims: bool) -> Shape:
    summed = range(len(a)) if axis is None else normalize_axis_tuple(axis, len(a))
    if keepdims:
        return tuple(1 if k in summed else n for k, n in enumerate(a))
    return tuple(n for k, n in enumerate(a) if k not in summed)


def _sum_forward(
    x: np.ndarray, out: np.ndarray | None = None, *, axis: Shape | None, keepdims: bool
) -> np.ndarray:
    return np.add.reduce(x, axis, None, out, keepdims)


def _sum_gradient(
    ops: Any, upstream: Any, _value: Any, a: Any, *, axis: Shape | None, keepdims: bool
) -> Any:
    shape = ops.shape(a)
    kept = _sum(shape, axis=axis, keepdims=True)
    if ops.shape(upstream) != kept:
        upstream = ops.reshape(upstream, shape=kept)
    return ops.broadcast_to(upstream, shape=shape)


def _relu_forward(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    return np.maximum(x, 0.0, out=out)


def _step_forward(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    # np.heaviside takes three times as long; np.greater needs a temporary array for its booleans.
    return np.maximum(np.sign(x, out), 0.0, out=out)


def _matmul(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ValueError("a scalar cannot be multiplied as a matrix, use mul")
    rows, columns = a[-2:-1], b[-1:] if len(b) > 1 else ()
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ValueError(f"the inner dimensions {a[-1]} and {inner} differ")
    return (*broadcast(a[:-2], b[:-2]), *rows, *columns)


# matmul takes a 1-D left operand for a row, a 1-D right one for a column. The gradients put the
# dropped axis back, are then the same for all combinations, and drop it again at the end.


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


def _matmul_gradient_a(ops: Any, upstream: Any, _value: Any, a: Any, b: Any) -> Any:
    is_column = len(ops.shape(b)) == 1
    b_transposed = ops.reshape(b, shape=(1, *ops.shape(b))) if is_column else _transposed(ops, b)
    gradient = ops.matmul(_upstream_matrix(ops, upstream, a, b), b_transposed)
    if len(ops.shape(a)) > 1:
        return gradient
    *stack, _, inner = ops.shape(gradient)
    return ops.reshape(gradient, shape=(*stack, inner))


def _matmul_gradient_b(ops: Any, upstream: Any, _value: Any, a: Any, b: Any) -> Any:
    is_row = len(ops.shape(a)) == 1
    a_transposed = ops.reshape(a, shape=(*ops.shape(a), 1)) if is_row else _transposed(ops, a)
    gradient = ops.matmul(a_transposed, _upstream_matrix(ops, upstream, a, b))
    if len(ops.shape(b)) > 1:
        return gradient
    return ops.reshape(gradient, shape=ops.shape(gradient)[:-1])


_ROWS = (
    Op(
        name="add",
        formula="a + b",
        forward=np.add,
        shape=broadcast,
        gradients=(_pass_on, _pass_on),
    ),
    Op(
        name="sub",
        formula="a − b",
        forward=np.subtract,
        shape=broadcast,
        gradients=(_pass_on, lambda ops, upstream, value, a, b: ops.neg(upstream)),
    ),
    Op(
        name="mul",
        formula="a · b",
        forward=np.multiply,
        shape=broadcast,
        gradients=(
            lambda ops, upstream, value, a, b: ops.mul(upstream, b),
            lambda ops, upstream, value, a, b: ops.mul(upstream, a),
        ),
    ),
    Op(
        name="neg",
        formula="−a",
        forward=np.negative,
        shape=_same,
        gradients=(lambda ops, upstream, value, a: ops.neg(upstream),),
    ),
    Op(
        name="matmul",
        formula="a @ b",
        forward=np.matmul,
        shape=_matmul,
        gradients=(_matmul_gradient_a, _matmul_gradient_b),
    ),
    Op(
        name="relu",
        formula="max(0, a)",
        forward=_relu_forward,
        shape=_same,
        gradients=(lambda ops, upstream, value, a: ops.mul(upstream, ops.step(a)),),
    ),
    Op(
        name="step",
        formula="1 where a > 0, else 0",
        forward=_step_forward,
        shape=_same,
        gradients=(None,),
    ),
    Op(
        name="square",
        formula="a²",
        forward=np.square,
        shape=_same,
        gradients=(
            lambda ops, upstream, value, a: ops.mul(upstream, ops.mul(a, ops.constant(2.0, a))),
        ),
    ),
    Op(
        name="sum",
        formula="Σ a",
        forward=_sum_forward,
        shape=_sum,
        gradients=(_sum_gradient,),
    ),
    Op(
        name="transpose",
        formula="aᵀ",
        forward=np.transpose,
        shape=_transpose,
        gradients=(_transpose_gradient,),
        view=True,
    ),
    Op(
        name="reshape",
        formula="a reshaped",
        forward=_reshape_forward,
        shape=_reshape,
        gradients=(
            lambda ops, upstream, value, a, shape: ops.reshape(upstream, shape=ops.shape(a)),
        ),
        view=True,
    ),
    Op(
        name="broadcast_to",
        formula="a broadcast",
        forward=np.broadcast_to,
        shape=_broadcast_to,
        gradients=(_pass_on,),
        view=True,
    ),
)

OPS = {op.name: op for op in _ROWS}

ARRAYS = SimpleNamespace(
    shape=attrgetter("shape"),
    constant=lambda value, like: np.array(value, like.dtype),
    **{name: partial(evaluate, op) for name, op in OPS.items()},
)
