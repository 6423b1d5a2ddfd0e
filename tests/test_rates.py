"""Kinds and rates of sequences that are known, and of sums of exponentials as a run gives them."""

import numpy as np
import pytest

from gdconv.bounds import exact_gap
from gdconv.rates import FLOOR_MARGIN, measure
from gdconv.recorder import recorded_iterations

RNG = np.random.default_rng(0)
NOISE = 1 + 0.1 * RNG.standard_normal(100_001)
# Name → kind, t → gap, and from which last iteration on every record must tell the kind.
KNOWN = {
    "0.5^t": ("linear", lambda t: 0.5**t, 10),
    "0.999^t": ("linear", lambda t: 0.999**t, 3000),
    "t 0.9^t": ("linear", lambda t: (1 + t) * 0.9**t, 500),
    "0.9^t, noise": ("linear", lambda t: 0.9**t * NOISE[t.astype(int)], 200),
    "two modes": ("linear", lambda t: 0.99**t + 1000 * 0.9**t, 300),
    "1/t": ("sublinear", lambda t: 1 / (1 + t), 300),
    "1/t^2": ("sublinear", lambda t: 1 / (1 + t) ** 2, 300),
    "1/sqrt t": ("sublinear", lambda t: 1 / np.sqrt(1 + t), 300),
    "1/log t": ("sublinear", lambda t: 1 / np.log(2 + t), 300),
    "2^-(2^t)": ("quadratic", lambda t: 2.0 ** -(2.0**t), 5),
    "0.9^(1.6^t)": ("superlinear", lambda t: 0.9 ** (1.6**t), 9),
    "0.5^(1.6^t)": ("superlinear", lambda t: 0.5 ** (1.6**t), 8),
    "constant": ("stalled", lambda t: np.full(len(t), 3.0), 10),
    "1.01^t": ("diverging", lambda t: 1.01**t, 10),
    "2^t": ("diverging", lambda t: 2.0**t, 10),
}
LENGTHS = (3, 5, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1000, 2000, 10_000, 100_000)


def cut(gap, last, points, floor):
    """A sequence up to an iteration, all of it or log-spaced, with noise at its floor."""
    t = recorded_iterations(last, points) if points else np.arange(last + 1)
    with np.errstate(under="ignore", over="ignore"):
        values = gap(t.astype(float)) + floor * np.random.default_rng(1).random(len(t))
    finite = np.isfinite(values)
    count = len(t) if finite.all() else int(np.argmin(finite))
    return t[:count], values[:count]


@pytest.mark.parametrize("floor", [0.0, 1e-30])
@pytest.mark.parametrize("points", [None, 60, 20], ids=["every t", "60 points", "20 points"])
@pytest.mark.parametrize("name", KNOWN)
def test_no_kind_is_misnamed_however_short_the_record(name, points, floor):
    kind, gap, _ = KNOWN[name]
    for last in LENGTHS if points else LENGTHS[:-2]:
        found = measure(*cut(gap, last, points, floor), floor)
        assert found.kind in (kind, "undecided"), last
        if last == 3:
            assert found.kind == "undecided"


