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
that none is known. A method that is to be followed longer overrides them with closed forms.

*Rounding.* A perturbation of one step is multiplied by the impulse response k_s afterwards, where
k_0 = 1, k_{s+1} = k_s + b (k_s − k_{s−1}) − c k_s, k_{−1} = 0, with the b and c of late iterations. This takes
the place of (1 − step_size λ)^s in `gdconv.theory.rounding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gdconv.theory.roots import radius
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
    impulse : max |k_t|
    """

    square: np.ndarray
    weighted: np.ndarray
    impulse: np.ndarray


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
        with np.errstate(divide="ignore"):
            return np.log(self.contraction())

    def growth(self) -> np.ndarray:
        """How much one step may enlarge the gap, shape (m,)."""
        b, c = self._late(self.eigenvalues[:, None])
        return np.max((np.abs(1 + b - c) + np.abs(b)) ** 2, axis=0)

    def iterations_to(self, reduction: float) -> np.ndarray:
        """The least t >= 1 with max p_t² <= reduction, shape (m,); inf if it is not known."""
        reached = self._maxima.square[1:] <= reduction
        return np.where(reached.any(axis=0), 1.0 + np.argmax(reached, axis=0), np.inf)

    @_quiet
    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap of run column[k] at iteration t[k], given ½ λ_i c_i² of shape (r,)."""
        wanted = {int(each): t == each for each in np.unique(t)}
        gap = np.full(len(t), np.nan)
        for iteration, p in self._polynomials(self.eigenvalues):
            if (rows := wanted.pop(iteration, None)) is not None:
                # Summed in this order, so that a run has the same bits alone and in a group.
                total = np.zeros(self.runs)
                for share, square in zip(shares, p**2, strict=True):
                    total += share * square
                gap[rows] = total[column[rows]]
            if not wanted:
                break
        return gap

    def maxima(self, column: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max p_t² and max λ p_t², for run column[k] at iteration t[k].

        nan where none is known.
        """
        found = self._maxima
        return self._known(found.square, column, t), self._known(found.weighted, column, t)

    def coursework(
        self, scale: float, lambda_min: float, column: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """The coursework's bound, which is about gradient descent only: nan."""
        return np.full(len(t), np.nan)

    def contraction_coursework(self, lambda_min: float) -> np.ndarray:
        """The coursework's contraction factor, likewise."""
        return np.full(self.runs, np.nan)

    @_quiet
    def reach(self) -> np.ndarray:
        """The largest part of the way to w* along v_i that a run may go, shape (r, m)."""
        reach = np.zeros((len(self.eigenvalues), self.runs))
        for _, p in self._polynomials(self.eigenvalues):
            np.maximum(reach, np.abs(1 - p), out=reach)
            if (reach >= 1).all():
                break
        return np.minimum(reach, 1.0)

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
        """Σ_{s<T} |k_s(λ_i)|, T being the last iteration or, for a growing run, t[k]."""
        sums = self._sums[:, index]
        at = np.where(self._grows[index, column], np.minimum(t, len(sums) - 1), len(sums) - 1)
        return sums[at.astype(int), column]

    @_quiet
    def drift(self, column: np.ndarray, t: np.ndarray, columns: int) -> np.ndarray:
        """How far rounding may carry w_t off on its way, as a part of the way to w*.

        The error of step s is proportional to max |p_s|, and multiplied by max |k_{t−1−s}|.
        """
        p, k = np.sqrt(self._maxima.square), self._maxima.impulse
        unit, error = relative_error(columns), self.step_error()
        carried = np.zeros_like(p)
        for run in range(self.runs):
            carried[1:, run] = np.convolve(p[:-1, run], k[:-1, run])[: len(p) - 1]
        return self._known(unit * (error * carried + p), column, t)

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

    def _impulses(self, eigenvalues: np.ndarray) -> Iterator[np.ndarray]:
        """k_s, shape (len(eigenvalues), m), for s = 0, 1, ..."""
        b, c = self._late(eigenvalues[:, None])
        k = change = np.ones(b.shape)
        while True:
            yield k
            change = b * change - c * k
            k = k + change

    @cached_property
    def _grows(self) -> np.ndarray:
        """Whether the error along each v_i grows, shape (r, m)."""
        return self.factors() > 1

    @cached_property
    @_quiet
    def _sums(self) -> np.ndarray:
        """Σ_{s<t} |k_s|, shape (T + 1, r, m), for t up to at most MOST.

        Sums that are longer are extended by what is left of a geometric series, or grow evenly.
        """
        last = min(self.iterations, MOST)
        impulses = self._impulses(self.eigenvalues)
        sums = np.cumsum([np.abs(next(impulses)) for _ in range(last)], axis=0)
        sums = np.concatenate([np.zeros_like(sums[:1]), sums])
        if self.iterations > last:
            tail = np.abs(next(impulses)) / np.maximum(1 - self.factors(), 1 / self.iterations)
            sums[-1] += np.where(self._grows, 0.0, tail)
        return sums

    @cached_property
    @_quiet
    def _maxima(self) -> Maxima:
        last = min(self.iterations, MOST)
        largest, smallest = self.eigenvalues[0], self.eigenvalues[-1]
        count = NODES * (last + 1)
        at = np.cos(np.pi * (2 * np.arange(count) + 1) / (2 * count))
        nodes = np.clip((largest + smallest) / 2 + (largest - smallest) / 2 * at, smallest, largest)
        found = []
        for (t, p), k in zip(self._polynomials(nodes), self._impulses(nodes), strict=False):
            beyond = 1 / np.cos(np.pi * (2 * t + 1) / (2 * count))
            square = p**2
            found.append(
                (
                    beyond * square.max(axis=0),
                    beyond * (nodes[:, None] * square).max(axis=0),
                    beyond * np.abs(k).max(axis=0),
                )
            )
            if t == last:
                break
        return Maxima(*(np.array(part) for part in zip(*found, strict=True)))

    def _known(self, values: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The value of run column[k] at iteration t[k]; nan after MOST iterations."""
        within = np.minimum(t, len(values) - 1)
        return np.where(t < len(values), values[within, column], np.nan)
