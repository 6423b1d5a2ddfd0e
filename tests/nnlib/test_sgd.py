"""Stochastic gradient descent, against PyTorch and against steps computed by hand."""

import copy
import doctest
import json
import pickle
import re
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import nnlib.sgd
from nnlib import Graph
from nnlib.nn import Linear, ReLU, Sequential
from nnlib.sgd import SGD, batches

DATA = Path(__file__).resolve().parents[1] / "data"


def test_losses_follow_pytorch():
    torch = json.loads((DATA / "sgd_pytorch.json").read_text())
    rng = np.random.default_rng(0)
    g = Graph()
    network = Sequential(Linear(g, 2, 8, rng), ReLU(g), Linear(g, 8, 3, rng))
    for leaf, name in zip(network.parameters, ("W1", "b1", "W2", "b2"), strict=True):
        g.set(leaf, torch[name])
    X, labels = np.array(torch["X"]), np.array(torch["labels"])
    x, y = g.tensor(np.zeros((10, 2))), g.tensor(np.zeros(10))
    loss = g.softmax_cross_entropy(network(x), y)
    options = torch["step_size"], torch["momentum"]
    sgd = SGD(g, loss, network.parameters, [x, y], *options)
    losses = [sgd.step(X[rows], labels[rows]) for rows in torch["batches"]]
    assert len(losses) == 100
    # Both round every operation; over 100 steps the differences stay far below this.
    np.testing.assert_allclose(losses, torch["losses"], rtol=1e-10, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_by_hand(dtype):
    g = Graph()
    w, x = g.tensor(np.array([3.0, -2.0], dtype)), g.tensor(np.ones(2, dtype))
    loss = g.sum(g.square(g.mul(x, w)))
    sgd = SGD(g, loss, [w], [x], step_size=0.125, momentum=0.5)
    assert sgd.step([1, 1]) == 13
    # v = (6, -4), w = (2.25, -1.5); then v = (3, -2) + 2 · 4 w = (21, -14).
    assert sgd.step([2, 2]) == 4 * (2.25**2 + 1.5**2)
    np.testing.assert_array_equal(g.value[w], [3, -2])
    sgd.store()
    np.testing.assert_array_equal(g.value[w], [2.25 - 21 / 8, -1.5 + 14 / 8])
    assert g.value[w].dtype == dtype
    sgd.step([0, 0])
    np.testing.assert_array_equal(g.value[w], [2.25 - 21 / 8, -1.5 + 14 / 8])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weight_decay_by_hand(dtype):
    g = Graph()
    w = g.tensor(np.array([4.0, -2.0], dtype))
    sgd = SGD(g, g.sum(w), [w], [], step_size=0.5, momentum=0.5, weight_decay=0.25)
    # The loss has no penalty. v = 1 + w/4 = (2, 1/2), then v/2 + 1 + w/4 = (11/4, 11/16).
    assert [sgd.step(), sgd.step()] == [2.0, 3.0 - 2.25]
    sgd.store()
    np.testing.assert_array_equal(g.value[w], [3 - 11 / 8, -2.25 - 11 / 32])
    assert g.value[w].dtype == dtype


def test_weight_decay_is_the_gradient_of_a_penalty():
    rng = np.random.default_rng(0)
    start, decay = rng.normal(size=(3, 2)), 0.3
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    found = []
    for penalised in (False, True):
        g = Graph()
        W = g.tensor(start)
        loss = g.mean_squared_error(g.matmul(g.tensor(X), W), g.tensor(Y))
        if penalised:
            loss = g.add(loss, g.mul(g.tensor(decay / 2), g.sum(g.square(W))))
        options = {} if penalised else {"weight_decay": decay}
        sgd = SGD(g, loss, [W], [], 0.1, 0.9, **options)
        for _ in range(20):
            sgd.step()
        sgd.store()
        found.append(g.value[W])
    # Twenty steps round differently, with numbers of about 1.
    np.testing.assert_allclose(*found, rtol=0, atol=1e-14)


def test_parameters_that_are_each_others_gradients_move_together():
    g = Graph()
    a, b = g.tensor([1.0, 2.0]), g.tensor([3.0, 4.0])
    sgd = SGD(g, g.sum(g.mul(a, b)), [a, b], [], step_size=0.5)
    assert sgd.step() == 11
    sgd.store()
    np.testing.assert_array_equal(g.value[a], [1 - 1.5, 2 - 2])
    np.testing.assert_array_equal(g.value[b], [3 - 0.5, 4 - 1])


def test_the_loss_is_that_before_the_step_also_where_it_is_a_parameter():
    g = Graph()
    w = g.tensor([[1.0]])
    assert SGD(g, g.reshape(w, ()), [w], [], step_size=0.5).step() == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("step_size", value) for value in (0.0, -1.0, np.nan, np.inf, True, "1", None, [0.1])),
        *(("momentum", value) for value in (1.0, -0.1, np.nan, False, "0")),
        *(("weight_decay", value) for value in (-0.1, np.nan, np.inf, True, "0")),
    ],
)
def test_attributes_are_checked_when_they_are_set(name, value):
    sgd, _ = classifier()
    before = getattr(sgd, name)
    with pytest.raises(ValueError, match=f"{name}=.* must be "):
        setattr(sgd, name, value)
    assert getattr(sgd, name) == before


