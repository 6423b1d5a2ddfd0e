"""The limit of random problems, against closed forms, quadrature, and drawn problems."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import beta

from gdconv import (
    Chebyshev,
    ConjugateGradient,
    Eigenvector,
    Gaussian,
    GradientDescent,
    HeavyBall,
    MarchenkoPastur,
    Nesterov,
    Normal,
    Polyak,
    Polynomial,
    RunConfig,
    Step,
    run_study,
)
from gdconv.config.runs import expand
from gdconv.experiment import average
from gdconv.experiment.average import Average
from gdconv.methods.protocol import Facts
from gdconv.theory import random_matrices
from gdconv.theory.average.limit import MOST, Limit, rule

T = np.array([1, 2, 5, 10, 20, 50])
SIZES = {0.25: (400, 100), 0.5: (200, 100), 0.8: (250, 200), 1.0: (100, 100)}
# ∫ λ p_t² for r = 1/2 and r = 1 at T, by another program in 30 digits.
HALF = {
    "gradient descent": [
        *(0.294372515229, 0.145580698573, 0.0415824603306),
        *(0.0122416583404, 0.00253200488869, 0.000110802243447),
    ],
    "gradient descent, best": [
        *(0.222222222222, 0.0987654320988, 0.0227607580145),
        *(0.00493265485387, 0.000566143159367, 4.32173412029e-6),
    ],
    "nesterov": [
        *(0.294372515229, 0.0886091081285, 0.0126990164538),
        *(0.00108897962395, 1.35435408029e-5, 8.17631714734e-11),
    ],
    "nesterov, convex": [
        *(0.294372515229, 0.145580698573, 0.024290767163),
        *(0.00204068413217, 8.4465867812e-5, 1.06973154083e-6),
    ],
    "marchenko_pastur": [
        *(0.222222222222, 0.0816326530612, 0.00806248425296),
        *(0.000244379218316, 2.38418806475e-7),
    ],
    "conjugate_gradient": [
        *(0.181818181818, 0.056338028169, 0.00434841690447),
        *(0.000122759651348, 1.19210511697e-7),
    ],
}
ONE = {
    "gradient descent": [
        *(0.3125, 0.1640625, 0.0560626983643),
        *(0.0222519402269, 0.00836603737594, 0.00219880494678),
    ],
    "nesterov, convex": [
        *(0.3125, 0.1640625, 0.0369875729084),
        *(0.00779118986617, 0.00135063974891, 0.000115393341612),
    ],
}
METHODS = {
    "gradient descent": (GradientDescent(), Step()),
    "gradient descent, best": (GradientDescent(), Step("optimal")),
    "nesterov": (Nesterov(), Step()),
    "nesterov, convex": (Nesterov(momentum="convex"), Step()),
    "heavy ball": (HeavyBall(tuned_to="edges"), Step("optimal")),
    "heavy ball, averaged": (
        HeavyBall(tuned_to="edges", first_step="averaged"),
        Step("optimal"),
    ),
    "chebyshev": (Chebyshev(), Step()),
    "marchenko_pastur": (MarchenkoPastur(), Step()),
    "conjugate_gradient": (ConjugateGradient(), Step()),
}


def moments(name, size, t=T, spread=1.0, noise=0.0):
    """The limit divided by n d."""
    method, step = METHODS[name]
    (run,) = expand(RunConfig(method=method, step=step))
    limit = Limit(*size, spread, noise)
    found = run.method.coefficients(run.step_unit, run.step_value, Facts(*limit.ends, *size))
    coefficients = {name: np.array([value]) for name, value in found.items()}
    at = np.zeros(len(t), dtype=int), np.asarray(t)
    return run.method.on_average(limit, coefficients, *at) / (size[0] * size[1])


def of_noise(name, size, t=T):
    """∫ p_t² over the positive eigenvalues."""
    scale = size[0]
    return scale * moments(name, size, t, 0.0, 1.0)


@pytest.mark.parametrize("name", HALF)
def test_the_table_of_half_as_many_features(name):
    found = moments(name, SIZES[0.5])[: len(HALF[name])]
    assert found == pytest.approx(HALF[name], rel=1e-11)


@pytest.mark.parametrize("name", ONE)
def test_the_table_of_as_many_features(name):
    assert moments(name, SIZES[1.0]) == pytest.approx(ONE[name], rel=1e-11)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.8])
def test_closed_forms(ratio):
    size, r, t = SIZES[ratio], ratio, T.astype(float)
    second = (1 - r ** (t + 1)) / (1 - r) * r ** (-t / 2)
    assert moments("marchenko_pastur", size) == pytest.approx(1 / second**2, rel=1e-11)
    assert moments("heavy ball", size) == pytest.approx((1 + r) * r**t, rel=1e-11)
    assert of_noise("heavy ball", size) == pytest.approx(r**t, rel=1e-11)
    averaged = r**t * (1 + r**2) / (1 + r) ** 2
    assert moments("heavy ball, averaged", size)[1:] == pytest.approx(averaged[1:], rel=1e-11)
    assert of_noise("heavy ball, averaged", size) == pytest.approx(r**t / (1 + r), rel=1e-11)
    late = np.array([150])
    limits = {"marchenko_pastur": (1 - r) ** 2, "chebyshev": 2, "conjugate_gradient": (1 - r) ** 3}
    for name, limit in limits.items():
        # The next term is r^t or less.
        assert moments(name, size, late) / r**late == pytest.approx(limit, rel=1e-5)
    for name, limit in {"marchenko_pastur": 1 - r, "chebyshev": 2}.items():
        assert of_noise(name, size, late) / r**late == pytest.approx(limit, rel=1e-5)


def test_closed_forms_of_as_many_features():
    size, t = SIZES[1.0], T.astype(float)
    assert moments("marchenko_pastur", size) == pytest.approx(1 / (t + 1) ** 2, rel=1e-11)
    conjugate = 6 / ((t + 1) * (t + 2) * (2 * t + 3))
    assert moments("conjugate_gradient", size) == pytest.approx(conjugate, rel=1e-11)
    descent = 8 / np.pi * beta(1.5, 2 * t + 1.5)
    assert moments("gradient descent", size) == pytest.approx(descent, rel=1e-11)
    late = moments("gradient descent", size, np.array([10_000]))
    assert late == pytest.approx(np.sqrt(2 / np.pi) * 10_000**-1.5, rel=1e-3)


def test_no_method_leaves_less_of_the_noise():
    for size in [*SIZES.values(), (100, 250)]:
        least = of_noise("marchenko_pastur", size)
        for name in METHODS.keys() - {"marchenko_pastur", "conjugate_gradient"}:
            if size[0] != size[1] or METHODS[name][0].options.get("tuned_to") != "edges":
                assert (of_noise(name, size) >= least * (1 - 1e-12)).all(), name


@pytest.mark.parametrize("size", [(200, 100), (201, 200), (100, 100), (100, 101), (90, 300)])
def test_the_rule_is_that_of_the_law(size):
    """Moments of the density, by adaptive quadrature; with many parts and with as few as needed."""
    few, many = sorted(size)
    low, high = random_matrices.edges(few / many)

    def moment(power):
        def of_angle(angle):
            x = low + (high - low) * np.sin(angle) ** 2
            density = float(random_matrices.density(x, few / many))
            return x**power * density * (high - low) * np.sin(2 * angle)

        return quad(of_angle, 0, np.pi / 2, epsabs=1e-13, epsrel=1e-12)[0]

    for parts in (4, 64):
        zero, values, weights = rule(few, many, parts)
        assert values[0] == values.max()
        for power in range(6):
            found = weights @ values**power + zero * (power == 0)
            assert found == pytest.approx(moment(power), rel=1e-10)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(400, 100), (100, 400)])
def test_more_features_than_samples_are_the_same_eigenvalues(name, size):
    """XᵀX and XXᵀ have the same ones: with n and d exchanged the limit is the same."""
    both = [size[0] * size[1] * moments(name, each, T, 1.5, 0.7) for each in (size, size[::-1])]
    assert both[0] == pytest.approx(both[1], rel=1e-11)


@pytest.mark.parametrize("size", [(200, 100), (100, 100), (30, 90), (50, 1)])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1.0, 30.0])
def test_conjugate_gradients_with_noise(size, noise):
    """The least gap of a polynomial, by least squares on the nodes of the rule."""
    limit = Limit(*size, 1.25, noise)
    zero, values, weights = rule(*sorted(size), 64)
    x = np.append(values, 0.0)
    shares = min(size) * np.append(weights, zero) * (1.25 * max(size) * x + noise**2)
    root = np.sqrt(shares)
    found = limit.least_gap(8)
    for t in range(9):
        # 1 − x q(x), with q in Legendre's polynomials.
        middle = (2 * x - values.max()) / values.max()
        matrix = (
            root[:, None] * x[:, None] * np.polynomial.legendre.legvander(middle, max(t - 1, 0))
        )
        rest = root - (matrix @ np.linalg.lstsq(matrix, root)[0] if t else 0)
        assert found[t] == pytest.approx(rest @ rest, rel=1e-9)


def test_late_iterations():
    limit = Limit(200, 100, 1.0, 1.0)
    assert np.isnan(moments("gradient descent", SIZES[0.5], [MOST + 1])).all()
    # Far below the smallest float, and above the largest one before the gap is.
    assert limit.least_gap(5000)[-1] == 0
    assert moments("heavy ball", SIZES[0.5], [5000]) == 0
    (run,) = expand(RunConfig(Gaussian(200, 100), step=Step(value=1e3)))
    gap = Average([run]).gap(np.zeros(2, int), np.array([47, 60]))
    assert 1e280 < gap[0] < np.inf == gap[1]


# Drawn problems


def drawn(problem, method, step=None, start=None, draws=20):
    more = {} if start is None else {"start": start}
    config = RunConfig(problem, method=method, step=step or Step(), repetitions=draws, **more)
    return run_study(config)


FIXED = {
    "gradient descent": (GradientDescent(iterations=4), 1 / 3),
    "nesterov": (Nesterov(iterations=4, momentum=0.6), 1 / 3),
    "nesterov, convex": (Nesterov(iterations=4, momentum="convex"), 1 / 3),
    "heavy ball": (HeavyBall(iterations=4, momentum=0.4, first_step="averaged"), 0.5),
    "chebyshev": (Chebyshev(iterations=4, tuned_to="edges"), None),
    "marchenko_pastur": (MarchenkoPastur(iterations=4), None),
    "conjugate_gradient": (ConjugateGradient(iterations=4), None),
}


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize(
    ("problem", "start"),
    [
        (Gaussian(400, 200), None),
        pytest.param(Gaussian(400, 200, noise=8.0), Normal(0.5), marks=pytest.mark.slow),
        pytest.param(Gaussian(150, 450, noise=2.0), Normal(2.0), marks=pytest.mark.slow),
    ],
)
def test_the_mean_over_draws(name, problem, start):
    """With coefficients that depend on no drawn eigenvalue.

    20 draws of d = 200 scatter by √(2/d)/√20 = 2 % at first. Later the eigenvalues next to the
    edges count more, which are off by d^{−2/3}, 3 %, and p_t² changes much faster there.
    """
    method, part = FIXED[name]
    step = Step() if part is None else Step("absolute", part / (2 * max(problem.n_samples, 200)))
    curves = drawn(problem, method, step, start).curves
    by_t = curves.groupby("iteration")
    assert (by_t["gap_average"].nunique() == 1).all()
    means = by_t[["gap", "gap_average"]].mean()
    assert len(means) == 5
    assert means["gap"].to_numpy() == pytest.approx(means["gap_average"].to_numpy(), rel=0.12)
    assert means["gap"][0] == pytest.approx(means["gap_average"][0], rel=0.045)


def test_a_column_of_another_mean_or_another_family_has_no_limit():
    for problem, start, method in [
        (Gaussian(40, 8, feature_mean=1.0), None, GradientDescent(iterations=5)),
        (Polynomial(40, 5), None, GradientDescent(iterations=5)),
        (Gaussian(40, 8), Eigenvector(), GradientDescent(iterations=5)),
        (Gaussian(40, 8), None, Polyak(iterations=5)),
    ]:
        assert drawn(problem, method, start=start, draws=1).curves["gap_average"].isna().all()


def test_keys_that_fit_to_the_problem_but_not_to_the_edges():
    """With η = 3.9/λmax of the problem the best momentum is below 1; λmax is below the edge."""
    tables = drawn(Gaussian(40, 8), GradientDescent(iterations=1), draws=1)
    largest = tables.runs["lambda_max"][0]
    edge = 2 * (40**0.5 + 8**0.5) ** 2
    assert largest < 0.98 * edge
    step = Step("absolute", [1 / largest, 3.99 / largest])
    tables = drawn(Gaussian(40, 8), HeavyBall(iterations=5), step, draws=1)
    known = tables.curves.groupby("run_id")["gap_average"].count()
    assert sorted(known.to_list()) == [0, 6]


def test_a_run_has_the_same_bits_alone_and_in_a_group():
    steps = [0.1, 0.7, 1.3, 2.2]
    together = drawn(Gaussian(60, 30), HeavyBall(momentum=0.6), Step(value=steps), draws=1)
    for value in steps:
        config = RunConfig(Gaussian(60, 30), method=HeavyBall(momentum=0.6), step=Step(value=value))
        (run,) = expand(config)
        (row,) = together.runs.index[together.runs["step_value"] == value]
        of_run = together.curves["run_id"] == together.runs["run_id"][row]
        curve = together.curves[of_run]
        t = curve["iteration"].to_numpy()
        # Computed anew, in another batch of rows.
        average._known.cache_clear()
        found = Average([run]).gap(np.zeros(len(t), dtype=int), t)
        assert found.tolist() == curve["gap_average"].to_list()
