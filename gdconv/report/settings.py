"""Which runs of a study belong together, which are shown, and the words for what they share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdconv.report.numerals import same, short
from gdconv.tables.columns import QUANTITIES
from gdconv.tables.csv import ALSO

# Runs that agree in all of these columns differ only in seed, repetition or step size.
SETTING = (
    *("problem", "file", "n_samples", "n_features", "noise", "problem_options"),
    *("start", "start_which", "start_radius", "method", "method_options", "momentum"),
)
# Of these, the columns that tell how a problem was solved; the others tell which problem it was.
METHOD = SETTING[-3:]
# Columns that name a problem even if it is the only one, unless they are empty.
NAMING = SETTING[:4]
# The methods that choose each step by what they see. Their ν² is an upper limit of the rate.
CHOOSING = ("barzilai_borwein", "conjugate_gradient", "polyak", "steepest_descent")
# The methods that draw samples.
SAMPLING = ("coordinate_descent", "kaczmarz", "sgd")
# Columns that tell apart the draws of a setting, and its steps as they were asked for.
DRAW, STEP = ["seed", "repetition"], ["step_unit", "step_value"]
# A longer file name loses its middle; of several names, only the first ones are shown.
LONGEST_NAME, MOST_NAMES = 28, 2

# A setting, as column → value, and its runs.
Setting = tuple[dict[str, Any], pd.DataFrame]


def with_files(runs: pd.DataFrame, can_draw: Callable[[str], bool] | None = None) -> pd.DataFrame:
    """Return the runs of one or several studies with a label for each file in the column `file`.

    The label is the file's name, or all names if one content had several. If another content had
    one of these names too, the hash of the content is added. If no name is known, the hash stands
    alone.

    Parameters
    ----------
    runs : DataFrame
    can_draw : callable, optional
        For a figure, which has room for one name: tells whether it can draw a text.
    """
    names: dict[str, list[str]] = {}
    for content, known in runs["file"].groupby(runs["content"]):
        every = ALSO.join(known.dropna().unique()).split(ALSO)
        names[str(content)] = list(dict.fromkeys(_printable(name) for name in every if name))
    owners = Counter(name for known in names.values() for name in known)

    def label(content: str) -> str:
        known = names[content]
        shown, more = known[:MOST_NAMES], len(known) - MOST_NAMES
        if can_draw:
            shown, more = [name for name in known[:1] if can_draw(name)], 0
        if not shown:
            return content
        shared = any(owners[name] > 1 for name in known)
        return ALSO.join(shown) + f" and {more} more" * (more > 0) + f" ({content})" * shared

    labels = {content: label(content) for content in names}
    return runs.assign(file=runs["content"].map(labels).astype("string"))


def _printable(name: str) -> str:
    """A file's name without control characters, shortened to leave room for other words."""
    text = "".join(char if char.isprintable() else "?" for char in name)
    half = LONGEST_NAME // 2
    return text if len(text) <= LONGEST_NAME else f"{text[: half - 1]}…{text[-half:]}"


def problem_name(run: pd.Series) -> str:
    """Return the family of a run's problem, with the file if it has one."""
    return str(run["problem"]) if pd.isna(run["file"]) else f"{run['problem']} {run['file']}"


def problems_in(runs: pd.DataFrame) -> set[tuple[str, ...]]:
    """Return what tells apart the problems of some runs, but for seed and repetition, as texts.

    Files are compared by content, not by name.
    """
    names = ["content" if name == "file" else name for name in SETTING if name not in METHOD]
    return {*runs[names].astype("string").fillna("").itertuples(index=False, name=None)}


def told(run: pd.Series, names: Iterable[str]) -> str:
    """Return some values of a run with the names of their quantities: d = 20, seed 0."""
    return ", ".join(QUANTITIES[name].tell(short(run[name])) for name in names)


def settings(runs: pd.DataFrame, but: Collection[str] = ()) -> list[Setting]:
    """Split runs into groups that differ only in seed, repetition and step size.

    Parameters
    ----------
    runs : DataFrame
    but : collection of str
        Columns of `SETTING` that may differ in a group, as `METHOD`, and are left out.

    Returns
    -------
    list of (dict, DataFrame)
        The columns of `SETTING` with their values, NA if empty, and the runs that have them. Only
        those options are included in which problems of one family, or runs of one method, differ.
        Runs of several studies have a column `study`, which comes first.
    """
    runs = runs.assign(
        problem_options=_differing_options(runs, "problem"),
        method_options=_differing_options(runs, "method"),
        momentum=momentum_asked(runs),
    )
    names = [*(["study"] if "study" in runs else [])]
    names += [name for name in SETTING if name not in but]
    # The name of a file may be unknown, or shared with another file, so the content counts.
    alike = runs.groupby([*names, "content"], dropna=False, observed=True)
    return [(dict(zip(names, values, strict=False)), group) for values, group in alike]