def test_attributes_may_be_set_between_steps():
    g = Graph()
    w = g.tensor(1.0)
    sgd = SGD(g, g.square(w), [w], [], step_size=0.25, momentum=0.5)
    sgd.step()
    sgd.step_size, sgd.momentum = np.float32(0.125), 0
    # w = 1 − 2/4, then ½ − 1/8.
    sgd.step()
    sgd.store()
    assert g.value[w] == 0.375


def classifier(momentum=0.9, dtype=np.float64):
    """Return an SGD and a function that takes the k-th step of it or of a copy."""
    rng = np.random.default_rng(0)
    g = Graph()
    network = Sequential(Linear(g, 2, 8, rng, dtype=dtype), ReLU(g), Linear(g, 8, 3, rng))
    x, y = g.tensor(np.zeros((10, 2))), g.tensor(np.zeros(10))
    loss = g.softmax_cross_entropy(network(x), y)
    samples, labels = rng.normal(size=(20, 10, 2)), rng.integers(3, size=(20, 10))
    sgd = SGD(g, loss, network.parameters, [x, y], 0.1, momentum)
    return sgd, lambda each, k: each.step(samples[k], labels[k])


COPIES = {
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda x, protocol=protocol: pickle.loads(pickle.dumps(x, protocol))
        for protocol in (2, 5)
    },
    "cloudpickle": lambda x: cloudpickle.loads(cloudpickle.dumps(x)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_goes_on_as_the_original_bit_for_bit(duplicate, dtype):
    sgd, step = classifier(dtype=dtype)
    for k in range(5):
        step(sgd, k)
    twin = duplicate(sgd)
    losses = [step(sgd, k) for k in range(5, 20)]
    assert [step(twin, k) for k in range(5, 20)] == losses
    assert losses[-1] < losses[0]
    for each in (sgd, twin):
        each.store()
    assert twin.g is not sgd.g
    for mine, other in zip(sgd.g.value, twin.g.value, strict=True):
        np.testing.assert_array_equal(mine, other)
    # Neither moves the other.
    values = [x.copy() for x in sgd.g.value if x is not None]
    step(twin, 0)
    sgd.store()
    for mine, before in zip([x for x in sgd.g.value if x is not None], values, strict=True):
        np.testing.assert_array_equal(mine, before)


def test_the_graph_is_left_alone_until_stored():
    g = Graph()
    w, x = g.tensor(3.0), g.tensor(1.0)
    loss = g.square(g.mul(w, x))
    before = repr(g)
    SGD(g, loss, [w], [x], 0.1).step(1.0)
    assert repr(g) == before
    assert g.value[w] == 3


def test_batches_are_a_random_order_cut_up():
    epoch = list(batches(10, 3, np.random.default_rng(0)))
    assert [len(rows) for rows in epoch] == [3, 3, 3]
    assert len(set(np.concatenate(epoch).tolist())) == 9
    again = list(batches(10, 3, np.random.default_rng(0)))
    np.testing.assert_array_equal(epoch, again)
    assert sorted(np.concatenate(list(batches(10, 5, np.random.default_rng(1))))) == list(range(10))


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(nnlib.sgd)
    assert (failed, attempted) == (0, 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": 0.0}, "step_size=0.0 must be a positive number"),
        ({"step_size": float("inf")}, "step_size=inf must be a positive number"),
        ({"momentum": 1.0}, "momentum=1.0 must be at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum=-0.1 must be at least 0"),
        ({"step_size": True}, "step_size=True must be a positive number"),
        ({"step_size": "0.1"}, "step_size='0.1' must be a positive number"),
        ({"momentum": False}, "momentum=False must be at least 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 must be a number, at least 0"),
        ({"loss": "w"}, "vertex 0 (w) of shape (2,) is not a single number"),
        ({"parameters": ["product"]}, "[2, 1] must be leaves"),
        ({"batch": ["w"]}, "[0, 0] must be leaves, each given once"),
        ({"parameters": [0]}, "expected a vertex, as tensor and the operations return it, not 0"),
    ],
)
def test_bad_input_is_refused(options, message):
    g = Graph()
    w, x = g.tensor([1.0, 2.0], "w"), g.tensor(1.0, "x")
    product = g.mul(w, x)
    named = {"w": w, "product": product}
    arguments = {"loss": g.sum(product), "parameters": [w], "batch": [x], "step_size": 0.1}
    for key, value in options.items():
        if key in ("parameters", "batch"):
            value = [named.get(each, each) for each in value]
        arguments[key] = named.get(value, value) if key == "loss" else value
    with pytest.raises(ValueError, match=re.escape(message)):
        SGD(g, **arguments)


def test_a_size_is_an_integer():
    with pytest.raises(ValueError, match="expected an integer, not True"):
        next(batches(10, True, np.random.default_rng(0)))


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_must_fit(size):
    with pytest.raises(ValueError, match=f"size={size} must be from 1 to n_samples=10"):
        next(batches(10, size, np.random.default_rng(0)))


@pytest.mark.parametrize(("size", "count"), [(1, 5), (2, 2), (5, 1)])
def test_batches_of_every_size(size, count):
    found = list(batches(5, size, np.random.default_rng(0)))
    assert [len(batch) for batch in found] == [size] * count
    assert len({*np.concatenate(found).tolist()}) == size * count
