"""The gap of random problems as n and d grow with d/n fixed.

Let X be n × d with independent entries of mean 0 and variance 1, y = X w_true + noise of standard
deviation s, and w_0 − w_true with independent entries of mean 0 and variance v, all independent.
Then the components of w_0 − w* along the eigenvectors of H have the mean square v + 2 s²/λ, and the
eigenvalues λ have the law of Marchenko and Pastur. So with the polynomials p_t of a method,

    gap_t → Σ ½ λ p_t(λ)² (v + 2 s²/λ) = d (½ v ∫ λ p_t² dμ + s² ∫_{λ>0} p_t² dμ)

for every t, in the sense that both sides divided by d n have the same limit. A method whose step
sizes follow from λmax and λ⁺min has those of the edges there.

*The integrals.* If d > n, XᵀX has the same positive eigenvalues as XXᵀ. So let r be the smaller one
of d/n and n/d, and N the larger, k the smaller one of n and d: the law has k eigenvalues that are

    λ = 2N (1 + r − 2√r cos θ),    with the density    (2/π) sin²θ / (1 + r − 2√r cos θ)   of θ.

The trapezoidal rule with m parts of [0, π] integrates a polynomial in cos θ exactly if its degree
is less than 2m. Therefore it is exact for λ p² if t + 2 <= m. For p² it is not, because of the
denominator, but its error is that of the constant p² = p(0)² = 1. As the Fourier coefficients of
the density are known, the error is r^{m−1} (1 − r)/(1 − r^m). This is added as a node at λ = 0: it
makes the rule a Gauss–Radau rule.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from gdconv.theory.recurrence import Recurrence

# So many iterations at most: an iteration takes as many nodes.
MOST = 10_000
# So many values of polynomials at a time, which limits the memory.
_AT_ONCE = 300_000


class Rule(NamedTuple):
    """Nodes and weights, of which the sum is 1; the first weight is that of the node 0.

    eigenvalues : in units of 2N, the largest first
    """

    zero: float
    eigenvalues: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=64)
def rule(few: int, many: int, parts: int) -> Rule:
    """Return the rule for matrices of `few` times `many` numbers."""
    ratio = few / many
    angle = np.arange(parts - 1, 0, -1) * (np.pi / parts)
    # 1 − √r without a subtraction.
    apart = (many - few) / many / (1 + np.sqrt(ratio))
    values = apart**2 + 4 * np.sqrt(ratio) * np.sin(angle / 2) ** 2
    weights = 2 / parts * np.sin(angle) ** 2 / values
    zero = ratio ** (parts - 1) / np.sum(ratio ** np.arange(parts))
    return Rule(float(zero), values, weights)


class Limit:
    """The limit for problems of one size.

    Parameters
    ----------
    n_samples, n_features : int
    spread : float
        v, the variance of an entry of w_0 − w_true.
    noise : float
        s.
    """

    @np.errstate(over="ignore", under="ignore")
    def __init__(self, n_samples: int, n_features: int, spread: float, noise: float) -> None:
        self.shape = n_samples, n_features
        self.few, self.many = sorted(self.shape)
        # The edges, the larger one first.
        wide = np.sqrt(self.many) + np.sqrt(self.few)
        self.ends = 2 * np.array([wide, (self.many - self.few) / wide]) ** 2
        self.spread, self.variance = np.float64(spread), np.float64(noise) ** 2

    @np.errstate(over="ignore", under="ignore", invalid="ignore")
    def gap(self, of_method: Recurrence, column: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the gap of run column[k] at iteration t[k]; nan after MOST iterations.

        Parameters
        ----------
        of_method : Recurrence
            What theory knows of the runs if the eigenvalues end at the edges.
        """
        found = np.full(len(t), np.nan)
        parts = 2 ** np.ceil(np.log2(np.asarray(t) + 2)).astype(int)
        for each in np.unique(parts[np.asarray(t) <= MOST]):
            rows = np.flatnonzero((parts == each) & (np.asarray(t) <= MOST))
            zero, values, weights = rule(self.few, self.many, int(each))
            eigenvalues = 2 * self.many * values
            shares = self.few * weights * (eigenvalues / 2 * self.spread + self.variance)
            for some in np.array_split(rows, -(-len(rows) * len(values) // _AT_ONCE)):
                p = of_method.polynomials(eigenvalues, column[some], t[some])
                # Squared last, because p² may be too large for a float.
                parts_of_gap = (np.sqrt(shares) * p) ** 2
                found[some] = np.add.reduce(parts_of_gap, axis=1)
            found[rows] += self.few * zero * self.variance
        return found

    @np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore")
    def least_gap(self, last: int) -> np.ndarray:
        """Return the least gap of any polynomial of degree t, for t = 0, …, last.

        It is that of conjugate gradients. With P_j orthonormal for a weight, the least integral of
        p² with p(0) = 1 is 1/Σ_{j<=t} P_j(0)². Here the weight is (λ + c) times the law, c being
        2 s²/v. The P_j of the law are known; those of the weight follow from them by Christoffel's
        formula, with sums of positive terms only. In units of 2N, let h_j be the quotient of
        −P_{j+1} and P_j of the law at −c, times √r. Then

            h_0 = 1 + c,    h_j = 1 + r + c − r/h_{j−1},
            k_0 = 1,        k_{j+1} = 1 + r k_j/h_j,
            ½ k v 2N / gap_t = Σ_{j<=t} k_j² r^{−j}/h_j.

        Without noise k_j is 1 + r + … + r^j, and all h_j are 1.
        """
        ratio = self.few / self.many
        at = self.variance / (self.spread * self.many)
        quotient, kernel, total, power = 1 + at, 1.0, 0.0, 1.0
        found = np.zeros(last + 1)
        for j in range(last + 1):
            total += kernel**2 * power / quotient
            if not np.isfinite(total):
                break
            found[j] = self.few * self.many * self.spread / total
            kernel = 1 + ratio * kernel / quotient
            quotient = 1 + ratio + at - ratio / quotient
            power /= ratio
        return found
