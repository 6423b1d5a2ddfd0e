"""Tables that are never whole in memory: their rows are read again, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdconv.problems.table.columns import Feature
from gdconv.problems.table.files.blocks import Block, File, Piece
from gdconv.problems.table.files.parts import CHANGED
from gdconv.problems.table.looks import Look, Range, look, look_at
from gdconv.problems.table.progress import progress
from gdconv.problems.table.source import Source
from gdconv.problems.table.survey import OfFile

# A table of more cells, which are 128 MiB as numbers, is not kept. How many there are is only
# estimated before they are read.
KEPT = 2**24
# The last piece of which only some rows were asked for, and its numbers. The next rows are often in
# the same piece.
_LAST: dict[Hashable, np.ndarray] = {}
# From a function and pairs of a number and a file to pairs of a number and a result, in any order;
# the result is None if there is none.
Workers = Callable[[Callable[[File], Any], Sequence[tuple[int, File]]], Iterator[tuple[int, Any]]]
_WORKERS: ContextVar[Workers | None] = ContextVar("_WORKERS", default=None)


@contextmanager
def looked_at_by(workers: Workers | None) -> Iterator[None]:
    """Let workers look at the files of large tables side by side."""
    token = _WORKERS.set(workers)
    try:
        yield
    finally:
        _WORKERS.reset(token)


class Blocks:
    """The blocks of a table, to be gone through more than once.

    They are kept if they are few. Otherwise they are read each time.

    Attributes
    ----------
    are_kept : bool
        Known after the first time.
    looks : list of Look
        One for each block if they are read each time, for columns with nothing but numbers there.
    """

    def __init__(self, source: Source, used: Sequence[int]) -> None:
        self._source, self._used = source, used
        self._kept: list[Block] | None = None
        self.looks: list[Look] = []
        self.are_kept = sum(file.cells for file in source.files) <= KEPT

    def side_by_side(self, run: Callable[[File], OfFile]) -> list[OfFile] | None:
        """Return what workers find in each file, in order; None if nobody can or need be asked.

        Also None if a file cannot be used: who reads one after the other finds the first reason.
        """
        files, workers = self._source.files, _WORKERS.get()
        if self.are_kept or workers is None or len(files) < 2:
            return None
        found: dict[int, OfFile] = {}
        size = sum(file.part.size for file in files)
        with progress(f"reading {files[0].part.name}", size, "bytes") as tell:
            for number, each in workers(run, list(enumerate(files))):
                if each is None:
                    return None
                found[number] = each
                files[number].digest = each.digest
                tell(files[number].part.size, sum(look.piece.rows for look in each.looks))
        in_order = [found[number] for number in range(len(files))]
        self.looks = [look for each in in_order for look in each.looks]
        return in_order

    def __iter__(self) -> Iterator[Block]:
        if self._kept is not None:
            yield from self._kept
        elif self.are_kept:
            yield from self._first()
        else:
            yield from self._again()

    def _first(self) -> Iterator[Block]:
        """Keep the blocks as long as they are few."""
        found: list[Block] = []
        cells = 0
        for block in self._source.blocks(self._used):
            cells += block.frame.size
            self.are_kept = self.are_kept and cells <= KEPT
            if self.are_kept:
                found.append(block)
            else:
                found.clear()
            yield block
        if self.are_kept:
            self._kept = found

    def _again(self) -> Iterator[Block]:
        """Read the blocks, and show how far that is."""
        looks = []
        size = sum(file.part.size for file in self._source.files)
        with progress(f"reading {self._source.files[0].part.name}", size, "bytes") as tell:
            for block in self._source.blocks(self._used):
                looks.append(look_at(block, self._used))
                yield block
                tell(block.taken, len(block))
        self.looks = looks


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, and where they are.

    Attributes
    ----------
    start, stop : int
        Their numbers, without rows that are left out because a cell is missing.
    """

    file: File
    piece: Piece
    start: int
    stop: int


