"""Rows of a summary as lines of text, no wider than the terminal if that can be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby, product, zip_longest
from textwrap import wrap
from typing import Any

from gdconv.report.numerals import NONE, short
from gdconv.report.settings import options_of
from gdconv.tables.columns import QUANTITIES
from nnlib import terminal

# The width of a table in letters; on a narrower terminal it is that of the terminal.
WIDTH = 100
# Columns of texts that begin at the left.
LEFT = ("problem", "file")
KAPPA = QUANTITIES["condition_number"].heading
# A column that is folded keeps so many letters, and is tried in so many ways.
FEWEST, MOST_WAYS = 8, 3

Row = dict[str, Any]


def room() -> int:
    """How wide a table may be; a text that is not shown on a terminal has always the same width."""
    return min(WIDTH, terminal.room() or WIDTH)


def table(rows: list[Row], width: int) -> list[str]:
    """Return the lines of a table.

    If it is too wide, what is the same in all rows is told once above it. If that does not do,
    names of options become headings, headings take three lines, rows that begin alike stand below
    what they share, and long cells take several lines: as many of these as are needed. If nothing
    else does, each row stands below its first cells, or each cell has a line of its own.
    """
    lines = aligned(rows, width)
    if _fits(lines, width):
        return lines
    cells = [{name: short(value, 4) for name, value in row.items()} for row in rows]
    alike = [name for name in cells[0] if len({cell[name] for cell in cells}) == 1]
    if len(alike) == len(cells[0]):
        # Of a single row, nothing would be left.
        alike = []
    told = "in all rows: " + ", ".join(f"{name} {cells[0][name]}" for name in alike)
    left = [{name: cell[name] for name in cell if name not in alike} for cell in cells]
    shared = terminal.folded(told, width, whole=["(?<!,) "]) if alike else []
    split = _with_options_as_columns(left)
    ways: list[Callable[[], list[str]]] = [
        lambda: aligned(left, width),
        lambda: aligned(split, width),
        lambda: aligned(split, width, 3),
        lambda: _grouped(split, width),
        lambda: _grouped(left, width, True),
        lambda: aligned(left, width, 3, True),
    ]
    if len(rows) > 1:
        # A row alone reads better as lines than below its own first cells.
        names = [*split[0]]
        ways += [partial(_below, split, names[:end], width) for end in range(1, len(names))]
    for way in ways:
        if _fits(lines := way(), width):
            return shared + lines
    return shared + [line for row in left for line in ("", *listed(row, width))][1:]


def listed(values: Mapping[str, str], width: int | None) -> list[str]:
    """Return a line for each name and its value, folded if it is wider than `width`."""
    size = max(map(len, values))
    if width is not None:
        size = min(size, width // 2)
    lines = []
    for name, value in values.items():
        names = terminal.folded(name, size, "")
        # A number and what is said of it stay on one line.
        texts = terminal.folded(value, width and width - size - 4, "", ["(?<!,) "])
        both = zip_longest(names, texts, fillvalue="")
        lines += [f"  {each:{size}}  {text}".rstrip() for each, text in both]
    return lines


def _fits(lines: Sequence[str], width: int) -> bool:
    return max(map(len, lines)) <= width


def aligned(rows: list[Row], width: int = WIDTH, most: int = 2, fold: bool = False) -> list[str]:
    """Return the lines of a table; a heading of several words takes up to `most` lines.

    If `fold`, cells take several lines too, where the table would be too wide.
    """
    return [line for lines in _blocks(rows, width, most, fold) for line in lines]


def _blocks(rows: list[Row], width: int, most: int, fold: bool) -> list[list[str]]:
    """The lines of the headings, and those of each row."""
    lines = [[short(value, 4) for value in row.values()] for row in rows]
    headings = [_heading(name, most) for name in rows[0]]
    parts = [[[cell] for cell in line] for line in lines]
    if fold:
        parts = _folded(parts, [max(map(len, each)) for each in headings], width)
    blank = max(map(len, headings))
    top = [[""] * (blank - len(each)) + each for each in headings]
    blocks = [[*zip_longest(*row, fillvalue="")] for row in (top, *parts)]
    every = [cells for block in blocks for cells in block]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    sides = "".join("<" if name in LEFT else ">" for name in rows[0])
    apart = 2 if sum(widths) + 2 * (len(widths) - 1) <= width else 1
    shown = iter(terminal.columns(every, sides, " " * apart))
    return [[next(shown) for _ in block] for block in blocks]


def _heading(name: str, most: int) -> list[str]:
    """A heading on one or two lines, or on three, which may also begin after a slash."""
    if most == 2:
        return name.split(" ", 1)
    first, *others = re.split(r" |(?<=/)", name)
    if len(others) < most:
        return [first, *others]
    return [first, *others[: most - 2], " ".join(others[most - 2 :]).replace("/ ", "/")]


def _with_options_as_columns(rows: list[Row]) -> list[Row]:
    """The rows with a column for each option, if that is narrower than `average=all` in cells."""
    for name in [each for each in rows[0] if each.endswith("options")]:
        words = [[] if row[name] == NONE else options_of(row[name]) for row in rows]
        if not all("=" in word for each in words for word in each):
            continue
        options = [dict(word.split("=", 1) for word in each) for each in words]
        keys = {key: key.replace("_", " ") for each in options for key in each}
        sizes = [
            max(len(short_) for short_ in (*key.split("_"), *(o.get(key, "") for o in options)))
            for key in keys
        ]
        narrower = sum(sizes) + len(sizes) - 1 < max(len(row[name]) for row in rows)
        if not narrower or {*keys.values()} & {*rows[0]}:
            continue
        rows = [
            {
                heading: value
                for each, cell in row.items()
                for heading, value in (
                    [(keys[key], option.get(key, NONE)) for key in keys]
                    if each == name
                    else [(each, cell)]
                )
            }
            for row, option in zip(rows, options, strict=True)
        ]
    return rows


def _grouped(rows: list[Row], width: int, fold: bool = False) -> list[str]:
    """Lines of a table in which rows that begin with the same cells stand below these.

    Rows that begin differently, such as those of methods, stand below their condition number.
    """
    names = list(rows[0])
    starts = [names[:count] for count in range(1, len(names)) if _often(rows, names[:count])]
    shared = starts[-1] if starts else [KAPPA] if KAPPA in names and _often(rows, [KAPPA]) else []
    return _below(rows, shared, width, fold)


def _below(rows: list[Row], shared: Sequence[str], width: int, fold: bool = False) -> list[str]:
    """Lines of a table in which rows stand below some of their cells."""
    left = [{name: row[name] for name in row if name not in shared} for row in rows]
    found, *blocks = _blocks(left, width, 3, fold)
    before = ""
    for row, lines in zip(rows, blocks, strict=True):
        told = ", ".join(f"{name} {row[name]}" for name in shared)
        if told != before:
            found += wrap(f"{told}:", width, subsequent_indent="  ")
        found, before = [*found, *lines], told
    return found


def _often(rows: list[Row], names: Sequence[str]) -> bool:
    """Whether rows that follow each other have the same cells, more often than not."""
    groups = groupby([row[name] for name in names] for row in rows)
    return 2 * sum(1 for _ in groups) <= len(rows)


def _folded(rows: list[list[list[str]]], least: Sequence[int], width: int) -> list[list[list[str]]]:
    """Cells that take several lines, each ending after _, =, / or a blank.

    Of the ways in which the table fits, it is one with the fewest lines; if there is none, the
    narrowest one.
    """
    ways = []
    for column, start in zip(zip(*rows, strict=True), least, strict=True):
        pieces = [re.findall(r".+?(?:[_=/ ]|$)", cell[0]) for cell in column]
        widest = max(start, *(len(cell[0]) for cell in column))
        tried: dict[int, list[list[str]]] = {}
        for size in range(widest, max(FEWEST, start) - 1, -1):
            cells = [_lines(cell, size) for cell in pieces]
            tried.setdefault(max(start, *(len(line) for cell in cells for line in cell)), cells)
        tried.pop(widest, None)
        # Each column is tried in few ways, as all combinations are.
        ways.append([(widest, [*column]), *[*tried.items()][-MOST_WAYS:]])

    def cost(way: Sequence[tuple[int, list[list[str]]]]) -> tuple[int, int]:
        size = sum(size for size, _ in way) + len(way) - 1
        heights = (max(map(len, row)) for row in zip(*(cells for _, cells in way), strict=True))
        return max(size, width), sum(heights)

    best = min(product(*ways), key=cost)
    return [list(row) for row in zip(*(cells for _, cells in best), strict=True)]


def _lines(pieces: Sequence[str], size: int) -> list[str]:
    """Pieces of a cell put together to lines of at most so many letters."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1] + piece) > size:
            lines.append("")
        lines[-1] += piece
    return lines
