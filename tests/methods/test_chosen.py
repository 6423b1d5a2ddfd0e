"""Methods that choose their steps: exact values, what is proved of them, and rounding.

Case B is that of test_momentum: λ = 2i² for i = 1, …, 6, and the initial gap is 91.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    BarzilaiBorwein,
    ConjugateGradient,
    Gaussian,
    Normal,
    Polyak,
    Prescribed,
    RunConfig,
    SteepestDescent,
    run_study,
)
from gdconv.config.rules import ConfigError
from gdconv.config.runs import expand
from gdconv.experiment.group import run_group
from gdconv.experiment.iterate import iterate
from gdconv.methods import conjugate_gradient
from gdconv.methods.protocol import Facts
from gdconv.problems.families import LeastSquares, make, profile
from gdconv.problems.least_squares import Objective
from gdconv.tables.csv import encode

EIGENVALUES = 2.0 * np.arange(6, 0, -1) ** 2
T = [1, 2, 5, 10, 20, 50]
CASE_B = {
    "conjugate gradients": (
        ConjugateGradient(),
        [13.948519450358, 4.2321522870722, 0.307478189743086, 0, 0, 0],
    ),
    "steepest descent": (
        SteepestDescent(),
        [
            *(13.948519450358, 5.32020268062498, 1.33225348409129),
            *(0.444033211096415, 0.126718898383343, 0.00436331052942672),
        ],
    ),
    "Polyak, 1": (
        Polyak(),
        [
            *(26.8684, 9.10885930073263, 1.2405686848123),
            *(0.207897197573934, 0.0392077099458899, 5.78473973460637e-5),
        ],
    ),
    "Polyak, 2": (
        Polyak(factor=2),
        [
            *(16.4736, 8.296704, 2.07398896689738),
            *(0.855858106960315, 0.251289776752527, 0.00876325418238076),
        ],
    ),
}
ALL = [ConjugateGradient(), SteepestDescent(), Polyak(factor=[0.5, 1, 2, 3.5]), BarzilaiBorwein()]


def theory_of(method, eigenvalues=EIGENVALUES, iterations=200):
    """The theory of one run, and its method."""
    one = next(expand(RunConfig(method=method))).method
    found = one.coefficients(None, None, Facts(eigenvalues[0], eigenvalues[-1], 1, 1))
    coefficients = {name: np.array([value]) for name, value in found.items()}
    return one.theory(coefficients, eigenvalues, iterations), one, coefficients


def at(*t):
    return np.zeros(len(t), dtype=int), np.array(t)


def gaps_of_run(method, X, y, start, iterations):
    """The gaps of a run that nothing stops."""
    _, one, coefficients = theory_of(method)
    gaps = []
    iterate(
        *(one, Objective(LeastSquares(X, y), "none"), start, coefficients, iterations),
        lambda t, runs, W, residual, _: gaps.append(float(residual[0] @ residual[0])),
    )
    return np.array(gaps)


@pytest.mark.parametrize("name", CASE_B)
def test_case_b(name):
    method, gaps = CASE_B[name]
    theory, *_ = theory_of(method)
    assert theory.gap(EIGENVALUES / 2, *at(*T)) == pytest.approx(gaps, rel=1e-12)
    measured = gaps_of_run(method, np.diag(np.arange(1.0, 7.0)), np.zeros(6), np.ones(6), 50)
    assert np.sqrt(measured[T[:4]]) == pytest.approx(np.sqrt(gaps[:4]), rel=1e-9, abs=1e-12)


def test_barzilai_and_borwein_s_step_in_case_b():
    """1.93e-10 after 50 steps, although a step may enlarge the gap 295 times."""
    theory, *_ = theory_of(BarzilaiBorwein())
    gaps = theory.gap(EIGENVALUES / 2, *at(*range(51)))
    assert gaps[50] == pytest.approx(1.93e-10, rel=2e-3)
    assert (gaps[1:] / gaps[:-1]).max() == pytest.approx(295, abs=0.5)


def test_conjugate_gradients_end_after_as_many_steps_as_there_are_eigenvalues():
    values = np.array([7.0, 5.0, 5.0, 3.0, 1.0, 1.0])
    theory, *_ = theory_of(ConjugateGradient(), values)
    gaps = theory.gap(np.arange(1.0, 7.0), *at(*range(8)))
    assert (gaps[:4] > 0).all()
    assert (gaps[4:] == 0).all()


def test_steepest_descent_attains_its_bound():
    """With errors 1/λ along both ends: the gap shrinks by ((κ − 1)/(κ + 1))² in every step."""
    theory, *_ = theory_of(SteepestDescent())
    shares = np.zeros(6)
    shares[[0, -1]] = 0.5 / EIGENVALUES[[0, -1]]
    gaps = theory.gap(shares, *at(*range(11)))
    assert gaps[1:] / gaps[:-1] == pytest.approx(0.89481373265157, rel=1e-13)
    assert theory.limits(*at(10)).gap[0] * shares.sum() == pytest.approx(gaps[10], rel=1e-12)


def test_steepest_descent_zigzags():
    """Akaike 1959: the ratio of gaps tends to a limit, and the step sizes alternate."""
    problem = LeastSquares(np.diag(np.arange(1.0, 7.0)), np.zeros(6))
    _, one, coefficients = theory_of(SteepestDescent())
    gaps, steps = [], []

    def observe(t, runs, W, residual, beside):
        gaps.append(float(residual[0] @ residual[0]))
        steps.append(beside.chosen()["step_size"][0] * 72)

    iterate(one, Objective(problem, "none"), np.ones(6), coefficients, 300, observe)
    assert gaps[300] / gaps[299] == pytest.approx(0.893882912485761, rel=1e-8)
    assert sorted(steps[-2:]) == pytest.approx([1.77930187472, 2.14703036331], rel=1e-6)


@pytest.mark.parametrize("kappa", [1.0, 10.0, 1e4, 1e12])
def test_what_is_proved_holds_for_exact_runs(kappa):
    rng = np.random.default_rng(3)
    values = np.sort(np.append(10 ** rng.uniform(0, np.log10(kappa), 6), [1.0, kappa]))[::-1]
    for method in ALL:
        for one in {each.method for each in expand(RunConfig(method=method))}:
            found = one.coefficients(None, None, Facts(kappa, 1.0, 1, 1))
            theory = one.theory({k: np.array([v]) for k, v in found.items()}, values, 60)
            limits, shares = theory.limits(*at(*range(61))), rng.uniform(0, 1, 8)
            gaps = theory.gap(shares, *at(*range(61)))
            distance = 2 * (shares / values).sum()
            for bound in (limits.gap * shares.sum(), limits.sharp / 2 * distance):
                assert not (gaps > bound * (1 + 1e-9)).any(), one
            # Of the distance, by the gap it allows.
            assert not (gaps > values[0] / 2 * limits.distance * distance * (1 + 1e-9)).any()


def test_the_bound_of_polyak_s_step():
    """PEPit's examples: ((κ − 1)/(κ + 1))² for the factor 2, and 1 − 3κ/(κ + 1)² for 1."""
    for factor, part in ((2, (35 / 37) ** 2), (1, 1 - 3 * 36 / 37**2)):
        theory, *_ = theory_of(Polyak(factor=factor))
        assert theory.limits(*at(1)).distance == pytest.approx(part, rel=1e-14)


