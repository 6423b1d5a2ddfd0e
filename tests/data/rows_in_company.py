"""Run the same runs alone, in groups and all together; print what differs, and how it was run.

The environment's OPENBLAS_CORETYPE chooses the kernels. Printed is JSON: the architectures of the
BLAS, how many lines of the tables were compared for each shape, and the names of those that differ.
"""

import json

import numpy as np
import threadpoolctl

from gdconv.config.sections import Gaussian, Record, RunConfig, Step, expand
from gdconv.experiment.group import run_group
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.tables.csv import encode

SIZES = (1, 3, 10, 25, 64, 100)
ALL = 513
# n_samples, n_features, reduce: the matrix that is iterated is d x d, or n x d without reduction.
SHAPES = [
    *((2 * d, d, "qr") for d in (5, 20, 30, 50, 100, 150, 196, 257, 300)),
    *((13, 420, "qr"), (420, 13, "none"), (197, 131, "none"), (1000, 20, "none")),
]


def lines(runs):
    """Every line of the runs' rows and curves."""
    rows = encode(run_group(runs))
    return set(rows.runs.splitlines() + rows.curves.splitlines())


def compare(n_samples, n_features, reduce):
    """Return how many lines were compared, and those that differ."""
    # Half of the runs diverge, at all speeds, and leave the others behind.
    converging = np.linspace(0.05, 1.95, ALL - ALL // 2)
    steps = [float(f"{x:.6g}") for x in (*converging, *np.geomspace(3, 1e60, ALL // 2))]
    config = RunConfig(
        Gaussian(n_samples, n_features),
        step=Step(value=steps),
        method=GradientDescent(iterations=12, reduce=reduce),
        record=Record(points=6),
    )
    runs = list(expand(config))
    together = lines(runs)
    rng = np.random.default_rng(0)
    parts = [sorted(rng.permutation(ALL)[:size].tolist()) for size in SIZES]
    apart = [line for part in parts for line in lines([runs[k] for k in part])]
    return len(apart), [line.decode() for line in apart if line not in together]


if __name__ == "__main__":
    with threadpoolctl.threadpool_limits(1):
        found = {str(shape): compare(*shape) for shape in SHAPES}
    architectures = {library.get("architecture") for library in threadpoolctl.threadpool_info()}
    print(json.dumps({"architectures": sorted(map(str, architectures)), "found": found}))
