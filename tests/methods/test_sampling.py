"""Methods that draw samples: their paths against NumPy, and their tables against the theory."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    CoordinateDescent,
    Csv,
    Gaussian,
    GradientDescent,
    Kaczmarz,
    Normal,
    Polynomial,
    Prescribed,
    Record,
    RunConfig,
    Sgd,
    Step,
    Zeros,
    run_study,
)
from gdconv.config.rules import ConfigError
from gdconv.config.runs import expand
from gdconv.config.sections import StudyConfig
from gdconv.experiment.group import run_group
from gdconv.experiment.sampled.draws import drawn
from gdconv.problems.families import make
from gdconv.sweep.sweep import plan, run_sweep
from gdconv.tables.csv import encode

PROBLEM = Gaussian(12, 4)
ALL = Record(points=10**6)
LIMIT = 0.03267044855853845


@pytest.fixture(name="small")
def _small(tmp_path):
    """The data set of tests/theory/test_sampled.py."""
    path = tmp_path / "small.csv"
    path.write_text("x,y\n0,1\n1,0\n2,2\n3,5\n")
    return Csv(path=str(path), target="y")


def config(method, step=None, **more):
    return RunConfig(PROBLEM, method=method, step=step or Step("limit", [0.3]), **more)


def followed(run, update, chances):
    """The gaps of all paths at all iterations, by loops: update(w, before, drawn, X, y) → w."""
    problem = make(run.problem, run.seed, run.repetition)
    X, y = problem.X, problem.y
    star = np.linalg.lstsq(X, y, rcond=None)[0]
    w = np.zeros((run.method.paths, X.shape[1]))
    before, found = w.copy(), [w.copy()]
    for which in drawn(run.method, chances, run.seed, run.repetition, run.method.iterations):
        after = [update(*each, X, y) for each in zip(w, before, which, strict=True)]
        w, before = np.array(after), w
        found.append(w.copy())
    return np.square((np.array(found) - star) @ X.T).sum(axis=-1)


def check(method, gaps, step):
    tables = run_study(config(method, step, record=ALL))
    curves = tables.curves
    assert curves["gap"].to_numpy() == pytest.approx(gaps.mean(axis=1), rel=1e-9, abs=1e-24)
    error = gaps.std(axis=1, ddof=1) / np.sqrt(gaps.shape[1])
    assert curves["gap_standard_error"].to_numpy() == pytest.approx(error, rel=1e-7, abs=1e-12)
    for percent in (10, 50, 90):
        of = np.percentile(gaps, percent, axis=1)
        assert curves[f"gap_p{percent}"].to_numpy() == pytest.approx(of, rel=1e-9, abs=1e-24)
    return tables


@pytest.mark.parametrize("method", [Sgd(), Sgd(batch_size=3), Sgd(batch_size=12, momentum=0.5)])
@pytest.mark.parametrize("replacement", [True, False])
def test_paths_of_stochastic_gradient_descent(method, replacement):
    method = replace(method, iterations=30, paths=5, replacement=replacement)
    [run] = expand(config(method, Step("absolute", [0.002])))
    size, momentum = run.method.batch_size, run.method.momentum

    def update(w, before, batch, X, y):
        gradient = 12 / size * 2 * X[batch].T @ (X[batch] @ w - y[batch])
        return w + momentum * (w - before) - 0.002 * gradient

    check(method, followed(run, update, np.full(12, 1 / 12)), Step("absolute", [0.002]))


def test_paths_of_kaczmarz():
    method = Kaczmarz(iterations=30, paths=5, relaxation=1.5)
    [run] = expand(config(method))
    squares = np.square(make(PROBLEM, 0, 0).X).sum(axis=1)

    def update(w, before, rows, X, y):
        x = X[rows[0]]
        return w - 1.5 * x * (x @ w - y[rows[0]]) / (x @ x)

    check(method, followed(run, update, squares / squares.sum()), Step())


@pytest.mark.parametrize("order", ["random", "cyclic"])
@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_paths_of_coordinate_descent(order, reduce):
    method = CoordinateDescent(iterations=30, paths=5, order=order, reduce=reduce)
    [run] = expand(config(method))
    squares = np.square(make(PROBLEM, 0, 0).X).sum(axis=0)

    def update(w, before, columns, X, y):
        j = columns[0]
        w = w.copy()
        w[j] -= X[:, j] @ (X @ w - y) / (X[:, j] @ X[:, j])
        return w

    gaps = followed(run, update, squares / squares.sum())
    tables = check(method, gaps, Step())
    if order == "cyclic":
        # Nothing is random, so the one path is what is expected.
        assert tables.curves["gap_expected"].to_numpy() == pytest.approx(gaps[:, 0], rel=1e-9)


@pytest.mark.parametrize("average", ["all", "tail"])
def test_averages(average):
    """Of w_0 to w_t, or from the middle of the run on of the iterates since then."""
    method = Sgd(iterations=21, paths=1, average=average)
    [run] = expand(config(method, Step("absolute", [0.002])))
    X, y = (getattr(make(PROBLEM, 0, 0), name) for name in ("X", "y"))
    w, iterates = np.zeros(4), [np.zeros(4)]
    for which in drawn(run.method, np.full(12, 1 / 12), 0, 0, 21):
        x = X[which[0, 0]]
        w = w - 0.002 * 12 * 2 * x * (x @ w - y[which[0, 0]])
        iterates.append(w)
    star = np.linalg.lstsq(X, y, rcond=None)[0]
    begin = {"all": 0, "tail": 11}[average]
    shown = [
        np.mean(iterates[begin : t + 1], axis=0) if t >= begin else w
        for t, w in enumerate(iterates)
    ]
    gaps = np.square((np.array(shown) - star) @ X.T).sum(axis=1)
    curves = run_study(config(method, Step("absolute", [0.002]), record=ALL)).curves
    assert curves["gap"].to_numpy() == pytest.approx(gaps, rel=1e-9)


# What is drawn


def draws(method, chances, seed=0, repetition=0):
    return np.array(list(drawn(method, chances, seed, repetition, method.iterations)))


def test_a_path_draws_the_same_whatever_else_is_asked_for():
    """A batch takes the next numbers of the path; not those of other paths, or of a step size."""
    chances = np.full(7, 1 / 7)
    one = draws(Sgd(iterations=60, paths=3, batch_size=1), chances)
    many = draws(Sgd(iterations=20, paths=5, batch_size=3), chances)
    assert (many[:, :3].transpose(1, 0, 2).reshape(3, 60) == one[:, :, 0].T).all()
    other = draws(Sgd(iterations=60, paths=3), chances, repetition=1)
    assert (one != other).any()
    assert (one[:, 0] != one[:, 1]).any()


def test_long_sequences_are_made_in_parts(monkeypatch):
    chances, method = np.full(7, 1 / 7), Sgd(iterations=50, paths=3, batch_size=2)
    whole = draws(method, chances)
    monkeypatch.setattr("gdconv.experiment.sampled.draws.AT_ONCE", 40)
    assert (draws(method, chances) == whole).all()


def test_batches_without_replacement_are_uniform():
    """Each of the 12 ordered pairs comes as often; 4 standard deviations are 0.9 %."""
    method = Sgd(iterations=2000, paths=9, batch_size=2, replacement=False)
    found = draws(method, np.full(4, 0.25)).reshape(-1, 2)
    assert (found[:, 0] < found[:, 1]).all()
    for pair in {tuple(sorted(each)) for each in permutations(range(4), 2)}:
        assert (found == pair).all(axis=1).mean() == pytest.approx(1 / 6, abs=0.012)


def test_rows_come_as_often_as_they_should():
    chances = np.array([0.1, 0.0, 0.6, 0.3, 0.0])
    found = draws(Kaczmarz(iterations=20_000), chances).ravel()
    assert np.bincount(found, minlength=5) / 20_000 == pytest.approx(chances, abs=0.014)


def test_runs_have_the_same_bytes_however_they_are_grouped():
    runs = list(expand(config(Sgd(iterations=40, paths=3), Step("limit", [0.1, 0.3, 0.9, 1.2]))))
    together = encode(run_group(runs))
    alone = [encode(run_group([run])) for run in runs]
    assert together.curves == b"".join(each.curves for each in alone)
    assert together.runs == b"".join(each.runs for each in alone)


# What is expected


def test_the_limit_of_a_table(small):
    step = Step("limit", [0.5, 1.0])
    runs = run_study(RunConfig(small, method=Sgd(iterations=50), step=step)).runs
    assert runs["step_limit"].tolist() == pytest.approx([LIMIT] * 2, rel=1e-12)
    assert runs["step_size"].tolist() == pytest.approx([LIMIT / 2, LIMIT], rel=1e-12)
    assert runs["step_limit_fourth_moment"].tolist() == pytest.approx([0.028837300035] * 2)
    assert runs["fourth_moment_exact"].all()
    assert runs["gap_stationary"][0] == pytest.approx(1.8844066482406279, rel=1e-11)
    assert runs["stable"].tolist() == [True, False]
    # The mean moves more slowly than the covariance does, and the noise knows of it.
    assert runs["rate_predicted"][0] == pytest.approx(0.9611303232392039, rel=1e-12)
    assert runs["batch_critical"].tolist() == pytest.approx([36 / 33.6205] * 2, rel=1e-5)


def test_the_expectation_of_a_table(small):
    found = run_study(
        RunConfig(small, method=Sgd(iterations=4), step=Step("absolute", [0.005]), record=ALL)
    ).curves
    known = [25.8, 19.096, 14.24029056, 10.715164823, 8.14920459749]
    assert found["gap_expected"].tolist() == pytest.approx(known, rel=1e-10)
    of_mean = [25.8, 18.0134, 12.62090936, 8.88535901062]
    assert found["gap_of_mean"].tolist()[:4] == pytest.approx(of_mean, rel=1e-10)


def test_fourth_moments_with_momentum_are_known_of_few_features():
    """With β = 0 as well, and there up to 8 features; the mean of the paths can be tested then."""
    method = Sgd(iterations=60, momentum=(0.0, 0.5), paths=60)
    problems = [Gaussian(20, d) for d in (3, 4)]
    runs = run_study([RunConfig(p, method=method, step=Step("limit", 0.2)) for p in problems]).runs
    runs = runs.sort_values(["n_features", "momentum"])
    assert runs.fourth_moment_exact.tolist() == [True, True, True, pd.NA]
    assert runs.expectation_agrees.tolist() == [True, True, True, pd.NA]
    assert (runs.step_limit_fourth_moment < runs.step_limit).tolist() == [True, True, True, False]


def test_coefficients_are_means_over_the_paths(small, tmp_path):
    """w* of a table is there in any case; it is what NumPy finds. A finished run stays finished."""
    method = Sgd(iterations=3000, paths=20)
    config = RunConfig(small, method=method, step=Step("limit", (0.05, 50.0)))
    kept = replace(config, record=Record(coefficients=True))
    rows = run_study(kept).coefficients
    star = np.linalg.lstsq(np.array([[0, 1], [1, 1], [2, 1], [3, 1.0]]), [1, 0, 2, 5])[0]
    assert rows.coefficient[rows.run_id.isna()].to_numpy() == pytest.approx(star, rel=1e-12)
    runs = run_study(kept).runs.set_index("step_value")
    for value, close in ((0.05, True), (50.0, False)):
        w = rows.coefficient[rows.run_id == runs.run_id[value]].to_numpy()
        assert np.isfinite(w).all()
        assert (w == pytest.approx(star, abs=0.3)) == close
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    path = run_sweep([config], study).folder / "provenance.json"
    assert len(run_study(config).coefficients) == 2
    history = json.loads(path.read_text())
    del history["checksums"]
    path.write_text(json.dumps(history))
    assert run_sweep([config], study).added == 0


def test_many_iterations_of_few_features_are_within_the_budget():
    """Step by step they would take four times the budget; at rest the gap is the noise floor."""
    method = Sgd(iterations=2000, exact_budget=1e5, momentum=(0.0, 0.5))
    runs = run_study(RunConfig(Gaussian(20, 3), method=method, step=Step("limit", 0.5)))
    tables = runs.runs.set_index("momentum")
    last = runs.curves.groupby("run_id").gap_expected.last()
    run = tables.loc[0.0]
    assert last[run.run_id] == pytest.approx(run.gap_stationary, rel=1e-10)
    assert run.status == "converged"
    assert np.isnan(last[tables.loc[0.5].run_id])
    assert tables.loc[0.5].status == "max_iterations"


def test_many_features_have_their_own_prediction():
    method = Sgd(iterations=300, paths=2, exact_budget=0)
    runs, curves, *_ = run_study(
        RunConfig(Gaussian(200, 100), method=method, step=Step("absolute", [2e-5]))
    )
    assert curves["gap_expected"].isna().all()
    exact = run_study(
        RunConfig(
            Gaussian(200, 100),
            method=replace(method, exact_budget=1e12),
            step=Step("absolute", [2e-5]),
        )
    ).curves["gap_expected"]
    assert curves["gap_high_dimension"].to_numpy() == pytest.approx(exact, rel=0.03)
    assert runs["status"].tolist() == ["max_iterations"]


def test_how_runs_end(small):
    """At the floor, before it, and beyond the limit."""
    method = Sgd(iterations=400, paths=40)
    step = Step("limit", [0.01, 0.5, 1.3, 40])
    runs = run_study(RunConfig(small, method=method, step=step)).runs
    assert runs["status"].tolist() == ["max_iterations", "converged", "diverged", "diverged"]
    assert runs["iterations"][3] < 400
    assert np.isfinite(runs["final_gap"]).all()
    assert runs["expectation_agrees"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("average", ["all", "tail"])
def test_an_average_diverges_where_its_iterates_do(average, small):
    """Its rate is not known, but it grows from the same step size on."""
    method = Sgd(iterations=400, paths=10, average=average)
    runs = run_study(RunConfig(small, method=method, step=Step("limit", [0.5, 1.3]))).runs
    assert runs["rate_predicted"].isna().all()
    assert runs["status"].tolist() == ["max_iterations", "diverged"]


def test_kaczmarz_rests_where_its_balance_says(small):
    """At ωL*/(2 − ω)."""
    method = Kaczmarz(iterations=3000, relaxation=[0.25, 1.0, 1.5, 1.9])
    runs, curves, *_ = run_study(RunConfig(small, method=method))
    assert runs["gap_stationary"].tolist() == pytest.approx([0.6, 4.2, 12.6, 79.8], rel=1e-10)
    last = curves.groupby("run_id", sort=False).tail(1)["gap_expected"]
    assert sorted(last) == pytest.approx([0.6, 4.2, 12.6, 79.8], rel=1e-8)
    assert (runs["status"] == "converged").all()


def test_all_rows_without_replacement_are_gradient_descent():
    """To rounding: the batch is X itself, but nnlib's products may be others."""
    problem, step = Gaussian(40, 6), Step("lambda_max", [0.4, 1.0])
    method = Sgd(iterations=200, batch_size=40, replacement=False)
    sampled = run_study(RunConfig(problem, method=method, step=step)).curves
    plain = GradientDescent(iterations=200, reduce="none")
    usual = run_study(RunConfig(problem, method=plain, step=step)).curves
    both = usual.merge(sampled, on=["relative_step", "iteration"])
    high = both[both["gap_x"] > 1e-16 * both["gap_x"].max()]
    assert len(high) > 30
    assert high["gap_y"].to_numpy() == pytest.approx(high["gap_x"].to_numpy(), rel=1e-6)
    assert high["gap_expected_y"].to_numpy() == pytest.approx(high["gap_x"].to_numpy(), rel=1e-6)


