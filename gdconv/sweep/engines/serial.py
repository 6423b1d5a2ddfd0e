"""The engine that runs everything in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gdconv.sweep.engines.pool import Engine, Job, Suspect, without_memory
from gdconv.sweep.engines.worker import import_group


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
