"""Lists that are taken together: which combinations there are, and how a RunConfig pairs lists."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdconv.config.mapping import from_mapping, to_mapping
from gdconv.config.pairs import combined, number_of_combinations
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig, expand, number_of_runs
from gdconv.config.sections import Step
from gdconv.experiment.identity import run_ids
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall

PAIR = ["step.value", "method.momentum"]


@st.composite
def lists_and_pairs(draw):
    """Up to five lists of at most three values, and how they are put together."""
    keys = draw(st.permutations("abcde"))[: draw(st.integers(1, 5))]
    of_pair = {key: draw(st.integers(0, 2)) for key in keys}
    lengths = draw(st.tuples(*[st.integers(1, 3)] * 3))
    pairs, lists = [], {}
    for number in range(3):
        members = [key for key in keys if of_pair[key] == number]
        if len(members) > 1:
            pairs.append(tuple(draw(st.permutations(members))))
    for key in sorted(keys):
        together = any(key in pair for pair in pairs)
        length = lengths[of_pair[key]] if together else draw(st.integers(1, 3))
        lists[key] = draw(st.lists(st.integers(0, 2), min_size=length, max_size=length))
    return lists, tuple(pairs)


@given(lists_and_pairs())
def test_combinations_are_those_of_the_product_in_which_pairs_have_equal_places(case):
    lists, pairs = case
    keys, expected = list(lists), set()
    for places in product(*(range(len(lists[key])) for key in keys)):
        place = dict(zip(keys, places, strict=True))
        if all(len({place[key] for key in pair}) == 1 for pair in pairs):
            expected.add(tuple(lists[key][place[key]] for key in keys))
    found = list(combined(lists, pairs))
    assert set(found) == expected
    assert len(found) == len(expected) == number_of_combinations(lists, pairs)


def pairs_of(config):
    runs = expand(config)
    return [(run.seed, run.repetition, run.step_value, run.method.momentum) for run in runs]


def test_a_run_config_takes_the_lists_of_a_pair_together():
    heavy_ball = HeavyBall(momentum=[0.9, "optimal", 0.9])
    config = RunConfig(
        method=heavy_ball, step=Step(value=[1, 1, 2]), seed=[3, 4], repetitions=2, pair=PAIR
    )
    expected = [
        (seed, repetition, *both)
        for seed, repetition in product([3, 4], [0, 1])
        for both in [(1.0, 0.9), (1.0, "optimal"), (2.0, 0.9)]
    ]
    assert sorted(pairs_of(config), key=str) == sorted(expected, key=str)
    assert number_of_runs(config) == 12


def test_three_keys_and_two_pairs():
    heavy_ball = HeavyBall(momentum=[0.1, 0.2])
    step = Step(value=[0.5, 1.0])
    config = RunConfig(method=heavy_ball, step=step, seed=[3, 4], pair=[*PAIR, "seed"])
    assert pairs_of(config) == [(3, 0, 0.5, 0.1), (4, 0, 1.0, 0.2)]
    chebyshev = Chebyshev(lower=[1, 2], upper=[1.5, 2.5])
    pair = [["method.upper", "method.lower"], ["seed", "step.value"]]
    runs = list(expand(RunConfig(method=chebyshev, step=step, seed=[3, 4], pair=pair)))
    # It takes no step size, so seed is left alone in the second pair.
    assert [(run.seed, run.method.lower, run.method.upper) for run in runs] == [
        *((seed, *ends) for seed in (3, 4) for ends in [(1.0, 1.5), (2.0, 2.5)])
    ]


def test_without_a_pair_every_combination_is_one_run_and_repeats_are_none():
    config = RunConfig(
        method=HeavyBall(momentum=[0.5, 0.9, 0.5]), step=Step(value=[1, 1, 2]), seed=[7, 7]
    )
    expected = list(product([7], [0], [1.0, 2.0], [0.5, 0.9]))
    assert sorted(pairs_of(config)) == expected
    assert number_of_runs(config) == 4


def test_a_run_does_not_depend_on_the_pair_that_asked_for_it():
    heavy_ball = HeavyBall(momentum=[0.5, 0.9])
    paired = RunConfig(method=heavy_ball, step=Step(value=[1, 2]), pair=PAIR)
    alone = [
        RunConfig(method=HeavyBall(momentum=momentum), step=Step(value=step))
        for step, momentum in [(1, 0.5), (2, 0.9)]
    ]
    expected = [run for config in alone for run in expand(config)]
    assert run_ids(list(expand(paired))) == run_ids(expected)


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_no_pair(nothing):
    assert RunConfig(pair=nothing) == RunConfig()
    assert to_mapping(RunConfig(pair=nothing))["pair"] == []


def test_a_pair_becomes_a_list_in_a_mapping_and_back():
    heavy_ball, step = HeavyBall(momentum=[0.5, 0.9]), Step(value=[1, 2])
    one = RunConfig(method=heavy_ball, step=step, pair=PAIR)
    assert one == RunConfig(method=heavy_ball, step=step, pair=[PAIR])
    chebyshev, two = Chebyshev(lower=[1, 2], upper=[1, 2]), [["seed", "step.value"]]
    two += [["method.lower", "method.upper"]]
    several = RunConfig(method=chebyshev, step=step, seed=[1, 2], pair=two)
    for config, pair in [(one, PAIR), (several, two)]:
        assert to_mapping(config)["pair"] == pair
        assert from_mapping(to_mapping(config))[0] == config


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("step.value", "pair=step.value: must be a list of two or more different keys"),
        (["step.value"], r"pair=[step.value]: must be a list of two"),
        ([["step.value"]], "must be a list of two"),
        ([[]], "must be a list of two"),
        (["seed", "seed"], "two or more different keys"),
        ([PAIR, ["seed", "step.value"]], "two or more different keys"),
        ([PAIR, "seed"], "must be a list of two"),
        ([1, 2], "must be a list of two"),
        (3, "must be a list of two"),
        (PAIR, "values, at least 2; step.value has 2 values, method.momentum has 3 values"),
        (["step.value", "seed"], "step.value has 2 values, seed has 1 value"),
        (["step.value", "method.first_step"], "method.first_step cannot be a list here, but seed,"),
        (["step.value", "repetitions"], "repetitions cannot be a list here"),
    ],
)
def test_a_pair_that_cannot_be_is_refused(pair, says):
    heavy_ball = HeavyBall(momentum=[0.1, 0.2, 0.3])
    with pytest.raises(ConfigError) as caught:
        RunConfig(method=heavy_ball, step=Step(value=[1, 2]), pair=pair)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pair_needs_keys_of_the_method():
    with pytest.raises(ConfigError, match=r"momentum cannot be a list here, but seed, step.value"):
        RunConfig(method=GradientDescent(), step=Step(value=[1, 2]), pair=PAIR)
