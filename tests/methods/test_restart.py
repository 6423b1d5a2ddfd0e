"""Nesterov's method with restarts: known counts, what is proved, and what tables show of it."""

from dataclasses import replace

import numpy as np
import pytest

from gdconv import Gaussian, Nesterov, Normal, Prescribed, RunConfig, Step, run_study
from gdconv.config.rules import ConfigError
from gdconv.config.runs import expand
from gdconv.experiment.group import run_group
from gdconv.experiment.iterate import iterate
from gdconv.methods.protocol import Facts
from gdconv.problems.blocks import LeastSquares
from gdconv.problems.least_squares import Objective
from gdconv.tables.csv import encode

EIGENVALUES = np.geomspace(1e-3, 1.0, 50)[::-1]
GRADIENT = Nesterov(momentum="convex", restart="gradient")
FUNCTION = Nesterov(momentum="convex", restart="function")
BOTH = [GRADIENT, FUNCTION]


def theory_of(method, eigenvalues=EIGENVALUES, step=1.0, iterations=4000):
    one = next(expand(RunConfig(method=method))).method
    facts = Facts(eigenvalues[0], eigenvalues[-1], *2 * [len(eigenvalues)])
    found = one.coefficients("lambda_max", step, facts)
    coefficients = {name: np.array([value]) for name, value in found.items()}
    return one, coefficients, one.theory(coefficients, eigenvalues, iterations)


def at(*t):
    return np.zeros(len(t), dtype=int), np.array(t)


def run_of(method, iterations=4000, step=1.0):
    """Gaps, restarts and momentum of a run on X = diag(√(λ/2)), y = 0 from (1, …, 1)."""
    one, coefficients, _ = theory_of(method, step=step)
    objective = Objective(LeastSquares(np.diag(np.sqrt(EIGENVALUES / 2)), np.zeros(50)), "none")
    rows = []

    def observe(t, runs, W, residual, beside):
        chosen = beside.chosen()
        numbers = (chosen[name][0] if chosen else 0.0 for name in ("restarts", "momentum"))
        rows.append((float(residual[0] @ residual[0]), *numbers))

    iterate(one, objective, np.ones(50), coefficients, iterations, observe)
    return np.array(rows).T


@pytest.mark.parametrize(
    ("method", "count", "restarts"),
    [
        (Nesterov(), 373, 0),
        (Nesterov(momentum="convex"), 3805, 0),
        (GRADIENT, 691, 3),
        (FUNCTION, 779, 3),
    ],
)
def test_iterations_to_a_known_part_of_the_gap(method, count, restarts):
    """50 eigenvalues 0.001 … 1, all components 1: until 1e-12 of the initial gap."""
    gaps, begun, _ = run_of(method)
    assert int(np.argmax(gaps <= 1e-12 * gaps[0])) == count
    assert begun[count] == restarts
    *_, theory = theory_of(method)
    exact = theory.gap(EIGENVALUES / 2, *at(0, count - 1, count))
    assert exact[1] > 1e-12 * exact[0] >= exact[2]


@pytest.mark.parametrize("method", BOTH)
def test_without_a_restart_it_is_the_method_without_restarts(method):
    """To the last bit, up to the first restart, and never after it."""
    plain, *_ = run_of(Nesterov(momentum="convex"), 800)
    gaps, restarts, momentum = run_of(method, 800)
    (first, *_) = np.flatnonzero(restarts)
    assert (gaps[: first + 2] == plain[: first + 2]).sum() >= first + 1
    assert gaps[first + 2] != plain[first + 2]
    since = np.arange(801)
    for begun in np.flatnonzero(np.diff(restarts)) + 1:
        since[begun:] = np.arange(801 - begun)
    assert momentum == pytest.approx(np.maximum(since - 1, 0) / (since + 2), rel=1e-15)


@pytest.mark.parametrize("kappa", [1.0, 30.0, 1e4])
def test_neither_gap_nor_distance_is_ever_above_its_start(kappa):
    """Up to 1/λmax, for each component alone; beyond, nothing is stated."""
    rng = np.random.default_rng(5)
    values = np.sort(np.append(10 ** rng.uniform(0, np.log10(kappa), 4), [1.0, kappa]))[::-1]
    for method in BOTH:
        for step in (1.0, 0.4):
            *_, theory = theory_of(method, values, step, 300)
            limits = theory.limits(*at(*range(0, 301, 10)))
            assert (limits.gap == 1).all()
            assert (limits.distance == 1).all()
            assert np.isnan(limits.sharp).all()
            for shares in (*np.eye(6), rng.uniform(0, 1, 6)):
                gaps = theory.gap(shares, *at(*range(0, 301, 10)))
                assert (gaps <= shares.sum() * (1 + 1e-12)).all()
        *_, theory = theory_of(method, values, 1.0001)
        assert np.isnan(theory.limits(*at(0, 7)).gap).all()
        assert np.isnan(theory.contraction()).all()
        assert np.isinf(theory.iterations_to(0.5)).all()


