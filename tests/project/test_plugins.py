"""Families and figures of other packages: the example package is installed and used."""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from gdconv import Family, RunConfig, run_study
from gdconv.config import plugins
from gdconv.config.problems import PROBLEMS
from gdconv.config.rules import ConfigError
from gdconv.report.figures import catalogue
from gdconv.report.figures.drawing import NothingToShowError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent


@pytest.fixture(scope="module", name="package")
def _package(tmp_path_factory):
    """A folder with the example package, installed as pip does."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder)]
    example = ROOT / "docs" / "examples" / "package"
    subprocess.run([*pip, *options, str(example)], check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_the_example_package_adds_a_family_and_a_figure(package, tmp_path):
    def run(*words):
        variables = os.environ | {"PYTHONPATH": str(package)}
        return subprocess.run(
            [SCRIPTS / words[0], *words[1:]],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
        )

    words = ["problem=hilbert", "problem.n_features=3,5", "seed=0,1", "method.iterations=20"]
    done = run("gdconv", "-m", *words, "study=s", "engine=processes")
    assert done.returncode == 0, done.stderr
    runs = pd.read_csv(tmp_path / "results" / "s" / "runs.csv")
    X = 1 / (np.arange(1, 21)[:, None] + np.arange(5))
    expected = np.linalg.cond(X) ** 2
    (found,) = runs[runs.n_features == 5].condition_number.unique()
    assert found == pytest.approx(expected, rel=1e-6)
    assert (tmp_path / "results" / "s" / "figures" / "final_gaps.png").stat().st_size > 1000
    page = (tmp_path / "results" / "s" / "report.html").read_text(encoding="utf-8")
    assert "What is left of the gap at the end of each run" in page
    assert "hilbert" in run("gdconv", "--help").stdout
    refused = run("gdconv", "problem=hilbert", "problem.n_features=30")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "must be a whole number from 1 to 20" in refused.stderr
    verified = run("gdconv-verify", "problem=hilbert", "method.iterations=20")
    assert verified.returncode == 0, verified.stdout


@dataclass(frozen=True)
class Own(Family):
    """A family that returns what a test puts there."""

    name: ClassVar[str] = "own"
    n_samples: ClassVar[int] = 3
    n_features: ClassVar[int] = 2
    drawn: ClassVar[tuple] = ()

    def draw(self, generator):
        return self.drawn


@pytest.mark.parametrize(
    ("drawn", "says"),
    [
        ((np.ones((2, 2)), np.ones(2)), "X of shape (2, 2) and y of shape (2,), but n_samples"),
        ((np.ones((3, 2)), np.ones((3, 1))), "y of shape (3, 1)"),
        (([[1, np.inf]] * 3, [1, 2, 3]), "not finite"),
    ],
)
def test_what_a_family_draws_is_checked(drawn, says, monkeypatch):
    monkeypatch.setattr(Own, "drawn", drawn)
    run = run_study(RunConfig(Own())).runs.iloc[0]
    assert run.status == "failed"
    assert says in run.error


def test_a_family_of_python_needs_no_entry_point(monkeypatch):
    monkeypatch.setattr(Own, "drawn", ([[1, 0], [0, 2], [1, 1]], [1, 2, 3]))
    run = run_study(RunConfig(Own())).runs.iloc[0]
    assert run.condition_number == pytest.approx(3.1244, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("own", "nosuch_module:Own", "cannot be loaded, ModuleNotFoundError"),
        ("own", "builtins:print", "must be a gdconv.Family whose name is own"),
        ("other", f"{__name__}:Own", "must be a gdconv.Family whose name is other"),
    ],
)
def test_an_entry_point_that_will_not_do_is_refused_by_name(name, value, says, monkeypatch):
    entry = EntryPoint(name, value, plugins.OF_PROBLEMS)
    monkeypatch.setattr(plugins, "found", lambda group: {name: entry})
    with pytest.raises(ConfigError) as refused:
        plugins.families.__wrapped__()
    assert says in str(refused.value)
    assert name not in PROBLEMS


def test_a_family_may_not_take_the_name_of_another(monkeypatch):
    monkeypatch.setattr(Own, "name", "gaussian")
    entry = EntryPoint("gaussian", f"{__name__}:Own", plugins.OF_PROBLEMS)
    monkeypatch.setattr(plugins, "found", lambda group: {"gaussian": entry})
    monkeypatch.setattr(EntryPoint, "load", lambda self: Own)
    with pytest.raises(ConfigError, match="has the name of a family of gdconv"):
        plugins.families.__wrapped__()


@pytest.mark.parametrize("value", ["nosuch_module:PLOT", "builtins:print"])
def test_a_figure_that_cannot_be_loaded_is_left_out_with_the_reason(value, monkeypatch):
    entry = EntryPoint("theirs", value, plugins.OF_FIGURES)
    monkeypatch.setattr(catalogue, "found", lambda group: {"theirs": entry})
    plot = catalogue._plot("theirs")
    with pytest.raises(NothingToShowError, match=value.split(":")[0]):
        plot.draw(None)
