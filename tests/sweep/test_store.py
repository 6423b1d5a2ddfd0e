"""The store of a study: whatever interrupts it, the same command makes the same files."""

import csv
import io
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from gdconv.config.networks import Network
from gdconv.config.problems import Gaussian, Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Processes, Record, Serial, Step, StudyConfig
from gdconv.experiment.group import run_group
from gdconv.experiment.identity import SCHEMA_VERSION
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.sgd import Sgd
from gdconv.report import report
from gdconv.sweep import store as store_module
from gdconv.sweep.store import Store
from gdconv.sweep.sweep import grouped, plan, run_study, run_sweep
from gdconv.tables.columns import COLUMNS
from gdconv.tables.csv import encode, header, read

CONFIGS = [
    RunConfig(
        Gaussian(n_samples=12, n_features=d),
        method=GradientDescent(iterations=50),
        step=Step(value=[1.0, 0.5]),
        repetitions=2,
    )
    for d in (3, 2)
]
FILES = [f"{name}.csv" for name in COLUMNS]
WIDTH = len(COLUMNS["runs"])


@pytest.fixture
def study(tmp_path):
    return StudyConfig(study="s", results_dir=str(tmp_path))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The files of an undisturbed sweep."""
    folder = run_sweep(
        CONFIGS, StudyConfig(study="s", results_dir=str(tmp_path_factory.mktemp("undisturbed")))
    ).folder
    return content(folder)


def content(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def groups():
    return [encode(run_group([*group.values()])) for group in grouped(plan(CONFIGS).runs)]


def test_a_folder_holds_what_a_study_is_made_of(study, tmp_path):
    run_sweep(CONFIGS, study)
    found = {path.name for path in (tmp_path / "s").iterdir()}
    assert found == {*FILES, "config.yaml", "provenance.json"}


def unfinish(folder):
    """Take the checksums out of the history, as they are not there before the tables are sorted."""
    path = folder / "provenance.json"
    history = json.loads(path.read_text())
    del history["checksums"]
    path.write_text(json.dumps(history))


def killed_writer(study, done):
    """Append some groups and stop there, as a killed process leaves them."""
    with Store(study) as store:
        store.begin(CONFIGS, [])
        for rows in done:
            store.append(rows)
    assert store.unfinished
    return store.folder


@pytest.mark.parametrize("done", range(5))
def test_what_was_appended_survives_and_the_rest_completes_it(study, expected, done):
    killed_writer(study, groups()[:done])
    with Store(study) as store:
        assert store.unfinished
        assert len(store.done) == 2 * done
    assert run_sweep(CONFIGS, study).added == 8 - 2 * done
    assert content(store.folder) == expected


@pytest.mark.parametrize("torn", [0, 1, 2**16 - 2, 2**16 - 1, 2**16, 2**17 - 1, 200_000])
@pytest.mark.parametrize("line", [0, 1, 5, 2**16])
def test_the_end_of_the_last_line_is_found_however_long_the_torn_one_is(torn, line):
    file = io.BytesIO(b"x" * line + b"\n" + b"y" * torn)
    assert store_module._end_of_last_line(file) == line + 1
    assert store_module._end_of_last_line(io.BytesIO(b"y" * torn)) == 0


@pytest.mark.parametrize("table", ["curves", "eigenvalues", "runs"])
@pytest.mark.parametrize("kept", [0, 1, 40, -20, -1])
@pytest.mark.slow_where(case=lambda kept: kept in (1, -1))
def test_a_group_cut_off_at_any_place_is_run_again(study, expected, table, kept):
    """A killed writer leaves the files before `table` complete and a piece of that one."""
    first, second = groups()[:2]
    folder = killed_writer(study, [first])
    for name in ("curves", "eigenvalues", "runs"):
        lines = getattr(second, name)
        with (folder / f"{name}.csv").open("ab") as file:
            file.write(lines[:kept] if name == table else lines)
        if name == table:
            break
    run_sweep(CONFIGS, study)
    assert content(folder) == expected


def test_eigenvalues_that_a_killed_group_left_are_dropped(study, tmp_path):
    """The command after it asks for other problems: the tables are those of that command alone."""
    alone = run_sweep(CONFIGS[1:], replace(study, study="alone")).folder
    folder = killed_writer(study, groups()[:0])
    with (folder / "eigenvalues.csv").open("ab") as file:
        file.write(groups()[0].eigenvalues)
    run_sweep(CONFIGS[1:], study)
    assert content(folder) == content(alone)


def test_moments_that_are_cut_off_are_written_again(tmp_path):
    """The run without moments stays; what a killed writer left of the others' is dropped."""
    problem, kept = Gaussian(n_samples=12, n_features=3), Record(curves="none")
    sgd = [RunConfig(problem, method=Sgd(iterations=5, batch_size=b), record=kept) for b in (1, 2)]
    plain = GradientDescent(iterations=50, reduce="none")
    configs = [RunConfig(problem, method=plain, record=kept), *sgd]
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    folder = run_sweep(configs, study).folder
    before = content(folder)
    path = folder / "moments.csv"
    # 7 choose 4, without r⁴ and r³ times a component.
    assert len(path.read_bytes().splitlines()) == 1 + 35 - 4
    for lines, added in ((20, 2), (33, 0), (1, 2)):
        unfinish(folder)
        path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:lines]))
        assert run_sweep(configs, study).added == added
        assert content(folder) == before


