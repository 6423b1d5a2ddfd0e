"""The keys of problem=network, and what a network is not run with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from gdconv.config.problems import PROBLEMS, Columns, Table
from gdconv.config.rules import (
    ConfigError,
    any_real,
    boolean,
    choice,
    column_name,
    integer,
    key,
    one_or_more,
    optional,
    positive,
    table_path,
)
from gdconv.config.sections import Iterated, Start, Zeros

# So many points chebyshev and two_spirals have, units a network, unless others are asked for.
POINTS, UNITS = 20, 20
# The start of the network of two numbers.
TWO_NUMBERS = (0.5, 2.5)


@dataclass(frozen=True, kw_only=True)
class Network(Columns):
    """A network of two layers, trained on all samples: f(x) = activation(x W₁ + b₁) W₂ + b₂.

    Without hidden units it is the network of two numbers, f(x) = activation(x w₁) w₂.
    """

    name: ClassVar[str] = "network"
    usual_unit: ClassVar[str] = "sharpness"
    units: ClassVar[tuple[str, ...]] = ("sharpness", "absolute")
    usual_spacing: ClassVar[str] = "linear"
    takes_start: ClassVar[bool] = False

    hidden: int | None = key(
        *(None, optional(integer(0, 10**4))),
        f"number of hidden units; 0: the network of two numbers, f(x) = activation(x w₁) w₂; by"
        f" default {UNITS}, and 0 for `data=point`",
    )
    activation: str | None = key(
        *(None, optional(choice("tanh", "relu", "identity"))),
        "of the hidden layer: `tanh`, `relu`, or `identity`; by default tanh, and relu without"
        " hidden units",
    )
    loss: str = key(
        *("mean_squared_error", choice("mean_squared_error", "cross_entropy")),
        "`mean_squared_error`: Σ(f − y)²/(2n), but (f − y)² for `data=point`; `cross_entropy`: of"
        " classes, the mean of −ln of the probability of the right one",
    )
    data: str = key(
        *("chebyshev", choice("chebyshev", "two_spirals", "point", "table")),
        "`chebyshev`: evenly spaced x from −1 to 1, and Chebyshev's polynomial T₅(x);"
        " `two_spirals`: points of two spirals, each a class; `point`: x = y = 1; `table`: as"
        " problem=table reads it",
    )
    n_samples: int | None = key(
        *(None, optional(integer(1, 10**6))),
        f"number n of samples of chebyshev and two_spirals; by default {POINTS}",
    )
    initialisation: str = key(
        *("fixed", choice("fixed", "he", "xavier")),
        "the start of the weights; `fixed`: without random numbers, sin 1.7k and √(2/hidden)"
        " sin(0.9k + 0.3) for unit k, for one input and one output; `he`, `xavier`: normal with"
        " variance 2/inputs, or 2/(inputs + outputs), of each layer",
    )
    scale: float = key(1.0, positive, "a number that all weights at the start are multiplied by")
    weights: tuple[float, ...] | None = key(
        *(None, optional(one_or_more(any_real))),
        "the start [w₁,w₂] of the network of two numbers; by default [0.5,2.5]",
    )
    path: tuple[Any, ...] | None = key(  # type: ignore[assignment]
        None, optional(one_or_more(table_path)), "of `data=table`: as for problem=table"
    )
    target: str | None = key(
        *(None, optional(column_name)),
        "of `data=table`: the column that the network predicts; for cross_entropy, numbers of"
        " classes",
    )
    standardize: bool = key(
        False, boolean, "of `data=table`: `true`: give the features mean 0 and variance 1"
    )

    def __post_init__(self) -> None:
        """Parse the keys, fill in those that depend on others, and refuse what does not fit."""
        super().__post_init__()
        usual = {
            "hidden": 0 if self.data == "point" else UNITS,
            "n_samples": {"point": 1, "table": None}.get(self.data, POINTS),
        }
        self._fill_in(usual)
        self._fill_in({"activation": "tanh" if self.hidden else "relu"})
        self._fill_in({"weights": None if self.hidden else TWO_NUMBERS})
        self._refuse()

    def _fill_in(self, usual: dict[str, Any]) -> None:
        for name, value in usual.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def _refuse(self) -> None:
        """Raise ConfigError for keys that do not fit together."""
        of_table = self.data == "table"
        for name in ("path", "target"):
            if (getattr(self, name) is None) == of_table:
                needs = "must be given for" if of_table else "needs problem.data=table, not"
                allowed = f"{needs} problem.data={self.data}"
                raise ConfigError(f"problem.{name}", getattr(self, name), allowed)
        if (self.n_samples or 1) != 1 and self.data in ("point", "table"):
            allowed = f"is not a key of problem.data={self.data}, but of chebyshev and two_spirals"
            raise ConfigError("problem.n_samples", self.n_samples, allowed)
        if self.loss == "cross_entropy" and self.data in ("chebyshev", "point"):
            allowed = f"needs classes, which problem.data={self.data} has not; take two_spirals"
            raise ConfigError("problem.loss", self.loss, allowed)
        if self.weights is not None and (self.hidden or len(self.weights) != 2):
            allowed = "must be two numbers [w₁,w₂], and needs problem.hidden=0"
            raise ConfigError("problem.weights", self.weights, allowed)
        if not self.hidden:
            self._refuse_without_units()
        elif self.initialisation == "fixed" and not self._is_scalar():
            allowed = (
                f"is for one input and one output, but problem.data={self.data} with"
                f" problem.loss={self.loss} has more; take he or xavier"
            )
            raise ConfigError("problem.initialisation", self.initialisation, allowed)

    def _is_scalar(self) -> bool:
        """Whether there is one input and one output, as far as the keys tell."""
        return self.loss == "mean_squared_error" and self.data != "two_spirals"

    def _refuse_without_units(self) -> None:
        if not self._is_scalar():
            allowed = (
                "is the network of two numbers, which has one input and one output; give"
                f" problem.data={self.data} hidden units"
            )
            raise ConfigError("problem.hidden", self.hidden, allowed)
        if self.initialisation != "fixed":
            allowed = "must be fixed for problem.hidden=0, whose start is problem.weights"
            raise ConfigError("problem.initialisation", self.initialisation, allowed)

    @property
    def n_features(self) -> int | None:
        """The number of inputs; None for a table."""
        return {"table": None, "two_spirals": 2}.get(self.data, 1)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that it has beside those of columns, with their values, unless they are null."""
        inherited = {each.name for each in fields(Columns)} if self.data != "table" else set()
        left_out = inherited | ({"standardize"} if self.data != "table" else set())
        return {
            name: value
            for name, value in vars(self).items()
            if name not in left_out and value is not None
        }

    @property
    def table(self) -> Table | None:
        """Its table, without a column of ones; None without one."""
        if self.data != "table":
            return None
        names = {each.name for each in fields(Columns)} | {"target", "standardize"}
        keys: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Table(**keys, intercept=False)

    def refuse(self, start: Start, method: Iterated) -> None:
        """Raise ConfigError for a start or a method that a network cannot have."""
        if start != Zeros():
            allowed = (
                "is a start for least squares; a network starts from problem.initialisation,"
                " problem.scale and problem.weights"
            )
            raise ConfigError("start", start.name, allowed)
        method.refuse_network()


PROBLEMS[Network.name] = Network
