"""Layers: the vertices that they add, and the initial weights that they draw."""

import doctest

import numpy as np
import pytest

import nnlib.nn
from nnlib import Graph
from nnlib.nn import Linear, Predictor, ReLU, Sequential, Tanh, he, xavier


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
    assert (failed, attempted) == (0, 7)


def test_the_smallest_layer():
    g = Graph()
    layer = Linear(g, 1, 1, np.random.default_rng(0))
    output = layer(g.tensor([[2.0]]))
    g.run_eval(output)
    assert g.value[output] == 2 * g.value[layer.parameters[0]]


@pytest.fixture
def classifier():
    g, rng = Graph(), np.random.default_rng(0)
    return g, Sequential(Linear(g, 3, 5, rng), ReLU(g), Linear(g, 5, 4, rng))


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8, 21])
def test_any_number_of_rows_is_predicted_without_growing_the_graph(classifier, rows):
    g, network = classifier
    X = np.random.default_rng(1).normal(size=(rows, 3))
    size, predict = len(g), Predictor(g, network, batch=4)
    for _ in range(2):
        found = predict(X)
        W1, b1, W2, b2 = (g.value[i] for i in network.parameters)
        # A row in a batch of another size may round differently, in sums of five numbers.
        expected = np.maximum(X @ W1 + b1, 0) @ W2 + b2
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
        assert found.shape == (rows, 4)
        # The next call is with other parameters.
        g.set(network.parameters[0], -g.value[network.parameters[0]])
    assert len(g) == size


def test_a_prediction_is_a_copy_and_sizes_are_forgotten(classifier):
    predict = Predictor(*classifier, batch=100)
    first = predict(np.ones((1, 3)))
    kept = first.copy()
    for rows in range(1, 20):
        assert predict(np.full((rows, 3), 2.0)).shape == (rows, 4)
    np.testing.assert_array_equal(first, kept)
    assert len(predict._programs) == 8


@pytest.mark.parametrize("rows", [3, 10])
def test_an_evaluation_is_the_mean_over_all_rows(classifier, rows):
    rng = np.random.default_rng(2)
    X, labels = rng.normal(size=(rows, 3)), rng.integers(4, size=rows)
    predict = Predictor(*classifier, batch=4)
    loss, accuracy = predict.evaluate(X, labels)
    logits = predict(X)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.mean(np.log(chances[np.arange(rows), labels])), rel=1e-13)
    assert accuracy == np.mean(logits.argmax(axis=1) == labels)


def test_float32_is_predicted_in_float32():
    g = Graph()
    predict = Predictor(g, Linear(g, 2, 3, np.random.default_rng(0), dtype=np.float32))
    assert predict(np.ones((4, 2), np.float32)).dtype == np.float32
    assert predict(np.ones((4, 2))).dtype == np.float64


def test_rows_that_do_not_fit_are_refused(classifier):
    predict = Predictor(*classifier)
    with pytest.raises(ValueError, match="the inner dimensions 2 and 3 differ"):
        predict(np.ones((5, 2)))
    with pytest.raises(ValueError, match="expected rows, not a single number"):
        predict(1.0)
    with pytest.raises(ValueError, match=r"labels of shape \(4,\) do not fit"):
        predict.evaluate(np.ones((5, 3)), [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"do not fit logits of shape \(0, 4\)"):
        predict.evaluate(np.ones((0, 3)), [])
    with pytest.raises(ValueError, match="batch=0 must be at least 1"):
        Predictor(*classifier, batch=0)
