"""The graph: its order, its values, its gradients of gradients, and the input it refuses."""

import copy
import doctest
import pickle
import re

import numpy as np
import pytest

import nnlib.graph
from nnlib import Graph, Program, Vertex, compile  # noqa: A004

EPS = np.finfo(float).eps


def least_squares(n_samples=7, n_features=3):
    """Return g, X, w, y and the loss ‖Xw − y‖²."""
    rng = np.random.default_rng(0)
    g = Graph()
    X = g.tensor(rng.normal(size=(n_samples, n_features)), "X")
    w = g.tensor(rng.normal(size=n_features), "w")
    y = g.tensor(rng.normal(size=n_samples), "y")
    return g, X, w, y, g.sum(g.square(g.sub(g.matmul(X, w), y)))


# Structure


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(nnlib.graph)
    assert (failed, attempted) == (0, 5)


def test_vertices_know_each_other():
    g = Graph()
    a, b = g.tensor(1.0), g.tensor([1.0, 2.0], name="b")
    c = g.add(a, b)
    d = g.mul(b, b)
    assert [a, b, c, d] == list(range(len(g)))
    assert g.name == ["tensor", "b", "add", "mul"]
    assert g.children == [[], [], [a, b], [b, b]]
    assert g.parents == [[c], [c, d], [], []]
    assert g.parent == [c, d, None, None]
    assert g.shape == [(), (2,), (2,), (2,)]
    assert g.value[c] is None
    assert g.grad[b] is None


def test_repr_is_a_line_a_vertex():
    g = Graph()
    x, w = g.tensor(np.ones((2, 3)), "x"), g.tensor(np.ones((3, 4)))
    g.sum(g.log_softmax(g.matmul(x, w), axis=0), axis=1, keepdims=True)
    assert repr(g).splitlines() == [
        "Graph of 5 vertices",
        "v0 = x  (2, 3)",
        "v1 = tensor  (3, 4)",
        "v2 = matmul(v0, v1)  (2, 4)",
        "v3 = log_softmax(v2, axis=0)  (2, 4)",
        "v4 = sum(v3, axis=(1,), keepdims=True)  (2, 1)",
    ]
    for _ in range(2000):
        x = g.neg(x)
    lines = repr(g).splitlines()
    assert lines[501] == "… 1005 more …"
    assert lines[-1] == "v2004 = neg(v2003)  (2, 3)"
    assert len(lines) == 1002


def test_a_copy_is_independent():
    g, X, w, _, loss = least_squares()
    g.run_grad(loss)
    twin = g.copy()
    twin.set(w, np.zeros(3))
    twin.neg(loss)
    assert repr(twin).startswith(repr(g).partition("\n")[2].join(["Graph of 8 vertices\n", ""]))
    assert len(g) == 7
    assert g.parents[loss] == []
    assert g.value[loss] is not None
    assert twin.value[X] is g.value[X]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_graphs_can_be_copied_and_pickled_with_their_vertices(duplicate):
    g, _, w, _, loss = least_squares()
    g.run_grad(loss)
    twin, w_twin, loss_twin = duplicate((g, w, loss))
    assert repr(twin) == repr(g)
    twin.set(w_twin, np.zeros(3))
    twin.run_grad(loss_twin)
    assert twin.value[loss_twin] == pytest.approx(np.sum(g.value[3 - 1] ** 2), rel=10 * EPS)
    assert g.value[loss] != twin.value[loss_twin]
    for array in twin.value + twin.grad:
        assert not array.flags.writeable


