"""Reports of methods that choose their own steps: figures, summary and page."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    BarzilaiBorwein,
    ConjugateGradient,
    Normal,
    Polyak,
    Prescribed,
    Record,
    RunConfig,
    SteepestDescent,
    Step,
    run_study,
)
from gdconv.config.runs import expand
from gdconv.config.sections import METHODS
from gdconv.experiment.iterate import iterate
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.nesterov import Nesterov
from gdconv.methods.protocol import Choosing
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective
from gdconv.problems.starts import starting_point
from gdconv.report.figures import catalogue
from gdconv.report.figures.methods import CONJUGATE, MOST_CURVES
from gdconv.report.figures.zigzag import MOST_ITERATIONS
from gdconv.report.forms.text import WIDTH
from gdconv.report.page import explorer
from gdconv.report.page.document import page
from gdconv.report.settings import CHOOSING
from gdconv.report.summary import summary

ITERATIONS = 300
ALL = {"iterations": ITERATIONS}
CHOSEN = [
    ConjugateGradient(**ALL),
    SteepestDescent(**ALL),
    Polyak(**ALL, factor=(0.5, 1.0, 2.0)),
    BarzilaiBorwein(**ALL),
]
FIXED = [
    GradientDescent(**ALL),
    HeavyBall(**ALL),
    HeavyBall(**ALL, first_step="averaged"),
    Nesterov(**ALL, momentum=("optimal", "convex")),
    Chebyshev(**ALL),
]


def configs(methods, *kappas, profile="geometric", points=300, features=12):
    return [
        RunConfig(
            Prescribed(60, features, condition_number=kappa, profile=profile),
            Normal(),
            method,
            step=Step("optimal"),
            record=Record(points=points),
        )
        for kappa in kappas
        for method in methods
    ]


@pytest.fixture(scope="module")
def every():
    return run_study(configs([*CHOSEN, *FIXED], 36.0, 1000.0))


@pytest.fixture(scope="module")
def conjugate():
    """The spectra of Strakoš' problem and one without a delay."""
    return run_study(
        [
            *configs([CHOSEN[0]], 1e2, 1e3, 1e4, profile="strakos", features=48),
            *configs([CHOSEN[0]], 1e3, profile="linear", features=12),
        ]
    )


def drawn_of(tables, name):
    drawn, omitted = catalogue.draw(tables, [name])
    assert omitted == {}
    return drawn[name]


