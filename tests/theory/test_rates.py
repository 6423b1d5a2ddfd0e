"""The measured rate and kind of convergence, on sequences whose rate and kind are known."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Eigenvector, Normal, Record, Step, Zeros
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.sweep.sweep import run_study
from gdconv.tables.csv import read
from gdconv.theory import bounds
from gdconv.theory.measured import rates
from gdconv.theory.measured.rates import FLOOR_MARGIN, measure

DATA = Path(__file__).parents[1] / "data"
REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"

T = recorded_iterations(2000, 60)
# Shorter ones are cut; all of them as they are and with noise of the size of the floor.
LENGTHS = [1, 2, 3, 4, 6, 9, 14, 25, 60, 100, 250, 700, 2000, 10_000]
FLOOR = 1e-30


def missed(t, gaps, floor, rate):
    """`rates.missed` of one sequence."""
    floors, rows = np.broadcast_to(floor, np.shape(gaps)), [slice(0, len(gaps))]
    return float(rates.missed(rates.measure_all(t, gaps, floors, rows), np.array([rate]))[0])


def factorial(t):
    return np.exp([-math.lgamma(each + 1) for each in t])


def noisy(t):
    return 0.9**t * (1 + np.random.default_rng(len(t)).uniform(-0.1, 0.1, len(t)))


# The sequence, its kind, and an iteration from which on it must be recognised.
SEQUENCES = {
    "1/t": (lambda t: 1 / (1 + t), "sublinear", 100),
    "1/t²": (lambda t: 1 / (1 + t) ** 2, "sublinear", 100),
    "1/√t": (lambda t: 1 / np.sqrt(1 + t), "sublinear", 100),
    "1/ln t": (lambda t: 1 / np.log(2 + t), "sublinear", 250),
    "1/ln² t": (lambda t: 1 / np.log(2 + t) ** 2, "sublinear", 250),
    "0.5^t": (lambda t: 0.5**t, "linear", 6),
    "0.999^t": (lambda t: 0.999**t, "linear", 2000),
    "t 0.9^t": (lambda t: t * 0.9**t, "linear", 250),
    "0.9^t with noise": (noisy, "linear", 60),
    "two parts": (lambda t: 5 * 0.9**t + 0.5**t, "linear", 25),
    "1/t!": (factorial, "superlinear", 60),
    "0.5^(1.6^t)": (lambda t: 0.5 ** (1.6**t), "superlinear", 4),
    "2^(−2^t)": (lambda t: 2 ** -(2**t), "quadratic", 4),
    "constant": (lambda t: np.full(len(t), 3.0), "stalled", 4),
    "1.01^t": (lambda t: 1.01**t, "diverging", 4),
    "2^t": (lambda t: 2**t, "diverging", 4),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("floor", [0.0, FLOOR])
@pytest.mark.parametrize("points", [60, 10_001], ids=["log-spaced", "every iteration"])
@pytest.mark.filterwarnings("ignore:underflow|overflow")
def test_no_sequence_is_mistaken_for_another_kind(name, floor, points):
    sequence, kind, needed = SEQUENCES[name]
    for length in LENGTHS:
        t = recorded_iterations(length, points)
        with np.errstate(over="ignore", under="ignore"):
            gaps = sequence(t.astype(float))
        finite = np.isfinite(gaps)
        noise = floor * np.random.default_rng(length).random(len(t))
        for measured in (gaps, gaps + noise):
            found = measure(t[finite], measured[finite], floor).kind
            assert found == kind or (found == "undecided" and length < needed), length


@pytest.mark.parametrize(
    ("name", "order"),
    [("0.5^t", 1), ("1/t", 1), ("0.5^(1.6^t)", 1.6), ("2^(−2^t)", 2), ("constant", np.nan)],
)
def test_order(name, order):
    t = np.arange(400)
    with np.errstate(over="ignore", under="ignore"):
        gaps = SEQUENCES[name][0](t.astype(float))
    assert measure(t, gaps, FLOOR).order == pytest.approx(order, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("rate", [0.01, 0.5, 0.9, 0.999, 1.05])
def test_rate_of_a_pure_exponential(rate):
    found = measure(T, rate**T, floor=1e-280)
    assert found.rate == pytest.approx(rate, rel=1e-12)
    # At the margin above its floor a gap may be off by 0.2 %.
    assert found.standard_error < 2e-3


def test_rate_is_that_of_the_slowest_part():
    gaps = 0.99**T + 1000 * 0.9**T
    assert measure(T, gaps, floor=1e-30).rate == pytest.approx(0.99, rel=1e-9)


@pytest.mark.parametrize("last", [12, 30, 60])
def test_two_powers_give_the_rate_of_the_slower_one_exactly(last):
    """Long before the slope has settled; the sixths of these t are whole numbers."""
    t = np.arange(last + 1)
    found = measure(t, 0.9**t + 3 * 0.8**t, floor=0.0)
    # Logarithms are rounded once, and extrapolated by less than ten times their difference.
    assert found.rate == pytest.approx(0.9, rel=1e-13)


@pytest.mark.parametrize(
    ("last", "rate", "faster", "weight", "kind"),
    [(18, 0.8, 0.4, 100, "linear"), (30, 0.9, 0.4, 1000, "undecided")],
)
def test_a_limit_is_believed_once_the_gap_has_shrunk_by_e_to_the_4(
    last, rate, faster, weight, kind
):
    """In the last three quarters, in which it shrinks by e^4.3 and by e^3.2."""
    t = np.arange(last + 1)
    assert measure(t, rate**t + weight * faster**t, floor=0.0).kind == kind


def test_the_last_third_is_enough_where_little_was_recorded():
    t = np.array([0, 2, 4, 8, 12])
    assert measure(t, 0.9**t + 3 * 0.8**t, floor=0.0).rate == pytest.approx(0.9, rel=1e-13)


def test_iterations_count_from_the_first():
    t = np.arange(101)
    gaps = 0.9**t + 3 * 0.8**t
    assert measure(t + 1000, gaps, floor=0.0) == measure(t, gaps, floor=0.0)


def test_a_slope_that_becomes_steeper_ever_more_slowly_is_not_superlinear():
    """ln gap = −(t − 50 (1 − e^(−t/50)))/10, whose slope goes to −1/10."""
    t = np.arange(201)
    gaps = np.exp(-(t + 50 * np.expm1(-t / 50)) / 10)
    assert measure(t, gaps, floor=0.0).kind == "undecided"


def test_noise_on_a_gap_that_grows():
    t = np.arange(61)
    noise = 1e-2 * np.random.default_rng(0).standard_normal(61)
    assert measure(t, 1.01**t * (1 + noise), floor=0.0).kind == "diverging"


def test_an_exponent_that_goes_up_and_down_is_no_power_law():
    """t^−1 and t^−1.2 in turns, an octave each."""
    octave = np.log2(T[-1] / np.maximum(T, 1))
    pairs, rest = np.divmod(octave, 2)
    gaps = 2.0 ** (2.2 * pairs + np.minimum(rest, 1) + 1.2 * np.maximum(rest - 1, 0))
    assert measure(T, gaps, floor=0.0).kind == "undecided"


def test_the_error_of_a_noisy_rate():
    """Of 300 sequences, most within one standard error and nearly all within three."""
    t = np.arange(60)
    rng = np.random.default_rng(0)
    off = []
    for _ in range(300):
        found = measure(t, 0.9**t * (1 + 0.1 * rng.standard_normal(60)), 0.0)
        off.append(abs(found.rate - 0.9) / found.standard_error)
    assert np.mean(np.array(off) < 1) > 0.6
    assert np.mean(np.array(off) < 3) > 0.97


def test_noise_is_averaged_over_the_last_half():
    t = np.arange(201)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(201)
    found = measure(t, 0.9**t * (1 + noise), floor=0.0)
    # The standard error of a slope through 101 points, √12 · 1e-3 / 101^1.5, three times.
    assert found.rate == pytest.approx(0.9, rel=1.1e-5)


def test_noise_at_the_floor_does_not_count():
    gaps = 0.8**T + 1e-12 * np.random.default_rng(0).random(len(T))
    # At the margin above the floor the noise adds at most 1e-6 to one logarithm.
    assert measure(T, gaps, floor=1e-12).rate == pytest.approx(0.8, rel=1 / FLOOR_MARGIN)
    assert measure(T, gaps, floor=1e-12).kind == "linear"


def spectra(rng):
    """Eigenvalues of many shapes."""
    d = int(rng.choice([2, 3, 5, 10, 30, 100]))
    shape = rng.integers(4)
    if shape == 0:
        X = rng.standard_normal((int(rng.choice([2, 4])) * d, d))
        return 2 * np.linalg.svd(X, compute_uv=False) ** 2
    if shape == 1:
        return np.exp(rng.uniform(0, rng.choice([0.1, 1, 3, 8]), d))
    spaced = np.geomspace if shape == 2 else np.linspace
    return spaced(1, 10 ** rng.uniform(0, 3), d)


@pytest.mark.slow
def test_ten_time_constants_give_the_rate_to_half_a_percent():
    """On exact gaps: 2,000 spectra and step sizes, near the optimum above all.

    Time constants are those with which the slowest part decays and the others beside it, one
    iteration at least, counted from where it makes up half of the gap; parts within 0.2 % of it
    count as the same. Before ten of them the standard error has to tell, but for parts that are
    too small to show.
    """
    rng = np.random.default_rng(0)
    settled = early = missed = 0
    for _ in range(2000):
        eigenvalues = spectra(rng)
        largest, smallest = eigenvalues.max(), eigenvalues.min()
        optimum = float(bounds.optimal_step_size(largest, smallest))
        step = rng.choice([rng.uniform(0.1, 1.99) / largest, optimum * rng.uniform(0.97, 1.03)])
        components = eigenvalues * rng.standard_normal(len(eigenvalues)) ** 2
        t = recorded_iterations(int(rng.choice([20, 200, 2000])), 60)
        parts = [
            bounds.exact_gap(eigenvalues[i : i + 1], components[i : i + 1], step, t)
            for i in range(len(eigenvalues))
        ]
        gap, floor = sum(parts), 1e-30 * components.sum()
        factors = (1 - step * eigenvalues) ** 2
        rate = factors.max()
        if rate >= 1:
            continue
        slowest = factors > 0.998 * rate
        others = factors[~slowest].max(initial=1e-300)
        constant = max(1 / np.log(rate / others), -1 / np.log(rate), 1)
        dominates = sum(np.array(parts)[slowest]) > gap / 2
        last = t[gap > FLOOR_MARGIN * floor][-1]
        found = measure(t, gap, floor)
        off = abs(found.rate / rate - 1)
        if dominates.any() and last - t[np.argmax(dominates)] >= 10 * constant:
            settled += 1
            assert off <= 5e-3
        elif dominates.any() and t[np.argmax(dominates)] < last:
            early += 1
            told = found.kind == "undecided" or off * rate <= 3 * found.standard_error
            missed += off > 5e-3 and not told
    assert settled > 400
    assert early > 500
    assert missed <= 0.02 * early


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_too_short_is_undecided(count):
    found = measure(T[:count], 0.5 ** T[:count], floor=0.0)
    assert found.kind == "undecided"
    assert np.isnan(found.rate) == (count < 2)
    assert np.isnan(found.standard_error)


@pytest.mark.parametrize(("second", "used"), [(6, 3), (4, 2)])
def test_the_rate_of_few_gaps_is_the_slope_over_the_last_half(second, used):
    """Against NumPy's fit of a line."""
    t, gaps = np.array([0, second, 7, 10]), np.array([1.0, 0.9, 0.5, 0.02])
    slope = np.polyfit(t[-used:], np.log(gaps[-used:]), 1)[0]
    # A least-squares fit of two or three points, in two ways.
    assert measure(t, gaps, floor=0.0).rate == pytest.approx(np.exp(slope), rel=1e-13)


