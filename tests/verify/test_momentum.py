"""gdconv-verify of methods with momentum: it passes on every run, and notices an error of 0.1 %."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

from gdconv import (
    Chebyshev,
    Eigenvector,
    Gaussian,
    HeavyBall,
    MarchenkoPastur,
    Nesterov,
    Normal,
    Polynomial,
    Prescribed,
    RunConfig,
    Step,
    Zeros,
)
from gdconv.config.runs import expand
from gdconv.config.sections import METHODS
from gdconv.methods.protocol import Method
from gdconv.theory.recurrence import Recurrence
from gdconv.verify import known, statements
from gdconv.verify.case import Case
from gdconv.verify.known import known_of
from gdconv.verify.statements import verify
from gdconv.verify.table import gaps_of, numbers_of

sys.path.insert(0, str(Path(__file__).parent))
from scaled import noticed, of_method, places, wrong_runs

RUNS = {
    "heavy ball": (HeavyBall, {}),
    "heavy ball, averaged": (HeavyBall, {"first_step": "averaged"}),
    "heavy ball, 0": (HeavyBall, {"momentum": 0.0}),
    "heavy ball, 0.9": (HeavyBall, {"momentum": 0.9}),
    "heavy ball, 0.9, averaged": (HeavyBall, {"momentum": 0.9, "first_step": "averaged"}),
    "nesterov": (Nesterov, {}),
    "nesterov, 0.9": (Nesterov, {"momentum": 0.9}),
    "nesterov, convex": (Nesterov, {"momentum": "convex"}),
    "chebyshev": (Chebyshev, {}),
    "chebyshev, long": (Chebyshev, {"lower": 0.5, "upper": 1.1}),
    "chebyshev, short": (Chebyshev, {"lower": 1.0, "upper": 0.9}),
    "heavy ball, edges": (HeavyBall, {"tuned_to": "edges"}),
    "heavy ball, 0.9, edges": (HeavyBall, {"momentum": 0.9, "tuned_to": "edges"}),
    "chebyshev, edges": (Chebyshev, {"lower": 0.9, "tuned_to": "edges"}),
    "marchenko_pastur": (MarchenkoPastur, {}),
    "chebyshev, too short": (Chebyshev, {"lower": 1.0, "upper": 0.4}),
}
PROBLEMS = {
    "condition number 36": Prescribed(40, 8, condition_number=36.0),
    "one feature": Gaussian(9, 1),
    "wide": Gaussian(10, 25),
    "condition number 1e10": Prescribed(40, 8, condition_number=1e10),
    "flat spectrum": Prescribed(30, 7, condition_number=1.0),
    "exact fit": Gaussian(40, 6, noise=0.0),
    "polynomial": Polynomial(50, 5),
    "one number": Gaussian(1, 1),
    "condition number 1e18": Prescribed(30, 7, condition_number=1e18),
}
STEPS = [
    *(("lambda_max", value) for value in (1e-6, 1.0, 1.9, 2.5, 4.5, 1e60)),
    *(("optimal", 1.0), ("K", 40.0)),
]
STARTS = [Zeros(), Eigenvector("max", 1.0), Eigenvector("min", 1e-9), Normal(1e3)]


def one(problem, method, keys, step=("lambda_max", 1.0), start=None, iterations=60):
    config = RunConfig(
        problem, start or Zeros(), method(iterations=iterations, **keys), Step(*step)
    )
    (run,) = expand(config)
    return Case(run)


def possible(method, keys, step, problem):
    """Whether there is a momentum below 1 for the step, and an interval that is not empty."""
    if keys.get("tuned_to") == "edges" and problem.n_samples == problem.n_features:
        return False
    if method is MarchenkoPastur:
        return step == STEPS[0]
    if method is HeavyBall and "momentum" not in keys:
        return step[0] == "optimal" or (step[0] == "lambda_max" and step[1] < 4)
    if method is Chebyshev:
        spectrum = {"one feature", "flat spectrum", "one number"}
        narrow = any(PROBLEMS[name] is problem for name in spectrum)
        return step == STEPS[0] and not (narrow and keys.get("upper", 1.0) < 1)
    return True


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(problem, id=name, marks=[pytest.mark.slow] * (number > 0))
        for number, (name, problem) in enumerate(PROBLEMS.items())
    ],
)
def test_every_statement_holds(run, problem):
    method, keys = run
    steps = [step for step in STEPS if possible(method, keys, step, problem)]
    for number, step in enumerate(steps):
        case = one(problem, method, keys, step, STARTS[number % len(STARTS)])
        checks = verify(case)
        assert [check for check in checks if not check.passed] == [], step
        numbers = [each for check in checks for each in (check.value, check.tolerance)]
        assert not np.isnan(numbers).any(), step


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_long_runs(run):
    method, keys = run
    for kappa, step in [(36.0, ("optimal", 1.0)), (1e4, ("lambda_max", 1.0))]:
        case = one(Prescribed(60, 20, condition_number=kappa), method, keys, step, iterations=2000)
        assert [check for check in verify(case) if not check.passed] == []


def labels(checks):
    return list(dict.fromkeys(check.equation for check in checks))


def test_every_method_has_its_statements():
    common = ["(1)", "(3)", "(4)", "(5)", "(12)", "(13)", "(15)", "(16)", "η", "p_t", "max p_t"]
    common += ["ν", "t", "1/T_t"]
    problem = PROBLEMS["condition number 36"]
    for run, own in [
        ("heavy ball", ["β", "S_t"]),
        ("nesterov", ["β"]),
        ("chebyshev", ["a + b"]),
        ("marchenko_pastur", ["d/n"]),
    ]:
        checks = verify(one(problem, *RUNS[run]))
        assert labels(checks) == common + own
        asks = {"holds: it converges"} if run != "marchenko_pastur" else set()
        assert {check.verdict for check in checks} == {"holds"} | asks


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("heavy ball, 0.9", "heavy_ball, η 0.0125 = 1/λmax, β 0.9, η₀ 0.0125, ν 0.948683"),
        (
            "heavy ball, 0.9, averaged",
            "heavy_ball, η 0.0125 = 1/λmax, β 0.9, η₀ 0.00657895, ν 0.948683",
        ),
        ("nesterov, convex", "nesterov, η 0.0125 = 1/λmax, ν 0.986013"),
        (
            "chebyshev",
            "chebyshev, a 2.22222, b 80, r 0.714286, η₀ 0.0243243, ν 0.714286",
        ),
        ("marchenko_pastur", "marchenko_pastur, ln r -1.60944, η∞ 0.0125, ν 0.96496"),
    ],
)
def test_the_numbers_of_a_run_are_those_of_its_method(name, line):
    """λmax is 80 and κ 36: √0.9, √(1 − 1/36), 5/7, 1/(80·1.9) and 2/(80 + 80/36).

    The last ν is the larger root of z² = (1 + 0.2 − 1/36) z − 0.2, and ln r is ln 8/40.
    """
    case = one(PROBLEMS["condition number 36"], *RUNS[name])
    assert numbers_of(case).splitlines()[2] == line
    assert gaps_of(case).split()[:6] == ["t", "gap", "exact", "bound", "relative", "sharp"]


def test_a_divergent_run_has_its_quadratic_form():
    case = one(PROBLEMS["condition number 36"], HeavyBall, {"momentum": 0.5}, ("lambda_max", 4.0))
    assert case.moments[-1].gap > 1e6 * case.moments[0].gap
    forms = [check for check in verify(case) if check.equation == "S_t"]
    assert [check.verdict for check in forms] == ["holds"] * 3
    assert all(check.tolerance < 1e-11 for check in forms)


def test_tolerances_are_rounding_and_no_more():
    """But for bounds, ν and β at a double root, and gaps close to the noise."""
    for name in ("heavy ball, 0.9", "nesterov, 0.9", "nesterov, convex", "chebyshev, long"):
        for check in verify(one(PROBLEMS["condition number 36"], *RUNS[name])):
            loose = "by search" in check.statement or check.statement.startswith("the run's gap")
            if not loose and check.equation not in ("ν", "1/T_t", "β"):
                assert 0 <= check.tolerance <= 1e-9, check


# A wrong formula


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov", "chebyshev", "marchenko_pastur"])
def test_the_named_runs_pass(name):
    assert len(of_method(name)) >= 1
    assert not noticed(of_method(name))


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.001, 0.999])
@pytest.mark.parametrize(
    ("method", "place"), [*places(HeavyBall, Nesterov, Chebyshev, MarchenkoPastur)]
)
# A wrong exponent may divide by 0.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_formula_of_a_method_off_by_a_thousandth_is_noticed(method, place, factor, monkeypatch):
    registers = METHODS, known.KNOWN, statements.OF_ONE_METHOD
    assert noticed(wrong_runs(method, place, factor, registers, monkeypatch))


PARTS = [
    *("coefficients", "recurrence b", "recurrence c", "optimal_step_size", "step_limit"),
    *("gap", "contraction", "log_contraction", "iterations_to"),
]


@pytest.mark.parametrize("factor", [1.001, pytest.param(0.999, marks=pytest.mark.slow)])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("method", [HeavyBall, Nesterov, Chebyshev, MarchenkoPastur])
def test_a_result_off_by_a_thousandth_is_noticed(method, part, factor, monkeypatch):
    runs = of_method(method.name)
    name, _, which = part.partition(" ")
    of_run = vars(Method).get(name) is not None
    owner = method if of_run else type(Case(runs[0]).theory.of_method)
    right = getattr(owner, name)

    def wrong(*given):
        found = right(*given)
        if isinstance(found, dict):
            return {key: factor * value for key, value in found.items()}
        if which:
            return tuple(
                factor * value if key == which else value
                for key, value in zip("bc", found, strict=True)
            )
        return found if found is None else factor * found

    static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    monkeypatch.setattr(owner, name, staticmethod(wrong) if static else wrong)
    if part == "step_limit" and not method.takes_step:
        assert not noticed(runs)
    else:
        assert noticed(runs)


class Closed(Recurrence):
    """Theory with closed forms of the maxima, which may be wrong by a factor."""

    factor = 1.0

    def maxima(self, column, t):
        _, weighted = self.other.maxima(column, t)
        closed = [float(self.known.worst(int(each))) ** 2 for each in t]
        return np.array(closed) * self.factor, weighted


@pytest.mark.parametrize("factor", [1.0, 1.001, 0.999])
@pytest.mark.parametrize(
    ("name", "step"),
    [
        *(("heavy ball", ("optimal", 1.0)), ("heavy ball, averaged", ("optimal", 1.0))),
        *(("nesterov", ("lambda_max", 1.0)), ("chebyshev", ("lambda_max", 1.0))),
    ],
)
def test_a_closed_form_of_a_maximum_off_by_a_thousandth_is_noticed(name, step, factor, monkeypatch):
    method, keys = RUNS[name]
    right = method.theory

    def theory(self, coefficients, eigenvalues, iterations):
        found = Closed(self.recurrence, coefficients, eigenvalues, iterations, len(self.state))
        found.factor, found.other = factor, right(self, coefficients, eigenvalues, iterations)
        ends = float(eigenvalues[-1]), float(eigenvalues[0])
        of_run = {key: float(values[0]) for key, values in coefficients.items()}
        found.known = known_of(self, of_run, ends)
        return found

    monkeypatch.setattr(method, "theory", theory)
    failed = [
        check.statement
        for check in verify(one(PROBLEMS["condition number 36"], method, keys, step))
        if not check.passed
    ]
    assert any("in closed form" in each for each in failed) == (factor != 1)
    if factor == 1:
        assert failed == []


@pytest.mark.parametrize("method", [HeavyBall(), Nesterov(), Chebyshev(), MarchenkoPastur()])
@pytest.mark.parametrize("radius", [1e12, 1e24])
def test_rounding_in_the_null_space_of_wide_problems_breaks_no_statement(method, radius):
    """Nothing shrinks it, so a far start keeps it in ‖w_t − w*‖, whatever the bound is."""
    problem = Prescribed(4, 9, noise=0.0, condition_number=1.0)
    (run,) = expand(RunConfig(problem, Eigenvector("min", radius), method, Step("optimal")))
    assert [check.statement for check in verify(Case(run)) if not check.passed] == []


@pytest.mark.parametrize("momentum", [0.5, "convex"])
@pytest.mark.parametrize("radius", [1e10, 1e20])
def test_rounding_of_the_iterate_before_breaks_no_statement(momentum, radius):
    """All eigenvalues are 1/η but for rounding: w_1 is w*, and w_2 differs from it by rounding."""
    start, method = Eigenvector("min", radius), Nesterov(iterations=5, momentum=momentum)
    (run,) = expand(RunConfig(Prescribed(32, 3, condition_number=1.0), start, method))
    assert [check.statement for check in verify(Case(run)) if not check.passed] == []
