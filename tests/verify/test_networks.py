"""gdconv-verify of networks: it passes, and notices an error of 0.1 % in each part."""

import numpy as np
import pytest

from gdconv import GradientDescent, HeavyBall, Nesterov, Network, RunConfig, Sgd, Step
from gdconv.problems.network.model import Sharpness
from gdconv.verify.network import byhand, statements
from gdconv.verify.network.case import NetworkCase
from gdconv.verify.table import as_table, case_of, checked, gaps_of

SHORT = {"iterations": 60}
RUNS = {
    "tanh": (Network(), GradientDescent(**SHORT)),
    "relu": (Network(activation="relu"), HeavyBall(momentum=0.5, **SHORT)),
    "classes": (
        Network(data="two_spirals", loss="cross_entropy", initialisation="he", hidden=6),
        Nesterov(momentum=0.5, **SHORT),
    ),
    "growing momentum": (Network(hidden=4), Nesterov(momentum="convex", **SHORT)),
    "two numbers": (Network(data="point", activation="identity"), GradientDescent(**SHORT)),
    "batches": (Network(), Sgd(batch_size=5, momentum=0.5, **SHORT)),
}


def case(name, value=1.0):
    problem, method = RUNS[name]
    return case_of(RunConfig(problem, method=method, step=Step(value=value)))


@pytest.mark.parametrize("value", [0.1, 1.9, 2.5])
@pytest.mark.parametrize("name", RUNS)
def test_every_statement_holds(name, value):
    of_run = case(name, value)
    checks = checked(of_run)
    assert [each.statement for each in checks if not each.passed] == []
    assert len(checks) >= (6 if name == "batches" else 7)
    assert "statements hold" in as_table(of_run, checks)
    assert gaps_of(of_run).splitlines()[0].split() == [
        *("t", "loss", "‖∇L‖", "sharpness", "over", "threshold")
    ]


def failed(name, value=1.0):
    return {each.equation for each in checked(case(name, value)) if not each.passed}


def wrong(function):
    """The same function with results that are 0.1 % too large."""

    def changed(*given, **keys):
        found = function(*given, **keys)
        if isinstance(found, tuple):
            return tuple(1.001 * each for each in found)
        return 1.001 * found

    return changed


def test_a_wrong_gradient_is_noticed(monkeypatch):
    monkeypatch.setattr(statements, "loss_and_gradient", wrong(byhand.loss_and_gradient))
    assert {"L", "∇L", "∇²L", "w"} <= failed("tanh")


def test_a_wrong_sharpness_is_noticed(monkeypatch):
    monkeypatch.setattr(Sharpness, "__call__", wrong(Sharpness.__call__))
    assert {"λmax", "η"} <= failed("tanh")


def test_a_wrong_hessian_is_noticed(monkeypatch):
    monkeypatch.setattr(Sharpness, "hessian", wrong(Sharpness.hessian))
    assert "∇²L" in failed("tanh")
    assert "λmax" in failed("two numbers")


@pytest.mark.parametrize("name", ["tanh", "relu", "classes", "batches"])
def test_a_wrong_threshold_is_noticed(name, monkeypatch):
    method = type(RUNS[name][1])
    monkeypatch.setattr(method, "sharpness_limit", wrong(method.sharpness_limit))
    assert "2/η" in failed(name)


@pytest.mark.parametrize("name", ["tanh", "relu", "classes"])
def test_a_wrong_step_is_noticed(name, monkeypatch):
    method = type(RUNS[name][1])
    update = method.update

    def changed(t, w, gradient, coefficients, state):
        update(t, w, 1.001 * gradient, coefficients, state)

    monkeypatch.setattr(method, "update", staticmethod(changed))
    assert "w" in failed(name)


def test_a_wrong_crossing_is_noticed(monkeypatch):
    method = GradientDescent(**SHORT)
    config = RunConfig(Network(activation="relu"), method=method, step=Step(value=1.9))
    crossing = case_of(config)
    assert isinstance(crossing, NetworkCase)
    first = crossing.record.crossing[0]
    assert first is not None
    crossing.record.crossing[0] = first - 1
    assert "λmax" in {each.equation for each in checked(crossing) if not each.passed}


def test_the_radius_is_that_of_the_formula():
    """On the loss λw²/2, heavy ball has the characteristic equation z² − (1 + β − ηλ) z + β."""
    method, size, beta = HeavyBall(momentum=0.5), 0.1, 0.5
    for curvature in (1.0, 29.0, 31.0):
        roots = np.roots([1, -(1 + beta - size * curvature), beta])
        of = {"step_size": size, "momentum": beta, "first": 1.0}
        found = statements.radius(method, of, curvature)
        assert found == pytest.approx(np.abs(roots).max(), rel=1e-12)
