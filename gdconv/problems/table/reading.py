"""The user's table: from files to names and numbers, and what the user should know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from gdconv.config.problems import Columns, Table
from gdconv.config.rules import ConfigError
from gdconv.problems.table.columns import Feature, choose, features_of
from gdconv.problems.table.files import places
from gdconv.problems.table.files.held import Held
from gdconv.problems.table.large import Blocks, Large, numbers
from gdconv.problems.table.looks import ranges_of
from gdconv.problems.table.notices import Notices
from gdconv.problems.table.source import Source
from gdconv.problems.table.survey import survey


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
class Excerpt:
    """Some rows of a table that is in the memory of another process, and the means of all."""

    start: int
    rows: np.ndarray
    means: np.ndarray

    def between(self, start: int, stop: int) -> np.ndarray:
        """Return some of these rows."""
        return self.rows[start - self.start : stop - self.start]


@dataclass(frozen=True)
class Data:
    """A table of finite numbers: y and the features, without a column of ones."""

    facts: Facts
    table: np.ndarray | Large | Excerpt

    def between(self, start: int, stop: int) -> np.ndarray:
        """Return some rows; raises ConfigError if their file was changed meanwhile."""
        if isinstance(self.table, np.ndarray):
            return self.table[start:stop]
        return self.table.between(start, stop)

    @property
    def X(self) -> np.ndarray:
        """All rows of the features, shape (rows, features)."""
        return self.between(0, self.facts.rows)[:, 1:]

    @property
    def y(self) -> np.ndarray:
        """All rows of the target."""
        return self.between(0, self.facts.rows)[:, 0]

    @cached_property
    def means(self) -> np.ndarray:
        """About the means of y and of the features."""
        if isinstance(self.table, np.ndarray):
            return np.asarray(self.table.mean(axis=0))
        return self.table.means

    @property
    def is_large(self) -> bool:
        """Whether its rows are read again each time."""
        return isinstance(self.table, Large)

    def only(self, start: int, stop: int) -> Data:
        """Return what another process needs for these rows."""
        if isinstance(self.table, Large):
            return replace(self, table=self.table.only(start, stop))
        return replace(self, table=Excerpt(start, self.between(start, stop), self.means))


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


@contextmanager
def remembered(problem: Table, data: Data) -> Iterator[None]:
    """Take over what was read before, and do not look for other files."""
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
    table = as_numbers(source, blocks, features, keys)
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


def as_numbers(
    source: Source, blocks: Blocks, features: Sequence[Feature], keys: Columns
) -> np.ndarray | Large:
    """Return the target, if there is one, and the features, after all blocks have been seen."""
    if blocks.are_kept:
        return numbers(list(blocks), features)
    return Large(source, blocks, features, (source.content, keys))


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
