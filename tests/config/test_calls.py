"""Configurations made in Python: arrays of NumPy are read, and what is out of place is told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    Gaussian,
    GradientDescent,
    HeavyBall,
    LeastSquares,
    Prescribed,
    Record,
    RunConfig,
    Step,
    Table,
)
from gdconv.config.rules import ConfigError
from gdconv.config.sections import StudyConfig

X = np.ones((20, 3))
FRAME = pd.DataFrame(X, columns=list("abc"))


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (lambda: Step(value=np.array([0.5, 1.0])).value, (0.5, 1.0)),
        (lambda: Step(value=np.float32(0.5)).value, (0.5,)),
        (lambda: Step(value=np.array(0.5)).value, (0.5,)),
        (lambda: Step(value=pd.Series([1, 2])).value, (1.0, 2.0)),
        (lambda: Step("optimal", np.array([1])).value, (1.0,)),
        (lambda: RunConfig(seed=np.arange(3)).seed, (0, 1, 2)),
        (lambda: RunConfig(repetitions=np.int64(3)).repetitions, 3),
        (lambda: Gaussian(np.int32(20), np.float64(3)).n_features, 3),
        (lambda: HeavyBall(momentum=np.array([0.5, 0.9])).momentum, (0.5, 0.9)),
        (lambda: Table("a.csv", target="y", standardize=np.bool_(True)).standardize, True),
        (lambda: Table("a.csv", target="y", columns=FRAME.columns).columns, ("a", "b", "c")),
        (lambda: Table(Path("a.csv"), target="y").path, ("a.csv",)),
        (lambda: StudyConfig(results_dir=Path("a")).results_dir, "a"),
    ],
)
def test_numbers_of_numpy_and_paths_are_read(given, asked):
    assert given() == asked
    found = given()
    # What NumPy calls a number would have another text, and so another identifier.
    types = {type(each) for each in (found if isinstance(found, tuple) else [found])}
    assert types <= {int, float, bool, str}


DATA = "problem=array of shape (20, 3): must be a problem of gdconv, as Gaussian(); data are run"
UNITS = "one of lambda_max, optimal, absolute, K, limit, samples, sharpness"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: RunConfig(problem=X), f"{DATA} by run_study(LeastSquares(X, y))"),
        (lambda: RunConfig(FRAME), "problem=DataFrame of shape (20, 3): must be a problem"),
        (lambda: RunConfig(LeastSquares(X, X[:, 0])), "problem=LeastSquares(…): must be a"),
        (lambda: RunConfig(Gaussian), "problem=the class Gaussian: must be a problem of gdconv"),
        (lambda: RunConfig("spectrum"), "problem=spectrum: must be a problem of gdconv, as Presc"),
        (lambda: RunConfig(start=np.zeros(3)), "start=array of shape (3,): must be a start of"),
        (lambda: RunConfig(method="sgd"), "method=sgd: must be a method of gdconv, as Sgd()"),
        (lambda: RunConfig(method=GradientDescent), "method=the class GradientDescent: must be a"),
        (lambda: RunConfig(step=0.5), "step=0.5: must be a Step, as Step(value=[0.5,1.0])"),
        (lambda: RunConfig(step=np.array([1.0])), "step=array of shape (1,): must be a Step"),
        (lambda: RunConfig(record=60), "record=60: must be a Record, as Record(points=60)"),
        (lambda: RunConfig(seed=X), "seed=array of shape (20, 3): must be a whole number"),
        (lambda: Step(np.array([0.5])), f"step.unit=array of shape (1,): must be {UNITS}; step"),
        (lambda: Step(0.5), f"step.unit=0.5: must be {UNITS}; step sizes belong to step.value"),
        (lambda: Step(value=X), "step.value=array of shape (20, 3): must be a finite number"),
        (lambda: Step(value=FRAME), "step.value=DataFrame of shape (20, 3): must be a finite"),
        (lambda: Step(value=np.array([1, -1])), "step.value=[1,-1]: must be a finite number fro"),
        (lambda: Step(value=np.arange(9)), "step.value=array of shape (9,): must be a finite"),
        (lambda: Gaussian(X), "problem.n_samples=array of shape (20, 3): must be a whole number"),
        (lambda: Prescribed(profile=np.array(["power"])), "problem.profile=[power]: must be one"),
        (lambda: Table(FRAME, target="a"), "problem.path=DataFrame of shape (20, 3): must be the"),
        (lambda: Table(path=X, target="a"), "problem.path=array of shape (20, 3): must be the"),
        (lambda: Record(np.array([5, 6])), "record.points=[5,6]: must be a whole number from 2"),
        (lambda: StudyConfig(engine="dask"), "engine=dask: must be an engine of gdconv, as Proc"),
    ],
)
def test_what_is_out_of_place_ends_in_a_sentence(wrong, told):
    with pytest.raises(ConfigError) as refused:
        wrong()
    assert str(refused.value).startswith(told)


def test_of_a_long_array_the_element_is_told_that_is_wrong():
    with pytest.raises(ConfigError, match=r"; -0\.5 is not$"):
        Step(value=np.linspace(-0.5, 1, 400))
