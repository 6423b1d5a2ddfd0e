"""nnlib's gradients against NumPy's and those of other libraries; the iteration's speed."""

from __future__ import annotations

import os
import statistics
import timeit
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from benchmarks.common import medians, only_one_thread, print_table

SIZES = ((20, 5, 1), (100, 10, 1), (1000, 100, 1), (4000, 500, 1))
SIZES += tuple((n_samples, n_features, 64) for n_samples, n_features, _ in SIZES)


def nnlib(rounds: int) -> None:
    """Time the gradient of ‖Xw − y‖² by all methods, and the building of a graph."""
    only_one_thread()
    import numpy as np

    from nnlib import Graph

    print(f"The gradient of ‖Xw − y‖², median of {rounds} rounds: µs, and the ratio to NumPy.")
    rows, names = [], []
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
        seconds = medians(methods, rounds)
        size = f"{n_samples}×{n_features}" + (f", {columns} columns" if of_columns else "")
        ratios = (each / seconds["NumPy"] for each in seconds.values())
        cells = zip(seconds.values(), ratios, strict=True)
        rows.append([size, *(f"{1e6 * each:.1f} ({ratio:.2f})" for each, ratio in cells)])
        names = list(seconds)
    print_table(["X", *names], rows)

    def build(vertices: int = 10_000) -> None:
        g = Graph()
        v = x = g.tensor(1.0)
        for _ in range(vertices):
            v = g.add(v, x)

    times = timeit.repeat(build, number=1, repeat=rounds)
    print(f"Building a graph: {1e6 * statistics.median(times) / 10_000:.1f} µs a vertex.")


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


def flops(rounds: int) -> None:
    """Compare the iteration's products with the fastest this machine multiplies such matrices."""
    only_one_thread()
    import numpy as np

    from gdconv.config import Gaussian
    from gdconv.descent import descend
    from gdconv.objective import Objective
    from gdconv.problems import make

    print(f"GFLOP/s of the iteration of 64 runs at a time, median of {rounds} rounds.")
    rows = []
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
        shares = [f"{rates['iteration']:.1f}", f"{rates['products']:.1f}", f"{part:.0%}"]
        rows.append([str(n_features), *shares])
    print_table(["d", "iteration", "its two products", "part"], rows)
