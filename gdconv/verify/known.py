"""What is known in closed form of methods with momentum.

docs/methods.md derives it. Nothing here comes from `gdconv.methods` or `gdconv.theory`, with which
it is compared. T_n and U_n are Chebyshev's polynomials of the first and the second kind, P_n are
Legendre's. The polynomials are computed without a root, so that they are exact in fractions. A
number here is a decimal, a fraction, or a float or array; `number` makes one from a float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.marchenko_pastur import MarchenkoPastur
from gdconv.methods.nesterov import Nesterov
from gdconv.methods.protocol import Method

Number = Callable[[float], Any]
EPS = float(np.finfo(float).eps)
CLOSE = Decimal(64 * EPS)


class Known:
    """What is known of one run.

    Parameters
    ----------
    method : Method
    coefficients : mapping of str to float
        The numbers that the run iterates with.
    smallest, largest : number
        The ends of the spectrum: the smallest eigenvalue that is not 0, and the largest one.
    number : callable
    shape : tuple of int
        That of X.
    """

    # What `best_step_size` is.
    best_words = "the optimal η"

    def __init__(
        self,
        method: Any,
        coefficients: Mapping[str, float],
        smallest: Any,
        largest: Any,
        number: Number,
        shape: tuple[int, int],
    ) -> None:
        self.method, self.coefficients = method, coefficients
        self.smallest, self.largest, self.number = smallest, largest, number
        self.few, self.many = map(number, sorted(shape))

    @property
    def tuned(self) -> tuple[Any, Any]:
        """The smallest and the largest eigenvalue to which the method is tuned.

        The edges are 2(√n ± √d)².
        """
        if getattr(self.method, "tuned_to", "spectrum") == "spectrum":
            return self.smallest, self.largest
        root, half = (self.few * self.many) ** self.number(0.5), self.few + self.many
        return 2 * (half - 2 * root), 2 * (half + 2 * root)

    def polynomial(self, eigenvalue: Any, t: int) -> Any:
        """Return p_t at an eigenvalue."""
        raise NotImplementedError

    def late(self, eigenvalue: Decimal) -> tuple[Decimal, Decimal]:
        """Return a and b of z² = a z − b, whose larger root is the factor of a late iteration."""
        raise NotImplementedError

    def worst(self, t: int) -> Any:
        """Return max |p_t| over the spectrum in closed form, or None where there is none."""
        return None

    def best_step_size(self) -> Any:
        """Return the step size with the smallest ρ, if the momentum is the best one for it."""
        return None

    def best_momentum(self) -> Any:
        """Return the momentum with the smallest ρ for this step size."""
        return None

    def best_radius(self) -> Any:
        """Return the smallest ρ of this method, where that is more than the smallest of all."""
        return None


class WithMomentum(Known):
    """Step size and momentum are constant."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.step_size = self.number(self.coefficients["step_size"])
        self.momentum = self.number(self.coefficients["momentum"])

    def ends(self) -> tuple[Any, Any]:
        """The smallest and the largest x = step_size λ."""
        return self.step_size * self.smallest, self.step_size * self.largest


class KnownHeavyBall(WithMomentum):
    """The polynomials are those of s = (1 + β − x)/(2√β), β the momentum and x = step_size λ.

    Full first step: p_t = β^{t/2} (U_t(s) − √β U_{t−1}(s)).
    Averaged: p_t = β^{t/2} (2β T_t(s) + (1 − β) U_t(s))/(1 + β).
    """

    def polynomial(self, eigenvalue: Any, t: int) -> Any:
        """See the class."""
        beta, (a, b) = self.momentum, self.late(eigenvalue)
        first, before = chebyshev(a, b, t)
        second = first + a / 2 * before
        if self.method.first_step == "full":
            return second - beta * before
        return (2 * beta * first + (1 - beta) * second) / (1 + beta)

    def late(self, eigenvalue: Any) -> tuple[Any, Any]:
        """a = 1 + β − x, b = β."""
        return 1 + self.momentum - self.step_size * eigenvalue, self.momentum

    def worst(self, t: int) -> Any:
        """β^{t/2} (1 + t (1 + √β)) or, for an averaged first step, 1 + t (1 − β)/(1 + β) in place.

        This needs complex roots in between, and a double root at λmax.
        """
        beta, (smallest, largest) = self.momentum, self.ends()
        root = beta ** self.number(0.5)
        if not (near(largest, (1 + root) ** 2) and smallest > (1 - root) ** 2 - CLOSE):
            return None
        full = self.method.first_step == "full"
        return power(root, t) * (1 + t * (1 + root if full else (1 - beta) / (1 + beta)))

    def best_step_size(self) -> Decimal:
        """4/(√λmax + √λ⁺min)²."""
        smallest, largest = self.tuned
        return 4 / (largest.sqrt() + smallest.sqrt()) ** 2

    def best_momentum(self) -> Decimal:
        """The larger one of (1 − √x)² at the two ends to which it is tuned."""
        return max((1 - (self.step_size * end).sqrt()) ** 2 for end in self.tuned)


