"""The gap of methods that draw samples: mean and band over the paths, and what is expected."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.sampled import BAND, of_samples, with_options
from gdconv.report.figures.titles import axis, names, part_of, which_draw
from gdconv.report.settings import settings, spread
from gdconv.tables.columns import QUANTITIES

MOST_PANELS, STEPS = 6, 2
# Column → the look of its line.
LINES: dict[str, Look] = {
    "gap_high_dimension": {
        **{"color": drawing.STATED, "linewidth": 1.2, "linestyle": ":", "zorder": 3},
        "label": QUANTITIES["gap_high_dimension"].words,
    },
    "gap_of_mean": {
        **{"color": "0.35", "linewidth": 0.9, "linestyle": "--", "zorder": 2},
        "label": "gradient descent with this η",
    },
    "gap_expected": {"color": "black", "linewidth": 1, "zorder": 4, "label": "expected gap"},
}


def draw(tables: Shown) -> Figure:
    """Draw a panel for each of some runs."""
    runs = with_options(of_samples(tables), ("average",))
    runs = runs[~runs["average"].isin(["all", "tail"])]
    if runs.empty:
        raise NothingToShowError("all runs that draw samples show averages")
    every = [
        (setting | {"step": step or None}, run)
        for setting, group in settings(runs)
        for step, run in _steps(drawing.one_draw(runs.loc[group.index]))
    ]
    panels = drawing.choose(every, MOST_PANELS)
    common, titles = names([setting for setting, _ in panels])
    header = [common, which_draw(run for _, run in panels), part_of(panels, every, "runs")]
    figure, axes = drawing.frame(titles, header, axis("iteration"), axis("gap"), sharey=False)
    rows = tables.curves.of(run["run_id"].iloc[0] for _, run in panels)
    for ax, (_, run) in zip(axes, panels, strict=True):
        _draw_panel(ax, rows[rows["run_id"] == run["run_id"].iloc[0]], run.iloc[0])
    drawing.legend(figure, axes)
    return figure


def _steps(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Some runs of one draw, each with the name of its step size."""
    stable = runs[runs["rate_predicted"].fillna(0) < 1]
    some = stable if len(stable) else runs
    chosen = [some.iloc[[index]] for index in spread(len(some), STEPS)]
    return [(_name(run.iloc[0]), run) for run in chosen]


def _name(run: pd.Series) -> str:
    if pd.notna(run["step_limit"]):
        return f"{run['step_size'] / run['step_limit']:.3g} of the limit"
    return f"{run['relative_step']:.3g}/λmax" if pd.notna(run["step_unit"]) else ""


def _draw_panel(ax: Axes, curve: pd.DataFrame, run: pd.Series) -> None:
    t = curve["iteration"].to_numpy() + 1
    # The other curves may fall far below all that is measured, or grow far above.
    seen = curve[["gap", *BAND]].to_numpy(dtype=float)
    scales.both_logarithmic(ax, t[-1], np.min(seen[seen > 0]), np.nanmax(seen[:, [0, 2]]))
    low, high = (curve[each].to_numpy(dtype=float) for each in BAND)
    # The band of a single path is its gap.
    if (high > low).any():
        shade: Look = {"color": drawing.GREY, "linewidth": 0, "zorder": 0}
        ax.fill_between(t, low, high, **shade, label="10 to 90 % of the paths")
    for column, look in LINES.items():
        if scales.is_seen(ax, curve[column]):
            ax.plot(t, curve[column], **look)
    circles: Look = {"color": drawing.MEASURED, "linestyle": "", "marker": "o", "markersize": 3}
    ax.plot(t, curve["gap"], **circles, fillstyle="none", label="mean over paths", zorder=5)
    floor = run["gap_stationary"]
    if pd.notna(floor) and floor > 0 and scales.is_seen(ax, [floor, floor]):
        dashed: Look = {"color": drawing.STATED, "linewidth": 1, "linestyle": "-."}
        ax.axhline(floor, **dashed, label=QUANTITIES["gap_stationary"].words)


PLOT = Plot(
    "noise",
    "Methods that draw samples come to rest at a noise floor. Circles: the gap, the mean over"
    " the paths, which differ only in what they draw. Grey: between the gaps that 10 % and 90 %"
    " of the paths are below. Black: the expected gap, exactly; the circles scatter around it."
    " Dash-dotted: the floor, to which it tends. Dashed: the gap at the expected iterate, which"
    " moves as that of gradient descent with the same step size does and has no floor. Dotted:"
    " the prediction for many features. The horizontal axis is t + 1, so that the start is on it."
    " For each method and problem the smallest and the largest stable step size are shown, for"
    " one repetition. Near the largest stable step size rare paths make up the mean, which then"
    " lies above the band.",
    {
        "runs": ("initial_gap", "relative_step"),
        "curves": ("iteration", "gap"),
    },
    draw,
    also=(
        *("step_limit", "step_size", "step_unit", "gap_stationary", "method_options"),
        "rate_predicted",
    ),
    also_curves=("gap_p10", "gap_p90", "gap_expected", "gap_of_mean", "gap_high_dimension"),
)