def test_the_bound_of_polyak_s_step_keeps_its_digits():
    """With the factor 2 it is ((κ − 1)/(κ + 1))², which 1 − 4κ/(κ + 1)² would round to 0."""
    theory, *_ = theory_of(Polyak(factor=2), np.array([1 + 2.0**-40, 1.0]))
    assert theory.limits(*at(1)).distance == pytest.approx(2.0**-82, rel=1e-9, abs=0)


@pytest.mark.parametrize("kappa", [1.0, 1.001, 1.2, 36.0, 1e4, 1e12])
def test_contraction_is_that_of_a_late_step(kappa):
    """(κ − 1)/(κ + 1), and with κ's root for conjugate gradients, however fast the bound falls."""
    values = np.array([kappa, 1.0])
    part, root = (kappa - 1) / (kappa + 1), (kappa**0.5 - 1) / (kappa**0.5 + 1)
    for method, nu in ((SteepestDescent(), part), (Polyak(factor=2), part)):
        assert theory_of(method, values)[0].contraction() == pytest.approx(nu, rel=1e-12, abs=1e-16)
    found = theory_of(ConjugateGradient(), values)[0].contraction()
    assert found == pytest.approx(root, rel=1e-12, abs=1e-16)
    assert np.isnan(theory_of(BarzilaiBorwein(), values)[0].contraction())


