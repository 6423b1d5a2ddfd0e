"""Rows of a study's tables as lines of CSV, and back to DataFrames."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, islice
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import IO, TYPE_CHECKING, Any

import orjson

from gdconv.config.rules import ConfigError, shown
from gdconv.tables import disk
from gdconv.tables.columns import (
    COEFFICIENT_ORDER,
    COLUMNS,
    EIGENVALUE_ORDER,
    MOMENT_ORDER,
    NUMBER,
    RUN_ORDER,
    TABLES,
    TEXT,
    TRUTH,
    WHOLE,
)
from gdconv.tables.study import Tables as Tables
from gdconv.tables.study import found, path_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from gdconv.experiment.identity import GroupTables

# Searching for a byte in a line is ten times as fast as searching for bytes of length 1.
_QUOTE, _RETURN = b'"\r'
# All bytes but those that tell how many cells a line has.
_OTHERS = bytes({*range(256)} - {*b',\n"\r'})
BLOCK = 2**24


class CellError(ValueError):
    """A cell of a table is not of its column's type."""


@dataclass(frozen=True)
class Rows:
    """The rows of one group as lines of CSV, and a few facts about them that the writer needs.

    minimiser and coefficients are lines of coefficients.csv, of the problem and of the runs; of the
    problem are also eigenvalues and moments.
    sizes: run_id → how many bytes of curves are the run's; in the order in which they stand there.
    """

    runs: bytes
    curves: bytes
    eigenvalues: bytes
    minimiser: bytes
    coefficients: bytes
    moments: bytes
    sizes: dict[str, int]
    problem_id: str
    status: dict[str, str]
    eigh_difference: float | None
    rows_multiplied: str | None


# Stands between the names of one content.
ALSO = " = "


def encode(group: GroupTables) -> Rows:
    """Turn a group's tables into lines of CSV; floats read back bit for bit."""
    curves = _lines("curves", group.curves)
    lengths = map(len, curves)
    sizes = {
        run_id: sum(islice(lengths, len(list(rows))))
        for run_id, rows in groupby(group.curves.get("run_id", ()))
    }
    return Rows(
        runs=b"".join(_lines("runs", group.runs)),
        curves=b"".join(curves),
        eigenvalues=b"".join(_lines("eigenvalues", group.eigenvalues)),
        minimiser=b"".join(_lines("coefficients", group.minimiser)),
        coefficients=b"".join(_lines("coefficients", group.coefficients)),
        moments=b"".join(_lines("moments", group.moments)),
        sizes=sizes,
        problem_id=next(iter(group.eigenvalues.get("problem_id", ())), ""),
        status=dict(zip(group.runs["run_id"], group.runs["status"], strict=True)),
        eigh_difference=group.eigh_difference,
        rows_multiplied=group.rows_multiplied,
    )


def decode(groups: Iterable[Rows], files: Mapping[str, Sequence[str]] | None = None) -> Tables:
    """Return the tables of some groups, as if they were read from a study's folder.

    Parameters
    ----------
    groups : iterable of Rows
    files : mapping of str to sequence of str, optional
        The names of each content; none by default.
    """
    groups = list(groups)
    problems = {rows.problem_id: rows.eigenvalues for rows in groups}
    runs = sorted(_split(rows.runs for rows in groups), key=sort_key("runs", RUN_ORDER))
    curves = {
        run_id.encode(): rows.curves[end - rows.sizes[run_id] : end]
        for rows in groups
        for run_id, end in zip(rows.sizes, accumulate(rows.sizes.values()), strict=True)
    }
    eigenvalues = sorted(_split(problems.values()), key=sort_key("eigenvalues", EIGENVALUE_ORDER))
    minimisers = {rows.problem_id: rows.minimiser for rows in groups if rows.minimiser}
    parts = [*minimisers.values(), *(rows.coefficients for rows in groups)]
    coefficients = sorted(_split(parts), key=sort_key("coefficients", COEFFICIENT_ORDER))
    of_moments = {rows.problem_id: rows.moments for rows in groups if rows.moments}
    moments = sorted(_split(of_moments.values()), key=sort_key("moments", MOMENT_ORDER))
    return Tables(
        _named(frame("runs", runs), files or {}),
        frame("curves", [curves.get(run_id_of(run), b"") for run in runs]),
        frame("eigenvalues", eigenvalues),
        frame("coefficients", coefficients),
        frame("moments", moments),
    )


