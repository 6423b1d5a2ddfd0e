"""Repeated runs of a graph: they compute the bits of the first run, and see what has changed."""

import copy
import pickle

import numpy as np
import pytest

import nnlib.tape
from nnlib import Graph, Program, rules
from nnlib.ops import OPS

EPS = np.finfo(float).eps


def network():
    """Return g, its leaves, and the loss of a classifier with two layers."""
    rng = np.random.default_rng(0)
    g = Graph()
    shapes = [(6, 3), (3, 5), (5,), (5, 4), (4,)]
    x, w1, b1, w2, b2 = leaves = [g.tensor(rng.normal(size=shape)) for shape in shapes]
    hidden = g.relu(g.add(g.matmul(x, w1), b1))
    labels = g.tensor(rng.integers(4, size=6), "labels")
    loss = g.softmax_cross_entropy(g.add(g.matmul(hidden, w2), b2), labels)
    return g, leaves, loss


def many_shapes():
    """Return g, its leaves, and a sum that broadcasts, has kinks, slopes of 0 and two types."""
    rng = np.random.default_rng(0)
    g = Graph()
    a, b = g.tensor(rng.normal(size=(4, 3))), g.tensor(rng.normal(size=3).astype(np.float32))
    c = g.tensor(rng.normal(size=(4, 1)))
    total = g.add(g.sum(g.maximum(g.mul(a, b), c)), g.mean(g.square(g.sub(a, b))))
    total = g.add(total, g.sum(g.step(c)))
    return g, [a, b, c], g.add(total, g.mean_squared_error(g.transpose(a), g.reshape(a, (3, 4))))


@pytest.mark.parametrize("build", [network, many_shapes])
@pytest.mark.parametrize("seeds", [[None] * 5, [2.0, -1.0, 3.0, 0.5, 1.5], [None, 2.0] * 3])
@pytest.mark.parametrize("keep_values", [False, True])
def test_every_run_computes_the_bits_of_the_first_run_of_a_new_graph(build, seeds, keep_values):
    g, leaves, loss = build()
    rng = np.random.default_rng(1)
    start = [g.value[leaf] for leaf in leaves]
    for seed in seeds:
        fresh, same_leaves, same_loss = build()
        if not keep_values:
            for leaf, same, value in zip(leaves, same_leaves, start, strict=True):
                moved = value + 0.1 * rng.normal(size=value.shape)
                fresh.set(same, moved)
                g.set(leaf, moved)
        fresh.run_grad(same_loss, seed)
        g.run_grad(loss, seed)
        for i in g.vertices:
            for mine, other in ((g.value[i], fresh.value[i]), (g.grad[i], fresh.grad[i])):
                np.testing.assert_array_equal(mine, other)
                assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
                assert not mine.flags.writeable


def test_arrays_of_repeated_runs_are_new_and_those_handed_out_stay():
    g, leaves, loss = network()
    handed_out = []
    for k in range(4):
        g.set(leaves[1], np.full((3, 5), 0.1 * k))
        g.run_grad(loss)
        arrays = [g.value[loss], *(g.grad[leaf] for leaf in leaves)]
        handed_out.append((arrays, [array.copy() for array in arrays]))
    for arrays, copies in handed_out:
        for array, kept in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("run", ["run_eval", "run_grad"])
@pytest.mark.parametrize("child", [2, 3, -1])
def test_an_order_that_is_broken_after_some_runs_is_refused(run, child):
    g = Graph()
    a, b = g.tensor(1.0), g.tensor(2.0)
    c = g.add(a, b)
    d = g.neg(c)
    for _ in range(3):
        getattr(g, run)(d)
    g.children[c][1] = child
    with pytest.raises(ValueError, match=rf"vertex 2 \(add\).* has child {child}: .*topological"):
        getattr(g, run)(d)
    g.children[c][1] = b
    g.set(a, 5.0)
    g.run_grad(d)
    assert (g.value[d], g.grad[a], g.grad[b]) == (-7, -1, -1)


