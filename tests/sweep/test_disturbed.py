"""Files of a study that others change, move or damage: no finished run is lost."""

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Record, Step, StudyConfig
from gdconv.experiment.group import run_group
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.sgd import Sgd
from gdconv.report import curves, report
from gdconv.sweep import lock, provenance
from gdconv.sweep.store import Store
from gdconv.sweep.sweep import grouped, plan, run_sweep
from gdconv.tables import contents, disk
from gdconv.tables.columns import COLUMNS, FILES
from gdconv.tables.csv import encode, header

CONFIG = RunConfig(
    Gaussian(n_samples=12, n_features=2),
    method=Sgd(iterations=20),
    step=Step(value=[1.0, 0.5]),
    repetitions=2,
    record=Record(coefficients=True),
)
TABLES = [f"{name}.csv" for name in COLUMNS]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Ask git for the commit in other tests."""
    monkeypatch.setattr(provenance, "_commit", lambda: None)


@pytest.fixture
def study(tmp_path):
    return StudyConfig(study="s", results_dir=str(tmp_path))


@pytest.fixture(scope="module")
def groups():
    return [encode(run_group([*group.values()])) for group in grouped(plan([CONFIG]).runs)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The tables of an undisturbed sweep."""
    return content(sweep(StudyConfig(study="s", results_dir=str(tmp_path_factory.mktemp("s")))))


def sweep(study):
    return run_sweep([CONFIG], study).folder


def without_curves(study):
    """A study of which few figures can be drawn, which is quick."""
    folder = run_sweep([replace(CONFIG, method=GradientDescent(iterations=20))], study).folder
    for name in ("curves", "eigenvalues"):
        (folder / f"{name}.csv").write_bytes(header(name))
    return folder


def content(folder):
    return {name: (folder / name).read_bytes() for name in TABLES if (folder / name).exists()}


def go_on(store, groups):
    for rows in groups:
        store.append(rows)
    store.finish()


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Files that are taken away from a running sweep


def edited(path):
    """As sed -i and editors do: a copy in the place of the file."""
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def of_before(path):
    """An editor had the file when there was only its header."""
    path.with_name("copy").write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    os.replace(path.with_name("copy"), path)


def halved(path):
    os.truncate(path, path.stat().st_size // 2)


def emptied(path):
    path.write_bytes(b"")


def added_to(path):
    with path.open("ab") as file:
        file.write(b"torn")


def renamed(path):
    path.rename(path.with_name("other"))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("stored", [1, 2])
@pytest.mark.parametrize(
    "disturb", [edited, of_before, Path.unlink, halved, emptied, added_to, renamed]
)
@pytest.mark.slow_where(case=lambda stored: stored == 2)
def test_a_table_that_is_taken_away_ends_the_sweep(study, groups, expected, disturb, stored, table):
    with Store(study) as store:
        store.begin([CONFIG], [], 4)
        for rows in groups[:stored]:
            store.append(rows)
        held = content(store.folder)
        disturb(store.folder / table)
        left = content(store.folder)
        with pytest.raises(OSError, match=rf"{table} was .* by another program") as caught:
            go_on(store, groups[stored:])
    said = str(caught.value)
    assert said.startswith(f"{store.folder}: {table} was ")
    assert ("the group just computed is not stored (runs: 2)" in said) == (stored == 1)
    # Nothing is written over what the other program made.
    assert content(store.folder) == left
    kept = store.folder / f"{table}.kept"
    if disturb in (edited, of_before, Path.unlink):
        assert f"what it held is kept in {kept.name}:" in said
        assert kept.read_bytes() == held[table]
    else:
        assert not kept.exists()
    assert content(sweep(study)) == expected


def over(path, place, new):
    """Write over a byte of the file itself."""
    with path.open("r+b") as file:
        file.seek(place)
        file.write(new)


def another_digit(path):
    data = path.read_bytes()
    place = max(data.rfind(digit) for digit in (b"1", b"2", b"3"))
    over(path, place, bytes([data[place] + 1]))


def another_run(path):
    """A line belongs to a run, or a problem, that there is not."""
    over(path, path.read_bytes().index(b"\n") + 1, b"x")


def no_number(path):
    over(path, path.read_bytes().rindex(b",", 0, -40) + 1, b"x")


def two_lines_in_one(path):
    over(path, path.read_bytes().rindex(b"\n", 0, -1), b" ")


def no_text(path):
    over(path, path.stat().st_size - 9, b"\xff")


def another_header(path):
    over(path, 0, b"x")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "edit", [another_digit, another_run, no_number, two_lines_in_one, no_text, another_header]
)
def test_a_table_that_is_edited_in_place_is_not_sorted(study, groups, expected, edit, table):
    """It keeps its size, so that it is noticed in the end; then the edit can be undone."""
    with Store(study) as store:
        store.begin([CONFIG], [], 4)
        store.append(groups[0])
        before = (store.folder / table).read_bytes()
        edit(store.folder / table)
        edited = (store.folder / table).read_bytes()
        assert edited != before
        assert len(edited) == len(before)
        with pytest.raises(OSError, match=rf"s: {table} was changed by another program during"):
            go_on(store, groups[1:])
    left = (store.folder / table).read_bytes()
    assert left.startswith(edited)
    (store.folder / table).write_bytes(before + left[len(before) :])
    outcome = run_sweep([CONFIG], study)
    assert outcome.added == 0
    assert content(outcome.folder) == expected


