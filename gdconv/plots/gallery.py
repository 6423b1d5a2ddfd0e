"""Trajectories on the contours of a problem with two features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.numerals import distinct, number
from gdconv.plots.panels import (
    MEASURED,
    Look,
    NothingToShowError,
    Plot,
    beyond_edge,
    frame,
    legend,
    one_draw,
)
from gdconv.plots.titles import names, which_draw, with_kappa
from gdconv.settings import settings
from gdconv.tables import Tables

FEWEST = 3
# A step stands for one of those wanted if it is no farther from it than this, and on the same side
# of the edge.
NEAR = 0.02
# One that is this close to the optimal one has its picture: there is nothing more to see.
OPTIMAL = 1e-3
# Eigenvalues that differ by a smaller part leave six digits or more of the components to rounding.
APART = 1e-6
MOST_POINTS = 100
# Width over height of a panel.
SHAPE = 1.6
# The κ whose ellipses are neither circles nor needles.
NICEST = 10.0
# A component that is a smaller part of the other cannot be seen.
SEEN = 0.05


@dataclass(frozen=True)
class Scene:
    """A problem with two features, started somewhere.

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


def draw(tables: Tables) -> Figure:
    """Draw trajectories of one problem, a panel a step."""
    runs = tables.runs.dropna(subset=["relative_step", "condition_number"])
    runs = runs[(runs["n_features"] == 2) & (runs["rank"] == 2)]
    if runs.empty:
        raise NothingToShowError("no problem has two features and rank 2")
    scenes = []
    for setting, group in settings(runs):
        steps = wanted(one_draw(group))
        if len(steps) >= FEWEST:
            scenes.append((setting, _scene(tables, steps)))
    if not scenes:
        raise NothingToShowError(
            f"no problem with two features has {FEWEST} of the relative steps 0.5, 1,"
            " 2/(1 + 1/κ), 1.95 and 2.02"
        )
    known = [(setting, scene) for setting, scene in scenes if scene is not None]
    if not known:
        raise NothingToShowError(
            "curves.csv has not the first iteration, or the two eigenvalues are too close for it"
            " to tell the components of w₀ − w*"
        )
    setting, scene = max(known, key=_worth)
    kappa = scene.eigenvalues[0] / scene.eigenvalues[1]
    common, (told,) = names([setting])
    header = [with_kappa(f"{common}, {told}", scene.steps), which_draw([scene.steps])]
    titles = _titles(scene.steps["relative_step"].to_numpy(), kappa)
    x, y = (rf"$v_{{\{end}}}^\top (w_t - w^*)$   (units of $w$)" for end in ("min", "max"))
    figure, axes = frame(titles, header, x, y, sharex=True)
    for ax, run in zip(axes, scene.steps.itertuples(index=False), strict=True):
        _draw_scene(ax, scene, float(run.relative_step), int(run.iterations))
    legend(figure, axes)
    return figure


def wanted(runs: pd.DataFrame) -> pd.DataFrame:
    """Return those runs of a problem, in the order of their steps, that the gallery is to show."""
    steps = runs["relative_step"].to_numpy()
    best = 2 / (1 + 1 / runs["condition_number"].median())
    chosen = []
    for aim in (0.5, 1.0, best, 1.95, 2.02):
        fits = (np.abs(steps / aim - 1) <= NEAR) & (beyond_edge(steps) == beyond_edge(aim))
        if fits.any():
            chosen.append(int(np.argmin(np.where(fits, np.abs(steps - aim), np.inf))))
    return runs.iloc[sorted(set(chosen))]


def start(eigenvalues: np.ndarray, gap: float, distance_squared: float) -> np.ndarray | None:
    """Return |cᵢ| from the gap ½(λ₁c₁² + λ₂c₂²) and the squared distance c₁² + c₂² at t = 0.

    None where the two equations are too much alike to tell the components apart.
    """
    large, small = eigenvalues
    if large - small <= APART * large:
        return None
    squares = np.array([2 * gap - small * distance_squared, large * distance_squared - 2 * gap]) / (
        large - small
    )
    # A start along an eigenvector has 0 for the other, and rounding decides its sign.
    return np.sqrt(np.maximum(squares, 0.0))


