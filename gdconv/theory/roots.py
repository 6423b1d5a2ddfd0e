"""The solutions of e_{t+1} = e_t + b (e_t − e_{t−1}) − c e_t with constant b and c, in closed form.

They follow from the roots z₁, z₂ of z² = a z − b with a = 1 + b − c. With Δ = a² − 4b,

    Δ < 0:   z = √b e^{±iθ},     Δ >= 0:   |z₁| >= |z₂| are real.

A slow component has z₁ close to 1, and a well chosen momentum has z₁ close to z₂. So 1 − z₁ and
z₁ − z₂ are computed without subtracting numbers that are nearly equal:

    b >= 0:   Δ = ((1 − √b)² − c) ((1 + √b)² − c),          1 − z₁ = 2c/(1 − b + c + √Δ)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# At the edges a logarithm may be −inf, and a division 0/0; each is replaced.
_quiet = np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore")


def radius(b: Any, c: Any) -> np.ndarray:
    """Return the larger |z|, the factor by which an iteration multiplies e in the long run."""
    b, c = np.asarray(b, dtype=float), np.asarray(c, dtype=float)
    under = discriminant(b, c)
    real = (np.abs(1 + b - c) + np.sqrt(np.maximum(under, 0))) / 2
    return np.where(under < 0, np.sqrt(np.maximum(b, 0)), real)


def discriminant(b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return Δ."""
    root = np.sqrt(np.maximum(b, 0))
    # The best momentum has a double root, and b and c are rounded.
    rounding = 4 * np.finfo(float).eps * (c + np.sqrt(np.maximum(c, 0)))
    ends = (((1 - b) / (1 + root)) ** 2 - c, (1 + root) ** 2 - c)
    rounding = np.where(b > 1e-12, rounding, 0.0)
    factored = np.prod([np.where(np.abs(end) <= rounding, 0.0, end) for end in ends], axis=0)
    return np.where(b < 0, (1 + b - c) ** 2 - 4 * b, factored)


