"""What to run: a `RunConfig`, which `expand` turns into its `Run`s.

There is a run for each combination of the lists of a RunConfig.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any

from gdconv.config.pairs import combined, number_of_combinations, pairs_of_keys, refuse_unequal
from gdconv.config.problems import PROBLEMS, Columns, Gaussian, Problem
from gdconv.config.rules import (
    ConfigError,
    Section,
    integer,
    key,
    nearest,
    one_or_more,
    refuse_other,
    typed,
)
from gdconv.config.sections import METHODS, STARTS, Iterated, Record, Start, Step, Zeros

_PAIR = (
    "keys whose values are taken together, the first with the first and the second with the second,"
    " instead of in every combination: `pair=[step.value,method.momentum]`"
)


@dataclass(frozen=True)
class RunConfig(Section):
    """What to run. Some keys may be lists, see `lists`; each combination of elements is a run."""

    problem: Problem = field(default_factory=Gaussian, metadata={"meaning": "family of problems"})
    start: Start = field(default_factory=Zeros, metadata={"meaning": "the start w₀"})
    method: Iterated = field(
        default_factory=lambda: METHODS["gradient_descent"](), metadata={"meaning": "the method"}
    )
    step: Step = field(default_factory=Step)
    record: Record = field(default_factory=Record)
    # pandas and spreadsheets read larger numbers than 2**63 - 1 no longer as integers.
    seed: tuple[int, ...] = key(
        0, one_or_more(integer(0, 2**63 - 1)), "seed of the random numbers, or a list"
    )
    repetitions: int = key(1, integer(1, 10**6), "independent draws of the problem for each seed")
    pair: tuple[tuple[str, ...], ...] = key((), pairs_of_keys, _PAIR)

    def __post_init__(self) -> None:
        """Parse the keys; refuse a pair whose lists do not fit, and a problem that is too large."""
        super().__post_init__()
        self._refuse_other_parts()
        if (columns := getattr(self.problem, "n_features", None)) is not None:
            self.method.refuse_size(columns)
        for pair in self.pair:
            counts = {each: len(values) for each, values in self.lists.items()}
            for each in pair:
                if each not in counts:
                    allowed = (
                        f"{each} cannot be a list here, but {', '.join(counts)} can; other keys are"
                        f" paired if they are swept over with -m{nearest(each, counts)}"
                    )
                    raise ConfigError("pair", pair, allowed)
            refuse_unequal(pair, counts)
        self.problem.refuse(self.start, self.method)
        units = self.problem.units or self.method.units
        if self.method.takes_step and self.step_unit not in units:
            whose = self.problem if self.problem.units else self.method
            known = f"{whose.prefix.rstrip('.')}={whose.name}; it takes {', '.join(units)}"
            raise ConfigError("step.unit", self.step_unit, f"is not known for {known}")

    def _refuse_other_parts(self) -> None:
        """Raise ConfigError for an array, a name or a class in the place of a section."""
        groups: tuple[tuple[str, Any, Mapping[str, type[Section]], str], ...] = (
            ("problem", Problem, PROBLEMS, "Gaussian"),
            ("start", Start, STARTS, "Zeros"),
            ("method", Iterated, METHODS, "GradientDescent"),
        )
        for name, kind, choices, usual in groups:
            value = getattr(self, name)
            of_name = choices.get(value) if isinstance(value, str) else value
            meant = of_name.__name__ if isinstance(of_name, type) else usual
            also = "; data are run by run_study(LeastSquares(X, y))" if name == "problem" else ""
            refuse_other(name, value, kind, f"a {name} of gdconv, as {meant}(){also}")
        refuse_other("step", self.step, Step, "a Step, as Step(value=[0.5,1.0])")
        refuse_other("record", self.record, Record, "a Record, as Record(points=60)")

    @property
    def step_unit(self) -> str:
        """The step.unit that is given, or the usual one of the problem."""
        return self.step.unit or self.problem.usual_unit

    @property
    def lists(self) -> dict[str, tuple[Any, ...]]:
        """The values of each key that may be a list."""
        of_method = {
            self.method.prefix + name: value
            for name, value in self.method.options.items()
            if isinstance(value, tuple)
        }
        return {"seed": self.seed, **of_method, "step.value": self.step.value}


@dataclass(frozen=True)
class Run:
    """One trajectory: a RunConfig with one seed, one repetition, one step size and one method.

    step_unit and step_value are None if the method takes no step size.
    """

    problem: Problem
    start: Start
    method: Iterated
    record: Record
    seed: int
    repetition: int
    step_unit: str | None
    step_value: float | None
    # The hash of the problem's file at the time of planning; None without a file.
    content: str | None = None


def expand(config: RunConfig, content: str | None = None) -> Iterator[Run]:
    """Return the runs of a configuration; the step size varies fastest. content: see `Run`."""
    methods: dict[tuple[Any, ...], Iterated] = {}
    seeds, *lists = _lists(config).items()
    draws = dict([seeds, ("repetitions", range(config.repetitions)), *lists])
    for seed, repetition, *of_method, value in combined(draws, config.pair):
        options = tuple(of_method)
        if options not in methods:
            methods[options] = _with_options(config, options)
        yield Run(
            config.problem,
            config.start,
            methods[options],
            config.record,
            seed,
            repetition,
            None if value is None else config.step_unit,
            value,
            content,
        )


def number_of_runs(config: RunConfig) -> int:
    """Return how many runs `expand` returns, without making them."""
    return number_of_combinations(_lists(config), config.pair) * config.repetitions


def _lists(config: RunConfig) -> dict[str, tuple[Any, ...]]:
    """The lists of a configuration, without step sizes if its method takes none."""
    if config.method.takes_step:
        return config.lists
    return config.lists | {"step.value": (None,) * len(config.step.value)}


def _with_options(config: RunConfig, options: tuple[Any, ...]) -> Iterated:
    """The method with one value of each of its lists."""
    method = copy(config.method)
    _, *keys, _ = config.lists
    for each, value in zip(keys, options, strict=True):
        # Not parsed again, because the rule would make a list of the value.
        object.__setattr__(method, each.removeprefix(method.prefix), value)
    return method


def problem_options(problem: Problem) -> str:
    """Return the keys of a problem that have no column of their own, as KEY=VALUE words.

    The path of a file is left out, because files are compared by content, and so are the keys of
    `Columns` that have their default.
    """
    shown = {"n_samples", "n_features", "noise", "path"}
    usual = {each.name: each.default for each in fields(Columns)} | {"intercept": True}
    return _as_words(
        {
            name: value
            for name, value in problem.options.items()
            if name not in shown and value != usual.get(name, ...)
        }
    )


# Keys of methods that are not told as long as they have their defaults.
QUIET = ("restart", "reorthogonalize", "exact_budget")


def method_options(method: Iterated) -> str:
    """Return the keys that only this method has, as KEY=VALUE words.

    A number as momentum is left out, because it has a column of its own, and what is not changed of
    `QUIET`.
    """
    usual = {each.name: each.default for each in fields(method) if each.name in QUIET}
    shown = {"momentum": constant_momentum(method)} | usual
    return _as_words(
        {name: value for name, value in method.options.items() if value != shown.get(name)}
    )


def constant_momentum(method: Iterated) -> float | None:
    """Return the momentum that was asked for; None if it was not a number."""
    momentum = method.options.get("momentum")
    return momentum if isinstance(momentum, float) else None


def _as_words(values: Mapping[str, Any]) -> str:
    # `typed` would shorten names, but every character of a name counts.
    return " ".join(
        f"{name}={' '.join(value.split()) if isinstance(value, str) else typed(value)}"
        for name, value in values.items()
    )


def identity(section: Section) -> dict[str, Any]:
    """Return name and values of a section, as its part of a run's identity.

    A block_rows that was not asked for is left out: it follows from the others.
    """
    values = {name: value for name, value in vars(section).items() if name != "block_rows" or value}
    return {"name": section.name, **values}
