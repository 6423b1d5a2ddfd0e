"""The commands `gdconv` and `gdconv-verify`: what they do, their exit status, their help.

All configurations of a study are composed and checked before anything is run, or imported for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from os.path import expanduser, getsize, isdir, isfile
from pathlib import Path
from string import Template
from textwrap import fill
from threading import Thread

from gdconv.cli.composition import CommandError, compose, configuration_folder
from gdconv.config.mapping import GROUPS, declared_keys, flat, to_mapping
from gdconv.config.plugins import families
from gdconv.config.problems import Problem, Table
from gdconv.config.rules import ConfigError, typed
from gdconv.config.sections import Processes, Serial, StudyConfig
from gdconv.sweep import engines
from gdconv.sweep.engines.processes import start_original
from gdconv.sweep.engines.worker import import_group
from gdconv.tables import disk
from nnlib.terminal import interrupts_later

# Bytes; the parser of pandas leaves the interpreter to other threads.
LARGE_FILE = 2**25


def import_meanwhile(modules: Sequence[str]) -> Thread:
    """Import modules that are needed after the sweep in a thread, while the sweep is running."""
    thread = Thread(target=lambda: [import_module(module) for module in modules])
    thread.start()
    return thread


def reads_much(problems: Iterable[Problem]) -> bool:
    """Return whether one of the problems has a file that takes longer to read than an import."""
    tables = {problem.path for problem in problems if isinstance(problem, Table)}
    paths = {expanduser(path) for each in tables for path in each}
    return any(isdir(path) or (isfile(path) and getsize(path) > LARGE_FILE) for path in paths)


def main() -> int:
    """Run the study that the command line asks for.

    Returns
    -------
    int
        Exit status: 0 if all went well, 1 if some runs failed or could not be stored, 2 if the
        command or the configuration is wrong; then nothing was run or written.
    """
    return exit_status("gdconv", _run_study, "; the same command continues the study")


def _run_study() -> int:
    arguments = sys.argv[1:]
    if _HELP & {*arguments}:
        print(_help([word for word in arguments if word not in _HELP | _MULTIRUN]))
        return 0
    if "--dry-run" in arguments:
        sys.argv[1:] = [word for word in arguments if word != "--dry-run"]
        return _foresee()
    with ExitStack() as started:
        if "engine=processes" in arguments:
            # It gets ready while Hydra composes, which takes as long.
            start_original()
        jobs = compose()
        if not jobs:
            return 0
        study = shared_study([study for _, study in jobs])
        command = ["gdconv", *arguments]
        from gdconv.sweep import sweep

        if isinstance(study.engine, Processes):
            start_original()
        engine = started.enter_context(engines.engine(study.engine))
        configs = [config for config, _ in jobs]
        if study.engine == Serial() and reads_much(config.problem for config in configs):
            importing = Thread(target=import_group)
            importing.start()
            started.callback(importing.join)
        # A finished study does not wait for what only a report needs.
        modules = ["gdconv.report.summary"]
        modules += ["gdconv.report.figures.catalogue"] * study.report

        def meanwhile() -> None:
            # Python complains of an import that goes on when it ends.
            with interrupts_later():
                started.callback(import_meanwhile(modules).join)

        outcome = sweep.run_sweep(configs, study, command, engine, meanwhile=meanwhile)
    from gdconv.report import report, summary

    runs = report.renew(outcome.folder, study.report_formats) if study.report else None
    print(summary.summary(outcome.folder, runs, outcome.run_ids))
    if study.report:
        print(f"report: {outcome.folder / 'report.html'}")
    return 1 if outcome.failed else 0


def _foresee() -> int:
    """Say what a command would run."""
    jobs = compose()
    if jobs:
        from gdconv.cli.dry_run import dry_run

        study = shared_study([study for _, study in jobs])
        print(dry_run([config for config, _ in jobs], study))
    return 0


def verify() -> int:
    """Check the coursework's statements on the one run that the command line asks for.

    Returns
    -------
    int
        Exit status: 0 if every true statement holds, 1 if one does not or the table could not be
        written, 2 if the command or the configuration is wrong.
    """
    return exit_status("gdconv-verify", _check_statements)


def _check_statements() -> int:
    if _HELP & {*sys.argv[1:]}:
        print(_text("help_verify.txt"))
        return 0
    sys.argv[1:], table = _without_option("--csv", sys.argv[1:])
    gaps = "--table" in sys.argv[1:]
    sys.argv[1:] = [word for word in sys.argv[1:] if word != "--table"]
    jobs = compose()
    if not jobs:
        return 0
    if len(jobs) > 1:
        raise CommandError(f"the command makes {len(jobs)} jobs, but checks a single run")
    from gdconv.verify import table as verification

    case = verification.case_of(jobs[0][0])
    checks = verification.checked(case)
    print(verification.as_table(case, checks))
    if gaps:
        print("", verification.gaps_of(case), sep="\n")
    if table is not None:
        with disk.named(Path(table)):
            Path(table).write_text(verification.as_csv(checks), encoding="utf-8")
    return 0 if all(check.passed for check in checks) else 1


def exit_status(program: str, run: Callable[[], int], advice: str = "") -> int:
    """Run a command and return its exit status; an error is printed as one line."""
    if "--version" in sys.argv[1:]:
        print(f"{program} {version('gdconv')}")
        return 0
    try:
        return run()
    except (CommandError, ConfigError) as error:
        if (stop := _interrupt(error)) is not None:
            raise stop from None
        print(f"{program}:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{program}: {disk.told(error)}{advice}", file=sys.stderr)
        return 1


def _interrupt(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt that led to an error: cleaning up after it, OmegaConf may fail."""
    if error is None or isinstance(error, KeyboardInterrupt):
        return error
    return _interrupt(error.__cause__) or _interrupt(error.__context__)


