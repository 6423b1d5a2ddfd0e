"""The eigenvalues of H / (2n), beside the Marchenko-Pastur law where it applies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import count_draws, mathtext, names, part_of, with_unit
from gdconv.report.numerals import number, same
from gdconv.report.settings import DRAW, METHOD, SETTING, settings
from gdconv.tables.columns import QUANTITIES
from gdconv.theory import random_matrices

FEWEST = 8
# Eigenvalues do not depend on these.
WITHOUT = ("start", "start_which", "start_radius", *METHOD)
# Without a law to draw, a spectrum whose ends differ by more than this factor has a logarithmic
# axis.
WIDE = 100.0
# An eigenvalue is an outlier if it lies this many widths of the Tracy-Widom law beyond an edge;
# less than 1e-4 of the law's mass lies that far out.
BEYOND = 5.0


@dataclass(frozen=True)
class Spectra:
    """The eigenvalues of H / (2n) of all draws of a problem.

    Attributes
    ----------
    values : ndarray
        The eigenvalues that are not 0.
    zeros : int
        How many are 0.
    n_samples, n_features : int
    law : bool
        Whether the Marchenko-Pastur law applies.
    """

    values: np.ndarray
    zeros: int
    n_samples: int
    n_features: int
    law: bool

    @property
    def ratio(self) -> float:
        """d / n."""
        return self.n_features / self.n_samples

    @property
    def outliers(self) -> np.ndarray:
        """Which of the values lie too far outside the law's support to be explained by chance."""
        if not self.law:
            return np.zeros(len(self.values), dtype=bool)
        low, high = random_matrices.edges(self.ratio)
        below, above = random_matrices.edge_widths(self.n_samples, self.n_features)
        return (self.values < low - BEYOND * below) | (self.values > high + BEYOND * above)


def draw(tables: Shown) -> Figure:
    """Draw a panel for each problem."""
    runs = tables.runs.dropna(subset=["problem_id", "n_samples", "condition_number"])
    one = ["study"] if "study" in runs else []
    one += [*(name for name in SETTING if name not in WITHOUT), "content"]
    one += [*DRAW, "condition_number"]
    every = []
    for setting, group in settings(runs.drop_duplicates(one), WITHOUT):
        spectra = _spectra(group, tables.eigenvalues)
        if len(spectra.values) >= FEWEST:
            every.append((setting, group, spectra))
    if not every:
        raise NothingToShowError(f"no problem has {FEWEST} eigenvalues that are not 0")
    found = {id(group): spectra for _, group, spectra in every}
    panels = drawing.choose([(setting, group) for setting, group, _ in every])
    common, told = names([setting for setting, _ in panels])
    titles = []
    for title, (_, group) in zip(told, panels, strict=True):
        ratio = f"$d/n$ = {number(found[id(group)].ratio)}"
        titles.append(", ".join(filter(None, (title, ratio))))
    _, draws = count_draws(group for _, group in panels)
    header = [common, draws, part_of(panels, every, "problems")]
    axis = with_unit("eigenvalue of $H/(2n)$", "eigenvalue")
    figure, axes = drawing.frame(titles, header, axis, "", sharey=False)
    decades = [
        _draw_spectra(ax, found[id(group)]) for ax, (_, group) in zip(axes, panels, strict=True)
    ]
    square = mathtext(QUANTITIES["eigenvalue"].unit)
    units = [f"per unit of {square}"] * (not all(decades)) + ["per decade"] * any(decades)
    figure.supylabel(f"density of eigenvalues   ({' or '.join(units)})")
    drawing.legend(figure, axes)
    return figure


def _spectra(runs: pd.DataFrame, eigenvalues: pd.DataFrame) -> Spectra:
    n, d = (int(runs[name].iloc[0]) for name in ("n_samples", "n_features"))
    values = eigenvalues["eigenvalue"][eigenvalues["problem_id"].isin(runs["problem_id"])]
    values = values.to_numpy() / (2 * n)
    positive = values[values > 0]
    law = runs["problem"].iloc[0] == "gaussian"
    return Spectra(np.sort(positive), len(values) - len(positive), n, d, law)


