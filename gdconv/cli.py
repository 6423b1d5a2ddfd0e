"""The command `gdconv`: Hydra composes the jobs, `sweep.run_sweep` runs them.

The study runs after Hydra has returned: Hydra then reports none of its errors, and nothing is
imported for a run before all configurations are known to be good.
"""

from __future__ import annotations

import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from numbers import Real
from pathlib import Path
from string import Template
from textwrap import fill
from threading import Thread, Timer
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from gdconv import engines
from gdconv.config import Processes, RunConfig, StudyConfig, flat, from_mapping, to_mapping
from gdconv.keys import ConfigError, typed

GRACE_SECONDS = 5.0


class CommandError(ValueError):
    """A command that Hydra cannot make configurations of; the message is one line."""


def plainly_asked_for(arguments: Sequence[str]) -> Processes | None:
    """Return the engine of processes, if that is what the overrides ask for, word for word."""
    given = dict(word.split("=", 1) for word in arguments if re.match(r"engine.*=", word))
    workers = given.pop("engine.workers", "0")
    if given != {"engine": "processes"} or not workers.isdecimal():
        return None
    return Processes(workers=int(workers) or None)


def import_meanwhile(modules: Sequence[str]) -> Thread:
    """Import what is needed after the sweep while others, or BLAS, are at work."""
    thread = Thread(target=lambda: [import_module(module) for module in modules])
    thread.start()
    return thread


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: what is at work is ended as it is for Ctrl-C."""


def _stop(number: int, _: Any) -> None:
    """End what is at work, and the process with it, within `GRACE_SECONDS`.

    An exception that comes at any moment may leave a lock held for ever, as that of an import, and
    tidying up would wait for it. Nothing is lost by not tidying up: see `store`.
    """
    patience = Timer(GRACE_SECONDS, os._exit, [128 + number])
    patience.daemon = True
    patience.start()
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def main() -> int:
    """Run the study that the command line asks for.

    Returns
    -------
    int
        Exit status: 0 all well, 1 some runs failed or could not be stored, 2 the command or the
        configuration is wrong and nothing was run or written, 130 interrupted, 143 terminated.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell makes what it starts in the background ignore Ctrl-C.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    return _exit_status("gdconv", _run_study, "; the same command continues the study")


def _run_study() -> int:
    arguments = sys.argv[1:]
    if _HELP & {*arguments}:
        print(_help([word for word in arguments if word not in _HELP | _MULTIRUN]))
        return 0
    with ExitStack() as started:
        # Processes take as long to start as Hydra takes to compose.
        ahead = plainly_asked_for(arguments)
        engine = started.enter_context(engines.engine(ahead)) if ahead else None
        jobs = compose()
        if not jobs:
            return 0
        study = shared_study([study for _, study in jobs])
        command = ["gdconv", *arguments]
        if study.engine != ahead:
            engine = started.enter_context(engines.engine(study.engine))
        from gdconv import sweep

        modules = ["gdconv.summary", *(["gdconv.figures"] if study.report else [])]
        started.callback(import_meanwhile(modules).join)
        outcome = sweep.run_sweep([config for config, _ in jobs], study, command, engine)
    from gdconv import report, summary

    if study.report and not report.is_current(outcome.folder):
        report.write(outcome.folder)
    print(summary.summary(outcome.folder, run_ids=outcome.run_ids))
    if study.report:
        print(f"report: {outcome.folder / 'report.html'}")
    return 1 if outcome.failed else 0


def verify() -> int:
    """Check the coursework's statements on the one run that the command line asks for.

    Returns
    -------
    int
        Exit status: 0 if every true statement holds, 1 if one does not or the table could not be
        written, 2 if the command or the configuration is wrong.
    """
    return _exit_status("gdconv-verify", _check_statements)


def _check_statements() -> int:
    if _HELP & {*sys.argv[1:]}:
        print(_text("help_verify.txt"))
        return 0
    sys.argv[1:], table = _without_option("--csv", sys.argv[1:])
    jobs = compose()
    if not jobs:
        return 0
    if len(jobs) > 1:
        raise CommandError(f"the command makes {len(jobs)} jobs: a single run is checked")
    from gdconv import verification

    case = verification.case_of(jobs[0][0])
    checks = verification.checked(case)
    print(verification.as_table(case, checks))
    if table is not None:
        Path(table).write_text(verification.as_csv(checks), encoding="utf-8")
    return 0 if all(check.passed for check in checks) else 1


