"""A sweep: which runs are planned and grouped, what a failed group costs, and what is logged."""

import logging
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pandas as pd
import pytest
import threadpoolctl

from gdconv.config.problems import Gaussian, Prescribed, Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step, StudyConfig
from gdconv.experiment import group as studies
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.problems.families import file_content
from gdconv.sweep import sweep
from gdconv.sweep.sweep import grouped, plan, run_study, run_sweep
from gdconv.tables.csv import read
from nnlib.terminal import in_notebook

SMALL = RunConfig(
    Gaussian(n_samples=12, n_features=3),
    method=GradientDescent(iterations=50),
    step=Step(value=[0.5, 1.0]),
)


def test_every_run_is_planned_once():
    again = RunConfig(SMALL.problem, method=SMALL.method, step=Step(value=[1.0, 1.5]))
    runs = plan([SMALL, again]).runs
    assert [run.step_value for run in runs.values()] == [0.5, 1.0, 1.5]


def test_a_method_without_a_step_size_is_planned_once_and_told_once():
    configs = [
        RunConfig(SMALL.problem, method=method, step=Step(value=value))
        for method in (Chebyshev(lower=[0.5, 1.0]), SMALL.method)
        for value in (0.5, [1.0, 1.5])
    ]
    planned = plan(configs)
    assert [(run.method.name, run.step_value) for run in planned.runs.values()] == [
        *(("chebyshev", None), ("chebyshev", None)),
        *(("gradient_descent", value) for value in (0.5, 1.0, 1.5)),
    ]
    # The steps are asked for by the other method.
    assert planned.notices == []
    assert plan(configs[:2]).notices == [
        "method=chebyshev: takes no step size, so step.value and step.unit have no effect on it"
    ]


def test_a_pair_is_planned_as_its_runs_alone():
    heavy_ball = HeavyBall(iterations=50, momentum=[0.5, 0.9])
    pair = "step.value", "method.momentum"
    together = RunConfig(SMALL.problem, method=heavy_ball, step=SMALL.step, pair=pair)
    alone = [
        RunConfig(
            SMALL.problem,
            method=HeavyBall(iterations=50, momentum=momentum),
            step=Step(value=value),
        )
        for value, momentum in [(0.5, 0.5), (1.0, 0.9)]
    ]
    assert plan([together]).runs == plan(alone).runs
    for found, expected in zip(run_study(together), run_study(alone), strict=True):
        pd.testing.assert_frame_equal(found, expected)


def test_keys_that_do_not_fit_to_the_eigenvalues_are_refused_before_anything_is_written(tmp_path):
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    empty = RunConfig(Prescribed(12, 3, condition_number=9), method=Chebyshev(lower=[1, 10]))
    with pytest.raises(ConfigError, match=r"method\.lower=10\.0: makes .* it must be at most 9$"):
        run_sweep([SMALL, empty], study)
    assert not list(tmp_path.iterdir())


def test_a_plan_that_memory_cannot_hold_is_refused_before_it_is_made():
    configs = [SMALL, RunConfig(repetitions=10**6)]
    with pytest.raises(ConfigError, match=r"^repetitions=1000000: makes more than 1000000 runs"):
        plan(configs)


def test_groups_share_all_but_the_step():
    configs = [
        RunConfig(Gaussian(n_features=d), step=Step(value=[value]), repetitions=2)
        for value in (0.5, 1.0)
        for d in (2, 3)
    ]
    groups = grouped(plan(configs).runs)
    assert [len(group) for group in groups] == [2, 2, 2, 2]
    assert all({run.step_value for run in group.values()} == {0.5, 1.0} for group in groups)


def test_tables_in_memory_are_those_of_the_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    memory = run_study([SMALL])
    assert not list(tmp_path.iterdir())
    stored = run_study(SMALL, folder=tmp_path / "study")
    for found, expected in zip(memory, stored, strict=True):
        pd.testing.assert_frame_equal(found, expected)


def test_a_list_and_single_values_give_the_same_rows():
    single = [
        RunConfig(SMALL.problem, method=SMALL.method, step=Step(value=value))
        for value in (1.0, 0.5)
    ]
    for found, expected in zip(run_study(single), run_study(SMALL), strict=True):
        pd.testing.assert_frame_equal(found, expected)


def test_bad_files_are_refused_before_anything_is_written(tmp_path):
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    with pytest.raises(ConfigError, match=r"problem\.path=missing\.csv"):
        run_sweep([SMALL, RunConfig(Table(path="missing.csv", target="y"))], study)
    assert not list(tmp_path.iterdir())