@pytest.mark.slow
def test_the_expectation_agrees_on_random_problems():
    """A test at 99 %: of 500 random problems at most 3 % say no."""
    said = []
    generator = np.random.default_rng(0)
    for seed in range(500):
        n, d = int(generator.integers(3, 60)), int(generator.integers(1, 8))
        size = int(generator.integers(1, min(n, 8) + 1))
        method = Sgd(iterations=100, paths=200, batch_size=size, replacement=bool(seed % 2))
        problem = Gaussian(n, d, noise=float(generator.choice([0.0, 0.3, 3.0])))
        step = Step("limit", [float(generator.uniform(0.01, 0.9))])
        said += (
            run_study(RunConfig(problem, method=method, step=step, seed=seed))
            .runs["expectation_agrees"]
            .tolist()
        )
    known = [bool(each) for each in said if not pd.isna(each)]
    assert len(known) > 250
    assert np.mean(np.logical_not(known)) <= 0.03


@pytest.mark.parametrize(
    "problem",
    [
        *(Gaussian(1, 1), Gaussian(1, 5), Gaussian(48, 1), Gaussian(5, 12), Polynomial(30, 12)),
        *(Prescribed(30, 6, condition_number=each) for each in (1.0, 1e12, 1e18)),
    ],
)
@pytest.mark.parametrize("start", [Zeros(), Normal(1e8)])
def test_hard_problems_do_not_fail(problem, start):
    methods = [Sgd(paths=3), Sgd(momentum=0.9), Kaczmarz(), CoordinateDescent()]
    for method in (replace(each, iterations=20) for each in methods):
        runs = run_study(RunConfig(problem, start, method, Step("limit", [0.5, 1, 1e5]))).runs
        assert not runs["error"].notna().any()
        assert runs["final_gap"].notna().all()
        assert (runs["gap_stationary"].dropna() >= 0).all()
        assert (runs["rate_predicted"] >= 0).all()
        below = runs[runs["stable"].fillna(False).astype(bool)]
        assert (below["rate_predicted"] <= 1 + 1e-9).all()


