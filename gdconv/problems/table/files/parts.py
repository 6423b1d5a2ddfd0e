"""The files of a table: which there are, of what kind each is, their bytes and their hash."""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from threading import Thread
from typing import IO, Any

from gdconv.config.rules import ConfigError

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
    modified, size : int
        The time and the size that it had when it was found.
    kind : str
        CSV, PARQUET or FEATHER.
    packing : str
        gzip, bzip2, xz or zstd; empty if it is not packed.
    head : bytes
        The first bytes, unpacked; empty unless it is CSV.
    """

    path: str
    modified: int
    size: int
    kind: str
    packing: str
    head: bytes

    @property
    def name(self) -> str:
        """The file's name without its folder, which is private."""
        return os.path.basename(self.path)

    def refused(self, reason: str) -> ConfigError:
        """Return the error for a file that cannot be used."""
        return ConfigError("problem.path", self.path, reason)

    def refuse_changed(self) -> None:
        """Raise ConfigError if the file is not what it was when it was found."""
        if _version(self.path) != (self.path, self.modified, self.size):
            raise self.refused(CHANGED)


CHANGED = "was changed since it was looked at"
# Path, time and size of each file; as long as they stay the same, so does the table.
Versions = tuple[tuple[str, int, int], ...]


def versions(paths: Sequence[str]) -> Versions:
    """Return which files some paths stand for: files, patterns, or folders of parts.

    Raises
    ------
    ConfigError
        If there is none, or one cannot be read.
    """
    found = [_version(path) for word in paths for path in _files(word)]
    return tuple(dict.fromkeys(found))


def part(path: str, modified: int, size: int) -> Part:
    """Look into a file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is a file of another kind.
    """
    with readable(path):
        with open(path, "rb") as file:
            first = file.read(16)
        packing = next((name for magic, name in _PACKED.items() if first.startswith(magic)), "")
        with open(path, "rb") as file, unpacked(file, packing, path) as stream:
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
def readable(path: str) -> Iterator[None]:
    """Turn errors of reading a file into one that names it."""
    try:
        yield
    except (OSError, EOFError, UnicodeEncodeError, zlib.error, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        allowed = f"must be a readable file ({reason.lower()})"
        raise ConfigError("problem.path", path, allowed) from None


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
    with open(part.path, "rb") as file, unpacked(file, part.packing, part.path) as stream:
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


class Hashed(io.FileIO):
    """A file whose bytes are hashed, by a thread, as they are read into a buffer."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._sha256 = hashlib.sha256()
        # So few that they need no memory to speak of, even if hashing is slower than reading.
        self._parts: Queue[bytes] = Queue(16)
        self._thread = Thread(target=self._hash, daemon=True)
        self._thread.start()

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, and hash what was read."""
        count = super().readinto(buffer)
        if count:
            self._parts.put(bytes(memoryview(buffer)[:count]))
        return count

    def close(self) -> None:
        """Close the file and wait for the thread."""
        if not self.closed:
            super().close()
            self._parts.put(b"")
            self._thread.join()

    def hexdigest(self) -> str:
        """Return the SHA-256 of what was read until the file was closed."""
        return self._sha256.hexdigest()

    def _hash(self) -> None:
        while part := self._parts.get():
            self._sha256.update(part)


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, in hex digits."""
    with readable(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def together(digests: Sequence[str]) -> str:
    """Return the hash of a table from those of its parts; of one part, the part's own."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _files(word: str) -> list[str]:
    """The files that a path, a pattern or a folder stands for."""
    path = os.path.expanduser(word)
    if re.fullmatch(r"<\w+ [0-9a-f]{8}>", word):
        reason = "was given from Python, and is run by run_study alone"
        raise ConfigError("problem.path", word, reason)
    if not os.path.lexists(path) and glob.has_magic(path):
        found = sorted(each for each in glob.glob(path, recursive=True) if os.path.isfile(each))
        if not found:
            raise ConfigError("problem.path", word, "must match a file, but none does")
        return found
    with readable(word):
        if not os.path.isdir(path):
            return [path]
        names = sorted(os.listdir(path))
    # Programs that write parts leave files such as _SUCCESS and .part.crc beside them.
    files = [os.path.join(path, name) for name in names if name[0] not in "._"]
    files = [each for each in files if os.path.isfile(each)]
    if not files:
        raise ConfigError("problem.path", word, "must be a folder with files, has none")
    return files


def _version(path: str) -> tuple[str, int, int]:
    with readable(path):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for a writer.
            raise OSError(0, "not a regular file")
        with open(path, "rb"):
            pass
    return path, status.st_mtime_ns, status.st_size


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
