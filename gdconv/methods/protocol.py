"""What every method has to supply, and the theory that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from gdconv.config.rules import ConfigError, Rule, choice, either, key, real
from gdconv.config.sections import METHODS, Iterated
from gdconv.theory.limits import Limits

# A command checks its configuration before NumPy is loaded, so a method's file does not load it.
if TYPE_CHECKING:
    import numpy as np

    from gdconv.theory.average.limit import Limit
    from gdconv.theory.recurrence import Recurrence

# Numbers, or arrays that broadcast with the other arguments.
Coefficients = Mapping[str, Any]
# The best momentum tends to 1 as the condition number grows; this is the last float before.
MOST_MOMENTUM = 1 - 2.0**-53


class Facts(NamedTuple):
    """What a method may know of a problem before it runs.

    lambda_max, lambda_min_positive : the largest eigenvalue of H, and the smallest that is not 0
    n_samples, n_features : the shape of X
    trace : that of H
    mean_square_limit : of a method that draws samples, to its largest stable step size
    """

    lambda_max: float
    lambda_min_positive: float
    n_samples: int
    n_features: int
    trace: float = nan
    mean_square_limit: Callable[[Any], float] | None = None

    def at_edges(self) -> Facts:
        """Return the same with the edges of Marchenko–Pastur's law as eigenvalues.

        They are 2n (1 ± √(d/n))² for a matrix whose entries have variance 1, and if d > n as well.
        """
        n, d = self.n_samples, self.n_features
        wide = sqrt(n) + sqrt(d)
        return Facts(2 * wide**2, 2 * ((n - d) / wide) ** 2, n, d)


class Products(NamedTuple):
    """What a method computes with rows, beside sums: floats in a run, decimals in the exact one.

    images : of directions p, shaped like W, to p matrixᵀ, shaped like the residual
    slopes : of residuals r to the gradient 2 r matrix
    inner : of two such arrays to the inner products of their rows, as a column
    quotient : of two columns a, b to a/b, and 0 where b is 0

    The next image overwrites the last one, and the next slope likewise. They may be changed.
    """

    images: Callable[[Any], Any]
    slopes: Callable[[Any], Any]
    inner: Callable[[Any, Any], Any]
    quotient: Callable[[Any, Any], Any]


def momentum_or(*words: str) -> Rule:
    """A constant momentum, or a word for one that the method chooses."""
    return either(choice(*words), real(lambda value: 0 <= value < 1, " of at least 0 and below 1"))


def refuse_for_network(method: Iterated, key: str, values: Collection[Any], needs: str) -> None:
    """Raise ConfigError if a key of a method has a value with which it cannot train a network."""
    given = method.options[key]
    for value in given if isinstance(given, tuple) else (given,):
        if value in values:
            raise ConfigError(f"method.{key}", value, f"cannot train a network: {needs}")


def tuned_to_key() -> Any:
    """Declare the key tuned_to, see `tuned`."""
    return key(
        "spectrum",
        choice("spectrum", "edges"),
        "which λ⁺min and λmax the method is tuned to, wherever its keys and step.unit name them:"
        " `spectrum`: those of the problem; `edges`: 2n(1 ± √(d/n))², between which Marchenko and"
        " Pastur's law has them for features of variance 1; refused if n_features is n_samples",
    )


def tuned(facts: Facts, tuned_to: str) -> Facts:
    """Return what a method is tuned to; raise ConfigError for edges of which the lower one is 0."""
    if tuned_to == "spectrum":
        return facts
    if facts.n_features == facts.n_samples:
        raise ConfigError(
            "method.tuned_to",
            tuned_to,
            f"must be spectrum if X has as many columns as rows, here {facts.n_samples}: the lower"
            " edge of the law is 0 then. method=marchenko_pastur needs no lower edge above 0",
        )
    return facts.at_edges()


@dataclass(frozen=True)
class Method(Iterated):
    """A first-order method for L(w) = ‖Xw − y‖², with the Hessian H = 2 XᵀX.

    A subclass is one method. Its name enters it in `METHODS`, and it is typed method=NAME; its
    fields are the keys that only it has. It supplies all its `parts`. Runs that differ only in step
    size and in these fields are iterated together, as rows of one matrix W.

    Raises ConfigError if an instance is made of a method that lacks a part.
    """

    parts: ClassVar[tuple[str, ...]] = (
        *("update", "recurrence", "optimal_step_size", "step_limit"),
    )
    # What the method keeps from one iteration to the next: matrices shaped like W, matrices shaped
    # like the residual, and a number for each run, as a column.
    state: ClassVar[tuple[str, ...]] = ()
    residuals: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()
    # Names of matrices with a row, as long as w, for each earlier iteration; at most rank X rows.
    histories: ClassVar[tuple[str, ...]] = ()
    # Whether it is given ∇L(w). A method that computes its own needs not wait for that.
    takes_gradient: ClassVar[bool] = True
    # Whether the w that `update` moves is the point ahead, at which the gradient is taken, where
    # ∇L is not affine. Then state["before"] is the iterate, and `update` counts from t = 1.
    moves_ahead: ClassVar[bool] = False
    # What it chooses that `update` needs.
    steps_by: ClassVar[tuple[str, ...]] = ("step_size",)

    def __init_subclass__(cls) -> None:
        """Enter a method in the list of methods; raise TypeError if another has its name."""
        if "name" not in vars(cls):
            return
        other = METHODS.setdefault(cls.name, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.name} is the name of another method, {other.__qualname__}")
        METHODS[cls.name] = cls

    def __post_init__(self) -> None:
        """Parse the keys, and refuse a method that is not complete."""
        super().__post_init__()
        kind = type(self)
        # The class that says which parts there are.
        base = next(each for each in kind.__mro__ if "parts" in vars(each))
        lacking = [part for part in self.parts if getattr(kind, part) is getattr(base, part)]
        if lacking:
            missing = f"is a method that lacks {' and '.join(lacking)}; {__name__} says what it is"
            raise ConfigError("method", self.name, missing)

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return the numbers that a run iterates with, by name, as `step_size` and `momentum`.

        Parameters
        ----------
        unit, value : str and float, or None
            step.unit and step.value; None for a method that takes no step size.
        facts : Facts
            What is known of the problem.

        Raises
        ------
        ConfigError
            If the keys do not fit to the problem. `doubtful` says where that may happen.
        """
        if unit is None or value is None:
            return {}
        if unit == "optimal":
            best = self.optimal_step_size(facts.lambda_max, facts.lambda_min_positive)
            return {"step_size": value * best}
        if unit == "limit":
            return {"step_size": value * self.largest_step_size(facts)}
        if unit == "K":
            return {"step_size": 1 / value}
        divisors = {"absolute": 1.0, "samples": facts.n_samples}
        # The sharpness of a network at the start stands for λmax.
        return {"step_size": value / divisors.get(unit, facts.lambda_max)}

    def largest_step_size(self, facts: Facts) -> float:
        """Return the step size that step.unit=limit means; `units` says whether there is one."""
        return float(self.step_limit({}, facts.lambda_max))

    def optimal_step_size(self, lambda_max: float, lambda_min_positive: float) -> float:
        """Return the step size with the smallest contraction factor."""
        raise NotImplementedError

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> Any:
        """Return the step size at which the method ceases to converge, or None without one."""
        raise NotImplementedError

    def sharpness_limit(self, coefficients: Coefficients) -> Any:
        """Return the largest λmax with which the method converges with its step size.

        A network has no fixed λmax: gradient descent becomes unstable where its sharpness is this.
        """
        # The limit of the step size is a number divided by λmax.
        return self.step_limit(coefficients, 1.0) / coefficients["step_size"]

    @staticmethod
    def update(
        t: int,
        w: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """Turn w_t into w_{t+1} in place, for all runs at once.

        All arrays have the shape of w: a row (the last axis) belongs to a run, and each coefficient
        is repeated along it. gradient is ∇L(w_t) and may be overwritten. Each matrix of the state
        is 0 before the first update.
        """
        raise NotImplementedError

    @property
    def chooses(self) -> bool:
        """Whether it chooses each step by what it sees, so that no polynomial is known before.

        Then it also supplies `choose` and `limits`. Its code runs twice: on the rows of W, and with
        many digits along the eigenvectors of H, which gives the exact gap. So `choose` and `update`
        use only operations that arrays of objects have.
        """
        return False

    @property
    def samples(self) -> bool:
        """Whether it draws rows or columns of X at random; see `gdconv.methods.sampling`."""
        return False

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
        """Return what is chosen for the step from w_t, as columns, for all runs at once.

        That is `step_size`, unless it is a coefficient, and `momentum`, if there is any. What
        `steps_by` names, `update` gets among the coefficients; the tables show all. ‖residual‖² is
        the gap, and the square of p's image is ½ pᵀHp. The state may be changed, the others not.
        """
        raise NotImplementedError

    @staticmethod
    def limits(
        t: np.ndarray, eigenvalues: np.ndarray, coefficients: Mapping[str, np.ndarray]
    ) -> Limits:
        """Return what is proved of the gap after t iterations; see `Limits`.

        The eigenvalues are those of H that are not 0, the largest first.
        """
        raise NotImplementedError

    @staticmethod
    def limit_of_spectrum(t: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
        """Return what is left of the gap at most if all eigenvalues are known; nan by default.

        It need not survive rounding, so no verdict is given on it.
        """
        return t * float("nan")

    def exact(self) -> Method:
        """Return the method without what only rounding calls for."""
        return self

    @staticmethod
    def of_step(t: int, coefficients: Coefficients) -> tuple[Any, Any]:
        """Return step size and momentum of the step from w_t to w_{t+1}."""
        return coefficients["step_size"], coefficients.get("momentum", 0.0)

    @staticmethod
    def invariant(
        away: np.ndarray,
        gradient: np.ndarray,
        coefficients: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Return a number of each run that every iteration multiplies by the same factor.

        Only a method that has one supplies it. away is w_t − w*; the others are as in `update`,
        before it. The result has the shape of a column.
        """
        raise NotImplementedError

    @staticmethod
    def recurrence(t: int, eigenvalue: Any, coefficients: Coefficients) -> tuple[Any, Any]:
        """Return b and c with e_{t+1} = e_t + b (e_t − e_{t−1}) − c e_t, along an eigenvector.

        e is the error v_iᵀ(w − w*). For t = 0 only c counts. The eigenvalue and the coefficients
        broadcast. Written like this, a small c keeps its digits.
        """
        raise NotImplementedError

    def closed_forms(self) -> Callable[..., Recurrence]:
        """Return the class of the theory; by default one that follows `recurrence`.

        A method with closed forms returns a subclass of it. The arguments are those of Recurrence.
        """
        from gdconv.theory.recurrence import Recurrence

        return Recurrence

    def theory(
        self,
        coefficients: Mapping[str, np.ndarray],
        eigenvalues: np.ndarray,
        iterations: int,
    ) -> Recurrence:
        """Return what theory knows of m runs.

        Parameters
        ----------
        coefficients : mapping of str to ndarray, shape (m,)
        eigenvalues : ndarray, shape (r,)
            Those of H that are not 0, the largest first.
        iterations : int
            The longest a run may be.
        """
        given = self.recurrence, coefficients, eigenvalues, iterations, len(self.state)
        return self.closed_forms()(*given)

    def on_average(
        self,
        limit: Limit,
        coefficients: Mapping[str, np.ndarray],
        column: np.ndarray,
        t: np.ndarray,
    ) -> np.ndarray:
        """Return the gap of run column[k] at iteration t[k] in the limit of random features.

        coefficients are those of m runs, with the edges as eigenvalues; nan where it is not known,
        as for methods that choose their steps, unless they have a formula.
        """
        if self.chooses:
            return 0.0 * t + float("nan")
        return limit.gap(self.theory(coefficients, limit.ends, int(t.max())), column, t)


def descend(
    t: int,
    w: np.ndarray,
    gradient: np.ndarray,
    coefficients: Mapping[str, np.ndarray],
    state: Mapping[str, np.ndarray],
) -> None:
    """w ← w − step_size gradient, the `update` of methods without momentum."""
    gradient *= coefficients["step_size"]
    w -= gradient


@dataclass(frozen=True)
class Choosing(Method):
    """A method that always chooses its steps, and takes no step size."""

    takes_step: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("choose", "limits")

    def coefficients(self, unit: str | None, value: float | None, facts: Facts) -> dict[str, float]:
        """Return `factor`, by which every chosen step size is multiplied."""
        return {"factor": 1.0}

    @staticmethod
    def step_limit(coefficients: Coefficients, lambda_max: float) -> None:
        """Return None, because it takes no step size."""

    # Unless a method has another one.
    update = staticmethod(descend)

    @property
    def chooses(self) -> bool:
        """True."""
        return True

    def theory(
        self,
        coefficients: Mapping[str, np.ndarray],
        eigenvalues: np.ndarray,
        iterations: int,
    ) -> Recurrence:
        """Return what follows from `limits` and from the exact run."""
        from gdconv.theory.chosen import Chosen

        return Chosen(self, coefficients, eigenvalues, iterations)


def push(w: np.ndarray, step: np.ndarray, momentum: Any, move: np.ndarray) -> None:
    """Turn w_t into w_t + momentum (w_t − w_{t−1}) − step, where `move` is w_t − w_{t+1}."""
    move *= momentum
    move += step
    w -= move


def exact_step(square: Any, image: Any, products: Products) -> Any:
    """Return gᵀg/(pᵀHp): along −p it leads to the least loss if gᵀp is gᵀg.

    Parameters
    ----------
    square, image : array
        gᵀg, and the image of p.
    """
    half = products.inner(image, image)
    return products.quotient(square, half + half)
