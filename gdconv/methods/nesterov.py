"""Nesterov's accelerated gradient method (Nesterov 1983)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import ConfigError, choice, key, one_or_more, typed
from gdconv.methods.protocol import (
    MOST_MOMENTUM,
    Coefficients,
    Facts,
    Method,
    Products,
    momentum_or,
    refuse_for_network,
)
from gdconv.theory.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.recurrence import Recurrence


@dataclass(frozen=True)
class Nesterov(Method):
    """Nesterov: u = w_t + momentum (w_t − w_{t−1}), w_{t+1} = u − step_size ∇L(u)."""

    name: ClassVar[str] = "nesterov"
    best_step: ClassVar[str] = "4/(λ⁺min + 3λmax)"
    steps_by: ClassVar[tuple[str, ...]] = ("momentum",)
    moves_ahead: ClassVar[bool] = True
    momentum: tuple[Any, ...] = key(
        "optimal",
        one_or_more(momentum_or("optimal", "convex")),
        "β from 0 to below 1, or a list: the gradient is taken at w_t + β(w_t − w_{t−1});"
        " `optimal`: the best β for the step size; `convex`: β = (t − 1)/(t + 2) in the step from"
        " w_t to w_{t+1}, which does not depend on the eigenvalues",
    )

    restart: str = key(
        "none",
        choice("none", "gradient", "function"),
        "with `momentum=convex`, when the momentum begins again, as in the step from w₀; `none`:"
        " never; `gradient`: when the last step, w_t − w_{t−1}, goes up along the gradient that it"
        " was made with; `function`: when the loss has grown",
    )

    def __post_init__(self) -> None:
        """Parse the keys, and refuse restarts of a momentum that does not grow."""
        super().__post_init__()
        if self.chooses and self.momentum != ("convex",):
            raise ConfigError(
                "method.restart",
                self.restart,
                "begins a growing momentum again, so it needs method.momentum=convex; a momentum"
                f" that is a number or optimal has restart=none, and method.momentum is"
                f" {typed(self.momentum[0] if len(self.momentum) == 1 else self.momentum)}",
            )

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return step_size and momentum; only step_size for `convex`."""
        found = super().coefficients(unit, value, facts)
        momentum: Any = self.momentum
        if momentum == "convex":
            return found
        if momentum == "optimal":
            step_size = found["step_size"]
            momentum = best_momentum(*(step_size * end for end in facts[:2]))
            momentum = min(momentum, MOST_MOMENTUM)
        return found | {"momentum": momentum}

    def refuse_network(self) -> None:
        """Raise ConfigError for keys that need the eigenvalues of H, and for restarts."""
        needs = "it follows from the eigenvalues of H; give a number, as method.momentum=0.9"
        refuse_for_network(self, "momentum", ["optimal"], needs)
        needs = "restarts are for least squares; take none"
        refuse_for_network(self, "restart", ["gradient", "function"], needs)

    @property
    def kind(self) -> str:
        """Whether the momentum changes, and when it begins again."""
        momentum: Any = self.momentum
        if self.chooses:
            return self.restart
        return "convex" if momentum == "convex" else "constant"

    @property
    def chooses(self) -> bool:
        """Whether it looks for the time to restart."""
        return self.restart != "none"

    @property
    def state(self) -> tuple[str, ...]:  # type: ignore[override]
        """The last gradient step; and u and w before, from which the gradient at u follows."""
        return ("before", "ahead", "last") if self.restart == "gradient" else ("before",)

    @property
    def numbers(self) -> tuple[str, ...]:  # type: ignore[override]
        """The steps since the last restart, how many there were, and the gap before."""
        return ("since", "restarts", "gap") if self.chooses else ()

    def optimal_step_size(self, lambda_max: float, lambda_min_positive: float) -> float:
        """Return 4/(3 lambda_max + lambda_min_positive): the best one, with the best momentum.

        Source: Lessard, Recht and Packard, SIAM J. Optim. 26, 2016, table 1.
        """
        return 4 / (3 * lambda_max + lambda_min_positive)

    def step_limit(self, coefficients: Coefficients, lambda_max: float) -> Any:  # type: ignore[override]
        """Return (2 + 2 momentum)/((1 + 2 momentum) lambda_max), with 1 for `convex`.

        With restarts none is known.
        """
        if self.chooses:
            return None
        momentum = coefficients.get("momentum", 1.0)
        return (2 + 2 * momentum) / (1 + 2 * momentum) / lambda_max

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """One step from s_t = w_t − step_size ∇L(w_t): w_{t+1} = s_t + momentum (s_t − s_{t−1}).

        ∇L is affine, so u − step_size ∇L(u) is the same combination of s_t and s_{t−1} as u is of
        w_t and w_{t−1}. This needs no gradient at u, beside the one at w_t that shows the loss.
        """
        before = state["before"]
        gradient *= coefficients["step_size"]
        w -= gradient
        if t == 0:
            before[...] = w
            return
        gradient[...] = w
        gradient -= before
        before[...] = w
        gradient *= coefficients.get("momentum", convex(t))
        w += gradient

    @staticmethod
    def of_step(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
        """The momentum of w; the first step has none."""
        momentum = coefficients.get("momentum", convex(t))
        return coefficients["step_size"], momentum if t else 0.0 * momentum

    @staticmethod
    def recurrence(t: int, eigenvalue: Any, coefficients: Coefficients) -> tuple[Any, Any]:
        """With the momentum m and x = step_size λ: b = m (1 − x), c = x."""
        relative_step = coefficients["step_size"] * eigenvalue
        momentum = coefficients.get("momentum", convex(t))
        return momentum * (1 - relative_step), relative_step

    def choose(
        self,
        t: int,
        w: np.ndarray,
        residual: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        products: Products,
    ) -> dict[str, np.ndarray]:
        """Momentum (k − 1)/(k + 2), k being the number of steps since the last restart.

        Source: O'Donoghue and Candès, Found. Comput. Math. 15, 2015. `gradient` restarts at w_t if
        ∇L(u)ᵀ(w_t − w_{t−1}) > 0, where u is the point from which the step to w_t went along
        −∇L(u): step_size ∇L(u) = u − w_t. `function` restarts if L(w_t) > L(w_{t−1}).
        """
        since, restarts = state["since"], state["restarts"]
        by_loss = self.restart == "function"
        gap = products.inner(residual, residual) if by_loss else None
        change = None if by_loss else w - state["last"]
        if t:
            up = gap > state["gap"] if by_loss else products.inner(state["ahead"] - w, change) > 0
            since[...] = (since + 1) * ~up
            restarts[...] = restarts + up
        momentum = (since - (since > 0)) / (since + 2)
        if by_loss:
            state["gap"][...] = gap
        else:
            ahead = state["ahead"]
            ahead[...] = momentum
            ahead *= change
            ahead += w
            state["last"][...] = w
        step_size = coefficients["step_size"][..., :1]
        return {"step_size": step_size, "momentum": momentum, "restarts": restarts}

    @staticmethod
    def limits(
        t: np.ndarray, eigenvalues: np.ndarray, coefficients: Mapping[str, np.ndarray]
    ) -> Limits:
        """Neither gap nor distance ever grows above its start, for step sizes up to 1/λmax.

        It is so along each eigenvector, whenever the method restarts; see docs/methods.md.
        """
        proved = (coefficients["step_size"] * eigenvalues[0] <= 1) & (t >= 0)
        # 1, or nan for 0/0.
        part = proved / proved
        return Limits(part, part, None)

    def theory(
        self,
        coefficients: Mapping[str, np.ndarray],
        eigenvalues: np.ndarray,
        iterations: int,
    ) -> Recurrence:
        """Return what follows from the exact run, if the method restarts."""
        if not self.chooses:
            return super().theory(coefficients, eigenvalues, iterations)
        from gdconv.theory.chosen import Restarted

        return Restarted(self, coefficients, eigenvalues, iterations)

    def closed_forms(self) -> Callable[..., Recurrence]:
        """Return those of `gdconv.theory.maxima` for a constant momentum, or for `convex`."""
        if self.kind == "convex":
            from gdconv.theory.maxima.convex import Convex

            return Convex
        from gdconv.theory.maxima.momentum import Momentum

        return partial(Momentum, ahead=True)


def convex(t: int) -> float:
    """Return the momentum that needs no λ⁺min, in the step from w_t to w_{t+1}."""
    return max(t - 1, 0) / (t + 2)


def best_momentum(largest: float, smallest: float) -> float:
    """Return the momentum with the smallest contraction factor ρ.

    Parameters
    ----------
    largest, smallest : float
        step_size λ for the largest eigenvalue, and for the smallest one that is not 0.

    Notes
    -----
    With m = (1 − √smallest)/(1 + √smallest) the smallest eigenvalue has a double root. For steps up
    to the best one it has the largest root. For longer ones ρ is least where both have the root ρ:
    with p = largest − 1 and q = 1 − smallest, ρ² − (1 + m) q ρ + m q = 0 = ρ² − (1 + m) p ρ − m p.
    """
    p, q = largest - 1, 1 - smallest
    if 3 * largest + smallest <= 4:
        return (1 - sqrt(smallest)) / (1 + sqrt(smallest))
    if p >= q:
        return 0.0
    rho = 4 * p * q / (p + q + sqrt((p + q) ** 2 - 8 * p * q * (q - p)))
    return rho * (rho - p) / (p * (1 + rho))
