"""What `nnlib.grade` asks of a student's Graph: scripts, and mistakes that it recognises."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Operand = tuple[int, ...] | list[Any]


class Case(NamedTuple):
    """A script that is run with a student's Graph and with nnlib's, and what is compared.

    Attributes
    ----------
    script : str
        It finds a new graph g, vertices under the names of the operands, and the arrays u and v.
    operands : dict of ndarray
        u and v go to `run_grad`, the others to `tensor`. Small multiples of ¼, so that every result
        is exact.
    reads : tuple of str
        Expressions of what the script leaves behind.
    """

    script: str
    operands: dict[str, np.ndarray]
    reads: tuple[str, ...]


class Mistake(NamedTuple):
    """A formula that students write, and what to change.

    Attributes
    ----------
    read : str
        The expression that gets this wrong value; "" for any.
    formula : str
        In terms of the operands, the right value `right` and the student's `found`.
    hint : str
    """

    read: str
    formula: str
    hint: str


class Check(NamedTuple):
    """A line of the report.

    Attributes
    ----------
    stage : int
        A check is tried once all checks of lower stages have passed.
    title : str
    cases : list of Case
        The smallest first: the first that fails is reported.
    hint : str
        What to change if no mistake explains what was found.
    mistakes : tuple of Mistake
    """

    stage: int
    title: str
    cases: list[Case]
    hint: str
    mistakes: tuple[Mistake, ...] = ()


def _array(operand: Operand, name: str, place: int) -> np.ndarray:
    """Return a list's numbers, or an array of a shape, with numbers that tell operands apart."""
    if isinstance(operand, list):
        return np.array(operand)
    numbers = np.arange(1, 1 + np.prod(operand, dtype=int)).reshape(operand)
    return numbers * (-1) ** (numbers + 1) if name == "u" else numbers + place


def _case(script: str, names: str, operands: tuple[Operand, ...], *reads: str) -> Case:
    arrays = {
        name: _array(operand, name, place)
        for place, (name, operand) in enumerate(zip(names.split(), operands, strict=True))
    }
    return Case(script, arrays, reads)


def _values(formula: str, names: str, *rows: tuple[Operand, ...]) -> list[Case]:
    return [_case(f"y = {formula}; g.run_eval(y)", names, row, "g.value[y]") for row in rows]


def _gradients(formula: str, names: str, *rows: tuple[Operand, ...]) -> list[Case]:
    script = f"y = {formula}; g.run_eval(y); g.run_grad(y, u)"
    reads = [f"g.grad[{name}]" for name in names.split() if name != "u"]
    return [_case(script, f"{names} u", row, *reads) for row in rows]


