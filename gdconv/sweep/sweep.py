"""Sweeps: configurations → runs → groups → an engine → the store."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.config.networks import Network
from gdconv.config.problems import Problem
from gdconv.config.rules import ConfigError, Section
from gdconv.config.runs import Run, RunConfig, expand, number_of_runs
from gdconv.config.sections import Serial, Step, StudyConfig
from gdconv.experiment.given import configurations
from gdconv.experiment.identity import Group, group_of, run_ids
from gdconv.experiment.whole import refuse_whole
from gdconv.methods.sampling import Sampling
from gdconv.problems.families import (
    file_content,
    names_of_files,
    notices,
    shape,
)
from gdconv.sweep import engines
from gdconv.sweep.engines.groups import failed, of_groups
from gdconv.sweep.engines.pool import Engine
from gdconv.sweep.store import Store
from gdconv.sweep.triangles import looking, prepared
from gdconv.tables.csv import Rows, Tables, decode, read
from gdconv.tables.study import path_of
from nnlib.terminal import bar_stream, in_notebook

if TYPE_CHECKING:
    import pandas as pd

    from gdconv.problems.blocks import LeastSquares

log = logging.getLogger("gdconv")

# Multiples of `products.BLOCK`, so that no row of a matrix is padding.
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 512
# Limit for one command, because the plan is held in memory.
MOST_RUNS = 10**6


@dataclass(frozen=True)
class Outcome:
    """The result of a sweep.

    Attributes
    ----------
    folder : Path
        The folder with the study's files.
    run_ids : tuple of str
        The runs of this sweep.
    added : int
        Number of runs that were done now; the others were done before.
    failed : int
        Number of runs of this sweep with the status failed, no matter when they failed.
    """

    folder: Path
    run_ids: tuple[str, ...]
    added: int
    failed: int


def run_sweep(
    configs: Sequence[RunConfig],
    study: StudyConfig,
    command: Sequence[str] = (),
    engine: Engine | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Outcome:
    """Run the runs that the study does not hold yet, and store them group by group.

    Parameters
    ----------
    command : sequence of str
        The command line, for provenance.json.
    engine : Engine, optional
        The engine of the study, if it has already been entered.
    meanwhile : callable, optional
        Called once before the first group is run, if any is.

    Raises
    ------
    ConfigError
        If a problem's file cannot be used, the study cannot be continued, or the engine cannot be
        started; then nothing has been run.
    OSError
        If the disk fails, or a file of the study is removed meanwhile. Runs that are in its files
        are done, and the same call continues the study.
    """
    with looking(engine):
        runs, files, told = plan(configs)
    with Store(study) as store:
        _tell(told)
        if study.retry_failed:
            store.forget(run_id for run_id in runs if store.done.get(run_id) == "failed")
        missing = {run_id: run for run_id, run in runs.items() if run_id not in store.done}
        if missing or store.unfinished:
            section = study.engine if missing else Serial()
            with nullcontext(engine) if engine else engines.engine(section) as ready:
                groups = blocks(grouped(missing), ready.workers)
                store.begin(configs, command, len(missing), files)
                if missing and meanwhile:
                    meanwhile()
                results = _results(groups, ready, store.folder)
                with closing(results), closing(_watched(results, groups)) as watched:
                    for rows in watched:
                        store.append(rows)
                        if study.stop_on_failure and "failed" in rows.status.values():
                            break
            store.finish()
        else:
            store.note_files(files)
        left = [run_id for run_id in runs if run_id not in store.done]
        if left:
            log.warning(
                "stopped at a failure, %d runs are missing: the same command adds them", len(left)
            )
        failed = sum(store.done.get(run_id) == "failed" for run_id in runs)
        return Outcome(store.folder, tuple(runs), len(missing) - len(left), failed)


def run_study(
    configs: RunConfig | Sequence[RunConfig] | LeastSquares | pd.DataFrame,
    engine: Section | None = None,
    folder: str | Path | None = None,
    **keys: Any,
) -> Tables:
    """Run configurations from Python and return their tables; write only if a folder is given.

    Parameters
    ----------
    configs : RunConfig, sequence of RunConfig, LeastSquares or DataFrame
        What to run, or data to run it on: `LeastSquares(X, y)`, whose X is taken as it is, or a
        DataFrame with `target=NAME`, which is treated as a file with these columns is.
    engine : engine section of gdconv.config.sections, optional
        How to run; serial by default.
    folder : path, optional
        A study's folder, which is made if it is missing. Runs that it already holds are not
        repeated, and the tables are those of the whole study.
    **keys
        For data: the keys of RunConfig, as step, and those of Table, as target and standardize.

    Returns
    -------
    Tables
        DataFrames runs, curves, eigenvalues, coefficients and moments with the columns of
        `gdconv.tables.csv.COLUMNS`.

    Raises
    ------
    ConfigError, OSError
        As `run_sweep`.

    Examples
    --------
    >>> from gdconv import Gaussian, RunConfig, Step, run_study
    >>> config = RunConfig(Gaussian(n_samples=50, n_features=5), step=Step(value=[0.5, 1.0]))
    >>> run_study(config).runs.status.tolist()
    ['converged', 'converged']
    >>> from gdconv import LeastSquares
    >>> runs = run_study(LeastSquares(X=[[1, 0], [0, 2], [1, 1]], y=[1, 2, 3])).runs
    >>> runs.condition_number.round(4).tolist()
    [3.1244]
    """
    configs = configurations(configs, keys)
    how = StudyConfig() if engine is None else StudyConfig(engine=engine)
    place = None if folder is None else path_of("folder", folder)
    if place is None:
        runs, files, told = plan(configs)
        _tell(told)
        with engines.engine(how.engine) as ready:
            groups = blocks(grouped(runs), ready.workers)
            results = _results(groups, ready)
            # Most are done before a bar could be read.
            with closing(results), closing(_watched(results, groups, delay=1.0)) as watched:
                return decode(watched, files)
    study = replace(how, study=place.name, results_dir=str(place.parent))
    return read(run_sweep(configs, study, ["gdconv.run_study"]).folder)


class Plan(NamedTuple):
    """What some configurations ask for.

    Attributes
    ----------
    runs : dict
        run_id → run, each once.
    files : dict
        The names of each content of a file.
    notices : list of str
        What the user should know about the files, and about keys without effect.
    """

    runs: dict[str, Run]
    files: dict[str, list[str]]
    notices: list[str]


def plan(configs: Sequence[RunConfig]) -> Plan:
    """Return what all configurations ask for, after checking all of them.

    Raises
    ------
    ConfigError
        If a problem's file cannot be used, or there are more than MOST_RUNS runs.
    """
    count = 0
    for config in configs:
        count += number_of_runs(config)
        if count > MOST_RUNS:
            allowed = f"makes more than {MOST_RUNS} runs with the seeds and step sizes"
            raise ConfigError("repetitions", config.repetitions, allowed)
    problems = [config.problem for config in configs]
    for config in configs:
        refuse_whole(config)
    _refuse_networks(problems)
    files, told = names_of_files(problems), notices(problems)
    told += _without_step(configs)
    runs = [run for config in configs for run in expand(config, file_content(config.problem))]
    _refuse_doubtful(runs)
    return Plan(dict(zip(run_ids(runs), runs, strict=True)), files, told)


def _refuse_networks(problems: Sequence[Problem]) -> None:
    """Raise ConfigError for a network that cannot be trained on its samples."""
    networks = {problem for problem in problems if isinstance(problem, Network)}
    if networks:
        from gdconv.problems.network.samples import check

        for each in networks:
            check(each)


def _without_step(configs: Sequence[RunConfig]) -> list[str]:
    """Say once of each method that takes no step size if one is asked for all the same.

    Beside a method that takes one, it is asked for that.
    """
    if any(config.method.takes_step for config in configs):
        return []
    names = dict.fromkeys(
        config.method.name
        for config in configs
        if not config.method.takes_step and config.step != Step()
    )
    effect = "takes no step size, so step.value and step.unit have no effect on it"
    return [f"method={name}: {effect}" for name in names]


def _refuse_doubtful(runs: Sequence[Run]) -> None:
    """Raise ConfigError if the keys of a run do not fit to its problem."""
    shapes = {problem: shape(problem) for problem in {run.problem for run in runs}}
    doubtful = [
        run
        for run in runs
        if run.method.doubtful(run.step_unit, run.step_value, shapes[run.problem])
    ]
    if not doubtful:
        return
    from gdconv.experiment.prediction import coefficients_of, facts_of
    from gdconv.problems.families import make
    from gdconv.problems.least_squares import Objective

    facts: dict[Hashable, Any] = {}
    for run in doubtful:
        problem = run.problem, run.seed, run.repetition
        if problem not in facts:
            facts[problem] = facts_of(Objective(make(*problem), run.method.reduce))
        coefficients_of(run, facts[problem])


def _tell(notices: Sequence[str]) -> None:
    """Log the notices, after everything has been checked."""
    for notice in notices:
        log.warning("%s", notice)


def grouped(runs: Mapping[str, Run]) -> list[Group]:
    """Return the runs, given by run_id, in the groups of `group_of`."""
    groups: dict[Hashable, dict[str, Run]] = {}
    for run_id, run in runs.items():
        groups.setdefault(group_of(run), {})[run_id] = run
    return list(groups.values())


def blocks(groups: Sequence[Group], workers: int) -> list[Group]:
    """Split large groups, and put the parts with the most work first.

    Runs do not depend on each other, so a part gives the same rows as in its group. The parts are
    small enough to keep all workers busy to the end, and to lose little if a worker dies. But each
    part computes a decomposition of its own, so they are not smaller than is worth that.

    Parameters
    ----------
    workers : int
        Number of groups that are run at a time.
    """
    share = sum(map(len, groups)) / (4 * workers)
    limit = max(SMALLEST_BLOCK, min(LARGEST_BLOCK, math.ceil(share)))
    limit = -(-limit // SMALLEST_BLOCK) * SMALLEST_BLOCK
    parts = []
    for group in groups:
        runs = iter(group.items())
        while part := dict(islice(runs, limit)):
            parts.append(part)
    return sorted(parts, key=cost, reverse=True)


def _results(
    groups: Sequence[Group], engine: Engine, folder: Path | None = None
) -> Generator[Rows]:
    """Yield the rows of all groups; first make the triangles of problems with too many rows."""
    tasks, lost = prepared(groups, engine, folder)
    yield from (failed(task, reason) for task, reason in lost)
    yield from engine.work_off(tasks, of_groups())


def cost(group: Group) -> float:
    """Return about how many multiplications a group needs."""
    run = next(iter(group.values()))
    n_samples, n_features = shape(run.problem)
    if isinstance(run.problem, Network):
        n_features *= run.problem.hidden or 1
    rows = min(n_samples, n_features) if run.method.reduce == "qr" else n_samples
    if isinstance(run.method, Sampling):
        # A batch for each path, and the moments.
        rows = run.method.draws * run.method.paths + n_samples * n_features
    descent = 2.0 * rows * n_features * run.method.iterations * len(group)
    return descent + 10.0 * n_samples * n_features * min(n_samples, n_features)


def _watched(
    results: Iterator[Rows], groups: Sequence[Group], delay: float = 0.0
) -> Generator[Rows]:
    """Show progress: a bar on a terminal and in a notebook, elsewhere a line for each group.

    delay: seconds before the bar appears.
    """
    total = sum(map(len, groups))
    seen: Counter[str] = Counter()
    stream, notebook = bar_stream(), in_notebook()
    if stream or notebook:
        if notebook:
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm

        # The bar needs no thread of its own, beside which a report would not fork.
        tqdm.monitor_interval = 0
        with tqdm(total=total, unit="run", file=stream, delay=delay) as bar:
            for rows in results:
                yield rows
                seen.update(rows.status.values())
                counted = {name: seen[name] for name in ("failed", "diverged")}
                # By a refresh it would appear before the delay is over.
                bar.set_postfix(counted, refresh=False)
                bar.update(len(rows.status))
        return
    started = time.monotonic()
    for number, rows in enumerate(results, start=1):
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
