"""The user's table: from files to names and numbers, and what the user should know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from gdconv.config.rules import ConfigError, on_one_line, quoted_list, typed
from gdconv.config.sections import Columns, Table
from gdconv.problems.table.columns import (
    Chosen,
    Feature,
    choose,
    features_of,
    is_number,
    listed,
)
from gdconv.problems.table.files import dialect as dialects
from gdconv.problems.table.files import parts, places
from gdconv.problems.table.files.blocks import (
    ArrowFile,
    Block,
    File,
    TextFile,
    refuse_other_names,
)
from gdconv.problems.table.files.held import Held, HeldFile
from gdconv.problems.table.large import Blocks, Large, Range, numbers, ranges_of
from gdconv.problems.table.survey import Column, survey

# What programs and people call a column that numbers the rows.
ROW_NUMBERS = {
    "rownames",
    "rowname",
    "row",
    "id",
    "ID",
    "index",
    "obs",
    "no",
    "No",
    "nr",
    "Nr",
    "X",
}


@dataclass(frozen=True)
class Facts:
    """What is known of a table beside its numbers.

    Attributes
    ----------
    content : str
        The SHA-256 of its bytes, in hex digits.
    reading : dict
        How it was read: the keys that were `auto`, with what was found.
    names : tuple of str
        The names of the columns of X, without the column of ones.
    largest : tuple of float
        The largest absolute value of each of them.
    constant : tuple of bool
        Whether all numbers of it are the same.
    rows : int
    notices : tuple of str
        What the user should know.
    ends : list of tuple of int, or None
        The first row of each part that is read at a time, and the first one after it, if the table
        is not kept in memory.
    """

    content: str
    reading: dict[str, str]
    names: tuple[str, ...]
    largest: tuple[float, ...]
    constant: tuple[bool, ...]
    rows: int
    notices: tuple[str, ...]
    ends: list[tuple[int, int]] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Data:
    """A table of finite numbers: y and the features, without a column of ones."""

    facts: Facts
    table: np.ndarray | Large

    def between(self, start: int, stop: int) -> np.ndarray:
        """Return some rows; raises ConfigError if their file was changed meanwhile."""
        if isinstance(self.table, Large):
            return self.table.between(start, stop)
        return self.table[start:stop]

    @property
    def X(self) -> np.ndarray:
        """All rows of the features, shape (rows, features)."""
        return self.between(0, self.facts.rows)[:, 1:]

    @property
    def y(self) -> np.ndarray:
        """All rows of the target."""
        return self.between(0, self.facts.rows)[:, 0]

    def means(self) -> np.ndarray:
        """Return about the means of y and of the features."""
        if isinstance(self.table, Large):
            return self.table.means
        means: np.ndarray = self.table.mean(axis=0)
        return means

    @property
    def is_large(self) -> bool:
        """Whether its rows are read again each time."""
        return isinstance(self.table, Large)

    def only(self, start: int, stop: int) -> Data:
        """Return what another process needs for these rows, if they are read again each time."""
        if isinstance(self.table, Large):
            return replace(self, table=self.table.only(start, stop))
        return self


def read(problem: Table) -> Data:
    """Return the numbers of a table.

    Raises
    ------
    ConfigError
        If a file cannot be read, or does not hold what the keys ask for.
    """
    if (given := _given(problem)) is not None:
        return given
    versions, keys = _key(problem)
    data = _read(versions, keys)
    if len(_FACTS) >= _MOST_FACTS:
        _FACTS.clear()
    _FACTS[_without_data(versions, keys)] = data.facts
    return data


def known(problem: Table) -> Data | None:
    """Return what another process should not have to find out again; None if it is little."""
    data = read(problem)
    return data if data.is_large else None


@contextmanager
def remembered(problem: Table, data: Data) -> Iterator[None]:
    """Take over what was found out before, and do not look for other files; see `known`."""
    token = _GIVEN.set((_keys(problem), data))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def facts(problem: Table) -> Facts:
    """Return what is known of a table beside its numbers; raises as `read`."""
    if (given := _given(problem)) is not None:
        return given.facts
    known = _FACTS.get(_without_data(*_key(problem)))
    return read(problem).facts if known is None else known


def names_of(problem: Table) -> str:
    """Return the name of a table's file without its folder, or of the first of several."""
    (first, *_), _ = _key(problem)
    if isinstance(first, Held):
        return f"{first.kind} in memory"
    names = [places.name_of(path) for path, _, _ in _key(problem)[0]]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


