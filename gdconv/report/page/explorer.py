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
from gdconv.report.page import moments
from gdconv.report.settings import (
    DRAW,
    NAMING,
    differing,
    problem_name,
    settings,
    with_files,
)
from gdconv.report.summary import as_asked, of_networks
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
    *("problem", "file", "n_samples", "n_features", "seed", "repetition"),
    *("method", "method_options", "momentum", "relative_step", "status"),
    *("first_crossing", "sharpness_tail_mean", "final_loss", "verdict"),
    *("gap_stationary", "expectation_agrees"),
    *("bound_holds", "bound_coursework_holds", "rate_predicted", "rate_measured", "convergence"),
    *("iterations", "iterations_to_tolerance", "iterations_predicted", "delayed_at"),
    *("first_violation_coursework", "condition_number", "start", "start_which", "run_id", "error"),
)
OF_METHOD = ("method", "method_options", "momentum")
# The methods that the page has formulas of, with those options on which the formulas depend.
METHODS = {
    "gradient_descent": "gradient descent",
    "heavy_ball first_step=full": "heavy ball",
    "heavy_ball first_step=averaged": "heavy ball, averaged first step",
    "nesterov": "Nesterov",
    "nesterov momentum=convex": "Nesterov, convex momentum",
    "chebyshev lower=1.0 upper=1.0": "Chebyshev",
}
# Of these, the page has the expectation of those problems that have moments.
SAMPLED = {
    "sgd replacement=true": "stochastic gradient descent",
    "sgd replacement=false": "stochastic gradient descent, without replacement",
}


def embedded(tables: Tables | Shown) -> str:
    """Return the page's data as JSON that may stand inside a script element.

    The table has the first `MOST_RUNS` runs and the columns of `SHOWN` that are not empty. Its
    numbers have five digits, or as many as they need to differ from 1 and 2. The explorer offers
    `METHODS`, and has up to `MOST_PROBLEMS` problems with at most `MOST_EIGENVALUES` eigenvalues in
    total. Every setting gets one draw before any gets a second one. Eigenvalues, step sizes and
    momenta have all their digits, because a contraction factor close to 1 needs them; squared error
    components have 12. Each run has some of its recorded gaps.
    """
    runs = with_files(tables.runs)[:MOST_RUNS]
    known = _with_formula(runs, tables.moments)
    offered = (*METHODS, *(SAMPLED if known["formula"].isin(list(SAMPLED)).any() else ()))
    methods = list(dict.fromkeys((*offered, *known["formula"])))
    problems = _problems(known, shown(tables), methods)
    titles = {name: QUANTITIES[name].title for name in ("iteration", "relative_step")}
    data = {
        "table": _table(runs),
        "methods": [_method(formula) for formula in methods],
        "problems": problems,
        "first": _first(problems),
    }
    text = json.dumps(data | {"titles": titles}, allow_nan=False, separators=(",", ":"))
    # These characters could end the script element or begin a comment.
    for each in "<>&":
        text = text.replace(each, f"\\u{ord(each):04x}")
    return text


def without(tables: Tables | Shown) -> str:
    """Return why a page has no explorer; empty if it has one, or if no run is complete."""
    known = tables.runs.dropna(subset=["method", "initial_distance"])
    if known.empty or len(_with_formula(known, tables.moments)):
        return ""
    methods = ", ".join(known["method"].unique()).replace("_", " ")
    return (
        "There is no explorer, because it computes with the polynomial pₜ(λ) of a method, and it"
        f" has no formula of that of {methods}. Of sgd it computes the expectation without momentum"
        " and averages, with up to 10 features."
    )


def _table(runs: pd.DataFrame) -> dict[str, Any]:
    # In most studies all runs have the same method.
    names = [
        name
        # Networks differ in their options more than in anything else.
        for name in (*["problem_options"] * bool(of_networks(runs).any()), *SHOWN)
        if runs[name].notna().any()
        and (name not in OF_METHOD or runs[name].nunique(dropna=False) > 1)
    ]
    # What differs comes first.
    names.sort(key=lambda name: runs[name].nunique(dropna=False) <= 1)
    columns = [_plain(runs[name], 5) for name in names]
    return {
        "columns": names,
        "headings": [QUANTITIES[name].heading for name in names],
        "kinds": [QUANTITIES[name].kind for name in names],
        "rows": list(zip(*columns, strict=True)),
    }


