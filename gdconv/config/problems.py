"""The families of problems, each with its keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from gdconv.config.rules import (
    ConfigError,
    Section,
    any_real,
    boolean,
    choice,
    column_name,
    condition_number,
    correlation,
    integer,
    key,
    names_of_columns,
    not_negative,
    one_or_more,
    optional,
    table_path,
)
from gdconv.config.sections import Iterated, Start

# Of all families with random data.
_N_SAMPLES = "number n of rows of X; with fewer rows than columns, X is rank-deficient"
_NOISE = "standard deviation of the noise in y"
# What a file may have between its cells, by the word for it.
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "blanks": " "}


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

    def refuse(self, start: Start, method: Iterated) -> None:
        """Raise ConfigError if it cannot be run from this start, or with this method."""


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
Problem = OfRows

# problem=network enters itself here, see `gdconv.config.networks`.
PROBLEMS: dict[str, type[OfRows]] = {
    kind.name: kind for kind in (Gaussian, Correlated, Prescribed, Polynomial, Table)
}
