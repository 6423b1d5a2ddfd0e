"""The statements of the coursework, (1) to (20) and (a) to (k), as checks on one run.

Each equation has one function, which says what it compares. How large rounding may make the
difference is said there or in `gdconv.verify.case`. A bound that is 0.1 % too large would still
hold, so the formulas of `gdconv.theory.bounds` are also compared with the same quantity computed
with 200 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, localcontext

import numpy as np

from gdconv.theory import bounds
from gdconv.verify.case import Case
from gdconv.verify.checks import (
    DIGITS,
    EPS,
    FAILS,
    HALF,
    HOLDS,
    NOTHING,
    Check,
    agree,
    enclosed,
    largest_product,
    not_below,
    positive,
    powers,
    slacks,
    under,
)

# Iterations at which the closed forms are compared.
TIMES = (0, 1, 2, 3, 10, 31, 100, 316, 1000)
# If a step size is closer to a threshold than this part of it, rounding decides on which side it
# lies.
EDGE = 8 * EPS


def verify(case: Case) -> list[Check]:
    """Return every statement's check for one run."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return [check for equation in EQUATIONS for check in equation(case)]


def loss_1(case: Case) -> Iterator[Check]:
    """(1) L(w) = ‖Xw − y‖²."""
    found = np.array([case.loss(w) for w in case.points])
    expected = [np.sum((case.X @ w - case.y) ** 2) for w in case.points]
    sizes = np.array([case.magnitude(w) ** 2 for w in case.points])
    yield agree("(1)", "nnlib's loss is ‖Xw − y‖²", found, expected, sizes, 2 * case.unit)


def gradient_3(case: Case) -> Iterator[Check]:
    """(3) ∇L(w) = 2XᵀXw − 2Xᵀy, by `run_grad`, by the iteration's program, by differences.

    L is quadratic, so its central differences are exact for steps of any size; here the step is
    another of the points w.
    """
    expected = [2 * (case.X.T @ (case.X @ w)) - 2 * (case.X.T @ case.y) for w in case.points]
    sizes = np.array([2 * case.columns * case.magnitude(w) for w in case.points])
    found = np.array([case.gradient(w) for w in case.points])
    name = "2XᵀXw − 2Xᵀy"
    yield agree("(3)", f"nnlib's gradient is {name}", found, expected, sizes, case.unit)
    found = case.objective.gradients(case.points)
    yield agree("(3)", f"the iteration's gradient is {name}", found, expected, sizes, case.unit)
    pairs = list(zip(case.points, np.roll(case.points, 1, axis=0), strict=True))
    slopes = np.array([case.gradient(w) @ v for w, v in pairs])
    differences = np.array([(case.loss(w + v) - case.loss(w - v)) / 2 for w, v in pairs])
    sizes = np.array([case.magnitude(w, v) ** 2 for w, v in pairs])
    statement = "nnlib's gradient is the central difference of L"
    yield agree("(3)", statement, slopes, differences, sizes, 2 * case.unit)


def hessian_4(case: Case) -> Iterator[Check]:
    """(4) H = 2XᵀX, checked as H v: by differentiating the gradient's graph, and by differences."""
    pairs = list(zip(case.points, np.roll(case.points, 1, axis=0), strict=True))
    expected = np.array([case.hessian_times(v) for _, v in pairs])
    sizes = np.array([2 * case.columns * case.magnitude(w, v) for w, v in pairs])
    found = np.array([case.gradient_of_slope(w, v) for w, v in pairs])
    statement = "the gradient of nnlib's gradient is 2XᵀX"
    yield agree("(4)", statement, found, expected, sizes, case.unit)
    found = np.array([(case.gradient(w + v) - case.gradient(w - v)) / 2 for w, v in pairs])
    statement = "the central difference of nnlib's gradient is 2XᵀX"
    yield agree("(4)", statement, found, expected, sizes, case.unit)


