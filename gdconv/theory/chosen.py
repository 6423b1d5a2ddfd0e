"""The theory of methods that choose each step by what they see.

Their polynomial depends on the start, so it is not known in advance. Along the eigenvectors of H
the run itself is short: a number for each eigenvalue. So the method's own code is run there with
many digits, which gives the exact gap. What is proved of every start is in `Choosing.limits`.

*Rounding.* The long steps enlarge the errors of some directions, and the short ones after them undo
that. On random problems all these methods come to rest at least 50 times below the noise of
gradient descent with the step size 1/λmax, so its noise is taken. Rounding also makes a run choose
other steps than the exact one. That delays conjugate gradients, whose directions lose their
orthogonality (Greenbaum, Linear Algebra Appl. 113, 1989), but what `limits` says holds for the
steps that were taken.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from gdconv.theory.limits import Limits
from gdconv.theory.recurrence import Recurrence
from gdconv.theory.rounding import relative_error

# The exact run is repeated with twice the digits until its gaps agree to this part, or to so many
# digits. Gaps below SMALLEST are 0.
DIGITS, MOST_DIGITS, AGREE = 50, 3200, 1e-13
SMALLEST = Decimal("1e-300")
# Bounds are divided by each other as long as they are no smaller.
TINY = 1e-250
# So many multiplications of an eigenvalue are done at most; later the exact gap is not known.
MOST_WORK = 2_000_000


class Chosen(Recurrence):
    """What theory knows of m runs of such a method.

    Parameters
    ----------
    method : gdconv.methods.protocol.Choosing
    coefficients : mapping of str to ndarray, shape (m,)
    eigenvalues : ndarray, shape (r,)
        Those of H that are not 0, the largest first.
    iterations : int
    """

    def __init__(
        self,
        method: Any,
        coefficients: Any,
        eigenvalues: np.ndarray,
        iterations: int,
    ) -> None:
        super().__init__(method.recurrence, coefficients, eigenvalues, iterations, 1)
        self.method, self.kappa = method, float(eigenvalues[0] / eigenvalues[-1])

    def limits(self, column: np.ndarray, t: np.ndarray) -> Limits:
        """What is proved of run column[k] at iteration t[k]."""
        t = np.asarray(t, dtype=float)
        values = {name: each[column] for name, each in self.coefficients.items()}
        with np.errstate(under="ignore", over="ignore", divide="ignore", invalid="ignore"):
            found = self.method.limits(t, self.eigenvalues, values)
        known = (np.full(len(t), np.nan) if each is None else each for each in found)
        gap, distance, sharp = known
        return Limits(gap, distance, sharp * self.eigenvalues[0])

    def limit_of_spectrum(self, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """What is proved without rounding, as a part of the initial gap."""
        times, place = np.unique(np.asarray(t, dtype=float), return_inverse=True)
        with np.errstate(under="ignore"):
            return self.method.limit_of_spectrum(times, self.eigenvalues)[place]

    def contraction(self) -> np.ndarray:
        """The root of what a step leaves of the gap or of the squared distance at least."""
        return np.sqrt([self._left_by_a_step(run) for run in range(self.runs)])

    def _left_by_a_step(self, run: int) -> float:
        """What a step leaves at the latest t = 0, 1, 2, 4, … whose bound is no tiny number."""
        times = np.array([0, *(2**k for k in range(40))])
        column = np.full(len(times), run)
        for part in self.limits(column, times)[:2]:
            if np.isnan(part).all():
                continue
            t = times[np.flatnonzero(part >= TINY)[-1]]
            one = self.limits(np.array([run, run]), np.array([t, t + 1]))
            now, after = min(one[:2], key=lambda each: bool(np.isnan(each).any()))
            return float(after / now)
        return np.nan

    def log_contraction(self) -> np.ndarray:
        """The logarithm of `contraction`, shape (m,)."""
        with np.errstate(divide="ignore"):
            return np.log(self.contraction())

    def factors(self) -> np.ndarray:
        """Not known along single eigenvectors."""
        return np.full((len(self.eigenvalues), self.runs), np.nan)

    def growth(self) -> np.ndarray:
        """How much one step may enlarge the gap: with a step 1/λ⁺min, by κ²."""
        return np.full(self.runs, self.kappa**2)

    def iterations_to(self, reduction: float) -> np.ndarray:
        """The least t >= 1 for which a reduction of the gap is proved; inf if none is."""
        found = np.full(self.runs, np.inf)
        for run in range(self.runs):
            low, high = 0, 1
            while high < 2**62 and not self._proved(run, high) <= reduction:
                low, high = high, 2 * high
            if high == 2**62:
                continue
            while high - low > 1:
                middle = (low + high) // 2
                enough = self._proved(run, middle) <= reduction
                low, high = (low, middle) if enough else (middle, high)
            found[run] = high
        return found

    def _proved(self, run: int, t: int) -> float:
        return float(self.limits(np.array([run]), np.array([t])).gap[0])

    def gap(self, shares: np.ndarray, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The gap of run column[k] at iteration t[k], given ½ λ_i c_i² of shape (r,)."""
        found = np.full(len(t), np.nan)
        for run in np.unique(column):
            rows = np.flatnonzero(column == run)
            wanted = sorted({int(each) for each in t[rows]})
            known = dict(zip(wanted, self._exact(shares, int(run), wanted), strict=False))
            found[rows] = [known.get(int(each), np.nan) for each in t[rows]]
        return found

    def _exact(self, shares: np.ndarray, run: int, wanted: list[int]) -> list[float]:
        """Gaps with so many digits that twice as many change nothing; perhaps not to the end."""
        digits, before = DIGITS, self._with(DIGITS, shares, run, wanted)
        while digits < MOST_DIGITS:
            digits *= 2
            again = self._with(digits, shares, run, wanted)
            agreeing = np.isclose(before[: len(again)], again, rtol=AGREE, atol=0)
            if agreeing.all():
                return again
            before = again
        return again[: int(np.argmin(agreeing))]

    def _with(self, digits: int, shares: np.ndarray, run: int, wanted: list[int]) -> list[float]:
        """The gaps at the wanted iterations, as far as they are worth the work."""
        last = MOST_WORK // len(self.eigenvalues) * DIGITS // digits
        with localcontext(prec=digits):
            at = _Exact(self.method.exact(), self.eigenvalues, shares, self._values(run))
            found: list[float] = []
            for t in wanted:
                if t > last:
                    break
                found.append(float(at.gap_at(t)))
        return found

    def _values(self, run: int) -> dict[str, np.ndarray]:
        values = self.coefficients.items()
        return {name: np.array([[Decimal(float(each[run]))]]) for name, each in values}

    def reach(self) -> np.ndarray:
        """All the way."""
        return np.ones((len(self.eigenvalues), self.runs))

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of gradient descent with the step size 1/λmax."""
        return np.full(self.runs, 1 / self.eigenvalues[0]), np.ones(self.runs)

    def step_error(self) -> np.ndarray:
        """With the longest step, 1/λ⁺min, in units of an error of w."""
        return np.full(self.runs, 1 + self.kappa)

    def summed(self, index: int, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """1/(ηλ_i) for that step size; the runs come to rest far below."""
        return np.full(len(t), self.eigenvalues[0] / self.eigenvalues[index])

    def lasting(self) -> np.ndarray:
        """Those of one longest step, after which the error is shorter; shape (m,)."""
        return self.step_error()

    def drift(self, column: np.ndarray, t: np.ndarray, columns: int) -> np.ndarray:
        """The rounding of a longest step, as a part of what was left of the way before it.

        A residual that is updated along with w keeps the rounding of all earlier steps.
        """
        t = np.asarray(t, dtype=float)
        left = np.fmin(*self.limits(column, np.maximum(t - 1, 0))[:2])
        unit = relative_error(columns)
        kept = unit * np.sqrt(1 + t) if self.method.residuals else 0.0
        part = np.sqrt(np.where(np.isnan(left), 1.0, left))
        return unit * self.step_error()[column] * part + kept


class Restarted(Chosen):
    """The same for a method with a fixed step size, which chooses when its momentum begins again.

    A perturbation is multiplied by less than without restarts, so rounding is that of the same
    method without them. What `limits` proves does not shrink, so no rate follows from it.
    """

    contraction = log_contraction = lambda self: np.full(self.runs, np.nan)
    growth, reach, lasting = Recurrence.growth, Recurrence.reach, Recurrence.lasting
    weights, step_error = Recurrence.weights, Recurrence.step_error

    def __init__(
        self, method: Any, coefficients: Any, eigenvalues: np.ndarray, iterations: int
    ) -> None:
        super().__init__(method, coefficients, eigenvalues, iterations)
        self.states = len(method.state)

    def summed(self, index: int, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """That of a run without restarts, unless it diverges."""
        settles = Recurrence.log_contraction(self)[column] < 0
        bounded = super().summed(index, column, t)
        return np.where(settles, Recurrence.summed(self, index, column, t), bounded)

    def drift(self, column: np.ndarray, t: np.ndarray, columns: int) -> np.ndarray:
        """Likewise."""
        settles = Recurrence.log_contraction(self)[column] < 0
        bounded = super().drift(column, t, columns)
        return np.where(settles, Recurrence.drift(self, column, t, columns), bounded)


class _Exact:
    """A run along the eigenvectors, with decimals."""

    def __init__(
        self,
        method: Any,
        eigenvalues: np.ndarray,
        shares: np.ndarray,
        coefficients: dict[str, np.ndarray],
    ) -> None:
        self.method, self.coefficients, self.t = method, coefficients, 0
        self.eigenvalues = np.array([Decimal(float(each)) for each in eigenvalues])
        self.root = np.array([(each / 2).sqrt() for each in self.eigenvalues])
        parts = [Decimal(float(each)).sqrt() for each in shares]
        self.error = (np.array(parts) / self.root)[None]
        zeros = np.full(self.error.shape, Decimal(0))
        self.state = {name: zeros.copy() for name in (*method.state, *method.residuals)}
        self.state |= {name: zeros[:, :1].copy() for name in method.numbers}

    def images(self, directions: np.ndarray) -> np.ndarray:
        """See `gdconv.methods.protocol.Products`: the matrix is diagonal here."""
        return self.root * directions

    def slopes(self, residuals: np.ndarray) -> np.ndarray:
        """Likewise."""
        return 2 * self.root * residuals

    @staticmethod
    def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Likewise."""
        return np.array([[(a * b).sum()]])

    @staticmethod
    def quotient(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        """Likewise."""
        return top / bottom if bottom[0, 0] else np.array([[Decimal(0)]])

    def gap_at(self, t: int) -> Decimal:
        """The gap at an iteration that is not before the last one asked for."""
        while self.t < t:
            residual, gradient = self.root * self.error, self.eigenvalues * self.error
            if (residual * residual).sum() < SMALLEST:
                return Decimal(0)
            seen = self.error, residual, gradient
            chosen = self.method.choose(self.t, *seen, self.coefficients, self.state, self)
            self.method.update(self.t, self.error, gradient, self.coefficients | chosen, self.state)
            self.t += 1
        return ((self.root * self.error) ** 2).sum()
