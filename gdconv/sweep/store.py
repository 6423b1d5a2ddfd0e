"""The folder of a study and its only writer. A run is done only when its rows are in the files.

One process writes, group by group: first the other tables, then runs, each flushed to the
disk. A run is done when its row is in runs.csv. So if the writer is stopped, only the groups that
were being computed are lost. `Store.finish` replaces each file by a sorted copy and notes their
checksums. A study without checksums is unfinished.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import StudyConfig
from gdconv.experiment.identity import SCHEMA_VERSION
from gdconv.sweep import lock
from gdconv.sweep.provenance import configuration, environment, without_home
from gdconv.tables import contents, disk
from gdconv.tables.columns import (
    COEFFICIENT_ORDER,
    EIGENVALUE_ORDER,
    FILES,
    MOMENT_ORDER,
    RUN_ORDER,
    TABLES,
)
from gdconv.tables.contents import CHECKSUMS
from gdconv.tables.csv import Rows, header, owner_of, run_id_of, sort_key

ORDERS = {
    "runs": RUN_ORDER,
    "eigenvalues": EIGENVALUE_ORDER,
    "coefficients": COEFFICIENT_ORDER,
    "moments": MOMENT_ORDER,
}


class Store:
    """The folder of one study, held by this process alone; a context manager.

    Attributes
    ----------
    folder : Path
    done : dict
        run_id → status, for every run whose rows are in the files.
    unfinished : bool
        Whether the files still have to be sorted, also because an earlier writer was stopped.

    Raises
    ------
    ConfigError
        On entering, if another process holds the study; if its files have another schema version,
        are damaged by more than an incomplete last line, or were changed after it was finished; or
        if the folder cannot be written.
    """

    def __init__(self, study: StudyConfig) -> None:
        self.study = study
        self.folder = Path(study.results_dir).expanduser() / study.study
        self.done: dict[str, str] = {}
        self.unfinished = False
        self._open = ExitStack()
        self._lock: IO[bytes]
        self._files: dict[str, IO[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._digests: dict[str, Any] = {}
        self._problems: set[bytes] = set()
        # Those whose w* is in coefficients.csv, and those whose moments are in moments.csv.
        self._solved: set[bytes] = set()
        self._measured: set[bytes] = set()
        # Where each run's lines are in curves.csv.
        self._spans: dict[bytes, tuple[int, int]] = {}
        self._provenance: dict[str, Any] = {}

    def __enter__(self) -> Store:
        """Take the lock and read which runs are done."""
        names = (*FILES, "report.html")
        with ExitStack() as undo:
            undo.push(self._open)
            try:
                for name in (lock.NAME, *names):
                    disk.check(self.folder / name)
                self._lock = self._open.enter_context(lock.held(self.folder))
                for name in names:
                    disk.remove_temporary(self.folder / name)
                self._read()
            except lock.BusyError as holder:
                why = f"is being written by {holder}; wait or choose another"
                raise self._refusal(why) from None
            except contents.DamagedError as damage:
                raise self._damaged(str(damage)) from None
            except disk.NotAFileError as error:
                raise self._damaged(f"{Path(error.filename).name} {error.strerror}") from None
            except OSError as error:
                raise ConfigError(
                    "results_dir", self.study.results_dir, f"cannot be written ({disk.told(error)})"
                ) from None
            undo.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the files and release the lock."""
        self._open.__exit__(*exception)

    def forget(self, run_ids: Iterable[str]) -> None:
        """Count runs as not done, so that they can be run again; `begin` drops their rows."""
        for run_id in list(run_ids):
            del self.done[run_id]

    def begin(
        self,
        configs: Sequence[RunConfig],
        command: Sequence[str],
        planned: int = 0,
        files: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Write the configuration and history, repair what a killed writer left, open the tables.


        Parameters
        ----------
        planned : int
            How many runs are to be appended.
        files : mapping of str to sequence of str, optional
            The names of each content of a file.
        """
        self.unfinished = True
        self._provenance.pop(CHECKSUMS, None)
        self._provenance |= {"schema_version": SCHEMA_VERSION} | environment()
        self._provenance["files"] = self._files_with(files or {})
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
        disk.replace(self.folder / "config.yaml", [configuration(configs, self.study)])
        # The checksums must be gone from the disk before a table changes.
        disk.sync_folder(self.folder)
        self._open_table("eigenvalues", lambda line: run_id_of(line) in self._problems)
        self._open_table("moments", lambda line: run_id_of(line) in self._measured)
        self._open_table("coefficients", self._keeps_coefficient)
        owners = map(owner_of, contents.lines(self._files["coefficients"], "coefficients"))
        self._solved = {problem for problem, run_id in owners if not run_id}
        for name in ("curves", "runs"):
            self._open_table(name, lambda line: self._is_done(run_id_of(line)))
        self._spans = self._spans_on_disk()
        disk.sync_folder(self.folder)

    def note_files(self, files: Mapping[str, Sequence[str]]) -> None:
        """Add the names of files to provenance.json, if there are new ones among them."""
        named = self._files_with(files)
        if self._provenance and named != self._provenance.get("files", {}):
            self._provenance["files"] = named
            self._write_provenance()

    def _files_with(self, files: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        known = self._provenance.get("files", {})
        return {
            content: list(dict.fromkeys((*known.get(content, ()), *files.get(content, ()))))
            for content in known | files
        }

    def append(self, rows: Rows) -> None:
        """Store one group: when this returns, its rows are on the disk.

        Raises
        ------
        OSError
            If the disk fails, or a table or the lock is no longer the file that this writer holds.
            In the second case nothing has been written of the group.
        """
        self._check_files(f"; the group just computed is not stored (runs: {len(rows.status)})")
        problem = rows.problem_id.encode()
        parts = {"coefficients": rows.coefficients, "curves": rows.curves, "runs": rows.runs}
        position = self._sizes["curves"]
        for run_id, size in rows.sizes.items():
            self._spans[run_id.encode()] = position, position + size
            position += size
        if problem not in self._problems:
            parts = {"eigenvalues": rows.eigenvalues} | parts
        if problem not in self._measured:
            parts = {"moments": rows.moments} | parts
        if problem not in self._solved:
            parts["coefficients"] = rows.minimiser + parts["coefficients"]
        for name, part in parts.items():
            if not part:
                continue
            self._files[name].write(part)
            disk.sync(self._files[name])
            self._sizes[name] += len(part)
            self._digests[name].update(part)
        self._problems.add(problem)
        self._solved |= {problem} if rows.minimiser else set()
        self._measured |= {problem} if rows.moments else set()
        self.done |= rows.status
        self._provenance["commands"][-1]["runs"] += len(rows.status)
        largest = self._provenance["eigh_difference"]
        if rows.eigh_difference is not None:
            self._provenance["eigh_difference"] = max(largest or 0.0, rows.eigh_difference)
        multiplied = {rows.rows_multiplied, *self._provenance["rows_multiplied"]} - {None}
        self._provenance["rows_multiplied"] = sorted(multiplied)

    def finish(self) -> None:
        """Replace each table that is not sorted by a sorted copy; note time and checksums.

        Raises
        ------
        OSError
            As `append`.
        """
        self._check_files(whole=True)
        held = {name: [*contents.lines(self._files[name], name)] for name in ORDERS}
        wanted = {name: sorted(held[name], key=sort_key(name, ORDERS[name])) for name in ORDERS}
        run_ids = map(run_id_of, wanted["runs"])
        spans = [self._spans[run_id] for run_id in run_ids if run_id in self._spans]
        # Each run's curve has to begin where the one before it ends.
        follow = [len(header("curves")), *(end for _, end in spans)]
        in_order = {name: held[name] == wanted[name] for name in ORDERS}
        in_order["curves"] = follow == [*(start for start, _ in spans), self._sizes["curves"]]
        parts: dict[str, Iterable[bytes]] = wanted | {"curves": self._curves(spans)}
        self._provenance[CHECKSUMS] = {
            TABLES[name]: self._digests[name].hexdigest()
            if in_order[name]
            else self._replace(name, parts[name])
            for name in sorted(TABLES)
        }
        disk.sync_folder(self.folder)
        seconds = round(time.monotonic() - self._started, 3)
        self._provenance["commands"][-1] |= {"finished": _now(), "seconds": seconds}
        self._write_provenance()
        disk.sync_folder(self.folder)
        self.unfinished = False

    def _refusal(self, why: str) -> ConfigError:
        return ConfigError("study", self.study.study, why)

    def _damaged(self, what: str) -> ConfigError:
        return self._refusal(f"cannot be continued, {what}; mend it or choose another study")

    def _read(self) -> None:
        with suppress(FileNotFoundError):
            self._provenance = contents.provenance(self.folder)
        finished, changed = contents.standing(self.folder, self._provenance)
        if changed and not self.study.accept_changed:
            raise self._refusal(
                f"was changed after it was finished, in {' and '.join(changed)}; restore what was"
                " there, or add accept_changed=true to continue with what is there"
            )
        self.unfinished = not finished
        self.done, self._problems, self._measured = contents.held(self.folder, finished)

    def _check_files(self, unstored: str = "", whole: bool = False) -> None:
        """Raise if a table or the lock is no longer the file that this writer holds.

        A change that keeps the size of a table is found only if the whole of it is read.
        """
        if not self.folder.is_dir():
            raise OSError(f"{self.folder}: was removed or renamed during the sweep{unstored}")
        wrong = []
        if not disk.is_at(self._lock.fileno(), self.folder / lock.NAME):
            wrong.append(f"{lock.NAME} was removed or replaced")
        for name, file in self._files.items():
            if not disk.is_at(file.fileno(), self.folder / TABLES[name]):
                wrong.append(f"{TABLES[name]} was removed or replaced{self._kept(name)}")
            elif os.fstat(file.fileno()).st_size != self._sizes[name] or (
                whole and disk.digest(file).digest() != self._digests[name].digest()
            ):
                wrong.append(f"{TABLES[name]} was changed")
        if wrong:
            what = " and ".join(wrong)
            raise OSError(f"{self.folder}: {what} by another program during the sweep{unstored}")

    def _kept(self, name: str) -> str:
        """Give a table without a name a new one, since closing it would lose its content."""
        file = self._files[name]
        if os.fstat(file.fileno()).st_nlink:
            return ""
        paths = (self.folder / f"{TABLES[name]}.kept{number or ''}" for number in count())
        path = next(path for path in paths if not path.exists())
        file.seek(0)
        disk.replace(path, iter(partial(file.read, 2**20), b""))
        return f" (what it held is kept in {path.name}: rename that to go on from there)"

    def _open_table(self, name: str, keep: Callable[[bytes], bool]) -> None:
        """Open a table; first remove an incomplete last line and the lines that `keep` refuses."""
        path = self.folder / TABLES[name]
        file = self._open.enter_context(disk.open_file(path, "a+b"))
        # A copy of the study may share this file by a hard link; appending would change the copy.
        shared = os.fstat(file.fileno()).st_nlink > 1
        if shared or not all(map(keep, contents.lines(file, name))):
            self._replace(name, filter(keep, contents.lines(file, name)))
            file = self._open.enter_context(disk.open_file(path, "a+b"))
        end = _end_of_last_line(file)
        file.truncate(end)
        if end == 0:
            file.write(header(name))
        self._files[name] = file
        self._digests[name] = disk.digest(file)
        self._sizes[name] = file.tell()

    def _keeps_coefficient(self, line: bytes) -> bool:
        """Whether a line of coefficients.csv is of a run that is done, or of its problem."""
        problem, run_id = owner_of(line)
        return problem in self._problems and (not run_id or self._is_done(run_id))

    def _is_done(self, run_id: bytes) -> bool:
        """Whether a run is done; what a damaged line calls its run need not be a text."""
        return run_id.decode(errors="replace") in self.done

    def _spans_on_disk(self) -> dict[bytes, tuple[int, int]]:
        """Where each run's lines are, of the runs that were done before."""
        spans: dict[bytes, tuple[int, int]] = {}
        position = len(header("curves"))
        for line in contents.lines(self._files["curves"], "curves"):
            run_id, end = run_id_of(line), position + len(line)
            spans[run_id] = spans.get(run_id, (position, end))[0], end
            position = end
        return spans

    def _curves(self, spans: Iterable[tuple[int, int]]) -> Iterable[bytes]:
        """Yield the curves at some places, with only one in memory at a time."""
        file = self._files["curves"]
        for start, end in spans:
            file.seek(start)
            yield file.read(end - start)

    def _replace(self, name: str, parts: Iterable[bytes]) -> str:
        return disk.replace(self.folder / TABLES[name], chain([header(name)], parts))

    def _write_provenance(self) -> None:
        text = json.dumps(self._provenance, indent=2) + "\n"
        disk.replace(self.folder / "provenance.json", [text.encode()])


def _end_of_last_line(file: IO[bytes]) -> int:
    """The position after the last newline of a file that has one."""
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
