"""What a worker is: a process with one BLAS thread, which has imported what runs a group."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

_IMPORTING = threading.Lock()


def in_worker(function: Callable[[Any], Any], item: Any) -> Any:
    """Do an item's work in a worker, where BLAS has one thread."""
    _one_thread()
    return function(item)


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


def prepare(parent: int | None) -> None:
    """Make a process a worker, which ends when its parent ends, even if that is killed.

    Parameters
    ----------
    parent : int or None
        The parent's number. None for a copy of another process: `multiprocessing` knows its parent.
    """

    def watch() -> None:
        if parent is None and (original := multiprocessing.parent_process()):
            original.join()
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _one_thread()
