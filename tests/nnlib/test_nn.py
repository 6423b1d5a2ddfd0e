"""Layers: the vertices that they add, and the initial weights that they draw."""

import doctest

import numpy as np
import pytest

import nnlib.nn
from nnlib import Graph
from nnlib.nn import Linear, ReLU, Sequential, Tanh, he, xavier


def test_a_network_is_its_formula():
    g, rng = Graph(), np.random.default_rng(0)
    network = Sequential(Linear(g, 3, 4, rng), ReLU(g), Linear(g, 4, 5, rng), Tanh(g))
    x = g.tensor(np.random.default_rng(1).normal(size=(7, 3)))
    output = network(x)
    g.run_eval(output)
    W1, b1, W2, b2 = (g.value[i] for i in network.parameters)
    assert [W.shape for W in (W1, b1, W2, b2)] == [(3, 4), (4,), (4, 5), (5,)]
    expected = np.tanh(np.maximum(g.value[x] @ W1 + b1, 0) @ W2 + b2)
    np.testing.assert_array_equal(g.value[output], expected)
    assert g.name[int(x) + 1 :] == ["matmul", "add", "relu", "matmul", "add", "tanh"]


def test_a_network_used_twice_shares_its_parameters():
    g, rng = Graph(), np.random.default_rng(0)
    network = Sequential(Sequential(Linear(g, 2, 2, rng)), ReLU(g))
    a, b = network(g.tensor([[1.0, 2.0]])), network(g.tensor([[3.0, 4.0], [5.0, 6.0]]))
    assert len(network.parameters) == 2
    assert all(len(g.parents[i]) == 2 for i in network.parameters)
    assert (g.shape[a], g.shape[b]) == ((1, 2), (2, 2))


@pytest.mark.parametrize(
    ("initialiser", "variance"), [(he, 2 / 300), (xavier, 2 / (300 + 200))], ids=["he", "xavier"]
)
def test_initial_weights_have_the_variance_of_their_papers(initialiser, variance):
    W = initialiser(300, 200, np.random.default_rng(0))
    assert W.shape == (300, 200)
    # Of 60,000 draws, mean and variance are within four standard errors, of which the larger is
    # the normal distribution's: √(2/60000).
    assert abs(W.mean()) < 4 * np.sqrt(variance / W.size)
    assert W.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / W.size))
    np.testing.assert_array_equal(W, initialiser(300, 200, np.random.default_rng(0)))


def test_a_layer_that_is_used_twice_has_its_parameters_once():
    g, rng = Graph(), np.random.default_rng(0)
    layer = Linear(g, 3, 3, rng)
    assert Sequential(layer, ReLU(g), layer).parameters == layer.parameters


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_a_layer_without_inputs_or_outputs_is_refused(sizes):
    with pytest.raises(ValueError, match="a layer needs inputs and outputs, not"):
        Linear(Graph(), *sizes, np.random.default_rng(0))


def test_float32_stays_float32():
    g, rng = Graph(), np.random.default_rng(0)
    layer = Linear(g, 2, 3, rng, xavier, np.float32)
    output = layer(g.tensor(np.ones((1, 2), np.float32)))
    assert {g.dtype[i] for i in [*layer.parameters, output]} == {np.dtype("f4")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_inputs": True}, "expected an integer, not True"),
        ({"n_outputs": 2.0}, "expected an integer, not 2.0"),
        ({"dtype": "f2"}, "dtype='f2' must be float32 or float64"),
    ],
)
def test_sizes_and_types_that_are_none_are_refused(arguments, message):
    given = {"n_inputs": 2, "n_outputs": 3, "rng": np.random.default_rng(0)} | arguments
    with pytest.raises(ValueError, match=message):
        Linear(Graph(), **given)


def test_shapes_that_do_not_fit_are_refused():
    g = Graph()
    layer = Linear(g, 2, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"matmul: the inner dimensions 5 and 2 differ: .*\(W\)"):
        layer(g.tensor(np.ones((4, 5))))


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(nnlib.nn, extraglobs={"np": np, "Graph": Graph})
    assert (failed, attempted) == (0, 4)


def test_the_smallest_layer():
    g = Graph()
    layer = Linear(g, 1, 1, np.random.default_rng(0))
    output = layer(g.tensor([[2.0]]))
    g.run_eval(output)
    assert g.value[output] == 2 * g.value[layer.parameters[0]]
