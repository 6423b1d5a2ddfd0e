"""The checks of gdconv-verify: they pass on every kind of run, and notice an error of 0.1 %."""

import ast
import inspect
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Normal, Step, Zeros
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.theory import bounds
from gdconv.verify import case
from gdconv.verify import statements as identities
from gdconv.verify.case import Case
from gdconv.verify.statements import verify
from nnlib.ops import OPS

sys.path.insert(0, str(Path(__file__).parent))
from scaled import noticed, runs_named_in, scaled

DIABETES = str(Path(__file__).parents[1] / "data" / "diabetes.csv")
PROBLEMS = {
    "gaussian": Gaussian(60, 20),
    "one feature": Gaussian(9, 1),
    "one sample": Gaussian(1, 4),
    "one number": Gaussian(1, 1),
    "wide": Gaussian(10, 25),
    "exact fit": Gaussian(40, 6, noise=0.0),
    "correlated": Correlated(50, 8, correlation=0.999),
    "flat spectrum": Prescribed(30, 7, condition_number=1.0),
    "two points": Prescribed(30, 7, condition_number=1e8, profile="two_point"),
    "condition number 1e18": Prescribed(30, 7, condition_number=1e18),
    "wide, 1e12": Prescribed(5, 9, condition_number=1e12),
    "polynomial": Polynomial(50, 5),
    "degree too high": Polynomial(4, 9),
    "degree out of reach of floats": Polynomial(60, 60),
    "standardized data": Table(DIABETES, "progression", True),
    "raw data": Table(DIABETES, "progression", False),
}
STARTS = {
    "zeros": Zeros(),
    "far away": Normal(1e25),
    "along v_max": Eigenvector("max", 1.0),
    "along v_min": Eigenvector("min", 1e-9),
}
STEPS = [
    ("lambda_max", 1e-12),
    ("lambda_max", 1.0),
    ("lambda_max", 1.99),
    ("lambda_max", 2.0),
    ("lambda_max", 2.5),
    ("lambda_max", 1e100),
    ("optimal", 1.0),
    ("K", 3.0),
    ("absolute", 1e-3),
]


def one(problem, start=None, step=("lambda_max", 1.5), iterations=100, reduce="qr"):
    method = GradientDescent(iterations=iterations, reduce=reduce)
    (run,) = expand(RunConfig(problem, start or Zeros(), method, Step(*step)))
    return Case(run)


def every_other(problem, start):
    return ([*PROBLEMS.values()].index(problem) + [*STARTS.values()].index(start)) % 2


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.slow_where(case=every_other)
def test_every_statement_holds(problem, start):
    # A third of the steps for each start, so that every problem meets every step.
    first = [*STARTS.values()].index(start) % 3
    for number, step in enumerate(STEPS[first::3]):
        checks = verify(one(problem, start, step, reduce=("qr", "none")[number % 2]))
        assert [check for check in checks if not check.passed] == [], step
        numbers = [each for check in checks for each in (check.value, check.tolerance)]
        assert not np.isnan(numbers).any()


def test_powers_out_of_the_range_of_floats_are_left_out():
    """From 1e-20 off w*, 19 steps of 1e16 end in a gap below 1e300, the power ν^{2t} beyond it."""
    start, step = Eigenvector("min", 1e-20), ("lambda_max", 1e16)
    checks = verify(one(Correlated(1, 8, noise=0.0), start, step, iterations=300))
    assert all(check.passed for check in checks)


def test_a_factor_of_exactly_0_beside_another():
    """λmax is a power of 2 and the step its inverse: ln |1 − ηλmax| is −inf, and ln ν is not."""
    found = one(Gaussian(60, 20))
    found.lambda_max, found.step_size = 1024.0, 2.0**-10
    theory = found.theory.of_method
    theory.step_size, theory.ends = np.array([2.0**-10]), (1024.0, found.lambda_min_positive)
    with np.errstate(divide="ignore"):
        rate, iterations = identities.rate_20(found)
    assert (rate.passed, iterations.passed) == (True, True)
    assert 0 <= rate.tolerance < 1e-12


