"""Which columns of a table are used, as what, and their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from gdconv.config.problems import Columns
from gdconv.config.rules import ConfigError, nearest, quoted, quoted_list, typed
from gdconv.problems.table.files.blocks import Block
from gdconv.problems.table.files.cells import as_texts, in_days, is_like
from gdconv.problems.table.survey import Column, Place


@dataclass(frozen=True)
class Chosen:
    """Which columns are used, by number.

    Attributes
    ----------
    target : int or None
    features, dates, nameless : tuple of int
        dates: those of the used ones that are dates. nameless: left out for want of a name.
    """

    target: int | None
    features: tuple[int, ...]
    dates: frozenset[int]
    nameless: tuple[int, ...]

    @property
    def used(self) -> tuple[int, ...]:
        """All columns that are used, in order."""
        return tuple(sorted({*self.features, *([] if self.target is None else [self.target])}))


def choose(file: str, names: Sequence[str], keys: Columns, target: str | None) -> Chosen:
    """Return which columns of a table are used.

    Raises
    ------
    ConfigError
        If a name or a pattern fits none, or two columns have one name.
    """
    _refuse_twice(file, names, keys.header)
    known = [name or f"column {number}" for number, name in enumerate(names, start=1)]
    goal = None
    if target is not None:
        goal = next(iter(_matching("problem.target", [target], known, file)))
    nameless = tuple(index for index, name in enumerate(names) if not name)
    features = {index for index in range(len(names)) if index not in nameless} - {goal}
    if keys.columns:
        features = _matching("problem.columns", keys.columns, known, file) - {goal}
    dropped = _matching("problem.drop", keys.drop, known, file)
    if goal in dropped:
        allowed = f"must not match the target, {typed(known[goal or 0])}"
        raise ConfigError("problem.drop", keys.drop, allowed)
    features -= dropped
    dates = _matching("problem.dates", keys.dates, known, file)
    left = tuple(index for index in nameless if index not in features and index != goal)
    return Chosen(goal, tuple(sorted(features)), frozenset(dates), left)


def _matching(key: str, words: Iterable[str], names: Sequence[str], file: str) -> set[int]:
    """The columns that some names or patterns mean."""
    found: set[int] = set()
    for word in words:
        of_word = {index for index, name in enumerate(names) if name == word}
        if not of_word and key != "problem.target":
            of_word = {index for index, name in enumerate(names) if fnmatchcase(name, word)}
        if not of_word and is_number(word):
            # Hydra reads 1_000 and 1e3 as numbers.
            of_word = {
                i for i, name in enumerate(names) if is_number(name) and float(name) == float(word)
            }
        if not of_word:
            raise _no_such_column(key, word, names, file)
        found |= of_word
    return found


def _no_such_column(key: str, word: str, names: Sequence[str], file: str) -> ConfigError:
    if all(map(is_number, names)) and key == "problem.target":
        reason = (
            f"must begin with a line of column names, begins with {listed(names)}; numbers are"
            " accepted as names if problem.target is one of them, and with problem.header=false the"
            f" columns are called x1 to x{len(names)}"
        )
        return ConfigError("problem.path", file, reason)
    # A file that is no table may have a name of any length.
    short = [name for name in names if len(name) <= 80]
    alike = [name for name in short if word.casefold().strip("*") in name.casefold()]
    example = nearest(word, short)
    if alike:
        typed_word = (
            quoted(key, alike[0]) if key == "problem.target" else quoted_list(key, alike[:1])
        )
        example = f"; type {typed_word}"
    return ConfigError(key, word, f"must be a column of {typed(file)}: {listed(names)}{example}")


def _refuse_twice(file: str, names: Sequence[str], header: bool) -> None:
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if name in seen and name:
            if all(map(is_number, names)):
                reason = (
                    f"must begin with a line of column names, begins with {listed(names)}; without"
                    f" such a line, problem.header=false calls the columns x1 to x{len(names)}"
                )
            else:
                reason = (
                    f"columns {seen[name]} and {number} are both called {typed(name)}: give each a"
                    " name of its own"
                )
            raise ConfigError("problem.path", file, reason)
        seen[name] = number


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


@dataclass(frozen=True)
class Feature:
    """A column of X, or y: its name, and how its numbers follow from a column of the table.

    Attributes
    ----------
    name : str
    column : Column
    level : str or None
        The text for which it is 1.
    fill : float
        What stands where a cell is missing.
    origin : float
        What is subtracted: the first date, or 0.
    day_first : bool
        How its dates are written.
    dates : bool
    """

    name: str
    column: Column
    level: str | None = None
    fill: float = np.nan
    origin: float = 0.0
    day_first: bool = False
    dates: bool = False

    @property
    def is_column(self) -> bool:
        """Whether its numbers are those of its column, as far as no cell is missing."""
        return self.level is None and not self.dates and not self.origin

    def numbers(self, block: Block) -> np.ndarray:
        """Return its numbers in a block, nan where a cell is missing."""
        cells = block.cells(self.column.index)
        if self.level is not None:
            texts = as_texts(cells)
            found = (texts == self.level).astype(float)
            gone = np.isin(texts, list(self.column.gone))
        else:
            cells = in_days(cells, self.day_first) if self.dates else cells
            found = cells.numbers - self.origin if self.origin else cells.numbers
            if cells.texts is None:
                return found
            gone = np.isnan(found)
        return np.where(gone, self.fill, found) if gone.any() else found


def features_of(
    columns: Sequence[Column], keys: Columns, chosen: Chosen, day_first: set[int]
) -> list[Feature]:
    """Return the columns of X, and the target first if there is one.

    Raises
    ------
    ConfigError
        If a column cannot be used as it should.
    """
    by_index = {column.index: column for column in columns}
    _refuse_cells(columns, keys, chosen)
    found = []
    for index in [*([] if chosen.target is None else [chosen.target]), *chosen.features]:
        column = by_index[index]
        name = column.name or f"column {index + 1}"
        is_target = index == chosen.target
        if index in chosen.dates:
            origin = column.least
            fill = column.mean - origin if keys.missing == "mean" and column.missing else np.nan
            first = index in day_first
            found.append(Feature(name, column, None, fill, origin, first, dates=True))
        elif not column.is_text:
            if not column.numbers and not is_target:
                continue
            fill = column.mean if keys.missing == "mean" and column.missing else np.nan
            found.append(Feature(name, column, None, np.nan if is_target else fill))
        elif keys.text == "one_hot":
            found += [
                Feature(f"{name}={level}", column, level, _share(column, level, keys))
                for level in list(column.levels)[1:]
            ]
    return found


def _share(column: Column, level: str, keys: Columns) -> float:
    """The mean of a column that is 1 for a text, over the cells that are not missing."""
    if keys.missing != "mean":
        return np.nan
    return column.levels[level].count / max(column.rows - column.missing, 1)


def _refuse_cells(columns: Sequence[Column], keys: Columns, chosen: Chosen) -> None:
    """Raise ConfigError for the first cell, by rows, that cannot be used."""
    found: list[tuple[Place, Column, Callable[[Column, Place], str]]] = []
    for column in columns:
        place = column.first_text
        if place and column.index in chosen.dates:
            found.append((place, column, _no_date))
        elif column.index == chosen.target and place:
            found.append((place, column, _text_as_target))
        elif place and not column.is_text:
            found.append((place, column, _text_among_numbers))
        elif place and keys.text == "refuse":
            found.append((place, column, _text))
        elif place and keys.text == "one_hot" and 2 < column.rows == len(column.levels):
            found.append((place, column, _own_text_each))
        gone = column.first_missing
        dropped = column.is_text and keys.text == "drop" and column.index not in chosen.dates
        empty = not column.numbers and not column.is_text
        refused = keys.missing == "refuse" and not dropped
        if gone and (refused or (empty and column.index == chosen.target)):
            found.append((gone, column, _missing))
    if not found:
        return
    parts = list(dict.fromkeys(place.part for place, _, _ in found))
    place, column, explain = min(
        found, key=lambda each: (parts.index(each[0].part), each[0].row, each[1].index)
    )
    shown = f"'{typed(place.written)}'" if place.written else "an empty cell"
    raise place.part.refused(
        f"must hold finite numbers only: row {place.row}, {column.label} has {shown};"
        f" {explain(column, place)}"
    )


# A number with marks such as a currency, a percent sign, or marks for thousands.
_MARKED = re.compile(r"[^\w\d]*\d[\d.,' \u00a0\u202f]*[^\w\d]*")


def _drop(column: Column) -> str:
    name = column.name or f"column {column.index + 1}"
    return quoted_list("problem.drop", [name])


def _text(column: Column, place: Place) -> str:
    if is_like(place.written):
        name = quoted_list("problem.dates", [column.name])
        return f"{name} counts days since the first date, {_drop(column)} leaves the column out"
    if _MARKED.fullmatch(place.written):
        return (
            "numbers must have no marks for thousands, units and the like; or leave out the column"
            f" with {_drop(column)}"
        )
    many = len(column.levels)
    made = f"makes columns of 0 and 1 of such texts ({many} different ones here)"
    return f"problem.text=one_hot {made}, {_drop(column)} or problem.text=drop leaves them out"


def _own_text_each(column: Column, place: Place) -> str:
    if is_like(place.written):
        return _text(column, place)
    return f"every row has a text of its own there: {_drop(column)} leaves the column out"


def _text_among_numbers(column: Column, place: Place) -> str:
    if place.written.count(",") == 1 and is_number(place.written.replace(",", ".")):
        return "problem.decimal=comma reads decimal commas, if all numbers have them"
    count = _count(column)
    others = "all other cells" if count == 1 else f"all but {count} cells"
    return (
        f"{others} of the column are numbers: put a number there, leave the"
        f" cell empty, or leave out the column with {_drop(column)}"
    )


def _count(column: Column) -> int:
    return sum(level.count for level in column.levels.values())


def _text_as_target(column: Column, place: Place) -> str:
    if not column.is_text:
        return _text_among_numbers(column, place).partition(", or leave out")[0]
    return "the target must be a column of numbers"


def _no_date(column: Column, place: Place) -> str:
    return "problem.dates needs dates such as 2021-12-31 there, or empty cells"


def _missing(column: Column, place: Place) -> str:
    if not column.numbers and not column.is_text:
        return f"so has every row: {_drop(column)} leaves the column out"
    return (
        "problem.missing=drop_rows leaves out rows in which a cell is missing, problem.missing=mean"
        " fills in the mean of the column"
    )
