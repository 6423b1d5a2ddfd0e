"""The moments at some iterations only, by powers of a step.

A step without momentum is linear in the covariance, the mean and 1 together (see `moments`). So it
is a matrix T, and T², T⁴, T⁸, … lead from one recorded iteration to the next one. With k features
T has about k²/2 rows. This is cheaper than all steps if k is small or there are many iterations.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from gdconv.theory.sampled.moments import Data


def cost(n_samples: int, k: int, recorded: np.ndarray) -> int:
    """Return about how many multiplications `expected` takes for one run."""
    pairs = k * (k + 1) // 2
    size = pairs + k + 1
    steps = _steps(recorded)
    squarings = max(steps).bit_length() - 1 if steps else 0
    products = sum(step.bit_count() for step in steps)
    return n_samples * pairs * size + max(squarings, 0) * size**3 + products * size**2


def _steps(recorded: np.ndarray) -> list[int]:
    return [b - a for a, b in pairwise([0, *recorded.tolist()])]


class Doubling:
    """The steps of a data set with one kind of batches.

    A symmetric matrix is a vector of its upper triangle, the elements off the diagonal times √2.

    Parameters
    ----------
    data : Data
    start : ndarray, shape (k,)
        e_0.
    phi : float
        See `moments.share`.
    """

    def __init__(self, data: Data, start: np.ndarray, phi: float) -> None:
        X, r = data.rows, data.residuals
        n, k = X.shape
        upper = np.triu_indices(k)
        self._on_diagonal = upper[0] == upper[1]
        weight = np.where(self._on_diagonal, 1.0, math.sqrt(2))
        Z = X[:, upper[0]] * X[:, upper[1]] * weight
        self._added = 4 * n * phi * (Z.T @ np.column_stack([Z, 2 * r[:, None] * X, r**2]))
        self._start = np.concatenate([np.outer(start, start)[upper] * weight, start, [1.0]])
        self._first, self._second = (data.eigenvalues[each] for each in upper)
        self._data, self._phi = data, phi

    def expected(self, step_size: float, recorded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return E gap, and the gap of the mean, at some iterations, ascending; shape (T,)."""
        powers, z, found = [self._step(step_size)], self._start, []
        for step in _steps(recorded):
            for bit in range(step.bit_length()):
                if bit == len(powers):
                    powers.append(powers[-1] @ powers[-1])
                if step >> bit & 1:
                    z = powers[bit] @ z
            found.append(z)
        every, of_gap = np.array(found), self._data.of_gap
        pairs, k = len(self._first), len(of_gap)
        squares, m = every[:, :pairs][:, self._on_diagonal], every[:, pairs : pairs + k]
        return 0.5 * (squares * of_gap).sum(axis=1), 0.5 * (m**2 * of_gap).sum(axis=1)

    def _step(self, step_size: float) -> np.ndarray:
        """T."""
        of_mean = 1 - step_size * self._data.eigenvalues
        first, second = 1 - step_size * self._first, 1 - step_size * self._second
        less = self._phi * step_size**2 * self._first * self._second
        T = np.diag(np.concatenate([first * second - less, of_mean, [1.0]]))
        T[: len(first)] += step_size**2 * self._added
        return T