def test_every_equation_is_there():
    equations = [check.equation for check in verify(one(Gaussian(60, 20)))]
    assert list(dict.fromkeys(equations)) == [
        f"({each})" for each in [1, *range(3, 10), 12, 13, 14, 15, 16, 17, 18, 19, 20, "j", "k"]
    ]
    for function in identities.EQUATIONS:
        assert inspect.getdoc(function).startswith(f"({function.__name__.rpartition('_')[2]})")


def test_tolerances_are_rounding_and_no_more():
    """With 20 features and a good condition number nothing needs more than 1e-9."""
    *checks, this_run = verify(one(Gaussian(60, 20)))
    assert all(0 <= check.tolerance <= 1e-9 for check in checks)
    # Of the last gaps, which are close to the noise.
    assert this_run.tolerance <= 1e-6


# A wrong formula

PAGE = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")
# Calls that compute nothing.
PLUMBING = ("np.errstate", "np.broadcast_arrays", "np.zeros", "zip", "ValueError")
# What theory says of a case; the rest of it is what rounding may do.
FORMULAS_OF_CASE = [
    *("away", "nu", "log_nu", "logs", "powers", "shares", "measured", "step_along"),
    *("hessian_times", "loss", "gradient", "gradient_of_slope"),
    *("step_size", "K", "lambda_max", "lambda_min", "lambda_min_positive", "eigenvalues"),
    *("components", "distance_squared", "w_star"),
]


def operations(tree):
    """Every operation, call and return of the functions of a module, each a formula."""
    return [
        node
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.BinOp | ast.Return)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) not in PLUMBING)
    ]


SOURCE = inspect.getsource(bounds)
FORMULAS = [ast.unparse(node) for node in operations(ast.parse(SOURCE))]


@pytest.fixture(scope="module")
def named_runs():
    """The runs of the commands that docs/theory.md names."""
    runs = runs_named_in(PAGE, r"problem=spectrum step\..*")
    assert len(runs) == 4
    return runs


def test_the_named_runs_pass(named_runs):
    assert not noticed(named_runs)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.001, 0.999])
@pytest.mark.parametrize("place", range(len(FORMULAS)), ids=FORMULAS)
def test_a_formula_off_by_a_thousandth_is_noticed(place, factor, named_runs, monkeypatch):
    names = scaled(SOURCE, operations, place, factor, bounds.__file__, bounds.__name__)
    for name, value in names.items():
        if inspect.isfunction(value):
            monkeypatch.setattr(bounds, name, value)
    assert noticed(named_runs)