@pytest.mark.parametrize("number", [None, 1, 2.5, np.float64(2.0), np.int64(2), np.ones(3)])
@pytest.mark.parametrize(
    ("operate", "method"),
    [
        (lambda a, b: a + b, "add"),
        (lambda a, b: a - b, "sub"),
        (lambda a, b: a * b, "mul"),
        (lambda a, b: a / b, "div"),
        (lambda a, b: a @ b, "matmul"),
        (lambda a, b: a**b, "square"),
        (lambda a, b: a // b, ""),
        (lambda a, b: a % b, ""),
        (lambda a, b: divmod(a, b), ""),
    ],
)
def test_vertices_are_not_numbers_to_compute_with(operate, method, number):
    g = Graph()
    a, b = g.tensor(1.0), g.tensor(2.0)
    write = rf"g\.{method}\(a" if method else "an operation of the graph"
    number = b if number is None else number
    with pytest.raises(TypeError, match=f"a vertex is no number to compute with: write {write}"):
        operate(a, number)
    # Floats take an integer for a number before it is asked; see below what comes of it.
    if type(number) is not float:
        with pytest.raises(TypeError, match=r"a vertex is no number.*: write "):
            operate(number, a)


@pytest.mark.parametrize(
    ("operate", "write"),
    [
        (lambda a: -a, r"g\.neg\(a\)"),
        (abs, r"g\.abs\(a\)"),
        (lambda a: +a, "an operation"),
        (round, "an operation"),
        (np.sqrt, "an operation"),
        (lambda a: np.add(a, 1), "an operation"),
        (lambda a: sum([a, a]), r"g\.add\(a, b\)"),
    ],
)
def test_a_vertex_alone_refuses_arithmetic_too(operate, write):
    with pytest.raises(TypeError, match=f"a vertex is no number to compute with: write {write}"):
        operate(Graph().tensor(1.0))


def test_a_vertex_is_an_integer_in_all_else():
    g = Graph()
    a, b = g.tensor(1.0), g.tensor(2.0)
    assert (a == 0, b == np.int64(1), a < b, hash(b) == hash(1), int(b), f"v{b}") == (
        *(True,) * 4,
        1,
        "v1",
    )
    assert [["x", "y"][b], {0: "x"}[a], np.arange(3)[b]] == ["y", "x", 1]
    np.testing.assert_array_equal(np.arange(3) == b, [False, True, False])
    assert sorted([b, a]) == [a, b] == list(range(2))


@pytest.mark.parametrize(
    "use",
    [
        lambda g, a: g.mul(a, 2),
        lambda g, a: g.mul(2, a),
        lambda g, a: g.mul(a, 2.0 * a),
        lambda g, a: g.mul(a, np.int64(1)),
        lambda g, a: g.mul(a, True),
        lambda g, a: g.set(0, 1.0),
        lambda g, a: g.run_eval(0),
        lambda g, a: g.run_grad(0),
        lambda g, a: g.grad_graph(a, [0]),
        lambda g, a: g.order([0]),
    ],
)
def test_a_number_is_not_taken_for_a_vertex(use):
    g = Graph()
    a, _, _ = (g.tensor(x) for x in (1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="expected a vertex, as tensor and the operations return"):
        use(g, a)
    assert len(g) == 3


def test_a_vertex_is_not_taken_for_a_number():
    g = Graph()
    a, b = g.tensor([1.0, 2.0]), g.tensor(2.0)
    for use in (
        lambda: g.tensor(b),
        lambda: g.tensor([a, b]),
        lambda: g.tensor([[0.5, 1.0], (2.0, b)]),
        lambda: g.set(b, a),
        lambda: g.run_grad(b, a),
        lambda: Program(g, [b], [b])(a),
    ):
        with pytest.raises(ValueError, match="expected numbers, not vertices"):
            use()
    for use in (lambda: g.sum(a, b), lambda: g.reshape(a, (b, 1)), lambda: g.one_hot(a, b)):
        with pytest.raises(ValueError, match="expected an integer, not vertex 1"):
            use()


def test_the_graph_holds_vertices_wherever_it_names_one():
    g, _, w, _, loss = least_squares()
    g.grad_graph(loss, [w])
    everywhere = [*g.vertices, *g.order([loss]), *g.require([w])]
    everywhere += [i for row in g.children + g.parents for i in row]
    everywhere += [i for i in g.parent if i is not None]
    assert all(type(i) is Vertex for i in everywhere)
    assert g.vertices == list(range(len(g)))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (3, np.float64),
        ([1, 2], np.float64),
        (np.array([1, 2], np.uint8), np.float64),
        (np.array([1, 2], np.float32), np.float32),
        (np.array([1, 2], np.float16), np.float32),
        (np.array([1, 2], ">f4"), np.float32),
        (np.array([1, 2], ">f8"), np.float64),
    ],
)
def test_tensor_converts_to_native_floats(value, dtype):
    g = Graph()
    x = g.tensor(value)
    assert g.value[x].dtype == g.dtype[x] == dtype
    assert g.value[x].dtype.isnative
    np.testing.assert_array_equal(g.value[x], value)