def optimum_5(case: Case) -> Iterator[Check]:
    """(5) ½Hw* = Xᵀy, and w* is the solution nearest to w_0.

    With c_j the length of column j, component j may be off by unit c_j magnitude(w*). If X does not
    have full rank, the singular values that the rank rule takes for 0, of size unit σ_1, add to it.
    """
    found = case.hessian_times(case.w_star) / 2
    sizes = case.lengths * case.magnitude(case.w_star)
    yield agree("(5)", "½Hw* = Xᵀy", found, case.X.T @ case.y, sizes, case.unit)
    V, away = case.spectrum.right, case.start - case.w_star
    outside = np.linalg.norm(away - V @ (V.T @ away))
    size = np.linalg.norm(case.start) + np.linalg.norm(case.w_star)
    yield agree("(5)", "w* is the minimiser nearest to w₀", outside, 0.0, size, case.unit)


def step_6(case: Case) -> Iterator[Check]:
    """(6) The step size is the one asked for; the optimal one has 1 − ηλ⁺min = −(1 − ηλmax)."""
    unit, value = case.run.step_unit, case.run.step_value
    with localcontext(prec=DIGITS):
        asked, largest = Decimal(value), Decimal(case.lambda_max)
        smallest = Decimal(case.lambda_min_positive)
        expected = {
            "lambda_max": asked / largest,
            "optimal": 2 * asked / (smallest + largest),
            "absolute": asked,
            "K": 1 / asked,
        }[unit]
        ratio = float(Decimal(case.step_size) / expected)
        best = Decimal(bounds.optimal_step_size(case.lambda_max, case.lambda_min_positive))
        twice = float(best * (smallest + largest))
    yield agree("(6)", f"η is step.value in the unit {unit}", ratio, 1.0, 1.0, 4 * EPS)
    yield agree("(6)", "at the optimal η, η(λ⁺min + λmax) = 2", twice, 2.0, 1.0, 4 * EPS)


def step_7(case: Case) -> Iterator[Check]:
    """(7) w_t = w_{t−1} − ηH(w_{t−1} − w*) for iterates of the run."""
    found, expected, sizes = [], [], []
    for moment in case.moves:
        found.append(moment.following - moment.w)
        expected.append(-case.step_size * case.hessian_times(case.away(moment.w)))
        sizes.append(case.move_size(moment, case.lengths))
    statement = "wₜ = wₜ₋₁ − ηH(wₜ₋₁ − w*)"
    yield agree("(7)", statement, found, expected, sizes, 2 * case.unit)


def step_8(case: Case) -> Iterator[Check]:
    """(8) w_t − w* = (I − ηH)(w_{t−1} − w*), with H made from its eigenvalues and eigenvectors."""
    V = case.spectrum.right
    found, expected, sizes = [], [], []
    for moment in case.moves:
        found.append(moment.following - moment.w)
        away = V.T @ case.away(moment.w)
        expected.append(-V @ (case.step_size * case.eigenvalues * away))
        sizes.append(case.move_size(moment, case.width))
    statement = "wₜ − w* = (I − ηH)(wₜ₋₁ − w*), H = Σ λᵢvᵢvᵢᵀ"
    yield agree("(8)", statement, found, expected, sizes, 2 * case.unit)


def unrolled_9(case: Case) -> Iterator[Check]:
    """(9) w_t − w* = (I − ηH)^t(w_0 − w*), where the component along v_i gets (1 − ηλ_i)^t."""
    largest = max(1.0, float(np.exp(case.logs.max())))
    found, expected, tolerance, sizes = [], [], [], []
    for moment in case.moments:
        found.append(case.spectrum.right.T @ case.away(moment.w))
        expected.append(case.powers(moment.t) * case.components)
        tolerance.append(moment.components_error)
        sizes.append(np.full(case.spectrum.rank, np.sqrt(case.distance) * largest**moment.t))
    statement = "wₜ − w* = (I − ηH)ᵗ(w₀ − w*)"
    tolerance = np.array(tolerance) / positive(sizes)
    yield agree("(9)", statement, found, expected, sizes, tolerance)


