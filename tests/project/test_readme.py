"""What the README says is so: Python examples, commands, and what these print."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown_by(example):
    """The value of an example's last line."""
    *statements, expression = example.strip().splitlines()
    names = {}
    exec("\n".join(statements), names)
    return eval(expression, names)


def test_the_python_examples_run():
    study, network = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    value, gradient = shown_by(network)
    assert value.tolist() == [[23, 36]]
    assert gradient.tolist() == [[0, 3, 5], [0, -6, -10]]
    shown = shown_by(study)
    assert shown.relative_step.tolist() == pytest.approx([0.5, 1.0, 1.9], rel=1e-15)
    assert shown.rate_measured.to_numpy() == pytest.approx(shown.rate_predicted, rel=0.05)


# Commands

SCRIPTS = Path(sys.executable).parent
# It would run this test.
NOT_RUN = "python3 scripts/test.py"
DEFAULT = "gdconv experiment=default"


def commands():
    """Every indented line of the README that is a command, without its comment."""
    text = README.replace("\\\n", "")
    lines = re.findall(r"^    ((?:gdconv|python3|\.venv/bin/python).*)$", text, re.MULTILINE)
    return [line.partition("  #")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder but for what the README's commands refer to."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("tests", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "mine.csv").write_text("size,rooms,price\n50,2,100\n70,3,180\n90,3,200\n30,1,90\n")
    return folder


def run(words, folder):
    """Run a command of the README; FILE and COLUMN are the reader's."""
    own = {"FILE": "mine.csv", "COLUMN": "price"}
    words = [own.get(word, word) for word in words]
    program = {".venv/bin/python": sys.executable}.get(words[0], SCRIPTS / words[0])
    return subprocess.run([program, *words[1:]], cwd=folder, capture_output=True, text=True)


def shape(text):
    """A text without its numbers and without the widths of its columns."""
    lines = (re.sub(r"[-+]?\d[\d.e+-]*", "#", line) for line in text.strip().splitlines())
    return [re.sub(r"\s+", " ", line).strip() for line in lines]


def shown(beginning):
    """The block of the README that begins so, behind its prompt if it has one."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (block,) = (
        text for language, text in fenced if not language and text.strip().startswith(beginning)
    )
    return block


@pytest.mark.slow
def test_the_default_study_prints_what_is_shown(folder):
    done = run(DEFAULT.split(), folder)
    assert done.returncode == 0, done.stderr
    assert shape(done.stdout) == shape(shown("results/default"))
    # Counts and iterations are the same on every machine.
    counts = [line.split()[3:7] for line in done.stdout.splitlines()[3:-1]]
    assert counts == [line.split()[3:7] for line in shown("results/default").splitlines()[3:-1]]


# The command that makes each study of which others report.
STUDIES = {"default": DEFAULT} | {
    command.partition("study=")[2]: command
    for command in commands()
    if "study=" in command and "--dry-run" not in command
}


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_runs(command, folder):
    if command == NOT_RUN:
        assert (ROOT / "scripts" / "test.py").exists()
        return
    if command.startswith("python3 scripts/study.py"):
        assert '["experiment=default"]' in (ROOT / "scripts" / "study.py").read_text()
        return
    all_studies = ["default"] if command == "gdconv-report results" else []
    for study in all_studies + re.findall(r"results/(\w+)", command):
        if not (folder / "results" / study).exists():
            run([*shlex.split(STUDIES[study]), "report=false"], folder)
    done = run(shlex.split(command), folder)
    assert done.returncode == 0, done.stderr
    if command == "gdconv problem.n_features=20 step.value=1.5 study=first":
        assert shape(done.stdout) == shape(shown("results/first"))


@pytest.mark.parametrize("refused", ["$ gdconv problem.n_features=0", "$ gdconv problem=table"])
def test_what_is_refused_is_refused_in_the_words_shown(folder, refused):
    command, answer = shown(refused).strip().split("\n")
    done = run(shlex.split(command.removeprefix("$ ")), folder)
    assert (done.returncode, done.stderr.strip()) == (2, answer)


def test_the_description_of_a_table_is_the_one_shown(folder):
    command, answer = shown("$ gdconv-table").strip().split("\n", 1)
    done = run(shlex.split(command.removeprefix("$ ")), folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == answer.strip()


@pytest.mark.slow
def test_the_study_of_a_table_is_the_one_shown(folder):
    done = run([*shlex.split(STUDIES["prestige"]), "report=false"], folder)
    assert done.returncode == 0, done.stderr
    # Another test may have run it before, and then no group is run.
    notices = [
        line.partition(" ")[2] for line in done.stderr.splitlines() if " group 1 of " not in line
    ]
    *told, _ = shape("\n".join([*notices, done.stdout, "report"]))
    block = shown("tests/data/public/Prestige.csv: column 1 has no name")
    assert [line for line in told if line] == shape(block)[:-1]
    found = (folder / "results" / "prestige" / "coefficients.csv").read_text().splitlines()
    there = shown("problem_id,run_id,column").splitlines()
    # The identifier and, on another machine, the last digits may differ.
    columns = [[line.split(",")[2] for line in lines] for lines in (found, there)]
    assert columns[0] == columns[1]
    numbers = [[float(line.split(",")[3]) for line in lines[1:]] for lines in (found, there)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)


@pytest.mark.slow
def test_the_statements_shown_are_among_those_printed(folder):
    done = run(["gdconv-verify", "step.value=1.95"], folder)
    assert done.returncode == 0, done.stderr
    assert set(shape(shown("statement"))) <= set(shape(done.stdout))
