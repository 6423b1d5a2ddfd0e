"""Heavy ball, Nesterov's and Chebyshev's method against exact values and high precision.

Case B is X = diag(1, …, 6), y = 0, w₀ = (1, …, 1), so λ = 2i², κ = 36, and the initial gap is 91.
"""

import itertools
from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import pytest
from scipy.special import jv

from gdconv import (
    Chebyshev,
    GradientDescent,
    HeavyBall,
    Nesterov,
    Prescribed,
    RunConfig,
    Step,
    run_study,
)
from gdconv.config.runs import expand
from gdconv.experiment.iterate import iterate
from gdconv.methods.chebyshev import coefficients_of
from gdconv.methods.nesterov import best_momentum
from gdconv.methods.protocol import Facts
from gdconv.problems.families import LeastSquares
from gdconv.problems.least_squares import Objective
from gdconv.theory.maxima.momentum import Momentum
from gdconv.theory.roots import Roots, radius

EIGENVALUES = 2.0 * np.arange(6, 0, -1) ** 2
T = [1, 2, 5, 10, 20, 50]
FULL, AVERAGED = HeavyBall(), HeavyBall(first_step="averaged")
# Method, step size, and its gap at T.
CASE_B = {
    "gradient descent, 1/72": (
        GradientDescent(),
        1 / 72,
        [
            *(16.4405864197531, 7.98034967516385, 2.5380890236237),
            *(0.977250002043138, 0.36011930625911, 0.0598104629540198),
        ],
    ),
    "gradient descent, 2/74": (
        GradientDescent(),
        2 / 74,
        [
            *(41.3170197224251, 32.1472717658728, 21.5879974621198),
            *(12.2072918600533, 4.00755909443139, 0.142834708469515),
        ],
    ),
    "heavy ball, best, full": (
        FULL,
        2 / 49,
        [
            *(167.191586838817, 190.88625661146, 114.717435015852),
            *(14.2001506388522, 0.06414055238411, 6.6088233764725e-10),
        ],
    ),
    "heavy ball, best, averaged": (
        AVERAGED,
        2 / 49,
        [
            *(41.3170197224251, 33.3363128766958, 9.87592416127273),
            *(0.824264914193689, 0.00299125156981079, 2.68358907686548e-11),
        ],
    ),
    "heavy ball, 1/72, 0.9": (
        HeavyBall(momentum=0.9),
        1 / 72,
        [
            *(16.4405864197531, 40.1364916504725, 35.1703649373314),
            *(15.1502647956667, 8.05955272268737, 0.290182033887132),
        ],
    ),
    "Nesterov, 1/72, 5/7": (
        Nesterov(momentum=5 / 7),
        1 / 72,
        [
            *(16.4405864197531, 4.94619411550628, 1.0081100427047),
            *(0.220477750499734, 0.0130733324482683, 1.05187235036247e-6),
        ],
    ),
    "Nesterov, convex, 1/72": (
        Nesterov(momentum="convex"),
        1 / 72,
        [
            *(16.4405864197531, 7.98034967516385, 1.64347935498064),
            *(0.336266236913614, 0.00527473293426744, 0.00100300790932353),
        ],
    ),
    "Chebyshev": (
        Chebyshev(),
        None,
        [
            *(41.3170197224251, 43.8564505285542, 9.14553599860796),
            *(0.300202799235167, 0.000329188708902964, 7.33999920815906e-13),
        ],
    ),
}
# max |p_t| over [2, 72] at T.
WORST = {
    "heavy ball, best, full": [
        *(1.9387755102, 2.25947521866, 1.77965813564),
        *(0.627227836467, 0.0421733596647, 4.28241613959e-6),
    ],
    "heavy ball, best, averaged": [
        *(0.945945945946, 0.841147269719, 0.48744972735),
        *(0.146695763413, 0.00894782190501, 8.50229020278e-7),
    ],
    "Nesterov, 1/72, 5/7": [
        *(0.972222222222, 0.925925925926, 0.736775548697),
        *(0.430681554373, 0.113030897653, 0.00102559164509),
    ],
    "Chebyshev": [
        *(0.945945945946, 0.80964970257766, 0.359442361919572),
        *(0.0690606849832259, 0.00239038944083287, 9.87707182112018e-8),
    ],
}


def theory_of(method, step_size, eigenvalues=EIGENVALUES, iterations=2000):
    """The theory of one run."""
    (one,) = {each.method for each in expand(RunConfig(method=method))}
    unit = None if step_size is None else "absolute"
    found = one.coefficients(unit, step_size, Facts(eigenvalues[0], eigenvalues[-1], 1, 1))
    coefficients = {name: np.array([value]) for name, value in found.items()}
    return one.theory(coefficients, eigenvalues, iterations), one, found


