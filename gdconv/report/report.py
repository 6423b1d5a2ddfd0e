"""The report of a study, made only from its files: figures and report.html."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.config.sections import FORMATS, SHOWN_FORMATS
from gdconv.report import parallel, stamp
from gdconv.report.figures import NAMES
from gdconv.report.options import PAPER, RefusedError, listed, parser, refusing, sizes, why
from gdconv.tables import disk
from gdconv.tables.columns import TABLES
from gdconv.tables.study import found, studies_in

# pandas and Matplotlib take a second to import, so they are imported only when they are needed.
if TYPE_CHECKING:
    import pandas as pd

    from gdconv.report.curves import Shown
    from gdconv.report.figures.sizes import Size
    from gdconv.tables.csv import Tables

# Name of a figure → the formats in which it has to be made.
Formats = Mapping[str, Collection[str]]
# Name of a figure → format → the content of its file.
Contents = Mapping[str, Mapping[str, bytes]]


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
    missing: Formats


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
                lines = _draw(study.folder / "figures", study.tables, names, study.missing)
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
            lines = _draw(folder / PAPER, curves.read(folder), names, wanted, size)
            print(*lines, sep="\n")
    return 0


def _watch(options: argparse.Namespace) -> int:
    """Serve the page of a study until the user ends it."""
    from gdconv.report.page.watch import Server

    others = ("figures", "format", "compare", "status")
    if given := [name for name in others if vars(options)[name]]:
        raise RefusedError(f"--watch cannot be used with --{given[0]}")
    if len(options.folders) > 1:
        raise RefusedError(f"--watch takes one RESULTS_DIR, not {len(options.folders)}")
    folder = found(options.folders[0])
    made: dict[str, str] = {}
    with Server(folder, partial(_live, folder, made)) as server:
        print(f"watching {folder}: {server.address}\nCtrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def _live(folder: Path, made: dict[str, str]) -> str:
    """The page of a study as it stands; `made` keeps it as long as nothing changes."""
    from gdconv.report import curves
    from gdconv.report.page import explorer, watch
    from gdconv.report.page.document import page
    from gdconv.report.summary import status

    try:
        sources = stamp.sources(folder)
        if sources not in made:
            made.clear()
            progress = watch.progress(status(folder))
            tables = curves.read(folder)
            needed = dict.fromkeys(NAMES, ("svg",))
            found, omitted, data = _made(tables, needed, partial(explorer.embedded, tables))
            svg = {name: content["svg"] for name, content in found.items()}
            made[sources] = page(folder, tables, svg, omitted, data, progress)
        return made[sources]
    except (OSError, ValueError) as error:
        # A study that begins has no tables yet, and a table may be just being written.
        return watch.waiting(folder, why(folder, error))


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
    """Return which of some folders are studies; of several, say which are none and go on."""
    every = [found(folder) for folder in folders]
    if len(every) == 1:
        return every
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
    from gdconv.report.page.compared import compared
    from gdconv.tables.csv import Tables

    first, *others = studies
    with refusing(others[0].folder, OSError, ValueError):
        labels = compare.labels([study.folder for study in studies])
    every = [study.tables for study in studies if isinstance(study.tables, Tables)]
    with refusing(first.folder, ValueError):
        shared = compare.shared(every, labels)
    folder = first.folder / f"compare-{'-'.join(each.folder.resolve().name for each in others)}"
    both, described, files = compare.together(every, labels), {}, []
    with refusing(first.folder, OSError):
        lines = _draw(folder, both, names or NAMES, _missing(folder, names, formats, False))
        for study, tables, label in zip(others, every[1:], labels[1:], strict=True):
            pair = [labels[0], label]
            table = compare.differences(every[0], tables, pair)
            described[label] = compare.describe(table, pair)
            own = f"-{study.folder.resolve().name}" * (len(others) > 1)
            text = table.to_csv(index=False, lineterminator="\n")
            disk.replace(folder / f"differences{own}.csv", [text.encode()])
            files.append(f"differences: {folder / f'differences{own}.csv'}")
        svg = {name: folder / f"{name}.svg" for name in NAMES}
        drawn = {name: disk.read_bytes(path) for name, path in svg.items() if path.exists()}
        html = compared(folder, both, drawn, shared, described)
        disk.replace(folder / "compare.html", [html.encode(errors="replace")])
        disk.sync_folder(folder)
    pairs = zip(others, described.values(), strict=True)
    told = [f"{first.folder} and {study.folder}: {text}" for study, text in pairs]
    return "\n".join([*told, *lines, *files, f"page: {folder / 'compare.html'}"])


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
    missing = _missing(folder / "figures", names, formats, current)
    if current and not missing:
        return Study(folder, made_of, csv.read_runs(folder), None, current, missing)
    tables = csv.read(folder) if anew else curves.read(folder)
    return Study(folder, made_of, tables.runs, tables, current, missing)


def _missing(
    folder: Path, names: Collection[str] | None, formats: Collection[str], current: bool
) -> Formats:
    """The figures that have to be made, where those that are there may be `current`."""
    missing = {}
    for name in NAMES if names is None else names:
        there = _formats(folder, name)
        wanted = [each for each in FORMATS if each in formats or each in there]
        missing[name] = [each for each in wanted if not (current and each in there)]
        # A figure that a current report does not have is left out in it.
        if current and names is None and not there:
            del missing[name]
    return {name: lacking for name, lacking in missing.items() if lacking}


def _formats(folder: Path, name: str) -> list[str]:
    """The formats in which a folder has a figure."""
    return [suffix for suffix in FORMATS if (folder / f"{name}.{suffix}").exists()]


def _write(study: Study) -> None:
    """Make what is missing of a report; the page is renewed as well, because it has links."""
    if study.tables is None:
        return
    from gdconv.report.page import explorer
    from gdconv.report.page.document import page

    folder = study.folder / "figures"
    known = {name for name in NAMES if study.current and "svg" in _formats(folder, name)}
    shown = {name: () if name in known else ("svg",) for name in NAMES}
    needed = {name: {*study.missing.get(name, ()), *shown[name]} for name in NAMES}
    made, omitted, data = _made(study.tables, needed, partial(explorer.embedded, study.tables))
    _store(folder, made, omitted, study.missing)
    svg = {name: disk.read_bytes(folder / f"{name}.svg") for name in known}
    svg |= {name: content["svg"] for name, content in made.items() if name not in known}
    html = page(study.folder, study.tables, svg, omitted, data)
    # The folder's name may contain bytes that are not valid text.
    content = [html.encode(errors="replace"), stamp.stamp(study.folder, study.made_of)]
    disk.replace(study.folder / "report.html", content)
    disk.sync_folder(study.folder)


def _draw(
    folder: Path,
    tables: Tables | Shown | None,
    names: Collection[str],
    missing: Formats,
    size: Size | None = None,
) -> list[str]:
    """Write the missing ones of some figures into a folder, and return a line for each figure."""
    omitted: Mapping[str, str] = {}
    if tables is not None:
        made, omitted, _ = _made(tables, missing, size=size)
        _store(folder, made, omitted, missing)
    lines = [
        f"figures: {folder / name}" + ", ".join(f".{suffix}" for suffix in _formats(folder, name))
        for name in names
        if name not in omitted
    ]
    return lines + [f"{name} is left out: {why}" for name, why in omitted.items()]


def _made(
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


def _store(folder: Path, made: Contents, omitted: Collection[str], missing: Formats) -> None:
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
