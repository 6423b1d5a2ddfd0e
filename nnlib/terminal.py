"""How a command deals with the terminal: signals, output and exit status."""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from textwrap import wrap
from threading import Timer, current_thread, main_thread
from typing import Any
from unicodedata import category

GRACE_SECONDS = 5.0
MANY_OBJECTS = 100_000
# Tables are not made narrower than that, so that their columns keep some letters.
NARROWEST = 60
# Blanks at which no line ends if there is room for that, and which of them the less room there is:
# at signs, after = and the like, and in parentheses.
_IN_PARENTHESES = r" (?=[^()]*\))"
IN_FORMULAS = (
    rf" (?=[=<>≤≥−+] )|(?<= [=<>≤≥−+]) |{_IN_PARENTHESES}",
    rf"(?<= [=<>≤≥−+]) | (?=[−+] )|{_IN_PARENTHESES}",
    _IN_PARENTHESES,
)
# Stands for such a blank, and in no text.
_GLUE = "\x1f"
ENDS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "ended with its terminal",
}


class Stopped(KeyboardInterrupt):
    """A signal has come; it ends the command in the same way as Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(ENDS[signal.Signals(number)])


def run(program: str, main: Callable[[], int], advice: str = "") -> int:
    """Run a command's main function, which imports what it needs, and return the exit status.

    If a signal ends the command, a line says so. A reader of the output may leave before its end,
    as `head` does; that is no failure. It is a failure if the output cannot be written.

    Parameters
    ----------
    program : str
        The name that the command's lines begin with.
    main : callable
        Returns the exit status.
    advice : str, optional
        What to add to the line about a signal.
    """
    # A command makes many objects that stay, and little garbage. Python would search for it after
    # every 700 new objects, and before it ends among all: a twentieth of the time, for nothing.
    gc.set_threshold(MANY_OBJECTS)
    atexit.register(gc.freeze)
    before = sys.stdout, sys.stderr
    try:
        status = _status(program, main, advice)
        # What remains takes no time; a signal may end it without a message.
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
        # argparse and Hydra end like this, after they have printed the reason.
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
    """End the command by an exception; end the process if it is not done after `GRACE_SECONDS`.

    An exception at an arbitrary moment may leave a lock held for ever, such as the lock of an
    import, and cleaning up would wait for it.
    """
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    patience = Timer(GRACE_SECONDS, os._exit, [128 + number])
    patience.daemon = True
    patience.start()
    raise Stopped(number)


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while processes are started, so that they inherit this and ignore it too.

    A terminal sends Ctrl-C to all of its processes, but only this one may react to it.
    """
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Let a signal that ends the command take effect at the end, when what is started is known.

    Processes that are started meanwhile must ignore Ctrl-C by themselves.
    """
    if current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    handlers = {each: signal.getsignal(each) for each in ENDS}
    before = {each: handler for each, handler in handlers.items() if callable(handler)}
    for each in before:
        signal.signal(each, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if came:
            signal.raise_signal(came[0])


def _open_closed_streams() -> None:
    """Open streams that the shell has closed, as `>&-` does, to nowhere.

    Otherwise the next file that is opened would get the stream's number, and what libraries print
    would be written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            # What is started needs the stream too, or a pipe of it gets the number.
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115


class Stream:
    """Standard output or error, made safe: no control characters, and no exception from writing.

    A letter that the terminal does not have becomes a question mark. So does every character that
    would move the cursor or change the order of letters, since printed text may come from a table.

    Attributes
    ----------
    failure : OSError or None
        Why text could not be written, unless its reader has left.
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
        """Flush the inner stream."""
        self._try(self.inner.flush)

    def _try(self, write: Callable[..., Any], *text: str) -> None:
        try:
            write(*text)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = error
            # The buffered text, and all that follows, is discarded.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.inner.fileno())


def harmless(text: str) -> str:
    """Return text with ? for each character that is neither printable nor ordinary white space."""
    return text if text.isprintable() else "".join(map(_harmless, text))


def _harmless(char: str) -> str:
    return char if char.isprintable() or char in "\n\t" or category(char) == "Zs" else "?"


def in_notebook() -> bool:
    """Return whether a notebook runs this code, so that a bar can be one of its widgets."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    # tqdm.auto decides by the same.
    return shell is not None and "IPKernelApp" in shell.config


def bar_stream() -> Any:
    """Return the stream for a progress bar: standard error if it is a terminal, else None."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    # The inner stream, because a bar has to move the cursor.
    return sys.stderr.inner if isinstance(sys.stderr, Stream) else sys.stderr


def room() -> int | None:
    """Return how many letters a line on standard output has room for; None if it is no terminal."""
    if not sys.stdout.isatty():
        return None
    return max(NARROWEST, get_terminal_size().columns)


def folded(
    text: str, width: int | None, indent: str = "  ", whole: Sequence[str] = IN_FORMULAS
) -> list[str]:
    """Return a text as lines of at most so many letters, of which all but the first are indented.

    Parameters
    ----------
    text : str
    width : int or None
        None for any width.
    indent : str
        In addition to the text's own blanks at its start.
    whole : sequence of str
        Regular expressions for blanks at which no line ends; the first one that leaves room counts.
    """
    if width is None or len(text) <= width:
        return [text]
    body = text.lstrip(" ")
    first = " " * (len(text) - len(body))
    later = first + indent
    texts = [re.sub(each, _GLUE, body) for each in whole]
    fit = (each for each in texts if max(map(len, each.split(" "))) <= width - len(later))
    lines = wrap(
        next(fit, body),
        width,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]


def columns(rows: Sequence[Sequence[str]], sides: str, apart: str = "  ") -> list[str]:
    """Return a table's lines: its cells below each other, each column to its side, < or >."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        apart.join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def stacked(rows: Sequence[Sequence[str]], sides: str, width: int) -> list[str]:
    """Return a table's lines, of at most so many letters if there is any room.

    The second column is folded, and the last one stands on lines of its own below its row.
    """
    (_, *notes), above = zip(*((row[-1], row[:-1]) for row in rows), strict=True)
    others = [max(map(len, column)) for column in zip(*above, strict=True)]
    left = max(NARROWEST // 3, width - sum(others) + others[1] - (len(others) - 1))
    parts = [folded(row[1], left) for row in above]
    firsts = [(row[0], part[0], *row[2:]) for row, part in zip(above, parts, strict=True)]
    heading, *lines = columns(firsts, sides[:-1], " ")
    found, start = [heading], " " * (others[0] + 1)
    for line, part, note in zip(lines, parts[1:], notes, strict=True):
        found += [line, *(start + more for more in part[1:])]
        found += folded(f"{start}  {note}", width) if note else []
    return found
