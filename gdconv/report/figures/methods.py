"""The gap of several methods on one problem, and the limit that no method can pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdconv.report.curves import Shown, positive
from gdconv.report.figures import drawing, scales
from gdconv.report.figures.drawing import Look, NothingToShowError, Plot
from gdconv.report.figures.titles import axis, names, which_draw
from gdconv.report.numerals import number, same
from gdconv.report.settings import METHOD, among, at_step, by_speed, options_of, settings

MOST_PROBLEMS, MOST_CURVES = 4, 10
# A gap that is a smaller part of the initial gap is not shown.
LEAST = 1e-12
# A panel is at most this many times as wide as the fastest method needs; conjugate gradients are so
# much faster that the others would not be seen.
WIDEST, WIDEST_CONJUGATE = 4, 20
CONJUGATE = "conjugate_gradient"
# The options of Chebyshev's method with which its interval is that of the spectrum.
EXACT = {"lower=1.0", "upper=1.0", "tuned_to=spectrum"}
# Each method has a colour, and each curve a marker.
_COLOURS = (
    *(drawing.STATED, drawing.MEASURED, "#3f8f6b", "#8a5aa8"),
    *("0.5", "#b08d00", "#c2548a", "#5b4a36"),
)
_MARKERS = "os^Dv*P<X>"


@dataclass(frozen=True)
class Variant:
    """A method with its options and momentum, at a step of its choice on each problem.

    Attributes
    ----------
    method, label : str
    runs : list of DataFrame
        Its run on each problem, of the first draw; empty if there is none.
    speed : float
        The iterations to the tolerance on the problem where they are most; inf if never.
    """

    method: str
    label: str
    runs: list[pd.DataFrame]
    speed: float


def draw(tables: Shown) -> Figure:
    """Draw one panel for each of some problems, with a curve for each method."""
    runs = tables.runs.dropna(subset=["condition_number", "initial_gap"])
    runs = runs[among(runs["run_id"], tables.curves.several(positive))]
    every = [each for each in settings(runs, METHOD) if each[1]["method"].nunique() > 1]
    if not every:
        raise NothingToShowError("no problem was solved by two methods")
    # With the options as the tables have them.
    panels = [
        (setting, runs.loc[group.index]) for setting, group in drawing.choose(every, MOST_PROBLEMS)
    ]
    known = _variants([group for _, group in panels])
    chosen = _at_most(known, MOST_CURVES)
    shown = [pd.concat([each.runs[index] for each in chosen]) for index in range(len(panels))]
    part = f"{len(chosen)} of {len(known)} curves" * (len(chosen) < len(known))
    note = ", ".join(filter(None, (which_draw(shown), part)))
    labels = axis("iteration"), "gap / initial gap   (dimensionless)"
    figure, axes = drawing.grid(panels, every, note, *labels, sharex=False)
    tops = []
    for index, (ax, (_, group)) in enumerate(zip(axes, panels, strict=True)):
        limit = _best_possible(tables, group, shown[index])
        curves = [_relative(tables, each.runs[index], "gap") for each in chosen]
        tops.append(_draw_curves(ax, chosen, curves, limit))
        _mark_restarts(ax, tables, [each.runs[index] for each in chosen])
    axes[0].set(yscale="log", ylim=(LEAST, 3 * max(tops)))
    scales.logarithmic(axes[0].yaxis, np.log10(max(tops) / LEAST))
    drawing.legend(figure, axes)
    return figure


def _variants(problems: Sequence[pd.DataFrame]) -> list[Variant]:
    """Every method at its fastest step, and gradient descent at 1/λmax as well."""
    numbered = [runs.assign(panel=index) for index, runs in enumerate(problems)]
    by_method: dict[str, tuple[dict[str, object], list[pd.DataFrame]]] = {}
    for setting, group in settings(pd.concat(numbered)):
        method = {name: setting[name] for name in METHOD}
        by_method.setdefault(str(method), (method, []))[1].append(group)
    _, told = names([method for method, _ in by_method.values()])
    found = []
    for (method, groups), name in zip(by_method.values(), told, strict=True):
        runs = pd.concat(groups)
        each = [runs[runs["panel"] == index] for index in range(len(problems))]
        fastest = [at_step(some, by_speed(some).index[0]) if len(some) else some for some in each]
        plain = [some[same(some["relative_step"], 1.0)] for some in each]
        found.append(_variant(str(method["method"]), name, fastest))
        alike = all(a.index.equals(b.index) for a, b in zip(plain, fastest, strict=True))
        if method["method"] == "gradient_descent" and not alike and any(map(len, plain)):
            found.append(_variant("gradient_descent", name, plain))
    return found


def _variant(method: str, name: str, each: Sequence[pd.DataFrame]) -> Variant:
    known = [runs for runs in each if len(runs)]
    steps = pd.concat([runs["relative_step"] for runs in known])
    low, high = number(steps.min()), number(steps.max())
    step = f"step {low}" + f"–{high}" * (low != high) if steps.notna().any() else ""
    speed = max(by_speed(runs)["iterations_to_tolerance"].max() for runs in known)
    first = [drawing.one_draw(runs) if len(runs) else runs for runs in each]
    return Variant(method, ", ".join(filter(None, (name, step))), first, speed)


def _at_most(variants: Sequence[Variant], most: int) -> list[Variant]:
    """At most so many of some variants: the fastest of each method, then the second ones, …"""
    seen: Counter[str] = Counter()
    ranks = {}
    for index in sorted(range(len(variants)), key=lambda index: variants[index].speed):
        ranks[index] = seen[variants[index].method], variants[index].speed
        seen[variants[index].method] += 1
    return [variants[index] for index in sorted(sorted(ranks, key=lambda each: ranks[each])[:most])]


def _relative(tables: Shown, run: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """The iterations of a run, and a column of curves.csv divided by the initial gap."""
    if run.empty:
        return np.empty(0), np.empty(0)
    curve = tables.curves.of(run["run_id"])
    curve = curve[curve[column] > 0]
    return curve["iteration"].to_numpy(), (curve[column] / run["initial_gap"].iloc[0]).to_numpy()


def _best_possible(
    tables: Shown, runs: pd.DataFrame, shown: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """The bound of Chebyshev's method on the interval of the spectrum, if that was run."""
    options = runs["method_options"].fillna("").map(lambda text: {*options_of(text)} == EXACT)
    of_draw = runs["problem_id"].isin(shown["problem_id"])
    run = runs[(runs["method"] == "chebyshev") & options & of_draw]
    return _relative(tables, run[:1], "gap_bound_relative")


