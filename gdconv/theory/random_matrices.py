"""The eigenvalues of random features, as closed forms.

Let X be n x d with independent entries of mean 0 and variance 1. As n and d grow with
d / n = ratio, the distribution of the eigenvalues of XᵀX / n = H / (2n) tends to the law of
Marchenko and Pastur, Mathematics of the USSR-Sbornik 1 (1967) 457. A few columns of another kind,
such as the constant one, or a common mean of the features move only a few eigenvalues and do not
change the distribution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def edges(ratio: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return (1 − √ratio)² and (1 + √ratio)², between which all eigenvalues but 0 lie."""
    root = np.sqrt(ratio)
    return (1 - root) ** 2, (1 + root) ** 2


def density(x: ArrayLike, ratio: float) -> np.ndarray:
    """Return the density √((b − x)(x − a)) / (2π ratio x) on [a, b] = `edges`, and 0 outside.

    It integrates to 1, or to 1 / ratio if ratio > 1; then the rest of the mass, `mass_at_zero`, is
    at 0.

    Parameters
    ----------
    x : array_like
    ratio : float
        d / n, above 0.
    """
    x = np.asarray(x, dtype=float)
    low, high = edges(ratio)
    inside = (x > 0) & (x >= low) & (x <= high)
    at = np.where(inside, x, 1.0)
    root = np.sqrt(np.maximum((high - at) * (at - low), 0.0))
    return np.where(inside, root / (2 * np.pi * ratio * at), 0.0)


def mass_at_zero(ratio: float) -> float:
    """Return the part of the eigenvalues that are 0: 1 − 1 / ratio if ratio > 1, else 0."""
    return max(0.0, 1 - 1 / ratio)


def edge_widths(n_samples: int, n_features: int) -> tuple[float, float]:
    """Return how far the extreme eigenvalues of H / (2n) scatter around `edges`.

    These are the scales of the Tracy-Widom law (Johnstone, Annals of Statistics 29 (2001) 295;
    the lower one: Feldheim and Sodin, Geometric and Functional Analysis 20 (2010) 88). If d is n,
    the lower edge is 0; no eigenvalue can lie below it, and its width is 0.
    """
    small, large = sorted((np.sqrt(n_samples), np.sqrt(n_features)))
    upper = (large + small) * np.cbrt(1 / small + 1 / large) / n_samples
    lower = (large - small) * np.cbrt(1 / small - 1 / large) / n_samples
    return float(lower), float(upper)
