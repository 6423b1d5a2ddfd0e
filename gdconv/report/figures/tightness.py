"""How far the bounds lie above what was measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown, clear
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, names, part_of, which_draw, with_kappa
from gdconv.report.settings import among, relative_limit, settings, several_methods, spread
from gdconv.tables.columns import QUANTITIES

MOST_PROBLEMS = 3
# The lowest ratio shown: there a bound is broken beyond all doubt.
LEAST = 1e-2

# Column → its look.
BOUNDS: dict[str, Look] = {
    "gap_bound": {"color": drawing.MEASURED, "linestyle": "--", "linewidth": 1.8},
    "gap_bound_relative": {"color": "0.35", "linestyle": "-.", "linewidth": 1.1},
    "gap_bound_sharp": {"color": "black", "linestyle": "-", "linewidth": 0.7},
    "gap_bound_coursework": {"color": drawing.STATED, "linestyle": ":", "linewidth": 1.5},
    "distance_bound": {
        **{"color": "0.55", "linestyle": "-", "linewidth": 0.7},
        **{"marker": "|", "markevery": 6},
    },
}


def draw(tables: Shown) -> Figure:
    """Draw a panel for some runs of some problems."""
    runs = tables.runs.dropna(subset=["condition_number", "bound_holds"])
    known = among(runs["run_id"], tables.curves.several(clear))
    runs = runs[known & (runs["status"] != "diverged")]
    if runs.empty:
        raise NothingToShowError(
            "no run with a bound that did not diverge has two recorded iterations well above the"
            " rounding floor"
        )
    every = settings(runs)
    several = several_methods(setting for setting, _ in every)
    problems = [
        (setting, drawing.one_draw(group))
        for setting, group in drawing.choose(
            every, drawing.MOST_PANELS if several else MOST_PROBLEMS
        )
    ]
    each = drawing.MOST_PANELS // len(problems)
    panels = [
        (setting | {"step": step or pd.NA}, runs[index : index + 1])
        for setting, group in problems
        for runs in [landmarks(group, each)]
        for index, step in enumerate(drawing.step_texts([*runs["relative_step"]]))
    ]
    if "study" in panels[0][0]:
        # Puts the same step of both studies side by side.
        panels.sort(key=lambda panel: panel[1]["relative_step"].iloc[0])
    common, told = names([setting for setting, _ in panels])
    titles = [with_kappa(title, run) for title, (_, run) in zip(told, panels, strict=True)]
    draw = which_draw(run for _, run in panels)
    header = [common, draw, part_of(problems, every, drawing.problems(every))]
    ratio = "bound / measured   (dimensionless)"
    figure, axes = drawing.frame(titles, header, axis("iteration"), ratio, sharey=False)
    rows = tables.curves.of(run["run_id"].iloc[0] for _, run in panels)
    curves = rows[clear(rows)]
    for ax, (_, run) in zip(axes, panels, strict=True):
        _draw_bounds(ax, curves[curves["run_id"] == run["run_id"].iloc[0]])
    drawing.legend(figure, axes)
    return figure


def landmarks(runs: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return some of the runs: the step nearest to 1, the last below the edge, then others."""
    steps = runs["relative_step"].to_numpy()
    below = drawing.beyond_edge(steps, relative_limit(runs)) < 0
    wanted = [np.argmin(np.abs(steps - 1)), *np.flatnonzero(below)[-1:]]
    wanted += [np.argmin(runs["rate_predicted"].fillna(np.inf)), 0]
    return drawing.at_most(runs, [*wanted, *spread(len(steps), most)], most)


def _draw_bounds(ax: Axes, curve: pd.DataFrame) -> None:
    t = curve["iteration"].to_numpy()
    bounds, top = curve["gap_bound"].to_numpy(), 1.0
    for column, look in drawing.known(curve, BOUNDS):
        measured = "distance_squared" if column == "distance_bound" else "gap"
        values = curve[column].to_numpy()
        same = np.allclose(values, bounds, rtol=1e-6, atol=0, equal_nan=True)
        if column == "gap_bound_coursework" and same:
            continue
        ratio = values / curve[measured].to_numpy()
        # A bound that has underflowed to 0 cannot be drawn on a logarithmic axis, and late in a run
        # none may be known.
        drawn = ratio > 0
        ax.plot(t[drawn], ratio[drawn], **look, label=QUANTITIES[column].words)
        # The coursework's bound can be arbitrarily far off, so it may leave the panel.
        if column != "gap_bound_coursework":
            # The bounds of some methods are known for the first iterations only.
            top = np.max(ratio[drawn], initial=top)
    ax.set(yscale="log", ylim=(min(0.5, max(LEAST, ax.dataLim.y0 / 1.5)), 2 * top))
    scales.logarithmic(ax.yaxis, np.log10(np.divide(*ax.get_ylim()[::-1])))
    ax.axhspan(LEAST / 10, 1, color=drawing.GREY, linewidth=0, zorder=0, label="bound broken")
    last = max(1, int(t[-1]))
    scales.from_zero(ax, last)


PLOT = Plot(
    "tightness",
    "The ratio of each bound to the quantity it bounds, against the iteration t (linear up to 1,"
    " logarithmic beyond), for one repetition and as long as the gap is well above its rounding"
    " floor. A ratio of 1 means that the bound is attained; below 1 (shaded) the bound is broken."
    " Let m be the largest pₜ(λ)² for λ from λ⁺min to λmax, where pₜ(λ) is the factor of the error"
    " along an eigenvector after t iterations; for gradient descent m = ν²ᵗ. Dashed: the bound"
    " (λmax/2) m ‖w₀ − w*‖². It combines the largest eigenvalue with the slowest factor, so it may"
    " end up to a factor κ above the sharp bound. Dash-dotted: the relative bound, m times the"
    " initial gap. Solid: the sharp bound. Dotted, for gradient descent only: the coursework's"
    " bound, where it differs; beyond the optimal step it is broken. With bars: m ‖w₀ − w*‖² over"
    " ‖wₜ − w*‖². For a method that chooses its own steps, the bounds are those that are proved for"
    " every start. If several methods solve one problem, each has a panel.",
    {
        "runs": ("condition_number", "rate_predicted", "bound_holds"),
        "curves": ("iteration", "gap", "gap_floor", "distance_squared", "gap_bound"),
    },
    draw,
    also=("step_unit", "step_value", "relative_step", "step_limit", "lambda_max"),
    also_curves=("gap_bound_relative", "gap_bound_sharp", "distance_bound"),
)
