"""The report of a study, made only from its files: figures and report.html."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gdconv.config.sections import FORMATS, SHOWN_FORMATS
from gdconv.report import stamp
from gdconv.report.figures import NAMES, files
from gdconv.report.options import PAPER, RefusedError, listed, parser, refusing, sizes
from gdconv.tables import disk
from gdconv.tables.columns import TABLES
from gdconv.tables.study import INDEX, found, studies_in
from nnlib import terminal

# pandas and Matplotlib take a second to import, so they are imported only when they are needed.
if TYPE_CHECKING:
    import pandas as pd

    from gdconv.report.curves import Shown
    from gdconv.tables.csv import Tables


class Study(NamedTuple):
    """A study whose report is to be made.

    Attributes
    ----------
    folder : Path
    made_of : str
        What `stamp.sources` returned before the tables were read.
    runs : DataFrame
    tables : Tables, Shown or None
        None if everything is there.
    current : bool
        Whether what is there was made of the same sources.
    missing : mapping
        The figures that have to be made.
    """

    folder: Path
    made_of: str
    runs: pd.DataFrame
    tables: Tables | Shown | None
    current: bool
    missing: files.Formats


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
    options = parser().parse_args(argv)
    try:
        if options.compare and not options.folders and len(options.compare) > 1:
            # The one beside which the others are drawn may be named after the option, too.
            options.folders = [options.compare.pop(0)]
        if not options.folders:
            raise RefusedError("give the folder of a study, as in gdconv-report results/default")
        if options.json and not options.status:
            raise RefusedError("--json belongs to --status")
        if options.watch:
            return _watch(options)
        if options.status:
            return _print_status(options)
        if options.latex or options.figure_size or options.font_size:
            return _print_for_paper(options)
        return _print_reports(options)
    except RefusedError as error:
        print(f"gdconv-report: {error}", file=sys.stderr)
        return 2


def write(folder: Path, formats: Collection[str] = SHOWN_FORMATS) -> Path:
    """Bring the report of a study up to date, as `renew`, and return the path of report.html."""
    renew(folder, formats)
    return folder / "report.html"


def renew(folder: Path, formats: Collection[str] = SHOWN_FORMATS) -> pd.DataFrame:
    """Make what is not up to date in the report of a study, and return the study's runs.

    What is there is up to date if its sources have not changed; see `stamp.sources`.

    Parameters
    ----------
    folder : Path
        The study's folder. What is written depends only on its files and its name.
    formats : collection of str, optional
        The formats of the figures. A figure is made in these, and in those that it has already.

    Raises
    ------
    FileNotFoundError, ValueError
        As `gdconv.tables.csv.read`; then nothing has been written.
    """
    study = _read(folder, None, formats)
    _write(study)
    return study.runs


def is_current(folder: Path) -> bool:
    """Return whether the report of a study was made from the files that are there now."""
    return stamp.is_on(folder, stamp.sources(folder))


def _print_reports(options: argparse.Namespace) -> int:
    """Write and tell what the options ask for; nothing is written if a folder will not do."""
    if options.compare and len(options.folders) > 1:
        raise RefusedError(f"--compare takes one RESULTS_DIR, not {len(options.folders)}")

    from gdconv.report.summary import summary
    from gdconv.tables.csv import CellError

    if len(options.folders) == 1 and (written := _index(found(options.folders[0]), options)):
        print(f"index: {written}")
        return 0
    names = listed("--figures", options.figures, NAMES)
    formats = listed("--format", options.format, FORMATS) or SHOWN_FORMATS
    compared = options.compare or []
    studies = []
    for folder in [*_studies(options.folders), *map(found, compared)]:
        with refusing(folder, OSError, ValueError):
            studies.append(_read(folder, names, formats, anew=bool(compared)))
    if compared:
        print(_compare(studies, names, formats))
        return 0
    for study in studies:
        # Of curves.csv some cells are read only when they are drawn.
        with refusing(study.folder, OSError, CellError):
            if names is None:
                _write(study)
                lines = [f"report: {study.folder / 'report.html'}"]
            else:
                lines = files.draw(study.folder / "figures", study.tables, names, study.missing)
        print(summary(study.folder, study.runs), *lines, sep="\n")
    return 0


def _print_for_paper(options: argparse.Namespace) -> int:
    """Write what a paper shows of studies, beside the report, which stays as it is."""
    from gdconv.config.rules import ConfigError
    from gdconv.report import curves
    from gdconv.report.figures.sizes import size_of
    from gdconv.report.forms import latex
    from gdconv.tables import csv

    sized = options.figure_size or options.font_size
    if options.compare or (options.latex and (sized or options.figures or options.format)):
        other = "--compare" if options.compare else "figures"
        raise RefusedError(
            f"{'--latex' if options.latex else '--figure-size'} goes without {other}"
        )
    names = listed("--figures", options.figures, NAMES)
    if sized and names is None:
        raise RefusedError("--figure-size and --font-size need --figures=NAME,…: those to draw")
    formats = listed("--format", options.format, FORMATS) or ("pdf",)
    try:
        size = size_of(*sizes(options.figure_size, options.font_size))
    except ConfigError as error:
        key, _, why = str(error).partition("=")
        option = f"--{key.replace('_', '-')}={vars(options)[key]}"
        raise RefusedError(f"{option}: {why.partition(': ')[2]}") from None
    for folder in _studies(options.folders):
        with refusing(folder, OSError, ValueError):
            if names is None:
                print(f"table: {latex.write(folder, csv.read_runs(folder))}")
                continue
            wanted = dict.fromkeys(names, formats)
            lines = files.draw(folder / PAPER, curves.read(folder), names, wanted, size)
            print(*lines, sep="\n")
    return 0


def _watch(options: argparse.Namespace) -> int:
    """Serve the page of a study until the user ends it."""
    from gdconv.report.page.watch import Server, live

    others = ("figures", "format", "compare", "status")
    if given := [name for name in others if vars(options)[name]]:
        raise RefusedError(f"--watch cannot be used with --{given[0]}")
    if len(options.folders) > 1:
        raise RefusedError(f"--watch takes one RESULTS_DIR, not {len(options.folders)}")
    folder = found(options.folders[0])
    made: dict[str, str] = {}
    with Server(folder, partial(live, folder, made)) as server:
        print(f"watching {folder}: {server.address}\nCtrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def _index(folder: Path, options: argparse.Namespace) -> Path | None:
    """Write the list of the studies in a folder; None if it holds none, or is one itself."""
    # Matplotlib need not be imported for a report that is current.
    if (folder / TABLES["runs"]).exists():
        return None
    from gdconv.report.page import index

    if not studies_in(folder):
        return None
    for name in ("figures", "format", "compare"):
        if vars(options)[name]:
            raise RefusedError(f"{folder} holds studies and is none: --{name} takes a study")
    with refusing(folder, OSError):
        return index.write(folder)


def _studies(folders: Sequence[Path]) -> list[Path]:
    """Return which of some folders are studies; of several, say which are none and go on.

    Of several, as in results/*, the list of studies that this command has written is left out.
    """
    every = [found(folder) for folder in folders]
    if len(every) == 1:
        return every
    lists = [each for each in every if each.name == INDEX and studies_in(each.parent)]
    every = [each for each in every if each not in lists] or every
    # What is not there at all was misspelt.
    none = [each for each in every if each.exists() and not (each / TABLES["runs"]).exists()]
    if len(none) == len(every):
        raise RefusedError(f"{' '.join(map(str, none))}: none of them is a study, with a runs.csv")
    for folder in none:
        print(f"gdconv-report: {folder}: is no study, it has no runs.csv", file=sys.stderr)
    return [folder for folder in every if folder not in none]


def _print_status(options: argparse.Namespace) -> int:
    from gdconv.report.summary import status, told

    others = ("figures", "format", "compare", "figure_size", "font_size", "latex")
    drawing = [f"--{name.replace('_', '-')}" for name in others if vars(options)[name]]
    if drawing:
        raise RefusedError(f"--status draws nothing: it cannot be used with {drawing[0]}")
    exit_status, every = 0, []
    given = _studies(options.folders)
    for folder in [study for each in given for study in studies_in(each) or [each]]:
        with refusing(folder, OSError, ValueError):
            standing = status(folder)
        every.append(standing._asdict())
        if not options.json:
            print(told(standing))
        exit_status |= bool(standing.changed)
    if options.json:
        print(json.dumps(every, indent=2))
    return exit_status


def _compare(
    studies: Sequence[Study], names: Collection[str] | None, formats: Collection[str]
) -> str:
    """Draw studies in one set of figures and on one page, and write how their runs differ.

    All goes into a folder inside that of the first study. Returns the differences in a few lines.
    """
    from gdconv.report import compare
    from gdconv.report.forms import text
    from gdconv.report.page.compared import compared
    from gdconv.tables.csv import Tables

    (first, *others), room = studies, terminal.room()
    with refusing(others[0].folder, OSError, ValueError):
        labels = compare.labels([study.folder for study in studies])
    every = [study.tables for study in studies if isinstance(study.tables, Tables)]
    with refusing(first.folder, ValueError):
        shared = compare.shared(every, labels)
    folder = first.folder / f"compare-{'-'.join(each.folder.resolve().name for each in others)}"
    both, described, told, written = compare.together(every, labels), {}, [], []
    with refusing(first.folder, OSError):
        lines = files.draw(
            folder, both, names or NAMES, files.lacking(folder, names, formats, False)
        )
        for study, tables, label in zip(others, every[1:], labels[1:], strict=True):
            pair = [labels[0], label]
            table = compare.differences(every[0], tables, pair)
            # The page is the same on any terminal.
            described[label] = compare.describe(table, pair)
            shown = compare.describe(table, pair, room and text.room())
            told += f"{first.folder} and {study.folder}: {shown}".split("\n")
            own = f"-{study.folder.resolve().name}" * (len(others) > 1)
            cells = table.to_csv(index=False, lineterminator="\n")
            disk.replace(folder / f"differences{own}.csv", [cells.encode()])
            written.append(f"differences: {folder / f'differences{own}.csv'}")
        svg = {name: folder / f"{name}.svg" for name in NAMES}
        drawn = {name: disk.read_bytes(path) for name, path in svg.items() if path.exists()}
        html = compared(folder, both, drawn, shared, described)
        disk.replace(folder / "compare.html", [html.encode(errors="replace")])
        disk.sync_folder(folder)
    # A number and its name stay on one line.
    told = [part for line in told for part in terminal.folded(line, room, whole=["(?<!,) "])]
    return "\n".join([*told, *lines, *written, f"page: {folder / 'compare.html'}"])


def _read(
    folder: Path,
    names: Collection[str] | None,
    formats: Collection[str],
    *,
    anew: bool = False,
) -> Study:
    """Read what is needed to make some figures of a study, or its report if `names` is None."""
    from gdconv.report import curves
    from gdconv.tables import csv

    # Found before the tables are read: if a file changes meanwhile, the report is not current.
    made_of = stamp.sources(folder)
    current = not anew and stamp.is_on(folder, made_of)
    missing = files.lacking(folder / "figures", names, formats, current)
    if current and not missing:
        return Study(folder, made_of, csv.read_runs(folder), None, current, missing)
    tables = csv.read(folder) if anew else curves.read(folder)
    return Study(folder, made_of, tables.runs, tables, current, missing)


def _write(study: Study) -> None:
    """Make what is missing of a report; the page is renewed as well, because it has links."""
    if study.tables is None:
        return
    from gdconv.report.page import explorer
    from gdconv.report.page.document import page

    folder = study.folder / "figures"
    known = {name for name in NAMES if study.current and "svg" in files.formats_of(folder, name)}
    shown = {name: () if name in known else ("svg",) for name in NAMES}
    needed = {name: {*study.missing.get(name, ()), *shown[name]} for name in NAMES}
    made, omitted, data = files.drawn(
        study.tables, needed, partial(explorer.embedded, study.tables)
    )
    files.store(folder, made, omitted, study.missing)
    svg = {name: disk.read_bytes(folder / f"{name}.svg") for name in known}
    svg |= {name: content["svg"] for name, content in made.items() if name not in known}
    html = page(study.folder, study.tables, svg, omitted, data)
    # The folder's name may contain bytes that are not valid text.
    content = [html.encode(errors="replace"), stamp.stamp(study.folder, study.made_of)]
    disk.replace(study.folder / "report.html", content)
    disk.sync_folder(study.folder)
