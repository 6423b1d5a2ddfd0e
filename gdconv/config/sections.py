"""The configuration of a study: plain dataclasses that refuse bad values when they are made.

A `RunConfig` says what to run; a `StudyConfig` says how to run it and where the results go.
`expand` turns a RunConfig into its `Run`s, one for each combination of its lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar

from gdconv.config.pairs import combined, number_of_combinations, pairs_of_keys, refuse_unequal
from gdconv.config.rules import (
    ConfigError,
    Section,
    any_real,
    boolean,
    choice,
    column_name,
    condition_number,
    correlation,
    folder_path,
    fraction,
    integer,
    key,
    names_of_columns,
    nearest,
    not_negative,
    one_or_more,
    optional,
    positive,
    refuse_other,
    scheduler_address,
    study_name,
    table_path,
    typed,
    without_repeats,
)

# Of all families with random data.
_N_SAMPLES = "number n of rows of X; with fewer rows than columns, X is rank-deficient"
_NOISE = "standard deviation of the noise in y"
# The formats of figures, and those that are made unless others are asked for.
FORMATS = ("png", "svg", "pdf")
SHOWN_FORMATS = ("png", "svg")
_PAIR = (
    "keys whose values are taken together, the first with the first and the second with the second,"
    " instead of in every combination: `pair=[step.value,method.momentum]`"
)
# What a file may have between its cells, by the word for it.
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "blanks": " "}
_WORKERS = "number of processes; by default one for each core"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


@dataclass(frozen=True)
class OfRows(Section):
    """The key that all families share."""

    prefix: ClassVar[str] = "problem."
    # The step.unit that is meant if none is given, and those that are taken beside the method's.
    usual_unit: ClassVar[str] = "lambda_max"
    units: ClassVar[tuple[str, ...]] = ()
    # The record.spacing that is meant if none is given.
    usual_spacing: ClassVar[str] = "log"
    # Whether w₀ is where the section start says.
    takes_start: ClassVar[bool] = True
    block_rows: int | None = key(
        *(None, optional(integer(1, 10**9))),
        "a problem with more rows is read or drawn in blocks of so many, which need not fit into"
        " memory together; by default, a block has 32 MiB",
        kw_only=True,
    )

    @property
    def table(self) -> Table | None:
        """The user's table that it reads; None for a family that is drawn."""
        return None

    @property
    def options(self) -> dict[str, Any]:
        """Its keys with their values."""
        return vars(self)

    def refuse(self, config: RunConfig) -> None:
        """Raise ConfigError if it cannot be run as the other sections say."""


@dataclass(frozen=True)
class Drawn(OfRows):
    """The keys that all families with a random X of any size share; y = X w + noise."""

    n_samples: int = key(200, integer(1, 10**10), _N_SAMPLES)
    n_features: int = key(
        *(20, integer(1, 10**5)),
        "number d of columns of X; the last column is constant, except in spectrum",
    )
    noise: float = key(1.0, not_negative, _NOISE, "y")


@dataclass(frozen=True)
class Gaussian(Drawn):
    """Rows of independent normal features with a common mean, and a last column of ones."""

    name: ClassVar[str] = "gaussian"
    feature_mean: float = key(0.0, any_real, "mean of the random features")


@dataclass(frozen=True)
class Correlated(Drawn):
    """Rows of normal features with covariance correlation^|i − j|, and a last column of ones."""

    name: ClassVar[str] = "correlated"
    correlation: float = key(0.9, correlation, "ρ; features i and j have the covariance ρ^|i − j|")


@dataclass(frozen=True)
class Prescribed(Drawn):
    """Random singular vectors and a prescribed spectrum of H; no column is constant."""

    name: ClassVar[str] = "spectrum"
    condition_number: float = key(
        100.0, condition_number, "λmax/λmin of H, whose λmax is 2·n_samples"
    )
    profile: str = key(
        *("geometric", choice("linear", "geometric", "power", "two_point", "strakos")),
        "how the eigenvalues fall from λmax to λmin: `linear`, `geometric`, `power` (i^−p),"
        " `two_point` (half of them at either end), `strakos` (a few large ones, and a cluster at"
        " λmin)",
    )