def test_the_callers_blas_keeps_its_threads():
    with threadpoolctl.threadpool_limits(2):
        before = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
        run_study(SMALL)
        after = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
    assert 2 in before
    assert after == before


def test_a_group_that_fails_leaves_the_others_alone(tmp_path, monkeypatch):
    path = tmp_path / "huge.csv"
    path.write_text("a,y\n1,1e200\n2,-1e200\n4,1e200\n")
    huge = RunConfig(Table(path=str(path), target="y"), step=Step(value=[0.5, 1.0]))
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    outcome = run_sweep([SMALL, huge], study)
    assert (outcome.added, outcome.failed) == (4, 2)
    tables = run_study([SMALL, huge], folder=outcome.folder)
    failed = tables.runs[tables.runs.status == "failed"]
    assert failed.problem.tolist() == ["table", "table"]
    assert failed.error.str.contains("scale the target").all()
    assert failed[["step_size", "rate_measured", "bound_holds"]].isna().all(axis=None)
    assert not set(failed.run_id) & set(tables.curves.run_id)
    good = run_study(SMALL)
    assert (
        tables.runs.run_id[tables.runs.problem == "gaussian"].tolist() == good.runs.run_id.tolist()
    )
    # Failed before and not run again, the runs still count as failed.
    again = run_sweep([SMALL, huge], study)
    assert (again.added, again.failed) == (0, 2)


def test_an_unforeseen_exception_fails_the_group_not_the_sweep(monkeypatch):
    def broken(*given):
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(studies, "run_group", broken)
    assert run_study(SMALL).runs.error.tolist() == ["ZeroDivisionError: no such luck"] * 2


def test_one_line_a_group_off_the_terminal(tmp_path, caplog):
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    with caplog.at_level(logging.INFO, logger="gdconv"):
        run_sweep([RunConfig(SMALL.problem, repetitions=3, method=SMALL.method)], study)
    messages = [record.message for record in caplog.records]
    assert len(messages) == 3
    assert messages[-1].startswith("group 3 of 3, 3 of 3 runs (1 converged, 2 max_iterations)")


def test_a_bar_on_the_terminal(tmp_path, capsys, monkeypatch, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    run_sweep([SMALL], StudyConfig(study="s", results_dir=str(tmp_path)))
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "diverged=0, failed=0" in shown or "failed=0, diverged=0" in shown
    assert not caplog.records


@pytest.mark.parametrize("change", ["a,y\n1,2\n3,5\n", None], ids=["edited", "deleted"])
def test_a_file_that_changes_during_the_sweep_fails_its_group(tmp_path, monkeypatch, change):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,2\n3,4\n")
    config = RunConfig(Table(path=str(path), target="y"), step=Step(value=[0.5, 1.0]))
    planned = file_content(config.problem)
    begin = sweep.Store.begin

    def meddle(store, *arguments):
        path.unlink() if change is None else path.write_text(change + "6,7\n")
        begin(store, *arguments)

    monkeypatch.setattr(sweep.Store, "begin", meddle)
    outcome = run_sweep([SMALL, config], StudyConfig(study="s", results_dir=str(tmp_path)))
    assert (outcome.added, outcome.failed) == (4, 2)
    # They are runs of the table that was planned with.
    found = read(outcome.folder).runs[["content", "file"]].dropna()
    assert found.to_numpy().tolist() == [[planned, "t.csv"]] * 2


class Bar:
    """Stands for tqdm.auto, which needs a notebook: it keeps what it is told."""

    told: ClassVar[list[Any]] = []

    def __init__(self, **keys):
        Bar.told.append(keys)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, count):
        Bar.told.append(count)

    def set_postfix(self, counts, refresh):
        Bar.told.append(counts)
        assert not refresh


def test_a_bar_in_a_notebook(tmp_path, monkeypatch, caplog):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(Bar, "told", [])
    with caplog.at_level(logging.INFO, logger="gdconv"):
        sweep.run_study(SMALL)
        in_memory, Bar.told = Bar.told, []
        sweep.run_study(SMALL, folder=tmp_path / "s")
    keys = {"total": 2, "unit": "run", "file": None, "delay": 1.0}
    assert in_memory == [keys, {"failed": 0, "diverged": 0}, 2]
    # What is stored shows its bar at once, as on a terminal.
    assert Bar.told == [keys | {"delay": 0.0}, *in_memory[1:]]
    assert not caplog.records


@pytest.mark.parametrize("shell", [None, SimpleNamespace(config={})])
def test_ipython_in_a_terminal_is_no_notebook(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert not in_notebook()
