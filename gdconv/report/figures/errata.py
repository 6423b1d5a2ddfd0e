"""The figure of the two errata: where the coursework's bound fails, and which runs diverge."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.scales import around
from gdconv.report.figures.titles import axis, mathtext
from gdconv.report.numerals import same
from gdconv.report.settings import settings

FEWEST_STEPS = 8
# The part of λmax around λmax/2 in which the axis is linear.
NARROWEST, WIDEST = 1e-4, 0.05


def draw(tables: Shown) -> Figure:
    """Draw, against K/λmax, when the coursework's bound first fails and which runs diverge."""
    runs = tables.runs.dropna(subset=["K", "lambda_max", "bound_coursework_holds"])
    every = [
        (setting, group)
        for setting, group in settings(runs)
        if drawing.count_steps(group) >= FEWEST_STEPS
        and group["relative_step"].min() < drawing.STABILITY_EDGE < group["relative_step"].max()
    ]
    if not every:
        raise NothingToShowError(
            f"no problem has verdicts at {FEWEST_STEPS} relative steps on both sides of"
            f" {drawing.STABILITY_EDGE:g}"
        )
    panels = drawing.choose(every)
    shown = pd.concat([group for _, group in panels])
    inverse = f"{mathtext('K/λmax')}   (dimensionless)"
    first = f"first {axis('iteration')} that breaks the coursework's bound"
    figure, axes = drawing.grid(panels, every, "", inverse, first, sharex=True)
    latest = shown["first_violation_coursework"].max()
    # Runs that never break the bound are drawn in a row above all others.
    never = 4 * max(10, 0 if pd.isna(latest) else latest)
    within = shown["K"] / shown["lambda_max"]
    axes[0].set(yscale="log", ylim=(0.6, 2 * never))
    edge, limits = 1 / drawing.STABILITY_EDGE, (within.min() / 1.02, within.max() * 1.3)
    for ax in axes:
        around(ax, edge, _width(shown, edge), limits)
    for ax, (_, group) in zip(axes, panels, strict=True):
        _draw_errata(ax, group, never)
    ticks = [10.0**power for power in range(int(np.log10(never)) + 1) if 10.0**power < never / 2]
    axes[0].set_yticks([*ticks, never], [*(f"{tick:.0f}" for tick in ticks), "never"])
    axes[0].yaxis.set_minor_locator(NullLocator())
    drawing.legend(figure, axes)
    return figure


def _width(runs: pd.DataFrame, edge: float) -> float:
    """How far from the edge the axis is linear, so that thresholds and steps can be told apart."""
    off = (runs["K"] / runs["lambda_max"] - edge).abs()
    threshold = runs["lambda_min"] / runs["lambda_max"] / 2
    known = pd.concat([off, threshold])
    return float(np.clip(known[known > NARROWEST].min(), NARROWEST, WIDEST))


def _draw_errata(ax: Axes, runs: pd.DataFrame, never: float) -> None:
    left = ax.get_xlim()[0]
    flat = {"linewidth": 0, "zorder": 0}
    ax.axvspan(left, 1 / drawing.STABILITY_EDGE, color="0.8", **flat, label="diverges by theory")
    lines: Look = {"color": "black", "linewidth": 0.8}
    ax.axvline(1 / drawing.STABILITY_EDGE, **lines, linestyle="-.", label=mathtext("λmax/2"))
    smallest = runs["lambda_min"] / runs["lambda_max"]
    # If all eigenvalues are equal, the coursework's bound is true for every K.
    if not same(smallest, 1).all():
        least, most = (1 + smallest.min()) / 2, (1 + smallest.max()) / 2
        ax.axvspan(1 / drawing.STABILITY_EDGE, least, color="0.92", **flat, label="false by theory")
        if not same(least, most):
            ax.axvspan(least, most, color="0.96", **flat, label="false for some draws")
        for threshold in sorted({least, most}):
            ax.axvline(threshold, **lines, label=mathtext("(λmin+λmax)/2"))
    for value in sorted({smallest.min(), smallest.max()}):
        if value > left:
            ax.axvline(value, **lines, linestyle=":", label=mathtext("λmin"))
    at = runs["K"] / runs["lambda_max"]
    first = runs["first_violation_coursework"].astype("float64").fillna(never)
    diverged = runs["status"] == "diverged"
    points: Look = {"linestyle": "none", "clip_on": False}
    rows = (
        ("^", "black", 4, diverged, "diverged"),
        ("o", drawing.MEASURED, 4, ~diverged, "did not diverge"),
    )
    for marker, colour, size, chosen, label in rows:
        style: Look = {"marker": marker, "color": colour, "markersize": size, "fillstyle": "none"}
        # Matplotlib cannot lay out a line without points that is not clipped.
        if chosen.any():
            ax.plot(at[chosen], first[chosen], **points, **style, label=label)


PLOT = Plot(
    "errata",
    "The first iteration at which the measured gap exceeds the coursework's bound (λmax/2) (1 −"
    " λmin/K)²ᵗ ‖w₀ − w*‖², with K = 1/η, against K/λmax. The axis is stretched around λmax/2,"
    " where all of this happens. The coursework states the bound for every K > λmin (dotted"
    " line). By theory, gradient descent diverges for K below λmax/2 (dark), and the bound is"
    " true from (λmin + λmax)/2 on. In between (light) gradient descent converges, but more"
    " slowly than the bound promises. A start along v_max breaks the bound at the first iteration"
    " for every K below that threshold. From another start, the component along v_max first has"
    " to dominate the gap. Close to the threshold this can take so long that the gap is rounding"
    " noise by then. Triangles: the run diverged. Circles: it did not. For several draws, λmin"
    " and the threshold are drawn for the least and the greatest κ; between these thresholds the"
    " bound is false for some of the draws.",
    {
        "runs": (
            *("K", "lambda_min", "lambda_max", "step_unit", "step_value", "relative_step"),
            *("condition_number", "status", "bound_coursework_holds"),
        )
    },
    draw,
)
