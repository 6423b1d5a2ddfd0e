"""The data that report.html computes with: problems as numbers, and the runs measured on them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import pandas as pd

from gdconv.report.curves import Shown, shown
from gdconv.report.numerals import rounded, short
from gdconv.report.settings import (
    DRAW,
    NAMING,
    differing,
    of_gradient_descent,
    problem_name,
    settings,
    with_files,
)
from gdconv.report.summary import as_asked
from gdconv.tables.columns import NUMBER, QUANTITIES
from gdconv.tables.csv import Tables

# Together up to a million numbers, so that a page has at most a few megabytes.
MOST_RUNS = 20_000
MOST_PROBLEMS = 50
MOST_EIGENVALUES = 20_000
MOST_POINTS = 60_000
# A part of the gap that is this much smaller than the largest one may be rounding only.
SEEN = 1e-6
MOST_POINTS_OF_A_RUN, FEWEST_POINTS_OF_A_RUN = 30, 6

# The columns of runs.csv that the page shows.
SHOWN = (
    *("status", "problem", "file", "n_samples", "n_features", "seed", "repetition"),
    "relative_step",
    *("bound_holds", "bound_coursework_holds", "rate_predicted", "rate_measured", "convergence"),
    *("iterations", "iterations_to_tolerance", "iterations_predicted"),
    *("first_violation_coursework", "condition_number", "start", "start_which", "run_id", "error"),
)


def embedded(tables: Tables | Shown) -> str:
    """Return the page's data as JSON that may stand inside a script element.

    The table has the first `MOST_RUNS` runs and the columns of `SHOWN` that are not empty. Its
    numbers have five digits, or as many as they need to differ from 1 and 2. The explorer has up to
    `MOST_PROBLEMS` problems with at most `MOST_EIGENVALUES` eigenvalues in total. Every setting
    gets one draw before any gets a second one. Eigenvalues have all their digits, because a
    contraction factor close to 1 needs them; squared error components have 12. Each run has some
    of its recorded gaps.
    """
    runs = with_files(tables.runs)[:MOST_RUNS]
    problems = _problems(runs, shown(tables))
    titles = {name: QUANTITIES[name].title for name in ("iteration", "relative_step")}
    data = {"table": _table(runs), "problems": problems, "first": _first(problems)}
    text = json.dumps(data | {"titles": titles}, allow_nan=False, separators=(",", ":"))
    # These characters could end the script element or begin a comment.
    for each in "<>&":
        text = text.replace(each, f"\\u{ord(each):04x}")
    return text


def _table(runs: pd.DataFrame) -> dict[str, Any]:
    names = [name for name in SHOWN if runs[name].notna().any()]
    columns = [_plain(runs[name], 5) for name in names]
    return {
        "columns": names,
        "headings": [QUANTITIES[name].heading for name in names],
        "kinds": [QUANTITIES[name].kind for name in names],
        "rows": list(zip(*columns, strict=True)),
    }


def _problems(runs: pd.DataFrame, tables: Shown) -> list[dict[str, Any]]:
    spectra = dict(list(tables.eigenvalues.groupby("problem_id")))
    chosen: list[tuple[str, pd.DataFrame, pd.DataFrame]] = []
    room = MOST_EIGENVALUES
    for label, group in _draws(runs):
        spectrum = spectra.get(group["problem_id"].iloc[0])
        if spectrum is None or spectrum.isna().any(axis=None):
            continue
        if len(spectrum) <= room and len(chosen) < MOST_PROBLEMS:
            chosen.append((label, group, spectrum.sort_values("index")))
            room -= len(spectrum)
    chosen.sort(key=lambda each: each[1].index[0])
    every = pd.concat([group for _, group, _ in chosen]) if chosen else runs[:0]
    most = min(MOST_POINTS // max(1, len(every)), MOST_POINTS_OF_A_RUN)
    curves = tables.curves.of(every["run_id"], max(most, FEWEST_POINTS_OF_A_RUN))
    columns = curves["run_id"], curves["iteration"].tolist(), _plain(curves["gap"], 6)
    points: dict[str, list[list[Any]]] = {}
    for run_id, iteration, gap in zip(*columns, strict=True):
        known = points.setdefault(run_id, [[], []])
        known[0].append(iteration)
        known[1].append(gap)
    return [_problem(label, group, spectrum, points) for label, group, spectrum in chosen]


def _first(problems: Sequence[Mapping[str, Any]]) -> int:
    """The index of the problem to show first: one whose gap has several visible parts, if any."""
    for index, problem in enumerate(problems):
        parts = sorted(each or 0.0 for each in problem["error_component_squared"])
        if len(parts) > 1 and parts[-2] > SEEN * parts[-1]:
            return index
    return 0


def _draws(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and runs of each problem: first one draw of every setting, then a second one of each."""
    needed = ["problem_id", "step_size", "initial_distance"]
    known = of_gradient_descent(runs).dropna(subset=needed)
    every = settings(known)
    names = [name for name in differing([setting for setting, _ in every]) if name not in NAMING]
    names += [name for name in DRAW if known[name].nunique() > 1]
    draws = [[group for _, group in rows.groupby("problem_id", sort=False)] for _, rows in every]
    for group in (group for some in zip_longest(*draws) for group in some if group is not None):
        yield _label(group.iloc[0], names), group


def _label(run: pd.Series, names: Sequence[str]) -> str:
    parts = [f"{problem_name(run)} {run['n_samples']} × {run['n_features']}"]
    for name in names:
        if pd.notna(run[name]):
            plain = name in ("problem_options", "start")
            value = str(as_asked(run[name]))
            parts.append(value if plain else QUANTITIES[name].tell(value))
    kappa = QUANTITIES["condition_number"].tell(short(run["condition_number"], 4))
    return ", ".join([*parts, kappa])


def _problem(
    label: str, runs: pd.DataFrame, spectrum: pd.DataFrame, points: Mapping[str, list[list[Any]]]
) -> dict[str, Any]:
    positive = spectrum[spectrum["eigenvalue"] > 0]
    return {
        "label": label,
        "eigenvalue": positive["eigenvalue"].tolist(),
        "error_component_squared": _plain(positive["error_component_squared"], 12),
        "lambda_min": spectrum["eigenvalue"].iloc[-1],
        "distance_squared": runs["initial_distance"].iloc[0] ** 2,
        "row": runs.index.tolist(),
        "step_size": runs["step_size"].tolist(),
        "relative_step": runs["relative_step"].tolist(),
        "gap_floor": _plain(runs["gap_floor"], 4),
        "points": [points.get(run_id, [[], []]) for run_id in runs["run_id"]],
    }


def _plain(column: pd.Series, digits: int) -> list[Any]:
    """The values of a column for JSON, with null for an empty cell."""
    if column.dtype == NUMBER:
        return [float(rounded(v, digits)) if math.isfinite(v) else None for v in column.tolist()]
    return [None if pd.isna(value) else value for value in column.tolist()]
