"""The checks of `nnlib.grade`: short scripts, which begin with the smallest operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnlib import mistakes
from nnlib.mistakes import Mistake

# The operands of a case: each as its shape, or as a list of its numbers.
Operands = tuple[tuple[int, ...] | list[Any], ...]


class Case(NamedTuple):
    """A script that is run with a student's Graph and with nnlib's, and what is compared.

    Attributes
    ----------
    script : str
        It can use a new graph g, vertices with the names of the operands, and the arrays u and v.
    operands : dict of ndarray
        u and v are passed to `run_grad`, the others to `tensor`. They are small multiples of ¼, so
        that every result is exact.
    reads : tuple of str
        Expressions that are evaluated after the script and compared.
    """

    script: str
    operands: dict[str, np.ndarray]
    reads: tuple[str, ...]


class Check(NamedTuple):
    """A line of the report.

    Attributes
    ----------
    title : str
    cases : list of Case
        The smallest first: the first that fails is reported.
    hint : str
        What to change if no mistake explains what was found.
    mistakes : tuple of Mistake
    """

    title: str
    cases: list[Case]
    hint: str
    mistakes: tuple[Mistake, ...] = ()


def _case(script: str, names: str, operands: Operands, *reads: str) -> Case:
    arrays = {}
    for place, (name, operand) in enumerate(zip(names.split(), operands, strict=True)):
        if isinstance(operand, list):
            arrays[name] = np.array(operand)
        else:
            # Different numbers of both signs, so that no operand or element can replace another.
            count = np.arange(1, 1 + np.prod(operand, dtype=int)).reshape(operand)
            arrays[name] = count * (-1) ** (count + 1) if name == "u" else count + place
    return Case(script, arrays, reads)


def _values(formula: str, names: str, rows: Sequence[Operands]) -> list[Case]:
    return [_case(f"y = {formula}; g.run_eval(y)", names, row, "g.value[y]") for row in rows]


def _gradients(formula: str, names: str, rows: Sequence[Operands]) -> list[Case]:
    script = f"y = {formula}; g.run_eval(y); g.run_grad(y, u)"
    reads = [f"g.grad[{name}]" for name in names.split() if name != "u"]
    return [_case(script, names, row, *reads) for row in rows]


_CONSTRUCTION = Check(
    "2(a) IDs in topological order, children, parent",
    [
        _case(
            "c = g.matmul(x, A); y = g.add(c, b)",
            "x A b",
            ((2,), (2, 2), (2,)),
            *("x < c and A < c", "c < y and b < y", "list(g.children[c]) == [x, A]"),
            *("list(g.children[y]) == [c, b]", "y in np.ravel(g.parent[c])"),
        )
    ],
    "g.children[i] and g.parent[i] belong to the vertex with the ID i, an integer",
    mistakes.CONSTRUCTION,
)
_EVAL = Check(
    "2(b) run_eval: values of add, matmul, relu and (21)",
    [
        *_values("g.add(a, b)", "a b", [((1,), (1,)), ([0.5, -1.5], [1.5, 0.25])]),
        *_values("g.matmul(w, A)", "w A", [((1,), (1, 2)), ((2,), (2, 2)), ((2, 3), (3, 2))]),
        *_values("g.relu(r)", "r", [([-1, 2],), ([-0.5, 1.5],)]),
        *_values(
            "g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)",
            "x w1 b1 w2 b2",
            [([1, -2], (2, 3), [9, 3, 20], (3, 2), (2,))],
        ),
    ],
    "run_eval goes through the IDs from 0 to the output; the eval_ method of an operation sets "
    "self.value[n] from the values of self.children[n], in their order",
    mistakes.EVAL,
)
_GRAD_ADD = Check(
    "2(c) grad_add",
    _gradients(
        "g.add(a, b)",
        "a b u",
        [*((s, s, s) for s in [(1,), (2,), (2, 2)]), ((2,), (2,), [0.5, -1.5])],
    ),
    "both children get the gradient of their sum as it is: self.grad[n]",
    mistakes.ADD,
)
_GRAD_MATMUL_1D = Check(
    "2(d) grad_matmul, 1-D with 2-D",
    _gradients(
        "g.matmul(w, A)",
        "w A u",
        [
            *(((m,), (m, n), (n,)) for m, n in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2)]),
            ((2,), (2, 2), [0.5, -1.5]),
        ],
    ),
    "for a 1-D w, the gradient of w is grad @ A.T, and that of A is np.outer(w, grad)",
    mistakes.MATMUL_1D,
)
_GRAD_MATMUL_2D = Check(
    "2(d) grad_matmul, 2-D with 2-D",
    _gradients(
        "g.matmul(w, A)",
        "w A u",
        [
            *(
                ((k, m), (m, n), (k, n))
                for k, m, n in [(1, 1, 2), (2, 1, 1), (1, 2, 1), (2, 2, 2), (2, 3, 2)]
            ),
            ((1, 2), (2, 2), [[0.5, -1.5]]),
        ],
    ),
    "for a 2-D w, the gradient of w is grad @ A.T, and that of A is w.T @ grad",
    mistakes.MATMUL_2D,
)
_RUN_GRAD = Check(
    "2(e) run_grad through several operations",
    [
        *_gradients("g.add(g.add(a, b), c)", "a b c u", [((1,), (1,), (1,), (1,))]),
        *_gradients("g.matmul(g.matmul(x, A), B)", "x A B u", [((2,), (2, 2), (2, 2), (2,))]),
        *_gradients(
            "g.add(g.matmul(g.add(g.matmul(x, w1), b1), w2), b2)",
            "x w1 b1 w2 b2 u",
            [((2,), (2, 3), (3,), (3, 2), (2,), (2,))],
        ),
    ],
    "run_grad goes through the IDs downwards, reversed(range(output + 1)): a vertex's gradient "
    "has to be complete before it is passed on to the children",
)
_DIFFERENCES = Check(
    "2(f) finite differences, for both children",
    [
        _case(
            "y = g.matmul(w, A); g.run_grad(y, u)",
            "w A u",
            ([1, 2, 3], [[1, 2], [3, 4], [5, 6]], [0, 1]),
            *("g.grad[w]", "difference('w')", "g.grad[A]", "difference('A')"),
        )
    ],
    "the coursework calls run_grad(y5, …) without run_eval before it: grad_matmul may use the "
    "values of w and A alone, not that of y",
)

# A check is tried only after all checks of the earlier stages have passed.
ASKED = (
    (_CONSTRUCTION,),
    (_EVAL,),
    (_GRAD_ADD, _GRAD_MATMUL_1D, _GRAD_MATMUL_2D),
    (_RUN_GRAD, _DIFFERENCES),
)

_TWICE = "y = g.add(a, b); g.run_eval(y); g.run_grad(y, u); g.run_grad(y, v)"
_CYCLE = "c = g.add(a, b); y = g.add(c, b); g.run_eval(y); g.children[c] = [a, y]; g.run_eval(y)"

# Tried only after everything that is asked for has passed.
BEYOND = (
    Check(
        "gradient of relu",
        _gradients("g.relu(r)", "r u", [([2], (1,)), ([-1, 2], (2,))]),
        "pass self.grad[n] on where the child's value is above 0, and 0 elsewhere: grad * (x > 0)",
    ),
    Check(
        "a vertex that is used twice",
        [
            *_gradients("g.add(a, a)", "a u", [((1,), (1,)), ((2,), (2,))]),
            *_gradients("g.add(g.add(a, b), a)", "a b u", [((2,), (2,), (2,))]),
            *_gradients("g.matmul(g.matmul(x, A), A)", "x A u", [((1, 2), (2, 2), (1, 2))]),
        ],
        "the gradient of a vertex is the sum over its uses: write += in each grad_ method, and let "
        "run_grad begin with arrays of zeros",
        mistakes.SHARED,
    ),
    Check(
        "add with broadcasting",
        _gradients(
            "g.add(a, b)",
            "a b u",
            [
                ((1, 2), (2,), (1, 2)),
                ((2, 2), (2,), (2, 2)),
                ((2,), (2, 2), (2, 2)),
                ((2, 2), (2, 1), (2, 2)),
                ((2,), (), (2,)),
            ],
        ),
        "sum over the axes along which a child was broadcast, as self.grad[n].sum(axis=0) does for "
        "a bias: a gradient has the shape of the vertex's value",
    ),
    Check(
        "matmul of 2-D with 1-D, and of 1-D with 1-D",
        _gradients(
            "g.matmul(w, A)",
            "w A u",
            [((1, 1), (1,), (1,)), ((2,), (2,), ()), ((2, 3), (3,), (2,))],
        ),
        "a 1-D A is a column: the gradients are np.outer(grad, A) and w.T @ grad for a 2-D w, "
        "grad * A and grad * w for a 1-D w",
    ),
    Check(
        "run_grad twice",
        [
            _case(_TWICE, "a b u v", ((1,), (1,), [1], [3]), "g.grad[a]", "g.grad[b]"),
            _case(_TWICE, "a b u v", ((1,), (1,), [2], [-1]), "g.grad[a]", "g.grad[b]"),
        ],
        "what the first run found is still there: let run_grad begin with new gradients",
    ),
    Check(
        "IDs that are no topological order",
        [_case(_CYCLE, "a b", ([1], [2]), "g.value[c]")],
        "run_eval took the old value of y and said nothing: let it raise an error where a child's "
        "ID is not below its parent's",
    ),
)
