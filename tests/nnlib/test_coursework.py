"""The snippets of the coursework's question 2, word for word, with nnlib and with the example."""

import re
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnlib
from nnlib.ops import OPS

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "coursework_graph.py"
SPEC = spec_from_file_location("coursework_graph", EXAMPLE)
example = module_from_spec(SPEC)
SPEC.loader.exec_module(example)

BOTH = pytest.mark.parametrize("Graph", [nnlib.Graph, example.Graph], ids=["nnlib", "example"])


@BOTH
def test_two_layer_network(Graph, capsys):
    g = Graph()
    x = g.tensor([[1, -2]])
    w1 = g.tensor([[1, 2, 3], [2, 1, 1]])
    b1 = g.tensor([1, 1, 1])
    w2 = g.tensor([[1, 2], [3, 4], [5, 6]])
    b2 = g.tensor([10, 20])

    output = g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)
    g.run_eval(output)
    print(g.value[output])

    assert capsys.readouterr().out == "[[23. 36.]]\n"
    # xW1 + b1 = (-2, 1, 2), of which ReLU lets the last two through.
    g.run_grad(output, np.array([[1, 0]]))
    np.testing.assert_array_equal(g.grad[w2], [[0, 0], [1, 0], [2, 0]])
    np.testing.assert_array_equal(g.grad[b1], [0, 3, 5])
    np.testing.assert_array_equal(g.grad[w1], [[0, 3, 5], [0, -6, -10]])
    np.testing.assert_array_equal(g.grad[x], [[21, 8]])
    np.testing.assert_array_equal(g.grad[b2], [1, 0])


@BOTH
def test_finite_differences(Graph, capsys):
    eps = 1e-3

    g1 = Graph()
    w1 = g1.tensor(np.array([1, 2, 3]))
    a1 = g1.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y1 = g1.matmul(w1, a1)
    g1.run_eval(y1)

    g2 = Graph()
    w2 = g2.tensor(np.array([1 + eps, 2, 3]))
    a2 = g2.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y2 = g2.matmul(w2, a2)
    g2.run_eval(y2)

    g3 = Graph()
    w3 = g3.tensor(np.array([1, 2 + eps, 3]))
    a3 = g3.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y3 = g3.matmul(w3, a3)
    g3.run_eval(y3)

    g4 = Graph()
    w4 = g4.tensor(np.array([1, 2, 3 + eps]))
    a4 = g4.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y4 = g4.matmul(w4, a4)
    g4.run_eval(y4)

    g1.run_grad(y1, np.array([1, 0]))

    g5 = Graph()
    w5 = g5.tensor(np.array([1, 2, 3]))
    a5 = g5.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y5 = g5.matmul(w5, a5)

    g5.run_grad(y5, np.array([0, 1]))

    print((g2.value[y2] - g1.value[y1]) / eps)
    print((g3.value[y3] - g1.value[y1]) / eps)
    print((g4.value[y4] - g1.value[y1]) / eps)
    print(g1.grad[w1])
    print(g5.grad[w5])

    assert capsys.readouterr().out == "[1. 2.]\n[3. 4.]\n[5. 6.]\n[1. 3. 5.]\n[2. 4. 6.]\n"
    np.testing.assert_array_equal(g1.value[y1], [22, 28])
    np.testing.assert_array_equal(g1.grad[a1], [[1, 0], [2, 0], [3, 0]])
    np.testing.assert_array_equal(g5.grad[a5], [[0, 1], [0, 2], [0, 3]])


# The example against nnlib

LEAVES = [(), (3,), (3, 1), (1, 3), (3, 3), (2, 3)]


def assert_same_run(leaves, operations, seed):
    """Build a graph with nnlib and with the example; compare all values and gradients, exactly."""
    one, other = nnlib.Graph(), example.Graph()
    for g in (one, other):
        for leaf in leaves:
            g.tensor(leaf)
        # The example's vertices are their own IDs.
        vertices = getattr(g, "vertices", range(len(leaves) + len(operations)))
        for name, operands in operations:
            output = getattr(g, name)(*(vertices[i] for i in operands))
        g.run_eval(output)
        g.run_grad(output, seed)
    assert other.children == one.children
    assert other.name == one.name
    for i in range(output + 1):
        # The example computes also what the output does not depend on.
        for column, expected in ((other.value, one.value[i]), (other.grad, one.grad[i])):
            if expected is not None:
                assert np.shape(column[i]) == expected.shape
                np.testing.assert_array_equal(column[i], expected)