def test_float32_stays_float32_throughout():
    g = Graph()
    x = g.tensor(np.ones((2, 3), np.float32))
    loss = g.sum(g.relu(g.square(g.matmul(x, g.transpose(x)))))
    (gradient,) = g.grad_graph(loss, [x])
    g.run_grad(loss)
    g.run_eval(gradient)
    assert {a.dtype for a in (g.value[loss], g.grad[x], g.value[gradient])} == {np.dtype("f4")}


@pytest.mark.parametrize("op", ["mul", "add", "div", "maximum", "matmul"])
def test_a_leaf_gets_a_gradient_of_its_own_type(op):
    rng = np.random.default_rng(0)
    g = Graph()
    single = g.tensor(rng.normal(size=(3, 3)).astype(np.float32), "single")
    double = g.tensor(rng.normal(size=(3, 3)), "double")
    output = g.sum(g.exp(getattr(g, op)(g.square(single), double)))
    exact = Graph()
    wide = exact.tensor(g.value[single].astype(np.float64))
    other = exact.tensor(g.value[double])
    exact.run_grad(exact.sum(exact.exp(getattr(exact, op)(exact.square(wide), other))))
    gradients = g.grad_graph(output, [single, double])
    compiled = compile(g, output, [single, double])(g.value[single], g.value[double])
    g.run_grad(output)
    for leaf, gradient, array in zip((single, double), gradients, compiled, strict=True):
        g.run_eval(gradient)
        assert g.dtype[gradient] == g.value[gradient].dtype == g.grad[leaf].dtype == g.dtype[leaf]
        assert array.dtype == g.dtype[leaf]
        np.testing.assert_array_equal(g.value[gradient], g.grad[leaf])
        np.testing.assert_array_equal(array, g.grad[leaf])
    # Each of a few operations rounds to float32; nine summands may cancel.
    for leaf, expected in ((single, exact.grad[wide]), (double, exact.grad[other])):
        tolerance = 30 * np.finfo(np.float32).eps * np.abs(expected).max()
        np.testing.assert_allclose(g.grad[leaf], expected, rtol=0, atol=tolerance)
    for i in g.order([output]):
        assert (g.grad[i].shape, g.grad[i].dtype) == (g.shape[i], g.dtype[i])


def test_set_replaces_the_value_and_forgets_what_depended_on_it():
    g, _, w, y, loss = least_squares()
    residual = g.children[g.children[loss][0]][0]
    product = g.children[residual][0]
    g.run_eval(loss)
    g.set(y, np.zeros(7))
    assert g.value[loss] is g.value[residual] is None
    assert g.value[product] is not None
    g.run_grad(loss)
    fitted = g.value[product]
    assert g.value[loss] == pytest.approx(fitted @ fitted, rel=10 * EPS)
    g.set(w, np.zeros(3, int))
    g.run_grad(loss)
    assert g.value[loss] == 0


# Values and gradients belong to the graph


def test_nothing_is_shared_with_the_caller():
    g = Graph()
    value, seed = np.ones(2), np.ones(2)
    x = g.tensor(value)
    value[:] = 5
    g.run_grad(x, seed)
    seed[:] = 5
    new = np.zeros(2)
    np.testing.assert_array_equal(g.value[x], [1, 1])
    np.testing.assert_array_equal(g.grad[x], [1, 1])
    g.set(x, new)
    new[:] = 5
    np.testing.assert_array_equal(g.value[x], [0, 0])


def test_a_later_run_leaves_arrays_handed_out_alone():
    g, _, w, _, loss = least_squares()
    g.run_grad(loss)
    value, gradient = g.value[loss], g.grad[w]
    kept = value.copy(), gradient.copy()
    g.set(w, np.zeros(3))
    g.run_grad(loss)
    assert g.value[loss] != value
    np.testing.assert_array_equal(value, kept[0])
    np.testing.assert_array_equal(gradient, kept[1])