def test_everything_below_the_floor_is_undecided():
    found = measure(T, np.zeros(len(T)), floor=0.0)
    assert found.kind == "undecided"
    assert np.isnan([found.rate, found.standard_error, found.order]).all()


# t = 0, ..., 80 is judged by its last octave, 40 to 80, and the one before it.
OCTAVES = np.arange(81.0)


def error_of_slope(points, error):
    """Of a line through evenly spaced points with independent errors."""
    return error / np.sqrt(points * (points**2 - 1) / 12)


def bent(middle, late):
    """A gap whose logarithm has one slope to t = 40, another one from there on."""
    return np.exp(middle * np.minimum(OCTAVES, 40) + late * np.maximum(OCTAVES - 40, 0))


# A gap is a square: an error of 5e-4 in the root of the gap is one of 1e-3 in its logarithm.
RATIO, ERROR = 2.5e-7, 1e-3
OF_LATE = error_of_slope(41, ERROR)
OF_CHANGE = np.hypot(OF_LATE, error_of_slope(21, ERROR))


@pytest.mark.parametrize(("errors", "kind"), [(2.9, "undecided"), (3.1, "diverging")])
def test_growth_counts_from_three_standard_errors(errors, kind):
    gaps = bent(errors * OF_LATE, errors * OF_LATE)
    assert measure(OCTAVES, gaps, RATIO * gaps).kind == kind


