"""Reading a user's CSV file: which tables are read, and how other files are refused."""

import gzip
import hashlib
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv.config.rules import ConfigError
from gdconv.config.sections import Csv
from gdconv.problems.families import make, notices, problem_identity, shape
from gdconv.problems.table import content, read_table

PARQUET = Path(__file__).parents[1] / "data" / "tab.parquet"

TABLE = b"a,y\n1,2\n3,4.5\n"
WITH_PANDAS = "convert it with pandas.read_csv(FILE, {}).to_csv(NEW, index=False)"


@pytest.fixture
def written(tmp_path):
    """Write a file, and return its path."""

    def write(data):
        path = tmp_path / "t.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    return write


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        read_table(path)
    begin = f"problem.path={path}: "
    assert str(caught.value).startswith(begin)
    return str(caught.value).removeprefix(begin)


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
        "commas at the ends of rows": b"a,y\n1,2,\n3,4.5,\n",
        "gzip": gzip.compress(TABLE),
        "gzip in two members": gzip.compress(TABLE[:9]) + gzip.compress(TABLE[9:]),
    }.items(),
    ids=lambda each: each[0],
)
def test_a_table_however_it_is_written(written, data):
    table = read_table(written(data[1]))
    assert table.names == ("a", "y")
    assert table.cells.tolist() == [[1, 2], [3, 4.5]]
    assert table.notice == ""


@pytest.mark.parametrize(
    "data",
    [TABLE, TABLE * 2 + b"5,6\n" * 10**5, gzip.compress(TABLE[:9]) + gzip.compress(TABLE[9:])],
    ids=["short", "longer than a buffer", "gzip in two members"],
)
def test_the_hash_is_that_of_all_bytes_of_the_file(written, data):
    data = data.replace(b"a,y\n3", b"3").replace(b"4.5\na,y", b"4.5")
    path = written(data)
    assert read_table(path).content == content(path) == hashlib.sha256(data).hexdigest()


def test_a_file_is_read_once(written, monkeypatch):
    """For its hash and all its cells, whoever asks; its first line is read before."""
    read, rows = pd.read_csv, []

    def counted(*args, **options):
        found = read(*args, **options)
        rows.append(len(found))
        return found

    monkeypatch.setattr(pd, "read_csv", counted)
    problem = Csv(written("a,y\n" + "1,2\n3,5\n" * 100), "y")
    assert notices([problem]) == []
    assert problem_identity(problem)["path"] == content(problem.path)
    assert shape(problem) == make(problem, 0, 0).X.shape
    assert rows == [1, 200]


