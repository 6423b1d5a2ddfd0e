"""What is known of the methods that choose their steps: their quotients and what is proved of them.

docs/methods.md derives it. Nothing here comes from `gdconv.methods` or `gdconv.theory`, with which
it is compared. All numbers are decimals; `gaps` and `last_gap` also take fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from gdconv.methods.barzilai_borwein import BarzilaiBorwein
from gdconv.methods.conjugate_gradient import ConjugateGradient
from gdconv.methods.nesterov import Nesterov
from gdconv.methods.polyak import Polyak
from gdconv.methods.protocol import Method
from gdconv.methods.steepest_descent import SteepestDescent
from gdconv.verify.known import least_worst, power

# Of decimals or fractions.
Vector = Sequence[Any]


class Quotient(NamedTuple):
    """A step size, factor top/bottom.

    top and bottom are names of these numbers, with g = ∇L(w_t) and s = w_t − w_{t−1}: gg = gᵀg,
    gHg = gᵀHg, gap = L(w_t) − L(w*), ss = sᵀs, sHs = sᵀHs.
    """

    top: str
    bottom: str
    factor: Any = 1


class Choice:
    """What is known of one run.

    Parameters
    ----------
    coefficients : mapping of str to float
    smallest, largest : Decimal
        The smallest eigenvalue that is not 0, and the largest one.
    """

    formula: ClassVar[str]
    # Whether a step is that of the plane of the gradient and the last step, see `plane`.
    is_plane: ClassVar[bool] = False
    # So many iterations are compared one by one.
    early: ClassVar[int] = 30
    # When a growing momentum begins again; empty for a method with none.
    restart: str = ""

    def __init__(self, coefficients: Mapping[str, float], smallest: Any, largest: Any) -> None:
        self.coefficients, self.smallest, self.largest = coefficients, smallest, largest
        self.kappa = largest / smallest

    def quotient(self, t: int) -> Quotient:
        """The step size of the step from w_t."""
        return Quotient("gg", "gHg")

    def base(self) -> tuple[Decimal, int] | None:
        """b and k such that a late step leaves at most b^k of gap or distance; None if unknown."""
        return None

    def parts(self, t: int) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """At most so large a part is left after t steps; see `gdconv.theory.limits.Limits`.

        It is a part of the gap, of the squared distance, and of ½λmax times the squared distance.
        """
        return None, None, None

    def off(self, t: int, error: Decimal) -> Decimal:
        """How far a part may be off, as a part of it, if b is off by error; inf if b is 0."""
        found = self.base()
        if found is None or not t:
            return Decimal(0)
        base, times = found
        return (1 + error / base) ** (times * t) - 1 if base > 0 else Decimal("inf")


class LineSearch(Choice):
    """Steepest descent."""

    formula = "ηₜ = gᵀg/(gᵀHg), g = ∇L(wₜ)"

    def base(self) -> tuple[Decimal, int]:
        """((κ − 1)/(κ + 1))²."""
        return (self.kappa - 1) / (self.kappa + 1), 2

    def parts(self, t: int) -> tuple[Decimal, None, Decimal]:
        """So much in every step."""
        part = power(self.base()[0], 2 * t)
        return part, None, part


class KnownMinimum(Choice):
    """Polyak's step."""

    formula = "ηₜ = factor (L(wₜ) − L(w*))/gᵀg, g = ∇L(wₜ)"

    @property
    def factor(self) -> Decimal:
        """Its factor, γ."""
        return Decimal(float(self.coefficients["factor"]))

    def quotient(self, t: int) -> Quotient:
        """γ gap/gᵀg."""
        return Quotient("gap", "gg", self.factor)

    def base(self) -> tuple[Decimal, int]:
        """1 − γ(4 − γ)κ/(κ + 1)²."""
        return 1 - self.factor * (4 - self.factor) * self.kappa / (self.kappa + 1) ** 2, 1

    def parts(self, t: int) -> tuple[None, Decimal, Decimal]:
        """So much in every step."""
        part = power(self.base()[0], t)
        return None, part, part


class Secant(Choice):
    """Barzilai and Borwein's step."""

    formula = "ηₜ = sᵀs/(sᵀHs), s = wₜ − wₜ₋₁"

    def quotient(self, t: int) -> Quotient:
        """The best step size for the step before, and a line search at first."""
        return Quotient("ss", "sHs") if t else Quotient("gg", "gHg")


class Plane(Choice):
    """Conjugate gradients."""

    formula = "least L in the plane of ∇L(wₜ) and wₜ − wₜ₋₁"
    is_plane = True

    def parts(self, t: int) -> tuple[Decimal, None, Decimal]:
        """1/T_t((κ + 1)/(κ − 1))², and 1/(2t + 1)²."""
        least = Decimal(least_worst(self.smallest, self.largest, t)) ** 2
        return least, None, 1 / Decimal(2 * t + 1) ** 2

    def base(self) -> tuple[Decimal, int]:
        """((√κ − 1)/(√κ + 1))²."""
        root = self.kappa.sqrt()
        return (root - 1) / (root + 1), 2


class Growing(Choice):
    """Nesterov's method with a growing momentum that begins again."""

    formula = "growing momentum, begun again by its rule"
    early = 300

    def parts(self, t: int) -> tuple[Decimal | None, Decimal | None, None]:
        """1, as long as no eigenvector has ηλ > 1."""
        step_size = Decimal(float(self.coefficients["step_size"]))
        # A float nearest to 1/λmax is meant to be it.
        one = None if float(step_size * self.largest) > 1 else Decimal(1)
        return one, one, None


