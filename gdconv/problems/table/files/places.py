"""Where the files of a table are: on this machine, or in a store that fsspec reaches."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import IO, Any

from gdconv.config.rules import ConfigError

NEEDS_FSSPEC = "needs the package fsspec: pip install 'gdconv[remote]', or pip install fsspec"
# What a file's entry in a store is called that changes with its content, the best first.
_STAMPS = (
    *("ETag", "etag", "md5Hash", "generation", "Content-MD5", "Digest"),
    *("LastModified", "last_modified", "Last-Modified", "updated", "mtime", "created"),
)
# So many bytes are fetched ahead of what is read: of a file that is read to its end, and else.
FAR, NEAR = 2**24, 2**18
# So many bytes are hashed at a time: few enough for memory that is used again and again.
PART = 2**18
# The path, a stamp such as its time, and the size of each file; as long as they stay the same, so
# does the table.
Version = tuple[str, int | str, int]
Versions = tuple[Version, ...]


def versions(paths: Sequence[str]) -> Versions:
    """Return which files some paths stand for: files, patterns, or folders of parts.

    Raises
    ------
    ConfigError
        If there is none, or one cannot be read.
    """
    found = [each for word in paths for each in _files(word)]
    return tuple(dict.fromkeys(found))


def version(path: str) -> Version:
    """Return the version of one file.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    with readable(path):
        if is_elsewhere(path):
            with _reached(path) as (store, name):
                return _entry(path, store.info(name))
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for a writer.
            raise OSError(0, "not a regular file")
        with open(path, "rb"):
            pass
    return path, status.st_mtime_ns, status.st_size


def is_elsewhere(path: str) -> bool:
    """Whether a path names a store, as s3:// does, and no file of this machine."""
    return bool(re.match(r"[A-Za-z][\w+.-]*://", path)) and not os.path.lexists(path)


def name_of(path: str) -> str:
    """Return a file's name without its folder, which is private, as is what follows a ? in URLs."""
    name = path.rpartition("/")[2]
    return name.partition("?")[0] if is_elsewhere(path) else name


def stream_of(path: str, ahead: int = NEAR) -> IO[bytes]:
    """Open a file to read its bytes.

    Parameters
    ----------
    ahead : int
        So many bytes more may be fetched from a store than are asked for.
    """
    if not is_elsewhere(path):
        return open(path, "rb")
    with _reached(path) as (store, name):
        stream: IO[bytes] = store.open(name, "rb", block_size=ahead)
        return stream


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn errors of reading a file into one that names it."""
    try:
        yield
    except (OSError, EOFError, UnicodeEncodeError, zlib.error, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        allowed = f"must be a readable file ({reason.lower()})"
        raise ConfigError("problem.path", path, allowed) from None


class Hashed(io.RawIOBase):
    """A file whose bytes are hashed, by a thread, as they are read into a buffer.

    Attributes
    ----------
    count : int
        How many bytes have been read.
    """

    def __init__(self, path: str) -> None:
        self.count = 0
        self._file: Any = stream_of(path, FAR)
        self._sha256 = hashlib.sha256()
        # So few parts need no memory to speak of, even if hashing is slower than reading.
        self._parts: Queue[bytes] = Queue(16)
        self._thread = Thread(target=self._hash, daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, and hash what was read."""
        part = memoryview(buffer)[:PART]
        count: int = self._file.readinto(part)
        self.count += count
        if count:
            self._parts.put(bytes(part[:count]))
        return count

    def close(self) -> None:
        """Close the file and wait for the thread."""
        if not self.closed:
            super().close()
            self._file.close()
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
    with readable(path), stream_of(path, FAR) as file:
        # A file of a store may lack what the types of file_digest ask for.
        anything: Any = file
        return hashlib.file_digest(anything, "sha256").hexdigest()


def _files(word: str) -> list[Version]:
    """The files that a path, a pattern or a folder stands for."""
    if re.fullmatch(r"<\w+ [0-9a-f]{8}>", word):
        reason = "was given from Python, and is run by run_study alone"
        raise ConfigError("problem.path", word, reason)
    if is_elsewhere(word):
        return _files_elsewhere(word)
    path = os.path.expanduser(word)
    if not os.path.lexists(path) and glob.has_magic(path):
        found = sorted(each for each in glob.glob(path, recursive=True) if os.path.isfile(each))
        return [version(each) for each in found or _refuse_none(word)]
    with readable(word):
        if not os.path.isdir(path):
            return [version(path)]
        names = sorted(os.listdir(path))
    files = [os.path.join(path, name) for name in names if not _is_beside(name)]
    files = [each for each in files if os.path.isfile(each)]
    return [version(each) for each in files or _refuse_empty(word)]


def _files_elsewhere(word: str) -> list[Version]:
    """The files of a store that a path, a pattern or a folder stands for.

    The entries of all files of a pattern or a folder come in one answer.
    """
    with readable(word), _reached(word) as (store, name):
        store.invalidate_cache()
        if glob.has_magic(name) and not store.exists(name):
            entries = store.glob(name, detail=True).values()
            found = [each for each in entries if each["type"] == "file"] or _refuse_none(word)
        else:
            entry = store.info(name)
            if entry["type"] != "directory":
                return [_entry(word, entry)]
            entries = store.ls(name, detail=True)
            parts = [each for each in entries if not _is_beside(name_of(each["name"]))]
            found = [each for each in parts if each["type"] == "file"] or _refuse_empty(word)
        by_name = {store.unstrip_protocol(each["name"]): each for each in found}
        return [_entry(path, by_name[path]) for path in sorted(by_name)]


def _entry(path: str, entry: dict[str, Any]) -> Version:
    """The version of a file from its entry in a store."""
    if entry["type"] == "directory":
        raise OSError(0, "not a regular file")
    if entry.get("size") is None:
        raise OSError(0, "its store does not tell its size")
    stamp = next((entry[each] for each in _STAMPS if entry.get(each)), "")
    # A store may write a time as a number in one answer, and not in the other.
    stamp = stamp.timestamp() if hasattr(stamp, "timestamp") else stamp
    return path, str(stamp), int(entry["size"])


@contextmanager
def _reached(path: str) -> Iterator[tuple[Any, str]]:
    """Return the store that a path names, and the path in it; turn its errors into usual ones."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        scheme = path.partition(":")[0]
        raise ConfigError(
            "problem.path", path, f"is at {scheme}://, which {NEEDS_FSSPEC}"
        ) from None
    try:
        store, name = url_to_fs(path)
        # Otherwise what it knew before would hide that a file was changed.
        store.invalidate_cache(name)
        yield store, name
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except ImportError as error:
        raise ConfigError("problem.path", path, f"needs one more package: {error}") from None
    except (OSError, MemoryError, ConfigError):
        raise
    except Exception as error:
        # Each store has exceptions of its own, such as for missing credentials.
        raise OSError(0, f"{type(error).__name__}: {error}") from None


def _is_beside(name: str) -> bool:
    """Whether a file is one that programs write beside parts, as _SUCCESS and .part.crc."""
    return not name or name[0] in "._"


def _refuse_none(word: str) -> Any:
    raise ConfigError("problem.path", word, "must match a file, but none does")


def _refuse_empty(word: str) -> Any:
    raise ConfigError("problem.path", word, "must be a folder with files, has none")
