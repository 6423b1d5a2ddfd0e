"""The rate of the gap against the step size, measured and predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, count_draws
from gdconv.report.numerals import number, same
from gdconv.report.settings import STEP, relative_limit, settings, with_all_parts


def draw(tables: Shown) -> Figure:
    """Draw a panel for each problem."""
    known = ["relative_step", "rate_predicted", "condition_number"]
    runs = with_all_parts(tables.runs.dropna(subset=known))
    near = runs[runs["relative_step"] <= drawing.FARTHEST]
    every = [
        (setting, runs)
        for setting, runs in settings(near)
        if drawing.count_steps(runs[runs["rate_measured"].notna()]) > 1
    ]
    if not every:
        raise NothingToShowError(
            f"no problem has measured rates at two relative steps up to {drawing.FARTHEST:g}"
        )
    panels = drawing.choose(every)
    draws, said = count_draws(runs for _, runs in panels)
    notes = [f"medians of {said}"] if draws > 1 else []
    if len(near) < len(runs):
        notes.append(f"{len(runs) - len(near)} runs beyond {drawing.FARTHEST:g} left out")
    labels = axis("relative_step"), "rate: factor of the gap per iteration"
    figure, axes = drawing.grid(panels, every, ", ".join(notes), *labels, sharex=True)
    last = 1.03 * max(2.1, *(runs["relative_step"].max() for _, runs in panels))
    axes[0].set_xlim(0, last)
    for ax, (_, runs) in zip(axes, panels, strict=True):
        _draw_rates(ax, runs, last)
    least, most = zip(*(ax.dataLim.intervaly for ax in axes), strict=True)
    # The best rate of an ill-conditioned problem rounds to 1.
    width = max(1e-12, min(1 - _best_rate(runs) for _, runs in panels))
    _stretch_around_one(axes[0], width, min(least), max(most))
    drawing.legend(figure, axes)
    return figure


def _optimum(runs: pd.DataFrame) -> tuple[float, float]:
    """The optimal relative step and its ν, of the median condition number."""
    kappa = runs["condition_number"].median()
    return drawing.optimal_step(kappa), (kappa - 1) / (kappa + 1)


def _best_rate(runs: pd.DataFrame) -> float:
    of_gradient_descent = runs["nu_coursework"].notna().all()
    return _optimum(runs)[1] ** 2 if of_gradient_descent else runs["rate_predicted"].min()


def _draw_rates(ax: Axes, runs: pd.DataFrame, last: float) -> None:
    columns = ["relative_step", "rate_predicted", "nu", "nu_coursework", "rate_measured"]
    repetitions = runs.groupby(STEP)
    median = repetitions[columns].median().sort_values("relative_step")
    spread = repetitions["rate_measured"].agg(["min", "max"]).loc[median.index]
    steps, measured = median["relative_step"].to_numpy(), median["rate_measured"].to_numpy()
    ax.axhline(1, color="0.5", linewidth=0.6)
    if (edge := relative_limit(runs)) <= last:
        ax.axvline(edge, color="black", linewidth=0.8, linestyle="-.", label="edge")
    if median["nu_coursework"].notna().all():
        _draw_predicted(ax, runs, median, last)
    else:
        # No line joins them, because the rate of such a method is no straight line between steps.
        ax.plot(steps, median["rate_predicted"], "k+", markersize=5, label=r"$\nu^2$ at this step")
    circles: Look = {"color": drawing.MEASURED, "markersize": 4, "fillstyle": "none"}
    ax.vlines(steps, spread["min"], spread["max"], color=drawing.MEASURED, linewidth=0.8)
    ax.plot(steps, measured, "o", **circles, label="measured")


def _draw_predicted(ax: Axes, runs: pd.DataFrame, median: pd.DataFrame, last: float) -> None:
    """Draw what theory says of gradient descent: its rate, its optimum, the coursework's bound."""
    steps, nu, stated = median[["relative_step", "nu", "nu_coursework"]].to_numpy().T
    best_step, best_nu = _optimum(runs)
    # Both factors are straight lines in the step, except for the kink of the true ν at the optimum.
    kink = np.searchsorted(steps, best_step)
    between = np.union1d(np.linspace(steps[0], steps[-1], 200), steps)
    if 0 < kink < len(steps):
        between = np.union1d(between, best_step)
    true = np.interp(between, np.insert(steps, kink, best_step), np.insert(nu, kink, best_nu))
    promised = np.interp(between, steps, stated)

    smallest = (runs["lambda_min"] / runs["lambda_max"]).median()
    fails_from = 2 / (1 + smallest)
    # If all eigenvalues are equal, both factors are the same.
    if not same(smallest, 1):
        shade: Look = {"color": drawing.GREY, "linewidth": 0, "zorder": 0}
        ax.axvspan(fails_from, last, **shade, label="coursework's bound fails")
    dotted: Look = {"color": drawing.STATED, "linewidth": 1.5, "linestyle": ":"}
    ax.plot(between, promised**2, **dotted, label="coursework's bound")
    ax.plot(between, true**2, color="black", linewidth=1, label=r"predicted $\nu^2$")
    ax.plot(best_step, best_nu**2, "kD", markersize=4.5, label="optimum")


