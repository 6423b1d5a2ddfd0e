"""Stochastic gradient descent: the gradient of a few rows in place of that of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import (
    ConfigError,
    boolean,
    choice,
    integer,
    key,
    one_or_more,
    real,
)
from gdconv.methods.protocol import Coefficients, Facts, push, refuse_for_network
from gdconv.methods.sampling import Sampling

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sgd(Sampling):
    """Stochastic gradient descent: w ← w − step_size (n/B) Σ 2xᵢ(xᵢᵀw − yᵢ), over B rows."""

    name: ClassVar[str] = "sgd"
    state: ClassVar[tuple[str, ...]] = ("move",)
    draws_alike: ClassVar[bool] = True
    units: ClassVar[tuple[str, ...]] = ("lambda_max", "absolute", "K", "limit", "samples")
    batch_size: tuple[Any, ...] = key(
        *(1, one_or_more(integer(1, 10**6))), "number B of rows in a batch, or a list"
    )
    replacement: bool = key(
        *(True, boolean),
        "`true`: each row of a batch is drawn from all; `false`: no row is twice in a batch",
    )
    momentum: tuple[Any, ...] = key(
        *(0.0, one_or_more(real(lambda value: 0 <= value < 1, " of at least 0 and below 1"))),
        "β from 0 to below 1, or a list: β times the last step is added to the next one",
    )
    average: str = key(
        *("none", choice("none", "all", "tail")),
        "what the tables show: `none`: wₜ; `all`: the average of w₀ to wₜ; `tail`: in the second"
        " half of the iterations, the average over those of it",
    )

    def refuse_network(self) -> None:
        """Raise ConfigError for averages, and for several paths."""
        needs = "averages are for least squares; take none"
        refuse_for_network(self, "average", ["all", "tail"], needs)
        if self.paths > 1:
            allowed = "must be 1 for a network; take several seeds, or repetitions"
            raise ConfigError("method.paths", self.paths, allowed)

    def sharpness_limit(self, coefficients: Coefficients) -> Any:
        """That of heavy ball, to which batches of all rows lead."""
        return 2 * (1 + coefficients["momentum"]) / coefficients["step_size"]

    @property
    def kind(self) -> str:
        """All that decides what is drawn and shown."""
        return f"{self.batch_size} {self.replacement} {self.average} {self.paths}"

    @property
    def draws(self) -> int:
        """B."""
        size: Any = self.batch_size
        return int(max(size) if isinstance(size, tuple) else size)

    @property
    def with_replacement(self) -> bool:
        """As the key says."""
        return self.replacement

    @property
    def averages(self) -> str:
        """As the key says."""
        return self.average

    def chances(self, squares: np.ndarray) -> np.ndarray:
        """1/n."""
        return 0.0 * squares + 1 / len(squares)

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return step_size and momentum."""
        momentum: Any = self.momentum
        return super().coefficients(unit, value, facts) | {"momentum": momentum}

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """One step; `move` is w_t − w_{t+1}."""
        gradient *= coefficients["step_size"]
        push(w, gradient, coefficients["momentum"], state["move"])