def test_killed_between_the_files_of_the_sort(study, expected):
    """All appended, curves sorted, runs not: the next command ends it, with nothing to run."""
    folder = killed_writer(study, groups())
    assert content(folder) != expected
    (folder / "curves.csv").write_bytes(expected["curves.csv"])
    assert run_sweep(CONFIGS, study).added == 0
    assert content(folder) == expected


def test_the_same_command_again_changes_nothing(study, expected):
    folder = run_sweep(CONFIGS, study).folder
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert run_sweep(CONFIGS, study).added == 0
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before


def test_growing_a_study_gives_the_files_of_the_whole(study, expected):
    assert run_sweep(CONFIGS[1:], study).added == 4
    outcome = run_sweep(CONFIGS, study)
    assert outcome.added == 4
    assert content(outcome.folder) == expected
    commands = json.loads((outcome.folder / "provenance.json").read_text())["commands"]
    assert [command["runs"] for command in commands] == [4, 4]


def test_a_run_deleted_by_hand_is_run_again(study, expected):
    folder = run_sweep(CONFIGS, study).folder
    lines = (folder / "runs.csv").read_bytes().splitlines(keepends=True)
    (folder / "runs.csv").write_bytes(b"".join(lines[:3] + lines[4:]))
    assert run_sweep(CONFIGS, replace(study, accept_changed=True)).added == 1
    assert content(folder) == expected
    assert run_sweep(CONFIGS, study).added == 0


@pytest.mark.parametrize("table", ["curves", "eigenvalues"])
@pytest.mark.parametrize("kept", [None, 0, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.slow_where(case=lambda kept: kept in (0.01, 0.7, 0.999))
def test_rows_that_got_lost_are_computed_again(study, expected, table, kept):
    """A file deleted, emptied or cut off by someone else, though runs.csv says that all is done."""
    path = run_sweep(CONFIGS, study).folder / f"{table}.csv"
    unfinish(path.parent)
    if kept is None:
        path.unlink()
    else:
        path.write_bytes(expected[path.name][: int(kept * len(expected[path.name]))])
    assert run_sweep(CONFIGS, study).added > 0
    assert content(path.parent) == expected


HOLDER = """
    import sys
    from gdconv.config.sections import StudyConfig
    from gdconv.sweep.store import Store
    with Store(StudyConfig(study="s", results_dir=sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
"""


def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_sweep_is_told_who_holds_the_study(study, tmp_path):
    with holder(tmp_path) as process:
        with pytest.raises(ConfigError, match=f"is being written by process {process.pid} "):
            run_sweep(CONFIGS, study)
        process.stdin.close()
        process.wait()
    assert run_sweep(CONFIGS, study).added == 8


def test_the_lock_of_a_killed_process_is_taken_over(study, tmp_path, expected):
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
    assert (tmp_path / "s" / ".lock").exists()
    assert content(run_sweep(CONFIGS, study).folder) == expected
    assert not (tmp_path / "s" / ".lock").exists()


def damage_header(folder):
    path = folder / "curves.csv"
    path.write_bytes(path.read_bytes().replace(b"loss", b"cost", 1))


def repeat_a_run(folder):
    path = folder / "runs.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))


def drop_a_cell(folder):
    path = folder / "runs.csv"
    path.write_bytes(path.read_bytes().replace(b",gaussian,", b",", 1))


def spoil_a_number(folder):
    path = folder / "runs.csv"
    path.write_bytes(path.read_bytes().replace(b",12,", b",twelve,", 1))


def spoil_the_encoding(folder):
    path = folder / "runs.csv"
    path.write_bytes(path.read_bytes().replace(b"gaussian", b"gau\xff", 1))


def spoil_the_quotes(folder):
    path = folder / "runs.csv"
    path.write_bytes(path.read_bytes().replace(b",gaussian,", b',"gauss"ian,', 1))


def spoil_a_verdict(folder):
    spoil_a_cell(folder / "runs.csv", 2, "bound_holds", "maybe")


def spoil_a_cell(path, number, column, value):
    lines = path.read_text().splitlines()
    cells = lines[number - 1].split(",")
    cells[list(COLUMNS[path.stem]).index(column)] = value
    lines[number - 1] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")


def spoil_a_curve(folder):
    spoil_a_cell(folder / "curves.csv", 3, "gap", "lots")


def spoil_an_eigenvalue(folder):
    spoil_a_cell(folder / "eigenvalues.csv", 2, "eigenvalue", "λ")


def spoil_a_whole_number(folder):
    spoil_a_cell(folder / "eigenvalues.csv", 2, "index", "9" * 5000)


def use_other_digits(folder):
    spoil_a_cell(folder / "runs.csv", 2, "n_samples", "١٢")


def forget_an_iteration(folder):
    spoil_a_cell(folder / "curves.csv", 3, "iteration", "")


def sort_the_curves(folder):
    path = folder / "curves.csv"
    header, *lines = path.read_bytes().splitlines(keepends=True)
    floor = header.rstrip().split(b",").index(b"gap_floor")
    path.write_bytes(b"".join([header, *sorted(lines, key=lambda line: line.split(b",")[floor])]))


def write_junk(folder):
    path = folder / "eigenvalues.csv"
    path.write_bytes(path.read_bytes() + b"junk\n")


def spoil_the_commands(folder):
    path = folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"commands": 5}))


