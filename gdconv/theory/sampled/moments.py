"""The exact expectation of stochastic gradient descent on one data set.

Let e = w − w*, r = Xw* − y and H = 2 XᵀX. A batch of B rows gives the gradient
g = (n/B) Σ 2 x_i (x_iᵀe + r_i), whose mean is He. Its covariance around the mean, for a given e, is
φ (4n Σ (x_iᵀe + r_i)² x_i x_iᵀ − H e eᵀ H), with φ = 1/B if rows are drawn with replacement, and
φ = (n − B)/(B (n − 1)) without. So the mean m and the covariance C = E e eᵀ obey a recursion in
which no other moment occurs, and E gap = ½ tr(HC). The products x_iᵀ C x_i cost n d² a step.

Everything is written along the eigenvectors of H that have an eigenvalue above 0, where H is
diagonal. What e has along the others never changes and does not count.

If row i is drawn with the probability p_i, not with 1/n, its gradient is divided by n p_i to be
unbiased. That leaves H as it is, and divides x_i and r_i by (n p_i)^¼ in the covariance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Data:
    """A data set along the eigenvectors of H.

    Attributes
    ----------
    rows : ndarray, shape (n, k)
        x_iᵀ v_j, divided by (n p_i)^¼.
    residuals : ndarray, shape (n,)
        r_i = x_iᵀw* − y_i, divided likewise.
    eigenvalues : ndarray, shape (k,)
        Those of H that are above 0.
    of_gap : ndarray, shape (k,)
        What the gap has of each squared error, times 2: the eigenvalues unless e stands for
        something else.
    """

    rows: np.ndarray
    residuals: np.ndarray
    eigenvalues: np.ndarray
    of_gap: np.ndarray

    def second_moment(self, C: np.ndarray, m: np.ndarray) -> np.ndarray:
        """Return 4n Σ E(x_iᵀe + r_i)² x_i x_iᵀ for E eeᵀ = C and E e = m, of shape (..., k, k)."""
        X, r = self.rows, self.residuals
        # Products of matrices that belong to one run, so that a run has the bits it has alone.
        along = (X @ m[..., None])[..., 0]
        squares = ((X @ C) * X).sum(axis=-1) + 2 * r * along + r**2
        return 4 * len(X) * (X.T @ (squares[..., None] * X))


def weighted(
    rows: np.ndarray, residuals: np.ndarray, eigenvalues: np.ndarray, probability: np.ndarray
) -> Data:
    """Return the data of rows that are drawn with these probabilities; one of 0 is never drawn."""
    often = probability > 0
    scale = (np.count_nonzero(often) * probability[often]) ** 0.25
    return Data(rows[often] / scale[:, None], residuals[often] / scale, eigenvalues, eigenvalues)


def share(n_samples: int, batch_size: int, replacement: bool) -> float:
    """Return φ: the part of one row's covariance that is left in that of a batch's mean."""
    if n_samples == 1:
        return 0.0
    if replacement:
        return 1 / batch_size
    if batch_size == n_samples:
        return 0.0
    return (n_samples - batch_size) / (batch_size * (n_samples - 1))


class Moments:
    """The moments of the runs of a group, all from the same start.

    Parameters
    ----------
    data : Data
    start : ndarray, shape (k,)
        e_0.
    step_size, momentum, phi : ndarray, shape (runs,)
        phi is what `share` returns.

    Attributes
    ----------
    m, C : ndarray, shape (runs, k) and (runs, k, k)
        E e_t and E e_t e_tᵀ.
    """

    def __init__(
        self,
        data: Data,
        start: np.ndarray,
        step_size: np.ndarray,
        momentum: np.ndarray,
        phi: np.ndarray,
    ) -> None:
        runs, k = len(step_size), len(start)
        self.data = data
        self._eta, self._beta, self._phi = (
            each.reshape(runs, 1) for each in (step_size, momentum, phi)
        )
        self.m = np.repeat(start[None], runs, axis=0)
        self.C = np.repeat(np.outer(start, start)[None], runs, axis=0)
        # Of e_{t−1}, which is e_0 at first; E e_t e_{t−1}ᵀ.
        self._m_before, self._C_before, self._mixed = self.m, self.C, self.C
        # What e_{t+1} is on the mean: keeps e_t − β e_{t−1}.
        self._keeps = 1 + self._beta - self._eta * data.eigenvalues
        assert self._keeps.shape == (runs, k)

    def step(self) -> None:
        """Go on from e_t to e_{t+1}."""
        eta, beta, keeps = self._eta[..., None], self._beta[..., None], self._keeps
        eigenvalues = self.data.eigenvalues
        noise = self.data.second_moment(self.C, self.m)
        noise -= eigenvalues[:, None] * self.C * eigenvalues
        rows, columns = keeps[:, :, None], keeps[:, None, :]
        # E e_{t+1} e_tᵀ; its transpose is E e_t e_{t+1}ᵀ.
        mixed = rows * self.C - beta * self._mixed.swapaxes(1, 2)
        cross = beta * rows * self._mixed
        C = rows * self.C * columns - cross - cross.swapaxes(1, 2)
        C += beta**2 * self._C_before + eta**2 * self._phi[..., None] * noise
        # A part that is not symmetric can only be rounding, and would grow.
        C = 0.5 * (C + C.swapaxes(1, 2))
        m = keeps * self.m - self._beta * self._m_before
        self._m_before, self._C_before, self._mixed = self.m, self.C, mixed
        self.m, self.C = m, C

    @property
    def gap(self) -> np.ndarray:
        """E gap of w_t, shape (runs,)."""
        return half_trace(self.data.of_gap, self.C)

    @property
    def gap_of_mean(self) -> np.ndarray:
        """The gap at E w_t, shape (runs,)."""
        return 0.5 * (self.m**2 * self.data.of_gap).sum(axis=-1)


class Average:
    """The moments of the average of the iterates from now on, that is from when it is made.

    With s = Σ e over the iterations that are averaged, it carries E e_t sᵀ and E e_{t−1} sᵀ.
    """

    def __init__(self, moments: Moments) -> None:
        self._of = moments
        self._count = 1
        self._with_sum, self._before_with_sum = moments.C, moments._mixed.swapaxes(1, 2)
        self._sum = moments.C

    def step(self) -> None:
        """Take in e_{t+1}; called instead of `Moments.step`."""
        of = self._of
        with_sum = of._keeps[:, :, None] * self._with_sum
        with_sum = with_sum - of._beta[..., None] * self._before_with_sum
        of.step()
        # E e_t (s + e_{t+1})ᵀ and E e_{t+1} (s + e_{t+1})ᵀ.
        self._before_with_sum = self._with_sum + of._mixed.swapaxes(1, 2)
        self._sum = self._sum + with_sum + with_sum.swapaxes(1, 2) + of.C
        self._with_sum = with_sum + of.C
        self._count += 1

    @property
    def gap(self) -> np.ndarray:
        """E gap of the average, shape (runs,)."""
        return half_trace(self._of.data.of_gap, self._sum) / self._count**2


def half_trace(of_gap: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return E gap for C = E eeᵀ; that is ½ tr(HC)."""
    return 0.5 * (np.diagonal(C, axis1=-2, axis2=-1) * of_gap).sum(axis=-1)


def expected(moments: Moments | Average, recorded: np.ndarray) -> Iterator[np.ndarray]:
    """Yield E gap at some iterations, ascending, of shape (runs,)."""
    t = 0
    for wanted in recorded:
        while t < wanted:
            moments.step()
            t += 1
        yield moments.gap
