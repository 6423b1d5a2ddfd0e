"""The job of a sweep: from a group of runs to the rows of its tables."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.sweep.engines.pool import Job

# What runs a group is imported by the process that runs one.
if TYPE_CHECKING:
    import numpy as np

    from gdconv.experiment.identity import Group
    from gdconv.tables.csv import Rows

log = logging.getLogger("gdconv")


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
