"""Sweeps over methods and their keys: which runs there are, and that lists and sweeps agree."""

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from gdconv.cli import main as cli

SMALL = ["problem.n_samples=12", "problem.n_features=3", "method.iterations=20", "report=false"]
PAIR = "pair=[step.value,method.momentum]"
TABLES = "runs.csv", "curves.csv", "eigenvalues.csv"


def tables_of(study):
    return [(Path("results") / study / name).read_bytes() for name in TABLES]


def runs_of(study):
    return pd.read_csv(Path("results") / study / "runs.csv")


def jobs_of(configs, *keys):
    """What the configurations have under dotted keys; None where the method has no such key."""

    def value(config, key):
        for part in key.split("."):
            config = getattr(config, part, None)
        return config[0] if isinstance(config, tuple) and len(config) == 1 else config

    return [tuple(value(config, key) for key in keys) for config in configs]


# A list in one job, and a sweep


@pytest.mark.parametrize(
    ("method", "values", "count"),
    [
        ("heavy_ball", {"method.momentum": "0,0.5,0.9"}, 3),
        ("heavy_ball", {"method.momentum": "optimal,0.5"}, 2),
        ("nesterov", {"method.momentum": "convex,0,optimal", "step.value": "0.5,1"}, 6),
        ("chebyshev", {"method.lower": "0.5,1", "method.upper": "1,1.1", "seed": "1,2"}, 8),
    ],
)
@pytest.mark.slow_where(case=lambda method: method == "nesterov")
@pytest.mark.slow_where(case=lambda count: count == 2)
def test_a_list_and_a_sweep_give_the_same_bytes(gdconv, method, values, count):
    asked = [f"method={method}", *SMALL]
    lists = [f"{key}=[{value}]" for key, value in values.items()]
    assert gdconv(*asked, *lists, "study=list")[0] == 0
    swept = [f"{key}={value}" for key, value in values.items()]
    assert gdconv("-m", *asked, *swept, "study=sweep")[0] == 0
    assert tables_of("list") == tables_of("sweep")
    assert runs_of("list").run_id.nunique() == count


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"step.value": "0.5,1", "method.momentum": "0.5,0.9"}, marks=pytest.mark.slow),
        {"step.value": "0.5,1,1", "method.momentum": "optimal,0.9,0.5", "seed": "1,2,2"},
    ],
)
def test_a_pair_of_lists_and_of_sweeps_gives_the_same_bytes(gdconv, values):
    """And so do commands of a single run each, which know nothing of pairs."""
    pair = f"pair=[{','.join(values)}]"
    asked = ["method=heavy_ball", *SMALL]
    lists = [f"{key}=[{value}]" for key, value in values.items()]
    assert gdconv(*asked, pair, *lists, "study=list")[0] == 0
    swept = [f"{key}={value}" for key, value in values.items()]
    assert gdconv("-m", *asked, *swept, pair, "study=sweep")[0] == 0
    for each in zip(*(value.split(",") for value in values.values()), strict=True):
        alone = [f"{key}={value}" for key, value in zip(values, each, strict=True)]
        assert gdconv(*asked, *alone, "study=alone")[0] == 0
    assert tables_of("list") == tables_of("sweep") == tables_of("alone")


# Keys that only some choices have


def test_gradient_descent_is_run_once_beside_two_momenta(gdconv):
    asked = ["-m", "method=gradient_descent,heavy_ball", "method.momentum=0.5,0.9"]
    assert gdconv(*asked, *SMALL)[0] == 0
    runs = runs_of("scratch")
    found = sorted(zip(runs.method, runs.momentum.fillna(-1), strict=True))
    assert found == [("gradient_descent", -1), ("heavy_ball", 0.5), ("heavy_ball", 0.9)]
    jobs = gdconv(*asked, composed=True)
    assert jobs_of(jobs, "method.name", "method.momentum") == [
        ("gradient_descent", None),
        ("heavy_ball", 0.5),
        ("heavy_ball", 0.9),
    ]


