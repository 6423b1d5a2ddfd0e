"""The command gdconv: how words become configurations, and how wrong words are refused."""

import logging
import os
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import gdconv.report.report
import gdconv.report.summary
import gdconv.sweep.sweep
from gdconv.cli import composition
from gdconv.cli import main as cli
from gdconv.config.mapping import OTHER_NAMES, flat, to_mapping
from gdconv.config.problems import PROBLEMS, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import ENGINES, METHODS, STARTS, StudyConfig
from gdconv.sweep import engines

CONF = Path(__file__).resolve().parents[2] / "conf"
DEFAULTS = to_mapping(StudyConfig()) | to_mapping(RunConfig())


class Command(NamedTuple):
    """What one call of the command did; `configs` is None if it started no study."""

    status: int
    out: str
    err: str
    configs: list[RunConfig] | None
    study: StudyConfig | None
    reported: Path | None


TOLD = "1 in results/default\nreport: results/default/report.html\n"


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, hydras_logging, quick_hydra):
    """Run `gdconv ARGUMENTS...` in an empty folder, with a study that only says how it went."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def run(*arguments: str, failed: int = 0, raises: BaseException | None = None) -> Command:
        seen: dict[str, Any] = {"configs": None, "study": None, "reported": None}

        def run_sweep(configs, study, command, engine, meanwhile):
            assert command == ["gdconv", *arguments]
            assert engine.section == study.engine
            seen.update(configs=configs, study=study)
            logging.getLogger("gdconv").info("group 1 of 1")
            if raises:
                raise raises
            return SimpleNamespace(
                folder=Path("results/default"), run_ids=("0",), added=1, failed=failed
            )

        def renew(folder, formats):
            seen["reported"] = folder

        monkeypatch.setattr(sys, "argv", ["gdconv", *arguments])
        monkeypatch.setattr(cli, "import_meanwhile", lambda modules: SimpleNamespace(join=list))
        monkeypatch.setattr(gdconv.sweep.sweep, "run_sweep", run_sweep)
        monkeypatch.setattr(gdconv.report.report, "renew", renew)
        monkeypatch.setattr(
            gdconv.report.summary,
            "summary",
            lambda folder, _, run_ids: f"{len(run_ids)} in {folder}",
        )
        try:
            status = cli.main()
        except SystemExit as finished:
            status = finished.code
        assert os.listdir(tmp_path) == []
        return Command(status, *capsys.readouterr(), **seen)

    return run


def values(configs: list[RunConfig] | None) -> list[tuple[int, tuple[float, ...]]]:
    assert configs is not None
    return [(config.problem.n_features, config.step.value) for config in configs]


# The configuration files


def test_the_configuration_without_overrides_is_the_dataclasses_defaults(command):
    assert command().configs == [RunConfig()]
    assert command().study == StudyConfig()
    assert yaml.safe_load(command("--cfg", "job").out) == DEFAULTS


@pytest.mark.parametrize(
    ("group", "kinds"),
    {"problem": PROBLEMS, "start": STARTS, "method": METHODS, "engine": ENGINES}.items(),
)
def test_every_kind_has_its_file_with_the_dataclasses_defaults(group, kinds):
    files = {path.stem: OmegaConf.load(path) for path in (CONF / group).glob("*.yaml")}
    # Another name of a choice, which Hydra composes from it.
    others = {name: {"defaults": [kind, "_self_"]} for name, kind in OTHER_NAMES.items()}
    assert files == (others if group == "problem" else {}) | {
        name: {"name": name} | {declared.name: declared.default for declared in fields(kind)}
        for name, kind in kinds.items()
    }


def test_the_default_study(command):
    done = command("experiment=default")
    steps = done.configs[0].step
    assert [config.problem.n_features for config in done.configs] == [10, 20, 50, 100]
    assert {config.repetitions for config in done.configs} == {3}
    assert (steps.unit, steps.value[0], steps.value[-1]) == ("lambda_max", 0.05, 2.1)
    assert {1.0, 1.9, 1.95, 2.0, 2.05} < set(steps.value)
    assert done.study == StudyConfig(study="default")


def test_an_experiment_gives_way_to_the_command_line(command):
    done = command("experiment=default", "problem.n_features=7", "step.value=1", "study=mine")
    assert values(done.configs) == [(7, (1.0,))]
    assert done.study.study == "mine"


def of_each(command, names, *arguments):
    """The configurations of some experiments, each run by itself."""
    return [
        config for name in names for config in command(f"experiment={name}", *arguments).configs
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["errata", "step_size"],
        pytest.param(["errata", "rank_deficient"], marks=pytest.mark.slow),
        pytest.param(["dimension", "step_size", "errata"], marks=pytest.mark.slow),
    ],
)
def test_experiments_that_are_swept_over_bring_their_own_sweeps(command, names):
    for order in (names, names[::-1]):
        done = command("-m", f"experiment={','.join(order)}", "study=s")
        assert done.configs == of_each(command, order)
        assert done.study == StudyConfig(study="s")


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        (["start=zeros"], 1 + 4),
        pytest.param(["start=zeros,normal"], 2 + 8, marks=pytest.mark.slow),
        pytest.param(["problem.n_features=3"], 2 + 2, marks=pytest.mark.slow),
        pytest.param(["seed=1,2"], 2 * (2 + 8), marks=pytest.mark.slow),
        pytest.param(
            ["step.value=1,[0.5,1]", "start=zeros", "problem.n_features=5"],
            2 * (1 + 1),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["problem=correlated", "problem.correlation=0.5"], 2 + 8, marks=pytest.mark.slow
        ),
        pytest.param(["problem=gaussian,correlated"], 2 * (2 + 8), marks=pytest.mark.slow),
        pytest.param(['+hydra.sweeper.params.seed="1,2"'], 2 * (2 + 8), marks=pytest.mark.slow),
    ],
)
def test_the_command_line_wins_over_every_experiments_sweep(command, arguments, jobs):
    names = ["errata", "rank_deficient"]
    done = command("-m", f"experiment={','.join(names)}", "study=s", *arguments)
    assert len(done.configs) == jobs

    def key(config):
        return str(config)

    expected = of_each(command, names, *arguments, "study=s")
    assert sorted(done.configs, key=key) == sorted(expected, key=key)
    first = command("-m", *arguments, "study=s", f"experiment={','.join(names)}")
    assert sorted(first.configs, key=key) == sorted(expected, key=key)


@pytest.mark.slow
def test_all_experiments_at_once(command):
    names = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
    names.remove("table")
    done = command("-m", "experiment=glob(*,exclude=table)", "study=s")
    assert done.configs == of_each(command, names)


@pytest.fixture
def mine(tmp_path_factory):
    """A folder of the user's with an experiment that does not say that it is a sweep."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nstudy: mine\nhydra: {sweeper: {params: {start: 'zeros,normal'}}}\n"
    )
    return ["--config-dir", str(folder)]