class KnownNesterov(WithMomentum):
    """p_t = q^{t/2} (U_t(s) − √q U_{t−1}(s)) with q = β (1 − x) and s = (1 + β)(1 − x)/(2√q)."""

    def polynomial(self, eigenvalue: Any, t: int) -> Any:
        """See the class."""
        a, b = self.late(eigenvalue)
        first, before = chebyshev(a, b, t)
        return first + (a / 2 - b) * before

    def late(self, eigenvalue: Any) -> tuple[Any, Any]:
        """a = (1 + β)(1 − x), b = β (1 − x)."""
        rest = 1 - self.step_size * eigenvalue
        return (1 + self.momentum) * rest, self.momentum * rest

    def worst(self, t: int) -> Any:
        """(1 − √x)^t (1 + t √x) at λ⁺min, if that has a double root and no x is above 1."""
        smallest, largest = self.ends()
        root = smallest ** self.number(0.5)
        if not (near(self.momentum, (1 - root) / (1 + root)) and largest <= 1 + CLOSE):
            return None
        return power(1 - root, t) * (1 + t * root)

    def best_step_size(self) -> Decimal:
        """4/(3 λmax + λ⁺min)."""
        return 4 / (3 * self.largest + self.smallest)

    def best_radius(self) -> Decimal:
        """1 − 2/√(3κ + 1)."""
        return 1 - 2 / (3 * self.largest / self.smallest + 1).sqrt()

    def best_momentum(self) -> Decimal:
        """(1 − √x)/(1 + √x), which gives λ⁺min a double root, or less if λmax is slower then.

        Then it is least where both ends have the same ρ. With a = 1 − x at λ⁺min and g = x − 1 at
        λmax, ρ solves (a − g) ρ² − (a + g) ρ + 2 a g = 0. This follows from both roots' equations
        when the momentum is eliminated.
        """
        smallest, largest = self.ends()
        if smallest >= 1:
            return Decimal(0)
        a, g = 1 - smallest, largest - 1
        double = (1 - smallest.sqrt()) / (1 + smallest.sqrt())
        if g <= 0 or radius(-g * (1 + double), -g * double) <= 1 - smallest.sqrt():
            return double
        under = (a + g) ** 2 - 8 * a * g * (a - g)
        rho = 4 * a * g / (a + g + under.sqrt())
        return max(Decimal(0), rho * (a - rho) / (a * (1 - rho)))


class KnownConvex(KnownNesterov):
    """p_t = 2 s^{t+1} (s P_t(s) − P_{t+1}(s))/(t x) with s = √(1 − x); the momentum changes."""

    def polynomial(self, eigenvalue: Any, t: int) -> Any:
        """See the class; s^k P_k(s) is a polynomial in 1 − x."""
        x = self.step_size * eigenvalue
        rest, now, following = 1 - x, 1 + 0 * x, 1 - x
        if t == 0:
            return now
        for k in range(1, t + 1):
            now, following = following, rest * ((2 * k + 1) * following - k * now) / (k + 1)
        return 2 * (rest * now - following) / (t * x)

    def worst(self, t: int) -> None:
        """There is no closed form."""


class KnownChebyshev(Known):
    """p_t = T_t((θ − λ)/δ)/T_t(θ/δ), θ being the middle of the interval, δ half its length."""

    best_words = "η₀ for a = λ⁺min, b = λmax"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        parts = self.number(self.method.lower), self.number(self.method.upper)
        lower, upper = (part * end for part, end in zip(parts, self.tuned, strict=True))
        self.theta = (lower + upper) / 2
        # (δ/θ)²
        self.square = ((upper - lower) / 2 / self.theta) ** 2

    def polynomial(self, eigenvalue: Any, t: int) -> Any:
        """See the class.

        Both T_t are multiplied by (δ/2θ)^t, and by the t-th power of a number that keeps them
        within the range of floats.
        """
        scale = self.number(2 / (1 + float(1 - self.square) ** 0.5))
        below, _ = chebyshev(scale, scale**2 * self.square / 4, t)
        above, _ = chebyshev(scale * (1 - eigenvalue / self.theta), scale**2 * self.square / 4, t)
        return above / below

    def late(self, eigenvalue: Decimal) -> tuple[Decimal, Decimal]:
        """The limits."""
        half = (1 + (1 - self.square).sqrt()) / 2
        return (1 - eigenvalue / self.theta) / half, self.square / 4 / half**2

    def worst(self, t: int) -> Any:
        """1/T_t(θ/δ), if the interval is the spectrum's."""
        if self.method.tuned_to == "edges" or not self.method.lower == self.method.upper == 1:
            return None
        return least_worst(self.smallest, self.largest, t)

    def best_step_size(self) -> Decimal:
        """2/(λmax + λ⁺min), its first step if the interval is the spectrum's."""
        return 2 / sum(self.tuned)