def test_arrays_of_the_graph_are_read_only():
    g, X, w, _, loss = least_squares()
    g.run_grad(loss)
    for array in (g.value[X], g.value[loss], g.grad[w], g.grad[loss]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


# Walks


def test_run_eval_computes_what_the_output_depends_on_and_no_more():
    g = Graph()
    x = g.tensor(3.0)
    aside, output, above = g.neg(x), g.square(x), g.square(x)
    g.run_eval(output)
    assert g.value[output] == 9
    assert g.value[aside] is g.value[above] is None


def test_uses_of_a_vertex_add_up():
    g = Graph()
    x = g.tensor([1.0, 2.0])
    f = g.sum(g.add(g.mul(x, x), g.neg(x)))
    g.run_grad(f)
    np.testing.assert_array_equal(g.grad[x], [1, 3])


def test_run_grad_is_idempotent_and_forgets_the_gradients_before():
    g, _, w, _, loss = least_squares()
    other = g.neg(w)
    g.run_grad(loss)
    first = g.grad[w]
    g.run_grad(other, np.ones(3))
    np.testing.assert_array_equal(g.grad[w], [-1, -1, -1])
    assert g.grad[loss] is None
    g.run_grad(loss)
    g.run_grad(loss)
    np.testing.assert_array_equal(g.grad[w], first)
    assert g.grad[other] is None


def test_gradient_is_zero_where_the_output_does_not_depend_on_a_leaf():
    g = Graph()
    x, apart, behind_step = g.tensor(2.0), g.tensor([1.0, 2.0]), g.tensor(3.0)
    output = g.add(g.square(x), g.step(behind_step))
    g.run_grad(output)
    assert g.grad[x] == 4
    np.testing.assert_array_equal(g.grad[apart], [0, 0])
    assert g.grad[behind_step] == 0


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_the_gradient_of_a_single_number_starts_from_1(shape):
    g = Graph()
    x = g.tensor(np.full(shape, 3.0))
    g.run_grad(g.square(x))
    np.testing.assert_array_equal(g.grad[x], np.full(shape, 6.0))


@pytest.mark.slow
def test_a_chain_of_100_000_vertices_needs_no_recursion():
    g = Graph()
    x = g.tensor(1.0)
    one, v = g.tensor(1.0), x
    for _ in range(100_000):
        v = g.add(v, one)
    g.run_grad(v)
    assert g.value[v] == 100_001
    assert g.grad[x] == 1
    assert g.grad[one] == 100_000
    (gradient,) = g.grad_graph(v, [x])
    g.run_eval(gradient)
    assert g.value[gradient] == 1


def test_40_doublings_visit_each_vertex_once():
    g = Graph()
    v = x = g.tensor(1.0)
    for _ in range(40):
        v = g.add(v, v)
    g.run_grad(v)
    assert g.value[v] == g.grad[x] == 2.0**40


def test_non_finite_values_are_no_error_unless_asked_for():
    g = Graph()
    x = g.tensor([[1.0, -1.0], [0.0, 2.0]], "x")
    output = g.sum(g.neg(g.div(x, g.log(x))))
    g.run_grad(output)
    assert np.isnan(g.value[output])
    with pytest.raises(
        FloatingPointError,
        match=r"^vertex 1 \(log\) of shape \(2, 2\) is nan at \[0, 1\], the first value that is "
        r"not finite, computed from vertex 0 \(x\) of shape \(2, 2\)$",
    ):
        g.run_eval(output, check_finite=True)
    g.set(x, [[2, 3], [4, 5]])
    g.run_eval(output, check_finite=True)
    assert np.isfinite(g.value[output])
    g.set(x, [[2, 3], [np.inf, 5]])
    with pytest.raises(FloatingPointError, match=r"^vertex 0 \(x\) .* is inf at \[1, 0\]$"):
        g.run_eval(output, check_finite=True)


def test_gradients_that_are_not_finite_are_no_error_unless_asked_for():
    g = Graph()
    x = g.tensor([[1.0, 4.0], [0.0, 9.0]], "x")
    root = g.sqrt(x)
    total = g.sum(root)
    output = g.mul(total, g.tensor(2.0))
    g.run_grad(output)
    np.testing.assert_array_equal(g.grad[x], [[1, 0.5], [np.inf, 1 / 3]])
    with pytest.raises(
        FloatingPointError,
        match=r"^the gradient of vertex 0 \(x\) of shape \(2, 2\) is inf at \[1, 0\], the first "
        r"gradient that is not finite, computed from vertex 1 \(sqrt\) of shape \(2, 2\)$",
    ):
        g.run_grad(output, check_finite=True)
    # What was found can be looked at.
    assert np.isinf(g.grad[x][1, 0])
    with pytest.raises(FloatingPointError, match=r"^the gradient of vertex 1 \(sqrt\) .* is nan"):
        g.run_grad(root, [[1, 1], [1, np.nan]], check_finite=True)
    g.set(x, [[-1, 4], [1, 9]])
    with pytest.raises(FloatingPointError, match=r"^vertex 1 \(sqrt\) .* is nan at \[0, 0\]"):
        g.run_grad(output, check_finite=True)
    g.set(x, np.ones((2, 2)))
    g.run_grad(output, check_finite=True)
    np.testing.assert_array_equal(g.grad[x], np.ones((2, 2)))


# Gradients of gradients


def test_hessian_of_least_squares_is_2_xtx():
    g, X, w, _, loss = least_squares()
    (gradient,) = g.grad_graph(loss, [w])
    rows = [g.grad_graph(g.sum(g.mul(gradient, g.tensor(e))), [w])[0] for e in np.eye(3)]
    for row in rows:
        g.run_eval(row)
    X = g.value[X]
    # An entry is a sum of seven products of magnitude below 10.
    np.testing.assert_allclose([g.value[row] for row in rows], 2 * X.T @ X, rtol=0, atol=100 * EPS)


def test_hessian_vector_products_of_a_tanh_network_agree_with_differences():
    rng = np.random.default_rng(0)
    g = Graph()
    x, w1, b1, w2, b2, y = leaves = [
        g.tensor(rng.normal(size=shape)) for shape in [(6, 3), (3, 5), (5,), (5, 2), (2,), (6, 2)]
    ]
    output = g.add(g.matmul(g.tanh(g.add(g.matmul(x, w1), b1)), w2), b2)
    loss = g.mean_squared_error(output, y)
    parameters = leaves[1:5]
    start = [g.value[leaf] for leaf in parameters]
    direction = [rng.normal(size=g.shape[leaf]) for leaf in parameters]
    along = g.tensor(0.0)
    for gradient, v in zip(g.grad_graph(loss, parameters), direction, strict=True):
        along = g.add(along, g.sum(g.mul(gradient, g.tensor(v))))
    products = g.grad_graph(along, parameters)
    for product in products:
        g.run_eval(product)

    def gradients(move):
        for leaf, w, v in zip(parameters, start, direction, strict=True):
            g.set(leaf, w + move * v)
        g.run_grad(loss)
        return [g.grad[leaf] for leaf in parameters]

    h = EPS ** (1 / 3)
    hessian_vector = [g.value[product] for product in products]
    for value, high, low in zip(hessian_vector, gradients(h), gradients(-h), strict=True):
        # A central difference is wrong by h² times a third derivative, here some hundreds.
        np.testing.assert_allclose(value, (high - low) / (2 * h), rtol=0, atol=1000 * h**2)


def test_third_derivative_of_a_power():
    g = Graph()
    x = g.tensor(3.0)
    f = g.mul(g.square(x), g.square(x))
    for expected in (4 * 27, 12 * 9, 24 * 3, 24, 0):
        (f,) = g.grad_graph(f, [x])
        g.run_eval(f)
        assert g.value[f] == expected


def test_grad_graph_adds_only_what_is_asked_for():
    g, X, w, _, loss = least_squares()
    before = len(g)
    (gradient,) = g.grad_graph(loss, [w])
    shapes = [g.shape[i] for i in range(before, len(g)) if g.name[i] == "matmul"]
    assert shapes == [(3, 1)]
    assert gradient == len(g) - 1
    assert X not in g.parents[gradient]


def test_grad_graph_with_respect_to_an_operation_the_output_and_a_stranger():
    g = Graph()
    x, stranger = g.tensor(3.0), g.tensor([1.0, 2.0])
    inner = g.square(x)
    output = g.square(inner)
    gradients = g.grad_graph(output, [inner, output, stranger])
    for gradient, expected in zip(gradients, [18, 1, [0, 0]], strict=True):
        g.run_eval(gradient)
        np.testing.assert_array_equal(g.value[gradient], expected)


# Refusals


@pytest.mark.parametrize(
    "value",
    [
        1j,
        [True],
        ["a"],
        np.ma.array([1.0, 2.0], mask=[True, False]),
        np.array([None]),
        np.zeros(2, "M8[s]"),
        10**400,
        [[1], [2, 3]],
    ],
)
def test_only_real_numbers_are_accepted(value):
    g = Graph()
    x = g.tensor([1.0, 2.0])
    for refuse in (g.tensor, lambda value: g.set(x, value), lambda value: g.run_grad(x, value)):
        with pytest.raises(
            ValueError, match=r"expected (integers or floats|an array without)|inhomogeneous"
        ):
            refuse(value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda g, a, b: g.add(a, b),
            "add: the shapes do not broadcast: "
            "vertex 0 (A) of shape (2, 3), vertex 1 (tensor) of shape (4,)",
        ),
        (
            lambda g, a, b: g.matmul(a, b),
            "matmul: the inner dimensions 3 and 4 differ: "
            "vertex 0 (A) of shape (2, 3), vertex 1 (tensor) of shape (4,)",
        ),
        (lambda g, a, b: g.matmul(a, g.sum(b)), "a scalar cannot be multiplied as a matrix"),
        (lambda g, a, b: g.sum(a, axis=2), "axis 2 is out of bounds for array of dimension 2"),
        (lambda g, a, b: g.sum(a, axis=(0, 0)), "repeated axis"),
        (lambda g, a, b: g.sum(a, axis=0.5), "expected an integer, not 0.5"),
        (lambda g, a, b: g.sum(a, axis=True), "expected an integer, not True"),
        (lambda g, a, b: g.reshape(a, (True, 6)), "expected an integer, not True"),
        (lambda g, a, b: g.one_hot(b, True), "expected an integer, not True"),
        (lambda g, a, b: g.transpose(a, (0,)), "axes=(0,) must name each of the 2 axes once"),
        (lambda g, a, b: g.reshape(a, (4, 2)), "6 elements do not fill the shape (4, 2)"),
        (lambda g, a, b: g.reshape(a, (-1, 4)), "6 elements do not fill the shape (-1, 4)"),
        (lambda g, a, b: g.reshape(a, (-2, -3)), "6 elements do not fill the shape (-2, -3)"),
        (lambda g, a, b: g.broadcast_to(a, (3,)), "the shape does not broadcast to (3,)"),
        (lambda g, a, b: g.log_softmax(a, (0, 1)), "expected an integer, not (0, 1)"),
        (lambda g, a, b: g.log_softmax(a, 2), "axis 2 is out of bounds"),
        (lambda g, a, b: g.log_softmax(g.reshape(g.sum(a, ()), (2, 3)), 0.0), "not 0.0"),
        (lambda g, a, b: g.log_softmax(g.tensor(np.ones((2, 0)))), "no classes along axis -1"),
        (lambda g, a, b: g.one_hot(b, 0), "classes=0 must be at least 1: vertex 1"),
        (
            lambda g, a, b: g.mean_squared_error(a, b),
            "mean_squared_error: the shapes differ: "
            "vertex 0 (A) of shape (2, 3), vertex 1 (tensor) of shape (4,)",
        ),
        (
            lambda g, a, b: g.softmax_cross_entropy(a, b),
            "the shapes differ: vertex 0 (A) of shape (2, 3), vertex 1 (tensor) of shape (4,)",
        ),
        (
            lambda g, a, b: g.softmax_cross_entropy(g.sum(a), g.sum(b)),
            "the logits need an axis of classes",
        ),
        (
            lambda g, a, b: g.add(a, 2),
            "expected a vertex, as tensor and the operations return it, not 2 of type int: numbers "
            "become one by g.tensor",
        ),
        (
            lambda g, a, b: g.add(1, a),
            "not 1 of type int: numbers become one by g.tensor, and vertex 1 is g.vertices[1]",
        ),
        (lambda g, a, b: g.mul(a, 2.0), "not 2.0 of type float: numbers become one by g.tensor"),
        (lambda g, a, b: g.mul(a, True), "not True of type bool"),
        (lambda g, a, b: g.mul(a, np.ones(1)), "not array([1.]) of type ndarray"),
        (lambda g, a, b: g.gate(a, b), "gate: the shapes differ: vertex 0 (A) of shape (2, 3), "),
        (lambda g, a, b: g.cast(a, "f2"), "dtype='f2' must be float32 or float64"),
        (lambda g, a, b: g.cast(a, int), "dtype=<class 'int'> must be float32 or float64"),
        (lambda g, a, b: g.cast(a, "real"), "dtype='real' must be float32 or float64"),
        (lambda g, a, b: g.set(b, np.ones(3)), "vertex 1 (tensor) of shape (4,) cannot take"),
        (lambda g, a, b: g.set(g.neg(a), 0), "vertex 2 (neg) of shape (2, 3) is an operation"),
        (lambda g, a, b: g.run_eval(g.copy().neg(a)), "there is no vertex 2: the graph has 2"),
        (lambda g, a, b: g.run_grad(a), "not a single number: pass grad, of shape (2, 3)"),
        (
            lambda g, a, b: g.run_grad(a, np.ones(3)),
            "grad has shape (3,), but the output is vertex 0 (A) of shape (2, 3)",
        ),
        (lambda g, a, b: g.grad_graph(a, [b]), "(2, 3) is not a single number: sum it first"),
        (lambda g, a, b: g.grad_graph(g.sum(a), a), "expected a sequence of vertices, not 0"),
    ],
)
def test_bad_input_is_refused_by_name(build, message):
    g = Graph()
    a, b = g.tensor(np.ones((2, 3)), "A"), g.tensor(np.ones(4))
    with pytest.raises(ValueError, match=re.escape(message)):
        build(g, a, b)


