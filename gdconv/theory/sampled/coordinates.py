"""What is expected of coordinate descent.

A step makes (He)_j zero by changing w_j alone: e' = e − (He)_j/H_jj along that coordinate. So
z = H^½ e loses its part along u_j = H^½ 1_j, whose squared length is H_jj, and the gap is ½ ‖z‖².
This is a step of Kaczmarz's method for rows u_j without residuals. Drawn with p_j = H_jj/tr H, it
has the moments of `moments.weighted`. Along eigenvectors z_i = √λ_i e_i and u_ji = √λ_i v_ij.
"""

from __future__ import annotations

import numpy as np

from gdconv.theory.sampled.moments import Data, weighted


def as_rows(right: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    """Return u_j along the eigenvectors, shape (d, k), for v_i of shape (d, k)."""
    return right * np.sqrt(eigenvalues)


def drawn(right: np.ndarray, eigenvalues: np.ndarray) -> Data:
    """Return the data of random coordinates; its step size is 1/(2 tr H), and e stands for z."""
    rows = as_rows(right, eigenvalues)
    squares = (rows**2).sum(axis=1)
    data = weighted(rows, np.zeros(len(rows)), 2 * eigenvalues, squares / squares.sum())
    return Data(data.rows, data.residuals, data.eigenvalues, np.ones_like(eigenvalues))


class Cyclic:
    """The gap if the coordinates come in order, again and again; nothing of it is random.

    Parameters
    ----------
    right : ndarray, shape (d, k)
    eigenvalues, start : ndarray, shape (k,)
        start is e_0.
    """

    def __init__(self, right: np.ndarray, eigenvalues: np.ndarray, start: np.ndarray) -> None:
        self._rows = as_rows(right, eigenvalues)
        self._z, self._t = np.sqrt(eigenvalues) * start, 0

    def step(self) -> None:
        """Change the next coordinate."""
        u = self._rows[self._t % len(self._rows)]
        self._t += 1
        if square := u @ u:
            self._z = self._z - (u @ self._z) / square * u

    @property
    def gap(self) -> float:
        """The gap at w_t."""
        return float(0.5 * self._z @ self._z)

    def rate(self) -> float:
        """Return the factor by which a sweep over all coordinates shrinks the gap in the end."""
        sweep = np.eye(self._rows.shape[1])
        for u in self._rows:
            if square := u @ u:
                sweep = sweep - np.outer(u, u @ sweep) / square
        return float(np.abs(np.linalg.eigvals(sweep)).max() ** 2)
