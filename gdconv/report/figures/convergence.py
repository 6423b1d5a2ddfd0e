"""The gap against the iteration, with its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gdconv.report.curves import Shown, positive
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, which_draw
from gdconv.report.numerals import same
from gdconv.report.settings import among, relative_limit, settings, spread, with_all_parts
from gdconv.tables.columns import QUANTITIES

MOST_STEPS = 5
# Column → its look.
BOUNDS: dict[str, Look] = {
    "gap_bound": {"linewidth": 0.9, "linestyle": "--"},
    "gap_bound_sharp": {"linewidth": 0.5},
    "gap_bound_coursework": {"linewidth": 0.9, "linestyle": ":"},
}


def draw(tables: Shown) -> Figure:
    """Draw the gap of a few runs of each problem, with its bounds."""
    runs = tables.runs[among(tables.runs["run_id"], tables.curves.several(positive))]
    if runs.empty:
        raise NothingToShowError("no run has two recorded iterations with a gap above 0")
    every = settings(with_all_parts(runs))
    chosen = drawing.choose(every)
    panels = [(setting, representative(drawing.one_draw(group))) for setting, group in chosen]
    shown = pd.concat([group for _, group in panels])
    rows = tables.curves.of(shown["run_id"])
    curves = dict(list(rows[positive(rows)].groupby("run_id")))
    bottom, top = _gap_limits(shown, curves)
    steps = shown["relative_step"]
    colours = ScalarMappable(Normalize(steps.min(), steps.max()), drawing.COLOURS)

    note = which_draw(group for _, group in panels)
    figure, axes = drawing.grid(panels, every, note, axis("iteration"), axis("gap"), sharex=False)
    axes[0].set(yscale="log", ylim=(bottom, top))
    scales.logarithmic(axes[0].yaxis, np.log10(top / bottom))
    for ax, (_, group) in zip(axes, panels, strict=True):
        lines = [curves[run_id] for run_id in group["run_id"]]
        ax.set_xlim(0, max(1, _last_iteration(lines, top)))
        for curve, step in zip(lines, group["relative_step"], strict=True):
            _draw_curve(ax, curve, _colour(colours, step))
        _label_ends(ax, lines, group["relative_step"], min(len(panels), 2))
        floor = group["gap_floor"][group["status"] != "diverged"].min()
        if floor > bottom:
            shade: Look = {"color": drawing.GREY, "linewidth": 0, "zorder": 0}
            ax.axhspan(bottom, floor, **shade, label=QUANTITIES["gap_floor"].words)
    if steps.nunique() > 1 and not same(steps.min(), steps.max()):
        figure.colorbar(colours, ax=axes, aspect=40).set_label(axis("relative_step"))
    drawing.legend(figure, axes, colour="black")
    return figure


def representative(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a few runs: those at the landmarks of the steps, then others spread evenly."""
    steps = runs["relative_step"].to_numpy()
    landmarks: list[Any] = [0, np.argmin(np.abs(steps - 1))]
    landmarks += [np.argmin(runs["rate_predicted"].fillna(np.inf))]
    side = drawing.beyond_edge(steps, relative_limit(runs))
    landmarks += [*np.flatnonzero(side < 0)[-1:], *np.flatnonzero(side > 0)[:1]]
    return drawing.at_most(runs, [*landmarks, *spread(len(steps), MOST_STEPS)], MOST_STEPS)


def _colour(colours: ScalarMappable, step: Any) -> Any:
    """The colour of a relative step; black for a method that takes none."""
    return colours.to_rgba(step) if pd.notna(step) else "black"


def _gap_limits(runs: pd.DataFrame, curves: Mapping[str, pd.DataFrame]) -> tuple[float, float]:
    """The vertical range: from below the smallest gap to above the first gaps and bounds.

    Below the smallest gap there is room for a label.
    """
    settled = runs["run_id"][runs["status"] != "diverged"]
    smallest = min(curves[run_id]["gap"].min() for run_id in (settled if len(settled) else curves))
    top = 1e3 * max(curve[["gap", "gap_bound"]].iloc[0].max() for curve in curves.values())
    # With momentum a gap may grow at first.
    top = max([top, *(2 * curves[run_id]["gap"].max() for run_id in settled)])
    return smallest * (smallest / top) ** 0.1, top


def _last_iteration(curves: Sequence[pd.DataFrame], top: float) -> float:
    """The right end of a panel: at most four times the iterations of the fastest run.

    So the slope of the fastest run can be seen, and the direction of the slow ones as well.
    """
    inside = [curve["iteration"][curve["gap"] <= top].max() for curve in curves]
    ended = [t for t, curve in zip(inside, curves, strict=True) if t == curve["iteration"].iloc[-1]]
    return float(min(max(inside), 4 * min(ended, default=max(inside))))


