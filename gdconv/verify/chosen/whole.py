"""Statements about a whole run: its exact gap, what is proved of it, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import (
    DIGITS,
    EPS,
    FAILS,
    HALF,
    HOLDS,
    LEAST_COMPARED,
    TIMES,
    Check,
    agree,
    positive,
    under,
)
from gdconv.verify.chosen.known import (
    Choice,
    Vector,
    gaps,
    last_gap,
    left_by_conjugate_gradients,
)
from gdconv.verify.chosen.steps import choice

# The end of conjugate gradients is computed anew for so many eigenvalues.
MOST_EIGENVALUES = 50
# Gaps that the theory takes for 0.
NO_GAP = 1e-290
# If a bound needs more iterations, a float does not know its factor.
LATEST = 2**53
# Two exact computations agree to this part.
AGREE = 1e-12
# Other roundings may change a gap so many times as much as those that were tried.
OFTEN = 100
BOUNDS = {
    "gap_bound": "gap ≤ bₜ ½λmax ‖w₀ − w*‖²",
    "gap_bound_relative": "gap ≤ bₜ times the initial gap",
    "gap_bound_sharp": "sharp: gap ≤ b′ₜ ½λmax ‖w₀ − w*‖²",
    "distance_bound": "‖wₜ − w*‖² ≤ bₜ ‖w₀ − w*‖²",
}
NAMES = {"gap_bound_relative": "bₜ", "gap_bound_sharp": "b′ₜ", "distance_bound": "bₜ"}


def exact_run(case: Case) -> Iterator[Check]:
    """The exact gap is that of the formulas in `known`, and the run has it until it is delayed.

    Rounding makes a run choose other steps. How much that matters is seen from runs with fewer
    digits, whose start is moved as far as rounding may move it. Where they have other gaps, nothing
    is compared.
    """
    of_run = choice(case)
    if of_run is None:
        return
    times = np.arange(min(of_run.early, case.run.method.iterations) + 1)
    shares = case.theory.shares
    with localcontext(prec=DIGITS):
        pairs = zip(decimals(shares), decimals(case.eigenvalues), strict=True)
        errors = [(2 * share / value).sqrt() for share, value in pairs]
    exact = own_gaps(case, of_run, errors, len(times) - 1, DIGITS)
    found = case.theory.of_method.gap(shares, np.zeros_like(times), times)
    fits = (exact > NO_GAP) & (exact < 1 / NO_GAP) & np.isfinite(found)
    if of_run.is_plane:
        # What is left after the last step is rounding; see `end`.
        fits &= times < len(np.unique(case.eigenvalues[shares > 0]))
    statement = f"the exact gap is that of: {of_run.formula}"
    deviation = found[fits] / exact[fits]
    yield agree("gap", statement, deviation, np.ones(fits.sum()), 1.0, AGREE)

    measured, error = case.measured
    early = case.times < len(times)
    measured, error, at = measured[early], error[early], case.times[early]
    root = np.sqrt(exact)
    size = positive(measured + root[at] + error)
    tolerance = (error + OFTEN * spread(case, of_run, root)[at]) / size
    says = np.logical_and.accumulate(tolerance < HALF)
    statement = "the run's gap is the exact one, until rounding delays it"
    at = at[says]
    yield agree("gap", statement, measured[says], root[at], size[says], tolerance[says])


def own_gaps(
    case: Case, of_run: Choice, errors: Vector, iterations: int, digits: int
) -> np.ndarray:
    """The gaps from these errors along the eigenvectors, with so many digits."""
    with localcontext(prec=digits):
        found = gaps(of_run, decimals(case.eigenvalues), errors, iterations)
    return np.array(found, dtype=float)


def decimals(values: np.ndarray) -> list[Decimal]:
    """The same numbers, exactly."""
    return list(map(Decimal, values.tolist()))


def spread(case: Case, of_run: Choice, root: np.ndarray) -> np.ndarray:
    """How much √gap changes if all is rounded to `Case.unit`, and the start moved likewise."""
    digits = max(int(-math.log10(case.unit)), 2)
    off = case.moments[0].components_error + EPS * np.abs(case.components)
    generator = np.random.default_rng(len(root))
    signs = np.where(generator.random((3, len(off))) < 0.5, -1.0, 1.0)
    errors = np.abs(case.components) + signs * off
    moved = [own_gaps(case, of_run, decimals(each), len(root) - 1, digits) for each in errors]
    return np.max(np.abs(np.sqrt(moved) - root), axis=0)


def proved_bounds(case: Case) -> Iterator[Check]:
    """No gap or distance is above what is proved, and no bound is stated where none is proved."""
    measured, error = case.measured
    distance = np.array([np.linalg.norm(case.away(moment.w)) for moment in case.moments])
    distance_off = np.array([moment.distance_error for moment in case.moments])
    stated = [(name, text) for name, text in BOUNDS.items() if np.isfinite(case.curves[name]).any()]
    known = choice(case)
    early = np.ones(len(measured), dtype=bool)
    if known is not None and known.is_plane:
        early = not_delayed(case)
    for name, statement in stated:
        of_run = (distance, distance_off) if name == "distance_bound" else (measured, error)
        rows = early if name == "gap_bound_sharp" else slice(None)
        bound = np.sqrt(case.curves[name])
        yield under("bound", statement, of_run[0][rows], bound[rows], of_run[1][rows])
    if known is None:
        return
    if known.parts(1) == (None, None, None):
        verdict, text = FAILS if stated else HOLDS, "none is proved, and none is stated"
        yield Check("bound", text, "deviation", 0.0, 0.0, verdict, not stated)
        return
    yield from parts_left(case, known)


def not_delayed(case: Case) -> np.ndarray:
    """Before which moments rounding has not yet changed the steps that a run chooses."""
    curves = case.curves
    gaps = np.array([moment.gap for moment in case.moments])
    return np.logical_and.accumulate(~(gaps > 2 * curves["gap_exact"] + curves["gap_floor"]))


def spectrum_bound(case: Case) -> Iterator[Check]:
    """Conjugate gradients: what is proved if all eigenvalues are known, to 200 digits.

    Rounding may break it, so the exact gap is compared with it.
    """
    known = choice(case)
    if known is None or case.spectrum.rank > MOST_EIGENVALUES:
        return
    times, initial = case.times, case.theory.shares.sum()
    half = case.lambda_max / 2 * case.distance_squared
    with localcontext(prec=DIGITS):
        values = decimals(case.eigenvalues)
        parts = [float(left_by_conjugate_gradients(values, t)) for t in times.tolist()]
        of_distance = [float(known.parts(t)[2] or 0) for t in times.tolist()]
    part, tolerance = np.array(parts), (16 + 8 * times) * EPS
    found = case.theory.of_method.limit_of_spectrum(*case.recorded)
    bound = np.minimum(part * initial, np.array(of_distance) * half)
    for values_found, expected, what in (
        (found, part, "the part"),
        (case.curves["gap_bound_sharp"] / positive(half), bound / positive(half), "the bound"),
    ):
        fits = expected >= LEAST_COMPARED
        ratio = values_found[fits] / expected[fits]
        text = f"mink 1/Tₜ₋ₖ((κₖ + 1)/(κₖ − 1))², {what} to 200 digits"
        yield agree("outliers", text, ratio, np.ones(fits.sum()), 1.0, tolerance[fits])
    # Of the start that the exact gap has.
    distance = float(np.sum(2 * case.theory.shares / case.eigenvalues))
    bound = np.minimum(part * initial, np.array(of_distance) * case.lambda_max / 2 * distance)
    exact = np.sqrt(case.curves["gap_exact"])
    statement = "without rounding no gap is above the least bound"
    yield under("outliers", statement, exact, np.sqrt(bound), 16 * EPS * exact)


def parts_left(case: Case, known: Choice) -> Iterator[Check]:
    """The parts that bounds consist of, to 200 digits.

    A bound that is 0.1 % too large would still hold on a run.
    """
    times, half = np.array(TIMES), case.lambda_max / 2 * case.distance_squared
    limits = case.theory.of_method.limits(np.zeros_like(times), times)
    of_limits = limits.gap, limits.distance, limits.sharp / case.lambda_max
    scales = case.theory.shares.sum(), case.distance_squared, half
    for number, name in enumerate(("gap_bound_relative", "distance_bound", "gap_bound_sharp")):
        bound = case.curves[name] / positive(scales[number])
        compared = [(of_limits[number], times, "the part"), (bound, case.times, "the bound")]
        # Of a sharp bound `spectrum_bound` knows more.
        for found, at, what in compared[: 1 if known.is_plane and number == 2 else 2]:
            with localcontext(prec=DIGITS):
                exact = [known.parts(t)[number] for t in at.tolist()]
                off = [float(known.off(t, 8 * Decimal(EPS))) for t in at.tolist()]
            if exact[0] is None:
                continue
            expected, tolerance = np.array(exact, dtype=float), np.array(off) + 16 * EPS
            fits = (expected >= LEAST_COMPARED) & (tolerance < HALF)
            fits &= bool(scales[number]) | (what == "the part")
            ratio = found[fits] / expected[fits]
            text = f"{NAMES[name]}, {what} to 200 digits"
            yield agree("bound", text, ratio, np.ones(fits.sum()), 1.0, tolerance[fits])


def late_steps(case: Case) -> Iterator[Check]:
    """ν is the root of what a late step leaves of the gap or of the squared distance at most."""
    known = choice(case)
    if known is None:
        return
    with localcontext(prec=DIGITS):
        found = known.base()
        if found is None:
            passed = bool(np.isnan(case.nu))
            verdict = HOLDS if passed else FAILS
            yield Check("ν", "no ν is stated", "deviation", 0.0, 0.0, verdict, passed)
            return
        base, times = found
        exact, error = float(base) ** (times / 2), 8 * EPS
        log = float(base.ln()) * times / 2 if base > 0 else -math.inf
        off = float(known.off(1, Decimal(error)))
    error = error if times == 2 else math.sqrt(float(base) + error) - exact
    statement = "ν² is what a late step leaves at most"
    yield agree("ν", statement, case.nu, exact, 1.0, error, True)
    if off < HALF:
        yield agree("ν", "ln ν is its logarithm", case.log_nu, log, 1.0, off + 4 * EPS * abs(log))


def steps_needed(case: Case) -> Iterator[Check]:
    """The predicted number is the least t >= 1 for which so small a part of the gap is proved."""
    known, t = choice(case), float(case.theory.iterations_predicted[0])
    if known is None:
        return
    tolerance = case.run.method.tolerance
    if known.parts(1)[0] is None:
        passed = math.isinf(t)
        text, verdict = f"no t is known for gap ≤ {tolerance:g} gap₀", HOLDS if passed else FAILS
        yield Check("t", text, "deviation", 0.0, 0.0, verdict, passed)
        return
    worst, off = [abs(t - round(t)) if t < math.inf else 0.0], 1e-9
    # Powers of so large exponents are tiny.
    with localcontext(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN):
        if math.isinf(t):
            part = known.parts(LATEST)[0]
            passed = part is not None and part > tolerance
            verdict, text = HOLDS if passed else FAILS, f"the predicted t is above {LATEST}"
            yield Check("t", text, "deviation", 0.0, 0.0, verdict, passed)
            return
        for at, sign in ((round(t), 1), (round(t) - 1, -1)):
            part = known.parts(at)[0]
            if part and at:
                worst.append(sign * float((part / Decimal(tolerance)).ln()))
        off += float(known.off(round(t), 8 * Decimal(EPS)))
    statement = f"the least t for which gap ≤ {tolerance:g} gap₀ is proved is {t:.6g}"
    yield agree("t", statement, max(worst), 0.0, 1.0, off)


def end(case: Case) -> Iterator[Check]:
    """Conjugate gradients: without rounding the gap is 0 after as many steps as there are λ_i."""
    if case.spectrum.rank > MOST_EIGENVALUES:
        return
    with localcontext(prec=DIGITS):
        steps, last = last_gap(decimals(case.eigenvalues), decimals(case.theory.shares))
    if not steps:
        return
    times = np.array([steps - 1, steps])
    found = case.theory.of_method.gap(case.theory.shares, np.zeros_like(times), times)
    expected, known = np.array([float(last), 0.0]), np.isfinite(found)
    statement = f"without rounding the gap is 1/Σ (ℓᵢ²/sᵢ) after {steps - 1} steps"
    if known[0] and expected[0] > NO_GAP:
        yield agree("end", statement, found[0] / expected[0], 1.0, 1.0, AGREE)
    if known[1]:
        statement = f"and 0 after {steps} steps"
        yield agree("end", statement, found[1], 0.0, 1.0, 0.0, True)
