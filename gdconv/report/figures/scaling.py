"""How iterations, extreme eigenvalues and condition number grow with the size of the problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, Plot
from gdconv.report.figures.families import Family, families
from gdconv.report.figures.titles import axis, count_draws, mathtext, names, part_of, with_unit
from gdconv.report.numerals import exact, number, same, with_powers
from gdconv.report.settings import METHOD, STEP, at_step, several_methods, spread, to_tolerance
from gdconv.tables.columns import QUANTITIES
from gdconv.theory import random_matrices

MOST_FAMILIES, MOST_METHODS = 3, 6
BAND = (0.1, 0.9)
# An axis is logarithmic if its ends differ by at least this factor.
FLAT = 4.0
# The largest value times this lies outside every axis.
BEYOND = 1e3
# Values that differ by at most this part are equal up to rounding.
SAME = 1e-6

_LOOKS = (
    *(("o", drawing.MEASURED, "0.8"), ("s", drawing.STATED, "0.87"), ("^", "0.25", "0.93")),
    *(("D", "#3f8f6b", "0.8"), ("v", "#8a5aa8", "0.87"), ("X", "0.55", "0.93")),
)
_ALONE = ("D", "black", "0.87")


@dataclass(frozen=True)
class Curve:
    """A quantity for each problem of a family: a value for each draw, and the predicted value.

    Attributes
    ----------
    label : str
    x : ndarray, shape (k,)
    values : list of ndarray
        One array for each x; inf for a run that never reached the tolerance.
    predicted : ndarray, shape (k,)
        nan where theory predicts nothing.
    look : tuple
        Marker, colour, and the colour of the band.
    """

    label: str
    x: np.ndarray
    values: list[np.ndarray]
    predicted: np.ndarray
    look: tuple[str, str, str]


def draw(tables: Shown) -> Figure:
    """Draw one panel for each quantity."""
    every = families(tables.runs.dropna(subset=["condition_number"]))
    shown = [every[index] for index in spread(len(every), MOST_FAMILIES)]
    if methods := several_methods(family.setting for family in every):
        pairs = [(family.setting, family) for family in every]
        shown = [family for _, family in drawing.choose(pairs, MOST_METHODS)]
    common, told = names([family.setting for family in shown])
    if len(shown) == 1:
        common, told = ", ".join(filter(None, (common, told[0]))), [""]
    at = ", step nearest to 1" if len(shown) > 1 else ""
    at = ", fastest step" if methods else at
    if all(family.runs["relative_step"].isna().all() for family in shown):
        at = ""
    panels = {axis("iterations_to_tolerance") + at: _iterations(shown, told, methods)}
    for name in ("lambda_max", "lambda_min_positive", "condition_number"):
        if name != shown[0].column:
            title = with_unit(mathtext(QUANTITIES[name].symbol), name)
            panels[title] = _spectral(tables, shown, name)
    _, draws = count_draws(runs for family in shown for _, runs in family.members)
    header = [common, draws, part_of(shown, every, "families")]
    x_label = axis(shown[0].column)
    if shown[0].column == "n_samples":
        x_label = "samples per feature $n/d$"
    # A family whose members have no step in common has no curve of iterations.
    panels = {title: curves for title, curves in panels.items() if curves}
    figure, axes = drawing.frame(list(panels), header, x_label, "", sharex=True, sharey=False)
    for ax, curves in zip(axes, panels.values(), strict=True):
        for curve in curves:
            _draw_curve(ax, curve)
    x = np.concatenate([curve.x for curve in next(iter(panels.values()))])
    for ax in axes:
        _scale(ax, x)
    drawing.legend(figure, axes)
    return figure


def _x(family: Family) -> np.ndarray:
    x = np.array([value for value, _ in family.members])
    if family.column != "n_samples":
        return x
    return x / np.array([float(runs["n_features"].median()) for _, runs in family.members])


def _iterations(shown: Sequence[Family], told: Sequence[str], methods: bool) -> list[Curve]:
    curves: list[Curve] = []
    for family, name in zip(shown, told, strict=True):
        steps = _steps(family)[-1:] if methods else _steps(family)
        for step in steps[: 2 if len(shown) == 1 else 1]:
            alike = [at_step(runs, step) for _, runs in family.members]
            at = _step_name(*step, pd.concat(alike)["relative_step"])
            label = ", ".join(filter(None, (name, at * (methods or not name)))) or "measured"
            reached = [to_tolerance(runs).to_numpy() for runs in alike]
            # With their predictions, more curves than these could not be told apart.
            promised = [
                np.nan
                if len(shown) > MOST_FAMILIES
                else runs["iterations_predicted"].astype("float64").median()
                for runs in alike
            ]
            look = _LOOKS[len(curves)]
            curves.append(Curve(label, _x(family), reached, np.array(promised), look))
    return curves


def _step_name(unit: str, value: float, relative: pd.Series) -> str:
    """The relative step or, if that differs between problems, the step as it was asked for.

    Empty for a method that takes none.
    """
    if relative.isna().all():
        return ""
    if same(relative.min(), relative.max()):
        return f"step {number(relative.median())}"
    asked = with_powers(exact(value, 3))
    if unit == "optimal":
        return "optimal step" if value == 1 else f"{asked} of the optimal step"
    return f"$K$ = {asked}" if unit == "K" else rf"$\eta$ = {asked}"


def _steps(family: Family) -> list[tuple[str, float]]:
    """The step nearest to 1 and the one with the best worst case, among those all members have."""
    medians = pd.concat(
        [
            runs.assign(iterations=to_tolerance(runs))
            .groupby(STEP, dropna=False)[["relative_step", "iterations"]]
            .median()
            for _, runs in family.members
        ],
        keys=range(len(family.members)),
    )
    steps = {
        step: rows
        for step, rows in medians.groupby(STEP, dropna=False)
        if len(rows) == len(family.members)
    }
    if not steps:
        return []
    nearest = min(steps, key=lambda step: abs(steps[step]["relative_step"].median() - 1))
    fastest = min(steps, key=lambda step: sorted(steps[step]["iterations"], reverse=True))
    return list(dict.fromkeys([nearest, fastest]))


def _spectral(tables: Shown, shown: Sequence[Family], column: str) -> list[Curve]:
    # Eigenvalues do not depend on the method.
    of_problems: dict[str, tuple[dict[str, Any], Family]] = {}
    for family in shown:
        setting = {name: family.setting[name] for name in family.setting if name not in METHOD}
        of_problems.setdefault(str(setting), (setting, family))
    problems = [*of_problems.values()]
    looks = _LOOKS if len(problems) > 1 else (_ALONE,)
    told = names([setting for setting, _ in problems])[1] if len(problems) > 1 else [""]
    curves: list[Curve] = []
    for (_, family), name, look in zip(problems, told, looks, strict=False):
        each = [runs.drop_duplicates("problem_id") for _, runs in family.members]
        values = [runs[column].to_numpy() for runs in each]
        predicted = np.array([_law(tables, runs, column) for runs in each])
        curves.append(Curve(name or "of $H$", _x(family), values, predicted, look))
    return curves


def _law(tables: Shown, runs: pd.DataFrame, column: str) -> float:
    """What the Marchenko-Pastur law predicts; nan unless features are independent with mean 0."""
    options = tables.runs["problem_options"][runs.index]
    if not ((runs["problem"] == "gaussian") & (options == "feature_mean=0.0")).all():
        return np.nan
    n, d = (float(runs[name].median()) for name in ("n_samples", "n_features"))
    low, high = (2 * n * float(edge) for edge in random_matrices.edges(d / n))
    if low == 0 and column != "lambda_max":
        return np.nan
    known = {"lambda_max": high, "lambda_min_positive": low}
    return high / low if column == "condition_number" else known[column]


def _draw_curve(ax: Axes, curve: Curve) -> None:
    marker, colour, band = curve.look
    median = np.array([np.median(values) for values in curve.values])
    # Quantiles are values of the sample, as nothing can be interpolated between a number and inf.
    low, high = np.transpose(
        [np.quantile(values, BAND, method="inverted_cdf") for values in curve.values]
    )
    reached = np.isfinite(median)
    x, median, low, high = curve.x[reached], median[reached], low[reached], high[reached]
    if (high - low > SAME * low).any():
        _draw_band(ax, x, low, high, band)
    if np.isfinite(curve.predicted).any():
        promise: Look = {"linestyle": "--", "linewidth": 1, "markersize": 1.8, "label": "predicted"}
        ax.plot(curve.x, curve.predicted, color=colour, marker=marker, **promise)
    look: Look = {"linewidth": 0.8, "markersize": 4, "fillstyle": "none", "label": curve.label}
    ax.plot(x, median, color=colour, marker=marker, **look)


def _draw_band(ax: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Fill the area between two curves; where the upper one is inf, up to the top of the axes."""
    known = high[np.isfinite(high)]
    ax.update_datalim([(x[0], value) for value in (*low, *known)])
    limits = ax.dataLim.frozen()
    above = np.where(np.isfinite(high), high, BEYOND * max(low.max(), *known))
    ax.fill_between(x, low, above, color=colour, linewidth=0, zorder=0, label="10 to 90 %")
    ax.dataLim.set(limits)


