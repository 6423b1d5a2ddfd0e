"""Tables that are never whole in memory: they give the problem that they give in memory."""

import gzip
import io
import os
import pickle
import re
import signal
import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Columns, Gaussian, Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Processes, Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import (
    block_ends,
    known,
    make,
    remembered,
    rows_of,
    shape,
    tree_of,
)
from gdconv.problems.least_squares import Objective
from gdconv.problems.table import large, progress, reading
from gdconv.problems.table.describe import describe
from gdconv.problems.table.files.text import TextFile
from gdconv.sweep import sweep, triangles
from gdconv.sweep.sweep import run_study, run_sweep
from gdconv.tables.columns import COLUMNS

# Many files are written and read by processes of their own.
pytestmark = pytest.mark.slow
N = 400


def written(frame, folder, kind):
    path = folder / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    elif kind == "parts":
        path.mkdir()
        for number in range(3):
            frame[number * 150 : (number + 1) * 150].to_csv(path / f"{number}.csv", index=False)
    elif kind == "parquet":
        frame.to_parquet(path, row_group_size=170)
    else:
        frame.to_feather(path)
    return str(path)


KINDS = ["csv", "gz", "parts", "parquet", "feather"]
KEYS = {"text": "one_hot", "dates": "day", "missing": "drop_rows"}


def whole(problem):
    """The problem with all rows in memory, in the order of the file."""
    n_samples, n_features = shape(problem)
    X, y = np.empty((n_samples, n_features)), np.empty(n_samples)
    rows_of(problem, 0, 0).fill(0, n_samples, X, y)
    return X, y


