"""Measure gdconv against what it is meant to beat: .venv/bin/python scripts/benchmark.py NAME.

nnlib   the gradient of ‖Xw − y‖² by nnlib, NumPy, and the peers that are installed (autograd,
        PyTorch, JAX), at five sizes. All take turns; the figures are medians.
sweep   the whole command `gdconv -m` (start-up, CSVs; no figures) on 384 runs, against a plain
        NumPy script that loops over the same runs one at a time, in turn; medians as well. With
        --workers 2 both use two processes, the script through joblib.
scale   a sweep of 100,000 runs against one of 10,000: time and memory a run.
flops   how close the iteration comes to the speed of its two matrix products.

BLAS runs on one thread in all of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

N_FEATURES = (25, 50, 100, 200)
REPETITIONS = 3
RELATIVE_STEPS = (0.1, 1.9, 32)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ONE_THREAD_TOO = os.environ | ONE_THREAD


def plain(iterations: int, workers: int) -> None:
    """Do the runs of the sweep as one would without gdconv: one by one, with gaps at 60 times."""
    from joblib import Parallel, delayed

    jobs = [
        delayed(plain_run)(n_features, repetition, relative_step, iterations)
        for n_features in N_FEATURES
        for repetition in range(REPETITIONS)
        for relative_step in grid(*RELATIVE_STEPS)
    ]
    gaps = Parallel(n_jobs=workers)(jobs)
    print(sum(map(len, gaps)), "gaps")


def plain_run(
    n_features: int, repetition: int, relative_step: float, iterations: int
) -> dict[int, float]:
    """Do one run; return the gap at each recorded iteration."""
    import numpy as np

    recorded = set(np.geomspace(1, iterations, 59).round().astype(int)) | {0}
    rng = np.random.default_rng(repetition)
    X = rng.standard_normal((2 * n_features, n_features))
    X[:, -1] = 1.0
    y = X @ rng.standard_normal(n_features) + rng.standard_normal(2 * n_features)
    w_star = np.linalg.lstsq(X, y)[0]
    step_size = relative_step / (2 * np.linalg.norm(X, 2) ** 2)
    gaps = {}
    w = np.zeros(n_features)
    for t in range(iterations + 1):
        if t in recorded:
            error = X @ (w - w_star)
            gaps[t] = error @ error
        w -= step_size * (2 * (X.T @ (X @ w - y)))
    return gaps


def grid(start: float, stop: float, count: int) -> list[float]:
    """Return evenly spaced numbers, as ${linspace:...} does."""
    return [(start * (count - 1 - i) + stop * i) / (count - 1) for i in range(count)]


def sweep(iterations: int, rounds: int, workers: int) -> None:
    """Time the whole command against `plain`, in turn."""
    engine = ["engine=processes", f"engine.workers={workers}"] if workers > 1 else []
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
                *engine,
            ]

        reference = [sys.executable, __file__, "plain", f"--iterations={iterations}"]
        reference += [f"--workers={workers}"]
        seconds: dict[str, list[float]] = {"gdconv": [], "plain NumPy": []}
        for number in range(rounds):
            seconds["gdconv"].append(_timed(command(number)))
            seconds["plain NumPy"].append(_timed(reference))
    runs = len(N_FEATURES) * REPETITIONS * RELATIVE_STEPS[2]
    print(f"{runs} runs of {iterations} iterations, {workers} processes, {rounds} rounds, medians")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"  {name:12s} {median:8.2f} s   {1000 * median / runs:7.2f} ms a run")
    ratio = medians["gdconv"] / medians["plain NumPy"]
    print(f"  ratio        {ratio:8.3f}     gdconv is {1 / ratio:.1f} times as fast")


def scale(runs: int, workers: int, curves: str) -> None:
    """Time a sweep of a tenth of the runs and one of all of them: 40 problems, d = 20."""
    engine = ["engine=processes", f"engine.workers={workers}"] if workers > 1 else []
    print(f"{'runs':>8} {'s':>8} {'ms a run':>9} {'peak MiB of the parent':>23} {'CSV MiB':>8}")
    for count in (runs // 10, runs):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                str(Path(sys.executable).with_name("gdconv")),
                *(f"results_dir={folder}", "study=scale", "report=false", *engine),
                *("problem.n_features=20", "repetitions=40", "method.iterations=500"),
                f"record.curves={curves}",
                "step.value=${linspace:0.02,2.1," + str(count // 40) + "}",
            ]
            started = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ONE_THREAD_TOO
            )
            # That of this process alone, whereas getrusage gives the largest of all children.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            if os.waitstatus_to_exitcode(status):
                raise SystemExit("gdconv failed")
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.csv")) / 2**20
            peak = usage.ru_maxrss / 2**10
        print(f"{count:8d} {seconds:8.1f} {1000 * seconds / count:9.3f} {peak:23.0f} {size:8.0f}")


def flops(rounds: int) -> None:
    """Compare the iteration's products with the fastest this machine multiplies such matrices."""
    only_one_thread()
    import numpy as np

    from gdconv.config import Gaussian
    from gdconv.descent import descend
    from gdconv.objective import Objective
    from gdconv.problems import make

    print(f"GFLOP/s with 64 runs at a time, medians of {rounds} rounds")
    print(f"{'d':>5} {'iteration':>10} {'products':>9} {'part':>6}")
    for n_features in (50, 100, 200, 400):
        objective = Objective(make(Gaussian(2 * n_features, n_features), 0, 0), "qr")
        step_sizes = np.full(64, 1.0 / objective.spectrum.lambda_max)
        start, iterations = np.zeros(n_features), max(20, 40_000_000 // n_features**2 // 64)
        W, R = np.ones((64, n_features)), objective.matrix
        first, second = np.empty_like(W), np.empty_like(W)

        def products(W=W, R=R, first=first, second=second) -> None:
            np.matmul(W, R.T, first)
            np.matmul(first, R, second)

        def iterate(objective=objective, start=start, steps=step_sizes, n=iterations) -> None:
            descend(objective, start, steps, n, lambda *_: None)

        work = 4.0 * 64 * n_features**2 / 1e9
        times: dict[str, list[float]] = {"iteration": [], "products": []}
        for _ in range(rounds):
            times["iteration"].append(timeit.timeit(iterate, number=1) / iterations)
            times["products"].append(timeit.timeit(products, number=iterations) / iterations)
        rates = {name: work / statistics.median(seconds) for name, seconds in times.items()}
        part = rates["iteration"] / rates["products"]
        print(f"{n_features:5d} {rates['iteration']:10.1f} {rates['products']:9.1f} {part:6.0%}")


def only_one_thread() -> None:
    """Start again with BLAS on one thread: it reads its environment when it is loaded."""
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], ONE_THREAD_TOO)


