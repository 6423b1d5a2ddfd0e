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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.config.rules import Section
from gdconv.sweep import scratch

# Only the workers import NumPy and SciPy at once, because the command line starts them before it
# imports its own copy.
if TYPE_CHECKING:
    import numpy as np

    from gdconv.experiment.identity import Group
    from gdconv.tables.csv import Rows

    # An item that has no result, and why.
    Suspect = tuple[Any, str]

log = logging.getLogger("gdconv")

# After so long without a result, the engine checks whether any worker is left.
PATIENCE_SECONDS = 30
_IMPORTING = threading.Lock()


@dataclass(frozen=True)
class Job:
    """What workers do with each of some items, as the groups of a sweep.

    Attributes
    ----------
    run : callable
        From an item to its result.
    failed : callable
        From an item that cannot be run, and the reason, to what takes the place of its result.
    named : callable
        From an item to what it is called in messages.
    """

    run: Callable[[Any], Any]
    failed: Callable[[Any, str], Any]
    named: Callable[[Any], str]


class Engine:
    """Runs jobs. A context manager, which ends everything that it has started when it is left."""

    def __init__(self, section: Section) -> None:
        self.section: Any = section
        self._workers = 1
        self._open = ExitStack()

    @property
    def workers(self) -> int:
        """How many items are run at a time."""
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

    def work_off(self, items: Iterable[Any], job: Job) -> Iterator[Any]:
        """Yield the results of all items, in any order.

        An item that runs out of memory, or is running when a worker dies, is tried once more at the
        end, alone. If it fails again, the item itself is the cause, and it has failed.
        """
        suspects: list[Suspect] = []
        yield from self._try(items, job, suspects)
        for item, reason in suspects:
            log.warning("%s are tried again, alone: %s", job.named(item), reason)
            guilty: list[Suspect] = []
            yield from self._try([item], job, guilty)
            for _, reason in guilty:
                yield job.failed(item, f"tried twice: {reason}")

    def _try(self, items: Iterable[Any], job: Job, suspects: list[Suspect]) -> Iterator[Any]:
        """Yield results of items; add those without a result to the suspects, with the reason."""
        raise NotImplementedError


def in_worker(function: Callable[[Any], Any], item: Any) -> Any:
    """Do an item's work in a worker, where BLAS has one thread."""
    _one_thread()
    return function(item)


class Pool(Engine):
    """An engine whose items are run by other processes, one item at a time in each."""

    executor: Any
    # What an item's future raises when its worker has died.
    died: type[Exception]
    # What a worker does with a function and an item.
    task: Callable[[Callable[[Any], Any], Any], Any] = staticmethod(in_worker)

    def _try(self, items: Iterable[Any], job: Job, suspects: list[Suspect]) -> Iterator[Any]:
        waiting = deque(items)
        working: dict[Future[Any], tuple[Any, Executor]] = {}
        finished: list[Any] = []
        while waiting or working or finished:
            while waiting and len(working) < self.workers:
                item = waiting.popleft()
                working[self._submit(job, item)] = item, self.executor
            # The workers run the next items while these are stored.
            yield from finished
            finished = []
            done = wait(working, PATIENCE_SECONDS, FIRST_COMPLETED).done
            if working and not done:
                self.look()
            for future in done:
                item, executor = working.pop(future)
                try:
                    finished.append(_result(future))
                except MemoryError as error:
                    suspects.append((item, without_memory(error)))
                except self.died:
                    reason = "the worker process died; was there memory enough?"
                    suspects.append((item, reason))
                    if executor is self.executor:
                        self.mend()

    def mend(self) -> None:
        """Make the executor usable again after a worker has died."""

    def look(self) -> None:
        """Warn if something keeps the workers from working."""

    def _submit(self, job: Job, item: Any) -> Future[Any]:
        try:
            return self.executor.submit(self.task, job.run, item)
        except self.died:
            self.mend()
            return self.executor.submit(self.task, job.run, item)


class Task(NamedTuple):
    """A group; if its problem has too many rows for one block, also what is known of them.

    Attributes
    ----------
    triangle : ndarray or None
        That of all rows.
    known : object
        See `families.known`.
    """

    group: Group
    triangle: np.ndarray | None = None
    known: Any = None


def work(task: Task) -> Rows:
    """Run one group; if it cannot be run, its rows say why and the sweep continues.

    Raises
    ------
    MemoryError
        If memory does not suffice; it may suffice when the group is run alone.
    """
    from gdconv.experiment.group import run_group
    from gdconv.problems.families import remembered
    from gdconv.tables.csv import encode

    group = task.group
    try:
        with remembered(next(iter(group.values())).problem, task.known):
            return encode(run_group(list(group.values()), list(group), task.triangle))
    except MemoryError:
        raise
    except Exception as error:
        log.debug("group failed", exc_info=True)
        return failed(task, f"{type(error).__name__}: {error}")


def without_memory(error: MemoryError) -> str:
    """Return the text that says why a group without enough memory has no rows."""
    return f"memory did not suffice: {error}"


def failed(task: Task, reason: str) -> Rows:
    """Return the rows of a group that cannot be run."""
    from gdconv.experiment.identity import failed_group
    from gdconv.sweep.provenance import without_home
    from gdconv.tables.csv import encode

    group = task.group
    return encode(failed_group(list(group.values()), list(group), without_home(reason)))


def of_groups() -> Job:
    """Return the job whose items are tasks and whose results are rows."""
    return Job(work, failed, lambda task: f"{len(task.group)} runs")


def _result(future: Future[Any]) -> Any:
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
