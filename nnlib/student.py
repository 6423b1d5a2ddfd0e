"""Runs a student's file in a process of its own, where it may raise, loop, print, exit or crash."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

# The file's name as a module. It is not __main__, so code under `if __name__ == ...` does not run.
MODULE = "__student__"


def short(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= 200 else f"{text[:200]} …"


def described(error: BaseException) -> str:
    """Return, in a line, the text of an error and where in the student's file it arose."""
    text = traceback.format_exception_only(error)[-1].strip().replace("\n", " ")
    # Removes the package from the name of the error's class.
    text = short(re.sub(r"^[\w.]*\.", "", text))
    if isinstance(error, SyntaxError):
        return f"{text}, line {error.lineno}"
    frames = traceback.walk_tb(error.__traceback__)
    places = [
        f"{frame.f_code.co_name}, line {line}"
        for frame, line in frames
        if frame.f_globals.get("__name__") == MODULE
    ]
    return f"{text}, in {places[-1]}" if places else text


class TooLong(BaseException):
    """The time limit is over. Not an Exception, because the student's code might catch that."""


def _load(path: Path) -> str:
    """Run a file as a module; return "", or why it did not run to its end."""
    module = ModuleType(MODULE)
    module.__file__, sys.modules[MODULE], sys.argv = str(path), module, [str(path)]
    sys.path.insert(0, str(path.parent))
    # Otherwise plt.show() would wait for somebody to close the figure.
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        exec(compile(path.read_bytes(), path, "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit, TooLong) as error:
        return described(error)
    return ""


def _serve(path: Path, seconds: float, check: Callable[[str, Any], str], pipe: Connection) -> None:
    """Answer each title with what is wrong in that check; the first, "", asks to run the file."""

    def interrupt(*_: object) -> None:
        raise TooLong(f"no end after {seconds:g} s")

    signal.signal(signal.SIGALRM, interrupt)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    pipe.send("ready")
    while True:
        title = pipe.recv()
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            fault = check(title, sys.modules[MODULE].Graph) if title else _load(path)
        except TooLong as error:
            fault = f"{described(error)}\nhint: a loop there never ends, or needs more --seconds"
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send((fault, callable(getattr(sys.modules[MODULE], "Graph", None))))


class Student:
    """A process that runs a student's file.

    Parameters
    ----------
    path : Path
    seconds : float
        Time limit of each answer.
    check : callable
        ``check(title, Graph)`` returns what is wrong with the file's Graph, or "". A function of a
        module: the other process calls it.

    Attributes
    ----------
    usable : bool
        Whether the file has a Graph and its process is still running.
    """

    def __init__(self, path: Path, seconds: float, check: Callable[[str, Any], str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (path, seconds, check, theirs)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()
        # Longer than the limit inside the process, which interrupts most code.
        self._patience = seconds + 2
        self.usable = False

    def ask(self, title: str = "") -> str:
        """Return what is wrong in a check. The first call, without a title, runs the file."""
        try:
            self._pipe.send(title)
            if self._pipe.poll(self._patience):
                fault, self.usable = self._pipe.recv()
                return fault
            self._process.kill()
            fault = "no end, and no way to interrupt it"
        except (EOFError, OSError):
            self._process.join()
            fault = f"Python ended or crashed, with exit status {self._process.exitcode}"
        self.usable = False
        return f"{fault}: nothing more can be checked"

    def close(self) -> None:
        """End the process: closing the pipe lets it end by itself; if it does not, it is killed."""
        self._pipe.close()
        self._process.join(1)
        self._process.kill()
        self._process.join()
