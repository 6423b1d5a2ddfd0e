"""The operations: one row each, with numerics, gradient and shape rule side by side.

A gradient is written in terms of operations, not of arrays. It gets a namespace `ops` with every
operation by name, `ops.shape(x)`, `ops.dtype(x)`, and `ops.constant(value, like)`, a scalar of the
type of `like`. With the namespace `ARRAYS`, the gradient is computed. With the namespace of a
graph, the same line adds vertices, which can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnlib import rules, shapes, slices
from nnlib.shapes import Shape

# The operand that a by-product belongs to, and the by-product.
Kept = tuple[np.ndarray, np.ndarray]


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
        ``shape(*operand_shapes, **attributes)`` returns the shape of the value; see `nnlib.shapes`.
    gradients : tuple
        For each operand ``gradient(ops, upstream, value, *operands, **attributes)``, which returns
        ∂f/∂operand from upstream = ∂f/∂value; None if the slope is 0 everywhere. The result may
        still have the axes along which the operand was broadcast, or another type than the operand,
        or be a `nnlib.slices.Piece`; `Graph._backward` sees to that.
    view : bool
        Whether the value is a view of the operand's memory and needs no buffer. Then `forward`
        takes `out` only if NumPy cannot always make a view.
    temporaries : callable or None
        ``temporaries(*operand_shapes, **attributes)`` returns the shapes of the work arrays that
        `forward` takes by position after `out`.
    byproduct : tuple or None
        Name and attributes of an operation on the first operand whose value `forward` leaves in the
        first of its work arrays, so that the gradients need not compute it again.
    takes_any : bool
        Whether it takes any number of operands. They share one gradient, which also gets `operand`,
        the place of the operand.
    """

    name: str
    formula: str
    forward: Callable[..., Any]
    shape: Callable[..., Shape]
    gradients: tuple[Callable[..., Any] | None, ...]
    view: bool = False
    temporaries: Callable[..., tuple[Shape, ...]] | None = None
    byproduct: tuple[str, dict[str, Any]] | None = None
    takes_any: bool = False

    def gradient(self, place: int) -> Callable[..., Any] | None:
        """Return the gradient for the operand at a place."""
        if self.takes_any:
            (shared,) = self.gradients
            return shared and partial(shared, operand=place)
        return self.gradients[place]

    def key(self, operands: Iterable[int], attributes: dict[str, Any]) -> tuple[Any, ...]:
        """Return what tells this operation on these operands, given by numbers, from others."""
        if not attributes:
            return (self.name, *operands)
        return (self.name, *attributes.items(), *operands)

    def byproduct_key(self, operand: int) -> tuple[Any, ...]:
        """Return the key of the operation that the by-product is the value of."""
        name, attributes = self.byproduct or ("", {})
        return OPS[name].key([operand], attributes)

    def __reduce__(self) -> tuple[Callable[[str], Op], tuple[str]]:
        """Copy and pickle by name, so that graphs can be copied and pickled."""
        return _row, (self.name,)


def _row(name: str) -> Op:
    return OPS[name]


def evaluate(
    op: Op,
    *operands: np.ndarray,
    keep: Callable[[Kept], object] | None = None,
    **attributes: Any,
) -> np.ndarray:
    """Return the value of an operation, read-only: a view, or else a new array in C order.

    BLAS rounds differently for another memory order, so the order must not depend on how an operand
    was made. `keep` gets the by-product, if the operation has one, after the
    operand it belongs to.
    """
    if op.view:
        value = op.forward(*operands, **attributes)
    else:
        work = temporaries(op, *operands, **attributes) if op.temporaries else []
        value = np.asarray(op.forward(*operands, None, *work, **attributes), order="C")
        if keep and op.byproduct:
            keep((operands[0], work[0]))
    value.setflags(write=False)
    return value


def temporaries(op: Op, *operands: np.ndarray, **attributes: Any) -> list[np.ndarray]:
    """Return the work arrays that the operation needs, beside its value."""
    if op.temporaries is None:
        return []
    dtype = np.result_type(*operands)
    needed = op.temporaries(*(operand.shape for operand in operands), **attributes)
    return [np.empty(shape, dtype) for shape in needed]


