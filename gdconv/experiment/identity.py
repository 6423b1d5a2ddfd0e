"""The identifiers of runs and problems, the groups of runs, and the form of a group's rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gdconv.config.runs import Run, constant_momentum, identity, method_options, problem_options
from gdconv.problems.families import problem_identity

# Part of every run_id. Raise it whenever the same configuration gives other rows or columns.
SCHEMA_VERSION = 11

# run_id → run, for the runs of one group, see `group_of`.
Group = Mapping[str, Run]


@dataclass(frozen=True)
class GroupTables:
    """The rows of one group, column by column; nan and None stand for "does not apply".

    Attributes
    ----------
    runs : dict
        Column name → values, one for each run.
    curves : dict
        Column name → values, one for each recorded iteration; one run after the other.
    eigenvalues : dict
        Column name → values, one for each eigenvalue.
    minimiser : dict
        Column name → values of coefficients.csv, one for each column of X: w* of the problem.
    coefficients : dict
        The same for the last w of each run, one run after the other.
    moments : dict
        Column name → values of moments.csv, one for each product; empty if there are too many.
    eigh_difference : float or None
        See `spectra.eigh_difference`; None for a group that failed.
    rows_multiplied : str or None
        See `Objective.rows_multiplied`; None for a group that failed.
    """

    runs: dict[str, list[Any]]
    curves: dict[str, Any]
    eigenvalues: dict[str, list[Any]]
    eigh_difference: float | None
    rows_multiplied: str | None
    minimiser: dict[str, list[Any]] = field(default_factory=dict)
    coefficients: dict[str, list[Any]] = field(default_factory=dict)
    moments: dict[str, list[Any]] = field(default_factory=dict)


# `json.dumps` would make an encoder for each value.
_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


def run_ids(runs: Sequence[Run]) -> list[str]:
    """Return each run's identifier: 16 hex digits of the SHA-256 of all that decides its rows."""
    # Each problem's file is read once, not once for each run.
    distinct = dict.fromkeys(run.problem for run in runs)
    problems = {problem: _json(problem_identity(problem)) for problem in distinct}
    shared = [
        _once(problems.__getitem__, (run.problem for run in runs)),
        _once(lambda of: _json(identity(of)), (run.start for run in runs)),
        _once(lambda of: _json(identity(of)), (run.method for run in runs)),
        _once(lambda of: _json(vars(of)), (run.record for run in runs)),
    ]
    names = "problem", "start", "method", "record"
    own = "seed", "repetition", "step_unit", "step_value"
    return [
        _digest({name: getattr(run, name) for name in own}, dict(zip(names, texts, strict=True)))
        for run, *texts in zip(runs, *shared, strict=True)
    ]


def problem_id(run: Run) -> str:
    """Return the identifier of a run's problem, that is X, y and w_0; all step sizes share it.

    With and without reduction w* differs by rounding, so these have different identifiers.
    """
    return _digest(
        {
            "problem": problem_identity(run.problem),
            "start": identity(run.start),
            "reduce": run.method.reduce,
            "seed": run.seed,
            "repetition": run.repetition,
        }
    )


def rows_id(run: Run) -> str:
    """Return the identifier of a run's X and y alone."""
    return _digest(
        {
            "rows": problem_identity(run.problem),
            "seed": run.seed,
            "repetition": run.repetition,
        }
    )


def _once(function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    """Apply a function to values, to each object once: most runs share theirs."""
    values = list(values)
    results = {key: function(value) for key, value in {id(each): each for each in values}.items()}
    return [results[id(value)] for value in values]


def _digest(parts: Mapping[str, Any], written: Mapping[str, str] | None = None) -> str:
    """Hash parts, and others that are JSON already, as one object with its keys in order."""
    texts = {name: _json(part) for name, part in parts.items()}
    texts |= {"schema": _json(SCHEMA_VERSION), **(written or {})}
    whole = ", ".join(f'"{name}": {texts[name]}' for name in sorted(texts))
    return hashlib.sha256(f"{{{whole}}}".encode()).hexdigest()[:16]


def group_of(run: Run) -> Hashable:
    """Return what the runs of a group have in common: all but step size and the method's options.

    Runs of one group are rows of one matrix.
    """
    of = run.method
    method = type(of), of.kind, of.iterations, of.tolerance, of.reduce
    return run.problem, run.start, method, run.record, run.seed, run.repetition


def asked_for(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the columns of runs.csv that follow from the configuration, a value for each run."""
    return {
        "problem": [run.problem.name for run in runs],
        "problem_options": _once(problem_options, (run.problem for run in runs)),
        "content": [run.content for run in runs],
        "n_samples": [getattr(run.problem, "n_samples", None) for run in runs],
        "n_features": [getattr(run.problem, "n_features", None) for run in runs],
        "noise": [getattr(run.problem, "noise", None) for run in runs],
        "seed": [run.seed for run in runs],
        "repetition": [run.repetition for run in runs],
        "start": [run.start.name if run.problem.takes_start else None for run in runs],
        "start_which": [getattr(run.start, "which", None) for run in runs],
        "start_radius": [getattr(run.start, "radius", None) for run in runs],
        "method": [run.method.name for run in runs],
        "method_options": _once(method_options, (run.method for run in runs)),
        "momentum": [constant_momentum(run.method) for run in runs],
        "step_unit": [run.step_unit for run in runs],
        "step_value": [run.step_value for run in runs],
    }


def failed_group(runs: Sequence[Run], ids: Sequence[str], reason: str) -> GroupTables:
    """Return the rows of a group that could not be run: what was asked for, and the reason."""
    table = asked_for(runs) | {
        "run_id": list(ids),
        "status": ["failed"] * len(runs),
        "error": [" ".join(reason.split())] * len(runs),
    }
    return GroupTables(table, {}, {}, None, None)
