"""The user's table: from a file to the names of its columns and its numbers."""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from functools import lru_cache

import numpy as np

from gdconv.keys import ConfigError, typed


def read_table(path: str) -> tuple[list[str], np.ndarray]:
    """Return the names of a file's columns, and its numbers, shape (rows, columns).

    Raises
    ------
    ConfigError
        If there is no such file, or it is no table of numbers: says where it is not.
    """
    return _read(*_version(path))


def content(path: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex digits.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    return _digest(*_version(path))


def _version(name: str) -> tuple[str, int, int]:
    """Path, time and size of the file: what the caches below are keyed by."""
    path = os.path.expanduser(name)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for its other end.
            raise OSError(0, "not a regular file")
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            "problem.path", name, f"must be a readable CSV file ({reason.lower()})"
        ) from None
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _digest(path: str, modified: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _read(path: str, modified: int, size: int) -> tuple[list[str], np.ndarray]:
    """Column names and the table, or a ConfigError that says where it is no table of numbers."""
    import pandas as pd

    def refuse(reason: str) -> ConfigError:
        return ConfigError("problem.path", path, reason)

    if size == 0:
        raise refuse("must have a header line and rows of numbers, is empty")
    try:
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would make their first cells an index or drop the
            # last.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, index_col=False, low_memory=False, compression=None)
            # A column may be called NA.
            header = pd.read_csv(
                path, header=None, nrows=1, dtype=str, na_filter=False, compression=None
            )
    except pd.errors.ParserWarning:
        raise refuse("must be a CSV table: its rows have more cells than its header") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise refuse(f"must be a CSV table under one header line ({error})") from None
    except UnicodeDecodeError as error:
        raise refuse(f"must be encoded in UTF-8 ({error.reason} at byte {error.start})") from None
    names = [str(name).strip() for name in header.iloc[0]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise refuse(f"must not have two columns of one name, has {typed(twice)} twice")
    if all(_is_number(name) for name in names):
        first = typed(", ".join(names))
        raise refuse(f"must begin with a line of column names, begins with {first}")
    if len(names) == 1 and set(names[0]) & set(";\t|"):
        raise refuse(
            f"must have its columns separated by commas; the only one is {typed(names[0])}"
        )
    table = np.empty(frame.shape)
    for index, name in enumerate(names):
        cells = frame.iloc[:, index]
        if pd.api.types.is_bool_dtype(cells) or not pd.api.types.is_numeric_dtype(cells):
            numbers = pd.to_numeric(cells.astype(str), errors="coerce")
        else:
            numbers = cells
        table[:, index] = numbers.to_numpy(dtype=float, na_value=np.nan)
        wrong = ~np.isfinite(table[:, index])
        if wrong.any():
            row = int(np.argmax(wrong))
            cell = cells.iloc[row]
            found = "an empty cell or NaN" if pd.isna(cell) else repr(typed(cell))
            where = f"row {row + 1}, column {typed(name)}"
            raise refuse(f"must hold finite numbers only: {where} has {found}")
    return names, table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
