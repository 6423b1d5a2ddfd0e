"""A sweeper and a launcher that compose a sweep of thousands of jobs in seconds.

Hydra's own pair composes every job twice, at 50 ms or more each. Here a job costs less than one
millisecond: composing happens once for each distinct choice of config groups, and the value
overrides are applied to a copy, which is what Hydra itself does after composing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, RangeSweep
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gdconv.config.rules import ConfigError

_store = ConfigStore.instance().store
_store("grouped", {"_target_": f"{__name__}.GroupedSweeper", "params": {}}, "hydra/sweeper")
_store("grouped", {"_target_": f"{__name__}.GroupedLauncher"}, "hydra/launcher")

# Composed in a minute or two, and held in memory.
MOST_JOBS = 10**5


class GroupedSweeper(BasicSweeper):
    """Expands overrides as Hydra's basic sweeper does, but writes nothing and composes nothing.

    A config may bring a sweep along as hydra.sweeper.params, as an experiment does. Hydra knows it
    if the config is the same for all jobs. Here each one that is swept over brings its own, too.
    """

    hydra_context: Any
    launcher: Any

    def __init__(self, params: dict[str, str]) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every combination of the swept values as one batch."""
        return self.launcher.launch(self._jobs(self._parse_config(), arguments), initial_job_idx=0)

    def _jobs(self, params: Sequence[str], arguments: Sequence[str]) -> list[list[str]]:
        """Return the overrides of every job.

        Parameters
        ----------
        params
            The sweep that the configs chosen so far bring along; the arguments win over it.
        """
        given = self._by_key(arguments)
        brought = self._by_key(params)
        overrides = {key: each for key, each in brought.items() if key not in given} | given
        swept = {key: each for key, each in overrides.items() if each.is_sweep_override()}
        _refuse_too_many(swept.values())
        composer = self.launcher.composer
        group = next((key for key, each in swept.items() if composer.is_group(each)), None)
        if group is None:
            [jobs] = self.split_arguments(list(overrides.values()), max_batch_size=None)
            return jobs
        jobs = []
        others = [str(each.input_line) for key, each in given.items() if key != group]
        for option in swept[group].sweep_string_iterator():
            chosen = [*others, f"{group}={option}"]
            jobs += self._jobs(composer.params(chosen), chosen)
            if len(jobs) > MOST_JOBS:
                raise _too_many(swept[group])
        return jobs

    def _by_key(self, lines: Sequence[str]) -> dict[str, Override]:
        """The overrides; of several of one key the last, in the place of the first."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return {each.get_key_element(): each for each in parser.parse_overrides(list(lines))}


def _refuse_too_many(swept: Iterable[Override]) -> None:
    count = 1
    for override in swept:
        if override.is_interval_sweep():
            raise _refused(override, "cannot be listed: write a,b,c or range(a,b,step)")
        count *= _count_up_to(MOST_JOBS + 1, override)
        if count == 0:
            raise _refused(override, "holds no value")
        if count > MOST_JOBS:
            raise _too_many(override)


def _too_many(override: Override) -> ConfigError:
    return _refused(override, f"makes more than {MOST_JOBS} jobs; a list [a,b] or a grid is one")


def _refused(override: Override, allowed: str) -> ConfigError:
    key, _, value = str(override.input_line).partition("=")
    return ConfigError(key, value, allowed)


def _count_up_to(most: int, override: Override) -> int:
    """Count the values of a sweep, none of which is made for a range without end."""
    swept = override.value()
    # To shuffle them, Hydra would list them.
    values = swept.range() if isinstance(swept, RangeSweep) else override.sweep_iterator()
    return sum(1 for _ in islice(values, most))


class GroupedLauncher(Launcher):
    """Hands the configurations of all jobs to the task function at once, as a list of mappings."""

    def setup(self, *, hydra_context: Any, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs."""
        self.composer = Composer(hydra_context.config_loader, config)
        self._task_function = task_function

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Compose and resolve all jobs, then run them as one."""
        self._task_function([self.composer.mapping(overrides) for overrides in job_overrides])
        return [JobReturn(status=JobStatus.COMPLETED)]


class _Base(NamedTuple):
    """A configuration, the same as a mapping unless it has interpolations, and its own sweep.

    Both are pickled. Seven times as fast as copy.deepcopy; the bytes never leave this process.
    """

    config: bytes
    mapping: bytes | None
    params: list[str]


class Composer:
    """Composes the jobs of one sweep, remembering what jobs have in common.

    Parameters
    ----------
    loader
        Hydra's configuration loader.
    master
        The configuration of the sweep itself, `hydra` node included.
    """

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._parser = OverridesParser.create(config_loader=loader)
        _, self._repository = loader._parse_overrides_and_create_caching_repo(
            master.hydra.job.config_name, list(master.hydra.overrides.hydra)
        )
        self._parsed: dict[str, tuple[Override, bool]] = {}
        self._bases: dict[tuple[str, ...], _Base] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the task's configuration that Hydra would compose, without the `hydra` node.

        Raises
        ------
        HydraException
            For every override that Hydra refuses.
        """
        config = pickle.loads(self._base(overrides).config)
        parsed = [self._parse(line) for line in overrides]
        values = [override for override, sets_value in parsed if sets_value]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config

    def mapping(self, overrides: Sequence[str]) -> Any:
        """Return the same as a nested mapping, with all interpolations resolved; raises likewise.

        Where no value is an interpolation, this takes a twentieth of the time.
        """
        plain = self._base(overrides).mapping
        parsed = [self._parse(line) for line in overrides]
        if plain is not None:
            mapping = pickle.loads(plain)
            if all(_set(mapping, override) for override, sets_value in parsed if sets_value):
                return mapping
        return OmegaConf.to_container(self.compose(overrides), resolve=True)

    def params(self, overrides: Sequence[str]) -> list[str]:
        """Return the sweep that the chosen configs bring along, as overrides.

        Raises
        ------
        HydraException
            For every choice that Hydra refuses.
        """
        return self._base(
            [line for line in overrides if not self._parse(line)[0].is_sweep_override()]
        ).params

    def is_group(self, override: Override) -> bool:
        """Whether the override chooses a config of a group."""
        return bool(self._repository.group_exists(override.key_or_group))

    def _base(self, overrides: Sequence[str]) -> _Base:
        """What the overrides that set no value compose."""
        choices = tuple(line for line in overrides if not self._parse(line)[1])
        if choices not in self._bases:
            config = self._loader.load_sweep_config(self._master, list(choices))
            params = [
                f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()
            ]
            # The hydra node is most of the configuration, and none of the task's.
            with read_write(config), open_dict(config):
                del config["hydra"]
            plain = OmegaConf.to_container(config, resolve=False)
            mapping = pickle.dumps(plain) if _is_plain(plain) else None
            self._bases[choices] = _Base(pickle.dumps(config), mapping, params)
        return self._bases[choices]

    def _parse(self, line: str) -> tuple[Override, bool]:
        if line not in self._parsed:
            [override] = self._parser.parse_overrides([line])
            self._parsed[line] = override, self._sets_value(override)
        return self._parsed[line]

    def _sets_value(self, override: Override) -> bool:
        """Whether Hydra applies the override after composing, rather than composes by it."""
        if override.is_hydra_override() or override.is_sweep_override():
            return False
        return isinstance(override.value(), dict) or not self.is_group(override)


def _is_plain(value: Any) -> bool:
    """Whether a value has no interpolation in it."""
    if isinstance(value, dict | list):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, str) or "${" not in value


def _set(mapping: dict[str, Any], override: Override) -> bool:
    """Set a plain value that a mapping has already; return whether the override is that simple."""
    value, (*path, name) = override.value(), override.key_or_group.split(".")
    if override.type != OverrideType.CHANGE or override.package is not None:
        return False
    if isinstance(value, dict) or not _is_plain(value):
        return False
    place: Any = mapping
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or isinstance(place.get(name, {}), dict):
        return False
    place[name] = value
    return True
