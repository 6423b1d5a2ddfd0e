"""What a command would run, and about what it would cost; nothing is run or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gdconv.config.runs import Run, RunConfig
from gdconv.config.sections import Serial, StudyConfig
from gdconv.problems.families import fitting_rows, shape
from gdconv.sweep.sweep import blocks, cost, grouped, plan
from gdconv.tables import contents

# Of a process that has imported what it needs.
MEMORY_MIB = 130
# Seconds before the first run and for each run beside its iterations, for each iteration of a
# group, and for a multiplication.
START, RUN, ITERATION, MULTIPLICATION = 1.5, 4e-4, 2e-5, 4e-10


def dry_run(configs: Sequence[RunConfig], study: StudyConfig) -> str:
    """Return in two lines how many runs a command has, and about how much time and memory it takes.

    Raises
    ------
    ConfigError
        As `gdconv.sweep.sweep.plan`.
    """
    planned = plan(configs)
    done = _done(Path(study.results_dir).expanduser() / study.study)
    missing = {run_id: run for run_id, run in planned.runs.items() if run_id not in done}
    workers = _workers(study)
    groups = blocks(grouped(missing), workers)
    held = len(planned.runs) - len(missing)
    told = [_count(len(configs), "job"), _count(len(groups), "group to run")]
    told += [f"{_count(len(planned.runs), 'run')}, of which {held} are done"]
    lines = [*planned.notices, ", ".join(told)]
    if missing:
        seconds, memory = _cost(groups, workers)
        lines.append(
            f"about {_duration(seconds)} and {memory:.0f} MiB in {_count(workers, 'process')}"
        )
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    first, _, rest = what.partition(" ")
    plural = "" if number == 1 else "es" if first.endswith("s") else "s"
    return f"{number} {first}{plural} {rest}".rstrip()


def _workers(study: StudyConfig) -> int:
    """How many processes run groups."""
    if isinstance(study.engine, Serial):
        return 1
    from loky import cpu_count

    return int(getattr(study.engine, "workers", None) or cpu_count())


def _cost(groups: Sequence[Mapping[str, Run]], workers: int) -> tuple[float, float]:
    """About how many seconds and MiB some groups take."""
    seconds, most = 0.0, 0.0
    for group in groups:
        run = next(iter(group.values()))
        n_samples, n_features = shape(run.problem)
        seconds += MULTIPLICATION * cost(group) + ITERATION * run.method.iterations
        seconds += RUN * len(group)
        rows = min(n_samples, fitting_rows(run.problem))
        most = max(most, 3.0 * rows * (n_features + 1) + 6.0 * len(group) * n_features)
    return START + seconds / workers, workers * (MEMORY_MIB + 8 * most / 2**20)


def _done(folder: Path) -> dict[str, str]:
    """The runs that a study holds; none if there is no study, or one that will be refused."""
    try:
        return contents.held(folder, finished=False).status
    except (OSError, contents.DamagedError):
        return {}


def _duration(seconds: float) -> str:
    """A rough duration, in the unit that makes it a small number."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
