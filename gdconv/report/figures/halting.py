"""The iterations to the tolerance of many draws against the dimension, and what they tend to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.sizes import points
from gdconv.report.figures.titles import axis, count_draws, names, part_of
from gdconv.report.settings import DRAW, METHOD, STEP, at_step, by_speed, settings

MOST_PANELS, MOST_METHODS = 2, 3
# A cloud has at least so many draws, and a panel clouds at so many dimensions.
FEWEST_DRAWS, FEWEST_SIZES = 3, 2
SIZE = ("n_samples", "n_features")
NUMBERS = ("iterations_to_tolerance", "iterations_average", "iterations_predicted")
# The draws of a dimension lie in this part of the distance to the next one.
WIDE = 0.5
_LOOKS = ((drawing.MEASURED, "o"), (drawing.STATED, "s"), ("0.35", "^"))


@dataclass(frozen=True)
class Cloud:
    """A method's runs on problems of several sizes.

    Attributes
    ----------
    label : str
    runs : list of DataFrame
        Those of each dimension, in ascending order.
    """

    label: str
    runs: list[pd.DataFrame]


def draw(tables: Shown) -> Figure:
    """Draw one panel for each kind of problem, with a cloud for each method and dimension."""
    runs = tables.runs.dropna(subset=["iterations_average", "initial_gap"])
    # The ratio of the sizes is the same in a panel.
    runs = runs.assign(ratio=(runs["n_features"] / runs["n_samples"]).round(9))
    every: list[tuple[dict[str, Any], list[Cloud]]] = []
    for _, alike in runs.groupby("ratio"):
        for setting, group in settings(alike, (*METHOD, *SIZE)):
            if clouds := _clouds(alike.loc[group.index]):
                every.append((setting | {"ratio": alike["ratio"].iloc[0]}, clouds))
    if not every:
        raise NothingToShowError(
            f"no problem with a known average has {FEWEST_DRAWS} draws at each of {FEWEST_SIZES}"
            " dimensions with the same number of samples per feature"
        )
    panels = drawing.choose(every, MOST_PANELS)
    ratios = [setting.pop("ratio") for setting, _ in panels]
    common, titles = names([setting for setting, _ in panels])
    titles = [
        ", ".join(filter(None, (title, f"$d/n$ = {ratio:g}")))
        for title, ratio in zip(titles, ratios, strict=True)
    ]
    groups = [runs for _, clouds in panels for each in clouds for runs in each.runs]
    header = [common, count_draws(groups)[1], part_of(panels, every, "kinds of problems")]
    labels = axis("n_features"), axis("iterations_to_tolerance")
    figure, axes = drawing.frame(titles, header, *labels)
    for ax, (_, clouds) in zip(axes, panels, strict=True):
        _draw_clouds(ax, clouds)
    drawing.legend(figure, axes)
    return figure


def _clouds(runs: pd.DataFrame) -> list[Cloud]:
    """A cloud for each method, at its fastest step; of the fastest methods with enough runs."""
    found: list[tuple[float, dict[str, Any], list[pd.DataFrame]]] = []
    for setting, group in settings(runs, SIZE):
        of_method = runs.loc[group.index]
        fastest = by_speed(of_method).index[0]
        of_step = at_step(of_method, fastest)
        each = [some for _, some in of_step.groupby("n_features") if len(some) >= FEWEST_DRAWS]
        if len(each) >= FEWEST_SIZES:
            speed = float(of_step["iterations_average"].median())
            method = {name: setting[name] for name in METHOD}
            found.append((speed, method | dict(zip(STEP, fastest, strict=True)), each))
    if not found:
        return []
    found.sort(key=lambda each: each[0])
    _, told = names([{name: method[name] for name in METHOD} for _, method, _ in found])
    clouds = [
        Cloud(name or "measured", each) for name, (_, _, each) in zip(told, found, strict=True)
    ]
    return clouds[:MOST_METHODS]


def _draw_clouds(ax: Axes, clouds: Sequence[Cloud]) -> None:
    """Draw the draws, the limit and the worst case of each method."""
    sizes = sorted({_size(runs) for each in clouds for runs in each.runs})
    room = min(b / a for a, b in pairwise(sizes)) ** (WIDE / len(clouds))
    every = [runs[list(NUMBERS)].astype("float64") for each in clouds for runs in each.runs]
    least = min(numbers.min().min() for numbers in every)
    # What never reached the tolerance stands above all numbers.
    top = 1.6 * max(max(n[NUMBERS[0]].max(), *n[list(NUMBERS[1:])].median()) for n in every)
    for index, (cloud, (colour, marker)) in enumerate(zip(clouds, _LOOKS, strict=False)):
        shift = room ** (index - (len(clouds) - 1) / 2)
        for runs in cloud.runs:
            _draw_cloud(ax, runs, (_size(runs) * shift, room, top), cloud.label, (colour, marker))
        x = [_size(runs) for runs in cloud.runs]
        limit, worst = ([float(runs[name].median()) for runs in cloud.runs] for name in NUMBERS[1:])
        line: Look = {"color": colour, "zorder": 4}
        ax.plot(x, limit, **line, linewidth=1.6, label=f"limit, {cloud.label}")
        ax.plot(x, worst, **line, linewidth=1, linestyle="--", label=f"worst case, {cloud.label}")
    ax.set(xscale="log", yscale="log", ylim=(0.7 * least, 1.5 * top))
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    scales.logarithmic(ax.yaxis, np.log10(2 * top / least))


def _draw_cloud(
    ax: Axes, runs: pd.DataFrame, place: tuple[float, float, float], name: str, look: Sequence[str]
) -> None:
    """Draw the draws of one dimension side by side, and how many of them diverge."""
    centre, room, top = place
    runs = runs.sort_values(DRAW, kind="stable")
    reached = runs["iterations_to_tolerance"].astype("float64").fillna(top).to_numpy()
    x = centre * room ** np.linspace(-0.45, 0.45, len(runs))
    diverges = (runs["stable"] == False).fillna(False).to_numpy(dtype=bool)  # noqa: E712
    colour, marker = look
    few: Look = {"linestyle": "", "markersize": 2.4, "markeredgewidth": 0.5, "fillstyle": "none"}
    fine = ~diverges
    ax.plot(x[fine], reached[fine], **few, color=colour, marker=marker, label=f"draws, {name}")
    if diverges.any():
        few |= {"markersize": 5, "markeredgewidth": 1.2, "zorder": 5}
        ax.plot(x[diverges], reached[diverges], **few, color="black", marker="x", label="diverges")
        said = f"{diverges.sum()} of {len(runs)}"
        ax.annotate(
            said, (centre, top), (0, 5), textcoords="offset points", ha="center", fontsize=points(7)
        )


def _size(runs: pd.DataFrame) -> float:
    return float(runs["n_features"].iloc[0])


PLOT = Plot(
    "halting",
    "The iterations to the tolerance against the dimension d, where d/n is fixed and the features"
    " are independent with mean 0. Each small marker is a draw of the problem; the draws of a"
    " dimension stand side by side. Solid: the limit for n, d → ∞, iterations_average in runs.csv."
    " The larger d, the closer the draws are to it. Dashed: the worst case over all starts,"
    " iterations_predicted, in the median over draws. A cross is a draw on which the method"
    " diverges by theory, because an eigenvalue lies too far beyond the edge of the law that the"
    " method is tuned to; the number above says how many draws these are. It stands at the"
    " iteration at which the gap was at the tolerance nevertheless, before it grew, or above all"
    " numbers. Each method is shown at its fastest step, and the three fastest methods at most.",
    {
        "runs": (
            *("iterations_to_tolerance", "iterations_average", "n_samples", "n_features"),
            *("initial_gap", "stable"),
        )
    },
    draw,
    also=("iterations_predicted", "step_unit", "step_value", "relative_step"),
)