def _draw_curve(ax: Axes, curve: pd.DataFrame, colour: Any) -> None:
    """Draw the gap and those bounds that are known and do not coincide with the first one."""
    t = curve["iteration"].to_numpy()
    ax.plot(t, curve["gap"].to_numpy(), color=colour, linewidth=1.5, label="measured")
    bound = curve["gap_bound"].to_numpy()
    for name, look in drawing.known(curve, BOUNDS):
        values = curve[name].to_numpy()
        same_as_first = np.allclose(bound, values, rtol=1e-6, atol=0, equal_nan=True)
        if name == "gap_bound" or not same_as_first:
            above = values > 0
            label = QUANTITIES[name].words
            ax.plot(t[above], values[above], color=colour, **look, label=label)


def _label_ends(
    ax: Axes, curves: Sequence[pd.DataFrame], steps: Sequence[float], columns: int
) -> None:
    """Write each relative step where its curve ends or leaves the panel."""
    right, (bottom, top) = ax.get_xlim()[1], np.log(ax.get_ylim())
    over, below, beside = [], [], []
    for curve, step in zip(curves, drawing.step_texts(list(steps)), strict=True):
        # In parts of the panel's width and height, with straight lines between recorded iterations.
        x = curve["iteration"].to_numpy() / right
        y = (np.log(curve["gap"].to_numpy()) - bottom) / (top - bottom)
        first = int(np.argmax(y > 1))
        leaves = np.interp(1, y[first - 1 : first + 1], x[first - 1 : first + 1]) if first else 1
        if leaves < 1:
            place: Look = {"clip_on": False, "transform": ax.transAxes}
            ax.plot(leaves, 1, "k^", markersize=5, **place, label="diverges")
            over.append((leaves, 1, step))
        elif x[-1] < 1:
            below.append((x[-1], y[-1], step))
        else:
            beside.append((np.interp(1, x, y), step))
    width = 0.08 * columns
    for ends, offset, align in ((over, (5, -4), "left"), (below, (0, -2), "center")):
        ends.sort()
        for (_, y, step), x in zip(ends, scales.apart([x for x, *_ in ends], width), strict=True):
            drawing.write(ax, step, (x, y), offset, va="top", ha=align)
    beside.sort()
    heights = scales.apart([y for y, _ in beside], 0.09, last=0.98)
    for (_, step), y in zip(beside, heights, strict=True):
        drawing.write(ax, step, (1, y), (3, 0), va="center")


PLOT = Plot(
    "convergence",
    "The gap L(wₜ) − L(w*) against the iteration t, for one repetition and up to five relative"
    " steps ηλmax. The steps are written at the ends of the curves: the smallest, the one nearest"
    " to 1, the one with the best predicted rate, the nearest below and above the edge of stability"
    " (2 for gradient descent). If some of these coincide, others take their place. If several"
    " methods solve one problem, each has a panel. A straight line means linear convergence. Solid:"
    " the measured gap. Dashed: the bound, (λmax/2) ‖w₀ − w*‖² times the largest pₜ(λ)² for λ from"
    " λ⁺min to λmax, where pₜ(λ) is the factor of the error along an eigenvector after t"
    " iterations. For gradient descent this is (λmax/2) ν²ᵗ ‖w₀ − w*‖² with ν = max |1 − ηλᵢ|."
    " Thin: the sharp bound. No bound that uses only λ⁺min, λmax and ‖w₀ − w*‖ is better. For a"
    " method that chooses its own steps, dashed and thin are bounds that are proved for every"
    " start; for Barzilai and Borwein's step size none is known. Dotted, for gradient descent only:"
    " the coursework's bound, which has 1 − λmin/K, K = 1/η, in place of ν. It is drawn where it"
    " differs; beyond the optimal step the measured gap can rise above it. Grey: below the rounding"
    " floor a gap is only rounding noise. Triangle: a diverging run leaves the panel. Runs that"
    " start along an eigenvector show one component of the error only; they are left out if the"
    " study has other starts.",
    {
        "runs": ("condition_number", "gap_floor", "start"),
        "curves": ("iteration", "gap"),
    },
    draw,
    also=(
        *("rate_predicted", "step_unit", "step_value", "relative_step"),
        *("step_limit", "lambda_max"),
    ),
    also_curves=("gap_bound", "gap_bound_sharp"),
)
