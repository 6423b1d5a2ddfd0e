"""run_study on data from Python: the same as on a file, and refused where it will not do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gdconv import Gaussian, LeastSquares, RunConfig, Step, Table, read, run_study
from gdconv.config.rules import ConfigError
from gdconv.config.sections import Processes
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import make

DIABETES = Path(__file__).parents[1] / "data" / "diabetes.csv"
SHORT = {"method": GradientDescent(iterations=50), "step": Step(value=[0.5, 1.9])}
NAMED = ["run_id", "problem_id", "content", "file"]


def test_a_frame_is_the_table_that_its_file_is():
    frame = pd.read_csv(DIABETES)
    found = run_study(frame, target="progression", standardize=True, **SHORT)
    expected = run_study(RunConfig(Table(str(DIABETES), "progression", True), **SHORT))
    pd.testing.assert_frame_equal(found.runs.drop(columns=NAMED), expected.runs.drop(columns=NAMED))
    pd.testing.assert_frame_equal(
        found.coefficients.drop(columns=NAMED[:2]), expected.coefficients.drop(columns=NAMED[:2])
    )
    assert set(found.runs.file) == {"DataFrame in memory"}


def test_texts_dates_and_gaps_of_a_frame_follow_the_keys():
    frame = pd.DataFrame(
        {
            "word": ["b", "a", None, "b", "c"],
            "day": pd.to_datetime(["2024-01-05", "2024-01-01", "2024-01-02", None, "2024-01-09"]),
            2020: [1, 2, 4, 8, 16],
            "on": [True, False, True, True, False],
            "y": [1.0, 2, 3, 5, 4],
        },
        index=[7, 3, 5, 1, 9],
    )
    keys = {"text": "one_hot", "missing": "drop_rows", "dates": "day"}
    tables = run_study(frame, target="y", intercept=False, **keys, **SHORT)
    coefficients = tables.coefficients
    assert coefficients["column"].tolist() == ["word=b", "word=c", "day", "2020", "on=True"]
    X = np.array([[1, 0, 4, 1, 1], [0, 0, 0, 2, 0], [0, 1, 8, 16, 0]])
    expected = np.linalg.pinv(X) @ np.array([1, 2, 4])
    assert coefficients.coefficient.tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_arrays_are_taken_as_they_are():
    drawn = make(Gaussian(n_samples=30, n_features=4), 3, 0)
    found = run_study(drawn, **SHORT).runs
    expected = run_study(RunConfig(Gaussian(30, 4), seed=3, **SHORT)).runs
    same = ["n_samples", "n_features", "condition_number", "loss_star", "final_gap", "bound_holds"]
    pd.testing.assert_frame_equal(found[same], expected[same])


def test_data_are_identified_by_content(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    folder = tmp_path / "s"
    for data in (LeastSquares(X, y), LeastSquares(X.copy(order="F"), list(y)), LeastSquares(X, -y)):
        run_study(data, folder=folder, **SHORT)
    runs = read(folder).runs
    assert len(runs) == 4
    assert runs.content.nunique() == 2
    # A name is part of it, because coefficients have it.
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=y)
    for each in (frame, frame.rename(columns={"a": "z"})):
        run_study(each, target="y", folder=folder, **SHORT)
    assert read(folder).runs.content.nunique() == 4
    path = yaml.safe_load((folder / "config.yaml").read_text())["problem"]["path"]
    assert re.fullmatch(r"<DataFrame [0-9a-f]{8}>", path)
    with pytest.raises(ConfigError, match="was given from Python, and is run by run_study alone"):
        run_study(RunConfig(Table(path, "y")))


@pytest.mark.slow
def test_processes_get_the_data():
    frame = pd.read_csv(DIABETES)
    keys = {"target": "progression", "standardize": True, **SHORT}
    alone, together = (run_study(frame, engine, **keys) for engine in (None, Processes(workers=2)))
    for found, expected in zip(together, alone, strict=True):
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("given", "keys", "said"),
    [
        (
            np.eye(3),
            {},
            "configs=array of shape (3, 3): must be a RunConfig, several of them, Least",
        ),
        ("table.csv", {}, "configs=table.csv: must be a RunConfig"),
        ([Gaussian()], {}, "configs=Gaussian(…): must be a RunConfig"),
        (pd.DataFrame({"a": [1, 2]}), {}, "target=null: must be the name of a column, one of [a]"),
        (
            pd.DataFrame({"a": [1, 2]}),
            {"target": "b"},
            "problem.target=b: must be a column of <DataFrame ",
        ),
        (
            pd.DataFrame({"a": [1, 2], "y": ["p", "q"]}),
            {"target": "a"},
            "problem.path=<DataFrame ",
        ),
        (
            pd.DataFrame({"a": [1, 2]}),
            {"target": "a", "steps": 1},
            "steps=1: is not a key; allowed:",
        ),
        (
            RunConfig(),
            {"target": "y"},
            "target=y: is a key for data; in a RunConfig it is set there",
        ),
        (
            LeastSquares(np.ones(3), np.ones(3)),
            {},
            "X=array of shape (3,): must have a row for each",
        ),
        (
            LeastSquares(np.ones((3, 1)), np.ones(2)),
            {},
            "y=array of shape (2,): must have the shape (3,)",
        ),
        (
            LeastSquares(np.ones((3, 1)), [1, 2, np.nan]),
            {},
            "y=y[2] = nan: must hold finite numbers",
        ),
        (
            LeastSquares(np.ones((3, 1)) * 1j, np.ones(3)),
            {},
            "X=complex128: must be an array of real",
        ),
        (LeastSquares([["a"]], [1]), {}, "X=<U1: must be an array of real numbers"),
    ],
)
def test_what_will_not_do_is_refused_in_a_sentence(given, keys, said):
    with pytest.raises(ConfigError) as caught:
        run_study(given, **keys)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
