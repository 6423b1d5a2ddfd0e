"""One group of runs (one problem, one start, all its step sizes) → its rows of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdconv.config.networks import Network
from gdconv.config.problems import Table
from gdconv.config.rules import typed
from gdconv.config.runs import Run
from gdconv.experiment.average import Average
from gdconv.experiment.identity import GroupTables, asked_for, group_of, problem_id, run_ids
from gdconv.experiment.iterate import iterate
from gdconv.experiment.prediction import Theory, coefficients_together, method_of
from gdconv.experiment.trajectory import Recorder, Trajectories, recorded_iterations
from gdconv.methods.sampling import Sampling
from gdconv.problems.blocks import LeastSquares
from gdconv.problems.families import file_content, make, names_of_columns
from gdconv.problems.least_squares import Objective
from gdconv.problems.spectrum import Spectrum, eigh_difference
from gdconv.problems.starts import starting_point
from gdconv.theory.measured import oscillating, rates

if TYPE_CHECKING:
    from gdconv.experiment.sampled.expectation import Expectation


# A number too large for a float is inf, and an empty cell in the tables.
@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def run_group(
    runs: Sequence[Run], ids: Sequence[str] | None = None, triangle: np.ndarray | None = None
) -> GroupTables:
    """Run a method for runs that differ only in step size and its own keys, and judge the results.

    Parameters
    ----------
    ids : sequence of str, optional
        Their identifiers, as computed when the sweep was planned.
    triangle : ndarray, optional
        That of the problem's rows, if it is known; see `families.make`.

    Raises
    ------
    ValueError
        If the runs differ in something else, the problem's numbers do not fit into floats, or its
        file was changed after the sweep was planned.
    """
    first, ids = runs[0], _identified(runs, ids)
    # What only some kinds of groups need is imported for them: a worker waits for its imports.
    if isinstance(first.problem, Network):
        from gdconv.experiment.network.group import run_network

        return run_network(runs, ids)
    problem = make(first.problem, first.seed, first.repetition, triangle)
    first.method.refuse_size(problem.X.shape[1])
    objective = Objective(problem, first.method.reduce)
    start = starting_point(first.start, first.seed, first.repetition, objective)
    recorded = recorded_iterations(
        first.method.iterations,
        first.record.points,
        first.record.spacing or first.problem.usual_spacing,
    )
    if isinstance(first.method, Sampling):
        return _sampled(runs, ids, objective, start, recorded)
    theory = Theory(objective, start, runs)
    recorder = Recorder(
        theory.w_star,
        objective.offset,
        recorded,
        floor=theory.noise(np.arange(len(runs)), np.zeros(len(runs))),
        ceiling=theory.ceiling(),
        tolerance=first.method.tolerance,
    )
    iterate(
        method_of(first),
        objective,
        start,
        theory.coefficients,
        first.method.iterations,
        recorder.observe,
    )
    measured, average = recorder.trajectories(), Average(runs)
    predicted = theory.curves(measured.column, measured.t)
    identifier = problem_id(first)
    on_average = average.iterations(measured)
    return GroupTables(
        _run_rows(runs, ids, problem, theory, measured, predicted)
        | {"problem_id": [identifier] * len(runs), "iterations_average": on_average},
        {}
        if first.record.curves == "none"
        else _curve_rows(runs, ids, problem, theory, measured, predicted)
        | {"gap_average": average.gap(measured.column, measured.t)},
        _eigenvalue_rows(problem, first, identifier, theory),
        eigh_difference(theory.spectrum, objective.matrix),
        objective.rows_multiplied,
        *_coefficient_rows(ids, first, identifier, theory.w_star, recorder.latest),
    )


def _identified(runs: Sequence[Run], planned: Sequence[str] | None) -> list[str]:
    """Return the identifiers of the runs of one group; raise ValueError as `run_group` says."""
    if len({group_of(run) for run in runs}) > 1:
        raise ValueError("the runs of a group may differ only in step size and method_options")
    if planned is None:
        return run_ids(runs)
    # Only the file may have changed, and it is that of all runs.
    if list(planned[:1]) != run_ids(runs[:1]):
        path = typed(getattr(runs[0].problem, "path", runs[0].problem.name))
        raise ValueError(f"{path} was changed while the sweep was running")
    return list(planned)


def _coefficient_rows(
    ids: Sequence[str], run: Run, identifier: str, w_star: np.ndarray, latest: np.ndarray
) -> list[dict[str, list[Any]]]:
    """The rows for w* of the problem, and those for the last w of each run."""
    kept = run.record.coefficients
    names = names_of_columns(run.problem, len(w_star))

    def rows(run_id: str | None, w: np.ndarray) -> dict[str, list[Any]]:
        same: dict[str, list[Any]] = {"problem_id": [identifier] * len(w)}
        same |= {"run_id": [run_id] * len(w)}
        return same | {"column": names, "coefficient": w.tolist()}

    of_problem = rows(None, w_star) if kept or isinstance(run.problem, Table) else {}
    of_runs: dict[str, list[Any]] = {}
    for run_id, w in zip(ids, latest, strict=True) if kept else ():
        for name, values in rows(run_id, w).items():
            of_runs.setdefault(name, []).extend(values)
    return [of_problem, of_runs]


def _sampled(
    runs: Sequence[Run],
    ids: list[str],
    objective: Objective,
    start: np.ndarray,
    recorded: np.ndarray,
) -> GroupTables:
    """The same for a method that draws samples."""
    from gdconv.experiment.sampled.expectation import Expectation
    from gdconv.experiment.sampled.group import rows_of

    first, problem, identifier = runs[0], objective.problem, problem_id(runs[0])
    assert isinstance(first.method, Sampling)
    expectation = Expectation(first.method, objective, start)
    coefficients = coefficients_together(runs, objective)
    of_runs, curves, latest = rows_of(runs, expectation, start, coefficients, recorded)
    moments = expectation.moments_of_rows
    kept = _coefficient_rows(ids, first, identifier, expectation.w_star, latest)
    constant = {"run_id": ids} | {
        name: [value] * len(runs)
        for name, value in {
            "moment_rows": len(moments.get("moment", ())),
            "coefficient_rows": problem.X.shape[1] * first.record.coefficients,
            **_of_problem(first, problem, expectation.spectrum, expectation.loss_star),
            "problem_id": identifier,
        }.items()
    }
    shared = _of_curves(ids, problem, first, curves.pop("column").tolist())
    return GroupTables(
        of_runs | constant,
        {} if first.record.curves == "none" else shared | curves,
        _eigenvalue_rows(problem, first, identifier, expectation),
        eigh_difference(expectation.spectrum, objective.matrix),
        objective.rows_multiplied,
        minimiser=kept[0],
        coefficients=kept[1],
        moments=moments and {"problem_id": [identifier] * len(moments["moment"])} | moments,
    )


def _of_problem(
    run: Run, problem: LeastSquares, spectrum: Spectrum, loss_star: float
) -> dict[str, Any]:
    """What all runs of a group have in common."""
    return {
        "content": file_content(run.problem),
        "n_samples": problem.n_samples,
        "n_features": problem.X.shape[1],
        "rank": spectrum.rank,
        "lambda_min": spectrum.lambda_min,
        "lambda_min_positive": spectrum.lambda_min_positive,
        "lambda_max": spectrum.lambda_max,
        "condition_number": spectrum.condition_number,
        "loss_star": loss_star,
    }


def _of_curves(
    ids: list[str], problem: LeastSquares, run: Run, column: list[int]
) -> dict[str, list[Any]]:
    """What the rows of the curves of run column[k] have in common."""
    return {
        "run_id": [ids[number] for number in column],
        "problem": [run.problem.name] * len(column),
        "n_features": [problem.X.shape[1]] * len(column),
        "repetition": [run.repetition] * len(column),
    }


def _run_rows(
    runs: Sequence[Run],
    ids: list[str],
    problem: LeastSquares,
    theory: Theory,
    measured: Trajectories,
    predicted: dict[str, np.ndarray],
) -> dict[str, list[Any]]:
    """Compare what was measured with theory, and judge it: a row for each run."""
    first, t = runs[0], measured.t
    shared = _of_problem(first, problem, theory.spectrum, theory.loss_star)
    to_tolerance = [n if n >= 0 else None for n in measured.to_tolerance.tolist()]
    # A number of more than 64 bits would not be read back as a whole number.
    promised = [int(n) if n < 2**63 else None for n in theory.iterations_predicted]
    lengths = [rows.stop - rows.start for rows in measured.rows]
    return (
        asked_for(runs)
        | {name: [value] * len(runs) for name, value in shared.items()}
        | {
            "run_id": ids,
            "step_size": theory.step_size.tolist(),
            "K": (1 / theory.step_size).tolist(),
            "relative_step": theory.relative_step.tolist(),
            "momentum": theory.coefficient("momentum").tolist(),
            "step_limit": theory.step_limit().tolist(),
            "stable": [None if np.isnan(each) else bool(each < 0) for each in theory.log_nu],
            "delayed_at": _delayed(theory, measured, predicted),
            "growth_predicted": _growth(theory, measured, predicted),
            "nu": theory.nu.tolist(),
            "nu_coursework": theory.nu_coursework.tolist(),
            "rate_predicted": theory.rate.tolist(),
            "iterations": t[measured.last].tolist(),
            "curve_rows": [0] * len(runs) if first.record.curves == "none" else lengths,
            "moment_rows": [0] * len(runs),
            "coefficient_rows": [problem.X.shape[1] * first.record.coefficients] * len(runs),
            "iterations_to_tolerance": to_tolerance,
            "iterations_predicted": promised,
            "initial_gap": measured.gap[measured.first].tolist(),
            "final_gap": measured.gap[measured.last].tolist(),
            "initial_distance": np.sqrt(measured.distance_squared[measured.first]).tolist(),
            "final_distance": np.sqrt(measured.distance_squared[measured.last]).tolist(),
            "gap_floor": predicted["gap_floor"][measured.last].tolist(),
        }
        | _verdicts(theory, measured, predicted)
        | _rates(theory, measured, predicted)
    )


def _growth(
    theory: Theory, measured: Trajectories, predicted: dict[str, np.ndarray]
) -> list[float]:
    """The largest max p_t² of each run at its recorded iterations."""
    if initial := theory.shares.sum():
        square = predicted["gap_bound_relative"] / initial
    else:
        square = theory.of_method.limits(measured.column, measured.t).gap
    # Where no bound is known, it is nan; at iteration 0 one is known.
    growth: list[float] = measured.of_runs(np.fmax, square).tolist()
    return growth


def _delayed(
    theory: Theory, measured: Trajectories, predicted: dict[str, np.ndarray]
) -> list[int | None]:
    """The first recorded iteration at which rounding has changed the steps that a run chooses."""
    if not theory.method.chooses:
        return [None] * len(measured.rows)
    return measured.first_where(measured.gap > 2 * predicted["gap_exact"] + predicted["gap_floor"])


def _verdicts(
    theory: Theory, measured: Trajectories, predicted: dict[str, np.ndarray]
) -> dict[str, list[Any]]:
    """How each run ended, and whether its gaps obey the bounds."""
    column, t, gap, floor = measured.column, measured.t, measured.gap, predicted["gap_floor"]
    judged = gap > floor
    # How far the computed square roots of a gap and a bound may differ by rounding.
    tolerance = np.sqrt(floor) + theory.relative_error * np.sqrt(gap)

    def exceeds(allowed: np.ndarray) -> np.ndarray:
        return judged & (np.sqrt(gap) - np.sqrt(allowed) > tolerance)

    def holds(bound: str) -> list[bool | None]:
        # A bound is nan where none is known.
        known, broken = (
            measured.of_runs(np.logical_or, rows).tolist()
            for rows in (judged & ~np.isnan(predicted[bound]), exceeds(predicted[bound]))
        )
        return [not no if yes else None for yes, no in zip(known, broken, strict=True)]

    broken = exceeds(predicted["gap_bound_coursework"])
    grown = exceeds(theory.loosest_start(gap[measured.first], column, t))[measured.last]
    status = np.where(measured.reached_floor, "converged", "max_iterations")
    # With momentum a gap may grow for a while, although it converges.
    # Of restarts no rate is known, and with long steps they do not converge.
    may_grow = (theory.rate > 1) | (np.isnan(theory.rate) & ~np.isnan(theory.step_size))
    status[measured.reached_ceiling | (grown & may_grow)] = "diverged"
    with np.errstate(divide="ignore", invalid="ignore"):
        tightness = np.where(judged, predicted["gap_bound"] / gap, np.nan)
    return {
        "status": status.tolist(),
        "bound_holds": holds("gap_bound"),
        "bound_coursework_holds": holds("gap_bound_coursework"),
        "first_violation_coursework": measured.first_where(broken),
        "bound_over_gap_median": _medians(measured, tightness),
    }


def _rates(
    theory: Theory, measured: Trajectories, predicted: dict[str, np.ndarray]
) -> dict[str, list[Any]]:
    """The measured rate of each run, its standard error, and the kind of convergence."""
    t, gap, exact, floor = measured.t, measured.gap, predicted["gap_exact"], predicted["gap_floor"]
    measure_all = rates.measure_all if theory.of_method.is_monotone else oscillating.measure_all
    found = measure_all(t, gap, floor, measured.rows)
    missed = rates.missed(measure_all(t, exact, floor, measured.rows), theory.rates_of_start())
    numbers = np.array([[each.rate, each.standard_error] for each in found])
    numbers[:, 1] = np.hypot(numbers[:, 1], missed)
    for run in np.flatnonzero(theory.of_method.follows_invariant()):
        at = t, measured.invariant, gap, floor, measured.rows[run]
        numbers[run] = oscillating.from_invariant(*at)
    return {
        "rate_measured": numbers[:, 0].tolist(),
        "rate_standard_error": numbers[:, 1].tolist(),
        "convergence": [each.kind for each in found],
        "order": [each.order for each in found],
    }


def _curve_rows(
    runs: Sequence[Run],
    ids: list[str],
    problem: LeastSquares,
    theory: Theory,
    measured: Trajectories,
    predicted: dict[str, np.ndarray],
) -> dict[str, Any]:
    run, column = runs[0], measured.column
    steps = theory.steps(column, measured.t, (measured.step_size, measured.momentum))
    shared = _of_curves(ids, problem, run, column.tolist())
    of_iterations = {
        "relative_step": theory.relative_step[column],
        "iteration": measured.t.tolist(),
        "loss": measured.loss,
        "gap": measured.gap,
        "distance_squared": measured.distance_squared,
        "coefficient_step": steps[0],
        "coefficient_momentum": steps[1],
    }
    if not np.isnan(measured.restarts).all():
        restarts = [None if np.isnan(each) else int(each) for each in measured.restarts]
        of_iterations["restarts"] = restarts
    return shared | of_iterations | predicted


def _eigenvalue_rows(
    problem: LeastSquares, run: Run, identifier: str, theory: Theory | Expectation
) -> dict[str, list[Any]]:
    n_samples, n_features = problem.n_samples, problem.X.shape[1]
    constant = {
        "problem_id": identifier,
        "n_samples": n_samples,
        "n_features": n_features,
        "seed": run.seed,
        "repetition": run.repetition,
    }
    return {name: [value] * n_features for name, value in constant.items()} | {
        "index": list(range(1, n_features + 1)),
        "eigenvalue": theory.spectrum.eigenvalues.tolist(),
        "error_component_squared": theory.error_components_squared.tolist(),
    }


def _medians(measured: Trajectories, values: np.ndarray) -> list[float]:
    """The median of the finite values of each run; nan without any."""
    finite = np.isfinite(values)
    column, values = measured.column[finite], values[finite]
    count = np.bincount(column, minlength=len(measured.first))
    # The middle of an empty part is replaced by nan below.
    values = np.append(values[np.lexsort((values, column))], np.nan)
    start = np.cumsum(count) - count
    low, high = values[start + (count - 1) // 2], values[start + count // 2]
    middle = np.where(count % 2, high, (low + high) / 2)
    medians: list[float] = np.where(count > 0, middle, np.nan).tolist()
    return medians
