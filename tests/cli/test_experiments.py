"""The stored sweeps: each one runs, here in a smaller size, and varies the keys it is about."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gdconv.report.figures import NAMES

ROOT = Path(__file__).resolve().parents[2]
GDCONV = Path(sys.executable).with_name("gdconv")
DIABETES = ROOT / "tests" / "data" / "diabetes.csv"

# What makes an experiment small, and the columns that vary in it all the same.
EXPERIMENTS = {
    "default": (["problem.n_features=2,3"], ["n_features", "relative_step", "repetition"]),
    "step_size": (["problem.n_features=3"], ["relative_step", "repetition"]),
    "dimension": (["problem.n_features=3,20"], ["n_features", "step_unit", "rank", "repetition"]),
    "conditioning": (["problem.n_features=3"], ["condition_number", "step_unit", "step_value"]),
    "rank_deficient": (["problem.n_features=3,20"], ["rank", "start", "relative_step"]),
    "feature_mean": (["problem.n_features=3"], ["problem_options", "step_unit", "step_value"]),
    "errata": (["problem.n_features=3"], ["start", "relative_step"]),
    "reference": (["problem.n_features=2,20"], ["n_features", "start", "step_unit", "rank"]),
    "methods": (["problem.n_features=3"], ["method", "method_options", "condition_number"]),
    "momentum": (["problem.n_features=3"], ["method_options", "condition_number", "momentum"]),
    "stability": (["problem.n_features=3"], ["momentum", "relative_step"]),
    "conjugate_gradient": (["problem.n_features=6"], ["problem_options", "condition_number"]),
    "line_search": (["problem.n_features=3"], ["method", "method_options", "condition_number"]),
    "restart": (["problem.n_features=3"], ["method", "method_options"]),
    "halting_time": (["problem.n_features=3,6", "repetitions=3"], ["method", "n_features"]),
    "sgd": (["problem.n_features=3", "method.paths=3"], ["method_options", "step_value"]),
    "batch_size": (
        ["problem.n_features=3", "method.paths=3", "method.batch_size=[1,3,12]"],
        ["method_options", "step_value", "step_limit"],
    ),
    "kaczmarz": (["problem.n_features=3"], ["method", "method_options", "noise"]),
    "high_dimension": (["problem.n_features=3,6"], ["n_features", "step_value", "repetition"]),
    "edge_of_stability": ([], ["problem_options", "method", "step_size"]),
    "two_parameters": ([], ["problem_options", "step_size", "verdict"]),
    "table": (
        [f"problem.path={DIABETES}", "problem.target=progression"],
        ["step_unit", "relative_step"],
    ),
}


def test_every_stored_sweep_is_tried_and_in_the_readme():
    stored = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    assert stored == EXPERIMENTS.keys()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (table,) = (part for part in readme.split("\n\n") if part.startswith("| `experiment=` |"))
    rows = [re.findall(r"`(\w+)`", row) for row in table.splitlines()[2:]]
    assert {name for name, *_ in rows} == stored
    assert len(rows) == len(stored)
    # Names with a dot are keys, which the pattern does not find.
    assert {name for row in rows for name in row[1:]} <= set(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "table" else pytest.param(name, marks=pytest.mark.slow)
        for name in EXPERIMENTS
    ],
)
def test_a_stored_sweep_runs(name, tmp_path):
    smaller, varied = EXPERIMENTS[name]
    samples = [] if name in ("table", "two_parameters") else ["problem.n_samples=12"]
    command = [GDCONV, f"experiment={name}", *smaller, *samples, "method.iterations=30"]
    done = subprocess.run([*command, "report=false"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:8]) == (0, "results/"), done.stderr
    runs = pd.read_csv(tmp_path / "results" / name / "runs.csv")
    assert "failed" not in set(runs.status)
    assert runs.bound_holds.dropna().astype(bool).all()
    assert [column for column in varied if runs[column].nunique() < 2] == []


@pytest.mark.slow
def test_two_stored_sweeps_in_one_study(tmp_path):
    """98 runs of the one and 336 of the other, in whatever order they are named."""
    small = ["report=false", "problem.n_samples=12", "method.iterations=30"]
    tables = []
    for names in ("errata,rank_deficient", "rank_deficient,errata"):
        command = [GDCONV, "-m", f"experiment={names}", f"study='{names}'", *small]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"{names}: 434 runs: " in done.stdout
        tables.append((tmp_path / "results" / names / "runs.csv").read_bytes())
    assert tables[0] == tables[1]
