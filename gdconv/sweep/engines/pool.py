"""What all engines share: a job is done for each of some items, and its results are returned.

Workers compute and return rows, and write nothing. So a worker that dies loses only the item that
it was working on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from gdconv.config.rules import Section
from gdconv.sweep.engines import scratch
from gdconv.sweep.engines.worker import in_worker

# An item that has no result, and why.
Suspect = tuple[Any, str]

log = logging.getLogger("gdconv")

# After so long without a result, the engine checks whether any worker is left.
PATIENCE_SECONDS = 30


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


def without_memory(error: MemoryError) -> str:
    """Return the text that says why a group without enough memory has no rows."""
    return f"memory did not suffice: {error}"


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except CancelledError:
        raise ConnectionError("the Dask scheduler is gone") from None
