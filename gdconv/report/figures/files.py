"""Figures as files: which a folder has, which it lacks, and how these are made and stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdconv.config.sections import FORMATS
from gdconv.report import parallel
from gdconv.report.figures import NAMES
from gdconv.tables import disk
from nnlib import terminal

# Matplotlib is imported only if there is something to draw.
if TYPE_CHECKING:
    from gdconv.report.curves import Shown
    from gdconv.report.figures.sizes import Size
    from gdconv.tables.csv import Tables

# Name of a figure → the formats in which it has to be made.
Formats = Mapping[str, Collection[str]]
# Name of a figure → format → the content of its file.
Contents = Mapping[str, Mapping[str, bytes]]


def lacking(
    folder: Path, names: Collection[str] | None, formats: Collection[str], current: bool
) -> Formats:
    """Return which figures have to be made, where those that are there may be `current`."""
    missing = {}
    for name in NAMES if names is None else names:
        there = formats_of(folder, name)
        wanted = [each for each in FORMATS if each in formats or each in there]
        missing[name] = [each for each in wanted if not (current and each in there)]
        # A figure that a current report does not have is left out in it.
        if current and names is None and not there:
            del missing[name]
    return {name: each for name, each in missing.items() if each}


def formats_of(folder: Path, name: str) -> list[str]:
    """Return the formats in which a folder has a figure."""
    return [suffix for suffix in FORMATS if (folder / f"{name}.{suffix}").exists()]


def draw(
    folder: Path,
    tables: Tables | Shown | None,
    names: Collection[str],
    missing: Formats,
    size: Size | None = None,
) -> list[str]:
    """Write the missing ones of some figures into a folder, and return a line for each figure.

    On a terminal, why a figure is left out may take several lines.
    """
    omitted: Mapping[str, str] = {}
    if tables is not None:
        contents, omitted, _ = drawn(tables, missing, size=size)
        store(folder, contents, omitted, missing)
    lines = [
        f"figures: {folder / name}" + ", ".join(f".{suffix}" for suffix in formats_of(folder, name))
        for name in names
        if name not in omitted
    ]
    for name, why in omitted.items():
        lines += terminal.folded(f"{name} is left out: {why}", terminal.room())
    return lines


def drawn(
    tables: Tables | Shown,
    needed: Formats,
    also: Callable[[], Any] = str,
    size: Size | None = None,
) -> tuple[Contents, Mapping[str, str], Any]:
    """Draw figures on all cores.

    Returns the contents of their files, for each figure that is left out the reason, and what
    `also` returns, which is called at the same time.
    """
    from gdconv.report.figures import catalogue

    plots = [plot for plot in catalogue.FIGURES if needed.get(plot.name)]
    labelled = catalogue.labelled(tables)
    given = () if size is None else (size,)
    tasks = [partial(catalogue.made, plot, labelled, needed[plot.name], *given) for plot in plots]
    *found, other = parallel.results([*tasks, also])
    named = {plot.name: each for plot, each in zip(plots, found, strict=True)}
    omitted = {name: each for name, each in named.items() if isinstance(each, str)}
    return {name: each for name, each in named.items() if name not in omitted}, omitted, other


def store(folder: Path, made: Contents, omitted: Collection[str], missing: Formats) -> None:
    """Write the missing figures into a folder; remove files of figures that are left out."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        for suffix in FORMATS:
            disk.remove_temporary(folder / f"{name}.{suffix}")
    for name, contents in made.items():
        for suffix in missing.get(name, ()):
            disk.replace(folder / f"{name}.{suffix}", [contents[suffix]])
    for name in omitted:
        for suffix in FORMATS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    disk.sync_folder(folder)