@st.composite
def runs(draw):
    """Leaves, one to four operations on random vertices, and a seed for the last one.

    Leaves are −1, 0 or 1, and a product adds up at most three terms: no value is above 3¹⁵ and no
    gradient above 16 · 3¹⁵ · 18, so everything is exact.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    leaves = [rng.integers(-1, 2, shape) for shape in LEAVES]
    shapes, operations = list(LEAVES), []
    for _ in range(draw(st.integers(1, 4))):
        op = OPS[draw(st.sampled_from(["add", "matmul", "relu"]))]
        results = {}
        for operands in product(range(len(shapes)), repeat=len(op.gradients)):
            with suppress(ValueError):
                results[operands] = op.shape(*(shapes[i] for i in operands))
        operands = draw(st.sampled_from(sorted(results)))
        operations.append((op.name, operands))
        shapes.append(results[operands])
    return leaves, operations, rng.integers(-2, 3, shapes[-1])


@given(runs())
def test_the_example_does_what_nnlib_does(run):
    assert_same_run(*run)


def test_the_example_does_what_nnlib_does_with_a_batch_on_the_network():
    rng = np.random.default_rng(0)
    shapes = [(4, 2), (2, 3), (3,), (3, 2), (2,)]
    leaves = [rng.integers(-9, 10, shape) for shape in shapes]
    network = [
        *[("matmul", (0, 1)), ("add", (5, 2)), ("relu", (6,))],
        *[("matmul", (7, 3)), ("add", (8, 4))],
    ]
    assert_same_run(leaves, network, rng.integers(-9, 10, (4, 2)))


@pytest.mark.parametrize(
    "operations",
    [
        [("add", (0, 0))],
        [("matmul", (0, 0))],
        [("add", (0, 0)), ("matmul", (1, 0)), ("relu", (2,)), ("add", (2, 3)), ("matmul", (4, 2))],
    ],
)
def test_the_example_adds_up_what_several_uses_contribute(operations):
    assert_same_run([[[1, -2], [3, 4]]], operations, [[1, 2], [-3, 5]])


def test_the_example_is_short_and_stands_on_its_own():
    code = EXAMPLE.read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in code.splitlines()) < 60
    assert re.findall(r"^(?:import|from) .*", code, re.MULTILINE) == ["import numpy as np"]


def test_the_example_refuses_an_order_that_was_broken():
    g = example.Graph()
    a, b = g.tensor(1), g.tensor(2)
    c = g.add(a, b)
    d = g.relu(c)
    g.children[c][1] = d
    with pytest.raises(AssertionError, match="no topological order"):
        g.run_eval(d)


class WordForWord(nnlib.Graph):
    """The coursework's two lines, each for the first child of a vertex n."""

    def grad_add(self, n):
        self.grad[self.children[n][0]] = self.grad[n]

    def grad_matmul(self, n):
        self.grad[self.children[n][0]] = self.grad[n] @ self.value[self.children[n][1]].T


def test_gradients_of_the_first_child():
    g = WordForWord()
    x, w1 = g.tensor([[1, -2]], "x"), g.tensor([[1, 2, 3], [2, 1, 1]], "w1")
    product = g.matmul(x, w1)
    n = g.add(product, g.tensor([1, 1, 1], "b1"))
    g.run_grad(n, [[5, 7, 11]])
    expected = [g.grad[product], g.grad[x]]
    g.grad[product] = g.grad[x] = None
    g.grad_add(n)
    g.grad_matmul(g.children[n][0])
    np.testing.assert_array_equal(g.grad[product], expected[0])
    np.testing.assert_array_equal(g.grad[x], expected[1])
    # What the children are, the operations take.
    assert g.children[g.neg(g.children[n][0])] == [product]
