"""Labels, cells, shades and bands of figures are true of every run that they stand for."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from gdconv.config.problems import Correlated, Gaussian, Prescribed, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import FORMATS, Eigenvector, Step
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.report.figures import catalogue as figures
from gdconv.report.figures.families import families
from gdconv.report.figures.iterations_heatmap import cells
from gdconv.report.figures.scales import around
from gdconv.report.figures.sizes import Size, sized
from gdconv.report.figures.titles import axis
from gdconv.report.page import explorer
from gdconv.report.summary import errata_facts, summary
from gdconv.sweep.sweep import run_study

sys.path.insert(0, str(Path(__file__).parent))
from panels import drawn_of, panels

SHORT = GradientDescent(iterations=100)
# As experiment=conditioning has them: at κ = 1 the optimal step is 1/λmax.
STEPS = (Step(value=(0.5, 1.0, 1.9)), Step("optimal", 1.0))


def study(problems, steps=STEPS, **keys):
    keys = {"method": SHORT} | keys
    return run_study([RunConfig(each, step=step, **keys) for each in problems for step in steps])


def conditioned(*kappas):
    return [Prescribed(20, 9, condition_number=kappa) for kappa in kappas]


@pytest.fixture(scope="module")
def conditioning():
    return study(conditioned(1.0, 10.0, 1e3, 1e6))


def titles(figure):
    return [ax.get_title().replace("\n", " ") for ax in panels(figure)]


def named(ax, label):
    """What is drawn under a name: lines, shades and bands."""
    return [each for each in ax.get_children() if each.get_label() == label]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("n_features", "number of features $d$"),
        ("iteration", "iteration $t$"),
        ("relative_step", r"relative step $\eta\,\lambda_{\max}$   (dimensionless)"),
        ("condition_number", r"condition number $\kappa$   (dimensionless)"),
        ("gap", "gap $L(w_t) - L(w^*)$   (units of $y^2$)"),
        ("lambda_max", r"largest eigenvalue $\lambda_{\max}$   (units of $X^2$)"),
        ("iterations_to_tolerance", "iterations to tolerance"),
    ],
)
def test_an_axis_has_words_symbol_and_unit_of_its_column(name, label):
    assert axis(name) == label


# iterations_heatmap


def test_no_cell_of_the_heatmap_is_on_both_sides_of_the_edge(conditioning):
    (ax,) = panels(drawn_of(conditioning, "iterations_heatmap"))
    ends = [(box.get_x(), box.get_x() + box.get_width()) for box in ax.patches if box.get_height()]
    assert len(ends) == 3 + 4 + 4 + 4
    assert max(right for _, right in ends) == 2
    # At κ = 1 the optimal step is no cell of its own, beside that of 1/λmax.
    assert sorted(ends)[:1] == [(0.25, 0.75)]
    assert (0.75, 1.45) in ends


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        ((0.5, 1.0, 1.9), (0.25, 0.75, 1.45, 2)),
        ((1.0, 2.5, 3.0), (0.5, 2, 2.75, 3.25)),
        ((1.5, 2.0, 2.1), (1.25, 1.75, 2, 2.2)),
        ((1.0, 2.0), (0.5, 1.5, 2)),
        # A rounding error beyond the edge is the edge.
        ((1.0, np.nextafter(2, 3)), (0.5, 1.5, 2)),
        ((2.1, 2.5, 3.9), (2, 2.3, 3.2, 4.6)),
        ((1.8,), (0.9, 2)),
        ((3.0,), (2, 4.5)),
    ],
)
def test_cells_meet_halfway_or_at_the_edge(conditioning, steps, ends):
    runs = conditioning.runs.iloc[[0] * len(steps)]
    row = cells(runs.assign(relative_step=steps, step_value=steps))
    assert [*row["left"], row["right"].iloc[-1]] == pytest.approx(ends)
    assert row["left"].tolist()[1:] == row["right"].tolist()[:-1]


def test_the_optimum_and_the_edge_are_inside_where_no_run_came_so_far():
    (ax,) = panels(
        drawn_of(study(conditioned(2.0, 1e6), [Step(value=(0.3, 0.4, 0.5))]), "iterations_heatmap")
    )
    assert ax.get_xlim()[1] > 2


def test_rows_have_labels_of_their_own():
    def labels(*problems):
        (family,) = families(study(problems, [Step(value=1.0)]).runs)
        return family.labels()

    assert labels(Gaussian(1000, 2), Gaussian(1001, 2), Gaussian(12345, 2)) == [
        *("10³", "1001", "12345")
    ]
    assert labels(*conditioned(1.0, 1.0004, 1000.0, 1000.4)) == ["1", "1.0004", "1000", "1000.4"]


# Relative steps


def test_curves_of_a_panel_have_labels_of_their_own_and_none_says_2(conditioning):
    figure = drawn_of(conditioning, "convergence")
    texts = [sorted(text.get_text() for text in ax.texts) for ax in panels(figure)]
    assert texts == [
        ["0.5", "1", "1.9"],
        ["0.5", "1", "1.82", "1.9"],
        ["0.5", "1", "1.9", "1.998"],
        ["0.5", "1", "1.9", "1.999998"],
    ]


def test_a_single_relative_step_has_no_scale_of_colours():
    tables = study(conditioned(1.0), [Step(value=1.0), Step("optimal", 1.0)])
    assert len(drawn_of(tables, "convergence").axes) == 1


def test_panels_of_tightness_name_their_step(conditioning):
    shown = [
        re.search(r"step ([^,]+)", title)[1]
        for title in titles(drawn_of(conditioning, "tightness"))
    ]
    # At κ = 1 one step of size 1 ends it.
    assert shown == ["0.5", "1.9", "1", "1.998", "1", "1.999998"]


def test_a_step_that_is_another_in_each_problem_is_named_as_it_was_asked_for():
    for unit, value, label in (
        ("optimal", 1.0, "optimal step"),
        ("optimal", 0.9, "0.9 of the optimal step"),
        ("K", 30.0, "$K$ = 30"),
        ("absolute", 0.012, r"$\eta$ = 0.012"),
    ):
        problems = [Gaussian(20, d) for d in (2, 4)]
        ax = drawn_of(study(problems, [Step(unit, value)]), "scaling").axes[0]
        assert len(named(ax, label)) == 1, label
    ax = drawn_of(study(conditioned(10.0, 100.0), [Step("optimal", 1.0)]), "scaling").axes[0]
    assert named(ax, "optimal step")


@pytest.mark.slow
def test_the_gallery_says_which_step_is_optimal():
    def shown(kappa, *steps):
        tables = study([Prescribed(30, 2, condition_number=kappa)], [Step(value=steps)])
        return titles(drawn_of(tables, "gallery"))

    assert shown(100.0, 0.5, 1.0, 1.95, 200 / 101, 2.02) == [
        *("step 0.5", "step 1", "step 1.98, optimal", "step 2.02, diverges")
    ]
    # The optimum is next to 1.95, so that 1.5 shows more.
    assert shown(100.0, 0.5, 1.0, 1.5, 1.95, 200 / 101) == [
        *("step 0.5", "step 1", "step 1.5", "step 1.98, optimal")
    ]
    assert shown(100.0, 0.5, 1.0, 1.965, 2.0) == [
        *("step 0.5", "step 1", "step 1.965, near the optimum")
    ]
    assert shown(1e5, 0.5, 1.0, 2e5 / (1e5 + 1)) == [
        *("step 0.5", "step 1", "step 1.99998, optimal")
    ]


# κ = 1, where the coursework's bound is true


def test_at_a_single_eigenvalue_nothing_fails():
    steps = [Step(value=(0.5, 0.9, 1.0, 1.3, 1.5, 1.9, 1.99, 2.1, 2.5))]
    tables = study(conditioned(1.0), steps)
    assert tables.runs.bound_coursework_holds.all()
    # The largest and the smallest eigenvalue are not the same number.
    assert (tables.runs.lambda_min < tables.runs.lambda_max).all()
    (rate,) = panels(drawn_of(tables, "rate_vs_step"))
    assert not named(rate, "coursework's bound fails")
    (errata,) = panels(drawn_of(tables, "errata"))
    assert not named(errata, "false by theory")
    assert named(errata, "diverges by theory")
    (wide,) = panels(drawn_of(study(conditioned(1.01), steps), "errata"))
    assert named(wide, "false by theory")


def test_the_axis_of_the_errata_gives_room_to_the_threshold():
    steps = [Step(value=(0.1, 0.5, 1.0, 1.5, 1.9, 1.95, 2.0, 2.02, 2.1))]
    axes = panels(drawn_of(study(conditioned(2.0, 50.0), steps), "errata"))
    for ax, kappa in zip(axes, (2.0, 50.0), strict=True):
        # Where a value stands, as a part of the panel's width.
        place = ax.transData.transform
        left, right = (place((end, 1))[0] for end in ax.get_xlim())
        found = {at: (place((at, 1))[0] - left) / (right - left) for at in (0.5, 1.0, 10.0)}
        threshold = (place((0.5 + 0.5 / kappa, 1))[0] - left) / (right - left)
        assert 0.1 < found[0.5] < threshold - 0.1
        assert threshold < found[1.0] < found[10.0] < 1
        # Marks of steps beyond the edge are not on top of each other.
        apart = abs(place((1 / 2.02, 1))[0] - place((1 / 2.1, 1))[0]) / (right - left)
        assert apart > 0.05
        ticks = ax.get_xticks()
        assert {0.5, 1.0, 10.0} <= set(ticks)
        assert (
            np.diff(ax.get_xaxis_transform().transform([(t, 0) for t in ticks])[:, 0]) > 0
        ).all()


@pytest.mark.parametrize("width", [1e-6, 1e-3, 0.1])
def test_an_axis_around_a_number_has_labels_that_do_not_touch(width):
    ax = Figure(figsize=(2.3, 2)).subplots()
    with sized(Size(2.6)):
        half = Figure().subplots()
        around(half, 0.5, width, (0.4, 20))
    around(ax, 0.5, width, (0.4, 20))
    # In half the width every label needs twice the part of it.
    assert len(half.get_xticks()) < len(ax.get_xticks())
    ends, ticks = (
        ax.transAxes.inverted().transform(ax.transData.transform([(each, 0) for each in places]))
        for places in (ax.get_xlim(), ax.get_xticks())
    )
    assert ends[:, 0] == pytest.approx([0, 1])
    assert (np.diff(ticks[:, 0]) >= 0.13 - 1e-9).all()
    assert len(ticks) >= 4
    assert 0.5 in ax.get_xticks()
    # There and back again; ½ is exact, and near it a distance of 1e-6 has ten digits.
    scale = ax.xaxis.get_transform()
    some = np.array([0.4, 0.5, 0.5 + width, 1.0, 20.0])
    assert scale.inverted().transform(scale.transform(some)) == pytest.approx(some, rel=1e-9)


def test_facts_of_the_errata_leave_out_problems_where_nothing_fails():
    steps = [Step(value=(1.0, 1.9, 2.0002))]
    facts = errata_facts(study(conditioned(1.0, 1e4), steps, start=Eigenvector("max")).runs)
    assert facts["coursework's bound broken"].endswith("that is 0.50005")
    # 1/2.0002
    assert "up to 0.49995; by theory below λmax/2, that is 0.5," in facts["diverged"]


def test_equal_eigenvalues_are_one_bar():
    (ax,) = panels(drawn_of(study(conditioned(1.0), repetitions=2), "spectrum"))
    (stairs,) = named(ax, "measured")
    density, edges = stairs.get_data().values, stairs.get_data().edges
    assert edges == pytest.approx([0.5, 0.95, 1.05, 1.5])
    assert density * np.diff(edges) == pytest.approx([0, 1, 0])


# Several draws


def test_a_threshold_that_differs_by_draw_is_drawn_from_the_least_to_the_greatest():
    tables = study(
        [Gaussian(10, 3)], [Step(value=(0.5, 1.0, 1.2, 1.3, 1.5, 1.9, 1.99, 2.1))], repetitions=4
    )
    (ax,) = panels(drawn_of(tables, "errata"))
    ratio = tables.runs.lambda_min / tables.runs.lambda_max
    least, most = (1 + ratio.min()) / 2, (1 + ratio.max()) / 2
    assert least < most - 0.01
    (false,), (some,) = named(ax, "false by theory"), named(ax, "false for some draws")
    assert [false.get_x(), false.get_x() + false.get_width()] == pytest.approx([0.5, least])
    assert [some.get_x(), some.get_x() + some.get_width()] == pytest.approx([least, most])
    lines = named(ax, r"$(\lambda_{\min}+\lambda_{\max})/2$")
    assert sorted(line.get_xdata()[0] for line in lines) == pytest.approx([least, most])
    # No verdict contradicts the shade that it stands in.
    at = tables.runs.K / tables.runs.lambda_max
    assert (tables.runs.bound_coursework_holds[at > most]).all()
    one = panels(
        drawn_of(
            study([Gaussian(10, 3)], [Step(value=(0.5, 1.0, 1.2, 1.3, 1.5, 1.9, 1.99, 2.1))]),
            "errata",
        )
    )
    assert not named(one[0], "false for some draws")


def test_a_band_leaves_the_panel_where_its_upper_end_was_not_reached():
    tables = study(conditioned(10.0, 100.0), [Step(value=1.0)], repetitions=5)
    runs = tables.runs.copy()
    slow = runs.condition_number > 50
    runs.loc[slow, "iterations_to_tolerance"] = [40, 60, 80, 90, None]
    ax = drawn_of(tables._replace(runs=runs), "scaling").axes[0]
    (band,) = named(ax, "10 to 90 %")
    low, high = band.get_datalim(ax.transData).intervaly
    assert low <= 40
    assert high > 10 * ax.get_ylim()[1]
    # The panel still shows what is known, and no more.
    assert 90 < ax.get_ylim()[1] < 1000


@pytest.mark.slow
def test_the_header_says_which_draws_are_shown():
    first = RunConfig(Gaussian(20, 3), step=STEPS[0], repetitions=3, method=SHORT)
    other = RunConfig(Gaussian(20, 4), step=STEPS[0], seed=7, method=SHORT)
    both = run_study([first, other])
    drawn, _ = figures.draw(both)
    headers = {name: figure.get_suptitle().replace("\n", " ") for name, figure in drawn.items()}
    for name in ("convergence", "tightness"):
        assert headers[name].endswith("; the first draw of each")
    for name in ("rate_vs_step", "iterations_heatmap"):
        assert "medians of up to 3 draws" in headers[name]
    assert headers["scaling"].endswith("; up to 3 draws")
    alone, _ = figures.draw(run_study(other), ["convergence"])
    assert alone["convergence"].get_suptitle().endswith("seed 7, repetition 0")


# What was asked for


def test_options_keep_their_digits(tmp_path):
    problems = [Correlated(20, 3, correlation=rho) for rho in (0.9, 0.9999, 0.99999)]
    shown = [title.split(",")[0] for title in titles(drawn_of(study(problems), "rate_vs_step"))]
    assert shown == ["correlation 0.9", "correlation 0.9999", "correlation 0.99999"]
    problems = [Gaussian(20, 3, noise=noise) for noise in (0.12345, 0.123456, 1.0)]
    tables = study(problems)
    shown = [title.split(",")[0] for title in titles(drawn_of(tables, "rate_vs_step"))]
    assert shown == ["noise 0.12345", "noise 0.123456", "noise 1"]
    run_study(
        [RunConfig(each, step=STEPS[0], method=SHORT) for each in problems], folder=tmp_path / "s"
    )
    rows = summary(tmp_path / "s").splitlines()[3:]
    assert [row.split()[3] for row in rows] == ["0.12345", "0.123456", "1"]
    labels = [problem["label"] for problem in json.loads(explorer.embedded(tables))["problems"]]
    assert sorted(label.split(", ")[1] for label in labels) == [
        *("noise 0.12345", "noise 0.123456", "noise 1")
    ]


@pytest.mark.slow
def test_names_of_a_target_stay_as_they_are(tmp_path):
    """No number is made of them, and letters that the font does not have stay apart."""
    path = tmp_path / "t.csv"
    targets = ("2021", "1e3", "a_b", "a b", "日", "本")
    path.write_text(
        f"x,{','.join(targets)}\n"
        + "".join(f"{i},{i % 3},{i % 4},1,{i % 5},2,{i % 2}\n" for i in range(9))
    )
    problems = [Table(str(path), target) for target in targets]
    figure = drawn_of(study(problems), "rate_vs_step")
    assert sorted(title.split(",")[0] for title in titles(figure)) == [
        *(
            "target 1e3",
            "target 2021",
            r"target \u65e5",
            r"target \u672c",
            "target a b",
            "target a_b",
        )
    ]
    for suffix in FORMATS:
        figures.rendered(figure, suffix)


def test_numbers_of_the_terminal_and_the_page_are_not_taken_for_the_edge(tmp_path):
    config = RunConfig(*conditioned(1e6), step=STEPS[1], method=GradientDescent(iterations=40))
    tables = run_study(config, folder=tmp_path / "s")
    said = summary(tmp_path / "s")
    assert "relative_step            1.999998 " in said
    assert "predicted 0.999996" in said
    table = json.loads(explorer.embedded(tables))["table"]
    (row,) = table["rows"]
    run = dict(zip(table["columns"], row, strict=True))
    assert run["relative_step"] == 1.999998
    assert run["rate_predicted"] == 0.999996


def test_ticks_close_to_1_have_labels_of_their_own(conditioning):
    runs = conditioning.runs[:4].assign(
        condition_number=1e13, nu=1.0, nu_coursework=1.0, rate_measured=[1 - 3e-12, 1 + 3e-12, 1, 1]
    )
    (ax,) = panels(drawn_of(conditioning._replace(runs=runs), "rate_vs_step"))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert {"1", "1 − 10⁻¹²", "1 + 10⁻¹²"} <= set(labels)
    assert len(set(labels)) == len(labels)


def test_two_options_that_vary_make_families_of_the_one():
    """Not rows that are both labelled 100."""
    problems = [
        Prescribed(20, 9, condition_number=kappa, profile=profile)
        for profile in ("linear", "geometric")
        for kappa in (10.0, 100.0)
    ]
    found = families(study(problems, [Step(value=1.0)]).runs)
    assert [family.labels() for family in found] == [["10", "100"]] * 2
    options = [family.setting["problem_options"] for family in found]
    assert options == ["profile=geometric", "profile=linear"]
