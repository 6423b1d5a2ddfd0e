"""Figures of several methods: what they draw is in the tables, or follows from closed forms."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from gdconv.config.problems import Gaussian, Prescribed
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Eigenvector, Normal, Record, Step
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.nesterov import Nesterov
from gdconv.report.curves import InMemory
from gdconv.report.figures import catalogue
from gdconv.report.figures.methods import LEAST, MOST_CURVES
from gdconv.report.figures.stability import cells
from gdconv.report.settings import by_speed, settings
from gdconv.sweep.sweep import run_study

sys.path.insert(0, str(Path(__file__).parent))
from panels import drawn_of, lines, omitted_of, panels

KAPPAS = (36.0, 100.0)
LIMIT = "no worst case is lower"


def grid(method, steps, kappas=KAPPAS, start=None, **keys):
    start = start or Normal()
    return [
        RunConfig(Prescribed(40, 12, condition_number=kappa), start, method, step=each, **keys)
        for kappa in kappas
        for each in steps
    ]


@pytest.fixture(scope="module")
def several():
    """Four methods in six ways on two problems; gradient descent at 1/λmax and at its optimum."""
    both = [Step("optimal", 1.0), Step(value=1.0)]
    configs = [*grid(GradientDescent(iterations=200), both), *grid(Chebyshev(iterations=200), both)]
    for method in (
        *(HeavyBall(iterations=200, first_step=first) for first in ("full", "averaged")),
        Nesterov(iterations=200, momentum=("optimal", "convex")),
    ):
        configs += grid(method, both)
    return run_study(configs)


# methods


def fillna(text):
    return "" if pd.isna(text) else text


def owner(tables, runs, line):
    """The run whose relative gap a line shows."""
    t, gap = line.get_data()
    found = []
    for run in runs.itertuples():
        curve = tables.curves[(tables.curves.run_id == run.run_id) & (tables.curves.gap > 0)]
        if np.array_equal(curve.iteration, t):
            found += [run] * np.allclose(curve.gap / run.initial_gap, gap, rtol=1e-12, atol=0)
    (run,) = found
    return run


def test_each_method_is_drawn_at_its_fastest_step(several):
    figure = drawn_of(several, "methods")
    runs = several.runs
    for ax, kappa in zip(panels(figure), KAPPAS, strict=True):
        assert rf"$\kappa$ = {kappa:g}" in ax.get_title()
        of_problem = runs[np.isclose(runs.condition_number, kappa)]
        drawn = [line for line in ax.lines if line.get_label() != LIMIT]
        assert len(drawn) == 7
        for line in drawn:
            run = owner(several, of_problem, line)
            assert line.get_label().startswith(run.method.replace("_", " "))
            if line.get_label() == "gradient descent, step 1":
                assert run.relative_step == pytest.approx(1)
                continue
            same = of_problem.method_options.fillna("") == fillna(run.method_options)
            rivals = of_problem[same & (of_problem.method == run.method)]
            fewest = rivals.iterations_to_tolerance.min()
            assert pd.isna(fewest) or run.iterations_to_tolerance == fewest
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sum(label.startswith("gradient descent") for label in labels) == 2
    assert "gradient descent, step 1" in labels
    assert "chebyshev" in labels
    assert any("first step averaged" in label for label in labels)
    assert any("momentum convex" in label for label in labels)


def test_the_limit_is_the_reciprocal_of_chebyshev_s_polynomial(several):
    """1/T_t(σ)² with T_t(σ) = cosh(t arcosh σ)."""
    for ax, kappa in zip(panels(drawn_of(several, "methods")), KAPPAS, strict=True):
        (limit,) = lines(ax, LIMIT)
        t, values = limit.get_data()
        at = values > 1e-14
        exact = np.cosh(t[at] * np.arccosh((kappa + 1) / (kappa - 1))) ** -2.0
        # The bound is rounded upwards by up to 6 %.
        assert ((exact <= values[at] * (1 + 1e-9)) & (values[at] <= 1.07 * exact)).all()
        assert at.sum() > 20


def test_a_chebyshev_run_on_another_interval_is_no_limit():
    step = [Step(value=1.0)]
    wrong = Chebyshev(iterations=300, lower=(0.5,), upper=(1.2,))
    configs = [*grid(GradientDescent(iterations=300), step), *grid(wrong, step)]
    figure = drawn_of(run_study(configs), "methods")
    assert [lines(ax, LIMIT) for ax in panels(figure)] == [[], []]


def test_a_panel_shows_the_fast_methods_whole(several):
    for ax in panels(drawn_of(several, "methods")):
        right, ends = ax.get_xlim()[1], []
        for line in ax.lines:
            t, gap = line.get_data()
            if line.get_label() != LIMIT:
                ends.append(np.append(t[gap <= LEAST], t[-1])[0])
                assert gap.max() < ax.get_ylim()[1]
        assert min(ends) < right <= 4 * min(ends)


def test_curves_are_told_apart_without_colour_and_are_at_most_ten(several):
    momenta = tuple(np.round(np.linspace(0, 0.9, 14), 3))
    many = grid(HeavyBall(iterations=50, momentum=momenta), [Step(value=1.0)], kappas=(36.0,))
    more = run_study([*many, *grid(GradientDescent(iterations=50), [Step(value=1.0)], (36.0,))])
    both = [drawn_of(tables, "methods") for tables in (several, more)]
    for figure, count in zip(both, (7, MOST_CURVES), strict=True):
        for ax in panels(figure):
            drawn = [line for line in ax.lines if line.get_label() != LIMIT]
            assert len({line.get_marker() for line in drawn}) == len(drawn) == count
    assert "10 of 15 curves" in both[1].get_suptitle()
    assert any("gradient" in text.get_text() for text in both[1].findobj(Text))


def test_one_method_is_not_compared():
    tables = run_study(grid(HeavyBall(iterations=50), [Step(value=1.0)]))
    assert omitted_of(tables, "methods") == "no problem was solved by two methods"
    # Two methods on different problems are not either.
    apart = [
        *grid(HeavyBall(iterations=50), [Step(value=1.0)], kappas=(36.0,)),
        *grid(GradientDescent(iterations=50), [Step(value=1.0)], kappas=(100.0,)),
    ]
    assert omitted_of(run_study(apart), "methods") == "no problem was solved by two methods"


# stability

MOMENTA = (0.0, 0.2, 0.4, 0.6, 0.8)
STEPS = tuple(np.round(np.arange(0.3, 4.0, 0.3), 9))


def plane(kind, **keys):
    method = kind(iterations=150, momentum=MOMENTA, **keys)
    return run_study(grid(method, [Step(value=STEPS)], kappas=(36.0,), repetitions=3))


@pytest.fixture(scope="module")
def heavy():
    return plane(HeavyBall)


def test_every_run_is_a_cell_with_its_rate(heavy):
    figure = drawn_of(heavy, "stability")
    (ax,) = panels(figure)
    (mesh,) = [each for each in ax.collections if hasattr(each, "get_coordinates")]
    rates, corners = mesh.get_array(), mesh.get_coordinates()
    assert rates.shape == (len(MOMENTA), len(STEPS))
    hatched = {
        (round(bar.get_x(), 6), round(bar.get_y(), 6)): container.get_label()
        for container in ax.containers
        for bar in container
    }
    for row, momentum in enumerate(MOMENTA):
        for column, step in enumerate(STEPS):
            runs = heavy.runs[(heavy.runs.momentum == momentum) & (heavy.runs.step_value == step)]
            (left, low), (right, high) = corners[row, column], corners[row + 1, column + 1]
            assert left < step < right
            assert low <= momentum < high
            diverged = (runs.status == "diverged").sum() > 1
            label = hatched.get((round(left, 6), round(low, 6)))
            if diverged:
                assert label == "diverged"
            elif runs.rate_measured.notna().any():
                assert label is None
                assert rates[row, column] == pytest.approx(runs.rate_measured.median())
            else:
                assert label == "rate not measured"
    assert {len(container) for container in ax.containers} != {0}


@pytest.mark.parametrize(
    ("kind", "limit"),
    [(HeavyBall, lambda b: 2 * (1 + b)), (Nesterov, lambda b: (2 + 2 * b) / (1 + 2 * b))],
)
def test_the_limit_and_the_optimum_are_those_of_theory(kind, limit):
    tables = plane(kind)
    (ax,) = panels(drawn_of(tables, "stability"))
    (line,) = lines(ax, "limit by theory")
    assert line.get_ydata() == pytest.approx(MOMENTA)
    assert line.get_xdata() == pytest.approx([limit(b) for b in MOMENTA])
    # No other step and momentum have a smaller largest root, for eigenvalues from 1/36 to 1.
    (diamond,) = lines(ax, "optimum by theory")
    (x,), (momentum,) = diamond.get_data()

    def contraction(step, b):
        largest = []
        for eigenvalue in (1.0, 1 / 36):
            z = step * eigenvalue
            polynomial = (
                [1, z - 1 - b, b] if kind is HeavyBall else [1, -(1 + b) * (1 - z), b - b * z]
            )
            largest.append(np.abs(np.roots(polynomial)).max())
        return max(largest)

    best = contraction(x, momentum)
    for step in (0.98 * x, x, 1.02 * x):
        for b in (momentum - 0.02, momentum, momentum + 0.02):
            # At the optimum a root is double, so that np.roots has half of the digits.
            assert contraction(step, b) >= best - 1e-7
    runs = tables.runs[tables.runs.status != "diverged"]
    (star,) = lines(ax, "least measured rate")
    rates = runs.groupby(["step_value", "momentum"]).rate_measured.median()
    assert (star.get_xdata()[0], star.get_ydata()[0]) == pytest.approx(rates.idxmin())


def test_between_the_dashed_lines_the_contraction_factor_is_the_root_of_the_momentum(heavy):
    (ax,) = panels(drawn_of(heavy, "stability"))
    low, high = lines(ax, r"between these lines $\nu = \sqrt{\beta}$")
    inside = 0
    for run in heavy.runs.itertuples():
        ends = [np.interp(run.momentum, line.get_ydata(), line.get_xdata()) for line in (low, high)]
        within = low.get_ydata().min() < run.momentum and ends[0] < run.relative_step < ends[1]
        near = min(abs(run.relative_step - end) for end in ends) < 0.02
        if not near:
            assert within == (run.nu == pytest.approx(np.sqrt(run.momentum), rel=1e-9))
        inside += within
    assert inside > 10
    nesterov = drawn_of(plane(Nesterov), "stability")
    assert not lines(panels(nesterov)[0], r"between these lines $\nu = \sqrt{\beta}$")


def test_a_grid_needs_three_steps_and_three_momenta():
    reason = "no method was run on one problem with 3 momenta at 3 relative steps"
    for momenta, steps in (((0.1, 0.2), STEPS), (MOMENTA, (0.5, 1.0)), ("optimal", STEPS)):
        configs = grid(HeavyBall(iterations=30, momentum=momenta), [Step(value=steps)], (36.0,))
        assert omitted_of(run_study(configs), "stability") == reason
    # The optimum and the limit are outside of these cells.
    least = grid(HeavyBall(iterations=30, momentum=(0.1, 0.2, 0.3)), [Step(value=(0.5, 1, 1.5))])
    for ax in panels(drawn_of(run_study(least), "stability")):
        assert [line.get_label() for line in ax.lines] == ["least measured rate"]


def test_cells_are_medians_over_repetitions(heavy):
    rows = cells(heavy.runs)
    assert len(rows) == len(MOMENTA) * len(STEPS)
    one = rows[(rows.momentum == 0.4) & (rows.step_value == 0.9)].iloc[0]
    runs = heavy.runs[(heavy.runs.momentum == 0.4) & (heavy.runs.step_value == 0.9)]
    assert len(runs) == 3
    assert one.rate == runs.rate_measured.median()


# transient

# The largest growth from any start, and when, at the optimum; computed in 60 digits.
PEAKS = {10.0: (1.3088615702, 1), 100.0: (3.7072169685, 4), 1000.0: (11.644966013, 15)}


@pytest.fixture(scope="module")
def pair():
    return run_study(
        [
            config
            for first in ("full", "averaged")
            for config in grid(
                HeavyBall(iterations=300, first_step=first),
                [Step("optimal", (0.5, 1.0))],
                kappas=tuple(PEAKS),
                start=Eigenvector("max"),
                record=Record(points=150),
            )
        ]
    )


def test_from_the_worst_start_a_full_first_step_grows_as_theory_says(pair):
    figure = drawn_of(pair, "transient")
    assert "heavy ball" in figure.get_suptitle()
    for ax, (kappa, (peak, at)) in zip(panels(figure), PEAKS.items(), strict=True):
        assert rf"$\kappa$ = {kappa:g}".replace("1000", "10³") in ax.get_title()
        (full,) = lines(ax, "measured, full first step")
        t, error = full.get_data()
        # Recorded numbers are right to 1e-10 near the start, the theory's peak to its digits.
        assert error.max() == pytest.approx(peak, rel=1e-9)
        assert t[error.argmax()] == at
        (text,) = ax.texts
        assert re.fullmatch(rf"{peak:.3g} at \$t\$ = {at}", text.get_text())
        (averaged,) = lines(ax, "measured, averaged first step")
        assert averaged.get_ydata().max() == 1.0
        momentum = ((np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)) ** 2
        t, error = averaged.get_data()
        exact = momentum ** (t / 2) * (1 + t * (1 - momentum) / (1 + momentum))
        assert error[exact > 1e-6] == pytest.approx(exact[exact > 1e-6], rel=1e-6)


def test_the_bound_is_attained_from_there_and_only_there(pair):
    other = run_study(
        [
            config
            for first in ("full", "averaged")
            for config in grid(HeavyBall(iterations=100, first_step=first), [Step("optimal", 1.0)])
        ]
    )
    for tables, attained in ((pair, True), (other, False)):
        for ax in panels(drawn_of(tables, "transient")):
            for first in ("full", "averaged"):
                (measured,) = lines(ax, f"measured, {first} first step")
                (bound,) = lines(ax, f"bound, {first} first step")
                ratio = (measured.get_ydata() / bound.get_ydata())[measured.get_ydata() > 1e-6]
                # Rounding is about 1e-15 in w, so it is 1e-9 of an error of 1e-6, over some steps.
                assert ratio.max() <= 1 + 1e-8
                # Upper bounds are at most 6 % too large, and so are their roots by 3 %.
                assert (ratio[1:].min() > 0.96) == attained


def test_both_first_steps_are_needed_at_one_step_and_momentum(pair):
    full = pair.runs[pair.runs.method_options.str.contains("full")]
    assert "both first steps" in omitted_of(pair._replace(runs=full), "transient")
    shifted = pair.runs[
        (pair.runs.step_value == 1.0) == pair.runs.method_options.str.contains("full")
    ]
    assert "both first steps" in omitted_of(pair._replace(runs=shifted), "transient")


# All figures


@pytest.mark.parametrize("name", ["methods", "stability", "transient", "scaling", "convergence"])
@pytest.mark.slow_where(case=lambda name: name in ("scaling", "convergence"))
def test_no_text_of_them_overlaps_or_is_cut_off(several, heavy, pair, name, check_texts):
    tables = {"stability": heavy, "transient": pair}.get(name, several)
    check_texts(drawn_of(tables, name))


@pytest.mark.parametrize("name", ["convergence", "tightness", "rate_vs_step"])
@pytest.mark.slow_where(case=lambda name: name != "rate_vs_step")
def test_each_panel_is_one_method_on_one_problem(several, name):
    figure = drawn_of(several, name)
    titles = [ax.get_title().replace("\n", " ") for ax in panels(figure)]
    assert len(set(titles)) == len(titles) <= 6
    known = ("chebyshev", "gradient descent", "heavy ball", "nesterov")
    assert all(sum(method in title for method in known) == 1 for title in titles)
    assert "pairs of problem and method" in figure.get_suptitle()
    for ax, title in zip(panels(figure), titles, strict=True):
        told = [line.get_label() for line in ax.lines] + [each.get_label() for each in ax.patches]
        if "gradient descent" not in title:
            assert not any("coursework" in label or label == "optimum" for label in told)


def test_bounds_that_are_not_known_to_the_end_set_no_limit():
    """As beyond 1,000 iterations of a method without closed forms."""
    method = Nesterov(iterations=1500, momentum=("convex",))
    tables = run_study(grid(method, [Step(value=0.5)], kappas=(1e3,)))
    known = tables.curves.iteration <= 1000
    tables = tables._replace(
        curves=tables.curves.assign(gap_bound=tables.curves.gap_bound.where(known))
    )
    (ax,) = panels(drawn_of(tables, "tightness"))
    shown = [line for line in ax.lines if line.get_label() != "_nolegend_"]
    assert all(line.get_ydata().max() < ax.get_ylim()[1] for line in shown)


def test_a_method_without_a_step_is_drawn_alone():
    tables = run_study(grid(Chebyshev(iterations=100), [Step(value=1.0)]))
    drawn, _ = catalogue.draw(tables)
    assert drawn.keys() == {"convergence", "scaling", "spectrum", "tightness"}
    for ax in panels(drawn["convergence"]):
        assert [line.get_color() for line in lines(ax, "measured")] == ["black"]
        assert not any(text.get_text() for text in ax.texts)


def test_the_edge_is_that_of_the_method():
    """With momentum 0.5 heavy ball diverges from 3 on, where gradient descent does from 2 on."""
    method = HeavyBall(iterations=200, momentum=(0.5,))
    steps = (0.5, 1.0, 2.0, 2.5, 3.5)
    problems = [Gaussian(60, d) for d in (4, 9)]
    tables = run_study([RunConfig(each, Normal(), method, Step(value=steps)) for each in problems])
    for name in ("rate_vs_step", "iterations_heatmap"):
        for ax in panels(drawn_of(tables, name)):
            assert set(lines(ax, "edge")[0].get_xdata()) == {3.0}
            assert not lines(ax, "optimum")
    shown = {text.get_text() for ax in drawn_of(tables, "convergence").axes for text in ax.texts}
    assert {"2.5", "3.5"} <= shown


def test_rates_of_another_method_are_compared_with_its_own_prediction(several):
    for ax in panels(drawn_of(several, "rate_vs_step")):
        predicted = lines(ax, r"$\nu^2$ at this step")
        assert bool(predicted) == ("gradient descent" not in ax.get_title())
        for line in predicted:
            for step, rate in zip(*line.get_data(), strict=True):
                same = np.isclose(several.runs.relative_step, step, rtol=1e-9)
                assert np.isclose(several.runs.rate_predicted[same], rate, rtol=1e-9).any()


def test_iterations_of_methods_stand_beside_each_other(several):
    ax, *spectral = drawn_of(several, "scaling").axes
    runs = several.runs.assign(
        iterations=several.runs.iterations_to_tolerance.astype(float).fillna(np.inf)
    )
    assert len(ax.lines) == 6
    for line in ax.lines:
        method = line.get_label().partition(",")[0].replace(" ", "_")
        of_method = runs[runs.method == method]
        for kappa, count in zip(*line.get_data(), strict=True):
            near = np.isclose(of_method.condition_number, kappa)
            assert count in set(of_method.iterations[near])
    assert len({line.get_marker() for line in ax.lines}) == 6
    # Eigenvalues do not depend on the method: one curve for all.
    assert [[line.get_label() for line in each.lines] for each in spectral] == [["of $H$"]] * 2


def test_spectra_of_all_methods_are_one(several):
    assert len(panels(drawn_of(several, "spectrum"))) == len(KAPPAS)


def test_the_fastest_step_is_first():
    tables = run_study(
        grid(GradientDescent(iterations=500), [Step(value=(0.5, 1.9, 2.5))], (36.0,))
    )
    order = [value for _, value in by_speed(tables.runs).index]
    counts = tables.runs.set_index("step_value").iterations_to_tolerance
    assert order == [1.9, 0.5, 2.5]
    assert counts[1.9] < counts[0.5]
    assert pd.isna(counts[2.5])
    assert InMemory(tables.curves).has("gap")
    assert len(settings(tables.runs)) == 1
