"""Every operation with all shapes, against NumPy, SciPy, mpmath and finite differences."""

import mpmath
import numpy as np
import pytest
import scipy.special

from nnlib import Graph, Program, compile  # noqa: A004
from nnlib.cases import CASES, operands
from nnlib.check import check_operation
from nnlib.ops import OPS

EPS = np.finfo(float).eps


def scattered(part, key, shape):
    """Zeros with a part at the indices of a key, element by element."""
    found = np.zeros(shape, part.dtype)
    for index in np.ndindex(part.shape):
        found[tuple(each[k] for each, k in zip(key, index, strict=True))] = part[index]
    return found


NUMPY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "maximum": lambda a, b: np.where(a > b, a, b),
    "is_larger": lambda a, b: np.asarray(a > b, np.result_type(a, b)),
    "gate": lambda a, b: a * b,
    "matmul": lambda a, b: a @ b,
    "neg": lambda a: -a,
    "relu": lambda a: np.where(a > 0, a, 0),
    "step": lambda a: np.where(a > 0, 1.0, 0.0),
    "abs": lambda a: np.where(a > 0, a, -a),
    "sign": lambda a: np.where(a > 0, 1.0, -1.0),
    "square": lambda a: a * a,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "cast": lambda a, dtype: a.astype(dtype),
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "is_largest": lambda a, axis: (a == np.max(a, axis, keepdims=True)).astype(a.dtype),
    "where": np.where,
    "transpose": np.transpose,
    "reshape": np.reshape,
    "broadcast_to": np.broadcast_to,
    "getitem": lambda a, key: a[tuple(slice(k.start, k.stop, k.step) for k in key)],
    "embed": lambda *parts, keys, shape: sum(
        scattered(part, key, shape) for part, key in zip(parts, keys, strict=True)
    ),
    "log_softmax": scipy.special.log_softmax,
    "mean_squared_error": lambda a, b: np.mean((a - b) ** 2),
    "softmax_cross_entropy": lambda a, b: (
        -np.sum(b * scipy.special.log_softmax(a, axis=-1)) / (a.size // a.shape[-1])
    ),
}
# The others are the same operations of IEEE 754 in the same order. These may be in error by some
# units in the last place of numbers up to 10, in NumPy and here.
ROUNDED = ("sigmoid", "log_softmax", "softmax_cross_entropy")
every_case = pytest.mark.parametrize(("name", "shapes", "attributes"), CASES)


def operands_of(name, shapes, dtype=np.float64):
    return operands(name, shapes, np.random.default_rng(0), dtype)


def build(name, operands, attributes):
    g = Graph()
    leaves = [g.tensor(x) for x in operands]
    return g, leaves, getattr(g, name)(*leaves, **attributes)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_shape_and_type_are_those_of_numpy(name, shapes, attributes, dtype):
    operands = operands_of(name, shapes, dtype)
    g, _, output = build(name, operands, attributes)
    assert g.value[output] is None
    g.run_eval(output)
    expected = NUMPY[name](*operands, **attributes)
    tolerance = 20 * np.finfo(dtype).eps if name in ROUNDED else 0
    np.testing.assert_allclose(g.value[output], expected, rtol=tolerance, atol=tolerance)
    assert g.value[output].shape == g.shape[output] == np.shape(expected)
    assert g.value[output].dtype == g.dtype[output] == attributes.get("dtype", dtype)


@every_case
def test_gradient_agrees_with_differences(name, shapes, attributes):
    gradient, _ = check_operation(name, shapes, attributes)
    gradient.raise_if_failed()


