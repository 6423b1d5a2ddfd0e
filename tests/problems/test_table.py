"""Reading the user's table: how files may be written, what is found, and what is refused."""

import bz2
import gzip
import hashlib
import lzma
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Table
from gdconv.config.rules import ConfigError
from gdconv.problems.families import make, notices, problem_identity, shape
from gdconv.problems.table import reading

PARQUET = Path(__file__).parents[1] / "data" / "tab.parquet"

TABLE = b"a,y\n1,2\n3,4.5\n"


@pytest.fixture
def written(tmp_path):
    """Write a file, and return its path."""

    def write(data):
        path = tmp_path / "t.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    return write


def read(path, target="y", **keys):
    """Columns of X and y by name, without a column of ones, and what is told."""
    data = reading.read(Table(path, target, **keys))
    columns = dict(zip(data.facts.names, data.X.T.tolist(), strict=True))
    return columns | {target: data.y.tolist()}, data.facts.notices


def refusal(path, target="y", **keys):
    with pytest.raises(ConfigError) as caught:
        reading.read(Table(path, target, **keys))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"problem.path={path}: ")


@pytest.mark.parametrize(
    "data",
    {
        "plain": TABLE,
        "byte order mark": b"\xef\xbb\xbf" + TABLE,
        "byte order mark and quotes": b'\xef\xbb\xbf"a","y"\n"1","2"\n"3","4.5"\n',
        "CRLF": TABLE.replace(b"\n", b"\r\n"),
        "CR": TABLE.replace(b"\n", b"\r"),
        "blank lines": TABLE.replace(b"\n", b"\n\n"),
        "no last line feed": TABLE.removesuffix(b"\n"),
        "spaces": b" a , y \n 1 , 2 \n 3 , 4.5 \n",
        "quotes behind spaces": b'"a", "y"\n1, "2"\n3, 4.5\n',
        "commas at the ends of rows": b"a,y\n1,2,\n3,4.5,\n",
        "gzip": gzip.compress(TABLE),
        "gzip in two members": gzip.compress(TABLE[:9]) + gzip.compress(TABLE[9:]),
        "bzip2": bz2.compress(TABLE),
        "xz": lzma.compress(TABLE),
    }.items(),
    ids=lambda each: each[0],
)
def test_a_table_however_it_is_written(written, data):
    assert read(written(data[1])) == ({"a": [1, 3], "y": [2, 4.5]}, ())


@pytest.mark.parametrize(
    "data",
    [TABLE, TABLE * 2 + b"5,6\n" * 10**5, gzip.compress(TABLE[:9]) + gzip.compress(TABLE[9:])],
    ids=["short", "longer than a buffer", "gzip in two members"],
)
def test_the_hash_is_that_of_all_bytes_of_the_file(written, data):
    data = data.replace(b"a,y\n3", b"3").replace(b"4.5\na,y", b"4.5")
    problem = Table(written(data), "y")
    assert problem_identity(problem)["path"] == hashlib.sha256(data).hexdigest()


def test_a_file_is_read_once(written, monkeypatch):
    """For its hash and all its cells, whoever asks; its first line is read before."""
    found, rows = pd.read_csv, []

    def counted(*args, **options):
        rows.append(len(frame := found(*args, **options)))
        return frame

    monkeypatch.setattr(pd, "read_csv", counted)
    path = written("a,y\n" + "1,2\n3,5\n" * 100)
    for standardize in (False, True):
        problem = Table(path, "y", standardize)
        assert notices([problem]) == []
        assert len(problem_identity(problem)["path"]) == 64
        assert shape(problem) == make(problem, 0, 0).X.shape
    assert rows == [1, 200]


