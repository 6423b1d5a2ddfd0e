"""From a command line to configurations: Hydra composes the jobs. No other module uses Hydra.

Hydra has returned before anything is run. So it does not report errors of runs, and all
configurations have been checked.
"""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import fields
from functools import cache
from io import StringIO
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any

import hydra
from hydra._internal import hydra as internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import env_override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.completion_plugin import CompletionPlugin
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from gdconv.config.mapping import (
    GROUPS,
    chosen_in,
    declared_keys,
    flat,
    from_mapping,
    having,
    is_foreign,
    leave_out_foreign,
    not_a_key,
    options_of,
)
from gdconv.config.plugins import families
from gdconv.config.problems import Columns
from gdconv.config.rules import ConfigError, Rule, nearest, on_one_line, quoted, quoted_list, typed
from gdconv.config.runs import RunConfig
from gdconv.config.sections import StudyConfig


class CommandError(ValueError):
    """A command from which Hydra cannot compose configurations; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(on_one_line(message))


def compose() -> list[tuple[RunConfig, StudyConfig]]:
    """Return the configuration of every job of this process's command line.

    The list is empty if the command only asks something, as `--cfg job` does.

    Raises
    ------
    CommandError, ConfigError
        For the first thing that is wrong with the command or a configuration.
    """
    arguments = sys.argv[1:]
    # argparse does not accept the flag between overrides.
    sys.argv[1:] = sorted(arguments, key=lambda word: word not in ("-m", "--multirun"))
    _refuse_options(arguments)
    _refuse_layers(arguments)
    _refuse_unknown_options(sys.argv[1:])
    for name, kind in families().items():
        # As a file conf/problem/NAME.yaml would have them.
        keys = {each.name: each.default for each in fields(kind)}
        ConfigStore.instance().store(name=name, node={"name": name} | keys, group="problem")
    for name, resolver in RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)
    jobs: list[Any] = []
    unswept: dict[str, Any] = {}

    def receive(given: DictConfig | list[dict[str, Any]]) -> None:
        jobs.extend(given if isinstance(given, list) else [given])
        if not isinstance(given, list):
            unswept.update(HydraConfig.get().sweeper.params or {})

    run_hydra = hydra.main(
        version_base="1.3", config_path=str(configuration_folder()), config_name="config"
    )(receive)
    try:
        # Without this setting Hydra prints its errors itself, and exits.
        with env_override({"HYDRA_FULL_ERROR": "1"}), _own_hydra():
            run_hydra()
        mappings: list[Any] = [
            OmegaConf.to_container(job, resolve=True) if isinstance(job, DictConfig) else job
            for job in jobs
        ]
    except (CommandError, ConfigError):
        raise
    except _NOT_CONFIGURATIONS as error:
        raise CommandError(_explain(error, arguments)) from error
    if unswept:
        allowed = f"would drop the experiment's sweep over {', '.join(unswept)}; -m runs it"
        raise ConfigError("hydra.mode", "RUN", allowed)
    leave_out_foreign(mappings)
    known: dict[tuple[str, str], Any] = {}
    return [from_mapping(mapping, known) for mapping in mappings]


def configuration_folder() -> Path:
    """Return the folder conf/: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


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
    """Return the product of numbers; it is a whole number if all of them are.

    Raises
    ------
    ValueError
        If one of the arguments is not a finite number.
    """
    if not all(_is_number(argument) for argument in arguments):
        raise ValueError('must be numbers, as in "${multiply:2,${problem.n_features}}"')
    product = math.prod(arguments)
    return product if isinstance(product, int) else _rounded(product)


def environment(*_: Any) -> None:
    """Refuse to read an environment variable: its value would be written into the study's files.

    Raises
    ------
    ValueError
        Always.
    """
    raise ValueError('environment variables are not read; the shell puts one in, KEY="$NAME"')


