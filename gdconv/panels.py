"""What the figures share: a panel for each setting of a study, a plain style, tidy labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from gdconv.summary import SETTING, Setting

MOST_PANELS = 6
# More names than this take two lines below the panels.
MOST_NAMES = 5

_FORMS = {
    "n_samples": "$n$ = {}",
    "n_features": "$d$ = {}",
    "noise": "noise {:g}",
    "start": "start {}",
    "start_which": "$\\lambda$ {}",
    "start_radius": "radius {:g}",
}

STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    # Without a salt the names inside an SVG are random.
    "svg.hashsalt": "gdconv",
}
# The relative step beyond which gradient descent diverges.
EDGE = 2.0
MEASURED = "#1f4e79"
# Inches; at half a page's width the smallest text is still more than 4 points high.
WIDTH = 5.2


class NothingToShowError(ValueError):
    """A figure would be empty; the message says why."""


@contextmanager
def style() -> Iterator[None]:
    """Draw in Matplotlib's own defaults and `STYLE`, whatever the user's defaults are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def choose(panels: Sequence[Setting]) -> Sequence[Setting]:
    """Return at most `MOST_PANELS` panels spread evenly, the first and the last among them."""
    if len(panels) <= MOST_PANELS:
        return panels
    return [panels[round(index)] for index in np.linspace(0, len(panels) - 1, MOST_PANELS)]


def grid(
    panels: Sequence[Setting], total: int, note: str, xlabel: str, ylabel: str, sharex: bool
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes for each panel, titled by what tells the panels apart.

    Parameters
    ----------
    panels : sequence of (dict, DataFrame)
    total : int
        How many there are to choose from; the figure says so if it does not show them all.
    note : str
        What else to say above the panels, beside what they have in common.
    xlabel, ylabel : str
    sharex : bool
        The vertical axis is always shared.
    """
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = Figure((WIDTH, 3.4 if rows == 1 else 1.2 + 1.6 * rows), layout="constrained")
    places = figure.subplots(rows, columns, sharex=sharex, sharey=True, squeeze=False).ravel()
    axes = list(places[: len(panels)])
    for empty in places[len(panels) :]:
        empty.remove()
    for ax in axes[-columns:]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(xlabel)
    figure.supylabel(ylabel)

    values = pd.DataFrame([setting for setting, _ in panels])
    shared = [name for name in SETTING if values[name].nunique(dropna=False) == 1]
    kappas = [_number(runs["condition_number"].median()) for _, runs in panels]
    # Panels that differ in their start alone are all of one problem.
    one_problem = len(panels) > 1 and len(set(kappas)) == 1 and len(shared) < len(SETTING)
    if "n_features" in shared and not one_problem:
        shared.remove("n_features")
    for ax, (setting, _), kappa in zip(axes, panels, kappas, strict=True):
        differing = _describe(setting, [name for name in SETTING if name not in shared])
        ax.set_title(differing if one_problem else f"{differing}, $\\kappa$ = {kappa}")
    above = [_describe(panels[0][0], shared), f"$\\kappa$ = {kappas[0]}" * one_problem, note]
    if total > len(panels):
        above.append(f"{len(panels)} of {total} problems")
    figure.suptitle("; ".join(filter(None, above)), fontsize=7, x=0.01, ha="left")
    return figure, axes


def legend(figure: Figure, axes: Sequence[Axes], colour: str | None = None) -> None:
    """Explain, below the panels, everything in them that has a label, each label once.

    Parameters
    ----------
    figure : Figure
    axes : sequence of Axes
    colour : str, optional
        Of the lines in the legend, where their colours in the panels mean something else.
    """
    handles = {
        label: handle
        for ax in axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    drawn = figure.legend(
        handles=list(handles.values()),
        loc="outside lower center",
        ncols=len(handles) if len(handles) <= MOST_NAMES else -(-len(handles) // 2),
        frameon=False,
        handlelength=2,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    for handle in drawn.legend_handles:
        if colour and isinstance(handle, Line2D):
            handle.set_color(colour)


def write(
    ax: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **align: str
) -> None:
    """Write beside a point, given in parts of the panel's width and height, on a white halo."""
    ax.annotate(
        text,
        at,
        offset,
        "axes fraction",
        "offset points",
        annotation_clip=False,
        fontsize=7,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        **align,
    )


def apart(positions: Sequence[float], distance: float) -> list[float]:
    """Return ascending positions, pushed up until neighbours are a distance apart."""
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + distance) if moved else position)
    return moved


def _describe(setting: Mapping[str, Any], names: Sequence[str]) -> str:
    known = [name for name in names if pd.notna(setting[name])]
    parts = [_FORMS.get(name, "{}").format(setting[name]) for name in known]
    return ", ".join(part.replace("_", " ") for part in parts)


def _number(value: float) -> str:
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}$\\times 10^{{{int(exponent)}}}$" if exponent else mantissa
