"""The configuration's dataclasses: values are cast, checked, and refused by name."""

from dataclasses import fields

import numpy as np
import pytest

from gdconv.config.mapping import GROUPS, SECTIONS, declared_keys, flat, from_mapping, to_mapping
from gdconv.config.problems import PROBLEMS, Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.config.rules import ConfigError, typed
from gdconv.config.runs import RunConfig, expand, problem_options
from gdconv.config.sections import Eigenvector, Normal, Record, Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent


def test_values_are_cast_to_their_declared_types():
    problem = Gaussian(n_samples=1e2, n_features=np.int64(3), noise=1)
    assert (problem.n_samples, problem.n_features, problem.noise) == (100, 3, 1.0)
    assert type(problem.n_samples) is int
    assert type(problem.noise) is float
    assert Step(value=1).value == (1.0,)
    assert Step(value=np.array([0.5, 1.0])).value == (0.5, 1.0)


def test_every_key_is_listed_once_with_its_default():
    listed = {key.name: key for key in declared_keys()}
    assert len(listed) == len([*declared_keys()])
    kinds = [kind for choices in GROUPS.values() for kind in choices.values()]
    declared = {
        (kind.prefix + field.name, field.default, kind.name)
        for kind in (*kinds, *SECTIONS.values(), RunConfig, StudyConfig)
        for field in fields(kind)
        if "rule" in field.metadata
    }
    assert listed.keys() == {name for name, *_ in declared} | GROUPS.keys()
    defaults = flat(to_mapping(RunConfig()) | to_mapping(StudyConfig()))
    for name, default, kind in declared:
        if listed[name].default != ("" if default is None else typed(default)):
            _, _, others = listed[name].meaning.partition("; default of ")
            assert kind in others
            assert others.endswith(f": `{typed(default)}`")
    for name, choices in GROUPS.items():
        assert listed[name].default == defaults[f"{name}.name"]
        assert all(f"`{choice}`" in listed[name].meaning for choice in choices)


def test_a_key_says_which_choices_have_it():
    listed = {key.name: key for key in declared_keys()}
    assert listed["problem.degree"].meaning.startswith("polynomial: ")
    assert listed["problem.noise"].meaning == (
        "gaussian, correlated, spectrum, polynomial: standard deviation of the noise in y"
    )
    assert listed["start.radius"].meaning.startswith("normal: standard deviation of the entries")
    assert "; eigenvector: ‖w₀ − w*‖" in listed["start.radius"].meaning
    assert listed["engine.workers"].meaning.startswith("processes, dask: ")
    assert (listed["problem.noise"].unit, listed["step.value"].unit) == ("y", "step.unit")