# OmegaConf.resolve, which --resolve calls, accepts a list only as a node.
RESOLVERS = {
    "logspace": lambda *arguments: OmegaConf.create(logspace(*arguments)),
    "linspace": lambda *arguments: OmegaConf.create(linspace(*arguments)),
    "multiply": multiply,
    "oc.env": environment,
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
    # The last digits depend on the platform's pow, and every digit changes a run's identifier.
    return float(f"{number:.12g}")


class _Loader(ConfigLoaderImpl):
    """Composes as Hydra does, but refuses changes of Hydra's own keys, wherever they come from.

    These keys can make Hydra write files, run other code or lose jobs.
    """

    def _process_config_searchpath(self, *_: Any) -> None:
        """Add no other places: looking into a package would run its code."""

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        *arguments: Any,
        **options: Any,
    ) -> DictConfig:
        """Return what Hydra composes, before it acts on it."""
        late = [word for word in overrides if having(word.partition("=")[0])]
        # In a sweep, each job decides whether its choices have such a key.
        late = late if run_mode == RunMode.MULTIRUN else []
        early = [word for word in overrides if word not in late]
        config = super().load_configuration(config_name, early, run_mode, *arguments, **options)
        if late:
            _set_late(config, late)
            # Read one by one, OmegaConf would replace an interpolation by its value.
            early_tasks: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
            tasks = {*late, *early_tasks}
            config.hydra.overrides.task = [word for word in overrides if word in tasks]
        path = create_config_search_path(str(configuration_folder()))
        words = [word for word in overrides if "hydra" in word and not _HARMLESS.match(word)]
        # Without a name, as for --hydra-help, the configuration has only Hydra's own keys.
        usual = config_name and "config"
        foreign = str(path.get_path()) != str(self.config_search_path.get_path())
        if words or foreign or config_name != usual:
            _refuse_changes(_own(usual or None), _settled(config), words)
        return config


def _set_late(config: DictConfig, words: list[str]) -> None:
    """Set the keys of some overrides that the configs chosen so far have."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    chosen = {group: [name] for group, name in chosen_in(plain).items()}
    values = [
        override
        for override in OverridesParser.create().parse_overrides(words)
        if not (override.is_sweep_override() or is_foreign(override.key_or_group, chosen))
    ]
    ConfigLoaderImpl._apply_overrides_to_config(values, config)


@cache
def _own(config_name: str | None) -> dict[str, Any]:
    """Hydra's keys as they are if nothing changes them."""
    path = create_config_search_path(str(configuration_folder()))
    return _settled(ConfigLoaderImpl(path).load_configuration(config_name, [], RunMode.RUN))


def _settled(config: DictConfig) -> dict[str, Any]:
    """Hydra's keys in a configuration, except those that a command may set or that Hydra counts."""
    keys: Any = OmegaConf.to_container(config.hydra, resolve=False)
    return {key: value for key, value in flat(keys).items() if not _OPEN.match(key)}


def _refuse_changes(own: dict[str, Any], given: dict[str, Any], words: Sequence[str]) -> None:
    for key in own | given:
        if own.get(key, ...) != given.get(key, ...):
            what = " ".join(words) or f"hydra.{key}={typed(given.get(key))}"
            raise CommandError(
                f"{what}: is not supported; of Hydra's own keys hydra.mode, hydra.verbose and"
                " hydra.sweeper.params can be set"
            )


class _Hydra(Hydra):
    """Asks for the mode, for which Hydra composes everything, only where something may set it.

    That is an experiment, one of Hydra's own keys, or a file of the user.
    """

    def get_mode(self, config_name: str | None, overrides: list[str]) -> Any:
        """Return the mode that the configuration has, or None."""
        may_set = any(map(_MAY_SET_MODE.search, sys.argv[1:]))
        return super().get_mode(config_name, overrides) if may_set else None


