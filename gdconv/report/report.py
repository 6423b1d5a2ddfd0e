"""The report of a study, made only from its files: figures and report.html."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gdconv.tables import disk

# pandas and Matplotlib take a second to import, so they are imported only when they are needed.
if TYPE_CHECKING:
    import pandas as pd

    from gdconv.tables.csv import Tables


class RefusedError(ValueError):
    """An option or a folder cannot be used; the message says which and why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `gdconv-report`.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the command line.

    Returns
    -------
    int
        Exit status: 0 if all went well; 1 with --status if a table was changed after its study was
        finished; 2 if an option or a folder cannot be used, or nothing can be written. A figure
        for which a study has no data is left out with a reason, and is no failure.
    """
    options = _parser().parse_args(argv)
    try:
        return _print_status(options) if options.status else _print_reports(options)
    except RefusedError as error:
        print(f"gdconv-report: {error}", file=sys.stderr)
        return 2


def write(folder: Path, formats: Collection[str] | None = None) -> Path:
    """Draw the figures of a study and write its report.html.

    Parameters
    ----------
    folder : Path
        The study's folder. What is written depends only on its files and its name.
    formats : collection of str, optional
        The formats of the figures; all by default.

    Returns
    -------
    Path
        The path of report.html, which needs no other file.

    Raises
    ------
    FileNotFoundError, ValueError
        As `gdconv.tables.csv.read`; then nothing has been written.
    """
    return _write(folder, *_read(folder), formats)


def renew(folder: Path) -> pd.DataFrame:
    """Write the report of a study unless it is current, and return the study's runs.

    Raises
    ------
    FileNotFoundError, ValueError
        As `gdconv.tables.csv.read`; then nothing has been written.
    """
    from gdconv.tables.csv import read_runs

    if is_current(folder):
        return read_runs(folder)
    tables, stamp = _read(folder)
    _write(folder, tables, stamp)
    return tables.runs


def is_current(folder: Path) -> bool:
    """Return whether a study's report.html was made from the files that are there now."""
    try:
        return disk.read_bytes(folder / "report.html").endswith(_stamp(folder))
    except FileNotFoundError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gdconv-report",
        description="Draw the figures of a study and write its report.html from its CSV files;"
        " nothing is run again. A study that is still running is shown with the runs it has so"
        " far.",
        epilog="Each folder gets report.html, which needs no other file, and figures/NAME.png, .svg"
        " and .pdf. A summary is printed. docs/figures.md explains the figures.",
    )
    parser.add_argument(
        "folders",
        metavar="RESULTS_DIR",
        nargs="+",
        type=Path,
        help="the folder of a study, with runs.csv, curves.csv and eigenvalues.csv",
    )
    parser.add_argument(
        "--figures",
        metavar="NAME,…",
        help="draw only these figures; report.html and the other figures stay as they are",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT,…",
        help="write figures only as png, svg or pdf; files of the other formats stay as they are",
    )
    parser.add_argument(
        "--compare",
        metavar="DIR2",
        type=Path,
        help="draw another study beside the first one, and print how their runs differ; figures and"
        " differences.csv go to RESULTS_DIR/compare-NAME, where NAME is the name of DIR2",
    )
    parser.add_argument(
        "--status",
        action="store_true",
        help="only print how many runs are done, failed and missing, and which tables were changed"
        " after the study was finished (exit status 1); write nothing",
    )
    return parser


def _print_reports(options: argparse.Namespace) -> int:
    """Write and tell what the options ask for; nothing is written if a folder will not do."""
    if options.compare and len(options.folders) > 1:
        raise RefusedError(f"--compare takes one RESULTS_DIR, not {len(options.folders)}")

    from gdconv.report.figures.catalogue import FIGURES, FORMATS
    from gdconv.report.summary import summary

    names = _listed("--figures", options.figures, [plot.name for plot in FIGURES])
    formats = _listed("--format", options.format, FORMATS)
    studies = []
    for folder in [*options.folders, *([options.compare] if options.compare else [])]:
        with _refusing(folder, OSError, ValueError):
            studies.append((folder, *_read(folder)))
    if options.compare:
        first, second = ((folder, tables) for folder, tables, _ in studies)
        print(_compare(first, second, names, formats))
        return 0
    for folder, tables, stamp in studies:
        with _refusing(folder, OSError):
            if names is None:
                result = f"report: {_write(folder, tables, stamp, formats)}"
            else:
                drawn, omitted = _draw(folder / "figures", tables, names, formats)
                result = "\n".join(_told(folder / "figures", drawn, omitted, formats))
        print(summary(folder, tables.runs), result, sep="\n")
    return 0


def _print_status(options: argparse.Namespace) -> int:
    from gdconv.report.summary import status

    drawing = [f"--{name}" for name in ("figures", "format", "compare") if vars(options)[name]]
    if drawing:
        raise RefusedError(f"--status draws nothing: it cannot be used with {drawing[0]}")
    exit_status = 0
    for folder in options.folders:
        with _refusing(folder, OSError, ValueError):
            text, changed = status(folder)
        print(text)
        exit_status |= bool(changed)
    return exit_status


