"""Up to which step size the fourth moments of stochastic gradient descent stay bounded.

Beyond it single runs deviate so widely from their mean that no standard error says how far. Let
e' = Me without noise, M = 1 − ηG, where G is a batch's Hessian. Then E e⊗e⊗e⊗e is multiplied by

    E M⊗M⊗M⊗M = Σ_k (4 over k) (−η)^k E G^⊗k ⊗ 1^⊗(4−k)

on symmetric tensors. G = (1/B) Σ a_b, where a_b = 2n x xᵀ belongs to the b-th row of the batch. So
G^⊗k is a sum over k rows, of which some may be the same; it is taken apart by which of them are.
All these operators are symmetric and keep the tensors v⊗v⊗v⊗v positive, so the largest eigenvalue
decides. It is below 1 on an interval of step sizes: for η = sη' we have M = (1 − s) + sM', so t
factors M multiply an error by at most Σ_j (t over j) (1 − s)^{t−j} s^j times what j factors M' do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, permutations

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.optimize import brentq

from gdconv.theory.sampled.limits import CLOSE
from gdconv.theory.sampled.moments import Data

# Up to so many features; there symmetric tensors have 330 numbers.
MOST_FEATURES = 8
ORDER = 4
# The eigenvalues of a short step are so close to 1 that they may be rounded to more.
LEEWAY = 1e-13


def fourth_moment_limit(data: Data, batch_size: int, replacement: bool, step_limit: float) -> float:
    """Return the step size from which on E ‖e‖⁴ no longer stays bounded.

    Parameters
    ----------
    step_limit : float
        The same for E ‖e‖², which is not less.
    """
    parts = _parts(data, batch_size, replacement)
    last = len(parts[0]) - 1

    def excess(part: float) -> float:
        T = sum((-part * step_limit) ** k * each for k, each in enumerate(parts))
        return float(scipy.linalg.eigvalsh(T, subset_by_index=(last, last))[0]) - 1 - LEEWAY

    if excess(1.0) <= 0:
        return step_limit
    return float(brentq(excess, 1e-6, 1.0, xtol=CLOSE, rtol=4 * CLOSE)) * step_limit


def _parts(data: Data, batch_size: int, replacement: bool) -> list[np.ndarray]:
    """The matrices by which E M⊗M⊗M⊗M is a polynomial of −η, for symmetric tensors."""
    k, n = len(data.eigenvalues), len(data.rows)
    basis = _basis(k)
    tensors = basis.T.toarray().reshape(k, k, k, k, -1)
    powers = [_power(data.rows, m) for m in range(1, ORDER + 1)]
    # That of all four places is the largest, and only needed on symmetric tensors.
    of_four = powers.pop() @ basis.T
    squares = [each.T @ each for each in powers]
    found = []
    for order in range(ORDER + 1):
        # All partitions with blocks of the same sizes do the same to symmetric tensors.
        sizes: dict[tuple[int, ...], float] = defaultdict(float)
        for blocks, part in _coefficients(order, n, batch_size, replacement):
            sizes[blocks] += part
        matrix = np.zeros((basis.shape[0], basis.shape[0]))
        for blocks, part in sizes.items():
            if blocks == (ORDER,):
                matrix += part * (of_four.T @ of_four)
            else:
                matrix += part * (basis @ _applied(squares, blocks, tensors))
        found.append(math.comb(ORDER, order) * (matrix + matrix.T) / 2)
    return found


def _basis(k: int) -> scipy.sparse.csr_array:
    """Orthonormal symmetric tensors, each as a row of k⁴ numbers."""
    rows = []
    for index in combinations_with_replacement(range(k), ORDER):
        tensor = np.zeros((k,) * ORDER)
        for each in set(permutations(index)):
            tensor[each] = 1.0
        rows.append(tensor.ravel() / np.linalg.norm(tensor))
    return scipy.sparse.csr_array(np.array(rows))


def _power(rows: np.ndarray, m: int) -> np.ndarray:
    """The matrix Z of which ZᵀZ = Σ_i (2n x_i x_iᵀ)^⊗m, shape (n, k^m)."""
    products = rows
    for _ in range(m - 1):
        products = (products[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    return (2.0 * len(rows)) ** (m / 2) * products


def _applied(
    powers: Sequence[np.ndarray], blocks: Sequence[int], tensors: np.ndarray
) -> np.ndarray:
    """Apply the power of each block to as many places, which are the tensors' first dimensions."""
    found, k = tensors, len(tensors)
    for block in blocks:
        size = k**block
        found = (powers[block - 1] @ found.reshape(size, -1)).reshape(k, k, k, k, -1)
        # The next block takes the places after those, which come first now.
        found = np.moveaxis(found, range(ORDER), [(p - block) % ORDER for p in range(ORDER)])
    return found.reshape(k**ORDER, -1)


def _coefficients(
    order: int, n: int, batch_size: int, replacement: bool
) -> Iterator[tuple[tuple[int, ...], float]]:
    """The sizes of the blocks of each partition of `order` rows, and its part in E G^⊗order.

    That is the part of Π_blocks Σ_i a_i^⊗size, where rows of different blocks may be the same.
    """
    all_ = list(_partitions(order))
    # The probability that just the rows of each block are the same, over the number of such rows.
    exactly = [
        math.perm(batch_size, len(blocks))
        / batch_size**order
        / (n ** len(blocks) if replacement else max(math.perm(n, len(blocks)), 1))
        for blocks in all_
    ]
    for coarse, part in zip(all_, exactly, strict=True):
        total = float(part)
        if not replacement:
            # Rows of different blocks differ, so Möbius' inversion takes out those that do not.
            total = 0.0
            for fine, of_fine in zip(all_, exactly, strict=True):
                merged = [sum(set(each) <= set(block) for each in fine) for block in coarse]
                if sum(merged) == len(fine):
                    signs = [(-1.0) ** (m - 1) * math.factorial(m - 1) for m in merged]
                    total += of_fine * math.prod(signs)
        yield tuple(sorted(map(len, coarse))), total


def _partitions(count: int) -> Iterator[list[list[int]]]:
    """All partitions of 0, ..., count − 1 into blocks."""
    if count == 0:
        yield []
        return
    for rest in _partitions(count - 1):
        last = count - 1
        yield [*rest, [last]]
        for index, block in enumerate(rest):
            yield [*rest[:index], [*block, last], *rest[index + 1 :]]