def at(*t):
    """The first run at some iterations."""
    return np.zeros(len(t), dtype=int), np.array(t)


def polynomial(one, coefficients, eigenvalue, t):
    """p_t by the method's recurrence, in mpmath."""
    numbers = {name: mpmath.mpf(value) for name, value in coefficients.items()}
    p, change = mpmath.mpf(1), mpmath.mpf(0)
    for step in range(t):
        b, c = one.recurrence(step, mpmath.mpf(eigenvalue), numbers)
        change = b * change - c * p
        p += change
    return p


@pytest.mark.parametrize("name", CASE_B)
def test_case_b_by_theory_and_by_the_run(name):
    method, step_size, gaps = CASE_B[name]
    theory, one, found = theory_of(method, step_size)
    assert theory.gap(EIGENVALUES / 2, *at(*T)) == pytest.approx(gaps, rel=1e-12, abs=1e-24)
    objective = Objective(LeastSquares(np.diag(np.arange(1.0, 7.0)), np.zeros(6)), "none")
    measured = []
    iterate(
        one,
        objective,
        np.ones(6),
        {key: np.array([value]) for key, value in found.items()},
        50,
        lambda t, runs, W, residual, _: measured.append(float(residual[0] @ residual[0])),
    )
    # Rounding of 50 steps, which adds to w.
    assert np.sqrt([measured[t] for t in T]) == pytest.approx(np.sqrt(gaps), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("name", WORST)
def test_case_b_at_worst(name):
    method, step_size, _ = CASE_B[name]
    theory, *_ = theory_of(method, step_size)
    square, _ = theory.maxima(*at(*T))
    assert np.sqrt(square) == pytest.approx(WORST[name], rel=1e-10)


def test_where_the_maximum_wanders_it_is_enclosed():
    """Heavy ball, 1/72, 0.9: maximised numerically at λ = 52.408, 71.881 and 53.383."""
    theory, *_ = theory_of(*CASE_B["heavy ball, 1/72, 0.9"][:2])
    square, weighted = theory.maxima(*at(10, 20))
    # The bounds are up to 1e-10 too large.
    assert np.sqrt(square) == pytest.approx([0.640482391893, 0.395915330449], rel=2e-10)
    assert weighted[0] / 2 == pytest.approx(10.8496842827, rel=2e-10)


@pytest.mark.parametrize(
    ("method", "step", "iterations"),
    [(FULL, 2 / 49, 33), (AVERAGED, 2 / 49, 28), (Chebyshev(), None, 23)],
)
def test_the_predicted_iterations_are_those_of_the_worst_case(method, step, iterations):
    """κ = 36, tolerance 1e-6: ρ alone would promise 21. Chebyshev: T_t(37/35) ≥ 1000."""
    theory, *_ = theory_of(method, step)
    assert theory.iterations_to(1e-6).tolist() == [iterations]
    if isinstance(method, Chebyshev):
        assert (
            mpmath.chebyt(22, mpmath.mpf(37) / 35) < 1000 <= mpmath.chebyt(23, mpmath.mpf(37) / 35)
        )


def test_the_predicted_growth_of_heavy_ball():
    theory, *_ = theory_of(FULL, 2 / 49)
    square, _ = theory.maxima(*at(*range(51)))
    assert square.max() == pytest.approx(5.105, rel=1e-3)


@pytest.mark.parametrize(
    ("kappa", "peak", "t"),
    [(10, 1.3088615702, 1), (100, 3.7072169685, 4), (1000, 11.644966013, 15)],
)
def test_the_full_first_step_lets_the_error_grow(kappa, peak, t):
    """About √κ/e at t about √κ/2; with the averaged first step it never grows."""
    eigenvalues = np.array([float(kappa), 1.0])
    sizes = {}
    for method in (FULL, AVERAGED):
        step_size = method.optimal_step_size(kappa, 1.0)
        theory, *_ = theory_of(method, step_size, eigenvalues)
        sizes[method] = np.sqrt(theory.maxima(*at(*range(200)))[0])
    assert sizes[FULL].max() == pytest.approx(peak, rel=1e-9)
    assert sizes[FULL].argmax() == t
    assert sizes[AVERAGED].max() == 1.0


def test_convex_momentum_at_worst():
    """max ½xp_t² over (0, 1], which begins with 2/27; t² times it tends to twice max J₁²."""
    theory, *_ = theory_of(Nesterov(momentum="convex"), 1.0, np.array([1.0, 1e-9]), 100)
    t = [1, 2, 3, 5, 10, 20, 50, 100]
    # From golden sections in 30 digits.
    worst = [2 / 27, 0.04096, 0.0261214969606, 0.01335460063894, 0.004585868830916]
    worst += [0.001377525345969, 0.0002486485070297, 6.484247824416e-5]
    _, weighted = theory.maxima(*at(*t))
    assert weighted / 2 == pytest.approx(worst, rel=2e-10)
    assert worst[-1] * 100**2 == pytest.approx(0.6771342623, rel=0.05)


def convex_s(weigh, t, step_size, values):
    """p_t² or λ p_t², by the recurrence."""
    p, change = np.ones_like(values), np.zeros_like(values)
    for step in range(t):
        b, c = Nesterov.recurrence(step, values, {"step_size": step_size})
        change = b * change - c * p
        p = p + change
    return values**weigh * p**2


@pytest.mark.parametrize("step_size", [0.01, 1.0, 1.3])
@pytest.mark.parametrize("kappa", [1.5, 36.0, 1e4])
def test_maxima_of_convex_momentum_are_enclosed_to_ten_digits(step_size, kappa):
    theory, *_ = theory_of(Nesterov(momentum="convex"), step_size, np.array([1.0, 1 / kappa]))
    times = [1, 2, 3, 4, 5, 8, 21, 60]
    for t, *bounds in zip(times, *theory.maxima(*at(*times)), strict=True):
        for bound, weigh in zip(bounds, (0, 1), strict=True):
            exact = largest_of(partial(convex_s, weigh, t, step_size), 1 / kappa, t)
            assert exact * (1 - 1e-10) <= bound <= exact * (1 + 1e-9), t


def test_convex_momentum_has_bounds_after_any_number_of_iterations():
    """max ½xp_t² over (0, 1] tends to max J₁²/t², at z = t√x with J₁' = 0."""
    theory, *_ = theory_of(Nesterov(momentum="convex"), 1.0, np.array([1.0, 1e-12]), 20_000)
    square, weighted = theory.maxima(*at(0, 3000, 20_000))
    assert square == pytest.approx(1, abs=1e-3)
    z = 1.841183781340659
    assert weighted[0] == 1.0
    t = np.array([3000, 20_000])
    assert weighted[1:] / 2 == pytest.approx(2 * jv(1, z) ** 2 / t**2, rel=1.5e-3)
    method = Nesterov(momentum="convex", iterations=3000)
    tables = run_study(RunConfig(Prescribed(30, 5, condition_number=1e4), method=method))
    for name in ("gap_bound", "gap_bound_sharp", "gap_bound_relative", "distance_bound"):
        assert (tables.curves[name] > 0).all()
    assert tables.runs["bound_holds"].all()


@pytest.mark.parametrize(("step_size", "kappa"), [(1.0, 36.0), (0.3, 200.0), (1.32, 3.0)])
def test_the_iterations_of_convex_momentum_are_the_least(step_size, kappa):
    eigenvalues = np.array([1.0, 1 / kappa])
    theory, *_ = theory_of(Nesterov(momentum="convex"), step_size, eigenvalues, 900)
    square, _ = theory.maxima(*at(*range(1, 901)))
    for reduction in (0.3, 1e-3, 1e-6):
        expected = 1 + np.argmax(square <= reduction) if (square <= reduction).any() else np.inf
        assert theory.iterations_to(reduction).tolist() == [expected]


def test_convex_momentum_is_a_bessel_function_in_the_limit():
    """p_t ≈ 2J₁(z)/z e^{−tx/2}, z = t√x: at z = 1 and t = 1000 they differ by 1.2e-4."""
    theory, *_ = theory_of(Nesterov(momentum="convex"), 1.0, np.array([1e-6]), 1000)
    gap = theory.gap(np.ones(1), *at(1000))
    assert np.sqrt(gap) == pytest.approx(0.87954613, abs=1e-8)
    bessel = 2 * jv(1, 1.0) * np.exp(-1e-3 / 2)
    assert bessel == pytest.approx(0.87966123, abs=1e-8)
    assert np.sqrt(gap) == pytest.approx(bessel, abs=2e-4)


def test_the_first_ripple_of_convex_momentum_is_at_the_zero_of_bessel_s_function():
    """A component passes 0 when t√x is 3.8317."""
    x = 1e-4
    theory, *_ = theory_of(Nesterov(momentum="convex"), 1.0, np.array([x]), 1000)
    gaps = theory.gap(np.ones(1), *at(*range(600)))
    least = int(np.argmin(gaps))
    assert least * x**0.5 == pytest.approx(3.8317, abs=0.02)
    assert gaps[least] < 1e-5


def test_convex_momentum_is_legendre_s_polynomial():
    """p_t = 2 (1 − x)^{(t+1)/2}/(t x) (s P_t(s) − P_{t+1}(s)), s = √(1 − x)."""
    x = np.array([0.9, 0.37, 0.01, 1e-4])
    theory, *_ = theory_of(Nesterov(momentum="convex"), 1.0, x, 200)
    for index, value in enumerate(x):
        shares = (np.arange(len(x)) == index).astype(float)
        for t in (1, 2, 3, 17, 200):
            with mpmath.workdps(40):
                s, X = mpmath.sqrt(1 - mpmath.mpf(value)), mpmath.mpf(value)
                bracket = s * mpmath.legendre(t, s) - mpmath.legendre(t + 1, s)
                p = 2 * (1 - X) ** (mpmath.mpf(t + 1) / 2) / (t * X) * bracket
                expected = float(p**2)
            assert theory.gap(shares, *at(t))[0] == pytest.approx(expected, rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("t", [0, 1, 2, 5, 30, 200, 400, 5000])
def test_late_steps_of_chebyshev_s_method_have_the_bits_of_its_formulas(t):
    rng = np.random.default_rng(t)
    ratio = np.repeat([[0.0], [0.3], [0.9]], 4, axis=1)
    found = {"ratio": ratio, "first": np.full((3, 4), 0.7)}
    w, gradient, move = rng.standard_normal((3, 3, 4))
    momentum, step_size = coefficients_of(t, found)
    expected = w - (momentum * move + step_size * gradient)
    Chebyshev.update(t, w, gradient, found, {"move": move})
    assert w.tolist() == expected.tolist()


# The best parameters, the limits and the contraction factor


@pytest.mark.parametrize("kappa", [10.0, 100.0, 1e6, 1e12])
def test_the_best_parameters_and_their_rates(kappa):
    root = kappa**0.5
    for method, expected in (
        (FULL, (root - 1) / (root + 1)),
        (Nesterov(), 1 - 2 / (3 * kappa + 1) ** 0.5),
        (Chebyshev(), (root - 1) / (root + 1)),
    ):
        step = None if isinstance(method, Chebyshev) else method.optimal_step_size(kappa, 1.0)
        theory, _, found = theory_of(method, step, np.array([kappa, 1.0]))
        assert -theory.log_contraction()[0] == pytest.approx(-np.log(expected), rel=1e-9)
        if isinstance(method, HeavyBall):
            assert found["momentum"] == pytest.approx(expected**2, rel=1e-12)
        if isinstance(method, Nesterov):
            more = (3 * kappa + 1) ** 0.5
            assert found["momentum"] == pytest.approx((more - 2) / (more + 2), rel=1e-9)


@pytest.mark.parametrize("x", [0.5, 1.0, 1.3, 1.5, 1.9])
def test_the_best_momentum_of_nesterov_for_a_step(x):
    """No momentum of a fine grid has a smaller ρ; at ηλmax = 1.5 and κ = 36 it is 0.928."""
    best = best_momentum(x, x / 36)

    def rho(m):
        return np.max([radius(m * (1 - z), z) for z in (x, x / 36)], axis=0)

    grid = np.linspace(0, 1, 20001)[:-1]
    assert rho(best) <= rho(grid).min() + 1e-7
    if x == 1.5:
        assert rho(best) == pytest.approx(0.928, abs=5e-4)
        assert rho((1 - (x / 36) ** 0.5) / (1 + (x / 36) ** 0.5)) == pytest.approx(1.12, abs=5e-3)


def test_the_best_momentum_of_heavy_ball_for_a_step():
    for x, kappa in itertools.product([0.1, 1.0, 3.0, 3.9], [2.0, 36.0, 1e4]):
        *_, found = theory_of(FULL, x, np.array([1.0, 1 / kappa]))
        ends = np.array([[x], [x / kappa]])
        grid = np.linspace(0, 1, 20001)[:-1]
        assert radius(found["momentum"], ends).max() <= radius(grid, ends).max(axis=0).min() + 1e-7


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.999])
def test_the_limits_of_the_step_size(momentum):
    """Below the limit both roots lie inside the unit circle, above it one lies outside."""
    for method, limit in (
        (HeavyBall(momentum=momentum), 2 * (1 + momentum)),
        (Nesterov(momentum=momentum), (2 + 2 * momentum) / (1 + 2 * momentum)),
    ):
        for part, stable in ((0.999, True), (1.001, False)):
            theory, one, found = theory_of(method, part * limit, np.array([1.0, 0.01]))
            assert one.step_limit(found, 1.0) == pytest.approx(limit, rel=1e-15)
            assert (theory.log_contraction()[0] < 0) == stable