@pytest.mark.parametrize(
    ("arguments", "keys", "jobs"),
    [
        (
            ["method=nesterov,gradient_descent", "method.momentum=0.5"],
            ["method.name", "method.momentum"],
            [("nesterov", 0.5), ("gradient_descent", None)],
        ),
        (
            ["method.first_step=averaged,full", "method=nesterov,heavy_ball", "seed=1,2"],
            ["method.name", "method.first_step", "seed"],
            [
                *(("nesterov", None, seed) for seed in (1, 2)),
                *(("heavy_ball", first, seed) for first in ("averaged", "full") for seed in (1, 2)),
            ],
        ),
        (
            ["problem=gaussian,spectrum", "problem.condition_number=5,50", "problem.noise=2"],
            ["problem.name", "problem.condition_number", "problem.noise"],
            [("gaussian", None, 2.0), ("spectrum", 5.0, 2.0), ("spectrum", 50.0, 2.0)],
        ),
        (
            ["start=zeros,normal,eigenvector", "start.radius=1,2", "start.which=min"],
            ["start.name", "start.radius", "start.which"],
            [
                ("zeros", None, None),
                *(("normal", radius, None) for radius in (1.0, 2.0)),
                *(("eigenvector", radius, "min") for radius in (1.0, 2.0)),
            ],
        ),
        (
            ["method=gradient_descent,heavy_ball", "start=zeros,normal", "start.radius=3"],
            ["method.name", "start.name", "start.radius"],
            [
                (method, *start)
                for method in ("gradient_descent", "heavy_ball")
                for start in (("zeros", None), ("normal", 3.0))
            ],
        ),
    ],
)
@pytest.mark.slow_where(case=lambda keys: len(keys) == 2 or keys[-1] == "start.radius")
def test_a_key_is_left_out_where_a_choice_does_not_have_it(gdconv, arguments, keys, jobs):
    assert jobs_of(gdconv("-m", *arguments, composed=True), *keys) == jobs


@pytest.mark.parametrize("other", ["problem.n_features=3,4", "method.momentum=0.5,0.9"])
def test_a_key_of_some_choices_keeps_a_list_made_by_a_function(gdconv, other):
    grid = "step.value=${linspace:0.5,1.5,3}"
    configs = gdconv("-m", "method=heavy_ball", other, grid, composed=True)
    assert [config.step.value for config in configs] == [(0.5, 1.0, 1.5)] * 2