@pytest.mark.parametrize("kappa", [1.0, 1.0001, 2.0, 1e4])
@pytest.mark.parametrize("start", [Normal(1e3), Normal(1e-8)])
def test_no_bound_is_broken_by_rounding(kappa, start):
    """From far away a step is rounded by much more than is left after it."""
    for method in ALL:
        problem = Prescribed(40, 8, condition_number=kappa)
        runs = run_study(RunConfig(problem, start, method=replace(method, iterations=50))).runs
        assert not runs["bound_holds"].isin([False]).any()


def strakos():
    """Eigenvalues, X and y of Strakoš' problem with 48 unknowns; the start is 0."""
    index = np.arange(1, 49)
    values = 1e-3 + (index - 1) / 47 * (1 - 1e-3) * 0.8 ** (48 - index)
    roots = np.sqrt(values / 2)
    assert profile("strakos", 1e3, 48) == pytest.approx(values[::-1], rel=1e-14)
    return values[::-1], np.diag(roots), np.full(48, 48**-0.5) / (2 * roots)


def test_conjugate_gradients_on_the_problem_of_strakos():
    """Iterations to a gap of 1e-2, …, 1e-20 of the initial one: exact, and with rounding."""
    values, X, y = strakos()
    theory, *_ = theory_of(ConjugateGradient(), values)
    shares = 1 / 48 / (2 * values)
    exact = theory.gap(shares, *at(*range(60))) / shares.sum()
    wanted = [1e-2, 1e-4, 1e-8, 1e-12, 1e-20]
    assert [int(np.argmax(exact <= each)) for each in wanted] == [19, 24, 30, 33, 37]
    known = [6.9937089652e-1, 2.8894177634e-1, 3.6440729462e-3, 1.6554449238e-9, 7.5179816050e-30]
    assert exact[[5, 10, 20, 30, 40]] == pytest.approx(known, rel=1e-9)
    for method, known, off in (
        (ConjugateGradient(), [20, 29, 43, 54, 74], 1),
        (ConjugateGradient(reorthogonalize=True), [19, 24, 30, 33, 37], 0),
    ):
        gaps = gaps_of_run(method, X, y, np.zeros(48), 90)
        counts = [int(np.argmax(gaps <= each * gaps[0])) for each in wanted]
        assert np.abs(np.array(counts) - known).max() <= off


def test_reorthogonalized_gradients_are_orthogonal_to_all_former_ones():
    """The gradients at w itself, which fall to 1e-3 here: to 1e-11, and else not at all."""
    _, X, y = strakos()
    rows = {}

    def observe(t, runs, W, residual, beside):
        rows[of].append(2 * residual[0] @ X)

    for of in (False, True):
        _, one, coefficients = theory_of(ConjugateGradient(reorthogonalize=of), *strakos()[:1])
        rows[of] = []
        iterate(one, Objective(LeastSquares(X, y), "none"), np.zeros(48), coefficients, 25, observe)
        units = np.array([each / np.linalg.norm(each) for each in rows[of]])
        off = np.abs(units @ units.T - np.eye(26)).max()
        assert off < 1e-11 if of else off > 0.1


