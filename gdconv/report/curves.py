"""The recorded iterations of a study's runs, of which only the rows that are shown are kept.

curves.csv may have a thousand times as many rows as figures and page show. So it is passed over
once, to find where each run has its rows and what the figures have to know of all runs. The rows
of a run are read when they are asked for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import compress, pairwise
from pathlib import Path
from typing import NamedTuple
from weakref import finalize

import numpy as np
import pandas as pd

from gdconv.report.settings import among, spread
from gdconv.tables import csv, disk
from gdconv.tables.columns import COLUMNS, TABLES
from gdconv.tables.csv import Tables

# A gap this many times above its rounding floor is right to 2 %.
CLEAR = 1e4


def positive(curves: pd.DataFrame) -> pd.Series:
    """Return which rows have a gap that a logarithmic axis can show."""
    return curves["gap"] > 0


def clear(curves: pd.DataFrame) -> pd.Series:
    """Return which rows have a gap well above its rounding floor, and a distance."""
    above = curves["gap"] > CLEAR * curves["gap_floor"].fillna(0)
    return above & positive(curves) & (curves["distance_squared"] > 0)


# The columns that these need, and for each of them the runs with two such rows are found.
NEEDED = {"gap", "gap_floor", "distance_squared"}
RULES = (positive, clear)
# Rows of a run that are looked at first.
FEW = 3
Rule = Callable[[pd.DataFrame], pd.Series]


class Curves(ABC):
    """The recorded iterations of some runs."""

    @abstractmethod
    def has(self, column: str) -> bool:
        """Return whether a column has any value."""

    @abstractmethod
    def several(self, rule: Rule) -> Collection[str]:
        """Return the run_id of each run of which two rows or more satisfy a rule of `RULES`."""

    @abstractmethod
    def of(self, run_ids: Iterable[str], most: int | None = None) -> pd.DataFrame:
        """Return the rows of some runs, or of each run at most so many, spread evenly."""


class Shown(NamedTuple):
    """The tables of a study as figures and page use them."""

    runs: pd.DataFrame
    curves: Curves
    eigenvalues: pd.DataFrame
    coefficients: pd.DataFrame
    moments: pd.DataFrame


def read(folder: Path) -> Shown:
    """Read what figures and page show of a study; raises as `gdconv.tables.csv.read`."""
    runs = csv.read_runs(folder)
    others = [csv.frame(name, csv.blocks(folder, name)) for name in Shown._fields[2:]]
    return Shown(runs, InFile(folder, runs["run_id"]), *others)


def shown(tables: Tables | Shown) -> Shown:
    """Return tables that may be in memory as figures and page use them."""
    if isinstance(tables, Shown):
        return tables
    return Shown(tables.runs, InMemory(tables.curves), *tables[2:])


class InMemory(Curves):
    """Recorded iterations in a DataFrame; see `Curves`."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def has(self, column: str) -> bool:
        """Return whether a column has any value."""
        return column in self.table and bool(self.table[column].notna().any())

    def several(self, rule: Rule) -> Collection[str]:
        """Return the run_id of each run of which two rows or more satisfy a rule."""
        counts = self.table["run_id"][rule(self.table)].value_counts()
        return set(counts.index[counts > 1])

    def of(self, run_ids: Iterable[str], most: int | None = None) -> pd.DataFrame:
        """Return the rows of some runs, or of each run at most so many, spread evenly."""
        rows = self.table[among(self.table["run_id"], run_ids)]
        if most is None:
            return rows
        each = rows.groupby("run_id", sort=False).indices.values()
        return rows.iloc[[some[index] for some in each for index in spread(len(some), most)]]


