"""What commands print: closed pipes and streams, full disks, unknown letters, signals."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gdconv.cli.composition import CommandError
from gdconv.cli.main import exit_status
from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.sweep.sweep import run_sweep
from nnlib import terminal

STUDENT = Path(__file__).parents[2] / "docs" / "examples" / "coursework_graph.py"
PROGRAMS = Path(sys.executable).parent
COMMANDS = {
    "study": ("gdconv", "gdconv.cli.commands", "study"),
    "report": ("gdconv-report", "gdconv.cli.commands", "report"),
    "verify": ("gdconv-verify", "gdconv.cli.commands", "verify"),
    "check": ("python -m nnlib.check", "nnlib.check", "main"),
    "grade": ("python -m nnlib.grade", "nnlib.grade", "main"),
    "train": ("python -m nnlib.train", "nnlib.train", "main"),
}

# One process imports everything, and is forked for each command, which starts with streams of its
# own, as a shell would start it, and ends as an interpreter does, which flushes them.
FORKS = """
import gc, json, os, sys
import gdconv.cli.commands, gdconv.cli.main, gdconv.report.report, gdconv.report.summary
import gdconv.sweep.sweep, gdconv.verify.table, nnlib.check, nnlib.grade, nnlib.train
from nnlib.terminal import run

# A quick one.
nnlib.check.CASES[1:] = []

def lead(number, where):
    if where == "closed":
        os.close(number)
        return None
    if where == "left":
        reader, target = os.pipe()
        os.close(reader)
    else:
        target = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, number)
    errors = "backslashreplace" if number == 2 else "strict"
    return open(number, "w", encoding=encoding, errors=errors)

gc.freeze()
for line in sys.stdin:
    folder, name, module, function, arguments, out, err, encoding = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        sys.stdout, sys.stderr = lead(1, out), lead(2, err)
        sys.argv = [name, *arguments]
        main = getattr(sys.modules[module], function)
        status = run(name, main) if module.startswith("nnlib") else main()
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except OSError:
                status = 120
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Run a command in a folder; return its exit status, and what it has printed."""
    printed = tmp_path_factory.mktemp("printed")
    script = [sys.executable, "-c", FORKS]
    with subprocess.Popen(
        script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forks:

        def run(folder, name, arguments, out=None, err=None, encoding="utf-8"):
            streams = [out or str(printed / "out"), err or str(printed / "err")]
            told = [str(folder), *COMMANDS[name], arguments, *streams, encoding]
            forks.stdin.write(json.dumps(told) + "\n")
            forks.stdin.flush()
            status = int(forks.stdout.readline())
            said = (printed / "out").read_text(encoding) if out is None else ""
            told = (printed / "err").read_text(encoding) if err is None else ""
            return status, said, told

        yield run


SMALL = ["problem.n_samples=30", "problem.n_features=4", "method.iterations=50"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small study in results/s."""
    folder = tmp_path_factory.mktemp("terminal")
    config = RunConfig(
        Gaussian(n_samples=30, n_features=4), method=GradientDescent(20), step=Step(value=[0.5, 1])
    )
    run_sweep([config], StudyConfig(study="s", results_dir=str(folder / "results")))
    return folder


ARGUMENTS = {
    "study": [*SMALL, "study=other", "report=false"],
    "report": ["--status", "results/s"],
    "verify": SMALL,
    "check": [],
    "grade": [str(STUDENT)],
    "train": ["--epochs", "1"],
}


@pytest.mark.parametrize(
    "name",
    # The others set up their streams by the same function.
    [
        name if name in ("report", "check") else pytest.param(name, marks=pytest.mark.slow)
        for name in COMMANDS
    ],
)
def test_output_that_nobody_reads_or_that_cannot_be_written(name, command, folder):
    def lines(out, err):
        status, said, told = command(folder, name, ARGUMENTS[name], out, err)
        assert bool(said) == (out is None)
        # gdconv tells of its progress on standard error.
        return status, [line for line in told.splitlines() if " group 1 of 1, " not in line]

    full = [f"{COMMANDS[name][0]}: standard output: No space left on device"]
    assert lines("/dev/full", None) == (1, full)
    assert lines("left", None) == (0, [])
    assert lines("closed", "closed") == (0, [])
    if name != "train":
        assert lines("closed", None) == (0, [])
        for err in ("closed", "left", "/dev/full"):
            assert lines(None, err) == (0, [])


