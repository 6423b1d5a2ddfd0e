"""The command gdconv-verify: its table, its CSV, its exit status."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from gdconv.cli import main as cli
from gdconv.config.problems import Gaussian, Prescribed
from gdconv.config.runs import RunConfig, expand
from gdconv.theory import bounds
from gdconv.verify.case import Case
from gdconv.verify.statements import verify
from gdconv.verify.table import CSV_COLUMNS, as_csv, numbers_of

SMALL = ["problem.n_samples=30", "problem.n_features=4", "method.iterations=50"]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, hydras_logging):
    """Run `gdconv-verify ARGUMENTS...` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gdconv-verify", *arguments])
        return cli.verify(), *capsys.readouterr()

    return run


def test_a_row_for_every_statement(command, tmp_path):
    status, out, err = command(*SMALL, "step.value=1.5")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("gaussian, n 30, d 4, rank 4, start zeros, ")
    assert lines[-1] == "42 of 42 statements hold"
    rows = lines[5:-2]
    assert len(rows) == 42
    assert all(row.endswith("holds") or "holds: it converges" in row for row in rows)
    assert list(tmp_path.iterdir()) == []


def test_what_the_rows_are_computed_from_can_be_computed_again_by_hand(command):
    """H has the eigenvalues 8 and 2, and the start is at distance 1 along the eigenvector of 8."""
    problem = ["problem=spectrum", "problem.n_samples=4", "problem.n_features=2"]
    words = [*problem, "problem.condition_number=4", "start=eigenvector", "step.unit=K"]
    status, out, _ = command(*words, "step.value=3", "--table")
    assert status == 0
    lines = out.splitlines()
    assert lines[1] == "λmin 2, λmax 8, κ 4, ‖w₀ − w*‖² 1, L(w₀) − L(w*) 4"
    assert lines[2] == "η 0.333333, K 3 = 0.375 λmax, ν 1.66667"
    table = lines[lines.index("") :]
    (heading,) = (k for k, line in enumerate(table) if line.split()[:1] == ["t"])
    rows = {int(row[0]): row[1:] for row in map(str.split, table[heading + 1 :])}
    assert list(rows) == [0, 1, 2, 3, 10, 100]
    for t, row in rows.items():
        # gap, exact, (18), relative and sharp bound are all 4 ν²ᵗ; (19) is 4 (1 − 2/3)²ᵗ.
        expected = [4 * (5 / 3) ** (2 * t)] * 5
        expected.insert(3, 4 * (1 / 3) ** (2 * t))
        # Six digits are shown.
        assert [float(cell) for cell in row] == pytest.approx(expected, rel=1e-5, abs=0)


def test_what_fails_as_the_coursework_states_it_is_told_and_no_failure(command):
    status, out, _ = command(*SMALL, "step.value=2.5", "start=eigenvector")
    assert status == 0
    assert "fails at t = 1, as expected for this K < (λmin + λmax)/2" in out
    assert "fails, as expected for this K ≤ λmax/2" in out
    assert out.splitlines()[-1] == "40 of 42 statements hold, 2 fail as expected"


