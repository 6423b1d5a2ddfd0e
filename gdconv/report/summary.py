"""The results of a study in a few lines, for the terminal and for the page."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gdconv.report.forms import text
from gdconv.report.numerals import NONE, exact, same, short
from gdconv.report.settings import (
    DRAW,
    SAMPLING,
    STEP,
    among,
    by_speed,
    options_of,
    problem_name,
    problems_in,
    settings,
    telling,
    with_files,
)
from gdconv.tables.columns import QUANTITIES
from gdconv.tables.csv import read_runs
from nnlib import terminal

MOST_EXAMPLES = 5
# So many networks have a row of their own, and so many steps of methods that draw samples.
MOST_NETWORKS, MOST_STEPS = 30, 60


def summary(
    folder: Path, runs: pd.DataFrame | None = None, run_ids: Collection[str] | None = None
) -> str:
    """Return what the terminal shows of a study: its folder, how its runs ended, the results.

    Parameters
    ----------
    folder : Path
    runs : DataFrame, optional
        The study's runs, if they have been read already.
    run_ids : collection of str, optional
        The runs to summarise; all by default.

    Returns
    -------
    str
        For a single run, its numbers; for several, a table with a row for each problem and size.
        The best step is the relative step with the fewest iterations to the tolerance, in the
        median over repetitions.
    """
    runs = with_files(read_runs(folder) if runs is None else runs)
    whole = runs
    if run_ids is not None:
        runs = runs[among(runs["run_id"], run_ids)]
    lines = [f"{folder}: {counts(runs)}"]
    if len(runs) < len(whole):
        # Whoever types one command after the other, without a study, should not wonder.
        others = problems_in(whole) - problems_in(runs)
        other = ", also of other problems; study=NAME keeps them apart" * bool(others)
        lines[0] += f" (the study holds {len(whole)} runs{other})"
    if len(runs) == 1:
        lines += text.listed(facts_of(runs.iloc[0]), terminal.room())
    for number, rows in enumerate(tables_of(runs) if len(runs) > 1 else ()):
        lines += [""] * (number > 0) + text.table(rows, text.room())
    if len(runs) > 1 and (more := int(of_networks(runs).sum()) - MOST_NETWORKS) > 0:
        lines.append(f"and {more} other networks: see runs.csv")
    drawing = runs[of_samples(runs)]
    if len(drawing) > MOST_STEPS and (more := len(_rows_of_samples(drawing)) - MOST_STEPS) > 0:
        lines.append(f"and {more} other steps of methods that draw samples: see runs.csv")
    errors = runs["error"].value_counts(sort=False)
    lines += [f"{count} failed: {error}" for error, count in errors[:MOST_EXAMPLES].items()]
    if (more := len(errors) - MOST_EXAMPLES) > 0:
        lines.append(f"and {more} other failures: see the column error of runs.csv")
    room = terminal.room()
    return "\n".join(part for line in lines for part in terminal.folded(line, room))


class Standing(NamedTuple):
    """Where a study stands.

    Attributes
    ----------
    folder : str
    done, failed, missing : int
        Numbers of runs. Missing are those that the latest command should have added and did not.
    statuses : dict
        How many runs there are with each status.
    command, started : str
        The latest command.
    finished : bool
    changed : list of str
        The tables that were changed after the study was finished.
    """

    folder: str
    done: int
    failed: int
    missing: int
    statuses: dict[str, int]
    command: str
    started: str
    finished: bool
    changed: list[str]


def status(folder: Path) -> Standing:
    """Return where a study stands, which may be finished, interrupted or still running.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds no study, or one that is damaged.
    """
    from gdconv.tables import contents

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
        # Another command has begun meanwhile, so the folder is still being written.
        finished, changed = False, []
    failed = int((runs["status"] == "failed").sum())
    done = len(runs) - failed
    numbers = done, failed, missing, by_status(runs)
    return Standing(str(folder), *numbers, typed, started, finished, changed)


def told(study: Standing) -> str:
    """Return in a few lines where a study stands, and what to do."""
    parts = ", ".join(f"{count} {status}" for status, count in study.statuses.items())
    runs = sum(study.statuses.values())
    lines = [
        f"{study.folder}: {study.done} done, {study.failed} failed, {study.missing} missing",
        f"  {runs} run{'s' * (runs != 1)}" + (f": {parts}" if parts else ""),
        f"  latest command, {study.started}: {study.command}",
    ]
    if study.changed:
        lines.append(
            f"  changed after the study was finished: {' and '.join(study.changed)}. Restore what"
            " was there, or continue with accept_changed=true"
        )
    elif study.missing > 0 or not study.finished:
        lines.append("  it is still running, or has been stopped: the same command continues it")
    if study.failed:
        lines.append("  with retry_failed=true it runs those again that have failed")
    return "\n".join(lines)


def counts(runs: pd.DataFrame) -> str:
    """Return how many runs there are in total, and with each status."""
    parts = statuses(runs)
    return f"{len(runs)} run{'s' * (len(runs) != 1)}" + (f": {parts}" if parts else "")


def statuses(runs: pd.DataFrame) -> str:
    """Return how many runs there are with each status."""
    return ", ".join(f"{count} {status}" for status, count in by_status(runs).items())


def by_status(runs: pd.DataFrame) -> dict[str, int]:
    """Return the number of runs with each status, in alphabetic order."""
    return runs["status"].value_counts().sort_index().to_dict()


def of_networks(runs: pd.DataFrame) -> pd.Series:
    """Return which runs train networks."""
    return (runs["problem"] == "network").astype(bool)


def of_samples(runs: pd.DataFrame) -> pd.Series:
    """Return which runs are of methods that draw samples, on least squares."""
    return runs["method"].isin(SAMPLING).astype(bool) & ~of_networks(runs)


def tables_of(runs: pd.DataFrame) -> list[list[dict[str, Any]]]:
    """Return the rows that sum up the runs: tables of one or several kinds, where there are any.

    They are of methods that use all samples, of methods that draw samples, and of networks.
    """
    networks, drawing = of_networks(runs), of_samples(runs)
    kinds = [
        (~networks & ~drawing, rows_by_setting),
        (drawing, lambda some: _rows_of_samples(some)[:MOST_STEPS]),
        (networks, _rows_of_networks),
    ]
    return [rows_of(runs[of_kind]) for of_kind, rows_of in kinds if of_kind.any()]


def _rows_of_samples(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row for each setting and step: how far it came, and what theory expects.

    Numbers are medians over seeds and repetitions.
    """
    every = [(_told_once(setting), group) for setting, group in settings(runs)]
    names = telling([setting for setting, _ in every])
    medians = ["condition_number", "step_size", "step_limit", "final_gap", "gap_stationary"]
    rows = []
    for setting, group in every:
        for _, of_step in group.groupby(STEP, dropna=False):
            count, median = by_status(of_step), of_step[medians].median()
            tested = of_step["expectation_agrees"].dropna()
            row = (
                {name: as_asked(setting[name]) for name in names}
                | {name: median[name] for name in medians[:3]}
                | {"runs": len(of_step)}
                | {name: count.get(name, 0) for name in ("converged", "diverged", "failed")}
                | {name: median[name] for name in medians[3:]}
                | {"expectation_agrees": f"{tested.sum()}/{len(tested)}" if len(tested) else NONE}
            )
            rows.append({QUANTITIES[name].heading: value for name, value in row.items()})
    return rows


