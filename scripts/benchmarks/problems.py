"""Large problems: the whole command against the least that has to be done, in time and memory."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import GDCONV, command_cost, print_table

TALL, SQUARE, FILE = (1_000_000, 50), (4000, 2000), (400_000, 31)
# Rows of the file that differ; they are repeated.
DIFFERENT = 20_000

DRAWN = """
import numpy as np, scipy.linalg
rng = np.random.default_rng(0)
X = rng.standard_normal({shape})
y = X @ rng.standard_normal({shape}[1]) + rng.standard_normal({shape}[0])
"""
QR = DRAWN + "scipy.linalg.qr(X, mode='r')"
QR_SVD = DRAWN + "scipy.linalg.svd(scipy.linalg.qr(X, mode='r')[0][:{shape}[1]])"
READ = "import pandas; pandas.read_csv({path!r})"


class Case(NamedTuple):
    """A problem, the least that has to be done, and the largest ratios of time and memory.

    `memory` is what the peak is compared with, in MiB; None for that of the least.
    """

    arguments: list[str]
    least: str
    seconds: str
    peak: str
    memory: float | None


def problems(rounds: int) -> None:
    """Time `gdconv` on a tall problem, a square one and a file, each in turn with its limit."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(_written(Path(folder) / "table.csv"))
        of_file = ["problem=table", f"problem.path={path}", "problem.target=y"]
        size_of_X = 8 * TALL[0] * TALL[1] / 2**20
        cases = {
            "{} × {}: draw X and y, one QR; X".format(*TALL): Case(
                _sizes(TALL), QR.format(shape=TALL), "2.0", "1.6", size_of_X
            ),
            "{} × {}: draw X and y, one QR, one SVD of R".format(*SQUARE): Case(
                _sizes(SQUARE), QR_SVD.format(shape=SQUARE), "1.5", "", None
            ),
            "CSV of {} × {}: pandas.read_csv".format(*FILE): Case(
                of_file, READ.format(path=path), "3.0", "2.0", None
            ),
        }
        costs: dict[str, list[tuple[float, ...]]] = {name: [] for name in cases}
        for number in range(rounds):
            for name, case in cases.items():
                settings = [f"results_dir={folder}", f"study={len(name)}_{number}"]
                settings += ["report=false", "method.iterations=10", f"seed={number}"]
                seconds, peak = command_cost([GDCONV, *case.arguments, *settings])
                least, most = command_cost([sys.executable, "-c", case.least])
                memory = case.memory or most
                costs[name].append((seconds, least, seconds / least, peak, memory, peak / memory))
    print(
        "`gdconv` with ten iterations and without the report, and the least that has to be done;"
        f" whole commands in turn, median of {rounds} rounds. Each ratio is followed by its aim."
    )
    rows = []
    for name, case in cases.items():
        median = [statistics.median(each) for each in zip(*costs[name], strict=True)]
        times = f"{median[0]:.2f}", f"{median[1]:.2f}", f"{median[2]:.2f}", case.seconds
        sizes = f"{median[3]:.0f}", f"{median[4]:.0f}", f"{median[5]:.2f}", case.peak
        rows.append([name, *times, *sizes])
    print_table(["", "s", "least", "ratio", "aim", "peak MiB", "least", "ratio", "aim"], rows)


def _sizes(shape: tuple[int, int]) -> list[str]:
    return [f"problem.n_samples={shape[0]}", f"problem.n_features={shape[1]}"]


def _written(path: Path) -> Path:
    import numpy as np

    n_rows, n_columns = FILE
    rows = np.random.default_rng(0).standard_normal((DIFFERENT, n_columns)).tolist()
    names = ",".join([*(f"x{j}" for j in range(n_columns - 1)), "y"])
    lines = "".join(",".join(map(repr, row)) + "\n" for row in rows)
    with path.open("w", encoding="utf-8") as file:
        file.write(names + "\n")
        for _ in range(n_rows // DIFFERENT):
            file.write(lines)
    return path
