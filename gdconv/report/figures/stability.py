"""The rate of a method with momentum over step size and momentum."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, count_draws
from gdconv.report.numerals import same
from gdconv.report.settings import STEP, Setting, settings, with_all_parts

# Of steps and of momenta.
FEWEST = 3
# Relative step and momentum with the smallest contraction factor, for a condition number.
OPTIMUM: dict[str, Callable[[float], tuple[float, float]]] = {
    "heavy_ball": lambda kappa: (
        4 / (1 + 1 / sqrt(kappa)) ** 2,
        ((sqrt(kappa) - 1) / (sqrt(kappa) + 1)) ** 2,
    ),
    "nesterov": lambda kappa: (
        4 / (3 + 1 / kappa),
        (sqrt(3 * kappa + 1) - 2) / (sqrt(3 * kappa + 1) + 2),
    ),
}


def draw(tables: Shown) -> Figure:
    """Draw a panel for each method and problem with a grid of steps and momenta."""
    known = ["relative_step", "momentum", "rate_measured", "condition_number"]
    runs = with_all_parts(tables.runs.dropna(subset=known[:2] + known[3:]))
    every = [each for each in _by_method(runs) if _is_grid(each[1])]
    if not every:
        raise NothingToShowError(
            f"no method was run on one problem with {FEWEST} momenta at {FEWEST} relative steps"
        )
    panels = drawing.choose(every)
    grids = [cells(group) for _, group in panels]
    rates = pd.concat([grid["rate"][~grid["diverged"]] for grid in grids]).dropna()
    if rates.empty:
        raise NothingToShowError("no run that did not diverge has a measured rate")
    least, most = rates.min(), max(1.0, rates.max())
    colours = ScalarMappable(Normalize(least, most if least < most else least + 1), drawing.COLOURS)
    draws, said = count_draws(group for _, group in panels)
    note = f"medians of {said}" * (draws > 1)
    # Beside a colour bar two panels have no room for the label in one line.
    label = axis("relative_step")
    label = label if len(panels) == 1 else label.replace("   ", "\n")
    figure, axes = drawing.grid(panels, every, note, label, axis("momentum"), sharex=False)
    for ax, (setting, group), grid in zip(axes, panels, grids, strict=True):
        _draw_cells(ax, grid, colours)
        _draw_theory(ax, str(setting["method"]), group, grid)
    bar = figure.colorbar(colours, ax=axes, aspect=40)
    bar.set_label("rate: factor of the gap per iteration")
    drawing.legend(figure, axes)
    return figure


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each step and momentum of a problem, with medians over repetitions.

    `rate` is nan if no run has a measured rate; `diverged` is true if half of the runs or more
    diverged. `limit` is the relative step at which the method ceases to converge.
    """
    each = runs.assign(
        rate=runs["rate_measured"],
        diverged=(runs["status"] == "diverged").astype("float64"),
        limit=runs["step_limit"] * runs["lambda_max"],
    )
    names = ["relative_step", "rate", "diverged", "limit"]
    rows = each.groupby(["momentum", *STEP])[names].median().reset_index()
    rows["diverged"] = rows["diverged"] >= 0.5
    return rows


def _by_method(runs: pd.DataFrame) -> list[Setting]:
    """The runs of each problem and method, with all momenta that were asked for as numbers."""
    found = []
    for setting, group in settings(runs, ("momentum",)):
        asked = group.dropna(subset=["momentum"])
        if len(asked):
            found.append((setting, asked))
    return found


def _is_grid(runs: pd.DataFrame) -> bool:
    """Whether some momenta have runs at several steps that they share."""
    steps = runs.groupby("momentum").apply(lambda some: {*zip(*map(some.get, STEP), strict=True)})
    many = [each for each in steps if len(each) >= FEWEST]
    return len(many) >= FEWEST and len(set.intersection(*many)) >= FEWEST


def _edges(centres: np.ndarray) -> np.ndarray:
    """Where cells end whose centres are given: halfway between two of them."""
    halfway = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - halfway[0], *halfway, 2 * centres[-1] - halfway[-1]])