def test_a_graph_that_is_edited_after_some_runs_is_obeyed():
    g = Graph()
    a, b, other = g.tensor([[1.0, 2.0]]), g.tensor([[3.0, 4.0]]), g.tensor([[10.0, 20.0]])
    product = g.mul(a, b)
    total = g.sum(product, axis=1)
    for _ in range(3):
        g.set(a, [[1.0, 2.0]])
        g.run_grad(total, [1.0])
    g.children[product][1] = other
    g.run_eval(total)
    g.run_grad(total, [1.0])
    assert g.value[total] == [50]
    np.testing.assert_array_equal(g.grad[a], [[10, 20]])
    np.testing.assert_array_equal(g.grad[b], [[0, 0]])
    g.operation[product] = OPS["add"]
    g.run_eval(total)
    g.run_grad(total, [1.0])
    assert g.value[total] == [33]
    np.testing.assert_array_equal(g.grad[a], [[1, 1]])
    g.attributes[total]["axis"] = (0,)
    g.shape[total] = (2,)
    g.run_eval(total)
    np.testing.assert_array_equal(g.value[total], [11, 22])
    # `set` goes along the parents, so a vertex that is no parent any more keeps its value.
    g.parents[a].clear()
    g.set(a, [[0.0, 0.0]])
    np.testing.assert_array_equal(g.value[total], [11, 22])


def test_other_logits_put_in_by_hand_are_not_taken_for_those_of_the_loss():
    g, leaves, loss = network()
    for _ in range(3):
        g.set(leaves[0], np.ones((6, 3)))
        g.run_grad(loss)
    before = g.grad[leaves[4]]
    logits = g.children[loss][0]
    g.value[logits] = 2 * g.value[logits]
    g.run_grad(loss)
    softmax = np.exp(g.value[logits]) / np.exp(g.value[logits]).sum(axis=1, keepdims=True)
    expected = (softmax - g.value[g.children[loss][1]]).mean(axis=0)
    assert not np.array_equal(g.grad[leaves[4]], before)
    # Sums of six numbers below 1.
    np.testing.assert_allclose(g.grad[leaves[4]], expected, rtol=0, atol=20 * EPS)


def test_an_array_in_two_places_is_not_taken_for_one():
    g = Graph()
    a, b = g.tensor(3.0), g.tensor(3.0)
    product = g.mul(a, g.square(b))
    g.value[b] = g.value[a]
    for _ in range(3):
        g.run_grad(product)
    assert (g.grad[a], g.grad[b]) == (9, 18)
    g.set(b, 5.0)
    for _ in range(3):
        g.run_grad(product)
        assert (g.grad[a], g.grad[b]) == (25, 30)


def test_repeated_runs_compute_the_softmax_once(monkeypatch):
    calls = []

    def counted(*arguments, **options):
        calls.append(1)
        return log_softmax(*arguments, **options)

    log_softmax = rules.log_softmax
    monkeypatch.setattr(rules, "log_softmax", counted)
    object.__setattr__(OPS["log_softmax"], "forward", counted)
    try:
        g, leaves, loss = network()
        for k in range(4):
            g.set(leaves[0], np.full((6, 3), float(k)))
            calls.clear()
            g.run_eval(loss)
            g.run_grad(loss)
        assert len(calls) == 1
        program = Program(g, leaves, [loss, *g.grad_graph(loss, leaves)])
        calls.clear()
        program(*(g.value[leaf] for leaf in leaves))
        assert len(calls) == 1
    finally:
        object.__setattr__(OPS["log_softmax"], "forward", log_softmax)


@pytest.mark.parametrize("wide", [0, 1])
def test_a_softmax_of_another_type_than_the_logits_is_not_used_for_them(wide):
    rng = np.random.default_rng(0)
    g = Graph()
    types = [np.float64, np.float32] if wide == 0 else [np.float32, np.float64]
    logits = g.tensor(rng.normal(size=(3, 4)).astype(types[0]))
    labels = g.tensor(rng.dirichlet(np.ones(4), size=3).astype(types[1]))
    loss = g.softmax_cross_entropy(logits, labels)
    g.run_grad(loss)
    first = [g.grad[logits], g.grad[labels]]
    for _ in range(3):
        g.set(logits, g.value[logits])
        g.run_grad(loss)
    program = Program(g, [logits, labels], [loss, *g.grad_graph(loss, [logits, labels])])
    _, *compiled = program(g.value[logits], g.value[labels])
    for i, expected, result in zip([logits, labels], first, compiled, strict=True):
        np.testing.assert_array_equal(g.grad[i], expected)
        np.testing.assert_array_equal(result, expected)


