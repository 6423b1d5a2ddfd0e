"""Run the same runs alone, in groups and all together; print what differs, and how it was run.

The environment's OPENBLAS_CORETYPE chooses the kernels. Printed is JSON: the architectures of the
BLAS, how many lines of the tables were compared for each shape, and the names of those that differ.
"""

import json

import numpy as np
import threadpoolctl

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Record, Step
from gdconv.experiment.group import run_group
from gdconv.experiment.iterate import iterate
from gdconv.methods.barzilai_borwein import BarzilaiBorwein
from gdconv.methods.conjugate_gradient import ConjugateGradient
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.nesterov import Nesterov
from gdconv.methods.polyak import Polyak
from gdconv.methods.steepest_descent import SteepestDescent
from gdconv.problems.families import make
from gdconv.problems.least_squares import Objective
from gdconv.tables.csv import encode

SIZES = (1, 3, 10, 25, 64, 100)
ALL = 513
# n_samples, n_features, reduce: the matrix that is iterated is d x d, or n x d without reduction.
SHAPES = [
    *((2 * d, d, "qr") for d in (5, 20, 30, 50, 100, 150, 196, 257, 300)),
    *((13, 420, "qr"), (420, 13, "none"), (197, 131, "none"), (1000, 20, "none")),
]

# Methods whose inner products of a row must not depend on other rows.
CHOOSING = [
    *(ConjugateGradient(), ConjugateGradient(reorthogonalize=True)),
    *(SteepestDescent(), Polyak(), BarzilaiBorwein()),
    *(Nesterov(momentum="convex", restart=rule) for rule in ("gradient", "function")),
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


def compare_choosing(method, d):
    """The same for numbers of rows: each run's iterates, residuals and choices at 5 iterations.

    The runs leave one after the other, so that the rest is cut anew.
    """
    objective = Objective(make(Gaussian(2 * d, d), 0, 0), "qr")

    def seen(runs):
        found = {}

        def observe(t, rows, W, residual, beside):
            for place, run in enumerate(rows):
                numbers = W[place], residual[place], *(v[place] for v in beside.chosen().values())
                found[int(runs[run]), t] = b"".join(each.tobytes() for each in numbers)
            return runs[rows] % 5 == t

        steps = (0.5 + runs / 100) / objective.spectrum.lambda_max
        numbers = {"factor": 0.5 + runs / 30, "step_size": steps}
        iterate(method, objective, np.ones(d), numbers, 6, observe)
        return found

    together, compared, different = seen(np.arange(70)), 0, []
    for some in ([4], [69], [3, 4, 9], range(20, 45)):
        apart = seen(np.array(some))
        compared += len(apart)
        different += [where for where, values in apart.items() if together[where] != values]
    return compared, different


if __name__ == "__main__":
    with threadpoolctl.threadpool_limits(1):
        found = {str(shape): compare(*shape) for shape in SHAPES}
        chosen = {
            f"{method.name} {method.kind} {d}": compare_choosing(method, d)
            for method in CHOOSING
            for d in (5, 20, 131, 196)
        }
    architectures = {library.get("architecture") for library in threadpoolctl.threadpool_info()}
    print(
        json.dumps(
            {"architectures": sorted(map(str, architectures)), "found": found, "chosen": chosen}
        )
    )