@dataclass(frozen=True)
class Polynomial(OfRows):
    """Powers of random points in [−1, 1]; the last one, the power 0, is a column of ones."""

    name: ClassVar[str] = "polynomial"
    n_samples: int = key(200, integer(1, 10**10), _N_SAMPLES)
    degree: int = key(
        *(5, integer(0, 10**5 - 1)),
        "X has the powers `degree` … 0 of random points in [−1, 1]; with a degree of n_samples or"
        " more, X is rank-deficient, and the summary says so",
    )
    noise: float = key(1.0, not_negative, _NOISE, "y")

    @property
    def n_features(self) -> int:
        """The number of powers, degree + 1."""
        return self.degree + 1


@dataclass(frozen=True)
class Columns(OfRows):
    """How the user's table is read, and which of its columns are used."""

    path: tuple[Any, ...] = key(
        *(None, one_or_more(table_path)),
        "the file, or a pattern such as `parts/*.csv`, a folder of parts, or a list of them: CSV,"
        " TSV and the like, which may be packed by gzip, bzip2, xz or zstd; Parquet; Feather;"
        " also in a store, as `s3://bucket/parts`",
    )
    _: KW_ONLY
    separator: str = key(
        *("auto", choice("auto", *SEPARATORS)),
        "what stands between cells: `auto` (found in the first lines), " + _listed(SEPARATORS),
    )
    decimal: str = key(
        *("auto", choice("auto", "point", "comma")),
        "how decimal fractions are written: `auto` (found in the first lines), `point`, `comma`",
    )
    comment: str = key(
        *("auto", choice("auto", "none", "hash", "percent")),
        "`auto`: leave out lines at the top that begin with # or %; `none`: leave out none; `hash`,"
        " `percent`: leave out what follows # or %, wherever it is",
    )
    header: bool = key(
        *(True, boolean),
        "`true`: the first line has the names of the columns; `false`: they are x1, x2, …",
    )
    columns: tuple[str, ...] = key(
        *((), names_of_columns),
        "the columns that are features, by name or by pattern, as `[x*,age]`; by default, all",
    )
    drop: tuple[str, ...] = key(
        *((), names_of_columns),
        "columns that are no features, by name or by pattern; those without a name never are,"
        " unless problem.columns has them",
    )
    dates: tuple[str, ...] = key(
        *((), names_of_columns),
        "columns of dates, by name or by pattern; each is counted in days since its first date",
    )
    text: str = key(
        *("refuse", choice("refuse", "drop", "one_hot")),
        "columns of text: `refuse` the table, `drop` the columns, or make `one_hot` columns, which"
        " are 1 where the text is the one in their name, for each text but the first",
    )
    missing: str = key(
        *("refuse", choice("refuse", "drop_rows", "mean")),
        "missing cells: `refuse` the table, `drop_rows` in which one is, or fill in the `mean` of"
        " the column; with `mean`, too, rows without a target are left out",
    )

    def __post_init__(self) -> None:
        """Parse the keys; data in place of their path belong elsewhere."""
        if hasattr(self.path, "__array__"):
            allowed = "must be the path of a table; data are run by run_study(frame, target=NAME)"
            raise ConfigError("problem.path", self.path, allowed)
        super().__post_init__()


@dataclass(frozen=True)
class Table(Columns):
    """The user's table: one column is the target, the others are features."""

    name: ClassVar[str] = "table"
    target: str = key(None, column_name, "the name of the column that is predicted from the others")
    standardize: bool = key(False, boolean, "`true`: give the features mean 0 and variance 1")
    intercept: bool = key(
        True, boolean, "`true`: X has a last column of ones, so that the fit has a constant term"
    )

    @property
    def table(self) -> Table:
        """Itself."""
        return self


# Its name before it read more than CSV files.
Csv = Table


@dataclass(frozen=True)
class Zeros(Section):
    """w_0 = 0."""

    prefix: ClassVar[str] = "start."
    name: ClassVar[str] = "zeros"


@dataclass(frozen=True)
class Normal(Section):
    """w_0 has independent normal entries with standard deviation radius."""

    prefix: ClassVar[str] = "start."
    name: ClassVar[str] = "normal"
    radius: float = key(1.0, positive, "standard deviation of the entries of w₀", "y/X")