@every_case
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_gradient_graph_is_run_grad_bit_for_bit(name, shapes, attributes, dtype):
    g, leaves, output = build(name, operands_of(name, shapes, dtype), attributes)
    weights = np.random.default_rng(1).normal(size=g.shape[output]).astype(dtype)
    loss = g.sum(g.mul(g.tensor(weights), output))
    gradients = g.grad_graph(loss, leaves)
    program = Program(g, inputs=leaves, outputs=[output, *gradients])
    value, *compiled = program(*[g.value[leaf] for leaf in leaves])
    g.run_grad(loss)
    np.testing.assert_array_equal(value, g.value[output])
    run_grad = [g.grad[leaf] for leaf in leaves]
    for leaf, gradient, expected, result in zip(leaves, gradients, run_grad, compiled, strict=True):
        g.run_eval(gradient)
        assert g.shape[gradient] == g.shape[leaf]
        assert expected.dtype == g.value[gradient].dtype == dtype
        np.testing.assert_array_equal(g.value[gradient], expected)
        np.testing.assert_array_equal(result, expected)


@every_case
def test_second_gradient_agrees_with_differences(name, shapes, attributes):
    _, second = check_operation(name, shapes, attributes)
    second.raise_if_failed()


@every_case
def test_forward_writes_into_out(name, shapes, attributes):
    op, operands = OPS[name], operands_of(name, shapes)
    if op.view and name != "reshape":
        assert np.may_share_memory(op.forward(*operands, **attributes), operands[0])
        return
    room = [] if op.temporaries is None else op.temporaries(*shapes, **attributes)
    # Whatever stood in the arrays before must not matter.
    temporaries = [np.full(shape, np.nan) for shape in room]
    expected = op.forward(*operands, None, *temporaries, **attributes)
    out = np.full_like(expected, np.nan)
    temporaries = [np.full(shape, np.nan) for shape in room]
    assert op.forward(*operands, out, *temporaries, **attributes) is out
    np.testing.assert_array_equal(out, expected)


def test_every_row_is_tested():
    assert {case[0] for case in CASES} | {"one_hot"} == set(OPS)


@pytest.mark.parametrize("name", OPS)
def test_every_row_is_a_documented_method(name):
    assert OPS[name].formula in getattr(Graph, name).__doc__.splitlines()[0]


# Kinks, poles and extremes


@pytest.mark.parametrize(
    ("name", "slopes"), [("relu", [0, 0, 1, np.nan]), ("abs", [-1, 0, 1, np.nan])]
)
def test_slope_0_at_the_kink_and_nan_is_passed_on(name, slopes):
    g = Graph()
    x = g.tensor([-1.0, 0.0, 2.0, np.nan])
    g.run_grad(getattr(g, name)(x), np.ones(4))
    np.testing.assert_array_equal(g.grad[x], slopes)


def test_where_both_are_the_maximum_each_has_half_the_slope():
    g = Graph()
    a, b = g.tensor([1.0, 2.0, 3.0]), g.tensor(2.0)
    g.run_grad(g.maximum(a, b), [1, 10, 100])
    np.testing.assert_array_equal(g.grad[a], [0, 5, 100])
    assert g.grad[b] == 1 + 5


def test_where_several_are_the_largest_each_has_an_equal_part_of_the_slope():
    g = Graph()
    a = g.tensor([[1.0, 3.0, 3.0], [5.0, 2.0, np.inf], [4.0, 4.0, 4.0], [0.0, np.nan, 1.0]])
    g.run_grad(g.max(a, axis=1), [1, 10, 100, 1000])
    third = 100 * (1 / 3)
    expected = [[0, 0.5, 0.5], [0, 0, 10], [third, third, third], [np.nan, np.nan, np.nan]]
    np.testing.assert_array_equal(g.grad[a], expected)


@pytest.mark.parametrize(("shape", "axis"), [((0,), None), ((2, 0), 1), ((0, 3), (0, 1))])
def test_nothing_has_no_largest(shape, axis):
    g = Graph()
    a = g.tensor(np.zeros(shape))
    for operation in (g.max, g.is_largest):
        with pytest.raises(ValueError, match="there is nothing to choose from along axis"):
            operation(a, axis)