def test_the_name_of_a_file_says_nothing_of_its_content(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(TABLE)
    assert read(str(path))[0] == {"a": [1, 3], "y": [2, 4.5]}


@pytest.mark.parametrize("missing", ["", "1,\n"], ids=["plain", "read as text"])
def test_numbers_are_read_to_the_last_bit(written, missing):
    values = np.random.default_rng(0).standard_normal(50) * 10.0 ** np.arange(-25, 25)
    path = written("y,a\n" + "".join(f"1,{value!r}\n" for value in values.tolist()) + missing)
    assert read(path, missing="drop_rows")[0]["a"] == values.tolist()


# So long that pandas reads the table in several parts.
LONG = 10**5


@pytest.mark.parametrize("cell", ["0.1", "9007199254740993", "1e300", "-7"])
@pytest.mark.parametrize("row", [0, LONG - 1])
def test_a_long_column_is_one_of_floats_wherever_it_has_other_numbers(written, row, cell):
    cells = [str(number % 1000) for number in range(LONG)]
    cells[row] = cell
    path = written("a,y\n" + "".join(f"{each},0.5\n" for each in cells))
    columns, told = read(path)
    assert columns["a"] == list(map(float, cells))
    assert any("have been rounded" in each for each in told) == (cell == "9007199254740993")


@pytest.mark.parametrize("cell", ["red", "True"])
def test_a_text_far_down_a_long_column_is_found(written, cell):
    threads = threading.active_count()
    lines = ["a,y", *["1,0.5"] * (LONG - 1), f"{cell},0.5"]
    assert f"row {LONG}, column 1 (a) has '{cell}';" in refusal(written("\n".join(lines)))
    said = refusal(written("\n".join([*lines, "1,2,3"])))
    assert f"line {LONG + 2} has 3 cells instead of 2" in said
    assert threading.active_count() == threads


# What is found


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("x;y\n1;2.5\n3;4\n", "semicolons between cells (problem.separator=semicolon)"),
        ("x\ty\n1\t2.5\n3\t4\n", "tabs between cells (problem.separator=tab)"),
        ("x|y\n1|2.5\n3|4\n", "bars between cells (problem.separator=pipe)"),
        ("x y\n1 2.5\n3 4\n", "blanks between cells (problem.separator=blanks)"),
        ("  x   y\n1   2.5\n   3 4  \n", "blanks between cells (problem.separator=blanks)"),
        ("x \t y\n1\t2.5\n3  4\n", "blanks between cells (problem.separator=blanks)"),
        (
            "x;y\n1;2,5\n3;4\n",
            "semicolons between cells (problem.separator=semicolon), decimal commas"
            " (problem.decimal=comma)",
        ),
        ('x,y\n1,"2,5"\n3,4\n', "decimal commas (problem.decimal=comma)"),
        (
            "x y\n1 2,5\n3 4",
            "blanks between cells (problem.separator=blanks), decimal commas"
            " (problem.decimal=comma)",
        ),
        (
            "# made by, a sensor\nx,y\n1,2.5\n3,4\n",
            "1 line of comments at the top (problem.comment=none)",
        ),
        (
            "% made by me\n%\n\nx,y\n1,2.5\n3,4\n",
            "2 lines of comments at the top (problem.comment=none)",
        ),
        # As numpy.savetxt writes it.
        (
            "# x,y\n1,2.5\n3,4\n",
            "a line of names that begins like a comment (problem.comment=none)",
        ),
        # As R's write.table writes it.
        (
            '"x" "y"\n"1" 1 2.5\n"2" 3 4\n',
            "blanks between cells (problem.separator=blanks), names of rows, which the line of"
            " names does not count",
        ),
    ],
)
def test_what_is_found_is_told(written, data, told):
    path = written(data)
    columns, notices = read(path)
    assert columns == {"x": [1, 3], "y": [2.5, 4]}
    assert notices[0] == f"{path}: read as having {told}"


