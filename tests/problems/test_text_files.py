"""Text files in pieces: threads work on some at a time, in memory that is used again."""

import io
import threading
import time
import warnings

import pandas as pd
import pytest

from gdconv.config.rules import ConfigError
from gdconv.problems.table.files import text
from gdconv.problems.table.files.dialect import Dialect
from gdconv.problems.table.files.parts import part
from gdconv.problems.table.files.places import version

ROWS = 300


@pytest.mark.parametrize("ending", ["\n", "", "\n\n\n"])
@pytest.mark.parametrize("longest", [3, 40, 400])
def test_pieces_end_where_lines_end(ending, longest, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 64)
    lines = [f"{row}," + "x" * (row * 7 % longest) for row in range(200)]
    lines[50] = '50,"a' + "\n" * 30 + 'b"'
    data = ("\n".join(lines) + ending).encode()
    found = [(start, bytes(piece)) for start, piece in text._pieces(io.BytesIO(data))]
    assert b"".join(piece for _, piece in found) == data
    assert [start for start, _ in found] == [
        sum(len(piece) for _, piece in found[:number]) for number in range(len(found))
    ]
    assert all(piece.endswith(b"\n") and piece.count(b'"') % 2 == 0 for _, piece in found[:-1])
    assert len(found) > 5


@pytest.mark.parametrize("size", [63, 64, 65, 128])
def test_a_stream_that_ends_with_a_piece(size, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 64)
    data = (b"1,2\n" * 100)[:size]
    assert b"".join(bytes(piece) for _, piece in text._pieces(io.BytesIO(data))) == data


def test_threads_give_the_numbers_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 200)
    frame = pd.DataFrame({"a": range(ROWS), "b": [0.1 * row for row in range(ROWS)]})
    blocks = list(file_of(frame.to_csv(index=False), tmp_path).blocks([0, 1]))
    assert len(blocks) > 20
    assert [block.start for block in blocks] == [
        sum(map(len, blocks[:number])) for number in range(len(blocks))
    ]
    whole = pd.concat([block.frame for block in blocks], ignore_index=True)
    assert whole.equals(frame.set_axis([0, 1], axis=1))


def test_a_piece_waits_until_its_memory_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 200)
    slow = threading.Event()

    def block(self, data, piece, used):
        if piece.start == 0:
            slow.wait(0.05)
        return usual(self, data, piece, used)

    usual = text.TextFile._block
    frame = pd.DataFrame({"a": range(ROWS)})
    file = file_of(frame.to_csv(index=False), tmp_path)
    monkeypatch.setattr(text.TextFile, "_block", block)
    found = pd.concat([block.frame for block in file.blocks([0])], ignore_index=True)
    assert found[0].tolist() == list(range(ROWS))


def test_a_longer_row_is_refused_whichever_thread_meets_it(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 200)
    for line in range(60, 100):
        lines = ["a,b", *(f"{row},{row}" for row in range(ROWS))]
        lines[line] += ",1"
        with pytest.raises(ConfigError, match=r"has 3 cells|rows have more cells"):
            list(file_of("\n".join(lines), tmp_path).blocks([0, 1]))


def test_filters_of_warnings_last_as_long_as_one_thread_reads():
    before = warnings.filters[:]
    with text._FILTERS:
        with text._FILTERS:
            pass
        with pytest.raises(pd.errors.ParserWarning):
            warnings.warn("a cell is dropped", pd.errors.ParserWarning, stacklevel=1)
    assert warnings.filters == before


def test_filters_of_warnings_are_those_of_before(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 200)
    before = warnings.filters[:]
    for _ in file_of("a\n" + "1\n" * 3000, tmp_path).blocks([0]):
        # The threads begin and end to read meanwhile.
        with warnings.catch_warnings():
            time.sleep(0.002)
    assert warnings.filters == before


def test_no_thread_is_left_when_a_file_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BYTES", 200)
    before = threading.active_count()
    blocks = file_of("a\n" + "1\n" * 1000, tmp_path).blocks([0])
    next(blocks)
    assert threading.active_count() > before
    blocks.close()
    assert threading.active_count() == before


def file_of(content, folder):
    path = folder / "t.csv"
    path.write_text(content)
    dialect = Dialect(separator="comma", decimal="point", comment="none")
    return text.TextFile(part(*version(str(path))), dialect, header=True)
