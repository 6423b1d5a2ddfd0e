"""Iterations to the tolerance, against the step size and the problem's size or conditioning."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.families import Family, families
from gdconv.report.figures.titles import axis, count_draws, names, part_of
from gdconv.report.settings import STEP, relative_limit, to_tolerance

MOST_LABELS = 12
FEWEST_STEPS = 3


def draw(tables: Shown) -> Figure:
    """Draw a row of cells for each problem, one panel for each family."""
    known = ["relative_step", "condition_number", "status"]
    runs = tables.runs.dropna(subset=known)
    every = [
        family
        for family in families(runs[runs["relative_step"] <= drawing.FARTHEST])
        if max(drawing.count_steps(group) for _, group in family.members) >= FEWEST_STEPS
    ]
    if not every:
        raise NothingToShowError(
            f"no problem has {FEWEST_STEPS} relative steps up to {drawing.FARTHEST:g}"
        )
    shown = every[: drawing.MOST_PANELS]
    rows = [[cells(group) for _, group in family.members] for family in shown]
    counts = pd.concat([row["iterations"] for family in rows for row in family])
    reached = counts[np.isfinite(counts)]
    if reached.empty:
        raise NothingToShowError("no step size reaches the tolerance in the median of its runs")
    # The colour scale needs some width even if all numbers are the same.
    least, most = max(1, reached.min()), max(2, reached.max(), 1.01 * reached.min())
    colours = ScalarMappable(LogNorm(least, most), drawing.COLOURS)

    common, titles = names([family.setting for family in shown])
    draws, said = count_draws(group for family in shown for _, group in family.members)
    header = [common, f"medians of {said}" * (draws > 1), part_of(shown, every, "families")]
    titles = titles if len(shown) > 1 else [""]
    # Beside a colour bar two panels have no room for the label in one line.
    label = axis("relative_step")
    label = label if len(shown) == 1 else label.replace("   ", "\n")
    figure, axes = drawing.frame(titles, header, label, axis(shown[0].column), sharey=False)
    steps = pd.concat([row["relative_step"] for family in rows for row in family])
    for ax, family, members in zip(axes, shown, rows, strict=True):
        _draw_family(ax, family, members, colours)
        if scales.evenly_by_factors(steps):
            ax.set_xscale("log")
            scales.logarithmic(ax.xaxis, np.log10(steps.max() / steps.min()))
    bar = figure.colorbar(colours, ax=axes, aspect=40)
    bar.set_label(axis("iterations_to_tolerance"))
    scales.logarithmic(bar.ax.yaxis, np.log10(most / least))
    drawing.legend(figure, axes)
    return figure


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each step size of a problem, in ascending order: medians over repetitions.

    `iterations` is inf if half of the runs or more never reached the tolerance; `diverged` is true
    if half of them or more diverged. A cell reaches from `left` to `right`, halfway to its
    neighbours. It ends at the edge of stability if that lies between two steps. The outermost
    cells reach as far outwards as inwards, but not across the edge.
    """
    counts = runs.assign(
        iterations=to_tolerance(runs), diverged=(runs["status"] == "diverged").astype("float64")
    )
    by_step = counts.groupby(STEP)
    row = by_step[["relative_step", "iterations", "diverged"]].median()
    row = drawing.distinct_steps(row)
    row["diverged"] = row["diverged"] >= 0.5
    steps, edge = row["relative_step"].to_numpy(), relative_limit(runs)
    beyond = drawing.beyond_edge(steps, edge) > 0
    halfway = (steps[1:] + steps[:-1]) / 2
    between = np.where(beyond[1:] > beyond[:-1], edge, halfway)
    inner = [between[0], between[-1]] if len(between) else [1.5 * steps[0], 0.5 * steps[0]]
    first, last = max(steps[0] / 2, 2 * steps[0] - inner[0]), 2 * steps[-1] - inner[1]
    # Without an edge, fmin takes the other number.
    row["left"] = [max(first, edge) if beyond[0] else first, *between]
    row["right"] = [*between, last if beyond[-1] else np.fmin(last, edge)]
    return row


def _draw_family(
    ax: Axes, family: Family, rows: list[pd.DataFrame], colours: ScalarMappable
) -> None:
    every = pd.concat([row.assign(row=index) for index, row in enumerate(rows)])
    reached = np.isfinite(every["iterations"]) & ~every["diverged"]
    kinds = (
        (reached, {"color": colours.to_rgba(every["iterations"][reached])}),
        (~reached & ~every["diverged"], _hatched("....", "not reached")),
        (every["diverged"], _hatched("/////", "diverged")),
    )
    for chosen, look in kinds:
        cell = every[chosen]
        if len(cell):
            width = cell["right"] - cell["left"]
            place = {"width": width, "height": 1, "bottom": cell["row"] - 0.5, "align": "edge"}
            # Matplotlib draws a hatch in the colour of the edge.
            ax.bar(cell["left"], **place, linewidth=0, **look)
    if family.setting["method"] == "gradient_descent":
        kappas = np.array([runs["condition_number"].median() for _, runs in family.members])
        diamond: Look = {"color": "white", "markeredgecolor": "black", "markersize": 4}
        best = drawing.optimal_step(kappas)
        ax.plot(best, range(len(rows)), "D", **diamond, linestyle="none", label="optimum")
    right, edge = every["right"].max(), relative_limit(family.runs)
    if edge <= drawing.FARTHEST:
        ax.axvline(edge, color="black", linewidth=0.9, linestyle="-.", label="edge")
        # The edge and every optimum lie inside, even if no run has so large a step.
        right = max(right, 1.03 * edge)
    ax.set(ylim=(-0.5, len(rows) - 0.5), xlim=(every["left"].min(), right))
    stride = -(-len(rows) // MOST_LABELS)
    labels = family.labels()
    ax.set_yticks(range(0, len(rows), stride), labels[::stride])


def _hatched(hatch: str, label: str) -> dict[str, object]:
    return {"facecolor": "white", "edgecolor": "0.35", "hatch": hatch, "label": label}


PLOT = Plot(
    "iterations_heatmap",
    "The number of iterations until the gap is at most the tolerance times the initial gap, as a"
    " colour; it is the median over seeds and repetitions. The tolerance is 1e-6 unless"
    " method.tolerance says otherwise. The horizontal axis is the relative step ηλmax. Each row is"
    " a dimension d (or n or κ, if one of these varies instead). A cell stands for the step inside"
    " it; it reaches halfway to the next step, but not across the edge of stability (2 for gradient"
    " descent). Each method has a panel, without an edge where it depends on a momentum that was"
    " chosen for each step. Hatched: the run diverged. Dotted: it did not reach the tolerance"
    " within its iterations. Diamonds, for gradient descent only: the step with the best predicted"
    " rate, 2/(1 + 1/κ) for the row's median κ; it moves towards 2 as κ grows. The fewest"
    " iterations may be left of the diamond: if the error has a small component along the slowest"
    " eigenvector, the run reaches the tolerance before that component matters.",
    {
        "runs": (
            *("step_unit", "step_value", "relative_step", "n_features", "condition_number"),
            *("status", "iterations_to_tolerance"),
        )
    },
    draw,
    also=("step_limit", "lambda_max"),
)