@pytest.mark.parametrize(
    ("data", "names"),
    [
        # Commas separate, and other marks are parts of names and texts.
        ("a;b,c d,y\nred;blue,x y,3\nred;green,z z,4\n", ["a;b", "c d"]),
        ("first name,y\nJohn Smith,30\nMary Jones,40\n", ["first name"]),
        # Only with semicolons are these numbers.
        ("a;b,y;y\n1;2,3;5\n4;2,5;7\n", ["a", "b,y"]),
        ('"a, b";y\n1,5;2\n3;4', ["a, b"]),
        ("a, b;y\n1,5;2\n3;4", ["a, b"]),
        ("my y;y\n1;2\n2;3\n", ["my y"]),
    ],
)
def test_the_separator_that_makes_numbers_is_found(written, data, names):
    facts = reading.facts(Table(written(data), "y", text="one_hot"))
    assert [name.partition("=")[0] for name in facts.names] == names


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "a;b,c\nred;blue,green\nred;pink,green\n",
            "may have commas (a;b | c; problem.separator=comma) or semicolons (a | b,c;"
            " problem.separator=semicolon) between its cells: say which",
        ),
        (
            "x;y\n1,234;2\n2,500;4\n",
            "has '1,234', which may be 1.234 with a decimal comma: then give"
            " problem.decimal=comma; or 1234, with a mark for thousands: then remove such marks",
        ),
    ],
)
def test_what_is_ambiguous_is_refused_with_both_readings(written, data, said):
    assert refusal(written(data)) == said


def test_what_is_said_is_not_looked_for(written):
    path = written("x;y\n1,234;2\n2,500;4\n")
    assert read(path, decimal="comma")[0] == {"x": [1.234, 2.5], "y": [2, 4]}
    path = written("a;b,c\nred;blue,1\nred;pink,2\n")
    columns, _ = read(path, "c", separator="comma", text="one_hot")
    assert columns == {"a;b=red;pink": [0, 1], "c": [1, 2]}
    path = written("x,y\n# 5,5\n1,2 # off\n3,4\n")
    assert read(path, comment="hash")[0] == {"x": [1, 3], "y": [2, 4]}
    path = written("#x,%y\n1,2\n3,4\n")
    assert read(path, "%y", comment="none")[0] == {"#x": [1, 3], "%y": [2, 4]}
    path = written("1,2\n3,4\n")
    assert read(path, "x2", header=False)[0] == {"x1": [1, 3], "x2": [2, 4]}


@pytest.mark.parametrize(
    ("header", "rows", "left"),
    [
        (",x,y", "0,1,2\n1,3,4\n", 1),
        ("Unnamed: 0,x,y", "0,1,2\n1,3,4\n", 1),
        ('"",x,y', "Mazda,1,2\nFiat,3,4\n", 1),
        ("x, ,y", "1,9,2\n3,9,4\n", 2),
        ("x,y,", "1,2,\n3,4,\n", 3),
    ],
)
def test_a_column_without_a_name_is_no_feature_and_that_is_told(written, header, rows, left):
    path = written(f"{header}\n{rows}")
    columns, told = read(path)
    assert columns == {"x": [1, 3], "y": [2, 4]}
    assert told == (
        f"{path}: column {left} has no name and is left out ('problem.columns=[\"column {left}\"]'"
        " would take it)",
    )


def test_a_column_without_a_name_is_taken_if_it_is_asked_for(written):
    columns, told = read(written(",x,y\n7,1,2\n1,3,4\n"), columns=["column 1"])
    assert (columns, told) == ({"column 1": [7, 1], "y": [2, 4]}, ())


def test_columns_that_tell_nothing_are_told(written):
    path = written("id,a,b,c,y\n1,5,3,5,1\n2,6,3,6,4\n3,1,3,1,2\n")
    columns, told = read(path)
    assert list(columns) == ["id", "a", "b", "c", "y"]
    assert told == (
        f"{path}: id numbers the rows; 'problem.drop=[id]' leaves it out",
        f"{path}: b is constant, 3",
        f"{path}: c is the same as a",
    )


# Refusals


