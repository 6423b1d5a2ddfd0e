"""What is known of the columns of a table after all of its rows have been seen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from gdconv.config.problems import Columns
from gdconv.config.rules import ConfigError, typed
from gdconv.problems.table.files.blocks import Block, File
from gdconv.problems.table.files.cells import (
    AMONG_NUMBERS,
    MISSING,
    WHOLE,
    Cells,
    are_dates,
    as_texts,
    in_days,
    order,
)
from gdconv.problems.table.files.parts import Part
from gdconv.problems.table.looks import Look, look_at

# A whole number that is written as one, with the digits of its absolute value as a group.
_WHOLE = re.compile(r"[+-]?0*(\d+)(?:\.0*)?", re.ASCII)
# Different texts of a column that are counted; X cannot have more columns than that.
MOST_LEVELS = 10**5


@dataclass(frozen=True)
class Place:
    """A cell, and where it is: its row in its part, from 1."""

    part: Part
    row: int
    written: str


@dataclass
class Level:
    """A text that a column has: how often, and where first."""

    place: Place
    count: int = 0


@dataclass
class Column:
    """What is known of a column.

    Attributes
    ----------
    index, name
        Its number from 0, and its name, which may be empty.
    summed : bool
        Whether the mean is wanted.
    numbers : int
        How many cells are finite numbers, or dates.
    words : dict
        Everything else that is written in cells → how often, and where first.
    least, most, smallest : float
        The range of its numbers.
    sums : list of float
        Numbers that add up to their sum, if summed.
    rounded : int
        Whole numbers that are no doubles; `first_rounded` is the first, with its double.
    dated : bool
        Whether the file says that they are dates.
    first : float
        Its first number.
    in_order : bool
        Whether each number is the one before it and 1, and no cell is without a number.
    """

    index: int
    name: str
    summed: bool = False
    rows: int = 0
    numbers: int = 0
    words: dict[str, Level] = field(default_factory=dict)
    least: float = math.inf
    most: float = -math.inf
    sums: list[float] = field(default_factory=list)
    rounded: int = 0
    first_rounded: tuple[Place, int] | None = None
    dated: bool = False
    first: float = math.nan
    in_order: bool = True

    @property
    def label(self) -> str:
        """Its number and its name, as messages write them."""
        return f"column {self.index + 1}" + (f" ({typed(self.name)})" if self.name else "")

    @property
    def largest(self) -> float:
        """The largest absolute value; 0 without numbers."""
        return max(self.most, -self.least) if self.numbers else 0.0

    @property
    def is_text(self) -> bool:
        """Whether it has more texts than numbers."""
        return sum(self.words[word].count for word in self.words.keys() - MISSING) > self.numbers

    @property
    def gone(self) -> set[str]:
        """The words that stand for a missing cell: a text may be called None, a number not."""
        return MISSING if self.is_text else AMONG_NUMBERS

    @property
    def levels(self) -> dict[str, Level]:
        """The texts, each with its level, in order."""
        return {word: self.words[word] for word in sorted(self.words.keys() - self.gone)}

    @property
    def missing(self) -> int:
        """How many cells are missing."""
        return sum(self.words[word].count for word in self.words.keys() & self.gone)

    @property
    def first_missing(self) -> Place | None:
        """Where the first missing cell is."""
        return self._first(self.words.keys() & self.gone)

    @property
    def first_text(self) -> Place | None:
        """Where the first text is."""
        return self._first(self.words.keys() - self.gone)

    @property
    def counts(self) -> bool:
        """Whether its numbers are those of the rows, from 0 or from 1."""
        return self.in_order and self.first in (0, 1)

    @property
    def mean(self) -> float:
        """The mean of its numbers."""
        return math.fsum(self.sums) / self.numbers

    def add(self, block: Block, cells: Cells) -> None:
        """Note what another block has in this column."""
        start, self.rows = self.rows, self.rows + len(block)
        self.dated = self.dated or cells.dated
        numbers = cells.numbers
        if cells.texts is not None:
            finite = np.isfinite(numbers)
            self._add_words(block, cells.texts, np.flatnonzero(~finite))
            if not cells.dated:
                self._add_rounded(block, cells.texts, numbers)
            numbers = numbers[finite]
        if not len(numbers):
            self.in_order = self.in_order and not len(block)
            return
        if start == 0:
            self.first = float(numbers[0])
        self.numbers += len(numbers)
        self.least = min(self.least, float(numbers.min()))
        self.most = max(self.most, float(numbers.max()))
        if self.summed:
            total = math.fsum(numbers.tolist())
            # And what was rounded, so that the sum does not depend on the blocks.
            self.sums += total, math.fsum([-total, *numbers.tolist()])
        self.in_order = (
            self.in_order
            and len(numbers) == len(block)
            and numbers[0] == self.first + start
            and bool((np.diff(numbers) == 1).all())
        )

    def join(self, other: Column) -> None:
        """Note what the next rows have in this column."""
        if not self.rows:
            self.first = other.first
        self.in_order = (
            self.in_order
            and other.in_order
            and (not other.rows or other.first == self.first + self.rows)
        )
        for word, level in other.words.items():
            if word in self.words:
                self.words[word].count += level.count
            elif len(self.words) < MOST_LEVELS:
                self.words[word] = level
        self.rows += other.rows
        self.numbers += other.numbers
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.sums += other.sums
        self.rounded += other.rounded
        self.first_rounded = self.first_rounded or other.first_rounded
        self.dated = self.dated or other.dated

    def _add_words(self, block: Block, texts: np.ndarray, rows: np.ndarray) -> None:
        for row, word in zip(rows.tolist(), texts[rows].tolist(), strict=True):
            if word not in self.words:
                if len(self.words) == MOST_LEVELS:
                    continue
                self.words[word] = Level(_place(block, texts, row))
            self.words[word].count += 1

    def _add_rounded(self, block: Block, texts: np.ndarray, numbers: np.ndarray) -> None:
        """Note whole numbers that are rounded because they are no doubles."""
        with np.errstate(invalid="ignore"):
            large = np.flatnonzero(np.isfinite(numbers) & (np.abs(numbers) >= WHOLE))
        for row, number in zip(large.tolist(), numbers[large].tolist(), strict=True):
            whole = _WHOLE.fullmatch(texts[row])
            if whole and int(whole[1]) != int(abs(number)):
                self.rounded += 1
                self.first_rounded = self.first_rounded or (_place(block, texts, row), int(number))

    def _first(self, words: set[str]) -> Place | None:
        # The words stand in the order in which they were found.
        return next((level.place for word, level in self.words.items() if word in words), None)


def _place(block: Block, texts: Any, row: int) -> Place:
    return Place(block.part, block.start + row + 1, texts[row])


class OfFile(NamedTuple):
    """What is known of a file after all of its rows have been seen."""

    columns: list[Column]
    looks: list[Look]
    digest: str


class Blocks(Protocol):
    """The blocks of a table; see `large.Blocks`."""

    def __iter__(self) -> Iterator[Block]:
        """Yield them."""

    def side_by_side(self, run: Callable[[File], OfFile]) -> list[OfFile] | None:
        """Return what workers find in each file, if they can be asked."""


def of_file(file: File, columns: Sequence[Column]) -> OfFile:
    """Survey a file by itself, for columns as these."""
    found, looks = [Column(each.index, each.name, each.summed) for each in columns], []
    used = [column.index for column in found]
    for block in file.blocks(used):
        looks.append(look_at(block, used))
        _add(found, block, {})
    return OfFile(found, looks, file.digest)


def _add(columns: Iterable[Column], block: Block, days: Mapping[int, bool]) -> None:
    """Note what a block has in each column; days: see `survey`."""
    for column in columns:
        if column.index in days:
            cells = in_days(block.cells(column.index), days[column.index])
        else:
            cells = block.cells(column.index, dates=False)
        column.add(block, cells)


def survey(
    names: Sequence[str],
    blocks: Blocks,
    used: Sequence[int],
    dates: Collection[int],
    keys: Columns,
) -> tuple[list[Column], set[int]]:
    """Return what is known of the used columns, and in which dates the day comes first.

    Raises
    ------
    ConfigError
        If a column that should have dates has numbers, or dates that can be read in two ways.
    """
    summed = keys.missing == "mean"
    columns = [Column(index, names[index], summed) for index in used]
    of_dates = [column for column in columns if column.index in dates]
    day_first = _day_first(of_dates, blocks) if of_dates else set()
    found = None if of_dates else blocks.side_by_side(partial(of_file, columns=columns))
    if found is None:
        days = {column.index: column.index in day_first for column in of_dates}
        for block in blocks:
            _add(columns, block, days)
    for each in found or ():
        for column, of_part in zip(columns, each.columns, strict=True):
            column.join(of_part)
    # With other texts in a column, its numbers are texts as well.
    again = [
        place
        for place, column in enumerate(columns)
        if keys.text == "one_hot" and column not in of_dates and column.is_text and column.numbers
    ]
    for place in again:
        columns[place] = Column(columns[place].index, columns[place].name)
    for block in blocks if again else ():
        for place in again:
            texts = as_texts(block.cells(columns[place].index))
            columns[place].add(block, Cells(np.full(len(texts), np.nan), texts))
    return columns, day_first


def _day_first(columns: Sequence[Column], blocks: Iterable[Block]) -> set[int]:
    """Which columns of dates have the day before the month."""
    largest = {column.index: (0, 0) for column in columns}
    for block in blocks:
        for column in columns:
            cells = block.cells(column.index)
            if cells.texts is None and not cells.dated and not are_dates(cells.numbers):
                reason = f"{column.label} must hold dates, holds numbers"
                raise ConfigError("problem.dates", column.name, reason)
            if not cells.dated:
                both = zip(largest[column.index], order(as_texts(cells)), strict=True)
                first, second = map(max, both)
                largest[column.index] = first, second
    for column in columns:
        first, second = largest[column.index]
        if 0 < first <= 12 and second <= 12:
            raise ConfigError(
                *("problem.dates", column.name),
                f"{column.label} has dates that may begin with the day or with the month, as none"
                " has a number above 12 there: write them as 2021-12-31",
            )
    return {index for index, (first, _) in largest.items() if first > 12}
