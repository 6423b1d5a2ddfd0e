"""Figures of methods that draw samples: they draw what the tables say."""

import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from gdconv import (
    CoordinateDescent,
    Gaussian,
    GradientDescent,
    Kaczmarz,
    Record,
    RunConfig,
    Sgd,
    Step,
    run_study,
)
from gdconv.report.figures import scales
from gdconv.report.numerals import short
from gdconv.report.summary import summary, tables_of

sys.path.insert(0, str(Path(__file__).parent))
from panels import drawn_of, lines, omitted_of, panels

SHORT = {"iterations": 60, "paths": 40}
FEW = Record(points=12)


def study(*methods, step=("limit", (0.1, 0.5)), problem=Gaussian(20, 3), **more):  # noqa: B008
    return run_study(
        [RunConfig(problem, method=each, step=Step(*step), record=FEW, **more) for each in methods]
    )


def curve_of(tables, **wanted):
    """The rows of the one run with some values."""
    runs = tables.runs
    for name, value in wanted.items():
        runs = runs[runs[name] == value]
    [run_id] = runs["run_id"]
    return tables.curves[tables.curves["run_id"] == run_id], runs.iloc[0]


def test_noise_shows_the_mean_the_expectation_and_the_floor():
    tables = study(Sgd(**SHORT))
    for ax, value in zip(panels(drawn_of(tables, "noise")), (0.1, 0.5), strict=True):
        curve, run = curve_of(tables, step_value=value)
        for label, column in (
            ("mean over paths", "gap"),
            ("expected gap", "gap_expected"),
            ("gradient descent with this η", "gap_of_mean"),
            ("prediction for many features", "gap_high_dimension"),
        ):
            [line] = lines(ax, label)
            assert line.get_xdata() == pytest.approx(curve["iteration"].to_numpy() + 1)
            assert line.get_ydata() == pytest.approx(curve[column].to_numpy())
        [floor] = lines(ax, "noise floor")
        assert floor.get_ydata() == pytest.approx([run["gap_stationary"]] * 2)
        assert ax.get_title() == f"step {value:g} of the limit"
        [band] = [each for each in ax.collections if each.get_label() == "10 to 90 % of the paths"]
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.max() == pytest.approx(curve["gap_p90"].max())
        assert heights.min() == pytest.approx(curve["gap_p10"].min())


def test_noise_of_methods_without_a_step_size():
    tables = study(Kaczmarz(**SHORT, relaxation=[0.5, 1.5]), CoordinateDescent(**SHORT))
    figure = drawn_of(tables, "noise")
    assert len(panels(figure)) == 3
    assert not any("nan" in ax.get_title() for ax in panels(figure))


def test_batch_shows_limits_and_floors():
    sizes = [1, 4, 20]
    methods = [Sgd(**SHORT, batch_size=sizes, replacement=each) for each in (True, False)]
    tables = study(*methods, step=("limit", (0.5, 1.5)))
    limits, floors = panels(drawn_of(tables, "batch"))
    for name, replacement in (("with replacement", "true"), ("without", "false")):
        has = tables.runs["method_options"].str.contains(f"replacement={replacement}")
        runs = tables.runs[has & (tables.runs["step_value"] == 0.5)]
        [line] = lines(limits, f"predicted, {name}")
        assert line.get_xdata().tolist() == sizes
        order = runs["step_limit"].argsort().to_numpy()
        expected = (runs["step_limit"] * runs["lambda_max"]).iloc[order]
        assert line.get_ydata() == pytest.approx(expected.to_numpy())
        [line] = lines(floors, f"predicted, {name}")
        known = runs["gap_stationary"][runs["gap_stationary"] > 0].sort_values(ascending=False)
        assert line.get_ydata() == pytest.approx(known.to_numpy())
    # All rows, each once, have no floor.
    assert len(lines(floors, "predicted, without")[0].get_xdata()) == 2
    grown = sum(len(line.get_xdata()) for line in lines(limits, "gap larger at the end"))
    assert grown == (tables.runs["final_gap"] > tables.runs["initial_gap"]).sum() > 0


