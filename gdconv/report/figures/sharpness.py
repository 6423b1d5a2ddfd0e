"""The sharpness of networks beside its threshold, and the loss below."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Plot
from gdconv.report.figures.networks import Steps, chosen, trained
from gdconv.report.figures.sizes import inches, letters
from gdconv.report.figures.titles import axis, names, part_of, which_draw, wrapped

MOST_PANELS = 6
# Sharpness/threshold above this is cut off: it would squeeze what happens at 1.
HIGHEST = 1.6


def draw(tables: Shown) -> Figure:
    """Draw two panels, one above the other, for each of some settings."""
    panels, every = chosen(trained(tables), MOST_PANELS)
    common, titles = names([setting for setting, _ in panels])
    note = which_draw(group for _, group in panels)
    columns = 3 if len(panels) in (3, 5, 6) else min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = Figure(inches(0.6 + 3.0 * rows), drawing.DPI, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [3, 2] * rows
    places = figure.subplots(2 * rows, columns, sharex="col", squeeze=False, height_ratios=heights)
    steps = Steps([group for _, group in panels])
    shown = []
    for index in range(rows * columns):
        above, below = (places[2 * (index // columns) + k, index % columns] for k in range(2))
        if index >= len(panels):
            above.remove()
            below.remove()
            continue
        _, group = panels[index]
        _draw_sharpness(above, group, tables, steps)
        _draw_loss(below, group, tables, steps)
        above.set_title(wrapped(titles[index], letters(2 * drawing.LONGEST_TITLE // columns)))
        if index % columns == 0:
            above.set_ylabel(axis("sharpness_over_threshold").split("   ")[0])
            below.set_ylabel("loss")
        below.set_xlabel(axis("iteration").split("   ")[0])
        shown.append(above)
    part = part_of(panels, every, drawing.problems(every))
    drawing.write_header(figure, [common, note, part])
    drawing.legend(figure, shown)
    return figure


def _draw_sharpness(ax: Axes, runs: pd.DataFrame, tables: Shown, steps: Steps) -> None:
    ax.axhline(1, color="0.3", linewidth=0.9, linestyle="--", label="threshold")
    highest = 1.15
    for _, run in runs.iterrows():
        curve = tables.curves.of([run["run_id"]]).dropna(subset=["sharpness_over_threshold"])
        ratio = curve["sharpness_over_threshold"]
        ax.plot(curve["iteration"], ratio, linewidth=1, **steps.look(run))
        highest = max(highest, 1.05 * ratio.max())
    ax.set_ylim(0, min(highest, HIGHEST))


def _draw_loss(ax: Axes, runs: pd.DataFrame, tables: Shown, steps: Steps) -> None:
    for _, run in runs.iterrows():
        curve = tables.curves.of([run["run_id"]])
        curve = curve[curve["loss"] > 0]
        ax.plot(curve["iteration"], curve["loss"], linewidth=0.8, **steps.look(run))
    ax.set_yscale("log")
    low, high = ax.dataLim.intervaly
    scales.logarithmic(ax.yaxis, np.log10(high / low) if high > low > 0 else 0.0)


PLOT = Plot(
    "sharpness",
    "Networks at the edge of stability. Above: the sharpness, which is the largest eigenvalue of"
    " the loss's Hessian, divided by the threshold up to which the method is stable with its step"
    " size: 2/η for gradient descent. While the sharpness is below, the loss falls steadily and the"
    " sharpness rises. At the threshold (dashed) it stops rising. Then it stays close to it, and"
    " the loss (below) falls with jumps. A small step size may not reach its threshold before the"
    " loss is nearly 0 or the run ends. One repetition is shown, at the recorded iterations.",
    {
        "runs": ("threshold", "step_size", "relative_step"),
        "curves": ("iteration", "loss", "sharpness_over_threshold"),
    },
    draw,
    also=("step_unit", "step_value", "verdict"),
)
