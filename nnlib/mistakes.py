"""Mistakes that students make in a Graph, told by the wrong numbers that they give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Mistake(NamedTuple):
    """A formula that students write, and what to change.

    Attributes
    ----------
    read : str
        The expression that gets a wrong value from it (see `nnlib.questions.Case`); "" for any.
    formula : str
        In terms of the operands of a case, the right value `right` and the student's `found`.
    hint : str
    """

    read: str
    formula: str
    hint: str


def whole(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers, and refuse others, as an array of integers does in a +=."""
    if not np.array_equal(numbers, np.trunc(numbers)):
        raise ValueError("these are no whole numbers")
    return numbers


_INTEGERS = (
    "an array of integers holds no fractions: let tensor store np.array(value, dtype=float), and "
    "make gradients of type float"
)
# Looked for in every check, after its own.
GENERAL = (
    Mistake("", "np.trunc(right)", _INTEGERS),
    Mistake("", "whole(right)", _INTEGERS),
    Mistake("", "-right", "the sign is wrong: change it"),
    Mistake("", "2 * right", "the same contribution is added twice: add it once"),
    Mistake("", "right.T", "this is the transpose of what it should be: leave out a .T"),
    Mistake(
        "",
        "np.reshape(right, np.shape(found))",
        "the numbers are right, the shape is not: a gradient has the shape of the vertex's value",
    ),
)
# A pattern of what an error of the student's code says → what to change.
ERRORS = {
    r"'NoneType' and .*, in grad_": (
        "+= needs something to add to: let run_grad begin with an array of zeros for each vertex, "
        "self.grad = [np.zeros(np.shape(v)) for v in self.value]"
    ),
    r"^AttributeError: 'Graph' object has no attribute '(\w+)'": (
        r"the class Graph has no \1: give its methods and attributes the names of the question"
    ),
}
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
CONSTRUCTION = (
    Mistake("x < c and A < c", "found", _IDS),
    Mistake("c < y and b < y", "found", _IDS),
    Mistake("list(g.children[c]) == [x, A]", "found", _CHILDREN),
    Mistake("list(g.children[y]) == [c, b]", "found", _CHILDREN),
    Mistake("y in np.ravel(g.parent[c])", "found", _PARENT),
)
EVAL = (
    Mistake("g.value[y]", "None", "run_eval stops before the output: use range(output + 1)"),
    Mistake("g.value[y]", "np.trunc(a) + np.trunc(b)", _INTEGERS),
    Mistake("g.value[y]", "w * A", "* multiplies element by element: matmul is w @ A"),
    Mistake("g.value[y]", "A @ w", "the order is wrong: the first child is on the left"),
    Mistake("g.value[y]", "r", "relu is np.maximum(0, x), not x"),
    Mistake("g.value[y]", "np.abs(r)", "relu is np.maximum(0, x), not |x|"),
    Mistake("g.value[y]", "np.minimum(0, r)", "relu is np.maximum(0, x), not np.minimum(0, x)"),
)
ADD = (
    *_missing("g.grad[a]", f"grad_add gives the first child nothing: set {_FIRST}"),
    *_missing("g.grad[b]", f"grad_add gives the second child nothing: set {_SECOND} too"),
    Mistake("g.grad[a]", "u * b", "∂c/∂a is 1, not b: pass self.grad[n] on as it is"),
    Mistake("g.grad[b]", "u * a", "∂c/∂b is 1, not a: pass self.grad[n] on as it is"),
    Mistake("g.grad[b]", "np.ones_like(u)", "∂f/∂c is missing: pass self.grad[n] on, not 1"),
)
_CHILDREN_OF_MATMUL = (
    *_missing("g.grad[w]", f"grad_matmul gives the first child nothing: set {_FIRST}"),
    *_missing("g.grad[A]", f"grad_matmul gives the second child nothing: set {_SECOND} too"),
)
MATMUL_1D = (
    *_CHILDREN_OF_MATMUL,
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
_ONE_ROW = "only one row of w counts: sum over the rows, which w.T @ grad does"
MATMUL_2D = (
    *_CHILDREN_OF_MATMUL,
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
SHARED = (
    Mistake("g.grad[a]", "u", f"grad_add {_OVERWRITTEN}"),
    Mistake("g.grad[A]", "x.T @ (u @ A.T)", f"grad_matmul {_OVERWRITTEN}"),
    Mistake(
        "g.grad[b]",
        "2 * u",
        "two vertices share one array, and += changes the gradients of both: let run_grad begin "
        "with an array of zeros for each vertex, or write x = x + y instead of x += y",
    ),
)