def test_what_was_kept_of_a_table_can_be_gone_on_with(study, groups, expected):
    with Store(study) as store:
        store.begin([CONFIG], [], 4)
        store.append(groups[0])
        (store.folder / "runs.csv").unlink()
        (store.folder / "runs.csv.kept").write_bytes(b"of another time")
        with pytest.raises(OSError, match=r"is kept in runs\.csv\.kept1: rename that"):
            store.append(groups[1])
    assert (store.folder / "runs.csv.kept").read_bytes() == b"of another time"
    (store.folder / "runs.csv.kept1").rename(store.folder / "runs.csv")
    outcome = run_sweep([CONFIG], study)
    assert outcome.added == 2
    assert content(outcome.folder) == expected


def test_a_folder_that_is_taken_away_ends_the_sweep(study, groups, expected, tmp_path):
    with Store(study) as store:
        store.begin([CONFIG], [], 4)
        store.append(groups[0])
        store.folder.rename(tmp_path / "t")
        with pytest.raises(OSError, match="s: was removed or renamed"):
            store.append(groups[1])
    assert not store.folder.exists()
    outcome = run_sweep([CONFIG], replace(study, study="t"))
    assert outcome.added == 2
    assert content(outcome.folder) == expected


DISTURBED = """
import sys
from gdconv.cli import main as cli
from gdconv.sweep import store

def append(self, rows, real=store.Store.append):
    real(self, rows)
    path = self.folder / "curves.csv"
    if sys.argv[1] == "study=removed":
        path.unlink()
    elif len(self.done) == 1:
        with path.open("r+b") as file:
            file.write(b"x")

store.Store.append = append
sys.exit(cli.main())
"""


