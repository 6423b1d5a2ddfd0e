"""Tables of the user and files of a study, damaged in all ways: a clear error or a right result.

The cases are the same in every run; `pytest --trials N` makes N times as many.
"""

import csv
import gzip
import json
import math
import random
import re
import shutil
import zlib
from io import StringIO

import numpy as np
import pytest

from gdconv.config.problems import Gaussian, Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Record, Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems import families as problems
from gdconv.report import report
from gdconv.sweep.sweep import run_sweep
from gdconv.tables.columns import COLUMNS

CASES, WAYS, PARTS, STUDIES = 1500, 300, 5, 400

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
    data = text.encode(encoding, "replace")
    return gzip.compress(data, mtime=0) if rng.random() < 0.05 else data


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


# The oracle knows one way of writing a table.
AS_WRITTEN = {"separator": "comma", "decimal": "point", "comment": "none"}
# A number as it is written in ASCII. Python takes 1_000 and other digits, too.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def oracle(data, strict):
    """Names and numbers of a table of finite numbers below a line of distinct names, or None.

    What is not strictly one may be taken for one: with blank lines of spaces, a cell that goes on
    behind its quotes, other white space around a number, or a comma at the end of a line. Then
    columns without a name are left out.
    """
    try:
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        text = data.decode("utf-8-sig")
        lines = [*csv.reader(StringIO(text, newline=""), strict=strict)]
    except (ValueError, csv.Error, OSError, EOFError, zlib.error):
        return None
    space = " " if strict else " \t\r\n\v\f"
    lines = [[cell.strip(space) for cell in line] for line in lines]
    names, *rows = [line for line in lines if line not in ([], [""])] or [[]]
    if not strict:
        rows = [row[:-1] if row[len(names) :] == [""] else row for row in rows]
    if not strict:
        # Cells that are not there are empty, which only a column without a name may be.
        rows = [row + [""] * (len(names) - len(row)) for row in rows]
    if not all(len(row) == len(names) for row in rows):
        return None
    named = [place for place, name in enumerate(names) if name not in ("", "Unnamed: 0")]
    if len(named) < len(names) and strict:
        return None
    names, rows = ([[line[place] for place in named] for line in each] for each in ([names], rows))
    (names,) = names
    if len(set(names)) < len(names):
        return None
    cells = [cell for row in rows for cell in row]
    if not all(NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in cells):
        return None
    return names, np.array([*map(float, cells)]).reshape(len(rows), len(names))


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
def test_any_table_of_the_user(part, tmp_path, trials):
    """What is taken is right to the last bit; what is refused is no table, or has no y."""
    wrong, taken = {}, 0
    for number in range(part, CASES * trials, PARTS):
        rng = random.Random(number)
        data = written(rng, table_of(rng))
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            data = damaged(rng, data)
        path = tmp_path / f"{number}.csv"
        path.write_bytes(data)
        expected = oracle(data, strict=True)
        try:
            found = problems.make(Table(str(path), "y", **AS_WRITTEN), 0, 0)
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
    assert 0.1 < taken * PARTS / (CASES * trials) < 0.9