def test_a_vertex_of_another_graph_is_refused():
    g, other = Graph(), Graph()
    a = g.tensor(1.0)
    b = other.tensor([1.0, 2.0], "b")
    made_up = Vertex(0)
    for use in (
        lambda: g.add(a, b),
        lambda: g.run_eval(b),
        lambda: g.grad_graph(a, [b]),
        lambda: g.neg(made_up),
    ):
        with pytest.raises(ValueError, match="vertex 0 is one of another graph"):
            use()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, a: g.add(a), r"add\(\) missing 1 required positional argument: 'b'"),
        (lambda g, a: g.relu(a, a), r"relu\(\) takes 2 positional arguments but 3 were given"),
    ],
)
def test_the_number_of_operands_is_checked(call, message):
    g = Graph()
    a = g.tensor(1.0)
    with pytest.raises(TypeError, match=message):
        call(g, a)


@pytest.mark.parametrize("child", [2, 3, -1])
@pytest.mark.parametrize(
    "run", ["run_eval", "run_grad", lambda g, i: g.grad_graph(i, g.vertices[:1])]
)
def test_a_broken_order_is_refused(child, run):
    g = Graph()
    a, b = g.tensor(1.0), g.tensor(2.0)
    c = g.add(a, b)
    d = g.neg(c)
    g.children[c][1] = child
    with pytest.raises(ValueError, match=rf"vertex 2 \(add\).* has child {child}: .*topological"):
        getattr(g, run)(d) if isinstance(run, str) else run(g, d)


