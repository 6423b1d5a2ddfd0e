"""A group of runs that draw samples → its rows of the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from gdconv.config.runs import Run
from gdconv.experiment.identity import asked_for
from gdconv.experiment.sampled.expectation import Curves, Expectation, Numbers
from gdconv.experiment.sampled.paths import follow
from gdconv.methods.sampling import Sampling
from gdconv.theory.sampled.high_dimension import critical_batch

# No recorded number may be larger.
LARGEST = 1e300
# A mean over paths is compared with the expectation up to this part of the limit of fourth moments,
# from so many paths on, by a test that is wrong in 1 % of cases.
TESTED_TO, FEWEST, CONFIDENCE = 0.7, 30, 0.99
# Where most paths are below this part of the expectation, a few that are not seen make it up.
MEDIAN = 0.2
# By rounding, √gap may be off by these parts of itself and of the initial one; below the square of
# the third one, rounding decides.
ROUNDING, FLOOR, RESOLVED = 1e-9, 1e-12, 1e-10


class Measured(NamedTuple):
    """Numbers of m runs at the recorded iterations, shape (m, T); nan once a path has overflowed.

    gap, error, p10, p50, p90 : mean over the paths, its standard error, and percentiles
    distance : the mean squared distance
    latest : the mean of the last w before a path overflows, shape (m, d)
    """

    gap: np.ndarray
    error: np.ndarray
    p10: np.ndarray
    p50: np.ndarray
    p90: np.ndarray
    distance: np.ndarray
    latest: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """How many recorded iterations each run has before a path overflows."""
        good = np.isfinite(self.gap)
        return np.where(good.all(axis=1), good.shape[1], np.argmin(good, axis=1))


@np.errstate(over="ignore", invalid="ignore")
def rows_of(
    runs: Sequence[Run],
    expectation: Expectation,
    start: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    recorded: np.ndarray,
) -> tuple[dict[str, list[Any]], dict[str, Any], np.ndarray]:
    """Run a method that draws samples.

    Returns the columns of its runs and of their curves, and the last w, its mean over the paths.
    """
    curves = expectation.curves(coefficients, recorded)
    measured = _measured(runs[0], expectation, start, coefficients, recorded)
    numbers = expectation.numbers(coefficients)
    of_runs = _run_rows(runs, expectation, coefficients, recorded, measured, curves, numbers)
    rows = _curve_rows(expectation, coefficients, recorded, measured, curves)
    return of_runs, rows, measured.latest


def _measured(
    run: Run,
    expectation: Expectation,
    start: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    recorded: np.ndarray,
) -> Measured:
    """Follow the paths of all runs, and record what the tables need."""
    method, found = run.method, []
    assert isinstance(method, Sampling)
    right, root = expectation.spectrum.right, np.sqrt(expectation.eigenvalues / 2)
    wanted = set(recorded.tolist())
    latest = np.repeat(start[None], len(coefficients["step_size"]), axis=0)

    def observe(t: int, W: np.ndarray) -> None:
        if t not in wanted:
            return
        away = W - expectation.w_star
        # A product for each run, in which a path has the bits that it has without the other runs.
        gaps = np.square((away @ right) * root).sum(axis=-1)
        distances = np.square(away).sum(axis=-1)
        fits = (gaps <= LARGEST).all(axis=1) & (distances <= LARGEST).all(axis=1)
        gaps[~fits] = np.nan
        latest[fits] = W.mean(axis=1)[fits]
        paths = gaps.shape[1]
        spread = gaps.std(axis=1, ddof=1) if paths > 1 else np.full(len(gaps), np.nan)
        percentiles = np.percentile(gaps, [10, 50, 90], axis=1)
        means = gaps.mean(axis=1), spread / math.sqrt(paths)
        found.append([*means, *percentiles, distances.mean(axis=1)])

    draws_of = run.seed, run.repetition
    follow(method, expectation.objective, start, coefficients, draws_of, observe)
    gap, error, p10, p50, p90, distance = np.transpose(found, (1, 2, 0))
    return Measured(gap, error, p10, p50, p90, distance, latest)


def _run_rows(
    runs: Sequence[Run],
    expectation: Expectation,
    coefficients: Mapping[str, np.ndarray],
    recorded: np.ndarray,
    measured: Measured,
    curves: Curves,
    numbers: Sequence[Numbers],
) -> dict[str, list[Any]]:
    step_size, every = coefficients["step_size"], np.arange(len(runs))
    last = measured.lengths - 1
    empty = [math.nan] * len(runs)
    momentum = coefficients.get("momentum", np.array(empty)).tolist()
    limits = np.array([each.step_limit for each in numbers])
    below = (step_size < limits).tolist()
    stable = [None if np.isnan(each) else yes for each, yes in zip(limits, below, strict=True)]
    method = runs[0].method
    critical = critical_batch(expectation.eigenvalues) if method.takes_step else math.nan
    first, end = np.zeros_like(last), np.sqrt(measured.distance[every, last])
    return asked_for(runs) | {
        "step_size": step_size.tolist(),
        "K": (1 / step_size).tolist(),
        "relative_step": (step_size * expectation.eigenvalues[0]).tolist(),
        "momentum": momentum,
        "step_limit": limits.tolist(),
        "step_limit_fourth_moment": [each.fourth_moment for each in numbers],
        "fourth_moment_exact": [each.exactly for each in numbers],
        "stable": stable,
        "rate_predicted": [each.rate for each in numbers],
        "gap_stationary": [each.stationary for each in numbers],
        "averaging_constant": [each.averaging for each in numbers],
        "batch_critical": [critical] * len(runs),
        "iterations": recorded[last].tolist(),
        "curve_rows": [0] * len(runs)
        if runs[0].record.curves == "none"
        else measured.lengths.tolist(),
        "initial_gap": measured.gap[every, first].tolist(),
        "final_gap": measured.gap[every, last].tolist(),
        "initial_distance": np.sqrt(measured.distance[every, first]).tolist(),
        "final_distance": end.tolist(),
        "status": _status(runs, step_size, measured, curves, numbers),
        "expectation_agrees": _agrees(runs, coefficients, measured, curves, numbers),
    }


def _status(
    runs: Sequence[Run],
    step_size: np.ndarray,
    measured: Measured,
    curves: Curves,
    numbers: Sequence[Numbers],
) -> list[str]:
    """How each run ended.

    It has converged if the expected gap is as close to that at rest as `tolerance` asks. It has
    diverged if a path overflowed, or if the expectation grows without end and has grown. Of an
    average no rate is known, but it grows with the iterates, beyond their largest stable step size.
    """
    found = []
    for index, (run, each) in enumerate(zip(runs, numbers, strict=True)):
        expected, gap = curves.expected[index], measured.gap[index]
        rests = abs(expected[-1] - each.stationary) <= run.method.tolerance * expected[0]
        unstable = each.rate > 1 or step_size[index] >= each.step_limit
        grows = unstable and not expected[-1] <= expected[0]
        if not np.isfinite(gap[-1]) or grows:
            found.append("diverged")
        else:
            found.append("converged" if rests else "max_iterations")
    return found


def _agrees(
    runs: Sequence[Run],
    coefficients: Mapping[str, np.ndarray],
    measured: Measured,
    curves: Curves,
    numbers: Sequence[Numbers],
) -> list[bool | None]:
    """Whether the mean over the paths is, at the last iteration, what is expected.

    None where standard errors may mean nothing, or nothing is expected.
    """
    found: list[bool | None] = []
    for index, (run, each) in enumerate(zip(runs, numbers, strict=True)):
        assert isinstance(run.method, Sampling)
        expected, gap = curves.expected[index, -1], measured.gap[index, -1]
        within = not run.method.takes_step
        within |= bool(coefficients["step_size"][index] <= TESTED_TO * each.fourth_moment)
        within &= run.method.paths >= FEWEST and bool(np.isfinite([expected, gap]).all())
        initial = curves.expected[index, 0]
        seen = measured.p50[index, -1] >= MEDIAN * expected > MEDIAN * RESOLVED**2 * initial
        if not (within and seen):
            found.append(None)
            continue
        quantile = float(stdtrit(run.method.paths - 1, (1 + CONFIDENCE) / 2))
        allowed = quantile * measured.error[index, -1] + ROUNDING * expected
        allowed += FLOOR * math.sqrt(expected * initial)
        found.append(bool(abs(gap - expected) <= allowed))
    return found


def _curve_rows(
    expectation: Expectation,
    coefficients: Mapping[str, np.ndarray],
    recorded: np.ndarray,
    measured: Measured,
    curves: Curves,
) -> dict[str, Any]:
    """The columns of all runs, one after the other, each to its last finite iteration."""
    kept = np.arange(len(recorded)) < measured.lengths[:, None]
    column = np.nonzero(kept)[0]
    step_size = coefficients["step_size"]
    momentum = coefficients.get("momentum", np.full_like(step_size, np.nan))
    of = measured._asdict() | curves._asdict()
    del of["latest"]
    rows = {name: values[kept] for name, values in of.items()}
    return {
        "column": column,
        "iteration": np.broadcast_to(recorded, kept.shape)[kept].tolist(),
        "relative_step": step_size[column] * expectation.eigenvalues[0],
        "loss": rows["gap"] + expectation.loss_star,
        "gap": rows["gap"],
        "distance_squared": rows["distance"],
        "coefficient_step": step_size[column],
        "coefficient_momentum": momentum[column],
        "gap_standard_error": rows["error"],
        "gap_p10": rows["p10"],
        "gap_p50": rows["p50"],
        "gap_p90": rows["p90"],
        "gap_expected": rows["expected"],
        "gap_of_mean": rows["of_mean"],
        "gap_high_dimension": rows["high_dimension"],
    }
