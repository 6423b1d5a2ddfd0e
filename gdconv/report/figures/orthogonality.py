"""How rounding delays conjugate gradients, whose directions lose their orthogonality."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown, positive
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, which_draw
from gdconv.report.settings import among, settings
from gdconv.tables.columns import QUANTITIES

# Room below the least measured gap, and above the initial gap for a text, as parts of the height.
BELOW, ABOVE = 0.05, 0.14


def draw(tables: Shown) -> Figure:
    """Draw a panel for each of some problems: the gap, the exact gap and the bound."""
    runs = tables.runs[among(tables.runs["run_id"], tables.curves.several(positive))]
    runs = runs[runs["method"] == "conjugate_gradient"].dropna(subset=["initial_gap"])
    if runs.empty:
        raise NothingToShowError("no run of conjugate gradients has two recorded iterations")
    every = settings(runs)
    panels = [(setting, drawing.one_draw(group)) for setting, group in drawing.choose(every)]
    note = which_draw(run for _, run in panels)
    labels = axis("iteration"), "gap / initial gap   (dimensionless)"
    figure, axes = drawing.grid(panels, every, note, *labels, sharex=False)
    rows = tables.curves.of(run["run_id"].iloc[0] for _, run in panels)
    each = [
        _relative(rows[rows["run_id"] == run["run_id"].iloc[0]], run["initial_gap"].iloc[0])
        for _, run in panels
    ]
    least = min(curve["gap"].min() for curve in each)
    bottom, top = least ** (1 + BELOW), least**-ABOVE
    axes[0].set(yscale="log", ylim=(bottom, top))
    scales.logarithmic(axes[0].yaxis, np.log10(top / bottom))
    for ax, (_, run), curve in zip(axes, panels, each, strict=True):
        _draw_panel(ax, curve, run["delayed_at"].iloc[0], bottom)
    drawing.legend(figure, axes)
    return figure


def _relative(curve: pd.DataFrame, initial: float) -> pd.DataFrame:
    """The recorded iterations with a gap above 0, in parts of the initial gap."""
    curve = curve[positive(curve)]
    parts = ["gap", "gap_exact", "gap_bound_relative", "gap_floor"]
    return curve[["iteration"]].join(curve[parts] / initial)


def _draw_panel(ax: Axes, curve: pd.DataFrame, delayed: int, bottom: float) -> None:
    t = curve["iteration"].to_numpy()
    shade: Look = {"color": drawing.GREY, "linewidth": 0, "zorder": 0}
    ax.fill_between(t, bottom, curve["gap_floor"], **shade, label=QUANTITIES["gap_floor"].words)
    dashed: Look = {"color": "0.35", "linewidth": 1, "linestyle": "--"}
    ax.plot(t, curve["gap_bound_relative"], **dashed, label=QUANTITIES["gap_bound_relative"].words)
    # An exact gap of 0 leaves the panel at its lower edge.
    exact = np.maximum(curve["gap_exact"].to_numpy(), bottom / 10)
    ax.plot(t, exact, color="black", linewidth=1, label=QUANTITIES["gap_exact"].words)
    circles: Look = {"color": drawing.MEASURED, "linewidth": 0.9, "marker": "o", "markersize": 3}
    ax.plot(t, curve["gap"], **circles, fillstyle="none", markevery=0.06, label="measured")
    ax.set_xlim(0, max(1, t[-1]))
    if pd.notna(delayed):
        look: Look = {"color": drawing.STATED, "linewidth": 0.9, "linestyle": "-."}
        ax.axvline(delayed, **look, label="twice the exact gap")
        side: Look = {"ha": "left", "va": "top"}
        drawing.write(ax, f"$t$ = {delayed}", (delayed / t[-1], 1), (2, -2), **side)


PLOT = Plot(
    "orthogonality",
    "Rounding delays conjugate gradients: the measured gap falls later than the exact one. In exact"
    " arithmetic (black) each direction is orthogonal to all earlier ones in the inner product"
    " pᵀHq, and the gap is 0 after at most as many iterations as H has different eigenvalues. In"
    " floating-point arithmetic (circles) the directions lose this orthogonality, and the method"
    " does again what it has done before. Dash-dotted: the first recorded iteration at which the"
    " gap is twice the exact one, delayed_at in runs.csv. Dashed: the bound 1/Tₜ(σ)² of the initial"
    " gap, with Chebyshev's polynomial Tₜ and σ = (κ + 1)/(κ − 1). It holds for the delayed method"
    " as well. Grey: below the rounding floor a gap is only rounding noise. The gaps are shown as"
    " parts of the initial gap, for one repetition. The delay is largest for a few large"
    " eigenvalues and a cluster of small ones, as problem.profile=strakos has them.",
    {
        "runs": ("initial_gap", "condition_number"),
        "curves": ("iteration", "gap", "gap_exact", "gap_bound_relative", "gap_floor"),
    },
    draw,
    also=("delayed_at",),
)
