"""The rows of a study: every column against a closed form, also for degenerate problems."""

import numpy as np
import pytest

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Normal, Record, Step, Zeros
from gdconv.experiment.group import run_group
from gdconv.experiment.identity import failed_group, problem_id, run_ids
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.sweep.sweep import run_study
from gdconv.tables.columns import COLUMNS
from gdconv.tables.csv import encode

EPS = np.finfo(float).eps
STEPS = [0.05, 0.5, 1.0, 1.5, 1.9, 1.99, 2.0, 2.05, 2.1, 5.0]


@pytest.fixture(scope="module")
def tables():
    return run_study(
        RunConfig(
            Gaussian(n_samples=60, n_features=20),
            method=GradientDescent(iterations=3000),
            step=Step(value=STEPS),
            record=Record(coefficients=True),
        )
    )


# Of methods that draw samples alone; tests/methods/test_sampling.py has them.
OF_SAMPLES = (
    *("step_limit_fourth_moment", "fourth_moment_exact", "gap_stationary", "batch_critical"),
    *("averaging_constant", "expectation_agrees"),
    *("gap_standard_error", "gap_p10", "gap_p50", "gap_p90"),
    *("gap_expected", "gap_of_mean", "gap_high_dimension"),
)
# Of networks alone; tests/experiment/test_networks.py has them.
OF_NETWORKS = (
    *("initial_loss", "final_loss", "threshold", "first_crossing", "first_rise"),
    *("sharpness_tail_mean", "sharpness_tail_spread", "dead_units", "verdict"),
    *("gradient_norm", "sharpness", "sharpness_over_threshold", "weight_1", "weight_2"),
)


def test_every_column_is_filled(tables):
    for name, table in tables._asdict().items():
        assert list(table.columns) == [*COLUMNS[name], *["file"] * (name == "runs")]
        if name == "moments":
            assert table.empty
            continue
        empty = set(table.columns[table.isna().all()])
        assert empty <= {
            *("error", "start_which", "start_radius", "content", "file", "method_options"),
            *("momentum", "delayed_at", "restarts", *OF_SAMPLES, *OF_NETWORKS),
        }, name


def test_status_and_verdicts_by_step(tables):
    runs = tables.runs.set_index("step_value")
    assert runs.status.to_dict() == {
        **dict.fromkeys([0.5, 1.0, 1.5, 1.9, 1.99], "converged"),
        **dict.fromkeys([0.05, 2.0], "max_iterations"),
        **dict.fromkeys([2.05, 2.1, 5.0], "diverged"),
    }
    assert runs.bound_holds.all()
    # (19) is true up to the optimal step, here at 1.88, and no further.
    optimum = 2 / (1 + 1 / runs.condition_number.iloc[0])
    assert 1.5 < optimum < 1.9
    assert (runs.bound_coursework_holds == (runs.index <= optimum)).all()
    assert (runs.first_violation_coursework.isna() == runs.bound_coursework_holds).all()


def test_measured_rate_is_the_predicted_one(tables):
    runs = tables.runs.set_index("step_value").drop(index=[2.0])
    assert runs.rate_measured.to_numpy() == pytest.approx(runs.rate_predicted, rel=5e-3)
    assert (runs.convergence[runs.index < 2] == "linear").all()
    assert (runs.convergence[runs.index > 2] == "diverging").all()


def test_gap_follows_the_exact_formula(tables):
    curves = tables.curves
    settled = curves[curves.gap > 1e6 * curves.gap_floor]
    assert len(settled) > 250
    # 1e6 floors above the noise the gap is right to 1e-3; a thousand roundings add 1e-12 each.
    assert settled.gap.to_numpy() == pytest.approx(settled.gap_exact.to_numpy(), rel=2e-3)
    far = curves[curves.gap > 1e18 * curves.gap_floor]
    assert far.gap.to_numpy() == pytest.approx(far.gap_exact.to_numpy(), rel=1e-8)


