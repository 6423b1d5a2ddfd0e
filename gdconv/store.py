"""The folder of a study and its only writer. What stands in the files is done, and nothing else is.

One process writes, group by group: curves and eigenvalues first, runs last, each flushed to the
disk. A run is done when its row stands in runs.csv, so whatever stops the writer costs no more than
the groups it was at. `Store.finish` sorts the files for a reader, replacing each by its sorted
copy.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from gdconv.config import RunConfig, StudyConfig
from gdconv.keys import ConfigError, typed
from gdconv.provenance import configuration, environment, without_home
from gdconv.runs import SCHEMA_VERSION
from gdconv.tables import (
    COLUMNS,
    EIGENVALUE_ORDER,
    KINDS,
    RUN_ORDER,
    Rows,
    header,
    is_cell,
    run_id_of,
    sort_key,
)


class Store:
    """The folder of one study, held by this process alone; a context manager.

    Attributes
    ----------
    folder : Path
    done : dict
        run_id → status of every run whose rows stand in the files.
    unfinished : bool
        Whether the files still have to be sorted, by this writer or for one that was stopped.

    Raises
    ------
    ConfigError
        On entering, if another process holds the study, if its files are of another schema version
        or damaged other than by a torn last line, or if the folder cannot be written.
    """

    def __init__(self, study: StudyConfig) -> None:
        self.study = study
        self.folder = Path(study.results_dir).expanduser() / study.study
        self.done: dict[str, str] = {}
        self.unfinished = False
        self._open = ExitStack()
        self._files: dict[str, IO[bytes]] = {}
        self._problems: set[bytes] = set()
        self._provenance: dict[str, Any] = {}

    def __enter__(self) -> Store:
        """Take the lock and read what is done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Left as it was found, if nothing is run.
            self._open.callback(self._remove_if_empty)
            self._take_lock()
        except OSError as error:
            raise ConfigError(
                "results_dir", self.study.results_dir, f"cannot be written ({error.strerror})"
            ) from None
        with ExitStack() as undo:
            undo.push(self._open)
            self._read_provenance()
            self._read_done()
            undo.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the files and let go of the study; the lock file stays while they are unsorted."""
        self._open.__exit__(*exception)

    def forget(self, run_ids: Iterable[str]) -> None:
        """Count runs as not done, so that they can be run again; `begin` drops their rows."""
        for run_id in list(run_ids):
            del self.done[run_id]

    def begin(self, configs: Sequence[RunConfig], command: Sequence[str], planned: int = 0) -> None:
        """Mend what a killed writer left, say what is to be run and with what, open the tables.

        Parameters
        ----------
        planned : int
            How many runs are to be appended.
        """
        for name in COLUMNS:
            self._mend(name)
        self._filter("eigenvalues", lambda line: run_id_of(line) in self._problems)
        for name in ("curves", "runs"):
            self._filter(name, lambda line: run_id_of(line).decode() in self.done)
        self.unfinished = True
        self._write("config.yaml", [configuration(configs, self.study)])
        self._provenance |= {"schema_version": SCHEMA_VERSION} | environment()
        self._provenance.setdefault("eigh_difference", None)
        self._provenance.setdefault("rows_multiplied", [])
        self._provenance.setdefault("commands", []).append(
            {
                "command": [without_home(word) for word in command],
                "started": _now(),
                "held": len(self.done),
                "planned": planned,
                "runs": 0,
            }
        )
        self._started = time.monotonic()
        self._write_provenance()
        for name in COLUMNS:
            table = (self.folder / f"{name}.csv").open("ab")
            self._files[name] = self._open.enter_context(table)

    def append(self, rows: Rows) -> None:
        """Store one group: when this returns, its rows are on the disk."""
        problem = rows.problem_id.encode()
        parts = {"curves": rows.curves, "runs": rows.runs}
        if problem not in self._problems:
            parts = {"eigenvalues": rows.eigenvalues} | parts
        for name, lines in parts.items():
            self._files[name].write(lines)
            self._files[name].flush()
            os.fsync(self._files[name].fileno())
        self._problems.add(problem)
        self.done |= rows.status
        self._provenance["commands"][-1]["runs"] += len(rows.status)
        largest = self._provenance["eigh_difference"]
        if rows.eigh_difference is not None:
            self._provenance["eigh_difference"] = max(largest or 0.0, rows.eigh_difference)
        multiplied = {rows.rows_multiplied, *self._provenance["rows_multiplied"]} - {None}
        self._provenance["rows_multiplied"] = sorted(multiplied)

    def finish(self) -> None:
        """Sort the tables and note the time; each file is replaced as a whole."""
        runs = sorted(self._lines("runs"), key=sort_key("runs", RUN_ORDER))
        self._sort_curves(run_id_of(line) for line in runs)
        order = sort_key("eigenvalues", EIGENVALUE_ORDER)
        self._replace("eigenvalues", sorted(self._lines("eigenvalues"), key=order))
        self._replace("runs", runs)
        seconds = round(time.monotonic() - self._started, 3)
        self._provenance["commands"][-1] |= {"finished": _now(), "seconds": seconds}
        self._write_provenance()
        self.unfinished = False

    def _take_lock(self) -> None:
        path = self.folder / ".lock"
        while True:
            self.unfinished = path.exists()
            lock = path.open("a+")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "another process"
                lock.close()
                raise ConfigError(
                    "study",
                    self.study.study,
                    f"is being written by {holder}; wait or choose another",
                ) from None
            # The holder before may have removed the file between our open and our lock.
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                break
            lock.close()
        self._open.callback(self._release_lock, lock)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()} since {_now()}\n")
        lock.flush()

    def _remove_if_empty(self) -> None:
        with suppress(OSError):
            self.folder.rmdir()

    def _release_lock(self, lock: IO[str]) -> None:
        if not self.unfinished:
            (self.folder / ".lock").unlink(missing_ok=True)
        lock.close()

    def _damaged(self, where: str, what: str) -> ConfigError:
        return ConfigError(
            "study",
            self.study.study,
            f"cannot be continued, {where} {what}; mend it or choose another study",
        )

    def _read_provenance(self) -> None:
        path = self.folder / "provenance.json"
        if not path.exists():
            return
        try:
            self._provenance = json.loads(path.read_bytes())
            found = self._provenance["schema_version"]
            commands, difference = map(self._provenance.get, ("commands", "eigh_difference"))
            if not isinstance(commands, list) or not isinstance(difference, float | None):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._damaged("provenance.json", "is not as gdconv wrote it") from None
        if found != SCHEMA_VERSION:
            raise self._damaged(
                "provenance.json",
                f"has schema version {found}, this gdconv writes {SCHEMA_VERSION}",
            )

    def _read_done(self) -> None:
        """Note the runs whose row stands in runs.csv and whose other rows are there too."""
        curve_rows = self._curve_rows()
        self._problems = self._complete_problems()
        seen = set()
        for number, line in enumerate(self._lines("runs"), start=2):
            where = f"runs.csv line {number}"
            try:
                (cells,) = csv.reader([line.decode()], strict=True)
            except (ValueError, csv.Error):
                raise self._damaged(where, "is no line of CSV in UTF-8") from None
            self._check_cells("runs", where, cells)
            run = dict(zip(COLUMNS["runs"], cells, strict=True))
            run_id = run["run_id"]
            if run_id in seen:
                raise self._damaged(where, f"repeats run_id {run_id}")
            seen.add(run_id)
            if run["status"] == "failed" or (
                curve_rows[run_id.encode()] == int(run["curve_rows"] or -1)
                and run["problem_id"].encode() in self._problems
            ):
                self.done[run_id] = run["status"]

    def _curve_rows(self) -> Counter[bytes]:
        """How many rows curves.csv has of each run, which stand together and by iteration."""
        rows: Counter[bytes] = Counter()
        latest, before = b"", -1
        for number, (line, iteration) in enumerate(self._checked_curves(), start=2):
            run_id = run_id_of(line)
            if iteration <= before if run_id == latest else run_id in rows:
                raise self._damaged(f"curves.csv line {number}", "is not where it belongs")
            latest, before = run_id, iteration
            rows[run_id] += 1
        return rows

    def _complete_problems(self) -> set[bytes]:
        """The problems all of whose eigenvalues stand in eigenvalues.csv."""
        missing: dict[bytes, int] = {}
        for number, line in enumerate(self._lines("eigenvalues"), start=2):
            self._check_line("eigenvalues", number, line)
            problem, _, n_features, _ = line.split(b",", 3)
            missing[problem] = missing.get(problem, int(n_features or 0)) - 1
        return {problem for problem, count in missing.items() if count == 0}

    def _checked_curves(self) -> Iterator[tuple[bytes, int]]:
        """The complete lines of curves.csv, which is too long to read it cell by cell.

        Refused are lines with the wrong number of cells or with letters, the e of an exponent
        excepted, where numbers should be, or without a number of the iteration.
        """
        columns = list(COLUMNS["curves"])
        commas, position = len(columns) - 1, columns.index("iteration")
        for number, line in enumerate(self._lines("curves"), start=2):
            numbers = line.split(b",", 2)[-1]
            if line.count(b",") != commas or numbers.translate(None, b"0123456789.,e+-\n"):
                self._check_line("curves", number, line)
            try:
                iteration = int(line.split(b",", position + 1)[position])
            except ValueError:
                self._check_line("curves", number, line)
                raise self._damaged(f"curves.csv line {number}", "has no iteration") from None
            yield line, iteration

    def _check_line(self, name: str, number: int, line: bytes) -> None:
        text = line.decode(errors="replace").removesuffix("\n")
        self._check_cells(name, f"{name}.csv line {number}", text.split(","))

    def _check_cells(self, name: str, where: str, cells: Sequence[str]) -> None:
        """Refuse a line of a table with a cell too few or too many, or one of another type."""
        columns = COLUMNS[name]
        if len(cells) != len(columns):
            raise self._damaged(where, f"has {len(cells)} cells instead of {len(columns)}")
        for (column, dtype), cell in zip(columns.items(), cells, strict=True):
            if cell and not is_cell(dtype, cell):
                what = f"has {typed(cell)!r}, which is not {KINDS[dtype]}"
                raise self._damaged(f"{where}, column {column}", what)

    def _lines(self, name: str) -> Iterator[bytes]:
        """The complete lines of a table below its header; none if the file is not there."""
        path = self.folder / f"{name}.csv"
        if not path.exists():
            return
        with path.open("rb") as file:
            first = file.readline()
            if first.endswith(b"\n") and first != header(name):
                raise self._damaged(f"{name}.csv line 1", "is not the header of this gdconv")
            yield from (line for line in file if line.endswith(b"\n"))

    def _mend(self, name: str) -> None:
        """Cut off a torn last line; make the file if there is none."""
        path = self.folder / f"{name}.csv"
        with path.open("a+b") as file:
            end = _end_of_last_line(file)
            file.truncate(end)
            if end == 0:
                file.write(header(name))

    def _filter(self, name: str, keep: Callable[[bytes], bool]) -> None:
        """Drop the lines of a table that are not to be kept, rewriting it only if there are any."""
        path = self.folder / f"{name}.csv"
        with path.open("rb") as file:
            next(file)
            if all(keep(line) for line in file):
                return
            file.seek(0)
            next(file)
            self._replace(name, (line for line in file if keep(line)))

    def _sort_curves(self, run_ids: Iterable[bytes]) -> None:
        """Put the curves into the order of the runs, holding no more than one of them in memory."""
        spans: dict[bytes, list[int]] = {}
        with (self.folder / "curves.csv").open("rb") as file:
            position = len(next(file))
            for line in file:
                span = spans.setdefault(run_id_of(line), [position, position])
                position += len(line)
                span[1] = position

            def curve(run_id: bytes) -> bytes:
                start, end = spans.get(run_id, (0, 0))
                file.seek(start)
                return file.read(end - start)

            self._replace("curves", (curve(run_id) for run_id in run_ids))

    def _replace(self, name: str, parts: Iterable[bytes]) -> None:
        def content() -> Iterable[bytes]:
            yield header(name)
            yield from parts

        self._write(f"{name}.csv", content())

    def _write(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file as a whole: it is the old one or the new one, never half of it."""
        path, temporary = self.folder / name, self.folder / f".{name}.tmp"
        with temporary.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def _write_provenance(self) -> None:
        self._write("provenance.json", [json.dumps(self._provenance, indent=2).encode(), b"\n"])


def _end_of_last_line(file: IO[bytes]) -> int:
    """The position behind the last newline of a file that has one."""
    position = file.seek(0, os.SEEK_END)
    while position:
        start = max(0, position - 2**16)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