def _exit_status(program: str, run: Callable[[], int], advice: str = "") -> int:
    """Run a command and return its exit status; what stops it is told in one line."""
    # A terminal without Greek letters gets question marks, not an exception.
    stdout: Any = sys.stdout
    stdout.reconfigure(errors="replace")
    if "--version" in sys.argv[1:]:
        print(f"{program} {version('gdconv')}")
        return 0
    try:
        return run()
    except (CommandError, ConfigError) as error:
        print(f"{program}:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{program}: {error}{advice}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        how, status = ("terminated", 143) if isinstance(stop, Terminated) else ("interrupted", 130)
        print(f"{program}: {how}{advice}", file=sys.stderr)
        return status


def compose() -> list[tuple[RunConfig, StudyConfig]]:
    """Return the configuration of every job of this process's command line.

    The list is empty if the command only asks something, as `--cfg job` does.

    Raises
    ------
    CommandError, ConfigError
        For the first thing that is wrong with the command or a configuration.
    """
    arguments = sys.argv[1:]
    # Between overrides argparse would not take the flag.
    sys.argv[1:] = sorted(arguments, key=lambda word: word not in _MULTIRUN)
    _refuse_unsupported(arguments)
    _refuse_unknown_options(sys.argv[1:])
    for name, resolver in RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)
    jobs: list[Any] = []

    def receive(given: DictConfig | list[dict[str, Any]]) -> None:
        jobs.extend(given if isinstance(given, list) else [given])

    run_hydra = hydra.main(
        version_base="1.3", config_path=str(configuration_folder()), config_name="config"
    )(receive)
    try:
        # Without it Hydra prints its errors itself, and exits.
        with env_override({"HYDRA_FULL_ERROR": "1"}):
            run_hydra()
        mappings: list[Any] = [
            OmegaConf.to_container(job, resolve=True) if isinstance(job, DictConfig) else job
            for job in jobs
        ]
    except ConfigError:
        raise
    except _NOT_CONFIGURATIONS as error:
        raise CommandError(_explain(error, arguments)) from error
    return [from_mapping(mapping) for mapping in mappings]


def configuration_folder() -> Path:
    """Return the folder conf/: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def shared_study(studies: Sequence[StudyConfig]) -> StudyConfig:
    """Return the one StudyConfig of all jobs.

    Raises
    ------
    ConfigError
        For the first key of a study in which two jobs differ.
    """
    first = studies[0]
    for study in studies:
        if study != first:
            mine, others = flat(to_mapping(first)), flat(to_mapping(study))
            key = next(key for key in mine | others if mine.get(key) != others.get(key))
            raise ConfigError(
                key, [mine.get(key), others.get(key)], "must not differ: one sweep fills one study"
            )
    return first


def logspace(*arguments: Any) -> list[float]:
    """Return COUNT numbers from 10**START to 10**STOP whose logarithms are evenly spaced.

    Raises
    ------
    ValueError
        If the arguments are not START, STOP, COUNT, or a power of ten would overflow.
    """
    exponents = _evenly_spaced("logspace", arguments)
    if not all(abs(exponent) <= 300 for exponent in exponents):
        raise ValueError("START and STOP are exponents of ten, from -300 to 300")
    return [_rounded(10.0**exponent) for exponent in exponents]


def linspace(*arguments: Any) -> list[float]:
    """Return COUNT evenly spaced numbers from START to STOP.

    Raises
    ------
    ValueError
        If the arguments are not START, STOP, COUNT.
    """
    return [_rounded(number) for number in _evenly_spaced("linspace", arguments)]


def multiply(*arguments: Any) -> int | float:
    """Return the product of numbers, a whole number if all of them are.

    Raises
    ------
    ValueError
        If one of the arguments is not a finite number.
    """
    if not all(_is_number(argument) for argument in arguments):
        raise ValueError('must be numbers, as in "${multiply:2,${problem.n_features}}"')
    product = math.prod(arguments)
    return product if isinstance(product, int) else _rounded(product)


# OmegaConf.resolve, which --resolve calls, takes a list only as a node.
RESOLVERS = {
    "logspace": lambda *arguments: OmegaConf.create(logspace(*arguments)),
    "linspace": lambda *arguments: OmegaConf.create(linspace(*arguments)),
    "multiply": multiply,
}


def _evenly_spaced(name: str, arguments: Sequence[Any]) -> list[float]:
    match arguments:
        case [start, stop, int(count)] if _is_number(start) and _is_number(stop):
            if 1 <= count <= 10**5:
                last = max(count - 1, 1)
                return [(start * (last - i) + stop * i) / last for i in range(count)]
    raise ValueError(
        f"must be ${{{name}:START,STOP,COUNT}} with two numbers and a COUNT from 1 to 100000"
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _rounded(number: float) -> float:
    # The last digits depend on the platform's pow, and a run's identifier on every digit.
    return float(f"{number:.12g}")


def _help(arguments: Sequence[str]) -> str:
    """The help of gdconv. Hydra's own way to it composes a hundred times and takes as long."""
    sys.argv[1:] = [*arguments, "--cfg", "job"]
    with redirect_stdout(StringIO()) as printed:
        compose()
    groups = sorted(folder for folder in configuration_folder().iterdir() if folder.is_dir())
    choices = [
        fill(
            f"{group.name}: {', '.join(sorted(path.stem for path in group.glob('*.yaml')))}",
            width=100,
            initial_indent="  ",
            subsequent_indent="    ",
        )
        for group in groups
        if group.name != "hydra"
    ]
    return Template(_text("help.txt")).substitute(
        CHOICES="\n".join(choices), CONFIG=printed.getvalue()
    )


