"""The measured rate of gaps that oscillate: of sequences with a known rate, and of random runs."""

import os
from itertools import pairwise

import numpy as np
import pytest

from gdconv import (
    Chebyshev,
    Correlated,
    Eigenvector,
    Gaussian,
    HeavyBall,
    Nesterov,
    Normal,
    Prescribed,
    Record,
    RunConfig,
    Step,
    Zeros,
    run_study,
)
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.theory.measured.oscillating import measure_all

T = recorded_iterations(2000, 60)
# Gaps at T, and the tolerance for the slope of their logarithm, which is ln 0.99.
SEQUENCES = {
    "a power": (0.99**T, 1e-9),
    "a double root": ((1 + T) ** 2 * 0.99**T, 2e-3),
    "convex momentum": (0.99**T / (1.0 + T) ** 3, 2e-3),
    "waves": (0.99**T * (1.1 + np.cos(0.7 * T)), 0.1),
    "waves that nearly vanish": (0.99**T * (np.cos(0.7 * T) ** 2 + 1e-6), 0.3),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_rate_of_a_sequence(name):
    gaps, tolerance = SEQUENCES[name]
    (found,) = measure_all(T, gaps, np.zeros(len(T)), [slice(0, len(T))])
    slope = np.log(0.99)
    assert np.log(found.rate) == pytest.approx(slope, rel=tolerance)
    # What the fit does not explain is noise to it, so the error covers most of the difference.
    assert abs(found.rate - 0.99) <= 4 * found.standard_error + 1e-4
    assert (found.kind, found.order) == ("linear", 1.0)


def test_kinds():
    gaps = [1.02**T * (2 + np.cos(T)), np.ones(len(T)), 0.5 ** np.arange(3.0), 0.99999**T]
    lengths = np.cumsum([0, *map(len, gaps)])
    t = np.concatenate([T, T, np.arange(3), T])
    rows = [slice(*ends) for ends in pairwise(lengths)]
    found = measure_all(t, np.concatenate(gaps), np.zeros(len(t)), rows)
    assert [each.kind for each in found] == ["diverging", "stalled", "undecided", "undecided"]


def test_a_sequence_does_not_depend_on_the_others():
    gaps = [values for values, _ in SEQUENCES.values()]
    rows = [slice(k * len(T), (k + 1) * len(T)) for k in range(len(gaps))]
    zeros = np.zeros(len(gaps) * len(T))
    together = measure_all(np.tile(T, len(gaps)), np.concatenate(gaps), zeros, rows)
    for found, values in zip(together, gaps, strict=True):
        assert measure_all(T, values, np.zeros(len(T)), [slice(0, len(T))]) == [found]


def random_runs(rng):
    """A problem, and each method with momentum, tuned well or not."""
    d, kappa = int(rng.choice([2, 5, 20])), float(10 ** rng.uniform(0.3, 8))
    profile = str(rng.choice(["linear", "geometric", "power", "two_point"]))
    problem = [
        Gaussian(30, d),
        Correlated(30, d, correlation=0.9),
        Prescribed(30, d, condition_number=kappa, profile=profile),
    ][rng.integers(3)]
    start = [Zeros(), Zeros(), Normal(1.0), Eigenvector("max"), Eigenvector("min")][rng.integers(5)]
    shared = {"iterations": int(rng.choice([20, 100, 500, 2000]))}
    momentum = [float(rng.uniform(0, 0.999)), "optimal"]
    first = str(rng.choice(["full", "averaged"]))
    step = Step("optimal", [1.0, float(rng.uniform(0.1, 0.999))])
    for method in (
        HeavyBall(momentum=momentum, first_step=first, **shared),
        Nesterov(momentum=[*momentum, "convex"], **shared),
        Chebyshev(lower=[0.7, 1.0], **shared),
    ):
        yield RunConfig(
            problem, start, method, step, Record(points=int(rng.choice([20, 60, 400]))), seed=0
        )


def exact_rates(config, tables):
    """ρ² of the slowest eigenvector of which the start has a part, for each run."""
    values = tables.eigenvalues.eigenvalue.to_numpy()
    if config.start.name == "eigenvector":
        values = values[[0 if config.start.which == "max" else -1]]
    for run in tables.runs.itertuples():
        if run.method == "chebyshev":
            yield run.rate_predicted
            continue
        x = run.step_size * values
        momentum = 1.0 if np.isnan(run.momentum) else run.momentum
        b = momentum * (1 - x) if run.method == "nesterov" else momentum + 0 * x
        roots = [
            np.roots([1, -(1 + each_b - each), each_b]) for each_b, each in zip(b, x, strict=True)
        ]
        yield max(np.abs(root).max() for root in roots) ** 2


@pytest.mark.slow
def test_the_standard_error_covers_the_exact_rate(trials):
    """RATE_PROBLEMS=500 tries as many, with each method."""
    rng = np.random.default_rng(0)
    problems = int(os.environ.get("RATE_PROBLEMS", "25")) * trials
    errors = []
    for _ in range(problems):
        for config in random_runs(rng):
            tables = run_study(config)
            exact = np.array(list(exact_rates(config, tables)))
            off = np.abs(tables.runs.rate_measured.to_numpy() - exact)
            # A double root is known to the square root of a rounding.
            errors.extend((off - 1e-7) / tables.runs.rate_standard_error.to_numpy())
    errors = np.array(errors)
    errors = errors[~np.isnan(errors)]
    assert len(errors) >= 6 * problems
    assert np.mean(errors > 3) <= 0.05