def read(folder: str | PathLike[str]) -> Tables:
    """Read the tables of a study from its folder; if it is still running, read what is complete.

    Parameters
    ----------
    folder : path
        A NAME alone that is no folder here stands for results/NAME.

    Raises
    ------
    FileNotFoundError
        If the folder holds no runs.csv.
    ValueError
        If `folder` is no path, a file does not have the columns of COLUMNS, or a cell is of another
        type.
    """
    folder = found(path_of("folder", folder))
    tables = Tables(**{name: frame(name, blocks(folder, name)) for name in COLUMNS})
    of_runs = tables.coefficients["run_id"]
    done = tables.curves["run_id"].isin(tables.runs["run_id"])
    told = of_runs.isna() | of_runs.isin(tables.runs["run_id"])
    return tables._replace(
        runs=_named(tables.runs, _read_files(folder)),
        curves=tables.curves[done].reset_index(drop=True),
        coefficients=tables.coefficients[told].reset_index(drop=True),
    )


def tables_of(key: str, given: Any) -> Tables:
    """Return tables that were given from Python, or read them from the study's folder that was.

    Raises
    ------
    ConfigError, FileNotFoundError, ValueError
        If it is neither, or as `read`.
    """
    if isinstance(given, Tables):
        return given
    if not isinstance(given, str | PathLike):
        allowed = "must be the Tables that read or run_study returns, or the folder of a study"
        raise ConfigError(key, shown(given), allowed)
    return read(given)


def read_runs(folder: Path) -> pd.DataFrame:
    """Read only the runs of a study; raises as `read`."""
    return _named(frame("runs", blocks(folder, "runs")), _read_files(folder))


def blocks(folder: Path, name: str) -> Iterator[bytes]:
    """Yield the complete lines of a table below its header, some megabytes at a time.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If a line has not as many cells as COLUMNS has columns.
    """
    with disk.open_file(folder / TABLES[name], "rb") as file:
        yield from checked(file, name)


