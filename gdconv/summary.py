"""What the runs of a study say, in a few lines: for the terminal, and for the page."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from gdconv import contents
from gdconv.numerals import NONE, exact, same, short
from gdconv.settings import NAMING, SETTING, problem_name, settings, with_files
from gdconv.tables import Tables, read_runs

WIDTH = 100
SHOWN = 5

# The summary's columns and their headings, in two lines, on the terminal.
_HEADINGS = {
    "problem": ("", "problem"),
    "file": ("", "file"),
    "n_samples": ("", "n"),
    "n_features": ("", "d"),
    "noise": ("", "noise"),
    "problem_options": ("", "options"),
    "start": ("", "start"),
    "start_which": ("start", "which"),
    "start_radius": ("start", "radius"),
    "method": ("", "method"),
    "rank": ("", "rank"),
    "runs": ("", "runs"),
    "converged": ("", "conv."),
    "diverged": ("", "div."),
    "failed": ("", "fail."),
    "condition_number": ("", "κ"),
    "best_step": ("best", "step"),
    "iterations_to_tolerance": ("iterations", "measured"),
    "iterations_predicted": ("", "predicted"),
    "bound_holds": ("bound", "holds"),
    "bound_coursework_fails": ("stated", "fails"),
}


def summary(
    folder: Path, tables: Tables | None = None, run_ids: Collection[str] | None = None
) -> str:
    """Return what the terminal shows of a study: where it is, how its runs ended, what came out.

    Parameters
    ----------
    folder : Path
    tables : Tables, optional
        Its tables, if they have been read already.
    run_ids : collection of str, optional
        The runs to tell of; all by default.

    Returns
    -------
    str
        The numbers of a single run; of more, a table with a row for each problem and size. Its
        best step is the relative step with the fewest iterations to the tolerance, in the median
        over repetitions.
    """
    runs = with_files(tables.runs if tables else read_runs(folder))
    every = len(runs)
    if run_ids is not None:
        runs = runs[runs["run_id"].isin(list(run_ids))]
    lines = [f"{folder}: {counts(runs)}"]
    if len(runs) < every:
        lines[0] += f" (the study holds {every} runs)"
    if len(runs) == 1:
        facts = _facts(runs.iloc[0])
        width = max(map(len, facts))
        lines += [f"  {name:{width}}  {value}" for name, value in facts.items()]
    elif len(runs):
        lines += _columns(rows_by_setting(runs))
    errors = runs["error"].value_counts(sort=False)
    lines += [f"{count} failed: {error}" for error, count in errors[:SHOWN].items()]
    if len(errors) > SHOWN:
        lines.append(f"and {len(errors) - SHOWN} other failures: see the column error of runs.csv")
    return "\n".join(lines)


def status(folder: Path) -> tuple[str, list[str]]:
    """Tell how many runs of a study are done, have failed and are missing, and what to do.

    The missing ones are those that the latest command was to add and has not.

    Parameters
    ----------
    folder : Path
        Of a study, finished, interrupted or still running.

    Returns
    -------
    str
        The text.
    list of str
        The tables that are no longer as the study was finished.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds no study, or not as gdconv writes it.
    """
    runs = read_runs(folder)
    history = contents.provenance(folder)
    try:
        latest = history["commands"][-1]
        missing = max(0, latest["held"] + latest["planned"] - len(runs))
        typed, started = shlex.join(latest["command"]), latest["started"]
    except (KeyError, IndexError, TypeError, ValueError):
        raise contents.DamagedError("provenance.json is not as gdconv wrote it") from None
    finished, changed = contents.standing(folder, history)
    if contents.provenance(folder) != history:
        # A command has begun meanwhile.
        finished, changed = False, []
    failed = int((runs["status"] == "failed").sum())
    lines = [
        f"{folder}: {len(runs) - failed} done, {failed} failed, {missing} missing",
        f"  {counts(runs)}",
        f"  latest command, {started}: {typed}",
    ]
    if changed:
        lines.append(
            f"  it is no longer as it was finished, in {' and '.join(changed)}: put back what was"
            " there, or go on with accept_changed=true"
        )
    elif missing > 0 or not finished:
        lines.append("  it is still running, or has been stopped: the same command continues it")
    if failed:
        lines.append("  with retry_failed=true it runs those again that have failed")
    return "\n".join(lines), changed


def headed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `rows_by_setting` under the headings of the printed table."""
    return {" ".join(_HEADINGS[name]).strip(): value for name, value in row.items()}


def counts(runs: pd.DataFrame) -> str:
    """Return how many runs there are, and of each status."""
    by_status = runs["status"].value_counts().sort_index()
    parts = ", ".join(f"{count} {status}" for status, count in by_status.items())
    return f"{len(runs)} run{'s' * (len(runs) != 1)}" + (f": {parts}" if parts else "")


