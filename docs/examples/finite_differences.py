"""Draw docs/differences.png: how exact finite differences are, 2(f) of the coursework.

    python docs/examples/finite_differences.py docs/differences.png

f is the sum of the elements of wA, which is linear in A, or of tanh(wA), which is not. The gradient
with respect to A comes from nnlib. Each element of A is moved by ε, for ε from 1 down to 1e-13.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from nnlib import Graph

W = np.array([0.1, 0.2, 0.3])
A = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
STEPS = 10.0 ** np.arange(-13, 1)


def largest_errors(is_linear: bool, method: str) -> list[float]:
    """Return the largest error of a finite difference of f, over the elements of A, for each ε."""
    g = Graph()
    a = g.tensor(A)
    y = g.matmul(g.tensor(W), a)
    f = g.sum(y if is_linear else g.tanh(y))
    g.run_grad(f)
    gradient = g.grad[a]

    def value(moved: np.ndarray) -> float:
        g.set(a, moved)
        g.run_eval(f)
        return float(g.value[f])

    def error(step: float, place: tuple[int, ...]) -> float:
        change = np.zeros_like(A)
        change[place] = step
        if method == "forward":
            difference = (value(A + change) - value(A)) / step
        else:
            difference = (value(A + change) - value(A - change)) / (2 * step)
        return abs(difference - gradient[place])

    return [max(error(step, place) for place in np.ndindex(A.shape)) for step in STEPS]


def draw() -> Figure:
    """Draw the errors against ε."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for is_linear, method, style, colour in [
        (True, "forward", "o-", "#1f4e79"),
        (False, "forward", "s--", "#b3450c"),
        (False, "central", "^:", "black"),
    ]:
        name = f"{'wA' if is_linear else 'tanh(wA)'}, {method}"
        axes.loglog(STEPS, largest_errors(is_linear, method), style, color=colour, label=name)
    axes.axvline(1e-3, color="0.7", zorder=0)
    axes.set(xlabel=r"$\varepsilon$", ylabel="largest error of a difference")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    draw().savefig(sys.argv[1], dpi=150)