def test_equal_configurations_are_equal_however_they_are_typed():
    assert RunConfig(Gaussian(noise=1), step=Step(value=2)) == RunConfig(
        Gaussian(noise=1.0), step=Step(value=[2.0])
    )


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        (Gaussian, {"n_features": 0}, ["problem.n_features=0", "from 1"]),
        (Gaussian, {"n_features": -3}, ["problem.n_features=-3", "from 1"]),
        (Gaussian, {"n_features": 2.5}, ["problem.n_features=2.5", "whole number"]),
        (Gaussian, {"n_features": True}, ["problem.n_features=true", "whole number"]),
        (Gaussian, {"n_features": "ten"}, ["problem.n_features=ten", "whole number"]),
        (Gaussian, {"n_features": None}, ["problem.n_features=null", "whole number"]),
        (Gaussian, {"n_features": 10**400}, ["problem.n_features=1000", "whole number"]),
        (Gaussian, {"n_features": float("inf")}, ["problem.n_features=inf", "whole number"]),
        (Gaussian, {"noise": -1.0}, ["problem.noise=-1.0", "at least 0"]),
        (Gaussian, {"noise": 10**400}, ["problem.noise=1000", "finite"]),
        (Gaussian, {"feature_mean": float("nan")}, ["problem.feature_mean=nan", "finite"]),
        (Correlated, {"correlation": 1}, ["problem.correlation=1", "less than 1"]),
        (Correlated, {"correlation": -1.0}, ["problem.correlation=-1.0", "greater than -1"]),
        (Prescribed, {"condition_number": 0.5}, ["problem.condition_number=0.5", "from 1 to"]),
        (Prescribed, {"condition_number": 1e19}, ["problem.condition_number=1e+19", "to 1e18"]),
        (Prescribed, {"profile": "flat"}, ["problem.profile=flat", "linear, geometric, power"]),
        (Polynomial, {"degree": -1}, ["problem.degree=-1", "from 0"]),
        (Normal, {"radius": 0}, ["start.radius=0", "from 1e-100"]),
        (Eigenvector, {"radius": 0}, ["start.radius=0", "from 1e-100"]),
        (Eigenvector, {"which": "middle"}, ["start.which=middle", "max, min"]),
        (Step, {"value": 0}, ["step.value=0", "from 1e-100"]),
        (Step, {"value": -1}, ["step.value=-1", "from 1e-100"]),
        (Step, {"value": []}, ["step.value=[]", "at least one"]),
        (Step, {"value": float("nan")}, ["step.value=nan", "from 1e-100"]),
        (Step, {"value": [1.0, None]}, ["step.value=[1.0,null]", "from 1e-100"]),
        (Step, {"value": "1.0"}, ["step.value=1.0", "finite number"]),
        (Step, {"unit": "bogus"}, ["step.unit=bogus", "lambda_max, optimal, absolute, K"]),
        (GradientDescent, {"iterations": -1}, ["method.iterations=-1", "from 1"]),
        (GradientDescent, {"tolerance": 1.0}, ["method.tolerance=1.0", "less than 1"]),
        (GradientDescent, {"reduce": "lu"}, ["method.reduce=lu", "qr, none"]),
        (Record, {"points": 1}, ["record.points=1", "from 2"]),
        (RunConfig, {"repetitions": 0}, ["repetitions=0", "from 1"]),
        (RunConfig, {"seed": -1}, ["seed=-1", "from 0"]),
        (Table, {}, ["problem.path=null", "path of a table"]),
        (Table, {"path": "a.csv"}, ["problem.target=null", "target's column"]),
        (Step, {"value": 5e-324}, ["step.value=5e-324", "from 1e-100"]),
        (Step, {"unit": "\x1b[31m"}, [r"step.unit=\x1b[31m"]),
        (StudyConfig, {"study": "../up"}, ["study=../up", "no /"]),
        (StudyConfig, {"study": ".."}, ["study=..", "no leading dot"]),
        (StudyConfig, {"study": "a\nb"}, ["study=a b", "printable"]),
        (StudyConfig, {"study": ""}, ["study=", "printable"]),
        (StudyConfig, {"report": "maybe"}, ["report=maybe", "true or false"]),
    ],
)
def test_refusals_name_key_value_and_what_is_allowed(section, values, words):
    with pytest.raises(ConfigError) as caught:
        section(**values)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_expand_makes_a_run_of_each_element():
    config = RunConfig(seed=[3, 4], repetitions=2, step=Step(value=[0.5, 1.0, 0.5]))
    runs = [(run.seed, run.repetition, run.step_value) for run in expand(config)]
    assert runs == [(s, r, v) for s in (3, 4) for r in (0, 1) for v in (0.5, 1.0)]


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(),
        RunConfig(Table(path="a.csv", target="y"), step=Step("K", [1.0, 2.0]), seed=[1, 2]),
    ],
)
def test_mapping_goes_there_and_back(config):
    study = StudyConfig(study="there", report=False)
    assert from_mapping(to_mapping(config) | to_mapping(study)) == (config, study)


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (Gaussian(feature_mean=2), "feature_mean=2.0"),
        (Correlated(), "correlation=0.9"),
        (Prescribed(condition_number=1e12), "condition_number=1000000000000.0 profile=geometric"),
        (Polynomial(), "degree=5"),
        (Table("/home/me/a.csv", "the price"), "target=the price standardize=false"),
    ],
)
def test_options_are_what_has_no_column(problem, options):
    assert problem_options(problem) == options


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"typo": 3}, ["typo=3", "is not a key", "repetitions"]),
        ({"problem": {"name": "gaussian", "typo": 3}}, ["problem.typo=3", "problem.n_samples"]),
        (
            {"problem": {"name": "gaussian", "path": "x"}},
            ["problem.path=x", "is not a key of problem=gaussian, but of problem=table"],
        ),
        ({"problem": {"name": "nosuch"}}, ["problem.name=nosuch", ", ".join(PROBLEMS)]),
        ({"problem": "gaussian"}, ["problem=gaussian", "must be one of"]),
        ({"step": 3}, ["step=3", "step.unit, step.value"]),
    ],
)
def test_unknown_keys_and_groups_are_refused(change, words):
    with pytest.raises(ConfigError) as caught:
        from_mapping(to_mapping(RunConfig()) | change)
    assert all(word in str(caught.value) for word in words), caught.value


def test_the_name_of_a_file_is_told_however_long_its_folder_is():
    path = "/folder" * 40 + "/part-1.csv"
    told = str(ConfigError("problem.path", path, "is empty"))
    assert told.startswith("problem.path=...")
    assert told.endswith("/folder/part-1.csv: is empty")
    assert str(ConfigError("study", "x" * 100, "is long")) == f"study={'x' * 77}...: is long"