def test_what_is_not_chosen_passes_no_gradient_however_large():
    g = Graph()
    x = g.tensor([-1.0, 0.0, 4.0])
    root = g.sqrt(g.where(g.step(x), x, g.tensor(0.0)))
    (slope,) = g.grad_graph(g.sum(root), [x])
    (curvature,) = g.grad_graph(g.sum(slope), [x])
    with np.errstate(all="ignore"):
        values, slopes, curvatures = Program(g, [x], [root, slope, curvature])([-1, 0, 4])
    np.testing.assert_array_equal(values, [0, 0, 2])
    np.testing.assert_array_equal(slopes, [0, 0, 1 / 4])
    np.testing.assert_array_equal(curvatures, [0, 0, -1 / 32])
    g.run_grad(g.sum(slope))
    np.testing.assert_array_equal(g.grad[x], [0, 0, -1 / 32])


@pytest.mark.parametrize(
    ("kinds", "expected"), [("888", "f8"), ("844", "f4"), ("448", "f8"), ("484", "f8")]
)
def test_the_type_is_that_of_the_values_and_nan_and_tiny_numbers_are_not_0(kinds, expected):
    g = Graph()
    condition, a, b = (g.tensor(np.zeros(3, f"f{k}")) for k in kinds)
    g.set(condition, [np.nan, 1e-300 if kinds[0] == "8" else 1e-40, -0.0])
    g.set(a, [1, 2, 3])
    output = g.where(condition, a, b)
    g.run_grad(output, [1, 1, 1])
    np.testing.assert_array_equal(g.value[output], [1, 2, 0])
    assert g.value[output].dtype == g.dtype[output] == expected
    np.testing.assert_array_equal(g.grad[a], [1, 1, 0])
    np.testing.assert_array_equal(g.grad[b], [0, 0, 1])
    np.testing.assert_array_equal(g.grad[condition], [0, 0, 0])
    (found,) = Program(g, [condition, a, b], [output])(*(g.value[i] for i in (condition, a, b)))
    np.testing.assert_array_equal(found, [1, 2, 0])


