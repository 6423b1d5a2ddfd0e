"""What the figures share: the grid of panels, the style, the choice of steps, and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from gdconv.report.curves import Shown
from gdconv.report.figures.scales import ascending
from gdconv.report.figures.sizes import (
    FONT,
    REPORT,
    Size,
    inches,
    letters,
    letters_in,
    points,
    sized,
    taller,
)
from gdconv.report.figures.titles import fitted, kappa, length, names, part_of, with_kappa, wrapped
from gdconv.report.numerals import ROUNDING, distinct, number
from gdconv.report.settings import (
    DRAW,
    METHOD,
    STEP,
    Setting,
    of_gradient_descent,
    several_methods,
    spread,
)

MOST_PANELS = 6
# Characters of a title that fit above one of two panels.
LONGEST_TITLE = 28
# Characters of the smaller line above all panels.
LONGEST_HEADER = 95
# Characters of a label that fit below one of two panels.
LONGEST_LABEL = 42
# A legend with more names than this takes two lines.
MOST_NAMES = 5
# A legend with more lines than this makes the figure higher, by this many inches a line.
MOST_LINES, LINE = 3, 0.16
# Letters of a legend that fit below the panels, and those that a line and a gap take.
LONGEST_LEGEND, MARGIN = 104, 8

# Dots per inch of a PNG. Figures are laid out with the same, so that text is measured only once.
DPI = 200
STYLE: Any = {
    "font.size": FONT,
    "axes.titlesize": FONT,
    "figure.labelsize": FONT,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "hatch.linewidth": 0.6,
    # Without a salt the names inside an SVG are random.
    "svg.hashsalt": "gdconv",
}
# The relative step beyond which gradient descent diverges.
STABILITY_EDGE = 2.0
# The largest relative step on an axis of steps. Beyond it rates grow like (step − 1)² and would
# squeeze the rest into a corner.
FARTHEST = 4.0
MEASURED, STATED, GREY = "#1f4e79", "#b3450c", "0.9"
# The light end of the map would be lost on white paper.
COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.85, 256)))


# What has a setting, as the runs of a panel.
Part = TypeVar("Part")
# Keywords of Matplotlib's functions that say how something is drawn.
Look = dict[str, Any]


class NothingToShowError(ValueError):
    """A figure would be empty; the message says why."""


@dataclass(frozen=True)
class Plot:
    """One kind of figure.

    Attributes
    ----------
    name : str
        Its name in the report, and the name of its files.
    caption : str
        What it shows and how to read it.
    columns : mapping
        Table → the columns without which there is nothing to draw.
    draw : callable
        Tables → Figure; raises NothingToShowError.
    also, also_curves : tuple of str
        Columns of runs.csv and curves.csv that it uses as well, which are empty for some methods.
    """

    name: str
    caption: str
    columns: Mapping[str, Sequence[str]]
    draw: Callable[[Shown], Figure]
    also: Sequence[str] = ()
    also_curves: Sequence[str] = ()


def known(table: pd.DataFrame, looks: Mapping[str, Look]) -> list[tuple[str, Look]]:
    """Return the columns, with their looks, that a table has and that are not empty."""
    return [each for each in looks.items() if each[0] in table and table[each[0]].notna().any()]


@contextmanager
def style(size: Size = REPORT) -> Iterator[None]:
    """Use Matplotlib's own defaults and `STYLE`, whatever the user's defaults are."""
    with matplotlib.rc_context(), sized(size):
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        matplotlib.rcParams.update({name: points(STYLE[name]) for name in STYLE if "size" in name})
        yield


def choose(
    panels: Sequence[tuple[dict[str, Any], Part]], most: int = MOST_PANELS
) -> list[tuple[dict[str, Any], Part]]:
    """Return at most so many panels, spread evenly, with the first and the last problem.

    The panels of one problem in several studies or with several methods stay together. If any
    problem has several, no problems with fewer are chosen.
    """
    of_problem: dict[str, list[tuple[dict[str, Any], Part]]] = {}
    for setting, part in panels:
        problem = {name: setting[name] for name in setting if name not in ("study", *METHOD)}
        of_problem.setdefault(str(problem), []).append((setting, part))
    largest = max(map(len, of_problem.values()), default=1)
    groups = [group for group in of_problem.values() if len(group) == largest]
    shown = spread(len(groups), max(1, most // largest))
    return [groups[index][each] for index in shown for each in spread(largest, most)]


def at_most(runs: pd.DataFrame, wanted: Iterable[float], most: int) -> pd.DataFrame:
    """Return the runs at some indices in the order of the table, each once.

    If they are more than `most`, those that are wanted first are returned.
    """
    indices = dict.fromkeys(int(index) for index in wanted)
    return runs.iloc[sorted([*indices][:most])]


def one_draw(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the first seed and repetition, one for each relative step, ascending."""
    runs = runs.sort_values(DRAW, kind="stable")
    draws = runs[DRAW]
    return distinct_steps(runs[(draws == draws.iloc[0]).all(axis=1)])


def distinct_steps(runs: pd.DataFrame) -> pd.DataFrame:
    """Return rows in ascending order of their relative steps, without duplicates.

    Steps that differ only by rounding count as equal: for κ = 1, 1/λmax is the optimal step.
    """
    return runs.iloc[ascending(runs["relative_step"].to_numpy())]


def count_steps(runs: pd.DataFrame) -> int:
    """Return how many steps were asked for.

    Relative steps are not counted, since their last digits differ from draw to draw.
    """
    medians = runs.groupby(STEP)[["relative_step"]].median()
    return len(distinct_steps(medians))