def eigenvectors_12(case: Case) -> Iterator[Check]:
    """(12) The Lagrangian F(w) = wᵀHw − λ(wᵀw − 1) has gradient 0 at v_i, with λ = λ_i.

    The computed decomposition is the exact one of a matrix X + E. So H v_i − λ_i v_i is
    −2(XᵀE + EᵀX) v_i, whose component j is at most 2 unit (c_j ‖X‖ + ‖X‖ σ_i).
    """
    V, singular = case.spectrum.right, case.spectrum.singular_values
    found = 2 * (case.X.T @ (case.X @ V))
    sizes = 2 * case.width * (case.columns[:, None] + singular)
    statement = "½∇F(vᵢ) = Hvᵢ − λᵢvᵢ = 0 with λ = λᵢ, F the Lagrangian"
    yield agree("(12)", statement, found, V * case.eigenvalues, sizes, case.unit)


def quadratic_form_13(case: Case) -> Iterator[Check]:
    """(13) wᵀHw <= λmax ‖w‖², with equality at v_max."""
    points = case.points / np.linalg.norm(case.points, axis=1)[:, None]
    values = 2 * np.sum((case.X @ points.T) ** 2, axis=0)
    size = 1 + 2 * case.width**2 / case.lambda_max
    slack = 1 - values / case.lambda_max
    yield not_below("(13)", "wᵀHw ≤ λmax‖w‖²", slack, 2 * case.unit * size)
    v = case.spectrum.right[:, 0]
    ratio = 2 * np.sum((case.X @ v) ** 2) / case.lambda_max
    yield agree("(13)", "with equality at v_max", ratio, 1.0, size, 2 * case.unit)


def distance_14(case: Case) -> Iterator[Check]:
    """(14) ‖w_t − w*‖² = (w_0 − w*)ᵀ(I − ηH)^{2t}(w_0 − w*) <= ν^{2t} ‖w_0 − w*‖².

    ν is the largest absolute eigenvalue of I − ηH on the range of H.
    """
    measured = np.array([np.linalg.norm(case.away(m.w)) for m in case.moments])
    exact = np.array([np.linalg.norm(case.powers(m.t) * case.components) for m in case.moments])
    error = np.array([moment.distance_error for moment in case.moments])
    # What the bounds start from has to be the distance, too.
    start = np.where(case.times == 0, np.sqrt(case.distance), measured)
    size = positive(measured + exact + error)
    statement = "‖wₜ − w*‖² = (w₀ − w*)ᵀ(I − ηH)²ᵗ(w₀ − w*)"
    yield agree("(14)", statement, [measured, start], exact, size, error / size)
    ends = case.ends[::-1]
    bound = np.sqrt(bounds.distance_bound(case.step_size, case.times, case.distance, *ends))
    yield under("(14)", "‖wₜ − w*‖² ≤ ν²ᵗ‖w₀ − w*‖²", measured, bound, error)
    found = bounds.distance_bound(case.step_size, TIMES, case.distance, *ends)
    statement = "ν²ᵗ‖w₀ − w*‖² is reached along an eigenvector"
    yield _closed_form("(14)", statement, case, found, case.ends, case.distance)


def taylor_15(case: Case) -> Iterator[Check]:
    """(15) L(w_1) = L(w_2) + ∇L(w_2)ᵀ(w_1 − w_2) + ½(w_1 − w_2)ᵀH(w_1 − w_2)."""
    found, expected, sizes = [], [], []
    for w, other in zip(case.points, np.roll(case.points, 1, axis=0), strict=True):
        away = w - other
        second = away @ case.hessian_times(away) / 2
        expected.append(case.loss(other) + case.gradient(other) @ away + second)
        found.append(case.loss(w))
        sizes.append(case.magnitude(w, other) ** 2)
    statement = "L(w) = L(w′) + ∇L(w′)ᵀ(w − w′) + ½(w − w′)ᵀH(w − w′)"
    yield agree("(15)", statement, found, expected, sizes, 4 * case.unit)


def gap_16(case: Case) -> Iterator[Check]:
    """(16) L(w) − L(w*) = ½(w − w*)ᵀH(w − w*) at random w."""
    yield _gap_at("(16)", "L(w) − L(w*) = ½(w − w*)ᵀH(w − w*)", case, case.points)