def spoil_the_names(folder):
    path = folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {"0" * 8: "a.csv"}}))


def other_schema(folder):
    path = folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))


def no_json(folder):
    (folder / "provenance.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_header, ["curves.csv line 1"]),
        (repeat_a_run, ["runs.csv line 10", "repeats run_id"]),
        (drop_a_cell, ["runs.csv line 2", f"{WIDTH - 1} cells instead of {WIDTH}"]),
        (spoil_a_number, ["runs.csv line 2, column n_samples", "'twelve'", "not a whole number"]),
        (spoil_a_verdict, ["runs.csv line 2, column bound_holds", "'maybe'", "True or False"]),
        (spoil_a_curve, ["curves.csv line 3, column gap", "'lots'", "not a number"]),
        (spoil_an_eigenvalue, ["eigenvalues.csv line 2, column eigenvalue", "not a number"]),
        (spoil_the_encoding, ["runs.csv line 2", "UTF-8"]),
        (spoil_a_whole_number, ["eigenvalues.csv line 2, column index", "not a whole number"]),
        (use_other_digits, ["runs.csv line 2, column n_samples", "not a whole number"]),
        (forget_an_iteration, ["curves.csv line 3", "has no iteration"]),
        (sort_the_curves, ["curves.csv line ", "is not where it belongs"]),
        (spoil_the_quotes, ["runs.csv line 2", "is no line of CSV"]),
        (write_junk, ["eigenvalues.csv line 12", "1 cells instead of 8"]),
        (spoil_the_commands, ["provenance.json", "not as gdconv wrote it"]),
        (spoil_the_names, ["provenance.json", "not as gdconv wrote it"]),
        (other_schema, ["provenance.json", "schema version 99"]),
        (no_json, ["provenance.json", "not as gdconv wrote it"]),
    ],
)
def test_a_damaged_study_is_refused_and_left_alone(study, damage, words):
    folder = run_sweep(CONFIGS, study).folder
    unfinish(folder)
    damage(folder)
    before = content(folder)
    more = [*CONFIGS, RunConfig(Gaussian(n_samples=12, n_features=4))]
    with pytest.raises(ConfigError) as caught:
        run_sweep(more, study)
    assert all(word in str(caught.value) for word in ["study=s", *words]), caught.value
    assert content(folder) == before


@pytest.mark.parametrize(
    ("table", "column"), [("eigenvalues", "n_features"), ("runs", "curve_rows")]
)
def test_a_row_that_does_not_say_how_many_there_are_is_computed_again(tmp_path, table, column):
    """Of one eigenvalue, and of one iteration, as y = 0 is where the start is."""
    path = tmp_path / "t.csv"
    path.write_text("y\n0\n0\n")
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    config = RunConfig(Table(path=str(path), target="y"))
    folder = run_sweep([config], study).folder
    before = content(folder)
    unfinish(folder)
    spoil_a_cell(folder / f"{table}.csv", 2, column, "")
    assert run_sweep([config], study).added == 1
    assert content(folder) == before