def test_an_experiment_of_the_users_brings_its_sweep(command, mine):
    starts = [config.start.name for config in command(*mine, "-m", "experiment=mine").configs]
    assert starts == ["zeros", "normal"]
    done = command(*mine, "-m", "experiment=mine,step_size", "study=s")
    assert [config.start.name for config in done.configs] == ["zeros", "normal", "zeros"]


def test_a_sweep_is_not_dropped_without_a_word(command, mine):
    line = "gdconv: hydra.mode=RUN: would drop the experiment's sweep over start; -m runs it\n"
    for arguments in ([*mine, "experiment=mine"], ["experiment=errata", "hydra.mode=RUN"]):
        done = command(*arguments)
        assert (done.status, done.err, done.configs) == (2, line, None)


def test_a_list_of_one_experiment_is_that_experiment(command):
    assert command("experiment=[errata]").configs == command("experiment=errata").configs


def test_the_folder_of_an_installed_package(tmp_path, monkeypatch):
    assert composition.configuration_folder() == CONF
    (tmp_path / "gdconv" / "conf").mkdir(parents=True)
    monkeypatch.setattr(
        composition, "__file__", str(tmp_path / "gdconv" / "cli" / "composition.py")
    )
    assert composition.configuration_folder() == tmp_path / "gdconv" / "conf"


# What arrives at the study


def test_one_job(command):
    done = command("problem.n_features=5", "step.value=1.5", "seed=3")
    assert (done.status, done.out) == (0, TOLD)
    assert values(done.configs) == [(5, (1.5,))]
    assert done.configs[0].seed == (3,)
    assert done.reported == Path("results/default")


def test_no_report_unless_wanted(command):
    assert command("report=false").reported is None


def test_a_list_is_one_job(command):
    assert values(command("step.value=[0.5,1,1.5]").configs) == [(20, (0.5, 1.0, 1.5))]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sweep_is_every_combination(command, place):
    arguments = ["problem.n_features=10,50", "step.value=0.5,[1,1.9]"]
    arguments.insert(place, "-m")
    done = command(*arguments)
    assert values(done.configs) == [
        (10, (0.5,)),
        (10, (1.0, 1.9)),
        (50, (0.5,)),
        (50, (1.0, 1.9)),
    ]


