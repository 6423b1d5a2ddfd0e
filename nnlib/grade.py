"""Check a student's Graph of the coursework, question 2: python -m nnlib.grade --help."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import re
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from nnlib.graph import Graph
from nnlib.questions import ASKED, BEYOND, GENERAL, IN_PLACE, Case, Check, Mistake, whole

# A power of two near the coursework's 10⁻³, with which the differences are exact.
_EPSILON = 2.0**-10
# Characters that are shown of an array or of an error.
_LONGEST = 200
# The student's file, as a module.
_MODULE = "student"
_CHECKS = ASKED + BEYOND


class Trial(NamedTuple):
    """A case, and what nnlib's and the student's graph give: values by name, or an "error"."""

    case: Case
    right: dict[str, Any]
    found: dict[str, Any]


def counterexample(check: Check, graph: Any) -> str:
    """Return the first case of a check that fails, with what to change; "" if all pass.

    Parameters
    ----------
    check : Check
    graph : class
        Has the names of the coursework's Graph.
    """
    trials = [Trial(case, _attempt(case, Graph), _attempt(case, graph)) for case in check.cases]
    for trial in trials:
        name, fault = _fault(trial)
        if fault:
            operands = (f"{key} = {_numbers(x)}" for key, x in trial.case.operands.items())
            hint = IN_PLACE if name in trial.case.operands else _hint(check, trials, trial, name)
            return f"{trial.case.script}\nwith {', '.join(operands)}\n{fault}\nhint: {hint}"
    return ""


def _attempt(case: Case, graph: Any) -> dict[str, Any]:
    given = {name: array.copy() for name, array in case.operands.items()}
    try:
        g = graph()
        names = {"g": g, "np": np, "difference": lambda name: _difference(graph, given, name)}
        for name, array in given.items():
            names[name] = array if name in ("u", "v") else g.tensor(array)
        exec(case.script, names)
        return given | {read: _read(read, names) for read in case.reads}
    # Whatever the student's code raises is a result.
    except (Exception, SystemExit) as error:
        return {"error": _described(error)}


def _read(expression: str, names: dict[str, Any]) -> np.ndarray | None:
    try:
        value = eval(expression, names)
    except LookupError:
        return None
    return None if value is None else np.array(value)


def _difference(graph: Any, given: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the forward differences (25) of u · wA in each coordinate of w, or of A."""

    def f(w: np.ndarray, A: np.ndarray) -> Any:
        g = graph()
        y = g.matmul(g.tensor(w), g.tensor(A))
        g.run_eval(y)
        return given["u"] @ g.value[y]

    differences = np.empty(given[name].shape)
    for index in np.ndindex(differences.shape):
        moved = given[name].astype(float)
        moved[index] += _EPSILON
        start = {key: given[key] for key in ("w", "A")}
        differences[index] = (f(**start | {name: moved}) - f(**start)) / _EPSILON
    return differences


def _fault(trial: Trial) -> tuple[str, str]:
    """Return the name of a wrong value, if there is one, and what is wrong; "" if nothing is."""
    case, right, found = trial
    if "error" in found:
        return "", "" if "error" in right else found["error"]
    if "error" in right:
        return "", f"expected an error, found {case.reads[0]} = {_shown(found[case.reads[0]])}"
    for name, value in found.items():
        if name in case.operands and not _same(right[name], value):
            return name, f"{name}, which was passed in, is {_numbers(value)} afterwards"
        if not _same(right[name], value):
            return name, f"{name}: expected {_shown(right[name])}, found {_shown(value)}"
    return "", ""


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _hint(check: Check, trials: list[Trial], first: Trial, name: str) -> str:
    """Return the hint of the mistake that explains the first fault and contradicts no trial."""
    for mistake in check.mistakes + GENERAL:
        for read in [name] if name else first.case.reads:
            explained = [_explains(mistake, read, trial) for trial in [first, *trials]]
            if mistake.read in ("", read) and explained[0] and False not in explained:
                return mistake.hint
    return check.hint


def _explains(mistake: Mistake, read: str, trial: Trial) -> bool | None:
    """Return whether a mistake gives what was found; None where it does not apply."""
    case, right, found = trial
    if read not in case.reads:
        return None
    names = {"np": np, "whole": whole, "right": right.get(read), "found": found.get(read)}
    try:
        wrong = eval(mistake.formula, names | case.operands)
    except NameError:
        return None
    except (AttributeError, TypeError, ValueError):
        return "error" in found and "found" not in mistake.formula
    return "error" not in found and _same(wrong, found[read])


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return _numbers(value) if value.dtype == bool else f"{_numbers(value)} of shape {value.shape}"


