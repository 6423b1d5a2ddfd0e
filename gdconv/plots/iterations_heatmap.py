"""Iterations to the tolerance over the step size and the size or conditioning of the problem."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gdconv.plots.families import AXES, Family, families
from gdconv.plots.panels import (
    COLOURS,
    EDGE,
    FARTHEST,
    MOST_PANELS,
    STEP_LABEL,
    Look,
    NothingToShowError,
    Plot,
    beyond_edge,
    count_steps,
    distinct_steps,
    evenly_by_factors,
    frame,
    legend,
    logarithmic,
)
from gdconv.plots.titles import count_draws, names
from gdconv.tables import Tables

MOST_LABELS = 12
FEWEST_STEPS = 3


def draw(tables: Tables) -> Figure:
    """Draw a row of cells for each problem, a panel a family."""
    runs = tables.runs.dropna(subset=["relative_step", "condition_number", "status"])
    every = [
        family
        for family in families(runs[runs["relative_step"] <= FARTHEST])
        if max(count_steps(group) for _, group in family.members) >= FEWEST_STEPS
    ]
    if not every:
        raise NothingToShowError(f"no problem has {FEWEST_STEPS} relative steps up to {FARTHEST:g}")
    shown = every[:MOST_PANELS]
    rows = [[cells(group) for _, group in family.members] for family in shown]
    counts = pd.concat([row["iterations"] for family in rows for row in family])
    reached = counts[np.isfinite(counts)]
    if reached.empty:
        raise NothingToShowError("no run came to the tolerance in the median of its repetitions")
    # With a single number the scale needs some width.
    least, most = max(1, reached.min()), max(2, reached.max(), 1.01 * reached.min())
    colours = ScalarMappable(LogNorm(least, most), COLOURS)

    common, titles = names([family.setting for family in shown])
    draws, said = count_draws(group for family in shown for _, group in family.members)
    header = [common, f"medians of {said}" if draws > 1 else ""]
    if len(every) > len(shown):
        header.append(f"{len(shown)} of {len(every)} families")
    titles = titles if len(shown) > 1 else [""]
    # Beside a colour bar two panels have no room for the label in one line.
    label = STEP_LABEL if len(shown) == 1 else STEP_LABEL.replace("   ", "\n")
    figure, axes = frame(titles, header, label, AXES[shown[0].column][0], sharey=False)
    steps = pd.concat([row["relative_step"] for family in rows for row in family])
    for ax, family, members in zip(axes, shown, rows, strict=True):
        _draw_family(ax, family, members, colours)
        if evenly_by_factors(steps):
            ax.set_xscale("log")
            logarithmic(ax.xaxis, np.log10(steps.max() / steps.min()))
    bar = figure.colorbar(colours, ax=axes, aspect=40)
    bar.set_label("iterations to the tolerance, measured")
    logarithmic(bar.ax.yaxis, np.log10(most / least))
    legend(figure, axes)
    return figure


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each step size of a problem, in their order: medians over repetitions.

    `iterations` is inf where half of the runs or more never came to the tolerance, and `diverged`
    where as many diverged. Each cell reaches from `left` to `right`: halfway to its neighbour, or
    to the edge where that is between them; outwards as far as inwards, but not across the edge.
    """
    counts = runs.assign(
        iterations=runs["iterations_to_tolerance"].astype("float64").fillna(np.inf),
        diverged=(runs["status"] == "diverged").astype("float64"),
    )
    by_step = counts.groupby(["step_unit", "step_value"])
    row = by_step[["relative_step", "iterations", "diverged"]].median()
    row = distinct_steps(row)
    row["diverged"] = row["diverged"] >= 0.5
    steps = row["relative_step"].to_numpy()
    beyond = beyond_edge(steps) > 0
    between = np.where(beyond[1:] > beyond[:-1], EDGE, (steps[1:] + steps[:-1]) / 2)
    inner = [between[0], between[-1]] if len(between) else [1.5 * steps[0], 0.5 * steps[0]]
    first, last = max(steps[0] / 2, 2 * steps[0] - inner[0]), 2 * steps[-1] - inner[1]
    row["left"] = [max(first, EDGE) if beyond[0] else first, *between]
    row["right"] = [*between, last if beyond[-1] else min(last, EDGE)]
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
            # Hatches of their own line width are drawn in the colour of the edge.
            ax.bar(cell["left"], **place, linewidth=0, **look)
    kappas = np.array([runs["condition_number"].median() for _, runs in family.members])
    optimum: Look = {
        "color": "white",
        "markeredgecolor": "black",
        "markersize": 4,
        "linestyle": "none",
    }
    ax.plot(2 / (1 + 1 / kappas), range(len(rows)), "D", **optimum, label="optimum")
    ax.axvline(EDGE, color="black", linewidth=0.9, linestyle="-.", label="edge")
    # The edge and every optimum are inside, also where no run came so far.
    right = max(every["right"].max(), 1.03 * EDGE)
    ax.set(ylim=(-0.5, len(rows) - 0.5), xlim=(every["left"].min(), right))
    stride = -(-len(rows) // MOST_LABELS)
    labels = family.labels()
    ax.set_yticks(range(0, len(rows), stride), labels[::stride])


def _hatched(hatch: str, label: str) -> dict[str, object]:
    return {"facecolor": "white", "edgecolor": "0.35", "hatch": hatch, "label": label}


PLOT = Plot(
    "iterations_heatmap",
    "How many iterations shrink the gap to the tolerance (1e-6 of the initial gap unless"
    " method.tolerance says otherwise), by colour, over the relative step ηλmax and, a row each,"
    " the dimension d, or n or κ where these vary instead; the median over seeds and repetitions."
    " A cell stands for the step in it and reaches halfway to the next, but not across the edge."
    " Hatched: the run diverged. Dotted: it did not come to the tolerance within its iterations."
    " Diamonds: the step of best predicted rate, 2/(1 + 1/κ) for the row's median κ, which moves"
    " towards the edge 2 as κ grows. The fewest iterations may be left of it: a start with little"
    " of the slowest eigenvector reaches the tolerance before that one matters.",
    {
        "runs": (
            *("step_unit", "step_value", "relative_step", "n_features", "condition_number"),
            *("status", "iterations_to_tolerance"),
        )
    },
    draw,
)
