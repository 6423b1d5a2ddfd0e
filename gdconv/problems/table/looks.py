"""What is known of blocks of a table after they were seen, so that they need not be read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gdconv.problems.table.files.blocks import Block, Piece
from gdconv.problems.table.files.parts import Part


class Range(NamedTuple):
    """What is known of the numbers of a feature.

    Attributes
    ----------
    least, most : float
    mark : int
        Equal if all numbers are.
    """

    least: float
    most: float
    mark: int


class Look(NamedTuple):
    """What is known of a block of a table after it was seen.

    Attributes
    ----------
    rows : int
        How many there are, without those that are left out because a cell is missing.
    ranges : dict
        Column → range.
    means : dict
        Column → mean.
    """

    part: Part
    piece: Piece
    rows: int
    ranges: dict[int, Range]
    means: dict[int, float]

    def of(self, columns: Sequence[int]) -> Look:
        """Return what it says of some columns, in this order."""
        if not self.rows:
            return self
        ranges = {index: self.ranges[index] for index in columns}
        return self._replace(ranges=ranges, means={index: self.means[index] for index in columns})


def look(block: Block, table: np.ndarray, columns: Sequence[int]) -> Look:
    """Return what is known of a block from the numbers in some columns."""
    ranges = dict(zip(columns, ranges_of(table), strict=True)) if len(table) else {}
    means = dict(zip(columns, table.mean(axis=0).tolist(), strict=True)) if len(table) else {}
    return Look(block.part, block.piece, len(table), ranges, means)


def look_at(block: Block, used: Sequence[int]) -> Look:
    """Return what is known of a block from those of its columns that have nothing but numbers."""
    cells = {index: block.cells(index) for index in used}
    plain = [index for index, each in cells.items() if each.texts is None and not each.dated]
    table = np.empty((len(block), len(plain)), order="F")
    for place, index in enumerate(plain):
        table[:, place] = cells[index].numbers
    return look(block, table, plain)


def ranges_of(table: np.ndarray) -> list[Range]:
    """Return what is known of the columns of an array with a row or more."""
    return [
        Range(float(column.min()), float(column.max()), hash(column.tobytes()))
        for column in table.T
    ]