def test_a_sweep_over_nothing_is_one_job(command):
    assert command("-m").configs == [RunConfig()]


def test_a_sweep_over_groups_and_values(command):
    given = ["problem.path=a.csv", "problem.target=y"]
    done = command("-m", "problem=csv", *given, "problem.standardize=true,false")
    assert [config.problem for config in done.configs] == [
        Table("a.csv", "y", standardize=True),
        Table("a.csv", "y", standardize=False),
    ]


def test_interpolations_are_resolved_in_every_job(command):
    twice = 'problem.n_samples="${multiply:2,${problem.n_features}}"'
    done = command("-m", twice, "problem.n_features=range(10,31,10)")
    assert [config.problem.n_samples for config in done.configs] == [20, 40, 60]


@pytest.mark.parametrize("arguments", [["seed=1"], ["-m", "seed=1,2"]])
def test_the_studys_log_reaches_stderr_and_hydras_does_not(command, arguments):
    [line] = command(*arguments).err.splitlines()
    assert line.endswith(" group 1 of 1")


def test_failed_runs_show_in_the_exit_status(command):
    done = command("-m", "seed=1,2", failed=1)
    assert (done.status, done.out) == (1, TOLD)


def test_a_full_disk_is_told_in_one_line(command):
    full = 28, "No space left on device", "results/s/.runs.csv.tmp"
    for error, name in [
        (OSError(*full), "results/s/.runs.csv.tmp"),
        (OSError(*full, None, "results/s/runs.csv"), "results/s/runs.csv"),
    ]:
        done = command(raises=error)
        assert done.status == 1
        assert done.err.splitlines()[-1] == (
            f"gdconv: {name}: No space left on device; the same command continues the study"
        )


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=1,2"]])
def test_an_error_of_the_program_keeps_its_traceback(command, arguments):
    with pytest.raises(ZeroDivisionError):
        command(*arguments, raises=ZeroDivisionError())


# What is refused

PROBLEM_KEYS = "is not a key; allowed: problem.block_rows, problem.feature_mean, problem.n_features"
LAUNCHER = "is not supported; of Hydra"
NUMBER = "must be a finite number from 1e-100"
SEVERAL = "add -m to sweep over the values, or write a list as [a,b]"
MOMENTUM = "must be optimal, or a finite number of at least 0 and below 1, or a list"
GRID = "with two numbers and a COUNT from 1 to 100000"

