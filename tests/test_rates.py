import numpy as np
import pytest

from gdconv.rates import measure
from gdconv.recorder import recorded_iterations

T = recorded_iterations(2000, 60)


@pytest.mark.parametrize(
    ("gaps", "kind"),
    [
        (0.5**T, "linear"),
        (0.999**T, "linear"),
        (5 * 0.9**T + 0.5**T, "linear"),
        (1 / (1.0 + T), "sublinear"),
        (1 / (1.0 + T) ** 2, "sublinear"),
        (1 / np.sqrt(1.0 + T), "sublinear"),
        (np.full(len(T), 3.0), "stalled"),
        (1.01**T, "diverging"),
    ],
    ids=["0.5^t", "0.999^t", "two modes", "1/t", "1/t^2", "1/sqrt t", "constant", "growing"],
)
def test_kinds_of_convergence(gaps, kind):
    assert measure(T, gaps, floor=1e-40).kind == kind


def test_superlinear():
    t = np.arange(9)
    assert measure(t, 2.0 ** -(2.0**t), floor=0.0).kind == "superlinear"


@pytest.mark.parametrize("rate", [0.01, 0.5, 0.9, 0.999, 1.05])
def test_rate_of_a_pure_exponential(rate):
    assert measure(T, rate**T, floor=1e-280).rate == pytest.approx(rate, rel=1e-12)


def test_rate_is_that_of_the_slowest_part():
    gaps = 0.99**T + 1000 * 0.9**T
    assert measure(T, gaps, floor=1e-30).rate == pytest.approx(0.99, rel=1e-9)


def test_noise_at_the_floor_does_not_count():
    gaps = 0.8**T + 1e-12 * np.random.default_rng(0).random(len(T))
    # 1e4 times the floor: the noise adds at most 1e-4 to the slope's logarithm at one end.
    assert measure(T, gaps, floor=1e-12).rate == pytest.approx(0.8, rel=1e-4)
    assert measure(T, gaps, floor=1e-12).kind == "linear"


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_too_short_is_undecided(count):
    found = measure(T[:count], 0.5 ** T[:count], floor=0.0)
    assert found.kind == "undecided"
    assert np.isnan(found.rate) == (count < 2)


def test_everything_below_the_floor_is_undecided():
    found = measure(T, np.zeros(len(T)), floor=0.0)
    assert found.kind == "undecided"
    assert np.isnan(found.rate)
