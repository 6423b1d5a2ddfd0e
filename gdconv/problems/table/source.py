"""The files of a table, opened far enough to know their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gdconv.config.problems import Columns
from gdconv.problems.table.files import dialect as dialects
from gdconv.problems.table.files import parts
from gdconv.problems.table.files.arrow import ArrowFile
from gdconv.problems.table.files.blocks import Block, File, refuse_other_names
from gdconv.problems.table.files.held import Held, HeldFile
from gdconv.problems.table.files.text import TextFile


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
