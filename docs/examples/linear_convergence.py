"""Draw docs/linear.png: what linear convergence, 1(k) of the coursework, looks like in a run.

    python docs/examples/linear_convergence.py docs/linear.png

Gradient descent runs once, with every iteration recorded. On the left stands ln(L(w_t) − L(w*)).
It becomes a straight line of slope ln r, r = ν², and stays below the bound (20), which is a
straight line of this slope throughout. On the right stands the ratio of each gap to the one before.
It tends to r and never exceeds it.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from gdconv import Gaussian, GradientDescent, Record, RunConfig, Step, run_study

ITERATIONS = 120
# One unit of step_size is 1/λmax, so K = λmax.
CONFIG = RunConfig(
    Gaussian(n_samples=200, n_features=50),
    step=Step(value=1.0),
    method=GradientDescent(iterations=ITERATIONS),
    # The points are log-spaced: so many are all iterations.
    record=Record(points=10 * ITERATIONS),
)


def draw() -> Figure:
    """Run the study and draw its gaps and their ratios."""
    tables = run_study(CONFIG)
    run, curve = tables.runs.iloc[0], tables.curves
    t, gap, bound = (curve[name].to_numpy() for name in ("iteration", "gap", "gap_bound"))
    slope = np.log(run["rate_predicted"])

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(t, np.log(bound), "--", color="black", label=r"bound (20): $\ln C + t\,\ln r$")
    left.plot(t, np.log(gap), color="#1f4e79", linewidth=2, label="measured")
    line = np.log(gap[-1]) + slope * (t - t[-1])
    left.plot(t, line, ":", color="#b3450c", label=rf"slope $\ln r = {slope:.4f}$")
    left.set(xlabel="iteration $t$", ylabel=r"$\ln(L(w_t) - L(w^*))$")
    left.legend(frameon=False)

    ratio = gap[1:] / gap[:-1]
    right.plot(t[:-1], ratio, color="#1f4e79", linewidth=2, label="measured")
    rate = run["rate_predicted"]
    right.axhline(rate, linestyle=":", color="#b3450c", label=rf"$r = \nu^2 = {rate:.4f}$")
    right.set(xlabel="iteration $t$", ylabel="gap at $t + 1$ / gap at $t$", ylim=(0, 1))
    right.legend(frameon=False, loc="lower right")
    n, d, kappa = run[["n_samples", "n_features", "condition_number"]]
    title = rf"gaussian, $n = {n}$, $d = {d}$, $\kappa = {kappa:.3g}$, $K = \lambda_{{\max}}$"
    figure.suptitle(title, fontsize="medium")
    return figure


if __name__ == "__main__":
    draw().savefig(sys.argv[1], dpi=150)
