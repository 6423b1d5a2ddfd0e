"""The engine of processes on this machine, which loky manages.

A process of loky starts by itself, and imports NumPy, SciPy and gdconv: half a second of a
processor each. Those of a command are copies of one process that has imported them. They start in
milliseconds, however many they are, and share its memory.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import BaseContext, ForkServerProcess
from multiprocessing.util import Finalize, get_temp_dir
from types import ModuleType
from typing import Any

from gdconv.sweep.engines import scratch
from gdconv.sweep.engines.pool import Engine, Pool
from gdconv.sweep.engines.worker import prepare
from nnlib.terminal import ignoring_interrupts, interrupts_later

log = logging.getLogger("gdconv")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Modules are not looked for in the folder in which the user stands, as in a command.
FOR_WORKERS = ONE_THREAD | {"PYTHONSAFEPATH": "1"}
# What the process to copy imports.
READY = "gdconv.sweep.engines.ready"
# `multiprocessing` removes its own folder at -100, and prints a traceback if that is gone. The one
# around it goes after that.
BEFORE, AFTER = -99, -200
# The libraries of other systems may not be used in copies of a process.
CAN_COPY = sys.platform == "linux"


@cache
def start_original() -> None:
    """Start the process that the workers of this program will be copies of, where it is possible.

    It ends with this program. Only a command should call this: in a session of Python, modules or
    the environment may change later, and the copies would not know.
    """
    _commanded.set()
    if not CAN_COPY:
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload([READY])
    before, opened = tempfile.tempdir, ExitStack()
    # Its socket is in there. What a kill leaves is removed by the next command.
    tempfile.tempdir = str(opened.enter_context(scratch.scratch()))
    Finalize(None, opened.close, exitpriority=AFTER)
    try:
        Finalize(None, _make_folder, [get_temp_dir()], exitpriority=BEFORE)
        with ignoring_interrupts(), _environment(FOR_WORKERS):
            forkserver.ensure_running()
    except OSError as error:
        # The name of its socket is too long if that of the temporary folder is.
        log.debug("workers are no copies: %s", error)
    else:
        _copying.set()
    finally:
        tempfile.tempdir = before


def _make_folder(folder: str) -> None:
    """Make the folder of `multiprocessing` again if somebody has cleaned up temporary files."""
    with suppress(OSError):
        os.makedirs(folder, exist_ok=True)


_commanded, _copying = threading.Event(), threading.Event()


class Processes(Pool):
    """Processes on this machine, managed by loky."""

    died = BrokenExecutor
    executor: Any = None

    def __enter__(self) -> Engine:
        """Start the processes."""
        super().__enter__()
        from loky import cpu_count

        self._workers = self.section.workers or cpu_count()
        with ExitStack() as opened:
            # If this command is killed, the name tells the next one which semaphores to remove.
            opened.enter_context(scratch.scratch())
            opened.callback(self._end)
            self.mend()
            self._open = opened.pop_all()
        return self

    def _end(self) -> None:
        if self.executor is not None:
            self.executor.shutdown(wait=True, kill_workers=True)

    def mend(self) -> None:
        """Start a new executor; the old one cannot be used after a worker has died."""
        if _copying.is_set():
            try:
                # If it has died, it is started again.
                with ignoring_interrupts(), _environment(FOR_WORKERS):
                    forkserver.ensure_running()
                # It may not be ready yet. Meanwhile a Ctrl-C must not be lost.
                with interrupts_later():
                    self._start(context=_copies(), initargs=[None])
                return
            except (OSError, EOFError) as error:
                # The original is gone, or its socket is.
                log.debug("workers are no copies: %s", error)
                _copying.clear()
        with ignoring_interrupts():
            self._start(env=ONE_THREAD, initargs=[os.getpid()])

    def _start(self, **how: Any) -> None:
        from loky import ProcessPoolExecutor

        # loky also starts a process that removes semaphores.
        # In a session of Python, other threads may use the environment meanwhile.
        with _environment(FOR_WORKERS if _commanded.is_set() else {}):
            self.executor = ProcessPoolExecutor(self.workers, initializer=prepare, **how)
            self.executor.submit(int)


class Copy(ForkServerProcess):
    """A worker that is a copy; like a process of loky, it does not run the user's script again."""

    @staticmethod
    def _Popen(process: Any) -> Any:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process)
        finally:
            sys.modules["__main__"] = script


def _copies() -> BaseContext:
    """Return how loky starts processes, with copies instead."""
    from loky.backend.context import LokyContext

    class Copies(LokyContext):  # type: ignore[misc]
        Process = Copy

    return Copies()


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