def test_lines_of_no_run_are_dropped_whatever_their_bytes_are(study):
    """A study that was stopped may have curves of a run that is not done, also damaged ones."""
    folder = run_sweep(CONFIGS, study).folder
    before = content(folder)
    unfinish(folder)
    curves = (folder / "curves.csv").read_bytes()
    line = curves.splitlines(keepends=True)[1]
    (folder / "curves.csv").write_bytes(curves + b"f59557d53\xa54aaf5" + line[16:])
    assert run_sweep(CONFIGS, study).added == 0
    assert content(folder) == before


# Names of the user's columns


def test_a_name_with_a_comma(study, tmp_path, capsys):
    """tests/data/commaname.csv: L(w*) = 4.2 by hand, the condition number with 120 digits."""
    table = Path(__file__).parents[1] / "data" / "commaname.csv"
    config = RunConfig(Table(path=str(table), target="Smith, J"))
    folder = run_sweep([config], study).folder
    runs = read(folder).runs
    # Of 2 XᵀX = [[60, 20], [20, 8]]: (34 + √1076) / (34 − √1076) = 55.7820...
    assert runs.loss_star[0] == pytest.approx(4.2, rel=1e-14)
    kappa = (34 + 1076**0.5) / (34 - 1076**0.5)
    assert runs.condition_number[0] == pytest.approx(kappa, rel=1e-13)
    assert runs.problem_options[0].startswith("target=Smith, J ")
    more = run_sweep([replace(config, step=Step(value=[1.0, 0.5])), *CONFIGS], study)
    assert (more.added, more.failed) == (9, 0)
    assert run_sweep([config], study).added == 0
    assert report.main([str(folder), "--status"]) == 0
    other = run_sweep([config], replace(study, study="t")).folder
    options = ["--figures", "scaling", "--format", "png"]
    assert report.main([str(folder), *options]) == 0
    assert report.main([str(folder), "--compare", str(other), *options]) == 0
    assert "1 runs in both, 9 only in s, 0 only in t" in capsys.readouterr().out


NAMES = [
    "a,b",
    'say "y"',
    '"',
    '",',
    "two\nlines",
    "a\r\nb",
    "a\rb",
    "a\u2028b",
    "x\ty",
    "'",
    "#",
    "NA",
]