def test_vertices_that_are_added_between_runs_get_zeros_or_nothing():
    g = Graph()
    w = g.tensor(np.ones(3))
    loss = g.sum(g.square(w))
    for k in range(4):
        leaf = g.tensor(np.ones((k, 2), np.float32))
        apart = g.neg(leaf)
        g.set(w, np.full(3, float(k)))
        g.run_grad(loss)
        assert g.grad[apart] is None
        assert (g.grad[leaf].shape, g.grad[leaf].dtype) == ((k, 2), np.float32)
        assert not g.grad[leaf].any()
        assert not g.grad[leaf].flags.writeable
    assert len(g.grad) == len(g)


@pytest.mark.parametrize("run", ["run_eval", "run_grad"])
def test_a_repeated_run_ignores_overflow_as_the_first_does(run):
    g = Graph()
    x = g.tensor([-1.0, 0.0, 800.0])
    output = g.sum(g.exp(g.log(g.exp(x))))
    with np.errstate(all="raise"):
        for _ in range(4):
            g.set(x, [-1.0, 0.0, 800.0])
            getattr(g, run)(output)
    assert np.isinf(g.value[output])


def test_a_repeated_run_checks_labels_and_what_is_not_finite():
    g, leaves, loss = network()
    labels = g.vertices[g.name.index("labels")]
    for _ in range(3):
        g.set(leaves[0], np.ones((6, 3)))
        g.run_grad(loss)
    gradients = list(g.grad)
    good = g.value[labels]
    g.set(labels, np.full(6, 4.0))
    with pytest.raises(ValueError, match="labels must be whole numbers from 0 to 3"):
        g.run_grad(loss)
    # A run that fails leaves the gradients as they were.
    assert all(a is b for a, b in zip(g.grad, gradients, strict=True))
    g.set(labels, good)
    g.set(leaves[0], np.full((6, 3), np.nan))
    with pytest.raises(FloatingPointError, match=r"^vertex 0 \(tensor\) .* is nan at \[0, 0\]"):
        g.run_grad(loss, check_finite=True)


@pytest.mark.parametrize(
    "duplicate", [Graph.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_after_some_runs_goes_on_by_itself(duplicate):
    g, leaves, loss = network()
    for _ in range(3):
        g.set(leaves[0], np.ones((6, 3)))
        g.run_grad(loss)
    twin = duplicate(g)
    for _ in range(3):
        twin.run_grad(loss)
        for leaf in leaves:
            np.testing.assert_array_equal(twin.grad[leaf], g.grad[leaf])
    kept = g.grad[leaves[0]]
    for _ in range(3):
        twin.set(leaves[0], np.zeros((6, 3)))
        twin.run_grad(loss)
    assert not np.array_equal(twin.grad[leaves[0]], kept)
    g.run_grad(loss)
    np.testing.assert_array_equal(g.grad[leaves[0]], kept)


def test_nothing_is_noted_of_outputs_that_are_run_once(monkeypatch):
    def refuse(*_):
        raise AssertionError("noted")

    monkeypatch.setattr(nnlib.tape, "Tape", refuse)
    monkeypatch.setattr(nnlib.tape, "_call", refuse)
    g = Graph()
    x = g.tensor(2.0)
    for _ in range(5):
        output = g.square(g.neg(x))
        g.run_eval(output)
        g.run_grad(output)
        assert g.grad[x] == 4
    with pytest.raises(AssertionError, match="noted"):
        g.run_grad(output)


def test_of_many_outputs_only_the_latest_are_remembered():
    g = Graph()
    x = g.tensor(2.0)
    outputs = [g.mul(x, g.tensor(float(k))) for k in range(40)]
    for _ in range(3):
        for k, output in enumerate(outputs):
            g.run_grad(output)
            assert g.grad[x] == k
    assert len(g._plans) == 16