def gap_17(case: Case) -> Iterator[Check]:
    """(17) The same at w_t; by (9) the gap is ½ Σ λ_i (1 − ηλ_i)^{2t} c_i²."""
    iterates = [moment.w for moment in case.moments]
    yield _gap_at("(17)", "L(wₜ) − L(w*) = ½(wₜ − w*)ᵀH(wₜ − w*)", case, iterates)
    shares = case.shares
    exact = bounds.exact_gap(case.eigenvalues, shares, case.step_size, case.times)
    measured, error = case.measured
    size = positive(measured + np.sqrt(exact) + error)
    statement = "the run's gap is ½ Σ λᵢ(1 − ηλᵢ)²ᵗcᵢ²"
    yield agree("(17)", statement, measured, np.sqrt(exact), size, error / size)
    found = bounds.exact_gap(case.eigenvalues, shares, case.step_size, TIMES)
    terms = [powers(case.step_size, value, TIMES) for value in case.eigenvalues]
    expected = sum(share * power for share, (power, _) in zip(shares, terms, strict=True))
    error = sum(share * error for share, (_, error) in zip(shares, terms, strict=True))
    error += len(shares) * EPS * expected
    statement = "½ Σ λᵢ(1 − ηλᵢ)²ᵗcᵢ² to 200 digits"
    yield enclosed("(17)", statement, found, expected, error, _growth(case))


def bound_18(case: Case) -> Iterator[Check]:
    """(18) L(w_t) − L(w*) <= λmax/2 ν^{2t} ‖w_0 − w*‖², and two sharper bounds.

    The relative bound is ν^{2t} times the initial gap. The sharp bound is the largest value of
    ½ λ(1 − ηλ)^{2t} ‖w_0 − w*‖² over λ⁺min <= λ <= λmax.
    """
    measured, error = case.measured
    ends, t = case.ends[::-1], case.times
    bound = bounds.gap_bound(case.step_size, t, case.distance, *ends)
    statement = "L(wₜ) − L(w*) ≤ ½λmax ν²ᵗ‖w₀ − w*‖²"
    yield under("(18)", statement, measured, np.sqrt(bound), error)
    found = bounds.gap_bound(case.step_size, TIMES, case.distance, *ends)
    scale = case.lambda_max / 2 * case.distance
    statement = "½λmax ν²ᵗ‖w₀ − w*‖² to 200 digits"
    yield _closed_form("(18)", statement, case, found, case.ends, scale)

    initial = measured[0] ** 2 if len(measured) else 0.0
    bound = bounds.gap_bound_relative(case.step_size, t, initial, *ends)
    statement = "relative: gap ≤ ν²ᵗ times the initial gap"
    carried = error + error[:1] * case.nu**t
    yield under("(18)", statement, measured, np.sqrt(bound), carried)
    found = bounds.gap_bound_relative(case.step_size, TIMES, initial, *ends)
    statement = "ν²ᵗ times the initial gap to 200 digits"
    yield _closed_form("(18)", statement, case, found, case.ends, initial)

    bound = bounds.gap_bound_sharp(case.step_size, t, case.distance, *ends)
    statement = "sharp: gap ≤ max ½λ(1 − ηλ)²ᵗ‖w₀ − w*‖²"
    yield under("(18)", statement, measured, np.sqrt(bound), error)
    found = bounds.gap_bound_sharp(case.step_size, TIMES, case.distance, *ends)
    exact, error = largest_product(case.step_size, case.ends, TIMES, case.distance / 2)
    yield enclosed("(18)", "that maximum, by search", found, exact, error, _growth(case))


