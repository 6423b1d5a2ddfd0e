"""The theory of a method whose error obeys a recurrence with two terms along each eigenvector.

Many methods with coefficients fixed in advance move the error e_t = v_iᵀ(w_t − w*) along the
eigenvector v_i of H by

    e_{t+1} = e_t + b_t(λ_i) (e_t − e_{t−1}) − c_t(λ_i) e_t,        e_{−1} = e_0.

So e_t = p_t(λ_i) e_0, where p_t is a polynomial of degree t with p_t(0) = 1, the *residual
polynomial*. It follows from the same recurrence with p_0 = 1. Everything below is computed from it.
Let c_i = e_0, and take maxima over [λ⁺min, λmax]:

    gap_t      =  Σ_i p_t(λ_i)² ½ λ_i c_i²
    gap_t     <=  max p_t² gap_0,    gap_t <= ½ max λ p_t² ‖w_0 − w*‖²
    ‖w_t − w*‖² <=  max p_t² ‖w_0 − w*‖²

*Enclosing a maximum.* A polynomial of degree n is at most 1/cos(nπ/2N) times as large on an
interval as on N Chebyshev nodes of it, if N > n (Ehlich and Zeller, Math. Z. 86, 1964). Here
n = 2t + 1 and N is NODES times the last iteration or more, so the bounds are at most 6 % too large.
This takes t² operations, so the bounds end after MOST iterations; later they are nan, which means
that none is known. With closed forms they are known for any iteration (`gdconv.theory.maxima`).

*Rounding.* A perturbation of one step is multiplied by the impulse response k_s afterwards, where
k_{−1} = 0, k_0 = 1, k_{s+1} = k_s + b (k_s − k_{s−1}) − c k_s, with b and c of late iterations. It
takes the place of (1 − step_size λ)^s in `gdconv.theory.rounding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gdconv.theory.limits import Limits
from gdconv.theory.roots import Roots, radius
from gdconv.theory.rounding import relative_error

# recurrence(t, eigenvalue, coefficients) → b, c
Rule = Callable[[int, Any, Mapping[str, Any]], tuple[Any, Any]]
NODES, MOST = 10, 1000
# An iteration at which coefficients that change have reached their limits.
LATE = 10**12
# What diverges exceeds the largest float in the end. It is recorded only as long as it does not.
_quiet = np.errstate(over="ignore", invalid="ignore")


class Maxima(NamedTuple):
    """Upper bounds of maxima over [λ⁺min, λmax] for m runs, each of shape (T + 1, m), T <= MOST.

    square, weighted : max p_t² and max λ p_t²
    """

    square: np.ndarray
    weighted: np.ndarray


class Recurrence:
    """What theory knows of m runs; every result has a value for each run.

    Parameters
    ----------
    rule : callable
        See `gdconv.methods.protocol.Method.recurrence`.
    coefficients : mapping of str to ndarray, shape (m,)
    eigenvalues : ndarray, shape (r,)
        Those of H that are not 0, the largest first.
    iterations : int
        The longest a run may be.
    states : int
        How many matrices the method keeps; each is rounded in each step.
    """

    # Whether the error along an eigenvector shrinks by the same factor in every step.
    is_monotone = False

    def __init__(
        self,
        rule: Rule,
        coefficients: Mapping[str, np.ndarray],
        eigenvalues: np.ndarray,
        iterations: int,
        states: int,
    ) -> None:
        self.rule, self.coefficients = rule, coefficients
        self.eigenvalues, self.iterations, self.states = eigenvalues, iterations, states
        self.runs = len(next(iter(coefficients.values())))

    def factors(self) -> np.ndarray:
        """The factor by which an iteration multiplies the error along each v_i, shape (r, m).

        In the long run it is the larger root of z² = (1 + b − c) z − b, in absolute value.
        """
        return radius(*self._late(self.eigenvalues[:, None]))

    def contraction(self) -> np.ndarray:
        """The largest of `factors`, shape (m,)."""
        return np.max(self.factors(), axis=0)

    def log_contraction(self) -> np.ndarray:
        """The logarithm of `contraction`, shape (m,)."""
        return np.max(self._roots_late.log_radius, axis=0)

    def growth(self) -> np.ndarray:
        """How much one step may enlarge the gap, shape (m,)."""
        b, c = self._late(self.eigenvalues[:, None])
        return np.max((np.abs(1 + b - c) + np.abs(b)) ** 2, axis=0)

    def iterations_to(self, reduction: float) -> np.ndarray:
        """The least t >= 1 with max p_t² <= reduction, shape (m,); inf if it is not known."""
        reached = self._maxima.square[1:] <= reduction
        return np.where(reached.any(axis=0), 1.0 + np.argmax(reached, axis=0), np.inf)

    def follows_invariant(self) -> np.ndarray:
        """Whether the gap shrinks as `Method.invariant` does, in the long run; shape (m,)."""
        return np.zeros(self.runs, dtype=bool)

    @_quiet
    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap of run column[k] at iteration t[k], given ½ λ_i c_i² of shape (r,)."""
        wanted = {int(each): t == each for each in np.unique(t)}
        gap = np.full(len(t), np.nan)
        for iteration, p in self._polynomials(self.eigenvalues):
            if (rows := wanted.pop(iteration, None)) is not None:
                # Summed in this order, so that a run has the same bits alone and in a group.
                total = np.zeros(self.runs)
                for share, value in zip(shares, p, strict=True):
                    total += squared(share, value, value**2)
                gap[rows] = total[column[rows]]
            if not wanted:
                break
        return gap

    @_quiet
    def polynomials(self, values: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """|p_t| at some λ, for run column[k] at iteration t[k]; shape (len(t), len(values))."""
        wanted = {int(each): t == each for each in np.unique(t)}
        found = np.full((len(t), len(values)), np.nan)
        for iteration, p in self._polynomials(values):
            if (rows := wanted.pop(iteration, None)) is not None:
                found[rows] = np.abs(p.T[column[rows]])
            if not wanted:
                break
        return found

    def maxima(self, column: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and max λ p_t², for run column[k] at iteration t[k].

        nan where none is known.
        """
        found = self._maxima
        return self._known(found.square, column, t), self._known(found.weighted, column, t)

    def limits(self, column: np.ndarray, t: np.ndarray) -> Limits:
        """What is proved of run column[k] at iteration t[k]."""
        square, weighted = self.maxima(column, t)
        return Limits(square, square, weighted)

    def limit_of_spectrum(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """What is proved of the gap if all eigenvalues are known, as a part of the initial one."""
        return np.full(len(t), np.nan)

    def coursework(
        self, scale: float, lambda_min: float, column: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """The coursework's bound, which is about gradient descent only: nan."""
        return np.full(len(t), np.nan)

    def contraction_coursework(self, lambda_min: float) -> np.ndarray:
        """The coursework's contraction factor, likewise."""
        return np.full(self.runs, np.nan)

    def reach(self) -> np.ndarray:
        """The largest part of the way to w* along v_i that a run may go, shape (r, m).

        While p_t >= 0, a step is at most c (1 + b + ... + b^{t−1}).
        """
        b, c = self._late(self.eigenvalues[:, None])
        with np.errstate(divide="ignore"):
            longest = np.minimum((self.iterations + 1) / 2, 1 / np.maximum(1 - b, 0))
        return np.minimum(1.0, self.iterations * longest * c)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """By what a step multiplies rounding errors of the gradient and of w, shape (m,) each."""
        largest = self.eigenvalues[0]
        (b, c), (flat, _) = self._late(largest), self._late(0.0)
        gradient = (np.abs(flat - b + c) + np.abs(flat - b)) / largest
        return gradient, 1 + 2 * np.abs(flat) + self.states

    def step_error(self) -> np.ndarray:
        """The sum of both weights in units of an error of w, shape (m,)."""
        gradient, iterate = self.weights()
        return iterate + gradient * self.eigenvalues[0]

    def summed(self, index: int, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """At most Σ_{s<T} |k_s(λ_i)|, T being the last iteration or, for a growing run, t[k]."""
        roots = self._roots_late[index]
        found = roots.summed(np.full(self.runs, float(self.iterations)), self.iterations)[column]
        # Only of growing runs does t matter.
        grows = np.flatnonzero(roots.log_radius[column] > 0)
        found[grows] = roots[column[grows]].summed(np.asarray(t)[grows], self.iterations)
        return found

    @_quiet
    def drift(self, column: np.ndarray, t: np.ndarray, columns: int) -> np.ndarray:
        """How far rounding may carry w_t off on its way, as a part of the way to w*.

        The error of step s is proportional to max |p_s| or max |p_{s−1}|, because a step also uses
        the iterate before, and is multiplied by max |k_{t−1−s}|. With the contraction factor ρ,
        |p_s| <= ρ^s P and |k_s| <= ρ^s K, where P and K grow with s.
        """
        roots, t = self._roots_late, np.asarray(t, dtype=float)
        unit, error = relative_error(columns), self.step_error()[column]
        # Rounding changes the factor of a step as well, and a double root at 0 by its square root.
        rate = np.exp(roots.log_radius.max(axis=0)[column]) + unit * error
        rate = np.log(np.maximum(rate, np.sqrt(unit * error)))
        highest = np.minimum(roots.height().max(axis=0)[column], np.maximum(t, 1))
        polynomial = 1 + self._rest()[column] * highest
        before = np.where((rate < 0) & (t > 1), t - 2, t - 1)
        steps = np.where(t > 0, t * np.exp(before * rate), 0.0)
        return unit * polynomial * (error * highest * steps + np.exp(t * rate))

    @np.errstate(divide="ignore", over="ignore", invalid="ignore")
    def lasting(self) -> np.ndarray:
        """How many errors of w at the start add up in the null space of X, at most; shape (m,).

        There nothing shrinks them. That of step s is proportional to max |p_s|, and is multiplied
        by k(0), which tends to 1/(1 − b).
        """
        roots, (flat, _) = self._roots_late, self._late(0.0)
        log_radius = roots.log_radius.max(axis=0)
        steps, response = (
            np.minimum(self.iterations, 1 / part) for part in (-np.expm1(log_radius), 1 - flat)
        )
        highest = np.minimum(roots.height().max(axis=0), steps)
        found = self.step_error() * response * steps * (1 + self._rest() * highest)
        # A run that does not converge does not come to rest.
        return np.where(log_radius < 0, found, 0.0)

    def _rest(self) -> np.ndarray:
        """The largest |p_1 − z₁|/ρ, shape (m,)."""
        roots = self._roots_late
        rest = np.where(roots.rest == 0, 0.0, np.abs(roots.rest) * np.exp(-roots.log_radius))
        return np.max(rest, axis=0)

    def _late(self, eigenvalue: Any) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients b and c of late iterations."""
        shape = np.broadcast_shapes(np.shape(eigenvalue), (self.runs,))
        b, c = self.rule(LATE, eigenvalue, self.coefficients)
        return np.broadcast_to(b, shape), np.broadcast_to(c, shape)

    def _polynomials(self, eigenvalues: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """t and p_t, shape (len(eigenvalues), m), for t = 0, 1, ..., the last iteration."""
        p = np.ones((len(eigenvalues), self.runs))
        change = np.zeros_like(p)
        for t in range(self.iterations + 1):
            yield t, p
            b, c = self.rule(t, eigenvalues[:, None], self.coefficients)
            change = b * change - c * p
            p = p + change

    @cached_property
    def _roots_late(self) -> Roots:
        """The roots of late iterations, after a first step that may be another; shape (r, m)."""
        values = self.eigenvalues[:, None]
        shape = len(values), self.runs
        _, first = self.rule(0, values, self.coefficients)
        return Roots(*self._late(values), np.broadcast_to(first, shape))

    @cached_property
    @_quiet
    def _maxima(self) -> Maxima:
        last = min(self.iterations, MOST)
        largest, smallest = self.eigenvalues[0], self.eigenvalues[-1]
        count = NODES * (last + 1)
        at = np.cos(np.pi * (2 * np.arange(count) + 1) / (2 * count))
        nodes = np.clip((largest + smallest) / 2 + (largest - smallest) / 2 * at, smallest, largest)
        found = []
        for t, p in self._polynomials(nodes):
            beyond = 1 / np.cos(np.pi * (2 * t + 1) / (2 * count))
            square = p**2
            highest = square.max(axis=0), (nodes[:, None] * square).max(axis=0)
            found.append([beyond * each for each in highest])
            if t == last:
                break
        return Maxima(*(np.array(part) for part in zip(*found, strict=True)))

    def _known(self, values: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The value of run column[k] at iteration t[k]; nan after the last one that is known."""
        within = np.minimum(t, len(values) - 1).astype(int)
        return np.where(t < len(values), values[within, column], np.nan)


def part_of_gap(
    share: float, t: np.ndarray, power: Callable[[Any, Any], np.ndarray], relative_step: Any
) -> np.ndarray:
    """Return a share of the initial gap times power(relative_step, t), which is p_t².

    It may fit into a float although p_t² does not.
    """
    square = power(relative_step, t)
    huge = np.isinf(square).any()
    return squared(share, power(relative_step, t / 2) if huge else square, square)


def squared(share: float, p: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Return p² times a share of the initial gap, also where p² is too large for a float."""
    if share == 0:
        return np.zeros_like(p)
    with np.errstate(over="ignore"):
        return np.where(np.isinf(square), (np.sqrt(share) * p) ** 2, share * square)