SIZES = ((20, 5, 1), (100, 10, 1), (1000, 100, 1), (4000, 500, 1))
SIZES += tuple((n_samples, n_features, 64) for n_samples, n_features, _ in SIZES)


def nnlib(rounds: int) -> None:
    """Time the gradient of ‖Xw − y‖² by all methods, and the building of a graph."""
    only_one_thread()
    import numpy as np

    from nnlib import Graph

    print(f"gradient of ‖Xw − y‖², µs, median of {rounds} rounds; below, the ratio to NumPy")
    for n_samples, n_features, columns in SIZES:
        rng = np.random.default_rng(0)
        of_columns = () if columns == 1 else (columns,)
        X = rng.standard_normal((n_samples, n_features))
        w = rng.standard_normal((n_features, *of_columns))
        y = rng.standard_normal((n_samples, *of_columns))
        methods = dict(_methods(X, w, y))
        expected = 2 * (X.T @ (X @ w - y))
        for method in methods.values():
            np.testing.assert_allclose(np.asarray(method()), expected, rtol=1e-9, atol=1e-6)
        calls = {name: _calls(method) for name, method in methods.items()}
        seconds: dict[str, list[float]] = {name: [] for name in methods}
        for _ in range(rounds):
            for name, method in methods.items():
                seconds[name].append(timeit.timeit(method, number=calls[name]) / calls[name])
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        size = f"{n_samples}×{n_features}" + (f", {columns} columns" if of_columns else "")
        print(f"\n{size:20}" + "".join(f"{name:>13}" for name in medians))
        print(f"{'µs':>20}" + "".join(f"{1e6 * each:13.1f}" for each in medians.values()))
        ratios = (each / medians["NumPy"] for each in medians.values())
        print(f"{'ratio':>20}" + "".join(f"{ratio:13.2f}" for ratio in ratios))

    def build(vertices: int = 10_000) -> None:
        g = Graph()
        v = x = g.tensor(1.0)
        for _ in range(vertices):
            v = g.add(v, x)

    times = timeit.repeat(build, number=1, repeat=rounds)
    print(f"\nbuilding a graph: {1e6 * statistics.median(times) / 10_000:.1f} µs a vertex")


