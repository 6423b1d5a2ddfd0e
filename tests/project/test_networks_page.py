"""docs/networks.md: its commands run, and its numbers are those that they print."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gdconv import HeavyBall, Nesterov, Sgd
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.verify.network.statements import STATEMENTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (gdconv.*)$", PAGE, re.MULTILINE)
SCRIPTS = Path(sys.executable).parent


def run(command, folder):
    words = shlex.split(command)
    done = subprocess.run(
        [SCRIPTS / words[0], *words[1:]], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, tmp_path):
    (tmp_path / "houses.csv").write_text(
        "size,rooms,price\n" + "".join(f"{60 + 7 * i},{2 + i % 4},{i * i}\n" for i in range(12))
    )
    report = [] if command.startswith("gdconv-verify") else ["report=false"]
    said = run(shlex.join([*shlex.split(command), *report]), tmp_path)
    assert "fail" not in said


def test_the_first_command_crosses_and_rises_where_the_page_says(tmp_path):
    said = run(COMMANDS[0] + " report=false", tmp_path)
    assert int(re.search(r"crossed at iteration (\d+)", said)[1]) == pytest.approx(2850, rel=0.01)
    assert int(re.search(r"first_rise +(\d+)", said)[1]) == pytest.approx(3100, rel=0.01)


@pytest.mark.slow
def test_the_stored_sweeps_have_the_numbers_of_the_page(tmp_path):
    for command in COMMANDS:
        if "experiment=" in command:
            run(command + " report=false", tmp_path)
    runs = pd.read_csv(tmp_path / "results" / "two_parameters" / "runs.csv")
    curves = pd.read_csv(tmp_path / "results" / "two_parameters" / "curves.csv")
    last = curves.groupby("run_id")[["sharpness", "weight_1", "weight_2"]].last()
    runs = runs.join(last, on="run_id")
    linear = runs[runs.problem_options.str.contains("identity")].set_index("step_size")
    assert linear.sharpness[0.1] == pytest.approx(12.62, abs=0.005)
    assert linear.weight_1[0.25] == pytest.approx(1.04, abs=0.005)
    assert linear.weight_2[0.25] == pytest.approx(0.96, abs=0.005)
    assert linear.sharpness[0.25] == pytest.approx(4.01, abs=0.005)
    assert linear.verdict[0.45] == "diverged"
    relu = runs[runs.problem_options.str.contains("relu")].set_index("step_size")
    assert relu.verdict[0.25] == "dead"
    edge = pd.read_csv(tmp_path / "results" / "edge_of_stability" / "runs.csv")
    small = edge[edge.problem_options.str.contains("tanh") & (edge.step_size == 0.05)]
    (plain,) = small[small.method == "gradient_descent"].itertuples()
    assert plain.threshold == 40
    assert plain.verdict == "below"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (GradientDescent(), 20.0),
        (HeavyBall(momentum=0.5), 30.0),
        (Nesterov(momentum=0.5), 15.0),
        (Sgd(momentum=0.5), 30.0),
    ],
)
def test_the_thresholds_of_the_table(method, expected):
    assert method.sharpness_limit({"step_size": 0.1, "momentum": 0.5}) == pytest.approx(expected)


def test_the_statements_of_gdconv_verify_are_in_the_table():
    theory = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    named = re.findall(r"`network\.(\w+)`", theory)
    assert named == [each.__name__ for each in STATEMENTS]
