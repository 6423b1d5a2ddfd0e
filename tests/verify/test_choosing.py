"""gdconv-verify of methods that choose their steps: it passes, and notices an error of 0.1 %."""

import inspect
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gdconv import (
    BarzilaiBorwein,
    ConjugateGradient,
    Eigenvector,
    Gaussian,
    Nesterov,
    Normal,
    Polyak,
    Polynomial,
    Prescribed,
    RunConfig,
    SteepestDescent,
    Zeros,
)
from gdconv.config.runs import expand
from gdconv.config.sections import METHODS
from gdconv.theory.chosen import Chosen
from gdconv.theory.limits import Limits
from gdconv.verify import statements
from gdconv.verify.case import Case
from gdconv.verify.chosen import known
from gdconv.verify.statements import verify
from gdconv.verify.table import gaps_of, numbers_of

sys.path.insert(0, str(Path(__file__).parent))
from scaled import noticed, of_method, places, wrong_runs

ALL = [ConjugateGradient, SteepestDescent, Polyak, BarzilaiBorwein]
RUNS = {
    "conjugate gradients": (ConjugateGradient, {}),
    "reorthogonalized": (ConjugateGradient, {"reorthogonalize": True}),
    "steepest descent": (SteepestDescent, {}),
    "Barzilai and Borwein": (BarzilaiBorwein, {}),
    "Polyak, 1": (Polyak, {}),
    "Polyak, 2": (Polyak, {"factor": 2.0}),
    "Polyak, 3.999": (Polyak, {"factor": 3.999}),
    "restarts by gradient": (Nesterov, {"momentum": "convex", "restart": "gradient"}),
    "restarts by function": (Nesterov, {"momentum": "convex", "restart": "function"}),
}
PROBLEMS = {
    "condition number 36": Prescribed(40, 8, condition_number=36.0),
    "one feature": Gaussian(9, 1),
    "one number": Gaussian(1, 1),
    "minimum at the start": Gaussian(1, 1, noise=0.0),
    "wide": Gaussian(10, 25),
    "exact fit": Gaussian(40, 6, noise=0.0),
    "polynomial": Polynomial(50, 9),
    "flat spectrum": Prescribed(40, 8, condition_number=1.0),
    "nearly flat": Prescribed(40, 8, condition_number=1 + 1e-12),
    "nearly 1": Prescribed(40, 8, condition_number=1.0001),
    "condition number 1e4": Prescribed(40, 8, condition_number=1e4),
    "condition number 1e12": Prescribed(60, 20, condition_number=1e12),
    "condition number 1e18": Prescribed(40, 8, condition_number=1e18),
    "strakos": Prescribed(60, 48, condition_number=1e3, profile="strakos"),
}
STARTS = [Zeros(), Eigenvector("max", 1.0), Eigenvector("min", 1e-9), Normal(1e3), Normal(1e-8)]


def one(problem, method, keys, start=None, iterations=40):
    (run,) = expand(RunConfig(problem, start or Zeros(), method(iterations=iterations, **keys)))
    return Case(run)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(problem, id=name, marks=[pytest.mark.slow] * (number > 2))
        for number, (name, problem) in enumerate(PROBLEMS.items())
    ],
)
def test_every_statement_holds(run, problem):
    for start in STARTS:
        case = one(problem, *run, start)
        checks = verify(case)
        assert [check for check in checks if not check.passed] == [], start
        numbers = [each for check in checks for each in (check.value, check.tolerance)]
        assert not np.isnan(numbers).any(), start
        assert "nan" not in numbers_of(case) + gaps_of(case)


def test_every_method_has_its_statements():
    common = ["(1)", "(3)", "(4)", "(5)", "(12)", "(13)", "(15)", "(16)"]
    chosen = ["wₜ₊₁", "one step", "gap", "bound", "ν", "t"]
    for name, own in [
        (
            "conjugate gradients",
            [*(each for each in chosen if each != "one step"), "g ⊥ g₋", "outliers", "end"],
        ),
        ("steepest descent", ["η", *chosen]),
        ("Polyak, 2", ["η", *chosen]),
        ("Barzilai and Borwein", ["η", *(each for each in chosen if each != "one step")]),
        (
            "restarts by gradient",
            ["η", *(each for each in chosen if each != "one step"), "restart"],
        ),
    ]:
        checks = verify(one(PROBLEMS["condition number 36"], *RUNS[name]))
        assert list(dict.fromkeys(check.equation for check in checks)) == common + own
        assert all(check.verdict == "holds" for check in checks)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("conjugate gradients", "conjugate_gradient, ν 0.714286"),
        ("steepest descent", "steepest_descent, ν 0.945946"),
        ("Polyak, 1", "polyak, factor 1, ν 0.959745"),
        ("Barzilai and Borwein", "barzilai_borwein, ν not known"),
    ],
)
def test_the_numbers_of_a_run_are_those_of_its_method(name, line):
    """κ is 36: 5/7, 35/37, √(1 − 3·36/37²)."""
    case = one(PROBLEMS["condition number 36"], *RUNS[name])
    assert numbers_of(case).splitlines()[2] == line
    heading = gaps_of(case).splitlines()[0].split()
    bounds = {"Polyak, 1": ["bound", "sharp"], "Barzilai and Borwein": []}
    known_bounds = bounds.get(name, ["bound", "relative", "sharp"])
    assert heading == ["t", "gap", "exact", *known_bounds, "η", "λmax", "β"]


