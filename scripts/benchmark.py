"""Measure gdconv against what it is meant to beat: .venv/bin/python scripts/benchmark.py sweep.

sweep   the whole command `gdconv -m` (start-up, CSVs; no figures) on 384 runs, against a plain
NumPy
        script that loops over the same runs one at a time. Both run on one BLAS thread,
        alternately; the figures are medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

N_FEATURES = (25, 50, 100, 200)
REPETITIONS = 3
RELATIVE_STEPS = (0.1, 1.9, 32)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def plain(iterations: int) -> None:
    """Do the runs of the sweep as one would without gdconv: one by one, with gaps at 60 times."""
    import numpy as np

    recorded = set(np.geomspace(1, iterations, 59).round().astype(int)) | {0}
    gaps = {}
    for n_features in N_FEATURES:
        for repetition in range(REPETITIONS):
            rng = np.random.default_rng(repetition)
            X = rng.standard_normal((2 * n_features, n_features))
            X[:, -1] = 1.0
            y = X @ rng.standard_normal(n_features) + rng.standard_normal(2 * n_features)
            w_star = np.linalg.lstsq(X, y)[0]
            lambda_max = 2 * np.linalg.norm(X, 2) ** 2
            for relative_step in np.linspace(*RELATIVE_STEPS):
                w = np.zeros(n_features)
                for t in range(iterations + 1):
                    if t in recorded:
                        error = X @ (w - w_star)
                        gaps[n_features, repetition, relative_step, t] = error @ error
                    w -= relative_step / lambda_max * (2 * (X.T @ (X @ w - y)))
    print(len(gaps), "gaps")


def sweep(iterations: int, rounds: int) -> None:
    """Time the whole command against `plain`, in turn."""
    with tempfile.TemporaryDirectory() as folder:

        def command(round_number: int) -> list[str]:
            return [
                str(Path(sys.executable).with_name("gdconv")),
                "-m",
                f"results_dir={folder}",
                f"study=round{round_number}",
                "report=false",
                f"repetitions={REPETITIONS}",
                f"method.iterations={iterations}",
                "problem.n_features=" + ",".join(map(str, N_FEATURES)),
                'problem.n_samples="${multiply:2,${problem.n_features}}"',
                "step.value=${linspace:" + ",".join(map(str, RELATIVE_STEPS)) + "}",
            ]

        reference = [sys.executable, __file__, "plain", "--iterations", str(iterations)]
        seconds: dict[str, list[float]] = {"gdconv": [], "plain NumPy": []}
        for number in range(rounds):
            seconds["gdconv"].append(_timed(command(number)))
            seconds["plain NumPy"].append(_timed(reference))
    runs = len(N_FEATURES) * REPETITIONS * RELATIVE_STEPS[2]
    print(f"{runs} runs of {iterations} iterations, median of {rounds} rounds")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"  {name:12s} {median:8.2f} s   {1000 * median / runs:7.2f} ms a run")
    print(f"  ratio        {medians['gdconv'] / medians['plain NumPy']:8.3f}")


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | ONE_THREAD)
    return time.perf_counter() - started


def main() -> None:
    """Parse the command line and run one benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="sweep")
    benchmark = commands.add_parser("sweep", help="the command against a plain NumPy script")
    benchmark.add_argument("--iterations", type=int, default=2000)
    benchmark.add_argument("--rounds", type=int, default=3)
    benchmark.set_defaults(run=sweep)
    reference = commands.add_parser("plain", help="the plain NumPy script by itself")
    reference.add_argument("--iterations", type=int, default=2000)
    reference.set_defaults(run=plain)
    arguments = vars(parser.parse_args())
    run: Callable[..., None] = arguments.pop("run")
    run(**arguments)


if __name__ == "__main__":
    main()
