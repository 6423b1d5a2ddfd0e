"""Figures of convergence and rates: what they draw of the tables, and that their bytes repeat."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from gdconv.config.networks import Network
from gdconv.config.problems import Gaussian, Prescribed, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import FORMATS, Step
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.report.figures import catalogue as figures
from gdconv.report.figures.convergence import MOST_STEPS
from gdconv.report.figures.drawing import MOST_PANELS
from gdconv.report.figures.scales import apart
from gdconv.report.settings import SETTING, settings
from gdconv.sweep.sweep import run_study

sys.path.insert(0, str(Path(__file__).parent))
from panels import drawn_of, lines, panels

# Figures of networks.
NETWORKS = ("sharpness", "flow", "landscape")
# What a study of gradient descent on least squares alone cannot show.
OF_SEVERAL = {
    "methods": "no problem was solved by two methods",
    "stability": "no method was run on one problem with 3 momenta at 3 relative steps",
    "transient": "no problem was solved by heavy ball with both first steps, full and averaged, at"
    " the same step size and momentum",
    "orthogonality": "no run of conjugate gradients has two recorded iterations",
    "zigzag": "no run of steepest descent has two recorded iterations well above the rounding"
    " floor",
    "halting": "no problem with a known average has 3 draws at each of 2 dimensions with the same"
    " number of samples per feature",
    **dict.fromkeys(
        ("noise", "batch", "averaging", "high_dimension"),
        "no run has a method that draws samples",
    ),
    **dict.fromkeys(NETWORKS, "runs.csv has no values of threshold"),
}
OF_ONE_METHOD = [plot.name for plot in figures.FIGURES if plot.name not in {*OF_SEVERAL, "gallery"}]
FEW_STEPS = (
    "no problem has runs at 3 of the relative steps 0.5, 1, 2/(1 + 1/κ), 1.95 (1.5 if the optimum"
    " is next to it) and 2.02"
)
STEPS = (0.1, 0.3, 0.5, 0.7, 1.0, 1.2, 1.5, 1.8, 1.9, 2.0, 2.2, 2.5)


def study(*problems, step=STEPS, **keys):
    problems = problems or (Gaussian(60, 4), Gaussian(60, 9))
    return run_study([RunConfig(each, step=Step(value=step), **keys) for each in problems])


@pytest.fixture(scope="module")
def tables():
    return study(repetitions=3)


@pytest.fixture(scope="module")
def networks():
    """A study of the network of two numbers, which has all figures of networks."""
    network, method = Network(data="point"), GradientDescent(iterations=20)
    return run_study(RunConfig(network, method=method, step=Step("absolute", [0.1, 0.2])))


@pytest.fixture(scope="module")
def drawn(tables):
    figures_, omitted = figures.draw(tables)
    assert omitted == OF_SEVERAL | {"gallery": FEW_STEPS}
    return figures_


def texts(ax):
    return {text.get_text() for text in ax.texts}


def replaced(tables, table, **columns):
    return tables._replace(**{table: getattr(tables, table).assign(**columns)})


def test_one_panel_a_dimension(tables, drawn):
    assert list(drawn) == OF_ONE_METHOD
    for name in ("convergence", "rate_vs_step", "spectrum", "errata"):
        figure = drawn[name]
        titles = [ax.get_title() for ax in panels(figure)]
        assert [title.split(",")[0] for title in titles] == ["$d$ = 4", "$d$ = 9"]
        header = figure.get_suptitle()
        solved = "" if name == "spectrum" else ", start zeros, gradient descent"
        assert f"gaussian, $n$ = 60, noise 1{solved}; " in f"{header}; "


def test_axes_say_symbol_and_unit(drawn):
    convergence, rate = drawn["convergence"], drawn["rate_vs_step"]
    assert "L(w_t) - L(w^*)" in convergence.get_supylabel()
    assert "units of" in convergence.get_supylabel()
    assert rate.get_supylabel() == "rate: factor of the gap per iteration"
    assert panels(convergence)[-1].get_xlabel() == "iteration $t$"
    for label in (panels(rate)[-1].get_xlabel(), convergence.axes[-1].get_ylabel()):
        assert label.startswith(r"relative step $\eta\,\lambda_{\max}$")
        assert "(dimensionless)" in label


def test_convergence_shows_the_landmarks_of_the_first_repetition(tables, drawn):
    runs, curves = tables.runs, tables.curves
    for ax, d in zip(panels(drawn["convergence"]), (4, 9), strict=True):
        first = runs[(runs.n_features == d) & (runs.repetition == 0)]
        best = first.relative_step[first.rate_predicted.idxmin()]
        measured = lines(ax, "measured")
        assert len(measured) <= MOST_STEPS
        assert {"0.1", "1", f"{best:.3g}", "1.9", "2.2"} <= texts(ax)
        assert len(texts(ax)) == len(measured)
        for line in measured:
            (step,) = {
                run.relative_step
                for run in first.itertuples()
                if np.array_equal(curves.gap[curves.run_id == run.run_id], line.get_ydata())
            }
            assert f"{step:.3g}" in texts(ax)


def test_convergence_draws_the_measured_solid_and_the_bounds_dashed_and_dotted(tables, drawn):
    for ax in panels(drawn["convergence"]):
        styles = {"measured": "-", "bound": "--", "sharp bound": "-", "coursework's bound": ":"}
        for label, style in styles.items():
            assert {line.get_linestyle() for line in lines(ax, label)} == {style}
        colours = [line.get_color() for line in lines(ax, "measured")]
        assert [line.get_color() for line in lines(ax, "bound")] == colours
        widths = {line.get_linewidth() for line in lines(ax, "sharp bound")}
        assert max(widths) < min(line.get_linewidth() for line in lines(ax, "bound"))
        assert len(set(colours)) == len(colours)
        # The coursework's bound is another line only beyond the optimum.
        optimum = 2 / (1 + 1 / tables.runs.condition_number[tables.runs.n_features.eq(4)].iloc[0])
        if "$d$ = 4" in ax.get_title():
            beyond = [float(step) for step in texts(ax) if float(step) > optimum]
            assert len(lines(ax, "coursework's bound")) == len(beyond)


def test_convergence_has_finite_limits_and_marks_where_runs_leave(tables, drawn):
    for ax in panels(drawn["convergence"]):
        assert ax.get_yscale() == "log"
        bottom, top = ax.get_ylim()
        start = max(line.get_ydata()[0] for line in lines(ax, "bound"))
        assert 0 < bottom < 1e-20
        assert start < top < 1e6 * start
        (triangle,) = lines(ax, "diverges")
        (x,), (y,) = triangle.get_data()
        assert 0 < x < 1
        assert y == 1
        # There the measured gap of the diverging run is the panel's top, in between two iterations.
        leaving = lines(ax, "measured")[-1]
        t, gap = leaving.get_data()
        assert np.exp(np.interp(x * ax.get_xlim()[1], t, np.log(gap))) == pytest.approx(top)


def test_convergence_has_a_colour_bar_unless_there_is_one_step(drawn):
    bar = drawn["convergence"].axes[-1]
    assert not bar.get_title()
    assert bar.get_ylim() == pytest.approx((0.1, 2.2))
    assert len(drawn_of(study(Gaussian(60, 4), step=1.0), "convergence").axes) == 1


def test_rate_marks_optimum_edge_and_where_the_coursework_bound_fails(tables, drawn):
    for ax, d in zip(panels(drawn["rate_vs_step"]), (4, 9), strict=True):
        runs = tables.runs[tables.runs.n_features == d]
        kappa = runs.condition_number.median()
        optimum = 2 * kappa / (kappa + 1)
        (diamond,) = lines(ax, "optimum")
        assert diamond.get_xdata()[0] == pytest.approx(optimum)
        assert diamond.get_ydata()[0] == pytest.approx(((kappa - 1) / (kappa + 1)) ** 2)
        (edge,) = lines(ax, "edge")
        assert set(edge.get_xdata()) == {2.0}
        (shade,) = ax.patches
        assert shade.get_label() == "coursework's bound fails"
        assert shade.get_x() == pytest.approx(optimum)
        assert shade.get_x() + shade.get_width() == pytest.approx(ax.get_xlim()[1])


def test_rate_shows_medians_on_the_line_of_the_median_problem(tables, drawn):
    for ax, d in zip(panels(drawn["rate_vs_step"]), (4, 9), strict=True):
        runs = tables.runs[tables.runs.n_features == d]
        (measured,) = lines(ax, "measured")
        assert measured.get_linestyle() == "None"
        assert measured.get_xdata() == pytest.approx(STEPS)
        for step, rate in zip(*measured.get_data(), strict=True):
            assert rate == runs.rate_measured[runs.step_value.eq(round(step, 9))].median()
        # ν² of theory.md for the median condition number, kink included.
        kappa = runs.condition_number.median()
        (line,) = lines(ax, r"predicted $\nu^2$")
        x = line.get_xdata()
        assert line.get_linestyle() == "-"
        nu = np.maximum(abs(1 - x / kappa), abs(1 - x))
        assert line.get_ydata() == pytest.approx(nu**2, rel=1e-9)
        (stated,) = lines(ax, "coursework's bound")
        assert stated.get_linestyle() == ":"
        assert stated.get_ydata() == pytest.approx((1 - stated.get_xdata() / kappa) ** 2, rel=1e-9)


def test_rate_axis_holds_everything_and_has_few_labels(drawn):
    for ax in panels(drawn["rate_vs_step"]):
        low, high = ax.get_ylim()
        values = np.concatenate([line.get_ydata() for line in lines(ax, "measured")])
        assert low < values.min() < values.max() < high < 3
        assert 1.0 in ax.get_yticks()
        assert 4 <= len(ax.get_yticks()) <= 12


def test_shading_begins_at_the_edge_when_the_rank_is_deficient():
    # λmin = 0: the coursework's bound is flat, true up to the edge and false beyond.
    (ax,) = panels(drawn_of(study(Gaussian(5, 12)), "rate_vs_step"))
    assert ax.patches[0].get_x() == pytest.approx(2, abs=1e-9)
    assert lines(ax, "optimum")[0].get_xdata()[0] < 1.99


def test_nothing_is_shaded_where_nothing_fails():
    assert not panels(drawn_of(study(Gaussian(60, 1)), "rate_vs_step"))[0].patches


@pytest.mark.parametrize("kappa", [1e8, 1e19])
def test_rates_close_to_one_are_told_apart(tables, kappa):
    first = tables.runs[tables.runs.n_features == 4]
    nu = np.maximum(abs(1 - first.relative_step / kappa), abs(1 - first.relative_step))
    runs = tables.runs.assign(
        condition_number=kappa, lambda_min=tables.runs.lambda_max / kappa, nu=nu, nu_coursework=nu
    )
    (ax,) = panels(drawn_of(tables._replace(runs=runs[runs.n_features == 4]), "rate_vs_step"))
    heights = ax.transData.transform([(0.5, 1), (0.5, 1 - 1e-6), (0.5, 0.9)])[:, 1]
    assert heights[0] > heights[1] + 10 > heights[2] + 20


def test_panels_are_chosen_among_many_and_the_figure_says_so():
    problems = [Gaussian(40, d) for d in range(2, 11)]
    drawn, _ = figures.draw(study(*problems, step=(0.5, 1.5)), ["convergence", "rate_vs_step"])
    for figure in drawn.values():
        titles = [ax.get_title().split(",")[0] for ax in panels(figure)]
        assert len(titles) == MOST_PANELS
        assert (titles[0], titles[-1]) == ("$d$ = 2", "$d$ = 10")
        assert "6 of 9 problems" in figure.get_suptitle()


def test_an_odd_number_of_panels_leaves_no_empty_axes():
    tables = study(*(Gaussian(40, d) for d in (2, 3, 4)), step=(0.5, 1.5))
    axes = drawn_of(tables, "rate_vs_step").axes
    assert len(axes) == 3
    assert [bool(ax.get_xlabel()) for ax in axes] == [False, True, True]


def test_what_differs_tells_problems_apart(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{i % 5}\n" for i in range(20)))
    problems = (
        Gaussian(60, 4),
        Gaussian(60, 4, noise=2.0),
        Table(str(table), "y", standardize=True),
    )
    figure = drawn_of(study(*problems, step=(0.5, 1.5)), "rate_vs_step")
    titles = [ax.get_title().replace("\n", " ") for ax in panels(figure)]
    assert [title.rsplit(",", 1)[0] for title in titles] == [
        "gaussian, $n$ = 60, $d$ = 4, noise 1",
        "gaussian, $n$ = 60, $d$ = 4, noise 2",
        "table, table.csv, $n$ = 20, $d$ = 3",
    ]


def test_problems_that_differ_in_an_option_alone_are_not_mixed():
    means = (0.0, 1.0, 5.0)
    tables = study(
        *(Gaussian(60, 4, feature_mean=m) for m in means), step=(0.5, 1.5), repetitions=2
    )
    groups = [runs for _, runs in settings(tables.runs)]
    assert [len(runs) for runs in groups] == [4, 4, 4]
    kappa = [runs.condition_number for runs in groups]
    assert kappa[0].max() < kappa[1].min() < kappa[1].max() < kappa[2].min()


def test_failed_runs_and_empty_cells_are_passed_over(tables):
    runs = tables.runs.copy()
    failed = runs.index[runs.repetition == 0]
    numbers = runs.columns[runs.columns.get_loc("step_size") : -1]
    runs.loc[failed, numbers] = pd.NA
    runs.loc[failed, ["status", "error"]] = ["failed", "MemoryError"]
    runs.loc[runs.index[-1], "rate_measured"] = np.nan
    curves = tables.curves[tables.curves.repetition != 0]
    drawn, omitted = figures.draw(tables._replace(runs=runs, curves=curves))
    assert omitted.keys() == {*OF_SEVERAL, "gallery"}
    assert "repetition 1" in drawn["convergence"].get_suptitle()
    assert "medians of 2" in drawn["rate_vs_step"].get_suptitle()


def test_a_figure_without_data_is_left_out_with_a_reason(tables):
    drawn, omitted = figures.draw(study(Gaussian(60, 4), step=1.0))
    assert list(drawn) == ["convergence", "tightness"]
    alike = "no two problems differ only in n_features, n_samples or condition_number"
    assert omitted == OF_SEVERAL | {
        "rate_vs_step": "no problem has measured rates at two relative steps up to 4",
        "iterations_heatmap": alike,
        "scaling": alike,
        "spectrum": "no problem has 8 eigenvalues that are not 0",
        "errata": "no problem has verdicts at 8 relative steps on both sides of 2",
        "gallery": FEW_STEPS,
    }
    empty = tables._replace(
        runs=tables.runs[:0], curves=tables.curves[:0], eigenvalues=tables.eigenvalues[:0]
    )
    drawn, omitted = figures.draw(empty)
    assert drawn == {}
    assert set(omitted) == {plot.name for plot in figures.FIGURES}


@pytest.mark.parametrize(
    ("plot", "table", "column"),
    [
        pytest.param(plot, table, column, id=f"{plot.name}-{column}")
        for plot in figures.FIGURES
        for table, columns in plot.columns.items()
        for column in columns
    ],
)
def test_a_figure_needs_the_columns_it_says_it_needs(tables, networks, plot, table, column):
    tables = networks if plot.name in NETWORKS else tables
    # One draw of one size will do: a column that is not there is noticed first.
    emptied = getattr(tables, table)[:1].assign(**{column: pd.NA})
    _, omitted = figures.draw(tables._replace(**{table: emptied}), [plot.name])
    assert omitted == {plot.name: f"{table}.csv has no values of {column}"}
    without = getattr(tables, table)[:1].drop(columns=column)
    assert figures.draw(tables._replace(**{table: without}), [plot.name])[1] == omitted


@pytest.mark.slow
def test_a_figure_needs_no_other_columns(tables):
    """With the columns of its entry, and those that name a run, a figure is as with all."""
    # Where nothing is ever broken, first_violation_coursework is empty, and there is a figure.
    naming = {
        "runs": (
            *(*SETTING, "content", "run_id", "problem_id", "status", "seed", "repetition"),
            "first_violation_coursework",
        ),
        "curves": ("run_id",),
        "eigenvalues": ("problem_id",),
    }
    for plot in (each for each in figures.FIGURES if each.name in OF_ONE_METHOD):
        kept = {table: list(columns) for table, columns in naming.items()}
        for table, columns in plot.columns.items():
            also = {"runs": plot.also, "curves": plot.also_curves}.get(table, ())
            kept[table] += [name for name in (*columns, *also) if name not in kept[table]]
        narrow = tables._replace(
            **{table: getattr(tables, table)[columns] for table, columns in kept.items()}
        )
        _, omitted = figures.draw(narrow, [plot.name])
        assert omitted == {}, plot.name


def test_runs_with_their_first_iteration_alone_have_no_curve(tables):
    first_only = tables._replace(curves=tables.curves[tables.curves.iteration == 0])
    _, omitted = figures.draw(first_only, ["convergence", "tightness"])
    assert "no run has two recorded iterations" in omitted["convergence"]
    assert "two recorded iterations well above the rounding floor" in omitted["tightness"]


def test_a_study_of_diverging_runs_alone_is_drawn():
    drawn, omitted = figures.draw(study(Gaussian(60, 4), step=(2.5, 3.0, 50.0)))
    assert "did not diverge" in omitted["tightness"]
    (ax,) = panels(drawn["convergence"])
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    assert len(lines(ax, "diverges")) + len(texts(ax) & {"2.5", "3", "50"}) >= 3


def test_the_legend_names_what_is_drawn_and_nothing_else(drawn):
    assert {text.get_text() for text in drawn["convergence"].legends[0].get_texts()} == {
        *("measured", "bound", "sharp bound", "coursework's bound", "diverges", "rounding floor")
    }
    (legend,) = drawn_of(study(Gaussian(60, 4), step=1.0), "convergence").legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["measured", "bound", "sharp bound", "rounding floor"]
    assert to_rgba(legend.legend_handles[0].get_color()) == to_rgba("black")


def test_steps_that_differ_by_rounding_alone_are_one():
    tables = study(Gaussian(60, 4), Gaussian(60, 9), step=0.3, repetitions=2)
    rounded = np.where(tables.runs.repetition == 0, 0.3, np.nextafter(0.3, 1))
    names = ["convergence", "rate_vs_step", "iterations_heatmap", "errata"]
    drawn, omitted = figures.draw(replaced(tables, "runs", relative_step=rounded), names)
    assert len(drawn["convergence"].axes) == 2
    assert {"rate_vs_step", "iterations_heatmap", "errata"} <= omitted.keys()


def test_labels_keep_apart():
    assert apart([0.1, 0.12, 0.5], 0.1) == pytest.approx([0.1, 0.2, 0.5])
    assert apart([], 0.1) == []
    assert apart([0.9, 0.92, 0.98], 0.1, last=1) == pytest.approx([0.8, 0.9, 1.0])
    assert apart([0.1, 0.95], 0.1, last=1) == pytest.approx([0.1, 0.95])


@pytest.mark.parametrize("name", OF_ONE_METHOD)
@pytest.mark.slow_where(case=lambda name: name not in ("convergence", "scaling"))
def test_no_text_overlaps_or_is_cut_off(drawn, name, check_texts):
    check_texts(drawn[name])


def test_every_figure_has_its_entry():
    assert len({plot.name for plot in figures.FIGURES}) == len(figures.FIGURES)
    for plot in figures.FIGURES:
        assert plot.caption.endswith(".")
        assert dataclasses.is_dataclass(plot)


@pytest.mark.slow
def test_drawing_leaves_matplotlib_as_it_was(tables):
    with matplotlib.rc_context({"font.size": 31, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        drawn, _ = figures.draw(tables)
        assert dict(matplotlib.rcParams) == before
    assert panels(drawn["convergence"])[0].title.get_fontsize() == 8


ELSEWHERE = """
import sys
from pathlib import Path
from gdconv.config.sections import FORMATS
from gdconv.report.figures import catalogue as figures
from gdconv.tables.csv import read
drawn, _ = figures.draw(read(Path(sys.argv[1])))
for name, figure in drawn.items():
    for suffix in FORMATS:
        (Path(sys.argv[2]) / f"{name}.{suffix}").write_bytes(figures.rendered(figure, suffix))