@dataclass(frozen=True)
class Eigenvector(Section):
    """w_0 − w* is radius times the eigenvector of lambda_max or of lambda_min_positive."""

    prefix: ClassVar[str] = "start."
    name: ClassVar[str] = "eigenvector"
    which: str = key(
        *("max", choice("max", "min")),
        "w₀ − w* is along an eigenvector; `max`: that of λmax; `min`: that of λ⁺min, the smallest"
        " eigenvalue that is not 0",
    )
    radius: float = key(1.0, positive, "‖w₀ − w*‖", "y/X")


def reduce_key(default: str) -> Any:
    """Declare the key reduce, which methods that draw rows of X refuse to have as qr."""
    return key(
        *(default, choice("qr", "none")),
        "`qr`: iterate on R of X = QR, which gives the same iterates and has fewer rows; `none`:"
        " iterate on X, as methods must that draw rows of it",
    )


@dataclass(frozen=True)
class Iterated(Section):
    """The keys that all methods share. Each method is a class of its own in gdconv/methods/."""

    prefix: ClassVar[str] = "method."
    # Whether step.value and step.unit say how long the method's steps are, and the formula of the
    # best one, for the help.
    takes_step: ClassVar[bool] = True
    best_step: ClassVar[str] = ""
    # Which step.unit it takes then.
    units: ClassVar[tuple[str, ...]] = ("lambda_max", "optimal", "absolute", "K", "samples")
    # Which method.reduce gives the same iterates.
    reductions: ClassVar[tuple[str, ...]] = ("qr", "none")
    iterations: int = key(2000, integer(1, 10**9), "iterations after which a run ends")
    tolerance: float = key(
        *(1e-6, fraction),
        "`iterations_to_tolerance` counts the iterations until the gap is this part of the"
        " initial gap",
    )
    reduce: str = reduce_key("qr")

    @property
    def kind(self) -> str:
        """A word that runs share which are iterated together; only some methods have several."""
        return ""

    def refuse_size(self, n_features: int) -> None:
        """Raise ConfigError if X has more columns than its keys allow."""

    def refuse_network(self) -> None:
        """Raise ConfigError if it cannot train a network, as by default."""
        base = Iterated.refuse_network
        known = ", ".join(name for name, kind in METHODS.items() if kind.refuse_network is not base)
        allowed = f"is for least squares; methods for networks are {known}"
        raise ConfigError("method", self.name, allowed)

    def doubtful(self, unit: str | None, value: float | None, shape: tuple[int, int]) -> bool:
        """Whether its keys may not fit to a problem of a shape (n, d), for this step size."""
        return False

    @property
    def options(self) -> dict[str, Any]:
        """The keys that this method has of its own, with their values."""
        shared = {each.name for each in fields(Iterated)}
        own = (each.name for each in fields(self) if each.name not in shared)
        return {name: getattr(self, name) for name in own}


def _units() -> str:
    """What step.unit means; each method tells its best step."""
    best = (f"{kind.best_step} for {name}" for name, kind in METHODS.items() if kind.best_step)
    limited = (name for name, kind in METHODS.items() if "limit" in kind.units)
    return (
        "by default `lambda_max`, and `sharpness` for networks; `lambda_max`: the step size is"
        " value/λmax; `optimal`: value times the method's best step"
        f" size: {', '.join(best)}; `absolute`: value; `K`: 1/value; `limit`: value times the"
        f" largest stable step size, for {', '.join(limited)}; `samples`: value/n_samples, so that"
        " value is the step size for the loss Σr²/n (scikit-learn's eta0 belongs to ½r², so the"
        " step size is eta0/(2 n_samples)); `sharpness`: value divided by a network's sharpness at"
        " the start, which is the largest eigenvalue of its loss's Hessian"
    )


def _values() -> str:
    """What step.value means."""
    without = ", ".join(name for name, kind in METHODS.items() if not kind.takes_step)
    return f"step size, or a list; not used by {without}"


STEP_UNITS = ("lambda_max", "optimal", "absolute", "K", "limit", "samples", "sharpness")