def _numbers(value: np.ndarray) -> str:
    style: Any = {"float_kind": lambda x: repr(float(x)).removesuffix(".0"), "int_kind": str}
    text = np.array2string(value, 10**9, separator=", ", threshold=50, formatter=style)
    return _short(text.replace("\n", ""))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _described(error: BaseException) -> str:
    """Return the text of an error, and where in the student's file it arose, in a line."""
    text = traceback.format_exception_only(error)[-1].strip().replace("\n", " ")
    # Without the package of the error's class.
    text = _short(re.sub(r"^[\w.]*\.", "", text))
    if isinstance(error, SyntaxError):
        return f"{text}, line {error.lineno}"
    frames = traceback.walk_tb(error.__traceback__)
    places = [
        f"{frame.f_code.co_name}, line {line}"
        for frame, line in frames
        if frame.f_globals.get("__name__") == _MODULE
    ]
    return f"{text}, in {places[-1]}" if places else text


class StillRunning(BaseException):
    """Not an Exception, which the student's code might catch."""


def _load(path: Path) -> str:
    """Run a file as Python runs a module; return "" or what kept it from its end."""
    module = ModuleType(_MODULE)
    module.__file__, sys.modules[_MODULE], sys.argv = str(path), module, [str(path)]
    sys.path.insert(0, str(path.parent))
    # A figure that is shown must not wait for somebody to close it.
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        exec(compile(path.read_bytes(), path, "exec"), vars(module))
    except (Exception, SystemExit, StillRunning) as error:
        return _described(error)
    return ""


def _serve(path: Path, seconds: float, pipe: Connection) -> None:
    """Answer None with what keeps the file from its end, a number with what fails in that check."""

    def interrupt(*_: object) -> None:
        raise StillRunning(f"no end after {seconds:g} s")

    signal.signal(signal.SIGALRM, interrupt)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    pipe.send("ready")
    while True:
        number = pipe.recv()
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            if number is None:
                fault = _load(path)
            else:
                fault = counterexample(_CHECKS[number], sys.modules[_MODULE].Graph)
        except StillRunning as error:
            fault = f"{_described(error)}\nhint: a loop there never ends, or needs more --seconds"
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send((fault, hasattr(sys.modules[_MODULE], "Graph")))


class Student:
    """A student's file in a process of its own, which may end at any time.

    Attributes
    ----------
    usable : bool
        Whether there is still a process, and a Graph in it.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(path, seconds, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()
        # What catches everything, or hangs outside Python, cannot be interrupted from within.
        self._patience = seconds + 2

    def ask(self, number: int | None) -> str:
        """Return what fails in a check, or in loading the file for None; "" if nothing does."""
        try:
            self._pipe.send(number)
            if self._pipe.poll(self._patience):
                fault, self.usable = self._pipe.recv()
                return fault
            self._process.kill()
            fault = "it did not end in time, and could not be interrupted"
        except (EOFError, OSError):
            self._process.join()
            fault = f"it ended Python, with exit status {self._process.exitcode}"
        self.usable = False
        return fault


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each check; return 1 if something that the question asks for fails."""
    parser = argparse.ArgumentParser(
        prog="python -m nnlib.grade",
        description="Check the class Graph of a Python file against question 2 of the coursework. "
        "The file is run as code, with your rights: check only what you would run yourself.",
        epilog="Exit status 0 if all that the question asks for passes, 1 if something fails, 2 if "
        "the file cannot be read.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.py")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="time limit of each check (default: %(default)g)"
    )
    options = parser.parse_args(arguments)
    try:
        options.file.read_bytes()
    except OSError as error:
        parser.error(f"{options.file}: {error.strerror}")
    student = Student(options.file, options.seconds)
    note = student.ask(None)
    if not student.usable:
        _print("FAILED", "the file", note or "it has no class Graph")
        return 1
    _print("passed", "the file has a class Graph", note and f"what follows was not run: {note}")
    lowest, failed = math.inf, 0
    for number, check in enumerate(_CHECKS):
        if number == len(ASKED):
            print("beyond the question")
        if check.stage > lowest or not student.usable:
            _print("not tried", check.title)
        elif fault := student.ask(number):
            lowest = min(lowest, check.stage)
            failed += number < len(ASKED)
            _print("FAILED" if number < len(ASKED) else "remark", check.title, fault)
        else:
            _print("passed", check.title)
    return int(failed > 0)


def _print(verdict: str, title: str, fault: str = "") -> None:
    print("\n          ".join([f"{verdict:10}{title}", *fault.splitlines()]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