def test_any_name_gives_a_study_that_can_be_gone_on_with(study, tmp_path):
    """A row is a line of its table: of a name with a line break, a blank is written instead."""
    configs = []
    for number, name in enumerate(NAMES):
        path = tmp_path / f"{number}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["x", name], [1, 2], [2, 3], [3, 1], [4, number]])
        configs.append(RunConfig(Table(path=str(path), target=name)))
    folder = run_sweep(configs[::2], study).folder
    outcome = run_sweep(configs, study)
    assert (outcome.added, outcome.failed) == (len(NAMES) // 2, 0)
    assert run_sweep(configs, study).added == 0
    unfinish(folder)
    before = content(folder)
    assert run_sweep(configs, study).added == 0
    assert content(folder) == before
    assert (folder / "runs.csv").read_bytes().count(b"\n") == 1 + len(NAMES)
    found = {row.removesuffix(" standardize=false") for row in read(folder).runs.problem_options}
    assert found == {"target=" + " ".join(name.split()) for name in NAMES}
    stored = run_study(configs)
    pd.testing.assert_frame_equal(read(folder).runs, stored.runs)


def test_a_table_that_a_spreadsheet_has_put_into_quotes_is_read_as_it_was(study, expected):
    folder = run_sweep(CONFIGS, study).folder
    unfinish(folder)
    for path in map(folder.joinpath, FILES):
        first, *lines = path.read_bytes().splitlines(keepends=True)
        quoted = [b'"' + line.rstrip().replace(b",", b'","') + b'"\n' for line in lines]
        path.write_bytes(b"".join([first, *quoted]))
    assert run_sweep(CONFIGS, study).added == 0
    assert {name: data.replace(b'"', b"") for name, data in content(folder).items()} == expected


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    study = StudyConfig(study="s", results_dir=str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"results_dir=.*cannot be written"):
        run_sweep(CONFIGS, study)


def test_provenance(study):
    folder = run_sweep(
        CONFIGS, study, ["gdconv", "results_dir=" + os.path.expanduser("~/x")]
    ).folder
    text = (folder / "provenance.json").read_text()
    found = json.loads(text)
    assert text == json.dumps(found, indent=2) + "\n"
    assert found["schema_version"] == SCHEMA_VERSION
    assert set(found["packages"]) >= {"numpy", "scipy", "hydra-core"}
    assert any("openblas" in library for library in found["linear_algebra"])
    # The cross-check of the spectrum: a few d eps.
    assert 0 < found["eigh_difference"] < 1e-13
    assert found["rows_multiplied"] == ["together"]
    (command,) = found["commands"]
    assert command["command"] == ["gdconv", "results_dir=~/x"]
    assert command["finished"] >= command["started"]


def test_config_yaml_says_what_to_type(study):
    folder = run_sweep(CONFIGS, study).folder
    text = (folder / "config.yaml").read_text()
    assert "n_samples: 12\n" in text
    assert "jobs:\n- problem.n_features=3\n- problem.n_features=2\n" in text


def test_runs_without_curves_are_the_same_and_done(study, expected):
    """record.curves=none leaves the curves out, changes nothing else, and is no loss to mend."""
    bare = [replace(config, record=Record(curves="none")) for config in CONFIGS]
    folder = run_sweep(bare, study).folder
    assert run_sweep(bare, study).added == 0
    found = content(folder)
    assert found["curves.csv"] == header("curves")
    assert found["eigenvalues.csv"] == expected["eigenvalues.csv"]

    def rows(text):
        return [
            {k: v for k, v in row.items() if k not in ("run_id", "curve_rows")}
            for row in csv.DictReader(io.StringIO(text.decode()))
        ]

    assert rows(found["runs.csv"]) == rows(expected["runs.csv"])
    # With curves they are runs of their own, beside the others.
    assert run_sweep(CONFIGS, study).added == 8
    assert content(folder)["curves.csv"] == expected["curves.csv"]


def test_failed_runs_are_run_again_only_if_asked_for(study, tmp_path, expected):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,1e200\n2,-1e200\n4,1e200\n")
    huge = RunConfig(Table(path=str(path), target="y"))
    outcome = run_sweep([*CONFIGS, huge], study)
    assert (outcome.added, outcome.failed) == (9, 1)
    assert run_sweep([*CONFIGS, huge], study).added == 0
    again = run_sweep([*CONFIGS, huge], replace(study, retry_failed=True))
    assert (again.added, again.failed) == (1, 1)
    # A sweep that does not ask for the failed run leaves its row alone.
    assert run_sweep(CONFIGS, replace(study, retry_failed=True)).added == 0
    rows = (outcome.folder / "runs.csv").read_bytes().splitlines(keepends=True)
    assert len(rows) == 1 + 9
    assert b"".join(row for row in rows if b",table," not in row) == expected["runs.csv"]


@pytest.mark.parametrize("engine", [Serial(), Processes(workers=2)])
def test_a_sweep_stops_at_a_failure_if_asked_to(study, engine, caplog):
    # It comes first, because it has the most work, and fails before it.
    network = Network(data="point", weights=[-1, 1])
    huge = RunConfig(network, method=GradientDescent(iterations=10**9))
    stopping = replace(study, stop_on_failure=True, engine=engine)
    configs = [huge, *(replace(each, repetitions=10) for each in CONFIGS)]
    outcome = run_sweep(configs, stopping)
    every = len(outcome.run_ids)
    assert outcome.failed == 1
    assert outcome.added < every
    assert "runs are missing: the same command adds them" in caplog.text
    again = run_sweep(configs, stopping)
    assert outcome.added + again.added == every
    assert again.failed == 1


def test_what_is_written_never_takes_twice_the_final_size(study, monkeypatch):
    largest = []
    real = os.replace

    def watching(source, target):
        largest.append(sum(path.stat().st_size for path in store_folder.iterdir()))
        real(source, target)

    store_folder = Path(study.results_dir) / study.study
    monkeypatch.setattr(store_module.os, "replace", watching)
    run_sweep(CONFIGS, study)
    final = sum(path.stat().st_size for path in store_folder.iterdir())
    assert max(largest) <= 2 * final


def test_the_plan_stands_in_the_history(study):
    folder = run_sweep(CONFIGS[:1], study).folder
    run_sweep(CONFIGS, study)
    commands = json.loads((folder / "provenance.json").read_text())["commands"]
    assert [(c["held"], c["planned"], c["runs"]) for c in commands] == [(0, 4, 4), (4, 4, 4)]


def test_a_refused_sweep_leaves_no_folder(tmp_path):
    study = StudyConfig(study="new", results_dir=str(tmp_path))
    with pytest.raises(ConfigError), Store(study):
        raise ConfigError("engine.address", "x", "does not answer")
    assert list(tmp_path.iterdir()) == []