class KnownMarchenkoPastur(Known):
    """p_t = U_t(s)/U_t(s_0) with s = (1 + r − x)/(2√r), s_0 that of x = 0.

    r is the smaller one of d/n and n/d, and x = λ/(2 max(n, d)).
    """

    best_words = "ηₜ for late t, if λ⁺min and λmax are the edges,"

    def polynomial(self, eigenvalue: Any, t: int) -> Any:
        """See the class; both U_t are multiplied by r^{t/2}."""
        return self._second(eigenvalue, t) / self._second(0 * eigenvalue, t)

    def at_start(self, t: int) -> Any:
        """Return 1/U_t(s_0)²."""
        return (self.few / self.many) ** t / self._second(0 * self.few, t) ** 2

    def _second(self, eigenvalue: Any, t: int) -> Any:
        a, b = self.late(eigenvalue)
        first, before = chebyshev(a, b, t)
        return first + a / 2 * before

    def late(self, eigenvalue: Any) -> tuple[Any, Any]:
        """a = 1 + r − x, b = r."""
        ratio = self.few / self.many
        return 1 + ratio - eigenvalue / (2 * self.many), ratio

    def best_step_size(self) -> Decimal:
        """4/(√λmax + √λ⁺min)²."""
        return 4 / (self.largest.sqrt() + self.smallest.sqrt()) ** 2


def chebyshev(a: Any, b: Any, n: int) -> tuple[Any, Any]:
    """Return b^{n/2} T_n(s) and b^{(n−1)/2} U_{n−1}(s), with s = a/(2√b).

    (a/2 + √D)^n with D = a²/4 − b is the first, plus √D times the second. So repeated squaring
    gives both, without a root.
    """
    half, under = a / 2, a * a / 4 - b
    first, second = 1 + 0 * a, 0 * a
    for digit in f"{n:b}":
        first, second = first * first + under * second * second, 2 * first * second
        if digit == "1":
            first, second = half * first + under * second, first + half * second
    return first, second


def power(x: Any, t: int) -> Any:
    """Return x^t; 0^0 is 1."""
    return x**t if t else 1 + 0 * x


def radius(a: Decimal, b: Decimal) -> Decimal:
    """Return the larger root of z² = a z − b, in absolute value."""
    under = a * a / 4 - b
    return b.sqrt() if under < 0 else abs(a) / 2 + under.sqrt()


def radius_error(a: Decimal, b: Decimal) -> Decimal:
    """Return how far a `radius` computed in floats may be off: √eps where a root is double."""
    size = 1 + abs(a) + abs(b)
    off, under = 4 * Decimal(EPS) * size * size, a * a / 4 - b
    error = off
    if under > -off:
        error += (max(under, Decimal(0)) + off).sqrt() - max(under, Decimal(0)).sqrt()
    if under < off:
        error += (max(b, Decimal(0)) + off).sqrt() - max(b, Decimal(0)).sqrt()
    return error


def least_worst(smallest: Any, largest: Any, t: int) -> Any:
    """Return 1/T_t((κ + 1)/(κ − 1)): max |p_t| of no method is smaller, for no t."""
    middle, half = (largest + smallest) / 2, (largest - smallest) / 2
    # T_t(middle/half) (half/2)^t
    value, _ = chebyshev(middle, half**2 / 4, t)
    return power(half / 2, t) / value


def near(x: Any, y: Any) -> bool:
    """Whether two numbers of the size of 1 differ by a few roundings only."""
    return bool(abs(x - y) <= CLOSE)


KNOWN: Mapping[type[Method], type[Known]] = {
    HeavyBall: KnownHeavyBall,
    Nesterov: KnownNesterov,
    Chebyshev: KnownChebyshev,
    MarchenkoPastur: KnownMarchenkoPastur,
}


def known_of(
    method: Method,
    coefficients: Mapping[str, float],
    ends: tuple[float, float],
    number: Number = Decimal,
    shape: tuple[int, int] = (1, 1),
) -> Known | None:
    """Return what is known in closed form of a run, or None for a method without one."""
    kind = KNOWN.get(type(method))
    if kind is None:
        return None
    if kind is KnownNesterov and "momentum" not in coefficients:
        # That momentum tends to 1.
        kind, coefficients = KnownConvex, {**coefficients, "momentum": 1.0}
    smallest, largest = map(number, ends)
    return kind(method, coefficients, smallest, largest, number, shape)
