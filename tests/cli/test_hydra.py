"""The composition of many jobs: it gives what Hydra gives, and refuses what Hydra refuses."""

import random
from pathlib import Path

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from gdconv.cli.composition import RESOLVERS, configuration_folder

# Hydra's scan for plugins executes their modules, so an import before it would give other classes.
Plugins.instance()
from hydra_plugins.gdconv.composer import Composer  # noqa: E402

LEGAL = {
    "nothing": [],
    "numbers": ["seed=7", "step.value=0.5", "method.tolerance=1e-3"],
    "boolean and text": ["report=false", "study=some name", "results_dir="],
    "quoted and escaped": ["study='1,2'", r"results_dir=a\,b\=c"],
    "null and missing": ["study=null", "results_dir=???"],
    "list": ["step.value=[0.5,1,1.5]"],
    "nested list": ["step.value=[[1],{a:2}]"],
    "dict merged": ["step={value:3}"],
    "dict for a group": ["problem={noise:2}"],
    "value for a section": ["step=3"],
    "cast": ["seed=int(3.7)", "study=str(3)"],
    "last one wins": ["seed=1", "seed=2"],
    "add": ["+extra=3"],
    "add nested": ["+extra.deep.er=3"],
    "add dict": ["+extra={a:1,b:[2]}", "+extra.c=3"],
    "add to existing dict": ["+step={other:3}"],
    "force": ["++seed=3", "++extra=4", "++step.other=5"],
    "delete": ["~seed"],
    "delete by value": ["~seed=0", "~record.points"],
    "delete and add": ["~step.value", "+step.value=2"],
    "group": ["problem=csv"],
    "group, then value": ["problem=csv", "problem.path=a.csv"],
    "value, then group": ["problem.path=a.csv", "problem=csv"],
    "group list": ["problem=[gaussian,csv]"],
    "group deleted": ["~problem"],
    "group deleted by name": ["~problem=gaussian"],
    "group in a package": ["+problem@other=csv", "other.path=b.csv"],
    "group in two packages": [
        "problem=csv",
        "+problem@other.place=gaussian",
        "other.place.noise=3",
    ],
    "group only in the search path": ["+elsewhere=one", "elsewhere.b=2"],
    "experiment": ["experiment=default"],
    "experiment and values": ["experiment=default", "repetitions=1", "problem.noise=0"],
    "experiment with defaults": ["experiment=overlay", "seed=2"],
    "experiment and group": ["problem.path=a.csv", "experiment=default", "problem=csv"],
    "hydra override": ["hydra.verbose=true", "hydra/job_logging=disabled", "seed=1"],
    "interpolation": ["problem.n_samples=${problem.n_features}", "problem.n_features=30"],
    "interpolation in text": ["study=d${problem.n_features}", "problem.n_features=30"],
    "relative interpolation": ["problem.n_samples=${.n_features}", "problem.n_features=30"],
    "interpolation to a deleted key": ["study=${seed}", "~seed", "+seed=4"],
    "resolver": ["step.value=${linspace:0,1,3}"],
    "resolver of a swept key": ['problem.n_samples="${multiply:2,${seed}}"', "seed=8"],
}
ILLEGAL = {
    "unknown key": ["problem.typo=3"],
    "unknown key at the top": ["typo=3"],
    "key below a value": ["seed.typo=3"],
    "added twice": ["+seed=3"],
    "deleted, not there": ["~typo"],
    "deleted, other value": ["~seed=3"],
    "unknown option": ["problem=nosuch"],
    "unknown option and unknown key": ["problem.typo=3", "problem=nosuch"],
    "group is no string": ["problem=3"],
    "group added again": ["+problem=csv"],
    "group forced": ["++problem=csv"],
    "package of no group": ["seed@other=3"],
    "unknown package": ["problem@other=csv"],
    "unknown group deleted": ["~problem=csv"],
    "hydra's type": ["hydra.mode=3"],
    "still a sweep": ["seed=1,2"],
    "syntax": ["seed=["],
    "nested interpolation without quotes": ["study=${multiply:2,${seed}}"],
    "no value": ["seed"],
    "syntax after an unknown key": ["typo=3", "seed=["],
    "broken interpolation": ['study="${"'],
}


@pytest.fixture(scope="module")
def loader() -> ConfigLoaderImpl:
    version.setbase("1.3")
    for name, resolver in RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)
    return ConfigLoaderImpl(create_config_search_path(str(configuration_folder())))


