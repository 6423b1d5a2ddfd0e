"""Whole commands: against a plain NumPy script, with many runs, as the sizes grow, at the start."""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common import (
    GDCONV,
    command_cost,
    command_seconds,
    only_one_thread,
    print_table,
)

ROOT = Path(__file__).resolve().parents[2]
N_FEATURES = (25, 50, 100, 200)
REPETITIONS = 3
RELATIVE_STEPS = (0.1, 1.9, 32)


def plain(iterations: int, workers: int, momentum: float = 0.0) -> None:
    """Do the runs of the sweep as one would without gdconv: one by one, with gaps at 60 times."""
    from joblib import Parallel, delayed

    jobs = [
        delayed(plain_run)(n_features, repetition, relative_step, iterations, momentum)
        for n_features in N_FEATURES
        for repetition in range(REPETITIONS)
        for relative_step in grid(*RELATIVE_STEPS)
    ]
    gaps = Parallel(n_jobs=workers)(jobs)
    print(sum(map(len, gaps)), "gaps")


def plain_run(
    n_features: int, repetition: int, relative_step: float, iterations: int, momentum: float
) -> dict[int, float]:
    """Do one run; return the gap at each recorded iteration. With momentum it is heavy ball."""
    import numpy as np

    recorded = recorded_iterations(iterations)
    X, y = random_problem(n_features, repetition)
    w_star = np.linalg.lstsq(X, y)[0]
    step_size = relative_step / (2 * np.linalg.norm(X, 2) ** 2)
    gaps = {}
    w, velocity = np.zeros(n_features), np.zeros(n_features)
    for t in range(iterations + 1):
        if t in recorded:
            error = X @ (w - w_star)
            gaps[t] = error @ error
        gradient = 2 * (X.T @ (X @ w - y))
        if momentum:
            velocity = gradient = momentum * velocity + gradient
        w -= step_size * gradient
    return gaps


def random_problem(n_features: int, repetition: int) -> tuple[Any, Any]:
    """Return X and y of a problem as those of gdconv's family gaussian."""
    import numpy as np

    rng = np.random.default_rng(repetition)
    X = rng.standard_normal((2 * n_features, n_features))
    X[:, -1] = 1.0
    return X, X @ rng.standard_normal(n_features) + rng.standard_normal(2 * n_features)


def recorded_iterations(iterations: int) -> set[int]:
    """Return 0 and up to 59 others, evenly spaced on a logarithmic scale, the last among them."""
    import numpy as np

    return {0, *np.geomspace(1, iterations, 59).round().astype(int).tolist()}


def grid(start: float, stop: float, count: int) -> list[float]:
    """Return evenly spaced numbers, as ${linspace:...} does."""
    return [(start * (count - 1 - i) + stop * i) / (count - 1) for i in range(count)]


def sweep(
    iterations: int, rounds: int, workers: int, report: bool = False, momentum: float = 0.0
) -> None:
    """Time the whole command against `plain`, in turn."""
    engine = ["engine=processes", f"engine.workers={workers}"] if workers > 1 else []
    method = ["method=heavy_ball", f"method.momentum={momentum}"] if momentum else []
    with tempfile.TemporaryDirectory() as folder:

        def command(round_number: int) -> list[str]:
            return [
                GDCONV,
                "-m",
                f"results_dir={folder}",
                f"study=round{round_number}",
                f"report={str(report).lower()}",
                f"repetitions={REPETITIONS}",
                f"method.iterations={iterations}",
                "problem.n_features=" + ",".join(map(str, N_FEATURES)),
                'problem.n_samples="${multiply:2,${problem.n_features}}"',
                "step.value=${linspace:" + ",".join(map(str, RELATIVE_STEPS)) + "}",
                *engine,
                *method,
            ]

        script = [sys.executable, sys.argv[0], "plain", f"--iterations={iterations}"]
        script += [f"--workers={workers}", f"--momentum={momentum}"]
        seconds: dict[str, list[float]] = {"gdconv": [], "plain NumPy": []}
        for number in range(rounds):
            seconds["gdconv"].append(command_seconds(command(number)))
            seconds["plain NumPy"].append(command_seconds(script))
            if find_spec("benchopt"):
                times = seconds.setdefault("benchopt, its callback", [])
                times.append(_by_benchopt(Path(folder) / f"benchopt{number}", iterations, workers))
    runs = len(N_FEATURES) * REPETITIONS * RELATIVE_STEPS[2]
    print(
        f"{runs} runs of {iterations} iterations in {workers} process{'es' * (workers > 1)},"
        f" {'report included' if report else 'without the report'}; median of {rounds} rounds."
    )
    median = {name: statistics.median(times) for name, times in seconds.items()}
    rows = [
        [name, f"{each:.2f}", f"{1000 * each / runs:.2f}", f"{each / median['gdconv']:.2f}"]
        for name, each in median.items()
    ]
    print_table(["", "s", "ms a run", "ratio"], rows)