def test_divergence_is_data(tables):
    runs = tables.runs.set_index("step_value")
    curves = tables.curves.set_index("run_id")
    numbers = tables.curves.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
    assert np.isfinite(numbers[:, 3:8]).all()
    assert not np.isinf(numbers).any()
    for step in (2.1, 5.0):
        run, curve = runs.loc[step], curves.loc[runs.run_id[step]]
        assert run.status == "diverged"
        assert curve.iteration.max() == run.iterations
        assert run.rate_measured == pytest.approx((step - 1) ** 2, rel=1e-6)
    # 16 = (1 − 5)² an iteration passes the largest float after 250; the last finite gap is kept.
    assert runs.iterations[5.0] < 260
    assert 1e280 < runs.final_gap[5.0] < np.inf
    assert runs.iterations[2.1] == 3000


def test_iterations_to_tolerance_is_exact(tables):
    """Against the same run recorded at every iteration."""
    every = run_study(
        RunConfig(
            Gaussian(n_samples=60, n_features=20),
            method=GradientDescent(iterations=3000),
            record=Record(points=3001),
            step=Step(value=[0.5, 1.5]),
        )
    )
    for step in (0.5, 1.5):
        run = every.runs.set_index("step_value").loc[step]
        gaps = every.curves.set_index("run_id").loc[run.run_id]
        first = gaps.iteration[gaps.gap <= 1e-6 * run.initial_gap].min()
        assert run.iterations_to_tolerance == first
        sparse = tables.runs.set_index("step_value").loc[step]
        assert sparse.iterations_to_tolerance == first
        assert run.iterations_predicted >= first


def test_a_run_ends_where_it_reaches_the_floor(tables):
    done = tables.runs[tables.runs.status == "converged"]
    last = tables.curves.groupby("run_id").last().loc[done.run_id]
    assert (done.final_gap <= done.gap_floor).all()
    assert (last.iteration.to_numpy() == done.iterations.to_numpy()).all()
    before = tables.curves.groupby("run_id").nth(-2).set_index("run_id").loc[done.run_id]
    assert (before.gap.to_numpy() > done.gap_floor.to_numpy()).all()


@pytest.mark.parametrize(
    ("problem", "rank"),
    [
        (Gaussian(n_samples=1, n_features=1), 1),
        (Gaussian(n_samples=9, n_features=1), 1),
        (Gaussian(n_samples=1, n_features=4), 1),
        (Gaussian(n_samples=10, n_features=25), 10),
        (Gaussian(n_samples=12, n_features=12), 12),
        (Gaussian(n_samples=40, n_features=6, noise=0.0), 6),
        (Correlated(n_samples=1, n_features=4), 1),
        (Correlated(n_samples=9, n_features=1), 1),
        (Prescribed(n_samples=1, n_features=4), 1),
        (Prescribed(n_samples=9, n_features=1), 1),
        (Polynomial(n_samples=1, degree=4), 1),
        (Polynomial(n_samples=9, degree=0), 1),
        (Polynomial(n_samples=5, degree=8), 5),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value.name} {value.n_samples}",
)
@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_degenerate_problems_give_finite_rows(problem, rank, reduce):
    config = RunConfig(problem, method=GradientDescent(reduce=reduce), step=Step(value=[1.0, 2.1]))
    runs = run_study(config).runs
    assert runs["rank"].tolist() == [rank, rank]
    assert (runs.lambda_min == 0).all() == (rank < runs.n_features[0])
    assert (runs.lambda_min_positive > 0).all()
    assert runs.bound_holds.all()
    assert runs.status[1] == "diverged"
    assert runs.rate_measured[1] == pytest.approx(1.21, rel=1e-3)
    numbers = runs.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
    assert not np.isinf(numbers).any()


def of_table(tmp_path, text, **options):
    """The run of a CSV table whose target is y."""
    path = tmp_path / "table.csv"
    path.write_text(text)
    config = RunConfig(Table(path=str(path), target="y"), **options)
    tables = run_study(config)
    for table in tables:
        numbers = table.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
        assert not np.isinf(numbers).any()
    assert tables.runs.status[0] == "converged"
    assert tables.runs.bound_holds[0]
    return tables.runs.iloc[0]