def shared_study(studies: Sequence[StudyConfig]) -> StudyConfig:
    """Return the StudyConfig that all jobs have in common.

    Raises
    ------
    ConfigError
        For the first key in which two jobs differ.
    """
    first = studies[0]
    for study in studies:
        if study != first:
            mine, others = flat(to_mapping(first)), flat(to_mapping(study))
            key = next(key for key in mine | others if mine.get(key) != others.get(key))
            one = f"{key.removesuffix('.name')}={typed(mine.get(key))}"
            allowed = f"must not differ: one sweep fills one study; choose one, as in {one}"
            raise ConfigError(key, [mine.get(key), others.get(key)], allowed)
    return first


def _help(arguments: Sequence[str]) -> str:
    """The help of gdconv. Hydra's own help composes a hundred times, so it is too slow."""
    sys.argv[1:] = [*arguments, "--cfg", "job"]
    with redirect_stdout(StringIO()) as printed:
        compose()
    groups = sorted(folder for folder in configuration_folder().iterdir() if folder.is_dir())
    choices = {
        f"{group.name}:": ", ".join(sorted(path.stem for path in group.glob("*.yaml")))
        for group in groups
        if group.name != "hydra"
    }
    choices["problem:"] = ", ".join(sorted({*choices["problem:"].split(", "), *families()}))
    told = {
        key.name: key.meaning.replace("`", "") + f" (unit: {key.unit})" * bool(key.unit)
        for key in declared_keys()
        if key.name not in GROUPS
    }
    return Template(_text("help.txt")).substitute(
        KEYS=_in_columns(told), CHOICES=_in_columns(choices), CONFIG=printed.getvalue()
    )


def _in_columns(told: Mapping[str, str]) -> str:
    """Lines of at most 100 letters, with the keys to the left of the values."""
    width = max(map(len, told)) + 4
    lines = (
        fill(text, 100, initial_indent=f"  {name}".ljust(width), subsequent_indent=" " * width)
        for name, text in told.items()
    )
    return "\n".join(lines)


def _text(name: str) -> str:
    return files("gdconv.cli").joinpath(name).read_text(encoding="utf-8").rstrip("\n")


def _without_option(option: str, arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments without `option VALUE` or `option=VALUE`, and the value."""
    rest, value = [], None
    words = iter(arguments)
    for word in words:
        if word != option and not word.startswith(f"{option}="):
            rest.append(word)
            continue
        value = word.partition("=")[2] or next(words, "")
        if not value:
            raise CommandError(f"{option}: must be followed by the name of a file")
    return rest, value


_HELP, _MULTIRUN = {"--help", "-h"}, {"--multirun", "-m"}
