"""What a method that draws rows or columns of X at random has to supply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gdconv.config.rules import ConfigError, integer, key, real
from gdconv.config.sections import reduce_key
from gdconv.methods.protocol import Coefficients, Facts, Method, descend

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sampling(Method):
    """A method that makes each step with a few rows of X, or with one column of it.

    With rows, `update` gets as gradient that of a batch, divided so that its mean is ∇L(w). The
    paths of a run differ only in what is drawn. What is drawn depends on seed, repetition and path,
    so runs with other step sizes, and with other keys, draw from the same random numbers.
    """

    parts: ClassVar[tuple[str, ...]] = ("chances",)
    # Whether it draws columns, that is coordinates of w; then `update` gets the whole gradient.
    draws_columns: ClassVar[bool] = False
    # Whether every row is drawn as often as any other.
    draws_alike: ClassVar[bool] = False
    reductions: ClassVar[tuple[str, ...]] = ("none",)
    reduce: str = reduce_key("none")
    paths: int = key(
        *(1, integer(1, 10**5)),
        "independent sequences of samples; the tables have mean, standard error and percentiles",
    )
    exact_budget: float = key(
        *(1e10, real(lambda value: value >= 0, " of at least 0")),
        "what is expected is computed exactly if that takes at most so many multiplications, n d²"
        " for each iteration or less, and the limits of the step size, if n d⁴/4 is not more; by"
        " default these are done for n = 400 up to d = 100, with 2,000 iterations",
    )

    def __post_init__(self) -> None:
        """Parse the keys, and refuse to draw from rows of R."""
        super().__post_init__()
        if self.reduce not in self.reductions:
            reason = (
                f"must be none for method={self.name}, which draws rows of X: rows of R are sums of"
                " them, and no samples"
            )
            raise ConfigError("method.reduce", self.reduce, reason)

    @property
    def samples(self) -> bool:
        """True."""
        return True

    @property
    def draws(self) -> int:
        """How many random numbers an iteration takes from the sequence of a path."""
        return 1

    @property
    def with_replacement(self) -> bool:
        """Whether the rows of a batch are drawn from all rows; else each at most once."""
        return True

    @property
    def averages(self) -> str:
        """Of which iterates the average is shown: none, all, or tail."""
        return "none"

    def chances(self, squares: np.ndarray) -> np.ndarray:
        """Return the probability of each row or column, given their squared lengths."""
        raise NotImplementedError

    def doubtful(self, unit: str | None, value: float | None, shape: tuple[int, int]) -> bool:
        """Return False: what would not fit raises ConfigError at once.

        That is a batch with more rows than there are, and a limit that is beyond the budget.
        """
        n, d = shape
        if not self.draws_columns and self.draws > n:
            allowed = f"must be at most n_samples, here {n}"
            raise ConfigError("method.batch_size", self.draws, allowed)
        cost = n * min(n, d) ** 4 / 4
        if unit == "limit" and cost > self.exact_budget:
            allowed = (
                f"needs about n d⁴/4 = {cost:.1e} multiplications here, more than"
                f" method.exact_budget={self.exact_budget:g}; raise that, or choose another unit"
            )
            raise ConfigError("step.unit", unit, allowed)
        return False

    def largest_step_size(self, facts: Facts) -> float:
        """Return the step size from which on the expected gap does not stay bounded."""
        assert facts.mean_square_limit is not None
        return facts.mean_square_limit(self)

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> None:
        """Return None: it depends on more than λmax."""

    # Unless a method has another one.
    update = staticmethod(descend)

    def theory(self, *_: Any) -> Any:
        """Not known: its errors obey no polynomial. See `gdconv.theory.sampled`."""
        raise NotImplementedError
