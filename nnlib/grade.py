"""Check a student's Graph of the coursework, question 2: python -m nnlib.grade --help."""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnlib.graph import Graph
from nnlib.mistakes import ERRORS, GENERAL, IN_PLACE, Mistake, whole
from nnlib.questions import ASKED, BEYOND, Case, Check
from nnlib.student import Student, described, short
from nnlib.terminal import run

_PROGRAM = "python -m nnlib.grade"
# A power of two near the coursework's 10⁻³, so that the differences are exact.
_EPSILON = 2.0**-10
# Operands of a case that are passed to run_grad.
_SEEDS = ("u", "v")
_CHECKS = {check.title: check for stage in (*ASKED, BEYOND) for check in stage}


class Trial(NamedTuple):
    """A case, and the results of nnlib's and the student's graph: values by name, or an "error"."""

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
            case = trial.case
            hint = IN_PLACE if name in case.operands else _hint(check, trials, trial, name)
            return f"{_preparation(case)}\n{case.script}\n{fault}\nhint: {hint}"
    return ""


def _preparation(case: Case) -> str:
    """Return what to type before the script of a case."""
    lines = ["g = Graph()"]
    for name, array in case.operands.items():
        value = f"np.array({_numbers(array)})"
        lines.append(f"{name} = {value if name in _SEEDS else f'g.tensor({value})'}")
    return "; ".join(lines)


def _attempt(case: Case, graph: Any) -> dict[str, Any]:
    given = {name: array.copy() for name, array in case.operands.items()}
    try:
        g = graph()
        names = {"g": g, "np": np, "difference": lambda name: _difference(graph, given, name)}
        for name, array in given.items():
            names[name] = array if name in _SEEDS else g.tensor(array)
        exec(case.script, names)
        return given | {read: _read(read, names) for read in case.reads}
    # Every error of the student's code is a result, not a failure of the grader.
    except (Exception, SystemExit) as error:
        return {"error": described(error)}


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
    """Return the name of a wrong value, or "", and what is wrong; both are "" if nothing is."""
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
    for pattern, hint in ERRORS.items():
        if told := re.search(pattern, str(first.found.get("error", ""))):
            return told.expand(hint)
    return check.hint


def _explains(mistake: Mistake, read: str, trial: Trial) -> bool | None:
    """Return whether a mistake gives the values that were found; None if it does not apply."""
    case, right, found = trial
    if read not in case.reads:
        return None
    names = {"np": np, "whole": whole, "right": right.get(read), "found": found.get(read)}
    try:
        wrong = eval(mistake.formula, names | case.operands)
    except NameError:
        return None
    except (AttributeError, TypeError):
        return False
    except ValueError:
        # If the shapes do not fit the mistake's formula, the student's code must have failed too.
        return "error" in found and "found" not in mistake.formula
    return "error" not in found and _same(wrong, found[read])


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return _numbers(value) if value.dtype == bool else f"{_numbers(value)} of shape {value.shape}"


def _numbers(value: np.ndarray) -> str:
    style: Any = {"float_kind": lambda x: repr(float(x)).removesuffix(".0"), "int_kind": str}
    text = np.array2string(value, 10**9, separator=", ", threshold=50, formatter=style)
    return short(text.replace("\n", ""))


def _check(title: str, graph: Any) -> str:
    return counterexample(_CHECKS[title], graph)


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each check; return 1 if something that the question asks for fails."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
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
    if not 0 < options.seconds < 1e6:
        parser.error(f"--seconds {options.seconds:g}: must be a positive number")
    try:
        options.file.read_bytes()
    except OSError as error:
        parser.error(f"{options.file}: {error.strerror}")
    if options.file.suffix == ".ipynb":
        parser.error(f"{options.file} is a notebook: save it as a Python file first")
    with closing(Student(options.file.absolute(), options.seconds, _check)) as student:
        return _report(student)


def _report(student: Student) -> int:
    note = student.ask()
    if not student.usable:
        _print("FAILED", "the file", note or "has no class Graph")
        return 1
    _print("passed", "the file has a class Graph", note and f"what follows was not run: {note}")
    failed = False
    for stage in ASKED:
        ready = not failed
        for check in stage:
            failed |= _try(student, check, "FAILED", ready)
    if failed:
        _print("not tried", "what is beyond the question")
        return 1
    print("Beyond the question:")
    for check in BEYOND:
        _try(student, check, "remark")
    return 0


def _try(student: Student, check: Check, otherwise: str, ready: bool = True) -> bool:
    """Print the line of a check; return whether something is wrong."""
    if not (ready and student.usable):
        _print("not tried", check.title)
        return False
    fault = student.ask(check.title)
    _print(otherwise if fault else "passed", check.title, fault)
    return bool(fault)


def _print(verdict: str, title: str, fault: str = "") -> None:
    print("\n           ".join([f"{verdict:11}{title}", *fault.splitlines()]), flush=True)


if __name__ == "__main__":
    sys.exit(run(_PROGRAM, main))
