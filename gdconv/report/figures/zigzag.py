"""The step sizes that steepest descent chooses, which end in a zigzag, beside those of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown, clear
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, names, part_of, which_draw, with_kappa
from gdconv.report.numerals import number
from gdconv.report.settings import METHOD, among, options_of, settings, to_tolerance

MOST_PROBLEMS, MOST_ITERATIONS = 3, 50
# The methods in the order of the legend, with their looks; in front is steepest descent.
LOOKS: dict[str, Look] = {
    "steepest_descent": {"color": "black", "marker": "o", "linewidth": 1, "zorder": 4},
    "polyak": {"color": drawing.STATED, "marker": "s", "linewidth": 0.5, "zorder": 3},
    "barzilai_borwein": {"color": drawing.MEASURED, "marker": "^", "linewidth": 0.5, "zorder": 2},
}


def draw(tables: Shown) -> Figure:
    """Draw two panels for each of some problems: the step sizes, and the ratios of gaps."""
    runs = tables.runs.dropna(subset=["condition_number", "lambda_max"])
    runs = runs[runs["method"].isin(list(LOOKS))]
    runs = runs[among(runs["run_id"], tables.curves.several(clear))]
    every = [
        (setting, runs.loc[group.index])
        for setting, group in settings(runs, METHOD)
        if (group["method"] == "steepest_descent").any()
    ]
    if not every:
        raise NothingToShowError(
            "no run of steepest descent has two recorded iterations well above the rounding floor"
        )
    problems = [
        (setting, one_of_each(group)) for setting, group in drawing.choose(every, MOST_PROBLEMS)
    ]
    common, told = names([setting for setting, _ in problems])
    titles = [
        title
        for name, (_, group) in zip(told, problems, strict=True)
        for kappa in [with_kappa(name, group)]
        for title in (f"step size × $\\lambda_{{\\max}}$, {kappa}", f"ratio of gaps, {kappa}")
    ]
    note = which_draw(group for _, group in problems)
    header = [common, note, part_of(problems, every, "problems")]
    figure, axes = drawing.frame(titles, header, axis("iteration"), "dimensionless", sharey=False)
    for index, (_, group) in enumerate(problems):
        rows = tables.curves.of(group["run_id"])
        rows = rows[clear(rows)]
        curves = [rows[rows["run_id"] == run_id] for run_id in group["run_id"]]
        _draw_steps(axes[2 * index], group, curves)
        _draw_ratios(axes[2 * index + 1], group.iloc[0], curves[0])
        own = tables.eigenvalues["problem_id"] == group["problem_id"].iloc[0]
        _draw_plane(axes[2 * index + 1], curves[0], tables.eigenvalues[own])
    drawing.legend(figure, axes)
    return figure


def one_of_each(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the fastest run of each method on the first draw, in the order of `LOOKS`."""
    first = runs.sort_values(["seed", "repetition"], kind="stable")
    descent = first[first["method"] == "steepest_descent"].iloc[0]
    alike = first[first["problem_id"] == descent["problem_id"]]
    alike = alike.assign(iterations=to_tolerance(alike)).sort_values("iterations", kind="stable")
    fastest = alike.drop_duplicates("method").set_index("method", drop=False)
    return fastest.loc[[name for name in LOOKS if name in fastest.index]]


def _draw_steps(ax: Axes, runs: pd.DataFrame, curves: Sequence[pd.DataFrame]) -> None:
    kappa = runs["condition_number"].iloc[0]
    lines: Look = {"color": "0.4", "linewidth": 0.9, "zorder": 5}
    ax.axhline(1, **lines, linestyle=":", label=r"step $1/\lambda_{\max}$")
    best = r"step $2/(\lambda_{\max}+\lambda^+_{\min})$"
    ax.axhline(drawing.optimal_step(kappa), **lines, linestyle="--", label=best)
    last = 1
    for (_, run), curve in zip(runs.iterrows(), curves, strict=True):
        t = curve["iteration"].to_numpy()
        step = (curve["coefficient_step"] * run["lambda_max"]).to_numpy()
        shown = (t <= MOST_ITERATIONS) & (step > 0)
        small: Look = {"markersize": 2.5, "fillstyle": "none"}
        ax.plot(*_broken(t[shown], step[shown]), **LOOKS[run["method"]], **small, label=_name(run))
        last = max([last, *t[shown]])
    ax.set(xlim=(0, last), yscale="log")
    low, high = ax.dataLim.intervaly
    ax.set_ylim(low / 1.15, high * 1.15)
    scales.logarithmic(ax.yaxis, np.log10(1.3 * high / low))


