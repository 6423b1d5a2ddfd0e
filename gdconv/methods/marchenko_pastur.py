"""The method whose expected error is the least for random features (Pedregosa and Scieur 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.methods.protocol import Coefficients, Facts, Method

if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.average.optimal import Optimal

# ln r for r = 1: 0 would make the formulas 0/0, and with this their values are those of the limit.
NEXT_TO_ONE = -1e-20


@dataclass(frozen=True)
class MarchenkoPastur(Method):
    """Marchenko–Pastur: heavy ball whose momentum and step size follow from d/n alone.

    It needs no eigenvalue, but features with variance 1. They may be fewer than the samples, as
    many, or more.
    """

    name: ClassVar[str] = "marchenko_pastur"
    state: ClassVar[tuple[str, ...]] = ("move",)
    takes_step: ClassVar[bool] = False

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return `log_ratio` = ln r, r being the smaller one of d/n and n/d, and the last step."""
        few, many = sorted((facts.n_samples, facts.n_features))
        return {"log_ratio": log(few / many) or NEXT_TO_ONE, "last": 1 / (2 * many)}

    def optimal_step_size(self, lambda_max: float, lambda_min_positive: float) -> float:
        """Return 4/(√lambda_max + √lambda_min_positive)²: the last step if these are the edges."""
        return 4 / (sqrt(lambda_max) + sqrt(lambda_min_positive)) ** 2

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> None:
        """Return None, because it takes no step size."""

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """One step; `move` is w_t − w_{t+1}."""
        narrow = {name: values[..., :1] for name, values in coefficients.items()}
        momentum, step_size = coefficients_of(t, narrow)
        move = state["move"]
        gradient *= step_size
        move *= momentum
        move += gradient
        w -= move

    @staticmethod
    def of_step(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
        """See `coefficients_of`."""
        return coefficients_of(t, coefficients)[::-1]

    @staticmethod
    def recurrence(t: int, eigenvalue: Any, coefficients: Coefficients) -> tuple[Any, Any]:
        """b is the momentum of this step, c its step size times λ."""
        momentum, step_size = coefficients_of(t, coefficients)
        return momentum, step_size * eigenvalue

    def closed_forms(self) -> type[Optimal]:
        """Return those of `gdconv.theory.average.optimal`."""
        from gdconv.theory.average.optimal import Optimal

        return Optimal


def coefficients_of(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
    """Return momentum and step size of the step from w_t to w_{t+1}.

    They follow from p_t = U_t(s)/U_t(s_0), see `gdconv.theory.average.optimal`; U_t(s_0) is
    proportional to (1 − r^{t+1}) r^{−t/2}.
    """
    import numpy as np

    log_ratio = coefficients["log_ratio"]
    now, following, after = (-np.expm1((t + k) * log_ratio) for k in range(3))
    return np.exp(log_ratio) * now / after, coefficients["last"] * following / after