# Each thread of a worker has its own.
_GIVEN: ContextVar[tuple[Table, Data] | None] = ContextVar("_GIVEN", default=None)
# The facts of more tables than fit into memory.
_FACTS: dict[Any, Facts] = {}
_MOST_FACTS = 1000


def _without_data(versions: tuple[Any, ...], keys: Table) -> tuple[Any, ...]:
    """The same key, but with the hash of a table that is given from Python in its place."""
    held = tuple(each.content if isinstance(each, Held) else each for each in versions)
    return held, replace(keys, path=("-",))


def _given(problem: Table) -> Data | None:
    """What `remembered` has of a table."""
    given = _GIVEN.get()
    return given[1] if given and given[0] == _keys(problem) else None


def _keys(problem: Table) -> Table:
    """The keys that decide the numbers that are read."""
    return replace(problem, standardize=False, intercept=True, block_rows=None)


def _key(problem: Table) -> tuple[Any, Table]:
    """What decides the numbers that are read: the files as they are now, and the keys."""
    held = [each for each in problem.path if isinstance(each, Held)]
    if held and len(problem.path) > 1:
        raise ConfigError(
            "problem.path", problem.path, "must be one table if it is given from Python"
        )
    return (tuple(held) or places.versions(problem.path)), _keys(problem)


# Two, because a sweep's groups may take turns with two files.
@lru_cache(maxsize=2)
def _read(versions: tuple[Any, ...], keys: Table) -> Data:
    source = Source(versions, keys)
    chosen = choose(source.name, source.names, keys, keys.target)
    blocks = Blocks(source, chosen.used)
    columns, day_first = survey(source.names, blocks, chosen.used, chosen.dates, keys)
    features = features_of(columns, keys, chosen, day_first)
    if blocks.are_kept:
        table: np.ndarray | Large = numbers(list(blocks), features)
    else:
        table = Large(source, blocks, features, (source.content, keys))
    left_out = columns[0].rows - len(table)
    refuse_few(source, len(table), left_out, features)
    ranges = table.ranges if isinstance(table, Large) else ranges_of(table)
    told = Notices(source, keys, chosen, columns, features)
    notices = told.of_reading() + told.of_cells(left_out) + told.of_numbers(ranges)
    found = Facts(
        content=source.content,
        reading=source.reading,
        names=tuple(each.name for each in features[1:]),
        largest=tuple(max(each.most, -each.least) for each in ranges[1:]),
        constant=tuple(each.most == each.least for each in ranges[1:]),
        rows=len(table),
        notices=tuple(notices),
        ends=table.ends if isinstance(table, Large) else None,
    )
    return Data(found, table)


def refuse_few(source: Source, rows: int, left_out: int, known: Sequence[Feature]) -> None:
    """Raise ConfigError if a table has less than two rows."""
    if rows < 2:
        reason = f"must have at least 2 rows of data, has {rows}"
        if left_out:
            worst = max((each.column for each in known), key=lambda column: column.missing)
            reason += (
                f" without the {left_out} in which a cell is missing; {worst.label} lacks most,"
                f" {worst.missing}"
            )
        raise ConfigError("problem.path", source.name, reason)


class Source:
    """The files of a table, opened far enough to know their columns.

    Attributes
    ----------
    names : list of str
        The columns; a column without a name has an empty one.
    name : str
        The table as messages call it.
    """

    def __init__(self, versions: Sequence[Any], keys: Columns) -> None:
        self.dialect: dialects.Dialect | None = None
        self.files: Sequence[File] = [self._file(version, keys) for version in versions]
        refuse_other_names(self.files)
        self.names = self.files[0].names
        self.name = self.files[0].part.path

    def blocks(self, used: Sequence[int]) -> Iterator[Block]:
        """Yield all rows, part by part."""
        for file in self.files:
            yield from file.blocks(used)

    @property
    def content(self) -> str:
        """The hash of the whole table; known after all blocks."""
        return parts.together([file.digest for file in self.files])

    @property
    def reading(self) -> dict[str, str]:
        """How the files were read, where a key may be auto."""
        if self.dialect is None:
            return dict.fromkeys(("separator", "decimal", "comment"), "")
        comment = self.dialect.comment if not self.dialect.top else "top"
        return {
            "separator": self.dialect.separator,
            "decimal": self.dialect.decimal,
            "comment": comment,
        }

    def _file(self, version: Any, keys: Columns) -> File:
        if isinstance(version, Held):
            return HeldFile(version)
        part = parts.part(*version)
        if part.kind != parts.CSV:
            return ArrowFile(part)
        found = dialects.find(part, keys)
        if self.dialect is None:
            self.dialect = found
        dialects.refuse_unlike(self.dialect, found, part)
        return TextFile(part, found, keys.header)