def _draw_ratios(ax: Axes, run: pd.Series, curve: pd.DataFrame) -> None:
    kappa = run["condition_number"]
    t, gap = curve["iteration"].to_numpy(), curve["gap"].to_numpy()
    neighbours = np.flatnonzero((np.diff(t) == 1) & (t[:-1] <= MOST_ITERATIONS))
    bound = ((kappa - 1) / (kappa + 1)) ** 2
    thick: Look = {"color": "0.75", "linewidth": 3.5, "zorder": 0}
    ax.axhline(bound, **thick, label=r"$((\kappa-1)/(\kappa+1))^2$")
    ratio = gap[neighbours + 1] / gap[neighbours]
    look = LOOKS["steepest_descent"]
    small: Look = {"markersize": 2.5, "fillstyle": "none"}
    ax.plot(*_broken(t[neighbours], ratio), **look, **small, label=_name(run))
    ax.set_xlim(0, max([1, *t[neighbours]]))


def way(curve: pd.DataFrame, eigenvalues: pd.DataFrame) -> np.ndarray:
    """Return the directions of the first gradients in the plane of the extreme eigenvectors.

    With g_i the components of the gradient, a point is (g_1, g_r)/‖g‖, so its distance from 0 is 1
    if all of the gradient is in the plane. They follow from the step sizes. Shape (iterations, 2);
    as far as every iteration is recorded.
    """
    parts = eigenvalues[eigenvalues["eigenvalue"] > 0].sort_values("eigenvalue", ascending=False)
    values, squares = parts[["eigenvalue", "error_component_squared"]].to_numpy().T
    t = curve["iteration"].to_numpy()[: MOST_ITERATIONS + 1]
    count = int(np.argmin(np.append(t == np.arange(len(t)), False)))
    steps = curve["coefficient_step"].to_numpy()[: max(count - 1, 0)]
    shrunk = np.cumprod(1 - np.outer(steps, values), axis=0)
    # A sign changes with each factor, but the first signs do not matter.
    gradients = values * np.sqrt(squares) * np.vstack([np.ones((1, len(values))), shrunk])
    points: np.ndarray = gradients[:, [0, -1]] / np.linalg.norm(gradients, axis=1, keepdims=True)
    return points


def _draw_plane(ax: Axes, curve: pd.DataFrame, eigenvalues: pd.DataFrame) -> None:
    points = way(curve, eigenvalues)
    inset = ax.inset_axes((0.42, 0.06, 0.54, 0.62))
    angle = np.linspace(0, 2 * np.pi, 200)
    inset.plot(np.cos(angle), np.sin(angle), color="0.75", linewidth=2, zorder=0)
    inset.plot(*points.T, color="black", linewidth=0.4, marker="o", markersize=1.5)
    inset.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xticks=[], yticks=[])


def _broken(t: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line that is broken where iterations were not recorded."""
    gaps = np.flatnonzero(np.diff(t) > 1) + 1
    return np.insert(t.astype(float), gaps, np.nan), np.insert(values, gaps, np.nan)


def _name(run: pd.Series) -> str:
    name = str(run["method"]).replace("_", " ")
    if pd.isna(run["method_options"]):
        return name
    options = dict(word.split("=", 1) for word in options_of(run["method_options"]))
    return f"{name}, factor {number(float(options['factor']))}"


PLOT = Plot(
    "zigzag",
    "The step sizes that steepest descent chooses settle into two alternating values, and so it"
    " takes a zigzag course and gains nothing over the best constant step size. Left: the chosen"
    " step size times λmax, in the step from iteration t. Circles: steepest descent, whose step"
    " goes along −∇L(w) as far as the loss falls. Squares: Polyak's step size, a factor times"
    " (L(w) − L(w*))/‖∇L(w)‖²; the factor with the fewest iterations to the tolerance. Triangles:"
    " that of Barzilai and Borwein, which is the exact one of the step before. These two do not"
    " settle; now and then a long step removes errors of small eigenvalues. Dotted: 1/λmax. Dashed:"
    " 2/(λmax + λ⁺min), the best constant step size. Right: what an iteration of steepest descent"
    " leaves of the gap, the ratio of neighbouring gaps. It tends to a limit (Akaike 1959) at or"
    " below Kantorovich's bound ((κ − 1)/(κ + 1))² (grey), which is also the rate of the best"
    " constant step size. Inset: the direction of the gradient in the plane of the eigenvectors of"
    " λmax (across) and λ⁺min (up). It comes to the circle, where all of the gradient is in this"
    " plane, and jumps between two places on it, a quarter of a turn apart: that is Akaike's limit."
    " The first fifty iterations are shown, for one repetition, as far as"
    " they are recorded and the gap is well above its rounding floor; lines join iterations that"
    " follow each other.",
    {
        "runs": ("problem_id", "condition_number", "lambda_max"),
        "curves": ("iteration", "gap", "gap_floor", "distance_squared", "coefficient_step"),
        "eigenvalues": ("problem_id", "eigenvalue", "error_component_squared"),
    },
    draw,
    also=("iterations_to_tolerance",),
)