def bound_19(case: Case) -> Iterator[Check]:
    """(19) L(w_t) − L(w*) <= λmax/2 (1 − λmin/K)^{2t} ‖w_0 − w*‖², and the corrected bound.

    The coursework's bound is true if |1 − λmin/K| is the largest |1 − λ/K|: for
    K >= (λmin + λmax)/2, and for λmin = λmax. Otherwise some starts break it. Where the exact gap
    exceeds the bound, the measured gap has to exceed it too.
    """
    stated = float(bounds.contraction_coursework(case.step_size, case.lambda_min))
    yield _coursework(case, stated)

    ends = case.lambda_max, case.lambda_min
    found = bounds.gap_bound_coursework(case.step_size, TIMES, case.distance, *ends)
    scale = case.lambda_max / 2 * case.distance
    statement = "½λmax(1 − λmin/K)²ᵗ‖w₀ − w*‖² to 200 digits"
    yield _closed_form("(19)", statement, case, found, [case.lambda_min], scale)
    with localcontext(prec=DIGITS):
        smallest = Decimal(float(case.spectrum.eigenvalues[-1]))
        exactly = float(1 - Decimal(case.step_size) * smallest)
    size = 1 + case.step_size * case.lambda_min
    statement = "1 − λmin/K to 200 digits"
    yield agree("(19)", statement, stated, exactly, size, 4 * EPS, may_be_zero=True)

    nu, (measured, error) = case.nu, case.measured
    corrected = max(abs(1 - case.lambda_min_positive / case.K), abs(1 - case.lambda_max / case.K))
    size = 1 + case.lambda_max * case.step_size
    statement = "ν is max(|1 − λ⁺min/K|, |1 − λmax/K|)"
    yield agree("(19)", statement, nu, corrected, size, 4 * EPS, may_be_zero=True)
    bound = case.lambda_max / 2 * corrected ** (2.0 * case.times) * case.distance
    statement = "corrected: gap ≤ ½λmax ν²ᵗ‖w₀ − w*‖²"
    yield under("(19)", statement, measured, np.sqrt(bound), error)


def rate_20(case: Case) -> Iterator[Check]:
    """(20) L(w_t) − L(w*) <= O(r^t) with r = ν², and the predicted number of iterations.

    That number is the least whole t >= 1 with ν^{2t} <= method.tolerance. For a small x,
    ln |1 − x| has a relative error of a few eps; otherwise 1 − x is off by a few eps (1 + x).
    """
    log_nu = case.log_nu
    with localcontext(prec=DIGITS):
        factors = [abs(1 - Decimal(case.step_size) * Decimal(value)) for value in case.ends]
        logs = np.array([float(factor.ln()) for factor in factors])
    x = case.step_size * np.array(case.ends)
    size, delta = np.array(factors, dtype=float), 4 * EPS * (1 + x)
    low = np.where(x < 0.5, logs, np.log(np.maximum(size - delta, 0.0)))
    high = np.where(x < 0.5, logs, np.log(size + delta))
    exact = logs.max()
    error = max(high.max() - exact, exact - low.max()) + 4 * EPS * abs(exact)
    if exact > math.log(EDGE * (1 + x.max())):
        yield agree("(20)", "ln ν to 200 digits", log_nu, exact, 1.0, error)
    else:
        yield agree("(20)", "ν is 0 up to rounding", math.exp(log_nu), 0.0, 1 + x.max(), 2 * EDGE)
    tolerance = case.run.method.tolerance
    t = float(bounds.iterations_to(tolerance, log_nu))
    statement = f"L(wₜ) − L(w*) ≤ O(rᵗ), r = ν² = {_rate(case, log_nu)}"
    if case.lambda_min == 0:
        statement += " by λ⁺min (λmin = 0 makes it r = 1)"
    if log_nu >= 0:
        passed, value = math.isinf(t), -math.expm1(min(2 * log_nu, 700))
        verdict = "no r below 1" if passed else FAILS
        yield Check("(20)", statement + ": r < 1", "slack", value, 0.0, verdict, passed)
        return
    # Up to the rounding of a logarithm, t iterations are enough, t − 1 are not, and t is whole.
    target = math.log(tolerance)
    enough = 2 * t * log_nu - target
    short = target - 2 * (t - 1) * log_nu if t > 1 else -math.inf
    worst = max(enough, short, abs(t - round(t)), 0.0)
    statement += f": {t:.6g} iterations to {tolerance:g}"
    yield agree("(20)", statement, worst, 0.0, abs(target), EDGE)