def whole(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers, and raise TypeError otherwise: as an array of integers, under +=."""
    if not np.array_equal(numbers, np.trunc(numbers)):
        raise TypeError
    return numbers


_INTEGERS = (
    "an array of integers cuts fractions off or refuses them: let tensor store "
    "np.array(value, dtype=float), and make gradients of type float"
)
# Looked for in every check, after its own.
GENERAL = (
    Mistake("", "np.trunc(right)", _INTEGERS),
    Mistake("", "whole(right)", _INTEGERS),
    Mistake("", "-right", "the sign is wrong: there is a minus too many"),
    Mistake("", "2 * right", "the same contribution is added twice: add it once"),
    Mistake("", "right.T", "this is the transpose of what it should be: leave out a .T"),
    Mistake(
        "",
        "np.reshape(right, np.shape(found))",
        "the numbers are right, the shape is not: reshape them to that of the vertex's value",
    ),
)
# Where an array that was passed in is not what it was.
IN_PLACE = (
    "the graph kept an array of the caller's, and something like += or [...] = wrote into it: let "
    "tensor and run_grad keep a copy, np.array(…), or write x = x + y instead of x += y"
)


def _missing(read: str, hint: str) -> list[Mistake]:
    return [Mistake(read, "None", hint), Mistake(read, "np.zeros_like(right)", hint)]


_FIRST, _SECOND = "self.grad[self.children[n][0]]", "self.grad[self.children[n][1]]"
_IDS = "a new vertex takes the number of vertices so far as its ID, which is above all others"
_CHILDREN = "_new_vertex keeps the operands in self.children[ID], in the order they were passed in"
_PARENT = "_new_vertex sets self.parent[child] to the new ID, for each child"
_CONSTRUCTION = (
    Mistake("x < c and A < c", "found", _IDS),
    Mistake("c < y and b < y", "found", _IDS),
    Mistake("list(g.children[c]) == [x, A]", "found", _CHILDREN),
    Mistake("list(g.children[y]) == [c, b]", "found", _CHILDREN),
    Mistake("y in np.ravel(g.parent[c])", "found", _PARENT),
)
_EVAL = (
    Mistake("g.value[y]", "None", "run_eval stops before the output: use range(output + 1)"),
    Mistake("g.value[y]", "np.trunc(a) + np.trunc(b)", _INTEGERS),
    Mistake("g.value[y]", "w * A", "* multiplies element by element: matmul is w @ A"),
    Mistake("g.value[y]", "A @ w", "the order is wrong: the first child is on the left"),
    Mistake("g.value[y]", "r", "relu is np.maximum(0, x), not x"),
    Mistake("g.value[y]", "np.abs(r)", "relu is np.maximum(0, x), not |x|"),
)
_ADD = (
    *_missing("g.grad[a]", f"grad_add gives the first child nothing: set {_FIRST}"),
    *_missing("g.grad[b]", f"grad_add gives the second child nothing: set {_SECOND} too"),
    Mistake("g.grad[a]", "u * b", "∂c/∂a is 1, not b: pass self.grad[n] on as it is"),
    Mistake("g.grad[b]", "u * a", "∂c/∂b is 1, not a: pass self.grad[n] on as it is"),
    Mistake("g.grad[b]", "np.ones_like(u)", "∂f/∂c is missing: pass self.grad[n] on, not 1"),
)
_MATMUL = (
    *_missing("g.grad[w]", f"grad_matmul gives the first child nothing: set {_FIRST}"),
    *_missing("g.grad[A]", f"grad_matmul gives the second child nothing: set {_SECOND} too"),
)
_ROW = (
    Mistake(
        "g.grad[w]",
        "u @ A",
        "grad @ A and A.T @ grad sum over the wrong index: the gradient of w is grad @ A.T",
    ),
    Mistake(
        "g.grad[A]",
        "w.T @ u",
        "w.T of a 1-D w is w itself, so w.T @ grad is no outer product: use np.outer(w, grad)",
    ),
    Mistake(
        "g.grad[A]",
        "np.outer(u, w)",
        "the order is wrong, which transposes the gradient of A: it is np.outer(w, grad)",
    ),
    Mistake(
        "g.grad[A]",
        "u * np.ones_like(A)",
        "the factor w is missing: ∂f/∂a_ij is w_i · ∂f/∂y_j, so use np.outer(w, grad)",
    ),
)
_ONE_ROW = "a single row of w counts: add the rows' contributions up, which w.T @ grad does"
_ROWS = (
    Mistake("g.grad[w]", "u @ A", "the transpose is missing: the gradient of w is grad @ A.T"),
    Mistake("g.grad[w]", "A @ u", "the order and the transpose: the gradient of w is grad @ A.T"),
    Mistake("g.grad[w]", "A.T @ u", "the order is wrong: the gradient of w is grad @ A.T"),
    Mistake(
        "g.grad[A]",
        "np.outer(w, u)",
        "np.outer treats a 2-D w as one long row: for a 2-D w, use w.T @ grad",
    ),
    Mistake("g.grad[A]", "w @ u", "the transpose is missing: the gradient of A is w.T @ grad"),
    Mistake(
        "g.grad[A]",
        "u.T @ w",
        "the order is wrong, which transposes the gradient of A: it is w.T @ grad",
    ),
    Mistake("g.grad[A]", "u @ w.T", "the order is wrong: the gradient of A is w.T @ grad"),
    Mistake("g.grad[A]", "np.outer(w[-1], u[-1])", _ONE_ROW),
    Mistake("g.grad[A]", "np.outer(w[0], u[0])", _ONE_ROW),
)
_OVERWRITTEN = (
    "overwrites what another use of the vertex contributed: write += instead of =, and let "
    "run_grad begin with arrays of zeros"
)
_SHARED = (
    Mistake("g.grad[a]", "u", f"grad_add {_OVERWRITTEN}"),
    Mistake("g.grad[A]", "x.T @ (u @ A.T)", f"grad_matmul {_OVERWRITTEN}"),
    Mistake(
        "g.grad[b]",
        "2 * u",
        "two vertices share one array, and += changes the gradients of both: let run_grad begin "
        "with an array of zeros for each vertex, or write x = x + y instead of x += y",
    ),
)
_NETWORK = "g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)"
_TWICE = "y = g.add(a, b); g.run_eval(y); g.run_grad(y, u); g.run_grad(y, v)"
_BROKEN = "c = g.add(a, b); y = g.add(c, b); g.run_eval(y); g.children[c] = [a, y]; g.run_eval(y)"

ASKED = (
    Check(
        1,
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
        _CONSTRUCTION,
    ),
    Check(
        2,
        "2(b) run_eval: values of add, matmul, relu and (21)",
        [
            *_values("g.add(a, b)", "a b", ((1,), (1,)), ([0.5, -1.5], [1.5, 0.25])),
            *_values("g.matmul(w, A)", "w A", ((1,), (1, 2)), ((2,), (2, 2)), ((2, 3), (3, 2))),
            *_values("g.relu(r)", "r", ([-1, 2],), ([-0.5, 1.5],)),
            *_values(_NETWORK, "x w1 b1 w2 b2", ([1, -2], (2, 3), [0, -2, 1], (3, 2), (2,))),
        ],
        "run_eval goes through the IDs from 0 to the output, and the eval_ method of an operation "
        "sets self.value[n] from the values of self.children[n], in their order",
        _EVAL,
    ),
    Check(
        3,
        "2(c) grad_add",
        _gradients(
            "g.add(a, b)",
            "a b",
            *(((1,), (1,), (1,)), ((2,), (2,), (2,)), ((2, 2), (2, 2), (2, 2))),
            ((2,), (2,), [0.5, -1.5]),
        ),
        "both children get the gradient of their sum as it is: self.grad[n]",
        _ADD,
    ),
    Check(
        3,
        "2(d) grad_matmul, 1-D with 2-D",
        _gradients(
            "g.matmul(w, A)",
            "w A",
            *(((1,), (1, 1), (1,)), ((1,), (1, 2), (2,)), ((2,), (2, 1), (1,))),
            *(((2,), (2, 2), (2,)), ((3,), (3, 2), (2,)), ((2,), (2, 2), [0.5, -1.5])),
        ),
        "for a 1-D w, the gradient of w is grad @ A.T, and that of A is np.outer(w, grad)",
        _MATMUL + _ROW,
    ),
    Check(
        3,
        "2(d) grad_matmul, 2-D with 2-D",
        _gradients(
            "g.matmul(w, A)",
            "w A",
            *(((1, 1), (1, 2), (1, 2)), ((2, 1), (1, 1), (2, 1)), ((1, 2), (2, 1), (1, 1))),
            *(((2, 2), (2, 2), (2, 2)), ((2, 3), (3, 2), (2, 2)), ((1, 2), (2, 2), [[0.5, -1.5]])),
        ),
        "for a 2-D w, the gradient of w is grad @ A.T, and that of A is w.T @ grad",
        _MATMUL + _ROWS,
    ),
    Check(
        4,
        "2(e) run_grad through several operations",
        [
            *_gradients("g.add(g.add(a, b), c)", "a b c", ((1,), (1,), (1,), (1,))),
            *_gradients("g.matmul(g.matmul(x, A), B)", "x A B", ((2,), (2, 2), (2, 2), (2,))),
            *_gradients(
                "g.add(g.matmul(g.add(g.matmul(x, w1), b1), w2), b2)",
                "x w1 b1 w2 b2",
                ((2,), (2, 3), (3,), (3, 2), (2,), (2,)),
            ),
        ],
        "go through the IDs downwards, reversed(range(output + 1)): then the gradient of a vertex "
        "is complete before it is passed on to the children",
    ),
    Check(
        4,
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
    ),
)
BEYOND = (
    Check(
        5,
        "gradient of relu",
        _gradients("g.relu(r)", "r", ([2], (1,)), ([-1, 2], (2,))),
        "pass self.grad[n] on where the child's value is above 0, and 0 elsewhere: grad * (x > 0)",
    ),
    Check(
        5,
        "a vertex that is used twice",
        [
            *_gradients("g.add(a, a)", "a", ((1,), (1,)), ((2,), (2,))),
            *_gradients("g.add(g.add(a, b), a)", "a b", ((2,), (2,), (2,))),
            *_gradients("g.matmul(g.matmul(x, A), A)", "x A", ((1, 2), (2, 2), (1, 2))),
        ],
        "the gradient of a vertex is the sum over its uses: write += in every grad_ method, and "
        "let run_grad begin with arrays of zeros",
        _SHARED,
    ),
    Check(
        5,
        "add with broadcasting",
        _gradients(
            "g.add(a, b)",
            "a b",
            *(((1, 2), (2,), (1, 2)), ((2, 2), (2,), (2, 2)), ((2,), (2, 2), (2, 2))),
            *(((2, 2), (2, 1), (2, 2)), ((2,), (), (2,))),
        ),
        "sum over the axes along which a child was broadcast, as self.grad[n].sum(axis=0) does for "
        "a bias: a gradient has the shape of the vertex's value",
    ),
    Check(
        5,
        "matmul of 2-D with 1-D, and of 1-D with 1-D",
        _gradients(
            "g.matmul(w, A)",
            "w A",
            *(((1, 1), (1,), (1,)), ((2,), (2,), ()), ((2, 3), (3,), (2,))),
        ),
        "a 1-D A is a column: the gradients are np.outer(grad, A) and w.T @ grad for a 2-D w, "
        "grad * A and grad * w for a 1-D w",
    ),
    Check(
        5,
        "run_grad twice",
        [
            _case(_TWICE, "a b u v", ((1,), (1,), [1], [3]), "g.grad[a]", "g.grad[b]"),
            _case(_TWICE, "a b u v", ((1,), (1,), [2], [-1]), "g.grad[a]", "g.grad[b]"),
        ],
        "what the first run found is still there: let run_grad begin with new gradients",
    ),
    Check(
        5,
        "IDs that are no topological order",
        [_case(_BROKEN, "a b", ([1], [2]), "g.value[c]")],
        "run_eval used an old value of y without a word: let it raise an error where a child's ID "
        "is not below its parent's",
    ),
)
