"""The user's table: from a file to the names of its columns and its numbers."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import re
import stat
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np

from gdconv.config.rules import ConfigError, typed


@dataclass(frozen=True)
class Table:
    """A table of finite numbers.

    Attributes
    ----------
    names : tuple of str
        Names of the columns, all different, none empty.
    cells : ndarray, shape (rows, columns)
    largest : ndarray, shape (columns,)
        The largest absolute value in each column; 0 without rows.
    content : str
        The SHA-256 of the file's bytes, in hex digits.
    notice : str
        Text that says which whole numbers were rounded because they are not doubles; empty if none.
    """

    names: tuple[str, ...]
    cells: np.ndarray
    largest: np.ndarray
    content: str
    notice: str


def read_table(path: str) -> Table:
    """Read a CSV file, which may be packed by gzip.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no table of numbers; the message says where it is wrong.
    """
    return _read(*_version(path))


def content(path: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex digits.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no table of numbers.
    """
    return _content(*_version(path))


def name_of(path: str) -> str:
    """Return a file's name without its folder."""
    return os.path.basename(path)


def listed(names: Sequence[str]) -> str:
    """Return names of columns as they stand in a line of CSV."""
    return typed(", ".join(f'"{name}"' if "," in name else name for name in names))


def is_number(text: str) -> bool:
    """Whether a text is a number, nan and inf included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _version(name: str) -> tuple[str, int, int]:
    """Path, time and size of the file, the key of the caches below."""
    path = os.path.expanduser(name)
    with _readable(name):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for a writer.
            raise OSError(0, "not a regular file")
        with open(path, "rb"):
            pass
    return path, status.st_mtime_ns, status.st_size


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, UnicodeEncodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        allowed = f"must be a readable CSV file ({reason.lower()})"
        raise ConfigError("problem.path", path, allowed) from None


@lru_cache(maxsize=8)
def _content(path: str, modified: int, size: int) -> str:
    return _read(path, modified, size).content


# Two, because a sweep's groups may take turns with two files.
@lru_cache(maxsize=2)
def _read(path: str, modified: int, size: int) -> Table:
    file = _File(path)
    names = file.names()
    cells, content = file.cells(by_parts=True)
    largest = _largest(cells)
    # Only a whole number below 2**53 is sure to be the same double, read as either.
    if not (largest < 2.0**53).all():
        cells, content = file.cells(by_parts=False)
        largest = _largest(cells)
    if not np.isfinite(largest).all():
        # The first wrong cell by rows, as in the file.
        row, index = divmod(int(np.argmax(~np.isfinite(cells))), len(names))
        raise file.wrong_cell(row, index)
    columns = np.flatnonzero(largest >= 2.0**53).tolist()
    notice = file.rounded(cells, columns) if columns else ""
    return Table(tuple(names), cells, largest, content, notice)


def _largest(cells: np.ndarray) -> np.ndarray:
    """The largest absolute value in each column; nan if a cell is nan, 0 without rows."""
    return np.maximum(cells.max(axis=0, initial=0.0), -cells.min(axis=0, initial=0.0))


class _Hashed(io.FileIO):
    """A file whose bytes are hashed, by a thread, as they are read into a buffer."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._sha256 = hashlib.sha256()
        # So few that they need no memory to speak of, even if hashing is slower than reading.
        self._parts: Queue[bytes] = Queue(16)
        self._thread = Thread(target=self._hash, daemon=True)
        self._thread.start()

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if count:
            self._parts.put(bytes(memoryview(buffer)[:count]))
        return count

    def close(self) -> None:
        """Close the file and wait for the thread."""
        if not self.closed:
            super().close()
            self._parts.put(b"")
            self._thread.join()

    def hexdigest(self) -> str:
        """Return the SHA-256 of what was read until the file was closed."""
        return self._sha256.hexdigest()

    def _hash(self) -> None:
        while part := self._parts.get():
            self._sha256.update(part)


