"""How a text file writes its table: separator, decimal sign, comments, and where its names are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gdconv.config.problems import SEPARATORS, Columns
from gdconv.config.rules import ConfigError, typed
from gdconv.problems.table.files.parts import HEAD, Part

# Rows that are looked at.
ROWS = 50
MARKS = {"hash": "#", "percent": "%"}
POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
# May be 1.234 or 1234.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_NAMES = {
    "comma": "commas",
    "semicolon": "semicolons",
    "tab": "tabs",
    "pipe": "bars",
    "blanks": "blanks",
}


@dataclass(frozen=True)
class Dialect:
    """How a text file writes its table.

    Attributes
    ----------
    separator, decimal, comment : str
        Words of `config.problems.Columns`, but never auto.
    top : int
        Number of lines above the line of names, all of them comments.
    marked : bool
        Whether the line of names begins with the mark of a comment.
    row_names : bool
        Whether rows have one cell more than there are names: first the name of the row.
    beyond : int
        How many separators stand behind the last cell of rows, but not of the line of names.
    spaced : bool
        Whether quotes may stand behind blanks.
    """

    separator: str
    decimal: str = "point"
    comment: str = "none"
    top: int = 0
    marked: bool = False
    row_names: bool = False
    beyond: int = 0
    spaced: bool = False

    @property
    def notice(self) -> str:
        """What was found, if it is not what a CSV file usually has."""
        found = [f"{_NAMES[self.separator]} between cells (problem.separator={self.separator})"]
        if self.separator == "comma":
            found = []
        if self.decimal == "comma":
            found.append("decimal commas (problem.decimal=comma)")
        if self.top:
            lines = "line" if self.top == 1 else "lines"
            found.append(f"{self.top} {lines} of comments at the top (problem.comment=none)")
        if self.marked:
            found.append("a line of names that begins like a comment (problem.comment=none)")
        if self.row_names:
            found.append("names of rows, which the line of names does not count")
        return f"read as having {', '.join(found)}" if found else ""

    def cut(self, line: str) -> list[str]:
        """Cut a line into cells, but not within quotes."""
        return _cut(line, self.separator)


def find(part: Part, keys: Columns) -> Dialect:
    """Return how a file is written, where the keys do not say it.

    Raises
    ------
    ConfigError
        If it can be read in two ways.
    """
    text = part.head.decode("utf-8-sig", "replace")
    # Other characters that end lines elsewhere are part of a cell here.
    lines = [line.rstrip("\n") for line in io.StringIO(text, newline=None)]
    if len(part.head) == HEAD and len(lines) > 1:
        # The last one may be incomplete.
        lines = lines[:-1]
    found, lines = _comments(part, keys, lines)
    separator = keys.separator
    if separator == "auto":
        separator = _separator(part, lines)
    rows = list(_rows(lines, separator))
    names = rows[0] if rows else []
    longer = [len(row) == len(names) + 1 for row in rows[1:]]
    # A separator may also stand at the end of each row.
    filled = any(row[-1].strip() for row in rows[1:])
    more = keys.header and any(longer) and all(longer) and filled
    beyond = 0 if filled or not keys.header else max(map(len, rows[1:]), default=0) - len(names)
    found = replace(
        found,
        separator=separator,
        beyond=max(beyond, 0),
        row_names=more and _are_names([row[0] for row in rows[1:]], rows[1:]),
        spaced=separator not in ("blanks", "tab")
        and any(re.search(rf'{re.escape(SEPARATORS[separator])} +"', line) for line in lines),
    )
    decimal = keys.decimal if keys.decimal != "auto" else _decimal(part, rows)
    return replace(found, decimal=decimal)


def _comments(part: Part, keys: Columns, lines: list[str]) -> tuple[Dialect, list[str]]:
    """What is known of comments, and the lines below those at the top."""
    lines = [line for line in lines if line.strip()]
    if keys.comment in MARKS:
        mark = MARKS[keys.comment]
        left = (line.partition(mark)[0] for line in lines)
        return Dialect("comma", comment=keys.comment), [line for line in left if line.strip()]
    mark = lines[0].lstrip()[0] if lines else ""
    if keys.comment == "none" or mark not in MARKS.values():
        return Dialect("comma"), lines
    top = next((i for i, line in enumerate(lines) if not line.lstrip().startswith(mark)), None)
    if top is None:
        return Dialect("comma"), lines
    # A program may write its line of names as a comment, as numpy.savetxt does.
    named, first = lines[top - 1].lstrip().lstrip(mark), lines[top]
    word = keys.separator if keys.separator != "auto" else _separator(part, [named, *lines[top:]])
    names, cells = (_cut(line, word) for line in (named, first))
    marked = (
        keys.header
        and len(names) == len(cells)
        and all(map(str.strip, names))
        and not any(is_number(name) for name in names)
        and any(map(is_number, cells))
    )
    if marked:
        return Dialect("comma", top=top - 1, marked=True), [named, *lines[top:]]
    return Dialect("comma", top=top), lines[top:]


def _separator(part: Part, lines: Sequence[str]) -> str:
    """The word for what stands between the cells of some lines, of which the first has names."""
    fits = {word: _fit(lines, word) for word in SEPARATORS}
    # Blanks are part of names and texts, so they count only where nothing else separates.
    found = [word for word in fits if fits[word] == 1 and word != "blanks"]
    if not found:
        if fits["blanks"] == 1:
            return "blanks"
        best = max(fits, key=lambda word: fits[word])
        return best if fits[best] > 0.5 else "comma"
    numbers = {word: sum(map(_numbers, _rows(lines[1:], word))) for word in found}
    most = [word for word in found if numbers[word] == max(numbers.values())]
    if len(most) > 1:
        ways = (
            f"{_NAMES[word]} ({' | '.join(map(typed, _cut(lines[0], word)))};"
            f" problem.separator={word})"
            for word in most
        )
        raise part.refused(f"may have {' or '.join(ways)} between its cells: say which")
    return most[0]


def _fit(lines: Sequence[str], separator: str) -> float:
    """The share of rows that have as many cells as the first line, if that has several."""
    first, *rows = [*_rows(lines, separator)] or [[]]
    if len(first) < 2:
        return 0.0
    count = len(first)
    same = [len(row) == count or (len(row) > count and not any(row[count:])) for row in rows]
    longer = all(len(row) == count + 1 for row in rows)
    return 1.0 if not rows or longer else sum(same) / len(rows)


def _decimal(part: Part, rows: Sequence[Sequence[str]]) -> str:
    """Whether the cells of some rows have decimal points or commas."""
    cells = [cell.strip() for row in rows[1:] for cell in row]
    commas = [cell for cell in cells if COMMA.fullmatch(cell) or THOUSANDS.fullmatch(cell)]
    points = any("." in cell and POINT.fullmatch(cell) for cell in cells)
    if not commas or points:
        return "point"
    if all(map(THOUSANDS.fullmatch, commas)):
        cell = commas[0]
        number = cell.replace(",", ".", 1) if cell.count(",") == 1 else cell.replace(",", "")
        raise part.refused(
            f"has '{cell}', which may be {number} with a decimal comma: then give"
            f" problem.decimal=comma; or {cell.replace(',', '')}, with a mark for thousands: then"
            " remove such marks"
        )
    return "comma"


def _are_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first cells of rows are names or numbers of rows."""
    if not any(is_number(cell.strip()) for cell in first):
        return True
    count = len(first)
    return any(
        [cell.strip() for cell in first] == [str(i) for i in range(start, start + count)]
        for start in (0, 1)
    )


