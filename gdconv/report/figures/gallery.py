"""Trajectories on the contours of the gap, in the plane of its steepest and flattest direction."""

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
MOST_POINTS = 100
# Width over height of a panel.
SHAPE = 1.6
# With this κ the ellipses are neither circles nor needles, but a valley. Two features are preferred
# to a plane of more, unless their κ is this many times as large or small.
NICEST, READABLE = 20.0, 5.0
# So many problems are tried until one is found whose start has both components.
MOST_TRIED = 20
# A component that is smaller than this part of the other cannot be seen.
SEEN = 0.05


@dataclass(frozen=True)
class Scene:
    """The plane of two eigenvectors of a problem, its start and its runs.

    Attributes
    ----------
    eigenvalues : ndarray, shape (2,)
        The largest and the smallest positive one.
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
    runs = runs[(runs["rank"] >= 2).fillna(False).astype(bool)]
    if runs.empty:
        raise NothingToShowError("no problem has rank 2 or more")
    every = [(setting, wanted(drawing.one_draw(group))) for setting, group in settings(runs)]
    candidates = [(setting, steps) for setting, steps in every if len(steps) >= FEWEST]
    if not candidates:
        raise NothingToShowError(
            f"no problem has runs at {FEWEST} of the relative steps 0.5, 1, 2/(1 + 1/κ), 1.95 (1.5"
            " if the optimum is next to it) and 2.02"
        )
    best = _best(tables, candidates)
    if best is None:
        raise NothingToShowError("eigenvalues.csv lacks the components of w₀ − w*")
    setting, scene = best
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
    # For a large κ the optimum is next to 1.95, and the same picture.
    other = 1.5 if abs(1.95 / best - 1) <= NEAR else 1.95
    for aim in (0.5, 1.0, best, other, 2.02):
        same_side = drawing.beyond_edge(steps) == drawing.beyond_edge(aim)
        fits = (np.abs(steps / aim - 1) <= NEAR) & same_side
        if fits.any():
            chosen.append(int(np.argmin(np.where(fits, np.abs(steps - aim), np.inf))))
    return drawing.at_most(runs, chosen, len(chosen))


def _scene(tables: Shown, steps: pd.DataFrame) -> Scene | None:
    """The plane of v_max and v_min, with the eigenvalues and components that the study has."""
    run = steps.iloc[0]
    of_problem = tables.eigenvalues[tables.eigenvalues["problem_id"] == run["problem_id"]]
    ends = of_problem.sort_values("index").iloc[[0, min(int(run["rank"]), len(of_problem)) - 1]]
    eigenvalues = ends["eigenvalue"].to_numpy()
    squares = ends["error_component_squared"].to_numpy()
    if not (np.isfinite(squares).all() and squares.any() and eigenvalues[1] > 0):
        return None
    return Scene(eigenvalues, np.sqrt(squares), steps)


def _worth(candidate: tuple[dict[str, Any], pd.DataFrame]) -> tuple[int, bool, bool, float]:
    """The order of preference: more wanted steps, a bent way, two features, a valley."""
    setting, steps = candidate
    off = abs(float(np.log(steps["condition_number"].iloc[0] / NICEST)))
    whole = bool(steps["n_features"].iloc[0] == 2) and off <= np.log(READABLE)
    return len(steps), setting.get("start") != "eigenvector", whole, -off


def _best(
    tables: Shown, candidates: list[tuple[dict[str, Any], pd.DataFrame]]
) -> tuple[dict[str, Any], Scene] | None:
    """The first scene of which both components of the start can be seen, or the first at all."""
    known = []
    for setting, steps in sorted(candidates, key=_worth, reverse=True)[:MOST_TRIED]:
        scene = _scene(tables, steps)
        if scene is not None:
            known.append((setting, scene))
            if scene.start.min() >= SEEN * scene.start.max():
                return known[-1]
    return known[0] if known else None


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
    "Gradient descent, seen in the plane of eigenvectors of H: of its largest eigenvalue, and of"
    " the smallest one that is not 0. With two features there is no other direction; with more, an"
    " iterate is projected on this plane, in which the path does not depend on the others. All"
    " panels start from the same w₀ (square). The relative steps ηλmax are about 0.5, 1, the"
    " optimum 2/(1 + 1/κ), 1.95 (1.5 if the optimum is next to it) and 2.02, if the study has them."
    " Grey: contours of the gap; each stands for a quarter of the gap of the next larger one. Every"
    " iteration multiplies the component along v_max by 1 − ηλmax and the other one by 1 − ηλmin."
    " With a short step both shrink and keep their signs, so that a path soon reaches the bottom of"
    " the valley and creeps along it. With step 1 the component along v_max is gone after one"
    " iteration. At the optimum both shrink by the same factor, but the one along v_max changes its"
    " sign every time. Close to the edge of stability 2 that component hardly shrinks, and beyond 2"
    " it grows. The points are computed by theory from the eigenvalues and the components of w₀ −"
    " w*, for as many iterations as were run.",
    {
        "runs": ("relative_step", "condition_number", "rank", "iterations"),
        "eigenvalues": ("problem_id", "index", "eigenvalue", "error_component_squared"),
    },
    draw,
)
