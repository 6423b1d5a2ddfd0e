"""Up to which step size the fourth moments of stochastic gradient descent stay bounded.

Beyond it single runs deviate so widely from their mean that no standard error says how far. Let
e' = Me without noise, M = 1 − ηG, where G is a batch's Hessian. Then E e⊗e⊗e⊗e is multiplied by

    E M⊗M⊗M⊗M = Σ_k (4 over k) (−η)^k E G^⊗k ⊗ 1^⊗(4−k)

on symmetric tensors. G = (1/B) Σ a_b, where a_b = 2n x xᵀ belongs to the b-th row of the batch. So
G^⊗k is a sum over k rows, of which some may be the same; it is taken apart by which of them are.
All these operators are symmetric and keep the tensors v⊗v⊗v⊗v positive, so the largest eigenvalue
decides. It is below 1 on an interval of step sizes: for η = sη' we have M = (1 − s) + sM', so t
factors M multiply an error by at most Σ_j (t over j) (1 − s)^{t−j} s^j times what j factors M' do.

With momentum an error stands for (e_t, e_{t−1}), and A = [[1 + β, −β], [1, 0]] in place of 1. Then
the operators are not symmetric, but the largest eigenvalue is still the largest absolute value,
since these tensors stay positive. The first step size at which it is 1 is searched for on a grid.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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
# With momentum, up to so many, where they have 126; a grid of so many step sizes is searched.
MOST_WITH_MOMENTUM, GRID = 3, 24
# So many numbers are held at a time, at most.
AT_ONCE = 2**22
LEEWAY = 1e-13


def fourth_moment_limit(
    data: Data, batch_size: int, replacement: bool, step_limit: float, momentum: float = 0.0
) -> float:
    """Return the step size from which on E ‖e‖⁴ no longer stays bounded.

    Parameters
    ----------
    step_limit : float
        The same for E ‖e‖², which is not less.
    """
    parts = _parts(data, batch_size, replacement, momentum)
    # The eigenvalues of a short step are so close to 1 that they may be rounded to more.
    most = (1 + LEEWAY) * np.eye(len(parts[0]))

    def excess(part: float) -> float:
        """With momentum: by how much the largest eigenvalue is too large."""
        return float(np.linalg.eigvals(_at(parts, part * step_limit) - most).real.max())

    if not momentum:
        return step_limit * _last(lambda part: _is_positive(most - _at(parts, part * step_limit)))
    steps = np.arange(1, GRID + 1) / GRID
    found = next((k for k, part in enumerate(steps) if excess(part) > 0), None)
    if found is None:
        return step_limit
    low = steps[found - 1] if found else 1e-6
    return step_limit * float(brentq(excess, low, steps[found], xtol=CLOSE, rtol=4 * CLOSE))


def _at(parts: Sequence[np.ndarray], step_size: float) -> np.ndarray:
    return np.asarray(sum((-step_size) ** k * each for k, each in enumerate(parts)))


def _is_positive(matrix: np.ndarray) -> bool:
    """Whether all eigenvalues of a symmetric matrix are positive; faster than computing them."""
    try:
        scipy.linalg.cholesky(matrix, lower=True, overwrite_a=True)
    except scipy.linalg.LinAlgError:
        return False
    return True


def _last(holds: Callable[[float], bool]) -> float:
    """The largest number up to 1 for which something holds, that is true from 0 to there."""
    if holds(1.0):
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 4 * CLOSE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _parts(data: Data, batch_size: int, replacement: bool, momentum: float) -> list[np.ndarray]:
    """The matrices by which E M⊗M⊗M⊗M is a polynomial of −η, for symmetric tensors."""
    rows, n = data.rows, len(data.rows)
    A: np.ndarray = np.eye(rows.shape[1])
    if momentum:
        A = np.kron(np.array([[1 + momentum, -momentum], [1.0, 0.0]]), A)
        rows = np.hstack([rows, np.zeros_like(rows)])
    k = rows.shape[1]
    basis = _basis(k)
    tensors = basis.T.toarray().reshape(k, k, k, k, -1)
    *powers, of_four = _powers(rows, basis)
    found = []
    for order in range(ORDER + 1):
        # All partitions with blocks of the same sizes do the same to symmetric tensors.
        sizes: dict[tuple[int, ...], float] = defaultdict(float)
        for blocks, part in _coefficients(order, n, batch_size, replacement):
            sizes[blocks] += part
        matrix = np.zeros((basis.shape[0], basis.shape[0]))
        for blocks, part in sizes.items():
            if blocks == (ORDER,):
                matrix += part * of_four
            else:
                factors = [powers[size - 1] for size in blocks]
                factors += [A] * (ORDER - order) if momentum else []
                matrix += part * (basis @ _applied(factors, tensors))
        if not momentum:
            matrix = (matrix + matrix.T) / 2
        found.append(math.comb(ORDER, order) * matrix)
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


def _powers(rows: np.ndarray, basis: scipy.sparse.csr_array) -> list[np.ndarray]:
    """The matrices Σ_i (2n x_i x_iᵀ)^⊗m for m = 1, ..., 4, the last one for symmetric tensors."""
    n, k = rows.shape
    found: list[np.ndarray] = []
    for some in np.array_split(rows, math.ceil(n * k**ORDER / AT_ONCE)):
        products, squares = np.ones((len(some), 1)), []
        for m in range(1, ORDER + 1):
            products = (products[:, :, None] * some[:, None, :]).reshape(len(some), -1)
            scaled = (2.0 * n) ** (m / 2) * products
            Z = scaled @ basis.T if m == ORDER else scaled
            squares.append(Z.T @ Z)
        found = [a + b for a, b in zip(found, squares, strict=True)] if found else squares
    return found


def _applied(factors: Sequence[np.ndarray], tensors: np.ndarray) -> np.ndarray:
    """Apply factors to one place after the other, the tensors' first dimensions, or to several."""
    found, k = tensors, len(tensors)
    for factor in factors:
        found = (factor @ found.reshape(len(factor), -1)).reshape(k, k, k, k, -1)
        # The next one takes the places after those, which come first now.
        places = round(math.log(len(factor), k)) if k > 1 else 1
        found = np.moveaxis(found, range(ORDER), [(p - places) % ORDER for p in range(ORDER)])
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