class Notices:
    """What the user should know of a table that was read."""

    def __init__(
        self,
        source: Source,
        keys: Columns,
        chosen: Chosen,
        columns: Sequence[Column],
        features: Sequence[Feature],
    ) -> None:
        self.source, self.keys, self.chosen = source, keys, chosen
        self.columns, self.features = columns, features

    def of_reading(self) -> list[str]:
        """How the files were read, and which columns have no name."""
        source, found = self.source, []
        if len(source.files) > 1:
            found.append(f"the first of {len(source.files)} files with the same columns")
        if source.dialect and source.dialect.notice:
            found.append(source.dialect.notice)
        if all(map(is_number, source.names)):
            found.append(f"its first line names the columns: {listed(source.names)}")
        for index in self.chosen.nameless:
            take = quoted_list("problem.columns", [f"column {index + 1}"])
            found.append(f"column {index + 1} has no name and is left out ({take} would take it)")
        return [self._told(each) for each in found]

    def of_cells(self, left_out: int) -> list[str]:
        """What became of texts, dates and missing cells, and which numbers were rounded."""
        found, used = [], {feature.column.index for feature in self.features}
        for column in self.columns:
            if column.index in used or not column.is_text:
                continue
            same = self.keys.text == "one_hot"
            why = "all its texts are the same" if same else "it has texts"
            found.append(f"{column.label} is left out, because {why}")
        found += [
            f"{column.label} is left out, because it is empty"
            for column in self.columns
            if column.index not in used and not column.is_text
        ]
        for column in self.columns:
            made = [each.name for each in self.features if each.column is column and each.level]
            if made:
                first = next(iter(column.levels))
                found.append(f"{column.label} becomes {listed(made)}, against {typed(first)}")
        found += [
            f"{typed(each.name)} counts days since {np.datetime64(int(each.origin // 1), 'D')}"
            for each in self.features
            if each.dates
        ]
        gone = [each for each in self.columns if each.missing and each.index in used]
        cells = ", ".join(f"{each.name} {each.missing}" for each in gone)
        if gone and self.keys.missing == "mean":
            found.append(f"missing cells are filled with the mean of their column: {typed(cells)}")
        if left_out:
            rows = self.columns[0].rows
            found.append(
                f"{left_out} of {rows} rows are left out, because cells are missing: {typed(cells)}"
            )
        return [self._told(each) for each in found] + self._rounded()

    def of_numbers(self, ranges: Sequence[Range]) -> list[str]:
        """Which features are constant, equal, or number the rows."""
        found = []
        names = [each.name for each in self.features]
        first: dict[int, int] = {}
        for place in range(self.chosen.target is not None, len(names)):
            same = first.setdefault(ranges[place].mark, place)
            if ranges[place].most == ranges[place].least:
                found.append(f"{typed(names[place])} is constant, {ranges[place].most:.6g}")
            elif same != place:
                found.append(f"{typed(names[place])} is the same as {typed(names[same])}")
            elif names[place] in ROW_NUMBERS and self.features[place].column.counts:
                drop = quoted_list("problem.drop", [names[place]])
                found.append(f"{typed(names[place])} numbers the rows; {drop} leaves it out")
        return [self._told(each) for each in found]

    def _rounded(self) -> list[str]:
        """Text that says which whole numbers were rounded because they are no doubles."""
        rounded = [(*each.first_rounded, each) for each in self.columns if each.first_rounded]
        if not rounded:
            return []
        place, double, first = min(rounded, key=lambda each: (each[0].row, each[2].index))
        return [
            f"{on_one_line(place.part.path)}: whole numbers above 2^53 have been rounded to"
            f" doubles, {sum(each.rounded for *_, each in rounded)} in all, the first in row"
            f" {place.row}, {first.label}: {typed(place.written)} to {double}; if it matters,"
            " subtract a constant from the column"
        ]

    def _told(self, notice: str) -> str:
        return f"{on_one_line(self.source.name)}: {notice}"
