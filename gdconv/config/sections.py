"""The groups of keys but for the problem: plain dataclasses that refuse bad values when made.

A `StudyConfig` says how a study is run, and where its results go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from gdconv.config.rules import (
    ConfigError,
    Section,
    boolean,
    choice,
    folder_path,
    fraction,
    integer,
    key,
    one_or_more,
    optional,
    positive,
    refuse_other,
    scheduler_address,
    study_name,
    without_repeats,
)

# The formats of figures, and those that are made unless others are asked for.
FORMATS = ("png", "svg", "pdf")
SHOWN_FORMATS = ("png", "svg")
_WORKERS = "number of processes; by default one for each core"


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


Start = Zeros | Normal | Eigenvector

STARTS = {kind.name: kind for kind in (Zeros, Normal, Eigenvector)}
# Every class of gdconv/methods/ enters itself here.
METHODS: dict[str, type[Iterated]] = {}
ENGINES = {kind.name: kind for kind in (Serial, Processes, Dask)}


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
