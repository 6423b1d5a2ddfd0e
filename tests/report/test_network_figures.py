"""Figures and page of networks: lines are the tables' numbers, and minima those of the loss."""

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from gdconv import GradientDescent, HeavyBall, Network, Record, RunConfig, Step, draw, run_study
from gdconv.report.figures.drawing import COLOURS
from gdconv.report.figures.landscape import ACTIVATIONS, minima
from gdconv.report.page.document import page
from gdconv.report.summary import summary, tables_of

sys.path.insert(0, str(Path(__file__).parent))
from panels import panels

NETWORK_FIGURES = ["sharpness", "flow", "landscape"]


def study(problem, steps, *methods, **record):
    configs = [
        RunConfig(problem, method=method, step=Step("absolute", steps), record=Record(**record))
        for method in methods or (GradientDescent(iterations=200),)
    ]
    return run_study(configs)


@pytest.fixture(scope="module", name="edge")
def _edge():
    methods = GradientDescent(iterations=300), HeavyBall(iterations=300, momentum=0.5)
    return study(Network(activation="relu"), [0.1, 0.4], *methods, points=31, spacing="linear")


@pytest.fixture(scope="module", name="two")
def _two():
    return study(Network(data="point"), [0.1, 0.25], points=201, spacing="linear")


def lines(ax):
    """The lines with a colour of a step size, by label."""
    return {line.get_label(): line.get_xydata() for line in ax.lines if "=" in line.get_label()}


def test_sharpness_has_the_numbers_of_the_tables_above_and_the_loss_below(edge):
    figure = draw(edge, ["sharpness"])[0]["sharpness"]
    above = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in above] == ["gradient descent", "heavy ball, $β$ = 0.5"]
    runs = edge.runs[edge.runs.method == "heavy_ball"].sort_values("step_size")
    shown = lines(above[1])
    for (_, run), drawn in zip(runs.iterrows(), shown.values(), strict=True):
        curve = edge.curves[edge.curves.run_id == run.run_id]
        expected = curve[["iteration", "sharpness_over_threshold"]].to_numpy(dtype=float)
        np.testing.assert_array_equal(drawn, expected)
    (below,) = (ax for ax in figure.axes if ax.get_ylabel() == "loss")
    (_, first), *_ = next(line.get_xydata() for line in below.lines)
    assert first == edge.curves.loss.iloc[0]


def test_flow_is_the_sharpness_against_step_size_times_iteration(edge):
    (ax,) = draw(edge, ["flow"])[0]["flow"].axes
    runs = edge.runs[edge.runs.method == "gradient_descent"].sort_values("step_size")
    for (_, run), drawn in zip(runs.iterrows(), lines(ax).values(), strict=True):
        curve = edge.curves[edge.curves.run_id == run.run_id]
        np.testing.assert_allclose(drawn[:, 0], run.step_size * curve.iteration)
        np.testing.assert_array_equal(drawn[:, 1], curve.sharpness)


def test_landscape_has_the_way_and_marks_where_gradient_descent_can_rest(two):
    axes = panels(draw(two, ["landscape"])[0]["landscape"])
    runs = two.runs.sort_values("step_size")
    assert [ax.get_title() for ax in axes] == [r"$\eta$ = 0.1, loss small", r"$\eta$ = 0.25, dead"]
    for ax, (_, run) in zip(axes, runs.iterrows(), strict=True):
        (way,) = (line.get_xydata() for line in ax.lines if line.get_label() == "$w_t$")
        curve = two.curves[two.curves.run_id == run.run_id]
        points = curve[["weight_1", "weight_2"]].to_numpy()
        off = np.abs(points[:, None] - way).max(axis=2)
        # Each dot is a recorded one, and each recorded one has a dot less than a pixel away.
        assert (off.min(axis=0) == 0).all()
        assert off.min(axis=1).max() < 0.005
        # No dot is drawn over the one before it, as where gradient descent rests or is dead.
        assert np.abs(np.diff(way, axis=0)).max(axis=1).min() > 0.001
        assert len(way) < 50 < len(points)
        thick = [each for each in ax.collections if each.get_linewidths()[0] == 4]
        points = np.concatenate([path.vertices for each in thick for path in each.get_paths()])
        sharpness = 2 * (points**2).sum(axis=1)
        assert sharpness.max() <= run.threshold * 1.01
        # The panel does not show minima that are sharper than about 16.
        assert sharpness.max() >= 0.99 * min(run.threshold, 15.5)
        np.testing.assert_allclose(points.prod(axis=1), 1, atol=1e-12)