@dataclass(frozen=True)
class Step(Section):
    """Step sizes; each element of value is a run of its own."""

    prefix: ClassVar[str] = "step."
    unit: str | None = key(
        *(None, optional(choice(*STEP_UNITS))),
        meaning=_units,
    )
    value: tuple[float, ...] = key(1.0, one_or_more(positive), meaning=_values, unit="step.unit")

    def __post_init__(self) -> None:
        """Parse the keys; in Python the unit stands before the value."""
        allowed = f"one of {', '.join(STEP_UNITS)}; step sizes belong to step.value"
        refuse_other("step.unit", self.unit, str | None, allowed)
        super().__post_init__()


@dataclass(frozen=True)
class Record(Section):
    """Which iterations curves.csv keeps, always 0 and the last among them."""

    prefix: ClassVar[str] = "record."
    points: int = key(
        *(60, integer(2, 10**6)),
        "number of iterations kept in curves.csv; iteration 0 and the last are always kept",
    )
    spacing: str | None = key(
        *(None, optional(choice("log", "linear"))),
        "whether these iterations are evenly spaced on a logarithmic (`log`) or on a `linear` axis;"
        " by default log, and linear for networks",
    )
    curves: str = key(
        *("log", choice("log", "none")),
        "`none`: leave curves.csv empty, if you need runs.csv alone",
    )
    coefficients: bool = key(
        *(False, boolean),
        "`true`: coefficients.csv has the last w of each run, beside the w* of its problem; of"
        " several paths, its mean; without it, it has the w* of tables only",
    )


@dataclass(frozen=True)
class Serial(Section):
    """This process runs the groups of a sweep, one after the other."""

    prefix: ClassVar[str] = "engine."
    name: ClassVar[str] = "serial"


@dataclass(frozen=True)
class Processes(Section):
    """Several processes on this machine run the groups."""

    prefix: ClassVar[str] = "engine."
    name: ClassVar[str] = "processes"
    workers: int | None = key(None, optional(integer(1, 1000)), _WORKERS)


@dataclass(frozen=True)
class Dask(Section):
    """A Dask cluster runs the groups: a new one on this machine, or an existing one."""

    prefix: ClassVar[str] = "engine."
    name: ClassVar[str] = "dask"
    workers: int | None = key(None, optional(integer(1, 1000)), _WORKERS)
    address: str | None = key(
        *(None, optional(scheduler_address)),
        "address of a running scheduler, as tcp://host:8786 or tls://host:8786; by default, a"
        " cluster is started on this machine",
    )


Problem = OfRows
Start = Zeros | Normal | Eigenvector

# problem=network enters itself here, see `gdconv.config.networks`.
PROBLEMS: dict[str, type[OfRows]] = {
    kind.name: kind for kind in (Gaussian, Correlated, Prescribed, Polynomial, Table)
}
STARTS = {kind.name: kind for kind in (Zeros, Normal, Eigenvector)}
# Every class of gdconv/methods/ enters itself here.
METHODS: dict[str, type[Iterated]] = {}
ENGINES = {kind.name: kind for kind in (Serial, Processes, Dask)}


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
        self.problem.refuse(self)
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
class StudyConfig(Section):
    """How to run and where the results go; no value in a table depends on it."""

    study: str = key("scratch", study_name, "results go to the folder results_dir/study")
    results_dir: str = key("results", folder_path, "folder that holds the studies")
    report: bool = key(True, boolean, "end with figures and report.html")
    report_formats: tuple[str, ...] = key(
        *(SHOWN_FORMATS, without_repeats(one_or_more(choice(*FORMATS)))),
        "formats of the figures: `png`, `svg`, `pdf`",
    )
    retry_failed: bool = key(False, boolean, "`true`: run the failed runs again")
    stop_on_failure: bool = key(
        *(False, boolean),
        "`true`: after the first group with a failed run, begin no other; the same command goes on"
        " with those that are missing",
    )
    accept_changed: bool = key(
        *(False, boolean),
        "`true`: go on with tables that were changed after the study was finished",
    )
    engine: Section = field(
        default_factory=Serial, metadata={"meaning": "how groups of runs are executed"}
    )

    def __post_init__(self) -> None:
        """Parse the keys; an engine in Python is an object."""
        super().__post_init__()
        known = tuple(ENGINES.values())
        refuse_other("engine", self.engine, known, "an engine of gdconv, as Processes(workers=2)")


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