def _text(name: str) -> str:
    return files("gdconv").joinpath(name).read_text(encoding="utf-8").rstrip("\n")


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


def _refuse_unsupported(arguments: Sequence[str]) -> None:
    for argument in arguments:
        # argparse takes any abbreviation of the option; no other one begins like this.
        if argument.startswith("--e"):
            raise CommandError(f"{argument}: is not supported, it would run code from a file")
        # Hydra's own keys can make it write files, run other code or lose jobs.
        if re.match(r"[+~]*hydra[./@:]", argument) and not _HARMLESS.match(argument):
            raise CommandError(
                f"{argument}: is not supported; of Hydra's own keys hydra.mode, hydra.verbose and"
                " hydra.sweeper.params can be set"
            )


def _refuse_unknown_options(arguments: Sequence[str]) -> None:
    said = StringIO()
    try:
        with redirect_stderr(said):
            get_args_parser().parse_args(arguments)
    except SystemExit:
        raise CommandError(said.getvalue().strip().rpartition("error: ")[2]) from None


def _explain(error: Exception, arguments: Sequence[str]) -> str:
    """Say, beginning with KEY=VALUE, what Hydra or OmegaConf objects to."""
    text = str(error)
    match error:
        case OverrideParseException(override=override):
            reason = " ".join(line for line in text.splitlines() if not _NOISE.match(line))
            return (
                f"{override}: {reason or 'unexpected character'}; must be KEY=VALUE, with quotes"
                " around special characters: 'KEY=\"VALUE\"'"
            )
        case MissingConfigException(missing_cfg_file=str(path), options=[_, *_] as options):
            group, _, option = path.rpartition("/")
            return f"{group}={option}: must be one of {', '.join(options)}"
        case HydraException(__cause__=ConfigAttributeError() | ConfigKeyError() as cause) if (
            override := text.partition("\nTo append to your config use +")[2]
        ):
            prefix = str(cause.full_key).removesuffix(cause.key)
            keys = [prefix + key for key in sorted(cause.parent_node) if key not in _NOT_KEYS]
            return f"{override}: is not a key; allowed: {', '.join(keys) or 'none'}"
        case HydraException(__cause__=OmegaConfBaseException() as cause) if text:
            override = text.removeprefix("Error merging override ")
            return f"{override}: {str(cause).partition(_DETAILS)[0]}"
        case HydraException() if several := _SEVERAL.match(text):
            return f"{several[1]}: add -m to sweep over the values, or write a list as [a,b]"
        case RecursionError():
            deepest = max(arguments, key=lambda word: sum(map(word.count, "[{(")))
            return f"{typed(deepest)}: is nested too deeply"
        case OmegaConfBaseException(full_key=str(key)) if (written := _written(error)) is not None:
            reason = _WRAPPED.sub("", text.partition(_DETAILS)[0]).replace(
                "HydraConfig was not set", "the hydra node is not part of a job"
            )
            return f"{key}={written}: {reason}"
    # Hydra names the key at most, so the argument is looked up; if it names none, all are shown.
    named = [each for each in arguments if each.lstrip("+~").partition("=")[0] in text]
    text = text or str(error.__cause__ or "Hydra cannot make a configuration of it")
    reason = text.partition("\nConfig search path:")[0]
    return f"{' '.join(named or arguments)}: {reason}"


def _written(error: OmegaConfBaseException) -> str | None:
    """What stands where OmegaConf objects; None if that is within a value."""
    if not isinstance(error.parent_node, Container):
        return None
    values: Any = OmegaConf.to_container(error.parent_node, resolve=False)
    with suppress(LookupError):
        return str(values[error.key])
    return None


_HELP, _MULTIRUN = {"--help", "-h"}, {"--multirun", "-m"}

# Nothing but Hydra and OmegaConf runs while the jobs are composed, and at some odd values they fail
# with errors of the second line.
_NOT_CONFIGURATIONS = (
    *(HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError),
    *(AssertionError, AttributeError, LookupError, RecursionError, TypeError),
)
_HARMLESS = re.compile(
    r"hydra\.(mode|verbose)=|\+{0,2}hydra\.sweeper\.params\.|hydra/(launcher|sweeper)=grouped$"
)
_DETAILS = "\n    full_key: "
_NOISE = re.compile(r"Error parsing override|LexerNoViable| *\^|See https:")
_NOT_KEYS = {"hydra", "name"}
_SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'")
_WRAPPED = re.compile(r"^\w+ raised while resolving interpolation: ")
