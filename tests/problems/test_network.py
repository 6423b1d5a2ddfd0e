"""Networks: samples, starts, refusals; loss, gradient and sharpness against other calculations."""

import math

import numpy as np
import pytest

from gdconv import GradientDescent, HeavyBall, Nesterov, Network, Normal, RunConfig, Sgd, Step
from gdconv.config.rules import ConfigError
from gdconv.config.sections import METHODS
from gdconv.problems.network import model
from gdconv.problems.network.model import Sharpness, dead_units, gradient_program
from gdconv.problems.network.samples import Samples, samples_of, start_of
from gdconv.sweep.sweep import plan
from nnlib.datasets import spirals

CLASSES = {"data": "two_spirals", "loss": "cross_entropy", "initialisation": "he"}
SPIRALS = {"data": "two_spirals", "initialisation": "xavier"}
NETWORKS = {
    "tanh": {},
    "relu": {"activation": "relu", "scale": 1.5},
    "identity": {"activation": "identity", "hidden": 3},
    "classes": CLASSES | {"hidden": 4},
    "two inputs": SPIRALS | {"hidden": 4, "activation": "relu"},
    "two numbers": {"data": "point"},
    "two numbers, tanh": {"data": "point", "activation": "tanh", "weights": [0.3, -2.0]},
}


def parts(keys):
    """A network with its shape, samples and start."""
    problem = Network(**keys)
    samples = samples_of(problem, 3, 0)
    shape = samples.shape(problem.hidden)
    return problem, shape, samples, start_of(problem, shape, 3, 0)


def loss_by_loops(problem, samples, w):
    """The loss sample by sample and unit by unit, by Python's math."""
    inputs, outputs = samples.X.shape[1], samples.Y.shape[1]
    act = {"tanh": math.tanh, "relu": lambda z: max(z, 0.0), "identity": lambda z: z}
    hidden, total = problem.hidden, 0.0
    for x, y in zip(samples.X, samples.Y, strict=True):
        if not hidden:
            f = [act[problem.activation](x[0] * w[0]) * w[1]]
        else:
            W1, rest = w[: inputs * hidden].reshape(inputs, hidden), w[inputs * hidden :]
            b1, rest = rest[:hidden], rest[hidden:]
            W2, b2 = rest[: hidden * outputs].reshape(hidden, outputs), rest[hidden * outputs :]
            units = [
                act[problem.activation](math.fsum(x[i] * W1[i, k] for i in range(inputs)) + b1[k])
                for k in range(hidden)
            ]
            f = [
                math.fsum(units[k] * W2[k, j] for k in range(hidden)) + b2[j]
                for j in range(outputs)
            ]
        if problem.loss == "cross_entropy":
            total += math.log(math.fsum(map(math.exp, f))) - f[int(np.argmax(y))]
        else:
            total += (f[0] - y[0]) ** 2 / 2
    n = len(samples.X)
    return total / n if problem.data != "point" else 2 * total


@pytest.mark.parametrize("keys", NETWORKS.values(), ids=NETWORKS)
def test_loss_gradient_and_hessian_are_those_of_a_loop_over_samples(keys):
    problem, shape, samples, w = parts(keys)
    program = gradient_program(problem, shape, samples, 1)
    loss, gradient = program(w[None], *program.inputs[1:])
    assert loss[0] == pytest.approx(loss_by_loops(problem, samples, w), rel=1e-14)
    hessian, h = Sharpness(problem, shape, samples).hessian(w), 1e-4
    slopes, bends = np.empty_like(w), np.empty_like(w)
    for k in range(len(w)):
        ends = [w + side * h * np.eye(len(w))[k] for side in (-2, -1, 0, 1, 2)]
        values = [loss_by_loops(problem, samples, end) for end in ends]
        # Differences of fourth order.
        slopes[k] = np.dot([1, -8, 0, 8, -1], values) / (12 * h)
        bends[k] = np.dot([-1, 16, -30, 16, -1], values) / (12 * h * h)
    np.testing.assert_allclose(gradient[0], slopes, rtol=0, atol=3e-11 * max(1, loss[0]))
    np.testing.assert_allclose(np.diag(hessian), bends, rtol=0, atol=1e-6 * max(1, loss[0]))


