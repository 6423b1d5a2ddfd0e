"""The report of a study, made from its files alone: figures and report.html."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# What reads and draws is imported when it is needed: pandas and Matplotlib take a second.
if TYPE_CHECKING:
    from gdconv.tables import Tables


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `gdconv-report`.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 all well, 2 a folder holds no study that can be read, or cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="gdconv-report",
        description="Draw the figures of a study and write its report.html from its CSV files;"
        " nothing is run again. A study that is still running is shown as far as it has come.",
        epilog="Written into each folder: report.html, one file that needs no other, and"
        " figures/NAME.png, .svg and .pdf. A summary is printed.",
    )
    parser.add_argument(
        "folders",
        metavar="RESULTS_DIR",
        nargs="+",
        type=Path,
        help="the folder of a study, with runs.csv, curves.csv and eigenvalues.csv",
    )
    parser.add_argument(
        "--status",
        action="store_true",
        help="say only how many runs are done, failed and missing; write nothing",
    )
    options = parser.parse_args(argv)
    folders = options.folders
    if options.status:
        return _print_status(folders)

    from gdconv.summary import summary
    from gdconv.tables import read

    studies = []
    for folder in folders:
        try:
            studies.append((folder, read(folder)))
        except (OSError, ValueError) as error:
            return _refuse(folder, error)
    for folder, tables in studies:
        try:
            path = write(folder, tables)
        except OSError as error:
            return _refuse(folder, error)
        print(summary(folder, tables), f"report: {path}", sep="\n")
    return 0


def write(folder: Path, tables: Tables | None = None) -> Path:
    """Draw the figures of a study and write its report.html.

    Parameters
    ----------
    folder : Path
        The study's folder. What is written depends on its files and its name alone.
    tables : Tables, optional
        Its tables, if they have been read already.

    Returns
    -------
    Path
        Of report.html, one file that refers to no other but by links.

    Raises
    ------
    FileNotFoundError, ValueError
        As `gdconv.tables.read`; nothing has been written then.
    """
    from gdconv import figures
    from gdconv.page import page
    from gdconv.tables import read

    tables = tables or read(folder)
    drawn, omitted = figures.draw(tables)
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in drawn.items():
        figures.save(figure, folder / "figures" / name)
    for name in omitted:
        for suffix in figures.FORMATS:
            (folder / "figures" / f"{name}.{suffix}").unlink(missing_ok=True)
    html = page(folder, tables, drawn, omitted)
    path, unfinished = folder / "report.html", folder / ".report.html.tmp"
    unfinished.write_text(html, encoding="utf-8", newline="\n")
    unfinished.replace(path)
    return path


def is_current(folder: Path) -> bool:
    """Return whether a study's report.html has been written since its runs.csv was."""
    report, runs = folder / "report.html", folder / "runs.csv"
    return report.exists() and report.stat().st_mtime_ns >= runs.stat().st_mtime_ns


def _print_status(folders: Sequence[Path]) -> int:
    from gdconv.summary import status

    for folder in folders:
        try:
            print(status(folder))
        except (OSError, ValueError) as error:
            return _refuse(folder, error)
    return 0


def _refuse(folder: Path, error: Exception) -> int:
    if isinstance(error, FileNotFoundError):
        missing = Path(error.filename).name
        what = f"has no {missing}" if folder.is_dir() else "is not there"
    elif isinstance(error, OSError):
        # Of a file that could not be put in its place, the place is what one knows.
        name = error.filename2 or error.filename
        what = f"{Path(name).name}: {error.strerror}" if name else error.strerror
    else:
        what = " ".join(str(error).split())
    print(f"gdconv-report: {folder}: {what}", file=sys.stderr)
    return 2
