"""The grader: right solutions pass, and each wrong one is told what to change."""

import ast
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nnlib
from nnlib import grade
from nnlib.grade import counterexample
from nnlib.questions import ASKED, BEYOND

ROOT = Path(__file__).resolve().parents[2]
STUDENT = ROOT / "tests" / "data" / "student_graph.py"
EXAMPLE = ROOT / "docs" / "examples" / "coursework_graph.py"
CHECKS = [check for stage in (*ASKED, BEYOND) for check in stage]


def patched(*patches):
    """The source of a student's right solution after some replacements, each of a single place."""
    source = STUDENT.read_text(encoding="utf-8")
    for old, new in patches:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def defined(source):
    names = {"__name__": "student"}
    exec(source, names)
    return names["Graph"]


def faults(source, checks=CHECKS):
    """Title → what fails, as in the report: up to the first stage in which something does."""
    graph = defined(source)
    for stage in (*ASKED, BEYOND):
        found = {check.title: counterexample(check, graph) for check in stage}
        if any(found.values()):
            return {title: fault for title, fault in found.items() if fault}
    return {}


ADD = """
        self.grad[a] = self.grad[n]
        self.grad[b] = self.grad[n]
"""
FOR_EACH = """
        for child in self.children[n]:
            {}
"""
UNLESS_NONE = """
        for child in self.children[n]:
            if child in self.grad:
                self.grad[child] += self.grad[n]
            else:
                self.grad[child] = self.grad[n]
"""
LAST_ROW = """for i in range(len(w)):
                self.grad[b] = np.outer(w[i], grad[i])"""

