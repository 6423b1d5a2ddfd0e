"""What all benchmarks share: one BLAS thread, medians of rounds taken in turn, tables."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ONE_THREAD_TOO = os.environ | ONE_THREAD
GDCONV = str(Path(sys.executable).with_name("gdconv"))


def compile_modules() -> None:
    """Compile what has changed since set-up; a user's Python does so when it first imports it."""
    folders = [str(Path(__file__).resolve().parents[2] / name) for name in ("gdconv", "nnlib")]
    # Where PYTHONDONTWRITEBYTECODE is set, it would be done again by each process.
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=True)


def only_one_thread() -> None:
    """Start again with BLAS on one thread: it reads its environment when it is loaded."""
    if not ONE_THREAD.items() <= os.environ.items():
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], ONE_THREAD_TOO)


def command_seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Return how long a command takes, which must succeed."""
    started = time.perf_counter()
    variables = ONE_THREAD_TOO | dict(environment or {})
    subprocess.run(command, check=True, capture_output=True, env=variables)
    return time.perf_counter() - started


def command_cost(command: Sequence[str], expected: int = 0) -> tuple[float, float]:
    """Return how many seconds a command takes and its peak memory in MiB.

    Its exit status must be the one that is expected.
    """
    started = time.perf_counter()
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=nothing, stderr=nothing, env=ONE_THREAD_TOO)
    # That of this process alone, whereas getrusage gives the largest of all children.
    _, status, usage = os.wait4(process.pid, 0)
    if (found := os.waitstatus_to_exitcode(status)) != expected:
        raise SystemExit(f"{' '.join(command)}: exit status {found} instead of {expected}")
    return time.perf_counter() - started, usage.ru_maxrss / 2**10


def medians(methods: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of a call of each method; in each round all take their turn."""
    calls = {
        name: max(1, timeit.Timer(each).autorange()[0] // 10) for name, each in methods.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            seconds[name].append(timeit.timeit(method, number=calls[name]) / calls[name])
    return {name: statistics.median(each) for name, each in seconds.items()}


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown, columns aligned."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    written = ["| " + " | ".join(map(str.rjust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    print("", written[0], rule, *written[1:], "", sep="\n", flush=True)