assert "matplotlib.pyplot" not in sys.modules
"""


@pytest.mark.slow
def test_the_same_tables_give_the_same_bytes_in_another_process(tmp_path):
    source, here, there = (tmp_path / name for name in ("study", "here", "there"))
    here.mkdir()
    there.mkdir()
    problems = (Gaussian(60, 4), Gaussian(60, 9), Prescribed(20, 2, condition_number=10.0))
    steps = Step(value=(*STEPS, 1.95, 2.02))
    drawn, _ = figures.draw(run_study([RunConfig(p, step=steps) for p in problems], folder=source))
    for name, figure in drawn.items():
        for suffix in FORMATS:
            (here / f"{name}.{suffix}").write_bytes(figures.rendered(figure, suffix))
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsavefig.bbox: tight\n")
    subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE, source, there],
        env={"PYTHONHASHSEED": "7", "MPLCONFIGDIR": str(tmp_path)},
        check=True,
    )
    content = {path.name: path.read_bytes() for path in here.iterdir()}
    assert content.keys() == {
        f"{name}.{suffix}" for name in (*OF_ONE_METHOD, "gallery") for suffix in FORMATS
    }
    assert content == {path.name: path.read_bytes() for path in there.iterdir()}
    # The width of a PNG stands in its header: 5.2 inches of 200 dots.
    assert int.from_bytes(content["convergence.png"][16:20], "big") == 1040
