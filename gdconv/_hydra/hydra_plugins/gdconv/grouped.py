"""A sweeper and a launcher that compose a sweep of thousands of jobs in seconds.

Hydra's own pair composes every job twice, at 50 ms or more each. Here a job costs less than one
millisecond: composing happens once for each distinct choice of config groups, and the value
overrides are applied to a copy, which is what Hydra itself does after composing.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import islice
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gdconv.keys import ConfigError

_store = ConfigStore.instance().store
_store("grouped", {"_target_": f"{__name__}.GroupedSweeper", "params": {}}, "hydra/sweeper")
_store("grouped", {"_target_": f"{__name__}.GroupedLauncher"}, "hydra/launcher")

# Composed in a minute or two, and held in memory.
MOST_JOBS = 10**5


class GroupedSweeper(BasicSweeper):
    """Expands overrides as Hydra's basic sweeper does, but writes nothing and composes nothing."""

    hydra_context: Any
    launcher: Any

    def __init__(self, params: dict[str, str]) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every combination of the swept values as one batch."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(self._parse_config() + arguments)
        count = 1
        for override in filter(Override.is_sweep_override, overrides):
            key, _, value = str(override.input_line).partition("=")
            if override.is_interval_sweep():
                raise ConfigError(key, value, "cannot be listed: write a,b,c or range(a,b,step)")
            count *= _count_up_to(MOST_JOBS + 1, override)
            if count == 0:
                raise ConfigError(key, value, "holds no value")
            if count > MOST_JOBS:
                raise ConfigError(
                    key, value, f"makes more than {MOST_JOBS} jobs; a list [a,b] or a grid is one"
                )
        [jobs] = self.split_arguments(overrides, max_batch_size=None)
        return self.launcher.launch(jobs, initial_job_idx=0)


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
        self._composer = Composer(hydra_context.config_loader, config)
        self._task_function = task_function

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Compose and resolve all jobs, then run them as one."""
        jobs = [
            OmegaConf.to_container(self._composer.compose(overrides), resolve=True)
            for overrides in job_overrides
        ]
        self._task_function(jobs)
        return [JobReturn(status=JobStatus.COMPLETED)]


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
        self._bases: dict[tuple[str, ...], bytes] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the task's configuration that Hydra would compose, without the `hydra` node.

        Raises
        ------
        HydraException
            For every override that Hydra refuses.
        """
        parsed = [self._parse(line) for line in overrides]
        choices = tuple(
            str(override.input_line) for override, sets_value in parsed if not sets_value
        )
        if choices not in self._bases:
            self._bases[choices] = self._base(choices)
        # Seven times as fast as copy.deepcopy; the bytes never leave this process.
        config = pickle.loads(self._bases[choices])
        values = [override for override, sets_value in parsed if sets_value]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config

    def _base(self, choices: Sequence[str]) -> bytes:
        config = self._loader.load_sweep_config(self._master, list(choices))
        # The hydra node is most of the configuration, and none of the task's.
        with read_write(config), open_dict(config):
            del config["hydra"]
        return pickle.dumps(config)

    def _parse(self, line: str) -> tuple[Override, bool]:
        if line not in self._parsed:
            [override] = self._parser.parse_overrides([line])
            self._parsed[line] = override, self._sets_value(override)
        return self._parsed[line]

    def _sets_value(self, override: Override) -> bool:
        """Whether Hydra applies the override after composing, rather than composes by it."""
        if override.is_hydra_override() or override.is_sweep_override():
            return False
        is_group = self._repository.group_exists(override.key_or_group)
        return isinstance(override.value(), dict) or not is_group