@pytest.mark.parametrize(("errors", "kind"), [(2.9, "undecided"), (3.1, "linear")])
def test_decay_counts_from_three_standard_errors(errors, kind):
    """It shrinks by e^1.2 in the last three quarters; noise goes up and down in turns."""
    # A chord over two intervals is missed by 2 errors, of which the variance is 3/2 of one.
    error = 0.02 / error_of_slope(41, 1.0) / errors
    up_and_down = np.sqrt(3 / 8) * error * (-1) ** OCTAVES
    assert measure(OCTAVES, np.exp(up_and_down - 0.02 * OCTAVES), 0.0).kind == kind


@pytest.mark.parametrize(("errors", "kind"), [(2.9, "diverging"), (3.1, "undecided")])
def test_growth_that_slows_down_is_no_divergence(errors, kind):
    """By more than a tenth of it and three standard errors."""
    gaps = bent(1.1e-3 + errors * OF_CHANGE, 1e-3)
    assert measure(OCTAVES, gaps, RATIO * gaps).kind == kind


@pytest.mark.parametrize(("errors", "kind"), [(2.9, "linear"), (3.1, "undecided")])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_slope_that_still_changes_is_not_settled(sign, errors, kind):
    """By more than a tenth of it and three standard errors, in either direction."""
    gaps = bent(-0.02 + sign * (0.002 + errors * OF_CHANGE), -0.02)
    assert measure(OCTAVES, gaps, RATIO * gaps).kind == kind


