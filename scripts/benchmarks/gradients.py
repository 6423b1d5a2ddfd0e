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

    _graphs(rounds)

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


def _graphs(rounds: int) -> None:
    """Time a graph in a loop, and the compilation of a long chain."""
    import numpy as np

    from nnlib import Graph, compile  # noqa: A004

    rng = np.random.default_rng(0)
    n_samples, n_features, _ = SIZES[0]
    X, w, y = (rng.standard_normal(n) for n in ((n_samples, n_features), n_features, n_samples))
    methods = dict(_methods(X, w, y))

    def least_squares(unrelated: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """Return calls that differentiate after `set`, and with the values kept."""
        g = Graph()
        for _ in range(unrelated // 2):
            g.neg(g.tensor(w))
        leaf = g.tensor(w)
        loss = g.sum(g.square(g.sub(g.matmul(g.tensor(X), leaf), g.tensor(y))))

        def moved() -> None:
            g.set(leaf, w)
            g.run_grad(loss)

        return moved, lambda: g.run_grad(loss)

    moved, kept = least_squares(unrelated=0)
    crowded, _ = least_squares(unrelated=1000)
    plain, network = _networks(rng)
    seconds = medians(
        {name: methods[name] for name in ("NumPy", "autograd") if name in methods}
        | {"set, run_grad": moved, "run_grad, values kept": kept}
        | {"set, run_grad, beside 1,000 unrelated vertices": crowded}
        | {"network 64-128-10, batch 32: NumPy": plain, "network: set, run_grad": network},
        rounds,
    )
    rows = []
    for name, each in seconds.items():
        against = "network 64-128-10, batch 32: NumPy" if "network" in name else "NumPy"
        rows.append([name, f"{1e6 * each:.1f}", f"{each / seconds[against]:.2f}"])
    print(f"A graph in a loop, ‖Xw − y‖² at {n_samples}×{n_features}, and a network.")
    print_table(["", "µs", "ratio to NumPy"], rows)

    rows = []
    for vertices in (10_000, 100_000):
        g = Graph()
        v = x = g.tensor(1.0)
        for _ in range(vertices):
            v = g.tanh(v)
        times = timeit.repeat(lambda v=v, x=x, g=g: compile(g, v, [x]), number=1, repeat=3)
        rows.append([f"{vertices:,}", f"{statistics.median(times):.2f}"])
    print("Compiling the gradient of a chain of tanh.")
    print_table(["vertices", "s"], rows)


def _networks(rng: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return calls for a training step's gradient of a two-layer network, by NumPy and a graph."""
    import numpy as np

    from nnlib import Graph
    from nnlib.nn import Linear, ReLU, Sequential

    samples, classes = rng.standard_normal((32, 64)), rng.integers(10, size=32)
    g = Graph()
    network = Sequential(Linear(g, 64, 128, rng), ReLU(g), Linear(g, 128, 10, rng))
    x, labels = g.tensor(samples, "x"), g.tensor(classes, "labels")
    loss = g.softmax_cross_entropy(network(x), labels)
    W1, b1, W2, b2 = (g.value[leaf] for leaf in network.parameters)
    rows = np.arange(32)

    def plain() -> list[Any]:
        before = samples @ W1 + b1
        hidden = np.maximum(before, 0.0)
        logits = hidden @ W2 + b2
        logits -= logits.max(axis=1, keepdims=True)
        slope = np.exp(logits)
        total = slope.sum(axis=1, keepdims=True)
        np.mean(np.log(total[:, 0]) - logits[rows, classes])
        slope /= total
        slope[rows, classes] -= 1.0
        slope /= 32
        back = slope @ W2.T
        back *= before > 0
        return [samples.T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)]

    def graph() -> list[Any]:
        g.set(x, samples)
        g.set(labels, classes)
        g.run_grad(loss)
        return [g.grad[leaf] for leaf in network.parameters]

    for ours, theirs in zip(graph(), plain(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    return plain, graph


def flops(rounds: int) -> None:
    """Compare the iteration of groups of runs with that of a script, whose runs change each other.

    The script multiplies all rows at once, however many there are, and transposes as it is written:
    in the last digits a run then depends on how many others there are.
    """
    only_one_thread()
    import numpy as np

    from gdconv.config.problems import Gaussian
    from gdconv.experiment.iterate import iterate
    from gdconv.methods.gradient_descent import GradientDescent
    from gdconv.problems.families import make
    from gdconv.problems.least_squares import Objective

    print(
        "µs an iteration of groups of runs, and its ratio to that of a script without the guarantee"
        f" that a run has the same bits in any group; median of {rounds} rounds."
    )
    rows = []
    for n_features in (20, 50, 100, 200, 400):
        objective = Objective(make(Gaussian(2 * n_features, n_features), 0, 0), "qr")
        start, R, target = np.zeros(n_features), objective.matrix, objective.target
        cells = []
        for runs in (1, 8, 32, 64, 512):
            step_sizes = np.full(runs, 1.0 / objective.spectrum.lambda_max)
            iterations = max(30, 20_000_000 // n_features**2 // max(runs, 8))

            def ours(objective=objective, start=start, steps=step_sizes, n=iterations) -> None:
                coefficients = {"step_size": steps}
                iterate(GradientDescent(), objective, start, coefficients, n, lambda *_: None)

            def script(R=R, target=target, steps=step_sizes, n=iterations) -> None:
                # The least number of rows that is a multiple of 8: few rows are slow to multiply.
                W = np.zeros((-(-len(steps) // 8) * 8, len(target)))
                doubled = np.full_like(W, 2 * steps[0])
                targets = np.tile(target, (len(W), 1))
                residual, move = np.empty_like(W), np.empty_like(W)
                for _ in range(n):
                    np.matmul(W, R.T, residual)
                    np.subtract(residual, targets, residual)
                    np.matmul(residual, R, move)
                    np.multiply(move, doubled, move)
                    np.subtract(W, move, W)

            times: dict[str, list[float]] = {"gdconv": [], "script": []}
            for _ in range(rounds):
                times["gdconv"].append(timeit.timeit(ours, number=1) / iterations)
                times["script"].append(timeit.timeit(script, number=1) / iterations)
            median = {name: statistics.median(seconds) for name, seconds in times.items()}
            ratio = median["gdconv"] / median["script"]
            cells.append(f"{1e6 * median['gdconv']:.1f} ({ratio:.2f})")
        rows.append([str(n_features), *cells])
    print_table(["d", "1 run", "8 runs", "32 runs", "64 runs", "512 runs"], rows)
