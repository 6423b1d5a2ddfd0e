"""Training of networks: a study, a gradient against plain NumPy, a product with the Hessian."""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

from benchmarks.common import GDCONV, command_seconds, medians, only_one_thread, print_table

STEPS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
ITERATIONS, POINTS = 12_000, 60


def networks(rounds: int) -> None:
    """Time a study with eight step sizes, and what an iteration and a sharpness consist of."""
    only_one_thread()
    print(
        f"20 hidden units with tanh, 20 samples, {len(STEPS)} step sizes; medians of {rounds}"
        f" rounds. The study has {ITERATIONS:,} iterations, with the sharpness at {POINTS} of them."
        " Its start-up is that of the same study with one iteration."
    )
    short, long = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for iterations, found in ((1, short), (ITERATIONS, long)):
                words = ["problem=network", "step.unit=absolute", "report=false"]
                words += [f"step.value={list(STEPS)}".replace(" ", "")]
                words += [f"method.iterations={iterations}", f"record.points={POINTS}"]
                words += ["record.spacing=linear", f"results_dir={folder}"]
                words += [f"study=s{iterations}_{number}"]
                found.append(command_seconds([GDCONV, *words]))
    seconds = [statistics.median(each) for each in (long, short)]
    numbers = [*seconds, seconds[0] - seconds[1]]
    print_table(["study, s", "start-up, s", "without it, s"], [[f"{each:.2f}" for each in numbers]])
    calls = _calls()
    found = medians(calls, 5 * rounds)
    rows = [
        ["gradients of the stacked runs", *_compared(found, "stacked", "NumPy, stacked")],
        ["Hessian times a vector, one run", *_compared(found, "product", "gradient")],
    ]
    print_table(["", "µs", "against", "ratio"], rows)


def _compared(found: dict[str, float], name: str, other: str) -> list[str]:
    against = f"{1e6 * found[other]:.0f} µs of {other}"
    return [f"{1e6 * found[name]:.0f}", against, f"{found[name] / found[other]:.2f}"]


def _calls() -> dict[str, Any]:
    """A call of each program, and the gradients of all runs in plain NumPy."""
    import numpy as np

    from gdconv import Network
    from gdconv.problems.network.model import gradient_program, losses_of
    from gdconv.problems.network.samples import samples_of, start_of
    from nnlib import Graph
    from nnlib.hessian import hessian_vector_product

    problem = Network()
    samples = samples_of(problem, 0, 0)
    shape = samples.shape(20)
    start, runs, n = start_of(problem, shape, 0, 0), len(STEPS), len(samples.X)
    stacked, one = (gradient_program(problem, shape, samples, each) for each in (runs, 1))
    W = stacked.inputs[0]
    W[...] = start
    one.inputs[0][...] = start
    graph = Graph()
    w = graph.tensor(start[None])
    X, Y = graph.tensor(samples.X), graph.tensor(samples.Y)
    total = graph.sum(losses_of(graph, problem, shape, w, X, Y))
    product = hessian_vector_product(graph, total, w)

    def plain() -> Any:
        W1, b1, W2, b2 = (W[:, a:b] for a, b in ((0, 20), (20, 40), (40, 60), (60, 61)))
        W1, b1, W2, b2 = (each[:, None, :] for each in (W1, b1, W2, b2))
        active = np.tanh(samples.X @ W1 + b1)
        off = active @ W2.transpose(0, 2, 1) + b2 - samples.Y
        losses = (off**2).sum(axis=(1, 2)) / (2 * n)
        back = off / n
        through = back * W2 * (1 - active**2)
        parts = samples.X.T @ through, through.sum(axis=1, keepdims=True)
        more = back.transpose(0, 2, 1) @ active, back.sum(axis=1, keepdims=True)
        return losses, np.concatenate([*parts, *more], axis=2)[:, 0]

    same = stacked(*stacked.inputs)[1]
    np.testing.assert_allclose(plain()[1], same, rtol=1e-12, atol=1e-15)
    return {
        "stacked": lambda: stacked(*stacked.inputs),
        "NumPy, stacked": plain,
        "product": lambda: product(*product.inputs),
        "gradient": lambda: one(*one.inputs),
    }