def in_some_way(rng):
    """The numbers of a table, and its text with any separator, decimal sign and comments."""
    separator = rng.choice([",", ";", "\t", "|", " "])
    decimal = "," if separator != "," and rng.random() < 0.5 else "."
    columns, rows = rng.choice([2, 3, 7]), rng.choice([2, 3, 20])
    names = [*(f"x{i}" for i in range(columns - 1)), "y"]
    numbers = [
        [round(rng.gauss(0, 1) * 10.0 ** rng.randint(-3, 4), rng.randint(0, 6)) for _ in names]
        for _ in range(rows)
    ]
    quote = rng.choice(["", "", '"'])
    lines = [
        [f"{quote}{each}{quote}" for each in names],
        *([repr(number).replace(".", decimal) for number in row] for row in numbers),
    ]
    end = separator if separator != " " and rng.random() < 0.2 else ""
    if not end and rng.random() < 0.2:
        # Names of rows, which the line of names does not count if the table is one of R.
        lines = [[f"r{i}", *line] for i, line in enumerate(lines)]
        lines[0] = lines[0][1:] if rng.random() < 0.5 or separator == " " else ['""', *lines[0][1:]]
    comments = rng.choice(["", "", "# made by, a; sensor\n", "% one\n% two | three\n"])
    gap = " " * rng.randint(1, 3) if separator == " " else separator
    text = comments + "".join(gap.join(line) + end + "\n" for line in lines)
    return np.array(numbers), text


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))]
)
def test_any_way_of_writing_a_table(part, tmp_path, trials):
    """It is found out, or there are two ways to read the table."""
    wrong, refused = {}, 0
    for number in range(part, WAYS * trials, PARTS):
        numbers, text = in_some_way(random.Random(number))
        path = tmp_path / f"{number}.csv"
        path.write_text(text)
        try:
            found = problems.make(Table(str(path), "y"), 0, 0)
        except ConfigError as error:
            refused += 1
            if "which may be" not in str(error):
                wrong[number] = f"{text!r}: {error}"
        else:
            same = np.array_equal(found.X[:, :-1], numbers[:, :-1])
            if not same or not np.array_equal(found.y, numbers[:, -1]):
                wrong[number] = f"{text!r}: {found}"
        path.unlink()
    assert not wrong, "\n".join(f"case {number}: {what}" for number, what in wrong.items())
    assert refused < 0.05 * WAYS * trials / PARTS


# Studies


def configuration(**keys):
    return RunConfig(
        Gaussian(n_samples=6, n_features=keys.pop("n_features", 2)),
        method=GradientDescent(iterations=20),
        record=Record(points=4, coefficients=True),
        **keys,
    )


HELD = [configuration(step=Step(value=[0.5, 2.5])), configuration(n_features=3, seed=[3, 1])]
ADDED = [*HELD, configuration(step=Step(value=[1.0]), seed=2)]


def sweep(configs, folder):
    study = StudyConfig(study=folder.name, results_dir=str(folder.parent), report=False)
    return run_sweep(configs, study, ["gdconv"])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """The files of a study."""
    folder = tmp_path_factory.mktemp("held") / "study"
    sweep(HELD, folder)
    return contents(folder)