def among(column: pd.Series, values: Iterable[str]) -> pd.Series:
    """Return which texts of a column are among some; `Series.isin` takes twenty times as long."""
    known = set(values)
    return pd.Series([each in known for each in column.to_list()], column.index, dtype=bool)


def momentum_asked(runs: pd.DataFrame) -> pd.Series:
    """Return each run's momentum; NA if it was chosen for the run's step size."""
    chosen = runs["method_options"].str.contains(r"(?:^| )momentum=", na=False)
    return runs["momentum"].where(~chosen.astype(bool))


def differing(every: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names whose values are not the same in all of some settings."""
    values = pd.DataFrame(every)
    return [name for name in values if values[name].nunique(dropna=False) > 1]


def telling(every: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names that a table of some settings needs: those that differ, and `NAMING`.

    Any method but gradient descent is named as well.
    """
    named = {name for name in NAMING if any(pd.notna(setting[name]) for setting in every)}
    methods = {setting["method"] for setting in every if pd.notna(setting["method"])}
    if methods - {"gradient_descent"}:
        named.add("method")
    return [name for name in SETTING if name in {*named, *differing(every)}]


def several_methods(every: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether some settings of one problem differ in their method."""
    of_problem: dict[str, set[str]] = {}
    for setting in every:
        problem = str({name: setting[name] for name in setting if name not in METHOD})
        of_problem.setdefault(problem, set()).add(str([setting.get(name) for name in METHOD]))
    return any(len(methods) > 1 for methods in of_problem.values())


def options_of(text: str) -> list[str]:
    """Return the options in a cell of problem_options; values may contain blanks."""
    return re.split(r" (?=\w+=)", text)


def with_all_parts(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that did not start along an eigenvector, or all if there are no others.

    From a start along an eigenvector, the gap has one component only, which need not shrink at the
    rate ν².
    """
    others = runs[runs["start"] != "eigenvector"]
    return others if len(others) else runs


def of_gradient_descent(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of gradient descent, of which figures and page know closed forms."""
    return runs[runs["method"] == "gradient_descent"]


def relative_limit(runs: pd.DataFrame) -> float:
    """Return the relative step at which the method of some runs ceases to converge.

    nan if it is not the same for all of them, or there is none.
    """
    limits = (runs["step_limit"] * runs["lambda_max"]).dropna()
    if limits.empty or not same(limits.min(), limits.max()):
        return float("nan")
    # The product of rounded numbers is 2 only up to rounding.
    return round(float(limits.median()), 12)


def to_tolerance(runs: pd.DataFrame) -> pd.Series:
    """Return the iterations to the tolerance; inf for a run that never reached it."""
    return runs["iterations_to_tolerance"].astype("float64").fillna(np.inf)


def at_step(runs: pd.DataFrame, step: Sequence[Any]) -> pd.DataFrame:
    """Return the runs with a step as it was asked for; nan stands for a method that takes none."""
    if pd.isna(step[0]):
        return runs[runs["step_unit"].isna()]
    return runs[(runs["step_unit"] == step[0]) & (runs["step_value"] == step[1])]


def by_speed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return medians over repetitions, with a row for each step as it was asked for.

    The step with the fewest iterations to the tolerance stands first. A run that never reached the
    tolerance counts as slower than all others.
    """
    order = ["iterations_to_tolerance", "iterations_predicted", "rate_predicted", "relative_step"]
    counts = runs.assign(iterations_to_tolerance=to_tolerance(runs))
    rows = counts.groupby(STEP, dropna=False)[order].median().astype("float64")
    return rows.sort_values(order)


def spread(count: int, most: int) -> list[int]:
    """Return at most so many indices, spread evenly from the first to the last."""
    return [round(index) for index in np.linspace(0, count - 1, min(count, most))]


def _differing_options(runs: pd.DataFrame, of: str) -> pd.Series:
    """Each run's options, without those that all runs of its family or method share.

    NA if none is left.
    """
    told = pd.Series(pd.NA, runs.index, dtype="string")
    for _, options in runs[f"{of}_options"].dropna().groupby(runs[of]):
        words = {each: options_of(each) for each in options.unique()}
        shared = set.intersection(*map(set, words.values()))
        left = {each: " ".join(w for w in words[each] if w not in shared) for each in words}
        told[options.index] = options.map(left).replace("", pd.NA)
    in_order = sorted(told.dropna().unique(), key=_by_number)
    return told.astype(pd.CategoricalDtype(in_order, ordered=True))


def _by_number(options: str) -> list[tuple[str, float]]:
    """A sorting key that puts 3 before 10."""
    found = re.findall(r"([^\d-]+)(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)?", options)
    return [(name, float(number or 0)) for name, number in found]