def _by_benchopt(folder: Path, iterations: int, workers: int) -> float:
    shutil.copytree(Path(__file__).parent / "benchopt", folder)
    # The first evaluation is not counted, and at the last but one it stops.
    evaluations = len(recorded_iterations(iterations)) - 1
    environment = {"PYTHONPATH": str(ROOT / "scripts"), "ITERATIONS": str(iterations)}
    command = [sys.executable, "-m", "benchopt", "run", str(folder), "--no-plot", "--no-timeout"]
    command += ["-r", "1", "-n", str(evaluations), "-j", str(workers)]
    return command_seconds(command, environment)


def scale(runs: int, workers: int, curves: str) -> None:
    """Time a sweep of a tenth of the runs and one of all of them: 40 problems, d = 20."""
    engine = ["engine=processes", f"engine.workers={workers}"] if workers > 1 else []
    print(f"40 problems with d = 20, 500 iterations, record.curves={curves}.")
    rows = []
    for count in (runs // 10, runs):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                GDCONV,
                *(f"results_dir={folder}", "study=scale", "report=false", *engine),
                *("problem.n_features=20", "repetitions=40", "method.iterations=500"),
                f"record.curves={curves}",
                "step.value=${linspace:0.02,2.1," + str(count // 40) + "}",
            ]
            seconds, peak = command_cost(command)
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.csv")) / 2**20
        cells = [f"{seconds:.1f}", f"{1000 * seconds / count:.3f}", f"{peak:.0f}", f"{size:.0f}"]
        rows.append([f"{count:,}", *cells])
    print_table(["runs", "s", "ms a run", "peak MiB of the parent", "CSV MiB"], rows)


BASE = {"d": 20, "step sizes": 64, "iterations": 1000, "repetitions": 1}
GROWTH = {
    "d": (10, 20, 50, 100, 200, 400),
    "step sizes": (8, 64, 512, 4096),
    "iterations": (100, 1000, 10_000, 100_000),
    "repetitions": (1, 10, 100),
}
GROWTH_FIGURE = ROOT / "docs" / "growth.png"


def growth(rounds: int) -> None:
    """Time a study as each of its sizes grows, start-up left out, and draw it."""
    only_one_thread()
    others = ", ".join(f"{name} = {value}" for name, value in BASE.items())
    print(
        f"Seconds of a study, CSVs included, start-up not, as one size grows and the others stay:"
        f" {others}; n = 2d; smallest of {rounds} rounds."
    )
    # What is imported late must not count.
    _study_seconds(BASE, 1)
    seconds = {
        name: [_study_seconds(BASE | {name: value}, rounds) for value in values]
        for name, values in GROWTH.items()
    }
    for name, values in GROWTH.items():
        print_table(
            [name, *(f"{value:,}" for value in values)],
            [["s", *(f"{each:.3f}" for each in seconds[name])]],
        )
    _draw_growth(seconds)
    print(f"![Seconds against each size]({GROWTH_FIGURE.name})")


def _study_seconds(size: dict[str, int], rounds: int) -> float:
    from gdconv import run_study
    from gdconv.config.problems import Gaussian
    from gdconv.config.runs import RunConfig
    from gdconv.config.sections import Step
    from gdconv.methods.gradient_descent import GradientDescent

    start, stop, count = 0.02, 2.1, size["step sizes"]
    config = RunConfig(
        Gaussian(2 * size["d"], size["d"]),
        method=GradientDescent(iterations=size["iterations"]),
        step=Step(value=[start + (stop - start) * k / count for k in range(count)]),
        repetitions=size["repetitions"],
    )
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            run_study(config, folder=Path(folder) / "study")
            times.append(time.perf_counter() - started)
    return min(times)


def _draw_growth(seconds: dict[str, list[float]]) -> None:
    """Four panels, logarithmic, each with the line of a cost in proportion to the size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True).ravel()
    for ax, (name, times) in zip(panels, seconds.items(), strict=True):
        sizes = GROWTH[name]
        ax.loglog(sizes, times, "ko-", linewidth=1, markersize=4, label="measured")
        ax.loglog(
            sizes,
            [times[-1] * size / sizes[-1] for size in sizes],
            "k:",
            linewidth=1,
            label="in proportion",
        )
        ax.set(xlabel=name)
        if name in ("d", "iterations"):
            ax.set(ylabel="seconds")
    panels[0].legend(frameon=False)
    figure.savefig(GROWTH_FIGURE, dpi=150)


def startup(rounds: int) -> None:
    """Time what comes before the first iteration."""
    with tempfile.TemporaryDirectory() as folder:
        cells = 10_000
        steps = ",".join(f"{step:.6g}" for step in grid(0.1, 1.9, cells // 4))
        many = [
            *(GDCONV, "-m", f"results_dir={folder}", "study=cells", "report=false"),
            *("problem.n_samples=8", "problem.n_features=3", "method.iterations=5"),
            *("seed=0,1,2,3", f"step.value={steps}"),
        ]
        command_seconds(many)
        imports = "import numpy, scipy.linalg, pandas, hydra"
        one = [GDCONV, f"results_dir={folder}", "report=false"]
        # A name that is new in each round, and the aim, if there is one.
        commands: dict[str, tuple[list[str], str]] = {
            f"`python -c '{imports}'`": ([sys.executable, "-c", imports], ""),
            "`gdconv --help`": ([GDCONV, "--help"], "0.35"),
            "`gdconv stepp.value=1`, a wrong command": ([GDCONV, "stepp.value=1"], "0.4"),
            "`gdconv report=false`, a study of one run": ([*one, "study=one{}"], ""),
            "the same again, which is done": ([*one, "study=one{}"], "1"),
            f"`gdconv -m` with {cells:,} new cells, in four groups": ([*many, "study=new{}"], "8"),
            f"`gdconv -m` with {cells:,} cells that are done": (many, "8"),
        }
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(rounds):
            for name, (command, _) in commands.items():
                words = [word.replace("{}", str(number)) for word in command]
                costs[name].append(command_cost(words, 2 if "wrong" in name else 0))
        print(f"Whole commands, in turn, median of {rounds} rounds, each with its aim.")
        rows = []
        for name, (_, aim) in commands.items():
            seconds, memory = zip(*costs[name], strict=True)
            rows.append([name, f"{statistics.median(seconds):.2f}", aim, f"{max(memory):.0f}"])
        print_table(["", "s", "aim", "peak MiB"], rows)


def setup() -> None:
    """Time the set-up of a fresh clone for a study, and then for the tests as well."""
    # That of the environment could be without pip.
    python = Path(sys.base_prefix) / "bin" / "python3"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        for script in ("study.py", "test.py"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = command_seconds([python, Path(folder) / "scripts" / script, "--version"])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            rows.append([f"`python3 scripts/{script}`", f"{seconds:.1f}", f"{used:.1f}"])
    print("A fresh clone, once: downloads included, which pip may have in its cache.")
    print_table(["", "s", "s of a processor"], rows)