def test_a_terminal_of_80_columns_shows_all_words_of_the_table(command, monkeypatch):
    words = [*SMALL, "step.value=1.95", "--table"]
    wide = command(*words)[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = command(*words)[1]
    assert max(map(len, wide.splitlines())) > max(map(len, narrow.splitlines())) == 80
    # An explained verdict is repeated; the table with the gaps is in two parts with t.
    t = ["t", "0", "1", "2", "3", "10"]
    more = Counter(narrow.split()) - Counter(wide.split())
    assert more == Counter([*t, "holds", "fails"])
    assert not Counter(wide.split()) - Counter(narrow.split())


def test_what_rounding_hides_is_counted_apart(command):
    status, out, _ = command(*SMALL, "start=eigenvector", "start.radius=1e-25")
    assert status == 0
    assert out.count("says nothing: rounding may be as large as the quantity itself") == 12
    assert out.splitlines()[-1] == "30 of 42 statements hold, 12 say nothing"


def test_a_wrong_formula_is_exit_status_1(command, monkeypatch):
    right = bounds.gap_bound_sharp
    monkeypatch.setattr(bounds, "gap_bound_sharp", lambda *given: 1.001 * right(*given))
    status, out, _ = command(*SMALL)
    assert status == 1
    assert out.splitlines()[-1].endswith(", 1 FAIL")
    (row,) = (line for line in out.splitlines() if line.endswith("FAILS"))
    assert row.startswith("(18) that maximum, by search")


@pytest.mark.parametrize("option", [["--csv", "table.csv"], ["--csv=table.csv"]])
def test_the_table_as_csv(command, tmp_path, option):
    status, _, _ = command(*option, *SMALL)
    assert status == 0
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert {row["verdict"] for row in rows} == {"holds", "holds: it converges"}
    assert all(
        abs(float(row["value"])) <= float(row["tolerance"])
        for row in rows
        if row["measure"] == "deviation"
    )


def test_numbers_of_the_csv_are_exact():
    (run,) = expand(RunConfig(Gaussian(30, 4)))
    checks = verify(Case(run))
    rows = list(csv.DictReader(as_csv(checks).splitlines()))
    assert [float(row["value"]) for row in rows] == [check.value for check in checks]


def test_the_same_command_prints_the_same(command):
    assert command(*SMALL)[1] == command(*SMALL)[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["step.value=[1,2]"], "step.value=[1.0,2.0]: must be one"),
        (["seed=[1,2]"], "seed=[1,2]: must be one"),
        (["repetitions=2"], "repetitions=2: must be one"),
        (["-m", "seed=1,2"], "the command makes 2 jobs"),
        (["experiment=default"], "the command makes 4 jobs"),
        (["--csv"], "--csv: must be followed by the name of a file"),
        (["problem.n_features=0"], "problem.n_features=0: must be a whole number"),
        (["problem=nosuch"], "problem=nosuch: must be one of"),
        (["start.which=middle", "start=eigenvector"], "start.which=middle: must be one of"),
        (["problem=csv", "problem.path=no.csv", "problem.target=y"], "problem.path=no.csv: must"),
        (["--typo"], "--typo"),
    ],
)
def test_bad_input_is_one_line(command, tmp_path, arguments, says):
    status, out, err = command(*arguments)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("gdconv-verify: ")
    assert says in err
    assert list(tmp_path.iterdir()) == []


def test_squares_that_are_no_floats_are_one_line(command, tmp_path):
    (tmp_path / "huge.csv").write_text("a,y\n1e200,1\n-1e200,2\n")
    status, _, err = command("problem=csv", "problem.path=huge.csv", "problem.target=y")
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith("gdconv-verify: problem.path=huge.csv: ")
    assert "a has numbers up to 1e+200" in err


def test_a_table_that_cannot_be_written(command):
    status, _, err = command(*SMALL, "--csv", "no/folder/table.csv")
    assert (status, len(err.splitlines())) == (1, 1)
    assert "table.csv" in err


def test_rounded_whole_numbers_of_a_table_are_told(command, tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n9007199254740993,1\n2,2\n3,5\n")
    status, _, err = command("problem=csv", "problem.path=t.csv", "problem.target=y")
    assert status in (0, 1)
    [line] = err.splitlines()
    assert (
        " t.csv: whole numbers above 2^53 have been rounded to doubles, 1 in all, the first in"
        in line
    )


def test_questions(command):
    status, out, _ = command("--help")
    assert status == 0
    assert out.startswith("gdconv-verify [--csv FILE] [--table] [KEY=VALUE]...")
    assert command("--version")[1].startswith("gdconv-verify ")
    assert "n_features: 20" in command("--cfg", "job")[1]


@pytest.mark.slow
def test_the_installed_command(tmp_path):
    program = Path(sys.executable).with_name("gdconv-verify")
    done = subprocess.run([program, *SMALL], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "42 of 42 statements hold" in done.stdout


def test_a_table_that_cannot_be_written_is_named(command, tmp_path):
    for path, why in [
        ("/dev/full", "No space left on device"),
        ("none/t.csv", "No such file or directory"),
        (".", "Is a directory"),
    ]:
        status, _, err = command(*SMALL, "--csv", path)
        assert (status, err) == (1, f"gdconv-verify: {path}: {why}\n")


def test_a_contraction_factor_close_to_1_is_not_shown_as_1():
    """1 means the edge of stability; with κ = 10¹² a step of 1/λmax is no such step."""
    config = RunConfig(Prescribed(30, 3, 0.0, 1e12))
    (run,) = expand(config)
    assert numbers_of(Case(run)).endswith(" ν 1 − 1e-12")
