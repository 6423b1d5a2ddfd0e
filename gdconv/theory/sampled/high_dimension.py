"""What the expectation of stochastic gradient descent is close to if there are many features.

If the residuals of rows do not depend on the rows, 4n Σ E(x_iᵀe + r_i)² x_i x_iᵀ is about 2 P H,
where P is the expected loss. Then the moments along different eigenvectors do not mix, and d of
them, c_j = E (v_jᵀe)², take the place of d² (Paquette et al., COLT 2021; Lee et al., 2022):

    c_j' = (1 − ηλ_j)² c_j + η²φ (2 P λ_j − λ_j² c_j),   P = L* + ½ Σ λ_j c_j

For one data set this is not exact. Single rows that are far longer than the others break it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def expected(
    loss_star: float,
    squares: np.ndarray,
    eigenvalues: np.ndarray,
    step_size: np.ndarray,
    phi: np.ndarray,
    recorded: np.ndarray,
) -> Iterator[np.ndarray]:
    """Yield E gap at some iterations, ascending, of shape (runs,).

    Parameters
    ----------
    squares : ndarray, shape (k,)
        Those of e_0 along the eigenvectors.
    step_size, phi : ndarray, shape (runs,)
    """
    eta, part = step_size[:, None], phi[:, None]
    keeps = (1 - eta * eigenvalues) ** 2 - eta**2 * part * eigenvalues**2
    c, t = np.repeat(squares[None], len(step_size), axis=0), 0
    for wanted in recorded:
        while t < wanted:
            loss = loss_star + _gap(c, eigenvalues)
            c = keeps * c + 2 * eta**2 * part * loss[:, None] * eigenvalues
            t += 1
        yield _gap(c, eigenvalues)


def _gap(c: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    # Not a product of matrices, in which the other runs could change the last digits.
    return 0.5 * (c * eigenvalues).sum(axis=-1)


def growth(eigenvalues: np.ndarray, step_size: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Return h, shape (runs,): the loss at rest is L*/(1 − h); from h = 1 on nothing rests."""
    x = step_size[:, None] * eigenvalues
    part = phi[:, None]
    return np.sum(part * x / (2 - (1 - part) * x), axis=1)


def critical_batch(eigenvalues: np.ndarray) -> float:
    """Return about the batch size from which on λmax limits the step, and not the noise."""
    return float(eigenvalues.sum() / eigenvalues.max())
