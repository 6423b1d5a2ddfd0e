"""Tables of the user and files of a study, damaged in all ways: a clear error or a right result.

The cases are the same in every run; `pytest --trials N` makes N times as many.
"""

import csv
import math
import random
import re
from io import StringIO

import numpy as np

from gdconv import problems
from gdconv.config import Csv
from gdconv.keys import ConfigError

CASES = 1500

NAMES = ["a", "y", "x 1", "größe", "NA", "nan", "1", "", "a.1", "Unnamed: 0", "true", "∂/∂w", "#"]
CELLS = [
    *("", " ", "nan", "NaN", "NA", "null", "None", "inf", "-inf", "Infinity", "1e400", "-1e400"),
    *(
        "1e-400",
        "1e308",
        "0x10",
        "1_000",
        "1,5",
        "1.5.2",
        "--1",
        "1e",
        "e1",
        "+1",
        "-0",
        ".5",
        "5.",
    ),
    *(
        "1d5",
        "1 2",
        "True",
        "false",
        "٣",
        "½",
        "1%",
        "$1",
        "1;2",
        "a",
        "#N/A",
        "=1+1",
        "'1",
        "-",
        "∞",
    ),
    *(
        "9" * 25,
        "0." + "3" * 40,
        "9007199254740993",
        "18446744073709551617",
        "\u00a01",
        "1\u2009000",
    ),
]


def table_of(rng):
    """The lines of a table that is nearly always a right one."""
    columns, rows = rng.choice([1, 2, 2, 3, 5, 40]), rng.choice([0, 1, 2, 2, 3, 3, 6, 30])
    names = ["abcdefgh"[i % 8] + str(i) for i in range(columns - 1)] + ["y"]
    if rng.random() < 0.1:
        names[rng.randrange(columns)] = rng.choice(NAMES)

    def cell():
        number = rng.gauss(0, 1) * 10.0 ** rng.randint(-12, 12)
        return rng.choice([repr(number), str(round(number)), f"{number:.3e}", f" {number:.6f} "])

    return [names, *([cell() for _ in range(columns)] for _ in range(rows))]


def written(rng, lines):
    """The bytes of a table, in one of the ways of writing one."""
    if rng.random() < 0.1:
        quote = rng.choice([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        buffer = StringIO()
        csv.writer(buffer, quoting=quote, lineterminator="\n").writerows(lines)
        text = buffer.getvalue()
    else:
        separator = ";" if rng.random() < 0.03 else "\t" if rng.random() < 0.03 else ","
        text = "".join(separator.join(line) + "\n" for line in lines)
    if rng.random() < 0.3:
        text = text.replace("\n", rng.choice(["\r\n", "\r", "\n\n", "\n\r", " \n", ",\n"]))
    if rng.random() < 0.1:
        text = text.removesuffix("\n")
    encoding = "utf-8"
    if rng.random() < 0.2:
        encoding = rng.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
    return text.encode(encoding, "replace")


def damaged(rng, data):
    """The bytes of a file after one accident."""
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(12)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[at:]
    if kind == 2:
        return data[:at] + data[at + 1 :]
    if kind == 3:
        return data[:at] + bytes([rng.randrange(256)]) + data[at:]
    if kind == 4:
        return data[:at] + rng.choice([b"\0", b"\xff", b'"', b",", b"\n", b"\r", b"#"]) + data[at:]
    if kind == 5:
        return data[:at] + rng.choice(CELLS).encode() + data[at:]
    lines = data.splitlines(keepends=True) or [b""]
    line = rng.randrange(len(lines))
    if kind == 6:
        del lines[line]
    elif kind == 7:
        lines.insert(line, lines[rng.randrange(len(lines))])
    elif kind == 8:
        rng.shuffle(lines)
    elif kind == 9:
        lines.insert(
            line, rng.choice([b"\n", b"\r\n", b",,\n", b" \n", b"# comment\n", b'"\n', b"\0"])
        )
    else:
        cells = lines[line].split(b",")
        cells[rng.randrange(len(cells))] = rng.choice(CELLS).encode()
        lines[line] = b",".join(cells)
    return b"".join(lines)


# A number as it is written in ASCII. Python takes 1_000 and other digits, too.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def oracle(data, strict):
    """Names and numbers of a table of finite numbers below a line of distinct names, else None.

    What is not strictly one may be taken for one: with blank lines of spaces, a cell that goes on
    behind its quotes, other white space around a number, or a comma at the end of a line.
    """
    try:
        text = data.decode("utf-8-sig")
        lines = [*csv.reader(StringIO(text, newline=""), strict=strict)]
    except (ValueError, csv.Error):
        return None
    space = " " if strict else " \t\r\n\v\f"
    lines = [[cell.strip(space) for cell in line] for line in lines]
    names, *rows = [line for line in lines if line not in ([], [""])] or [[]]
    if not strict:
        rows = [row[:-1] if row[len(names) :] == [""] else row for row in rows]
    if not all(len(row) == len(names) for row in rows) or len(set(names)) < len(names):
        return None
    cells = [cell for row in rows for cell in row]
    if not all(NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in cells):
        return None
    return names, np.array([*map(float, cells)]).reshape(len(rows), len(names))


def test_any_table_of_the_user(tmp_path, trials):
    """What is taken is right to the last bit; what is refused is no table, or has no y."""
    wrong, taken = {}, 0
    for number in range(CASES * trials):
        rng = random.Random(number)
        data = written(rng, table_of(rng))
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            data = damaged(rng, data)
        path = tmp_path / f"{number}.csv"
        path.write_bytes(data)
        expected = oracle(data, strict=True)
        try:
            found = problems.csv(Csv(str(path), "y"))
        except ConfigError as error:
            line = str(error)
            named = line.startswith((f"problem.path={path}: ", "problem.target=y: "))
            if len(line.splitlines()) != 1 or not named or len(line) > 500:
                wrong[number] = f"{data!r}: {line}"
            elif expected and "y" in expected[0] and len(expected[1]) > 1:
                wrong[number] = f"{data!r}: refused: {line}"
        except Exception as error:
            wrong[number] = f"{data!r}: {type(error).__name__}: {error}"
        else:
            taken += 1
            expected = oracle(data, strict=False)
            if expected is None or "y" not in expected[0]:
                wrong[number] = f"{data!r}: taken"
                continue
            names, table = expected
            y = names.index("y")
            same = np.array_equal(found.X[:, :-1], np.delete(table, y, axis=1))
            if not same or not np.array_equal(found.y, table[:, y]):
                wrong[number] = f"{data!r}: {found}"
        path.unlink()
    assert not wrong, "\n".join(f"case {number}: {what}" for number, what in wrong.items())
    assert CASES / 10 < taken / trials < CASES * 0.9
