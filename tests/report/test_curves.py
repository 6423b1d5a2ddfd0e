"""Curves that are read from the file when they are shown are those that a DataFrame has."""

import shutil

import pandas as pd
import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.report import curves
from gdconv.report.curves import RULES, InMemory, Shown
from gdconv.report.settings import spread
from gdconv.sweep.sweep import run_study
from gdconv.tables import csv
from gdconv.tables.columns import COLUMNS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "s"
    steps = Step(value=(1e-9, 0.5, 1.0, 1.9, 2.1, 1e6))
    method = GradientDescent(iterations=25)
    configs = [RunConfig(Gaussian(30, d), method=method, step=steps) for d in (1, 3)]
    run_study(configs, folder=folder)
    return folder


@pytest.fixture(
    params=[*(pytest.param(size, marks=pytest.mark.slow) for size in (1, 300, 5000)), 2**24]
)
def block(request, monkeypatch):
    monkeypatch.setattr(csv, "BLOCK", request.param)


def check(folder):
    """Compare the file with the DataFrame, and return the latter."""
    shown, table = curves.read(folder), csv.read(folder).curves
    expected = InMemory(table)
    for rule in RULES:
        assert shown.curves.several(rule) == expected.several(rule)
    for column in COLUMNS["curves"]:
        assert shown.curves.has(column) == expected.has(column), column
    every = shown.runs["run_id"].tolist()
    for run_ids in (every, every[1:5:3], every[3:0:-1], [], ["unknown"]):
        for most in (None, 2, 7):
            # The order of runs does not count.
            rows, read = (
                source.of(run_ids, most).sort_values("run_id", kind="stable", ignore_index=True)
                for source in (expected, shown.curves)
            )
            pd.testing.assert_frame_equal(read, rows)
    return table


def test_the_file_gives_what_the_table_has(folder, block):
    table = check(folder)
    few = InMemory(table).of(table["run_id"].unique()[3:4], 5)
    whole = table[table["run_id"] == table["run_id"].unique()[3]]
    pd.testing.assert_frame_equal(few, whole.iloc[spread(len(whole), 5)])


def test_rows_of_runs_that_are_not_complete_are_passed_over(folder, tmp_path, block):
    copy = shutil.copytree(folder, tmp_path / "s")
    lines = (copy / "runs.csv").read_bytes().splitlines(keepends=True)
    (copy / "runs.csv").write_bytes(b"".join(lines[:4] + lines[6:]))
    table = check(copy)
    assert table["run_id"].nunique() == len(lines) - 3


def test_rows_may_be_in_any_place_and_quoted(folder, tmp_path, block):
    copy = shutil.copytree(folder, tmp_path / "s")
    head, *lines = (copy / "curves.csv").read_bytes().splitlines(keepends=True)
    name = csv.run_id_of(lines[-1])
    quoted = [line.replace(name, b'"a,b"') for line in lines]
    (copy / "curves.csv").write_bytes(b"".join([head, *quoted[40:], *quoted[:40]]))
    runs = (copy / "runs.csv").read_bytes().replace(name, b'"a,b"', 1)
    (copy / "runs.csv").write_bytes(runs)
    assert "a,b" in set(check(copy)["run_id"])


@pytest.mark.slow
def test_a_column_with_its_only_value_late_is_not_empty(folder, tmp_path, block):
    copy = shutil.copytree(folder, tmp_path / "s")
    text = pd.read_csv(copy / "curves.csv", dtype=str, keep_default_na=False)
    for name, row in (("gap_bound", len(text) - 1), ("loss", 150), ("gap_exact", None)):
        value = text[name][row] if row else ""
        text[name] = ""
        if row:
            text.loc[row, name] = value
    text.to_csv(copy / "curves.csv", index=False, lineterminator="\n")
    table = check(copy)
    assert table["gap_exact"].isna().all()


def test_a_file_that_is_replaced_meanwhile_is_read_to_its_end(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "s")
    shown, table = curves.read(copy), csv.read(copy).curves
    (copy / "other").write_bytes(b"")
    (copy / "other").replace(copy / "curves.csv")
    rows = shown.curves.of(shown.runs["run_id"])
    pd.testing.assert_frame_equal(rows, table)


@pytest.mark.parametrize("cells", [1, len(COLUMNS["curves"]) + 1])
def test_the_number_of_a_line_that_is_not_complete_is_told(folder, tmp_path, block, cells):
    copy = shutil.copytree(folder, tmp_path / "s")
    lines = (copy / "curves.csv").read_bytes().splitlines(keepends=True)
    lines[200:201] = [b"x" + b"," * (cells - 1) + b"\n"]
    (copy / "curves.csv").write_bytes(b"".join(lines))
    said = f"^curves.csv: line 201 has {cells} cells instead of {len(COLUMNS['curves'])}$"
    with pytest.raises(ValueError, match=said):
        curves.read(copy)


def test_a_study_without_curves_has_none(tmp_path):
    for name in COLUMNS:
        (tmp_path / f"{name}.csv").write_bytes(csv.header(name))
    shown = curves.read(tmp_path)
    assert isinstance(shown, Shown)
    assert not shown.curves.has("gap")
    assert len(shown.curves.of(["x"])) == 0
    assert [len(shown.curves.several(rule)) for rule in RULES] == [0, 0]