def checked(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield what `blocks` does, from a table's file that is open."""
    if file.readline() != header(name):
        raise ValueError(f"{TABLES[name]}: line 1 is not the header of this version of gdconv")
    number = 2
    while block := file.read(BLOCK) + file.readline():
        if not block.endswith(b"\n"):
            block = block[: block.rfind(b"\n") + 1]
        number += _check_cells(name, block, number)
        if block:
            yield block


def frame(
    name: str, lines: Iterable[bytes], columns: Collection[str] | None = None
) -> pd.DataFrame:
    """Return complete lines of a table as a DataFrame, with all columns or only some.

    Raises
    ------
    CellError
        If a cell is not of its column's type.
    """
    import pandas as pd

    content = b"".join(lines)
    try:
        return pd.read_csv(
            io.BytesIO(content or header(name)),
            header=None if content else 0,
            names=list(COLUMNS[name]),
            usecols=None if columns is None else list(columns),
            dtype=COLUMNS[name],
            keep_default_na=False,
            na_values={column: [""] for column in COLUMNS[name]},
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise CellError(f"{TABLES[name]}: {error}") from None


def names_of_files(provenance: Any) -> dict[str, list[str]]:
    """Return the names of each content of a file, from the data in provenance.json.

    Raises
    ------
    TypeError
        If they do not have the form in which gdconv writes them.
    """
    files = provenance.get("files", {}) if isinstance(provenance, dict) else None
    if not isinstance(files, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in files.values()
    ):
        raise TypeError("files must be an object with a list of names for each content")
    return files


def header(name: str) -> bytes:
    """Return the first line of a table's file."""
    return (",".join(COLUMNS[name]) + "\n").encode()


def run_id_of(line: bytes) -> bytes:
    """Return the run_id of a line of runs.csv or curves.csv, its first cell."""
    return cells_of(line)[0].encode() if line[0] == _QUOTE else line[: line.index(b",")]


def owner_of(line: bytes) -> tuple[bytes, bytes]:
    """Return problem_id and run_id of a line of coefficients.csv; w* has an empty run_id."""
    problem, run_id, *_ = line.split(b",", 2)
    return problem, run_id


def cells_of(line: bytes) -> list[str]:
    """Return the cells of a line of CSV.

    Raises
    ------
    ValueError
        If it is not one line of CSV in UTF-8.
    """
    text = line.decode().removesuffix("\n")
    if is_plain(line):
        return text.split(",")
    try:
        (cells,) = csv.reader([text], strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return cells


def is_plain(line: bytes) -> bool:
    """Return whether every comma of a line ends a cell; this is so for nearly all lines."""
    return _QUOTE not in line and _RETURN not in line


def sort_key(name: str, order: Sequence[str]) -> Callable[[bytes], tuple[Any, ...]]:
    """Return the key by which lines of a table are sorted; empty cells come first."""
    names = list(COLUMNS[name])
    wanted = [(names.index(column), COLUMNS[name][column]) for column in order]
    parse: dict[str, Callable[[str], Any]] = {
        TEXT: str,
        WHOLE: lambda cell: int(cell or -1),
        NUMBER: lambda cell: float(cell or -math.inf),
    }

    def key(line: bytes) -> tuple[Any, ...]:
        cells = cells_of(line)
        return tuple(parse[dtype](cells[index]) for index, dtype in wanted)

    return key


def is_cell(dtype: str, cell: str) -> bool:
    """Return whether a cell that is not empty holds a value of its column's type."""
    # Python, unlike pandas, accepts 1_000 and the digits of other scripts.
    if dtype != TEXT and not (cell.isascii() and "_" not in cell):
        return False
    try:
        return _READS[dtype](cell)
    except ValueError:
        return False


_READS: dict[str, Callable[[str], bool]] = {
    TEXT: lambda cell: True,
    WHOLE: lambda cell: -(2**63) <= int(cell) < 2**63,
    NUMBER: lambda cell: float(cell) is not None,
    TRUTH: lambda cell: cell in ("True", "False"),
}


def _check_cells(name: str, block: bytes, first: int) -> int:
    """Check the cells of a block of lines, the first of which has a number; return how many."""
    columns = len(COLUMNS[name])
    marks = block.translate(None, _OTHERS)
    count = len(marks) // columns
    if marks == (b"," * (columns - 1) + b"\n") * count:
        return count
    lines = block.split(b"\n")[:-1]
    for number, line in enumerate(lines, start=first):
        where = f"{TABLES[name]}: line {number}"
        try:
            cells = line.count(b",") + 1 if is_plain(line) else len(cells_of(line))
        except ValueError as error:
            raise ValueError(f"{where} is not CSV: {error}") from None
        if cells != columns:
            raise ValueError(f"{where} has {cells} cells instead of {columns}")
    return len(lines)


def _read_files(folder: Path) -> dict[str, list[str]]:
    """The names of each content; none if provenance.json is missing or damaged."""
    try:
        return names_of_files(json.loads(disk.read_bytes(folder / "provenance.json")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _named(runs: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    names = {content: ALSO.join(names) for content, names in files.items() if names}
    return runs.assign(file=runs["content"].map(names).astype(TEXT))


def _split(parts: Iterable[bytes]) -> list[bytes]:
    return b"".join(parts).splitlines(keepends=True)


def _lines(name: str, table: Mapping[str, Any]) -> list[bytes]:
    """The lines of a table that is given by columns; missing columns are left empty."""
    if not table:
        return []
    unknown = table.keys() - COLUMNS[name].keys()
    if unknown:
        raise ValueError(f"{name} has no column {', '.join(sorted(unknown))}")
    length = len(next(iter(table.values())))
    parts: list[list[bytes]] = []
    for kind, group in groupby(map(table.get, COLUMNS[name]), key=_kind):
        columns: list[Any] = list(group)
        if kind == "missing":
            parts.append([b"," * (len(columns) - 1)] * length)
        elif kind == "numbers":
            parts.append(_rows_of_numbers(columns))
        else:
            parts += map(_cells, columns)
    return [b",".join(row) + b"\n" for row in zip(*parts, strict=True)]


def _kind(column: Any) -> str:
    """Neighbouring columns that are missing, or arrays, are written together."""
    if column is None:
        return "missing"
    return "numbers" if hasattr(column, "dtype") else "values"


def _rows_of_numbers(columns: Sequence[np.ndarray]) -> list[bytes]:
    """The cells of each row of some columns of floats, with commas between them."""
    import numpy as np

    rows = np.ascontiguousarray(np.stack(columns, axis=1))
    text = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
    return text[2:-2].replace(b"null", b"").split(b"],[")


def _cells(values: list[Any]) -> list[bytes]:
    """The cells of a column; its numbers are read back bit for bit."""
    kinds = set(map(type, values))
    if kinds <= {float, NoneType}:
        # What is not finite becomes null, too.
        return orjson.dumps(values)[1:-1].replace(b"null", b"").split(b",")
    # Most columns hold a few values many times.
    cells = {value: _cell(value).encode() for value in set(values)}
    return [cells[value] for value in values]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # A cell must not contain a line break, because each row is a line.
    text = " ".join(str(value).splitlines())
    if set(text) & set(',"'):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow([text])
        return buffer.getvalue()
    return text
