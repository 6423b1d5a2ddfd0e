"""What all engines share, and what their workers do.

Workers compute and return rows, and write nothing. So a worker that dies loses only the group that
it was running.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from gdconv.config.rules import Section
from gdconv.sweep import scratch

# Only the workers import NumPy and SciPy at once, because the command line starts them before it
# imports its own copy.
if TYPE_CHECKING:
    from gdconv.experiment.identity import Group
    from gdconv.tables.csv import Rows

    # A group that has no rows, and why.
    Suspect = tuple[Group, str]

log = logging.getLogger("gdconv")

# After so long without a result, the engine checks whether any worker is left.
PATIENCE_SECONDS = 30
_IMPORTING = threading.Lock()


class Engine:
    """Runs groups. A context manager, which ends everything that it has started when it is left."""

    def __init__(self, section: Section) -> None:
        self.section: Any = section
        self._workers = 1
        self._open = ExitStack()

    @property
    def workers(self) -> int:
        """How many groups are run at a time."""
        return self._workers

    def __enter__(self) -> Engine:
        """Get ready to work.

        Raises
        ------
        ConfigError
            If the engine cannot be started as it was configured.
        """
        scratch.remove_left()
        return self

    def __exit__(self, *exception: Any) -> None:
        """End all that was started."""
        self._open.__exit__(*exception)

    def work_off(self, groups: Sequence[Group]) -> Iterator[Rows]:
        """Yield the rows of all groups, in any order.

        A group that runs out of memory, or is running when a worker dies, is tried once more at the
        end, alone. If it fails again, the group itself is the cause, and its runs have failed.
        """
        suspects: list[Suspect] = []
        yield from self._try(groups, suspects)
        for group, reason in suspects:
            log.warning("%d runs are tried again, alone: %s", len(group), reason)
            guilty: list[Suspect] = []
            yield from self._try([group], guilty)
            for _, reason in guilty:
                yield _failed(group, f"tried twice: {reason}")

    def _try(self, groups: Sequence[Group], suspects: list[Suspect]) -> Iterator[Rows]:
        """Yield the rows of groups; add groups without rows to the suspects, with the reason."""
        raise NotImplementedError


def in_worker(function: Callable[[Group], Rows], group: Group) -> Rows:
    """Do a group's work in a worker, where BLAS has one thread."""
    _one_thread()
    return function(group)


class Pool(Engine):
    """An engine whose groups are run by other processes, one group at a time in each."""

    executor: Any
    # What a group's future raises when its worker has died.
    died: type[Exception]
    # What a worker does with a function and a group.
    task: Callable[[Callable[[Group], Rows], Group], Rows] = staticmethod(in_worker)

    def _try(self, groups: Sequence[Group], suspects: list[Suspect]) -> Iterator[Rows]:
        waiting = deque(groups)
        working: dict[Future[Rows], tuple[Group, Executor]] = {}
        finished: list[Rows] = []
        while waiting or working or finished:
            while waiting and len(working) < self.workers:
                group = waiting.popleft()
                working[self._submit(group)] = group, self.executor
            # The workers run the next groups while these are stored.
            yield from finished
            finished = []
            done = wait(working, PATIENCE_SECONDS, FIRST_COMPLETED).done
            if working and not done:
                self.look()
            for future in done:
                group, executor = working.pop(future)
                try:
                    finished.append(_result(future))
                except MemoryError as error:
                    suspects.append((group, without_memory(error)))
                except self.died:
                    reason = "the worker process died; was there memory enough?"
                    suspects.append((group, reason))
                    if executor is self.executor:
                        self.mend()

    def mend(self) -> None:
        """Make the executor usable again after a worker has died."""

    def look(self) -> None:
        """Warn if something keeps the workers from working."""

    def _submit(self, group: Group) -> Future[Rows]:
        try:
            return self.executor.submit(self.task, work, group)
        except self.died:
            self.mend()
            return self.executor.submit(self.task, work, group)


def work(group: Group) -> Rows:
    """Run one group; if it cannot be run, its rows say why and the sweep continues.

    Raises
    ------
    MemoryError
        If memory does not suffice; it may suffice when the group is run alone.
    """
    from gdconv.experiment.group import run_group
    from gdconv.tables.csv import encode

    try:
        return encode(run_group(list(group.values()), list(group)))
    except MemoryError:
        raise
    except Exception as error:
        log.debug("group failed", exc_info=True)
        return _failed(group, f"{type(error).__name__}: {error}")


def without_memory(error: MemoryError) -> str:
    """Return the text that says why a group without enough memory has no rows."""
    return f"memory did not suffice: {error}"


def _failed(group: Group, reason: str) -> Rows:
    from gdconv.experiment.identity import failed_group
    from gdconv.sweep.provenance import without_home
    from gdconv.tables.csv import encode

    return encode(failed_group(list(group.values()), list(group), without_home(reason)))


def _result(future: Future[Rows]) -> Rows:
    try:
        return future.result()
    except CancelledError:
        raise ConnectionError("the Dask scheduler is gone") from None


def import_group() -> None:
    """Import what runs a group, and leave out parts of NumPy that SciPy would import for nothing.

    SciPy copies all names of NumPy. That imports even the tools for tests and for Fortran, which
    takes a third of SciPy's time. If a program asks for these parts, they are imported then.
    """
    import numpy as np

    # Another thread must not take the shorter list for NumPy's own.
    with _IMPORTING:
        names: list[str] = np.__all__
        parts: set[str] = getattr(np, "__numpy_submodules__", set())
        left_out = parts & {"f2py", "testing", "polynomial"}
        np.__all__ = [name for name in names if name not in left_out]
        parts -= left_out
        try:
            import gdconv.experiment.group  # noqa: F401
        finally:
            np.__all__ = names
            parts |= left_out


@cache
def _one_thread() -> None:
    """Keep BLAS on one thread in this worker: two make small products several times slower."""
    import threadpoolctl

    import_group()
    threadpoolctl.threadpool_limits(1)


def prepare(parent: int) -> None:
    """Make a process a worker, which ends when its parent ends, even if that is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _one_thread()


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while processes are started, so that they inherit this and ignore it too.

    A terminal sends Ctrl-C to all of its processes, but only this one may react to it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
