"""Compare two studies: as one set of tables for the figures, and run by run."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from gdconv.config.rules import ConfigError, shown
from gdconv.report.forms import text
from gdconv.report.numerals import short
from gdconv.report.settings import (
    DRAW,
    SETTING,
    STEP,
    problem_name,
    problems_in,
    settings,
    telling,
    told,
    with_files,
)
from gdconv.report.summary import MOST_EXAMPLES, as_asked
from gdconv.tables.columns import QUANTITIES
from gdconv.tables.csv import Tables, tables_of
from gdconv.tables.study import found, path_of

# Runs of two studies that agree in these columns are the same experiment. Files are compared by
# content, not by name.
KEYS = (*("content" if name == "file" else name for name in SETTING), *DRAW, *STEP)
BOTH = "both"

# What is compared. Each has columns NAME_1, NAME_2 and NAME_difference.
_MEASURED = ("rate_measured", "iterations", "iterations_to_tolerance")


def labels(folders: Sequence[Path]) -> list[str]:
    """Return labels for studies: the names of their folders, or the paths if two are equal.

    Raises
    ------
    ValueError
        If two are the same folder.
    """
    resolved = [folder.resolve() for folder in folders]
    if len({*resolved}) < len(resolved):
        raise ValueError("is the study that it is to be compared with")
    names = [folder.name for folder in resolved]
    return names if len({*names}) == len(names) else [str(folder) for folder in resolved]


def together(studies: Sequence[Tables], labels: Sequence[str]) -> Tables:
    """Return the tables of some studies as one; the column `study` of runs tells them apart.

    Runs of different studies stay different, even if they have the same identifier.
    """

    def marked(table: pd.DataFrame, number: int) -> pd.DataFrame:
        named = [name for name in ("run_id", "problem_id") if name in table]
        return table.assign(**{name: f"{number}:" + table[name] for name in named})

    numbered = list(enumerate(studies))
    runs = [marked(tables.runs, n).assign(study=labels[n]) for n, tables in numbered]
    return Tables(
        pd.concat(runs, ignore_index=True),
        *(
            pd.concat([marked(tables[k], n) for n, tables in numbered], ignore_index=True)
            for k in range(1, len(Tables._fields))
        ),
    )


def compare(
    first: Tables | str | PathLike[str], second: Tables | str | PathLike[str]
) -> pd.DataFrame:
    """Return how the runs of two studies differ, a row for each run.

    Parameters
    ----------
    first, second : Tables or path
        What `run_study` or `read` returned, or the folder of a study.

    Returns
    -------
    DataFrame
        As `differences`, where `found_in` says "both", "first" or "second". Of two folders it says
        their names.

    Raises
    ------
    ConfigError, FileNotFoundError, ValueError
        If one of them is no study, or they have no run in common; the message says what differs.
    """
    tables = tables_of("first", first), tables_of("second", second)
    names = ["first", "second"]
    if not isinstance(first, Tables) and not isinstance(second, Tables):
        try:
            names = labels([found(path_of("first", first)), found(path_of("second", second))])
        except ValueError as error:
            raise ConfigError("second", shown(second), str(error)) from None
    table = differences(*tables, names)
    if not (table["found_in"] == BOTH).any():
        raise ValueError(f"{names[0]} and {names[1]} have no run in common: {_apart(table, names)}")
    return table


def shared(studies: Sequence[Tables], labels: Sequence[str]) -> dict[str, list[Any]]:
    """Return what some studies have in common: column → the values that are in all of them.

    Raises
    ------
    ValueError
        If no problem is in all of them; the message says what differs.
    """
    known = [problems_in(tables.runs) for tables in studies]
    for label, tables, own in zip(labels[1:], studies[1:], known[1:], strict=True):
        if not own & known[0]:
            pair = [labels[0], label]
            why = _apart(differences(studies[0], tables, pair), pair)
            raise ValueError(f"{pair[0]} and {label} have no problem in common: {why}")
    if not set.intersection(*known):
        raise ValueError(f"no problem is in all of {', '.join(labels)}")
    values = {name: [{*tables.runs[name].dropna()} for tables in studies] for name in KEYS}
    common = {name: sorted(set.intersection(*each)) for name, each in values.items()}
    return {name: each for name, each in common.items() if each}


def _apart(table: pd.DataFrame, labels: Sequence[str]) -> str:
    """What two studies without a common run never share."""
    sides = [table[table["found_in"] == label] for label in labels]
    for label, side in zip(labels, sides, strict=True):
        if side.empty:
            return f"{label} has no runs"
    found = []
    for name in KEYS:
        values = [side[name].drop_duplicates() for side in sides]
        if values[0].isin(values[1]).any():
            continue
        name = "file" if name == "content" and table["file"].notna().all() else name
        told = [_few(side[name].drop_duplicates()) for side in sides]
        found.append(f"{name} is {told[0]} in {labels[0]}, and {told[1]} in {labels[1]}")
    return "; ".join(found) or "every value occurs in both, but never with the others of its run"


def _few(values: pd.Series) -> str:
    """Some values in words."""
    words = ["empty" if pd.isna(value) else str(as_asked(value)) for value in values]
    more = len(words) - MOST_EXAMPLES
    return " or ".join(words[:MOST_EXAMPLES]) + f" or {more} others" * (more > 0)


def differences(first: Tables, second: Tables, labels: Sequence[str]) -> pd.DataFrame:
    """Return a row for each run of two studies; a run that is in both has one row.

    Parameters
    ----------
    first, second : Tables
    labels : sequence of str

    Returns
    -------
    DataFrame
        `found_in`, which is "both" or the label of the only study that has the run; the columns of
        `KEYS`, and `file`, the name of the file; relative_step and condition_number; NAME_1, NAME_2
        and NAME_difference (the second minus the first) of rate_measured, iterations and
        iterations_to_tolerance; status_1, status_2.
    """
    sides = [_numbered(tables.runs) for tables in (first, second)]
    merged = sides[0].merge(
        sides[1], "outer", [*KEYS, "occurrence"], suffixes=("_1", "_2"), indicator="found_in"
    )
    where = {"both": BOTH, "left_only": labels[0], "right_only": labels[1]}
    table = pd.DataFrame({"found_in": merged["found_in"].astype("str").map(where)})
    table[list(KEYS)] = merged[list(KEYS)]
    names = with_files(pd.concat([first.runs, second.runs])[["content", "file"]]).drop_duplicates()
    of_content = names.dropna().set_index("content")["file"]
    file = table["content"].map(of_content).astype("string")
    table.insert(table.columns.get_loc("content"), "file", file)
    for name in ("relative_step", "condition_number"):
        table[name] = merged[f"{name}_1"].fillna(merged[f"{name}_2"])
    for name in ("status", *_MEASURED):
        table[[f"{name}_1", f"{name}_2"]] = merged[[f"{name}_1", f"{name}_2"]]
        if name in _MEASURED:
            table[f"{name}_difference"] = merged[f"{name}_2"] - merged[f"{name}_1"]
    return table


def _numbered(runs: pd.DataFrame) -> pd.DataFrame:
    """The compared columns, with a number that tells apart runs of a study that agree in `KEYS`."""
    runs = runs.sort_values(["condition_number", "run_id"], kind="stable")
    occurrence = runs.groupby(list(KEYS), dropna=False).cumcount()
    columns = [*KEYS, "relative_step", "condition_number", "status", *_MEASURED]
    return runs[columns].assign(occurrence=occurrence)


def describe(table: pd.DataFrame, labels: Sequence[str], width: int | None = None) -> str:
    """Return in a few lines how two studies differ.

    Parameters
    ----------
    table : DataFrame
        From `differences`.
    labels : sequence of str
    width : int, optional
        Of the table among the lines; any width by default.

    Returns
    -------
    str
        Counts, a row for each problem, and some single runs.
    """
    count = table["found_in"].value_counts()
    lines = [
        f"{count.get(BOTH, 0)} runs in both, "
        + ", ".join(f"{count.get(label, 0)} only in {label}" for label in labels)
    ]
    every = settings(table)
    names = telling([setting for setting, _ in every])
    if every:
        rows = [_row(setting, names, runs, labels) for setting, runs in every]
        lines += text.aligned(rows) if width is None else text.table(rows, width)
    both = table[table["found_in"] == BOTH]
    off = both["rate_measured_difference"].abs()
    largest = both.loc[off[off > 0].sort_values(ascending=False, kind="stable").index]
    largest = largest[:MOST_EXAMPLES]
    if len(largest):
        lines.append("largest differences of the rate:")
        lines += [
            f"  {_name(run)}: rate_measured {short(run['rate_measured_1'])} and"
            f" {short(run['rate_measured_2'])}, iterations {short(run['iterations_1'])} and"
            f" {short(run['iterations_2'])}"
            for _, run in largest.iterrows()
        ]
    for label in labels:
        alone = table[table["found_in"] == label]
        if len(alone):
            lines.append(f"only in {label}:")
            lines += [f"  {_name(run)}" for _, run in alone[:MOST_EXAMPLES].iterrows()]
        if (more := len(alone) - MOST_EXAMPLES) > 0:
            lines.append(f"  and {more} more: see differences.csv")
    return "\n".join(lines)


def _row(
    setting: dict[str, Any], names: Sequence[str], runs: pd.DataFrame, labels: Sequence[str]
) -> dict[str, Any]:
    count = runs["found_in"].value_counts()
    both = runs[runs["found_in"] == BOTH]
    largest = {name: both[f"{name}_difference"].astype("float64").abs().max() for name in _MEASURED}
    return (
        {QUANTITIES[name].heading: as_asked(setting[name]) for name in names}
        | {"both": count.get(BOTH, 0)}
        | {f"only {label}": count.get(label, 0) for label in labels}
        | {f"max |Δ {QUANTITIES[name].heading}|": value for name, value in largest.items()}
    )


def _name(run: pd.Series) -> str:
    options = f" {run['problem_options']}" if pd.notna(run["problem_options"]) else ""
    at = told(run, ("n_samples", "n_features", "seed", "repetition", "start"))
    method = "" if pd.isna(run["method_options"]) else f"{run['method']} {run['method_options']}"
    momentum = told(run, ["momentum"]) if pd.notna(run["momentum"]) else ""
    step = ""
    # A method may take no step.
    if pd.notna(run["step_unit"]):
        step = f"step.{run['step_unit']} {as_asked(run['step_value'])}"
    return ", ".join(filter(None, (f"{problem_name(run)}{options}", at, method, momentum, step)))