@pytest.mark.slow
def test_an_experiment_s_sweep_pair_and_keys(gdconv, tmp_path_factory):
    """The sweep, the pair and the keys that an experiment brings along, in its params or above."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "experiment").mkdir()
    texts = {
        "params": "method: {first_step: averaged}\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {method: 'heavy_ball,gradient_descent',"
        " method.momentum: '0.5,0.9'}}}\n",
        "pair": "pair: [method, step.value]\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {method: 'heavy_ball,gradient_descent',"
        " step.value: '0.7,1.9'}}}\n",
        "lists": "defaults: [override /method: heavy_ball]\nmethod: {momentum: [0.1, 0.2]}\n"
        "step: {value: [0.5, 1.5]}\npair: [step.value, method.momentum]\n",
    }
    for name, text in texts.items():
        (folder / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    given = ["--config-dir", str(folder)]
    keys = "method.name", "method.momentum", "method.first_step", "step.value"
    params = [
        *(("heavy_ball", momentum, "averaged", 1.0) for momentum in (0.5, 0.9)),
        ("gradient_descent", None, None, 1.0),
    ]
    optimal = "optimal", "full"
    pair = [("heavy_ball", *optimal, 0.7), ("gradient_descent", None, None, 1.9)]
    assert jobs_of(gdconv(*given, "experiment=params", composed=True), *keys) == params
    assert jobs_of(gdconv(*given, "experiment=pair", composed=True), *keys) == pair
    both = gdconv(*given, "-m", "experiment=params,pair", "study=s", composed=True)
    assert jobs_of(both, *keys) == params + pair
    # On the command line the methods stand before the experiment, which brings the pair.
    arguments = ["-m", "method=nesterov,chebyshev", "step.value=1,2", "experiment=pair,lists"]
    swept = gdconv(*given, *arguments, "study=s", "pair=[method,step.value]", composed=True)
    assert (
        jobs_of(swept, "method.name", "step.value") == [("nesterov", 1.0), ("chebyshev", 2.0)] * 2
    )
    lists = gdconv(*given, "-m", "experiment=lists", "method=heavy_ball,chebyshev", composed=True)
    assert jobs_of(lists, "method.name", "step.value", "pair") == [
        ("heavy_ball", (0.5, 1.5), ("step.value", "method.momentum")),
        ("chebyshev", (0.5, 1.5), ()),
    ]


# Keys that are swept over together


@pytest.mark.parametrize(
    ("arguments", "keys", "jobs"),
    [
        (
            ["seed=1,2", "problem.n_features=3,4", "pair=[seed,problem.n_features]"],
            ["seed", "problem.n_features"],
            [(1, 3), (2, 4)],
        ),
        (
            [
                *("problem.n_samples=9,8,7", "problem.n_features=range(2,5)", "problem.noise=0,1"),
                *("seed=1,1,2", "pair=[problem.n_features,seed,problem.n_samples]"),
            ],
            ["problem.n_samples", "problem.n_features", "seed", "problem.noise"],
            [(*each, noise) for each in [(9, 2, 1), (8, 3, 1), (7, 4, 2)] for noise in (0.0, 1.0)],
        ),
        (
            [
                *("seed=1,2", "repetitions=3,4", "problem.noise=0,1", "record.points=8,9"),
                "pair=[[seed,repetitions],[record.points,problem.noise]]",
            ],
            ["seed", "repetitions", "problem.noise", "record.points"],
            [(*left, *right) for left, right in product([(1, 3), (2, 4)], [(0.0, 8), (1.0, 9)])],
        ),
        (
            ["method=heavy_ball,gradient_descent", "step.value=1,1.9", "pair=[step.value,method]"],
            ["method.name", "step.value"],
            [("heavy_ball", 1.0), ("gradient_descent", 1.9)],
        ),
        (
            [
                *("problem=gaussian,spectrum", "start=zeros,normal", "seed=5,6"),
                *("problem.condition_number=10", "pair=[problem,start,seed]"),
            ],
            ["problem.name", "start.name", "seed", "problem.condition_number"],
            [("gaussian", "zeros", 5, None), ("spectrum", "normal", 6, 10.0)],
        ),
        (
            ["method=gradient_descent,heavy_ball", "step.value=1,2", "method.momentum=0,0.5", PAIR],
            ["method.name", "step.value", "method.momentum"],
            [
                *(("gradient_descent", step, None) for step in (1.0, 2.0)),
                *(("heavy_ball", 1.0, 0.0), ("heavy_ball", 2.0, 0.5)),
            ],
        ),
        (
            ["step.value=[1,2],[3,4]", "seed=1,2", "pair=[step.value,seed]"],
            ["step.value", "seed"],
            [((1.0, 2.0), 1), ((3.0, 4.0), 2)],
        ),
    ],
)
@pytest.mark.slow_where(case=lambda keys: keys == ["method.name", "step.value"])
def test_keys_swept_together(gdconv, arguments, keys, jobs):
    for order in (arguments, arguments[::-1]):
        found = gdconv("-m", *order, composed=True)
        assert sorted(jobs_of(found, *keys), key=str) == sorted(jobs, key=str)
        assert {config.pair for config in found} == {()}


def test_more_values_than_may_be_multiplied_can_be_paired(gdconv):
    asked = ["-m", "seed=range(0,400)", "repetitions=range(1,401)", "pair=[seed,repetitions]"]
    jobs = gdconv(*asked, composed=True)
    assert jobs_of(jobs, "seed", "repetitions") == [(seed, seed + 1) for seed in range(400)]


def test_a_list_in_one_job_loses_its_pair_where_a_method_lacks_the_key(gdconv):
    lists = ["step.value=[1,2]", "method.momentum=[0,0.5]", PAIR]
    found = gdconv("-m", "method=gradient_descent,heavy_ball", *lists, composed=True)
    assert jobs_of(found, "method.name", "pair") == [
        ("gradient_descent", ()),
        ("heavy_ball", ("step.value", "method.momentum")),
    ]


# What a run itself refuses or ignores

NO_STEP = "method=chebyshev: takes no step size, so step.value and step.unit have no effect on it"


@pytest.mark.parametrize(
    "arguments",
    [
        ["method=chebyshev", "step.value=[0.5,1,1.5]"],
        ["-m", "method=chebyshev", "step.value=0.5,1"],
        ["-m", "method=chebyshev", "step.unit=K,optimal"],
        ["-m", "method=chebyshev,gradient_descent", "step.value=0.5,1"],
    ],
)
@pytest.mark.slow_where(case=lambda arguments: "K" in arguments[-1] or "[" in arguments[-1])
def test_a_method_without_a_step_is_run_once_and_says_so_once(gdconv, arguments):
    """Nothing is said beside a method that takes the step."""
    status, told = gdconv(*arguments, *SMALL)
    assert (status, told.count(NO_STEP)) == (0, "gradient_descent" not in arguments[1])
    runs = runs_of("scratch")
    chebyshev = runs[runs.method == "chebyshev"]
    assert len(chebyshev) == 1
    assert (
        chebyshev[["step_unit", "step_value", "step_size", "relative_step"]].isna().all(axis=None)
    )
    assert len(runs) == (3 if "gradient_descent" in arguments[1] else 1)


def test_no_notice_where_no_step_is_asked_for(gdconv):
    status, told = gdconv("method=chebyshev", *SMALL)
    assert (status, NO_STEP in told) == (0, False)


# λmax/λ⁺min is prescribed, and heavy ball's best momentum is 1 at the step size 4/λmax.
DOUBTFUL = [
    (
        ["method=chebyshev", "method.lower=200"],
        "method.lower=200.0: makes the interval empty: with method.upper=1 and λmax/λ⁺min = 25 it"
        " must be at most 25",
    ),
    (
        ["-m", "method=chebyshev", "method.lower=1,60", "method.upper=2"],
        "method.lower=60.0: makes the interval empty: with method.upper=2 and λmax/λ⁺min = 25 it"
        " must be at most 50",
    ),
    (
        ["method=heavy_ball", "step.value=[1,4]"],
        "method.momentum=optimal: is 1 or more for step.value=4 step.unit=lambda_max",
    ),
    (
        ["method=heavy_ball", "step.value=1.5", "step.unit=optimal"],
        "method.momentum=optimal: is 1 or more for step.value=1.5 step.unit=optimal",
    ),
]


@pytest.mark.parametrize(("arguments", "says"), DOUBTFUL, ids=lambda each: " ".join(each)[:40])
def test_what_does_not_fit_to_the_eigenvalues_is_refused_before_anything_is_run(
    gdconv, arguments, says
):
    problem = ["problem=spectrum", "problem.condition_number=25"]
    status, told = gdconv(*arguments, *SMALL, *problem)
    [line] = told.splitlines()
    assert status == 2
    assert line.startswith(f"gdconv: {says}")
    assert not Path("results").exists()


def test_what_just_fits_to_the_eigenvalues_is_run(gdconv):
    problem = ["problem=spectrum", "problem.condition_number=25"]
    for arguments in (
        ["method=chebyshev", "method.lower=24.99"],
        ["method=heavy_ball", "step.value=3.99"],
        ["method=heavy_ball", "step.value=4", "method.momentum=0.9"],
    ):
        assert gdconv(*arguments, *SMALL, *problem)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        *DOUBTFUL[:1],
        (["method=heavy_ball", "step.value=4"], "method.momentum=optimal: is 1 or more"),
        (
            ["method=heavy_ball", "method.momentum=[0.5,0.9]"],
            "method.momentum=[0.5,0.9]: must be one value, because a single run is checked",
        ),
        (
            ["method=heavy_ball", "method.momentum=[0.5,0.9]", "step.value=[1,2,3]", PAIR],
            "pair=[step.value,method.momentum]: must be keys with equally many values",
        ),
        (["method.momentum=0.5"], "method.momentum=0.5: is not a key of method=gradient_descent"),
        (
            ["method=nesterof"],
            "method=nesterof: must be one of barzilai_borwein, chebyshev, conjugate",
        ),
        (["repetitions=2"], "repetitions=2: must be one value"),
    ],
    ids=lambda each: " ".join(each)[:40],
)
def test_verify_refuses_it_in_the_same_words(gdconv, arguments, says):
    problem = ["problem=spectrum", "problem.condition_number=25"]
    status, told = gdconv(*arguments, *SMALL, *problem, command=cli.verify)
    [line] = told.splitlines()
    assert (status, line[: len(says) + 15]) == (2, f"gdconv-verify: {says}")