def test_both_infinite_are_equal():
    g = Graph()
    a, b = g.tensor([np.inf, -np.inf, np.inf, 1.0]), g.tensor([np.inf, -np.inf, 1.0, np.nan])
    output = g.maximum(a, b)
    g.run_grad(output, np.ones(4))
    np.testing.assert_array_equal(g.value[output], [np.inf, -np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(g.grad[a], [0.5, 0.5, 1, np.nan])
    np.testing.assert_array_equal(g.grad[b], [0.5, 0.5, 0, np.nan])


# f, and f′ and f″ at −1, 0 and 4. Where a = 0 = b, max(a, b) passes half on. PyTorch has the same
# slopes (tools/autograd/derivatives.yaml: threshold_backward for relu, masked_fill_ for maximum),
# but NaN for √|a| at 0, where it multiplies by the sign.
MASKED = {
    "√relu(a)": (lambda g, a: g.sqrt(g.relu(a)), [0, 0, 1 / 4], [0, 0, -1 / 32]),
    "√max(a, 0)": (
        lambda g, a: g.sqrt(g.maximum(a, g.tensor(0.0))),
        [0, np.inf, 1 / 4],
        [0, -np.inf, -1 / 32],
    ),
    "ln max(a, 0)": (
        lambda g, a: g.log(g.maximum(a, g.tensor(0.0))),
        [0, np.inf, 1 / 4],
        [0, -np.inf, -1 / 16],
    ),
    "1/relu(a)": (lambda g, a: g.div(g.tensor(1.0), g.relu(a)), [0, 0, -1 / 16], [0, 0, 1 / 32]),
    "ln relu(a)": (lambda g, a: g.log(g.relu(a)), [0, 0, 1 / 4], [0, 0, -1 / 16]),
    "√|a|": (lambda g, a: g.sqrt(g.abs(a)), [-1 / 2, 0, 1 / 4], [-1 / 4, 0, -1 / 32]),
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_masked_operand_passes_no_gradient(name, dtype):
    build, slopes, curvatures = MASKED[name]
    g = Graph()
    a = g.tensor(np.array([-1, 0, 4], dtype))
    output = g.sum(build(g, a))
    (slope,) = g.grad_graph(output, [a])
    (curvature,) = g.grad_graph(g.sum(slope), [a])
    g.run_grad(output)
    np.testing.assert_array_equal(g.grad[a], slopes)
    g.run_eval(slope)
    np.testing.assert_array_equal(g.value[slope], slopes)
    with np.errstate(all="ignore"):
        found = Program(g, [a], [slope, curvature])([-1, 0, 4])
    np.testing.assert_array_equal(found[0], slopes)
    np.testing.assert_array_equal(found[1], curvatures)
    g.run_grad(g.sum(slope))
    np.testing.assert_array_equal(g.grad[a], curvatures)


def test_a_gate_that_is_shut_lets_nothing_through():
    g = Graph()
    a = g.tensor([np.inf, -np.inf, np.nan, np.inf, np.nan, 3.0])
    output = g.gate(a, g.tensor([0.0, 0.0, 0.0, 0.5, 2.0, -1.0]))
    g.run_eval(output)
    np.testing.assert_array_equal(g.value[output], [0, 0, 0, np.inf, np.nan, -3])


def test_ones_are_left_out_of_a_gate_in_a_program_as_from_a_product():
    g = Graph()
    a = g.tensor([-1.0, 0.0, 4.0])
    (slope,) = g.grad_graph(g.sum(g.relu(a)), [a])
    program = Program(g, [a], [slope])
    assert [line.split(" = ")[1][:4] for line in program.instructions] == ["step"]
    np.testing.assert_array_equal(program([-1, 0, 4])[0], [0, 0, 1])


@pytest.mark.parametrize("x", [-745.0, -700.0, -40.0, -1e-20, 0.0, 0.3, 36.0, 40.0, 1000.0])
def test_sigmoid_is_accurate_at_both_ends(x):
    g = Graph()
    a = g.tensor(x)
    output = g.sigmoid(a)
    g.run_grad(output)
    exact = 1 / (1 + mpmath.exp(-mpmath.mpf(x)))
    # Where e⁻ˣ overflows, the exact value is below the smallest normal number.
    assert abs(g.value[output] - exact) <= 4 * EPS * exact + np.finfo(float).tiny
    assert abs(g.grad[a] - exact * (1 - exact)) <= 4 * EPS * exact + np.finfo(float).tiny


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "logits", [[[1000, -1000, 0]], [[-1000, -1000, -999]], [[1000, 1000, 1e4]]]
)
@pytest.mark.parametrize("labels", [[0], [2], [[0.5, 0.25, 0.25]]])
def test_extreme_logits_give_finite_losses_and_gradients(logits, labels, dtype):
    g = Graph()
    x = g.tensor(np.array(logits, dtype))
    loss = g.softmax_cross_entropy(x, g.tensor(np.array(labels, dtype)))
    g.run_grad(loss)
    (row,), (label,) = logits, labels
    weights = label if np.ndim(label) else np.eye(3)[label]
    with mpmath.workdps(1000):
        log_sum = mpmath.log(sum(mpmath.exp(z) for z in row))
        exact = float(sum(p * (log_sum - z) for p, z in zip(weights, row, strict=True)))
        softmax = [float(mpmath.exp(z - log_sum)) for z in row]
    eps = np.finfo(dtype).eps
    # Beside a logit of size 1e4, rounding is eps times that.
    np.testing.assert_allclose(g.value[loss], exact, rtol=4 * eps, atol=1e4 * eps)
    np.testing.assert_allclose(g.grad[x], [np.subtract(softmax, weights)], atol=8 * eps)
    assert g.value[loss].dtype == g.grad[x].dtype == dtype


def test_a_class_without_a_chance_costs_nothing_unless_it_is_the_label():
    g = Graph()
    x = g.tensor([[1.0, -np.inf, 0.0]])
    for label, expected in ((0, np.log1p(np.exp(-1.0))), (1, np.inf)):
        loss = g.softmax_cross_entropy(x, g.tensor([label]))
        g.run_grad(loss)
        assert g.value[loss] == pytest.approx(expected, rel=4 * EPS)
        softmax = np.array([[1, 0, np.exp(-1)]]) / (1 + np.exp(-1))
        np.testing.assert_allclose(g.grad[x], softmax - np.eye(3)[[label]], atol=2 * EPS)


def test_cross_entropy_is_the_mean_over_all_rows_whether_labels_are_numbers_or_probabilities():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 3, 4)), rng.integers(4, size=(2, 3))
    g = Graph()
    x = g.tensor(logits)
    by_number = g.softmax_cross_entropy(x, g.tensor(labels))
    by_probability = g.softmax_cross_entropy(x, g.tensor(np.eye(4)[labels]))
    log_probabilities = scipy.special.log_softmax(logits, axis=-1)
    expected = -np.mean(np.take_along_axis(log_probabilities, labels[..., None], -1))
    for loss in (by_number, by_probability):
        g.run_grad(loss)
        assert g.value[loss] == pytest.approx(expected, rel=10 * EPS)
        softmax = np.exp(log_probabilities)
        np.testing.assert_allclose(g.grad[x], (softmax - np.eye(4)[labels]) / 6, atol=2 * EPS)


