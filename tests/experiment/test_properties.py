"""Properties of every problem with every legal step size, on random problems and step sizes."""

import hashlib

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Normal, Record, Step, Zeros
from gdconv.experiment.group import run_group
from gdconv.experiment.iterate import iterate
from gdconv.experiment.prediction import Theory
from gdconv.experiment.trajectory import Recorder
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective
from gdconv.sweep.sweep import run_study
from gdconv.tables.csv import encode

ITERATIONS = 200
# Of two numbers that are computed in two ways, some dozens of roundings each.
ROUNDING = 1e-13

samples, features = st.integers(1, 30), st.integers(1, 12)
noises = st.just(0.0) | st.floats(1e-3, 10.0)
DRAWN = st.one_of(
    st.builds(Gaussian, samples, features, noises, st.floats(-100.0, 100.0)),
    st.builds(Correlated, samples, features, noises, st.floats(-0.999, 0.999)),
    st.builds(
        Prescribed,
        samples,
        features,
        noises,
        st.floats(0.0, 12.0).map(lambda exponent: 10.0**exponent),
        st.sampled_from(["linear", "geometric", "power", "two_point"]),
    ),
    st.builds(Polynomial, samples, st.integers(0, 8), noises),
)
STARTS = st.one_of(
    st.builds(Zeros),
    st.builds(Normal, st.floats(1e-3, 1e3)),
    st.builds(Eigenvector, st.sampled_from(["max", "min"]), st.floats(1e-3, 1e3)),
)
STEPS = st.builds(
    Step,
    st.sampled_from(["lambda_max", "optimal", "absolute", "K"]),
    st.lists(st.floats(0.01, 2.5) | st.floats(1e-100, 1e100), min_size=1, max_size=5),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where tables are put; those of another content under another name."""
    return tmp_path_factory.mktemp("tables")


@st.composite
def tables(draw):
    """Draw the text of a table of numbers of all sizes, some of its columns constant."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(2, 20)), draw(st.integers(1, 5))
    scales = 10.0 ** np.array(
        draw(st.lists(st.integers(-3, 3), min_size=columns, max_size=columns))
    )
    table = scales * (rng.integers(0, 3, columns) + rng.integers(-5, 6, (rows, columns)))
    lines = [",".join(map(repr, row)) for row in table.tolist()]
    return "\n".join([",".join("abcde"[: columns - 1] + "y"), *lines]) + "\n"


@st.composite
def configs(draw, folder, **fixed):
    problem = draw(DRAWN | tables())
    if isinstance(problem, str):
        path = folder / f"{hashlib.sha256(problem.encode()).hexdigest()}.csv"
        path.write_text(problem)
        problem = Table(str(path), "y", draw(st.booleans()))
    keys = {"start": STARTS, "step": STEPS, "seed": st.integers(0, 2**32 - 1)} | fixed
    return RunConfig(problem, **{key: draw(value) for key, value in keys.items()})


@given(data=st.data())
def test_gaps_follow_theory_above_the_floor(data, folder):
    """The exact formula, every bound where it is valid, and the verdicts."""
    method = st.just(GradientDescent(iterations=ITERATIONS))
    tables = run_study(data.draw(configs(folder, method=method)))
    runs = tables.runs.set_index("run_id")
    assert not (runs.status == "failed").any(), runs.error.tolist()
    assert runs.bound_holds.fillna(True).all()
    least_K = (1 + ROUNDING) * (runs.lambda_min + runs.lambda_max) / 2
    valid = least_K <= runs.K
    assert runs.bound_coursework_holds[valid].fillna(True).all()

    curves = tables.curves.join(runs[["K", "lambda_min_positive", "rank"]], on="run_id")
    floor, gap, exact = (np.sqrt(curves[each]) for each in ("gap_floor", "gap", "gap_exact"))
    # Powers are computed by their logarithm, whose last digit is one of the exponent.
    exponent = 2 * curves.iteration * np.log1p(curves.relative_step)
    floor += np.finfo(float).eps * exponent * exact
    assert_below(abs(gap - exact), floor)
    stated = curves.run_id.map(valid)
    for bound in ("gap_bound", "gap_bound_relative", "gap_bound_sharp", "gap_bound_coursework"):
        where = stated if bound == "gap_bound_coursework" else slice(None)
        allowed = np.sqrt(curves[bound].fillna(np.inf))
        assert_below(exact[where], (allowed + floor)[where])
        assert_below(gap[where], (allowed + floor)[where])
    assert_below(np.sqrt(curves.gap_bound_sharp), np.sqrt(curves.gap_bound) + floor)
    # In the null space of H, of which the gap knows nothing, rounding adds up.
    full = curves["rank"] == curves.n_features
    allowed = np.sqrt(curves.distance_bound.fillna(np.inf))
    allowed += np.sqrt(2 * curves.gap_floor / curves.lambda_min_positive)
    assert_below(np.sqrt(curves.distance_squared)[full], allowed[full])


def assert_below(values, allowed):
    """Of numbers that are right but for some roundings."""
    above = values > (1 + ROUNDING) * allowed
    assert not above.any(), (values[above].iloc[0], allowed[above].iloc[0])


def gaps(problem, start, config):
    """(run, iteration) → √gap and √gap_floor of a problem that need not be of a family."""
    objective = Objective(problem, config.method.reduce)
    theory = Theory(objective, start, list(expand(config)))
    recorder = Recorder(
        theory.w_star,
        objective.offset,
        np.arange(ITERATIONS + 1),
        floor=np.zeros(len(theory.step_size)),
        ceiling=theory.ceiling(),
        tolerance=0.5,
    )
    method = GradientDescent()
    iterate(method, objective, start, theory.coefficients, ITERATIONS, recorder.observe)
    measured = recorder.trajectories()
    floor = theory.floor(measured.column, measured.t)
    keys = zip(measured.column.tolist(), measured.t.tolist(), strict=True)
    return dict(zip(keys, np.sqrt([measured.gap, floor]).T, strict=True))


def assert_same_gaps(one, other, scale=1.0):
    # A run leaves at a gap of 0, or close to overflow: with another scale, somewhat later.
    shared = one.keys() & other.keys()
    assert {run for run, _ in shared} == {run for run, _ in one} == {run for run, _ in other}
    first, second = (np.array([each[key] for key in shared]).T for each in (one, other))
    allowed = scale * first[1] + second[1]
    assert (abs(scale * first[0] - second[0]) <= (1 + ROUNDING) * allowed).all()


def turned_exactly(values, rng):
    """values (k, d) in 48 binary digits, and those times an orthogonal matrix, without rounding.

    Rounded, X Q would be another problem: its smallest singular values, and the part of y that is
    outside its range, would differ by far more than an iteration rounds.
    """
    unit = np.spacing(abs(values).max()) * 2**5
    values = np.round(values / unit) * unit
    d = values.shape[1]
    quarters = [scipy.linalg.hadamard(4) / 2] * (d // 4)
    Q = scipy.linalg.block_diag(*quarters, np.eye(d % 4))
    Q = rng.choice([-1.0, 1.0], d) * Q[rng.permutation(d)][:, rng.permutation(d)]
    return values, values @ Q


@given(data=st.data())
def test_an_orthogonal_change_of_features_changes_no_gap(data, folder):
    config = data.draw(configs(folder))
    problem = make(config.problem, config.seed[0], 0)
    X, y = problem.X, problem.y
    rng = np.random.default_rng(config.seed[0])
    start = rng.standard_normal((1, X.shape[1]))
    (X, X_turned), (start, start_turned) = (
        turned_exactly(values, np.random.default_rng(config.seed[0])) for values in (X, start)
    )
    before = gaps(LeastSquares(X, y), start[0], config)
    after = gaps(LeastSquares(X_turned, y), start_turned[0], config)
    assert_same_gaps(before, after)


@given(data=st.data())
@pytest.mark.slow
def test_a_scale_of_y_is_one_of_the_gaps(data, folder):
    """A power of 2 to the last bit, any other scale up to rounding."""
    config = data.draw(configs(folder))
    problem = make(config.problem, config.seed[0], 0)
    start = np.random.default_rng(config.seed[0]).standard_normal(problem.X.shape[1])
    as_it_is = gaps(problem, start, config)
    for scale in (2.0 ** data.draw(st.integers(-30, 30)), data.draw(st.floats(1e-3, 1e3))):
        scaled = gaps(LeastSquares(problem.X, scale * problem.y), scale * start, config)
        assert_same_gaps(as_it_is, scaled, scale)
        if np.frexp(scale)[0] == 0.5:
            shared = as_it_is.keys() & scaled.keys()
            assert all(scale * as_it_is[key][0] == scaled[key][0] for key in shared)


@pytest.mark.slow
@given(data=st.data())
def test_reduced_or_not_the_gaps_are_the_same(data, folder):
    config = data.draw(configs(folder))
    curves = []
    for reduce in ("qr", "none"):
        method = GradientDescent(iterations=ITERATIONS, reduce=reduce)
        twin = RunConfig(
            config.problem, config.start, method, config.step, config.record, config.seed
        )
        tables = run_study(twin)
        value = tables.runs.set_index("run_id").step_value
        curve = tables.curves.assign(step_value=tables.curves.run_id.map(value))
        curves.append(curve.set_index(["step_value", "iteration"])[["gap", "gap_floor"]])
    reduced, full = (np.sqrt(curve) for curve in curves)
    both = reduced.join(full.add_suffix("_full"), how="inner")
    # A run ends where it reaches its floor, which is another one.
    assert len(both) >= len(config.step.value)
    assert_below(abs(both.gap - both.gap_full), both.gap_floor + both.gap_floor_full)


@given(data=st.data())
def test_runs_do_not_depend_on_their_company(data, folder):
    steps = st.builds(Step, value=st.lists(st.floats(0.01, 2.5), min_size=2, max_size=20))
    method = st.builds(GradientDescent, st.just(50), reduce=st.sampled_from(["qr", "none"]))
    record = st.just(Record(points=5))
    config = data.draw(configs(folder, step=steps, method=method, record=record))
    runs = list(expand(config))
    together = encode(run_group(runs))
    chosen = data.draw(st.lists(st.sampled_from(runs), min_size=1, unique=True))
    alone = encode(run_group(chosen))
    assert set(alone.runs.splitlines()) <= set(together.runs.splitlines())
    assert set(alone.curves.splitlines()) <= set(together.curves.splitlines())
    assert alone.eigenvalues == together.eigenvalues
