"""Files of a study on the disk: only regular files are read, and files are replaced as a whole.

Links are not followed, since they could lead out of the study. Pipes are not opened, since that
could wait for ever.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, BufferedReader, BufferedWriter, FileIO
from pathlib import Path
from typing import IO, Any

from gdconv.config.rules import on_one_line


class NotAFileError(OSError):
    """A path leads to something else than a regular file; strerror says what."""


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an error the name of the file: by itself only that of opening a file has it."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def told(error: OSError) -> str:
    """Return, in a line, which file an error is about and what it is."""
    # Of a file that could not be put in its place, the place is what one knows.
    name = error.filename2 or error.filename
    return on_one_line(f"{os.fspath(name)}: {error.strerror}" if name else str(error))


def check(path: Path) -> None:
    """Refuse a path that exists and is not a regular file.

    Raises
    ------
    NotAFileError
    """
    with suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            what = "is a symbolic link" if stat.S_ISLNK(mode) else "is not a regular file"
            raise NotAFileError(errno.EINVAL, what, str(path))


def open_file(path: Path, mode: str) -> IO[bytes]:
    """Open a regular file in a binary mode; raises as `check`.

    Errors of reading and writing it, up to its closing, have its name.
    """
    raw = _File(path, mode, opener=_opened)
    if "+" in mode:
        return BufferedRandom(raw)
    return BufferedReader(raw) if "r" in mode else BufferedWriter(raw)


def sync(file: IO[bytes]) -> None:
    """Have what was written to a file survive a power failure."""
    file.flush()
    with named(Path(file.name)):
        os.fsync(file.fileno())


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file; raises as `check`."""
    with open_file(path, "rb") as file:
        return file.read()


def checksum(path: Path) -> str:
    """Return the SHA-256 of a regular file in hexadecimal; raises as `check`."""
    with open_file(path, "rb") as file:
        found: str = digest(file).hexdigest()
        return found


def digest(file: Any) -> Any:
    """Return the SHA-256 of all that an open file holds, as an object of hashlib."""
    # What has been read before may have changed since.
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, "sha256")


def replace(path: Path, parts: Iterable[bytes]) -> str:
    """Write a file as a whole and return its SHA-256.

    At any moment, even after a power failure, the path has either the old content or the new one;
    after the next `sync_folder` it has the new one. If writing fails, the part that was written is
    removed.

    Raises
    ------
    OSError
        If the path or the one of the temporary file is refused (see `check`), or writing fails.
    """
    check(path)
    temporary, digest = _temporary(path), hashlib.sha256()
    with _held(temporary) as file:
        try:
            for part in parts:
                digest.update(part)
                file.write(part)
            sync(file)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return digest.hexdigest()


def remove_temporary(path: Path) -> None:
    """Remove the temporary file of a killed `replace` of this path; raises as `check`."""
    temporary = _temporary(path)
    # A file that another process is still writing is locked, and stays.
    with suppress(FileNotFoundError, BlockingIOError), open_file(temporary, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        temporary.unlink()


def make_folder(path: Path) -> None:
    """Make a folder, and its parents, if they are missing."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure, as fsync does for a file's content."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with named(path):
            os.fsync(folder)
    except OSError as error:
        # Some network file systems allow this only for files.
        if error.errno not in (errno.EINVAL, errno.EBADF):
            raise
    finally:
        os.close(folder)


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to the file or folder that is open as a descriptor."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


class _File(FileIO):
    """A file whose errors have its name."""

    def readinto(self, buffer: Any) -> int:
        with named(Path(self.name)):
            return FileIO.readinto(self, buffer)

    def readall(self) -> bytes:
        with named(Path(self.name)):
            return FileIO.readall(self)

    def write(self, data: Any) -> int:
        with named(Path(self.name)):
            return FileIO.write(self, data)

    def truncate(self, size: int | None = None) -> int:
        with named(Path(self.name)):
            return FileIO.truncate(self, size)


def _opened(name: str, flags: int) -> int:
    check(Path(name))
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def _held(path: Path) -> Iterator[IO[bytes]]:
    """An empty file that is locked, so that no other process writes to it."""
    while True:
        with open_file(path, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # If not, the previous holder has renamed or removed the file.
            if is_at(file.fileno(), path):
                file.truncate(0)
                yield file
                return
