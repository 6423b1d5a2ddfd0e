"""The closed forms of heavy ball, Nesterov's and Chebyshev's method, in fractions and decimals."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from gdconv import Chebyshev, HeavyBall, MarchenkoPastur, Nesterov
from gdconv.verify.known import (
    chebyshev,
    known_of,
    least_worst,
    radius,
)

# X = diag(1, ..., 6), y = 0, w_0 = (1, ..., 1): the gap is ½ Σ λ p_t(λ)².
EIGENVALUES = [Fraction(2 * i * i) for i in range(1, 7)]
ENDS = EIGENVALUES[0], EIGENVALUES[-1]
SHAPE = 15, 6
OPTIMAL = {"step_size": Fraction(2, 49), "momentum": Fraction(25, 49)}
STANDARD = {"step_size": Fraction(1, 72), "momentum": Fraction(5, 7)}
CASES = {
    "heavy ball": (HeavyBall(), OPTIMAL),
    "heavy ball, averaged": (HeavyBall(first_step="averaged"), OPTIMAL),
    "heavy ball, 0.9": (
        HeavyBall(),
        {"step_size": Fraction(1, 72), "momentum": Fraction(9, 10)},
    ),
    "heavy ball, divergent": (
        HeavyBall(),
        {"step_size": Fraction(1, 20), "momentum": Fraction(1, 2)},
    ),
    "nesterov": (Nesterov(), STANDARD),
    "nesterov, convex": (Nesterov(momentum="convex"), {"step_size": Fraction(1, 72)}),
    "nesterov, long step": (Nesterov(), {"step_size": Fraction(1, 55), "momentum": Fraction(1, 3)}),
    "chebyshev": (Chebyshev(lower=1, upper=1), {}),
    "chebyshev, other interval": (Chebyshev(lower=0.5, upper=1.25), {}),
    "marchenko_pastur": (MarchenkoPastur(), {}),
}


def exactly(number):
    return number if isinstance(number, Fraction) else Fraction(number)


def single(method):
    """A method whose keys are numbers, not lists of one."""
    for name, value in vars(method).items():
        if isinstance(value, tuple):
            object.__setattr__(method, name, value[0])
    return method


def form(name):
    method, coefficients = CASES[name]
    return known_of(single(method), coefficients, ENDS, exactly, SHAPE)


def direct(name, eigenvalue, t):
    """p_t by the definition of the method, step by step, in fractions."""
    method, coefficients = CASES[name]
    e, before, point = [Fraction(1)], Fraction(1), Fraction(1)
    if isinstance(method, Chebyshev):
        a, b = (
            exactly(part) * end
            for part, end in zip((method.lower, method.upper), ENDS, strict=True)
        )
        middle, half = (a + b) / 2, (b - a) / 2
        move, rho = -eigenvalue / middle, half / middle
        for _ in range(t):
            e.append(e[-1] + move)
            following = 1 / (2 * middle / half - rho)
            move = following * rho * move - 2 * following / half * eigenvalue * e[-1]
            rho = following
        return e[t]
    if isinstance(method, MarchenkoPastur):
        # As Pedregosa and Scieur write it: δ_1 = −1/ϱ, δ_{t+1} = −1/(ϱ + δ_t), ϱ = (1 + r)/√r. Here
        # δ is divided by √r, which is no fraction.
        ratio, delta = Fraction(6, 15), Fraction(0)
        for _ in range(t):
            delta = -1 / (1 + ratio + ratio * delta)
            slope = eigenvalue / 30 * e[-1]
            back = before - e[-1] if len(e) > 1 else 0
            before = e[-1]
            e.append(e[-1] + (1 + (1 + ratio) * delta) * back + delta * slope)
        return e[t]
    x, beta = coefficients["step_size"] * eigenvalue, coefficients.get("momentum")
    for k in range(t):
        if isinstance(method, HeavyBall):
            first = 1 / (1 + beta) if k == 0 and method.first_step == "averaged" else 1
            following = e[-1] + beta * (e[-1] - before) - first * x * e[-1]
        else:
            momentum = Fraction(max(k, 1) - 1, k + 2) if beta is None else beta
            point = e[-1] + momentum * (e[-1] - before)
            following = point - x * point
        before = e[-1]
        e.append(following)
    return e[t]


@pytest.mark.parametrize("name", CASES)
def test_closed_forms_are_the_method_s_polynomials_exactly(name):
    for eigenvalue in EIGENVALUES:
        for t in (0, 1, 2, 3, 4, 7, 16):
            assert form(name).polynomial(eigenvalue, t) == direct(name, eigenvalue, t)


@pytest.mark.parametrize(
    ("name", "t", "gap"),
    [
        ("heavy ball", 10, 14.2001506388522),
        ("heavy ball", 50, 6.6088233764725e-10),
        ("heavy ball, averaged", 20, 0.00299125156981079),
        ("heavy ball, 0.9", 50, 0.290182033887132),
        ("nesterov", 20, 0.0130733324482683),
        ("nesterov, convex", 20, 0.00527473293426744),
        ("chebyshev", 50, 7.33999920815906e-13),
    ],
)
def test_gaps_of_a_small_problem(name, t, gap):
    """Computed once in rational arithmetic by another program."""
    found = sum(each / 2 * form(name).polynomial(each, t) ** 2 for each in EIGENVALUES)
    assert float(found) == pytest.approx(gap, rel=1e-13)


def test_chebyshev_s_polynomials():
    for s in (Fraction(1, 3), Fraction(-1), Fraction(7, 5)):
        first, second = [Fraction(1), s], [Fraction(0), Fraction(1)]
        for _ in range(12):
            first.append(2 * s * first[-1] - first[-2])
            second.append(2 * s * second[-1] - second[-2])
        for n, values in enumerate(zip(first, second, strict=True)):
            assert chebyshev(2 * s, Fraction(1), n) == values


@pytest.mark.parametrize("t", [1, 2, 5, 10, 20, 50])
@pytest.mark.parametrize("name", ["heavy ball", "heavy ball, averaged", "nesterov", "chebyshev"])
def test_worst_cases_in_closed_form(name, t):
    """max |p_t| on [2, 72] by a fine grid: the maximum is at an end, which belongs to it."""
    method, coefficients = CASES[name]
    exact = {
        key: Decimal(value.numerator) / value.denominator for key, value in coefficients.items()
    }
    found = known_of(single(method), exact, (2.0, 72.0), Decimal).worst(t)
    nodes = np.linspace(2, 72, 4001)
    of_floats = {key: float(value) for key, value in coefficients.items()}
    grid = np.abs(known_of(single(method), of_floats, (2.0, 72.0), float).polynomial(nodes, t))
    assert float(found) == pytest.approx(grid.max(), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("heavy ball", [1.9387755102, 2.25947521866, 1.77965813564, 4.28241613959e-6]),
        ("heavy ball, averaged", [0.945945945946, 0.841147269719, 0.48744972735, 8.50229020278e-7]),
        ("nesterov", [0.972222222222, 0.925925925926, 0.736775548697, 0.00102559164509]),
        ("chebyshev", [0.945945945946, 0.80964970257766, 0.359442361919572, 9.87707182112018e-8]),
    ],
)
def test_worst_cases_of_condition_number_36(name, values):
    method, coefficients = CASES[name]
    exact = {
        key: Decimal(value.numerator) / value.denominator for key, value in coefficients.items()
    }
    worst = known_of(single(method), exact, (2.0, 72.0), Decimal).worst
    assert [float(worst(t)) for t in (1, 2, 5, 50)] == pytest.approx(values, rel=1e-11)


def test_the_least_worst_case_is_that_of_chebyshev_and_no_other():
    for t in range(1, 30):
        least = least_worst(*ENDS, t)
        for name in ("heavy ball", "heavy ball, averaged", "nesterov", "nesterov, convex"):
            largest = max(abs(form(name).polynomial(2 + Fraction(7, 4) * k, t)) for k in range(41))
            # Equal in the first step, where both are the best single step.
            assert largest >= least or (t > 1 and largest > least * Fraction(99, 100))
        own = max(abs(form("chebyshev").polynomial(each, t)) for each in ENDS)
        assert own == least


@pytest.mark.parametrize("kappa", [2.0, 36.0, 1e4])
@pytest.mark.parametrize("largest", [0.3, 1.0, 1.2, 4 / 3, 1.4, 1.9, 2.5])
@pytest.mark.parametrize("method", [HeavyBall, Nesterov])
def test_the_best_momentum_by_search(method, kappa, largest):
    """The larger ρ of both ends, minimised over the momentum."""

    def slowest(momentum):
        of_run = known_of(
            single(method(momentum=0.5)), {"step_size": 1.0, "momentum": momentum}, ends, Decimal
        )
        return float(max(radius(*of_run.late(Decimal(end))) for end in ends))

    ends = largest / kappa, largest
    search = minimize_scalar(slowest, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    of_run = known_of(single(method()), {"step_size": 1.0, "momentum": 0.5}, ends, Decimal)
    best = float(of_run.best_momentum())
    if best < 1:
        # At a double root, ρ changes like the square root of a change of the momentum.
        assert slowest(best) == pytest.approx(search.fun, abs=2e-5)
        assert slowest(best) <= search.fun + 1e-7


@pytest.mark.parametrize("kappa", [10.0, 100.0, 1000.0])
def test_the_best_step_size_and_momentum_have_the_best_rate(kappa):
    for method, expected in (
        (HeavyBall, (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)),
        (Nesterov, 1 - 2 / np.sqrt(3 * kappa + 1)),
    ):
        ends = 1.0, kappa
        of_run = known_of(single(method()), {"step_size": 1.0, "momentum": 0.5}, ends, Decimal)
        step_size = of_run.best_step_size()
        of_run.step_size = step_size
        of_run.momentum = of_run.best_momentum()
        found = max(radius(*of_run.late(Decimal(end))) for end in ends)
        # In 28 digits a double root has 14.
        assert float(found) == pytest.approx(expected, abs=1e-12)


# The quadratic form of heavy ball


@pytest.mark.parametrize("name", [each for each in CASES if each.startswith("heavy ball")])
def test_the_quadratic_form_shrinks_by_the_momentum_exactly(name):
    """S_t = ‖e_t‖² + β‖e_{t−1}‖² − (1 + β)e_tᵀe_{t−1} + η e_tᵀHe_{t−1}, H dense, in fractions."""
    method, coefficients = CASES[name]
    step_size, beta = coefficients["step_size"], coefficients["momentum"]
    X = [
        [Fraction(value) for value in row] for row in ([1, 2, 0], [3, -1, 2], [0, 1, 4], [2, 2, 1])
    ]

    def dot(u, v):
        return sum(a * b for a, b in zip(u, v, strict=True))

    def turned(e):
        along = [dot(row, e) for row in X]
        return [
            2 * sum(row[k] * value for row, value in zip(X, along, strict=True)) for k in range(3)
        ]

    def quadratic(now, before):
        mixed = step_size * dot(now, turned(before)) - (1 + beta) * dot(now, before)
        return dot(now, now) + beta * dot(before, before) + mixed

    start = [Fraction(1), Fraction(-2), Fraction(1, 3)]
    errors, gap = [start, start], dot(start, turned(start)) / 2
    for t in range(12):
        now, before = errors[-1], errors[-2]
        part = 1 / (1 + beta) if t == 0 and method.first_step == "averaged" else 1
        errors.append(
            [
                a + beta * (a - b) - part * step_size * slope
                for a, b, slope in zip(now, before, turned(now), strict=True)
            ]
        )
    forms = [quadratic(now, before) for before, now in pairwise(errors)]
    if method.first_step == "full":
        first = 2 * step_size * beta * gap
    else:
        square = dot(turned(start), turned(start))
        first = (
            4 * beta / (1 + beta) * step_size * gap - beta * (step_size / (1 + beta)) ** 2 * square
        )
    assert forms[1:] == [beta**t * first for t in range(12)]