@pytest.mark.parametrize(
    ("cell", "written_as"),
    {
        "red": "'red'",
        "True": "'True'",
        "-inf": "'-inf'",
        "1e999": "'1e999'",
        "0x10": "'0x10'",
        "\x1b[31mred\x07": r"'\x1b[31mred\x07'",
    }.items(),
)
@pytest.mark.parametrize("alone", [False, True])
def test_a_cell_that_is_no_number_is_shown_as_it_is_written(written, cell, written_as, alone):
    # Where every cell of the column is like it, pandas takes the column for another type.
    rows = [f"{number},{cell if alone or number == 3 else number},7" for number in range(1, 5)]
    drop = "'problem.drop=[\"b b\"]'"
    said = (
        "problem.text=one_hot makes columns of 0 and 1 of such texts (1 different ones here),"
        f" {drop} or problem.text=drop leaves them out"
        if alone
        else "all other cells of the column are numbers: put a number there, leave the cell empty,"
        f" or leave out the column with {drop}"
    )
    assert refusal(written("\n".join(["a,b b,y", *rows]))) == (
        f"must hold finite numbers only: row {1 if alone else 3}, column 2 (b b) has {written_as};"
        f" {said}"
    )


@pytest.mark.parametrize("cell", ["", " ", "NA", "nan", "?", "null", "N/A"])
def test_a_missing_cell_is_shown_with_the_keys_that_help(written, cell):
    shown = f"'{cell}'" if cell.strip() else "an empty cell"
    assert refusal(written(f"a,y\n1,2\n3,4\n{cell},5\n")) == (
        f"must hold finite numbers only: row 3, column 1 (a) has {shown};"
        " problem.missing=drop_rows leaves out rows in which a cell is missing,"
        " problem.missing=mean fills in the mean of the column"
    )


def test_the_first_wrong_cell_is_the_first_in_the_file(written):
    message = refusal(written("a,y\n1,2\n3,red\nblue,4\n"))
    assert "row 2, column 2 (y) has 'red'" in message


def test_the_first_row_that_is_short_ends_in_empty_cells(written):
    assert "row 2, column 3 (y) has an empty cell" in refusal(written("a,b,y\n1,2,3\n4,5\n"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "x,y, x\n0,1,2\n1,2,3\n",
            "columns 1 and 3 are both called x: give each a name of its own",
        ),
        (
            "1,2,1\n0,1,2\n1,2,3\n",
            "must begin with a line of column names, begins with 1, 2, 1; without such a line,"
            " problem.header=false calls the columns x1 to x3",
        ),
        ("", "must have a line of column names and rows of numbers, is empty"),
        (" \n\n", "must have a line of column names and rows of numbers, is empty"),
        (
            "a,y\n1,2\n3,4,5\n",
            "must be a table: line 3 has 3 cells instead of 2; a cell with a comma needs quotes",
        ),
        (
            'a,y\n1,2\n3,"4\n',
            "must be a table: EOF inside string starting at row 2; are all quotes closed?",
        ),
        (
            "a,y\n1.5,2,3\n3,4,5\n",
            "must be a table: its rows have more cells than its first line has names; if that is a"
            " comment, give problem.comment=hash",
        ),
        (
            b"a,y\n1,2\n\xff,2\n",
            "must be encoded in UTF-8, line 3 is not; convert it, as iconv -f latin1 -t utf8 does",
        ),
        (
            b"PK\x03\x04\0\0",
            "must be CSV in UTF-8, Parquet or Feather, is a ZIP archive or an Excel",
        ),
        (
            TABLE.decode().encode("utf-16"),
            "must be CSV in UTF-8, Parquet or Feather, is in UTF-16 or UTF-32: save it in UTF-8",
        ),
        (
            gzip.compress(PARQUET.read_bytes()),
            "must not be packed by gzip, because it is a Parquet",
        ),
    ],
)
def test_what_is_no_table_is_refused(written, data, said):
    assert refusal(written(data)).startswith(said)


def test_a_decimal_comma_far_down_is_no_decimal_point(written):
    data = "x;y\n" + "1.5;2\n" * 20000 + "1,5;2\n"
    assert refusal(written(data)).endswith(
        "row 20001, column 1 (x) has '1,5'; problem.decimal=comma reads decimal commas, if all"
        " numbers have them"
    )


