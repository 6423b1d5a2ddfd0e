"""How the groups of runs are executed: by this process, by several, or by a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any

from gdconv.config.rules import Section
from gdconv.sweep import scratch
from gdconv.sweep.cluster import Cluster
from gdconv.sweep.pool import (
    Engine,
    Job,
    Pool,
    ignoring_interrupts,
    import_group,
    prepare,
    without_memory,
)

if TYPE_CHECKING:
    from gdconv.sweep.pool import Suspect


class Serial(Engine):
    """This process runs the items, one after the other."""

    def work_off(self, items: Iterable[Any], job: Job) -> Iterator[Any]:
        """Yield the results of all items, in their order; see `Engine.work_off`."""
        import threadpoolctl

        # Only a BLAS that is loaded can be limited. Afterwards the caller's setting is restored.
        import_group()
        with threadpoolctl.threadpool_limits(1):
            yield from super().work_off(items, job)

    def _try(self, items: Iterable[Any], job: Job, suspects: list[Suspect]) -> Iterator[Any]:
        for item in items:
            try:
                result = job.run(item)
            except MemoryError as error:
                suspects.append((item, without_memory(error)))
            else:
                yield result


class Processes(Pool):
    """Processes on this machine, managed by loky."""

    died = BrokenExecutor

    def __enter__(self) -> Engine:
        """Start the processes."""
        super().__enter__()
        from loky import cpu_count

        self._workers = self.section.workers or cpu_count()
        # If this command is killed, the name tells the next one which semaphores to remove.
        self._open.enter_context(scratch.scratch())
        self._open.callback(lambda: self.executor.shutdown(wait=True, kill_workers=True))
        self.mend()
        return self

    def mend(self) -> None:
        """Start a new executor; the old one cannot be used after a worker has died."""
        from loky import ProcessPoolExecutor

        self.executor = ProcessPoolExecutor(
            self.workers, initializer=prepare, initargs=(os.getpid(),), env=ONE_THREAD
        )
        with ignoring_interrupts():
            self.executor.submit(int)


ENGINES = {"serial": Serial, "processes": Processes, "dask": Cluster}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def engine(section: Section) -> Engine:
    """Return the engine of a configuration, not yet entered."""
    return ENGINES[section.name](section)