CHOICES: Mapping[type[Method], type[Choice]] = {
    SteepestDescent: LineSearch,
    Polyak: KnownMinimum,
    BarzilaiBorwein: Secant,
    ConjugateGradient: Plane,
    Nesterov: Growing,
}


def choice_of(
    method: Method, coefficients: Mapping[str, float], ends: tuple[float, float]
) -> Choice | None:
    """Return what is known of a run, or None for another method; ends is (smallest, largest)."""
    kind = CHOICES.get(type(method))
    if kind is None or not method.chooses:
        return None
    found = kind(coefficients, *map(Decimal, ends))
    found.restart = str(method.options.get("restart", ""))
    return found


def gaps(choice: Choice, eigenvalues: Vector, errors: Vector, iterations: int) -> list[Any]:
    """Return the gaps of a run along the eigenvectors of H, from errors v_iᵀ(w_0 − w*)."""
    if choice.restart:
        return gaps_with_restarts(choice, eigenvalues, errors, iterations)
    e, s = list(errors), [0 * each for each in errors]
    found: list[Any] = []
    for t in range(iterations + 1):
        g = [value * each for value, each in zip(eigenvalues, e, strict=True)]
        numbers = {
            "gap": dot(g, e) / 2,
            "gg": dot(g, g),
            "gHg": dot(g, g, eigenvalues),
            "ss": dot(s, s),
            "sHs": dot(s, s, eigenvalues),
        }
        found.append(numbers["gap"])
        along, again = 0 * e[0], 0 * e[0]
        if choice.is_plane and t:
            along, again = plane(numbers, dot(g, s), dot(g, s, eigenvalues))
        elif numbers["gg"]:
            top, bottom, factor = choice.quotient(t)
            along = factor * numbers[top] / numbers[bottom]
        s = [again * last - along * slope for last, slope in zip(s, g, strict=True)]
        e = [each + step for each, step in zip(e, s, strict=True)]
    return found


def gaps_with_restarts(
    choice: Choice, eigenvalues: Vector, errors: Vector, iterations: int
) -> list[Any]:
    """The same for a growing momentum: u = e + β s, and the next e is u − ηλu."""
    one = errors[0] * 0 + 1
    size = one * Decimal(float(choice.coefficients["step_size"]))
    e, s, count = list(errors), [0 * each for each in errors], 0
    found: list[Any] = []
    for _ in range(iterations + 1):
        found.append(dot(e, e, eigenvalues) / 2)
        beta = one * max(count - 1, 0) / (count + 2)
        u = [each + beta * last for each, last in zip(e, s, strict=True)]
        slope = [value * each for value, each in zip(eigenvalues, u, strict=True)]
        after = [each - size * g for each, g in zip(u, slope, strict=True)]
        s = [new - old for new, old in zip(after, e, strict=True)]
        e = after
        up = dot(slope, s) > 0
        if choice.restart == "function":
            up = dot(e, e, eigenvalues) / 2 > found[-1]
        count = 0 if up else count + 1
    return found


def plane(numbers: Mapping[str, Any], gs: Any, gHs: Any) -> tuple[Any, Any]:
    """Return a and b for which L(w − a g + b s) is least: two linear equations."""
    gg, gHg, sHs = numbers["gg"], numbers["gHg"], numbers["sHs"]
    determinant = gHg * sHs - gHs * gHs
    if not determinant:
        return 0 * gs, 0 * gs
    return (gg * sHs - gs * gHs) / determinant, (gg * gHs - gs * gHg) / determinant


def dot(a: Vector, b: Vector, weights: Vector | None = None) -> Any:
    """Return Σ a_i b_i, each term times its weight."""
    terms = [x * y for x, y in zip(a, b, strict=True)]
    if weights is not None:
        terms = [x * y for x, y in zip(terms, weights, strict=True)]
    return sum(terms)


def left_by_conjugate_gradients(eigenvalues: Vector, t: int) -> Any:
    """Return the least 1/T_{t−k}((κ_k + 1)/(κ_k − 1))² over k, κ_k = λ_{k+1}/λ⁺min.

    The eigenvalues are sorted, the largest first.
    """
    parts = (
        least_worst(eigenvalues[-1], eigenvalues[k], t - k)
        for k in range(min(t + 1, len(eigenvalues)))
    )
    return min(parts) ** 2


def last_gap(eigenvalues: Vector, shares: Vector) -> tuple[int, Any]:
    """Return the number m of steps that conjugate gradients take, and the gap after m − 1.

    m is the number of distinct eigenvalues with a share of the initial gap. After m − 1 steps the
    gap is the least Σ s_i p_i², p_i the values of a polynomial of degree m − 1 with p(0) = 1. By
    Lagrange that is Σ ℓ_i p_i = 1, with ℓ_i = Π_{j ≠ i} λ_j/(λ_j − λ_i), so it is 1/Σ (ℓ_i²/s_i).
    """
    of: dict[Any, Any] = {}
    for value, share in zip(eigenvalues, shares, strict=True):
        if share:
            of[value] = of.get(value, 0) + share
    total: Any = 0
    for value, share in of.items():
        product: Any = 1
        for other in of:
            product *= other / (other - value) if other != value else 1
        total += product * product / share
    return len(of), 1 / total if of else 0