def _completions(config: Any, word: str) -> list[str]:
    """What the shell offers for a word: of a key that has a few values, these."""
    key, is_value, begun = word.partition("=")
    if is_value and (options := options_of(key.lstrip("+"))):
        return [f"{key}={option}" for option in options if option.startswith(begun)]
    return _HYDRAS_COMPLETIONS(config, word)


@contextmanager
def _own_hydra() -> Iterator[None]:
    places, completion = internals, CompletionPlugin
    changed: list[tuple[Any, str, Any]] = [
        (places, "Hydra", _Hydra),
        (places, "ConfigLoaderImpl", _Loader),
        (completion, "_get_matches", staticmethod(_completions)),
    ]
    before = [vars(place)[name] for place, name, _ in changed]
    for place, name, own in changed:
        setattr(place, name, own)
    try:
        yield
    finally:
        for (place, name, _), own in zip(changed, before, strict=True):
            setattr(place, name, own)


def _refuse_options(arguments: Sequence[str]) -> None:
    """Refuse options that are not known as they are spelt; argparse would accept any beginning."""
    # Everything Hydra has; the private name has been there since Hydra 1.0.
    known = get_args_parser()._option_string_actions
    for word, after in pairwise([*arguments, ""]):
        option, _, value = word.partition("=")
        if option.startswith("--experimental"):
            raise CommandError(f"{word}: is not supported, it would run code from a file")
        if not option.startswith("-") or option in known:
            continue
        name, given = option.lstrip("-"), value or after
        keys = [each.name for each in declared_keys()]
        if name in ("experiment", *keys):
            value = given if given and "=" not in given and given[0] != "-" else "VALUE"
            raise CommandError(
                f"{word}: is no option; a key is typed without dashes: {name}={value}"
            )
        known_too = [*known, "--dry-run"]
        raise CommandError(f"{word}: is no option{nearest(option, known_too)}")


def _refuse_layers(arguments: Sequence[str]) -> None:
    """Refuse a list of choices: Hydra would merge them, and the last one would hide others."""
    for argument in arguments:
        key, _, value = argument.partition("=")
        group = key.lstrip("+")
        if group in ("experiment", *GROUPS) and re.match(r"(.*,)? *\[[^]]*,", value):
            every = f"-m {group}={re.sub(r'[][ ]', '', value)}"
            raise ConfigError(key, value, f"lays one over the other; each is run by {every}")


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
            key, _, value = override.partition("=")
            if value and (right := _in_quotes(key, value)):
                return f"{override}: {right}"
            reason = " ".join(line for line in text.splitlines() if not _NOISE.match(line))
            reason = _WRAPPED.sub("", reason).strip() or "unexpected character"
            return (
                f"{override}: {reason}; must be KEY=VALUE, with quotes around special characters:"
                " 'KEY=\"VALUE\"'"
            )
        case MissingConfigException(missing_cfg_file=str(path), options=[_, *_] as options):
            group, _, option = path.rpartition("/")
            return (
                f"{group}={option}: must be one of {', '.join(options)}{nearest(option, options)}"
            )
        case HydraException(__cause__=ConfigAttributeError() | ConfigKeyError() as cause) if (
            override := text.partition("\nTo append to your config use +")[2]
        ):
            prefix = str(cause.full_key).removesuffix(cause.key)
            keys = [prefix + key for key in sorted(cause.parent_node) if key not in _NOT_KEYS]
            node = cause.parent_node
            chosen = str(node.get("name")) if isinstance(node, DictConfig) else ""
            return f"{override}: {not_a_key(str(cause.full_key), [chosen], keys)}"
        case HydraException(__cause__=OmegaConfBaseException() as cause) if text:
            override = text.removeprefix("Error merging override ")
            return f"{override}: {str(cause).partition(_DETAILS)[0]}"
        case HydraException() if several := _SEVERAL.match(text):
            return f"{several[1]}: add -m to sweep over the values{_or_one_value(several[1])}"
        case RecursionError():
            deepest = max(arguments, key=lambda word: sum(map(word.count, "[{(")))
            return f"{typed(deepest)}: is nested too deeply"
        case OmegaConfBaseException(full_key=str(key)) if (written := _written(error)) is not None:
            reason = _WRAPPED.sub("", text.partition(_DETAILS)[0]).replace(
                "HydraConfig was not set", "the hydra node is not part of a job"
            )
            return f"{key}={written}: {reason}"
    # Hydra names at most the key, so the argument is looked up; if it names none, show all.
    named = [each for each in arguments if each.lstrip("+~").partition("=")[0] in text]
    text = text or str(error.__cause__ or "Hydra cannot make a configuration of it")
    reason = text.partition("\nConfig search path:")[0]
    return f"{' '.join(named or arguments)}: {reason}"


