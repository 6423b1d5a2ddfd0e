"""Trajectories on the contours of a problem with two features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import names, which_draw, with_kappa
from gdconv.report.numerals import distinct, number
from gdconv.report.settings import settings

FEWEST = 3
# A run stands for a wanted step if its own step differs by at most this relative amount and lies on
# the same side of the edge.
NEAR = 0.02
# A step this close to the optimal one is called optimal: the pictures look the same.
OPTIMAL = 1e-3
# If the eigenvalues differ by a smaller part, six or more digits of the components are lost.
APART = 1e-6
MOST_POINTS = 100
# Width over height of a panel.
SHAPE = 1.6
# With this κ the ellipses are neither circles nor needles.
NICEST = 10.0
# A component that is smaller than this part of the other cannot be seen.
SEEN = 0.05


@dataclass(frozen=True)
class Scene:
    """A problem with two features, its start and its runs.

    Attributes
    ----------
    eigenvalues : ndarray, shape (2,)
        λ₁ > λ₂ > 0.
    start : ndarray, shape (2,)
        |cᵢ|, the components of w₀ − w* along their eigenvectors.
    steps : DataFrame
        The runs to show.
    """

    eigenvalues: np.ndarray
    start: np.ndarray
    steps: pd.DataFrame

    def trajectory(self, relative_step: float, last: int) -> np.ndarray:
        """Return (1 − ηλᵢ)ᵗ cᵢ for t = 0 … last, shape (last + 1, 2)."""
        factors = 1 - relative_step * self.eigenvalues / self.eigenvalues[0]
        return self.start * factors ** np.arange(last + 1)[:, None]


def draw(tables: Shown) -> Figure:
    """Draw trajectories of one problem, one panel for each step size."""
    runs = drawing.with_gradient_descent(tables.runs)
    runs = runs.dropna(subset=["relative_step", "condition_number"])
    runs = runs[(runs["n_features"] == 2) & (runs["rank"] == 2)]
    if runs.empty:
        raise NothingToShowError("no problem has two features and rank 2")
    scenes = []
    for setting, group in settings(runs):
        steps = wanted(drawing.one_draw(group))
        if len(steps) >= FEWEST:
            scenes.append((setting, _scene(tables, steps)))
    if not scenes:
        raise NothingToShowError(
            f"no problem with two features has runs at {FEWEST} of the relative steps 0.5, 1,"
            " 2/(1 + 1/κ), 1.95 and 2.02"
        )
    known = [(setting, scene) for setting, scene in scenes if scene is not None]
    if not known:
        raise NothingToShowError(
            "curves.csv lacks iteration 0, or the two eigenvalues are too close to compute the"
            " components of w₀ − w* from it"
        )
    setting, scene = max(known, key=_worth)
    kappa = scene.eigenvalues[0] / scene.eigenvalues[1]
    common, (told,) = names([setting])
    header = [with_kappa(f"{common}, {told}", scene.steps), which_draw([scene.steps])]
    titles = _titles(scene.steps["relative_step"].to_numpy(), kappa)
    x, y = (rf"$v_{{\{end}}}^\top (w_t - w^*)$   (units of $w$)" for end in ("min", "max"))
    figure, axes = drawing.frame(titles, header, x, y, sharex=True)
    for ax, run in zip(axes, scene.steps.itertuples(index=False), strict=True):
        _draw_scene(ax, scene, float(run.relative_step), int(run.iterations))
    drawing.legend(figure, axes)
    return figure


def wanted(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of a problem that the gallery shows, in the order of their steps."""
    steps = runs["relative_step"].to_numpy()
    best = drawing.optimal_step(runs["condition_number"].median())
    chosen = []
    for aim in (0.5, 1.0, best, 1.95, 2.02):
        same_side = drawing.beyond_edge(steps) == drawing.beyond_edge(aim)
        fits = (np.abs(steps / aim - 1) <= NEAR) & same_side
        if fits.any():
            chosen.append(int(np.argmin(np.where(fits, np.abs(steps - aim), np.inf))))
    return drawing.at_most(runs, chosen, len(chosen))


def start(eigenvalues: np.ndarray, gap: float, distance_squared: float) -> np.ndarray | None:
    """Return |cᵢ| from the gap ½(λ₁c₁² + λ₂c₂²) and the squared distance c₁² + c₂² at t = 0.

    None if the eigenvalues are so close that the two equations do not determine the components.
    """
    large, small = eigenvalues
    if large - small <= APART * large:
        return None
    squares = np.array([2 * gap - small * distance_squared, large * distance_squared - 2 * gap]) / (
        large - small
    )
    # From a start along one eigenvector the other square is 0, and rounding may make it negative.
    return np.sqrt(np.maximum(squares, 0.0))