def condition_j(case: Case) -> Iterator[Check]:
    """(j) The coursework asks for K > λmin; gradient descent converges if and only if K > λmax/2.

    One step from w* + v_max multiplies the error by 1 − λmax/K, whatever (19) promises.
    """
    factor = abs(1 - case.lambda_max / case.K)
    found, error = case.step_along(0)
    statement = f"a step along v_max multiplies by |1 − λmax/K| = {factor:.6g}"
    size = 1 + case.lambda_max / case.K
    yield agree("(j)", statement, found, factor, size, error, may_be_zero=True)
    margin = 2 * case.K / case.lambda_max - 1
    converges = case.log_nu < 0
    passed = abs(margin) <= EDGE or converges == (margin > 0)
    verdict = FAILS
    if passed:
        verdict = "holds: it converges" if converges else "holds: it does not converge"
    statement = "corrected: it converges if and only if K > λmax/2"
    yield Check("(j)", statement, "slack", margin, EDGE, verdict, bool(passed))
    slack = float(case.K / positive(case.lambda_min) - 1)
    verdict = HOLDS
    if slack <= 0:
        verdict = "says nothing about this K ≤ λmin"
    elif not converges:
        verdict = "fails, as expected for this K ≤ λmax/2"
    statement = "coursework's statement: it converges if K > λmin"
    yield Check("(j)", statement, "slack", slack, EDGE, verdict, True)


def kind_k(case: Case) -> Iterator[Check]:
    """(k) Linear: one step from w* + v_i, v_i the slowest, multiplies the gap by exactly r = ν².

    A run converges at the rate of the slowest v_i along which w_0 − w* has a component.
    """
    logs = case.logs
    slowest = int(np.argmax(logs))
    found, error = case.step_along(slowest)
    size = 1 + case.step_size * case.lambda_max
    statement = f"{_kind(case, logs[slowest], 'ν')}: a step along the slowest vᵢ multiplies by ν"
    yield agree("(k)", statement, found, case.nu, size, error, may_be_zero=True)

    measured, errors = case.measured
    has = case.spectrum.singular_values * np.abs(case.components) > errors[:1].sum()
    log_own = float(np.max(logs, where=has, initial=-np.inf))
    kind = _kind(case, log_own, "(1 − ηλᵢ)")
    statement = f"this run: {kind}, of the slowest vᵢ in w₀ − w*"
    if not has.any():
        yield Check("(k)", "this run", "slack", 0.0, 0.0, NOTHING, True)
    elif _rate(case, log_own) == "0":
        yield agree("(k)", statement, measured[1:], 0.0, measured[0], errors[1:] / measured[0])
    else:
        power = np.exp(log_own * np.diff(case.times))
        carried = errors[1:] + power * errors[:-1]
        yield under("(k)", statement, measured[1:], power * measured[:-1], carried)


EQUATIONS: Sequence[Callable[[Case], Iterator[Check]]] = (
    *(loss_1, gradient_3, hessian_4, optimum_5, step_6, step_7, step_8, unrolled_9),
    *(eigenvectors_12, quadratic_form_13, distance_14, taylor_15, gap_16, gap_17),
    *(bound_18, bound_19, rate_20, condition_j, kind_k),
)


def _kind(case: Case, log_factor: float, factor: str) -> str:
    """The kind of convergence for a factor, with the rate, which is its square."""
    rate = _rate(case, log_factor)
    if rate == "0":
        return "one step ends at w*, r = 0"
    return f"{'linear' if log_factor < 0 else 'no convergence'}, r = {factor}² = {rate}"


def _rate(case: Case, log_factor: float) -> str:
    """The rate as text: as 1 − a small number if it is close to 1, as 0 if it is only rounding."""
    if log_factor <= math.log(EDGE * (1 + case.step_size * case.lambda_max)):
        return "0"
    below = -math.expm1(2 * log_factor) if log_factor < 1 else -math.inf
    return f"1 − {below:.3g}" if 0 < below < 1e-4 else f"{math.exp(min(2 * log_factor, 700)):.6g}"


