"""The sharpness of networks against η·t, where gradient descent follows the gradient flow."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing
from gdconv.report.figures.drawing import NothingToShowError, Plot
from gdconv.report.figures.networks import Steps, chosen, trained
from gdconv.report.figures.titles import axis, names, part_of, which_draw

# Above so many times its threshold a curve is cut off.
HIGHEST = 1.6


def draw(tables: Shown) -> Figure:
    """Draw a panel for each of some networks."""
    runs = trained(tables)
    runs = runs[runs["method"] == "gradient_descent"]
    if runs.empty:
        raise NothingToShowError("no network was trained by gradient descent")
    panels, every = chosen(runs, drawing.MOST_PANELS)
    common, titles = names([setting for setting, _ in panels])
    note = which_draw(group for _, group in panels)
    header = [common, note, part_of(panels, every, drawing.problems(every))]
    x = r"step size × iteration, $\eta t$"
    figure, axes = drawing.frame(titles, header, x, axis("sharpness"), sharey=False)
    steps = Steps([group for _, group in panels])
    for ax, (_, group) in zip(axes, panels, strict=True):
        _draw_panel(ax, group, tables, steps)
    drawing.legend(figure, axes)
    return figure


def _draw_panel(ax: Axes, runs: pd.DataFrame, tables: Shown, steps: Steps) -> None:
    highest, farthest = 0.0, 0.0
    crossed = float((runs["step_size"] * runs["first_crossing"].astype("float64")).max())
    for _, run in runs.iterrows():
        look = steps.look(run)
        curve = tables.curves.of([run["run_id"]]).dropna(subset=["sharpness"])
        time = run["step_size"] * curve["iteration"]
        ax.plot(time, curve["sharpness"], linewidth=1, **look)
        # What diverges would squeeze everything else.
        highest = max(highest, min(curve["sharpness"].max(), HIGHEST * run["threshold"]))
        farthest = max(farthest, time.max())
    for _, run in runs.iterrows():
        if run["threshold"] <= 1.2 * highest:
            colour = steps.look(run)["color"]
            ax.axhline(run["threshold"], color=colour, linewidth=0.8, linestyle="--", zorder=0)
    ax.plot([], [], color="0.4", linewidth=0.8, linestyle="--", label="threshold, in its colour")
    # Long after the last crossing nothing happens that is not seen before.
    ax.set(
        xlim=(0, min(farthest, 2 * crossed) if crossed > 0 else farthest), ylim=(0, 1.1 * highest)
    )


PLOT = Plot(
    "flow",
    "Before the edge of stability, gradient descent with any small step size η does the same: after"
    " t iterations it is close to where the gradient flow dw/dτ = −∇L(w) is at the time τ = ηt."
    " So the curves of the sharpness against ηt coincide, until each reaches its own threshold 2/η"
    " (dashed, in the same colour). There it leaves the flow, which goes on to sharper regions."
    " Gradient descent is shown, for one repetition.",
    {
        "runs": ("threshold", "step_size", "relative_step"),
        "curves": ("iteration", "sharpness"),
    },
    draw,
    also=("step_unit", "step_value", "first_crossing"),
)