# Closed forms against the recurrence in high precision


def hard_cases():
    """Momentum and x = step_size λ: slow, fast, close to and at the double roots, divergent."""
    for beta in (0.0, 0.3, 0.9, 1 - 1e-6):
        low, high = ((1 - beta) / (1 + beta**0.5)) ** 2, (1 + beta**0.5) ** 2
        for x in (
            1e-12,
            1e-3,
            0.5,
            1.0,
            1.2,
            low,
            low * (1 + 1e-9),
            low * 0.999,
            high,
            0.999 * high,
        ):
            if x > 0:
                yield beta, x, x
                yield beta, x, x / (1 + beta)
                if x < 1.3:
                    yield beta * (1 - x), x, x


@pytest.mark.parametrize(("b", "c", "first"), list(hard_cases()))
def test_closed_forms_of_the_roots(b, c, first):
    roots, t = Roots(b, c, first), np.arange(301)
    with mpmath.workdps(50):
        p, change = [mpmath.mpf(1)], mpmath.mpf(0)
        k, move = [mpmath.mpf(1)], mpmath.mpf(1)
        for step in range(300):
            change = mpmath.mpf(b) * change - mpmath.mpf(c if step else first) * p[-1]
            p.append(p[-1] + change)
            move = mpmath.mpf(b) * move - mpmath.mpf(c) * k[-1]
            k.append(k[-1] + move)
        sums = list(itertools.accumulate(abs(each) for each in k))
    for found, exact in ((roots.polynomial(t), p), (roots.impulse(t), k)):
        exact = np.array([float(each) for each in exact])
        # A zero crossing has no relative error; the size around it has.
        size = np.maximum.reduce([np.roll(np.abs(exact), shift) for shift in (-2, -1, 0, 1, 2)])
        assert (np.abs(found - exact) <= 1e-8 * size + 1e-300).all()
    impulse = np.array([float(each) for each in k])
    tall = np.where(t > 0, radius(b, c) ** t, 1.0) * np.minimum(t + 1, roots.height())
    assert (np.abs(impulse) <= tall * (1 + 1e-8)).all()
    assert (np.array([float(each) for each in sums]) <= roots.summed(t + 1, 301) * (1 + 1e-8)).all()


