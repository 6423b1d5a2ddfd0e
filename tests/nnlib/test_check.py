"""The gradient check: right gradients pass, and every kind of wrong gradient is rejected."""

import dataclasses
import re

import numpy as np
import pytest

import nnlib.check
import nnlib.graph
from nnlib import Graph, ops
from nnlib.check import check_gradients
from nnlib.ops import OPS


def network(dtype=np.float64):
    """Return the network (21) with a squared error, and its parameters."""
    rng = np.random.default_rng(0)
    g = Graph()
    shapes = {"x": (6, 3), "w1": (3, 5), "b1": (5,), "w2": (5, 2), "b2": (2,), "y": (6, 2)}
    leaves = {name: g.tensor(rng.normal(size=shapes[name]).astype(dtype), name) for name in shapes}
    x, w1, b1, w2, b2, y = leaves.values()
    output = g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)
    return g, leaves, g.mean_squared_error(output, y)


def break_gradient(monkeypatch, name, change):
    """Replace the gradient for the first operand of an operation by `change` of it."""
    op = OPS[name]

    def broken(ops, upstream, *rest, **attributes):
        return change(ops, op.gradients[0](ops, upstream, *rest, **attributes))

    row = dataclasses.replace(op, gradients=(broken, *op.gradients[1:]))
    monkeypatch.setitem(OPS, name, row)


def one_coordinate(_, gradient):
    gradient = np.array(gradient)
    gradient.flat[-1] *= 1.001
    return gradient


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["central", "forward"])
def test_right_gradients_pass_and_every_coordinate_is_compared(method, dtype):
    g, _, loss = network(dtype)
    report = check_gradients(g, loss, method=method)
    report.raise_if_failed()
    assert report.passed
    assert report.coordinates == 18 + 15 + 5 + 10 + 2 + 12


@pytest.mark.parametrize("method", ["central", "forward"])
@pytest.mark.parametrize("name", ["matmul", "add", "relu"])
@pytest.mark.parametrize(
    "change",
    [
        lambda ops, gradient: ops.mul(gradient, ops.constant(1.001, gradient)),
        lambda ops, gradient: ops.neg(gradient),
        one_coordinate,
    ],
    ids=["factor", "sign", "one coordinate"],
)
def test_a_wrong_gradient_is_rejected(name, change, method, monkeypatch):
    break_gradient(monkeypatch, name, change)
    g, leaves, _ = network()
    x, w1, b1 = (leaves[key] for key in ("x", "w1", "b1"))
    # Linear in every coordinate, so that a forward difference is exact too.
    report = check_gradients(g, g.relu(g.add(g.matmul(x, w1), b1)), method=method)
    assert not report.passed
    with pytest.raises(AssertionError, match=r"failed: 38 coordinates, largest error"):
        report.raise_if_failed()


@pytest.mark.parametrize(
    ("forgotten", "message"),
    [
        (lambda ops, gradient, shape: gradient, r"\(b1\) has shape \(6, 5\), not \(5,\)"),
        (
            lambda ops, gradient, shape: gradient if gradient.shape == shape else gradient[0],
            r"\(b1\) \[\d\]: gradient",
        ),
    ],
)
def test_a_forgotten_sum_over_a_broadcast_axis_is_rejected(forgotten, message, monkeypatch):
    monkeypatch.setattr(nnlib.graph, "sum_to_shape", forgotten)
    g, leaves, loss = network()
    with pytest.raises(AssertionError, match=message):
        check_gradients(g, loss, [leaves["b1"]]).raise_if_failed()


def test_a_fan_out_that_overwrites_instead_of_adding_is_rejected(monkeypatch):
    g = Graph()
    x = g.tensor([1.0, 2.0], "x")
    output = g.mul(x, g.square(x))
    check_gradients(g, output).raise_if_failed()
    monkeypatch.setattr(ops.ARRAYS, "add", lambda first, second: second)
    assert not check_gradients(g, output).passed


