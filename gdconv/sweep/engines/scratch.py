"""A temporary folder for each command; the next command removes one that a kill has left."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

# loky's semaphores are files in this folder, with the number of their process in the name.
SEMAPHORES = Path("/dev/shm")
_NAME = re.compile(r"\.gdconv-(\d{1,9})-\w{8}")


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a private temporary folder with this process's number in its name; finally remove it."""
    owner = os.getpid()
    folder = Path(mkdtemp(prefix=f".gdconv-{owner}-"))
    held = _hold(folder)
    try:
        yield folder
    finally:
        # A process that was forked meanwhile may get here when it clears its memory.
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def remove_left() -> None:
    """Remove the folders that killed commands of this user have left, and loky's semaphores."""
    for folder in Path(gettempdir()).glob(".gdconv-*"):
        name = _NAME.fullmatch(folder.name)
        if name is None or _is_running(int(name[1])) or (held := _hold(folder)) is None:
            continue
        for semaphore in SEMAPHORES.glob(f"sem.loky-{name[1]}-*"):
            semaphore.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _hold(folder: Path) -> int | None:
    """Lock a folder until this process ends; None if another holds it, or it is another user's.

    A process in another container may have the same number, but it holds its lock.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    with suppress(OSError):
        if os.fstat(held).st_uid == os.geteuid():
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
    os.close(held)
    return None
