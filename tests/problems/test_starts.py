"""Every start with every problem family: w_0 is where it should be, and the run follows theory."""

import numpy as np
import pytest
import scipy.linalg

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Normal, Step, Zeros
from gdconv.experiment.group import run_ids
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective
from gdconv.problems.starts import starting_point
from gdconv.sweep.sweep import run_study

FAMILIES = {
    "gaussian": Gaussian(40, 6),
    "correlated": Correlated(40, 6),
    "spectrum": Prescribed(40, 6),
    "polynomial": Polynomial(40, 5),
    "gaussian, wide": Gaussian(5, 9),
    "correlated, wide": Correlated(5, 9),
    "spectrum, wide": Prescribed(5, 9, condition_number=10),
    "polynomial, wide": Polynomial(5, 8),
}
STARTS = {
    "zeros": Zeros(),
    "normal": Normal(3.0),
    "eigenvector max": Eigenvector("max", 2.0),
    "eigenvector min": Eigenvector("min", 2.0),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_from_every_start(family, start):
    config = RunConfig(
        family, start, GradientDescent(iterations=300), Step("lambda_max", [0.9, 2.1])
    )
    tables = run_study(config)
    runs, curves = tables.runs, tables.curves
    numbers = runs.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
    assert not np.isinf(numbers).any()
    assert runs.start.tolist() == [start.name] * 2
    if start.name == "zeros":
        assert runs[["start_which", "start_radius"]].isna().all(axis=None)
    else:
        assert runs.start_radius.tolist() == [start.radius] * 2
    assert (runs["rank"] == min(runs.n_samples[0], runs.n_features[0])).all()
    assert (runs.lambda_min == 0).all() == (runs.n_samples[0] < runs.n_features[0])
    assert runs.bound_holds.all()
    # The exact formula knows the start through w_0 − w* alone. 1e-4 is two roundings of the gap's
    # amplitude at a million floors; growing from rounding errors is not covered by it.
    shrinking = curves[curves.relative_step < 1]
    clear = shrinking[shrinking.gap > 1e10 * shrinking.gap_floor]
    assert len(clear) > 5
    assert clear.gap.to_numpy() == pytest.approx(clear.gap_exact.to_numpy(), rel=1e-4)


@pytest.mark.parametrize("reduce", ["qr", "none"])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("which", ["max", "min"])
def test_eigenvector_start(family, which, reduce):
    """Against another solver, and with H itself."""
    problem = make(family, 0, 0)
    objective = Objective(problem, reduce)
    found = starting_point(Eigenvector(which, 2.0), 0, 0, objective)
    away = found - scipy.linalg.lstsq(problem.X, problem.y)[0]
    assert np.linalg.norm(away) == pytest.approx(2.0, rel=1e-10)
    found_spectrum = objective.spectrum
    eigenvalue = found_spectrum.lambda_max if which == "max" else found_spectrum.lambda_min_positive
    H = 2 * problem.X.T @ problem.X
    # Both w* are off by eps times the condition number of X, below 1e3 here.
    assert H @ away == pytest.approx(eigenvalue * away, abs=1e-11 * found_spectrum.lambda_max)


@pytest.mark.parametrize("step", [0.3, 1.9, 2.1])
@pytest.mark.parametrize("which", ["max", "min"])
def test_along_an_eigenvector_the_rate_is_that_of_its_eigenvalue(which, step):
    config = RunConfig(
        Prescribed(30, 4, noise=0.0, condition_number=10.0),
        Eigenvector(which),
        GradientDescent(iterations=10),
        Step(value=step),
    )
    (run,) = run_study(config).runs.itertuples()
    eigenvalue = {"max": run.lambda_max, "min": run.lambda_min}[which]
    expected = eigenvalue / 2 * (1 - run.step_size * eigenvalue) ** 20
    assert run.final_gap == pytest.approx(expected, rel=1e-9)
    assert run.initial_distance == pytest.approx(1.0, rel=1e-12)


def test_multiple_largest_eigenvalue():
    objective = Objective(LeastSquares(np.eye(3), np.arange(3.0)), "none")
    for which in ("max", "min"):
        found = starting_point(Eigenvector(which, 0.5), 0, 0, objective)
        assert np.linalg.norm(found - np.arange(3.0)) == pytest.approx(0.5, rel=1e-14)


def test_a_single_feature():
    objective = Objective(LeastSquares(np.ones((4, 1)), np.arange(4.0)), "qr")
    for which in ("max", "min"):
        found = starting_point(Eigenvector(which, 0.5), 0, 0, objective)
        assert np.abs(found - 1.5) == pytest.approx([0.5], rel=1e-14)


def test_normal_start_has_its_own_random_numbers():
    objective = Objective(make(Gaussian(50, 2000), 0, 0), "none")
    first, other, again = (
        starting_point(Normal(2.0), seed, repetition, objective)
        for seed, repetition in ((0, 0), (0, 1), (0, 0))
    )
    assert (first == again).all()
    assert (first != other).all()
    # Five standard errors of 2000 draws.
    assert first.mean() == pytest.approx(0, abs=5 * 2 / np.sqrt(2000))
    assert first.std() == pytest.approx(2, abs=5 * 2 / np.sqrt(4000))
    features = make(Gaussian(50, 2000), 0, 0).X[0, :-1]
    assert abs(np.corrcoef(first[1:], features)[0, 1]) < 5 / np.sqrt(2000)


def test_starts_are_part_of_the_identity():
    ids = [run_ids([*expand(RunConfig(start=start))])[0] for start in STARTS.values()]
    assert len(set(ids)) == len(ids)