def test_blanks_in_the_only_name_separate_nothing(written):
    assert "row 1, column 1 (my y) has 'red'" in refusal(written("my y\nred\nblue"), "my y")
    assert read(written("my y\n1\n2\n"), "my y")[0] == {"my y": [1, 2]}


def test_names_that_begin_like_other_files_are_names(written):
    assert read(written("PAR1,BZh9\n1,2\n3,4\n"), "BZh9")[0] == {"PAR1": [1, 3], "BZh9": [2, 4]}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_torn_packed_file_is_refused(written, pack):
    data = pack(TABLE * 9)
    assert refusal(written(data[:-5])).startswith("must be a readable file (compressed file")


def test_a_damaged_gzip_file_is_refused(written):
    data = bytearray(gzip.compress(TABLE * 9, mtime=0))
    data[-8] ^= 1
    assert refusal(written(bytes(data))).startswith("must be a readable file (crc check failed")


def test_what_is_no_file_is_refused(tmp_path):
    # Opened, it would be waited for.
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    for path, reason in {
        tmp_path / "nosuch": "must be a readable file (no such file or directory)",
        tmp_path / "*.tsv": "must match a file, but none does",
        tmp_path / "empty": "must be a folder with files, has none",
        tmp_path / "pipe": "must be a readable file (not a regular file)",
    }.items():
        assert refusal(str(path)) == reason


# Whole numbers that are no doubles

ROUNDED = (
    "{}: whole numbers above 2^53 have been rounded to doubles, {} in all, the first in row {},"
    " column {}: {}; if it matters, subtract a constant from the column"
)


def test_whole_numbers_that_are_rounded_are_told(written):
    rows = "9007199254740993,1\n9007199254740995,2\n9007199254740997,3\n9007199254740999,5\n"
    path = written(f"x,y\n{rows}")
    columns, told = read(path)
    # Of two doubles that are as near the one with an even last digit.
    assert columns["x"] == [2.0**53 + each for each in (0, 4, 4, 8)]
    change = "9007199254740993 to 9007199254740992"
    assert told == (ROUNDED.format(path, 4, 1, "1 (x)", change),)


@pytest.mark.parametrize(
    ("cell", "double"),
    {
        "-9007199254740993": -(2**53),
        "+9007199254740993": 2**53,
        "0009007199254740993": 2**53,
        "9007199254740993.0": 2**53,
        "9223372036854775807": 2**63,
        "-9223372036854775807": -(2**63),
        "18446744073709551615": 2**64,
        "18446744073709551617": 2**64,
        "99999999999999999999999": 99999999999999991611392,
    }.items(),
)
@pytest.mark.parametrize("other", ["1", "1.5", "9007199254740991", "-3", "2.5e300"])
def test_a_rounded_whole_number_of_any_type_of_column(written, cell, double, other):
    """pandas reads a column as signed, unsigned, float or text, by what else is in it."""
    path = written(f'y,"b, c"\n1,{other}\n2,{cell}\n')
    columns, told = read(path, "b, c")
    assert columns["b, c"][1] == double
    assert told == (ROUNDED.format(path, 1, 2, "2 (b, c)", f"{cell} to {double}"),)


@pytest.mark.parametrize(
    "cell",
    [
        *("9007199254740992", "-9007199254740994", "18446744073709551616", "1" + "0" * 22),
        # Decimals are hardly ever doubles.
        *("0.1", "9007199254740993.5", "9.007199254740993e15", "1e23", "123456789012345.67"),
    ],
)
def test_nothing_is_told_of_other_numbers(written, cell):
    assert read(written(f"a,y\n1,2\n{cell},4\n"))[1] == ()


def test_the_first_of_several_columns_is_that_of_the_first_row(written):
    path = written(f"a,b,c\n1,2,3\n4,5,{2**53 + 1}\n{2**60 + 1},{2**60},7\n")
    assert read(path, "a")[1] == (
        ROUNDED.format(path, 2, 2, "3 (c)", "9007199254740993 to 9007199254740992"),
    )
