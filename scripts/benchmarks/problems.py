"""Large problems: the whole command against the least that has to be done, in time and memory."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

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


def problems(rounds: int) -> None:
    """Time `gdconv` on a tall problem, a square one and a file, each in turn with its limit."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(_written(Path(folder) / "table.csv"))
        cases = {
            "{} × {}: draw X and y, one QR".format(*TALL): (
                _sizes(TALL),
                QR.format(shape=TALL),
                2.0,
            ),
            "{} × {}: draw X and y, one QR, one SVD of R".format(*SQUARE): (
                _sizes(SQUARE),
                QR_SVD.format(shape=SQUARE),
                1.5,
            ),
            "CSV of {} × {}: pandas.read_csv".format(*FILE): (
                ["problem=csv", f"problem.path={path}", "problem.target=y"],
                READ.format(path=path),
                3.0,
            ),
        }
        costs: dict[str, list[tuple[float, ...]]] = {name: [] for name in cases}
        for number in range(rounds):
            for name, (arguments, limit, _) in cases.items():
                settings = [f"results_dir={folder}", f"study={len(costs[name])}_{number}"]
                settings += ["report=false", "method.iterations=10"]
                ours = command_cost([GDCONV, *arguments, *settings, f"seed={number}"])
                costs[name].append((*ours, *command_cost([sys.executable, "-c", limit])))
    print(
        "`gdconv` with ten iterations and without the report, and the least that has to be done;"
        f" whole commands in turn, median of {rounds} rounds."
    )
    rows = []
    for name, (_, _, allowed) in cases.items():
        ours, peak, least, least_peak = map(statistics.median, zip(*costs[name], strict=True))
        ratio = statistics.median(each[0] / each[2] for each in costs[name])
        times = f"{ours:.2f}", f"{least:.2f}", f"{ratio:.2f}", f"{allowed:.1f}"
        rows.append([name, *times, f"{peak:.0f}", f"{least_peak:.0f}"])
    headings = ["", "s", "least s", "ratio", "aim", "peak MiB", "least's peak MiB"]
    print_table(headings, rows)
    print(f"X of the tall problem has {8 * TALL[0] * TALL[1] / 2**20:.0f} MiB.")


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