def beyond_edge(steps: ArrayLike, edge: float = STABILITY_EDGE) -> np.ndarray:
    """Return −1, 0 or 1 for relative steps below, at (up to rounding) and beyond an edge.

    nan if there is no step or no edge.
    """
    off = np.asarray(steps, dtype=float) - edge
    return np.sign(np.where(np.abs(off) <= ROUNDING * edge, 0, off))


def step_texts(steps: Sequence[float]) -> list[str]:
    """Return relative steps as texts that differ; empty for a method that takes no step."""
    texts = iter(distinct([step for step in steps if pd.notna(step)], 3, number))
    return [next(texts) if pd.notna(step) else "" for step in steps]


def with_gradient_descent(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of gradient descent; raise NothingToShowError if there are none."""
    found = of_gradient_descent(runs)
    if found.empty:
        raise NothingToShowError("no run is one of gradient descent, of which it uses formulas")
    return found


def optimal_step(kappa: Any) -> Any:
    """Return the relative step with the best predicted rate, for one condition number or many."""
    return 2 / (1 + 1 / kappa)


def problems(every: Sequence[Setting]) -> str:
    """Return what some settings are called."""
    several = several_methods(setting for setting, _ in every)
    return "pairs of problem and method" if several else "problems"


def grid(
    panels: Sequence[Setting],
    every: Sequence[Setting],
    note: str,
    xlabel: str,
    ylabel: str,
    sharex: bool,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes for each panel, whose title says how it differs from the others.

    Parameters
    ----------
    panels : sequence of (dict, DataFrame)
    every : sequence of (dict, DataFrame)
        What they were chosen from; the figure says so if it does not show them all.
    note : str
        Text above the panels, beside what they have in common.
    xlabel, ylabel : str
    sharex : bool
        The vertical axis is always shared.
    """
    common, titles = names([setting for setting, _ in panels])
    kappas = [kappa(runs) for _, runs in panels]
    # Panels that differ only in their start belong to one problem and share κ.
    one_problem = len(set(kappas)) == 1 and len(panels) > 1 and all(titles)
    if not one_problem:
        titles = [with_kappa(title, runs) for title, (_, runs) in zip(titles, panels, strict=True)]
    shared = kappas[0] if one_problem and r"\kappa" not in common else ""
    header = [common, shared, note, part_of(panels, every, problems(every))]
    return frame(titles, header, xlabel, ylabel, sharex=sharex)


def frame(
    titles: Sequence[str],
    header: Sequence[str],
    xlabel: str,
    ylabel: str,
    *,
    sharex: bool = False,
    sharey: bool = True,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes for each title, in two columns, and a line of text above them."""
    columns = min(len(titles), 2)
    rows = -(-len(titles) // columns)
    size = inches(3.4 if rows == 1 else 1.2 + 1.6 * rows)
    figure = Figure(size, DPI, layout="constrained")
    # So the renderer that has measured the texts for the layout also draws them for a PNG.
    FigureCanvasAgg(figure)
    places = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).ravel()
    axes = list(places[: len(titles)])
    for empty in places[len(titles) :]:
        empty.remove()
    for axis in [*(ax.yaxis for ax in axes), *(ax.xaxis for ax in axes[:-columns])]:
        # To find the place of a label, even of an empty one, takes a tenth of the time.
        axis.set_label_coords(0, 0)
    if columns > 1 and length(xlabel) > letters(LONGEST_LABEL):
        # The unit is left out first.
        xlabel = xlabel.partition("   ")[0]
    for ax in axes[-columns:]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(xlabel)
    for ax, title in zip(axes, titles, strict=True):
        # With y given, Matplotlib does not compute the title's height, which takes a third of the
        # time of drawing a panel.
        longest = letters(LONGEST_TITLE if columns > 1 else 2 * LONGEST_TITLE)
        ax.set_title(wrapped(title, longest), y=1)
    figure.supylabel(fitted(ylabel, letters_in(size[1])))
    write_header(figure, header)
    return figure, axes


def write_header(figure: Figure, parts: Iterable[str]) -> None:
    """Write the line of small text above all panels."""
    above = wrapped("; ".join(filter(None, parts)), letters(LONGEST_HEADER))
    figure.suptitle(above, fontsize=points(7), x=0.01, ha="left")


def legend(figure: Figure, axes: Sequence[Axes], colour: str | None = None) -> None:
    """Add a legend below the panels, with each label once.

    Parameters
    ----------
    figure : Figure
    axes : sequence of Axes
    colour : str, optional
        Colour of the lines in the legend, if their colours in the panels mean something else.
    """
    handles = {
        label: handle
        for ax in axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    columns = len(handles) if len(handles) <= MOST_NAMES else -(-len(handles) // 2)
    room = letters(LONGEST_LEGEND)
    # In a narrow figure one letter that is wider than most does not even out.
    room -= MARGIN * (room < LONGEST_LEGEND)
    while columns > 1 and _width(list(handles), columns) > room:
        columns -= 1
    taller(figure, LINE * max(0, -(-len(handles) // columns) - MOST_LINES))
    drawn = figure.legend(
        handles=list(handles.values()),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    for handle in drawn.legend_handles:
        if colour and isinstance(handle, Line2D):
            handle.set_color(colour)


def _width(names: Sequence[str], columns: int) -> int:
    """About how many letters wide a legend is, which is filled column by column."""
    # The first columns have a name more than the others if not all have as many.
    lengths = np.array([length(name) for name in names])
    widths = [int(each.max()) for each in np.array_split(lengths, columns)]
    return sum(widths) + MARGIN * len(widths)


def write(
    ax: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **align: Any
) -> None:
    """Write text on a white halo beside a point given in parts of the panel's width and height."""
    ax.annotate(
        text,
        at,
        offset,
        "axes fraction",
        "offset points",
        annotation_clip=False,
        fontsize=points(7),
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        **align,
    )