@pytest.fixture(scope="module")
def unsorted(held):
    """The files of that study as they are before its history says that they are finished."""
    history = json.loads(held["provenance.json"])
    del history["checksums"]
    return held | {"provenance.json": json.dumps(history, indent=2).encode()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of the same study with some runs more."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    sweep(ADDED, folder)
    return contents(folder)


def worse(rng, data):
    """The bytes of a study's file after somebody has had it."""
    header, *lines = data.splitlines(keepends=True) or [b""]
    match rng.randrange(14):
        case 0:
            return b""
        case 1:
            return rng.choice(
                [b"\0" * 4096, b"\xff\xfe", b"\n", b"{}", b"[]", b"null", b"a,b\n1,2\n"]
            )
        case 2:
            return data.decode(errors="replace").encode(
                rng.choice(["utf-16", "utf-8-sig", "utf-32"])
            )
        case 3:
            return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n"]))
        case 4:
            return data.replace(b",", rng.choice([b";", b"\t", b", "]))
        case 5:
            rng.shuffle(lines)
            return b"".join([header, *lines])
        case 6:
            lines.sort(key=lambda line: line.split(b",")[-3:])
            return b"".join([header, *lines])
        case 7:
            return b"".join([header, *lines, *lines[: rng.randrange(4)]])
        case 8:
            return data + rng.choice([b"\0" * 512, b"torn", b",,,", b'"', "∂".encode()[:1]])
        case 9:
            digits = [i for i, byte in enumerate(data) if chr(byte).isdigit()] or [0]
            at = rng.choice(digits)
            return data[:at] + bytes([rng.choice(b"0123456789")]) + data[at + 1 :]
        case 10:
            at = rng.randrange(len(data) + 1)
            return data[:at] + b"9" * 5000 + data[at:]
    return damaged(rng, data)


def accident(rng, files):
    """Some files of a study, one or two of them no longer as they were."""
    files = dict(files)
    names = ["runs.csv", "curves.csv", "eigenvalues.csv"] * 2
    for name in rng.sample(
        [*names, "config.yaml", "provenance.json", ".lock"], rng.choice([1, 1, 2])
    ):
        if rng.random() < 0.05:
            files.pop(name, None)
        else:
            files[name] = worse(rng, files.get(name, b"process 1 on host since then\n"))
    return files


def put(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)


TABLES, HISTORY = [f"{name}.csv" for name in COLUMNS], ["provenance.json"]


def same(files, others, names):
    return all(files.get(name) == others.get(name) for name in names)


def lines_of(files, name):
    return files.get(f"{name}.csv", b"").splitlines()


def continued_wrongly(files, after, finished):
    """What is wrong with a study that was continued although files of it were damaged.

    Every row is as it was, or as it is in a study that nothing happened to, and there once. Where
    none has been changed, it is that study, sorted.
    """
    for name in COLUMNS:
        before, there, right = (lines_of(each, name) for each in (files, after, finished))
        strange = set(there) - set(before) - set(right)
        if strange:
            return f"{name} has rows from nowhere: {strange}"
        if len(set(there)) < len(there):
            return f"{name} has rows twice"
    changed = any({*lines_of(files, name)} - {*lines_of(finished, name)} for name in COLUMNS)
    if not changed and any(lines_of(after, each) != lines_of(finished, each) for each in COLUMNS):
        return "it is not as it should be"
    return None


@pytest.mark.slow
def test_any_damage_to_a_study(tmp_path, held, unsorted, finished, trials):
    """It is continued, or refused in one line with nothing changed.

    A table of a finished study that has changed in any way is refused.
    """
    folder, wrong, continued = tmp_path / "study", {}, 0
    for number in range(STUDIES * trials):
        rng = random.Random(number)
        before = held if number % 3 == 0 else unsorted
        files = accident(rng, before)
        put(folder, files)
        told = {name: data[:3000] for name, data in files.items() if data != before.get(name)}
        try:
            outcome = sweep(ADDED, folder)
        except ConfigError as error:
            if (
                "\n" in str(error)
                or len(str(error)) > 500
                or not re.search(r"\.csv|\.json", str(error))
            ):
                wrong[number] = f"{told}: {error}"
            elif contents(folder) | {".lock": b""} != files | {".lock": b""}:
                wrong[number] = f"{told}: changed, although refused: {error}"
        except Exception as error:
            wrong[number] = f"{told}: {type(error).__name__}: {error}"
        else:
            continued += 1
            if outcome.failed:
                wrong[number] = f"{told}: failed"
            elif before is held and same(files, held, HISTORY) and not same(files, held, TABLES):
                wrong[number] = f"{told}: not noticed"
            elif what := continued_wrongly(files, contents(folder), finished):
                wrong[number] = f"{told}: {what}"
    assert not wrong, "\n".join(f"case {number}: {what}" for number, what in wrong.items())
    assert 0.1 < continued / (STUDIES * trials) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--status"]], ids=["report", "status"])
def test_any_damage_to_what_is_reported(tmp_path, held, capsys, monkeypatch, trials, options):
    """Exit status 2, with one line that names the study and nothing written; or a summary.

    With --status, that a table has changed is said, and the exit status is 1.
    """
    monkeypatch.setattr(report, "_write", lambda study: None)
    folder, wrong = tmp_path / "study", {}
    for number in range(STUDIES * trials // 2):
        files = accident(random.Random(number), held)
        put(folder, files)
        told = {name: data[:3000] for name, data in files.items() if data != held.get(name)}
        try:
            status = report.main([str(folder), *options])
        except Exception as error:
            wrong[number] = f"{told}: {type(error).__name__}: {error}"
            continue
        out, err = capsys.readouterr()
        refused = status == 2 and not out and len(err.splitlines()) == 1 and len(err) < 500
        named = err.startswith(f"gdconv-report: {folder}: ") and re.search(r"\.csv|\.json", err)
        # A history that has changed may have lost the checksums.
        right = {0, 1}
        if same(files, held, HISTORY):
            right = {int(bool(options) and not same(files, held, TABLES))}
        if not (refused and named) and (err or status not in right):
            wrong[number] = f"{told}: {status} {out} {err}"
        elif contents(folder) != files:
            wrong[number] = f"{told}: changed"
    assert not wrong, "\n".join(f"case {number}: {what}" for number, what in wrong.items())
