"""The figures of a study, drawn from its tables alone: nothing is run, no theory evaluated again.

A figure is one entry of `FIGURES`: its name, its caption, the columns it needs and what draws it.
One that a study has nothing for is left out with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from gdconv.errata import errata
from gdconv.panels import (
    EDGE,
    MEASURED,
    NothingToShowError,
    apart,
    choose,
    grid,
    legend,
    style,
    write,
)
from gdconv.summary import settings
from gdconv.tables import Tables

FORMATS = ("png", "svg", "pdf")
MOST_STEPS = 5
# The last relative step worth a place on the axis of steps: beyond it rates are (step − 1)² and
# would squeeze the rest into a corner.
FARTHEST = 4.0

_WITHOUT_DATE = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
# The light end of the map would be lost on white paper.
_COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.85, 256)))
_STATED, _GREY = "#b3450c", "0.9"
_STEP_LABEL = r"relative step $\eta\,\lambda_{\max}$   (dimensionless)"


@dataclass(frozen=True)
class Plot:
    """One kind of figure.

    Attributes
    ----------
    name : str
        The name of its files and in the report.
    caption : str
        What it shows and how to read it.
    columns : mapping
        Table → the columns without which there is nothing to draw.
    draw : callable
        Tables → Figure; raises NothingToShowError.
    """

    name: str
    caption: str
    columns: Mapping[str, Sequence[str]]
    draw: Callable[[Tables], Figure]


def draw(tables: Tables) -> tuple[dict[str, Figure], dict[str, str]]:
    """Draw every figure that a study has the data for.

    Parameters
    ----------
    tables : Tables

    Returns
    -------
    drawn : dict
        Name → Figure, in the order of `FIGURES`.
    omitted : dict
        Name → why there is nothing to show.
    """
    drawn, omitted = {}, {}
    for plot in FIGURES:
        try:
            _require(plot.columns, tables)
            with style():
                figure = plot.draw(tables)
                # Lay it out once, not once a format.
                figure.draw_without_rendering()
                figure.set_layout_engine("none")
            drawn[plot.name] = figure
        except NothingToShowError as reason:
            omitted[plot.name] = str(reason)
    return drawn, omitted


def save(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG (200 dpi), SVG and PDF; equal figures give equal bytes."""
    with style():
        for suffix in FORMATS:
            path = stem.with_name(f"{stem.name}.{suffix}")
            figure.savefig(path, dpi=200, metadata=_WITHOUT_DATE[suffix])


def _require(columns: Mapping[str, Sequence[str]], tables: Tables) -> None:
    for table, names in columns.items():
        for name in names:
            values = getattr(tables, table).get(name)
            if values is None or values.isna().all():
                raise NothingToShowError(f"{table}.csv has no values of {name}")


def _convergence(tables: Tables) -> Figure:
    curves = tables.curves[tables.curves["gap"] > 0]
    counts = curves["run_id"].value_counts()
    runs = tables.runs[tables.runs["run_id"].isin(counts.index[counts > 1])]
    if runs.empty:
        raise NothingToShowError("no run has two recorded iterations with a gap above 0")
    every = [(setting, _one_problem(group)) for setting, group in settings(runs)]
    panels = [(setting, _representative(group)) for setting, group in choose(every)]
    shown = pd.concat([group for _, group in panels])
    curves = dict(list(curves[curves["run_id"].isin(shown["run_id"])].groupby("run_id")))
    bottom, top = _gap_limits(shown, curves)
    steps = shown["relative_step"]
    colours = ScalarMappable(Normalize(steps.min(), steps.max()), _COLOURS)

    note = "seed {}, repetition {}".format(*shown[["seed", "repetition"]].iloc[0])
    gap = "gap $L(w_t) - L(w^*)$   (units of $y^2$)"
    figure, axes = grid(panels, len(every), note, "iteration $t$", gap, sharex=False)
    for ax, (_, group) in zip(axes, panels, strict=True):
        lines = [curves[run_id] for run_id in group["run_id"]]
        ax.set(yscale="log", ylim=(bottom, top), xlim=(0, max(1, _last_iteration(lines, top))))
        for curve, step in zip(lines, group["relative_step"], strict=True):
            _draw_curve(ax, curve, colours.to_rgba(step))
        _label_ends(ax, lines, group["relative_step"])
        floor = group["gap_floor"][group["status"] != "diverged"].min()
        if floor > bottom:
            ax.axhspan(bottom, floor, color=_GREY, linewidth=0, zorder=0, label="rounding floor")
    if steps.nunique() > 1:
        figure.colorbar(colours, ax=axes, aspect=40).set_label(_STEP_LABEL)
    legend(figure, axes, colour="black")
    return figure


