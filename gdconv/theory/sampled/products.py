"""All that the moments of stochastic gradient descent need to know of the rows of a data set.

Moments are multiplied by sums over the rows of products of four factors, of which each is a
component of x_i, or r_i; r_i stands at most twice (see `moments`). With k components these are
(k + 4 over 4) − k − 1 numbers, however many rows there are.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np


def products(rows: np.ndarray, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which factors are multiplied, and the sums of these products over all rows.

    Parameters
    ----------
    rows : ndarray, shape (n, k)
    residuals : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (m, 4)
        From 1 to k for a component, 0 for a residual; ascending in each row and from row to row.
    ndarray, shape (m,)
    """
    factors = np.column_stack([residuals, rows])
    first, second = np.triu_indices(factors.shape[1])
    pairs = factors[:, first] * factors[:, second]
    sums = pairs.T @ pairs
    place = np.zeros((factors.shape[1],) * 2, dtype=int)
    place[first, second] = np.arange(len(first))
    every = np.array(list(combinations_with_replacement(range(factors.shape[1]), 4)))
    indices = every[every[:, 2] > 0]
    left, right = place[indices[:, 0], indices[:, 1]], place[indices[:, 2], indices[:, 3]]
    return indices, sums[left, right]