def test_a_column_of_zeros_changes_nothing_but_the_rank(tmp_path):
    without = of_table(tmp_path, "a,y\n1,2\n2,3\n4,5.5\n3,1\n")
    run = of_table(tmp_path, "a,b,y\n1,0,2\n2,0,3\n4,0,5.5\n3,0,1\n")
    assert (run["rank"], run.n_features, run.lambda_min) == (2, 3, 0)
    same = ["lambda_min_positive", "lambda_max", "loss_star", "initial_gap", "initial_distance"]
    # Two decompositions of matrices with a condition number of 10.
    assert run[same].tolist() == pytest.approx(without[same].tolist(), rel=1e-12)


def test_equal_rows(tmp_path):
    """The loss is that of the mean: H = 2n xxᵀ with x = (2, 3, 1)."""
    run = of_table(tmp_path, "a,b,y\n2,3,1\n2,3,2\n2,3,6\n2,3,7\n")
    assert (run["rank"], run.n_features) == (1, 3)
    assert (run.lambda_min, run.condition_number) == (0, 1)
    # A handful of roundings in each.
    assert run.lambda_max == pytest.approx(8 * 14, rel=1e-14)
    assert run.loss_star == pytest.approx(26, rel=1e-14)
    assert run.initial_gap == pytest.approx(4 * 4**2, rel=1e-14)
    # w* = 4 x / ‖x‖².
    assert run.initial_distance == pytest.approx(4 / np.sqrt(14), rel=1e-14)


def test_no_feature_but_the_constant(tmp_path):
    run = of_table(tmp_path, "y\n1\n2\n6\n7\n")
    assert (run["rank"], run.n_features) == (1, 1)
    assert run.lambda_max == pytest.approx(8, rel=1e-14)
    assert run.loss_star == pytest.approx(26, rel=1e-14)
    assert run.initial_distance == pytest.approx(4, rel=1e-14)


def test_a_target_that_the_features_fit_exactly(tmp_path):
    run = of_table(
        tmp_path,
        "a,y\n1,1\n2,4\n4,10\n-3,-11\n",
        method=GradientDescent(iterations=1000),
    )
    # 3a − 2, up to the squares of roundings of numbers up to 11.
    assert 0 <= run.loss_star < 1e-28
    assert run.initial_gap == pytest.approx(1 + 16 + 100 + 121, rel=1e-14)
    assert run.initial_distance == pytest.approx(np.sqrt(13), rel=1e-14)
    assert run.final_gap < 1e-27


def test_starting_at_the_optimum(tmp_path):
    path = tmp_path / "zero.csv"
    path.write_text("a,y\n1,0\n2,0\n4,0\n")
    runs = run_study(RunConfig(Table(path=str(path), target="y"))).runs
    assert runs.status[0] == "converged"
    assert (runs.iterations[0], runs.initial_gap[0], runs.loss_star[0]) == (0, 0, 0)
    assert runs[["rate_measured", "bound_holds", "bound_over_gap_median"]].isna().all(axis=None)


def test_numbers_too_large_are_an_error_of_the_group(tmp_path):
    path = tmp_path / "huge.csv"
    path.write_text("a,y\n1,1e200\n2,-1e200\n4,1e200\n")
    runs = list(expand(RunConfig(Table(path=str(path), target="y"))))
    with pytest.raises(ValueError, match="scale the target"):
        run_group(runs)


def test_a_group_differs_in_steps_alone():
    runs = [*expand(RunConfig(seed=[0, 1]))]
    with pytest.raises(ValueError, match="step size and method_options"):
        run_group(runs)


def test_run_id_depends_on_what_decides_the_rows_and_nothing_else():
    changes = [
        RunConfig(),
        RunConfig(Gaussian(n_samples=201)),
        RunConfig(Gaussian(noise=1.5)),
        RunConfig(seed=1),
        RunConfig(step=Step(value=2.0)),
        RunConfig(step=Step("K", 1.0)),
        RunConfig(method=GradientDescent(iterations=1999)),
        RunConfig(method=GradientDescent(reduce="none")),
        RunConfig(record=Record(points=61)),
        RunConfig(record=Record(curves="none")),
    ]
    ids = [run_ids(list(expand(config)))[0] for config in changes]
    assert len(set(ids)) == len(ids)
    assert all(len(run_id) == 16 and int(run_id, 16) >= 0 for run_id in ids)
    # A published identifier must not change by accident: results/ would be computed again.
    assert ids[0] == "c379e1773edabcf3"
    assert run_ids(list(expand(RunConfig(Gaussian(noise=1), step=Step(value=1)))))[0] == ids[0]