def _draw_cells(ax: Axes, grid: pd.DataFrame, colours: ScalarMappable) -> None:
    """Fill a cell for each run: a colour for its rate, or a hatch."""
    by_step = grid.groupby(STEP)["relative_step"].median()
    columns = by_step.iloc[scales.ascending(by_step.to_numpy())]
    momenta = np.unique(grid["momentum"])
    x, y = _edges(columns.to_numpy()).clip(0), _edges(momenta).clip(0)
    if scales.evenly_by_factors(columns):
        x = np.exp(_edges(np.log(columns.to_numpy())))
        ax.set_xscale("log")
        scales.logarithmic(ax.xaxis, np.log10(x[-1] / x[0]))
    place = grid.set_index(["momentum", *STEP])
    kinds: dict[str, list[tuple[int, int]]] = {"": [], "diverged": [], "rate not measured": []}
    rates = np.full((len(momenta), len(columns)), np.nan)
    for row, momentum in enumerate(momenta):
        for column, step in enumerate(columns.index):
            if (key := (momentum, *step)) not in place.index:
                continue
            cell = place.loc[key]
            kind = "diverged" if cell["diverged"] else "rate not measured"
            if kind != "diverged" and np.isfinite(cell["rate"]):
                kind, rates[row, column] = "", cell["rate"]
            kinds[kind].append((row, column))
    ax.pcolormesh(x, y, rates, cmap=drawing.COLOURS, clim=colours.get_clim(), rasterized=True)
    looks: dict[str, Look] = {
        "diverged": {"hatch": "/////"},
        "rate not measured": {"hatch": "...."},
    }
    for kind, look in looks.items():
        if kinds[kind]:
            row, column = np.transpose(kinds[kind])
            box: Look = {"facecolor": "0.95", "edgecolor": "0.5", "linewidth": 0, "align": "edge"}
            ax.bar(
                x[column],
                y[row + 1] - y[row],
                x[column + 1] - x[column],
                y[row],
                **box,
                **look,
                label=kind,
            )
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def _draw_theory(ax: Axes, method: str, runs: pd.DataFrame, grid: pd.DataFrame) -> None:
    """Draw the predicted limit, the region where √β is the contraction factor, and the optimum.

    What lies outside the cells is left out.
    """
    limits = grid.groupby("momentum")["limit"].median().dropna()
    _draw_line(ax, limits, limits.index, "-", "limit by theory")
    kappa = runs["condition_number"].median()
    if method == "heavy_ball":
        root = np.sqrt(np.linspace(*ax.get_ylim(), 200).clip(0, 1))
        left, right = kappa * (1 - root) ** 2, (1 + root) ** 2
        region = left <= right
        for side in (left, right):
            label = r"between these lines $\nu = \sqrt{\beta}$"
            _draw_line(ax, side[region], root[region] ** 2, "--", label)
    marker: Look = {"linestyle": "none", "markeredgecolor": "black", "color": "white", "zorder": 4}
    if method in OPTIMUM and not same(kappa, 1):
        best = OPTIMUM[method](kappa)
        if _inside(ax, *best).all():
            ax.plot(*best, "D", markersize=5, **marker, label="optimum by theory")
    converged = grid[~grid["diverged"]].dropna(subset=["rate"])
    if len(converged):
        fastest = converged.loc[converged["rate"].idxmin()]
        at = fastest["relative_step"], fastest["momentum"]
        ax.plot(*at, "*", markersize=8, **marker, label="least measured rate")


def _draw_line(ax: Axes, x: ArrayLike, y: ArrayLike, style: str, label: str) -> None:
    """Draw a black line on a white one, if some of it is inside the cells."""
    if _inside(ax, x, y).any():
        ax.plot(x, y, color="white", linewidth=2.4, zorder=2)
        ax.plot(x, y, color="black", linewidth=1.1, zorder=3, linestyle=style, label=label)


def _inside(ax: Axes, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    x, y = np.asarray(x), np.asarray(y)
    return np.asarray((left <= x) & (x <= right) & (low <= y) & (y <= high))


PLOT = Plot(
    "stability",
    "The measured rate of a method over the relative step ηλmax and the momentum β, as a colour:"
    " with more momentum longer steps are stable, and near the optimum the rate is least. Each cell"
    " is a run, or the median over repetitions. The rate is the factor by which an iteration late"
    " in the run multiplies the gap. Hatched: the run diverged. Dotted: its rate could not be"
    " measured. Solid line: the step_limit of theory, where the method ceases to converge: 2(1 + β)"
    " for heavy ball, (2 + 2β)/(1 + 2β) for Nesterov's method, in units of 1/λmax. Between the"
    " dashed lines, from (1 − √β)²/λ⁺min to (1 + √β)²/λmax, the contraction factor of heavy ball is"
    " √β whatever the step, so the rate is β. Diamond: the optimum by theory, which for heavy ball"
    " is the corner of this region. Star: the cell with the least measured rate. Runs that start"
    " along an eigenvector show one component of the error only; they are left out if the study has"
    " other starts.",
    {
        "runs": (
            *("step_unit", "step_value", "relative_step", "rate_measured"),
            *("step_limit", "lambda_max", "condition_number", "start"),
        )
    },
    draw,
    also=("momentum",),
)
