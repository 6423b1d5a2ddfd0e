"""docs/sgd.md: its commands say what the page says, and its numbers are right."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gdconv import Csv, RunConfig, Sgd, Step, run_study

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sgd.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (gdconv.*)$", PAGE, re.MULTILINE)
SCRIPTS = Path(sys.executable).parent


@pytest.fixture(name="folder")
def _folder(tmp_path):
    ((table),) = re.findall(r"```text\n(x,y\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "four.csv").write_text(table)
    return tmp_path


def run(command, folder):
    words = shlex.split(command)
    done = subprocess.run(
        [SCRIPTS / words[0], *words[1:]], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def test_the_four_rows_show_the_expectation_and_the_limit(folder):
    steps, limit = (run(each, folder) for each in COMMANDS if "four.csv" in each)
    (first,) = re.findall(r"^ +1 +(\S+) +(\S+)", steps, re.MULTILINE)
    assert first[1] == "19.096"
    assert "at the step size 0.0326704 the largest eigenvalue" in limit
    assert "**0.0326704**" in PAGE


def test_the_numbers_with_momentum(folder):
    """η_max with β = 0, ½ and 0.9, and how much more effective a step is than without."""
    problem = Csv(path=str(folder / "four.csv"), target="y")
    method = Sgd(iterations=1, momentum=[0.0, 0.5, 0.9])
    runs = run_study(RunConfig(problem, method=method, step=Step("limit", [0.5]))).runs
    limits = runs.sort_values("momentum")["step_limit"].to_numpy()
    assert ", ".join(f"{each:.4f}" for each in limits[:2]) == "0.0327, 0.0259"
    assert "0.0327, 0.0259 and 0.0070" in PAGE
    assert limits[2] == pytest.approx(0.0070, abs=5e-5)
    gain = limits / (1 - np.array([0, 0.5, 0.9])) / limits[0]
    assert gain[1:] == pytest.approx([1.6, 2.1], abs=0.05)


def test_the_size_within_the_budget():
    assert 400 * 110**2 * 2000 <= Sgd().exact_budget < 400 * 115**2 * 2000


def test_almost_every_single_run_converges_far_beyond_the_limit():
    """The mean logarithm of what a step with one of the four rows multiplies an error by."""
    assert "Almost every single run still converges at 0.045" in PAGE
    rng, X = np.random.default_rng(0), np.array([[0, 1], [1, 1], [2, 1], [3, 1.0]])
    for step_size, known in ((0.04, -0.060), (0.045, None), (0.05, 0.033)):
        e, growth = rng.standard_normal((2000, 2)), []
        for _ in range(300):
            rows = X[rng.integers(4, size=len(e))]
            e = e - 8 * step_size * (rows * e).sum(axis=1, keepdims=True) * rows
            length = np.linalg.norm(e, axis=1, keepdims=True)
            growth.append(np.log(length).mean())
            e /= length
        found = np.mean(growth[50:])
        # The mean of half a million logarithms, of which neighbours are like each other.
        assert found < 0 if known is None else found == pytest.approx(known, abs=0.005)


@pytest.mark.slow
def test_its_other_commands_run(folder):
    shorter = " method.iterations=30 report=false"
    for command in COMMANDS:
        if "four.csv" not in command:
            said = run(command + shorter * ("experiment" in command), folder)
            assert "FAIL" not in said