@pytest.mark.parametrize(("slope", "kind"), [(0.5e-14, "stalled"), (1.5e-14, "undecided")])
def test_a_gap_that_hardly_moves(slope, kind):
    # A gap of 1 is rounded by a part of 1e-3 of what it changes by, 1000 slopes.
    t = np.arange(1001)
    assert measure(t, 1 - slope * t, floor=0.0).kind == kind


@pytest.mark.parametrize("ratio", [0.0, 2.5e-25])
def test_the_standard_error_of_a_pure_exponential(ratio):
    """That of the slope over the last half and of how much it may still change, in ln gap."""
    t, gaps = np.arange(61.0), 0.5 ** np.arange(61.0)
    error = 1e-12 + 2 * np.sqrt(ratio)
    expected = 0.5 * np.hypot(error_of_slope(31, error), np.sqrt(1 + 4 + 1) * error / 60)
    found = measure(t, gaps, ratio * gaps)
    # Its logarithms are rounded too, by 1e-14 of 40.
    assert found.standard_error == pytest.approx(expected, rel=1e-2, abs=0.0)


def test_without_a_limit_in_sight_the_error_is_three_times_the_change():
    """ln gap = −t²/100 over the last sixths of t, of which there is no sum of two powers."""
    t = np.arange(61.0)
    found = measure(t, np.exp(-(t**2) / 100), floor=0.0)
    # Between t = 50 and 60 the slope is −1.1; between pieces of length 10 it changes by 0.2.
    assert found.rate == pytest.approx(np.exp(-1.1), rel=1e-12)
    assert found.standard_error == pytest.approx(3 * 0.2 * np.exp(-1.1), rel=1e-9)


def test_a_limit_is_not_believed_with_an_error_of_more_than_a_tenth():
    """0.99^t has just begun to show; the sixths of these t are whole numbers."""
    t = np.arange(19)
    found = measure(t, 0.99**t + 1e6 * 0.4**t, floor=0.0)
    assert found.rate == pytest.approx(0.99, rel=1e-5)
    assert found.standard_error > 0.1 * -np.log(found.rate)
    assert found.kind == "undecided"


@pytest.mark.parametrize(
    ("inverse", "kind"),
    [
        ((1, 1, 1, 1), "sublinear"),
        ((1, 1.29, 1.58, 1.87), "sublinear"),
        ((1, 1.31, 1.62, 1.93), "undecided"),
        ((1.029, 1, 1, 1), "sublinear"),
        ((1.031, 1, 1, 1), "undecided"),
        ((1, 1, 1, 1.029), "sublinear"),
        ((1, 1, 1, 1.031), "undecided"),
    ],
)
def test_the_exponent_of_a_power_law_is_constant_or_falls_evenly(inverse, kind):
    """1/p in the octaves 4 to 8, ..., 32 to 64: by less than 0.3 of it, evenly to 0.03 of it."""
    ends = np.log(2.0 ** np.arange(2, 7))
    log_gap = np.concatenate([[0.0], np.cumsum(-np.log(2) / np.array(inverse))])
    t = np.arange(65.0)
    gaps = np.exp(np.interp(np.log(np.maximum(t, 4)), ends, log_gap))
    assert measure(t, gaps, floor=0.0).kind == kind


