"""What works groups off, in general, and what its workers do.

Workers compute and return rows; they write nothing, so one that dies takes no more than its own
group with it.
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

from gdconv import scratch
from gdconv.keys import Section

# NumPy and SciPy are imported by what works: the command line starts its workers before it pays
# for its own copy.
if TYPE_CHECKING:
    from gdconv.runs import Group
    from gdconv.tables import Rows

    # A group whose rows could not be had, and why.
    Suspect = tuple[Group, str]

log = logging.getLogger("gdconv")

# After so long without a result it is looked whether there is anybody at work.
PATIENCE_SECONDS = 30


class Engine:
    """Works groups off; a context manager: entered, it is ready, left, all it started is gone."""

    def __init__(self, section: Section) -> None:
        self.section: Any = section
        self._workers = 1
        self._open = ExitStack()

    @property
    def workers(self) -> int:
        """How many groups are worked off at a time."""
        return self._workers

    def __enter__(self) -> Engine:
        """Get ready to work.

        Raises
        ------
        ConfigError
            If the engine cannot be had as it was asked for.
        """
        scratch.remove_left()
        return self

    def __exit__(self, *exception: Any) -> None:
        """End all that was started."""
        self._open.__exit__(*exception)

    def work_off(self, groups: Sequence[Group]) -> Iterator[Rows]:
        """Yield the rows of all groups, in any order.

        Groups for which memory does not suffice, or that are at work when a worker dies, are tried
        once more at the end, each alone. If that ends in the same way, it is the group that causes
        it, and its runs have failed.
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
        """Yield the rows of groups, and note those that cannot be had, with the reason."""
        raise NotImplementedError


def in_worker(function: Callable[[Group], Rows], group: Group) -> Rows:
    """Do a group's work in a worker, where BLAS has one thread."""
    _one_thread()
    return function(group)


class Pool(Engine):
    """An engine whose groups are worked off by other processes, one for each worker at a time."""

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
            # While these are stored, the workers are at the next ones.
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
        """Say what keeps the workers from working, if anything does."""

    def _submit(self, group: Group) -> Future[Rows]:
        try:
            return self.executor.submit(self.task, work, group)
        except self.died:
            self.mend()
            return self.executor.submit(self.task, work, group)


def work(group: Group) -> Rows:
    """Run one group; if it cannot be run, its rows say why and the sweep goes on.

    Raises
    ------
    MemoryError
        If memory does not suffice: it may, when the group is alone.
    """
    from gdconv.study import run_group
    from gdconv.tables import encode

    try:
        return encode(run_group(list(group.values()), list(group)))
    except MemoryError:
        raise
    except Exception as error:
        log.debug("group failed", exc_info=True)
        return _failed(group, f"{type(error).__name__}: {error}")


def without_memory(error: MemoryError) -> str:
    """Return the reason for which a group has no rows when memory did not suffice for it."""
    return f"memory did not suffice: {error}"


def _failed(group: Group, reason: str) -> Rows:
    from gdconv.provenance import without_home
    from gdconv.runs import failed_group
    from gdconv.tables import encode

    return encode(failed_group(list(group.values()), list(group), without_home(reason)))


def _result(future: Future[Rows]) -> Rows:
    try:
        return future.result()
    except CancelledError:
        raise ConnectionError("the Dask scheduler is gone") from None


@cache
def _one_thread() -> None:
    """Keep BLAS on one thread in this worker: two make small products several times slower."""
    import threadpoolctl

    import gdconv.study  # noqa: F401

    threadpoolctl.threadpool_limits(1)


def prepare(parent: int) -> None:
    """Make a process a worker, which ends when its parent does, however that ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _one_thread()


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, as they inherit it from this one.

    A terminal sends it to all of its processes, and only this one may act on it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