def pairs(count):
    rng = np.random.default_rng(4)
    for _ in range(count):
        yield 10 ** rng.uniform(0.2, 7), rng


def largest_of(function, smallest, t):
    """The largest value between smallest and 1: from samples, and by golden sections around them.

    The samples are so close to the ends, and so many, that they meet every wave that matters.
    """
    angles = np.linspace(0, np.pi / 2, 16 * t + 400)
    close = np.geomspace(1e-9, 1, 2000) * (1 - smallest)
    values = smallest * np.cos(angles) ** 2 + np.sin(angles) ** 2
    values = np.concatenate([values, np.geomspace(smallest, 1, 2000), smallest + close, 1 - close])
    values = np.unique(np.clip(values, smallest, 1))
    found = function(values)
    tops = 1 + np.flatnonzero((found[1:-1] >= found[:-2]) & (found[1:-1] >= found[2:]))
    tops = tops[found[tops] > found.max() / 2]
    low, high = values[tops - 1], values[tops + 1]
    for _ in range(45):
        third = (high - low) * (3 - 5**0.5) / 2
        left = function(low + third) > function(high - third)
        low, high = np.where(left, low, low + third), np.where(left, high - third, high)
    return max(found.max(), function((low + high) / 2).max(initial=0.0))


def square_of(weigh, of_run, values):
    """p_t² or λ p_t², from the roots."""
    t, step_size, momentum, first, ahead = of_run
    x = step_size * values
    b = momentum * (1 - x) if ahead else momentum
    return values**weigh * Roots(b, x, first * x).polynomial(t) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("averaged", [False, True])