# What students get wrong: replacements in a right solution, the line of the report, its hint.
WRONG = {
    "IDs that repeat": (
        [("        self.count += 1\n", "")],
        "2(a) IDs",
        "a new vertex takes the number of vertices so far as its ID",
    ),
    "no parent": ([("self.parent[child] = i", "pass")], "2(a) IDs", "sets self.parent[child]"),
    "children swapped": (
        [('"matmul", [a, b]', '"matmul", [b, a]')],
        "2(a) IDs",
        "in the order they were passed in",
    ),
    "run_eval stops early": ([("range(output + 1)", "range(output)")], "2(b)", "before the output"),
    "element by element": (
        [("self.value[a] @ self.value[b]", "self.value[a] * self.value[b]")],
        "2(b)",
        "matmul is w @ A",
    ),
    "relu is the absolute value": ([("np.maximum(0, x)", "np.abs(x)")], "2(b)", "not |x|"),
    "relu does nothing": ([("np.maximum(0, x)", "x")], "2(b)", "relu is np.maximum(0, x), not x"),
    "integers for floats": (
        [("self.value[i] = value", "self.value[i] = np.array(value, dtype=int)")],
        "2(b)",
        "an array of integers cuts fractions off",
    ),
    "first child only": (
        [("        self.grad[b] = self.grad[n]\n", "")],
        "2(c)",
        "grad_add gives the second child nothing: set self.grad[self.children[n][1]] too",
    ),
    "second child only": (
        [("        self.grad[a] = self.grad[n]\n", "")],
        "2(c)",
        "grad_add gives the first child nothing",
    ),
    "product rule": (
        [("self.grad[a] = self.grad[n]", "self.grad[a] = self.grad[n] * self.value[b]")],
        "2(c)",
        "∂c/∂a is 1, not b",
    ),
    "sign": ([("self.grad[b] = self.grad[n]", "self.grad[b] = -self.grad[n]")], "2(c)", "minus"),
    "added twice": (
        [("self.grad[b] = self.grad[n]", "self.grad[b] = self.grad[n] + self.grad[n]")],
        "2(c)",
        "the same contribution is added twice",
    ),
    "the gradient is 1": (
        [("self.grad[b] = self.grad[n]", "self.grad[b] = np.ones(np.shape(self.grad[n]))")],
        "2(c)",
        "∂f/∂c is missing",
    ),
    "transposed factor": (
        [("np.outer(w, grad)", "np.outer(grad, w)")],
        "2(d) grad_matmul, 1-D",
        "the order is wrong, which transposes the gradient of A: it is np.outer(w, grad)",
    ),
    "1-D w.T @ grad": (
        [("w.ndim == 1", "False")],
        "2(d) grad_matmul, 1-D",
        "w.T of a 1-D w is w itself",
    ),
    "factor w forgotten": (
        [("np.outer(w, grad)", "np.outer(np.ones(len(w)), grad)")],
        "2(d) grad_matmul, 1-D",
        "the factor w is missing",
    ),
    "no transpose of A": (
        [("grad @ A.T", "grad @ A")],
        "2(d) grad_matmul, 1-D",
        "sum over the wrong index: the gradient of w is grad @ A.T",
    ),
    "a vector for a matrix": (
        [("np.outer(w, grad)", "np.outer(w, grad).ravel()")],
        "2(d) grad_matmul, 1-D",
        "the numbers are right, the shape is not",
    ),
    "gradients are integers": (
        [
            (
                "np.outer(w, grad)",
                "np.zeros(A.shape, int)\n            self.grad[b] += np.outer(w, grad)",
            )
        ],
        "2(d) grad_matmul, 1-D",
        "make gradients of type float",
    ),
    "second child of matmul forgotten": (
        [("self.grad[b] = np.outer(w, grad)", "pass"), ("self.grad[b] = w.T @ grad", "pass")],
        "2(d) grad_matmul, 1-D",
        "grad_matmul gives the second child nothing",
    ),
    "outer product of matrices": (
        [("w.ndim == 1", "True")],
        "2(d) grad_matmul, 2-D",
        "np.outer treats a 2-D w as one long row",
    ),
    "no transpose of w": (
        [("w.T @ grad", "w @ grad")],
        "2(d) grad_matmul, 2-D",
        "the transpose is missing: the gradient of A is w.T @ grad",
    ),
    "wrong order": (
        [("w.T @ grad", "grad @ w.T")],
        "2(d) grad_matmul, 2-D",
        "the order is wrong: the gradient of A is w.T @ grad",
    ),
    "transposed product": (
        [("w.T @ grad", "grad.T @ w")],
        "2(d) grad_matmul, 2-D",
        "which transposes the gradient of A: it is w.T @ grad",
    ),
    "sum over rows forgotten": (
        [("self.grad[b] = w.T @ grad", LAST_ROW)],
        "2(d) grad_matmul, 2-D",
        "a single row of w counts",
    ),
    "upwards": (
        [
            ("range(output, -1, -1)", "range(output + 1)"),
            ('getattr(self, "grad_"', 'self.grad.setdefault(n)\n            getattr(self, "grad_"'),
        ],
        "2(e)",
        "run_grad goes through the IDs downwards",
    ),
    "the value of the output is used": (
        [("self.grad[output] = grad", "self.grad[output] = grad + 0 * self.value[output]")],
        "2(f)",
        "grad_matmul may use the values of w and A alone",
    ),
    "relu without its mask": ([(" * (x > 0)", "")], "gradient of relu", "grad * (x > 0)"),
    "seed changed in place": (
        [
            (
                "self.grad[self.children[n][0]] = self.grad[n] * (x > 0)",
                "self.grad[n] *= x > 0\n        self.grad[self.children[n][0]] = self.grad[n]",
            )
        ],
        "gradient of relu",
        "the graph kept an array of the caller's",
    ),
    "= for fan-out": ([], "a vertex that is used twice", "grad_add overwrites"),
    "= in matmul alone": (
        [
            (ADD, FOR_EACH.format("self.grad[child] = self.grad.get(child, 0) + self.grad[n]")),
            ("self.grad[output] = grad", "self.grad = {output: grad}"),
        ],
        "a vertex that is used twice",
        "grad_matmul overwrites",
    ),
    "+= on a shared array": (
        [(ADD, UNLESS_NONE), ("self.grad[output] = grad", "self.grad = {output: np.array(grad)}")],
        "a vertex that is used twice",
        "two vertices share one array",
    ),
    "sum over a bias forgotten": ([], "add with broadcasting", "sum over the axes"),
    "1-D on the right": ([], "matmul of 2-D with 1-D", "a 1-D A is a column"),
    "earlier gradients kept": (
        [(ADD, FOR_EACH.format("self.grad[child] = self.grad.get(child, 0) + self.grad[n]"))],
        "run_grad twice",
        "let run_grad begin with new gradients",
    ),
    "stale values": ([], "IDs that are no topological order", "let it raise an error"),
}


def line_of(name):
    """The title and the counterexample that the report has for a wrong solution."""
    patches, beginning, _ = WRONG[name]
    (line,) = ((t, f) for t, f in faults(patched(*patches)).items() if t.startswith(beginning))
    return line


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_solution_is_recognised(name):
    *_, fault, hint = line_of(name)[1].splitlines()
    assert WRONG[name][2] in hint
    assert re.search(r"expected .*, found |afterwards|, in \w+, line \d+$", fault)


def test_wrong_solutions_are_told_apart():
    hints = [(title, fault.splitlines()[-1]) for title, fault in map(line_of, WRONG)]
    assert len(set(hints)) == len(WRONG)