def _scene(tables: Shown, steps: pd.DataFrame) -> Scene | None:
    of_problem = tables.eigenvalues["problem_id"] == steps["problem_id"].iloc[0]
    eigenvalues = np.sort(tables.eigenvalues["eigenvalue"][of_problem].to_numpy())[::-1]
    curve = tables.curves.of(steps["run_id"][:1])
    first = curve[curve["iteration"] == 0]
    if len(eigenvalues) != 2 or first.empty:
        return None
    gap, distance_squared = first[["gap_exact", "distance_squared"]].iloc[0]
    found = start(eigenvalues, gap, distance_squared)
    return None if found is None else Scene(eigenvalues, found, steps)


def _worth(known: tuple[dict[str, Any], Scene]) -> tuple[int, bool, float]:
    """The order of preference: more wanted steps, then a bent trajectory, then a readable κ."""
    _, scene = known
    kappa = scene.eigenvalues[0] / scene.eigenvalues[1]
    both = scene.start.min() >= SEEN * scene.start.max()
    return len(scene.steps), both, -abs(np.log(kappa / NICEST))


def _titles(steps: np.ndarray, kappa: float) -> list[str]:
    """Each step, with a word if it is optimal, closest to the optimum, or diverges."""
    off = np.abs(steps / drawing.optimal_step(kappa) - 1)
    nearest = (off == off.min()) & (off <= NEAR)
    best = np.where(off <= OPTIMAL, "optimal", np.where(nearest, "near the optimum", ""))
    said = np.where(drawing.beyond_edge(steps) > 0, "diverges", best)
    return [
        f"step {step}" + f", {word}" * bool(word)
        for step, word in zip(distinct(list(steps), 4, number), said, strict=True)
    ]


def _draw_scene(ax: Axes, scene: Scene, step: float, iterations: int) -> None:
    # v_min is the horizontal axis, so that the ellipses are wider than high.
    large, small = scene.eigenvalues
    y = 1.4 * max(scene.start[0], scene.start[1] / SHAPE)
    x = SHAPE * y
    across, along = np.meshgrid(np.linspace(-x, x, 161), np.linspace(-y, y, 161))
    gap = (small * across**2 + large * along**2) / 2
    first = scene.eigenvalues @ scene.start**2 / 2
    ax.contour(across, along, gap, first * 4.0 ** np.arange(-5, 3), colors="0.7", linewidths=0.6)
    points = scene.trajectory(step, min(iterations, MOST_POINTS))[:, ::-1]
    look: Look = {"color": drawing.MEASURED, "linewidth": 0.8, "marker": "o", "markersize": 2.2}
    ax.plot(*points.T, **look, label="$w_t$")
    ax.plot(*points[0], "ks", markersize=4, fillstyle="none", linestyle="none", label="$w_0$")
    ax.plot(0, 0, "k+", markersize=6, linestyle="none", label="$w^*$")
    ax.set(xlim=(-x, x), ylim=(-y, y), aspect="equal")


PLOT = Plot(
    "gallery",
    "Gradient descent on a problem with two features, drawn along the eigenvectors of H. All"
    " panels start from the same w₀ (square). The relative steps ηλmax are about 0.5, 1, the"
    " optimum 2/(1 + 1/κ), 1.95 and 2.02, if the study has them. Grey: contours of the gap; each"
    " stands for a quarter of the gap of the next larger one. Every iteration multiplies the"
    " component along v_max by 1 − ηλmax and the other one by 1 − ηλmin. With a short step both"
    " shrink and keep their signs. With step 1 the component along v_max is gone after one"
    " iteration. At the optimum both shrink by the same factor, but the one along v_max changes its"
    " sign every time. Close to the edge of stability 2 that component hardly shrinks, and beyond 2"
    " it grows. The points are computed by theory from the eigenvalues and from the gap and"
    " distance at t = 0, for as many iterations as were run.",
    {
        "runs": ("relative_step", "condition_number", "rank", "iterations"),
        "curves": ("iteration", "gap_exact", "distance_squared"),
        "eigenvalues": ("problem_id", "eigenvalue"),
    },
    draw,
)