@pytest.mark.parametrize("floor", [0.0, 1e-30])
@pytest.mark.parametrize("points", [None, 60], ids=["every t", "60 points"])
@pytest.mark.parametrize("name", KNOWN)
def test_a_long_record_tells_the_kind(name, points, floor):
    kind, gap, enough = KNOWN[name]
    for last in (enough, 2 * enough):
        found = measure(*cut(gap, last, points, floor), floor)
        assert found.kind == kind, last
        order = {"quadratic": 2.0, "superlinear": 1.6, "linear": 1.0, "sublinear": 1.0}
        assert found.order == pytest.approx(order.get(kind, np.nan), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("rate", [0.01, 0.5, 0.9, 0.999, 1.05])
def test_rate_of_a_pure_exponential(rate):
    t = recorded_iterations(2000, 60)
    found = measure(t, rate**t, floor=1e-280)
    assert found.rate == pytest.approx(rate, rel=1e-12)
    # At 1e6 times its floor a gap may be off by 0.2 %.
    assert found.standard_error <= 0.01 * rate


def test_two_exponentials_are_told_apart():
    """Contractions 2 % apart, recorded until the slower one has become 98 % of the gap."""
    t = np.arange(201)
    found = measure(t, 0.9**t + 0.882**t, floor=0.0)
    # Cubic interpolation between iterations is exact to 1e-6 here.
    assert found.rate == pytest.approx(0.9, rel=1e-6)
    assert 0 < found.standard_error < 2e-3


def test_noise_is_in_the_standard_error():
    """A hundred sequences with 10 % noise: their errors in units of the standard error are of 1."""
    t = np.arange(101)
    found = []
    for seed in range(100):
        noise = 1 + 0.1 * np.random.default_rng(seed).standard_normal(len(t))
        result = measure(t, 0.9**t * noise, floor=0.0)
        found.append((result.rate - 0.9) / result.standard_error)
    assert 0.2 < np.std(found) < 2


def test_noise_at_the_floor_does_not_count():
    t = recorded_iterations(2000, 60)
    gaps = 0.8**t + 1e-12 * np.random.default_rng(0).random(len(t))
    found = measure(t, gaps, floor=1e-12)
    # 1e6 times the floor the noise is 1e-6 of the gap.
    assert found.rate == pytest.approx(0.8, rel=1e-4)
    assert found.kind == "linear"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_too_short_is_undecided(count):
    t = np.arange(count)
    found = measure(t, 0.5**t, floor=0.0)
    assert found.kind == "undecided"
    assert np.isnan(found.rate) == (count < 2)
    assert np.isnan(found.standard_error) == (count < 4)


def test_everything_below_the_floor_is_undecided():
    found = measure(np.arange(60), np.zeros(60), floor=0.0)
    assert found.kind == "undecided"
    assert np.isnan(found.rate)


def descents(count):
    """Exact gaps of random spectra with noise at a floor, as (iterations, gaps, floor, ...)."""
    rng = np.random.default_rng(2)
    for _ in range(count):
        d = int(rng.choice([1, 2, 3, 5, 10, 30]))
        spread = rng.choice([0.1, 1.0, 3.0, 8.0])
        eigenvalues = np.sort(np.exp(rng.uniform(0, spread, d)))[::-1]
        components = eigenvalues / 2 * rng.standard_normal(d) ** 2
        best = 2 / (eigenvalues[0] + eigenvalues[-1])
        step = rng.choice(
            [
                1 / eigenvalues[0],
                best * rng.uniform(0.97, 1.03),
                rng.uniform(0.1, 1.99) / eigenvalues[0],
            ]
        )
        t = recorded_iterations(int(rng.choice([50, 200, 2000, 20_000])), 60)
        floor = components.sum() * 10.0 ** rng.choice([-30, -26, -20])
        exact = exact_gap(eigenvalues, components, step, t)
        noise = np.sqrt(floor) * rng.uniform(-0.5, 0.5, len(t))
        gaps = (np.sqrt(exact) + noise) ** 2
        above = exact > floor
        count = len(t) if above.all() else int(np.argmin(above))
        yield t[:count], gaps[:count], floor, (1 - step * eigenvalues) ** 2, components


def test_rates_of_descents_are_within_half_a_percent():
    """A run is long if, above the floor, it goes on for ten times the slowest mode's time constant.

    That constant is 1 / ln(nu² / next), next the largest contraction that is not within 0.1 % of
    nu²: after ten of them only e^-10 of the head start of the others is left.
    """
    long_runs, honest, others = 0, 0, 0
    for t, gaps, floor, contractions, components in descents(1500):
        rate = contractions.max()
        alike = contractions >= 0.999 * rate
        others_largest = contractions[~alike].max(initial=0.0)
        clear = gaps > FLOOR_MARGIN * floor
        if not 0 < rate < 1 or clear.sum() < 5:
            continue
        last = t[clear][-1]
        head_start = np.log(max(components[~alike].sum() / components[alike].sum(), 1.0))
        with np.errstate(divide="ignore"):
            separated = last * np.log(rate / others_largest) - head_start
        found = measure(t, gaps, floor)
        off = abs(found.rate - rate)
        if separated >= 10 and -last * np.log(rate) >= 10:
            long_runs += 1
            assert found.kind == "linear"
            assert off <= 0.005 * rate
        elif found.kind != "undecided":
            others += 1
            honest += off <= max(0.005 * rate, 3 * found.standard_error)
    assert long_runs >= 300
    # Where the slowest mode has not shown yet no sequence can tell.
    assert honest >= 0.9 * others >= 100