# Argument: what the line says after it.
BAD = {
    "problem.n_features=0": "must be a whole number from 1",
    "problem.n_features=-3": "must be a whole number from 1",
    "problem.n_features=2.5": "must be a whole number from 1",
    "step.value=0": NUMBER,
    "step.value=-1": NUMBER,
    "step.value=[]": NUMBER,
    "step.value=nan": NUMBER,
    "step.value=": NUMBER,
    "step.value=[1,0]": "or a list of at least one of them; 0 is not",
    "step.unit=bogus": "must be one of lambda_max, optimal, absolute, K",
    "step=3": "has the keys step.unit, step.value",
    "method.iterations=-1": "must be a whole number from 1",
    "method=heavybal": "steepest_descent; did you mean heavy_ball?",
    "experiment=sdg": "two_parameters; did you mean sgd?",
    "expermient=sgd": "study; did you mean experiment?",
    "stepp=1": "study; did you mean step?",
    "method.momentum=0.5": "is not a key of method=gradient_descent, but of method=heavy_ball and"
    " method=nesterov",
    "method.iteration=5": "; did you mean method.iterations?",
    "momentum=0.5": "; did you mean method.momentum?",
    "pair=step.value": "must be a list of two or more different keys",
    "pair=[step.value]": "must be a list of two or more different keys",
    "pair=[seed,seed]": "must be a list of two or more different keys",
    "pair=[[seed,step.value],[seed,method.momentum]]": "two or more different keys",
    "pair=[seed,step.value]": "at least 2; seed has 1 value, step.value has 1 value",
    "pair=[seed,problem.noise]": "problem.noise cannot be a list here, but seed, step.value can",
    "pair=[seed,typo]": "typo cannot be a list here, but seed, step.value can",
    "pair=[seed,step.valu]": "; did you mean step.value?",
    "repetitions=0": "must be a whole number from 1",
    "study=../up": "must be a folder's name",
    "problem=nosuch": "must be one of correlated, csv, gaussian, network, polynomial",
    "problem=3": "must be a string or a list",
    "experiment=nosuch": "must be one of batch_size, conditioning, conjugate_gradient",
    "problem.typo=3": PROBLEM_KEYS,
    "typo=3": "is not a key; allowed: accept_changed, engine, method, pair, problem, record",
    "seed.typo=3": "is not a key; allowed: none",
    "+seed=3": "An item is already at 'seed'",
    "+problem=csv": "Multiple values for problem",
    "~typo": "does not exist",
    "step.value=0.5,1.0": SEVERAL,
    "step.value=interval(0,1)": SEVERAL,
    "step.value=[1": "must be KEY=VALUE",
    "step.value": "must be KEY=VALUE",
    "study=données": "has special characters and must be quoted: 'study=\"données\"'",
    "step.value=(1)": "must be KEY=VALUE, with quotes around special characters: 'KEY=\"VALUE\"'",
    "problem.target=Mass (kg)": "must be quoted: 'problem.target=\"Mass (kg)\"'",
    "problem.path=it's.csv": "'problem.path=\"it'\"'\"'s.csv\"'",
    "problem.target=Smith, J": "add -m to sweep over the values; if it is one value, type 'problem"
    '.target="Smith, J"\'',
    "experiment=errata,default": "add -m to sweep over the values",
    "experiment=[errata,default]": "each is run by -m experiment=errata,default",
    "method=[gradient_descent,heavy_ball]": "each is run by -m method=gradient_descent,heavy_ball",
    "problem=gaussian,[gaussian,correlated]": "run by -m problem=gaussian,gaussian,correlated",
    "step.value=foo(3)": "Unknown function 'foo'",
    "seed=${nosuch}": "Interpolation key 'nosuch' not found",
    "seed=${seed}": "Recursive interpolation",
    "step.value=${nosuch:1}": "Unsupported interpolation type nosuch",
    "study=${hydra:job.name}": "the hydra node is not part of a job",
    "study=${hydra.job.name}": "Interpolation key 'hydra.job.name' not found",
    "step.value=${logspace:0,one,3}": GRID,
    "step.value=${logspace:0,400,3}": "exponents of ten, from -300 to 300",
    "step.value=${linspace:0,1,2.5}": GRID,
    "step.value=${linspace:0,1,0}": GRID,
    "seed=${multiply:2,two}": "must be numbers",
    "hydra.mode=3": "expected one of",
    "hydra/launcher=basic": LAUNCHER,
    "hydra.launcher=null": LAUNCHER,
    "hydra.job.env_copy=[HOME]": LAUNCHER,
    "+hydra={callbacks:{x:{_target_:evil.Callback}}}": LAUNCHER,
    "++hydra={output_subdir:x}": LAUNCHER,
    "+problem@hydra.callbacks.x=csv": LAUNCHER,
    "study=${oc.env:HOME}": "environment variables are not read",
    "--experimental-rerun=a.pickle": "is not supported",
    "--exp=a.pickle": "is no option",
    "--seed=3": "a key is typed without dashes: seed=3",
    "--ver": "did you mean --version?",
    "--dryrun": "did you mean --dry-run?",
    "step_size=0.5": "did you mean step.value?",
    "lr=0.5": "did you mean step.value?",
    "d=3": "did you mean problem.n_features?",
    "n_features=20": "did you mean problem.n_features?",
    "--resolve": "can only be used",
}
# Arguments: how the line begins, and what else it says.
BAD_TOGETHER = [
    (["+typo=3"], "typo=3: ", "is not a key; allowed: accept_changed, engine, method"),
    (["++problem.typo=3"], "problem.typo=3: ", PROBLEM_KEYS),
    (["problem={typo:3}"], "problem={typo:3}: ", PROBLEM_KEYS),
    (["+problem@other=csv"], "other=", "is not a key"),
    (["step.value=[1,${nosuch:1}]", "seed=2"], "step.value[1]=${nosuch:1}: ", "Unsupported"),
    (["seed=1", "problem=3"], "seed=1 problem=3: ", "must be a string or a list"),
    (
        ["method=kaczmarz", "method.momentum=0.5"],
        "method.momentum=0.5: ",
        "is not a key of method=kaczmarz, but of",
    ),
    (["method=sgd", "method.reduce=qr"], "method.reduce=qr: ", "rows of R are sums"),
    (["method=sgd", "step.unit=optimal"], "step.unit=optimal: ", "is not known for method=sgd"),
    (
        ["problem=correlated", "problem.correlation=1"],
        "problem.correlation=1: ",
        "must be a finite number greater than -1 and less than 1",
    ),
    (
        ["problem=spectrum", "problem.condition_number=0.5"],
        "problem.condition_number=0.5: ",
        "must be a finite number from 1 to 1e18",
    ),
    *(
        (["method=heavy_ball", f"method.momentum={each}"], f"method.momentum={each}: ", MOMENTUM)
        for each in ("-0.1", "1", "optimall", "nan", "convex", "[0.5,1]", "null")
    ),
    (["method=nesterov", "method.momentum=2"], "method.momentum=2: ", "one of optimal, convex, or"),
    (["-m", "method=heavy_ball", "method.momentum=0.5,1"], "method.momentum=1: ", MOMENTUM),
    (
        ["method=heavy_ball", "method.first_step=half"],
        "method.first_step=half: ",
        "must be one of full, averaged",
    ),
    *(
        (["method=chebyshev", f"method.lower={each}"], f"method.lower={each}: ", NUMBER)
        for each in ("-1", "0")
    ),
    (["-m", "method=nesterov,heavybal"], "method=heavybal: ", "did you mean heavy_ball?"),
    (
        ["-m", "method=gradient_descent,chebyshev", "method.momentum=0.5,0.9"],
        "method.momentum=0.5,0.9: ",
        "is not a key of method=chebyshev or method=gradient_descent, but of method=heavy_ball and",
    ),
    (
        ["-m", "method=gradient_descent,chebyshev", "method.momentum=0.5"],
        "method.momentum=0.5: ",
        "is not a key of method=chebyshev or method=gradient_descent, but of method=heavy_ball and",
    ),
    (
        ["-m", "method.momentum=0.5"],
        "method.momentum=0.5: ",
        "not a key of method=gradient_descent",
    ),
    (
        ["-m", "method=gradient_descent,heavy_ball", "method.momentun=0.5"],
        "method.momentun=0.5: ",
        "did you mean method.momentum?",
    ),
    (["-m", "start=zeros,normal", "start.which=min"], "start.which=min: ", "of start=eigenvector"),
    (
        ["seed=[1,2,3]", "step.value=[0.5,1]", "pair=[seed,step.value]"],
        "pair=[seed,step.value]: ",
        "must be keys with equally many values, at least 2; seed has 3 values, step.value has 2",
    ),
    (
        ["-m", "seed=1,2,3", "problem.noise=0,1", "pair=[seed,problem.noise]"],
        "pair=[seed,problem.noise]: ",
        "must be keys with equally many values, at least 2; seed has 3 values, problem.noise has 2",
    ),
    (
        ["-m", "seed=1,2,3", "problem=gaussian,spectrum", "pair=[seed,problem]"],
        "pair=[seed,problem]: ",
        "seed has 3 values, problem has 2 values",
    ),
    (
        ["-m", "seed=1,2", "step.value=[0.5,1]", "pair=[seed,step.value]"],
        "pair=[seed,step.value]: ",
        "step.value is not swept over, but seed is",
    ),
    (
        ["-m", "problem=gaussian,spectrum", "seed=1", "pair=[seed,problem]"],
        "pair=[seed,problem]: ",
        "seed is not swept over, but problem is",
    ),
    (["-m", "seed=1,2", "pair=[seed,typo]"], "pair=[seed,typo]: ", "typo is not a key"),
    (
        ["-m", "seed=1,2", "pair=[seed,method.momentum]"],
        "pair=[seed,method.momentum]: ",
        "method.momentum is not a key of method=gradient_descent, but of method=heavy_ball",
    ),
    (["-m", "pair=[seed,step.value],[]"], "pair=[seed,step.value],[]: ", "cannot be swept over"),
    (["-m", "seed=1,2", "pair=[seed]"], "pair=[seed]: ", "two or more different keys"),
    (
        ["-m", "seed=range(0,317)", "step.value=range(1,318)", "start.radius=1,2", "start=normal"],
        "step.value=range(1,318): ",
        "makes more than 100000 jobs",
    ),
    (["start=normal", "start.radius=0"], "start.radius=0: ", "finite number from 1e-100"),
    (["start=eigenvector", "start.which=middle"], "start.which=middle: ", "max, min"),
    (["--experiment", "default"], "--experiment: ", "without dashes: experiment=default"),
    (["--problem.n_samples"], "--problem.n_samples: ", "problem.n_samples=VALUE"),
    (["start=nosuch"], "start=nosuch: ", "must be one of eigenvector, normal, zeros"),
    (
        ["start.radius=1"],
        "start.radius=1: ",
        "is not a key of start=zeros, but of start=normal and start=eigenvector",
    ),
    (["problem=csv"], "problem.path=null: ", "must be the path of a table"),
    (["problem=csv", "problem.path=a.csv"], "problem.target=null: ", "must be the name"),
    (["problem=csv", "problem.noise=1"], "problem.noise=1: ", "not a key of problem=table, but of"),
    (["-m", "problem.n_features=3,0"], "problem.n_features=0: ", "must be a whole number"),
    (["-m", "problem.typo=1,2"], "problem.typo=1: ", PROBLEM_KEYS),
    (
        ["-m", "problem=gaussian,nosuch"],
        "problem=nosuch: ",
        "must be one of correlated, csv, gaussian, network, polynomial, spectrum",
    ),
    (["-m", "step.value=interval(0,1)"], "step.value=interval(0,1): ", "cannot be listed"),
    (["-m", "seed=range(0,0)"], "seed=range(0,0): ", "holds no value"),
    (["-m", "seed=range(0,1e12)"], "seed=range(0,1e12): ", "makes more than 100000 jobs"),
    (["-m", "seed=shuffle(range(0,1e12))"], "seed=shuffle(range(0,1e12)): ", "more than 100000"),
    (
        ["-m", "seed=range(0,317)", "step.value=range(1,317)"],
        "step.value=range(1,317): ",
        "makes more than 100000 jobs",
    ),
    (["-m", "study=choice(1,choice(2))"], "-m study=choice(1,choice(2)): ", "Unexpected type"),
    (["study=\x1b[31m("], r"study=\x1b[31m(: ", "must be quoted"),
    ([f"seed={'[' * 999 + ']' * 999}"], f"seed={'[' * 72}...: ", "is nested too deeply"),
    (["-m", "study=a,b"], "study=[a,b]: ", "one sweep fills one study; choose one, as in study=a"),
    (["-m", "engine=serial,processes"], "engine.name=[serial,processes]: ", "as in engine=serial"),
    (
        ["-m", "experiment=errata,rank_deficient"],
        "study=[errata,rank_deficient]: ",
        "choose one, as in study=errata",
    ),
    (
        ["-m", "experiment=errata,[default,errata]", "study=s"],
        "experiment=errata,[default,errata]: ",
        "each is run by -m experiment=errata,default,errata",
    ),
    (["-m", "experiment=errata,nosuch", "study=s"], "experiment=nosuch: ", "must be one of"),
    (
        ["-m", "experiment=default,errata", "study=s", "seed=range(0,20000)"],
        "experiment=default,errata: ",
        "makes more than 100000 jobs",
    ),
    (
        ["problem=csv", "problem.path=a.csv", "problem.target=true"],
        "problem.target=true: ",
        "must be the name of the target's column (true, false and null in quotes)",
    ),
    (["-m", "+hydra.callbacks.x._target_=evil.Callback"], "+hydra.callbacks", LAUNCHER),
    (["--hydra-help", "hydra.hydra_logging.version=2"], "hydra.hydra_logging", LAUNCHER),
    (["-m", 'study="a${oc.env:NONE,b}"', "seed=1,2"], "study=a${oc.env:NONE,b}: ", "not read"),
    (["-m", "hydra.verbose=true,false"], "hydra.verbose=true,false: ", "not supported"),
    (["experiment=default", "problem.noise=-1"], "problem.noise=-1: ", "of at least 0"),
    (
        ["--cfg", "job", "problem=nosuch"],
        "problem=nosuch: ",
        "must be one of correlated, csv, gaussian, network, polynomial, spectrum",
    ),
    (["--config-dir", "nosuch"], "nosuch: ", "not found"),
]


