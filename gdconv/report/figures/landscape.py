"""The ways of gradient descent on the loss of the network of two numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.networks import trained
from gdconv.report.figures.titles import mathtext, names, part_of, which_draw
from gdconv.report.numerals import number
from gdconv.report.settings import settings, spread

MOST_STEPS, MOST_SETTINGS = 4, 2
# Contours of the loss, which is (f − 1)² and 1 where the unit is dead.
LEVELS = (0.01, 0.05, 0.25, 1, 4, 16)
# Of the points on the curve of minima, every fifth is drawn.
STRIDE = 5
# Of the bar, as far as minima are that sharp.
TICKS = (2, 3, 4, 6, 10, 15, 20, 30, 40, 60, 100, 150)
# In the legend minima have no colour of the bar: only how thick they are tells them apart.
NEUTRAL = "0.3"
# This part of a panel or of the bar cannot be seen.
NEAR = 1e-3

Function = Callable[[np.ndarray], np.ndarray]
# Each activation and its derivative.
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda w: w, np.ones_like),
    "relu": (lambda w: np.maximum(w, 0), lambda w: (w > 0).astype(float)),
    "tanh": (np.tanh, lambda w: 1 - np.tanh(w) ** 2),
}


def draw(tables: Shown) -> Figure:
    """Draw a panel for each of some step sizes."""
    runs = trained(tables)
    options = runs["problem_options"].fillna("")
    runs = runs[
        options.str.contains(r"(?:^| )data=point(?: |$)") & options.str.contains("hidden=0")
    ]
    runs = runs[runs["method"] == "gradient_descent"]
    if runs.empty:
        raise NothingToShowError(
            "no run is one of gradient descent on the network of two numbers, problem.data=point"
        )
    every = [
        (setting, drawing.one_draw(runs.loc[group.index])) for setting, group in settings(runs)
    ]
    shown = drawing.choose(every, MOST_SETTINGS)
    groups = [group.iloc[spread(len(group), MOST_STEPS)] for _, group in shown]
    common, told = names([setting for setting, _ in shown])
    if len(shown) == 1:
        common, told = f"{common}, {told[0]}", [""]
    # The same step of two settings stands side by side.
    panels = [
        (name, group.iloc[index])
        for index in range(max(map(len, groups)))
        for name, group in zip(told, groups, strict=True)
        if index < len(group)
    ]
    note = which_draw(group for group in groups)
    header = [common, note, part_of(shown, every, "problems")]
    titles = [_title(name, run) for name, run in panels]
    axes_of = mathtext("w₁"), mathtext("w₂")
    figure, axes = drawing.frame(titles, header, *axes_of, sharex=True)
    ways = [_way(tables, run) for _, run in panels]
    box = _box(ways)
    least, most = _range({_option(run, "activation") for _, run in panels}, box)
    colours = ScalarMappable(LogNorm(least, most), drawing.COLOURS)
    for ax, way, (_, run) in zip(axes, ways, panels, strict=True):
        _draw_panel(ax, way, run, box, colours)
    # As tall as two panels, if there are more.
    part = min(1.0, 2 / ceil(len(axes) / 2))
    ticks = [tick for tick in TICKS if least <= tick <= most]
    bar = figure.colorbar(colours, ax=axes, shrink=part, aspect=40 * part, ticks=ticks)
    bar.set_label("sharpness of the minima")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter("{x:g}")
    drawing.legend(figure, axes)
    return figure


def _title(name: str, run: pd.Series) -> str:
    step = rf"$\eta$ = {number(run['step_size'])}"
    return ", ".join(filter(None, (name, step, run["verdict"].replace("_", " "))))


def _option(run: pd.Series, name: str) -> str:
    found = re.search(rf"(?:^| ){name}=(\S+)", run["problem_options"])
    return found[1] if found else ""


def _way(tables: Shown, run: pd.Series) -> np.ndarray:
    curve = tables.curves.of([run["run_id"]]).dropna(subset=["weight_1", "weight_2"])
    points: np.ndarray = curve[["weight_1", "weight_2"]].to_numpy()
    return points


def _box(ways: list[np.ndarray]) -> tuple[float, float, float, float]:
    """The part of the plane that is shown: the starts, and the ways as far as they stay near."""
    start = ways[0][0]
    size = 1.3 * max(2.0, float(np.abs(start).max()))
    points = np.concatenate(ways)
    near = points[(np.abs(points) <= size).all(axis=1)]
    low, high = np.minimum(near.min(axis=0), -0.3), np.maximum(near.max(axis=0), 1.6)
    margin = 0.1 * (high - low)
    (left, bottom), (right, top) = low - margin, high + margin
    return float(left), float(right), float(bottom), float(top)


def minima(
    functions: tuple[Function, Function], low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return minima (w₁, w₂) of (f − 1)² with w₁ from low to high, shape (N, 2), and sharpness.

    There activation(w₁) w₂ = 1, and the Hessian is 2 ∇f ∇fᵀ, so the sharpness is 2‖∇f‖².
    """
    activation, slope = functions
    first = np.linspace(low, high, 4001)
    # Where the unit is dead, there is no minimum, and the sharpness is nan.
    with np.errstate(divide="ignore", invalid="ignore"):
        second = 1 / activation(first)
        gradient = (slope(first) * second) ** 2 + activation(first) ** 2
    return np.column_stack([first, second]), 2 * gradient