def lines(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def test_the_methods_that_choose_are_listed():
    assert {name for name, method in METHODS.items() if issubclass(method, Choosing)} == {*CHOOSING}


# orthogonality


def test_the_gaps_and_the_delay_are_those_of_the_tables(conjugate):
    figure = drawn_of(conjugate, "orthogonality")
    delays = []
    for ax in figure.axes:
        (measured,) = lines(ax, "measured")
        t, gap = measured.get_data()
        (run,) = [
            run
            for run in conjugate.runs.itertuples()
            if run.iterations == t[-1]
            and gap[-1] * run.initial_gap == pytest.approx(run.final_gap, rel=1e-12)
        ]
        curve = conjugate.curves[conjugate.curves.run_id == run.run_id]
        assert gap * run.initial_gap == pytest.approx(curve.gap.to_numpy(), rel=1e-12)
        (exact,) = lines(ax, "exact gap")
        shown = curve.gap_exact.to_numpy() / run.initial_gap > ax.get_ylim()[0]
        assert exact.get_ydata()[shown] * run.initial_gap == pytest.approx(
            curve.gap_exact.to_numpy()[shown], rel=1e-12
        )
        # Elsewhere the line is below the panel.
        assert (exact.get_ydata()[~shown] < ax.get_ylim()[0]).all()
        assert (exact.get_xdata()[~shown] >= 12).all()
        marks = lines(ax, "twice the exact gap")
        assert bool(marks) == pd.notna(run.delayed_at)
        for mark in marks:
            assert set(mark.get_xdata()) == {run.delayed_at}
            first = np.flatnonzero(gap > 2 * exact.get_ydata() + curve.gap_floor / run.initial_gap)
            assert t[first[0]] == run.delayed_at
            assert [text.get_text() for text in ax.texts] == [f"$t$ = {run.delayed_at}"]
        delays.append(len(marks))
    # With evenly spaced eigenvalues nothing is delayed.
    assert sorted(delays) == [0, 1, 1, 1]


def test_the_bound_is_the_reciprocal_of_chebyshev_s_polynomial(conjugate):
    """1/T_t(σ)² with T_t(σ) = cosh(t arcosh σ)."""
    figure = drawn_of(conjugate, "orthogonality")
    for ax in figure.axes:
        (kappa,) = (
            value
            for text, value in {"100": 1e2, "10³": 1e3, "10⁴": 1e4}.items()
            if rf"$\kappa$ = {text}," in ax.get_title()
        )
        t, bound = lines(ax, "relative bound")[0].get_data()
        exact = np.cosh(t * np.arccosh((kappa + 1) / (kappa - 1))) ** -2.0
        # κ is a quotient of computed eigenvalues.
        assert bound == pytest.approx(exact, rel=1e-7)


def test_it_needs_conjugate_gradients():
    tables = run_study(configs([CHOSEN[1]], 36.0))
    _, omitted = catalogue.draw(tables, ["orthogonality"])
    assert omitted == {"orthogonality": "no run of conjugate gradients has two recorded iterations"}


# zigzag


def case_b(tables):
    """The tables with the run of X = diag(1, …, 6), y = 0 and w_0 = (1, …, 1)."""
    one = SteepestDescent()
    found = []
    iterate(
        *(one, Objective(LeastSquares(np.diag(np.arange(1.0, 7.0)), np.zeros(6)), "none")),
        *(np.ones(6), {"factor": np.ones(1)}, 400),
        lambda t, runs, W, residual, beside: found.append(
            (t, float(residual[0] @ residual[0]), float(beside.chosen()["step_size"][0]))
        ),
    )
    run = tables.runs[tables.runs.method == "steepest_descent"][:1]
    run = run.assign(lambda_max=72.0, condition_number=36.0)
    t, gap, step = np.transpose(found)
    curves = pd.DataFrame({"iteration": t.astype(int), "gap": gap, "coefficient_step": step})
    curves = curves.assign(run_id=run["run_id"].iloc[0], gap_floor=0.0, distance_squared=1.0)
    return tables._replace(runs=run, curves=curves)


def test_steepest_descent_ends_in_a_zigzag(every):
    """Case B: the ratio tends to 0.8938829, the steps alternate."""
    steps, ratios = drawn_of(case_b(every), "zigzag").axes
    (line,) = lines(steps, "steepest descent")
    assert line.get_xdata().tolist() == list(range(MOST_ITERATIONS + 1))
    last = line.get_ydata()[-2:]
    # The limits are approached by a constant factor per iteration.
    assert sorted(last) == pytest.approx([1.77930187472, 2.14703036331], rel=2e-3)
    (ratio,) = lines(ratios, "steepest descent")
    assert ratio.get_ydata()[0] == pytest.approx(13.948519450358 / 91, rel=1e-12)
    assert ratio.get_ydata()[-1] == pytest.approx(0.893882912485761, rel=2e-3)
    (bound,) = lines(ratios, r"$((\kappa-1)/(\kappa+1))^2$")
    assert set(bound.get_ydata()) == {(35 / 37) ** 2}
    assert (ratio.get_ydata() <= (35 / 37) ** 2).all()
    assert set(lines(steps, r"step $1/\lambda_{\max}$")[0].get_ydata()) == {1.0}
    (best,) = lines(steps, r"step $2/(\lambda_{\max}+\lambda^+_{\min})$")
    assert best.get_ydata()[0] == pytest.approx(72 * 2 / 74)


def test_in_two_dimensions_the_steps_alternate_from_the_start():
    """With eigenvalues a, b and gradient (g, h): η = (g² + h²)/(ag² + bh²), then g²:h² turns."""
    (config,) = configs([SteepestDescent(iterations=40)], 36.0, points=200, features=2)
    tables = run_study(replace(config, seed=2))
    a, b = tables.eigenvalues.eigenvalue
    g, h = (tables.eigenvalues.eigenvalue**2 * tables.eigenvalues.error_component_squared).to_list()
    expected = [(g + h) / (a * g + b * h), (g + h) / (a * h + b * g)]
    steps, ratios = drawn_of(tables, "zigzag").axes
    drawn = lines(steps, "steepest descent")[0].get_ydata()
    # Rounding tilts the gradient, the more so the smaller it is.
    assert drawn[:10:2] == pytest.approx(expected[0] * a, rel=1e-8)
    assert drawn[1:10:2] == pytest.approx(expected[1] * a, rel=1e-8)
    ratio = lines(ratios, "steepest descent")[0].get_ydata()
    kantorovich = 1 - (g + h) ** 2 / ((a * g + b * h) * (g / a + h / b))
    assert ratio[:10] == pytest.approx(kantorovich, rel=1e-8)
    # The gradients (√g, √h) and (−√h, √g) take turns.
    circle, points = ratios.child_axes[0].lines
    assert np.hypot(*circle.get_data()) == pytest.approx(1)
    x, y = points.get_data()
    for turn, (across, up) in enumerate([(g, h), (h, g)]):
        assert np.abs(x[turn:10:2]) == pytest.approx((across / (g + h)) ** 0.5, rel=1e-8)
        assert np.abs(y[turn:10:2]) == pytest.approx((up / (g + h)) ** 0.5, rel=1e-8)
    assert x[:9] * x[1:10] + y[:9] * y[1:10] == pytest.approx(0, abs=1e-8)


def test_the_gradient_ends_in_the_plane_of_the_extreme_eigenvectors():
    """The points are those of the iterates themselves, and come to the circle (Akaike 1959)."""
    (config,) = configs([SteepestDescent(iterations=60)], 36.0, points=200)
    tables = run_study(config)
    objective = Objective(make(config.problem, 0, 0), "none")
    start = starting_point(config.start, 0, 0, objective)
    found = []
    (method,) = {run.method for run in expand(config)}
    iterate(
        *(method, objective, start, {"factor": np.ones(1)}, 50),
        lambda t, runs, W, residual, beside: found.append(W[0] - objective.least_norm.w),
    )
    spectrum = objective.spectrum
    parts = np.array(found) @ spectrum.right * spectrum.singular_values**2
    wanted = parts[:, [0, -1]] / np.linalg.norm(parts, axis=1, keepdims=True)
    _, points = drawn_of(tables, "zigzag").axes[1].child_axes[0].lines
    x, y = points.get_data()
    assert np.abs(x) == pytest.approx(np.abs(wanted[: len(x), 0]), abs=1e-9)
    assert np.abs(y) == pytest.approx(np.abs(wanted[: len(x), 1]), abs=1e-9)
    radius = np.hypot(x, y)
    assert radius[-1] > 0.95
    assert radius[-1] > radius[0]


def test_the_other_rules_stand_beside_it(every):
    figure = drawn_of(every, "zigzag")
    assert len(figure.axes) == 4
    runs, curves = every.runs, every.curves
    for ax, kappa in zip(figure.axes[::2], (36.0, 1000.0), strict=True):
        of_problem = runs[np.isclose(runs.condition_number, kappa)]
        shown = [line for line in ax.lines if not line.get_label().startswith("step ")]
        assert len(shown) == 3
        for line in shown:
            name = line.get_label().partition(",")[0].replace(" ", "_")
            rivals = of_problem[of_problem.method == name].sort_values("iterations_to_tolerance")
            run = rivals.iloc[0]
            if name == "polyak":
                assert f"factor={float(line.get_label().split()[-1])}" == run.method_options
            curve = curves[(curves.run_id == run.run_id) & (curves.iteration <= MOST_ITERATIONS)]
            t, step = (each[~np.isnan(line.get_xdata())] for each in line.get_data())
            wanted = curve.set_index("iteration").coefficient_step[t.astype(int)]
            assert step == pytest.approx(wanted.to_numpy() * run.lambda_max, rel=1e-12)
            # A line joins only iterations that follow each other.
            steps = np.diff(line.get_xdata())
            assert set(steps[~np.isnan(steps)]) <= {1.0}


def test_without_neighbours_there_are_no_lines():
    tables = run_study(configs([SteepestDescent(iterations=100)], 36.0, points=6))
    steps, ratios = drawn_of(tables, "zigzag").axes
    t = lines(steps, "steepest descent")[0].get_xdata()
    assert np.isnan(t).sum() >= 2
    assert lines(ratios, "steepest descent")[0].get_xdata().tolist() == [0]
    _, omitted = catalogue.draw(run_study(configs([CHOSEN[3]], 36.0)), ["zigzag"])
    assert "no run of steepest descent" in omitted["zigzag"]


# The other figures


def test_the_best_of_each_of_eight_methods_is_drawn(every):
    figure = drawn_of(every, "methods")
    assert f"{MOST_CURVES} of 12 curves" in figure.get_suptitle()
    for ax in figure.axes:
        shown = [line for line in ax.lines if line.get_label() != "no worst case is lower"]
        assert len(shown) == MOST_CURVES
        assert len(lines(ax, "no worst case is lower")) == 1
        names = {line.get_label().partition(",")[0].replace(" ", "_") for line in shown}
        assert names == set(every.runs.method)
        widths = Counter(line.get_linewidth() for line in shown)
        (conjugate,) = lines(ax, CONJUGATE.replace("_", " "))
        assert conjugate.get_linewidth() == max(widths)
        assert widths[max(widths)] == 1
        # Two methods never share a colour.
        of_colour = {}
        for line in shown:
            of_colour.setdefault(line.get_color(), set()).add(line.get_label().split(",")[0])
        assert all(len(methods) == 1 for methods in of_colour.values())


@pytest.mark.parametrize("name", ["methods", "orthogonality", "zigzag", "convergence", "tightness"])
@pytest.mark.slow_where(case=lambda name: name not in ("orthogonality", "zigzag"))
def test_no_text_overlaps_or_is_cut_off(every, name, check_texts):
    check_texts(drawn_of(every, name))


def test_all_figures_that_have_data_are_drawn(every):
    drawn, omitted = catalogue.draw(every)
    left_out = {"stability", "rate_vs_step", "iterations_heatmap", "errata", "gallery", "halting"}
    left_out |= {"noise", "batch", "averaging", "high_dimension"}
    assert omitted.keys() == left_out | {"sharpness", "flow", "landscape"}
    for name in ("convergence", "tightness"):
        titles = [ax.get_title().replace("\n", " ") for ax in drawn[name].axes if ax.get_title()]
        methods = [each.replace("_", " ") for each in set(every.runs.method)]
        assert all(sum(method in title for method in methods) == 1 for title in titles)
        assert len(set(titles)) == len(titles)
    # No bound is known of Barzilai and Borwein's step size.
    assert not any("barzilai" in ax.get_title() for ax in drawn["tightness"].axes)


@pytest.mark.parametrize(
    ("method", "drawn"),
    [
        (ConjugateGradient(), {"convergence", "orthogonality", "scaling", "spectrum", "tightness"}),
        (SteepestDescent(), {"convergence", "zigzag", "scaling", "spectrum", "tightness"}),
        (Polyak(), {"convergence", "scaling", "spectrum", "tightness"}),
        (BarzilaiBorwein(), {"convergence", "scaling", "spectrum"}),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
@pytest.mark.slow_where(case=lambda method: "conjugate" not in str(method))
def test_a_method_alone_has_figures(method, drawn):
    found, omitted = catalogue.draw(run_study(configs([method], 36.0, 100.0)))
    assert found.keys() == drawn, omitted
    assert "step" not in "".join(ax.get_title() for ax in found["scaling"].axes)


def test_a_bound_that_is_known_at_first_only_is_shown_whole():
    """As for methods without closed forms, which have one for 1,000 iterations."""
    tables = run_study(configs([Nesterov(iterations=3000, momentum="convex")], 1e4))
    known = tables.curves.iteration <= 1000
    tables = tables._replace(
        curves=tables.curves.assign(gap_bound=tables.curves.gap_bound.where(known))
    )
    for ax in drawn_of(tables, "tightness").axes:
        assert np.nanmax([np.nanmax(line.get_ydata()) for line in ax.lines]) > 2
        assert all(np.nanmax(line.get_ydata()) < ax.get_ylim()[1] for line in ax.lines)


def test_methods_without_a_relative_bound_are_compared():
    tables = run_study(configs([Polyak(), BarzilaiBorwein()], 36.0))
    (ax,) = drawn_of(tables, "methods").axes
    assert [line.get_label() for line in ax.lines] == ["barzilai borwein", "polyak"]


# Summary and page


def test_the_summary_of_all_methods_fits(every, tmp_path):
    text = summary(tmp_path, every.runs).splitlines()
    # The first line has the name of a temporary folder.
    assert max(map(len, text[1:])) <= WIDTH
    for row in (line.split() for line in text if "barzilai" in line):
        # Neither iterations, nor a verdict, nor the coursework's bound.
        assert row[-3:] == ["–", "–", "–"]
    assert sum("steepest_descent" in line for line in text) == 2


def test_the_summary_of_a_run_says_when_it_was_delayed(conjugate, tmp_path):
    for index, delayed in enumerate(conjugate.runs.delayed_at):
        text = summary(tmp_path, conjugate.runs[index : index + 1])
        assert ("delayed_at" in text) == pd.notna(delayed)
        assert pd.isna(delayed) or f"  {delayed}: rounding has changed the steps" in text
        assert "relative_step" not in text


def test_the_explorer_leaves_them_out(every):
    data = json.loads(explorer.embedded(every))
    assert [method["words"] for method in data["methods"]] == list(explorer.METHODS.values())
    for problem in data["problems"]:
        of_rows = every.runs.method[problem["row"]]
        assert not of_rows.isin(CHOOSING).any()
        assert (of_rows == "gradient_descent").any()
    assert explorer.without(every) == ""
    assert "delayed_at" in data["table"]["columns"]
    column = data["table"]["columns"].index("delayed_at")
    shown = [row[column] for row in data["table"]["rows"]]
    assert shown == [None if pd.isna(each) else each for each in every.runs.delayed_at]


def test_a_page_without_an_explorer_says_why(conjugate, every, tmp_path):
    text = page(tmp_path, conjugate, {}, {})
    assert text.count("There is no explorer, because") == 1
    assert "it has no formula of that of conjugate gradient." in text
    assert "There is no explorer" not in page(tmp_path, every, {}, {})
    linear = conjugate.runs[conjugate.runs.delayed_at.isna()].reset_index(drop=True)
    assert (
        "delayed_at"
        not in json.loads(explorer.embedded(conjugate._replace(runs=linear)))["table"]["columns"]
    )


def test_limits_of_rates_are_not_taken_for_predictions(every, tmp_path):
    """The card with the largest deviation is of a method whose rate is predicted."""
    text = page(tmp_path, every, {}, {})
    others = every.runs[~every.runs.method.isin(CHOOSING)]
    worst = (others.rate_measured - others.rate_predicted).abs().idxmax()
    assert f"run {others.run_id[worst]}:" in text
