"""What a study is made of: plain dataclasses that refuse bad values when they are made.

A `RunConfig` says what to run, a `StudyConfig` where the results go and how. `expand` turns a
RunConfig into its `Run`s, one for each seed, repetition and step size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names key, value and what is allowed."""

    def __init__(self, key: str, value: Any, allowed: str) -> None:
        super().__init__(f"{key}={_shown(value)}: {allowed}")


def _shown(value: Any) -> str:
    """A value as one would type it on the command line, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(_shown(element) for element in value) + "]"
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True)
class Rule:
    """What one key accepts: `parse` returns the value in its declared type or raises ValueError."""

    parse: Callable[[Any], Any]
    allowed: str


def integer(low: int, high: int) -> Rule:
    """Whole numbers from low to high; 1e4 counts as one, 2.5 does not."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError
        if not isinstance(value, Integral) and not float(value).is_integer():
            raise ValueError
        if not low <= value <= high:
            raise ValueError
        return int(value)

    return Rule(parse, f"must be a whole number from {low} to {high}")


def real(accept: Callable[[float], bool], allowed: str) -> Rule:
    """Finite numbers for which accept(value) is true."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError
        number = float(value)
        if not (math.isfinite(number) and accept(number)):
            raise ValueError
        return number

    return Rule(parse, f"must be a finite number{allowed}")


def choice(*options: str) -> Rule:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in options:
            raise ValueError
        return value

    return Rule(parse, "must be one of " + ", ".join(options))


def one_or_more(rule: Rule) -> Rule:
    """A value or a non-empty list of values, kept as a tuple without repeats."""

    def parse(value: Any) -> tuple:
        if isinstance(value, str) or not isinstance(value, Iterable):
            value = [value]
        values = tuple(dict.fromkeys(rule.parse(element) for element in value))
        if not values:
            raise ValueError
        return values

    return Rule(parse, f"{rule.allowed}, or a list of at least one of them")


def _parse_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    return value


def _parse_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _parse_study(value: Any) -> str:
    # Hydra reads study=2024 as a number.
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str) or name != name.strip() or name.startswith("."):
        raise ValueError
    if not name or not name.isprintable() or set(name) & set("/\\") or len(name.encode()) > 200:
        raise ValueError
    return name


boolean = Rule(_parse_boolean, "must be true or false")
file_path = Rule(_parse_text, "must be the path of a CSV file with one header line")
column_name = Rule(_parse_text, "must be the name of the target's column")
folder_path = Rule(_parse_text, "must be the path of a folder")
study_name = Rule(
    _parse_study, "must be a folder's name: printable, no / or \\, no leading dot, up to 200 bytes"
)
positive = real(lambda value: value > 0, " greater than 0")
not_negative = real(lambda value: value >= 0, " of at least 0")
any_real = real(lambda value: True, "")
fraction = real(lambda value: 0 < value < 1, " greater than 0 and less than 1")


def key(default: Any, rule: Rule) -> Any:
    """Declare one configuration key: its default and what it accepts."""
    return field(default=default, metadata={"rule": rule})


class Section:
    """Base of the groups of keys below: every value is parsed by its rule when one is made.

    Raises ConfigError for the first value that its rule does not accept.
    """

    prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Parse every key that has a rule."""
        for declared in fields(self):
            rule = declared.metadata.get("rule")
            if rule is None:
                continue
            value = getattr(self, declared.name)
            try:
                parsed = rule.parse(value)
            except (ValueError, TypeError, OverflowError):
                raise ConfigError(self.prefix + declared.name, value, rule.allowed) from None
            object.__setattr__(self, declared.name, parsed)


@dataclass(frozen=True)
class Gaussian(Section):
    """Rows of independent normal features with a common mean, and a last column of ones."""

    prefix: ClassVar[str] = "problem."
    name: ClassVar[str] = "gaussian"
    n_samples: int = key(200, integer(1, 10**7))
    n_features: int = key(20, integer(1, 10**5))
    noise: float = key(1.0, not_negative)
    feature_mean: float = key(0.0, any_real)


@dataclass(frozen=True)
class Csv(Section):
    """The user's table: one column is the target, the others are features."""

    prefix: ClassVar[str] = "problem."
    name: ClassVar[str] = "csv"
    path: str = key(None, file_path)
    target: str = key(None, column_name)
    standardize: bool = key(False, boolean)


@dataclass(frozen=True)
class Zeros(Section):
    """w_0 = 0."""

    prefix: ClassVar[str] = "start."
    name: ClassVar[str] = "zeros"


@dataclass(frozen=True)
class GradientDescent(Section):
    """Plain gradient descent with a fixed step size (6)."""

    prefix: ClassVar[str] = "method."
    name: ClassVar[str] = "gradient_descent"
    iterations: int = key(2000, integer(1, 10**9))
    tolerance: float = key(1e-6, fraction)
    reduce: str = key("qr", choice("qr", "none"))


@dataclass(frozen=True)
class Step(Section):
    """Step sizes, each element of value a run of its own."""

    prefix: ClassVar[str] = "step."
    unit: str = key("lambda_max", choice("lambda_max", "optimal", "absolute", "K"))
    value: tuple[float, ...] = key(1.0, one_or_more(positive))