def test_the_report_says_where_and_what(monkeypatch):
    break_gradient(monkeypatch, "square", one_coordinate)
    g = Graph()
    x = g.tensor([[1.0, 2.0], [3.0, 500.0]], "x")
    report = check_gradients(g, g.square(x), grad=np.ones((2, 2)))
    assert (report.name, report.vertex, report.index) == ("x", x, (1, 1))
    assert report.gradient == 1.001 * 1000
    assert report.difference == pytest.approx(1000, abs=report.tolerance)
    assert report.largest_error == pytest.approx(1, abs=report.tolerance)
    assert str(report).startswith("failed: 4 coordinates, largest error 1 (tolerance ")
    assert f"at vertex 0 (x) [1, 1]: gradient {1.001 * 1000}, difference " in str(report)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_tolerance_follows_the_step_and_the_scale(scale, dtype):
    # The truncation of a forward difference of e^x is e^x h/2, that of a central one e^x h²/6.
    g = Graph()
    x = g.tensor(np.array([0.5, 1.0], dtype), "x")
    output = g.mul(g.exp(x), g.tensor(np.array(scale, dtype)))
    tolerances = []
    for step in (0.1, 0.05):
        for method in ("central", "forward"):
            report = check_gradients(g, output, [x], np.ones(2), method, step)
            assert 0 < report.largest_error <= report.tolerance
            tolerances.append(report.tolerance)
    assert tolerances[0] / tolerances[2] == pytest.approx(4, rel=0.2)
    assert tolerances[1] / tolerances[3] == pytest.approx(2, rel=0.2)
    assert max(tolerances) < 0.4 * scale * np.e


def test_central_differences_of_a_quadratic_are_exact_with_a_large_step():
    g = Graph()
    x = g.tensor([1.0, 2.0, -3.0])
    report = check_gradients(g, g.sum(g.square(x)), step=1e-2)
    report.raise_if_failed()
    assert report.largest_error < 1e-12


@pytest.mark.parametrize(("value", "says"), [(0.0, "gradient 0.0"), (1e-5, "a step twice as long")])
def test_a_kink_within_the_step_does_not_pass(value, says):
    g = Graph()
    report = check_gradients(g, g.relu(g.tensor([1.0, value])), grad=np.ones(2))
    assert not report.passed
    assert says in str(report)


@pytest.mark.parametrize("factor", [-1.0, 3.0, 1.001])
def test_weights_of_zero_hide_no_wrong_gradient(factor, monkeypatch):
    """The output is 0, and where its differences are exactly right so is every tolerance."""
    op = OPS["matmul"]
    first, second = op.gradients

    def broken(ops, *rest):
        right = second(ops, *rest)
        return ops.mul(right, ops.constant(factor, right))

    monkeypatch.setitem(OPS, "matmul", dataclasses.replace(op, gradients=(first, broken)))
    g = Graph()
    x, w = g.tensor(np.random.default_rng(0).normal(size=(4, 3))), g.tensor(np.zeros((3, 2)))
    assert not check_gradients(g, g.matmul(x, w)).passed


def test_a_gradient_that_drowns_in_rounding_does_not_pass():
    g = Graph()
    x = g.tensor(0.3, "x")
    small = g.mul(g.tanh(x), g.tensor(1e-10))
    report = check_gradients(g, g.add(small, g.tensor(1.0)), [x])
    assert not report.passed
    assert "the output's rounding is as large" in str(report)
    assert check_gradients(g, small, [x]).passed


@pytest.mark.parametrize("factor", [1.0, 1.5, -1.0, 100.0])
def test_a_coordinate_too_small_to_be_resolved_beside_the_others_is_named(factor, monkeypatch):
    """Rounding of the output, about 1e-16 · 1e6 / 1e-5, is as large as the second gradient."""
    break_gradient(
        monkeypatch, "neg", lambda ops, gradient: ops.mul(gradient, ops.constant(factor, gradient))
    )
    g = Graph()
    a, b = g.tensor(2.0, "a"), g.tensor([3.0], "b")
    small = g.mul(g.neg(b), g.tensor(1e-6))
    report = check_gradients(g, g.add(g.mul(a, g.tensor(1e6)), small), grad=[1.0])
    assert not report.passed
    assert report.unresolved == ("vertex 1 (b) [0]",)
    assert "1 unresolved, for the output's rounding is as large as" in str(report)
    assert report.largest_error <= report.tolerance
    # Alone it is resolved.
    assert check_gradients(g, small, [b], grad=[1.0]).passed == (factor == 1.0)


def test_a_small_gradient_that_agrees_is_resolved():
    g = Graph()
    a, b = g.tensor(2.0, "a"), g.tensor([3.0], "b")
    output = g.add(g.mul(a, g.tensor(1e3)), g.mul(b, g.tensor(1e-4)))
    # Rounding is 1e-4 of it, and the tolerance of a hundred of them 1e-2.
    check_gradients(g, output, grad=[1.0]).raise_if_failed()


