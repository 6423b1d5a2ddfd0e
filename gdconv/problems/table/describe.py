"""What `gdconv-table` prints: the columns of a table, and what they mean for its problem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gdconv.config.problems import Columns
from gdconv.config.rules import on_one_line
from gdconv.problems.blocks import Rows, Tree
from gdconv.problems.families import standardized, standardized_triangle
from gdconv.problems.spectrum import Spectrum, spectrum
from gdconv.problems.table.columns import Chosen, Feature, choose, features_of
from gdconv.problems.table.files.places import versions
from gdconv.problems.table.large import Blocks, Large
from gdconv.problems.table.looks import ranges_of
from gdconv.problems.table.notices import Notices
from gdconv.problems.table.reading import as_numbers, refuse_few
from gdconv.problems.table.source import Source
from gdconv.problems.table.survey import Column, survey
from gdconv.problems.triangle import joined
from nnlib import terminal

# A correlation of at least that size is named, and of so many pairs.
CORRELATED, MOST_PAIRS = 0.9, 5
# With more columns, κ without each of them takes too long.
MOST_COLUMNS = 100
# A column spoils κ if without it κ is smaller by this factor.
SPOILS = 2.0
# Texts and characters of a column that are shown.
MOST_TEXTS, WIDTH = 4, 60


@dataclass(frozen=True)
class Matrix:
    """X as it is, or standardised.

    Attributes
    ----------
    rank : int
    condition_number : float
    spoiler : str
        The feature without which κ is smallest, if that is much smaller; else empty.
    without : float
        κ without it.
    """

    rank: int
    condition_number: float
    spoiler: str = ""
    without: float = 0.0


@dataclass(frozen=True)
class Description:
    """Lines that describe a table, and which of the keys `text` and `missing` it needs."""

    lines: list[str]
    needed: set[str]


def describe(keys: Columns, target: str | None, intercept: bool = True) -> Description:
    """Return a description of a table.

    Raises
    ------
    ConfigError
        If it cannot be read, or its columns cannot be used.
    """
    source = Source(versions(keys.path), keys)
    chosen = choose(source.name, source.names, keys, target)
    every = tuple(range(len(source.names)))
    blocks = Blocks(source, every)
    columns, day_first = survey(source.names, blocks, every, chosen.dates, keys)
    used = [column for column in columns if column.index in chosen.used]
    known = features_of(used, keys, chosen, day_first)
    table = as_numbers(source, blocks, known, keys)
    rows = columns[0].rows
    left_out = rows - len(table)
    refuse_few(source, len(table), left_out, known)
    told = Notices(source, keys, chosen, used, known)
    ranges = table.ranges if isinstance(table, Large) else ranges_of(table)
    notices = told.of_reading() + told.of_cells(left_out) + told.of_numbers(ranges)
    first = int(target is not None)
    constant = np.array([each.least == each.most for each in ranges[first:]], dtype=bool)
    X, Z = _matrices(table, first, constant)
    names = [each.name for each in known[first:]]
    lines = [f"{source.name}: {_count(rows, 'row')}, {_count(len(columns), 'column')}"]
    lines += _in_columns([("", *_HEADINGS), *(_row(each, chosen, known) for each in columns)])
    lines += ["", *notices] if notices else []
    lines += ["", *_of_matrices(names, X, Z, len(table), intercept)]
    texts = any(each.is_text and each.index not in chosen.dates for each in used)
    gone = any(each.column.missing for each in known)
    needed = {name for name, needs in {"text": texts, "missing": gone}.items() if needs}
    return Description([_printable(line) for line in lines], needed)


def _printable(line: str) -> str:
    """A line without control characters, its blanks kept."""
    return line if line.isprintable() else on_one_line(line)


_HEADINGS = ("column", "type", "missing", "from", "to", "texts")


def _row(column: Column, chosen: Chosen, known: Sequence[Feature]) -> tuple[str, ...]:
    """Name, type, missing cells and range of a column, or its texts."""
    role = "y" if column.index == chosen.target else " "
    role = role if any(each.column.index == column.index for each in known) else "-"
    name = column.name or f"(column {column.index + 1})"
    missing = str(column.missing or "")
    ends = [f"{end:.6g}" for end in (column.least, column.most)]
    if column.is_text:
        levels = column.levels
        shown = [f"{word} {levels[word].count}" for word in list(levels)[:MOST_TEXTS]]
        shown += ["…"] * (len(levels) > MOST_TEXTS)
        return role, name, "text", missing, "", "", f"{len(levels)}: {_cut(', '.join(shown))}"
    if not column.numbers:
        return role, name, "empty", missing, "", "", ""
    if column.dated or column.index in chosen.dates:
        ends = [str(np.datetime64(int(end // 1), "D")) for end in (column.least, column.most)]
        return role, name, "date", missing, *ends, ""
    others = ", ".join(column.levels)
    return role, name, "number", missing, *ends, _cut(others) and f"also {_cut(others)}"


class _Features(Rows):
    """The features of a large table and a column of ones; there is no y, so it is 0."""

    def __init__(self, table: Large, first: int) -> None:
        self.table, self.first = table, first
        self.shape = len(table), len(table.ranges) - first + 1

    def fill(self, start: int, stop: int, X: np.ndarray, y: np.ndarray) -> None:
        """Write rows into arrays."""
        X[:, :-1], X[:, -1], y[...] = self.table.between(start, stop)[:, self.first :], 1.0, 0.0

    def means(self) -> np.ndarray:
        """Return about the means of the features, and 0."""
        return np.append(self.table.means[self.first :], 0.0)


def _matrices(
    table: np.ndarray | Large, first: int, constant: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """X with a column of ones, as it is and with standardised features.

    Of a large table, matrices with few rows that have the same spectrum.
    """
    with np.errstate(all="ignore"):
        if isinstance(table, Large):
            rows = _Features(table, first)
            tree = Tree(len(table.ends), joined)
            for number, (start, stop) in enumerate(table.ends):
                tree.add((0, number), rows.triangle(start, stop))
            assert tree.root is not None
            X = rows.of_triangle(tree.root).X
            Z = X.copy()
            standardized_triangle(Z[:, :-1], constant, len(table))
            return X, Z
        ones = np.ones((len(table), 1))
        X = table[:, first:]
        return np.hstack([X, ones]), np.hstack([standardized(X.copy()), ones])


def _of_matrices(
    names: Sequence[str], X: np.ndarray, Z: np.ndarray, rows: int, intercept: bool
) -> list[str]:
    """The lines about X: its rank, its κ, and what makes it large."""
    ones = "and a column of ones" if intercept else "without a column of ones"
    lines = [f"X: {_count(rows, 'row')}, {_count(len(names), 'feature')} {ones}"]
    for way, whole in {"as it is": X, "standardised": Z}.items():
        with np.errstate(all="ignore"):
            # A triangle has errors that the rows it stands for have not.
            stands_for = rows if len(whole) < rows else 0
            found = _matrix(names, whole if intercept else whole[:, :-1], stands_for)
        if found is None:
            lines.append(f"  {way}: the squares of its numbers do not fit into floats")
            continue
        line = f"  {way}: rank {found.rank}, κ = {found.condition_number:.5g}"
        if found.spoiler:
            line += f"; without {found.spoiler} κ = {found.without:.5g}"
        lines.append(line)
    pairs = _pairs(names, Z[:, :-1], rows)
    for size, one, other in pairs[:MOST_PAIRS]:
        lines.append(f"  {one} and {other} are correlated: {size:.4f}")
    if len(pairs) > MOST_PAIRS:
        lines.append(f"  and {len(pairs) - MOST_PAIRS} more pairs")
    return lines


def _matrix(names: Sequence[str], whole: np.ndarray, stands_for: int) -> Matrix | None:
    found = _spectrum(whole, stands_for)
    if found is None:
        return None
    kappa = found.condition_number
    best, spoiler = kappa, ""
    if 1 < whole.shape[1] <= MOST_COLUMNS:
        for place, name in enumerate(names):
            rest = _spectrum(np.delete(found.reduced, place, axis=1), stands_for)
            # A column less may also hide that others are nearly dependent.
            if rest and rest.condition_number < best:
                best, spoiler = rest.condition_number, name
    if best * SPOILS > kappa:
        spoiler = ""
    return Matrix(found.rank, kappa, spoiler, best)


def _spectrum(X: np.ndarray, stands_for: int) -> Spectrum | None:
    try:
        return spectrum(X, stands_for)
    except ValueError:
        return None


def _pairs(names: Sequence[str], Z: np.ndarray, rows: int) -> list[tuple[float, str, str]]:
    """The most correlated pairs of features, with their correlation."""
    if Z.shape[1] > 10 * MOST_COLUMNS:
        return []
    R = Z.T @ Z / rows
    pairs = np.argwhere(np.triu(np.abs(R) >= CORRELATED, k=1)).tolist()
    found = [(float(R[i, j]), names[i], names[j]) for i, j in pairs]
    return sorted(found, key=lambda pair: -abs(pair[0]))


def _in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with cells below each other: numbers to the right, texts to the left.

    On a terminal without that room, texts stand below a row, and long names are folded.
    """
    rows = [[_printable(cell) for cell in row] for row in rows]
    lines, width = terminal.columns(rows, "<<<>>><"), terminal.room()
    if width is None or max(map(len, lines)) <= width:
        return lines
    rows = [[*row[:-1], re.sub(r"^(\d+):", r"\1 texts:", row[-1])] for row in rows]
    return terminal.stacked(rows, "<<<>>><", width)


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + "s" * (number != 1)