class Roots:
    """The roots for arrays of b and c, and what follows from them for every t.

    Parameters
    ----------
    b, c : array_like
        They broadcast.
    first : array_like, optional
        c of the first step, if it is another.

    Attributes
    ----------
    log_radius : ndarray
        ln of the larger |z|, accurate also where |z| is close to 1.
    """

    @_quiet
    def __init__(self, b: Any, c: Any, first: Any = None) -> None:
        b, c, first = np.broadcast_arrays(
            *(np.asarray(each, dtype=float) for each in (b, c, c if first is None else first))
        )
        under = discriminant(b, c)
        a, width = 1 + b - c, np.sqrt(np.abs(under))
        self.b, self.c = b, c
        self.is_complex = under < 0
        self.sign = np.where(a < 0, -1.0, 1.0)
        size = (np.abs(a) + width) / 2
        # 1 − z₁ for a positive z₁.
        less = 2 * c / (1 - b + c + width)
        real = np.where((a > 0) & (less < 0.5), np.log1p(-less), np.log(size))
        self.log_radius = np.where(self.is_complex, np.log(np.maximum(b, 0)) / 2, real)
        # That of |a|, because close to π it would lose digits.
        self.angle = np.where(self.is_complex, np.arctan2(width, np.abs(a)), 0.0)
        self.size = np.where(self.is_complex, np.sqrt(np.maximum(b, 0)), size)
        # z₂/z₁, and 1 − z₂/z₁.
        self.apart = np.where(size > 0, width / size, 1.0)
        self.ratio = 1 - self.apart
        # (p_1 − Re z₁), to be multiplied by u_t.
        towards = np.where(a < 0, 1 - first + size, less - first)
        self.rest = np.where(self.is_complex, (1 - b + c) / 2 - first, towards)
        self.width = width / 2

    def __getitem__(self, index: Any) -> Roots:
        """The roots of some elements."""
        chosen = object.__new__(Roots)
        for name, values in vars(self).items():
            setattr(chosen, name, values[index])
        return chosen

    @_quiet
    def polynomial(self, t: np.ndarray) -> np.ndarray:
        """Return p_t, the solution with p_0 = 1 and e_{−1} = e_0: z₁^t + (p_1 − z₁) u_t."""
        t = np.asarray(t, dtype=float)
        turned = np.where(self.is_complex, np.cos(t * self.angle), 1.0)
        powers = turned * self._powers(t)
        more = np.where(self.rest == 0, 0.0, self.rest * self.impulse(t - 1))
        sum_ = np.where(t > 0, powers + more, 1.0)
        # Two terms that are both too large for a float.
        return np.where(np.isnan(sum_), np.inf, sum_)

    @_quiet
    def impulse(self, s: np.ndarray) -> np.ndarray:
        """Return k_s = u_{s+1} = (z₁^{s+1} − z₂^{s+1})/(z₁ − z₂), the solution with k_{−1} = 0."""
        n = np.asarray(s, dtype=float) + 1
        # Equal roots.
        steps = np.array(np.broadcast_to(n, np.broadcast_shapes(n.shape, self.b.shape)))
        apart = ~self.is_complex & (self.apart > 0)
        _fill(steps, self.is_complex, _waves, self.angle)
        _fill(steps, apart & (self.ratio >= 0), _fast, self.apart)
        _fill(steps, apart & (self.ratio < 0), _turning, self.apart, self.ratio)
        return self._powers(n - 1) * steps

    def _powers(self, t: np.ndarray) -> np.ndarray:
        """The t-th power of |z₁| with the sign of a, which is 1 for t = 0."""
        turn = np.where(t % 2 == 0, 1.0, self.sign)
        # Where |z₁| is close to 1 its logarithm has more digits, elsewhere the power has.
        powers = np.asarray(np.exp(t * self.log_radius))
        far = np.broadcast_to(np.abs(self.log_radius) >= 0.5, powers.shape)
        if far.any():
            size, t = (np.broadcast_to(each, powers.shape)[far] for each in (self.size, t))
            powers[far] = size**t
        return turn * powers

    @_quiet
    def height(self) -> np.ndarray:
        """Return a number h with |k_s| <= |z₁|^s min(s + 1, h)."""
        real = np.where(self.ratio < 0, 1.0, 1 / self.apart)
        return np.where(self.is_complex, np.exp(self.log_radius) / self.width, real)

    @_quiet
    def summed(self, n: np.ndarray, last: float) -> np.ndarray:
        """Return an upper bound of Σ_{s<n} |k_s|; if e does not grow, of Σ_{s<last} |k_s|."""
        n = np.where(self.log_radius > 0, n, last)
        # Σ |z₁|^s, and Σ (s + 1) |z₁|^s.
        powers = np.where(
            self.log_radius == 0, n, np.expm1(n * self.log_radius) / np.expm1(self.log_radius)
        )
        grown = np.minimum(self.height(), n) * powers
        real = np.where(self.sign > 0, 1 / self.c, 1 / (2 + 2 * self.b - self.c))
        opposite = 1 / (-np.expm1(self.log_radius) * (1 + self.ratio * np.exp(self.log_radius)))
        limit = np.where(self.ratio < 0, opposite, real)
        bounded = np.where(self.is_complex, np.expm1(self.log_radius) ** -2, limit)
        return np.where(self.log_radius < 0, np.fmin(np.abs(bounded), grown), grown)


def _fill(values: np.ndarray, chosen: np.ndarray, of: Callable[..., Any], *roots: Any) -> None:
    """Replace the chosen values n by of(n, ...), for whose other arguments arrays are given."""
    chosen = np.broadcast_to(chosen, values.shape)
    if chosen.any():
        given = (np.broadcast_to(each, values.shape)[chosen] for each in roots)
        values[chosen] = of(values[chosen], *given)


def _waves(n: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The same as `_fast` for complex roots, with √b^{n−1} as the power."""
    return np.sin(n * angle) / np.sin(angle)


def _fast(n: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """1 − (z₂/z₁)^n, divided by 1 − z₂/z₁."""
    return -np.expm1(n * np.log1p(-apart)) / apart


def _turning(n: np.ndarray, apart: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """The same where z₂/z₁ is negative."""
    return (1 - (1 - 2 * (n % 2)) * np.abs(ratio) ** n) / apart
