"""How the error of heavy ball grows at first, and what a shorter first step changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown, positive
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.sizes import points
from gdconv.report.figures.titles import axis, which_draw
from gdconv.report.numerals import number
from gdconv.report.settings import METHOD, STEP, among, options_of, settings

MOST_PROBLEMS = 4
# A panel ends where both errors are this part of what they were at the start.
SMALL = 1e-2
FIRST_STEPS = ("full", "averaged")
LOOKS: dict[str, Look] = {
    "full": {"color": drawing.STATED, "marker": "o", "zorder": 3},
    "averaged": {"color": drawing.MEASURED, "marker": "s", "zorder": 4},
}
BOUNDS: dict[str, Look] = {
    "full": {"color": "0.78", "linewidth": 4},
    "averaged": {"color": "0.6", "linewidth": 2.5},
}


def draw(tables: Shown) -> Figure:
    """Draw a panel for each of some problems, with a curve for each first step."""
    runs = tables.runs[among(tables.runs["run_id"], tables.curves.several(positive))]
    runs = runs[(runs["method"] == "heavy_ball") & (runs["status"] != "diverged")]
    every = [
        (setting, pair)
        for setting, group in settings(runs.dropna(subset=["growth_predicted"]), METHOD)
        if (pair := _pair(runs.loc[group.index])) is not None
    ]
    if not every:
        raise NothingToShowError(
            "no problem was solved by heavy ball with both first steps, full and averaged, at the"
            " same step size and momentum"
        )
    panels = drawing.choose(every, MOST_PROBLEMS)
    note = f"heavy ball; {which_draw(pair for _, pair in panels)}"
    labels = axis("iteration"), "error / initial error   (dimensionless)"
    figure, axes = drawing.grid(panels, every, note, *labels, sharex=False)
    tops = [_draw_pair(ax, tables, pair) for ax, (_, pair) in zip(axes, panels, strict=True)]
    bottom, top = SMALL / 2, 4 * max(tops)
    axes[0].set(yscale="log", ylim=(bottom, top))
    scales.logarithmic(axes[0].yaxis, np.log10(top / bottom))
    drawing.legend(figure, axes)
    return figure


def first_step(run: Mapping[str, object]) -> str:
    """Return the first step of a run of heavy ball: `full` or `averaged`."""
    words = dict(word.split("=", 1) for word in options_of(str(run["method_options"])))
    return words.get("first_step", "")


def _pair(runs: pd.DataFrame) -> pd.DataFrame | None:
    """The two runs of a problem that differ only in their first step, where growth is largest."""
    first = runs.sort_values(["seed", "repetition"], kind="stable").iloc[:1]
    runs = runs[runs["problem_id"] == first["problem_id"].iloc[0]]
    runs = runs.assign(first_step=[first_step(run) for _, run in runs.iterrows()])
    pairs = [
        pair.set_index("first_step", drop=False).loc[list(FIRST_STEPS)]
        for _, pair in runs.groupby([*STEP, "momentum"])
        if sorted(pair["first_step"]) == sorted(FIRST_STEPS)
    ]
    return max(pairs, key=lambda pair: pair["growth_predicted"].iloc[0], default=None)


def _draw_pair(ax: Axes, tables: Shown, pair: pd.DataFrame) -> float:
    """Draw the errors of both runs with their bounds; return the largest of them."""
    rows = tables.curves.of(pair["run_id"])
    last, top = 1, 1.0
    ax.axhline(1, color="0.5", linewidth=0.6)
    for name, run in pair.iterrows():
        curve = rows[rows["run_id"] == run["run_id"]]
        t = curve["iteration"].to_numpy()
        error, bound = (
            np.sqrt(curve[column].to_numpy()) / run["initial_distance"]
            for column in ("distance_squared", "distance_bound")
        )
        ax.plot(t, bound, **BOUNDS[str(name)], label=f"bound, {name} first step")
        look: Look = {"linewidth": 0.9, "markersize": 3.2, "fillstyle": "none", "markevery": 0.09}
        ax.plot(t, error, **look, **LOOKS[str(name)], label=f"measured, {name} first step")
        last = max([last, *t[error >= SMALL]])
        top = max(top, error.max())
        if name == "full" and error.max() > 1:
            peak = int(np.argmax(error))
            said = f"{number(error[peak])} at $t$ = {t[peak]}"
            ax.annotate(
                said, (t[peak], error[peak]), (4, 3), textcoords="offset points", fontsize=points(7)
            )
    ax.set_xlim(0, last)
    return float(top)


PLOT = Plot(
    "transient",
    "The length of the error of heavy ball, ‖wₜ − w*‖, as a part of ‖w₀ − w*‖: with a full first"
    " step it grows before it shrinks, with an averaged one it does not. Both runs have the same"
    " step size and momentum, of those in the study the ones for which theory predicts the largest"
    " growth. The first step of the second run is 1/(1 + β) as long. Markers: measured, for one"
    " repetition. Grey: the bound, which is the square root of distance_bound in curves.csv, the"
    " largest |pₜ(λ)| for λ from λ⁺min to λmax. At the optimum it is βᵗᐟ²(1 + t(1 + √β)) with a"
    " full first step, and βᵗᐟ²(1 + t(1 − β)/(1 + β)) with an averaged one. A start along the"
    " eigenvector of λmax reaches the bound. The number at the peak is the largest measured error"
    " and its iteration.",
    {
        "runs": (
            *("step_unit", "step_value", "initial_distance", "growth_predicted"),
            "condition_number",
        ),
        "curves": ("iteration", "gap", "distance_squared", "distance_bound"),
    },
    draw,
    also=("momentum",),
)
