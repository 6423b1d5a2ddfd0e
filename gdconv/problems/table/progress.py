"""How far the work on many rows is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nnlib.terminal import bar_stream

log = logging.getLogger("gdconv")

# Without a bar, the progress is told after so many seconds. A bar is shown after so many.
TELL_SECONDS, SHOW_SECONDS = 10.0, 1.0
# Takes how much more is done, and how many rows have been seen, if that is not the same.
Tell = Callable[..., None]


@contextmanager
def progress(what: str, total: int, unit: str, done: int = 0) -> Iterator[Tell]:
    """Show how far something is.

    Parameters
    ----------
    what : str
        What is done.
    total, done : int
        How much there is to do, and how much of it was done before.
    unit : str
        rows or bytes.
    """
    stream = bar_stream()
    if not stream:
        yield _Lines(what, total, unit, done).tell
        return
    from tqdm import tqdm

    # The bar needs no thread of its own, beside which a report would not fork.
    tqdm.monitor_interval = 0
    given = {"total": total, "initial": done, "unit": "B" if unit == "bytes" else unit[:-1]}
    shown = {"unit_scale": True, "delay": SHOW_SECONDS, "file": stream, "desc": what}
    with tqdm(**given, **shown) as bar:
        seen = 0

        def tell(more: int, rows: int = 0) -> None:
            nonlocal seen
            seen += rows
            if rows:
                bar.set_postfix(rows=f"{seen:,}", refresh=False)
            bar.update(more)

        yield tell


class _Lines:
    """Lines that say how far something is, and how long the rest will take."""

    def __init__(self, what: str, total: int, unit: str, done: int) -> None:
        self._what, self._total, self._unit, self._before = what, total, unit, done
        self._done = self._rows = 0
        self._began = self._last = time.monotonic()

    def tell(self, more: int, rows: int = 0) -> None:
        """Count more, and log a line now and then."""
        self._done += more
        self._rows += rows
        now = time.monotonic()
        if now - self._last >= TELL_SECONDS and self._done:
            self._last, passed = now, now - self._began
            left = passed * (self._total - self._before - self._done) / self._done
            done, total = self._before + self._done, f"{self._total} {self._unit}"
            also = f" ({self._rows} rows)" if self._rows else ""
            log.info(
                "%s: %d of %s%s, %.0f s, about %.0f s left",
                *(self._what, done, total, also, passed, left),
            )