@dataclass(frozen=True)
class Record(Section):
    """Which iterations curves.csv keeps: log-spaced, 0 and the last always among them."""

    prefix: ClassVar[str] = "record."
    points: int = key(60, integer(2, 10**6))


@dataclass(frozen=True)
class Serial(Section):
    """The groups of a sweep are worked off one after the other, in this process."""

    prefix: ClassVar[str] = "engine."
    name: ClassVar[str] = "serial"


PROBLEMS = {kind.name: kind for kind in (Gaussian, Csv)}
STARTS = {kind.name: kind for kind in (Zeros,)}
METHODS = {kind.name: kind for kind in (GradientDescent,)}
ENGINES = {kind.name: kind for kind in (Serial,)}


@dataclass(frozen=True)
class RunConfig(Section):
    """What to run. seed and step.value may be lists; each element is its own run."""

    problem: Section = field(default_factory=Gaussian)
    start: Section = field(default_factory=Zeros)
    method: Section = field(default_factory=GradientDescent)
    step: Step = field(default_factory=Step)
    record: Record = field(default_factory=Record)
    # Above 2**63 - 1 a spreadsheet or pandas would no longer read the column as integers.
    seed: tuple[int, ...] = key(0, one_or_more(integer(0, 2**63 - 1)))
    repetitions: int = key(1, integer(1, 10**6))


@dataclass(frozen=True)
class StudyConfig(Section):
    """Where the results go and how they are made; no value in a table depends on it."""

    study: str = key("default", study_name)
    results_dir: str = key("results", folder_path)
    report: bool = key(True, boolean)
    engine: Section = field(default_factory=Serial)


@dataclass(frozen=True)
class Run:
    """One trajectory: a RunConfig with one seed, one repetition and one step size."""

    problem: Section
    start: Section
    method: Section
    record: Record
    seed: int
    repetition: int
    step_unit: str
    step_value: float


def expand(config: RunConfig) -> Iterator[Run]:
    """Return the runs of a configuration, step sizes innermost."""
    for seed in config.seed:
        for repetition in range(config.repetitions):
            for value in config.step.value:
                yield Run(
                    config.problem,
                    config.start,
                    config.method,
                    config.record,
                    seed,
                    repetition,
                    config.step.unit,
                    value,
                )


_GROUPS = {"problem": PROBLEMS, "start": STARTS, "method": METHODS, "engine": ENGINES}
_SECTIONS = {"step": Step, "record": Record}


def from_mapping(mapping: Mapping[str, Any]) -> tuple[RunConfig, StudyConfig]:
    """Check a nested mapping of all keys, as Hydra or YAML gives it.

    Raises
    ------
    ConfigError
        For an unknown key, a value that is not allowed, or a group that does not exist.
    """
    of_study = {declared.name for declared in fields(StudyConfig)}
    of_run = {declared.name for declared in fields(RunConfig)}
    _refuse_unknown(mapping, of_study | of_run, "")
    values = {name: _section(name, value) for name, value in mapping.items()}
    run = RunConfig(**{name: value for name, value in values.items() if name in of_run})
    return run, StudyConfig(**{name: value for name, value in values.items() if name in of_study})


def to_mapping(config: Section) -> dict[str, Any]:
    """Return the nested mapping of a configuration, the inverse of `from_mapping`."""
    mapping: dict[str, Any] = {}
    for declared in fields(config):
        value = getattr(config, declared.name)
        if isinstance(value, Section):
            named = {"name": value.name} if declared.name in _GROUPS else {}
            mapping[declared.name] = named | to_mapping(value)
        elif isinstance(value, tuple):
            mapping[declared.name] = list(value) if len(value) > 1 else value[0]
        else:
            mapping[declared.name] = value
    return mapping


def _section(name: str, value: Any) -> Any:
    """The dataclass a top-level key stands for, or the plain value."""
    if name in _GROUPS:
        kinds = _GROUPS[name]
        if not isinstance(value, Mapping):
            raise ConfigError(name, value, "must be one of " + ", ".join(kinds))
        kind = kinds.get(value.get("name"))
        if kind is None:
            raise ConfigError(
                f"{name}.name", value.get("name"), "must be one of " + ", ".join(kinds)
            )
        value = {key: element for key, element in value.items() if key != "name"}
    elif name in _SECTIONS:
        kind = _SECTIONS[name]
        if not isinstance(value, Mapping):
            raise ConfigError(name, value, f"has the keys {_listed(kind)}: set one of them")
    else:
        return value
    _refuse_unknown(value, {declared.name for declared in fields(kind)}, kind.prefix)
    return kind(**value)


def _listed(kind: type[Section]) -> str:
    return ", ".join(kind.prefix + declared.name for declared in fields(kind)) or "none"


def _refuse_unknown(mapping: Mapping[str, Any], known: set[str], prefix: str) -> None:
    for name, value in mapping.items():
        if name not in known:
            allowed = ", ".join(prefix + each for each in sorted(known)) or "none"
            raise ConfigError(f"{prefix}{name}", value, f"is not a key; allowed: {allowed}")


def identity(section: Section) -> dict[str, Any]:
    """Return name and values of a section, the part of a run's identity it contributes."""
    return {"name": section.name, **asdict(section)}
