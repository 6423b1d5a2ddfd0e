"""Tables in the stores of fsspec: they are what the same files on this machine are."""

import gzip
import sys
from dataclasses import replace

import fsspec
import numpy as np
import pytest

from gdconv.config.problems import Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Processes, Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import block_ends, known
from gdconv.problems.table import reading
from gdconv.problems.table.files import places
from gdconv.sweep.sweep import run_study, run_sweep
from gdconv.tables.columns import COLUMNS

ROOT = "memory://bucket"


@pytest.fixture
def store():
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


def write(frame, folder, kind):
    """Write three parts, and what programs write beside them."""
    folder.mkdir()
    frame = frame[["a", "whole", "y"]]
    for number in range(3):
        part, path = frame[number * 150 : (number + 1) * 150], folder / f"{number}.part"
        if kind == "csv":
            part.to_csv(path, index=False)
        elif kind == "gz":
            path.write_bytes(gzip.compress(part.to_csv(index=False).encode(), mtime=0))
        elif kind == "parquet":
            part.to_parquet(path, row_group_size=70)
        else:
            part.reset_index(drop=True).to_feather(path)
    (folder / "_SUCCESS").write_text("")
    return folder


KINDS = ["csv", "gz", "parquet", "feather"]
WAYS = {
    "folder": f"{ROOT}/t",
    "pattern": f"{ROOT}/t/[0-9].part",
    "list": [f"{ROOT}/t/{number}.part" for number in range(3)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_in_a_store_is_that_of_this_machine(frame, tmp_path, kind, store, small):
    local = write(frame, tmp_path / "t", kind)
    store.put(str(local), "/bucket/t", recursive=True)
    expected = reading.read(Table(str(local), "y"))
    for path in WAYS.values():
        problem = Table(path, "y")
        found = reading.read(problem)
        assert found.is_large
        assert found.facts.content == expected.facts.content
        assert found.facts.names == expected.facts.names
        assert block_ends(problem) == expected.facts.ends
        assert np.array_equal(found.X, expected.X)
        assert np.array_equal(found.y, expected.y)
    assert reading.names_of(Table(WAYS["folder"], "y")) == "0.part and 2 more"


def test_a_table_that_fits_into_memory(store):
    store.pipe("/bucket/t.csv", b"a,y\n1,2\n2,5\n4,1\n")
    tables = run_study(RunConfig(Table(f"{ROOT}/t.csv", "y")))
    assert tables.runs.file.tolist() == ["t.csv"]
    assert tables.coefficients.column.tolist() == ["a", "(intercept)"]
    # The next study has the new content.
    store.pipe("/bucket/t.csv", b"b,y\n1,2\n2,5\n4,1\n")
    again = run_study(RunConfig(Table(f"{ROOT}/t.csv", "y")))
    assert again.coefficients.column.tolist() == ["b", "(intercept)"]


@pytest.mark.slow
def test_several_processes_read_a_store(frame, tmp_path, small):
    local = write(frame, tmp_path / "t", "csv")
    method = GradientDescent(iterations=20)
    study = StudyConfig(results_dir=str(tmp_path))
    bytes_of = {}
    for name, path, engine in [
        ("here", str(local), study.engine),
        ("file", f"file://{local}", Processes(workers=2)),
        ("local", f"local://{local}/*.part", study.engine),
    ]:
        config = RunConfig(Table(path, "y"), method=method, step=Step(value=[0.5, 1.0]))
        outcome = run_sweep([config], replace(study, study=name, engine=engine))
        assert (outcome.added, outcome.failed) == (2, 0)
        bytes_of[name] = {each: (outcome.folder / f"{each}.csv").read_bytes() for each in COLUMNS}
    assert bytes_of["here"] == bytes_of["file"] == bytes_of["local"]


@pytest.mark.parametrize("change", ["change", "remove"])
def test_a_part_that_changes_or_vanishes_is_refused(frame, tmp_path, change, store, small):
    store.put(str(write(frame, tmp_path / "t", "csv")), "/bucket/t", recursive=True)
    data = known(Table(WAYS["folder"], "y"))
    part = "/bucket/t/1.part"
    old = store.cat(part)
    store.rm(part)
    if change == "change":
        store.pipe(part, old.replace(b"1", b"2"))
    reasons = {"change": "was changed since it was looked at", "remove": "no such file"}
    with pytest.raises(ConfigError, match=f"1.part: .*{reasons[change]}"):
        data.between(0, 400)
    assert len(data.between(0, 10)) == 10


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("memory://bucket/none.csv", "must be a readable file (no such file or directory)"),
        ("memory://bucket/*.csv", "must match a file, but none does"),
        ("memory://bucket/empty", "must be a folder with files, has none"),
        ("no-such-store://x.csv", "must be a readable file (valueerror: protocol not known"),
    ],
)
def test_a_place_without_a_table_is_refused(path, said, store):
    store.mkdir("/bucket/empty")
    with pytest.raises(ConfigError) as caught:
        reading.read(Table(path, "y"))
    assert said in str(caught.value)


def test_a_package_that_is_missing_is_named(monkeypatch):
    # That of no test.
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match=r"s3://b/t.csv: needs one more package: Install s3fs"):
        reading.read(Table("s3://b/t.csv", "y"))
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r"fsspec: pip install 'gdconv\[remote\]'"):
        reading.read(Table("gs://b/t.csv", "y"))


def test_a_name_has_no_signature(tmp_path, monkeypatch):
    assert places.name_of("https://host/folder/t.csv?Signature=secret") == "t.csv"
    # But on this machine it is a name like any other.
    assert places.name_of("folder/what?.csv") == "what?.csv"
    # A folder may have any name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "t.csv").write_text("a,y\n1,2\n2,5\n")
    assert reading.read(Table("s3://t.csv", "y")).facts.names == ("a",)
