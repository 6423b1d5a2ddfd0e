"""The files of a table: of what kind each is, and its bytes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from gdconv.config.rules import ConfigError
from gdconv.problems.table.files.places import (
    FAR,
    NEAR,
    name_of,
    readable,
    stream_of,
    version,
)

CSV, PARQUET, FEATHER = "CSV", "Parquet", "Feather"
# How much of a file is looked at to find out how it is written, after unpacking.
HEAD = 2**16
NEEDS_PYARROW = "needs the package pyarrow: pip install 'gdconv[parquet]', or pip install pyarrow"


@dataclass(frozen=True)
class Part:
    """One file of a table.

    Attributes
    ----------
    path : str
    modified : int or str
        The time that it had when it was found, or a stamp of the store that it is in.
    size : int
    kind : str
        CSV, PARQUET or FEATHER.
    packing : str
        gzip, bzip2, xz or zstd; empty if it is not packed.
    head : bytes
        The first bytes, unpacked; empty unless it is CSV.
    """

    path: str
    modified: int | str
    size: int
    kind: str
    packing: str
    head: bytes

    @property
    def name(self) -> str:
        """The file's name without its folder, which is private."""
        return name_of(self.path)

    def refused(self, reason: str) -> ConfigError:
        """Return the error for a file that cannot be used."""
        return ConfigError("problem.path", self.path, reason)

    def refuse_changed(self) -> None:
        """Raise ConfigError if the file is not what it was when it was found."""
        if version(self.path) != (self.path, self.modified, self.size):
            raise self.refused(CHANGED)


CHANGED = "was changed since it was looked at"


def part(path: str, modified: int | str, size: int) -> Part:
    """Look into a file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is a file of another kind.
    """
    with readable(path), stream_of(path) as file:
        first = file.read(16)
        packing = next((name for magic, name in _PACKED.items() if first.startswith(magic)), "")
        file.seek(0)
        with unpacked(file, packing, path) as stream:
            head = stream.read(HEAD)
    for magic, kind in _ARROW.items():
        if head.startswith(magic):
            if packing:
                reason = f"must not be packed by {packing}, because it is a {kind} file: unpack it"
                raise ConfigError("problem.path", path, reason)
            return Part(path, modified, size, kind, packing, b"")
    for magic, (what, advice) in _OTHERS.items():
        if head.startswith(magic):
            reason = f"must be CSV in UTF-8, Parquet or Feather, is {what}: {advice}"
            raise ConfigError("problem.path", path, reason)
    return Part(path, modified, size, CSV, packing, head)


@contextmanager
def unpacked(file: Any, packing: str, path: str) -> Iterator[IO[bytes]]:
    """Return a stream of the unpacked bytes of an open file."""
    if packing == "zstd":
        pyarrow = arrow(path, "is packed by zstd, which")
        with pyarrow.CompressedInputStream(pyarrow.PythonFile(file, mode="r"), "zstd") as stream:
            yield io.BufferedReader(stream)
        return
    yield _OPENERS[packing](file) if packing else file


@contextmanager
def opened(part: Part) -> Iterator[IO[bytes]]:
    """Return a stream of the unpacked bytes of a part."""
    # What is packed is read from its beginning.
    ahead = FAR if part.packing else NEAR
    with stream_of(part.path, ahead) as file, unpacked(file, part.packing, part.path) as stream:
        yield stream


def arrow(path: str, what: str = "") -> Any:
    """Return the package pyarrow.

    Raises
    ------
    ConfigError
        If it is not installed; `what` begins the sentence that says so.
    """
    try:
        import pyarrow
    except ImportError:
        raise ConfigError("problem.path", path, f"{what} {NEEDS_PYARROW}") from None
    return pyarrow


def together(digests: Sequence[str]) -> str:
    """Return the hash of a table from those of its parts; of one part, the part's own."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_OPENERS: dict[str, Any] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}
_ARROW = {b"PAR1\x15": PARQUET, b"ARROW1\0\0": FEATHER}
_OTHERS = {
    b"PK\x03\x04": ("a ZIP archive or an Excel sheet", "take the CSV out or save it as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel sheet", "save it as CSV"),
    b"\xff\xfe": ("in UTF-16 or UTF-32", "save it in UTF-8"),
    b"\xfe\xff": ("in UTF-16 or UTF-32", "save it in UTF-8"),
    b"FEA1": ("a Feather file of version 1", "write it anew with pandas.DataFrame.to_feather"),
}