def _gap_at(equation: str, statement: str, case: Case, points: Iterable[np.ndarray]) -> Check:
    """Compare L(w) − L(w*) with the quadratic form.

    Both losses and the form are squares of lengths; each length is off by up to unit times the size
    of the terms that are added up. The form does not contain the singular values that the rank rule
    takes for 0, so their contribution may differ.
    """
    V, minimum = case.spectrum.right, case.loss(case.w_star)
    residual = np.linalg.norm(case.X @ case.w_star - case.y)
    found, expected, sizes, errors = [], [], [], []
    for w in points:
        away, loss = w - case.w_star, case.loss(w)
        form = away @ case.hessian_times(away) / 2
        found.append(loss - minimum)
        expected.append(form)
        sizes.append(loss + minimum + form)
        off = 2 * case.unit * case.magnitude(w, case.w_star)
        lengths = np.sqrt(np.maximum([loss, minimum, form], 0.0))
        cut = np.linalg.norm(case.X @ (away - V @ (V.T @ away)))
        errors.append(np.sum(off * (2 * lengths + off)) + 2 * cut * residual)
    tolerance = np.array(errors) / positive(sizes) + case.unit
    return agree(equation, statement, found, expected, sizes, tolerance)


def _growth(case: Case) -> np.ndarray:
    """The largest factor (1 − ηλ)^{2t} of an eigenvalue, at TIMES."""
    return max(abs(1 - case.step_size * value) for value in case.ends) ** (2.0 * np.array(TIMES))


def _closed_form(
    equation: str,
    statement: str,
    case: Case,
    found: np.ndarray,
    eigenvalues: Sequence[float],
    scale: float,
) -> Check:
    """Compare a bound at TIMES with scale times the largest (1 − ηλ)^{2t}, from 200 digits."""
    terms = [powers(case.step_size, value, TIMES) for value in eigenvalues]
    exact = np.max([power for power, _ in terms], axis=0)
    error = np.max([power + error for power, error in terms], axis=0) - exact
    error = scale * (error + 4 * EPS * exact)
    return enclosed(equation, statement, found, scale * exact, error, _growth(case))


def _coursework(case: Case, stated: float) -> Check:
    """Check that (19) is broken where theory says that it is, and nowhere else."""
    measured, error = case.measured
    t, scale = case.times, case.lambda_max / 2 * case.distance
    ends = case.lambda_max, case.lambda_min
    bound = np.sqrt(bounds.gap_bound_coursework(case.step_size, t, case.distance, *ends))
    exact = np.sqrt(bounds.exact_gap(case.eigenvalues, case.shares, case.step_size, t))
    # How much larger the factor of λmax is; at the optimum and for κ = 1 only by rounding.
    beyond = max(abs(1 - case.lambda_max / case.K) - abs(stated), 0.0)
    true = beyond <= EDGE * (1 + case.lambda_max / case.K)
    if true:
        error = error + np.sqrt(scale) * ((abs(stated) + beyond) ** t - abs(stated) ** t)
    broken, may_be = measured > bound + error, exact > bound
    must_be = exact > bound + 2 * error
    slack, tolerance = slacks(measured, bound, error)
    # The iteration to report: where the bound is first broken or, if it never is, nearly reached.
    order = np.where(np.isfinite(slack), slack, np.inf)
    at = int(np.argmax(broken) if broken.any() else np.argmin(order)) if len(order) else 0
    value, allowed = (order[at], tolerance[at]) if len(order) else (0.0, 0.0)
    passed = not (broken & (true | ~may_be)).any() and not (must_be & ~broken).any()
    verdict = HOLDS
    if not passed:
        verdict = FAILS
    elif broken.any():
        first = case.moments[at].t
        verdict = f"fails at t = {first}, as expected for this K < (λmin + λmax)/2"
    elif not (tolerance < HALF).any():
        verdict = NOTHING
    elif not true:
        verdict = "holds for this start, but not for all: K < (λmin + λmax)/2"
    statement = "coursework's bound: gap ≤ ½λmax(1 − λmin/K)²ᵗ‖w₀ − w*‖²"
    return Check("(19)", statement, "slack", float(value), float(allowed), verdict, bool(passed))