def _scale(ax: Axes, x: np.ndarray) -> None:
    """Make axes logarithmic if their values span a large factor, with ticks that can be read."""
    if scales.evenly_by_factors(x):
        ax.set_xscale("log")
        scales.logarithmic(ax.xaxis, np.log10(x.max() / x.min()))
    low, high = ax.dataLim.intervaly
    if high - low < SAME * high:
        ax.set_ylim(0, 2 * high)
    if not 0 < FLAT * low < high:
        return
    ax.set_yscale("log")
    scales.logarithmic(ax.yaxis, np.log10(high / low))


PLOT = Plot(
    "scaling",
    "How four quantities grow with the dimension d: the iterations to the tolerance, the extreme"
    " eigenvalues of H, and κ. If n varies the axis is n/d; if only κ varies it is κ. Iterations"
    " are shown for the step nearest to 1 and for the step whose worst case over the axis is best;"
    " if several methods solve one problem, each has a curve, at the latter step. Large markers:"
    " the median over seeds and repetitions. Band: from the 10 % to the 90 % quantile. Dashed, with"
    " small markers of the same shape: predicted. Iterations are predicted from ν of each problem."
    " Eigenvalues are predicted from the edges 2n(1 ± √(d/n))² of the Marchenko-Pastur law, if the"
    " features are independent with mean 0. The predicted iterations belong to the slowest"
    " eigenvector; a run whose error has a small component along it needs fewer. A point is missing"
    " if half of the runs never reached the tolerance. A band leaves the panel if more than a tenth"
    " did not.",
    {
        "runs": (
            *("iterations_to_tolerance", "n_samples", "n_features"),
            *("lambda_max", "lambda_min_positive", "condition_number"),
        )
    },
    draw,
    also=("iterations_predicted", "step_unit", "step_value", "relative_step"),
)
