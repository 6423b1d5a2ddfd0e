"""Tables in Parquet and Feather, and packed by zstd: the same as in CSV."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import feather, parquet

from gdconv.config.problems import Table
from gdconv.config.rules import ConfigError
from gdconv.problems.table import reading

DATA = Path(__file__).parents[1] / "data"
KEYS = {"text": "one_hot", "missing": "mean", "dates": ["day"]}


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    words = rng.choice(["north", "south", "öst"], 40).astype(object)
    words[7] = None
    numbers = rng.normal(size=40)
    numbers[[2, 5]] = np.nan
    return pd.DataFrame(
        {
            "a": numbers,
            "count": rng.integers(0, 9, 40),
            "word": words,
            "kind": pd.Categorical(rng.choice(["x", "y"], 40)),
            "on": rng.random(40) < 0.5,
            "day": pd.Timestamp("2024-01-31") + pd.to_timedelta(rng.integers(0, 99, 40), "D"),
            "y": rng.normal(size=40).astype("float32"),
        }
    )


def read(path, **keys):
    return reading.read(Table(str(path), "y", **keys))


def write_feather(frame, path):
    feather.write_feather(frame, path, compression="zstd")


def write_packed(frame, path):
    with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
        file.write(frame.to_csv(index=False).encode())


@pytest.mark.parametrize("write", [pd.DataFrame.to_parquet, write_feather, write_packed])
def test_a_table_is_the_same_in_every_kind_of_file(tmp_path, frame, write):
    frame.astype({"y": float}).to_csv(tmp_path / "t.csv", index=False)
    # The name says nothing of the content.
    write(frame.astype({"y": float}), tmp_path / "t.txt")
    expected, found = read(tmp_path / "t.csv", **KEYS), read(tmp_path / "t.txt", **KEYS)
    assert found.facts.names == expected.facts.names
    assert np.array_equal(found.X, expected.X)
    assert np.array_equal(found.y, expected.y)
    told = [[line.partition(": ")[2] for line in each.facts.notices] for each in (found, expected)]
    assert told[0] == told[1]


def test_the_table_of_the_cases():
    data = read(DATA / "tab.parquet")
    assert (data.facts.names, data.X.tolist()) == (("x",), [[1], [2], [3]])
    assert data.y.tolist() == [1, 2, 4]


def test_parts_and_row_groups_are_one_table(tmp_path, frame):
    frame = frame[["count", "y"]]
    (tmp_path / "parts").mkdir()
    for number, rows in enumerate((slice(0, 9), slice(9, 10), slice(10, 40))):
        path = tmp_path / "parts" / f"part-{number}.parquet"
        frame[rows].to_parquet(path, row_group_size=4)
    data = read(tmp_path / "parts")
    assert data.X[:, 0].tolist() == frame["count"].tolist()
    assert data.y.tolist() == frame["y"].tolist()
    # pandas wrote row numbers, which are no feature.
    assert data.facts.names == ("count",)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            pyarrow.array([1.0, None, 2.0]),
            "row 2, column 1 (a) has an empty cell; problem.missing=",
        ),
        (pyarrow.array([1.0, 2.0, float("inf")]), "row 3, column 1 (a) has 'inf'; all other cells"),
        (pyarrow.array(["p", "q", "p"]), "row 1, column 1 (a) has 'p'; problem.text=one_hot makes"),
        (pyarrow.array([[1], [2], [3]]), "row 1, column 1 (a) has '[1]'; every"),
    ],
)
def test_a_refusal_names_row_column_and_cell(tmp_path, column, said):
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"a": column, "y": [1.0, 2.0, 4.0]}), path)
    keys = {"text": "one_hot"} if "every" in said else {}
    with pytest.raises(ConfigError) as caught:
        read(path, **keys)
    assert said in str(caught.value)


def test_whole_numbers_that_are_no_doubles_are_told(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"a": [1, 2**53 + 1], "y": [1.0, 2.0]}), path)
    (told,) = read(path).facts.notices
    assert (
        "1 in all, the first in row 2, column 1 (a): 9007199254740993 to 9007199254740992" in told
    )


def test_decimals_dates_and_time_zones(tmp_path):
    import decimal

    path = tmp_path / "t.parquet"
    days = pd.to_datetime(["2024-01-01 12:00", "2024-01-03 00:00"]).tz_localize("UTC")
    money = [decimal.Decimal("1.25"), decimal.Decimal("-3.5")]
    pd.DataFrame({"d": days, "m": money, "y": [1.0, 2.0]}).to_parquet(path)
    data = read(path, dates=["d"])
    assert data.X.tolist() == [[0, 1.25], [1.5, -3.5]]
    with pytest.raises(ConfigError, match=r"problem\.dates=\[d\]"):
        read(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_torn_file_is_refused(tmp_path, frame, name):
    path = tmp_path / name
    frame.to_parquet(path) if name == "t.parquet" else write_feather(frame, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigError) as caught:
        read(path, **KEYS)
    kind = name.partition(".")[2].capitalize()
    assert f": must be a readable {kind} file (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lack_of_memory_is_no_fault_of_the_file(tmp_path, frame, monkeypatch):
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)

    def lacking(*_, **__):
        raise pyarrow.ArrowMemoryError("malloc failed")

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", lacking)
    with pytest.raises(MemoryError, match="malloc failed"):
        read(path, **KEYS)


@pytest.mark.parametrize("name", ["t.parquet", "t.zst"])
def test_without_pyarrow_the_message_says_what_to_install(tmp_path, frame, monkeypatch, name):
    path = tmp_path / name
    frame.to_parquet(path) if name == "t.parquet" else write_packed(frame, path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).endswith(
        "which needs the package pyarrow: pip install 'gdconv[parquet]', or pip install pyarrow"
    )