def test_a_listing_shows_what_was_asked_for_and_no_more():
    g = Graph()
    x = g.tensor([[1.0, 2.0]], "x")
    g.sum(g.sum(x), axis=(), keepdims=True)
    g.transpose(g.sum(x, axis=0))
    assert repr(g).splitlines() == [
        "Graph of 5 vertices",
        "v0 = x  (1, 2)",
        "v1 = sum(v0)  ()",
        "v2 = sum(v1, axis=(), keepdims=True)  ()",
        "v3 = sum(v0, axis=(0,))  (2,)",
        "v4 = transpose(v3)  (2,)",
    ]


@pytest.mark.parametrize(("count", "lines"), [(1000, 1001), (1001, 1002), (1500, 1002)])
def test_a_long_listing_leaves_out_the_middle(count, lines):
    g = Graph()
    for _ in range(count):
        g.tensor(0.0)
    shown = repr(g).splitlines()
    assert len(shown) == lines
    assert (f"… {count - 1000} more …" in shown) == (count > 1000)


def test_nothing_depends_on_nothing():
    assert Graph().order([]) == []


def test_types_are_known_before_the_values():
    g = Graph()
    logits = g.tensor(np.ones((2, 3), np.float32))
    loss = g.softmax_cross_entropy(logits, g.tensor([0, 2]))
    g.mul(logits, g.tensor(np.ones(3)))
    g.run_eval(loss)
    g.run_eval(g.vertices[-1])
    assert [value.dtype for value in g.value] == g.dtype