def test_averaging_shows_each_kind_of_average():
    kinds = {"none": "last iterate", "all": "average of all", "tail": "average of the last half"}
    tables = study(*(Sgd(**SHORT, average=each) for each in kinds), step=("limit", (0.4,)))
    [ax] = panels(drawn_of(tables, "averaging"))
    [limit] = lines(ax, "½ tr(H⁻¹V)/(t + 1)")
    constants = tables.runs["averaging_constant"].to_numpy()
    assert constants[0] > 0
    assert constants == pytest.approx([constants[0]] * 3)
    assert limit.get_xdata() * limit.get_ydata() == pytest.approx([constants[0]] * 2)
    for average, name in kinds.items():
        has = tables.runs["method_options"].str.contains(f"average={average}")
        [run_id] = tables.runs["run_id"][has]
        curve = tables.curves[tables.curves["run_id"] == run_id]
        [line] = lines(ax, f"expected, {name}")
        assert line.get_ydata() == pytest.approx(curve["gap_expected"].to_numpy())
        [marks] = lines(ax, f"mean of paths, {name}")
        assert marks.get_ydata() == pytest.approx(curve["gap"].to_numpy())


def test_high_dimension_shows_the_largest_deviation():
    method, step = Sgd(iterations=60), Step("limit", [0.3])
    tables = run_study(
        [
            RunConfig(Gaussian(2 * d, d), method=method, step=step, record=FEW, repetitions=2)
            for d in (3, 6, 12)
        ]
    )
    [ax] = panels(drawn_of(tables, "high_dimension"))
    [marks] = [line for line in ax.lines if line.get_label().startswith("a draw")]
    curves = tables.curves
    off = (curves["gap_high_dimension"] / curves["gap_expected"] - 1).abs()
    expected = off.groupby(curves["run_id"]).max()
    assert sorted(marks.get_ydata()) == pytest.approx(sorted(expected))
    [median] = [line for line in ax.lines if line.get_label().startswith("median")]
    assert median.get_xdata().tolist() == [3, 6, 12]
    of_runs = tables.runs.set_index("run_id")["n_features"]
    medians = expected.groupby(of_runs).median()
    assert median.get_ydata() == pytest.approx(medians.to_numpy())


@pytest.mark.parametrize("name", ["noise", "batch", "averaging", "high_dimension"])
def test_other_methods_have_nothing_to_show(name):
    tables = study(GradientDescent(iterations=20))
    assert omitted_of(tables, name)


def test_the_summary_of_one_run_tells_its_noise_floor():
    tables = study(Sgd(**SHORT), step=("limit", (0.4,)))
    [run] = tables.runs.itertuples()
    told = summary(Path("x"), tables.runs).splitlines()
    rows = dict(line.split(maxsplit=1) for line in told if line.startswith("  "))
    assert rows["final_gap"].endswith(f"noise floor {short(run.gap_stationary)}")
    assert rows["rate_predicted"] == short(run.rate_predicted)
    assert rows["expectation_agrees"] == "yes"
    assert not {"rate_measured", "bound_holds"} & rows.keys()


def test_one_batch_size_is_no_curve():
    tables = study(Sgd(iterations=20, paths=2))
    assert omitted_of(tables, "batch") == "no problem has runs of sgd with 3 batch sizes"
    assert "with and without averages" in omitted_of(tables, "averaging")
    assert "3 numbers of features" in omitted_of(tables, "high_dimension")


def test_the_summary_of_one_run_fits_a_terminal(monkeypatch):
    runs = study(Sgd(**SHORT), step=("limit", 0.5)).runs
    wide = summary(Path("x"), runs)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    narrow = summary(Path("x"), runs)
    assert max(map(len, narrow.splitlines())) <= 60 < max(map(len, wide.splitlines()))
    assert narrow.split() == wide.split()