def test_the_own_run_is_exact_in_fractions():
    """Case B, λ = 2i²: gaps that are known exactly, and 0 after six steps along the gradients."""
    values = [Fraction(2 * i * i) for i in range(1, 7)]
    ends = Fraction(2), Fraction(72)
    found = {
        kind: known.gaps(kind({"factor": 1.0}, *ends), values, [Fraction(1)] * 6, steps)
        for kind, steps in ((known.LineSearch, 5), (known.Plane, 6), (known.Secant, 5))
    }
    for kind, gaps in {
        known.LineSearch: [91, 13.948519450358, 5.32020268062498],
        known.Plane: [91, 13.948519450358, 4.2321522870722],
    }.items():
        assert [float(each) for each in found[kind][:3]] == pytest.approx(gaps, rel=1e-13)
    assert float(found[known.Plane][5]) == pytest.approx(0.307478189743086, rel=1e-13)
    assert found[known.Plane][6] == 0
    steps, last = known.last_gap(values, [value / 2 for value in values])
    assert (steps, last) == (6, found[known.Plane][5])


@pytest.mark.parametrize("method", ALL)
def test_the_named_runs_pass(method):
    assert len(of_method(method.name)) >= 1
    assert not noticed(of_method(method.name))


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.001, 0.999])
@pytest.mark.parametrize(("method", "place"), [*places(*ALL)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_formula_of_a_method_off_by_a_thousandth_is_noticed(method, place, factor, monkeypatch):
    registers = METHODS, known.CHOICES, statements.OF_ONE_METHOD
    assert noticed(wrong_runs(method, place, factor, registers, monkeypatch))


def stretched(found, factor, which):
    """A result of a method or of its theory, of which the part `which` is wrong."""
    if isinstance(found, dict):
        # It may be a decimal.
        times = {name: round(1000 * factor) if name == which else 1000 for name in found}
        return {name: value * times[name] / 1000 for name, value in found.items()}
    if isinstance(found, Limits):
        wrong = getattr(found, which)
        return found if wrong is None else found._replace(**{which: wrong * factor})
    return found * factor


PARTS = [
    *("choose step_size", "choose momentum", "limits gap", "limits distance", "limits sharp"),
    *("gap", "contraction", "log_contraction", "iterations_to", "limit_of_spectrum"),
]


@pytest.mark.parametrize("factor", [1.001, 0.999])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("method", ALL)
def test_a_result_off_by_a_thousandth_is_noticed(method, part, factor, monkeypatch):
    name, _, which = part.partition(" ")
    owner = method if which else Chosen
    right = getattr(owner, name)

    def wrong(*given):
        return stretched(right(*given), factor, which)

    static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    runs, nothing = of_method(method.name), Case(of_method(method.name)[0])
    limits = nothing.method.limits(
        np.array([1.0]), np.array([36.0, 1.0]), {"factor": np.array([1.0])}
    )
    monkeypatch.setattr(owner, name, staticmethod(wrong) if static else wrong)
    # What a method does not have cannot be wrong.
    absent = {
        "choose momentum": method is not ConjugateGradient,
        "limits gap": limits.gap is None,
        "limits distance": limits.distance is None,
        "limits sharp": limits.sharp is None,
        "contraction": method is BarzilaiBorwein,
        "log_contraction": method is BarzilaiBorwein,
        "iterations_to": limits.gap is None,
        "limit_of_spectrum": method is not ConjugateGradient,
    }
    assert noticed(runs) != absent.get(part, False)


def test_a_bound_where_none_is_proved_is_noticed(monkeypatch):
    def limits(t, eigenvalues, coefficients):
        return Limits(None, None, np.ones_like(t) * 1e6)

    monkeypatch.setattr(BarzilaiBorwein, "limits", staticmethod(limits))
    checks = verify(one(PROBLEMS["condition number 36"], BarzilaiBorwein, {}))
    assert [check.equation for check in checks if not check.passed] == ["bound"]