class InFile(Curves):
    """Recorded iterations in curves.csv, which may be replaced meanwhile; see `Curves`.

    Parameters
    ----------
    folder : Path
    done : iterable of str
        The run_id of each run that is complete; other rows are passed over.
    """

    def __init__(self, folder: Path, done: Iterable[str]) -> None:
        self._places: dict[bytes, list[tuple[int, int]]] = {str(e).encode(): [] for e in done}
        self._columns: set[str] = set()
        counts: dict[Rule, Counter[bytes]] = {rule: Counter() for rule in RULES}
        start = len(csv.header("curves"))
        with disk.open_file(folder / TABLES["curves"], "rb") as file:
            self._descriptor = os.dup(file.fileno())
            finalize(self, os.close, self._descriptor)
            for block in csv.checked(file, "curves"):
                self._index(block, start, counts)
                start += len(block)
        self._several: dict[Rule, set[str]] = {
            rule: {run_id.decode() for run_id, count in counts[rule].items() if count > 1}
            for rule in RULES
        }

    def has(self, column: str) -> bool:
        """Return whether a column has any value."""
        return column in self._columns

    def several(self, rule: Rule) -> Collection[str]:
        """Return the run_id of each run of which two rows or more satisfy a rule."""
        return self._several[rule]

    def of(self, run_ids: Iterable[str], most: int | None = None) -> pd.DataFrame:
        """Return the rows of some runs, or of each run at most so many, spread evenly."""
        places = sorted(self._places.get(run_id.encode(), []) for run_id in {*run_ids})
        return csv.frame("curves", (self._lines(each, most) for each in places))

    def _lines(self, places: Iterable[tuple[int, int]], most: int | None) -> bytes:
        parts = (os.pread(self._descriptor, stop - start, start) for start, stop in places)
        lines = b"".join(parts)
        if most is None:
            return lines
        each = lines.split(b"\n")[:-1]
        return b"".join(each[index] + b"\n" for index in spread(len(each), most))

    def _index(self, block: bytes, start: int, counts: dict[Rule, Counter[bytes]]) -> None:
        """Note where in the file each run of a block has its rows; count rows that satisfy rules.

        Most runs satisfy the rules in their first rows, so that the others need not be parsed.
        """
        ends = np.append(0, np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1)
        run_ids, first_rows, places = [], [], []
        complete = np.zeros(len(ends) - 1, dtype=bool)
        for first, last in pairwise(_changes(block, ends)):
            begin, few, end = ends[[first, min(first + FEW, last), last]].tolist()
            run_id = csv.run_id_of(block[begin : int(ends[first + 1])])
            if run_id in self._places:
                self._places[run_id].append((start + begin, start + end))
                run_ids.append(run_id)
                first_rows.append(block[begin:few])
                places.append(slice(begin, end))
                complete[first:last] = True
        found = self._satisfied(first_rows)
        if undecided := np.flatnonzero((found < 2).any(axis=0)).tolist():
            found[:, undecided] = self._satisfied([block[places[index]] for index in undecided])
        self._look(block, complete)
        for rule, numbers in zip(RULES, found.tolist(), strict=True):
            for run_id, number in zip(run_ids, numbers, strict=True):
                counts[rule][run_id] += number

    def _satisfied(self, pieces: Sequence[bytes]) -> np.ndarray:
        """For each of `RULES`, how many rows of each piece satisfy it."""
        rows = csv.frame("curves", pieces, NEEDED)
        owner = np.repeat(np.arange(len(pieces)), [piece.count(b"\n") for piece in pieces])
        return np.array([np.bincount(owner[rule(rows)], minlength=len(pieces)) for rule in RULES])

    def _look(self, block: bytes, complete: np.ndarray) -> None:
        """Look for columns that have a value in a line that is complete; most are empty in all."""
        if b'"' in block:
            lines = np.array(block.splitlines(keepends=True), dtype=object)[complete]
            rows = csv.frame("curves", lines.tolist(), COLUMNS["curves"].keys() - self._columns)
            self._columns |= {name for name in rows if rows[name].notna().any()}
            return
        # A cell is empty if its end comes right after that of the cell before.
        letters = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero((letters == ord(",")) | (letters == ord("\n")))
        filled = (np.diff(marks, prepend=-1) > 1).reshape(len(complete), -1)
        self._columns |= {*compress(COLUMNS["curves"], filled[complete].any(axis=0))}


def _changes(block: bytes, ends: np.ndarray) -> list[int]:
    """The numbers of the lines with which a run begins, from 0, and the number of lines.

    Parameters
    ----------
    block : bytes
        Lines of curves.csv.
    ends : ndarray
        0, and where each of them ends.
    """
    width = block.index(b",")
    places = np.arange(width + 1)
    letters = np.frombuffer(block, np.uint8)
    cells = letters.take(ends[:-1, None] + places, mode="clip")
    if ((cells == ord(",")) == (places == width)).all() and ord('"') not in cells:
        changed = (cells[1:] != cells[:-1]).any(axis=1)
    else:
        run_ids = [csv.run_id_of(line) for line in block.split(b"\n")[:-1]]
        changed = np.array([one != other for one, other in pairwise(run_ids)], dtype=bool)
    return [0, *(np.flatnonzero(changed) + 1).tolist(), len(ends) - 1]