REFUSED = [*(([each], f"{each}: ", says) for each, says in BAD.items()), *BAD_TOGETHER]


def is_variant(place):
    """An earlier one is refused for the same reason, or the sweeps of experiments are composed."""
    arguments, _, says = REFUSED[place]
    sweeps = arguments[0] == "-m" and arguments[1].startswith("experiment=")
    return sweeps or says in {each[2] for each in REFUSED[:place]}


@pytest.mark.parametrize(
    ("arguments", "begins", "says"),
    [
        pytest.param(
            arguments,
            begins,
            says,
            id=" ".join(arguments)[:80],
            marks=[pytest.mark.slow] * is_variant(place),
        )
        for place, (arguments, begins, says) in enumerate(REFUSED)
    ],
)
def test_bad_input_is_one_line(command, arguments, begins, says):
    done = command(*arguments)
    [line] = done.err.splitlines()
    assert (done.status, done.out, done.configs) == (2, "", None)
    assert line.startswith(f"gdconv: {begins}")
    assert says in line


def test_an_unknown_key_is_refused_in_the_same_words_with_and_without_plus(command):
    assert command("problem.typo=3").err == command("++problem.typo=3").err
    assert command("typo=3").err == command("+typo=3").err


def test_broken_yaml_of_the_user_is_one_line(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("conf")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text("a: [\n")
    done = command("--config-dir", str(folder), "experiment=mine")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "mine.yaml" in done.err


EVIL = "class Callback:\n    def __init__(self):\n        print('run')\nprint('imported')\n"
YAMLS = {
    "experiment/callback": "# @package _global_\n"
    "hydra: {callbacks: {x: {_target_: evil.Callback}}}\n",
    "experiment/handler": "# @package hydra.job_logging.handlers\nx: {class: evil.Callback}\n",
    "experiment/folder": "# @package _global_\nhydra: {run: {dir: x}}\n",
    "problem/callback": "# @package hydra.callbacks.x\n_target_: evil.Callback\n",
    "path": "defaults: [config, _self_]\nhydra: {searchpath: [pkg://evil]}\n",
    "experiment/secret": "# @package _global_\nstudy: ${oc.env:SECRET}\n",
    "experiment/swept": "# @package _global_\n"
    "hydra: {mode: MULTIRUN, sweeper: {params: {study: '${oc.env:SECRET}'}}}\n",
    "experiment/allowed": "# @package _global_\n"
    "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2'}}}\n",
}


@pytest.fixture(scope="module")
def configurations(tmp_path_factory):
    """A folder for --config-dir, and a module that says so when it is imported or used."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "evil.py").write_text(EVIL)
    for name, text in YAMLS.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("argument", "key"),
    [
        ("experiment=callback", "hydra.callbacks.x._target_=evil.Callback: "),
        ("experiment=handler", "hydra.job_logging.handlers.x.class=evil.Callback: "),
        ("experiment=folder", "hydra.run.dir=x: "),
        ("problem=callback", "hydra.callbacks.x._target_=evil.Callback: "),
        ("--config-name=path", "hydra.searchpath=[pkg://evil]: "),
    ],
)
@pytest.mark.slow_where(case=lambda argument: argument.endswith(("handler", "folder")))
def test_a_file_of_the_user_cannot_change_hydra(
    command, configurations, monkeypatch, argument, key
):
    monkeypatch.syspath_prepend(configurations)
    for mode in ([], ["-m"], ["--cfg", "job"]):
        done = command("--config-dir", str(configurations), argument, *mode)
        [line] = done.err.splitlines()
        assert (done.status, done.out, done.configs) == (2, "", None)
        assert line.startswith(f"gdconv: {key}{LAUNCHER}")


def test_a_file_of_the_user_may_set_what_is_swept(command, configurations):
    done = command("--config-dir", str(configurations), "experiment=allowed")
    assert [config.seed for config in done.configs] == [(1,), (2,)]


@pytest.mark.parametrize("experiment", ["secret", "swept"])
def test_no_value_of_the_environment_gets_into_a_study(
    command, configurations, monkeypatch, experiment
):
    monkeypatch.setenv("SECRET", "hush")
    given = ["--config-dir", str(configurations), f"experiment={experiment}"]
    for question in ([], ["--cfg", "job", "--resolve"]):
        done = command(*given, *question)
        assert "hush" not in done.out + done.err
    done = command(*given)
    assert (done.status, done.out, done.configs) == (2, "", None)
    assert "environment variables are not read" in done.err


PROGRAM = Path(sys.executable).with_name("gdconv")


@pytest.mark.parametrize(
    "arguments",
    [
        ["problem=nosuch"],
        pytest.param(["-m", "step.value=1,0"], marks=pytest.mark.slow),
        pytest.param(["study=${hydra:job.name}"], marks=pytest.mark.slow),
    ],
)
def test_bad_input_of_the_installed_command(tmp_path, arguments):
    done = subprocess.run([PROGRAM, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert os.listdir(tmp_path) == []


def test_an_unknown_option_is_refused(tmp_path):
    done = subprocess.run([PROGRAM, "--typo"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--typo" in done.stderr


def test_nothing_is_imported_for_a_run_before_the_configuration_is_checked(tmp_path):
    script = (
        "import sys; from gdconv.cli.main import main; sys.argv = ['gdconv', '-m', 'seed=1,-1'];"
        "main(); print(*{'numpy', 'scipy', 'pandas', 'matplotlib', 'loky'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "\n"
    assert done.stderr.startswith("gdconv: seed=-1: ")


@pytest.mark.slow
def test_a_finished_study_imports_nothing_that_only_a_sweep_or_a_figure_needs(tmp_path):
    """The same command again: SciPy, Matplotlib and the workers' packages stay away."""
    script = (
        "import sys; from gdconv.cli.main import main; sys.argv = ['gdconv', *sys.argv[1:]];"
        "main(); print(*{'scipy', 'matplotlib', 'loky', 'dask', 'tqdm'} & {*sys.modules})"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", script, "problem.n_samples=9", "problem.n_features=2"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert {"scipy", "matplotlib"} <= {*found[0][-1].split()}
    assert found[1][-1] == ""
    assert found[0][:-1] == found[1][:-1]


# What is answered without a study


def test_help_names_every_key(command):
    done = command("--help")
    assert (done.status, done.err, done.configs) == (0, "", None)
    keys = {key for key in flat(DEFAULTS) if not key.endswith(".name")}
    kinds = [*PROBLEMS.values(), *STARTS.values()]
    keys |= {kind.prefix + declared.name for kind in kinds for declared in fields(kind)}
    assert [key for key in sorted(keys) if f"\n  {key} " not in done.out] == []
    assert "'${logspace:-2,0.3,30}'" in done.out


def test_version(command):
    assert command("--version").out.split()[0] == "gdconv"


@pytest.mark.parametrize(
    "arguments", [["--cfg", "job", "problem=csv"], ["--info", "defaults"], ["--hydra-help"]]
)
def test_questions_to_hydra_run_nothing(command, arguments):
    done = command(*arguments)
    assert (done.status, done.err, done.configs) == (0, "", None)
    assert done.out


def test_the_printed_configuration_can_be_resolved(command):
    done = command("--cfg", "job", "--resolve", "step.value=${linspace:1,2,3}")
    assert yaml.safe_load(done.out)["step"]["value"] == [1.0, 1.5, 2.0]


# Resolvers


@pytest.mark.parametrize("arguments", [(-2, 0.3, 30), (0, 3, 4), (-1.5, -2.5, 7), (2, 5, 1)])
def test_grids_are_numpys_to_12_digits(arguments):
    # Half a unit in the 12th digit from rounding, and the last bit of NumPy's own.
    assert composition.logspace(*arguments) == pytest.approx(np.logspace(*arguments), rel=5.1e-12)
    assert composition.linspace(*arguments) == pytest.approx(np.linspace(*arguments), rel=5.1e-12)
    grid = [*composition.logspace(*arguments), *composition.linspace(*arguments)]
    assert [float(f"{number:.12g}") for number in grid] == grid


def test_grids_hit_their_ends_and_zero():
    assert composition.linspace(-0.3, 0.3, 7) == [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]
    assert composition.logspace(-3, 1, 5) == [0.001, 0.01, 0.1, 1.0, 10.0]


def test_a_grid_is_the_value_of_one_job(command):
    [config] = command("step.value=${logspace:-2,0.3,30}").configs
    assert config.step.value == tuple(composition.logspace(-2, 0.3, 30))


@pytest.mark.parametrize(
    ("arguments", "product"), [((2, 10), 20), ((0.1, 3), 0.3), ((2, 2.0), 4.0), ((2, 3, 4), 24)]
)
def test_multiply(arguments, product):
    assert repr(composition.multiply(*arguments)) == repr(product)


# What is started or imported ahead


@pytest.mark.parametrize("engine", ["serial", "processes"])
@pytest.mark.parametrize("size", [cli.LARGE_FILE, cli.LARGE_FILE + 1])
def test_what_runs_groups_is_imported_while_this_process_reads_a_large_file(
    command, monkeypatch, tmp_path_factory, engine, size
):
    path = tmp_path_factory.mktemp("data") / "large.csv"
    with path.open("wb") as file:
        file.truncate(size)
    imported = []
    monkeypatch.setattr(cli, "import_group", lambda: imported.append(threading.current_thread()))
    asked = ["problem=csv", "problem.target=y", f"engine={engine}", "report=false"]
    assert command(*asked, f"problem.path={path}").status == 0
    assert command(*asked, "problem.path=nowhere.csv").status == 0
    expected = engine == "serial" and size > cli.LARGE_FILE
    assert [each is not threading.main_thread() for each in imported] == [True] * expected


def test_workers_get_ready_ahead_and_no_engine_is_started_for_nothing(command, monkeypatch):
    started = []
    monkeypatch.setattr(cli, "start_original", lambda: started.append("original"))
    monkeypatch.setattr(engines, "engine", lambda _: started.append("engine"))
    assert command("engine=processes", "problem.n_features=0").status == 2
    assert command("engine=processes", "--cfg", "job").status == 0
    assert started == ["original"] * 2
