"""Stochastic gradient descent: a command, with the exact expectation, against a plain loop."""

from __future__ import annotations

import statistics
import sys
import tempfile

from benchmarks.common import GDCONV, command_seconds, only_one_thread, print_table
from benchmarks.sweeps import recorded_iterations

# As parts of the largest stable step size.
STEPS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
N_SAMPLES, N_FEATURES, ITERATIONS, PATHS = 400, 50, 2000, 200


def sampling(rounds: int) -> None:
    """Time a study of sgd with two batch sizes, and the paths of one step size by a plain loop."""
    only_one_thread()
    print(
        f"n = {N_SAMPLES}, d = {N_FEATURES}, {ITERATIONS:,} iterations, {len(STEPS)} step sizes,"
        f" {PATHS} paths; median of {rounds} rounds. The plain loop takes {PATHS // 10} paths of"
        " one step size, and its time is multiplied."
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (1, 10):
            ours, loop = [], []
            for number in range(rounds):
                words = [f"results_dir={folder}", f"study=b{size}_{number}", "report=false"]
                words += [f"problem.n_samples={N_SAMPLES}", f"problem.n_features={N_FEATURES}"]
                words += ["method=sgd", f"method.batch_size={size}", f"method.paths={PATHS}"]
                words += ["step.unit=limit", f"step.value={list(STEPS)}".replace(" ", "")]
                ours.append(command_seconds([GDCONV, *words]))
                script = [sys.executable, sys.argv[0], "plain-sampling", "--batch", str(size)]
                loop.append(10 * len(STEPS) * command_seconds(script))
            ratio = statistics.median(b / a for a, b in zip(ours, loop, strict=True))
            medians = (f"{statistics.median(each):.1f}" for each in (ours, loop))
            rows.append([str(size), *medians, f"{ratio:.1f}"])
    print_table(["rows in a batch", "`gdconv`, s", "plain loop, s", "ratio"], rows)


def plain_sampling(batch: int) -> None:
    """Do a tenth of the paths of one step size as one would without gdconv."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_SAMPLES, N_FEATURES))
    y = rng.standard_normal(N_SAMPLES)
    w_star = np.linalg.lstsq(X, y)[0]
    recorded, gaps = recorded_iterations(ITERATIONS), 0.0
    step_size = 0.2 * 2 / np.linalg.norm(X) ** 2 / 2
    for _ in range(PATHS // 10):
        w = np.zeros(N_FEATURES)
        for t in range(ITERATIONS + 1):
            if t in recorded:
                error = X @ (w - w_star)
                gaps += error @ error
            rows = rng.integers(N_SAMPLES, size=batch)
            gradient = N_SAMPLES / batch * 2 * X[rows].T @ (X[rows] @ w - y[rows])
            w = w - step_size * gradient
    print(gaps)
