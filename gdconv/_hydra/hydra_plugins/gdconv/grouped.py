"""A sweeper and a launcher that compose a sweep of thousands of jobs in seconds.

Hydra's own pair composes every job twice, at 50 ms or more each. Here a job costs less than one
millisecond, see `composer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from omegaconf import DictConfig

from gdconv.config.mapping import declared_keys, is_foreign, not_a_key
from gdconv.config.pairs import Pairs, combined, refuse_unequal
from gdconv.config.rules import ConfigError, nearest

from .composer import Composer

_store = ConfigStore.instance().store
_store("grouped", {"_target_": f"{__name__}.GroupedSweeper", "params": {}}, "hydra/sweeper")
_store("grouped", {"_target_": f"{__name__}.GroupedLauncher"}, "hydra/launcher")

# Composed in a minute or two, and held in memory.
MOST_JOBS = 10**5


class Choice(NamedTuple):
    """A choice of one config in each group, for which jobs are made.

    Attributes
    ----------
    overrides : dict
        Key → override; no group is swept over any more.
    names : dict
        Group → the name of what is chosen.
    pairs : tuple
        See `gdconv.config.pairs`.
    """

    overrides: dict[str, Override]
    names: dict[str, str]
    pairs: Pairs


class GroupedSweeper(BasicSweeper):
    """Expands overrides as Hydra's basic sweeper does, but writes nothing and composes nothing.

    A config may bring a sweep along as hydra.sweeper.params, as an experiment does. Hydra knows it
    if the config is the same for all jobs. Here each one that is swept over brings its own, too.

    Two more things are not Hydra's. A key that only some choices of a group have is left out for
    the others. The values of the keys in `pair` are taken together, not multiplied.
    """

    hydra_context: Any
    launcher: Any

    def __init__(self, params: dict[str, str]) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every combination of the swept values as one batch."""
        return self.launcher.launch(self._jobs(arguments), initial_job_idx=0)

    def _jobs(self, arguments: Sequence[str]) -> list[list[str]]:
        """Return the overrides of every job."""
        choices = list(self._choices(self._parse_config(), arguments))
        chosen: dict[str, set[str]] = {}
        for each in choices:
            for group, name in each.names.items():
                chosen.setdefault(group, set()).add(name)
        jobs: list[list[str]] = []
        for each in choices:
            jobs += _jobs_of(_without_foreign(each, chosen))
            if len(jobs) > MOST_JOBS:
                swept = (one for one in self._by_key(arguments).values() if one.is_sweep_override())
                raise _too_many(next(swept))
        return jobs

    def _choices(self, params: Sequence[str], arguments: Sequence[str]) -> Iterator[Choice]:
        """Yield every choice of configs that the groups which are swept over make.

        Parameters
        ----------
        params
            The sweep that the configs chosen so far bring along; the arguments win over it.
        """
        given = self._by_key(arguments)
        brought = self._by_key(params)
        overrides = {key: each for key, each in brought.items() if key not in given} | given
        swept = {key: each for key, each in overrides.items() if each.is_sweep_override()}
        counts = {key: _count(each) for key, each in swept.items()}
        composer = self.launcher.composer
        settled = [str(each.input_line) for key, each in overrides.items() if key not in swept]
        pairs = composer.pairs(settled)
        groups = [key for key, each in swept.items() if composer.is_group(each)]
        if not groups:
            yield Choice(overrides, composer.names(settled), pairs)
            return
        # An experiment comes first, because it may bring pairs and further groups along.
        group = min(groups, key=lambda key: key != "experiment")
        together = next((pair for pair in pairs if group in pair), (group,))
        if len(together) > 1:
            _refuse_unswept(together, swept)
            refuse_unequal(together, counts)
            rest = tuple(pair for pair in pairs if pair != together)
            given["pair"] = self._by_key([_pair_override(rest)])["pair"]
        others = [str(each.input_line) for key, each in given.items() if key not in together]
        for words in zip(*(_words(swept[key]) for key in together), strict=True):
            chosen = [*others, *words]
            yield from self._choices(composer.params(chosen), chosen)

    def _by_key(self, lines: Sequence[str]) -> dict[str, Override]:
        """The overrides; of several of one key the last, in the place of the first."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return {each.get_key_element(): each for each in parser.parse_overrides(list(lines))}


def _without_foreign(choice: Choice, chosen: dict[str, set[str]]) -> Choice:
    """Leave out of a choice the keys that only other choices of the sweep have.

    Raises
    ------
    ConfigError
        If other choices have a key, but none of those that are chosen in the sweep.
    """
    own = {group: [name] for group, name in choice.names.items()}
    overrides = {}
    for key, override in choice.overrides.items():
        if not is_foreign(key, own):
            overrides[key] = override
        elif is_foreign(key, chosen):
            raise _refused(override, not_a_key(key, chosen[key.partition(".")[0]], []))
    pairs = []
    for pair in choice.pairs:
        for key in pair:
            if is_foreign(key, chosen):
                what = not_a_key(key, chosen[key.partition(".")[0]], [])
                raise ConfigError("pair", pair, f"{key} {what}")
        pairs.append(tuple(key for key in pair if not is_foreign(key, own)))
    return Choice(overrides, choice.names, tuple(pairs))


def _jobs_of(choice: Choice) -> list[list[str]]:
    """Return the overrides of every job of a choice; a pair without a swept key is left to it."""
    swept = {key: each for key, each in choice.overrides.items() if each.is_sweep_override()}
    counts = {key: _count(each) for key, each in swept.items()}
    left = [pair for pair in choice.pairs if len(pair) > 1 and not {*pair} & swept.keys()]
    pairs = tuple(pair for pair in choice.pairs if {*pair} & swept.keys())
    for pair in pairs:
        _refuse_unswept(pair, swept)
        if len(pair) > 1:
            refuse_unequal(pair, counts)
    total = 1
    multiplied = counts.keys() - {key for _, *others in pairs for key in others}
    for key in [key for key in swept if key in multiplied]:
        total *= counts[key]
        if total > MOST_JOBS:
            raise _too_many(swept[key])
    lists = {key: _words(each) for key, each in choice.overrides.items()}
    if len(left) < len(choice.pairs):
        lists.pop("pair", None)
        lists["pair"] = [_pair_override(left)]
    return [list(job) for job in combined(lists, pairs)]


def _words(override: Override) -> list[str]:
    """An override as it is typed for each of its values."""
    key = override.get_key_element()
    if override.is_sweep_override():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [f"{key}={override.get_value_element_as_str()}"]


def _pair_override(pairs: Iterable[Sequence[str]]) -> str:
    return "pair=[" + ",".join(f"[{','.join(pair)}]" for pair in pairs) + "]"


def _refuse_unswept(pair: Sequence[str], swept: Mapping[str, Override]) -> None:
    """Raise ConfigError unless all keys of a pair are swept over, as one of them is."""
    for key in pair:
        if key not in swept:
            known = {each.name for each in declared_keys()}
            if key not in known:
                raise ConfigError("pair", pair, f"{key} is not a key{nearest(key, known)}")
            one = next(each for each in pair if each in swept)
            what = f"{key} is not swept over, but {one} is: with -m, all need values, as {one}=a,b"
            raise ConfigError("pair", pair, what)


def _count(override: Override) -> int:
    """Return how many values are swept over; raise ConfigError if there are none or too many."""
    if override.get_key_element() == "pair":
        raise _refused(override, "cannot be swept over; put the list in quotes and brackets")
    if override.is_interval_sweep():
        raise _refused(override, "cannot be listed: write a,b,c or range(a,b,step)")
    swept = override.value()
    # To shuffle them, Hydra would list them.
    values = swept.range() if isinstance(swept, RangeSweep) else override.sweep_iterator()
    # A range may have no end.
    count = sum(1 for _ in islice(values, MOST_JOBS + 1))
    if count == 0:
        raise _refused(override, "holds no value")
    if count > MOST_JOBS:
        raise _too_many(override)
    return count


def _too_many(override: Override) -> ConfigError:
    return _refused(override, f"makes more than {MOST_JOBS} jobs; a list [a,b] or a grid is one")


def _refused(override: Override, allowed: str) -> ConfigError:
    key, _, value = str(override.input_line).partition("=")
    return ConfigError(key, value, allowed)


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