def test_float16_is_computed_with_in_float32():
    """70,000 is beyond its range, and of whole numbers above 2,048 it has every other one."""
    g = Graph()
    ones = g.tensor(np.ones(70_000, np.float16))
    mean = g.mean(ones)
    g.run_grad(mean)
    assert g.value[mean] == 1
    np.testing.assert_array_equal(g.grad[ones], np.full(70_000, np.float32(1 / 70_000)))

    rows = g.tensor(np.zeros((70_000, 2), np.float16))
    loss = g.softmax_cross_entropy(rows, g.tensor(np.zeros(70_000, int)))
    g.run_grad(loss)
    assert g.value[loss] == pytest.approx(np.log(2), rel=2e-6)
    np.testing.assert_allclose(g.grad[rows][0], [-0.5 / 70_000, 0.5 / 70_000], rtol=1e-6)

    logits, labels = g.tensor(np.zeros((2, 3000), np.float16)), g.tensor([2049, 2999])
    loss = g.softmax_cross_entropy(logits, labels)
    g.run_grad(loss)
    expected = (1 / 3000 - np.eye(3000)[[2049, 2999]]) / 2
    np.testing.assert_allclose(g.grad[logits], expected, rtol=1e-6)
    compiled = compile(g, loss, [logits])(np.zeros((2, 3000), np.float16))[0]
    np.testing.assert_array_equal(compiled, g.grad[logits])
    assert {g.dtype[i] for i in (ones, mean, logits, loss)} == {np.dtype(np.float32)}


def test_more_classes_than_a_type_has_whole_numbers_are_refused():
    g = Graph()
    single, double = g.tensor(np.zeros(1, np.float32)), g.tensor(np.zeros(1))
    assert g.shape[g.one_hot(single, 2**24 + 1)] == (1, 2**24 + 1)
    assert g.shape[g.one_hot(double, 2**24 + 2)] == (1, 2**24 + 2)
    with pytest.raises(ValueError, match="float32 has all whole numbers up to 16777216 only"):
        g.one_hot(single, 2**24 + 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_hot(dtype):
    g = Graph()
    labels = g.tensor(np.array([[0, 2], [1, 1]], dtype))
    output = g.one_hot(labels, 3)
    g.run_grad(output, np.ones((2, 2, 3)))
    np.testing.assert_array_equal(g.value[output], np.eye(3)[[[0, 2], [1, 1]]])
    assert g.value[output].dtype == dtype
    np.testing.assert_array_equal(g.grad[labels], np.zeros((2, 2)))


@pytest.mark.parametrize("label", [-1, 3, 0.5, np.nan])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_label_that_is_no_class_is_refused(label, compiled):
    g = Graph()
    labels = g.tensor([0.0, 1.0])
    output = g.softmax_cross_entropy(g.tensor(np.zeros((2, 3))), labels)
    program = Program(g, [labels], [output])
    g.set(labels, [2, label])
    with pytest.raises(ValueError, match="labels must be whole numbers from 0 to 2"):
        program([2, label]) if compiled else g.run_eval(output)


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