@pytest.fixture(scope="module")
def master(loader: ConfigLoaderImpl, tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    """The configuration of a sweep that also searches a folder of the user's."""
    folder: Path = tmp_path_factory.mktemp("search_path")
    for path, text in {
        "elsewhere/one.yaml": "a: ${seed}\nb: 1\n",
        "experiment/overlay.yaml": "# @package _global_\n"
        "defaults: [override /problem: csv]\nstudy: s${seed}\nproblem: {path: '${study}.csv'}\n",
    }.items():
        (folder / path).parent.mkdir()
        (folder / path).write_text(text)
    overrides = ["hydra.mode=MULTIRUN", f"hydra.searchpath=[file://{folder}]"]
    return loader.load_configuration("config", overrides, RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def composer(loader: ConfigLoaderImpl, master: DictConfig) -> Composer:
    """One composer for all tests of the module: what it remembers must not leak."""
    return Composer(loader, master)


def composed_by_hydra(
    loader: ConfigLoaderImpl, master: DictConfig, overrides: list[str]
) -> DictConfig:
    config = loader.load_sweep_config(master, overrides)
    with read_write(config), open_dict(config):
        del config["hydra"]
    return config


def everything(config: DictConfig) -> tuple[object, ...]:
    """What there is to compare: order and types of the nodes, flags, and resolved values."""
    try:
        resolved = repr(OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        resolved = repr(error)
    return OmegaConf.to_yaml(config), resolved, OmegaConf.is_struct(config)


def assert_is_hydra_s(composer: Composer, overrides: list[str], expected: tuple) -> None:
    """As configuration and as mapping, a job is what Hydra composes."""
    assert everything(composer.compose(overrides)) == expected
    try:
        resolved = repr(composer.mapping(overrides))
    except OmegaConfBaseException as error:
        resolved = repr(error)
    assert resolved == expected[1]


def refusal(function, *arguments) -> tuple[type, str, str]:
    with pytest.raises((HydraException, ValueError)) as caught:
        function(*arguments)
    return caught.type, str(caught.value), str(caught.value.__cause__)


# Of what another one tries as well.
VARIANTS = [
    *("cast", "last one wins", "add nested", "add to existing dict", "delete by value"),
    *("nested list", "null and missing", "group, then value", "group deleted by name"),
    *("experiment and values", "relative interpolation", "interpolation in text", "resolver"),
]


@pytest.mark.parametrize("name", LEGAL)
@pytest.mark.slow_where(case=lambda name: name in VARIANTS)
def test_composes_what_hydra_composes(loader, master, composer, name):
    overrides = LEGAL[name]
    expected = composed_by_hydra(loader, master, overrides)
    assert_is_hydra_s(composer, overrides, everything(expected))


@pytest.mark.parametrize("overrides", ILLEGAL.values(), ids=ILLEGAL)
def test_refuses_what_hydra_refuses(loader, master, composer, overrides):
    expected = refusal(loader.load_sweep_config, master, overrides)
    assert refusal(composer.compose, overrides) == expected
    assert refusal(composer.mapping, overrides) == expected


@pytest.mark.parametrize("seed", range(10))
def test_any_mixture_in_any_order(loader, master, composer, seed):
    chance = random.Random(seed)
    kinds = chance.sample([*LEGAL.values(), ILLEGAL["unknown key"], ILLEGAL["added twice"]], k=4)
    overrides = [override for kind in kinds for override in kind]
    chance.shuffle(overrides)
    try:
        expected = everything(composed_by_hydra(loader, master, overrides))
    except (HydraException, ValueError):
        expected = refusal(loader.load_sweep_config, master, overrides)
        assert refusal(composer.compose, overrides) == expected
    else:
        assert_is_hydra_s(composer, overrides, expected)


@pytest.mark.parametrize(
    ("overrides", "params"),
    [
        ([], []),
        (["experiment=errata", "seed=1,2"], ["start=zeros,eigenvector"]),
        (["experiment=default", "problem.n_features=3"], ["problem.n_features=10,20,50,100"]),
        (["experiment=default,errata"], []),
    ],
)
def test_the_sweep_that_a_choice_brings_along(composer, overrides, params):
    assert composer.params(overrides) == params


def test_jobs_share_nothing(composer):
    overrides = ["step.value=[1,2]", "+extra={a:[1]}"]
    first = composer.compose(overrides)
    untouched = everything(composer.compose(overrides))
    first.step.value.append(3)
    first.extra.a.append(2)
    first.problem.noise = 5
    assert everything(composer.compose(overrides)) == untouched


@pytest.mark.parametrize(
    ("arguments", "asked", "jobs"),
    [
        (["seed=1", "problem.n_features=3"], [], 1),
        (["-m", "seed=1,2"], [], 2),
        (["hydra.mode=MULTIRUN", "seed=1,2"], [RunMode.MULTIRUN], 2),
        (["experiment=errata", "study=s"], [RunMode.MULTIRUN], 2),
        (["--config-dir", "{folder}", "problem=mine", "seed=1,2"], [RunMode.MULTIRUN], 2),
        (["-cd", "{folder}", "problem=mine"], [RunMode.MULTIRUN], 1),
        (["-cd", "{folder}", "-m", "seed=1,2"], [None], 2),
    ],
)
def test_what_may_set_the_mode_is_asked_for_it(
    gdconv, monkeypatch, tmp_path, arguments, asked, jobs
):
    (tmp_path / "problem").mkdir()
    text = "# @package _global_\nhydra: {mode: MULTIRUN}\nproblem: {name: gaussian, n_samples: 9}\n"
    (tmp_path / "problem" / "mine.yaml").write_text(text)
    get_mode, modes = Hydra.get_mode, []

    def noted(self, config_name, overrides):
        modes.append(get_mode(self, config_name, overrides))
        return modes[-1]

    monkeypatch.setattr(Hydra, "get_mode", noted)
    composed = gdconv(*(word.format(folder=tmp_path) for word in arguments), composed=True)
    assert modes == asked
    assert len(composed) == jobs