def test_a_closed_stream_is_not_taken_for_a_table(command, folder):
    assert command(folder, "study", ARGUMENTS["study"], "closed", "closed")[0] == 0
    assert len((folder / "results" / "other" / "runs.csv").read_text().splitlines()) == 2


def test_an_interrupt_is_none_of_the_errors_that_it_causes(capsys):
    """OmegaConf fails when it cleans up after one; Hydra's errors are said to be the user's."""

    def fail():
        try:
            try:
                raise terminal.Stopped(signal.SIGINT)
            finally:
                None.flags  # noqa: B018
        except AttributeError as error:
            raise CommandError(str(error)) from error

    with pytest.raises(terminal.Stopped, match="interrupted"):
        exit_status("gdconv", fail)
    assert capsys.readouterr().err == ""


STARTS = """
import subprocess, sys
from nnlib.terminal import run

there = "import os, sys; sys.exit(sum(os.path.exists(f'/proc/self/fd/{n}') << n for n in range(3)))"
sys.exit(run("starts", lambda: subprocess.call([sys.executable, "-c", there])))
"""


def test_what_a_command_starts_has_the_streams_that_the_shell_has_closed():
    """Otherwise it opens its pipes under their numbers, and workers close these and die."""
    started = shlex.join([sys.executable, "-c", STARTS])
    assert subprocess.call(["sh", "-c", f"exec {started} <&- >&- 2>&-"]) == 0b111


def test_the_status_of_what_failed_is_kept(command, folder):
    told = "gdconv-report: results/none: is not there\n"
    assert command(folder, "report", ["results/none"], "left") == (2, "", told)
    assert command(folder, "report", ["results/none"], "left", "left") == (2, "", "")
    (folder / "wrong.py").write_text("class Grap: pass\n")
    assert command(folder, "grade", ["wrong.py"], "left") == (1, "", "")
    told = "gdconv-report: standard output: No space left on device\n"
    assert command(folder, "report", ["--help"], "/dev/full") == (1, "", told)


@pytest.mark.slow
def test_the_shell_sees_the_status_of_a_command_whose_reader_leaves(folder):
    """As the installed command, and verify's status 1 when a statement fails."""
    done = subprocess.run(
        ["bash", "-c", f"{PROGRAMS}/gdconv-report results/s | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "results/s: 2 runs: 2 max_iterations\n"


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_the_terminal_does_not_have_become_question_marks(encoding, command, folder):
    every = ARGUMENTS | {"report": ["results/s", "--figures", "scaling"]}
    for name in ("report", "verify", "train"):
        status, said, told = command(folder, name, every[name], encoding=encoding)
        assert (status, told) == (0, "")
        assert "?" in said


ESCAPE = "\x1b]0;owned\x07\x9b31m\u202e\r"


def test_what_stands_in_tables_does_not_steer_the_terminal(command, folder, tmp_path):
    """A failed run's error, a name of a folder, a file and a column, of a class of samples."""
    study = tmp_path / f"s{ESCAPE}"
    study.mkdir()
    for path in (folder / "results" / "s").glob("*.*"):
        (study / path.name).write_bytes(path.read_bytes())
    runs = study / "runs.csv"
    header, first, *rest = runs.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    cells[header.split(",").index("status")] = "failed"
    cells[header.split(",").index("error")] = f'"{ESCAPE}"'
    with runs.open("w", encoding="utf-8", newline="") as file:
        file.write("\n".join([header, ",".join(cells), *rest, ""]))
    told = json.loads((study / "provenance.json").read_text())
    told["commands"][-1]["command"] = ["gdconv", ESCAPE]
    (study / "provenance.json").write_text(json.dumps(told))
    table = tmp_path / f"t{ESCAPE}.csv"
    table.write_text(f"a{ESCAPE.strip()},b,y\n1,2,{ESCAPE.strip()}\n2,3,c\n", encoding="utf-8")
    given = ["problem=csv", "problem.path='" + str(table) + "'"]
    for name, arguments in [
        ("report", [study.name, "--figures", "scaling"]),
        ("report", ["--status", study.name]),
        ("report", [f"none{ESCAPE}"]),
        ("study", [*given, "problem.target=y"]),
        ("study", [f"study={ESCAPE}"]),
        ("verify", [*given, "problem.target=none"]),
        ("verify", ["--csv", f"none{ESCAPE}/t.csv", *SMALL]),
        ("train", ["--data", table.name, "--target", "y", "--epochs", "1"]),
        ("train", ["--data", table.name, "--target", "b", "--epochs", "1"]),
        ("train", [f"--{ESCAPE}"]),
    ]:
        printed = "".join(command(tmp_path, name, arguments)[1:])
        assert "owned" in printed, (name, arguments)
        assert not re.search("[^\n\t -~\u00a0-\u00ac\u00ae-\u2027\u2030-\uffff]", printed), printed
        assert "Traceback" not in printed, printed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("κ ≤ 1e3\tλ\u00a0\u2009μ\n", "κ ≤ 1e3\tλ\u00a0\u2009μ\n"),
        ("a\x1b[31mb\x9bc\rd\x00\x7f", "a?[31mb?c?d??"),
        ("\u202eevil\u2066\u200b\u2028\udce9", "?evil????"),
    ],
)
def test_harmless(text, shown):
    assert terminal.harmless(text) == shown


