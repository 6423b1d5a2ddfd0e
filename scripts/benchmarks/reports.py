"""Reports: how long figures and page take, and how much memory."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.common import GDCONV, command_cost, command_seconds, print_table

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
REPORT = str(Path(GDCONV).with_name("gdconv-report"))
# What a user of Matplotlib writes for one figure.
ONE_FIGURE = """
import sys
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2)
for number, ax in enumerate(axes):
    ax.semilogy(range(60), [0.9 ** (t + number) for t in range(60)], label="command_cost")
    ax.set(xlabel="iteration", ylabel="gap", title=f"problem {number}")
    ax.legend()
figure.savefig(sys.argv[1])
"""
IMPORTS = "import numpy, scipy.linalg, pandas, hydra, matplotlib.figure"
# Name of a command → that of the one it is compared with.
FIGURE, IMPORTED = "one figure by Matplotlib, as PNG", f"`{IMPORTS}`"
FIRST, AGAIN = "`gdconv-report results/reference`", "the same, nothing changed"
ONE_RUN = "`gdconv`, one run with its report"
BASES = {FIRST: FIGURE, AGAIN: FIGURE, ONE_RUN: IMPORTED}


def reports(rounds: int, runs: int) -> None:
    """Time whole reports in turn: of the reference study, of one run, and of many runs."""
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(REFERENCE, folder / "reference")
        size = ["problem.n_features=20", "repetitions=40", "method.iterations=500"]
        size.append("step.value=${linspace:0.02,2.1," + str(runs // 40) + "}")
        command_seconds([GDCONV, f"results_dir={folder}", "study=large", "report=false", *size])
        for number in range(rounds):
            for told, command in _commands(folder, number, runs):
                taken, peak = command_cost(command)
                seconds.setdefault(told, []).append(taken)
                peaks.setdefault(told, []).append(peak)
    print(
        f"Whole commands, in turn, median of {rounds} rounds, and the memory of the largest"
        f" process. The {runs:,} runs have 40 problems with d = 20, and 500 iterations."
    )
    median = {told: statistics.median(each) for told, each in seconds.items()}
    rows = []
    for told, taken in median.items():
        ratio = f"{taken / median[BASES[told]]:.2f}" if told in BASES else ""
        rows.append([told, f"{taken:.2f}", ratio, f"{statistics.median(peaks[told]):.0f}"])
    print_table(["", "s", "ratio to the first of its kind", "peak MiB"], rows)


def _commands(folder: Path, number: int, runs: int) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield name and command of each measurement, when all it needs is there."""
    reference, large = folder / "reference", folder / "large"
    _forget(reference)
    _forget(large)
    yield FIGURE, [sys.executable, "-c", ONE_FIGURE, str(folder / "figure.png")]
    yield FIRST, [REPORT, str(reference)]
    yield AGAIN, [REPORT, str(reference)]
    yield IMPORTED, [sys.executable, "-c", IMPORTS]
    yield ONE_RUN, [GDCONV, f"results_dir={folder}", f"study=one{number}"]
    yield f"`gdconv-report`, {runs:,} runs", [REPORT, str(large)]


def _forget(folder: Path) -> None:
    """Remove the report of a study."""
    shutil.rmtree(folder / "figures", ignore_errors=True)
    (folder / "report.html").unlink(missing_ok=True)
