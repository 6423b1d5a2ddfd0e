"""A group of runs that train a network → its rows of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gdconv.config.networks import Network
from gdconv.config.runs import Run
from gdconv.experiment.identity import GroupTables, asked_for, problem_id
from gdconv.experiment.network.edge import tail, verdict
from gdconv.experiment.network.record import Record, Recorder, Row
from gdconv.experiment.network.training import Setting
from gdconv.experiment.prediction import coefficients_of, method_of
from gdconv.experiment.sampled.draws import drawn
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.methods.protocol import Facts
from gdconv.methods.sampling import Sampling
from gdconv.problems.families import file_content
from gdconv.problems.network.model import Sharpness
from gdconv.problems.network.samples import Shape, samples_of, start_of


class Prepared(NamedTuple):
    """Runs that are ready to be trained.

    setting, shape : what all runs share
    sharpness : that at the start
    coefficients, threshold : of each run, what it iterates with, and the largest stable sharpness
    """

    setting: Setting
    shape: Shape
    sharpness: float
    coefficients: dict[str, np.ndarray]
    threshold: np.ndarray


def prepare(runs: Sequence[Run]) -> Prepared:
    """Make samples, start and step sizes of runs that share all but the method's own keys.

    Raises
    ------
    ValueError
        If the loss or the sharpness at the start does not fit into a float, or is not above 0.
    """
    first = runs[0]
    method, problem = method_of(first), first.problem
    assert isinstance(problem, Network)
    samples = samples_of(problem, first.seed, first.repetition)
    shape = samples.shape(problem.hidden or 0)
    start = start_of(problem, shape, first.seed, first.repetition)
    sharpness = Sharpness(problem, shape, samples)(start)
    if not sharpness < np.inf:
        raise ValueError("the sharpness at the start does not fit into a float; scale the target")
    if sharpness <= 0 and first.step_unit == "sharpness":
        raise ValueError(
            f"the sharpness at the start is {sharpness:.3g}, so step.unit=sharpness means nothing;"
            " choose another problem.scale or problem.weights, or step.unit=absolute"
        )
    facts = Facts(sharpness, np.nan, shape.samples, shape.inputs)
    each = [coefficients_of(run, facts) for run in runs]
    coefficients = {name: np.array([found[name] for found in each]) for name in each[0]}
    threshold = np.broadcast_to(method.sharpness_limit(coefficients), len(runs))
    setting = Setting(method, problem, samples, start)
    return Prepared(setting, shape, sharpness, coefficients, threshold)


def train(run: Run, prepared: Prepared, recorded: np.ndarray) -> Record:
    """Train prepared runs, of which one is given, up to the last recorded iteration."""
    recorder = Recorder(prepared.setting, prepared.coefficients, prepared.threshold)
    method, draws = prepared.setting.method, None
    if isinstance(method, Sampling):
        chances = method.chances(np.ones(prepared.shape.samples))
        given = run.seed, run.repetition, method.iterations
        draws = (each[0] for each in drawn(method, chances, *given))
    return recorder.follow(recorded, draws)


def run_network(runs: Sequence[Run], ids: Sequence[str]) -> GroupTables:
    """Train a network for runs that differ only in step size and the method's own keys.

    Raises ValueError as `prepare`.
    """
    first, prepared = runs[0], prepare(runs)
    record, shape, coefficients = first.record, prepared.shape, prepared.coefficients
    spacing = record.spacing or first.problem.usual_spacing
    recorded = recorded_iterations(first.method.iterations, record.points, spacing)
    found = train(first, prepared, recorded)
    columns = {
        "run_id": list(ids),
        "problem_id": [problem_id(first)] * len(runs),
        "step_size": coefficients["step_size"].tolist(),
        "relative_step": (coefficients["step_size"] * prepared.sharpness).tolist(),
        "threshold": prepared.threshold.tolist(),
        "n_features": [shape.inputs] * len(runs),
    }
    return GroupTables(
        asked_for(runs)
        | _run_rows(runs, shape, columns, found)
        | {"content": [file_content(first.problem)] * len(runs)},
        {} if record.curves == "none" else _curve_rows(runs, columns, coefficients, found.rows),
        {},
        None,
        None,
        coefficients=_coefficient_rows(first, shape, columns, found.rows),
    )


def _run_rows(
    runs: Sequence[Run],
    shape: Shape,
    columns: dict[str, list[Any]],
    found: Record,
) -> dict[str, list[Any]]:
    """Judge how each run ended."""
    rows: dict[str, list[Any]] = {name: [] for name in _JUDGED}
    for index, (run, recorded) in enumerate(zip(runs, found.rows, strict=True)):
        threshold, dead = columns["threshold"][index], found.dead[index]
        ratios = [row.sharpness / threshold for row in recorded]
        diverged = bool(found.diverged[index])
        times = [row.t for row in recorded]
        crossing = found.crossing[index]
        mean, spread = (np.nan, np.nan) if diverged else tail(times, ratios, crossing)
        small = recorded[-1].loss <= run.method.tolerance * recorded[0].loss
        judged = {
            "status": "diverged" if diverged else "converged" if small else "max_iterations",
            "iterations": recorded[-1].t,
            "curve_rows": 0 if run.record.curves == "none" else len(recorded),
            "coefficient_rows": shape.parameters * run.record.coefficients,
            "initial_loss": recorded[0].loss,
            "final_loss": recorded[-1].loss,
            "first_crossing": crossing,
            "first_rise": found.rise[index],
            "sharpness_tail_mean": mean,
            "sharpness_tail_spread": spread,
            "dead_units": dead,
            "verdict": verdict(
                diverged=diverged,
                dead=dead is not None and dead == max(shape.hidden, 1),
                crossed=crossing is not None,
                mean=mean,
                left=recorded[-1].loss / recorded[0].loss if recorded[0].loss else 0.0,
            ),
        }
        for name in _JUDGED:
            rows[name].append(judged[name])
    inverse = [1 / step_size for step_size in columns["step_size"]]
    return columns | {"K": inverse, "n_samples": [shape.samples] * len(runs)} | rows


_JUDGED = (
    *("status", "iterations", "curve_rows", "coefficient_rows", "initial_loss", "final_loss"),
    *("first_crossing", "first_rise", "sharpness_tail_mean", "sharpness_tail_spread"),
    *("dead_units", "verdict"),
)


def _curve_rows(
    runs: Sequence[Run],
    columns: dict[str, list[Any]],
    coefficients: dict[str, np.ndarray],
    by_run: list[list[Row]],
) -> dict[str, Any]:
    """The recorded iterations of all runs, one run after the other."""
    rows: dict[str, list[Any]] = {}
    for index, (run, recorded) in enumerate(zip(runs, by_run, strict=True)):
        values = {name: each[index] for name, each in coefficients.items()}
        threshold, two = columns["threshold"][index], len(recorded[0].w) == 2
        for row in recorded:
            step_size, momentum = method_of(run).of_step(row.t, values)
            each = {
                "run_id": columns["run_id"][index],
                "problem": run.problem.name,
                "n_features": columns["n_features"][index],
                "repetition": run.repetition,
                "relative_step": columns["relative_step"][index],
                "iteration": row.t,
                "loss": row.loss,
                "coefficient_step": float(step_size),
                "coefficient_momentum": float(momentum),
                "gradient_norm": row.gradient_norm,
                "sharpness": row.sharpness,
                "sharpness_over_threshold": row.sharpness / threshold,
                "weight_1": float(row.w[0]) if two else None,
                "weight_2": float(row.w[1]) if two else None,
            }
            for name, value in each.items():
                rows.setdefault(name, []).append(value)
    return rows


def _coefficient_rows(
    run: Run, shape: Shape, columns: dict[str, list[Any]], by_run: list[list[Row]]
) -> dict[str, list[Any]]:
    """The last recorded parameters of each run, if they are asked for."""
    if not run.record.coefficients:
        return {}
    last = [next(row.w for row in reversed(rows) if np.isfinite(row.w).all()) for rows in by_run]
    count = shape.parameters
    return {
        "problem_id": [each for each in columns["problem_id"] for _ in range(count)],
        "run_id": [each for each in columns["run_id"] for _ in range(count)],
        "column": shape.names * len(by_run),
        "coefficient": np.concatenate(last).tolist(),
    }