# Step sizes and bad input


@pytest.mark.parametrize(("unit", "size"), [("samples", 3 / 12), ("absolute", 3.0), ("K", 1 / 3)])
def test_units(unit, size):
    runs = run_study(config(Sgd(iterations=1), Step(unit, [3.0]))).runs
    assert runs["step_size"].tolist() == [size]


def test_gradient_descent_has_these_units_too():
    runs = run_study(config(GradientDescent(iterations=1), Step("limit", [0.5]))).runs
    assert runs["relative_step"].tolist() == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("make_config", "says"),
    [
        (lambda: Sgd(reduce="qr"), "method.reduce=qr: must be none for method=sgd, which draws"),
        (lambda: Sgd(paths=0), "method.paths=0: must be a whole number from 1"),
        (lambda: Kaczmarz(relaxation=2.0), "method.relaxation=2.0: must be"),
        (
            lambda: plan([config(Sgd(batch_size=[1, 13]))]),
            "method.batch_size=13: must be at most n_samples, here 12",
        ),
        (
            lambda: plan([config(Sgd(exact_budget=10))]),
            "step.unit=limit: needs about n d⁴/4 = 7.7e+02 multiplications",
        ),
        (lambda: config(Sgd(), Step("optimal")), "step.unit=optimal: is not known for method=sgd"),
        (
            lambda: plan([RunConfig(Gaussian(10, 2, block_rows=4), method=Sgd())]),
            "method=sgd: draws from all 10 rows, but 4 fit into memory together with 2 columns",
        ),
    ],
)
def test_bad_input(make_config, says):
    with pytest.raises(ConfigError) as error:
        make_config()
    assert str(error.value).startswith(says)


def test_coordinates_need_no_rows_of_their_own():
    whole, cut = Prescribed(200, 5), Prescribed(200, 5, block_rows=50)
    gaps = [
        run_study(RunConfig(each, method=CoordinateDescent(iterations=50))).runs["final_gap"][0]
        for each in (whole, cut)
    ]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-8)