class _File:
    """A file that should be a CSV table, and the errors if it is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        with _readable(path):
            with open(path, "rb") as file:
                self._packed = file.read(2) == b"\x1f\x8b"
            with self._open() as file:
                self._head = file.read(2**16)
        for magic, (what, convert) in _FORMATS.items():
            if self._head.startswith(magic):
                raise self._refused(f"must be a CSV table in UTF-8, is {what}: {convert}")

    def names(self) -> list[str]:
        """Return the names of the columns."""
        # A column may be called NA.
        header = self._csv(self.path, header=None, nrows=1, dtype=str, na_filter=False)
        names = [str(name).strip() for name in header.iloc[0]]
        for number, name in enumerate(names, start=1):
            # pandas gives this name to a column without a name.
            if not name or re.fullmatch(r"Unnamed: \d+", name):
                why = _WHY_NAMELESS.get(number % len(names), "")
                raise self._refused(f"column {number} has no name: name or remove it{why}")
        if len(set(names)) < len(names):
            if all(map(is_number, names)):
                raise self._refused(
                    f"must begin with a line of column names, begins with {listed(names)}"
                )
            twice = next(name for name in names if names.count(name) > 1)
            first, second = [i for i, name in enumerate(names, start=1) if name == twice][:2]
            raise self._refused(
                f"columns {first} and {second} are both called {typed(twice)}: give each a name of"
                " its own"
            )
        self._columns = [f"column {i} ({typed(name)})" for i, name in enumerate(names, start=1)]
        return names

    def cells(self, by_parts: bool) -> tuple[np.ndarray, str]:
        """Return the rows as doubles, with nan for a cell that is no number, and the hash.

        By parts, which stay in the cache, this is faster. But the whole numbers of a column may
        have been read as such in some parts only, and a column with anything else is nan.
        """
        import pandas as pd

        with _readable(self.path), _Hashed(self.path) as file:
            buffered = io.BufferedReader(file, 2**18)
            frame = self._csv(buffered, low_memory=by_parts, na_filter=not by_parts)
            while buffered.read(2**20):
                pass
        table = np.full(frame.shape, np.nan, order="F")
        for index in range(frame.shape[1]):
            cells = frame.iloc[:, index]
            if pd.api.types.is_bool_dtype(cells) or not pd.api.types.is_numeric_dtype(cells):
                if by_parts:
                    continue
                cells = pd.to_numeric(cells.astype(str), errors="coerce")
            table[:, index] = cells.to_numpy(dtype=float, na_value=np.nan)
        return table, file.hexdigest()

    def wrong_cell(self, row: int, index: int) -> ConfigError:
        """Return the error for a cell that is no finite number."""
        cell = self._as_written([index]).iloc[row, 0]
        written = cell.strip() if isinstance(cell, str) else ""
        found = f"'{typed(written)}'" if written else "an empty cell"
        reason = f"must hold finite numbers only: row {row + 1}, {self._columns[index]} has {found}"
        advice = "put a number there, or leave out the row or the column"
        if written.count(",") == 1 and is_number(written.replace(",", ".")):
            advice = "write numbers with a decimal point"
        return self._refused(f"{reason}; {advice}" if row else self._explained(reason, advice))

    def rounded(self, cells: np.ndarray, columns: Sequence[int]) -> str:
        """Return a text that says which whole numbers were rounded because they are not doubles."""
        texts = self._as_written(columns)
        found = []
        for place, index in enumerate(columns):
            rows = np.flatnonzero(np.abs(cells[:, index]) >= 2.0**53)
            written = texts.iloc[:, place].to_numpy()[rows]
            numbers = cells[rows, index].tolist()
            for row, text, number in zip(rows.tolist(), written, numbers, strict=True):
                whole = _WHOLE.fullmatch(text)
                if whole and int(whole[1]) != int(abs(number)):
                    found.append((row, index, text))
        if not found:
            return ""
        row, index, text = min(found)
        first = f"row {row + 1}, {self._columns[index]}: {typed(text)} to {int(cells[row, index])}"
        return (
            f"{typed(self.path)}: whole numbers above 2^53 have been rounded to doubles,"
            f" {len(found)} in all, the first in {first}; if it matters, subtract a constant from"
            " the column"
        )

    def _as_written(self, columns: Sequence[int]) -> Any:
        """These columns, ascending, as text."""
        return self._csv(self.path, usecols=columns, dtype=str, na_filter=False)

    def _csv(self, source: Any, **options: Any) -> Any:
        import pandas as pd

        packed = "gzip" if self._packed else None
        try:
            with warnings.catch_warnings(), _readable(self.path):
                # If rows are longer than the header, pandas would make their first cells an index,
                # or drop the last ones.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                # Of columns that are numbers in some parts only.
                warnings.simplefilter("ignore", pd.errors.DtypeWarning)
                return pd.read_csv(source, index_col=False, compression=packed, **options)
        except pd.errors.ParserWarning:
            reason = self._explained(
                "must be a CSV table: its rows have more cells than its first line has names",
                "row names are left out by row.names=FALSE in R",
            )
        except pd.errors.EmptyDataError:
            reason = "must have a line of column names and rows of numbers, is empty"
        except pd.errors.ParserError as error:
            saw = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
            reason = str(error).rpartition("C error: ")[2]
            advice = "are all quotes closed?"
            if saw:
                reason = "line {1} has {2} cells instead of {0}".format(*saw.groups())
                advice = "a cell with a comma needs quotes"
            reason = self._explained(f"must be a CSV table: {reason}", advice)
        except UnicodeDecodeError:
            reason = (
                f"must be encoded in UTF-8, line {self._first_not_in_utf8()} is not; convert it, as"
                " iconv -f latin1 -t utf8 does"
            )
        raise self._refused(reason)

    def _open(self) -> Any:
        return gzip.open(self.path) if self._packed else open(self.path, "rb")

    def _first_not_in_utf8(self) -> int:
        """The number of the first line that cannot be decoded."""
        with self._open() as file:
            lines = enumerate(file, start=1)
            return next(
                (n for n, line in lines if line.decode(errors="ignore").encode() != line), 1
            )

    def _explained(self, reason: str, advice: str) -> str:
        """Return what the first two lines show to be wrong with the file, or else the reason."""
        lines = self._head.decode("utf-8-sig", "replace").splitlines()
        header, row, *_ = *filter(str.strip, lines), "", ""
        if header.startswith(("#", "%")):
            return f"{reason}; the first line is {typed(header)}: if it is a comment, remove it"
        names, cells = (_cells(line, ",") for line in (header, row))
        # Where commas make a table, other separators are part of its cells.
        if 1 < len(names) <= len(cells) and not any(cells[len(names) :]):
            return f"{reason}; {advice}"
        for separator, (name, argument) in _SEPARATORS.items():
            parts = len(_cells(header, separator))
            if 1 < parts <= len(_cells(row, separator)) and (separator or "," not in header):
                commas = re.search(r"\d,\d", row)
                decimal = (" and decimal commas", ", decimal=','") if commas else ("", "")
                return (
                    f"must have commas between its cells, has {name}{decimal[0]}; convert it with"
                    f" pandas.read_csv(FILE, sep={argument}{decimal[1]}).to_csv(NEW, index=False)"
                )
        return f"{reason}; {advice}"

    def _refused(self, reason: str) -> ConfigError:
        return ConfigError("problem.path", self.path, reason)


def _cells(line: str, separator: str | None) -> list[str]:
    """Cut a line, but not within quotes."""
    return line.split() if separator is None else next(csv.reader([line], delimiter=separator))


# A whole number that is written as one, with the digits of its absolute value as a group.
_WHOLE = re.compile(r"\s*[+-]?0*(\d+)(?:\.0*)?\s*", re.ASCII)
# Separator, or None for blanks → its name and the argument of pandas.
_SEPARATORS: dict[str | None, tuple[str, str]] = {
    ";": ("semicolons", "';'"),
    "\t": ("tabs", r"'\t'"),
    "|": ("bars", "'|'"),
    None: ("blanks", r"'\s+'"),
}
# Why a column without a name may be there, if it is the first (1) or the last (0).
_WHY_NAMELESS = {
    1: "; row numbers are left out by index=False in pandas and row.names=FALSE in R",
    0: "; it may come from a comma at the end of each line",
}
_WITH_PANDAS = "convert it with pandas.read_{}(FILE).to_csv(NEW, index=False)"
_FORMATS = {
    b"PAR1\x15": ("a Parquet file", _WITH_PANDAS.format("parquet")),
    b"ARROW1\0\0": ("a Feather file", _WITH_PANDAS.format("feather")),
    b"PK\x03\x04": ("a ZIP archive or an Excel sheet", "take the CSV out or save it as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel sheet", "save it as CSV"),
    b"BZh91AY&SY": ("packed by bzip2", "unpack it with bunzip2"),
    b"\xfd7zXZ\0": ("packed by xz", "unpack it with unxz"),
    b"\x28\xb5\x2f\xfd": ("packed by Zstandard", "unpack it with unzstd"),
    b"\xff\xfe": ("in UTF-16 or UTF-32", "save it in UTF-8"),
    b"\xfe\xff": ("in UTF-16 or UTF-32", "save it in UTF-8"),
}
