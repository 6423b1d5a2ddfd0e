"""How far the prediction for many features is from the exact expectation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.sampled import of_samples
from gdconv.report.figures.titles import axis, names, part_of
from gdconv.report.settings import settings

MOST_LINES, FEWEST = 3, 3
SIZE = ("n_samples", "n_features")
LOOKS = (("black", "o"), (drawing.MEASURED, "s"), (drawing.STATED, "^"))


def draw(tables: Shown) -> Figure:
    """Draw the largest deviation of each run, and a line through the medians of a step size."""
    runs = of_samples(tables)
    runs = runs.assign(off=_deviations(tables, runs)).dropna(subset=["off", "step_value"])
    every = [
        (setting | {"step": f"{unit} {value:.3g}"}, alike)
        for setting, group in settings(runs, SIZE)
        for (unit, value), alike in runs.loc[group.index].groupby(["step_unit", "step_value"])
        if alike["n_features"].nunique() >= FEWEST
    ]
    if not every:
        raise NothingToShowError(
            f"no step size has runs with both numbers at {FEWEST} numbers of features"
        )
    lines = drawing.choose(every, MOST_LINES)
    common, told = names([setting for setting, _ in lines])
    header = [common, part_of(lines, every, "step sizes")]
    ylabel = "largest deviation   (relative)"
    figure, (ax,) = drawing.frame([""], header, axis("n_features"), ylabel)
    for name, (_, group), (colour, marker) in zip(told, lines, LOOKS, strict=False):
        few: Look = {"linestyle": "", "marker": marker, "markersize": 3, "fillstyle": "none"}
        ax.plot(group["n_features"], group["off"], color=colour, **few, label=f"a draw, {name}")
        medians = group.groupby("n_features")["off"].median()
        ax.plot(medians.index, medians, color=colour, linewidth=1.2, label=f"median, {name}")
    sizes = sorted({size for _, group in lines for size in group["n_features"]})
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    low, high = ax.get_ylim()
    scales.logarithmic(ax.yaxis, np.log10(high / low))
    drawing.legend(figure, [ax])
    return figure


def _deviations(tables: Shown, runs: pd.DataFrame) -> list[float]:
    """The largest |prediction/expectation − 1| of each run; nan without one of both."""
    rows = tables.curves.of(runs["run_id"])
    off = (rows["gap_high_dimension"] / rows["gap_expected"] - 1).abs()
    largest = off.groupby(rows["run_id"]).max()
    return [float(largest.get(run_id, np.nan)) for run_id in runs["run_id"]]


PLOT = Plot(
    "high_dimension",
    "The prediction for many features needs only the eigenvalues and the least loss. It is not"
    " exact for one data set, but the more features there are, the closer it is to the exact"
    " expectation. Each marker is a draw of a problem: the largest relative deviation of"
    " gap_high_dimension from gap_expected over the recorded iterations. Lines join the medians"
    " over draws.",
    {
        "runs": ("n_features", "initial_gap"),
        "curves": ("iteration",),
    },
    draw,
    also=("step_value", "step_unit"),
    also_curves=("gap_expected", "gap_high_dimension"),
)