@pytest.mark.parametrize("factor", [1.001, pytest.param(0.999, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FORMULAS_OF_CASE)
def test_a_formula_of_the_case_off_by_a_thousandth_is_noticed(
    name, factor, named_runs, monkeypatch
):
    def off(value):
        return (factor * value[0], *value[1:]) if isinstance(value, tuple) else factor * value

    right = vars(Case).get(name)
    if isinstance(right, property):
        monkeypatch.setattr(Case, name, property(lambda self: off(right.fget(self))))
    elif right:
        monkeypatch.setattr(Case, name, lambda self, *given: off(right(self, *given)))
    else:
        init = Case.__init__

        def wrong(self, run):
            init(self, run)
            setattr(self, name, off(getattr(self, name)))

        monkeypatch.setattr(Case, "__init__", wrong)
    assert noticed(named_runs)


@pytest.mark.parametrize("name", ["matmul", "sub", "square", "sum"])
def test_a_gradient_of_nnlib_off_by_a_thousandth_is_noticed(name, monkeypatch):
    def off(gradient):
        def wrong(ops, upstream, *rest, **attributes):
            found = gradient(ops, upstream, *rest, **attributes)
            return ops.mul(found, ops.constant(1.001, upstream))

        return gradient and wrong

    wrong = replace(OPS[name], gradients=tuple(map(off, OPS[name].gradients)))
    monkeypatch.setitem(OPS, name, wrong)
    failed = {check.equation for check in verify(one(Gaussian(60, 20))) if not check.passed}
    assert {"(3)", "(4)", "(7)"} <= failed


@pytest.mark.parametrize(
    ("change", "equation"),
    [
        (lambda spectrum: replace(spectrum, eigenvalues=1.001 * spectrum.eigenvalues), "(12)"),
        (lambda spectrum: replace(spectrum, right=spectrum.right[:, ::-1]), "(12)"),
        (lambda spectrum: replace(spectrum, rank=spectrum.rank), None),
    ],
    ids=["eigenvalues", "order of eigenvectors", "nothing"],
)
def test_a_wrong_spectrum_is_noticed(change, equation, monkeypatch):
    right = case.Objective

    class Wrong(right):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.spectrum = change(self.spectrum)

    monkeypatch.setattr(case, "Objective", Wrong)
    failed = {check.equation for check in verify(one(Gaussian(60, 20))) if not check.passed}
    assert (equation in failed) if equation else not failed


def test_a_wrong_minimiser_is_noticed(monkeypatch):
    right = case.Objective.nearest_minimiser

    def wrong(objective, start):
        w_star, rest = right(objective, start)
        return 1.001 * w_star, 1.001 * rest

    monkeypatch.setattr(case.Objective, "nearest_minimiser", wrong)
    failed = {check.equation for check in verify(one(Gaussian(60, 20))) if not check.passed}
    assert {"(5)", "(7)", "(16)"} <= failed


def scale_the_steps(monkeypatch, factor):
    right = case.iterate

    def iterate(method, objective, start, coefficients, *rest):
        right(method, objective, start, {"step_size": factor * coefficients["step_size"]}, *rest)

    monkeypatch.setattr(case, "iterate", iterate)


def test_a_wrong_step_of_the_iteration_is_noticed(monkeypatch):
    scale_the_steps(monkeypatch, 1.001)
    failed = {check.equation for check in verify(one(Gaussian(60, 20))) if not check.passed}
    assert {"(7)", "(8)", "(9)", "(17)"} <= failed


# The coursework's statements


def stated(checks):
    return {
        check.equation: check.verdict
        for check in checks
        if check.statement.startswith("coursework")
    }


@pytest.mark.parametrize(
    ("which", "value", "bound", "condition"),
    [
        ("max", 1.0, "holds", "holds"),
        ("max", 1.55, "holds", "holds"),
        ("max", 1.65, "fails at t = 1, as expected", "holds"),
        ("max", 1.99, "fails at t = 1, as expected", "holds"),
        ("max", 2.01, "fails at t = 1, as expected", "fails, as expected"),
        ("max", 4.01, "fails at t = 1, as expected", "says nothing about"),
        ("min", 1.65, "holds for this start", "holds"),
        ("min", 2.01, "holds for this start", "fails, as expected"),
    ],
)
def test_where_the_coursework_errs(which, value, bound, condition):
    """Eigenvalues 1 and 4: (19) needs a relative step up to 4 · 2/5 = 1.6, convergence up to 2."""
    problem = Prescribed(2, 2, noise=0.0, condition_number=4.0)
    checks = verify(one(problem, Eigenvector(which), ("lambda_max", value), iterations=8))
    assert all(check.passed for check in checks)
    verdicts = stated(checks)
    assert verdicts["(19)"].startswith(bound)
    assert verdicts["(j)"].startswith(condition)


def test_the_first_violation_is_that_of_the_exact_gap():
    """A start with a hundredth along v_max: (1 − 1.99)^{2t} / 100² passes (1 − 1.99/4)^{2t}."""
    found = one(Prescribed(2, 2, noise=0.0, condition_number=4.0), None, ("lambda_max", 1.99), 40)
    shares = found.eigenvalues / 2 * found.components**2
    times = np.arange(41)
    exact = bounds.exact_gap(found.eigenvalues, shares, found.step_size, times)
    bound = bounds.gap_bound_coursework(
        found.step_size, times, found.distance_squared, found.lambda_max, found.lambda_min
    )
    first = int(np.argmax(exact > bound))
    assert f"fails at t = {first}," in stated(verify(found))["(19)"]


def test_a_violation_where_there_must_be_none_is_a_failure(monkeypatch):
    right = bounds.gap_bound_coursework
    monkeypatch.setattr(bounds, "gap_bound_coursework", lambda *given: 0.01 * right(*given))
    checks = verify(one(Gaussian(60, 20), None, ("lambda_max", 1.0)))
    (check,) = (each for each in checks if each.statement.startswith("coursework's bound: gap"))
    assert not check.passed


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    ("condition_number", "step"),
    [
        (1.0, ("lambda_max", 0.7)),
        (1.0, ("lambda_max", 1.0)),
        (1.0, ("lambda_max", 1.9)),
        (4.0, ("optimal", 1.0)),
        (1e3, ("optimal", 1.0)),
        (1e9, ("optimal", 1.0)),
    ],
)
@pytest.mark.slow_where(case=lambda start: start != Zeros())
def test_the_coursework_bound_is_true_where_both_ends_shrink_alike(start, condition_number, step):
    """At K = (λmin + λmax)/2 and for λmin = λmax, but for the last digits of all three."""
    for seed in range(3):
        problem = Prescribed(20, 5, condition_number=condition_number)
        (run,) = expand(
            RunConfig(problem, start, GradientDescent(iterations=2000), Step(*step), seed=seed)
        )
        checks = verify(Case(run))
        assert all(check.passed for check in checks)
        assert stated(checks)["(19)"] == "holds"


def rows(checks, equation):
    return [check for check in checks if check.equation == equation]


@pytest.mark.parametrize(
    ("which", "value", "rate"),
    [("max", 1.5, "0.25"), ("min", 1.5, "0.390625"), ("max", 0.5, "0.25")],
)
def test_the_rate_of_the_run_is_that_of_the_slowest_eigenvector_it_has(which, value, rate):
    """Eigenvalues 1 and 4: at η = 1.5/4 the factors are 1 − 1.5 and 1 − 1.5/4."""
    problem = Prescribed(9, 2, condition_number=4.0)
    checks = verify(one(problem, Eigenvector(which), ("lambda_max", value)))
    assert f"this run: linear, r = (1 − ηλᵢ)² = {rate}," in rows(checks, "(k)")[1].statement
    assert all(check.verdict == "holds" for check in rows(checks, "(k)"))


def test_a_run_that_shrinks_less_than_its_rate_is_noticed(monkeypatch):
    scale_the_steps(monkeypatch, 0.999)
    checks = verify(one(Gaussian(60, 20), Eigenvector("min"), ("lambda_max", 1.0)))
    assert not rows(checks, "(k)")[1].passed


def test_one_step_ends_a_run_whose_eigenvalues_all_equal_K():
    checks = verify(one(Prescribed(30, 7, condition_number=1.0), None, ("lambda_max", 1.0)))
    assert {check.verdict for check in checks} <= {"holds", "holds: it converges"} | {
        "says nothing about this K ≤ λmin"
    }
    slowest, this_run = rows(checks, "(k)")
    assert slowest.statement.startswith("one step ends at w*, r = 0: ")
    assert this_run.statement.startswith("this run: one step ends at w*, r = 0, ")
    assert "r = ν² = 0: 1 iterations to 1e-06" in rows(checks, "(20)")[1].statement


def test_without_full_rank_the_coursework_r_is_1():
    checks = verify(one(Gaussian(10, 25)))
    assert "(λmin = 0 makes it r = 1)" in rows(checks, "(20)")[1].statement
    checks = verify(one(Gaussian(25, 10)))
    assert "λmin = 0" not in rows(checks, "(20)")[1].statement


def test_what_rounding_hides_says_nothing():
    """From 1e-25 off w*, whose entries are of the size of 1."""
    checks = verify(one(Gaussian(60, 20), Eigenvector("max", 1e-25)))
    assert all(check.passed for check in checks)
    nothing = {check.equation for check in checks if check.verdict.startswith("says nothing")}
    assert nothing == {"(7)", "(8)", "(14)", "(17)", "(18)", "(19)", "(k)"}


def test_a_slack_is_that_of_the_gaps():
    """The part of the right side by which the left one stays below it, where that is least."""
    found = one(Gaussian(60, 20), None, ("lambda_max", 1.5), iterations=20)
    bound = bounds.gap_bound(
        found.step_size,
        found.times,
        found.distance_squared,
        found.lambda_max,
        found.lambda_min_positive,
    )
    gaps = np.array([moment.gap for moment in found.moments])
    (check, *_) = rows(verify(found), "(18)")
    # Errors that count as part of the right side are a part of 1e-10 of it here.
    assert check.value == pytest.approx(np.min(1 - gaps / bound), rel=1e-8)