def test_single_precision_is_checked_in_double():
    """With eps of float32, 1e-7 / 1e-5 would be too much to see a slope of 1e-3."""
    g = Graph()
    x, labels = g.tensor(np.float32([1.0, 2.0]), "x"), g.tensor(np.float32([1.0]))
    small = g.mul(g.cast(g.square(x), np.float32), g.tensor(np.float32(1e-3)))
    output = g.add(g.sum(small), g.softmax_cross_entropy(g.reshape(x, (1, 2)), labels))
    g.run_grad(output)
    before = list(g.value), list(g.grad), list(g.dtype), list(g.attributes)
    report = check_gradients(g, output, [x], grad=1.0)
    report.raise_if_failed()
    assert report.largest_error < 1e-9
    assert all(
        one is other
        for kept, now in zip(before, (g.value, g.grad, g.dtype, g.attributes), strict=True)
        for one, other in zip(kept, now, strict=True)
    )


def test_no_more_than_five_unresolved_coordinates_are_named():
    g = Graph()
    b = g.tensor(np.ones(9), "b")
    small = g.sum(g.mul(g.square(b), g.tensor(1e-13)))
    report = check_gradients(g, g.add(small, g.tensor(1.0)), [b])
    assert len(report.unresolved) == 9
    assert "vertex 0 (b) [4] and 4 more" in str(report)


@pytest.mark.parametrize("method", ["central", "forward"])
@pytest.mark.parametrize("weight", [1.0, 1e-3])
@pytest.mark.parametrize(
    "kinked",
    [
        lambda g, x: g.abs(x),
        lambda g, x: g.relu(x),
        lambda g, x: g.maximum(x, g.tensor(0.0)),
        lambda g, x: g.maximum(g.tensor(0.0), g.square(g.square(x))),
        lambda g, x: g.sqrt(g.abs(x)),
        lambda g, x: g.neg(g.relu(g.neg(x))),
    ],
)
def test_a_kink_is_found_though_central_differences_agree_with_its_slope(kinked, weight, method):
    """Of |a| at 0 and of ties of the maximum, the slope is the mean of those on both sides."""
    g = Graph()
    x, weights = g.tensor([1.5, 0.0], "x"), g.tensor([1.0, weight])
    output = g.add(kinked(g, x), g.exp(x))
    smooth = "square" in g.name
    report = check_gradients(g, output, [x], grad=g.value[weights], method=method)
    assert report.passed == smooth
    if not smooth:
        assert report.index == (1,)
        assert "the slope jumps here, so there is none to compare with" in str(report)


def test_a_tie_of_two_leaves_is_a_kink():
    g = Graph()
    a, b = g.tensor([1.0, 2.0], "a"), g.tensor([3.0, 2.0], "b")
    report = check_gradients(g, g.maximum(a, b))
    assert not report.passed
    assert (report.name, report.index) == ("a", (1,))
    # Along both at once there is none.
    twice = Graph()
    x = twice.tensor([1.0, 2.0])
    check_gradients(twice, twice.maximum(x, x)).raise_if_failed()


@pytest.mark.parametrize("step", [None, 0.1])
def test_points_of_inflection_are_no_kinks(step):
    """f″ = 0, and near it f″ and the next term of the jump, f⁗h³/12, nearly cancel."""
    g = Graph()
    x = g.tensor(np.concatenate([[0.0], np.linspace(0.001, 0.01, 40)]), "x")
    fourth = g.square(g.square(x))
    output = g.sub(g.add(fourth, x), g.mul(g.square(x), g.tensor(0.03)))
    report = check_gradients(g, output, grad=np.ones(41), step=step)
    assert "jumps" not in str(report)


def test_a_gradient_that_is_not_a_number_does_not_pass():
    g = Graph()
    assert not check_gradients(g, g.sqrt(g.tensor([1.0, 0.0]))).passed
    assert not check_gradients(g, g.log(g.tensor([1.0, -1.0]))).passed


@pytest.mark.parametrize("method", ["central", "forward"])
def test_a_step_that_rounding_swallows_does_not_pass(method):
    g = Graph()
    report = check_gradients(g, g.square(g.tensor(1e20)), method=method, step=1e-3)
    assert not report.passed
    assert np.isnan(report.difference)


def test_the_graph_is_left_as_it_was():
    g, _, loss = network()
    g.run_grad(loss)
    before = len(g), list(g.value), list(g.grad)
    check_gradients(g, loss)
    after = len(g), list(g.value), list(g.grad)
    assert before[0] == after[0]
    assert all(a is b for a, b in zip(before[1] + before[2], after[1] + after[2], strict=True))