def falling(t, slopes):
    """A gap of 1 whose logarithm falls with these slopes between the iterations."""
    return np.exp(-np.concatenate([[0.0], np.cumsum(np.asarray(slopes) * np.diff(t))]))


GROWING = 0.2 * 1.5 ** np.arange(12)


@pytest.mark.parametrize(
    ("slopes", "kind", "order"),
    [
        (GROWING, "superlinear", 1.5),
        (0.1 * 1.85 ** np.arange(9), "superlinear", 1.85),
        (0.1 * 1.95 ** np.arange(9), "quadratic", 1.95),
        # Only what comes after the first quarter of t counts, 5 here ...
        ([0.01, 0.02, 0.03, 0.04, 0.05, *0.5 * 1.2 ** np.arange(15)], "superlinear", 1.2),
        # ... unless the slope did not grow there, or the gap itself did.
        ([1.0, 0.5, *GROWING[:8]], "undecided", np.nan),
        ([-0.1, *GROWING[:9]], "undecided", np.nan),
        (GROWING * np.exp(0.08 * (-1) ** np.arange(12)), "superlinear", None),
        (GROWING * np.exp(0.15 * (-1) ** np.arange(12)), "undecided", np.nan),
    ],
)
def test_superlinear_is_a_slope_that_grows_like_a_power(slopes, kind, order):
    t = np.arange(len(slopes) + 1.0)
    found = measure(t, falling(t, slopes), floor=0.0)
    assert found.kind == kind
    if order is not None:
        # Logarithms of slopes are rounded once.
        assert found.order == pytest.approx(order, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("t", "kind"), [([0, 1, 2, 3, 8, 20], "undecided"), ([0, 1, 2, 3, 8, 13, 20], "superlinear")]
)
def test_a_power_takes_three_slopes_to_tell(t, kind):
    middles = (np.array(t[1:]) + t[:-1]) / 2
    assert measure(np.array(t), falling(t, 0.1 * 1.3**middles), floor=0.0).kind == kind


def test_the_reference_studys_measurements_are_those_of_its_curves():
    """All 288 of them, errors included: a change of how rates are measured does not go unseen."""
    tables = read(REFERENCE)
    curves = dict(iter(tables.curves.groupby("run_id")))
    spectra = dict(iter(tables.eigenvalues.groupby("problem_id").eigenvalue))
    for problem_id, runs in tables.runs.groupby("problem_id"):
        exact_rate = exact_rates(runs, spectra[problem_id].to_numpy())
        for run, rate in zip(runs.itertuples(), exact_rate, strict=True):
            columns = ["iteration", "gap", "gap_floor", "gap_exact"]
            t, gaps, floor, exact = curves[run.run_id][columns].to_numpy(float).T
            found = measure(t, gaps, floor)
            assert found.kind == run.convergence
            error = np.hypot(found.standard_error, missed(t, exact, floor, rate))
            stored = [run.rate_measured, run.rate_standard_error, run.order]
            # What the last digits of two mathematical libraries leave.
            expected = pytest.approx(stored, rel=1e-6, nan_ok=True)
            assert [found.rate, error, found.order] == expected, run.run_id


def test_what_a_measurement_misses_of_exact_gaps():
    """Three powers, of which the slowest has not shown in 30 iterations: 0.9^t is all there is."""
    t = np.arange(31)
    gaps = 0.9**t + 0.5**t + 1e-12 * 0.999**t
    found = measure(t, gaps, floor=0.0)
    assert found.rate == pytest.approx(0.9, rel=1e-3)
    assert missed(t, gaps, 0.0, 0.999) == pytest.approx(0.999 - found.rate, rel=1e-12)
    assert missed(t[:1], gaps[:1], 0.0, 0.999) == 0.0


