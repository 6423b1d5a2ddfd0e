"""Sweeps: configurations → runs → groups → an engine → the store."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import threadpoolctl

from gdconv.config import Run, RunConfig, Section, StudyConfig, expand
from gdconv.store import Store
from gdconv.study import failed_group, group_of, run_group, run_ids
from gdconv.tables import Rows, Tables, decode, encode, read

log = logging.getLogger("gdconv")

# run_id → run, for runs that differ in their step size alone.
Group = Mapping[str, Run]


@dataclass(frozen=True)
class Outcome:
    """What a sweep did.

    Attributes
    ----------
    folder : Path
        Where the study's files are.
    run_ids : tuple of str
        The runs of this sweep.
    added : int
        Runs that were done now; the others of the sweep were done before.
    failed : int
        Runs of this sweep that have status failed, whenever they failed.
    """

    folder: Path
    run_ids: tuple[str, ...]
    added: int
    failed: int


def run_sweep(
    configs: Sequence[RunConfig], study: StudyConfig, command: Sequence[str] = ()
) -> Outcome:
    """Run what the study does not hold yet, and store it group by group.

    Parameters
    ----------
    command : sequence of str
        The command line, for provenance.json.

    Raises
    ------
    ConfigError
        If a problem's file will not do or the study cannot be continued; nothing has been run then.
    """
    runs = plan(configs)
    with Store(study) as store:
        missing = {run_id: run for run_id, run in runs.items() if run_id not in store.done}
        if missing or store.unfinished:
            store.begin(configs, command)
            for rows in _watched(_engine(study.engine), grouped(missing)):
                store.append(rows)
            store.finish()
        failed = sum(store.done[run_id] == "failed" for run_id in runs)
        return Outcome(store.folder, tuple(runs), len(missing), failed)


def run_study(
    configs: RunConfig | Sequence[RunConfig],
    engine: Section | None = None,
    folder: str | Path | None = None,
) -> Tables:
    """Run configurations from Python and return their tables; write nothing unless told where.

    Parameters
    ----------
    configs : RunConfig or sequence of RunConfig
    engine : engine section of gdconv.config, optional
        How to run; serial by default.
    folder : path, optional
        A study's folder, made if need be. With one, runs it already holds are not repeated, and the
        tables are those of the whole study.

    Returns
    -------
    Tables
        DataFrames runs, curves and eigenvalues with the columns of `gdconv.tables.COLUMNS`.

    Raises
    ------
    ConfigError
        As `run_sweep`.

    Examples
    --------
    >>> from gdconv import run_study
    >>> from gdconv.config import Gaussian, RunConfig, Step
    >>> config = RunConfig(Gaussian(n_samples=50, n_features=5), step=Step(value=[0.5, 1.0]))
    >>> run_study(config).runs.status.tolist()
    ['converged', 'converged']
    """
    configs = [configs] if isinstance(configs, RunConfig) else list(configs)
    engine = engine or StudyConfig().engine
    if folder is None:
        return decode(_engine(engine)(grouped(plan(configs))))
    folder = Path(folder)
    study = StudyConfig(study=folder.name, results_dir=str(folder.parent), engine=engine)
    return read(run_sweep(configs, study, ["gdconv.run_study"]).folder)


def plan(configs: Sequence[RunConfig]) -> dict[str, Run]:
    """Return the runs of all configurations by run_id, each once, after checking all of them.

    Raises
    ------
    ConfigError
        If a problem's file will not do.
    """
    runs = [run for config in configs for run in expand(config)]
    return dict(zip(run_ids(runs), runs, strict=True))


def grouped(runs: Mapping[str, Run]) -> list[Group]:
    """Return the runs, given by run_id, in groups that share everything but the step size."""
    groups: dict[Hashable, dict[str, Run]] = {}
    for run_id, run in runs.items():
        groups.setdefault(group_of(run), {})[run_id] = run
    return list(groups.values())


def work(group: Group) -> Rows:
    """Run one group; if it cannot be run, its rows say why and the sweep goes on."""
    ids, runs = list(group), list(group.values())
    try:
        return encode(run_group(runs, ids))
    except Exception as error:
        log.debug("group failed", exc_info=True)
        return encode(failed_group(runs, ids, f"{type(error).__name__}: {error}"))


def _serial(groups: Sequence[Group]) -> Iterator[Rows]:
    """Work the groups off one after the other."""
    # Two BLAS threads make small products several times slower, and round them differently.
    with threadpoolctl.threadpool_limits(1):
        for group in groups:
            yield work(group)


# Engine → from groups to their rows, in any order.
ENGINES: dict[str, Callable[[Sequence[Group]], Iterator[Rows]]] = {"serial": _serial}


def _engine(engine: Section) -> Callable[[Sequence[Group]], Iterator[Rows]]:
    return ENGINES[engine.name]


def _watched(
    engine: Callable[[Sequence[Group]], Iterator[Rows]], groups: Sequence[Group]
) -> Iterator[Rows]:
    """Show progress: a bar on a terminal, a line a group elsewhere."""
    total = sum(map(len, groups))
    seen: Counter[str] = Counter()
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit="run", file=sys.stderr) as bar:
            for rows in engine(groups):
                yield rows
                seen.update(rows.status.values())
                bar.update(len(rows.status))
                bar.set_postfix({status: seen[status] for status in sorted(seen)})
        return
    started = time.monotonic()
    for number, rows in enumerate(engine(groups), start=1):
        yield rows
        seen.update(rows.status.values())
        counts = ", ".join(f"{count} {status}" for status, count in sorted(seen.items()))
        log.info(
            "group %d of %d, %d of %d runs (%s), %.1f s",
            number,
            len(groups),
            seen.total(),
            total,
            counts,
            time.monotonic() - started,
        )