def test_landscape_has_a_bar_for_the_colours_of_its_minima(two):
    figure = draw(two, ["landscape"])[0]["landscape"]
    (bar,) = {*figure.axes} - {*panels(figure)}
    assert bar.get_ylabel() == "sharpness of the minima"
    least, most = bar.get_ylim()
    # The least sharpness of all minima with w₁ w₂ = 1, and the largest in the panels: there is
    # nothing beyond, so the bar has no arrows.
    assert least == pytest.approx(4, rel=2e-3)
    ax = panels(figure)[0]
    right, top = ax.get_xlim()[1], ax.get_ylim()[1]
    assert most == pytest.approx(max(2 * (w**2 + w**-2) for w in (right, 1 / top)), rel=5e-3)
    assert {text.get_text() for text in bar.get_yticklabels()} >= {"4", "15"}
    assert bar._colorbar.extend == "neither"
    for ax in panels(figure):
        curves = [each for each in ax.collections if isinstance(each, LineCollection)]
        assert len(curves) == 2
        for curve in curves:
            colours = curve.to_rgba(curve.get_array())
            for path, colour in zip(curve.get_paths(), colours, strict=True):
                # The trace of the Hessian at a minimum with w₁ w₂ = 1, on a scale of factors.
                sharpness = 2 * (path.vertices[0] ** 2).sum()
                place = np.log(sharpness / least) / np.log(most / least)
                np.testing.assert_allclose(colour, COLOURS(place), atol=1e-12)


def test_the_legend_of_landscape_tells_minima_apart_by_thickness_only(two):
    (legend,) = draw(two, ["landscape"])[0]["landscape"].legends
    names = [text.get_text() for text in legend.get_texts()]
    flat, sharp = (
        legend.legend_handles[names.index(name)]
        for name in (r"minima with sharpness ≤ $2/\eta$", "sharper minima")
    )
    assert flat.get_linewidth() > 2 * sharp.get_linewidth()
    red, green, blue = to_rgb(flat.get_color())
    assert red == green == blue
    assert to_rgb(sharp.get_color()) == (red, green, blue)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_minima_have_no_loss_and_the_sharpness_of_the_hessian(activation):
    functions = ACTIVATIONS[activation]
    points, sharpness = minima(functions, 0.3, 2.0)
    h = 1e-5

    def loss(first, second):
        return (functions[0](np.array(first)) * second - 1) ** 2

    for (first, second), found in zip(points[::500], sharpness[::500], strict=True):
        assert loss(first, second) == pytest.approx(0, abs=1e-20)
        across = loss(first + h, second) + loss(first - h, second)
        along = loss(first, second + h) + loss(first, second - h)
        # At a minimum with loss 0 the Hessian has rank 1, so its trace is the sharpness.
        assert (across + along) / h**2 == pytest.approx(found, rel=1e-6)


def test_figures_of_networks_say_why_they_are_left_out():
    tables = run_study(RunConfig(method=GradientDescent(iterations=5)))
    drawn, omitted = draw(tables, NETWORK_FIGURES)
    assert not drawn
    assert omitted.keys() == {*NETWORK_FIGURES}
    momentum = study(Network(), [0.1], HeavyBall(iterations=5, momentum=0.5))
    _, omitted = draw(momentum, NETWORK_FIGURES)
    assert omitted["flow"] == "no network was trained by gradient descent"


def test_the_page_counts_runs_at_the_edge_and_has_no_explorer(edge, tmp_path):
    text = page(tmp_path, edge, {}, {})
    at_edge = (edge.runs.verdict == "at_edge").sum()
    assert f"<strong>{at_edge} of 4</strong>" in text
    assert "bound holds" not in text.split("<h2")[0]


def test_a_study_of_both_has_a_table_for_each(edge):
    both = run_study([RunConfig(method=GradientDescent(iterations=5)), RunConfig(Network())])
    squares, networks = tables_of(both.runs.assign(file=None))
    assert squares[0]["problem"] == "gaussian"
    assert networks[0]["problem"] == "network"
    assert len(tables_of(edge.runs.assign(file=None))) == 1


def test_many_networks_are_cut_off_in_the_summary(two, tmp_path):
    runs = two.runs.loc[two.runs.index.repeat(20)].reset_index(drop=True)
    runs["run_id"] = [f"{index:016x}" for index in range(len(runs))]
    said = summary(tmp_path, runs.assign(file=None)).splitlines()
    assert said[-1] == "and 10 other networks: see runs.csv"
