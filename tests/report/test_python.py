"""`read`, `draw` and `compare` called from Python, with names, folders, tables and mistakes."""

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    Gaussian,
    GradientDescent,
    HeavyBall,
    LeastSquares,
    RunConfig,
    Serial,
    Step,
    compare,
    draw,
    read,
    run_study,
)
from gdconv.config.rules import ConfigError
from gdconv.report.figures import NAMES

X = np.ones((20, 3))


def config(*steps, d=3, iterations=30):
    method = GradientDescent(iterations=iterations)
    return RunConfig(Gaussian(40, d), method=method, step=Step(value=steps or 1.0))


@pytest.fixture(scope="module")
def tables():
    return run_study(config(0.5, 1.0))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder results with two studies, and a study beside it."""
    monkeypatch.chdir(tmp_path)
    run_study(config(0.5, 1.0), folder="results/long")
    run_study(config(1.0, 1.5, iterations=20), folder="results/short")
    run_study(config(1.0, d=4), folder="beside")
    return tmp_path


def test_a_name_alone_is_one_of_the_folder_results(results):
    for given in ("long", "results/long", results / "results" / "long"):
        assert read(given).runs.step_value.tolist() == [0.5, 1.0]
    assert read("beside").runs.n_features.tolist() == [4]
    # A folder that is here comes first, and a path with a folder is taken as it is.
    (results / "short").mkdir()
    for missing in ("short", "nowhere/long", "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"runs\.csv"):
            read(missing)


def test_compare_gives_the_differences(results, tables):
    table = compare("long", "short")
    assert table.set_index("step_value").found_in.to_dict() == {
        **{0.5: "long", 1.0: "both", 1.5: "short"}
    }
    (both,) = table[table.found_in == "both"].itertuples()
    ends = [read(name).runs.set_index("step_value").iterations[1.0] for name in ("long", "short")]
    assert both.iterations_difference == ends[1] - ends[0] == -10
    mixed = compare(tables, "short")
    assert mixed.found_in.tolist() == ["first", "both", "second"]


def test_compare_says_why_nothing_is_in_common(results, tables):
    with pytest.raises(ValueError, match=r"^long and beside have no run in common: n_features is"):
        compare("long", "beside")
    heavy = RunConfig(Gaussian(40, 3), method=HeavyBall(iterations=5, momentum=0.5))
    told = "method is gradient_descent in first, and heavy_ball in second"
    with pytest.raises(ValueError, match=told):
        compare(tables, run_study(heavy))
    # Each value occurs in both, but not together.
    one, other = ([config(1.0, d=d), config(0.5, d=7 - d)] for d in (3, 4))
    with pytest.raises(ValueError, match="every value occurs in both"):
        compare(run_study(one), run_study(other))
    with pytest.raises(ValueError, match=r"common: second has no runs$"):
        compare(tables, run_study([]))
    with pytest.raises(ConfigError, match=r"^second=results/long: is the study that it is to be"):
        compare("long", "results/long")


def test_draw_takes_a_name_and_a_folder(results, tables):
    drawn, omitted = draw(tables, "convergence")
    assert (list(drawn), omitted) == (["convergence"], {})
    drawn, omitted = draw("long", ["scaling", "convergence"])
    assert (list(drawn), list(omitted)) == (["convergence"], ["scaling"])


TABLES = "must be the Tables that read or run_study returns, or the folder of a study"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda t: run_study(X, X[:, 0]), "configs=array of shape (20, 3): must be a RunConfig"),
        (lambda t: run_study([X]), "configs=array of shape (20, 3): must be a RunConfig"),
        (lambda t: run_study(config(), X), "engine=array of shape (20, 3): must be an engine"),
        (lambda t: run_study(config(), folder=X), "folder=array of shape (20, 3): must be the"),
        (lambda t: run_study(config(), folder=5), "folder=5: must be the path of a folder"),
        (lambda t: run_study(LeastSquares(X, X)), "y=array of shape (20, 3): must have the shape"),
        (lambda t: draw(t.runs), f"tables=DataFrame of shape (2, 70): {TABLES}"),
        (lambda t: draw(X), f"tables=array of shape (20, 3): {TABLES}"),
        (lambda t: draw(t, X), "names=array of shape (3,): is no figure; they are convergence,"),
        (lambda t: draw(t, 5), "names=5: is no figure; they are convergence, methods"),
        (lambda t: read(5), "folder=5: must be the path of a folder"),
        (lambda t: read(t.runs), "folder=DataFrame of shape (2, 70): must be the path of a"),
        (lambda t: compare(t, X), f"second=array of shape (20, 3): {TABLES}"),
        (lambda t: compare(t.runs, t), f"first=DataFrame of shape (2, 70): {TABLES}"),
    ],
)
def test_what_is_out_of_place_ends_in_a_sentence(wrong, told, tables):
    told = told.replace("(2, 70)", str(tables.runs.shape))
    with pytest.raises(ConfigError) as refused:
        wrong(tables)
    assert str(refused.value).startswith(told)


def test_a_misspelt_figure_gets_a_suggestion(tables):
    with pytest.raises(ConfigError, match=r"; did you mean convergence\?$"):
        draw(tables, ["convergance"])
    assert set(draw(tables)[0]) < set(NAMES)


def test_engines_can_be_imported(tables):
    again = run_study(config(0.5, 1.0), Serial())
    pd.testing.assert_frame_equal(again.runs, tables.runs)