def test_maxima_are_enclosed_to_ten_digits(ahead, averaged):
    for kappa, rng in pairs(3):
        best = ((kappa**0.5 - 1) / (kappa**0.5 + 1)) ** 2
        momentum = np.append(rng.uniform(0, 1, 12), [0.0, best, best**0.5, best**1.01])
        limit = (2 + 2 * momentum) / (1 + 2 * momentum) if ahead else 2 * (1 + momentum)
        step_size = limit * rng.uniform(0, 1, 16)
        step_size[-3:] = 4 / (1 + kappa**-0.5) ** 2 if not ahead else 4 / (3 + 1 / kappa)
        first = 1 / (1 + momentum) if averaged and not ahead else np.ones(16)
        coefficients = {"step_size": step_size, "momentum": momentum, "first": first}
        one = Nesterov if ahead else HeavyBall
        theory = Momentum(
            *(one.recurrence, coefficients, np.array([1.0, 1 / kappa]), 2000, 1), ahead=ahead
        )
        t = np.array([1, 2, 5, 40, 300])
        column, times = np.repeat(np.arange(16), len(t)), np.tile(t, 16)
        bounds = theory.maxima(column, times)
        for k, (run, when) in enumerate(zip(column, times, strict=True)):
            of_run = when, step_size[run], momentum[run], first[run], ahead
            for bound, weigh in zip(bounds, (0, 1), strict=True):
                exact = largest_of(partial(square_of, weigh, of_run), 1 / kappa, when)
                if exact > 1e-250:
                    # Rounding of the phase, and three points that are 1e-5 of a wave apart.
                    assert exact * (1 - 1e-10) <= bound[k] <= exact * (1 + 1e-9), (kappa, run, when)