def test_problem_id_stands_for_what_decides_the_exact_trajectories():
    first, second, *others = (
        problem_id(next(expand(config)))
        for config in (
            RunConfig(),
            RunConfig(step=Step(value=2.0), method=GradientDescent(iterations=7)),
            RunConfig(seed=1),
            RunConfig(start=Normal()),
            RunConfig(start=Normal(radius=2.0)),
            RunConfig(method=GradientDescent(reduce="none")),
        )
    )
    assert first == second
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize("start", [Zeros(), Normal(3.0), Eigenvector("min")], ids=lambda s: s.name)
@pytest.mark.parametrize(
    "problem",
    [Gaussian(60, 9), Gaussian(8, 12), Polynomial(80, degree=9), Prescribed(40, 6, 0.0, 1e14)],
    ids=["tall", "wide", "graded", "ill-conditioned"],
)
def test_error_components_make_up_the_exact_gap(problem, start, reduce):
    method = GradientDescent(iterations=50, reduce=reduce)
    runs, curves, eigenvalues, *_ = run_study(RunConfig(problem, start, method))
    curve = curves[curves.iteration == 0].iloc[0]
    share = eigenvalues.eigenvalue * eigenvalues.error_component_squared / 2
    assert eigenvalues.problem_id.unique().tolist() == runs.problem_id.tolist()
    # Three roundings for each eigenvalue, and as many sums as there are.
    assert share.sum() == pytest.approx(curve.gap_exact, rel=16 * EPS)
    assert (eigenvalues.error_component_squared[eigenvalues.eigenvalue == 0] == 0).all()
    kappa = runs.condition_number[0]
    if kappa < 1e4:
        # σ_i divides the rounding errors of u_iᵀ(X w_0 − y).
        distance = eigenvalues.error_component_squared.sum()
        assert distance == pytest.approx(curve.distance_squared, rel=100 * kappa * EPS)


@pytest.mark.parametrize(("which", "index"), [("max", 0), ("min", -1)])
def test_a_start_along_an_eigenvector_has_one_error_component(which, index):
    tables = run_study(RunConfig(Gaussian(60, 9), Eigenvector(which, 3.0)))
    squares = tables.eigenvalues.error_component_squared.to_numpy()
    # The others are squares of roundings of entries of w* near 1.
    expected = np.zeros(9)
    expected[index] = 9.0
    assert squares == pytest.approx(expected, rel=1e-12, abs=1e-26)


@pytest.mark.parametrize("reduce", ["qr", pytest.param("none", marks=pytest.mark.slow)])
def test_rows_do_not_depend_on_the_group(reduce):
    config = RunConfig(
        Gaussian(n_samples=30, n_features=11),
        method=GradientDescent(iterations=400, reduce=reduce),
        step=Step(value=np.geomspace(0.02, 2.3, 1000)),
    )
    runs = list(expand(config))

    def rows(some):
        encoded = encode(run_group(some))
        return dict(zip(encoded.status, encoded.runs.splitlines(), strict=True)), encoded.curves

    together, curves = rows(runs)
    for some in (runs[500:501], runs[:3], runs[100:140], runs[::7]):
        alone, own_curves = rows(some)
        assert all(together[run_id] == row for run_id, row in alone.items())
        assert set(own_curves.splitlines()) <= set(curves.splitlines())


@pytest.mark.parametrize(
    ("iterations", "points"), [(1, 2), (1, 60), (2000, 60), (2000, 2), (5, 60), (10**9, 60)]
)
def test_recorded_iterations(iterations, points):
    found = recorded_iterations(iterations, points).tolist()
    assert found[0] == 0
    assert found[-1] == iterations
    assert len(found) <= points
    assert found == sorted(set(found))
    assert points == 2 or found[1] == 1


