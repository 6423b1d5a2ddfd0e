"""The gradient check, and that it rejects every kind of wrong gradient."""

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
    small = g.mul(g.tanh(g.tensor(0.3)), g.tensor(1e-10))
    report = check_gradients(g, g.add(small, g.tensor(1.0)), [0])
    assert not report.passed
    assert "the output's rounding is as large" in str(report)
    assert check_gradients(g, small, [0]).passed


def test_a_gradient_that_is_not_a_number_does_not_pass():
    g = Graph()
    assert not check_gradients(g, g.sqrt(g.tensor([1.0, 0.0]))).passed
    assert not check_gradients(g, g.log(g.tensor([1.0, -1.0]))).passed


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
        ({"wrt": [1]}, "wrt=[1] must be one leaf or more"),
        ({"wrt": [7]}, "there is no vertex 7"),
        ({"grad": [1.0]}, "grad has shape (1,)"),
    ],
)
def test_bad_options_are_refused(options, message):
    g = Graph()
    output = g.square(g.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=re.escape(message)):
        check_gradients(g, output, **options)


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