def _scene(tables: Tables, steps: pd.DataFrame) -> Scene | None:
    of_problem = tables.eigenvalues["problem_id"] == steps["problem_id"].iloc[0]
    eigenvalues = np.sort(tables.eigenvalues["eigenvalue"][of_problem].to_numpy())[::-1]
    curves = tables.curves
    first = curves[(curves["run_id"] == steps["run_id"].iloc[0]) & (curves["iteration"] == 0)]
    if len(eigenvalues) != 2 or first.empty:
        return None
    gap, distance_squared = first[["gap_exact", "distance_squared"]].iloc[0]
    found = start(eigenvalues, gap, distance_squared)
    return None if found is None else Scene(eigenvalues, found, steps)


def _worth(known: tuple[dict[str, Any], Scene]) -> tuple[int, bool, float]:
    """More of the steps is better, then a way that is not straight, then a κ that can be seen."""
    _, scene = known
    kappa = scene.eigenvalues[0] / scene.eigenvalues[1]
    both = scene.start.min() >= SEEN * scene.start.max()
    return len(scene.steps), both, -abs(np.log(kappa / NICEST))


def _titles(steps: np.ndarray, kappa: float) -> list[str]:
    """Each step, and whether it is the optimal one, the one closest to it, or diverges."""
    off = np.abs(steps * (1 + 1 / kappa) / 2 - 1)
    nearest = (off == off.min()) & (off <= NEAR)
    best = np.where(off <= OPTIMAL, "optimal", np.where(nearest, "near the optimum", ""))
    said = np.where(beyond_edge(steps) > 0, "diverges", best)
    return [
        f"step {step}" + f", {word}" * bool(word)
        for step, word in zip(distinct(list(steps), 4, number), said, strict=True)
    ]


def _draw_scene(ax: Axes, scene: Scene, step: float, iterations: int) -> None:
    # The long axes of the ellipses lie flat.
    large, small = scene.eigenvalues
    y = 1.4 * max(scene.start[0], scene.start[1] / SHAPE)
    x = SHAPE * y
    across, along = np.meshgrid(np.linspace(-x, x, 161), np.linspace(-y, y, 161))
    gap = (small * across**2 + large * along**2) / 2
    first = scene.eigenvalues @ scene.start**2 / 2
    ax.contour(across, along, gap, first * 4.0 ** np.arange(-5, 3), colors="0.7", linewidths=0.6)
    points = scene.trajectory(step, min(iterations, MOST_POINTS))[:, ::-1]
    look: Look = {"color": MEASURED, "linewidth": 0.8, "marker": "o", "markersize": 2.2}
    ax.plot(*points.T, **look, label="$w_t$")
    ax.plot(*points[0], "ks", markersize=4, fillstyle="none", linestyle="none", label="$w_0$")
    ax.plot(0, 0, "k+", markersize=6, linestyle="none", label="$w^*$")
    ax.set(xlim=(-x, x), ylim=(-y, y), aspect="equal")


PLOT = Plot(
    "gallery",
    "Gradient descent on a problem with two features, in the coordinates of the eigenvectors of H,"
    " from the same w₀ (square) with steps ηλmax of about 0.5, 1, the optimum 2/(1 + 1/κ), 1.95 and"
    " 2.02, as far as the study has them. Grey: contours of the gap, each a quarter of the next."
    " Every iteration multiplies the component along v_max by 1 − ηλmax and the other by 1 − ηλmin."
    " With short steps both shrink without a change of sign; with step 1 the first is gone at once;"
    " at the optimum both shrink alike, one of them swinging to and fro; close to the edge the"
    " swinging one hardly shrinks, and beyond 2 it grows. The components are those of theory, from"
    " the eigenvalues and the gap and distance at t = 0, for the iterations that were run.",
    {
        "runs": ("relative_step", "condition_number", "rank", "iterations"),
        "curves": ("iteration", "gap_exact", "distance_squared"),
        "eigenvalues": ("problem_id", "eigenvalue"),
    },
    draw,
)