def test_the_name_of_a_file_says_nothing_of_its_content(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(TABLE)
    assert read_table(str(path)).cells.tolist() == [[1, 2], [3, 4.5]]


def test_numbers_are_read_to_the_last_bit(written):
    values = np.random.default_rng(0).standard_normal(50) * 10.0 ** np.arange(-25, 25)
    path = written("a,y\n" + "".join(f"{value!r},1\n" for value in values.tolist()))
    assert (read_table(path).cells[:, 0] == values).all()


# So long that pandas reads the table in several parts.
LONG = 10**5


@pytest.mark.parametrize("cell", ["0.1", "9007199254740993", "1e300", "-7"])
@pytest.mark.parametrize("row", [0, LONG - 1])
def test_a_long_column_is_one_of_floats_wherever_it_has_other_numbers(written, row, cell):
    cells = [str(number % 1000) for number in range(LONG)]
    cells[row] = cell
    table = read_table(written("a,y\n" + "".join(f"{each},0.5\n" for each in cells)))
    assert table.cells[:, 0].tolist() == list(map(float, cells))
    assert ("have been rounded" in table.notice) == (cell == "9007199254740993")


@pytest.mark.parametrize(("cell", "shown"), [("red", "'red'"), ("NA", "'NA'"), ("True", "'True'")])
def test_a_text_far_down_a_long_column_is_found(written, cell, shown):
    threads = threading.active_count()
    lines = ["a,y", *["1,0.5"] * (LONG - 1), f"{cell},0.5"]
    assert f"row {LONG}, column 1 (a) has {shown};" in refusal(written("\n".join(lines)))
    with pytest.raises(ConfigError, match=f"line {LONG + 2} has 3 cells instead of 2"):
        read_table(written("\n".join([*lines, "1,2,3"])))
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("cell", "written_as"),
    {
        "red": "'red'",
        "True": "'True'",
        "": "an empty cell",
        " ": "an empty cell",
        "NA": "'NA'",
        "nan": "'nan'",
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
    row = 1 if alone else 3
    assert refusal(written("\n".join(["a,b b,y", *rows]))) == (
        f"must hold finite numbers only: row {row}, column 2 (b b) has {written_as}; put a number"
        " there, or leave out the row or the column"
    )


def test_the_first_wrong_cell_is_the_first_in_the_file(written):
    message = refusal(written("a,y\n1,2\n3,red\nblue,4\n"))
    assert "row 2, column 2 (y) has 'red'" in message


def test_the_first_row_that_is_short_ends_in_empty_cells(written):
    assert "row 2, column 3 (y) has an empty cell" in refusal(written("a,b,y\n1,2,3\n4,5\n"))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            ",x,y",
            "column 1 has no name: name or remove it; row numbers are left out by index=False in"
            " pandas and row.names=FALSE in R",
        ),
        (
            "Unnamed: 0,x,y",
            "column 1 has no name: name or remove it; row numbers are left out by index=False in"
            " pandas and row.names=FALSE in R",
        ),
        ("x, ,y", "column 2 has no name: name or remove it"),
        (
            "x,y,",
            "column 3 has no name: name or remove it; it may come from a comma at the end of each"
            " line",
        ),
        ("x,y, x", "columns 1 and 3 are both called x: give each a name of its own"),
        ("1,2,1", "must begin with a line of column names, begins with 1, 2, 1"),
    ],
)
@pytest.mark.parametrize("rows", ["0,1,2\n1,2,3\n", "1,2,\n2,3,\n"])
def test_every_column_has_a_name_of_its_own(written, header, said, rows):
    assert refusal(written(f"{header}\n{rows}")) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "must have a line of column names and rows of numbers, is empty"),
        (" \n\n", "must have a line of column names and rows of numbers, is empty"),
        (
            "a,y\n1,2\n3,4,5\n",
            "must be a CSV table: line 3 has 3 cells instead of 2; a cell with a comma needs"
            " quotes",
        ),
        (
            'a,y\n1,2\n3,"4\n',
            "must be a CSV table: EOF inside string starting at row 2; are all quotes closed?",
        ),
        (
            "a,y\n1,2,3\n3,4,5\n",
            "must be a CSV table: its rows have more cells than its first line has names; row names"
            " are left out by row.names=FALSE in R",
        ),
        (
            "# made by sensor\nx,y\n1,2\n2,3\n3,5\n",
            "must be a CSV table: its rows have more cells than its first line has names; the first"
            " line is # made by sensor: if it is a comment, remove it",
        ),
        (
            "% made by me, at home\nx,y\n1,2\n",
            "must hold finite numbers only: row 1, column 1 (% made by me) has 'x'; the first line"
            " is % made by me, at home: if it is a comment, remove it",
        ),
        (
            'x,y\n"1,5",2\n',
            "must hold finite numbers only: row 1, column 1 (x) has '1,5'; write numbers with a"
            " decimal point",
        ),
        (
            b"a,y\n1,2\n\xff,2\n",
            "must be encoded in UTF-8, line 3 is not; convert it, as iconv -f latin1 -t utf8 does",
        ),
    ],
)
def test_what_is_no_table_is_refused(written, data, said):
    assert refusal(written(data)) == said


@pytest.mark.parametrize(
    ("data", "has", "arguments"),
    [
        ("x;y\n1;2\n3;4\n", "semicolons", "sep=';'"),
        ("x\ty\n1\t2\n", "tabs", r"sep='\t'"),
        ("x|y\n1|2\n", "bars", "sep='|'"),
        ("x y\n1 2\n", "blanks", r"sep='\s+'"),
        ("  x   y\n1.5   2\n", "blanks", r"sep='\s+'"),
        ("x;y\n1,5;2,5\n2,5;3\n", "semicolons and decimal commas", "sep=';', decimal=','"),
        ("x;y\n1;2,5\n2;3\n", "semicolons and decimal commas", "sep=';', decimal=','"),
        ("x y\n1,5 2\n", "blanks and decimal commas", r"sep='\s+', decimal=','"),
        ('"a, b";y\n1,5;2\n3;4', "semicolons and decimal commas", "sep=';', decimal=','"),
        ("a, b;y\n1;2\n3;4", "semicolons", "sep=';'"),
        ("a, b;y\n1,5;2,5\n3;4", "semicolons and decimal commas", "sep=';', decimal=','"),
        ("x;y;z\n1;2,5;\n", "semicolons and decimal commas", "sep=';', decimal=','"),
    ],
)
def test_another_separator_is_named(written, data, has, arguments):
    assert refusal(written(data)) == (
        f"must have commas between its cells, has {has}; {WITH_PANDAS.format(arguments)}"
    )


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
@pytest.mark.parametrize(
    ("data", "column", "cell"),
    [
        ("a;b,y\n1;2,3\n", "1 (a;b)", "1;2"),
        ("a;b,y\nred;blue,3,\n", "1 (a;b)", "red;blue"),
        ('"a;b","c, d;e",y\n1,"2;3;4",5\n', "2 (c, d;e)", "2;3;4"),
        ('"a;b",y\n"1;2",3\n', "1 (a;b)", "1;2"),
        ("a;b,y\n1,2;3\n", "2 (y)", "2;3"),
    ],
)
def test_other_separators_in_the_cells_of_a_table_are_not_taken_for_its_own(
    written, separator, data, column, cell
):
    data, column, cell = (each.replace(";", separator) for each in (data, column, cell))
    assert refusal(written(data)) == (
        f"must hold finite numbers only: row 1, column {' '.join(column.split())} has"
        f" '{' '.join(cell.split())}'; put a number there, or leave out the row or the column"
    )


