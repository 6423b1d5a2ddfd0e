"""The lock of a study's folder: one process writes it at a time."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gdconv.tables import disk

NAME = ".lock"


class BusyError(Exception):
    """Another process holds the folder; the message says which one, if that is known."""


@contextmanager
def held(folder: Path) -> Iterator[IO[bytes]]:
    """Make a folder if it is missing, and hold it; at the end it is removed if it is empty.

    Yields
    ------
    file
        The lock file, which says who holds the folder.

    Raises
    ------
    BusyError
        If another process holds it.
    OSError
        If the folder or the file cannot be made, or is not a regular file (see `disk.check`).
    """
    # Both are locked: somebody may remove the file by mistake, and another process make it anew.
    with _held_folder(folder), _held_file(folder / NAME) as file:
        yield file


@contextmanager
def _held_folder(folder: Path) -> Iterator[None]:
    while True:
        disk.make_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(_holder(folder / NAME)) from None
            except OSError:
                # NFS can lock only files; there the lock file has to be enough.
                pass
            # The previous holder may have removed the folder between our open and our lock.
            if disk.is_at(descriptor, folder.resolve()):
                try:
                    yield
                finally:
                    with suppress(OSError):
                        folder.rmdir()
                return
        finally:
            os.close(descriptor)


@contextmanager
def _held_file(path: Path) -> Iterator[IO[bytes]]:
    while True:
        with disk.open_file(path, "a+b") as file:
            try:
                with disk.named(path):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(_holder(path)) from None
            # The previous holder may have removed the file between our open and our lock.
            if disk.is_at(file.fileno(), path):
                now = datetime.now(UTC).isoformat(timespec="seconds")
                holder = f"process {os.getpid()} on {socket.gethostname()} since {now}\n"
                try:
                    file.truncate(0)
                    file.write(holder.encode())
                    file.flush()
                    yield file
                finally:
                    if disk.is_at(file.fileno(), path):
                        path.unlink()
                return


def _holder(path: Path) -> str:
    try:
        text = disk.read_bytes(path).decode(errors="replace").strip()
    except FileNotFoundError:
        text = ""
    return text or "another process"