def _with_formula(runs: pd.DataFrame, of_rows: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose method the page has formulas of, and a column that tells these.

    Where others have a momentum, these runs of sgd have their batch size.
    """
    options = runs["method_options"].fillna("").str.replace("momentum=optimal", "")
    # The step size and the momentum of heavy ball say all, whatever it is tuned to.
    formula = (runs["method"] + " " + options).str.replace(" tuned_to=spectrum", "")
    formula = formula.str.replace(r"^(heavy_ball.*) tuned_to=edges", r"\1", regex=True)
    formula = formula.str.split().str.join(" ")
    of_interval = (runs["method"] == "chebyshev") & ~formula.str.contains("tuned_to", na=False)
    batch = formula.str.extract(r"batch_size=(\d+) (replacement=\w+) average=none$")
    sampled = (runs["method"] == "sgd") & batch[0].notna() & (runs["momentum"] == 0)
    sampled &= runs["problem_id"].isin(moments.shown(of_rows)["problem_id"].unique())
    formula = formula.mask(sampled, "sgd " + batch[1])
    runs = runs.assign(momentum=runs["momentum"].mask(sampled, batch[0].astype(float)))
    known = formula.isin([*METHODS, *SAMPLED]) | of_interval
    needed = ["problem_id", "initial_distance"]
    return runs.assign(formula=formula)[known.fillna(False)].dropna(subset=needed)


def _method(formula: str) -> dict[str, Any]:
    """What the page has to know of a method, and which of its parts it shows for it."""
    name, *options = formula.split()
    known = dict(option.split("=") for option in options)
    sampled = name == "sgd"
    method = {
        "words": (METHODS | SAMPLED).get(formula, f"Chebyshev, {' '.join(options)}"),
        "usual": formula in METHODS,
        "descent": name == "gradient_descent",
        "polynomial": not sampled,
        "other": name != "gradient_descent" and not sampled,
        "sampled": sampled,
        "replacement": known.get("replacement") == "true",
        "heavy": name == "heavy_ball",
        "averaged": known.get("first_step") == "averaged",
        "convex": known.get("momentum") == "convex",
        "chebyshev": name == "chebyshev",
        "step": name != "chebyshev",
        "momentum": name in ("heavy_ball", "nesterov") and "momentum" not in known,
    }
    method["second"] = method["momentum"] or sampled
    method["rates"] = method["step"] and not sampled
    return method | {key: float(known[key]) for key in ("lower", "upper") if key in known}


def _problems(runs: pd.DataFrame, tables: Shown, methods: Sequence[str]) -> list[dict[str, Any]]:
    spectra = dict(list(tables.eigenvalues.groupby("problem_id")))
    of_rows = dict(list(moments.shown(tables.moments).groupby("problem_id")))
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
    return [
        _problem(*each, points, methods)
        | moments.matrix(of_rows.get(each[1]["problem_id"].iloc[0]), *each[1:])
        for each in chosen
    ]


def _first(problems: Sequence[Mapping[str, Any]]) -> int:
    """The index of the problem to show first: one whose gap has several visible parts, if any."""
    for index, problem in enumerate(problems):
        parts = sorted(each or 0.0 for each in problem["error_component_squared"])
        if len(parts) > 1 and parts[-2] > SEEN * parts[-1]:
            return index
    return 0


def _draws(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and runs of each problem: first one draw of every setting, then a second one of each."""
    # Runs of one problem belong together, whatever their method is.
    none = pd.Series(pd.NA, runs.index, dtype="string")
    every = settings(runs.assign(method="", method_options=none, momentum=math.nan))
    every = [(setting, runs.loc[group.index]) for setting, group in every]
    names = [name for name in differing([setting for setting, _ in every]) if name not in NAMING]
    names += [name for name in DRAW if runs[name].nunique() > 1]
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
    label: str,
    runs: pd.DataFrame,
    spectrum: pd.DataFrame,
    points: Mapping[str, list[list[Any]]],
    methods: Sequence[str],
) -> dict[str, Any]:
    positive = spectrum[spectrum["eigenvalue"] > 0]
    return {
        "label": label,
        "eigenvalue": positive["eigenvalue"].tolist(),
        "error_component_squared": _plain(positive["error_component_squared"], 12),
        "largest": positive["eigenvalue"].iloc[0],
        "smallest": positive["eigenvalue"].iloc[-1],
        "lambda_min": spectrum["eigenvalue"].iloc[-1],
        "distance_squared": runs["initial_distance"].iloc[0] ** 2,
        "row": runs.index.tolist(),
        "method": [methods.index(formula) for formula in runs["formula"]],
        **{name: _exactly(runs[name]) for name in ("step_size", "relative_step", "momentum")},
        "gap_floor": _plain(runs["gap_floor"], 4),
        "points": [points.get(run_id, [[], []]) for run_id in runs["run_id"]],
    }


def _plain(column: pd.Series, digits: int) -> list[Any]:
    """The values of a column for JSON, with null for an empty cell."""
    if column.dtype == NUMBER:
        return [float(rounded(v, digits)) if math.isfinite(v) else None for v in column.tolist()]
    return [None if pd.isna(value) else value for value in column.tolist()]


def _exactly(column: pd.Series) -> list[float | None]:
    """The numbers of a column with all their digits, and null for an empty cell."""
    return [value if math.isfinite(value) else None for value in column.tolist()]
