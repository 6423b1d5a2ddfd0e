"""The operations on all kinds of shapes, for `nnlib.check` and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.shapes import Shape

_PAIRS: list[list[Shape]] = [
    [(), ()],
    [(), (2, 3)],
    [(2, 3), ()],
    [(2, 3), (2, 3)],
    [(2, 3), (3,)],
    [(3,), (2, 3)],
    [(2, 1), (1, 3)],
    [(1,), (3,)],
    [(1, 1), (2, 3)],
    [(4, 2, 3), (2, 1)],
    [(0, 3), (1, 3)],
]
_PRODUCTS: list[list[Shape]] = [
    [(3,), (3,)],
    [(3,), (3, 2)],
    [(2, 3), (3,)],
    [(2, 3), (3, 4)],
    [(1,), (1,)],
    [(1,), (1, 2)],
    [(2, 1), (1,)],
    [(1, 1), (1, 1)],
    [(2, 0), (0, 3)],
    [(5, 2, 3), (3, 4)],
    [(2, 3), (5, 3, 4)],
    [(3,), (5, 3, 4)],
    [(5, 2, 3), (3,)],
    [(5, 1, 2, 3), (4, 3, 2)],
]
_SINGLES: list[list[Shape]] = [[()], [(3,)], [(2, 3)], [(2, 3, 2)], [(0, 2)]]
_REDUCTIONS: list[tuple[Shape, Any]] = [
    ((), None),
    ((3,), None),
    ((3,), 0),
    ((2, 3), None),
    ((2, 3), 0),
    ((2, 3), -1),
    ((2, 3), (0, 1)),
    ((2, 3), ()),
    ((2, 1, 3), (0, -1)),
    ((2, 0), 0),
]
_TRIPLES: list[list[Shape]] = [
    [(), (), ()],
    [(2, 3), (2, 3), (2, 3)],
    [(2, 3), (), (3,)],
    [(3,), (2, 1), ()],
    [(), (2, 3), (4, 1, 1)],
    [(0, 2), (2,), (1, 1)],
]
# Ranges of indices, one for each axis; a method of Graph takes slices too.
_SLICES: list[tuple[Shape, tuple[range, ...]]] = [
    ((), ()),
    ((3,), (range(3),)),
    ((5,), (range(1, 5, 2),)),
    ((3, 4), (range(1, 3), range(4))),
    ((2, 5, 2), (range(2), range(1, 4), range(1, 2))),
]
_CORNERS = (range(1, 3), range(1)), (range(1), range(1, 4, 2))
# Operation, shapes of its operands, attributes. one_hot is missing, because its slope is 0.
CASES: list[tuple[str, list[Shape], dict[str, Any]]] = [
    *(
        (op, pair, {})
        for op in ("add", "sub", "mul", "div", "maximum", "is_larger")
        for pair in _PAIRS
    ),
    *(("gate", [a, a], {}) for [a] in _SINGLES),
    *(("matmul", pair, {}) for pair in _PRODUCTS),
    *((op, [a], {}) for op in ("neg", "relu", "step", "abs", "sign", "square") for [a] in _SINGLES),
    *((op, [a], {}) for op in ("sqrt", "exp", "log", "tanh", "sigmoid") for [a] in _SINGLES),
    *(("cast", [a], {"dtype": np.dtype(kind)}) for [a] in _SINGLES for kind in ("f4", "f8")),
    *(
        (op, [a], {"axis": axis, "keepdims": keepdims})
        for op in ("sum", "mean")
        for a, axis in _REDUCTIONS
        for keepdims in (False, True)
    ),
    *(
        ("max", [a], {"axis": axis, "keepdims": keepdims})
        for a, axis in _REDUCTIONS
        for keepdims in (False, True)
    ),
    *(("is_largest", [a], {"axis": axis}) for a, axis in _REDUCTIONS),
    *(("where", triple, {}) for triple in _TRIPLES),
    ("transpose", [()], {"axes": None}),
    ("transpose", [(3,)], {"axes": None}),
    ("transpose", [(2, 3)], {"axes": None}),
    ("transpose", [(2, 3)], {"axes": (0, 1)}),
    ("transpose", [(2, 3, 4)], {"axes": (2, 0, 1)}),
    ("transpose", [(2, 3, 4)], {"axes": (-2, -1, 0)}),
    ("reshape", [()], {"shape": (1, 1)}),
    ("reshape", [(6,)], {"shape": (2, 3)}),
    ("reshape", [(2, 3)], {"shape": (-1,)}),
    ("reshape", [(2, 3)], {"shape": (3, -1, 1)}),
    ("reshape", [(0, 3)], {"shape": (3, 0)}),
    ("broadcast_to", [()], {"shape": (2, 3)}),
    ("broadcast_to", [(3,)], {"shape": (3,)}),
    ("broadcast_to", [(3,)], {"shape": (2, 3)}),
    ("broadcast_to", [(2, 1)], {"shape": (4, 2, 3)}),
    *(("getitem", [a], {"key": key}) for a, key in _SLICES),
    ("embed", [(2, 3)], {"keys": ((range(2), range(3)),), "shape": (2, 3)}),
    ("embed", [(2,), (1,)], {"keys": ((range(2),), (range(3, 4),)), "shape": (5,)}),
    ("embed", [(2,), (1,)], {"keys": ((range(1, 3),), (range(1),)), "shape": (3,)}),
    ("embed", [(2,), (2,)], {"keys": ((range(2),), (range(0, 3, 2),)), "shape": (4,)}),
    ("embed", [(2, 1), (1, 2)], {"keys": _CORNERS, "shape": (3, 4)}),
    ("log_softmax", [(3,)], {"axis": -1}),
    ("log_softmax", [(2, 3)], {"axis": -1}),
    ("log_softmax", [(2, 3)], {"axis": 0}),
    ("log_softmax", [(2, 3, 4)], {"axis": 1}),
    ("log_softmax", [(0, 3)], {"axis": -1}),
    *(("mean_squared_error", [a, a], {}) for [a] in _SINGLES[:-1]),
    *(("softmax_cross_entropy", [a, a], {}) for a in [(3,), (2, 3), (4, 1), (2, 3, 4)]),
]


def operands(
    op: str, shapes: Sequence[Shape], rng: np.random.Generator, dtype: type = np.float64
) -> list[np.ndarray]:
    """Draw operands at least 0.1 away from 0, where some operations have a kink or a pole.

    A condition is 0 or 1.
    """
    normal = [rng.normal(size=shape) for shape in shapes]
    if op == "where":
        condition, *chosen = normal
        return [np.asarray(condition > 0, dtype), *(np.asarray(x, dtype) for x in chosen)]
    positive = op in ("log", "sqrt")
    return [
        np.asarray(np.abs(x) + 0.1 if positive else x + 0.1 * np.sign(x), dtype) for x in normal
    ]
