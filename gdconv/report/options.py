"""The options of `gdconv-report`, and how it refuses what cannot be used."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The folder of figures in a size that was asked for.
PAPER = "figures-paper"


class RefusedError(ValueError):
    """An option or a folder cannot be used; the message says which and why."""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="gdconv-report",
        # Whoever types --stat should not learn tomorrow that it has become ambiguous.
        allow_abbrev=False,
        description="Draw the figures of a study and write its report.html from its CSV files;"
        " nothing is run again. A study that is still running is shown with the runs it has so"
        " far.",
        epilog="Each folder gets report.html, which needs no other file, and figures/NAME.png and"
        " .svg. What is there and still right is not made again. A summary is printed."
        " docs/figures.md explains the figures.",
    )
    parser.add_argument(
        "folders",
        metavar="RESULTS_DIR",
        nargs="*",
        type=Path,
        help="the folder of a study, with runs.csv, curves.csv and eigenvalues.csv; NAME alone is"
        " also results/NAME. Of several, those that are no studies are passed over. A folder that"
        " holds studies gets index.html, a list of them",
    )
    parser.add_argument(
        "--figures",
        metavar="NAME,…",
        help="draw only these figures; report.html and the other figures stay as they are",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT,…",
        help="write figures as png, svg or pdf; by default png,svg. If a figure is there in another"
        " format already, that is renewed too",
    )
    _add_paper(parser)
    parser.add_argument(
        "--compare",
        metavar="DIR2",
        nargs="+",
        type=Path,
        help="draw other studies beside the first one, and print how their runs differ; figures,"
        " compare.html and differences.csv go to RESULTS_DIR/compare-NAME, where NAME is the name"
        " of DIR2. Refused if no problem is in all of them",
    )
    _add_progress(parser)
    return parser


def _add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell how far a study is."""
    parser.add_argument(
        "--watch",
        action="store_true",
        help="serve the page of a running study on this machine, at an address that is printed; it"
        " says how far the study is and renews itself. Ctrl-C ends it; nothing is written",
    )
    parser.add_argument(
        "--status",
        action="store_true",
        help="only print how many runs are done, failed and missing, and which tables were changed"
        " after the study was finished (exit status 1); write nothing",
    )
    parser.add_argument(
        "--json", action="store_true", help="with --status: print it as JSON, a list of studies"
    )


def _add_paper(parser: argparse.ArgumentParser) -> None:
    """Add the options for what a paper takes."""
    parser.add_argument(
        "--figure-size",
        metavar="WIDTH[xHEIGHT]",
        help="for a paper: draw the figures of --figures so many inches wide, and high, into the"
        f" folder {PAPER}, as pdf unless --format says otherwise; the report's own stay as they"
        " are",
    )
    parser.add_argument(
        "--font-size",
        metavar="POINTS",
        help="the same, with text of so many points; smaller text is smaller by the same factor",
    )
    parser.add_argument(
        "--latex",
        action="store_true",
        help="only write the table of the summary as summary.tex, for the LaTeX package booktabs",
    )


def listed(option: str, given: str | None, allowed: Sequence[str]) -> list[str] | None:
    """Return the names in a comma-separated list in the order of `allowed`, None without one."""
    if given is None:
        return None
    wanted = given.split(",")
    for name in wanted:
        if name not in allowed:
            raise RefusedError(f"{option}={given}: {name!r} is not one of {', '.join(allowed)}")
    return [name for name in allowed if name in wanted]


def sizes(figure_size: str | None, font_size: str | None) -> tuple[Any, Any]:
    """Return --figure-size and --font-size as numbers, or as texts where they are none."""
    found = [_number(part) for part in figure_size.split("x")] if figure_size else None
    width = found[0] if found and len(found) == 1 else found
    return width, None if font_size is None else _number(font_size)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def refusing(folder: Path, *errors: type[Exception]) -> Iterator[None]:
    """Raise a RefusedError that names the folder for errors of these types."""
    try:
        yield
    except errors as error:
        raise RefusedError(f"{folder}: {why(folder, error)}") from None


def why(folder: Path, error: Exception) -> str:
    """Return what an error says about a folder, in a few words."""
    if isinstance(error, FileNotFoundError):
        return f"has no {Path(error.filename).name}" if folder.is_dir() else "is not there"
    if isinstance(error, OSError):
        # If a temporary file could not be renamed, the user knows only the name it was to get.
        name = error.filename2 or error.filename
        return f"{Path(name).name}: {error.strerror}" if name else str(error.strerror)
    return " ".join(str(error).split())
