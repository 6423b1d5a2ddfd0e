"""Every operation, on every combination of shapes, against central differences and NumPy."""

import dataclasses

import numpy as np
import pytest

from nnlib import Graph, compile  # noqa: A004
from nnlib.ops import OPS

STEP = 1e-2
# Every operation is at most quadratic in a coordinate, so central differences have no truncation
# error: what is left is the rounding of values below 100, divided by STEP.
TOLERANCE = 1e-11

PAIRS = [
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
PRODUCTS = [
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
SINGLES = [[()], [(3,)], [(2, 3)], [(2, 3, 2)], [(0, 2)]]
CASES = [
    *((name, shapes, {}) for name in ("add", "sub", "mul") for shapes in PAIRS),
    *(("matmul", shapes, {}) for shapes in PRODUCTS),
    *((name, shapes, {}) for name in ("neg", "relu", "step", "square") for shapes in SINGLES),
    *(
        ("sum", [shape], {"axis": axis, "keepdims": keepdims})
        for shape, axis in [
            ((), None),
            ((3,), None),
            ((3,), 0),
            ((2, 3), None),
            ((2, 3), 0),
            ((2, 3), -1),
            ((2, 3), (0, 1)),
            ((2, 3), ()),
            ((2, 1, 3), (0, -1)),
            ((0, 3), 0),
        ]
        for keepdims in (False, True)
    ),
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
]
NUMPY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "matmul": lambda a, b: a @ b,
    "relu": lambda a: np.where(a > 0, a, 0),
    "step": lambda a: np.where(a > 0, 1.0, 0.0),
    "square": lambda a: a * a,
    "sum": np.sum,
    "transpose": np.transpose,
    "reshape": np.reshape,
    "broadcast_to": np.broadcast_to,
}
every_case = pytest.mark.parametrize(("name", "shapes", "attributes"), CASES)


def draw(shapes, dtype=np.float64):
    """Draw operands whose coordinates are further than STEP from the kink of relu."""
    rng = np.random.default_rng(0)
    normal = [rng.normal(size=shape) for shape in shapes]
    return [np.asarray(x + 0.1 * np.sign(x), dtype) for x in normal]


def build(name, operands, attributes):
    g = Graph()
    leaves = [g.tensor(x) for x in operands]
    return g, leaves, getattr(g, name)(*leaves, **attributes)


def central_differences(function, operands):
    """Return the gradient of a scalar function of arrays with respect to every coordinate."""
    gradients = []
    for k, operand in enumerate(operands):
        gradient = np.empty(operand.shape)
        for index in np.ndindex(operand.shape):
            ends = []
            for step in (STEP, -STEP):
                moved = operand.copy()
                moved[index] += step
                ends.append(function(*operands[:k], moved, *operands[k + 1 :]))
            gradient[index] = (ends[0] - ends[1]) / (2 * STEP)
        gradients.append(gradient)
    return gradients


def assert_gradient(name, shapes, attributes):
    """Compare run_grad with central differences of NumPy's function for the operation."""
    operands = draw(shapes)
    g, leaves, output = build(name, operands, attributes)
    seed = np.random.default_rng(1).normal(size=g.shape[output])
    g.run_grad(output, seed)
    expected = central_differences(
        lambda *x: np.sum(seed * NUMPY[name](*x, **attributes)), operands
    )
    for leaf, gradient in zip(leaves, expected, strict=True):
        assert g.grad[leaf].shape == gradient.shape
        np.testing.assert_allclose(g.grad[leaf], gradient, rtol=0, atol=TOLERANCE)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_shape_and_type_are_those_of_numpy(name, shapes, attributes, dtype):
    operands = draw(shapes, dtype)
    g, _, output = build(name, operands, attributes)
    assert g.value[output] is None
    g.run_eval(output)
    expected = NUMPY[name](*operands, **attributes)
    np.testing.assert_array_equal(g.value[output], expected)
    assert g.value[output].shape == g.shape[output] == np.shape(expected)
    assert g.value[output].dtype == g.dtype[output] == dtype


@every_case
def test_gradient_agrees_with_central_differences(name, shapes, attributes):
    assert_gradient(name, shapes, attributes)


@every_case
def test_gradient_graph_is_run_grad_bit_for_bit(name, shapes, attributes):
    g, leaves, output = build(name, draw(shapes), attributes)
    weights = g.tensor(np.random.default_rng(1).normal(size=g.shape[output]))
    loss = g.sum(g.mul(weights, output))
    gradients = g.grad_graph(loss, leaves)
    program = compile(g, inputs=leaves, outputs=gradients)
    compiled = program(*[g.value[leaf] for leaf in leaves])
    g.run_grad(loss)
    run_grad = [g.grad[leaf] for leaf in leaves]
    for leaf, gradient, expected, result in zip(leaves, gradients, run_grad, compiled, strict=True):
        g.run_eval(gradient)
        assert g.shape[gradient] == g.shape[leaf]
        np.testing.assert_array_equal(g.value[gradient], expected)
        np.testing.assert_array_equal(result, expected)


@every_case
def test_second_gradient_agrees_with_central_differences(name, shapes, attributes):
    operands = draw(shapes)

    def directional(*operands):
        """Build the derivative of the loss along a fixed direction of all operands."""
        g, leaves, output = build(name, operands, attributes)
        rng = np.random.default_rng(2)
        loss = g.sum(g.mul(output, g.tensor(rng.normal(size=g.shape[output]))))
        total = g.tensor(0.0)
        for gradient in g.grad_graph(loss, leaves):
            direction = g.tensor(rng.normal(size=g.shape[gradient]))
            total = g.add(total, g.sum(g.mul(gradient, direction)))
        return g, leaves, total

    def value(*operands):
        g, _, total = directional(*operands)
        g.run_eval(total)
        return g.value[total]

    g, leaves, total = directional(*operands)
    seconds = g.grad_graph(total, leaves)
    for second, expected in zip(seconds, central_differences(value, operands), strict=True):
        g.run_eval(second)
        np.testing.assert_allclose(g.value[second], expected, rtol=0, atol=TOLERANCE)


@every_case
def test_forward_writes_into_out(name, shapes, attributes):
    op, operands = OPS[name], draw(shapes)
    if op.view and name != "reshape":
        assert np.may_share_memory(op.forward(*operands, **attributes), operands[0])
        return
    expected = op.forward(*operands, **attributes)
    out = np.full(np.shape(expected), np.nan)
    assert op.forward(*operands, out, **attributes) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", OPS)
def test_every_row_is_tested_and_is_a_documented_method(name):
    assert name in {case[0] for case in CASES}
    assert OPS[name].formula in getattr(Graph, name).__doc__.splitlines()[0]


@pytest.mark.parametrize("name", ["mul", "matmul", "square"])
def test_check_rejects_a_gradient_off_by_a_thousandth(name, monkeypatch):
    op = OPS[name]

    def wrong(ops, upstream, *rest, **attributes):
        right = op.gradients[0](ops, upstream, *rest, **attributes)
        return ops.mul(right, ops.constant(1.001, right))

    broken = dataclasses.replace(op, gradients=(wrong, *op.gradients[1:]))
    monkeypatch.setitem(OPS, name, broken)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_gradient(name, [(2, 2)] * len(op.gradients), {})


def test_relu_has_slope_0_at_0_and_passes_nan_on():
    g = Graph()
    x = g.tensor([-1.0, 0.0, 2.0, np.nan])
    output = g.relu(x)
    g.run_grad(output, np.ones(4))
    np.testing.assert_array_equal(g.value[output], [0, 0, 2, np.nan])
    np.testing.assert_array_equal(g.grad[x], [0, 0, 1, np.nan])


@pytest.mark.parametrize("columns", [8, 16, 24])
def test_a_sum_over_rows_adds_them_in_order(columns):
    x = np.random.default_rng(0).normal(size=(1000, columns))
    g = Graph()
    total = g.sum(g.tensor(x), axis=0)
    g.run_eval(total)
    expected = np.zeros(columns)
    for row in x:
        expected = expected + row
    np.testing.assert_array_equal(g.value[total], expected)