def _draw_curves(
    ax: Axes,
    variants: Sequence[Variant],
    curves: Sequence[tuple[np.ndarray, np.ndarray]],
    limit: tuple[np.ndarray, np.ndarray],
) -> float:
    """Draw a panel, and return the largest relative gap in it."""
    grey: Look = {"color": "0.75", "linewidth": 3.5, "zorder": 0}
    if len(limit[0]):
        ax.plot(*limit, **grey, label="no worst case is lower")
    methods = list(dict.fromkeys(each.method for each in variants if each.method != CONJUGATE))
    ends, right, top = [], np.inf, 1.0
    for variant, (t, gap), marker in zip(variants, curves, _MARKERS, strict=False):
        look: Look = {"linewidth": 0.9, "markersize": 3.5, "fillstyle": "none", "marker": marker}
        if conjugate := variant.method == CONJUGATE:
            look |= {"linewidth": 1.8, "zorder": 3, "color": "black"}
        else:
            look |= {"color": _COLOURS[methods.index(variant.method) % len(_COLOURS)]}
        if len(t):
            ax.plot(t, gap, markevery=0.13, **look, label=variant.label)
            ends.append(np.append(t[gap <= LEAST], t[-1])[0])
            right = min(right, (WIDEST_CONJUGATE if conjugate else WIDEST) * ends[-1])
            top = max(top, gap.max() if gap[-1] < 1 else 1.0)
    ax.set_xlim(0, max(1, min(max(ends), right)))
    return float(top)


def _mark_restarts(ax: Axes, tables: Shown, runs: Sequence[pd.DataFrame]) -> None:
    """Draw a bar where a run has restarted since the iteration recorded before."""
    for run in runs:
        if run.empty:
            continue
        curve = tables.curves.of(run["run_id"])
        marked = curve[(curve["restarts"].diff() > 0) & (curve["gap"] > 0)]
        if marked.empty:
            continue
        gap = marked["gap"] / run["initial_gap"].iloc[0]
        look: Look = {"marker": "|", "markersize": 9, "markeredgewidth": 1.2, "linestyle": ""}
        ax.plot(marked["iteration"], gap, color="black", zorder=4, **look)


PLOT = Plot(
    "methods",
    "The gap of several methods on the same problem, as a part of the initial gap, against the"
    " iteration t. Each curve is a method with its options, for one repetition, at the step that"
    " needs the fewest iterations to the tolerance in the median; gradient descent is shown at the"
    " step 1/λmax as well, if the study has it. The legend names the relative steps ηλmax. Grey:"
    " the limit 1/Tₜ(σ)² with σ = (κ + 1)/(κ − 1) and Chebyshev's polynomial Tₜ, which is the bound"
    " of Chebyshev's method in curves.csv. For every method with fixed coefficients and every t,"
    " there is a spectrum between λ⁺min and λmax and a start with which its gap is at or above this"
    " limit. So a single curve may be lower, but no worst case. The limit is drawn if the study has"
    " a run of Chebyshev's method on the interval from λ⁺min to λmax. A method that chooses its own"
    " steps may be lower: conjugate gradients (thick) have the least gap of all methods that use"
    " gradients only, until rounding delays them. At most ten curves are drawn: the fastest of each"
    " method, then the second ones. A panel ends where the gap is 10⁻¹² of the initial gap, or"
    " after four times the iterations of the fastest method, but 20 times those of conjugate"
    " gradients. Bars mark where a momentum has begun again.",
    {
        "runs": ("condition_number", "initial_gap", "iterations_to_tolerance"),
        "curves": ("iteration", "gap"),
    },
    draw,
    also=("rate_predicted", "step_unit", "step_value", "relative_step", "iterations_predicted"),
    also_curves=("gap_bound_relative", "restarts"),
)