def test_failed_group_says_what_was_asked_for():
    runs = list(expand(RunConfig(step=Step(value=[0.5, 1.0]))))
    rows = encode(failed_group(runs, run_ids(runs), 'a "reason",\nof two lines'))
    lines = rows.runs.decode().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(',"a ""reason"", of two lines"')
    assert list(rows.status.values()) == ["failed", "failed"]
    assert rows.curves == b""


@pytest.mark.parametrize("values", [[1e-12, 1e6, 1e20], [1e-100, 1e100]], ids=["absurd", "extreme"])
@pytest.mark.parametrize("unit", ["lambda_max", "optimal", "absolute", "K"])
def test_absurd_steps_give_rows_and_no_warning(values, unit):
    tables = run_study(RunConfig(Gaussian(30, 4), step=Step(unit, values)))
    assert set(tables.runs.status) <= {"max_iterations", "diverged"}
    assert tables.runs.bound_holds.all()
    for table in tables:
        numbers = table.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
        assert not np.isinf(numbers).any()


@pytest.mark.parametrize("scale", [1e-170, 1e-140, 1e160])
def test_targets_whose_squares_are_no_floats_are_refused(tmp_path, scale):
    path = tmp_path / "scaled.csv"
    path.write_text("a,y\n" + "".join(f"{a},{y * scale!r}\n" for a, y in ((1, 1), (2, 3), (4, 2))))
    runs = run_study(RunConfig(Table(path=str(path), target="y"))).runs
    assert runs.status.tolist() == ["failed"]
    assert "scale the target" in runs.error[0]


def test_spectrum_does_not_depend_on_the_reduction():
    """Rank by the shape of X, not of R: a column 1e13 times the rest has it on the brink."""
    for problem in (Gaussian(24, 20), Gaussian(100, 4, feature_mean=1e13), Gaussian(300, 3)):
        found = [
            run_study(RunConfig(problem, method=GradientDescent(iterations=10, reduce=reduce)))
            for reduce in ("qr", "none")
        ]
        (reduced, full) = (tables.eigenvalues.eigenvalue.tolist() for tables in found)
        assert reduced == full
        assert found[0].runs["rank"][0] == found[1].runs["rank"][0]


def test_badly_scaled_features_are_not_called_converged(tmp_path):
    """Time stamps, tiny rates, a temperature: w* has entries of 1e5 that the gap does not feel."""
    rng = np.random.default_rng(0)
    stamp, rate, heat = 1.7e9 + np.arange(60.0), 1e-5 * rng.random(60), 20 + rng.random(60)
    y = heat + 1e5 * rate + rng.standard_normal(60)
    path = tmp_path / "sensor.csv"
    rows = zip(stamp.tolist(), rate.tolist(), heat.tolist(), y.tolist(), strict=True)
    path.write_text(
        "time,rate,heat,y\n" + "".join(f"{a!r},{b!r},{c!r},{d!r}\n" for a, b, c, d in rows)
    )
    config = RunConfig(Table(path=str(path), target="y"), step=Step(value=[1.0, 1.9, 2.0]))
    runs = run_study(config).runs
    assert (runs.gap_floor < 1e-6 * runs.initial_gap).all()
    assert runs.bound_holds.all()


@pytest.mark.parametrize("step", [1e6, 1e16, 1e20, 1e40])
def test_the_coursework_bound_is_broken_at_once_by_a_huge_step(step):
    (run,) = run_study(RunConfig(step=Step(value=step))).runs.itertuples()
    assert run.bound_holds
    assert (run.bound_coursework_holds, run.first_violation_coursework) == (False, 1)


def test_predicted_iterations_keep_their_digits(tmp_path):
    """kappa = 1e12 and a short step: 1 − nu is 1e-15, which 1 − nu itself would round away."""
    path = tmp_path / "two.csv"
    path.write_text("a,y\n1e6,1\n-1e6,3\n")
    (run,) = run_study(
        RunConfig(
            Table(path=str(path), target="y"),
            method=GradientDescent(iterations=5),
            step=Step(value=1e-3),
        )
    ).runs.itertuples()
    assert run.condition_number == pytest.approx(1e12, rel=1e-9)
    assert run.iterations_predicted == pytest.approx(
        np.log(1e-6) / (2 * np.log1p(-1e-15)), rel=1e-6
    )
