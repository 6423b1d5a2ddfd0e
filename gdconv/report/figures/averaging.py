"""The last iterate of stochastic gradient descent against the average of iterates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.sampled import of_samples, options, with_options
from gdconv.report.figures.titles import axis, names, part_of, which_draw
from gdconv.report.settings import METHOD, settings

MOST_PANELS = 4
LOOKS: dict[str, Look] = {
    "none": {"color": drawing.STATED, "marker": "o"},
    "all": {"color": "black", "marker": "s"},
    "tail": {"color": drawing.MEASURED, "marker": "^"},
}
NAMES = {"none": "last iterate", "all": "average of all", "tail": "average of the last half"}


def draw(tables: Shown) -> Figure:
    """Draw a panel for each problem and step size."""
    runs = with_options(of_samples(tables), ("average", "batch_size"))
    runs = runs[runs["method"] == "sgd"]
    every = [
        (setting | {"step": f"{_asked(alike)}"}, alike)
        for setting, group in settings(runs, METHOD)
        for alike in _alike(runs.loc[group.index])
    ]
    if not every:
        raise NothingToShowError("no problem has runs of sgd with and without averages")
    panels = drawing.choose(every, MOST_PANELS)
    common, titles = names([setting for setting, _ in panels])
    header = [common, which_draw(group for _, group in panels), part_of(panels, every, "panels")]
    figure, axes = drawing.frame(titles, header, axis("iteration"), axis("gap"), sharey=False)
    for ax, (_, group) in zip(axes, panels, strict=True):
        rows = tables.curves.of(group["run_id"])
        curves = [rows[rows["run_id"] == run_id] for run_id in group["run_id"]]
        _draw_panel(ax, [options(run)["average"] for _, run in group.iterrows()], curves)
        constant = group["averaging_constant"].iloc[0]
        ends = np.array(ax.get_xlim())
        if constant > 0 and scales.is_seen(ax, constant / ends):
            look: Look = {"color": "black", "linewidth": 1, "linestyle": (0, (1, 2)), "zorder": 1}
            ax.plot(ends, constant / ends, **look, label="½ tr(H⁻¹V)/(t + 1)")
    drawing.legend(figure, axes)
    return figure


def _asked(runs: pd.DataFrame) -> str:
    run = runs.iloc[0]
    return f"{run['step_unit']} {run['step_value']:.3g}, batch of {run['batch_size']}"


def _alike(runs: pd.DataFrame) -> list[pd.DataFrame]:
    """Runs of the first draw that differ in what is averaged only, one of each."""
    runs = runs.sort_values(["seed", "repetition"], kind="stable")
    runs = runs[runs["problem_id"] == runs["problem_id"].iloc[0]]
    same = ["step_unit", "step_value", "batch_size", "momentum"]
    groups = [group.drop_duplicates("average") for _, group in runs.groupby(same, dropna=False)]
    return [group for group in groups if len(group) > 1]


def _draw_panel(ax: Axes, averages: list[str], curves: list[pd.DataFrame]) -> None:
    seen = [curve["gap"][curve["gap"] > 0] for curve in curves]
    last = max(curve["iteration"].max() for curve in curves) + 1
    least, high = min(each.min() for each in seen), max(each.max() for each in seen)
    scales.both_logarithmic(ax, last, least, high)
    for average in NAMES:
        if average not in averages:
            continue
        curve, look = curves[averages.index(average)], LOOKS[average]
        t = curve["iteration"].to_numpy() + 1
        line: Look = {"color": look["color"], "linewidth": 1}
        if scales.is_seen(ax, curve["gap_expected"]):
            ax.plot(t, curve["gap_expected"], **line, label=f"expected, {NAMES[average]}")
        marks: Look = {"linestyle": "", "markersize": 3, "fillstyle": "none"}
        ax.plot(t, curve["gap"], **look, **marks, label=f"mean of paths, {NAMES[average]}")


PLOT = Plot(
    "averaging",
    "The average of the iterates of stochastic gradient descent has no noise floor: its expected"
    " gap tends to 0 like ½ tr(H⁻¹V)/t, where V is the covariance of the gradient at rest."
    " Circles: the last iterate. Squares: the average of all iterates, which remembers the start."
    " Triangles: the average of the second half of the run, which does not; before the middle of"
    " the run it is the last iterate. Lines are expected gaps, and markers are means over the"
    " paths. Dotted: ½ tr(H⁻¹V)/(t + 1). The horizontal axis is t + 1. The first repetition is"
    " shown.",
    {
        "runs": ("initial_gap",),
        "curves": ("iteration", "gap"),
    },
    draw,
    also=("method_options", "step_value", "step_unit", "momentum", "averaging_constant"),
    also_curves=("gap_expected",),
)