@pytest.mark.parametrize("missing", ["drop_rows", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_are_those_in_memory(frame, tmp_path, kind, missing, small, monkeypatch):
    problem = Table(written(frame, tmp_path, kind), "y", **(KEYS | {"missing": missing}))
    X, y = whole(problem)
    facts, ends = reading.facts(problem), block_ends(problem)
    assert reading.read(problem).is_large
    assert len(ends) > 3
    assert [stop for _, stop in ends[:-1]] == [start for start, _ in ends[1:]]
    monkeypatch.undo()
    reading._read.cache_clear()
    reading._FACTS.clear()
    in_memory = reading.read(problem)
    assert not in_memory.is_large
    assert (X[:, :-1] == in_memory.X).all()
    assert (y == in_memory.y).all()
    assert facts == in_memory.facts
    assert facts.rows == (N if missing == "mean" else N - frame.gap.isna().sum())


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_problem_is_that_of_all_rows(frame, tmp_path, standardize, intercept, small):
    keys = KEYS | {"standardize": standardize, "intercept": intercept}
    problem = Table(written(frame, tmp_path, "csv"), "y", **keys)
    found = Objective(make(problem, 0, 0), "qr")
    assert found.problem.rows == shape(problem)[0]
    X, y = whole(replace(problem, standardize=False, intercept=True))
    X = X[:, :-1]
    if standardize:
        # In two passes, as the program does it in memory.
        X = X - X.mean(axis=0)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    if intercept:
        X = np.column_stack([X, np.ones(len(X))])
    w, _, _, sizes = np.linalg.lstsq(X / np.linalg.norm(X, axis=0), y)
    residual = y - X @ (w / np.linalg.norm(X, axis=0))
    # A mean of 1e9 beside a variation of 1 costs nine digits here, and none there.
    digits = 1e-12 if standardize else 1e-6
    assert found.offset == pytest.approx(residual @ residual, rel=digits)
    assert found.spectrum.lambda_max == pytest.approx(2 * np.linalg.norm(X, 2) ** 2, rel=1e-12)
    assert found.spectrum.rank == len(sizes)


@pytest.fixture
def passes(monkeypatch):
    """The files that are read from their beginning."""
    found, real = [], TextFile.blocks

    def noting(file, used):
        found.append(file.part.name)
        return real(file, used)

    monkeypatch.setattr(TextFile, "blocks", noting)
    return found


@pytest.mark.parametrize("kind", ["csv", "parts"])
def test_numbers_are_looked_at_once(frame, tmp_path, kind, small, monkeypatch, passes):
    """What else there is has to be known before it can be turned into numbers."""
    path = written(frame.assign(one=1.0, copy=frame.whole), tmp_path, kind)
    plain = Table(path, "y", drop=["gap", "colour", "day"])
    problems = [plain, replace(plain, drop=["colour", "day"], missing="mean")]
    found, counts = [], []
    for problem in problems:
        passes.clear()
        X, y = whole(problem)
        found.append((X, y, reading.facts(problem)))
        counts.append(len(passes) // (3 if kind == "parts" else 1))
    assert counts == [1, 2]
    monkeypatch.undo()
    reading._read.cache_clear()
    reading._FACTS.clear()
    for problem, (X, y, facts) in zip(problems, found, strict=True):
        in_memory = reading.read(problem)
        assert not in_memory.is_large
        assert (X[:, :-1] == in_memory.X).all()
        assert (y == in_memory.y).all()
        assert facts == in_memory.facts


def anew(problem):
    """What is known of a table that was forgotten, or why it is refused."""
    reading._read.cache_clear()
    reading._FACTS.clear()
    try:
        X, y = whole(problem)
    except ConfigError as error:
        return str(error)
    return X.tolist(), y.tolist(), reading.facts(problem), block_ends(problem)


def in_any_order(run, files):
    """As workers do, which get copies and end at different times."""
    for number, file in reversed(files):
        try:
            copies = pickle.loads(pickle.dumps((run, file)))
            yield number, copies[0](copies[1])
        except ConfigError:
            yield number, None


@pytest.mark.parametrize(
    "keys",
    [
        {"drop": ["gap", "colour", "day"]},
        {"drop": ["day"], "text": "one_hot", "missing": "mean"},
        {"drop": ["day"], "text": "drop", "missing": "drop_rows"},
        {"dates": ["day"], "text": "one_hot", "missing": "drop_rows"},
        {},
        {"text": "one_hot"},
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_workers_find_what_one_process_finds(frame, tmp_path, kind, keys, small, passes):
    """Row numbers and rounded numbers go over the parts; a refusal is that of the first cell."""
    frame = frame.assign(id=range(1, N + 1), large=2**60 + np.arange(N), copy=frame.whole)
    folder = tmp_path / "t"
    folder.mkdir()
    for number in range(3):
        rows = frame[number * 150 : (number + 1) * 150].reset_index(drop=True)
        path = folder / f"{number}.part"
        rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    problem = Table(str(folder), "y", **keys)
    expected = anew(problem)
    passes.clear()
    asked = []

    def workers(run, files):
        asked.append(len(files))
        return in_any_order(run, files)

    with large.looked_at_by(workers):
        assert anew(problem) == expected
    # Dates are read in two ways, which is found out first.
    assert asked == ([] if "dates" in keys else [3])
    if "text" not in keys and keys:
        assert "id numbers the rows" in "".join(expected[2].notices)
        assert "the first in row 2, column 8 (large)" in "".join(expected[2].notices)
        # Each file once by a worker.
        assert passes[:3] == ([] if kind == "parquet" else ["2.part", "1.part", "0.part"])


def test_progress_of_the_first_look(frame, tmp_path, small, monkeypatch, caplog):
    plain = Table(written(frame, tmp_path, "csv"), "y", drop=["gap", "colour", "day"])
    size = (tmp_path / "t.csv").stat().st_size
    monkeypatch.setattr(progress, "TELL_SECONDS", 0.0)
    caplog.set_level("INFO")
    shape(plain)
    lines = [line for line in caplog.messages if line.startswith("reading t.csv: ")]
    done = [int(line.split()[2]) for line in lines]
    assert done == sorted(done)
    assert re.fullmatch(
        rf"reading t.csv: {size} of {size} bytes \(400 rows\), \d+ s, about 0 s left", lines[-1]
    )
    reading._read.cache_clear()
    reading._FACTS.clear()
    stream = io.StringIO()
    monkeypatch.setattr(progress, "bar_stream", lambda: stream)
    monkeypatch.setattr(progress, "SHOW_SECONDS", 0.0)
    shape(plain)
    assert "reading t.csv: 100%" in stream.getvalue()
    assert "rows=400" in stream.getvalue()


def test_it_is_described_as_in_memory(frame, tmp_path, small, monkeypatch):
    frame = frame.assign(a=frame.a - 1e9, b=frame.a - 1e9 + 0.01 * frame.whole, one=1.0)
    path = written(frame, tmp_path, "parts")
    keys = Columns((path,), **KEYS)
    given = [(keys, "y", True), (keys, None, True), (replace(keys, drop=("one", "b")), "y", False)]
    found = [describe(*each) for each in given]
    monkeypatch.undo()
    whole = [describe(*each) for each in given]
    for one, other in zip(found, whole, strict=True):
        assert one.lines == other.lines
        assert one.needed == other.needed
    told = "\n".join(found[0].lines)
    assert "a and b are correlated: 0." in told
    assert "as it is: rank 7, κ = " in told
    assert "without a column of ones\n  as it is: rank 6, κ = " in "\n".join(found[-1].lines)


@pytest.mark.slow
def test_workers_are_told_what_is_known(frame, tmp_path, small):
    """They read only their own rows: with their own settings the table would be small."""
    config = RunConfig(
        Table(written(frame, tmp_path, "csv"), "y", **KEYS),
        method=GradientDescent(iterations=20),
        step=Step(value=[0.5, 1.0]),
    )
    expected = run_study(config)
    study = StudyConfig(study="s", results_dir=str(tmp_path), engine=Processes(workers=2))
    found = run_sweep([config], study)
    assert (found.added, found.failed) == (2, 0)
    again = run_sweep([config], replace(study, study="t", engine=StudyConfig().engine))
    for name in COLUMNS:
        one, other = ((each.folder / f"{name}.csv").read_bytes() for each in (found, again))
        assert one == other
    assert expected.runs.loss_star.tolist() == pytest.approx(
        pd.read_csv(found.folder / "runs.csv").loss_star.tolist(), rel=1e-15
    )


def test_a_worker_is_told_only_of_its_rows(frame, tmp_path, small):
    data = known(Table(written(frame, tmp_path, "parts"), "y", **KEYS))
    part = data.only(0, 10)
    assert [rows.file.part.name for rows in part.table.rows] == ["0.csv"]
    assert (part.between(0, 10) == data.between(0, 10)).all()
    assert len(pickle.dumps(part)) < len(pickle.dumps(data)) / 2


def test_a_table_in_memory_is_not_read_by_workers(frame, tmp_path, monkeypatch):
    """Their rows are sent to them, or means alone if the triangle is known."""
    problem = Table(written(frame, tmp_path, "csv"), "y", **KEYS, block_rows=100)
    expected, triangle = make(problem, 0, 0), rows_of(problem, 0, 0).triangle(100, 200)
    data = known(problem)
    assert not data.is_large
    assert known(replace(problem, block_rows=None)) is None
    rows, none = (pickle.loads(pickle.dumps(data.only(*ends))) for ends in [(100, 200), (0, 0)])
    tree = tree_of(problem)
    for number, ends in enumerate(block_ends(problem)):
        tree.add((0, number), rows_of(problem, 0, 0).triangle(*ends))
    monkeypatch.setattr(reading, "_key", None)
    with remembered(problem, rows):
        assert (rows_of(problem, 0, 0).triangle(100, 200) == triangle).all()
    with remembered(problem, none):
        assert (make(problem, 0, 0, tree.root).X == expected.X).all()


@pytest.mark.parametrize("rows", [37, 250, N])
def test_blocks_of_as_many_rows_as_asked_for(frame, tmp_path, rows, small, monkeypatch):
    problem = Table(written(frame, tmp_path, "csv"), "y", **KEYS)
    pieces = Objective(make(problem, 0, 0), "qr")
    count = len(block_ends(problem))
    read, real = [], TextFile.block

    def noting(file, piece, used):
        read.append(piece)
        return real(file, piece, used)

    monkeypatch.setattr(TextFile, "block", noting)
    problem = replace(problem, block_rows=rows)
    n_samples = shape(problem)[0]
    assert block_ends(problem)[0] == (0, min(rows, n_samples))
    found = make(problem, 0, 0)
    # A piece is not read for each block in it, but may be read for the blocks at its ends.
    assert count <= len(read) <= count + (0 if rows == N else n_samples // rows)
    assert found.rows == (None if rows == N else n_samples)
    # Rounding is relative to a mean of 1e9.
    assert Objective(found, "qr").offset == pytest.approx(pieces.offset, rel=1e-6)


def test_all_rows_of_a_large_table_if_they_are_asked_for(frame, tmp_path, small):
    problem = Table(written(frame, tmp_path, "csv"), "y", **KEYS, standardize=True)
    config = RunConfig(problem, method=GradientDescent(iterations=20, reduce="none"))
    with pytest.raises(ConfigError, match=r"or give problem.block_rows=\d+$") as caught:
        run_study(config)
    rows = int(str(caught.value).rpartition("=")[2])
    whole = run_study(replace(config, problem=replace(problem, block_rows=rows))).runs
    pieces = run_study(replace(config, method=GradientDescent(iterations=20))).runs
    assert whole.loss_star.tolist() == pytest.approx(pieces.loss_star.tolist(), rel=1e-12)


def vanish(part):
    part.unlink()


def change(part):
    part.write_bytes(part.read_bytes() + part.read_bytes()[-20:])


def rename_a_column(part):
    part.write_bytes(part.read_bytes().replace(b"whole", b"wholes", 1))


def cut_off(part):
    part.write_bytes(part.read_bytes()[:-300])


def spoil(part):
    """Spoil its end, but keep its size and its time."""
    times = part.stat().st_atime_ns, part.stat().st_mtime_ns
    part.write_bytes(part.read_bytes()[:-300] + bytes(300))
    os.utime(part, ns=times)


LOST = {
    "csv": [vanish, change, rename_a_column, cut_off],
    "parquet": [vanish, cut_off, spoil],
}


@pytest.mark.parametrize("when", ["planned", "looked_at"])
@pytest.mark.parametrize(
    ("kind", "lose"), [(kind, lose) for kind, ways in LOST.items() for lose in ways]
)
def test_a_part_that_is_lost_costs_only_its_runs(
    frame, tmp_path, kind, lose, when, small, monkeypatch
):
    """After the sweep was planned, or after all parts were looked at."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(3):
        rows, path = frame[number * 150 : (number + 1) * 150], folder / f"{number}.part"
        rows = rows[["a", "whole", "y"]]
        rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    method = GradientDescent(iterations=20)
    configs = [RunConfig(each, method=method) for each in (Table(str(folder), "y"), SMALL)]
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    part, real = folder / "2.part", (sweep.prepared, triangles._decomposed)
    content = part.read_bytes()

    def prepared(*given):
        if when == "planned":
            lose(part)
            reading._read.cache_clear()
            reading._FACTS.clear()
        return real[0](*given)

    def decomposed(block):
        if when == "looked_at" and block.number == 1:
            lose(part)
        return real[1](block)

    with monkeypatch.context() as patched:
        patched.setattr(sweep, "prepared", prepared)
        patched.setattr(triangles, "_decomposed", decomposed)
        outcome = run_sweep(configs, study)
    assert (outcome.added, outcome.failed) == (2, 1)
    runs = pd.read_csv(outcome.folder / "runs.csv").set_index("problem")
    assert runs.status["gaussian"] == "max_iterations"
    reason = runs.error["table"]
    if when == "looked_at":
        reasons = {vanish: "no such file", spoil: "must be a readable Parquet file"}
        assert "parts/2.part: " in reason
        assert reasons.get(lose, "was changed since it was looked at") in reason
    else:
        said = "was changed while|column 2 wholes instead of whole|must be a readable|must hold"
        assert "/parts" in reason
        assert re.search(said, reason)
    part.write_bytes(content)
    again = run_sweep(configs, replace(study, retry_failed=True))
    assert (again.added, again.failed) == (1, 0)
    undisturbed = run_sweep(configs, replace(study, study="t"))
    for name in COLUMNS:
        one, other = ((each.folder / f"{name}.csv").read_bytes() for each in (again, undisturbed))
        assert one == other


SMALL = Gaussian(60, 3)


def lethal(block):
    """Die at the third block."""
    if block.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return triangles._decomposed(block)


@pytest.mark.slow
def test_a_piece_that_kills_its_worker_costs_only_its_runs(frame, tmp_path, small, monkeypatch):
    configs = [
        RunConfig(each, method=GradientDescent(iterations=20))
        for each in (Table(written(frame, tmp_path, "csv"), "y", **KEYS), SMALL)
    ]
    study = StudyConfig(study="s", results_dir=str(tmp_path), engine=Processes(workers=2))
    real = triangles.Job
    monkeypatch.setattr(triangles, "Job", lambda _, *others: real(lethal, *others))
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        outcome = run_sweep(configs, study)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert (outcome.added, outcome.failed) == (2, 1)
    runs = pd.read_csv(outcome.folder / "runs.csv").set_index("problem")
    assert re.match(r"rows \d+ to \d+: tried twice: the worker process died", runs.error["table"])
    assert runs.status["gaussian"] == "max_iterations"


def test_a_file_that_changes_meanwhile_is_refused(frame, tmp_path, small):
    path = written(frame, tmp_path, "csv")
    problem = Table(path, "y", **KEYS)
    data = known(problem)
    with open(path, "a", encoding="utf-8") as file:
        file.write("1,red,2020-01-01,1,1,1\n")
    with pytest.raises(ConfigError, match="was changed since it was looked at"):
        data.between(0, 10)


def test_the_line_of_a_fault_is_that_of_the_file(tmp_path, small):
    lines = ["a,y"] + [f"{k},{2 * k}" for k in range(1000)]
    lines[900] = "1,2,3"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match="line 901 has 3 cells instead of 2"):
        make(Table(str(path), "y"), 0, 0)


def test_the_row_of_a_text_is_that_of_the_file(tmp_path, small):
    rows = [f"{k},{2 * k}" for k in range(1000)]
    rows[899] = "x,2"
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "\n".join(rows) + "\n")
    with pytest.raises(ConfigError, match=r"row 900, column 1 \(a\) has 'x'"):
        make(Table(str(path), "y"), 0, 0)
