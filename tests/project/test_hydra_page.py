"""docs/hydra.md: what it says works runs, and what it says is refused ends with one line."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hydra.md").read_text(encoding="utf-8")
WORKS = re.findall(r"^    (gdconv .*)$", PAGE, re.MULTILINE)
REFUSED = [
    row.split("`")[1]
    for row in PAGE.split("## What is refused")[1].splitlines()
    if row.startswith("| `gdconv")
]
SMALL = ["problem.n_samples=30", "method.iterations=20", "report=false"]
# Study → number of runs.
RUNS = [3, 4, 6, 4, 5, 0, 2]


@pytest.fixture(name="folder")
def _folder(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text(text)
    return tmp_path


def run(command, folder, *more):
    words = shlex.split(command)
    gdconv = Path(sys.executable).with_name(words[0])
    return subprocess.run(
        [gdconv, *words[1:], *more], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(("command", "runs"), [*zip(WORKS, RUNS, strict=True)])
def test_what_works(command, runs, folder):
    small = [] if "glob" in command else SMALL
    more = [] if "--cfg" in command else [*small, *SMALL[1:]]
    done = run(command, folder, *more)
    assert done.returncode == 0, done.stderr
    if runs:
        assert f": {runs} run" in done.stdout
    else:
        assert "name: spectrum" in done.stdout
        assert not (folder / "results").exists()


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_refused(command, folder):
    own = ["--config-dir", "mine", "hydra.mode=RUN"] if "experiment=own" in command else []
    done = run(command, folder, *own)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("gdconv: ")
    assert done.stderr.count("\n") == 1
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("gdconv prob", ["problem.", "problem="]),
        ("gdconv experiment=edge", ["experiment=edge_of_stability"]),
        ("gdconv problem=network problem.act", ["problem.activation="]),
        (
            "gdconv problem.activation=",
            [f"problem.activation={each}" for each in ("identity", "relu", "tanh")],
        ),
        ("gdconv record.curves=n", ["record.curves=none"]),
        ("gdconv report=", ["report=false", "report=true"]),
        ("gdconv step.unit=s", ["step.unit=samples", "step.unit=sharpness"]),
        ("gdconv problem.n_samples=", ["problem.n_samples=200"]),
    ],
)
@pytest.mark.slow
def test_what_the_shell_completes(line, offers, folder, monkeypatch):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    done = run("gdconv -sc query=bash", folder)
    assert done.stdout.split() == offers
