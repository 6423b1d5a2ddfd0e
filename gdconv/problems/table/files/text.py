"""Text files, some rows at a time."""

from __future__ import annotations

import io
import re
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock
from typing import IO, Any, TypeVar

import numpy as np

from gdconv.config.problems import SEPARATORS
from gdconv.problems.table.files.blocks import Block, Piece
from gdconv.problems.table.files.cells import WHOLE
from gdconv.problems.table.files.dialect import MARKS, Dialect
from gdconv.problems.table.files.parts import Part, opened, unpacked
from gdconv.problems.table.files.places import Hashed, readable

# Text of so many bytes is read at a time.
BYTES = 2**25
# So many threads make numbers of text. pandas does not hold the interpreter meanwhile, but one
# thread alone reads the file.
THREADS = 2
# A cell has about so many bytes with its separator, and packed.
CELL_BYTES, PACKED_BYTES = 16, 4
_LONGER = (
    "must be a table: its rows have more cells than its first line has names; if that is a comment,"
    " give problem.comment=hash"
)

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        row = taken = 0
        # What is done with a block may set filters of warnings, too; so those of the threads stay.
        with readable(self.part.path), _FILTERS, Hashed(self.part.path) as file:
            buffered = io.BufferedReader(file, 2**18)
            with unpacked(buffered, self.part.packing, self.part.path) as stream:
                texts = (
                    (start, data, file.count)
                    for start, data in _pieces(stream)
                    if start == 0 or re.search(rb"\S", data)
                )
                for block, count in _in_threads(partial(self._counted, used), texts):
                    block.piece = block.piece._replace(row=row)
                    row += len(block)
                    block.taken, taken = count - taken, count
                    yield block
                # The hash is that of the whole file, also of what follows what is packed.
                while buffered.read(2**20):
                    pass
        self.digest = file.hexdigest()

    def _counted(
        self, used: Collection[int], text: tuple[int, memoryview, int]
    ) -> tuple[Block, int]:
        start, data, count = text
        return self._block(data, Piece(start, len(data), 0, 0), used), count

    def block(self, piece: Piece, used: Collection[int]) -> Block:
        """Return some rows again."""
        with readable(self.part.path), self._opened_at(piece.start) as stream:
            return self._block(memoryview(stream.read(piece.size)), piece, used)

    @contextmanager
    def _opened_at(self, start: int) -> Iterator[IO[bytes]]:
        """The unpacked bytes from there on."""
        with opened(self.part) as stream:
            if self.part.packing:
                for _ in _in_parts(stream, start):
                    pass
            else:
                stream.seek(start)
            yield stream

    def _block(self, data: memoryview, piece: Piece, used: Collection[int]) -> Block:
        # By parts, which stay in the cache, this is faster. But a column that is one of numbers in
        # some parts only is none.
        options: dict[str, Any] = {"low_memory": True, "na_filter": False}
        frame = self._read(_Reader(data), piece.start, **options)
        frame.columns = range(frame.shape[1])
        beyond = [index for index in frame.columns if index >= len(self.names)]
        if any((frame[index].astype(str).str.strip() != "").any() for index in beyond):
            raise self.part.refused(_LONGER)
        frame = frame.drop(columns=beyond)
        texts = sorted(index for index in used if not _is_plain(frame[index]))
        written = None
        if texts:
            options = {"usecols": texts, "dtype": str, "na_filter": False}
            written = self._read(_Reader(data), piece.start, **options)
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
            return self._read(stream, **options)

    def _read(self, source: Any, start: int = 0, **options: Any) -> Any:
        """What pandas reads, from so many bytes after the beginning of the file."""
        import pandas as pd

        dialect, first = self.dialect, start == 0
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
        with self._explaining(start), _FILTERS, readable(self.part.path):
            return pd.read_csv(source, index_col=False, **(usual | options))

    @contextmanager
    def _explaining(self, start: int) -> Iterator[None]:
        """Say in one sentence what pandas objects to, after so many bytes."""
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
                line += self._lines_before(start)
                reason = f"line {line} has {found} cells instead of {wanted}"
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

    def _lines_before(self, start: int) -> int:
        """How many lines end in so many first bytes."""
        with opened(self.part) as stream:
            return sum(data.count(b"\n") for data in _in_parts(stream, start))

    def _first_not_in_utf8(self) -> int:
        """The number of the first line that cannot be decoded."""
        with opened(self.part) as stream:
            lines = enumerate(stream, start=1)
            wrong = (n for n, line in lines if line.decode(errors="ignore").encode() != line)
            return next(wrong, 1)


class _Filters:
    """Filters of warnings as long as one of the threads reads: they are those of all threads."""

    def __init__(self) -> None:
        self._lock, self._readers, self._before = Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        import pandas as pd

        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._before.enter_context(warnings.catch_warnings())
                # If rows are longer than the header, pandas would make their first cells an index,
                # or drop the last ones.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                # Of columns that are numbers in some parts only.
                warnings.simplefilter("ignore", pd.errors.DtypeWarning)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._before.close()


_FILTERS = _Filters()


class _Reader(io.RawIOBase):
    """What is read from a piece of memory, which is not copied for it."""

    def __init__(self, data: memoryview) -> None:
        self._left = data

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is and fits."""
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _in_threads(run: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results of a function in order, while threads work on the next."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for item in items:
            waiting.append(pool.submit(run, item))
            if len(waiting) == THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _pieces(stream: IO[bytes]) -> Iterator[tuple[int, memoryview]]:
    """Cut a stream at ends of lines, so that about BYTES are between them.

    With each piece comes the number of bytes before it. It is written over the one that came
    THREADS before: new memory would take as long as reading does.
    """
    memory = bytearray(stream.read(BYTES))
    others = deque(bytearray() for _ in range(THREADS - 1))
    start, length = 0, len(memory)
    count = length
    while count == BYTES:
        end = _last_line(memory, length)
        if end:
            yield start, memoryview(memory)[:end]
        rest = memory[end:length]
        others.append(memory)
        memory = others.popleft()
        if len(memory) < len(rest) + BYTES:
            memory = rest + bytes(BYTES + max(len(rest), 2**16))
        else:
            memory[: len(rest)] = rest
        count = _read_into(memoryview(memory)[len(rest) :][:BYTES], stream)
        start, length = start + end, len(rest) + count
    yield start, memoryview(memory)[:length]


def _read_into(memory: memoryview, stream: Any) -> int:
    """Fill some memory as far as a stream goes, and return how far that is."""
    length = 0
    while count := stream.readinto(memory[length:]):
        length += count
    return length


def _in_parts(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Read so many bytes, or to the end if that comes first, but not all at once."""
    while data := stream.read(min(size, 2**20)):
        size -= len(data)
        yield data


def _last_line(memory: bytearray, length: int) -> int:
    """Where the last line ends; 0 if none does. Quotes may hold line breaks."""
    if memory.find(b'"', 0, length) < 0:
        return memory.rfind(b"\n", 0, length) + 1
    characters = np.frombuffer(memory, dtype=np.uint8, count=length)
    within = np.bitwise_xor.accumulate(characters == ord('"'))
    ends = (characters == ord("\n")) & ~within
    return length - int(np.argmax(ends[::-1])) if ends.any() else 0


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