def chebyshev_s(weigh, t, a, b, values):
    """p_t² or λ p_t², with T_t(cosh u) = cosh tu = e^{tu} (1 + e^{−2tu})/2."""
    s = np.abs(a + b - 2 * values) / (b - a)
    u, of_zero = np.arccosh(np.maximum(s, 1)), np.arccosh((a + b) / (b - a))
    outside = np.exp(t * (u - of_zero)) * (1 + np.exp(-2 * t * u))
    inside = 2 * np.exp(-t * of_zero) * np.cos(t * np.arccos(np.minimum(s, 1)))
    p = np.where(s > 1, outside, inside) / (1 + np.exp(-2 * t * of_zero))
    return values**weigh * p**2


@pytest.mark.parametrize("lower", [0.02, 1.0, 50.0])
@pytest.mark.parametrize("upper", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("kappa", [1.3, 100.0, pytest.param(1e5, marks=pytest.mark.slow)])
def test_maxima_of_chebyshev_s_method_are_enclosed_to_ten_digits(lower, upper, kappa):
    method = Chebyshev(lower=lower, upper=max(upper, 1.01 * lower / kappa))
    theory, *_ = theory_of(method, None, np.array([1.0, 1 / kappa]))
    a, b = lower / kappa, max(upper, 1.01 * lower / kappa)
    times = [1, 2, 3, 7, 30]
    for t, *bounds in zip(times, *theory.maxima(*at(*times)), strict=True):
        for bound, weigh in zip(bounds, (0, 1), strict=True):
            exact = largest_of(partial(chebyshev_s, weigh, t, a, b), 1 / kappa, t)
            assert exact * (1 - 1e-10) <= bound <= exact * (1 + 1e-9), t


@pytest.mark.slow
def test_on_its_edge_heavy_ball_needs_no_iterations_for_ever():
    """A contraction factor of 1 up to rounding: the search for the iterations comes to an end."""
    momentum = np.linspace(0, 0.99, 100)
    coefficients = {"step_size": 2 * (1 + momentum) / 3.0, "momentum": momentum}
    coefficients["first"] = np.ones(100)
    theory = Momentum(HeavyBall.recurrence, coefficients, np.array([3.0, 1.0]), 500, 1, ahead=False)
    assert (theory.iterations_to(1e-6) >= 1e9).all()


# The invariant of heavy ball


def test_the_invariant_in_rational_arithmetic():
    """S_t = ‖e_t‖² + β‖e_{t−1}‖² − (1 + β)⟨e_t, e_{t−1}⟩ + η⟨e_t, He_{t−1}⟩ = 2ηβ^t gap_0."""
    H = [[Fraction(6), Fraction(2)], [Fraction(2), Fraction(3)]]
    for eta, beta in ((Fraction(1, 7), Fraction(1, 2)), (Fraction(3), Fraction(9, 10))):
        e = before = [Fraction(1), Fraction(-2)]

        def times(v):
            return [sum(h * x for h, x in zip(row, v, strict=True)) for row in H]

        def dot(u, v):
            return sum(a * b for a, b in zip(u, v, strict=True))

        gap = dot(e, times(e)) / 2
        for t in range(1, 30):
            slope = times(e)
            following = [
                x + beta * (x - y) - eta * g for x, y, g in zip(e, before, slope, strict=True)
            ]
            before, e = e, following
            S = dot(e, e) + beta * dot(before, before) - (1 + beta) * dot(e, before)
            S += eta * dot(e, times(before))
            assert 2 * eta * beta**t * gap == S
            # And as the method computes it.
            away, move = np.array(e, dtype=object), np.array(before, dtype=object) - e
            found = HeavyBall.invariant(
                away,
                np.array(times(e), dtype=object),
                {"step_size": eta, "momentum": beta},
                {"move": move},
            )
            assert found == S / beta * beta


@pytest.mark.parametrize("kappa", [36.0, 1e4])
@pytest.mark.parametrize("first", ["full", "averaged"])
def test_the_rate_of_heavy_ball_is_measured_to_nine_digits(kappa, first):
    steps = Step("optimal", [0.97, 1.0])
    root = kappa**0.5
    least = ((root - 1) / (root + 1)) ** 2
    method = HeavyBall(iterations=3000, momentum=[least, least**0.7], first_step=first)
    runs = run_study(
        RunConfig(Prescribed(60, 20, condition_number=kappa), method=method, step=steps)
    ).runs
    complex_ = runs[~((runs["momentum"] == least) & (runs["step_value"] == 0.97))]
    assert len(complex_) == 3
    assert complex_["rate_measured"].to_numpy() == pytest.approx(complex_["momentum"], abs=1e-9)
    assert complex_["rate_predicted"].to_numpy() == pytest.approx(complex_["momentum"], abs=1e-9)


def test_without_momentum_all_are_gradient_descent():
    """Heavy ball to the last bit; Nesterov but for the rounding of one more sum."""
    problem, steps = Prescribed(60, 20, condition_number=36.0), Step(value=[0.1, 1.0, 1.9, 2.1])
    plain, heavy, ahead = (
        run_study(RunConfig(problem, method=method, step=steps))
        for method in (
            GradientDescent(iterations=200),
            HeavyBall(iterations=200, momentum=0),
            Nesterov(iterations=200, momentum=0),
        )
    )
    assert heavy.curves["gap"].tolist() == plain.curves["gap"].tolist()
    assert ahead.curves["gap"].tolist() == plain.curves["gap"].tolist()
    for name in ("gap_exact", "gap_bound", "gap_bound_relative", "distance_bound"):
        expected = pytest.approx(plain.curves[name], rel=1e-9)
        assert heavy.curves[name].to_numpy() == expected
        assert ahead.curves[name].to_numpy() == expected


@pytest.mark.parametrize("method", [HeavyBall, Nesterov, Chebyshev])
def test_the_iterates_on_r_are_those_on_x(method):
    """To the rounding of 60 steps, which heavy ball's first steps enlarge."""
    problem = Prescribed(200, 20, condition_number=1e4)
    on_r, on_x = (
        run_study(RunConfig(problem, method=method(iterations=60, reduce=reduce))).curves["gap"]
        for reduce in ("qr", "none")
    )
    assert on_r.to_numpy() == pytest.approx(on_x.to_numpy(), rel=1e-9)


def test_chebyshev_with_a_wrong_interval():
    """[2, 72], t = 40: it converges for 0 < λ < 74, and grows beyond."""
    values = np.array([76, 74.1, 73.9, 73, 0.5])
    known = [241.57215411, 1.3897917316, 0.7133911952, 0.01984741073, 0.16704122463]
    _, one, coefficients = theory_of(Chebyshev(), None, np.array([72.0, 2.0]))
    for value, expected in zip(values, known, strict=True):
        assert abs(polynomial(one, coefficients, value, 40)) == pytest.approx(expected, rel=1e-9)
    arrays = {name: np.array([each]) for name, each in coefficients.items()}
    for ends in itertools.combinations(values, 2):
        theory = one.theory(arrays, np.array(ends), 100)
        largest = max(known[list(values).index(each)] for each in ends)
        assert np.sqrt(theory.maxima(*at(40))[0]) == pytest.approx(largest, rel=1e-9)
        assert (theory.log_contraction()[0] > 0) == (ends[0] > 74)


def test_no_worst_case_is_below_chebyshev_s():
    chebyshev, *_ = theory_of(Chebyshev(), None)
    t = np.arange(1, 200)
    least, _ = chebyshev.maxima(*at(*t))
    for method, step_size, _ in CASE_B.values():
        theory, *_ = theory_of(method, step_size, iterations=200)
        assert (theory.maxima(*at(*t))[0] >= least * (1 - 1e-9)).all()


def test_chebyshev_converges_however_large_the_condition_number_is():
    """ln r and ln q against 80 digits: r = 1 as a float from κ = 1e32 on."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        lower = 10 ** (rng.uniform(-30, 0) + rng.choice([0, -200, 150]))
        upper = lower * (1 + 10 ** rng.choice([-9, -1, rng.uniform(0, 36)]))
        below, above = lower * 10 ** rng.uniform(-20, 0), upper + lower * rng.uniform(0.01, 2)
        value = rng.choice([below, above, lower, upper])
        _, one, coefficients = theory_of(Chebyshev(), None, np.array([upper, lower]))
        arrays = {name: np.array([each]) for name, each in coefficients.items()}
        theory = one.theory(arrays, np.array([value]), 10)
        with mpmath.workdps(80):
            a, b, x = (mpmath.mpf(float(each)) for each in (lower, upper, value))
            factor = (mpmath.sqrt(b) - mpmath.sqrt(a)) / (mpmath.sqrt(b) + mpmath.sqrt(a))
            if not a <= x <= b:
                size = abs(1 - 2 * x / (a + b)) + 2 * mpmath.sqrt((a - x) * (b - x)) / (a + b)
                factor = (1 + factor**2) / 2 * size
            expected = float(mpmath.log(factor)), float(a + b - x) / lower
        # Some roundings of the values, of which the last one may lose digits of a + b − λ.
        tolerance = 1e-13 + 1e-15 * upper / lower * (value > upper) / abs(expected[1])
        assert theory.log_contraction()[0] == pytest.approx(expected[0], rel=min(tolerance, 1))


@pytest.mark.parametrize("method", [HeavyBall(), Nesterov(), Chebyshev()])
@pytest.mark.parametrize("kappa", [1e20, 1e36])
def test_the_best_parameters_converge_however_large_the_condition_number_is(method, kappa):
    """The best momentum is 1 − 2e-18 for κ = 1e36. p_t(λ⁺min) is 1 − tx, x being tiny."""
    step = None if isinstance(method, Chebyshev) else 1.0
    theory, *_ = theory_of(method, step, np.array([1.0, 1 / kappa]))
    assert theory.log_contraction()[0] < 0
    assert theory.gap(np.array([0.0, 1.0]), *at(1, 1000)) == pytest.approx(1, abs=1e-9)


def least_iterations(one, coefficients, values, tolerance, most):
    """The first t at which p_t² is at most the tolerance for all values; None if there is none."""
    p, change = np.ones(len(values)), np.zeros(len(values))
    for t in range(most):
        b, c = one.recurrence(t, values, coefficients)
        change = b * change - c * p
        p = p + change
        if (p**2).max() <= tolerance:
            return t + 1
    return None


@pytest.mark.parametrize(
    ("method", "step_size", "smallest", "tolerance", "expected"),
    [
        (HeavyBall(momentum=0.999999, first_step="averaged"), 0.0942, 1.0, 2e-3, 5),
        (HeavyBall(momentum=0.999999, first_step="averaged"), 4 / 3, 1.0, 1e-6, 208),
        (HeavyBall(momentum=0.999999), 0.01394, 0.99, 0.012, 12),
        (HeavyBall(momentum=0.999999), 0.0002817, 0.938, 0.00812, 91),
        (Nesterov(momentum=0.9994), 1.0, 0.4, 0.019, 2),
        (Nesterov(momentum=0.754), 1.5186, 1.0, 0.8, 1),
    ],
)
def test_eigenvalues_may_be_so_close_that_all_errors_are_small_early(
    method, step_size, smallest, tolerance, expected
):
    """p_t oscillates, and is small long before it stays small; the last method is unstable."""
    theory, one, coefficients = theory_of(method, step_size, np.unique([1.0, smallest])[::-1])
    values = np.linspace(smallest, 1, 1001)
    assert least_iterations(one, coefficients, values, tolerance, 1000) == expected
    assert theory.iterations_to(tolerance).tolist() == [expected]


@pytest.mark.parametrize(
    ("method", "step_size", "smallest", "t"),
    [
        (Nesterov(momentum=0.3706686677), 1.0, 0.942, 28),
        (Nesterov(momentum=0.99996), 1.0, 0.4, 16),
        (Nesterov(momentum=0.9996), 0.00101569, 1.5e-7, 31),
        (Chebyshev(lower=1e-3, upper=400.0), None, 1e-5, 13),
        (Chebyshev(lower=0.07, upper=46.0), None, 0.045, 18),
    ],
)
def test_maxima_are_enclosed_where_they_fall_fast(method, step_size, smallest, t):
    """Close to x = 1 Nesterov's p_t shrinks fast; the interval of Chebyshev is far too long."""
    theory, one, coefficients = theory_of(method, step_size, np.array([1.0, smallest]))
    values = np.union1d(np.geomspace(smallest, 1, 20_000), np.linspace(smallest, 1, 20_000))
    p, change = np.ones(len(values)), np.zeros(len(values))
    for step in range(t):
        b, c = one.recurrence(step, values, coefficients)
        change = b * change - c * p
        p = p + change
    bounds = theory.enclosed(*at(t), weigh=True)
    for bound, sample in zip(bounds, ((p**2).max(), (values * p**2).max()), strict=True):
        # The samples are so close that they miss a maximum by less.
        assert sample * (1 - 1e-9) <= bound[0] <= sample * (1 + 1e-4)


@pytest.mark.parametrize(
    "method", [GradientDescent(), HeavyBall(momentum=0.5), Nesterov(momentum="convex")]
)
@pytest.mark.slow
def test_a_component_that_overflows_counts_with_its_share(method):
    """(3 − 1)^t ... of a share of 1e-250, and of none at all."""
    step = 3.0 if isinstance(method, GradientDescent) else 4.0
    theory, one, coefficients = theory_of(method, step, np.array([1.0, 0.1]), 1000)
    t = next(t for t in range(1000) if abs(polynomial(one, coefficients, 1.0, t)) > 1e160)
    with mpmath.workdps(30):
        expected = float(mpmath.mpf("1e-250") * polynomial(one, coefficients, 1.0, t) ** 2)
    assert theory.gap(np.array([1e-250, 0.0]), *at(t)) == pytest.approx([expected], rel=1e-9)
    assert np.isfinite(theory.gap(np.array([0.0, 1e-250]), *at(t))).all()
