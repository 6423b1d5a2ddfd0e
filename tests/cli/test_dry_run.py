"""gdconv --dry-run: what a command would run, what is done of it, and that nothing is written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gdconv import Gaussian, GradientDescent, RunConfig, Table
from gdconv.cli.dry_run import dry_run
from gdconv.config.rules import ConfigError
from gdconv.config.sections import Processes, StudyConfig
from gdconv.sweep.sweep import run_sweep

GDCONV = Path(sys.executable).with_name("gdconv")
SMALL = Gaussian(n_samples=20, n_features=3)


def config(problem=SMALL, iterations=20, **keys):
    return RunConfig(problem, method=GradientDescent(iterations=iterations), **keys)


def test_the_command_counts_jobs_and_runs_and_writes_nothing(tmp_path):
    words = ["-m", "problem.n_features=2,3", "repetitions=2", "step.value=[0.5,1]", "--dry-run"]
    done = subprocess.run([GDCONV, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "2 jobs, 4 groups to run, 8 runs, of which 0 are done"
    assert re.fullmatch(r"about \d+ seconds and \d+ MiB in 1 process", second)
    assert list(tmp_path.iterdir()) == []


def test_runs_that_are_done_are_counted(tmp_path):
    study = StudyConfig("s", str(tmp_path))
    run_sweep([config()], study)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    more = config(repetitions=3)
    lines = dry_run([more], study).splitlines()
    assert lines[0] == "1 job, 2 groups to run, 3 runs, of which 1 are done"
    assert dry_run([config()], study) == "1 job, 0 groups to run, 1 run, of which 1 are done"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (config(), config(iterations=10**8)),
        (config(), config(Gaussian(n_samples=10**9, n_features=30))),
        (config(), config(Gaussian(n_samples=3000, n_features=1000))),
    ],
)
def test_more_work_takes_longer(smaller, larger):
    """Seconds become minutes, or hours."""
    assert re.search(r"about \d seconds", dry_run([smaller], StudyConfig()))
    assert re.search(r"about [\d ]*(1\d seconds|minutes|hours)", dry_run([larger], StudyConfig()))


def test_more_processes_take_more_memory():
    one, two = (
        int(re.search(r"(\d+) MiB", dry_run([config()], StudyConfig(engine=engine)))[1])
        for engine in (StudyConfig().engine, Processes(workers=2))
    )
    assert two == pytest.approx(2 * one, abs=1)


def test_what_is_wrong_is_refused_as_if_it_were_run(tmp_path):
    with pytest.raises(ConfigError, match="must be a readable file"):
        dry_run([config(Table(path=str(tmp_path / "none.csv"), target="y"))], StudyConfig())