def test_labels_are_no_coordinates_and_arrays_without_elements_have_none():
    g = Graph()
    logits, labels, empty = (g.tensor(x) for x in (np.ones((2, 3)), [0, 2], np.ones((0, 2))))
    report = check_gradients(g, g.softmax_cross_entropy(logits, labels))
    assert report.passed
    assert report.coordinates == 6
    report = check_gradients(g, g.exp(empty))
    assert report.passed
    assert str(report) == "passed: no coordinate was compared"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "backward"}, "method='backward' must be 'central' or 'forward'"),
        ({"step": 0.0}, "step=0.0 must be a positive number"),
        ({"step": float("nan")}, "step=nan must be a positive number"),
        ({"wrt": []}, "wrt=[] must be one leaf or more"),
        ({"wrt": lambda output: [output]}, "wrt=[1] must be one leaf or more"),
        ({"wrt": [7]}, "expected a vertex, as tensor and the operations return it, not 7"),
        ({"grad": [1.0]}, "grad has shape (1,)"),
        ({"step": True}, "step=True must be a positive number"),
        ({"grad": [True, False]}, "expected integers or floats, not values of type bool"),
    ],
)
def test_bad_options_are_refused(options, message):
    g = Graph()
    output = g.square(g.tensor([1.0, 2.0]))
    given = {key: value(output) if callable(value) else value for key, value in options.items()}
    with pytest.raises(ValueError, match=re.escape(message)):
        check_gradients(g, output, **given)


def test_the_command_prints_a_row_a_case(capsys):
    assert nnlib.check.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(nnlib.check.CASES) + 2
    assert lines[-1] == f"{len(nnlib.check.CASES)} cases, all passed"
    assert {line.split()[0] for line in lines[1:-1]} == set(OPS) - {"one_hot"}


def test_the_command_fails_with_a_wrong_gradient(monkeypatch, capsys):
    break_gradient(monkeypatch, "tanh", lambda ops, gradient: ops.neg(gradient))
    monkeypatch.setattr(nnlib.check, "CASES", [("tanh", [(3,)], {}), ("exp", [(3,)], {})])
    break_gradient(
        monkeypatch, "exp", lambda ops, gradient: ops.mul(gradient, ops.constant(1.001, gradient))
    )
    assert nnlib.check.main() == 1
    out = capsys.readouterr().out
    assert out.count("FAILED") == 2
    assert "2 cases, 2 failed" in out


def test_the_default_step_of_forward_differences_is_the_courseworks():
    g = Graph()
    x = g.tensor([0.5, -1.0])
    loss = g.sum(g.exp(x))
    by_default = check_gradients(g, loss, method="forward")
    assert by_default == check_gradients(g, loss, method="forward", step=1e-3)
    assert by_default != check_gradients(g, loss, method="forward", step=2e-3)


def test_the_step_grows_with_the_input():
    g = Graph()
    x = g.tensor([1e9, -2e9])
    check_gradients(g, g.sum(g.square(x)), grad=1.0).raise_if_failed()


@pytest.mark.parametrize(
    ("method", "power", "order", "factor"), [("central", 3, 2, 3), ("forward", 2, 1, 2)]
)
def test_the_tolerance_is_three_or_two_times_the_truncation(method, power, order, factor):
    # Of x³ and x², the differences are off by h² and by h, exactly.
    g = Graph()
    x = g.tensor(1.0)
    output = x
    for _ in range(power - 1):
        output = g.mul(output, x)
    report = check_gradients(g, output, grad=1.0, method=method, step=0.01)
    assert report.largest_error == pytest.approx(0.01**order)
    assert report.tolerance == pytest.approx(factor * 0.01**order)


def test_the_tolerance_is_a_hundred_roundings_where_there_is_no_truncation():
    g = Graph()
    output = g.neg(g.tensor([1.0, 1.0]))
    report = check_gradients(g, output, grad=[1.0, 3.0], step=2.0**-10)
    # The outputs are about 1, weighed 1 and 3, and their difference is divided by 2h.
    rounding = np.finfo(float).eps * (1 + 3) / 2.0**-9
    assert report.tolerance == pytest.approx(100 * rounding, rel=1e-3, abs=0.0)


def test_of_two_wrong_coordinates_the_one_furthest_beyond_its_tolerance_is_named(monkeypatch):
    break_gradient(
        monkeypatch, "exp", lambda ops, gradient: ops.mul(gradient, ops.constant(1.5, gradient))
    )
    g = Graph()
    x = g.tensor([5.0, 1.0], "x")
    output = g.exp(g.mul(x, g.tensor([5.0, 1.0])))
    # Both gradients are too large by half, but e^(5x) has a tolerance 25 times as large.
    report = check_gradients(g, output, grad=np.array([np.exp(-25.0), 1.0]), step=0.01)
    assert not report.passed
    assert report.index == (1,)