def rows_by_setting(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each setting, named by its problem and size and by what else differs."""
    every = settings(runs)
    known = pd.DataFrame([setting for setting, _ in every], columns=list(SETTING))
    names = [
        name
        for name in SETTING
        if known[name].nunique(dropna=False) > 1 or (name in NAMING and known[name].notna().any())
    ]
    deficient = (runs["rank"] < runs["n_features"]).any()
    rows = []
    for setting, group in every:
        status = group["status"].value_counts()
        rows.append(
            {name: as_asked(setting[name]) for name in names}
            | ({"rank": group["rank"].min()} if deficient else {})
            | {"runs": len(group)}
            | {name: int(status.get(name, 0)) for name in ("converged", "diverged", "failed")}
            | {"condition_number": group["condition_number"].median()}
            | _best_step(group)
            | verdicts(group)
        )
    return rows


def as_asked(value: Any) -> Any:
    """Return a value that was asked for with all its digits, so that two stay two."""
    return exact(value, 4) if isinstance(value, float) and pd.notna(value) else value


def _best_step(runs: pd.DataFrame) -> dict[str, Any]:
    needed = ["relative_step", "iterations_to_tolerance", "iterations_predicted"]
    counts = runs[needed].astype("float64")
    # A run that never got there took longer than all others.
    counts["iterations_to_tolerance"] = counts["iterations_to_tolerance"].fillna(float("inf"))
    by_step = counts.groupby([runs["step_unit"], runs["step_value"]]).median()
    order = ["iterations_to_tolerance", "iterations_predicted", "relative_step"]
    best = by_step[by_step["iterations_to_tolerance"] < float("inf")].sort_values(order)[:1]
    values = best[needed].iloc[0] if len(best) else dict.fromkeys(needed)
    return {"best_step": values["relative_step"]} | {name: values[name] for name in needed[1:]}


def verdicts(runs: pd.DataFrame) -> dict[str, str]:
    """In how many runs, of those with a verdict, the bound holds and as stated fails."""
    holds, stated = (runs[name].dropna() for name in ("bound_holds", "bound_coursework_holds"))
    return {
        "bound_holds": f"{holds.sum()}/{len(holds)}",
        "bound_coursework_fails": f"{(~stated).sum()}/{len(stated)}",
    }


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    headings = zip(*(_HEADINGS[name] for name in rows[0]), strict=True)
    lines = [*headings, *([short(value, 4) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = ["<" if name in ("problem", "file") else ">" for name in rows[0]]
    apart = 2 if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1
    return [
        (" " * apart).join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)
        )
        for line in lines
    ]


def errata_facts(runs: pd.DataFrame) -> dict[str, str]:
    """Up to which K/λmax a bound as stated was broken and a run diverged, beside the thresholds.

    Empty where neither happened.
    """
    known = runs.dropna(subset=["K", "lambda_max", "lambda_min", "bound_coursework_holds"])
    at = known["K"] / known["lambda_max"]
    broken = at[~known["bound_coursework_holds"].astype(bool)]
    diverged = at[known["status"] == "diverged"]
    facts = {}
    if len(broken):
        # Where all eigenvalues are one, the bound as stated is the true one.
        several = known[~same(known["lambda_min"], known["lambda_max"])]
        thresholds = (1 + several["lambda_min"] / several["lambda_max"]) / 2
        least, most = short(thresholds.min(), 3), short(thresholds.max(), 3)
        facts["as stated broken"] = (
            f"at K/λmax up to {short(broken.max(), 3)}; by theory below (λmin + λmax)/2, that is"
            f" {least if least == most else f'{least} to {most}'}"
        )
    if len(diverged):
        facts["diverged"] = (
            f"at K/λmax up to {short(diverged.max(), 3)}; by theory below λmax/2, that is 0.5,"
            " though as stated every K > λmin will do"
        )
    return facts


def _facts(run: pd.Series) -> dict[str, str]:
    """What one wants to know of a single run, as it stands in runs.csv."""
    value = run.map(short)
    facts = {
        "problem": f"{problem_name(run)}, n_samples {value['n_samples']}, n_features"
        f" {value['n_features']}, {_rank(run)}seed {value['seed']}, repetition"
        f" {value['repetition']}",
        "condition_number": value["condition_number"],
        "relative_step": f"{value['relative_step']} (step_size {value['step_size']})",
        "rate_measured": f"{value['rate_measured']} ({value['convergence']}),"
        f" predicted {value['rate_predicted']}",
        "iterations": value["iterations"],
        "iterations_to_tolerance": f"{value['iterations_to_tolerance']},"
        f" predicted {value['iterations_predicted']}",
        "final_gap": f"{value['final_gap']} of {value['initial_gap']}, rounding floor"
        f" {value['gap_floor']}",
        "bound_holds": value["bound_holds"],
        "bound_coursework_holds": value["bound_coursework_holds"],
    }
    if value["first_violation_coursework"] != NONE:
        facts["bound_coursework_holds"] += (
            f", first broken at iteration {value['first_violation_coursework']}"
        )
    return facts if run["status"] != "failed" else {"problem": facts["problem"]}


def _rank(run: pd.Series) -> str:
    """Worth saying where X has not full column rank: the loss is flat in some directions."""
    deficient = pd.notna(run["rank"]) and run["rank"] < run["n_features"]
    return f"rank {run['rank']} only, " if deficient else ""
