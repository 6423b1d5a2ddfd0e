"""Methods: their iterations beside gradient descent's, and whole commands with momentum."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import Any

from benchmarks.common import GDCONV, command_seconds, only_one_thread, print_table
from benchmarks.sweeps import recorded_iterations

# n_features, runs of a group, iterations
SIZES = (
    *((20, 1, 2000), (20, 20, 2000), (20, 100, 1000)),
    *((100, 1, 1500), (100, 20, 800), (100, 100, 200)),
)


def methods(rounds: int) -> None:
    """Time iterations of each method, 10,000 runs of a heat map, and 2,000 against a plain loop."""
    only_one_thread()
    print(
        "An iteration of each method against gradient descent's, in processor time; median of"
        f" {rounds} rounds."
    )
    names, rows = [], []
    for n_features, runs, iterations in SIZES:
        times = _iterations(n_features, runs, iterations, rounds)
        first, *_ = times.values()
        ratios = {
            name: statistics.median(a / b for a, b in zip(each, first, strict=True))
            for name, each in times.items()
        }
        names = list(ratios)
        cells = [f"{each:.2f}" for each in list(ratios.values())[1:]]
        micro = 1e6 * statistics.median(first) / iterations
        rows.append([str(n_features), str(runs), f"{micro:.1f}", *cells])
    print_table(["d", "runs", "gradient descent, µs", *names[1:]], rows)
    heat_map, ours, loop = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            base = [GDCONV, f"results_dir={folder}", "report=false", "method=heavy_ball"]
            grid = ["step.value=${linspace:0.04,4,100}", "method.momentum=${linspace:0,0.99,100}"]
            few = ["step.value=${linspace:0.04,2,50}", "method.momentum=${linspace:0,0.975,40}"]
            quick = [f"study=map{number}", "method.iterations=500", "record.curves=none"]
            heat_map.append(command_seconds([*base, *grid, *quick]))
            ours.append(command_seconds([*base, *few, f"study=runs{number}"]))
            loop.append(command_seconds([sys.executable, sys.argv[0], "plain-momentum"]))
    print("Heavy ball with d = 20. The plain script loops over the same 2,000 runs, one by one.")
    rows = [
        [name, f"{statistics.median(each):.2f}"]
        for name, each in (
            ("10,000 runs of 500 iterations, without curves", heat_map),
            ("2,000 runs of 2,000 iterations, with curves", ours),
            ("the same by a plain loop", loop),
        )
    ]
    ratio = statistics.median(b / a for a, b in zip(ours, loop, strict=True))
    print_table(["", "s"], [*rows, ["ratio of the last two", f"{ratio:.1f}"]])


def plain_momentum(iterations: int = 2000) -> None:
    """Do 2,000 runs of heavy ball as one would without gdconv, with gaps at 60 times."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 20))
    y = rng.standard_normal(200)
    w_star, largest = np.linalg.lstsq(X, y)[0], 2 * np.linalg.norm(X, 2) ** 2
    recorded, gaps = recorded_iterations(iterations), 0
    for relative_step in np.linspace(0.04, 2, 50):
        for momentum in np.linspace(0, 0.975, 40):
            w, velocity, step_size = np.zeros(20), np.zeros(20), relative_step / largest
            for t in range(iterations + 1):
                if t in recorded:
                    error = X @ (w - w_star)
                    gaps += np.isfinite(error @ error)
                velocity = momentum * velocity + 2 * (X.T @ (X @ w - y))
                w = w - step_size * velocity
    print(gaps, "gaps")


def _iterations(n_features: int, runs: int, iterations: int, rounds: int) -> dict[str, list[float]]:
    """The seconds that some iterations take, in turn, for each method."""
    import numpy as np

    from gdconv import (
        BarzilaiBorwein,
        Chebyshev,
        ConjugateGradient,
        Gaussian,
        GradientDescent,
        HeavyBall,
        Nesterov,
        Polyak,
        RunConfig,
        SteepestDescent,
        Step,
    )
    from gdconv.config.runs import expand
    from gdconv.experiment.iterate import iterate
    from gdconv.experiment.prediction import Theory
    from gdconv.experiment.trajectory import Recorder
    from gdconv.problems.families import make
    from gdconv.problems.least_squares import Objective

    problem, start = Gaussian(2 * n_features, n_features), np.zeros(n_features)
    objective = Objective(make(problem, 0, 0), "qr")
    steps = Step(value=np.linspace(0.3, 0.9, runs).tolist())
    chosen: dict[str, Any] = {
        "gradient descent": GradientDescent(),
        "heavy ball": HeavyBall(momentum=0.5),
        "Nesterov": Nesterov(momentum=0.5),
        "Nesterov, convex": Nesterov(momentum="convex"),
        "Chebyshev": Chebyshev(lower=np.linspace(0.5, 1, runs).tolist()),
        "restarts by gradient": Nesterov(momentum="convex", restart="gradient"),
        "restarts by function": Nesterov(momentum="convex", restart="function"),
        "steepest descent": SteepestDescent(),
        "Polyak": Polyak(),
        "Barzilai and Borwein": BarzilaiBorwein(),
        "conjugate gradients": ConjugateGradient(),
    }
    theories = {}
    for name, method in chosen.items():
        every = list(expand(RunConfig(problem, method=method, step=steps)))
        theories[name] = Theory(objective, start, every)
        # A method without a step size makes one run; its rows are as many all the same.
        of_run = theories[name].coefficients
        theories[name].coefficients = {each: np.resize(of_run[each], runs) for each in of_run}
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, theory in theories.items():
            recorder = Recorder(
                *(theory.w_star, objective.offset, np.array([0, 1, iterations])),
                np.zeros(runs),
                np.full(runs, 1e300),
                1e-6,
            )
            started = time.thread_time()
            iterate(
                *(theory.method, objective, start, theory.coefficients, iterations),
                recorder.observe,
            )
            times[name].append(time.thread_time() - started)
    return times