def _or_one_value(override: str) -> str:
    key, _, value = override.partition("=")
    of_list = ""
    if key.lstrip("+") in _LISTS:
        of_list = f"; for a list, type {quoted_list(key, _elements(value))}"
    if key.lstrip("+") in _TEXTS:
        return f"{of_list}; if it is one value, type {quoted(key, value)}"
    if of_list:
        return of_list
    return "" if (configuration_folder() / key).is_dir() else ", or write a list as [a,b]"


def _in_quotes(key: str, value: str) -> str:
    """Say how a value that Hydra cannot read has to be typed; nothing if the key has no text."""
    name = key.lstrip("+")
    if name in _WORDS:
        return _WORDS[name].allowed
    asked = "has special characters and must be quoted: "
    listed = value.startswith("[") and value.endswith("]")
    if name in _LISTS and (listed or name not in _TEXTS):
        return asked + quoted_list(key, _elements(value[1:-1] if listed else value))
    return asked + quoted(key, value) if name in _TEXTS else ""


def _elements(value: str) -> list[str]:
    """The elements of a list without its brackets, whose quotes are left out."""
    words = next(csv.reader([value], skipinitialspace=True), [])
    return [word.strip().strip("'\"") for word in words]


def _written(error: OmegaConfBaseException) -> str | None:
    """The value of the key that OmegaConf objects to; None if the problem is inside a value."""
    if not isinstance(error.parent_node, Container):
        return None
    values: Any = OmegaConf.to_container(error.parent_node, resolve=False)
    with suppress(LookupError):
        return str(values[error.key])
    return None


_HYDRAS_COMPLETIONS = CompletionPlugin._get_matches
# Only Hydra and OmegaConf run while the jobs are composed. For some odd values they fail with the
# errors of the second line.
_NOT_CONFIGURATIONS = (
    *(HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError),
    *(AssertionError, AttributeError, LookupError, RecursionError, TypeError),
)
_HARMLESS = re.compile(
    r"hydra\.(mode|verbose)=|\+{0,2}hydra\.sweeper\.params\.|hydra/(launcher|sweeper)=grouped$"
)
_MAY_SET_MODE = re.compile("hydra|experiment|^--?c")
_OPEN = re.compile(
    r"(mode|verbose)$|(overrides|runtime|sweeper\.params)(\.|$)|job\.(override_dirname|config_name)$"
)
_DETAILS = "\n    full_key: "
_NOISE = re.compile(r"Error parsing override|LexerNoViable| *\^|See https:")
_NOT_KEYS = {"hydra", "name"}
# The values of these keys may have any character.
_TEXTS = {"study", "results_dir", "problem.path", "problem.target"}
_LISTS = {"problem.path", "problem.columns", "problem.drop", "problem.dates"}
# Keys whose values are words, because Hydra has a use of its own for the characters they stand for.
_WORDS: dict[str, Rule] = {
    Columns.prefix + each.name: each.metadata["rule"]
    for each in fields(Columns)
    if each.name in ("separator", "decimal", "comment")
}
_SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'")
_WRAPPED = re.compile(r"^\w+ (raised while resolving interpolation|while evaluating '.*'): ")
