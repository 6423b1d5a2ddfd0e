"""Parquet and Feather files, some rows at a time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

from gdconv.config.rules import typed
from gdconv.problems.table.files.blocks import Block, Piece
from gdconv.problems.table.files.parts import FEATHER, Part, arrow
from gdconv.problems.table.files.places import digest_of, is_elsewhere, readable, stream_of

# So many cells are read at a time.
CELLS = 2**22


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
