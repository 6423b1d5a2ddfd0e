"""The figures of a study, drawn from its tables only: nothing is run or predicted again.

A figure is one entry of `FIGURES`, the `PLOT` of its module: its name, its caption, the columns it
needs and its function that draws. A figure for which a study has no data is left out, with a
reason.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from io import BytesIO
from os import PathLike
from typing import Any

from matplotlib.figure import Figure

from gdconv.config.plugins import OF_FIGURES, found
from gdconv.config.rules import ConfigError, nearest, plain, shown
from gdconv.config.sections import FORMATS
from gdconv.report.curves import Curves, InMemory, Shown
from gdconv.report.curves import shown as as_shown
from gdconv.report.figures import NAMES, OWN
from gdconv.report.figures.drawing import DPI, NothingToShowError, Plot, style
from gdconv.report.figures.sizes import REPORT, Size, size_of
from gdconv.report.figures.titles import can_draw
from gdconv.report.settings import with_files
from gdconv.tables.csv import Tables, tables_of


def _plot(name: str) -> Plot:
    """The figure of a name; one of another package that cannot be drawn says why."""
    if name in OWN:
        plot: Plot = import_module(f"gdconv.report.figures.{name}").PLOT
        return plot
    entry = found(OF_FIGURES)[name]
    try:
        given = entry.load()
        if isinstance(given, Plot) and given.name == name:
            return given
        why = f"{entry.value} is no Plot with the name {name}"
    except Exception as error:
        why = f"{entry.value} cannot be loaded, {type(error).__name__}: {error}"

    def refuse(tables: Shown) -> Figure:
        raise NothingToShowError(why)

    return Plot(name, "", {}, refuse)


FIGURES: tuple[Plot, ...] = tuple(map(_plot, NAMES))

_WITHOUT_DATE = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def draw(
    tables: Tables | str | PathLike[str],
    names: str | Collection[str] | None = None,
    figure_size: float | tuple[float, float] | None = None,
    font_size: float | None = None,
) -> tuple[dict[str, Figure], dict[str, str]]:
    """Draw the figures that a study has the data for.

    Parameters
    ----------
    tables : Tables or path
        What `run_study` or `read` returned, or the folder of a study.
    names : str or collection of str, optional
        The figures to draw; all of `FIGURES` by default.
    figure_size, font_size : optional
        For a paper: the width in inches, or width and height, and the points of the text.

    Returns
    -------
    drawn : dict
        Name → Figure, in the order of `FIGURES`.
    omitted : dict
        Name → why there is nothing to show.

    Raises
    ------
    ConfigError, FileNotFoundError, ValueError
        If there is no figure of a name, or no study.
    """
    wanted, size = _known(names), size_of(figure_size, font_size)
    drawn, omitted = {}, {}
    ready = labelled(tables_of("tables", tables))
    for plot in FIGURES:
        if plot.name not in wanted:
            continue
        try:
            figure = _drawn(plot, ready, size)
            # Without pyplot, a notebook would show the figure's name only.
            figure.__dict__["_repr_png_"] = partial(_for_notebook, figure)
            drawn[plot.name] = figure
        except NothingToShowError as reason:
            omitted[plot.name] = str(reason)
    return drawn, omitted


def _known(names: Any) -> Collection[str]:
    """The names of the figures that are asked for; raises ConfigError for one that is none."""
    if names is None:
        return NAMES
    every = plain([names] if isinstance(names, str) else names)
    for name in every if isinstance(every, Collection) else [every]:
        if not isinstance(name, str) or name not in NAMES:
            meant = nearest(name, NAMES) if isinstance(name, str) else ""
            allowed = f"is no figure; they are {', '.join(NAMES)}{meant}"
            raise ConfigError("names", shown(name), allowed)
    return every


def labelled(tables: Tables | Shown) -> Shown:
    """Return the tables with labels of files that a figure can draw; see `with_files`."""
    return as_shown(tables)._replace(runs=with_files(tables.runs, can_draw))


def made(
    plot: Plot, tables: Shown, formats: Collection[str], size: Size = REPORT
) -> dict[str, bytes] | str:
    """Return the content of a figure's file in each format, or why there is nothing to show."""
    try:
        figure = _drawn(plot, tables, size)
    except NothingToShowError as reason:
        return str(reason)
    return {suffix: rendered(figure, suffix) for suffix in FORMATS if suffix in formats}


def _drawn(plot: Plot, tables: Shown, size: Size) -> Figure:
    _require(plot.columns, tables)
    with style(size), _room_for_text():
        figure = plot.draw(tables)
        # Laid out here once, a figure is not laid out again for every format. Without an engine,
        # Matplotlib also draws it only once for a format.
        if engine := figure.get_layout_engine():
            engine.execute(figure)
            figure.set_layout_engine(None)
    return figure


@contextmanager
def _room_for_text() -> Iterator[None]:
    """Raise NothingToShowError if the text of a figure leaves no room for its panels."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied", UserWarning)
        try:
            yield
        except UserWarning:
            raise NothingToShowError("in this size its text leaves no room for it") from None


def _for_notebook(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """The figure for a notebook, with as many pixels as sharp screens have, and its width."""
    return rendered(figure, "png"), {"width": round(100 * figure.get_figwidth())}


def rendered(figure: Figure, suffix: str) -> bytes:
    """Return the content of a figure's file in one of `FORMATS`; equal figures give equal bytes."""
    file = BytesIO()
    with style():
        figure.savefig(file, format=suffix, dpi=DPI, metadata=_WITHOUT_DATE[suffix])
    return file.getvalue()


def _require(columns: Mapping[str, Sequence[str]], tables: Shown) -> None:
    for table, names in columns.items():
        found = getattr(tables, table)
        known = found if isinstance(found, Curves) else InMemory(found)
        for name in names:
            if not known.has(name):
                raise NothingToShowError(f"{table}.csv has no values of {name}")