def unchanged(
    op: Op, operands: Sequence[np.ndarray], varies: Sequence[bool], product: np.ndarray
) -> int | None:
    """Return the place of the operand that a product with constant ones is equal to, if it is."""
    if op.name in ("mul", "gate"):
        for k, other in enumerate(operands):
            is_like = (other.shape, other.dtype) == (product.shape, product.dtype)
            # The product is in C order; a sum over another order would round differently.
            is_like = is_like and other.flags.c_contiguous
            if is_like and not varies[1 - k] and np.all(operands[1 - k] == 1):
                return k
    return None


# In the rows, u is upstream and v the value.
_ROWS = (
    Op("add", "a + b", np.add, shapes.broadcast, (rules.pass_on, rules.pass_on)),
    Op(
        "sub",
        "a − b",
        np.subtract,
        shapes.broadcast,
        (rules.pass_on, lambda ops, u, v, a, b: ops.neg(u)),
    ),
    Op(
        "mul",
        "a · b",
        np.multiply,
        shapes.broadcast,
        (lambda ops, u, v, a, b: ops.mul(u, b), lambda ops, u, v, a, b: ops.mul(u, a)),
    ),
    Op(
        "div",
        "a / b",
        np.divide,
        shapes.broadcast,
        (lambda ops, u, v, a, b: ops.div(u, b), rules.div_gradient_b),
    ),
    Op(
        "maximum",
        "max(a, b)",
        rules.maximum,
        shapes.broadcast,
        (
            lambda ops, u, v, a, b: ops.gate(u, ops.is_larger(a, b)),
            lambda ops, u, v, a, b: ops.gate(u, ops.is_larger(b, a)),
        ),
    ),
    Op(
        "is_larger",
        "1 where a > b, ½ where a = b, else 0",
        rules.is_larger,
        shapes.broadcast,
        (None, None),
        temporaries=lambda a, b: (shapes.broadcast(a, b),),
    ),
    Op(
        "gate",
        "a · b, 0 where b = 0",
        rules.gate,
        shapes.alike,
        (lambda ops, u, v, a, b: ops.gate(u, b), lambda ops, u, v, a, b: ops.mul(u, a)),
    ),
    Op(
        "where",
        "a where a condition is not 0, else b",
        rules.where,
        shapes.where,
        (
            None,
            lambda ops, u, v, condition, a, b: ops.where(condition, u, ops.constant(0.0, u)),
            lambda ops, u, v, condition, a, b: ops.where(condition, ops.constant(0.0, u), u),
        ),
    ),
    Op(
        "matmul",
        "a @ b",
        np.matmul,
        shapes.matmul,
        (rules.matmul_gradient_a, rules.matmul_gradient_b),
    ),
    Op("neg", "−a", np.negative, shapes.same, (lambda ops, u, v, a: ops.neg(u),)),
    Op(
        "relu",
        "max(0, a)",
        rules.relu,
        shapes.same,
        (lambda ops, u, v, a: ops.gate(u, ops.step(a)),),
    ),
    Op("step", "1 where a > 0, else 0", rules.step, shapes.same, (None,)),
    Op("abs", "|a|", np.absolute, shapes.same, (lambda ops, u, v, a: ops.gate(u, ops.sign(a)),)),
    Op("sign", "1 where a > 0, −1 where a < 0, else 0", np.sign, shapes.same, (None,)),
    Op(
        "square",
        "a²",
        np.square,
        shapes.same,
        (lambda ops, u, v, a: ops.mul(u, ops.mul(a, ops.constant(2.0, a))),),
    ),
    Op(
        "sqrt",
        "√a",
        np.sqrt,
        shapes.same,
        (lambda ops, u, v, a: ops.div(u, ops.mul(v, ops.constant(2.0, v))),),
    ),
    Op("exp", "eᵃ", np.exp, shapes.same, (lambda ops, u, v, a: ops.mul(u, v),)),
    Op("log", "ln a", np.log, shapes.same, (lambda ops, u, v, a: ops.div(u, a),)),
    Op(
        "tanh",
        "tanh a",
        np.tanh,
        shapes.same,
        (lambda ops, u, v, a: ops.mul(u, rules.one_minus(ops, ops.square(v))),),
    ),
    Op(
        "sigmoid",
        "1 / (1 + e⁻ᵃ)",
        rules.sigmoid,
        shapes.same,
        (lambda ops, u, v, a: ops.mul(u, ops.mul(v, rules.one_minus(ops, v))),),
    ),
    Op("cast", "a in another type", rules.cast, shapes.same, (rules.pass_on,)),
    Op("sum", "Σ a", rules.sum, shapes.reduce, (rules.sum_gradient,)),
    Op("mean", "Σ a / count", rules.mean, shapes.reduce, (rules.mean_gradient,)),
    Op("max", "largest a", rules.max, shapes.reduce_some, (rules.max_gradient,)),
    Op(
        "is_largest",
        "1 / k where a is one of the k largest, else 0",
        rules.is_largest,
        shapes.largest,
        (None,),
        temporaries=lambda a, axis: (shapes.reduce(a, axis=axis, keepdims=True),),
    ),
    Op(
        "transpose", "aᵀ", rules.transpose, shapes.transpose, (rules.transpose_gradient,), view=True
    ),
    Op(
        "reshape",
        "a reshaped",
        rules.reshape,
        shapes.reshape,
        (lambda ops, u, v, a, shape: ops.reshape(u, shape=ops.shape(a)),),
        view=True,
    ),
    Op(
        "broadcast_to",
        "a broadcast",
        np.broadcast_to,
        shapes.broadcast_to,
        (rules.pass_on,),
        view=True,
    ),
    Op(
        "getitem",
        "a part of a",
        slices.getitem,
        slices.getitem_shape,
        (lambda ops, u, v, a, key: slices.Piece(u, key),),
        view=True,
    ),
    Op(
        "embed",
        "zeros with a and others in their places",
        slices.embed,
        slices.embed_shape,
        (lambda ops, u, v, *parts, keys, shape, operand: ops.getitem(u, key=keys[operand]),),
        takes_any=True,
    ),
    Op(
        "log_softmax",
        "a − ln Σ eᵃ",
        rules.log_softmax,
        shapes.softmax,
        (rules.log_softmax_gradient,),
        temporaries=rules.log_softmax_temporaries,
    ),
    Op(
        "one_hot",
        "1 in column a, else 0",
        rules.one_hot,
        shapes.one_hot,
        (None,),
        temporaries=lambda labels, **attributes: (shapes.one_hot(labels, **attributes),),
    ),
    Op(
        "mean_squared_error",
        "Σ (a − b)² / count",
        rules.mean_squared_error,
        shapes.equal,
        (
            rules.mean_squared_error_gradient,
            lambda ops, u, v, a, b: rules.mean_squared_error_gradient(ops, u, v, b, a),
        ),
        temporaries=lambda a, b: (a,),
    ),
    Op(
        "softmax_cross_entropy",
        "−Σ b · log_softmax(a) / rows",
        rules.softmax_cross_entropy,
        shapes.cross_entropy,
        (
            rules.softmax_cross_entropy_gradient_logits,
            rules.softmax_cross_entropy_gradient_labels,
        ),
        temporaries=rules.softmax_cross_entropy_temporaries,
        byproduct=("log_softmax", {"axis": -1}),
    ),
)

OPS = {op.name: op for op in _ROWS}


def namespace(evaluate: Callable[..., Any]) -> SimpleNamespace:
    """Return a namespace in which gradients are computed on arrays by a function as `evaluate`."""
    return SimpleNamespace(
        shape=attrgetter("shape"),
        dtype=attrgetter("dtype"),
        constant=lambda value, like: np.array(value, like.dtype),
        **{name: partial(evaluate, op) for name, op in OPS.items()},
    )


ARRAYS = namespace(evaluate)