@pytest.mark.parametrize(("columns", "expected"), [(80, 80), (300, 300), (20, 60), (None, None)])
def test_the_room_of_a_line(columns, expected, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: columns is not None, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns or 7))
    assert terminal.room() == expected


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("gap ≤ (1 − x)² for all", 22, ["gap ≤ (1 − x)² for all"]),
        ("gap ≤ (1 − x)² for all", None, ["gap ≤ (1 − x)² for all"]),
        # A formula stays whole; with less room its two sides do; then its parentheses.
        ("the gap ≤ (1 − x)² a", 17, ["the", "  gap ≤ (1 − x)²", "  a"]),
        ("gap ≤ (1 − x)² for", 12, ["gap", "  ≤ (1 − x)²", "  for"]),
        ("a (b c) d", 8, ["a (b c)", "  d"]),
        ("a (b c) d", 6, ["a (b", "  c) d"]),
        ("  1e-06 is small", 9, ["  1e-06", "    is", "    small"]),
        ("abcdefgh", 5, ["abcde", "  fgh"]),
    ],
)
def test_folded(text, width, lines):
    assert terminal.folded(text, width) == lines


def test_a_table_without_room_has_long_texts_folded_and_notes_below():
    rows = [("", "name", "size", "notes"), ("y", "n" * 30, "1", "a " * 30), ("", "m", "22", "")]
    assert terminal.stacked(rows, "<<><", 30) == [
        f"  {'name':23} size",
        f"y {'n' * 23}    1",
        "    nnnnnnn",
        "    a a a a a a a a a a a a a",
        "      a a a a a a a a a a a a",
        "      a a a a a",
        f"  {'m':23}   22",
    ]


def test_a_bar_is_drawn_only_where_it_can_be(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.bar_stream() is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    inner = sys.stderr
    assert terminal.bar_stream() is inner
    monkeypatch.setattr(sys, "stderr", terminal.Stream(inner))
    assert terminal.bar_stream() is inner
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.bar_stream() is None


# Signals

INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(name, *_):
        if name == module:
            os.kill(os.getpid(), int(number))

number, module, command = sys.argv[1:]
sys.argv[1:] = ["seed=1"]
sys.meta_path.insert(0, Finder)
from gdconv.cli import commands
sys.exit(getattr(commands, command)())
"""


@pytest.mark.parametrize(
    ("number", "module", "command", "line"),
    [
        (
            signal.SIGINT,
            "hydra",
            "study",
            "gdconv: interrupted; the same command continues the study",
        ),
        (signal.SIGTERM, "numpy", "verify", "gdconv-verify: terminated"),
        (signal.SIGHUP, "gdconv.report.report", "report", "gdconv-report: ended with its terminal"),
    ],
)
def test_a_signal_during_imports_is_one_line(number, module, command, line, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(number.value), module, command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", line + "\n")
    assert os.listdir(tmp_path) == []


def test_what_a_shell_lets_its_background_ignore_stays_ignored(monkeypatch):
    before = {number: signal.getsignal(number) for number in terminal.ENDS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert terminal.run("gdconv", lambda: os.kill(os.getpid(), signal.SIGHUP) or 0) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
