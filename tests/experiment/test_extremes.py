"""Numbers of runs at the limits of floats: far starts, huge condition numbers, no gap at all.

The oracle of a far start is y = 0 in exact arithmetic, where w* = 0 and one step leads there.
"""

import numpy as np
import pytest

from gdconv import Chebyshev, GradientDescent, HeavyBall, Nesterov
from gdconv.config.problems import Gaussian, Prescribed, Table
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Normal, Record, Step
from gdconv.experiment.group import run_group
from gdconv.sweep.sweep import run_study

FAR = 1e28


@pytest.mark.parametrize(
    "method",
    [
        GradientDescent(),
        HeavyBall(),
        HeavyBall(momentum=[0.9, 0.99]),
        Nesterov(),
        Nesterov(momentum="convex"),
        Chebyshev(),
    ],
)
@pytest.mark.parametrize("seed", [9, 23])
@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_rounding_of_a_far_start_stays_in_the_null_space(method, seed, reduce):
    """There nothing shrinks it, and the gap comes to rest where its products are rounded."""
    object.__setattr__(method, "reduce", reduce)
    start = Eigenvector("min", FAR)
    runs = list(expand(RunConfig(Gaussian(2, 8), start, method, Step("optimal"), seed=seed)))
    found = run_group(runs)
    curves = found.curves
    gap, exact, floor = (np.array(curves[name]) for name in ("gap", "gap_exact", "gap_floor"))
    assert (np.abs(np.sqrt(gap) - np.sqrt(exact)) <= np.sqrt(floor) + 1e-8 * np.sqrt(exact)).all()
    assert False not in found.runs["bound_holds"]
    # The floor is not the excuse for everything either.
    assert floor[-1] <= 1e-16 * gap[0]


@pytest.mark.parametrize("momentum", ["convex", 0.999999, 0.5])
@pytest.mark.parametrize("value", [1.0, 1 + 1e-9, 1 - 1e-12])
@pytest.mark.parametrize("seed", range(4))
def test_nesterov_rests_on_the_step_before_where_one_step_is_enough(momentum, value, seed):
    """All eigenvalues are 1/η but for rounding, so p_t is 0; rounding of w_1 remains in w_2."""
    method = Nesterov(iterations=30, momentum=momentum)
    problem = Prescribed(11, 1, noise=0.0) if seed % 2 else Gaussian(1, 6)
    config = RunConfig(
        *(problem, Eigenvector("max", 1e5 * 10**seed), method, Step(value=value)),
        record=Record(points=40),
        seed=seed,
    )
    tables = run_study(config)
    gap, exact, floor = (np.sqrt(tables.curves[n]) for n in ("gap", "gap_exact", "gap_floor"))
    assert (np.abs(gap - exact) <= floor + 1e-13 * exact).all()
    assert tables.runs["bound_holds"].fillna(True).all()


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return Table(path=str(path), target="y")


@pytest.mark.parametrize("method", [GradientDescent(), HeavyBall(), Nesterov(), Chebyshev()])
def test_without_a_gap_nothing_grows(tmp_path, method):
    problem = table(tmp_path, "a,y\n1,0\n2,0\n4,0\n")
    runs = run_study(RunConfig(problem, method=method)).runs
    assert runs["growth_predicted"].tolist() == [1.0]


@pytest.mark.parametrize("method", [HeavyBall(), Nesterov(), Chebyshev()])
def test_features_of_very_different_size_are_not_refused(tmp_path, method):
    """κ = 2e36: the best momentum is 1 as a float, and no step size is too long."""
    problem = table(tmp_path, "a,y\n1e18,1\n-1e18,2\n1e18,-4\n-1e18,3\n")
    runs = run_study(RunConfig(problem, method=method, step=Step())).runs
    assert runs["status"].tolist() == ["max_iterations"]
    assert runs["condition_number"][0] > 1e33
    assert runs["stable"].all()
    assert runs["bound_holds"].all()


def test_a_start_without_a_part_along_what_grows(tmp_path):
    """Its part is exactly 0, so it neither grows nor is it 0 times infinity."""
    problem = table(tmp_path, "a,b,y\n1,0,0\n-1,0,0\n0,2,0\n0,-2,0\n")
    for method in (GradientDescent(), HeavyBall(momentum=0.5), Nesterov(momentum="convex")):
        config = RunConfig(problem, Eigenvector("min"), method, Step(value=30.0))
        curves = run_study(config).curves
        assert curves["gap_exact"].notna().all()


@pytest.mark.parametrize(
    "method",
    [
        GradientDescent(iterations=30_000),
        HeavyBall(iterations=3000),
        Nesterov(iterations=3000),
        Chebyshev(iterations=3000),
    ],
)
def test_there_is_no_verdict_where_powers_are_too_small_for_floats(tmp_path, method):
    """y = 0: the gap falls from 1e56 to 0, but p_t² is 0 as a float below 1e-324."""
    problem = table(tmp_path, "a,y\n1,0\n2,0\n4,0\n")
    config = RunConfig(problem, Normal(FAR), method, Step(value=0.9), Record(points=400))
    tables = run_study(config)
    small = tables.curves["gap"] <= 1e-308 * tables.curves["gap"].max()
    assert small.any()
    assert (tables.curves["gap"] <= tables.curves["gap_floor"])[small].all()
    assert tables.runs["bound_holds"].all()