def _inside(
    activation: str, box: tuple[float, float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minima from left to right of a part of the plane, their sharpness, and which are in it."""
    left, right, bottom, top = box
    points, sharpness = minima(ACTIVATIONS[activation], left, right)
    return points, sharpness, (points[:, 1] >= bottom) & (points[:, 1] <= top)


def _range(
    activations: Collection[str], box: tuple[float, float, float, float]
) -> tuple[float, float]:
    """The least and the largest sharpness of the minima in a part of the plane."""
    each = [_inside(activation, box) for activation in activations]
    values = np.concatenate([sharpness[inside] for _, sharpness, inside in each])
    # The points miss the least sharpness, 4 for ReLU, by about a millionth.
    return float(values.min()) * (1 - NEAR), float(values.max())


def _moving(way: np.ndarray, near: float) -> np.ndarray:
    """The points of a way without those that are as near as this to the last one before them.

    Many dots at one place would become a square.
    """
    kept = [way[0]]
    for point in way[1:]:
        if (np.abs(point - kept[-1]) > near).any():
            kept.append(point)
    return np.array(kept)


def _draw_panel(
    ax: Axes,
    way: np.ndarray,
    run: pd.Series,
    box: tuple[float, float, float, float],
    colours: ScalarMappable,
) -> None:
    left, right, bottom, top = box
    activation, threshold = _option(run, "activation"), run["threshold"]
    functions = ACTIVATIONS[activation]
    if activation == "relu":
        ax.axvspan(left, 0, color=drawing.GREY, linewidth=0, zorder=0, label="unit is dead")
    w1, w2 = np.meshgrid(np.linspace(left, right, 241), np.linspace(bottom, top, 241))
    loss = (functions[0](w1) * w2 - 1) ** 2
    contours: Look = {"color": "0.75", "linewidth": 0.5}
    grey, thin = contours["color"], contours["linewidth"]
    ax.contour(w1, w2, loss, LEVELS, colors=grey, linewidths=thin, zorder=1)
    ax.plot([], [], **contours, label=f"loss {', '.join(f'{level:g}' for level in LEVELS)}")
    points, sharpness, inside = _inside(activation, box)
    for flat, look in ((False, {"linewidth": 1.2}), (True, {"linewidth": 4})):
        shown = inside & ((sharpness <= threshold) == flat)
        _draw_minima(ax, points, shown, sharpness, colours, look)
    ax.plot([], [], color=NEUTRAL, linewidth=4, label=r"minima with sharpness ≤ $2/\eta$")
    ax.plot([], [], color=NEUTRAL, linewidth=1.2, label="sharper minima")
    line: Look = {"color": "black", "linewidth": 0.7, "marker": "o", "markersize": 2.2}
    ax.plot(*_moving(way, NEAR * min(right - left, top - bottom)).T, **line, label="$w_t$")
    ax.plot(*way[0], "ks", markersize=4, fillstyle="none", linestyle="none", label="$w_0$")
    ax.set(xlim=(left, right), ylim=(bottom, top))


def _draw_minima(
    ax: Axes,
    points: np.ndarray,
    shown: np.ndarray,
    sharpness: np.ndarray,
    colours: ScalarMappable,
    look: dict[str, Any],
) -> None:
    """Draw the minima that are shown, coloured by their sharpness."""
    # Pieces overlap. Where they only touched, the white below would make the colour paler.
    starts = np.arange(0, len(points) - 2 * STRIDE, STRIDE)[:, None]
    of_piece = starts + STRIDE * np.arange(3)
    drawn = shown[of_piece[:, 1]] & np.isfinite(points[of_piece]).all(axis=(1, 2))
    of_piece = of_piece[drawn]
    pieces = list(points[of_piece])
    curve = LineCollection(pieces, cmap=colours.cmap, norm=colours.norm, zorder=1.5, **look)
    curve.set_array(sharpness[of_piece[:, 0]])
    ax.add_collection(curve)


PLOT = Plot(
    "landscape",
    "Gradient descent on the network of two numbers, f(x) = activation(x w₁) w₂ with x = y = 1, so"
    " that the loss is (f − 1)². Its minima are a curve, w₁ w₂ = 1 for ReLU. Their colour is their"
    " sharpness, as the bar says. Gradient descent can only come to rest at minima with a"
    " sharpness of at most 2/η, which are thick. A short step leads along the gradient flow to the"
    " next minimum. If that one is too sharp, gradient descent leaves it and leaps to a flatter"
    " one. A step that is too long makes w₁ negative: then ReLU's unit is dead and nothing changes"
    " any more, or the loss grows without end. Grey: contours of the loss. Recorded iterations are"
    " shown.",
    {
        "runs": ("threshold", "step_size", "relative_step", "verdict"),
        "curves": ("iteration", "weight_1", "weight_2"),
    },
    draw,
    also=("step_unit", "step_value", "problem_options"),
)