class Large:
    """The numbers of a table, y and the features, which are read again when they are asked for.

    Parameters
    ----------
    name : hashable
        Says which numbers these are: the content of the table, and the keys.

    Attributes
    ----------
    rows : list of Rows
    ranges : list of Range
        One for each column.
    means : ndarray
        Those of the columns in the first rows.
    """

    def __init__(
        self, source: Source, blocks: Blocks, known: Sequence[Feature], name: Hashable
    ) -> None:
        self._known, self._used = known, sorted({each.column.index for each in known})
        self._name = name
        self.rows: list[Rows] = []
        self.ranges = [Range(np.inf, -np.inf, 0)] * len(known)
        self.means = np.zeros(len(known))
        count = 0
        files = {file.part: file for file in source.files}
        for each in self._looks(blocks):
            if not each.rows:
                continue
            if not self.rows:
                self.means = np.array([*each.means.values()])
            self.rows.append(Rows(files[each.part], each.piece, count, count + each.rows))
            count += each.rows
            self.ranges = [
                Range(
                    min(old.least, new.least),
                    max(old.most, new.most),
                    hash((old.mark, new.mark)),
                )
                for old, new in zip(self.ranges, each.ranges.values(), strict=True)
            ]

    def _looks(self, blocks: Blocks) -> Iterator[Look]:
        """A look at each block, with a range and a mean for each feature."""
        columns = [feature.column.index for feature in self._known]
        if (
            blocks.looks
            and all(feature.is_column for feature in self._known)
            and all(each.ranges.keys() >= set(columns) for each in blocks.looks if each.rows)
        ):
            # Then the blocks need not be read again.
            yield from (each.of(columns) for each in blocks.looks)
            return
        for block in blocks:
            yield look(block, numbers([block], self._known), range(len(columns)))

    @property
    def ends(self) -> list[tuple[int, int]]:
        """The first row of each part that is read at a time, and the first one after it."""
        return [(rows.start, rows.stop) for rows in self.rows]

    def __len__(self) -> int:
        return self.rows[-1].stop if self.rows else 0

    def between(self, start: int, stop: int) -> np.ndarray:
        """Return the numbers of the rows from `start` to before `stop`.

        Raises
        ------
        ConfigError
            If their file was changed since it was looked at.
        """
        found = []
        for rows in self._of(start, stop):
            inner = slice(max(start - rows.start, 0), stop - rows.start)
            is_whole = inner.start == 0 and inner.stop >= rows.stop - rows.start
            found.append(self._numbers(rows, keep=not is_whole)[inner])
        return found[0] if len(found) == 1 else np.vstack(found)

    def only(self, start: int, stop: int) -> Large:
        """Return what knows of these rows alone, for a process that needs no others."""
        found = copy(self)
        found.rows = self._of(start, stop)
        return found

    def _of(self, start: int, stop: int) -> list[Rows]:
        return [rows for rows in self.rows if rows.start < stop and start < rows.stop]

    def _numbers(self, rows: Rows, keep: bool) -> np.ndarray:
        """The numbers of all rows of a piece, kept for the next time if that is asked for."""
        rows.file.part.refuse_changed()
        name = self._name, rows.file.part, rows.piece
        if (known := _LAST.get(name)) is not None:
            return known
        found = numbers([rows.file.block(rows.piece, self._used)], self._known)
        if len(found) != rows.stop - rows.start:
            raise rows.file.part.refused(CHANGED)
        if keep:
            _LAST.clear()
            _LAST[name] = found
        return found


def numbers(blocks: Sequence[Block], known: Sequence[Feature]) -> np.ndarray:
    """Return the numbers of some blocks, without rows in which a cell is missing."""
    found = np.empty((sum(map(len, blocks)), len(known)), order="F")
    start = 0
    for block in blocks:
        for place, feature in enumerate(known):
            found[start : start + len(block), place] = feature.numbers(block)
        start += len(block)
    gone = [place for place, each in enumerate(known) if each.column.missing]
    lacking = np.isnan(found[:, gone]).any(axis=1)
    return np.asfortranarray(found[~lacking]) if lacking.any() else found
