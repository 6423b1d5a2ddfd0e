"""Data in blocks of rows: time, memory and rows a second."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import GDCONV, command_cost, print_table

DRAWN, COLUMNS = 20_000_000, 50
# Of each part of a table.
PART_ROWS = 100_000
# What a machine with many cores is thought to have: rows, and cores.
FAR_ROWS, FAR_CORES = 10**9, 100

LEAST = f"""
import numpy as np, scipy.linalg
rng = np.random.default_rng(0)
w, R = rng.standard_normal({COLUMNS}), np.empty((0, {COLUMNS} + 1))
for start in range(0, {{rows}}, 2**22 // {COLUMNS + 1}):
    count = min(2**22 // {COLUMNS + 1}, {{rows}} - start)
    block = np.empty((count, {COLUMNS} + 1))
    block[:, :-1] = rng.standard_normal((count, {COLUMNS}))
    block[:, -1] = block[:, :-1] @ w + rng.standard_normal(count)
    R = scipy.linalg.qr(np.vstack([R, block]), mode="r", overwrite_a=True)[0][:{COLUMNS} + 1]
"""

WRITTEN = f"""
import numpy as np, pandas as pd
from pathlib import Path
numbers = np.random.default_rng(0).standard_normal(({PART_ROWS}, {COLUMNS} + 1))
frame = pd.DataFrame(numbers, columns=[*(f"x{{{{j}}}}" for j in range({COLUMNS})), "y"])
text = frame.to_csv(index=False).encode()
csv, parquet = Path({{folder!r}}, "csv"), Path({{folder!r}}, "parquet")
csv.mkdir()
parquet.mkdir()
for number in range(max(round({{size}} / len(text)), 1)):
    (csv / f"{{{{number:04}}}}.csv").write_bytes(text)
    frame.to_parquet(parquet / f"{{{{number:04}}}}.parquet")
"""


def data(rounds: int, rows: int, gigabytes: float) -> None:
    """Time problems that are drawn in blocks against the least, and tables in parts."""
    _drawn(rounds, rows)
    if gigabytes:
        _tables(rounds, gigabytes)


def _drawn(rounds: int, rows: int) -> None:
    command = [GDCONV, f"problem.n_samples={rows}", f"problem.n_features={COLUMNS}"]
    command += ["method.iterations=10", "report=false"]
    cases = {
        "drawn in blocks by NumPy, each with a QR": [sys.executable, "-c", LEAST.format(rows=rows)],
        "gdconv": command,
        "gdconv, two processes": [*command, "engine=processes", "engine.workers=2"],
    }
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name, case in cases.items():
                own = [f"results_dir={folder}", f"study={len(name)}_{number}"]
                costs[name].append(command_cost([*case, *(own if case[0] == GDCONV else [])]))
    median = {
        name: [statistics.median(each) for each in zip(*costs[name], strict=True)] for name in cases
    }
    print(
        f"{rows} rows of {COLUMNS} features; whole commands in turn, median of {rounds} rounds, and"
        " the memory of the process that was started."
    )
    first = next(iter(median.values()))[0]
    print_table(
        ["", "s", "ratio", "peak MiB", "rows a second"],
        [
            [name, f"{s:.1f}", f"{s / first:.2f}", f"{peak:.0f}", f"{rows / s:,.0f}"]
            for name, (s, peak) in median.items()
        ],
    )
    one, two = (median[name][0] for name in ("gdconv", "gdconv, two processes"))
    ratio, minutes = one / two, FAR_ROWS * one / rows / FAR_CORES / 60
    print(
        f"Two processes draw {ratio:.2f} times as many rows a second as one. {FAR_ROWS:,} rows"
        f" on {FAR_CORES} cores would take {minutes:.1f} minutes, if every core is as fast as the"
        " one process here: blocks do not depend on each other, a block's result is a triangle of"
        f" {COLUMNS + 1} columns, and joining two takes less than a millisecond.\n"
    )


def _tables(rounds: int, gigabytes: float) -> None:
    """Time a table in parts of CSV, and the same as Parquet."""
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        # By another process, because a command's memory begins with that of who starts it.
        program = WRITTEN.format(folder=folder, size=gigabytes * 1e9)
        subprocess.run([sys.executable, "-c", program], check=True)
        parts = len([*(Path(folder) / "csv").iterdir()])
        rows = parts * PART_ROWS
        for kind in ("csv", "parquet"):
            for workers in (1, 2):
                command = [GDCONV, "problem=table", f"problem.path={folder}/{kind}"]
                command += ["problem.target=y", "method.iterations=10", "report=false"]
                command += ["engine=processes", f"engine.workers={workers}"] * (workers > 1)
                found = [
                    command_cost(
                        [*command, f"results_dir={folder}", f"study={kind}{workers}_{number}"]
                    )
                    for number in range(rounds)
                ]
                costs[kind, workers] = [*map(statistics.median, zip(*found, strict=True))]
    print(f"{rows} rows of {COLUMNS} features in {parts} files, {gigabytes} GB as CSV.")
    print_table(
        ["", "processes", "s", "peak MiB", "rows a second", "ratio to one"],
        [
            [
                *(kind, str(workers), f"{s:.1f}", f"{peak:.0f}", f"{rows / s:,.0f}"),
                f"{costs[kind, 1][0] / s:.2f}",
            ]
            for (kind, workers), (s, peak) in costs.items()
        ],
    )
    minutes = [FAR_ROWS * costs[kind, 1][0] / rows / FAR_CORES / 60 for kind in ("csv", "parquet")]
    speed = FAR_CORES * gigabytes / costs["csv", 1][0]
    print(
        f"{FAR_ROWS:,} rows on {FAR_CORES} cores would take {minutes[0]:.1f} minutes as CSV and"
        f" {minutes[1]:.1f} as Parquet, if every core is as fast as the one process here, there are"
        f" several parts for each core, and the disk or the store delivers {speed:.1f} GB of CSV a"
        " second. One process looks at a single file, so only the second half of its time would be"
        " shared."
    )
