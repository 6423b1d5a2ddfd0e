"""What the runs of a study say, in a few lines: for the terminal, and for the page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from gdconv import contents
from gdconv.tables import Tables, read_runs

WIDTH = 100
NONE = "–"
SHOWN = 5

# Runs that agree in all of these are repetitions of one another or differ in their step size.
SETTING = (
    *("problem", "n_samples", "n_features", "noise", "problem_options"),
    *("start", "start_which", "start_radius", "method"),
)

# A setting, as column → value, and its runs.
Setting = tuple[dict[str, Any], pd.DataFrame]


# The summary's columns and their headings, in two lines, on the terminal.
_HEADINGS = {
    "problem": ("", "problem"),
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
    "bound_as_stated_fails": ("stated", "fails"),
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
    runs = tables.runs if tables else read_runs(folder)
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


def settings(runs: pd.DataFrame) -> list[Setting]:
    """Split runs into groups that differ in seed, repetition and step size alone.

    Tables of the user, of which no column says which file they are, are told apart by their
    condition numbers.

    Parameters
    ----------
    runs : DataFrame

    Returns
    -------
    list of (dict, DataFrame)
        The columns of `SETTING` with their values, NA where empty, and the runs that have them. Of
        the options only those are there in which problems of one family differ. Runs of several
        studies at once have a column `study`, which comes first.
    """
    runs = runs.assign(problem_options=_differing_options(runs))
    names = [*(["study"] if "study" in runs else []), *SETTING]
    same = runs.groupby([*names, "seed", "repetition"], dropna=False, observed=True)
    keys = [*names, same["condition_number"].rank("dense").fillna(1).rename("variant")]
    return [
        (dict(zip(names, values, strict=False)), group)
        for values, group in runs.groupby(keys, dropna=False, observed=True)
    ]


def with_all_parts(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs but those started along an eigenvector, or all if there are no others.

    Such a start has that eigenvector's part of the gap alone: it shows neither ν nor the rest.
    """
    others = runs[runs["start"] != "eigenvector"]
    return others if len(others) else runs


def _differing_options(runs: pd.DataFrame) -> pd.Series:
    """The options of each run but those that all runs of its family share; NA if none is left."""
    told = pd.Series(pd.NA, runs.index, dtype="string")
    for _, options in runs["problem_options"].dropna().groupby(runs["problem"]):
        words = {each: each.split(" ") for each in options.unique()}
        shared = set.intersection(*map(set, words.values()))
        left = {each: " ".join(w for w in words[each] if w not in shared) for each in words}
        told[options.index] = options.map(left).replace("", pd.NA)
    in_order = sorted(told.dropna().unique(), key=_by_number)
    return told.astype(pd.CategoricalDtype(in_order, ordered=True))


def _by_number(options: str) -> list[tuple[str, float]]:
    """What to sort options by: 3 before 10."""
    found = re.findall(r"([^\d-]+)(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)?", options)
    return [(name, float(number or 0)) for name, number in found]


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
    names = [*SETTING[:3], *(name for name in SETTING[3:] if known[name].nunique(dropna=False) > 1)]
    deficient = (runs["rank"] < runs["n_features"]).any()
    rows = []
    for setting, group in every:
        status = group["status"].value_counts()
        rows.append(
            {name: setting[name] for name in names}
            | ({"rank": group["rank"].min()} if deficient else {})
            | {"runs": len(group)}
            | {name: int(status.get(name, 0)) for name in ("converged", "diverged", "failed")}
            | {"condition_number": group["condition_number"].median()}
            | _best_step(group)
            | verdicts(group)
        )
    return rows


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
    holds, stated = (runs[name].dropna() for name in ("bound_holds", "bound_as_stated_holds"))
    return {
        "bound_holds": f"{holds.sum()}/{len(holds)}",
        "bound_as_stated_fails": f"{(~stated).sum()}/{len(stated)}",
    }


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    headings = zip(*(_HEADINGS[name] for name in rows[0]), strict=True)
    lines = [*headings, *([short(value, 4) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    apart = 2 if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1
    return [
        (" " * apart).join(
            f"{cell:{'<' if k == 0 else '>'}{width}}"
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def errata_facts(runs: pd.DataFrame) -> dict[str, str]:
    """Up to which K/λmax a bound as stated was broken and a run diverged, beside the thresholds.

    Empty where neither happened.
    """
    known = runs.dropna(subset=["K", "lambda_max", "lambda_min", "bound_as_stated_holds"])
    at = known["K"] / known["lambda_max"]
    broken = at[~known["bound_as_stated_holds"].astype(bool)]
    diverged = at[known["status"] == "diverged"]
    facts = {}
    if len(broken):
        thresholds = (1 + known["lambda_min"] / known["lambda_max"]) / 2
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
        "problem": f"{value['problem']}, n_samples {value['n_samples']}, n_features"
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
        "bound_as_stated_holds": value["bound_as_stated_holds"],
    }
    if value["first_violation_as_stated"] != NONE:
        facts["bound_as_stated_holds"] += (
            f", first broken at iteration {value['first_violation_as_stated']}"
        )
    return facts if run["status"] != "failed" else {"problem": facts["problem"]}


def _rank(run: pd.Series) -> str:
    """Worth saying where X has not full column rank: the loss is flat in some directions."""
    deficient = pd.notna(run["rank"]) and run["rank"] < run["n_features"]
    return f"rank {run['rank']} only, " if deficient else ""


def short(value: Any, digits: int = 5) -> str:
    """A value of a table as a reader wants it; NONE for one that does not apply."""
    if pd.isna(value):
        return NONE
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