def is_number(text: str) -> bool:
    """Whether a text is a number, with a decimal point or a decimal comma."""
    return bool(POINT.fullmatch(text.strip()) or COMMA.fullmatch(text.strip()))


def _numbers(row: Sequence[str]) -> int:
    return sum(map(is_number, row))


def _rows(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """The cells of the first lines; a cell may go on over several lines within quotes."""
    try:
        reader = _reader(lines, separator)
        for number, row in enumerate(reader):
            if number > ROWS:
                return
            yield row
    except csv.Error:
        # Such as a cell of more than 128 KiB, where a quote is not closed.
        return


def _cut(line: str, separator: str) -> list[str]:
    return next(_rows([line], separator), [])


def _reader(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    if separator == "blanks":
        lines = [line.strip().replace("\t", " ") for line in lines]
        return csv.reader(lines, delimiter=" ", skipinitialspace=True)
    # A quote may stand behind blanks.
    return csv.reader(lines, delimiter=SEPARATORS[separator], skipinitialspace=separator != "tab")


def refuse_unlike(first: Dialect, other: Dialect, part: Part) -> None:
    """Raise ConfigError if a part is written in another way than the first one."""
    if (first.separator, first.decimal) != (other.separator, other.decimal):
        raise ConfigError(
            *("problem.path", part.path),
            "must be written like the parts before it, but seems to have"
            f" {_NAMES[other.separator]} between cells and a decimal {other.decimal}; if it has"
            f" not, say so by problem.separator={first.separator} problem.decimal={first.decimal}",
        )