def _methods(X: Any, w: Any, y: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name of each way to compute 2Xᵀ(Xw − y), and a call that does."""
    import numpy as np

    from nnlib import Graph, compile  # noqa: A004

    yield "NumPy", lambda: 2 * (X.T @ (X @ w - y))

    residual, gradient, transposed = np.empty_like(y), np.empty_like(w), X.T

    def with_buffers() -> Any:
        np.matmul(X, w, residual)
        np.subtract(residual, y, residual)
        np.multiply(residual, 2.0, residual)
        return np.matmul(transposed, residual, gradient)

    yield "with buffers", with_buffers

    g = Graph()
    leaf = g.tensor(w)
    loss = g.sum(g.square(g.sub(g.matmul(g.tensor(X), leaf), g.tensor(y))))

    def graph() -> Any:
        g.set(leaf, w)
        g.run_grad(loss)
        return g.grad[leaf]

    yield "Graph", graph
    program = compile(g, loss, [leaf])
    yield "compiled", lambda: program(w)[0]

    with suppress(ImportError):
        import autograd
        import autograd.numpy as anp

        by_autograd = autograd.grad(lambda w: anp.sum((anp.dot(X, w) - y) ** 2))
        yield "autograd", lambda: by_autograd(w)
    with suppress(ImportError):
        import torch

        torch.set_num_threads(1)
        X_torch, y_torch = torch.from_numpy(X), torch.from_numpy(y)
        w_torch = torch.from_numpy(w).requires_grad_()

        def by_torch() -> Any:
            loss = torch.sum((X_torch @ w_torch - y_torch) ** 2)
            return torch.autograd.grad(loss, w_torch)[0]

        yield "PyTorch", by_torch
    with suppress(ImportError):
        os.environ["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
        import jax

        jax.config.update("jax_enable_x64", True)
        X_jax, y_jax, w_jax = map(jax.numpy.asarray, (X, y, w))
        by_jax = jax.jit(jax.grad(lambda w: jax.numpy.sum((X_jax @ w - y_jax) ** 2)))
        yield "JAX (jit)", lambda: by_jax(w_jax).block_until_ready()


def _calls(method: Callable[[], Any]) -> int:
    """Return how many calls take about 20 ms."""
    calls, _ = timeit.Timer(method).autorange()
    return max(1, calls // 10)


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ONE_THREAD_TOO)
    return time.perf_counter() - started


def main() -> None:
    """Parse the command line and run one benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="NAME")
    gradients = commands.add_parser("nnlib", help="gradients by nnlib, NumPy and peers")
    gradients.add_argument("--rounds", type=int, default=15)
    gradients.set_defaults(run=nnlib)
    benchmark = commands.add_parser("sweep", help="the command against a plain NumPy script")
    benchmark.add_argument("--iterations", type=int, default=2000)
    benchmark.add_argument("--rounds", type=int, default=3)
    benchmark.add_argument("--workers", type=int, default=1)
    benchmark.set_defaults(run=sweep)
    large = commands.add_parser("scale", help="100,000 runs against 10,000")
    large.add_argument("--runs", type=int, default=100_000)
    large.add_argument("--workers", type=int, default=1)
    large.add_argument("--curves", choices=["log", "none"], default="log")
    large.set_defaults(run=scale)
    speed = commands.add_parser("flops", help="the iteration against its matrix products")
    speed.add_argument("--rounds", type=int, default=7)
    speed.set_defaults(run=flops)
    reference = commands.add_parser("plain", help="the plain NumPy script by itself")
    reference.add_argument("--iterations", type=int, default=2000)
    reference.add_argument("--workers", type=int, default=1)
    reference.set_defaults(run=plain)
    arguments = vars(parser.parse_args())
    run: Callable[..., None] = arguments.pop("run")
    run(**arguments)


if __name__ == "__main__":
    main()
