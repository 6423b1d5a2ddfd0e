"""What is done for large problems before their runs: looks at tables, and triangles of blocks.

An engine decomposes the blocks. This process joins their triangles, and stores each in the study's
folder. So an interruption costs only the blocks that were being decomposed, and later runs of the
same problem need none.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.config.rules import ConfigError
from gdconv.config.runs import Run
from gdconv.experiment.identity import Group, rows_id
from gdconv.problems.families import (
    block_ends,
    known,
    remembered,
    rows_of,
    shape,
    tree_of,
)
from gdconv.problems.table.large import looked_at_by
from gdconv.problems.table.progress import progress
from gdconv.sweep.engines.groups import Task
from gdconv.sweep.engines.pool import Engine, Job
from gdconv.sweep.engines.worker import import_group
from gdconv.tables import disk
from nnlib.terminal import bar_stream

if TYPE_CHECKING:
    import numpy as np

    from gdconv.problems.blocks import Place, Tree

log = logging.getLogger("gdconv")

FOLDER = ".triangles"


class Block(NamedTuple):
    """A block of the rows of a run's problem; known: see `families.known`."""

    run: Run
    number: int
    start: int
    stop: int
    known: Any = None


class Decomposed(NamedTuple):
    """A block, and its triangle; without one, the reason."""

    block: Block
    triangle: np.ndarray | None
    reason: str = ""


@contextmanager
def looking(engine: Engine | None) -> Iterator[None]:
    """Let the workers of an engine, if it has several, look at large tables side by side."""
    if engine is None or engine.workers < 2:
        yield
        return

    def side_by_side(run: Any, files: Sequence[tuple[int, Any]]) -> Iterator[Any]:
        job = Job(partial(_looked_at, run), _not_looked_at, lambda item: item[1].part.name)
        return engine.work_off(files, job)

    with looked_at_by(side_by_side):
        yield


def _looked_at(run: Any, item: tuple[int, Any]) -> tuple[int, Any]:
    """Look at a file, in a worker."""
    number, file = item
    try:
        return number, run(file)
    except MemoryError:
        raise
    except Exception as error:
        log.debug("look failed", exc_info=True)
        return _not_looked_at(item, str(error))


def _not_looked_at(item: tuple[int, Any], reason: str) -> tuple[int, Any]:
    return item[0], None


class Prepared(NamedTuple):
    """Groups that can be run, and those that cannot because their rows cannot be made, and why."""

    tasks: list[Task]
    failed: list[tuple[Task, str]]


def prepared(groups: Sequence[Group], engine: Engine, study: Path | None) -> Prepared:
    """Make the triangles that some groups need, and store them in a study's folder, if any."""
    found = Prepared([], [])
    made: dict[str, np.ndarray | str] = {}
    for group in groups:
        run = next(iter(group.values()))
        try:
            table = known(run.problem)
        except ConfigError:
            # Its file has vanished since the sweep was planned, which its runs will say.
            found.tasks.append(Task(group))
            continue
        with remembered(run.problem, table):
            blocks, name = block_ends(run.problem), rows_id(run)
            if len(blocks) <= 1:
                found.tasks.append(Task(group, None, table))
                continue
            if name not in made:
                folder = study / FOLDER / name if study else None
                made[name] = _triangle(run, blocks, engine, folder, table)
        triangle = made[name]
        if isinstance(triangle, str):
            found.failed.append((Task(group), triangle))
        else:
            found.tasks.append(Task(group, triangle, table and table.only(0, 0)))
    return found


def _triangle(
    run: Run, ends: Sequence[tuple[int, int]], engine: Engine, folder: Path | None, table: Any
) -> np.ndarray | str:
    """The triangle of all rows of a problem, or why it cannot be made."""
    import_group()
    tree = tree_of(run.problem)
    if folder:
        disk.make_folder(folder)
        tree.kept |= dict(_stored(folder))
    blocks = [
        Block(run, number, *each, table and table.only(*each))
        for number, each in enumerate(ends)
        if tree.lacks(number)
    ]
    job = Job(_decomposed, _lost, lambda block: f"rows {block.start + 1} to {block.stop}")
    with _told(run, ends, blocks) as tell:
        for block, triangle, reason in engine.work_off(blocks, job):
            if triangle is None:
                return f"rows {block.start + 1} to {block.stop}: {reason}"
            place, gone = tree.add((0, block.number), triangle)
            if folder:
                _store(folder, place, tree, gone)
            tell(block.stop - block.start)
    assert tree.root is not None
    return tree.root


def _decomposed(block: Block) -> Decomposed:
    """Decompose a block, in a worker."""
    run = block.run
    try:
        with remembered(run.problem, block.known):
            rows = rows_of(run.problem, run.seed, run.repetition)
            return Decomposed(block, rows.triangle(block.start, block.stop))
    except MemoryError:
        raise
    except Exception as error:
        log.debug("block failed", exc_info=True)
        return _lost(block, f"{type(error).__name__}: {error}")


def _lost(block: Block, reason: str) -> Decomposed:
    return Decomposed(block, None, reason)


def _stored(folder: Path) -> Iterator[tuple[Place, Any]]:
    """Yield the triangles in a folder, whose names have level, number and checksum."""
    import numpy as np

    for path in sorted(folder.iterdir()):
        level, number, checksum = (*path.name.split("-"), "", "")[:3]
        content = disk.read_bytes(path)
        if _checksum(content) == checksum:
            values = np.frombuffer(content)
            yield (int(level), int(number)), values.reshape(2 * [math.isqrt(len(values))])
        else:
            path.unlink()


def _store(folder: Path, place: Place, tree: Tree, gone: Sequence[Place]) -> None:
    """Store a triangle, and then remove those that are part of it."""
    content = tree.kept[place].tobytes()
    level, number = place
    disk.replace(folder / f"{level}-{number}-{_checksum(content)}", [content])
    for level, number in gone:
        for path in folder.glob(f"{level}-{number}-*"):
            path.unlink()


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _told(run: Run, ends: Sequence[tuple[int, int]], blocks: Sequence[Block]) -> Iterator[Any]:
    """Show how many rows have been read or drawn."""
    rows, columns = shape(run.problem)
    missing = sum(block.stop - block.start for block in blocks)
    what = f"{run.problem.name}, {rows} rows of {columns} features, in {len(ends)} blocks"
    if not blocks:
        log.info("%s: decomposed before", what)
        yield lambda _: None
        return
    if not bar_stream():
        log.info("%s: %d rows to decompose", what, missing)
    with progress(run.problem.name, rows, "rows", rows - missing) as tell:
        yield tell
