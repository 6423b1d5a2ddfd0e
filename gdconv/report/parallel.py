"""Tasks that several processes share: each takes the next one until none is left."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import current_process, get_context
from typing import Any


def results(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return what each task returns, in the order of the tasks.

    On Linux one process for each core takes part. They are forks of this one, so they start in
    milliseconds and have all that it has imported and read. Elsewhere, and with a single core, this
    process does everything.

    Parameters
    ----------
    tasks : sequence of callable
        At most 256. They return what can be pickled, and change nothing: a task may be begun
        twice, and a process that does it may be killed.

    Raises
    ------
    Exception
        What a task raises.
    """
    waiting, numbers = os.pipe()
    os.write(numbers, bytes(range(len(tasks))))
    os.close(numbers)
    found: dict[int, Any] = {}
    helpers: list[tuple[Any, Any]] = []
    try:
        # If the system allows no more processes, the others do the work.
        with suppress(OSError):
            for _ in range(_number_of_helpers(len(tasks))):
                helpers.append(_start(tasks, waiting))
        found |= _done(tasks, waiting)
        for _, answers in helpers:
            with suppress(EOFError):
                found |= answers.recv()
    finally:
        for helper, answers in helpers:
            helper.kill()
            helper.join()
            answers.close()
        os.close(waiting)
    # A helper returns nothing if it was killed, or if a task failed, which then fails here as well.
    return [found[k] if k in found else task() for k, task in enumerate(tasks)]


def _number_of_helpers(tasks: int) -> int:
    # A fork has only the thread that forks: what another one has locked would stay locked for ever.
    if sys.platform != "linux" or threading.active_count() > 1 or current_process().daemon:
        return 0
    return max(0, min(len(os.sched_getaffinity(0)), tasks) - 1)


def _start(tasks: Sequence[Callable[[], Any]], waiting: int) -> tuple[Any, Any]:
    """Start a helper; return it and the connection through which it sends its results."""
    fork = get_context("fork")
    answers, sender = fork.Pipe(duplex=False)
    arguments = (tasks, waiting, answers, sender, os.getpid())
    helper = fork.Process(target=_help, args=arguments, daemon=True)
    with sender, warnings.catch_warnings():
        # Python warns of BLAS's threads as well, but BLAS itself takes care of a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        helper.start()
    return helper, answers


def _help(
    tasks: Sequence[Callable[[], Any]], waiting: int, answers: Any, sender: Any, parent: int
) -> None:
    # Sending must fail if the parent has gone, so nobody else may be able to receive.
    answers.close()
    # An error is told by the parent, which does the task again.
    with suppress(BaseException):
        sender.send(_done(tasks, waiting, lambda: os.getppid() == parent))


def _done(
    tasks: Sequence[Callable[[], Any]], waiting: int, wanted: Callable[[], bool] = lambda: True
) -> dict[int, Any]:
    """Take numbers from the pipe of waiting tasks until it is empty, and do these tasks."""
    found = {}
    with _without_collection():
        while wanted() and (taken := os.read(waiting, 1)):
            found[taken[0]] = tasks[taken[0]]()
    return found


@contextmanager
def _without_collection() -> Iterator[None]:
    """Collect no garbage: Matplotlib makes so many objects that this takes a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