def _compare(
    first: tuple[Path, Tables],
    second: tuple[Path, Tables],
    names: Collection[str] | None,
    formats: Collection[str] | None,
) -> str:
    """Draw two studies in one set of figures, and write how the runs differ that both have.

    Figures and differences.csv go into a folder inside that of the first study. Returns the
    differences in a few lines.
    """
    from gdconv.report import compare

    with _refusing(second[0], OSError, ValueError):
        labels = compare.labels(first[0], second[0])
    folder = first[0] / f"compare-{second[0].resolve().name}"
    both = compare.together([first[1], second[1]], labels)
    table = compare.differences(first[1], second[1], labels)
    with _refusing(first[0], OSError):
        drawn, omitted = _draw(folder, both, names, formats)
        text = table.to_csv(index=False, lineterminator="\n")
        disk.replace(folder / "differences.csv", [text.encode()])
        disk.sync_folder(folder)
    lines = [
        f"{first[0]} and {second[0]}: {compare.describe(table, labels)}",
        *_told(folder, drawn, omitted, formats),
        f"differences: {folder / 'differences.csv'}",
    ]
    return "\n".join(lines)


def _read(folder: Path) -> tuple[Tables, bytes]:
    """The tables of a study, and the stamp that a report made from them ends with."""
    from gdconv.tables.csv import read

    # Made before the tables are read: if a file changes meanwhile, the report is not current.
    stamp = _stamp(folder)
    return read(folder), stamp


def _stamp(folder: Path) -> bytes:
    """Return a comment with a checksum of the folder's name and the files a report is made from."""
    from gdconv.tables.contents import FILES

    found = [name for name in FILES if (folder / name).exists()]
    known = [folder.resolve().name, *(f"{name} {disk.checksum(folder / name)}" for name in found)]
    checksum = hashlib.sha256("\n".join(known).encode()).hexdigest()
    return f"<!-- made of files with the checksum {checksum} -->\n".encode()


def _write(
    folder: Path, tables: Tables, stamp: bytes, formats: Collection[str] | None = None
) -> Path:
    from gdconv.report.page.document import page

    drawn, omitted = _draw(folder / "figures", tables, formats=formats)
    svg = {name: content("svg") for name, content in drawn.items()}
    html = page(folder, tables, svg, omitted)
    # The folder's name may contain bytes that are not valid text.
    disk.replace(folder / "report.html", [html.encode(errors="replace"), stamp])
    disk.sync_folder(folder)
    return folder / "report.html"


def _draw(
    folder: Path,
    tables: Tables,
    names: Collection[str] | None = None,
    formats: Collection[str] | None = None,
) -> tuple[dict[str, Callable[[str], bytes]], dict[str, str]]:
    """Write figures into a folder; remove old files of figures that can no longer be drawn.

    Returns for each figure a function from a format to the content of its file, and for each figure
    that is left out the reason.
    """
    from gdconv.report.figures import catalogue as figures

    formats = formats or figures.FORMATS
    drawn, omitted = figures.draw(tables, names)
    content: dict[str, Callable[[str], bytes]] = {
        name: cache(partial(figures.rendered, figure)) for name, figure in drawn.items()
    }
    folder.mkdir(exist_ok=True)
    for plot in figures.FIGURES:
        for suffix in figures.FORMATS:
            disk.remove_temporary(folder / f"{plot.name}.{suffix}")
    for suffix in formats:
        for name in drawn:
            disk.replace(folder / f"{name}.{suffix}", [content[name](suffix)])
        for name in omitted:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    disk.sync_folder(folder)
    return content, omitted


def _told(
    folder: Path,
    drawn: Collection[str],
    omitted: Mapping[str, str],
    formats: Collection[str] | None,
) -> list[str]:
    from gdconv.report.figures.catalogue import FORMATS

    said = ", ".join(f".{suffix}" for suffix in formats or FORMATS)
    lines = [f"figures: {folder / name}{said}" for name in drawn]
    return lines + [f"{name} is left out: {why}" for name, why in omitted.items()]


def _listed(option: str, given: str | None, allowed: Sequence[str]) -> list[str] | None:
    """The names in a comma-separated list, in the order of `allowed`; None without a list."""
    if given is None:
        return None
    wanted = given.split(",")
    for name in wanted:
        if name not in allowed:
            raise RefusedError(f"{option}={given}: {name!r} is not one of {', '.join(allowed)}")
    return [name for name in allowed if name in wanted]


@contextmanager
def _refusing(folder: Path, *errors: type[Exception]) -> Iterator[None]:
    """Raise a RefusedError that names the folder for errors of these types."""
    try:
        yield
    except errors as error:
        raise RefusedError(f"{folder}: {_why(folder, error)}") from None


def _why(folder: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"has no {Path(error.filename).name}" if folder.is_dir() else "is not there"
    if isinstance(error, OSError):
        # If a temporary file could not be renamed, the user knows only the name it was to get.
        name = error.filename2 or error.filename
        return f"{Path(name).name}: {error.strerror}" if name else str(error.strerror)
    return " ".join(str(error).split())
