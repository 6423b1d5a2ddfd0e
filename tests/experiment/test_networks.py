"""Networks in studies: trajectories, crossings and verdicts, against published and exact values.

The network of 20 units on Chebyshev's polynomial has no random numbers. Its values were computed
once by another implementation, to 15 digits before the sharpness reaches its threshold. Past it,
trajectories are chaotic, and only ranges are compared.
"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    GradientDescent,
    HeavyBall,
    Nesterov,
    Network,
    Record,
    RunConfig,
    Sgd,
    Step,
    run_study,
)
from gdconv.config.sections import StudyConfig
from gdconv.experiment.network.edge import tail, verdict
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.report.summary import summary
from gdconv.sweep.sweep import run_sweep
from gdconv.tables.csv import read

# A network leaves what it did at every 100th iteration.
EVERY_100 = Record(points=121, spacing="linear")


def trained(problem, method, steps, record=EVERY_100, unit="absolute", **keys):
    """The tables of one network."""
    return run_study(
        RunConfig(problem, method=method, step=Step(unit, steps), record=record, **keys)
    )


def at(tables, iteration, step_size=None):
    """The row of curves.csv of the only run, or of that with a step size."""
    runs = tables.runs
    chosen = runs if step_size is None else runs[runs.step_size == step_size]
    curve = tables.curves[tables.curves.run_id == chosen.run_id.iloc[0]]
    return curve[curve.iteration == iteration].iloc[0]


@pytest.mark.parametrize(
    ("activation", "starts", "later"),
    [
        ("tanh", (0.2855798054777202, 3.33940036), (0.2763685266432293, 3.32562602)),
        ("relu", (0.2817085507415921, 3.115545248350), (0.22720755051255753, 3.57466937)),
    ],
)
def test_the_first_iterations_have_their_published_digits(activation, starts, later):
    tables = trained(Network(activation=activation), GradientDescent(iterations=100), 0.2)
    for iteration, (loss, sharpness) in ((0, starts), (100, later)):
        row = at(tables, iteration)
        assert row.loss == pytest.approx(loss, rel=1e-12)
        assert row.sharpness == pytest.approx(sharpness, rel=1e-8)
        assert row.sharpness_over_threshold == pytest.approx(sharpness / 10, rel=1e-8)


def test_crossing_and_first_rise_of_the_loss_with_tanh():
    tables = trained(Network(), GradientDescent(iterations=3200), 0.2)
    run = tables.runs.iloc[0]
    assert run.threshold == 10
    assert 2800 < run.first_crossing <= 3000
    assert run.first_rise == pytest.approx(3089, rel=0.01)
    # Every 100th iteration is recorded, so the crossing was found between two of them.
    assert run.first_crossing % 100
    curve = tables.curves
    before = curve[curve.iteration < run.first_crossing].sharpness_over_threshold
    assert (before < 1).all()


def test_crossing_and_first_rise_of_the_loss_with_relu():
    run = trained(Network(activation="relu"), GradientDescent(iterations=900), 0.2).runs.iloc[0]
    assert run.first_crossing <= 800
    assert run.first_rise == pytest.approx(819, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "method", "step", "low", "high"),
    [
        ("tanh", GradientDescent(iterations=12000), 0.2, 0.9943, 1.0065),
        ("relu", GradientDescent(iterations=12000), 0.2, 0.9993, 0.9996),
        ("tanh", GradientDescent(iterations=12000), 0.4, 0.9986, 1.0007),
        ("tanh", HeavyBall(iterations=12000, momentum=0.5), 0.3, 0.992, 1.011),
        ("tanh", Nesterov(iterations=12000, momentum=0.5), 0.15, 0.993, 1.012),
    ],
)
def test_the_sharpness_stays_at_its_threshold(activation, method, step, low, high):
    run = trained(Network(activation=activation), method, step).runs.iloc[0]
    # The mean over the tail lies within the range of single values; rounding decides these.
    assert low - 0.002 <= run.sharpness_tail_mean <= high + 0.002
    assert run.sharpness_tail_spread < 3 * (high - low) + 0.01
    assert run.verdict == "at_edge"


@pytest.mark.slow
def test_against_the_flow_the_curves_coincide_until_they_cross():
    tables = trained(Network(), GradientDescent(iterations=12000), [0.05, 0.2])
    small, large = at(tables, 12000, 0.05), at(tables, 3000, 0.2)
    assert small.sharpness == pytest.approx(10.84, abs=0.005)
    assert large.sharpness == pytest.approx(10.83, abs=0.005)
    run = tables.runs[tables.runs.step_size == 0.05].iloc[0]
    assert pd.isna(run.first_crossing)
    assert pd.isna(run.first_rise)
    assert run.verdict == "below"


@pytest.mark.slow
def test_a_loss_that_is_small_first_and_one_that_diverges():
    method = HeavyBall(iterations=12000, momentum=0.9)
    early, diverged = trained(Network(), method, [0.19, 0.38]).runs.itertuples()
    assert early.threshold == pytest.approx(20)
    assert early.verdict == "loss_small"
    assert early.sharpness_tail_mean == pytest.approx(0.69, abs=0.02)
    assert diverged.verdict == diverged.status == "diverged"
    assert math.isnan(diverged.sharpness_tail_mean)
    assert diverged.final_loss > 1e60


TWO = {"data": "point", "activation": "identity"}


def test_two_numbers_take_the_published_steps():
    curve = trained(Network(data="point"), GradientDescent(iterations=50), 0.1).curves
    steps = curve[["weight_1", "weight_2"]].to_numpy()
    np.testing.assert_allclose(
        steps[:3], [(0.5, 2.5), (0.375, 2.475), (0.410578125, 2.480390625)], rtol=1e-15
    )
    np.testing.assert_allclose(steps[-1], (0.403357852026, 2.47918813277), rtol=1e-11)
    assert curve.sharpness.iloc[-1] == pytest.approx(12.61814271, abs=1e-8)


@pytest.mark.parametrize(
    ("step", "end", "sharpness"),
    [
        (0.25, (1.03833800778, 0.963077526308), 4.01132828),
        (0.3, (-1.17006347986, -0.854654484322), 4.198965669),
    ],
)
def test_without_relu_two_numbers_leap_to_a_flat_minimum(step, end, sharpness):
    tables = trained(Network(**TWO), GradientDescent(iterations=2000), step)
    last, run = tables.curves.iloc[-1], tables.runs.iloc[0]
    np.testing.assert_allclose([last.weight_1, last.weight_2], end, rtol=1e-11)
    assert last.sharpness == pytest.approx(sharpness, abs=1e-8)
    assert last.sharpness == pytest.approx(2 * (end[0] ** 2 + end[1] ** 2), rel=1e-10)
    assert (run.first_crossing, run.status, run.verdict) == (0, "converged", "loss_small")


def test_short_steps_follow_the_flow_which_conserves_a_difference_of_squares():
    last = trained(Network(**TWO), GradientDescent(iterations=20000), 1e-4).curves.iloc[-1]
    # w₂² − w₁² = 6 and w₁w₂ = 1 at the end.
    assert last.sharpness == pytest.approx(2 * math.sqrt(40), rel=2e-5)


@pytest.mark.parametrize("step", [0.25, 0.3, 0.45])
def test_relu_dies_and_is_not_called_converged(step):
    run = trained(Network(data="point"), GradientDescent(iterations=100), step).runs.iloc[0]
    assert (run.dead_units, run.verdict, run.status) == (1, "dead", "max_iterations")
    assert run.final_loss == 1


def test_divergence_keeps_the_run_up_to_its_last_number():
    tables = trained(Network(**TWO), GradientDescent(iterations=100), 0.45)
    run, curve = tables.runs.iloc[0], tables.curves
    assert run.status == run.verdict == "diverged"
    assert run.iterations == curve.iteration.max() < 20
    assert 1e60 < run.final_loss == curve.loss.iloc[-1] < math.inf


def plain(name, step_size, momentum, iterations):
    """w_T of the formulas of a method, in a loop that knows (w₁w₂ − 1)² alone."""

    def gradient(w):
        return 2 * (w[0] * w[1] - 1) * w[::-1]

    before = w = np.array([0.5, 2.5])
    for _ in range(iterations):
        ahead = w + momentum * (w - before)
        point = ahead if name == "nesterov" else w
        before, w = w, ahead - step_size * gradient(point)
    return w


@pytest.mark.parametrize("method", [HeavyBall, Nesterov])
def test_momentum_takes_the_steps_of_its_formula(method):
    tables = trained(Network(**TWO), method(iterations=40, momentum=0.7), 0.02)
    last = tables.curves.iloc[-1]
    expected = plain(method.name, 0.02, 0.7, 40)
    np.testing.assert_allclose([last.weight_1, last.weight_2], expected, rtol=1e-13)


@pytest.mark.parametrize("method", [GradientDescent, HeavyBall, Nesterov])
@pytest.mark.slow
def test_runs_have_the_bits_that_they_have_alone(method):
    momentum = {} if method is GradientDescent else {"momentum": [0.3, 0.6]}
    keys = {"iterations": 300, **momentum}
    steps = [0.05, 0.2, 0.7, 2.5]
    together = trained(Network(activation="relu"), method(**keys), steps)
    for beta in momentum.get("momentum", [None]):
        for step in steps:
            own = keys if beta is None else keys | {"momentum": beta}
            alone = trained(Network(activation="relu"), method(**own), step)
            run_id = alone.runs.run_id[0]
            part = together.curves[together.curves.run_id == run_id].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, alone.curves)
            row = together.runs[together.runs.run_id == run_id].reset_index(drop=True)
            pd.testing.assert_frame_equal(row, alone.runs)


def test_batches_of_all_samples_are_gradient_descent():
    record = Record(points=20)
    whole = trained(Network(), GradientDescent(iterations=200), 0.2, record)
    method = Sgd(iterations=200, batch_size=20, replacement=False)
    batches = trained(Network(), method, 0.2, record)
    names = ["iteration", "loss", "gradient_norm", "sharpness"]
    pd.testing.assert_frame_equal(whole.curves[names], batches.curves[names])
    assert batches.runs.first_rise.isna().all()


@pytest.mark.slow
def test_a_batch_is_drawn_as_for_least_squares_and_its_mean_is_the_gradient():
    method = Sgd(iterations=1, batch_size=1)
    steps = [
        trained(Network(), method, 0.1, Record(coefficients=True), seed=seed).coefficients
        for seed in range(40)
    ]
    moves = np.array([each.coefficient.to_numpy() for each in steps])
    # One sample of 20 is drawn each time, so there are at most 20 different moves.
    assert 12 <= len(np.unique(moves.round(12), axis=0)) <= 20
    assert steps[0].column.tolist()[:2] == ["W1[1,1]", "W1[1,2]"]
    assert steps[0].column.tolist()[-1] == "b2[1]"


@pytest.mark.slow
def test_a_crossing_is_found_for_batches_too():
    method = Sgd(iterations=2000, batch_size=19, replacement=False)
    tables = trained(Network(), method, 0.55, Record(points=6))
    every = trained(Network(), method, 0.55, Record(points=2001, spacing="linear"))
    crossing = tables.runs.first_crossing[0]
    curve = every.curves.set_index("iteration").sharpness_over_threshold
    assert curve[crossing] >= 1 > curve[crossing - 1]


def test_linear_spacing_has_equal_distances():
    assert recorded_iterations(12000, 121, "linear").tolist() == list(range(0, 12001, 100))
    assert recorded_iterations(3, 60, "linear").tolist() == [0, 1, 2, 3]


def test_the_unit_of_steps_is_the_sharpness_at_the_start():
    tables = trained(Network(), GradientDescent(iterations=1), [0.5, 1.9], unit=None)
    assert tables.runs.step_unit.tolist() == ["sharpness"] * 2
    expected = np.array([0.5, 1.9]) / 3.33940036
    np.testing.assert_allclose(tables.runs.step_size, expected, rtol=1e-8)
    np.testing.assert_allclose(tables.runs.relative_step, [0.5, 1.9], rtol=1e-14)


def test_columns_of_least_squares_are_empty_for_networks_and_the_other_way_round():
    networks = trained(Network(), GradientDescent(iterations=5), 0.2)
    squares = run_study(RunConfig(method=GradientDescent(iterations=5)))
    for name in ("lambda_max", "initial_gap", "rate_predicted", "bound_holds", "start", "rank"):
        assert networks.runs[name].isna().all(), name
        assert squares.runs[name].notna().any(), name
    for name in ("threshold", "final_loss", "verdict"):
        assert squares.runs[name].isna().all(), name
        assert networks.runs[name].notna().all(), name
    for name in ("gradient_norm", "sharpness", "sharpness_over_threshold"):
        assert squares.curves[name].isna().all(), name
        assert networks.curves[name].notna().all(), name
    assert networks.curves.gap.isna().all()
    assert networks.eigenvalues.empty


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("diverged", {"diverged": True, "dead": True}),
        ("dead", {"dead": True, "crossed": True}),
        ("at_edge", {"crossed": True, "mean": 1.04, "left": 1e-9}),
        ("at_edge", {"crossed": True, "mean": 0.96}),
        ("at_edge", {"crossed": True, "mean": 1.4}),
        ("loss_small", {"crossed": True, "mean": 0.9, "left": 0.009}),
        ("loss_small", {"mean": 1.0, "left": 0.0}),
        ("below", {"mean": 0.5, "left": 0.02}),
    ],
)
def test_verdicts(expected, given):
    usual = {"diverged": False, "dead": False, "crossed": False, "mean": 0.5, "left": 0.5}
    assert verdict(**usual | given) == expected


def test_the_tail_is_the_last_third():
    assert tail([0, 59, 60, 90], [9.0, 9.0, 1.0, 1.5]) == (1.25, 0.5)
    assert np.isnan(tail([0, 3], [1.0, math.nan])).all()


def test_what_comes_before_a_crossing_is_no_part_of_the_tail():
    assert tail([0, 60, 75, 90], [0.1, 0.8, 1.0, 1.2], crossing=70) == (1.1, pytest.approx(0.2))
    assert tail([0, 60, 90], [0.1, 0.8, 0.9], crossing=95) == (0.9, 0.0)
    assert tail([0, 60, 90], [0.1, 0.8, 1.0], crossing=5) == (0.9, pytest.approx(0.2))


@pytest.mark.slow
def test_a_crossing_does_not_depend_on_what_is_recorded_or_on_the_length():
    """Heavy ball touches its threshold only for a while."""
    method = HeavyBall(iterations=1500, momentum=0.9)
    crossings = {
        trained(
            Network(), replace(method, iterations=iterations), 0.19, record
        ).runs.first_crossing[0]
        for iterations in (1000, 1500, 2200)
        for record in (Record(points=3), Record(points=40, spacing="log"), EVERY_100)
    }
    assert len(crossings) == 1
    every = trained(Network(), method, 0.19, Record(points=1501, spacing="linear"))
    curve = every.curves.set_index("iteration").sharpness_over_threshold
    assert crossings == {curve.index[curve >= 1][0]}
    assert (curve[1000:] < 1).all()


def test_a_stopped_study_goes_on_and_has_the_same_bytes(tmp_path):
    def study(name, steps, engine=None):
        network = Network(activation="relu", hidden=5)
        config = RunConfig(
            network, method=GradientDescent(iterations=60), step=Step(None, steps), repetitions=2
        )
        given = {} if engine is None else {"engine": engine}
        return run_sweep([config], StudyConfig(name, str(tmp_path), **given))

    study("part", [0.5, 1.0])
    assert study("part", [0.5, 1.0, 1.5]).added == 2
    assert study("part", [0.5, 1.0, 1.5]).added == 0
    whole = study("whole", [0.5, 1.0, 1.5])
    for name in ("runs", "curves", "eigenvalues", "coefficients"):
        part = (tmp_path / "part" / f"{name}.csv").read_bytes()
        assert part == (whole.folder / f"{name}.csv").read_bytes()


def test_the_summary_tells_crossing_and_verdict_of_each_network(tmp_path):
    config = RunConfig(
        Network(**TWO), method=GradientDescent(iterations=50), step=Step("absolute", [0.1, 0.45])
    )
    folder = run_sweep([config], StudyConfig("two", str(tmp_path))).folder
    lines = summary(folder).splitlines()
    assert lines[0].endswith("2 runs: 1 converged, 1 diverged")
    assert [line.split()[-1] for line in lines[-2:]] == ["loss_small", "diverged"]
    one = summary(folder, run_ids=[read(folder).runs.run_id[0]])
    assert "threshold" in one
    assert "verdict" in one
    assert "condition_number" not in one