@pytest.mark.parametrize("method", BOTH)
def test_what_the_tables_show(method):
    problem, steps = Prescribed(60, 12, condition_number=300.0), Step(value=[0.3, 1.0, 1.9])
    tables = run_study(RunConfig(problem, Normal(1.0), method, steps))
    runs = tables.runs.sort_values("step_value")
    assert set(runs["method_options"]) == {f"momentum=convex restart={method.restart}"}
    assert runs["status"].tolist() == ["converged", "converged", "diverged"]
    for name in ("nu", "rate_predicted", "iterations_predicted", "step_limit", "stable"):
        assert runs[name].isna().all()
    assert runs["bound_holds"].tolist()[:2] == [True, True]
    assert runs["growth_predicted"].tolist()[:2] == [1.0, 1.0]
    for run in runs[:2].itertuples():
        curve = tables.curves[tables.curves["run_id"] == run.run_id]
        assert curve["restarts"].iloc[0] == 0
        assert curve["restarts"].max() >= 3
        assert (curve["restarts"].diff().dropna() >= 0).all()
        # The step from w_t is the k-th since the last restart, with β = (k − 1)/(k + 2).
        beta, t = curve["coefficient_momentum"], curve["iteration"]
        k = ((1 + 2 * beta) / (1 - beta)).where(beta > 0)
        assert (np.abs(k - k.round()) < 1e-9 * k).sum() == k.notna().sum() > 10
        assert (k[curve["restarts"] == 0] == t[curve["restarts"] == 0]).sum() >= 0
        assert (curve["coefficient_step"] == run.step_size).all()
        early = curve[curve["gap"] > 1e-8 * run.initial_gap]
        assert early["gap"].to_numpy() == pytest.approx(early["gap_exact"], rel=1e-9)
    plain = run_study(RunConfig(problem, method=replace(method, restart="none"), step=steps))
    assert plain.curves["restarts"].isna().all()
    assert set(plain.runs["method_options"]) == {"momentum=convex"}


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("kappa", [1.0, 1e3, 1e5])
def test_rounding_explains_where_a_run_rests(method, kappa):
    """A run with a start from far away reaches its floor, and no bound is broken by rounding."""
    problem = Prescribed(40, 8, condition_number=kappa)
    config = RunConfig(problem, Normal(1e3), replace(method, iterations=20_000), Step(value=1.0))
    runs = run_study(config).runs
    assert (runs["status"] == "converged").all()
    assert runs["bound_holds"].all()


@pytest.mark.parametrize("method", BOTH)
def test_a_row_has_the_bits_that_it_has_alone(method):
    """Each run has its own count since its last restart; those with short steps leave last."""
    steps = Step(value=np.linspace(0.1, 1.3, 40).tolist())
    config = RunConfig(Gaussian(60, 12), Normal(1.0), replace(method, iterations=600), steps)
    runs = list(expand(config))
    together = encode(run_group(runs)).curves
    for run in runs[::13]:
        assert encode(run_group([run])).curves in together


@pytest.mark.parametrize("momentum", [0.5, "optimal", [0.5, "convex"], ["convex", "optimal"]])
def test_restarts_of_another_momentum_are_refused(momentum):
    with pytest.raises(ConfigError) as error:
        Nesterov(momentum=momentum, restart="gradient")
    shown = f"[{','.join(map(str, momentum))}]" if isinstance(momentum, list) else momentum
    assert str(error.value) == (
        "method.restart=gradient: begins a growing momentum again, so it needs"
        " method.momentum=convex; a momentum that is a number or optimal has restart=none, and"
        f" method.momentum is {shown}"
    )


def test_another_rule_is_refused():
    with pytest.raises(ConfigError, match="must be one of none, gradient, function"):
        Nesterov(momentum="convex", restart="fixed")


def replayed(lengths):
    """Gaps of growing momentum that begins again after so many steps each, by a product of p_t."""
    values = EIGENVALUES
    last = max(lengths)
    p = np.ones((last + 1, 50))
    p[1:] = (1 - values) * p[:-1]
    for t in range(1, last):
        beta = (t - 1) / (t + 2)
        p[t + 1] = (1 - values) * ((1 + beta) * p[t] - beta * p[t - 1])
    error, gaps = np.ones(50), []
    for length in lengths:
        gaps += [(values / 2 * (error * p[t]) ** 2).sum() for t in range(length)]
        error = error * p[length]
    return np.array([*gaps, (values / 2 * error**2).sum()])


@pytest.mark.parametrize("method", BOTH)
def test_a_run_is_a_product_of_polynomials(method):
    """Each begins at a restart that the run has recorded."""
    gaps, restarts, _ = run_of(method, 800)
    begun = np.flatnonzero(np.diff(restarts)) + 1
    assert gaps == pytest.approx(replayed(np.diff([0, *begun, 800]).tolist()), rel=1e-9)


def test_restarts_at_the_interval_of_the_general_bound():
    """e√(8κ) = 243.13, which needs κ: more iterations than with either rule.

    A counter that begins at 0 passes it after 245 steps.
    """
    every = np.e * np.sqrt(8 / EIGENVALUES[-1])
    assert every == pytest.approx(243.13, abs=0.005)
    gaps = replayed([int(every) + 2] * 4)
    assert int(np.argmax(gaps <= 1e-12 * gaps[0])) == 810
