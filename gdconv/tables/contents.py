"""The content of a study's folder: its tables, which are checked, and its history.

The tables of a finished study are checked by their checksums in provenance.json. All other tables
are read to the last cell before anything is added to them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from gdconv.config.rules import typed
from gdconv.experiment.identity import SCHEMA_VERSION
from gdconv.tables import disk
from gdconv.tables.columns import COLUMNS, KINDS, TABLES
from gdconv.tables.csv import cells_of, header, is_cell, is_plain, names_of_files

# The key of provenance.json that a finished study has: file → SHA-256 of each table.
CHECKSUMS = "checksums"


class DamagedError(ValueError):
    """A file of a study is not as gdconv wrote it; the message says where, and what is wrong."""


class Held(NamedTuple):
    """The complete runs and problems of a study.

    Attributes
    ----------
    status : dict
        run_id → status, for every run whose rows are complete.
    problems : set of bytes
        The problem_id of these runs' problems; their eigenvalues are complete.
    measured : set of bytes
        That of problems whose moments are complete.
    """

    status: dict[str, str]
    problems: set[bytes]
    measured: set[bytes]


class Standing(NamedTuple):
    """Whether the tables still have the checksums that they had when the study was finished.

    Attributes
    ----------
    finished : bool
        Whether the study is finished and no table has changed since.
    changed : list of str
        Names of the tables that have changed since, or are missing.
    """

    finished: bool
    changed: list[str]


def provenance(folder: Path) -> dict[str, Any]:
    """Return the history of a study.

    Raises
    ------
    FileNotFoundError
        If there is no provenance.json.
    DamagedError
        If it does not have the form that this version of gdconv writes.
    OSError
        As `disk.check`.
    """
    name = "provenance.json"
    try:
        history: dict[str, Any] = json.loads(disk.read_bytes(folder / name))
        found = history["schema_version"]
        commands, difference = map(history.get, ("commands", "eigh_difference"))
        if not isinstance(commands, list) or not isinstance(difference, float | None):
            raise TypeError
        if not isinstance(history.get(CHECKSUMS, {}), dict):
            raise TypeError
        names_of_files(history)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DamagedError(f"{name} is not as gdconv wrote it") from None
    if found != SCHEMA_VERSION:
        raise DamagedError(
            f"{name} has schema version {found}, this gdconv writes {SCHEMA_VERSION}"
        )
    return history


def standing(folder: Path, history: Mapping[str, Any]) -> Standing:
    """Compare the tables with the checksums in a study's history; raises as `disk.check`."""
    wanted = history.get(CHECKSUMS, {})
    known = [name for name in TABLES.values() if name in wanted]
    changed = [
        name
        for name in known
        if not (folder / name).exists() or disk.checksum(folder / name) != wanted[name]
    ]
    return Standing(len(known) == len(TABLES) and not changed, changed)


def held(folder: Path, finished: bool) -> Held:
    """Return the runs that the tables hold.

    Parameters
    ----------
    finished : bool
        Whether the tables are known to be complete and unchanged (see `standing`). If not, each
        line is checked and each run's rows are counted; an incomplete last line is ignored.

    Raises
    ------
    DamagedError
        For a table with any damage other than an incomplete last line.
    OSError
        As `disk.check`.
    """
    if not finished:
        return _counted(folder)
    run_id, status = (list(COLUMNS["runs"]).index(name) for name in ("run_id", "status"))
    runs = (cells_of(line) for _, line in _numbered(folder, "runs"))
    return Held(
        {cells[run_id]: cells[status] for cells in runs},
        _problems_in(folder, "eigenvalues"),
        _problems_in(folder, "moments"),
    )


def _problems_in(folder: Path, name: str) -> set[bytes]:
    return {line[: line.index(b",")] for _, line in _numbered(folder, name)}


def lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the complete lines of a table's file below its header, from the first one on.

    Raises
    ------
    DamagedError
        If the header is not the expected one.
    """
    file.seek(0)
    first = file.readline()
    if first.endswith(b"\n") and first != header(name):
        raise DamagedError(f"{TABLES[name]} line 1 is not the header of this gdconv")
    yield from (line for line in file if line.endswith(b"\n"))


def _numbered(folder: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """The complete lines of a table with their numbers; none if the file is not there."""
    if (folder / TABLES[name]).exists():
        with disk.open_file(folder / TABLES[name], "rb") as file:
            yield from enumerate(lines(file, name), start=2)


def _counted(folder: Path) -> Held:
    """The runs that have a row in runs.csv and all of their rows in the other tables."""
    curve_rows = _curve_rows(folder)
    complete = _complete_problems(folder)
    coefficients, moments = _coefficients(folder), _moments(folder)
    status: dict[str, str] = {}
    problems, measured, seen = set(), set(), set()
    for number, line in _numbered(folder, "runs"):
        run = dict(zip(COLUMNS["runs"], _checked_cells("runs", number, line), strict=True))
        run_id = run["run_id"]
        if run_id in seen:
            raise DamagedError(f"runs.csv line {number} repeats run_id {typed(run_id)}")
        seen.add(run_id)
        problem = run["problem_id"].encode()
        if run["status"] == "failed":
            status[run_id] = run["status"]
        elif (
            curve_rows[run_id.encode()] == int(run["curve_rows"] or -1)
            and problem in complete
            and _has_coefficients(run, coefficients)
            and (needed := int(run["moment_rows"] or 0)) in {0, moments[problem]}
        ):
            status[run_id] = run["status"]
            problems.add(problem)
            measured |= {problem} if needed else set()
    return Held(status, problems, measured)


def _curve_rows(folder: Path) -> Counter[bytes]:
    """How many rows each run has in curves.csv; they must stand together, by iteration."""
    rows: Counter[bytes] = Counter()
    latest, before = b"", -1
    for number, run_id, iteration in _checked_curves(folder):
        if iteration <= before if run_id == latest else run_id in rows:
            raise DamagedError(f"curves.csv line {number} is not where it belongs")
        latest, before = run_id, iteration
        rows[run_id] += 1
    return rows


def _coefficients(folder: Path) -> Counter[tuple[str, str]]:
    """How many rows each problem's w*, and each run's w, have in coefficients.csv."""
    rows: Counter[tuple[str, str]] = Counter()
    for number, line in _numbered(folder, "coefficients"):
        problem, run_id, *_ = _checked_cells("coefficients", number, line)
        rows[problem, run_id] += 1
    return rows


def _moments(folder: Path) -> Counter[bytes]:
    """How many rows each problem has in moments.csv."""
    rows = (_checked_cells("moments", *each) for each in _numbered(folder, "moments"))
    return Counter(cells[0].encode() for cells in rows)


def _has_coefficients(run: Mapping[str, str], rows: Counter[tuple[str, str]]) -> bool:
    """Whether the rows of a run and of its problem are complete, where there have to be any."""
    of_problem, of_run = rows[run["problem_id"], ""], rows[run["problem_id"], run["run_id"]]
    every, wanted = int(run["n_features"] or 0), int(run["coefficient_rows"] or 0)
    solved = run["problem"] == "table" or wanted > 0
    return of_problem in {every, every if solved else 0} and of_run == wanted


def _complete_problems(folder: Path) -> set[bytes]:
    """The problems that have all of their eigenvalues in eigenvalues.csv."""
    n_features = list(COLUMNS["eigenvalues"]).index("n_features")
    missing: dict[bytes, int] = {}
    for number, line in _numbered(folder, "eigenvalues"):
        cells = _checked_cells("eigenvalues", number, line)
        problem = cells[0].encode()
        missing[problem] = missing.get(problem, int(cells[n_features] or 0)) - 1
    return {problem for problem, count in missing.items() if count == 0}


def _checked_curves(folder: Path) -> Iterator[tuple[int, bytes, int]]:
    """Number, run_id and iteration of each line of curves.csv.

    The file is too long to read every cell. A line is refused if it has the wrong number of cells,
    if it has letters other than the e of an exponent where numbers should be, or if it has no
    iteration.
    """
    columns = list(COLUMNS["curves"])
    commas, position = len(columns) - 1, columns.index("iteration")
    for number, line in _numbered(folder, "curves"):
        cells = line.split(b",", position + 1)
        letters = line.split(b",", 2)[-1].translate(None, b"0123456789.,e+-\n")
        if letters or line.count(b",") != commas or not is_plain(line):
            cells = [cell.encode() for cell in _checked_cells("curves", number, line)]
        try:
            iteration = int(cells[position])
        except ValueError:
            _checked_cells("curves", number, line)
            raise DamagedError(f"curves.csv line {number} has no iteration") from None
        yield number, cells[0], iteration


def _checked_cells(name: str, number: int, line: bytes) -> list[str]:
    """The cells of a line; refuse a wrong number of cells, or a cell that is not of its type."""
    where, columns = f"{TABLES[name]} line {number}", COLUMNS[name]
    try:
        cells = cells_of(line)
    except ValueError:
        raise DamagedError(f"{where} is no line of CSV in UTF-8") from None
    if len(cells) != len(columns):
        raise DamagedError(f"{where} has {len(cells)} cells instead of {len(columns)}")
    for (column, dtype), cell in zip(columns.items(), cells, strict=True):
        if cell and not is_cell(dtype, cell):
            what = f"has {typed(cell)!r}, which is not {KINDS[dtype]}"
            raise DamagedError(f"{where}, column {column} {what}")
    return cells
