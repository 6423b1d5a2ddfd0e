"""Rows of a table as they stand in a file or a DataFrame, block by block."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from gdconv.config.problems import SEPARATORS
from gdconv.config.rules import typed
from gdconv.problems.table.files.cells import WHOLE, Cells, cells_of
from gdconv.problems.table.files.dialect import MARKS, Dialect
from gdconv.problems.table.files.parts import FEATHER, Part, arrow, opened, unpacked
from gdconv.problems.table.files.places import (
    Hashed,
    digest_of,
    is_elsewhere,
    readable,
    stream_of,
)

# Text of so many bytes is read at a time, and so many cells of other files.
BYTES, CELLS = 2**25, 2**22
# A cell of a text file has about so many bytes with its separator, and packed.
CELL_BYTES, PACKED_BYTES = 16, 4
_LONGER = (
    "must be a table: its rows have more cells than its first line has names; if that is a comment,"
    " give problem.comment=hash"
)


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


class TextFile:
    """A part that is a text file.

    Attributes
    ----------
    names : list of str
        Its columns; a column without a name has an empty one.
    """

    def __init__(self, part: Part, dialect: Dialect, header: bool) -> None:
        self.part, self.dialect, self.header = part, dialect, header
        self.digest = ""
        self.names = self._names()

    @property
    def cells(self) -> int:
        """About how many cells it has."""
        return self.part.size // (PACKED_BYTES if self.part.packing else CELL_BYTES)

    def blocks(self, used: Collection[int]) -> Iterator[Block]:
        """Yield the rows, about BYTES at a time, and note the hash of the file."""
        start = row = lines = taken = 0
        with readable(self.part.path), Hashed(self.part.path) as file:
            buffered = io.BufferedReader(file, 2**18)
            with unpacked(buffered, self.part.packing, self.part.path) as stream:
                for data in _pieces(stream):
                    if start == 0 or data.strip():
                        block = self._block(data, Piece(start, len(data), row, 0), used, lines)
                        row += len(block)
                        block.taken, taken = file.count - taken, file.count
                        yield block
                    start, lines = start + len(data), lines + data.count(b"\n")
                while buffered.read(2**20):
                    pass
        self.digest = file.hexdigest()

    def block(self, piece: Piece, used: Collection[int]) -> Block:
        """Return some rows again."""
        with readable(self.part.path), opened(self.part) as stream:
            left = piece.start
            while self.part.packing and left:
                left -= len(stream.read(min(left, 2**20)))
            if left:
                stream.seek(left)
            return self._block(stream.read(piece.size), piece, used)

    def _block(self, data: bytes, piece: Piece, used: Collection[int], lines: int = 0) -> Block:
        first = piece.start == 0
        # By parts, which stay in the cache, this is faster. But a column that is one of numbers in
        # some parts only is none.
        options: dict[str, Any] = {"low_memory": True, "na_filter": False}
        frame = self._read(io.BytesIO(data), first, lines, **options)
        frame.columns = range(frame.shape[1])
        beyond = [index for index in frame.columns if index >= len(self.names)]
        if any((frame[index].astype(str).str.strip() != "").any() for index in beyond):
            raise self.part.refused(_LONGER)
        frame = frame.drop(columns=beyond)
        texts = sorted(index for index in used if not _is_plain(frame[index]))
        written = None
        if texts:
            options = {"usecols": texts, "dtype": str, "na_filter": False}
            written = self._read(io.BytesIO(data), first, lines, **options)
            written.columns = texts
            if self.dialect.decimal == "comma":
                written = written.apply(_with_points)
        return Block(self.part, piece._replace(rows=len(frame)), frame, written)

    def _names(self) -> list[str]:
        # A column may be called NA.
        first = self._opened(header=None, nrows=1, dtype=str, na_filter=False, names=None)
        cells = ["" if cell is None else str(cell).strip() for cell in first.iloc[0]]
        if not self.header:
            return [f"x{number}" for number in range(1, len(cells) + 1)]
        if self.dialect.marked:
            cells[0] = cells[0].lstrip("#% ")
        if all(re.fullmatch(r"'[^']*'", name) for name in cells):
            cells = [name[1:-1].strip() for name in cells]
        # pandas gives this name to a column without a name.
        names = ["" if re.fullmatch(r"Unnamed: \d+", name) else name for name in cells]
        return ["", *names] if self.dialect.row_names else names

    def _opened(self, **options: Any) -> Any:
        with readable(self.part.path), opened(self.part) as stream:
            return self._read(stream, True, **options)

    def _read(self, source: Any, first: bool, lines: int = 0, **options: Any) -> Any:
        import pandas as pd

        dialect = self.dialect
        usual: dict[str, Any] = {"header": 0 if self.header else None, "skiprows": dialect.top}
        if not first or ((dialect.row_names or dialect.beyond) and "names" not in options):
            names = range(len(self.names) + dialect.beyond)
            skipped = dialect.top + 1 if first else 0
            usual = {"header": None, "names": names, "skiprows": skipped}
        usual["sep"] = r"\s+" if dialect.separator == "blanks" else SEPARATORS[dialect.separator]
        if dialect.decimal == "comma":
            usual["decimal"] = ","
        if dialect.comment in MARKS:
            usual["comment"] = MARKS[dialect.comment]
        if dialect.spaced:
            usual["skipinitialspace"] = True
        with self._explaining(lines), warnings.catch_warnings(), readable(self.part.path):
            # If rows are longer than the header, pandas would make their first cells an index, or
            # drop the last ones.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Of columns that are numbers in some parts only.
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            return pd.read_csv(source, index_col=False, **(usual | options))

    @contextmanager
    def _explaining(self, lines: int) -> Iterator[None]:
        """Say in one sentence what pandas objects to, after so many lines."""
        import pandas as pd

        try:
            yield
        except pd.errors.ParserWarning:
            reason = _LONGER
        except pd.errors.EmptyDataError:
            reason = "must have a line of column names and rows of numbers, is empty"
        except pd.errors.ParserError as error:
            saw = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
            reason = str(error).rpartition("C error: ")[2]
            advice = "are all quotes closed?"
            if saw:
                wanted, line, found = map(int, saw.groups())
                reason = f"line {lines + line} has {found} cells instead of {wanted}"
                advice = f"a cell with a {self.dialect.separator} needs quotes".replace(
                    "a blanks", "blanks"
                )
            reason = f"must be a table: {reason}; {advice}"
        except UnicodeDecodeError:
            reason = (
                f"must be encoded in UTF-8, line {self._first_not_in_utf8()} is not; convert it, as"
                " iconv -f latin1 -t utf8 does"
            )
        else:
            return
        raise self.part.refused(reason)

    def _first_not_in_utf8(self) -> int:
        """The number of the first line that cannot be decoded."""
        with opened(self.part) as stream:
            lines = enumerate(stream, start=1)
            wrong = (n for n, line in lines if line.decode(errors="ignore").encode() != line)
            return next(wrong, 1)


class ArrowFile:
    """A part that is a Parquet or a Feather file: groups of rows, of which each can be read."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.digest = ""
        with self._explaining(), self._opened() as file:
            is_feather = part.kind == FEATHER
            self._written = (file.schema if is_feather else file.schema_arrow).names
            # The number of rows in each group.
            self._groups = [
                file.get_batch(i).num_rows if is_feather else file.metadata.row_group(i).num_rows
                for i in range(file.num_record_batches if is_feather else file.num_row_groups)
            ]
        # pandas writes row numbers under such a name.
        self.names = [
            "" if re.fullmatch(r"__index_level_\d+__", name) else name.strip()
            for name in self._written
        ]

    @property
    def cells(self) -> int:
        """How many cells it has."""
        return sum(self._groups) * len(self.names)

    def blocks(self, used: Collection[int]) -> Iterator[Block]:
        """Yield the rows, about CELLS at a time."""
        size, row = max(CELLS // max(len(used), 1), 1), 0
        with self._explaining(), self._opened() as file:
            for group, rows in enumerate(self._groups):
                for batch in self._of_group(file, group, size, used) if rows else ():
                    block = self._block(batch, Piece(group, size, row, batch.num_rows), used)
                    row += len(block)
                    block.taken = self.part.size * len(block) // sum(self._groups)
                    yield block
        self.digest = self.digest or digest_of(self.part.path)

    def block(self, piece: Piece, used: Collection[int]) -> Block:
        """Return some rows again."""
        before = sum(self._groups[: piece.start])
        with self._explaining(), self._opened() as file:
            batches = self._of_group(file, piece.start, piece.size, used)
            batch = next(islice(batches, (piece.row - before) // piece.size, None))
            return self._block(batch, piece, used)

    def _block(self, batch: Any, piece: Piece, used: Collection[int]) -> Block:
        import pandas as pd

        columns = {index: batch.column(self._written[index]).to_pandas() for index in used}
        frame = pd.DataFrame(columns, index=range(batch.num_rows), copy=False)
        return Block(self.part, piece, frame)

    def _of_group(self, file: Any, group: int, size: int, used: Collection[int]) -> Iterator[Any]:
        """The rows of a group, so many at a time."""
        if self.part.kind == FEATHER:
            batch = file.get_batch(group)
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)
        else:
            names = [self._written[index] for index in used]
            yield from file.iter_batches(size, row_groups=[group], columns=names)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file, as pyarrow reads it."""
        path, is_feather = self.part.path, self.part.kind == FEATHER
        with ExitStack() as opened:
            source: Any = path
            if is_elsewhere(path):
                source = opened.enter_context(stream_of(path))
            elif is_feather:
                source = opened.enter_context(self._pyarrow.memory_map(path))
            if is_feather:
                from pyarrow import ipc

                yield opened.enter_context(ipc.open_file(source))
            else:
                from pyarrow import parquet

                yield opened.enter_context(parquet.ParquetFile(source))

    @property
    def _pyarrow(self) -> Any:
        # No attribute, because a module cannot be sent to another process.
        return arrow(self.part.path, f"is a {self.part.kind} file, which")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        pyarrow = self._pyarrow
        try:
            with readable(self.part.path):
                yield
        except MemoryError:
            # Also an ArrowException, but it says nothing of the file.
            raise
        except (pyarrow.ArrowException, ValueError, TypeError) as error:
            reason = f"must be a readable {self.part.kind} file ({typed(str(error))})"
            raise self.part.refused(reason) from None


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


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Cut a stream at ends of lines, so that about BYTES are between them."""
    rest = stream.read(BYTES)
    while more := stream.read(BYTES):
        end = _last_line(rest)
        if end:
            yield rest[:end]
        rest = rest[end:] + more
    yield rest


def _last_line(data: bytes) -> int:
    """Where the last line ends; 0 if none does. Quotes may hold line breaks."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    characters = np.frombuffer(data, dtype=np.uint8)
    within = np.bitwise_xor.accumulate(characters == ord('"'))
    ends = (characters == ord("\n")) & ~within
    return len(data) - int(np.argmax(ends[::-1])) if ends.any() else 0


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


def _is_plain(series: Any) -> bool:
    """Whether a column has only numbers that are the same floats, however they are read."""
    import pandas as pd

    kind = series.dtype
    if pd.api.types.is_bool_dtype(kind) or not pd.api.types.is_numeric_dtype(kind):
        return False
    # Whole numbers of that size may be read as such in some parts, and as floats in others. A
    # comparison with nan is false.
    largest = max(float(series.max()), -float(series.min())) if len(series) else 0.0
    return bool(largest < WHOLE) and not (series.dtype.kind == "f" and series.isna().any())


def _with_points(texts: Any) -> Any:
    """Write numbers with decimal points, and leave all other texts."""
    comma = texts.str.strip().str.fullmatch(r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?")
    return texts.where(~comma, texts.str.replace(",", ".", n=1))
