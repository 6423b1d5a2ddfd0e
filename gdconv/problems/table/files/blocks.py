"""Rows of a table as they stand in a file or a DataFrame, block by block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from gdconv.config.rules import typed
from gdconv.problems.table.files.cells import Cells, cells_of
from gdconv.problems.table.files.parts import Part


class Piece(NamedTuple):
    """Where some rows of a part are, so that they can be read again without the others.

    Attributes
    ----------
    start, size : int
        Of a text file: bytes after unpacking. Otherwise: the number of the group of rows, and the
        number of rows before them in that group.
    row : int
        How many rows of the part stand before them.
    rows : int
    """

    start: int
    size: int
    row: int
    rows: int


@dataclass
class Block:
    """Some rows of a part.

    Attributes
    ----------
    part : Part
    piece : Piece
    frame : DataFrame
        Their columns, by number from 0.
    written : DataFrame or None
        Those columns as texts that are not all plain numbers in `frame`.
    taken : int
        How many bytes of the file were read for them, when all of it was.
    """

    part: Part
    piece: Piece
    frame: Any
    written: Any = None
    taken: int = 0
    _known: dict[int, Cells] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def start(self) -> int:
        """How many rows of the part stand before them."""
        return self.piece.row

    def cells(self, index: int, dates: bool = True) -> Cells:
        """Return a column; if `dates` is false, its dates are texts."""
        found = self._cells(index)
        if found.dated and not dates:
            return Cells(np.full(len(self), np.nan), found.texts)
        return found

    def _cells(self, index: int) -> Cells:
        if index in self._known:
            return self._known[index]
        if self.written is None or index not in self.written:
            found = cells_of(self.frame[index])
        else:
            found = cells_of(self.written[index])
        if found.texts is not None:
            self._known[index] = found
        return found


class File(Protocol):
    """What all parts have, whatever kind of file they are."""

    part: Part
    names: list[str]
    digest: str

    @property
    def cells(self) -> int:
        """About how many cells it has that are not in memory."""

    def blocks(self, used: Collection[int]) -> Iterator[Block]:
        """Yield the rows, some at a time; after the last the hash of the file is known."""

    def block(self, piece: Piece, used: Collection[int]) -> Block:
        """Return some rows again."""


def refuse_other_names(files: Sequence[File]) -> None:
    """Raise ConfigError if not all parts have the same columns."""
    names = files[0].names
    for file in files[1:]:
        if file.names != names:
            pairs = zip(names, file.names, strict=False)
            at = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
            there = f"{len(file.names)} columns instead of {len(names)}"
            if at is not None:
                there = f"column {at + 1} {typed(file.names[at])} instead of {typed(names[at])}"
            first = files[0].part.name
            raise file.part.refused(f"must have the columns of {typed(first)}, has {there}")
