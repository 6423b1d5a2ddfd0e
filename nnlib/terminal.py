"""How a command meets the terminal: the signals that end it, what it prints, its exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from threading import Timer
from typing import Any
from unicodedata import category

GRACE_SECONDS = 5.0
ENDS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "ended with its terminal",
}


class Stopped(KeyboardInterrupt):
    """A signal has come: what is at work is ended as it is for Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(ENDS[signal.Signals(number)])


def run(program: str, main: Callable[[], int], advice: str = "") -> int:
    """Run a command's main function, which imports what it needs, and return the exit status.

    A signal that ends it is told in one line. Whoever reads the output may leave before its end,
    as `head` does; that is no failure. It is one if the output cannot be written.

    Parameters
    ----------
    program : str
        The name that the command's lines begin with.
    main : callable
        Returns the exit status.
    advice : str, optional
        What to add to the line about a signal.
    """
    before = sys.stdout, sys.stderr
    try:
        status = _status(program, main, advice)
        # What is left to do is quickly done, and said nothing of.
        _listen(signal.SIG_DFL)
        sys.stdout.flush()
        if failure := getattr(sys.stdout, "failure", None):
            print(f"{program}: standard output: {failure.strerror}", file=sys.stderr)
            status = status or 1
        sys.stderr.flush()
        return status
    finally:
        sys.stdout, sys.stderr = before


def _status(program: str, main: Callable[[], int], advice: str) -> int:
    try:
        _listen(_stop)
        _open_closed_streams()
        sys.stdout, sys.stderr = Stream(sys.stdout), Stream(sys.stderr)
        return main()
    except SystemExit as end:
        # So argparse and Hydra end, which have said why.
        return int(end.code or 0)
    except Stopped as stop:
        print(f"{program}: {stop}{advice}", file=sys.stderr)
        return 128 + stop.number


def _listen(handler: Any) -> None:
    for number in ENDS:
        # A shell makes what it starts in the background ignore Ctrl-C, and nohup SIGHUP.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _stop(number: int, _: Any) -> None:
    """End what is at work, and the process with it, within `GRACE_SECONDS`.

    An exception that comes at any moment may leave a lock held for ever, as that of an import, and
    tidying up would wait for it.
    """
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    patience = Timer(GRACE_SECONDS, os._exit, [128 + number])
    patience.daemon = True
    patience.start()
    raise Stopped(number)


def _open_closed_streams() -> None:
    """Let what the shell has closed, as `>&-` does, lead to nowhere.

    The next file to be opened would get its number, and what libraries print would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115


class Stream:
    """Standard output or error: text that cannot steer the terminal, and no exception from writing.

    A letter that the terminal does not have becomes a question mark, and so do the characters that
    would move the cursor or change the order of letters: what is printed may come from a table.

    Attributes
    ----------
    failure : OSError or None
        Why the text could not be written, if not because its reader has left.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.failure: OSError | None = None
        if hasattr(inner, "reconfigure"):
            inner.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, text: str) -> int:
        """Write text, or nothing once writing has failed."""
        self._try(self.inner.write, harmless(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what has been written."""
        self._try(self.inner.flush)

    def _try(self, write: Callable[..., Any], *text: str) -> None:
        try:
            write(*text)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = error
            # What is still held back, and all that follows, goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.inner.fileno())


def harmless(text: str) -> str:
    """Return text with ? for each character that is neither printable nor the space of a line."""
    return text if text.isprintable() else "".join(map(_harmless, text))


def _harmless(char: str) -> str:
    return char if char.isprintable() or char in "\n\t" or category(char) == "Zs" else "?"


def bar_stream() -> Any:
    """Return where a progress bar can be drawn: on a terminal that can go back in its line.

    None if standard error leads elsewhere.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    # A bar has to move the cursor.
    return sys.stderr.inner if isinstance(sys.stderr, Stream) else sys.stderr