def test_no_more_gradients_are_kept_than_x_has_rank():
    """Then the method has arrived, and stays where it is."""
    problem = LeastSquares(np.diag([3.0, 2.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    _, one, coefficients = theory_of(ConjugateGradient(reorthogonalize=True), np.array([18.0, 2.0]))
    seen = []

    def observe(t, runs, W, residual, beside):
        seen.append((W[0].copy(), beside.chosen()["step_size"][0]))

    iterate(one, Objective(problem, "none"), np.zeros(4), coefficients, 8, observe)
    assert seen[3][0] == pytest.approx([1 / 3, 1, 3, 0], rel=1e-14)
    assert [step > 0 for _, step in seen] == [True] * 3 + [False] * 6
    assert all((w == seen[3][0]).all() for w, _ in seen[3:])


def test_too_many_gradients_are_refused(monkeypatch):
    with pytest.raises(ConfigError) as error:
        RunConfig(
            Gaussian(10, 20_000), method=ConjugateGradient(reorthogonalize=True, iterations=10**4)
        )
    assert str(error.value) == (
        "method.reorthogonalize=true: keeps d·min(iterations, d) numbers, which may be 100,000,000"
        " at most; with d=20000 and method.iterations=10000 they are 200,000,000."
        " method.iterations may be 5000 at most"
    )
    RunConfig(Gaussian(10, 20_000), method=ConjugateGradient(iterations=10**4))
    # Of a file the number of columns is known only when it is read.
    config = RunConfig(Gaussian(9, 4), method=ConjugateGradient(reorthogonalize=True))
    monkeypatch.setattr(conjugate_gradient, "MOST_KEPT", 15)
    with pytest.raises(ConfigError, match=r"with d=4 and method\.iterations=2000 they are 16"):
        run_group(list(expand(config)))


OUTLIERS = np.array([1e6, 3e4, *np.linspace(9, 1, 8)])


def test_few_large_eigenvalues_cost_few_iterations():
    """1/T_{t−k}(σ_k)², the least over k, with NumPy's Chebyshev polynomials."""
    theory, *_ = theory_of(ConjugateGradient(), OUTLIERS)
    found = theory.limit_of_spectrum(*at(*range(10)))
    for t in range(10):
        parts = []
        for k in range(min(t, 8) + 1):
            kappa = OUTLIERS[k] / OUTLIERS[-1]
            value = np.polynomial.chebyshev.chebval((kappa + 1) / (kappa - 1), [0] * (t - k) + [1])
            parts.append(value**-2.0)
        assert found[t] == pytest.approx(min(parts), rel=1e-9)
        assert (int(np.argmin(parts)) == 2) == (t >= 3)
    shares = np.random.default_rng(1).uniform(0, 1, 10)
    exact = theory.gap(shares, *at(*range(10))) / shares.sum()
    assert (exact <= found * (1 + 1e-12)).all()
    # After two iterations only 1 … 9 is left: √κ = 3, and (3 − 1)/(3 + 1) is ½.
    assert found[8] == pytest.approx((2 / (2**6 + 2**-6)) ** 2, rel=1e-12)
    assert theory.limits(*at(8)).gap[0] > 0.9


def test_the_sharp_bound_is_the_least_that_is_proved():
    """Early on it knows the start's distance only, and with one feature all is done in one step."""
    problem = Prescribed(40, 8, condition_number=1e4, profile="two_point")
    for start in (Normal(1.0), Normal(1e-6)):
        curves = run_study(RunConfig(problem, start, ConjugateGradient())).curves
        for other in ("gap_bound", "gap_bound_relative"):
            assert (curves["gap_bound_sharp"] <= curves[other] * (1 + 1e-14)).all()
    curves = run_study(RunConfig(Gaussian(9, 1), Normal(1.0), ConjugateGradient())).curves
    assert (curves["gap_bound_sharp"][1:] == 0).all()


# Runs of the program


@pytest.mark.parametrize("method", ALL, ids=lambda each: each.name)
@pytest.mark.parametrize("problem", [Gaussian(60, 20), Prescribed(60, 20, condition_number=1e3)])
@pytest.mark.slow_where(case=lambda method: method.name != "conjugate_gradient")
def test_a_run_is_the_exact_one_until_rounding_delays_it(method, problem):
    tables = run_study(RunConfig(problem, Normal(1.0), method=method))
    assert (tables.runs["status"] != "diverged").all()
    for run in tables.runs.itertuples():
        curve = tables.curves[tables.curves["run_id"] == run.run_id]
        early = curve[curve["iteration"] <= 8]
        assert early["gap"].to_numpy() == pytest.approx(early["gap_exact"], rel=1e-6)
        assert pd.isna(run.delayed_at) or run.delayed_at > 8
        assert run.bound_holds is not False
        assert curve["coefficient_step"].notna().all()
        assert np.isnan(run.step_size)


def test_a_row_has_the_bits_that_it_has_alone():
    config = RunConfig(Gaussian(60, 20), method=Polyak(factor=[0.5, 1, 2, 3.5], iterations=300))
    runs = list(expand(config))
    together = encode(run_group(runs)).curves
    for run in runs:
        assert encode(run_group([run])).curves in together


def test_a_start_at_the_minimum_stays_there():
    for method in ALL:
        runs = run_study(RunConfig(Gaussian(1, 1, noise=0.0), method=method)).runs
        assert (runs["status"] == "converged").all()


def test_polyak_s_step_may_enlarge_the_gap_although_the_distance_shrinks():
    """Case B: by at most 1.036 in a step with the factor 2, and by 2.23 with 1."""
    for factor, most in ((2, 1.036), (1, 2.23)):
        theory, *_ = theory_of(Polyak(factor=factor))
        gaps = theory.gap(EIGENVALUES / 2, *at(*range(51)))
        assert (gaps[1:] / gaps[:-1]).max() == pytest.approx(most, abs=0.005)


def test_gap_and_distance_of_conjugate_gradients_never_rise():
    """Hestenes and Stiefel 1952. The gradient's length may rise, and does here."""
    tables = run_study(
        RunConfig(Prescribed(60, 20, condition_number=1e4), Normal(1.0), ConjugateGradient())
    )
    # Later the distance is rounding.
    curve = tables.curves[:15]
    for name in ("gap", "gap_exact", "distance_squared"):
        assert (curve[name].diff().dropna() < 0).all()
    seen = []
    values, X, y = strakos()
    _, one, coefficients = theory_of(ConjugateGradient(), values)
    iterate(
        *(one, Objective(LeastSquares(X, y), "none"), np.zeros(48), coefficients, 20),
        lambda t, runs, W, residual, _: seen.append(np.linalg.norm(residual[0] @ X)),
    )
    assert (np.diff(seen) > 0).any()


def test_without_xtx_the_gap_ends_far_lower():
    """κ(X) = 1e4: with XᵀX conjugate gradients come to rest above 1e-19 of the gap, CGLS does not.

    Of the residual that is updated the gap would go on to 0; the gap of w does not.
    """
    X, y = (lambda made: (made.X, made.y))(make(Prescribed(60, 20, condition_number=1e8), 0, 0))
    objective = Objective(LeastSquares(X, y), "none")
    w_star, _ = objective.nearest_minimiser(np.zeros(20))
    ours = gaps_of_run(ConjugateGradient(), X, y, np.zeros(20), 400)
    w, H, b = np.zeros(20), X.T @ X, X.T @ y
    r = p = b
    normal = []
    for _ in range(400):
        normal.append(float(np.sum((X @ (w - w_star)) ** 2)))
        step = (r @ r) / (p @ H @ p) if r @ r > 1e-300 else 0.0
        w, after = w + step * p, r - step * (H @ p)
        p, r = after + (after @ after) / (r @ r or 1.0) * p, after
    least = min(ours) / ours[0], min(normal) / normal[0]
    assert 0 < least[0] < 1e-3 * least[1]