def test_sharpness_of_two_numbers_is_a_closed_form():
    problem, shape, samples, _ = parts({"data": "point", "activation": "identity"})
    for first, second in ((0.5, 2.5), (-1.0, 0.25), (3.0, 3.0), (0.0, 0.0)):
        off = 4 * first * second - 2
        expected = first**2 + second**2 + math.hypot(first**2 - second**2, off)
        found = Sharpness(problem, shape, samples)(np.array([first, second]))
        assert found == pytest.approx(expected, rel=1e-14)


def test_many_parameters_have_the_sharpness_of_the_whole_hessian(monkeypatch):
    problem, shape, samples, w = parts(CLASSES | {"hidden": 60})
    assert shape.parameters > model.MOST_WHOLE
    by_products = Sharpness(problem, shape, samples)
    found = by_products(w)
    monkeypatch.setattr(model, "MOST_WHOLE", 10**6)
    monkeypatch.setattr(model, "ELEMENTS", 20 * 60 * 7)
    whole = Sharpness(problem, shape, samples)
    assert found == pytest.approx(whole(w), rel=1e-10)
    assert by_products(w) == found


def test_chebyshev_and_the_fixed_start_are_their_formulas():
    _problem, _, samples, w = parts({})
    x = np.array([-1 + 2 * i / 19 for i in range(20)])
    np.testing.assert_allclose(samples.X[:, 0], x, atol=1e-15)
    np.testing.assert_allclose(samples.Y[:, 0], 16 * x**5 - 20 * x**3 + 5 * x, atol=1e-13)
    k = np.arange(1, 21)
    np.testing.assert_array_equal(w[:20], np.sin(1.7 * k))
    np.testing.assert_array_equal(w[20:40], 0.5 * np.cos(2.3 * k))
    np.testing.assert_array_equal(w[40:60], np.sqrt(0.1) * np.sin(0.9 * k + 0.3))
    assert w[60] == 0
    *_, larger = parts({"scale": 3.0})
    np.testing.assert_allclose(larger, 3 * w)


def test_drawn_starts_have_their_variances_and_depend_on_seed_and_repetition():
    for name, first, second in (("he", 2 / 2, 2 / 4000), ("xavier", 2 / 4002, 2 / 4001)):
        problem = Network(data="two_spirals", initialisation=name, hidden=4000)
        shape = samples_of(problem, 0, 0).shape(4000)
        w = start_of(problem, shape, 0, 0)
        assert w[:8000].var() == pytest.approx(first, rel=0.05)
        assert (w[8000:12000] == 0).all()
        assert w[-1] == 0
        assert w[12000:16000].var() == pytest.approx(second, rel=0.07)
        np.testing.assert_array_equal(w, start_of(problem, shape, 0, 0))
        for other in ((1, 0), (0, 1)):
            assert not np.array_equal(w, start_of(problem, shape, *other))


def test_two_spirals_are_those_of_nnlib_as_classes_and_as_signs():
    generator = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(2, 0)))
    expected = spirals(30, 0.02, generator)
    signs = samples_of(Network(n_samples=30, **SPIRALS), 5, 2)
    classes = samples_of(Network(n_samples=30, **CLASSES), 5, 2)
    np.testing.assert_array_equal(signs.X, expected.X)
    np.testing.assert_array_equal(signs.Y[:, 0], 2 * expected.labels - 1)
    np.testing.assert_array_equal(classes.Y, np.eye(2)[expected.labels])