def test_blanks_in_the_only_name_separate_nothing(written):
    assert "row 1, column 1 (my y) has 'red'" in refusal(written("my y\nred\n"))
    assert read_table(written("my y\n1\n2\n")).names == ("my y",)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (PARQUET.read_bytes(), "a Parquet file: convert it with pandas.read_parquet(FILE)"),
        (gzip.compress(PARQUET.read_bytes()), "a Parquet file: convert it with"),
        (b"PK\x03\x04\0\0", "a ZIP archive or an Excel sheet: take the CSV out or save it as CSV"),
        (TABLE.decode().encode("utf-16"), "in UTF-16 or UTF-32: save it in UTF-8"),
        (b"\xfd7zXZ\0\0", "packed by xz: unpack it with unxz"),
    ],
)
def test_a_file_of_another_kind_is_named(written, data, said):
    assert refusal(written(data)).startswith(f"must be a CSV table in UTF-8, is {said}")


def test_names_that_begin_like_other_files_are_names(written):
    assert read_table(written("PAR1,BZh9\n1,2\n3,4\n")).names == ("PAR1", "BZh9")


@pytest.mark.parametrize("size", [15, 35])
def test_a_torn_gzip_file_is_refused(written, size):
    data = gzip.compress(TABLE * 9, mtime=0)
    assert refusal(written(data[:size])).startswith("must be a readable CSV file (compressed file")


def test_a_damaged_gzip_file_is_refused(written):
    data = bytearray(gzip.compress(TABLE * 9, mtime=0))
    data[-8] ^= 1
    assert refusal(written(bytes(data))).startswith("must be a readable CSV file (crc check failed")


@pytest.mark.parametrize("read", [read_table, content])
def test_what_is_no_file_is_refused(tmp_path, read):
    # Opened, it would be waited for.
    os.mkfifo(tmp_path / "pipe")
    for path, reason in {
        tmp_path / "nosuch": "no such file or directory",
        tmp_path: "not a regular file",
        tmp_path / "pipe": "not a regular file",
    }.items():
        with pytest.raises(ConfigError) as caught:
            read(str(path))
        assert str(caught.value) == (f"problem.path={path}: must be a readable CSV file ({reason})")


# Whole numbers that are no doubles

ROUNDED = (
    "{}: whole numbers above 2^53 have been rounded to doubles, {} in all, the first in row {},"
    " column {}: {}; if it matters, subtract a constant from the column"
)


def test_whole_numbers_that_are_rounded_are_told(written):
    rows = "9007199254740993,1\n9007199254740995,2\n9007199254740997,3\n9007199254740999,5\n"
    path = written(f"x,y\n{rows}")
    table = read_table(path)
    # Of two doubles that are as near the one with an even last digit.
    assert table.cells[:, 0].tolist() == [2.0**53 + each for each in (0, 4, 4, 8)]
    change = "9007199254740993 to 9007199254740992"
    assert table.notice == ROUNDED.format(path, 4, 1, "1 (x)", change)


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
    path = written(f'y,"b, c"\n{other},{other}\n{other},{cell}\n')
    table = read_table(path)
    assert table.cells[1, 1] == double
    change = f"{cell} to {double}"
    assert table.notice == ROUNDED.format(path, 1, 2, "2 (b, c)", change)


@pytest.mark.parametrize(
    "cell",
    [
        *("9007199254740992", "-9007199254740994", "18446744073709551616", "1" + "0" * 22),
        # Decimals are hardly ever doubles.
        *("0.1", "9007199254740993.5", "9.007199254740993e15", "1e23", "123456789012345.67"),
    ],
)
def test_nothing_is_told_of_other_numbers(written, cell):
    assert read_table(written(f"a,y\n1,2\n{cell},4\n")).notice == ""


def test_the_first_of_several_columns_is_that_of_the_first_row(written):
    path = written(f"a,b,c\n1,2,3\n4,5,{2**53 + 1}\n{2**60 + 1},{2**60},7\n")
    assert read_table(path).notice == ROUNDED.format(
        path, 2, 2, "3 (c)", "9007199254740993 to 9007199254740992"
    )