@pytest.mark.parametrize(
    ("study", "what"),
    [
        (
            "removed",
            "removed or replaced (what it held is kept in curves.csv.kept: rename that to go on"
            " from there) by another program during the sweep; the group just computed is not"
            " stored (runs: 1); the same command continues the study",
        ),
        (
            "edited",
            "changed by another program during the sweep; the same command continues the study",
        ),
    ],
)
@pytest.mark.slow_where(case=lambda study: study == "edited")
def test_the_command_ends_with_status_1_and_one_line(tmp_path, study, what):
    done = subprocess.run(
        [sys.executable, "-c", DISTURBED, f"study={study}", "report=false", "repetitions=2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"gdconv: results/{study}: curves.csv was {what}"
    assert "Traceback" not in done.stderr


# The lock


def locks_files_only(monkeypatch):
    """As NFS does."""
    real = lock.fcntl.flock

    def flock(file, operation):
        if isinstance(file, int):
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(file, operation)

    monkeypatch.setattr(lock.fcntl, "flock", flock)


@pytest.mark.parametrize("taken_away", [Path.unlink, edited])
def test_no_second_writer_begins_when_the_lock_file_is_taken_away(
    study, groups, expected, taken_away
):
    with Store(study) as first:
        first.begin([CONFIG], [], 4)
        first.append(groups[0])
        taken_away(first.folder / ".lock")
        left = everything(first.folder)
        with pytest.raises(ConfigError, match="study=s: is being written by "), Store(study):
            pass
        assert everything(first.folder) == left
        with pytest.raises(OSError, match=r"\.lock was removed or replaced by another program"):
            first.append(groups[1])
    # The lock file of another is not removed.
    assert everything(first.folder) == left
    assert content(sweep(study)) == expected


def test_a_writer_that_has_lost_its_lock_file_does_not_go_on_beside_another(
    study, groups, expected, monkeypatch
):
    locks_files_only(monkeypatch)
    with Store(study) as first:
        first.begin([CONFIG], [], 4)
        first.append(groups[0])
        with pytest.raises(ConfigError, match=f"written by process {os.getpid()} "), Store(study):
            pass
        (first.folder / ".lock").unlink()
        with Store(study) as second:
            second.begin([CONFIG], [], 2)
            second.append(groups[1])
            with pytest.raises(OSError, match=r"\.lock was removed"):
                first.append(groups[1])
            second.finish()
        with pytest.raises(OSError, match=r"\.lock was removed"):
            first.finish()
    assert content(first.folder) == expected


def test_a_folder_that_its_holder_removed_is_made_anew(study, monkeypatch):
    """Between our opening it and our locking it."""
    real = lock.fcntl.flock

    def late(file, operation):
        monkeypatch.setattr(lock.fcntl, "flock", real)
        (Path(study.results_dir) / "s").rmdir()
        real(file, operation)

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with Store(study) as store:
        assert (store.folder / ".lock").exists()
    assert not store.folder.exists()


# Checksums


def spoil_a_digit(path):
    """Change a digit of the last number, which stays a number."""
    data = path.read_bytes()
    at = max(data.rfind(digit) for digit in (b"1", b"2", b"3"))
    changed = data[:at] + bytes([data[at] + 1]) + data[at + 1 :]
    path.write_bytes(changed)
    return changed


def test_a_finished_study_has_the_checksums_of_its_tables(study, expected):
    history = json.loads((sweep(study) / "provenance.json").read_text())
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in expected.items()}
    assert history["checksums"] == sums


@pytest.mark.parametrize("table", TABLES)
def test_a_changed_digit_is_noticed(study, expected, table, capsys):
    folder = sweep(study)
    assert report.main(["--status", str(folder)]) == 0
    assert "no longer" not in capsys.readouterr().out
    changed = spoil_a_digit(folder / table)
    before = everything(folder)
    more = replace(CONFIG, repetitions=3)
    with pytest.raises(
        ConfigError, match=rf"study=s: was changed after it was finished, in {table};"
    ):
        run_sweep([more], study)
    assert report.main(["--status", str(folder), str(folder)]) == 1
    assert capsys.readouterr().out.count(f"changed after the study was finished: {table}.") == 2
    assert everything(folder) == before
    # It is taken as it is, or the original is put back.
    assert content(sweep(replace(study, accept_changed=True)))[table] == changed
    assert run_sweep([CONFIG], study).added == 0
    assert report.main(["--status", str(folder)]) == 0
    (folder / table).write_bytes(expected[table])
    with pytest.raises(ConfigError, match=f"changed after it was finished, in {table};"):
        sweep(study)
    assert content(sweep(replace(study, accept_changed=True))) == expected


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_missing_is_computed_again_if_asked_for(study, expected, table):
    folder = sweep(study)
    (folder / table).unlink()
    with pytest.raises(ConfigError, match=f"changed after it was finished, in {table};"):
        sweep(study)
    assert content(sweep(replace(study, accept_changed=True))) == expected


def test_a_finished_study_that_is_killed_while_it_grows_is_continued(study, tmp_path):
    more = replace(CONFIG, repetitions=4)
    whole = content(run_sweep([more], replace(study, study="whole")).folder)
    sweep(study)
    with Store(study) as store:
        store.begin([more], [], 4)
        for group in grouped(plan([more]).runs)[2:3]:
            store.append(encode(run_group([*group.values()])))
    outcome = run_sweep([more], study)
    assert outcome.added == 2
    assert content(outcome.folder) == whole


def test_a_study_without_checksums_is_read_to_the_last_cell_and_gets_them(study, expected):
    folder = sweep(study)
    path = folder / "provenance.json"
    history = json.loads(path.read_text())
    sums = history.pop("checksums")
    path.write_text(json.dumps(history))
    outcome = run_sweep([CONFIG], study)
    assert outcome.added == 0
    assert content(folder) == expected
    assert json.loads(path.read_text())["checksums"] == sums


@pytest.mark.parametrize("checksums", [5, [], None, "0", {"runs.csv": 5}])
def test_checksums_that_are_none_are_refused(study, checksums):
    path = sweep(study) / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checksums": checksums}))
    with pytest.raises(ConfigError, match=r"provenance\.json is not|finished, in runs\.csv;"):
        sweep(study)


# Copies


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_a_copy_without_hidden_files_is_continued(study, groups, expected, stored, tmp_path):
    with Store(study) as store:
        store.begin([CONFIG], [], 4)
        for rows in reversed(groups[:stored]):
            store.append(rows)
        copy = tmp_path / "copy"
        shutil.copytree(store.folder, copy, ignore=shutil.ignore_patterns(".*"))
    outcome = run_sweep([CONFIG], replace(study, study="copy"))
    assert outcome.added == 4 - 2 * stored
    assert content(copy) == expected


def test_a_copy_made_of_hard_links_stays_as_it_is(study, expected, tmp_path):
    folder = sweep(study)
    shutil.copytree(folder, tmp_path / "copy", copy_function=os.link)
    run_sweep([replace(CONFIG, repetitions=3)], study)
    assert content(folder) != expected
    assert content(tmp_path / "copy") == expected
    assert report.main(["--status", str(tmp_path / "copy")]) == 0


def test_a_copy_of_the_tables_alone_is_continued(study, expected, tmp_path):
    folder = sweep(study)
    (folder / "provenance.json").unlink()
    assert run_sweep([CONFIG], study).added == 0
    assert content(folder) == expected


# Links and pipes


def link_outside(path):
    path.with_name("outside").write_bytes(path.read_bytes() if path.exists() else b"mine")
    path.unlink(missing_ok=True)
    path.symlink_to("outside")


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


STRANGE = {link_outside: "is a symbolic link", pipe: "is not a regular file"}


@pytest.mark.parametrize("name", [*FILES, "report.html", ".lock"])
@pytest.mark.parametrize("make", STRANGE)
def test_what_is_no_file_of_its_own_is_refused(study, groups, no_waiting, name, make):
    temporary = [f".{name}.tmp"] if name != ".lock" else []
    for finished in (True, False):
        for each in (name, *temporary):
            with Store(study) as store:
                store.begin([CONFIG], [])
                if finished:
                    store.append(groups[0])
                    store.finish()
            strange = store.folder / each
            make(strange)
            before = sorted(os.listdir(store.folder))
            refused = f"study=s: cannot be continued, {each} {STRANGE[make]}"
            with no_waiting(), pytest.raises(ConfigError, match=refused):
                sweep(study)
            assert sorted(os.listdir(store.folder)) == before
            shutil.rmtree(store.folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("make", STRANGE)
def test_what_is_no_file_of_its_own_is_not_read(study, no_waiting, name, make, capsys):
    folder, other = sweep(study), sweep(replace(study, study="t"))
    make(folder / name)
    before = sorted(Path(study.results_dir).rglob("*"))
    calls = [[str(folder)], ["--compare", str(folder), str(other)]]
    calls += [["--status", str(folder)]] if name != "config.yaml" else []
    for arguments in calls:
        with no_waiting():
            assert report.main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"gdconv-report: {folder}: {name}: {STRANGE[make]}\n"
    assert sorted(Path(study.results_dir).rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        ".report.html.tmp",
        "figures/rate_vs_step.png",
        "figures/.rate_vs_step.png.tmp",
    ],
)
@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.slow_where(case=lambda name: ".tmp" in name)
def test_a_report_writes_into_no_other_file(study, no_waiting, name, make, capsys):
    folder = without_curves(study)
    (folder / "figures").mkdir()
    make(folder / name)
    with no_waiting():
        status = report.main([str(folder)])
    path = folder / name
    assert status == 2
    assert capsys.readouterr().err == f"gdconv-report: {folder}: {path.name}: {STRANGE[make]}\n"
    if make is link_outside:
        assert path.with_name("outside").read_bytes() == b"mine"


def test_a_study_may_lie_behind_a_link(study, expected, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s").symlink_to("elsewhere")
    assert content(sweep(study)) == expected
    assert content(tmp_path / "elsewhere") == expected


# Temporary files


def test_what_a_killed_command_left_is_removed_by_the_next(study, expected):
    folder = sweep(study)
    for name in (*FILES, "report.html"):
        (folder / f".{name}.tmp").write_bytes(b"half")
    assert run_sweep([CONFIG], study).added == 0
    assert not list(folder.glob(".*"))
    assert content(folder) == expected


def test_figures_that_a_killed_report_left_are_removed_by_the_next(study):
    folder = sweep(study)
    (folder / "figures").mkdir()
    for name in ("scaling.png", "gallery.pdf"):
        (folder / "figures" / f".{name}.tmp").write_bytes(b"half")
    assert report.main([str(folder), "--figures", "gallery", "--format", "png"]) == 0
    assert not list(folder.rglob(".*"))


# The disk


@pytest.mark.parametrize("number", [pytest.param(errno.EIO, marks=pytest.mark.slow), errno.ENOSPC])
@pytest.mark.parametrize(
    "what",
    [
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("readinto", "write", "fsync")),
        "replace",
    ],
)
def test_any_failure_of_the_disk_costs_no_row(study, expected, monkeypatch, what, number):
    """Each call fails once, in turn; the same command then ends with the undisturbed bytes."""
    left = 0

    def fails(source=None, target=None):
        nonlocal left
        left -= 1
        if left == 0:
            # As the system does it, with names only where there is no open file.
            raise OSError(number, os.strerror(number), *([source, None, target] if target else []))

    def readinto(file, buffer):
        fails()
        return FileIO.readinto(file, buffer)

    def write(file, data):
        """Half of the data fits, and nothing more of this file."""
        if file not in full:
            try:
                fails()
                return FileIO.write(file, data)
            except OSError as error:
                full[file] = error
                return FileIO.write(file, data[: len(data) // 2])
        raise OSError(*full[file].args)

    full = {}
    if what in ("write", "readinto"):
        calls = {"readall": FileIO.readall, "truncate": FileIO.truncate}
        calls |= {"write": write, "readinto": readinto}
        monkeypatch.setattr(disk, "FileIO", SimpleNamespace(**calls))
    else:
        real = getattr(os, what)
        monkeypatch.setattr(os, what, lambda *how: (fails(*how), real(*how))[1])
    failed, folder = 0, Path(study.results_dir) / "s"
    while True:
        left = failed + 1
        told = None
        try:
            sweep(study)
        except OSError as error:
            told = disk.told(error)
        except ConfigError as error:
            told = str(error)
        if left > 0:
            break
        # It names the file, or the folder that keeps its name.
        assert re.search(rf"{re.escape(study.results_dir)}\S*: {os.strerror(number)}", told), told
        # Nothing takes room, and nobody holds the folder.
        assert not list(folder.glob(".*"))
        assert content(sweep(study)) == expected
        shutil.rmtree(folder)
        failed += 1
    assert content(folder) == expected
    assert failed >= {"readinto": 15, "write": 15, "fsync": 15, "replace": 5}[what]


def test_names_are_on_the_disk_before_what_relies_on_them(study, groups, monkeypatch):
    """Checksums are gone before a table changes, and come when all are sorted."""
    happened = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def fsync(descriptor):
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        happened.append(("fsync", Path(name).name))
        real["fsync"](descriptor)

    def rename(source, target):
        happened.append(("rename", Path(target).name))
        assert happened[-2] == ("fsync", Path(source).name)
        real["replace"](source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    sweep(study)
    changes = [each for each in happened if each[0] == "rename" or each[1] in ("s", *TABLES)]
    # Only tables that are not in their order yet are replaced, which hangs on the identifiers.
    renames = [each for each in changes[3:-3] if each[0] == "rename"]
    assert renames == sorted(renames)
    assert ("rename", "runs.csv") in renames
    folder, history = ("fsync", "s"), ("rename", "provenance.json")
    assert changes[:3] == [history, ("rename", "config.yaml"), folder]
    assert changes[-3 - len(renames) :] == [*renames, folder, history, folder]
    assert happened[0] == ("fsync", Path(study.results_dir).name)
    happened.clear()
    with Store(study) as store:
        store.forget(groups[0].status)
        store.begin([CONFIG], [], 2)
    changes = [each for each in happened if each[0] == "rename" or each == folder]
    dropped = [("rename", f"{name}.csv") for name in ("coefficients", "curves", "runs")]
    assert changes == [history, ("rename", "config.yaml"), folder, *dropped, folder]


# The report


def test_a_command_that_begins_while_the_status_is_asked_for_is_no_change(
    study, groups, monkeypatch, capsys
):
    folder = sweep(study)
    real = contents.standing

    def begun(*how):
        monkeypatch.setattr(contents, "standing", real)
        with Store(study) as store:
            store.forget(groups[0].status)
            store.begin([CONFIG], [], 2)
        return real(*how)

    monkeypatch.setattr(contents, "standing", begun)
    assert report.main(["--status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "no longer" not in said
    assert "the same command continues it" in said


def test_a_report_is_current_by_what_it_was_made_of(study):
    folder = without_curves(study)
    assert not report.is_current(folder)
    report.write(folder)
    text = (folder / "report.html").read_bytes()
    for time in (0, 2**31):
        os.utime(folder / "runs.csv", (time, time))
        assert report.is_current(folder)
    times = (folder / "runs.csv").stat()
    before = (folder / "runs.csv").read_bytes()
    (folder / "runs.csv").write_bytes(before.replace(b"max_", b"min_", 1))
    os.utime(folder / "runs.csv", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not report.is_current(folder)
    (folder / "runs.csv").write_bytes(before)
    assert report.is_current(folder)
    report.write(folder)
    assert (folder / "report.html").read_bytes() == text
    for name in FILES:
        away = folder.parent / "away"
        (folder / name).rename(away)
        assert not report.is_current(folder)
        away.rename(folder / name)
    # The page bears the name of the folder.
    assert not report.is_current(folder.rename(folder.parent / "t"))


def test_a_report_of_files_that_change_meanwhile_is_not_current(study, monkeypatch):
    folder = without_curves(study)
    real = curves.read

    def meddle(folder):
        found = real(folder)
        with (folder / "runs.csv").open("ab") as file:
            file.write(b"torn")
        return found

    monkeypatch.setattr(curves, "read", meddle)
    assert report.main([str(folder)]) == 0
    assert not report.is_current(folder)