def _stretch_around_one(ax: Axes, width: float, least: float, most: float) -> None:
    """Make the axis linear within `width` of 1 and logarithmic in the distance from 1 beyond."""

    def height(rate: Any) -> Any:
        return np.arcsinh((np.asarray(rate) - 1) / width)

    def rate(height: Any) -> Any:
        return 1 + width * np.sinh(height)

    low, high = height([least, most])
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    ax.set_yscale("function", functions=(height, rate))
    ax.set_ylim(rate(low), rate(high))
    digits = (1, 2, 5) if high - low < 8 else (1,)
    ticks = [1.0]
    for sign in (-1, 1):
        nearest = 0.0
        for distance in (digit * 10.0**power for power in range(-12, 13) for digit in digits):
            tick = 1 + sign * distance if distance < 1 else sign * distance
            at = height(tick)
            if 0 < tick != 1 and low < at < high and abs(at - nearest) > 0.09 * (high - low):
                ticks.append(tick)
                nearest = at
    ax.set_yticks(ticks, [number(tick) for tick in ticks])
    ax.minorticks_off()


PLOT = Plot(
    "rate_vs_step",
    "The rate against the relative step ηλmax. The rate is the factor by which one iteration late"
    " in a run multiplies the gap. Below 1 a method converges; beyond the edge of stability, step 2"
    " for gradient descent, it diverges. Circles: measured, the median over seeds and repetitions,"
    " with a bar from the least to the greatest. Line: the predicted factor ν². If several methods"
    " solve one problem, each has a panel; all that follows is about gradient descent. Its ν² is"
    " least at the optimum 2/(1 + 1/κ), where ν = (κ − 1)/(κ + 1). Dotted: the factor (1 − λmin/K)²"
    " of the coursework's bound, with K = 1/η. That bound holds only for K ≥ (λmin + λmax)/2, which"
    " means relative steps up to 2/(1 + λmin/λmax); if X has full column rank, this is the optimum."
    " Beyond it (shaded) the error along the eigenvector of λmax dominates and shrinks more slowly"
    " than the bound promises. A circle lies below the line if its run was too short for the"
    " slowest component to dominate. Runs that start along an eigenvector show one component of the"
    " error only; they are left out if the study has other starts. The vertical axis is stretched"
    " around 1, where many slow rates lie.",
    {
        "runs": (
            *("relative_step", "nu", "rate_predicted", "condition_number", "rate_measured"),
            *("lambda_min", "lambda_max", "step_unit", "step_value", "start"),
        )
    },
    draw,
    also=("nu_coursework", "step_limit"),
)
