"""Every method: its parts fit together, its theory is that of its update, and gdconv carries it.

The toy method of heavy_ball.py stands for a second one. It is run through tables, store, report,
page and gdconv-verify, although no line outside its file knows it.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from matplotlib.text import Text

from gdconv import (
    Chebyshev,
    Gaussian,
    GradientDescent,
    HeavyBall,
    MarchenkoPastur,
    Nesterov,
    Prescribed,
    RunConfig,
    Step,
    draw,
    run_study,
)
from gdconv.config.mapping import declared_keys, from_mapping
from gdconv.config.rules import ConfigError, key, real
from gdconv.config.runs import expand, number_of_runs
from gdconv.config.sections import METHODS, StudyConfig
from gdconv.experiment.group import run_group
from gdconv.experiment.prediction import Theory
from gdconv.methods.protocol import Choosing, Facts, Method
from gdconv.methods.sampling import Sampling
from gdconv.problems.families import make
from gdconv.problems.least_squares import Objective
from gdconv.report import report, summary
from gdconv.report.page import explorer
from gdconv.sweep.sweep import run_sweep
from gdconv.tables.csv import encode, read
from gdconv.theory.recurrence import MOST, Recurrence
from gdconv.verify import table

sys.path.insert(0, str(Path(__file__).parent))
from heavy_ball import HeavyBall as ToyHeavyBall

# A row for each method: with which keys it is tested. A new method gets a row here.
TESTED = {
    "gradient_descent": [GradientDescent(iterations=300)],
    "heavy_ball": [
        HeavyBall(iterations=300, momentum=each, first_step=first)
        for each in (0.0, 0.5, 0.9, "optimal")
        for first in ("full", "averaged")
    ],
    "nesterov": [
        Nesterov(iterations=300, momentum=each) for each in (0.0, 0.4, 0.9, "optimal", "convex")
    ],
    "chebyshev": [
        Chebyshev(iterations=300, lower=lower, upper=upper)
        for lower, upper in [(1.0, 1.0), (0.5, 1.1), (2.0, 1.0), (1.0, 0.98)]
    ],
    "marchenko_pastur": [MarchenkoPastur(iterations=300)],
    "toy_heavy_ball": [ToyHeavyBall(iterations=300, momentum=each) for each in (0.0, 0.4, 0.9)],
}
ALL = [
    pytest.param(each, id=f"{name} {number}")
    for name in TESTED
    for number, each in enumerate(TESTED[name])
]
PROBLEM = Prescribed(60, 20, condition_number=36.0)
STEPS = Step(value=[0.1, 0.5, 1.0, 1.47, 1.9, 2.1])


# The other tests know only the methods that gdconv has.
del METHODS["toy_heavy_ball"]


@pytest.fixture(autouse=True)
def _methods():
    """The toy method is known while a test runs; what the test adds is forgotten after it."""
    known = dict(METHODS)
    METHODS["toy_heavy_ball"] = ToyHeavyBall
    yield
    METHODS.clear()
    METHODS.update(known)


def theory_of(config):
    first, *_ = runs = list(expand(config))
    objective = Objective(make(first.problem, first.seed, first.repetition), first.method.reduce)
    return Theory(objective, np.zeros(objective.matrix.shape[1]), runs)


def recurrence_of(closed):
    """The theory that follows from the recurrence of a method with closed forms."""
    given = closed.rule, closed.coefficients, closed.eigenvalues, closed.iterations, closed.states
    return Recurrence(*given)


def test_every_method_is_tested():
    choosing = {name for name, kind in METHODS.items() if issubclass(kind, Choosing)}
    sampling = {name for name, kind in METHODS.items() if issubclass(kind, Sampling)}
    assert METHODS.keys() - choosing - sampling == TESTED.keys()
    # Those of tests/methods/test_chosen.py.
    assert choosing == {"conjugate_gradient", "steepest_descent", "polyak", "barzilai_borwein"}
    # Those of tests/methods/test_sampling.py.
    assert sampling == {"sgd", "kaczmarz", "coordinate_descent"}


@pytest.mark.parametrize("method", ALL)
def test_a_run_is_what_theory_says(method):
    """A dense problem, where rounding mixes the directions: gap, bounds and status of each run."""
    tables = run_study(RunConfig(PROBLEM, method=method, step=STEPS))
    curves, runs = tables.curves, tables.runs
    off = np.abs(np.sqrt(curves["gap"]) - np.sqrt(curves["gap_exact"]))
    rounding = np.sqrt(curves["gap_floor"]) + 1e-12 * np.sqrt(curves["gap"])
    assert (off <= rounding).all()
    for name in ("gap_bound", "gap_bound_relative", "gap_bound_sharp"):
        assert (np.sqrt(curves["gap"]) - np.sqrt(curves[name]) <= rounding).all()
    assert runs["bound_holds"].all()
    assert ((runs["status"] == "diverged") == (runs["rate_predicted"] > 1)).all()


@pytest.mark.parametrize("method", ALL)
def test_it_converges_below_its_limit_only(method):
    theory = theory_of(RunConfig(PROBLEM, method=method, step=STEPS))
    limit = theory.step_limit()[0]
    if not method.takes_step or method.options.get("momentum") == ("optimal",):
        assert (theory.nu[:5] < 1).all()
        return
    steps = [part * limit for part in (0.5, 0.999, 1.001, 2.0)]
    theory = theory_of(RunConfig(PROBLEM, method=method, step=Step("absolute", steps)))
    assert (theory.nu < 1).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "method", [GradientDescent(), ToyHeavyBall(iterations=300, momentum=25 / 49)]
)
def test_the_optimal_step_has_the_smallest_contraction_factor(method):
    """κ = 36: (κ − 1)/(κ + 1), and (√κ − 1)/(√κ + 1) with momentum 25/49, a double root."""
    steps = Step("optimal", [0.9, 0.99, 1.0, 1.01, 1.1])
    nu = theory_of(RunConfig(PROBLEM, method=method, step=steps)).nu
    assert nu.min() == pytest.approx(nu[2], abs=1e-7)
    assert nu[2] == pytest.approx(5 / 7 if isinstance(method, ToyHeavyBall) else 35 / 37, abs=1e-7)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("lambda_max", 3 / 8), ("optimal", 3 * (2 / 10)), ("absolute", 3.0), ("K", 1 / 3)],
)
def test_step_units(unit, expected):
    found = GradientDescent().coefficients(unit, 3.0, Facts(8.0, 2.0, 1, 1))
    assert found == {"step_size": expected}


@pytest.mark.parametrize("kind", [GradientDescent, HeavyBall, Nesterov])
def test_the_help_tells_the_best_step_of_every_method(kind):
    meanings = {key.name: key.meaning for key in declared_keys()}
    assert f"{kind.best_step} for {kind.name}" in meanings["step.unit"]
    written = kind.best_step.replace("√λmax", "7").replace("√λ⁺min", "3").replace("²", "**2")
    value = eval(written.replace("3λmax", "3 * 49").replace("λmax", "49").replace("λ⁺min", "9"))
    assert value == pytest.approx(kind().optimal_step_size(49.0, 9.0), rel=1e-15)


def test_the_help_tells_which_methods_take_no_step():
    meanings = {key.name: key.meaning for key in declared_keys()}
    without = {name for name, kind in METHODS.items() if not kind.takes_step}
    assert without >= {"chebyshev", "conjugate_gradient"}
    assert set(meanings["step.value"].partition("not used by ")[2].split(", ")) == without


# The polynomial of `gdconv.theory.recurrence` against closed forms


@pytest.mark.parametrize("iterations", [1, 40, 300])
def test_gradient_descent_s_closed_forms_agree_with_its_recurrence(iterations):
    method = GradientDescent(iterations=iterations)
    theory = theory_of(RunConfig(PROBLEM, method=method, step=STEPS))
    closed = theory.of_method
    general = recurrence_of(closed)
    runs = np.repeat(np.arange(len(STEPS.value)), iterations + 1)
    t = np.tile(np.arange(iterations + 1), len(STEPS.value))
    at = theory.shares, runs, t
    assert general.gap(*at) == pytest.approx(closed.gap(*at), rel=1e-11)
    assert general.factors() == pytest.approx(closed.factors(), rel=1e-14)
    assert general.contraction() == pytest.approx(closed.contraction(), rel=1e-14)
    assert general.growth() == pytest.approx(closed.contraction() ** 2, rel=1e-14)
    assert closed.growth().tolist() == np.maximum(closed.contraction() ** 2, 1).tolist()
    way = iterations * np.outer(closed.eigenvalues, closed.step_size)
    assert closed.reach() == pytest.approx(np.minimum(way, 1.0), rel=1e-14)
    assert general.step_error() == pytest.approx(closed.step_error(), rel=1e-14)
    maxima = general.maxima(runs, t), closed.maxima(runs, t)
    for enclosing, largest in zip(*maxima, strict=True):
        assert (enclosing >= largest * (1 - 1e-11)).all()
        assert (enclosing <= 1.06 * largest).all()
    assert (general.reach() <= closed.reach() * (1 + 1e-11)).all()
    for index in (0, 10, 19):
        sums = general.summed(index, runs, t)
        assert (sums <= closed.summed(index, runs, t) * (1 + 1e-11)).all()
    assert (general.drift(runs, t, 20) <= 3 * closed.drift(runs, t, 20)).all()


def test_the_predicted_iterations_are_the_least_that_suffice():
    """κ = 36, from a bound that is at most 6 % too large: at most one iteration more."""
    method = GradientDescent(iterations=1000)
    theory = theory_of(RunConfig(PROBLEM, method=method, step=STEPS))
    closed = theory.of_method
    general = recurrence_of(closed)
    for reduction in (0.5, 1e-6):
        known = np.isfinite(general.iterations_to(reduction))
        assert known.sum() >= 4
        more = general.iterations_to(reduction)[known] - closed.iterations_to(reduction)[known]
        assert set(more) <= {0, 1}


@pytest.mark.parametrize(
    ("t", "gap"),
    [(1, 167.191586838817), (5, 114.717435015852), (20, 0.06414055238411)],
)
def test_heavy_ball_in_rational_arithmetic(t, gap):
    """X = diag(1, ..., 6), y = 0, w_0 = (1, ..., 1), the best step and momentum: ½Σλp_t²."""
    eigenvalues = 2.0 * np.arange(6, 0, -1) ** 2
    coefficients = {"step_size": np.array([2 / 49]), "momentum": np.array([25 / 49])}
    theory = Recurrence(ToyHeavyBall.recurrence, coefficients, eigenvalues, 50, 1)
    assert theory.gap(eigenvalues / 2, np.zeros(1, int), np.array([t])) == pytest.approx(gap, 1e-12)
    # max |p_t| = momentum^{t/2} (1 + t (1 + √momentum)).
    largest = ((25 / 49) ** (t / 2) * (1 + t * (1 + 5 / 7))) ** 2
    (bound,), _ = theory.maxima(np.zeros(1, int), np.array([t]))
    assert largest <= bound <= 1.06 * largest


def test_beyond_its_last_iteration_the_enclosure_says_nothing():
    method = ToyHeavyBall(iterations=MOST + 500, momentum=0.999)
    tables = run_study(RunConfig(Gaussian(30, 5), method=method, step=Step(value=0.001)))
    late = tables.curves["iteration"] > MOST
    assert late.any()
    assert tables.curves["gap_exact"].notna().all()
    for name in ("gap_bound", "gap_bound_sharp"):
        assert (tables.curves[name].isna() == late).all()
    assert tables.runs["bound_holds"].all()


# A second method, carried by everything


GRID = RunConfig(
    PROBLEM,
    method=ToyHeavyBall(iterations=200, momentum=[0.0, 0.4, 0.9]),
    step=Step(value=[0.5, 1.0, 1.47, 3.0]),
)


def test_step_size_and_momentum_vary_in_one_matrix():
    """Every row has the bits that it has alone."""
    runs = list(expand(GRID))
    assert len(runs) == number_of_runs(GRID) == 12
    together = run_group(runs)
    for number, run in enumerate(runs):
        alone = run_group([run])
        assert all(
            values[0] == alone.runs[name][0] or values[0] != values[0]
            for name, values in ((n, v[number:]) for n, v in together.runs.items())
        )
        assert encode(alone).curves in encode(together).curves


def test_without_momentum_heavy_ball_is_gradient_descent_to_the_last_bit():
    toy, ours = (
        run_study(RunConfig(PROBLEM, method=method, step=STEPS)).curves
        for method in (ToyHeavyBall(iterations=200, momentum=0.0), GradientDescent(iterations=200))
    )
    assert toy["gap"].tolist() == ours["gap"].tolist()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of both methods."""
    both = [GRID, RunConfig(PROBLEM, method=GradientDescent(iterations=200), step=STEPS)]
    asked = StudyConfig(study="both", results_dir=str(tmp_path_factory.mktemp("results")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "toy_heavy_ball", ToyHeavyBall)
        return run_sweep(both, asked).folder


def test_a_study_of_two_methods(study):
    runs = read(study).runs
    toy = runs[runs["method"] == "toy_heavy_ball"]
    assert sorted(toy["momentum"].unique()) == [0.0, 0.4, 0.9]
    for name in ("method_options", "momentum"):
        assert runs[runs["method"] == "gradient_descent"][name].isna().all()
    for name in ("nu_coursework", "bound_coursework_holds", "first_violation_coursework"):
        assert toy[name].isna().all()
        assert runs[name].notna().any()
    assert toy["bound_holds"].all()
    again = run_sweep([GRID], StudyConfig(study="both", results_dir=str(study.parent)))
    assert again.added == 0


def test_runs_of_different_methods_are_summed_up_apart(study):
    lines = summary.summary(study).splitlines()
    for momentum in ("0", "0.4", "0.9"):
        row = ["toy_heavy_ball", momentum]
        assert sum(each.split()[3:5] == row for each in lines) == 1
    assert sum("gradient_descent" in each for each in lines) == 1


@pytest.mark.slow
def test_a_report_of_two_methods(study):
    page = report.write(study, ["png"]).read_text(encoding="utf-8")
    assert all(name in page for name in ("toy_heavy_ball", "gradient_descent"))
    assert (study / "figures" / "methods.png").exists()


@pytest.mark.slow
def test_figures_and_page_of_another_method_have_none_of_gradient_descent_s_closed_forms():
    tables = run_study([GRID, RunConfig(Gaussian(60, 2), method=GRID.method, step=STEPS)])
    drawn, omitted = draw(tables)
    assert drawn.keys() == {"convergence", "rate_vs_step", "stability", "spectrum", "tightness"}
    assert "no run is one of gradient descent" in omitted["gallery"]
    for figure in (drawn[name] for name in ("convergence", "rate_vs_step", "tightness")):
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert any("toy heavy ball" in each for each in texts)
        assert any(r"$β$ = 0.9" in each for each in texts)
        assert not any("coursework" in each for each in texts)
    assert json.loads(explorer.embedded(tables))["problems"] == []


def test_verify_checks_the_residual_polynomial():
    one = RunConfig(
        PROBLEM, method=ToyHeavyBall(iterations=200, momentum=0.4), step=Step(value=1.0)
    )
    checks = table.checked(table.case_of(one))
    assert {check.equation for check in checks} >= {"(5)", "(16)", "p_t"}
    assert not {check.equation for check in checks} & {"(9)", "(18)", "(19)", "(20)", "(j)"}
    assert all(check.verdict.startswith("holds") for check in checks)


@pytest.mark.parametrize("part", ["b", "c"])
def test_verify_notices_a_wrong_recurrence(part, monkeypatch):
    right = ToyHeavyBall.recurrence

    def wrong(t, eigenvalue, coefficients):
        b, c = right(t, eigenvalue, coefficients)
        return (1.001 * b, c) if part == "b" else (b, 1.001 * c)

    monkeypatch.setattr(ToyHeavyBall, "recurrence", staticmethod(wrong))
    one = RunConfig(
        PROBLEM, method=ToyHeavyBall(iterations=200, momentum=0.4), step=Step(value=1.0)
    )
    failed = [check.statement for check in table.checked(table.case_of(one)) if not check.passed]
    assert any("b vᵢᵀ(eₜ − eₜ₋₁) − c" in each for each in failed)


# What is refused


@pytest.mark.parametrize("part", Method.parts)
def test_a_method_that_lacks_a_part_is_refused(part):
    parts = {each: getattr(ToyHeavyBall, each) for each in Method.parts if each != part}
    dataclass(frozen=True)(type("Lacking", (Method,), {"name": "lacking", **parts}))
    with pytest.raises(ConfigError, match=f"method=lacking: is a method that lacks {part}"):
        from_mapping({"method": {"name": "lacking"}})


def test_a_name_belongs_to_one_method():
    with pytest.raises(TypeError, match=r"gradient_descent .* another method, GradientDescent"):
        type("Other", (Method,), {"name": "gradient_descent"})


def test_a_key_that_only_another_method_has_is_refused():
    with pytest.raises(ConfigError, match=r"method\.momentum=0\.5: is not a key"):
        from_mapping({"method": {"name": "gradient_descent", "momentum": 0.5}})


def test_a_method_without_a_step_size_makes_one_run():
    @dataclass(frozen=True)
    class Fixed(GradientDescent):
        """Gradient descent with the step size 1/λmax."""

        name: ClassVar[str] = "fixed"
        takes_step: ClassVar[bool] = False
        part: float = key(1.0, real(lambda value: value > 0, ""), "part of 1/λmax")

        def coefficients(self, unit, value, lambda_max, lambda_min_positive):
            assert unit is None
            assert value is None
            return {"step_size": self.part / lambda_max}

    config = RunConfig(PROBLEM, method=Fixed(iterations=50), step=STEPS)
    assert number_of_runs(config) == 1
    runs = run_study(config).runs
    assert runs["step_value"].isna().all()
    assert runs["step_unit"].isna().all()
    assert runs["method_options"].tolist() == ["part=1.0"]
    assert runs["bound_holds"].all()