def test_the_summary_has_a_table_of_methods_that_draw_samples():
    methods = Sgd(**SHORT), GradientDescent(20)
    tables = study(*methods, step=("lambda_max", (0.02, 0.05)), repetitions=3)
    squares, drawn = tables_of(tables.runs.assign(file=None))
    assert [row["runs"] for row in squares] == [6]
    assert [row["runs"] for row in drawn] == [3, 3]
    assert not any("bound" in name or "iterations" in name for name in drawn[0])
    for row, value in zip(drawn, (0.02, 0.05), strict=True):
        runs = tables.runs[(tables.runs.method == "sgd") & (tables.runs.step_value == value)]
        for heading, column in (
            ("η", "step_size"),
            ("largest stable step size", "step_limit"),
            ("final gap", "final_gap"),
            ("noise floor", "gap_stationary"),
        ):
            assert row[heading] == sorted(runs[column])[1]
        tested = [bool(each) for each in runs["expectation_agrees"].dropna()]
        assert len(tested) == 3
        assert row["expectation agrees"] == f"{sum(tested)}/3"


def test_many_steps_are_cut_off_in_the_summary(tmp_path):
    runs = study(Sgd(iterations=2, paths=2)).runs
    runs = runs.loc[runs.index.repeat(35)].reset_index(drop=True)
    runs["step_value"] = [index / 100 for index in range(len(runs))]
    said = summary(tmp_path, runs.assign(file=None)).splitlines()
    assert said[-1] == "and 10 other steps of methods that draw samples: see runs.csv"


def names_of(figure):
    """The names in the legend, which has to be whole."""
    [legend] = figure.legends
    box = legend.get_window_extent(figure.canvas.get_renderer())
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    return {text.get_text() for text in legend.get_texts()}


def test_noise_of_a_path_that_diverges_to_the_largest_numbers():
    tables = study(Sgd(paths=1), step=("lambda_max", (1.0,)), problem=Gaussian(200, 20))
    # Gradient descent with this step size converges, so its line would be below the panel.
    assert tables.curves["gap"].max() > 1e250 > 1 > tables.curves["gap_of_mean"].min()
    figure = drawn_of(tables, "noise")
    figure.canvas.draw()
    assert names_of(figure) == {"expected gap", "mean over paths", "prediction for many features"}
    [ax] = panels(figure)
    assert ax.get_ylim() == pytest.approx(
        (tables.curves["gap"].min() / 2, 2 * tables.curves["gap"].max())
    )


def test_the_legend_of_noise_without_a_floor_is_whole():
    figure = drawn_of(study(Sgd(paths=40, iterations=30), step=("limit", (1.5,))), "noise")
    assert len(names_of(figure)) == 5


def test_averaging_of_paths_that_diverge_to_the_largest_numbers():
    methods = [Sgd(paths=10, average=each) for each in ("none", "all")]
    # With more recorded iterations than in the other tests, some are close to the end.
    configs = [RunConfig(Gaussian(200, 20), method=each, step=Step("limit", 8)) for each in methods]
    tables = run_study(configs)
    assert tables.curves["gap"].max() > 1e250
    figure = drawn_of(tables, "averaging")
    figure.canvas.draw()
    assert len(names_of(figure)) == 4
    [ax] = panels(figure)
    assert len([tick for tick in ax.get_yticks() if tick > 1]) > 4


def test_a_line_is_seen_if_a_part_of_it_is_within_the_panel():
    ax = Figure().subplots()
    scales.both_logarithmic(ax, 10, 2.0, 5e9)
    nan = float("nan")
    for heights, seen in (
        ([10, 100, 1000], True),
        # From below to above it crosses the panel.
        ([1e-3, 1e12], True),
        ([1e-3, 1e-9, 0], False),
        ([1e11, 1e12], False),
        ([nan, nan, nan], False),
        ([1e-3, nan, 1e12], False),
        # On the frame.
        ([1.1, 1e-9], False),
    ):
        assert scales.is_seen(ax, heights) == seen, heights


@pytest.mark.parametrize("highest", [1e200, 1.7e308])
def test_an_axis_may_reach_the_largest_number(highest):
    figure = Figure()
    ax = figure.subplots()
    scales.both_logarithmic(ax, 10, 1e-300, highest)
    ax.plot([1, 5, 10], [1e-300, 1, highest])
    figure.draw_without_rendering()
    ticks = ax.get_yticks()
    assert min(ticks) < 1e-250
    assert max(ticks) > highest / 1e100