def random_runs(rng):
    """A problem of any family, and steps close to the optimum above all."""
    n, d = (int(rng.choice(sizes)) for sizes in ([3, 5, 10, 30, 100], [1, 2, 3, 5, 10, 30]))
    noise = float(rng.choice([0.0, 0.1, 1.0, 10.0]))
    problem = [
        Gaussian(n, d, noise, float(rng.choice([0.0, 1.0, 100.0]))),
        Correlated(n, d, noise, float(rng.choice([0.5, 0.99, -0.9]))),
        Prescribed(
            n,
            d,
            noise,
            10 ** rng.uniform(0, 16),
            str(rng.choice(["linear", "geometric", "power", "two_point"])),
        ),
        Polynomial(n, int(rng.integers(0, 13)), noise),
    ][rng.integers(4)]
    start = [Zeros(), Normal(10 ** rng.uniform(-2, 2)), Eigenvector("max"), Eigenvector("min")][
        rng.choice([0, 0, 0, 1, 1, 2, 3])
    ]
    method = GradientDescent(iterations=int(rng.choice([10, 20, 50, 200, 1000])))
    record = Record(points=int(rng.choice([20, 60, 1001])))
    seed = int(rng.integers(1000))
    optimal = [1.0, *(1 + rng.choice([-1, 1], 2) * 10.0 ** -rng.uniform(1.5, 6, 2))]
    for step in (Step("optimal", optimal), Step("lambda_max", rng.uniform(0.01, 2.2, 2).tolist())):
        yield RunConfig(problem, start, method, step, record, seed)


def exact_rates(runs, eigenvalues):
    """(1 − ηλ)² of the slowest eigenvector that the start has a part of."""
    eigenvalues = eigenvalues[eigenvalues > 0]
    factors = (1 - np.outer(runs.step_size, eigenvalues)) ** 2
    if runs.start.iloc[0] == "eigenvector":
        return factors[:, 0 if runs.start_which.iloc[0] == "max" else -1]
    return factors.max(axis=1)


def coverage(configs):
    """How far the exact rate of each run is from the measured one, in standard errors."""
    found = []
    for config in configs:
        tables = run_study(config)
        exact = exact_rates(tables.runs, tables.eigenvalues.eigenvalue.to_numpy())
        off = np.abs(tables.runs.rate_measured.to_numpy() - exact)
        # The last digit of a rate close to 1.
        found.extend((off - 4 * np.finfo(float).eps) / tables.runs.rate_standard_error.to_numpy())
    found = np.array(found)
    return found[~np.isnan(found)]


@pytest.mark.slow
def test_the_standard_error_covers_the_exact_rate(trials):
    """RATE_PROBLEMS=500 tries as many: of 2300 runs, 0.1 % are farther away than three errors."""
    rng = np.random.default_rng(0)
    problems = int(os.environ.get("RATE_PROBLEMS", "40")) * trials
    errors = coverage(config for _ in range(problems) for config in random_runs(rng))
    assert len(errors) >= 4.5 * problems
    assert np.mean(errors > 3) <= 0.05


# Standardized, year_cols has nothing but rounding along the slowest eigenvector.
PATHS = sorted(path for path in (DATA / "cases").glob("*.csv") if path.stem != "year_cols")


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("path", [*PATHS, DATA / "diabetes.csv"], ids=lambda path: path.stem)
def test_the_standard_error_covers_the_exact_rate_of_tables(path, standardize):
    targets = {"diabetes": "progression", "numname": "2020"}
    target = targets.get(path.stem, "Mass (kg)" if path.stem == "paren" else "y")
    problem = Table(str(path), target, standardize)
    steps = Step(value=[0.01, 0.5, 1.0, 1.9, 1.999, 2.1])
    methods = [GradientDescent(iterations=iterations) for iterations in (30, 1000)]
    errors = coverage(RunConfig(problem, method=method, step=steps) for method in methods)
    assert len(errors) >= 6
    assert (errors <= 3).all()


def test_a_rate_close_to_1():
    """At half the step the exact rate is 1 − 2.4e-14, of which 2000 iterations show nothing."""
    problem = Table(str(DATA / "cases" / "nist_wampler2.csv"), "y", False)
    (run,) = run_study(RunConfig(problem, step=Step(value=0.5))).runs.itertuples()
    assert 1 - run.rate_predicted == pytest.approx(2.4422e-14, rel=1e-2)
    assert abs(run.rate_measured - run.rate_predicted) <= 3 * run.rate_standard_error
    assert run.rate_standard_error < 1e-3


def test_where_the_slowest_part_shows_the_error_is_small():
    problem = Prescribed(50, 4, condition_number=10.0, profile="two_point")
    (run,) = run_study(RunConfig(problem)).runs.itertuples()
    assert run.rate_standard_error < 1e-5 * (1 - run.rate_predicted)
