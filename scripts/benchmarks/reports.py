"""Reports: how long figures and page take, and how much memory."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import GDCONV, ONE_THREAD_TOO, command_seconds, print_table

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
REPORT = str(Path(GDCONV).with_name("gdconv-report"))
# What a user of Matplotlib writes for one figure.
ONE_FIGURE = """
import sys
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2)
for number, ax in enumerate(axes):
    ax.semilogy(range(60), [0.9 ** (t + number) for t in range(60)], label="measured")
    ax.set(xlabel="iteration", ylabel="gap", title=f"problem {number}")
    ax.legend()
figure.savefig(sys.argv[1])
"""
IMPORTS = "import numpy, scipy.linalg, pandas, hydra, matplotlib.figure"


def reports(rounds: int, runs: int) -> None:
    """Time whole reports in turn: of the reference study, of one run, and of many runs."""
    print(
        "Whole commands, in turn, median of"
        f" {rounds} rounds. Nothing is there before, unless it says so. The"
        f" {runs:,} runs have 40 problems with d = 20, and 500 iterations. The memory is that of the"
        " largest process."
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(REFERENCE, folder / "reference")
        made = ["problem.n_features=20", "repetitions=40", "method.iterations=500"]
        steps = "step.value=${linspace:0.02,2.1," + str(runs // 40) + "}"
        place = [f"results_dir={folder}", "report=false"]
        command_seconds([GDCONV, *place, "study=large", *made, steps])
        times: dict[str, list[float]] = {}
        peaks: dict[str, list[float]] = {}
        for number in range(rounds):
            for told, command, prepare in _commands(folder, number, runs):
                prepare()
                seconds, peak = _measured(command)
                times.setdefault(told, []).append(seconds)
                peaks.setdefault(told, []).append(peak)
    median = {told: statistics.median(each) for told, each in times.items()}
    divisors = list(median.values())
    # The first and the fourth row are what the rows below them are compared with.
    rows = [
        [
            told,
            f"{seconds:.2f}",
            f"{seconds / divisors[0 if index < 3 else 3]:.2f}" if index < 5 else "",
            f"{statistics.median(peaks[told]):.0f}",
        ]
        for index, (told, seconds) in enumerate(median.items())
    ]
    print_table(["", "s", "ratio", "peak MiB"], rows)


def _commands(
    folder: Path, number: int, runs: int
) -> list[tuple[str, Sequence[str], Callable[[], None]]]:
    """What is measured: its name, the command, and what has to be done before."""
    one, large = folder / "reference", folder / "large"
    python = [sys.executable, "-c"]
    study = [GDCONV, f"results_dir={folder}", f"study=one{number}"]
    return [
        (
            "one figure by Matplotlib, as PNG",
            [*python, ONE_FIGURE, str(folder / "a.png")],
            _nothing,
        ),
        ("report of the reference study", [REPORT, str(one)], lambda: _forget(one)),
        ("the same again", [REPORT, str(one)], _nothing),
        (f"`{IMPORTS}`", [*python, IMPORTS], _nothing),
        ("`gdconv`, a study of one run with its report", study, _nothing),
        (f"report of {runs:,} runs", [REPORT, str(large)], lambda: _forget(large)),
        ("the same again ", [REPORT, str(large)], _nothing),
    ]


def _nothing() -> None:
    pass


def _forget(folder: Path) -> None:
    """Remove the report of a study."""
    shutil.rmtree(folder / "figures", ignore_errors=True)
    (folder / "report.html").unlink(missing_ok=True)


def _measured(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its seconds, and the peak in MiB of the largest of its processes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ONE_THREAD_TOO
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command[0]} failed")
    return seconds, usage.ru_maxrss / 2**10