def _one_problem(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the first seed and repetition, one for each relative step and in its order."""
    runs = runs.sort_values(["seed", "repetition", "relative_step"])
    draws = runs[["seed", "repetition"]]
    return runs[(draws == draws.iloc[0]).all(axis=1)].drop_duplicates("relative_step")


def _representative(runs: pd.DataFrame) -> pd.DataFrame:
    """A few of the runs: the landmarks of the range of steps, then others spread over it."""
    steps = runs["relative_step"].to_numpy()
    landmarks = [0, np.argmin(np.abs(steps - 1)), np.argmin(runs["rate_predicted"].fillna(np.inf))]
    # A step meant to be the edge itself may be a rounding error off.
    landmarks += [*np.flatnonzero(steps < EDGE - 1e-9)[-1:]]
    landmarks += [*np.flatnonzero(steps > EDGE + 1e-9)[:1]]
    others = np.linspace(0, len(steps) - 1, MOST_STEPS).round()
    chosen = list(dict.fromkeys(int(index) for index in [*landmarks, *others]))
    return runs.iloc[sorted(chosen[:MOST_STEPS])]


def _gap_limits(runs: pd.DataFrame, curves: Mapping[str, pd.DataFrame]) -> tuple[float, float]:
    """From below the smallest gap, with room for a label, to above where gaps and bounds begin."""
    settled = runs["run_id"][runs["status"] != "diverged"]
    smallest = min(curves[run_id]["gap"].min() for run_id in (settled if len(settled) else curves))
    top = 1e3 * max(curve[["gap", "gap_bound"]].iloc[0].max() for curve in curves.values())
    return smallest * (smallest / top) ** 0.1, top


def _last_iteration(curves: Sequence[pd.DataFrame], top: float) -> float:
    """Four times what the fastest run took: its slope can be seen, and where the slow ones go."""
    inside = [curve["iteration"][curve["gap"] <= top].max() for curve in curves]
    ended = [t for t, curve in zip(inside, curves, strict=True) if t == curve["iteration"].iloc[-1]]
    return float(min(max(inside), 4 * min(ended, default=max(inside))))


def _draw_curve(ax: Axes, curve: pd.DataFrame, colour: Any) -> None:
    """The gap and its bounds; of two bounds that are the same line only one."""
    t = curve["iteration"].to_numpy()
    names = ("gap_bound", "gap_bound_sharp", "gap_bound_as_stated")
    bound, sharp, stated = (curve[name].to_numpy() for name in names)
    thin = {"color": colour, "linewidth": 0.9}
    ax.plot(t, curve["gap"].to_numpy(), color=colour, linewidth=1.5, label="measured")
    ax.plot(t, bound, **thin, linestyle="--", label="bound")
    if not np.allclose(bound, sharp, rtol=1e-6, atol=0, equal_nan=True):
        ax.plot(t, sharp, color=colour, linewidth=0.5, label="sharp bound")
    if not np.allclose(bound, stated, rtol=1e-6, atol=0, equal_nan=True):
        above = stated > 0
        ax.plot(t[above], stated[above], **thin, linestyle=":", label="bound as stated")


def _label_ends(ax: Axes, curves: Sequence[pd.DataFrame], steps: Sequence[float]) -> None:
    """Write each relative step where its curve ends or leaves the panel."""
    right, (bottom, top) = ax.get_xlim()[1], np.log(ax.get_ylim())
    over, below, beside = [], [], []
    for curve, step in zip(curves, steps, strict=True):
        # Parts of the panel's width and height; between two recorded iterations straight.
        x = curve["iteration"].to_numpy() / right
        y = (np.log(curve["gap"].to_numpy()) - bottom) / (top - bottom)
        first = int(np.argmax(y > 1))
        leaves = np.interp(1, y[first - 1 : first + 1], x[first - 1 : first + 1]) if first else 1
        if leaves < 1:
            triangle = {"markersize": 5, "clip_on": False, "transform": ax.transAxes}
            ax.plot(leaves, 1, "k^", **triangle, label="diverges")
            over.append((leaves, 1, step))
        elif x[-1] < 1:
            below.append((x[-1], y[-1], step))
        else:
            beside.append((np.interp(1, x, y), step))
    width = 0.08 * ax.get_subplotspec().get_gridspec().ncols
    for ends, offset, align in ((over, (5, -4), "left"), (below, (0, -2), "center")):
        ends.sort()
        for (_, y, step), x in zip(ends, apart([x for x, *_ in ends], width), strict=True):
            write(ax, f"{step:.3g}", (x, y), offset, va="top", ha=align)
    beside.sort()
    for (_, step), y in zip(beside, apart([y for y, _ in beside], 0.09), strict=True):
        write(ax, f"{step:.3g}", (1, y), (3, 0), va="center")


def _rate_vs_step(tables: Tables) -> Figure:
    known = ["relative_step", "nu", "nu_as_stated", "condition_number"]
    runs = tables.runs.dropna(subset=known)
    near = runs[runs["relative_step"] <= FARTHEST]
    every = [
        (setting, runs)
        for setting, runs in settings(near)
        if runs["relative_step"][runs["rate_measured"].notna()].nunique() > 1
    ]
    if not every:
        raise NothingToShowError(
            f"no problem has measured rates at two relative steps up to {FARTHEST:g}"
        )
    panels = choose(every)
    draws = max(len(runs[["seed", "repetition"]].drop_duplicates()) for _, runs in panels)
    notes = [f"medians of {draws} draws"] if draws > 1 else []
    if len(near) < len(runs):
        notes.append(f"{len(runs) - len(near)} runs beyond {FARTHEST:g} left out")
    contraction = "contraction of the gap, per iteration"
    figure, axes = grid(panels, len(every), ", ".join(notes), _STEP_LABEL, contraction, sharex=True)
    last = 1.03 * max(2.1, *(runs["relative_step"].max() for _, runs in panels))
    axes[0].set_xlim(0, last)
    for ax, (_, runs) in zip(axes, panels, strict=True):
        _draw_rates(ax, runs, last)
    least, most = zip(*(ax.dataLim.intervaly for ax in axes), strict=True)
    # The best rate of an ill-conditioned problem rounds to 1.
    width = max(1e-12, min(1 - _optimum(runs)[1] ** 2 for _, runs in panels))
    _stretch_around_one(axes[0], width, min(least), max(most))
    legend(figure, axes)
    return figure


def _optimum(runs: pd.DataFrame) -> tuple[float, float]:
    """The optimal relative step and its ν, of the median condition number."""
    kappa = runs["condition_number"].median()
    return 2 / (1 + 1 / kappa), (kappa - 1) / (kappa + 1)


def _draw_rates(ax: Axes, runs: pd.DataFrame, last: float) -> None:
    columns = ["relative_step", "nu", "nu_as_stated", "rate_measured"]
    repetitions = runs.groupby(["step_unit", "step_value"])
    median = repetitions[columns].median().sort_values("relative_step")
    spread = repetitions["rate_measured"].agg(["min", "max"]).loc[median.index]
    steps, nu, stated, measured = median.to_numpy().T
    best_step, best_nu = _optimum(runs)
    # Against the step both ν are straight lines, but for the kink of the true one at the optimum.
    kink = np.searchsorted(steps, best_step)
    between = np.union1d(np.linspace(steps[0], steps[-1], 200), steps)
    if 0 < kink < len(steps):
        between = np.union1d(between, best_step)
    true = np.interp(between, np.insert(steps, kink, best_step), np.insert(nu, kink, best_nu))
    promised = np.interp(between, steps, stated)

    fails_from = 2 / (1 + (runs["lambda_min"] / runs["lambda_max"]).median())
    # With a single eigenvalue both ν are the same.
    if fails_from > 1:
        ax.axvspan(fails_from, last, color=_GREY, linewidth=0, zorder=0, label="as stated fails")
    ax.axhline(1, color="0.5", linewidth=0.6)
    ax.axvline(EDGE, color="black", linewidth=0.8, linestyle="-.", label="edge")
    ax.plot(between, promised**2, color=_STATED, linewidth=1.5, linestyle=":", label="as stated")
    ax.plot(between, true**2, color="black", linewidth=1, label=r"predicted $\nu^2$")
    ax.plot(best_step, best_nu**2, "kD", markersize=4.5, label="optimum")
    ax.vlines(steps, spread["min"], spread["max"], color=MEASURED, linewidth=0.8)
    ax.plot(steps, measured, "o", color=MEASURED, markersize=4, fillstyle="none", label="measured")


def _stretch_around_one(ax: Axes, width: float, least: float, most: float) -> None:
    """Scale the axis evenly within width of 1, like the logarithm of the distance beyond."""

    def height(rate: Any) -> Any:
        return np.arcsinh((np.asarray(rate) - 1) / width)

    def rate(height: Any) -> Any:
        return 1 + width * np.sinh(height)

    low, high = height([least, most])
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    ax.set_yscale("function", functions=(height, rate))
    ax.set_ylim(rate(low), rate(high))
    digits = (1, 2, 5) if high - low < 8 else (1,)
    ticks = [1.0]
    for sign in (-1, 1):
        nearest = 0.0
        for distance in (digit * 10.0**power for power in range(-12, 13) for digit in digits):
            tick = 1 + sign * distance if distance < 1 else sign * distance
            at = height(tick)
            if tick > 0 and low < at < high and abs(at - nearest) > 0.09 * (high - low):
                ticks.append(tick)
                nearest = at
    ax.set_yticks(ticks, [f"{tick:.12g}" for tick in ticks])
    ax.minorticks_off()


FIGURES = (
    Plot(
        "convergence",
        "The gap to the smallest loss against the iteration, for one repetition and up to five"
        " relative steps ηλmax, written at the ends of the curves: the smallest, the nearest to 1,"
        " the one of the best predicted rate, the nearest to the edge 2 on either side, or others"
        " where these coincide. A straight line is linear convergence. Solid: measured. Dashed: the"
        " bound (λmax/2) ν²ᵗ ‖w₀ − w*‖² with ν = max |1 − ηλᵢ|. Thin: the sharp bound, the best"
        " that knows no more than λ⁺min, λmax and ‖w₀ − w*‖. Dotted: the bound as stated, with"
        " 1 − λmin/K, K = 1/η, in place of ν; it is drawn where it differs, and beyond the optimum"
        " the measured gap can cross it. Grey: below this floor a gap is rounding noise. Triangle:"
        " a diverging run leaves the panel.",
        {
            "runs": ("relative_step", "condition_number", "rate_predicted"),
            "curves": ("iteration", "gap", "gap_bound", "gap_bound_sharp", "gap_bound_as_stated"),
        },
        _convergence,
    ),
    Plot(
        "rate_vs_step",
        "What one iteration, late in a run, leaves of the gap, against the relative step ηλmax."
        " Where it is below 1 gradient descent converges; beyond the edge, step 2, it diverges."
        " Circles: measured, the median over seeds and repetitions, with a bar from the least to"
        " the greatest. Line: ν², predicted, least at the optimum 2/(1 + 1/κ), where ν = (κ −"
        " 1)/(κ + 1). Dotted: (1 − λmin/K)², K = 1/η, which the bound as stated promises. It holds"
        " only for K ≥ (λmin + λmax)/2, that is up to the relative step 2/(1 + λmin/λmax), at full"
        " rank the optimum itself. Beyond it, shaded, the error along the eigenvector of λmax"
        " decides, and it shrinks more slowly than promised. A run too short for its slowest"
        " component to take over lies below the line. The vertical axis is stretched around 1,"
        " where slow rates crowd.",
        {"runs": ("relative_step", "nu", "nu_as_stated", "condition_number", "rate_measured")},
        _rate_vs_step,
    ),
    Plot(
        "errata",
        "When the bound as stated, (λmax/2) (1 − λmin/K)²ᵗ ‖w₀ − w*‖² with K = 1/η, is first"
        " broken, against K/λmax, and which runs diverged. It is stated for every K > λmin (dotted"
        " line). By theory gradient descent diverges below λmax/2 (dark), and the bound is true"
        " from (λmin + λmax)/2 on; in between (light) gradient descent converges, only not as fast"
        " as promised. From a start along v_max the promise is broken at once all the way up to"
        " there; from another one the part along v_max has to show first, which close to the"
        " threshold may take longer than the gap has before it is rounding noise. Triangles: the"
        " run diverged. Circles: it did not.",
        {"runs": ("K", "lambda_min", "lambda_max", "relative_step", "bound_as_stated_holds")},
        errata,
    ),
)