def _draw_spectra(ax: Axes, spectra: Spectra) -> bool:
    """Draw histogram, law and outliers; return whether the axis is logarithmic."""
    outlier = spectra.outliers
    bulk = spectra.values[~outlier]
    wide = not spectra.law and spectra.values[-1] > WIDE * spectra.values[0]
    low, high = bulk.min(), bulk.max()
    if spectra.law:
        a, b = random_matrices.edges(spectra.ratio)
        low, high = min(low, a), max(high, b)
    bins = int(np.clip(np.ceil(2 * len(bulk) ** (1 / 3)), 8, 40))
    scaled, span = (np.log10, np.log10([low, high])) if wide else (np.asarray, (low, high))
    edges = np.linspace(span[0], span[1], bins + 1)
    if same(low, high):
        # Equal eigenvalues differ only by rounding, which says nothing: they are drawn as one bar.
        edges = low * np.array([0.5, 0.95, 1.05, 1.5])
    count, _ = np.histogram(scaled(bulk), edges)
    density = count / (len(spectra.values) + spectra.zeros) / np.diff(edges)
    ax.stairs(
        density,
        10**edges if wide else edges,
        fill=True,
        facecolor="0.82",
        edgecolor=drawing.MEASURED,
        linewidth=0.8,
        label="measured",
    )
    if wide:
        ax.set_xscale("log")
        scales.logarithmic(ax.xaxis, span[1] - span[0])
        return True
    if spectra.law:
        # More points close to a, where the density may be infinite and bends most.
        x = a + (b - a) * np.linspace(0, 1, 400) ** 2
        x = x[x > 0]
        law = random_matrices.density(x, spectra.ratio)
        ax.plot(x, law, color="black", linewidth=1, label="Marchenko-Pastur")
        ax.set_ylim(0, 1.1 * max(density.max(), min(law.max(), 1.5 * density.max())))
    width = edges[-1] - edges[0]
    ax.set_xlim(edges[0] - 0.05 * width, edges[-1] + 0.12 * width)
    said = _mark_outliers(ax, spectra.values[outlier])
    if spectra.zeros:
        share = spectra.zeros / (spectra.zeros + len(spectra.values))
        said.append(f"{number(share)} of all are 0")
    if said:
        ax.set_ylim(0, 1.25 * ax.get_ylim()[1])
        drawing.write(ax, "\n".join(said), (0.98, 0.97), (0, 0), ha="right", va="top")
    return False


def _mark_outliers(ax: Axes, values: np.ndarray) -> list[str]:
    """Draw outliers as triangles on the axis, or at the panel's edge if they lie outside.

    Returns the text that says where the outside ones are.
    """
    left, right = ax.get_xlim()
    inside = (left < values) & (values < right)
    look: Look = {"linestyle": "none", "color": "black", "markersize": 4, "clip_on": False}
    if inside.any():
        at, base = values[inside], ax.get_xaxis_transform()
        ax.plot(at, np.full(len(at), 0.03), "v", **look, transform=base, label="outlier")
    said = []
    for beyond, edge, marker in ((values >= right, 1, ">"), (values <= left, 0, "<")):
        if beyond.any():
            ax.plot(edge, 0.03, marker, **look, transform=ax.transAxes, label="outlier")
            least, most = (number(bound(values[beyond])) for bound in (np.min, np.max))
            said.append(f"{beyond.sum()} at {least}" + f" to {most}" * (least != most))
    return said


PLOT = Plot(
    "spectrum",
    "The distribution of the eigenvalues of H/(2n) = XᵀX/n that are not 0, for each problem, with"
    " all seeds and repetitions together. Line: the Marchenko-Pastur density. The distribution"
    " tends to it if the features are independent with variance 1 and n and d grow with a fixed"
    " ratio. It is drawn for gaussian problems; if d > n it has mass 1 − n/d at 0. Its ends (1 ±"
    " √(d/n))² determine κ. Triangles: outliers, which lie so far outside that chance does not"
    " explain them. A feature mean m that is not 0 makes one of about d m²; the constant column"
    " beside such features makes a small one. Other problems have no such law; if their eigenvalues"
    " differ by more than a factor of 100, the axis is logarithmic.",
    {
        "runs": ("problem_id", "n_samples", "n_features", "condition_number"),
        "eigenvalues": ("problem_id", "eigenvalue"),
    },
    draw,
)