def _rows_of_networks(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row for each of the first networks: what differs, and how its training ended."""
    names = ["step_size", "first_crossing", "first_rise", "sharpness_tail_mean", "final_loss"]
    names += ["dead_units"] * bool(runs["dead_units"].notna().any()) + ["verdict"]
    every = [(setting, group) for setting, group in settings(runs)]
    told = telling([setting for setting, _ in every])
    draws = [name for name in DRAW if runs[name].nunique() > 1]
    rows = [
        {name: as_asked(setting[name]) for name in told}
        | {name: run[name] for name in draws + names}
        for setting, group in every
        for _, run in runs.loc[group.index].iterrows()
    ]
    return [
        {QUANTITIES[name].heading: value for name, value in row.items()}
        for row in rows[:MOST_NETWORKS]
    ]


def rows_by_setting(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row for each setting, with its problem, its size and whatever else differs.

    The values stand under the headings of their quantities.
    """
    every = [(_told_once(setting), group) for setting, group in settings(runs)]
    names = telling([setting for setting, _ in every])
    deficient = (runs["rank"] < runs["n_features"]).any()
    stated = runs.empty or not _other_method(runs).all()
    rows = []
    for setting, group in every:
        count = by_status(group)
        verdict = verdicts(group)
        if _other_method(group).all():
            verdict["bound_coursework_fails"] = NONE
        if group["bound_holds"].isna().all():
            verdict["bound_holds"] = NONE
        row = (
            {name: as_asked(setting[name]) for name in names}
            | ({"rank": group["rank"].min()} if deficient else {})
            | {"runs": len(group)}
            | {name: count.get(name, 0) for name in ("converged", "diverged", "failed")}
            | {"condition_number": group["condition_number"].median()}
            | _best_step(group)
            | {name: verdict[name] for name in verdict if stated or name == "bound_holds"}
        )
        rows.append({QUANTITIES[name].heading: value for name, value in row.items()})
    return rows


def as_asked(value: Any) -> Any:
    """Return a value that the user gave with all its digits, so that different values differ."""
    return exact(value, 4) if isinstance(value, float) and pd.notna(value) else value


def _other_method(runs: pd.DataFrame) -> pd.Series:
    """Which runs are of a method for which the coursework's bound is not stated."""
    return runs["method"].notna() & (runs["method"] != "gradient_descent").fillna(False)


def _told_once(setting: dict[str, Any]) -> dict[str, Any]:
    """A setting without the option that asks for κ, which has a column of its own."""
    options = setting["problem_options"]
    if pd.isna(options):
        return setting
    others = [word for word in options_of(options) if not word.startswith("condition_number=")]
    return setting | {"problem_options": " ".join(others) or pd.NA}


def _best_step(runs: pd.DataFrame) -> dict[str, Any]:
    needed = ["relative_step", "iterations_to_tolerance", "iterations_predicted"]
    by_step = by_speed(runs)
    best = by_step[by_step["iterations_to_tolerance"] < float("inf")][:1]
    values = best[needed].iloc[0] if len(best) else dict.fromkeys(needed)
    return {"best_step": values["relative_step"]} | {name: values[name] for name in needed[1:]}


def verdicts(runs: pd.DataFrame) -> dict[str, str]:
    """In how many of the runs with a verdict the bound holds, and the coursework's bound fails."""
    holds, stated = (runs[name].dropna() for name in ("bound_holds", "bound_coursework_holds"))
    return {
        "bound_holds": f"{holds.sum()}/{len(holds)}",
        "bound_coursework_fails": f"{(~stated).sum()}/{len(stated)}",
    }


def errata_facts(runs: pd.DataFrame) -> dict[str, str]:
    """Return the largest K/λmax at which the coursework's bound failed, and a run diverged.

    Each stands beside its threshold by theory, and is left out if it did not happen.
    """
    known = runs.dropna(subset=["K", "lambda_max", "lambda_min", "bound_coursework_holds"])
    at = known["K"] / known["lambda_max"]
    broken = at[~known["bound_coursework_holds"].astype(bool)]
    diverged = at[known["status"] == "diverged"]
    facts = {}
    if len(broken):
        # If all eigenvalues are equal, the coursework's bound is true for every K.
        several = known[~same(known["lambda_min"], known["lambda_max"])]
        thresholds = (1 + several["lambda_min"] / several["lambda_max"]) / 2
        least, most = short(thresholds.min(), 3), short(thresholds.max(), 3)
        facts["coursework's bound broken"] = (
            f"at K/λmax up to {short(broken.max(), 3)}; by theory below (λmin + λmax)/2, that is"
            f" {least if least == most else f'{least} to {most}'}"
        )
    if len(diverged):
        facts["diverged"] = (
            f"at K/λmax up to {short(diverged.max(), 3)}; by theory below λmax/2, that is 0.5,"
            " although the coursework asks only for K > λmin"
        )
    return facts


def facts_of(run: pd.Series) -> dict[str, str]:
    """Return the main numbers of a single run, under the names of their columns in runs.csv."""
    value = run.map(short)
    problem = {
        "problem": f"{problem_name(run)}, n_samples {value['n_samples']}, n_features"
        f" {value['n_features']}, {_rank(run)}seed {value['seed']}, repetition"
        f" {value['repetition']}"
    }
    if run["problem"] == "network":
        return problem | (_facts_of_network(run, value) if run["status"] != "failed" else {})
    facts = problem | {
        "condition_number": value["condition_number"],
        **_of_method(run, value),
        "rate_measured": f"{value['rate_measured']} ({value['convergence']}),"
        f" predicted {value['rate_predicted']}",
        "iterations": value["iterations"],
        "iterations_to_tolerance": f"{value['iterations_to_tolerance']},"
        f" predicted {value['iterations_predicted']}",
        "final_gap": f"{value['final_gap']} of {value['initial_gap']}, rounding floor"
        f" {value['gap_floor']}",
        "bound_holds": value["bound_holds"],
    }
    if run[["gap_stationary", "batch_critical"]].notna().any():
        # A method that draws samples has no rounding floor, and no bound.
        facts |= {
            "rate_predicted": value["rate_predicted"],
            "final_gap": f"{value['final_gap']} of {value['initial_gap']}, noise floor"
            f" {value['gap_stationary']}",
            "expectation_agrees": value["expectation_agrees"],
        }
        for name in ("rate_measured", "iterations_to_tolerance", "bound_holds"):
            del facts[name]
    if pd.notna(run["delayed_at"]):
        facts["delayed_at"] = f"{value['delayed_at']}: rounding has changed the steps that follow"
    if not _other_method(run.to_frame().T).all():
        facts["bound_coursework_holds"] = value["bound_coursework_holds"]
    if value["first_violation_coursework"] != NONE:
        facts["bound_coursework_holds"] += (
            f", first broken at iteration {value['first_violation_coursework']}"
        )
    return facts if run["status"] != "failed" else {"problem": facts["problem"]}


def _facts_of_network(run: pd.Series, value: pd.Series) -> dict[str, str]:
    """The main numbers of a run that trains a network."""
    crossed = f"crossed at iteration {value['first_crossing']}"
    if pd.isna(run["first_crossing"]):
        crossed = "not crossed"
    return {
        "problem_options": str(run["problem_options"]),
        **_of_method(run, value),
        "threshold": f"{value['threshold']}, {crossed}; late in the run the sharpness is"
        f" {value['sharpness_tail_mean']} of it",
        "iterations": value["iterations"],
        "first_rise": value["first_rise"],
        "final_loss": f"{value['final_loss']} of {value['initial_loss']}",
        **({"dead_units": value["dead_units"]} if pd.notna(run["dead_units"]) else {}),
        "verdict": value["verdict"],
    }


def _of_method(run: pd.Series, value: pd.Series) -> dict[str, str]:
    """The method, unless it is gradient descent, its step, and what momentum does to it."""
    facts, stable = {}, run["stable"]
    other = _other_method(run.to_frame().T).all()
    if other:
        options = f" {run['method_options']}" if pd.notna(run["method_options"]) else ""
        facts["method"] = f"{run['method']}{options}"
        if pd.notna(run["momentum"]):
            facts["momentum"] = value["momentum"]
    if pd.notna(run["relative_step"]) or not other:
        facts["relative_step"] = f"{value['relative_step']} (step_size {value['step_size']})"
    if pd.notna(stable) and (not stable or (other and pd.notna(run["step_limit"]))):
        limit = f", limit of step_size {value['step_limit']}" * pd.notna(run["step_limit"])
        if not stable and pd.notna(run["step_limit_fourth_moment"]):
            # A default step is far too long for some batches.
            limit += "; half of it is step.unit=limit step.value=0.5"
        facts["stable"] = f"{value['stable']}{limit}"
    growth = run["growth_predicted"]
    if pd.notna(stable) and stable and pd.notna(growth) and growth > 1 and not same(growth, 1):
        facts["growth_predicted"] = f"at most {value['growth_predicted']} times the initial gap"
    return facts


def _rank(run: pd.Series) -> str:
    """The rank, if X does not have full column rank; then the loss is flat in some directions."""
    deficient = pd.notna(run["rank"]) and run["rank"] < run["n_features"]
    return f"rank {run['rank']} only, " if deficient else ""