def test_a_table_gives_features_and_target_or_classes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,kind\n1,10,0\n2,20,7\n3,60,7\n")
    keys = {"data": "table", "path": str(path), "target": "kind", "initialisation": "he"}
    samples = samples_of(Network(**keys), 0, 0)
    np.testing.assert_array_equal(samples.X, [[1, 10], [2, 20], [3, 60]])
    np.testing.assert_array_equal(samples.Y[:, 0], [0, 7, 7])
    classes = samples_of(Network(**keys, loss="cross_entropy", standardize=True), 0, 0)
    np.testing.assert_array_equal(classes.Y, [[1, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(classes.X.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(classes.X.std(axis=0), 1)
    assert len(plan([RunConfig(Network(**keys))]).runs) == 1


def test_dead_units_are_those_that_no_sample_reaches():
    problem = Network(activation="relu", hidden=3)
    samples = Samples(np.array([[-1.0], [1.0]]), np.zeros((2, 1)))
    w = np.array([1.0, 0.5, -1.0, 0.0, -0.5, -2.0, 1, 1, 1, 0])
    assert dead_units(problem, samples.shape(3), samples, w) == 2
    assert dead_units(Network(), samples.shape(3), samples, w) is None


REFUSED = [
    (lambda: Network(hidden=-1), "problem.hidden=-1"),
    (lambda: Network(activation="gelu"), "one of tanh, relu, identity"),
    (lambda: Network(weights=[1, 2]), "problem.weights=[1.0,2.0]: must be two numbers"),
    (lambda: Network(data="point", weights=[1]), "must be two numbers"),
    (lambda: Network(data="two_spirals"), "problem.initialisation=fixed: is for one input"),
    (lambda: Network(loss="cross_entropy"), "needs classes"),
    (lambda: Network(data="table"), "problem.path=null: must be given"),
    (lambda: Network(path="a.csv"), "needs problem.data=table"),
    (lambda: Network(data="point", n_samples=5), "problem.n_samples=5"),
    (lambda: Network(hidden=0, **SPIRALS), "problem.hidden=0"),
    (lambda: Network(data="point", initialisation="he"), "must be fixed for problem.hidden=0"),
    (lambda: RunConfig(Network(), start=Normal()), "start=normal: is a start for least squares"),
    (lambda: RunConfig(Network(), step=Step("lambda_max")), "it takes sharpness, absolute"),
    (lambda: RunConfig(step=Step("sharpness")), "is not known for method=gradient_descent"),
    (lambda: RunConfig(Network(), method=HeavyBall()), "give a number, as method.momentum=0.9"),
    (lambda: RunConfig(Network(), method=HeavyBall(momentum=[0.5, "optimal"])), "give a number"),
    (lambda: RunConfig(Network(), method=Nesterov()), "give a number"),
    (
        lambda: RunConfig(Network(), method=Nesterov(momentum="convex", restart="function")),
        "method.restart=function: cannot train a network",
    ),
    (
        lambda: RunConfig(Network(), method=HeavyBall(momentum=0.5, tuned_to="edges")),
        "method.tuned_to=edges",
    ),
    (lambda: RunConfig(Network(), method=Sgd(average="all")), "method.average=all"),
    (lambda: RunConfig(Network(), method=Sgd(paths=2)), "method.paths=2: must be 1"),
]


@pytest.mark.parametrize(("make", "told"), REFUSED)
def test_what_does_not_fit_is_refused_with_what_is_allowed(make, told):
    with pytest.raises(ConfigError) as refused:
        make()
    assert told in str(refused.value)


def test_methods_for_least_squares_are_refused_with_those_for_networks():
    for name in METHODS.keys() - {"gradient_descent", "heavy_ball", "nesterov", "sgd"}:
        with pytest.raises(ConfigError, match="gradient_descent, heavy_ball, nesterov, sgd"):
            RunConfig(Network(), method=METHODS[name]())


def test_tables_that_will_not_do_are_refused_before_anything_runs(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{i / 3}\n" for i in range(200)))
    keys = {"data": "table", "path": str(path), "target": "y"}
    for more, told in (
        ({}, "problem.initialisation=fixed: is for one input, but the table has 2 features"),
        ({"hidden": 0}, "problem.hidden=0: is for one input"),
        ({"loss": "cross_entropy", "initialisation": "he"}, "200 different values"),
        ({"target": "z", "initialisation": "he"}, "z"),
    ):
        with pytest.raises(ConfigError) as refused:
            plan([RunConfig(Network(**keys | more))])
        assert told in str(refused.value)


def test_a_batch_larger_than_the_samples_is_refused():
    config = RunConfig(Network(), method=Sgd(batch_size=21))
    with pytest.raises(ConfigError, match="must be at most n_samples, here 20"):
        plan([config])


def test_a_start_without_sharpness_says_so():
    from gdconv import run_study

    network = Network(data="point", weights=[-1, 1])
    run = run_study(RunConfig(network, method=GradientDescent(iterations=3))).runs.iloc[0]
    assert run.status == "failed"
    assert "step.unit=absolute" in run.error
    config = RunConfig(network, method=GradientDescent(iterations=3), step=Step("absolute", 0.1))
    assert run_study(config).runs.verdict[0] == "dead"
