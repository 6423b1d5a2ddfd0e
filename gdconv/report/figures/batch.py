"""The largest stable step size, and the noise floor, against the batch size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.sampled import of_samples, with_options
from gdconv.report.figures.titles import axis, names, part_of, which_draw
from gdconv.report.settings import METHOD, settings
from gdconv.tables.columns import QUANTITIES

MOST_PROBLEMS, FEWEST = 2, 3
LOOKS: dict[str, tuple[str, str, str, Any]] = {
    "true": ("with replacement", drawing.MEASURED, "o", "-"),
    "false": ("without", drawing.STATED, "s", (0, (4, 1.5))),
}


def draw(tables: Shown) -> Figure:
    """Draw two panels for each problem: the limit and the floor."""
    runs = with_options(of_samples(tables), ("batch_size", "replacement", "average"))
    plain = (runs["method"] == "sgd") & (runs["momentum"] == 0) & (runs["average"] == "none")
    runs = runs[plain].dropna(subset=["step_limit", "batch_critical"])
    runs = runs.assign(B=pd.to_numeric(runs["batch_size"]))
    every = [
        (setting, _first(runs.loc[group.index]))
        for setting, group in settings(runs, METHOD)
        if runs.loc[group.index, "B"].nunique() >= FEWEST
    ]
    if not every:
        raise NothingToShowError(f"no problem has runs of sgd with {FEWEST} batch sizes")
    shown = drawing.choose(every, MOST_PROBLEMS)
    common, told = names([setting for setting, _ in shown])
    titles = [
        ", ".join(filter(None, (what, name)))
        for name in told
        for what in ("largest stable step × $\\lambda_{\\max}$", "gap at the end")
    ]
    header = [common, which_draw(group for _, group in shown), part_of(shown, every, "problems")]
    label = "number of rows in a batch $B$"
    figure, axes = drawing.frame(titles, header, label, axis("gap"), sharey=False)
    figure.supylabel("")
    for index, (_, group) in enumerate(shown):
        _draw_limit(axes[2 * index], group)
        _draw_floor(axes[2 * index + 1], group, _errors(tables, group))
    drawing.legend(figure, axes)
    return figure


def _first(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the first draw."""
    first = runs.sort_values(["seed", "repetition"], kind="stable")
    return first[first["problem_id"] == first["problem_id"].iloc[0]]


def _errors(tables: Shown, runs: pd.DataFrame) -> dict[str, float]:
    """The standard error of the last gap of each run."""
    rows = tables.curves.of(runs["run_id"])
    last = rows.groupby("run_id", sort=False).tail(1)
    return dict(zip(last["run_id"], last["gap_standard_error"], strict=True))


def _draw_limit(ax: Axes, runs: pd.DataFrame) -> None:
    largest = runs["lambda_max"].iloc[0]
    for replacement, group in runs.groupby("replacement"):
        name, colour, _, style = LOOKS[str(replacement)]
        line = group.drop_duplicates("B").sort_values("B")
        look: Look = {"color": colour, "linewidth": 1.2, "linestyle": style}
        ax.plot(line["B"], line["step_limit"] * largest, **look, label=f"predicted, {name}")
        _draw_runs(ax, group, largest, colour)
    dashed: Look = {"color": "0.35", "linewidth": 0.9, "linestyle": "--"}
    ax.axhline(drawing.STABILITY_EDGE, **dashed, label="gradient descent")
    critical: Look = {"color": "0.35", "linewidth": 0.9, "linestyle": ":"}
    ax.axvline(runs["batch_critical"].iloc[0], **critical, label=QUANTITIES["batch_critical"].words)
    ax.set(xscale="log", yscale="log")
    low, high = ax.get_ylim()
    scales.logarithmic(ax.yaxis, np.log10(high / low))


def _draw_runs(ax: Axes, runs: pd.DataFrame, largest: float, colour: str) -> None:
    """A mark for each run: whether its mean over paths has grown."""
    grown = (runs["status"] == "diverged") | (runs["final_gap"] > runs["initial_gap"])
    for chosen, marker, label in (
        (~grown, "o", "gap smaller at the end"),
        (grown, "x", "gap larger at the end"),
    ):
        look: Look = {"linestyle": "", "marker": marker, "markersize": 3, "fillstyle": "none"}
        some = runs[chosen]
        step = some["step_size"] * largest
        ax.plot(some["B"], step, **look, color=colour, label=label)


def _draw_floor(ax: Axes, runs: pd.DataFrame, errors: dict[str, float]) -> None:
    """The floor at one part of the limit, and the mean over paths at the end."""
    stable: Any = runs[runs["gap_stationary"] > 0]
    value = stable["step_value"].min()
    for replacement, group in stable[stable["step_value"] == value].groupby("replacement"):
        name, colour, marker, style = LOOKS[str(replacement)]
        line = group.sort_values("B")
        look: Look = {"color": colour, "linewidth": 1.2, "linestyle": style}
        ax.plot(line["B"], line["gap_stationary"], **look, label=f"predicted, {name}")
        bars: Look = {"linestyle": "", "marker": marker, "markersize": 3, "fillstyle": "none"}
        off = [errors[run_id] for run_id in line["run_id"]]
        ax.errorbar(line["B"], line["final_gap"], off, **bars, color=colour, label="mean of paths")
    ax.set(xscale="log", yscale="log")
    low, high = ax.get_ylim()
    scales.logarithmic(ax.yaxis, np.log10(high / low))


PLOT = Plot(
    "batch",
    "Larger batches allow longer steps and leave less noise, up to a point. Left: the largest"
    " step size, times λmax, for which the expected gap of stochastic gradient descent stays"
    " bounded, against the batch size B. Circles are runs whose mean gap is smaller at the end"
    " than at the start, crosses those where it is larger. Dashed: gradient descent, 2. Dotted:"
    " the critical batch size tr H/λmax, up to which a batch of twice the size allows nearly"
    " twice the step size. Right: the noise floor at the smallest step.value that was asked for,"
    " and the mean over the paths at the end of the run with its standard error. Without"
    " replacement, a batch of all rows is gradient descent, which has no floor. The first"
    " repetition is shown.",
    {
        "runs": ("lambda_max", "final_gap", "initial_gap"),
        "curves": ("iteration",),
    },
    draw,
    also=(
        *("step_limit", "batch_critical", "step_size", "method_options", "gap_stationary"),
        *("step_value", "momentum"),
    ),
    also_curves=("gap_standard_error",),
)
