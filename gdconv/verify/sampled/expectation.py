"""Statements about what is expected of a method that draws samples.

The right sides do without `gdconv.theory.sampled`. They enumerate what can be drawn, or write the
covariance as a vector of k² numbers, on which one step is a matrix. Its eigenvalues are right to
`DECOMPOSED`, which is a million times what rounding explains in one number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy
from itertools import combinations, product

import numpy as np

from gdconv.experiment.sampled.paths import OfBatches, OfColumns
from gdconv.methods.kaczmarz import Kaczmarz
from gdconv.methods.sampling import Sampling
from gdconv.verify.case import Case
from gdconv.verify.checks import Check, agree, positive
from gdconv.verify.sampled.case import SampledCase

# So many batches are enumerated at most, and matrices of so many rows are decomposed; with more
# features one step of the moments takes long.
MOST_BATCHES, MOST_ROWS, MOST_FEATURES = 20_000, 600, 100
# Eigenvalues and solutions of such matrices are right to this part.
DECOMPOSED, MARGIN = 1e-9, 1e-5
# Lengths of rows count as equal up to this part.
EQUAL = 1e-12


def sampled(case: Case) -> SampledCase:
    """The same case, which is one of a method that draws samples."""
    assert isinstance(case, SampledCase)
    return case


def size_drawn(case: Case) -> Iterator[Check]:
    """The step size is the one that was asked for, or ω/tr H; `limit_expected` checks its unit."""
    of = sampled(case)
    value, trace = of.run.step_value or 0.0, 2 * float((of.X**2).sum())
    expected = {
        "lambda_max": value / of.lambda_max,
        "absolute": value,
        "K": 1 / value if value else 0.0,
        "samples": value / len(of.X),
        "limit": value * of.numbers.step_limit,
        "None": float(of.method.options.get("relaxation", 1.0)) / trace,
    }[str(of.run.step_unit)]
    what = "step.value in step.unit" if of.run.step_unit else "what belongs to its keys: ω/tr H"
    ratio = of.step_size / expected
    yield agree("η", f"the step size is {what}", ratio, 1.0, 1.0, 2 * of.unit + 1e-12)


def unbiased(case: Case) -> Iterator[Check]:
    """The mean of nnlib's gradients of all rows is ∇L(w); a coordinate's step makes (∇L)_j 0."""
    of = sampled(case)
    X, y, w = of.X, of.y, of.points[0]
    sizes = 2 * of.lengths * of.magnitude(w)
    gradient = 2 * X.T @ (X @ w - y)
    if of.sampling.draws_columns:
        after = w - of.step_size * _columns(of, w)
        found = [2 * x @ (X @ each - y) for x, each in zip(X.T, after, strict=True)]
        statement = "after a step (∇L(w))ⱼ is 0"
        yield agree("∇L", statement, found, 0.0, sizes, 2 * of.unit, True)
        return
    chances = of.sampling.chances(np.square(X).sum(axis=1))
    mean = chances @ _rows(of, w)
    statement = "the mean of the gradients of what may be drawn is ∇L(w)"
    yield agree("∇L", statement, mean, gradient, sizes, 8 * len(X) ** 0.5 * of.unit)


def _rows(of: SampledCase, w: np.ndarray) -> np.ndarray:
    """The gradients of batches that have each the same row all over, shape (n, d)."""
    n, d = of.X.shape
    every = _with_paths(of, n)
    chances = of.sampling.chances(np.square(of.X).sum(axis=1))
    gradients = OfBatches(every, of.objective, chances, 1)
    gradients.W[..., :d] = w
    found = gradients(np.repeat(np.arange(n)[:, None], of.sampling.draws, axis=1))
    return found[0, :, 0, :d].copy()


def _columns(of: SampledCase, w: np.ndarray) -> np.ndarray:
    """The one component of the gradient for each column, shape (d, d)."""
    d = of.X.shape[1]
    squares = np.square(of.objective.matrix).sum(axis=0)
    chances = of.sampling.chances(squares)
    gradients = OfColumns(_with_paths(of, d), of.objective, chances, 1)
    gradients.W[..., :d] = w
    return gradients(np.arange(d)[:, None])[0, :, 0, :d].copy()


def _with_paths(of: SampledCase, paths: int) -> Sampling:
    method = copy(of.sampling)
    object.__setattr__(method, "paths", paths)
    return method


class Draws:
    """Each single row or column that can be drawn: with a probability p, e' = e − η(Ge + q).

    Attributes
    ----------
    G, q, p : ndarray, shape (m, k, k), (m, k) and (m,)
        Along the eigenvectors.
    """

    def __init__(self, of: SampledCase) -> None:
        right, values = of.spectrum.right, of.eigenvalues
        if of.sampling.draws_columns:
            squares = (right**2 * values).sum(axis=1)
            # One that is 0 is never drawn.
            right, squares = right[squares > 0], squares[squares > 0]
            self.p = squares / squares.sum()
            self.G = right[:, :, None] * (values * right)[:, None, :] / self.p[:, None, None]
            self.q = np.zeros_like(right)
            return
        chances = of.sampling.chances(np.square(of.X).sum(axis=1))
        X, y, self.p = of.X[chances > 0], of.y[chances > 0], chances[chances > 0]
        along = X @ right
        self.G = 2 * along[:, :, None] * along[:, None, :] / self.p[:, None, None]
        self.q = 2 * along * ((X @ of.w_star - y) / self.p)[:, None]


def expected_step(of: SampledCase, error: np.ndarray) -> float:
    """The mean of the gap after one step from w* plus an error, over all batches."""
    draws, step_size, values = Draws(of), of.step_size, of.eigenvalues
    steps = draws.G @ error + draws.q
    n, size = len(steps), of.sampling.draws
    count = n**size if of.sampling.with_replacement else math.comb(n, size)
    if size == 1 or count > MOST_BATCHES:
        # The mean of a batch has φ times the covariance of one row.
        mean = draws.p @ steps
        spread = draws.p @ (steps - mean) ** 2 * of.expectation.phi
        return float(0.5 * values @ ((error - step_size * mean) ** 2 + step_size**2 * spread))
    rows = range(n)
    every = product(rows, repeat=size) if of.sampling.with_replacement else combinations(rows, size)
    means = steps[np.array(list(every))].mean(axis=1)
    return float(0.5 * ((error - step_size * means) ** 2 @ values).mean())


def one_step_expected(case: Case) -> Iterator[Check]:
    """E gap after one step, from w_0 and from random points, is the mean over what can be drawn."""
    of = sampled(case)
    if not of.sampling.draws or len(of.eigenvalues) > MOST_FEATURES:
        return
    errors = [of.components, *(of.spectrum.right.T @ of.away(w) for w in of.points[:2])]
    found, exact, sizes = [], [], []
    for error in errors:
        moments = of.expectation.moments_from(error, of.theory.coefficients)
        moments.step()
        found.append(moments.gap[0])
        exact.append(expected_step(of, error))
        sizes.append(exact[-1] + float(0.5 * of.eigenvalues @ error**2))
    off = 8 * of.unit * (1 + of.step_size * 2 * float((of.X**2).sum())) ** 2
    statement = "E gap after one step is the mean over all batches"
    yield agree("E gap", statement, found, exact, positive(np.array(sizes)), off)


def second_moments(of: SampledCase, step_size: float) -> tuple[np.ndarray, np.ndarray]:
    """The matrix by which a step multiplies vec E eeᵀ, and what it adds to it.

    With momentum e stands for (e_t, e_{t−1}).
    """
    draws, k, phi = Draws(of), len(of.eigenvalues), of.expectation.phi
    momentum = of.coefficients.get("momentum", 0.0)
    flat = draws.G.reshape(len(draws.p), -1)
    mean = (draws.p @ flat).reshape(k, k)
    pairs = (flat.T * draws.p) @ flat
    pairs = pairs.reshape(k, k, k, k).transpose(0, 2, 1, 3).reshape(k * k, k * k)
    more = phi * step_size**2 * (pairs - np.kron(mean, mean))
    added = phi * step_size**2 * (draws.q.T * draws.p) @ draws.q
    if momentum == 0:
        step = np.eye(k) - step_size * mean
        return np.kron(step, step) + more, added.ravel()
    eye, none = np.eye(k), np.zeros((k, k))
    step = np.block([[(1 + momentum) * eye - step_size * mean, -momentum * eye], [eye, none]])
    first = np.block([[eye], [none]])
    inner = np.kron(first, first)
    return np.kron(step, step) + inner @ more @ inner.T, inner @ added.ravel()


def _is_small(of: SampledCase) -> bool:
    k = len(of.eigenvalues) * (2 if of.coefficients.get("momentum") else 1)
    known = of.sampling.draws > 0 and not math.isnan(of.numbers.rate)
    return k * k <= MOST_ROWS and len(of.X) <= MOST_BATCHES and known


def _radius(matrix: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def limit_expected(case: Case) -> Iterator[Check]:
    """At the limit of the step size a step keeps the covariance; at η it shrinks as stated."""
    of = sampled(case)
    if not _is_small(of):
        return
    if not math.isnan(limit := of.numbers.step_limit):
        radius = _radius(second_moments(of, limit)[0])
        statement = f"at the step size {limit:.6g} the largest eigenvalue of the step of E eeᵀ is 1"
        yield agree("η_max", statement, radius, 1.0, 1.0, DECOMPOSED)
    X, batch = of.X, of.sampling
    squares = np.square(X).sum(axis=1)
    plain = of.run.step_unit and batch.draws == 1 and not of.coefficients.get("momentum")
    if plain and np.ptp(squares) <= EQUAL * squares.max():
        statement = "rows of one length c: η_max = 1/(nc²)"
        yield agree("η_max", statement, limit * len(X) * squares[0], 1.0, 1.0, DECOMPOSED)
    matrix, _ = second_moments(of, of.step_size)
    rate = _radius(matrix)
    if of.expectation.is_noisy:
        rate = max(
            rate,
            of.expectation.second(of.coefficients.get("momentum", 0.0)).mean_rate(of.step_size),
        )
    statement = "in the long run E gap approaches the floor by this factor"
    yield agree("rate", statement, of.numbers.rate, rate, rate, DECOMPOSED)


def rest_expected(case: Case) -> Iterator[Check]:
    """The floor is that of the covariance which a step leaves as it is."""
    of = sampled(case)
    # Close to the limit, C is so large that rounding decides on it.
    if not _is_small(of) or not of.numbers.rate < 1 - MARGIN:
        return
    matrix, added = second_moments(of, of.step_size)
    k = math.isqrt(len(added))
    C = np.linalg.solve(np.eye(k * k) - matrix, added).reshape(k, k)
    values = of.eigenvalues
    exact = float(0.5 * values @ np.diag(C)[: len(values)])
    found, statement = of.numbers.stationary, "the floor is the E gap that a step leaves as it is"
    if of.expectation.is_noisy:
        off = DECOMPOSED / (1 - of.numbers.rate)
        yield agree("floor", statement, found / exact, 1.0, 1.0, off)
    else:
        yield agree("floor", "without noise at w* the floor is 0", found, 0.0, 1.0, 0.0, True)


def balance(case: Case) -> Iterator[Check]:
    """Kaczmarz: ‖X‖²(E‖e′‖² − ‖e‖²) = ω²L* − ω(2 − ω) gap, and so the floor is ωL*/(2 − ω)."""
    of = sampled(case)
    if not isinstance(of.method, Kaczmarz):
        return
    whole, squares = float((of.X**2).sum()), np.square(of.X).sum(axis=1)
    omega = of.step_size * 2 * whole
    least = of.theory.expectation.loss_star
    e = of.components
    steps = Draws(of)
    after = e - of.step_size * (steps.G @ e + steps.q)
    change = whole * float(steps.p @ (after**2).sum(axis=1) - e @ e)
    gap = float(0.5 * of.eigenvalues @ e**2)
    # A row of 0 adds to L*, but is never drawn.
    never = float((of.y[squares == 0] ** 2).sum())
    expected = omega**2 * (least - never) - omega * (2 - omega) * gap
    size = whole * float(e @ e) + gap + least
    statement = "‖X‖²(E‖e′‖² − ‖e‖²) = ω²L* − ω(2 − ω) gap"
    yield agree("balance", statement, change, expected, size, 16 * of.unit)
    if of.expectation.is_noisy and not math.isnan(of.numbers.stationary):
        exact = omega * (least - never) / (2 - omega)
        statement = "the floor is ωL*/(2 − ω)"
        yield agree("floor", statement, of.numbers.stationary / exact, 1.0, 1.0, DECOMPOSED)


def all_rows(case: Case) -> Iterator[Check]:
    """A batch of all rows, each once, makes a step of gradient descent."""
    of = sampled(case)
    batch = of.sampling
    first = [moment.w for moment in of.moments if moment.t == 1]
    if batch.with_replacement or batch.draws < len(of.X) or not first or batch.averages != "none":
        return
    expected = of.start - of.step_size * of.gradient(of.start)
    size = np.abs(expected) + np.abs(of.start)
    size += 2 * of.step_size * of.lengths * of.magnitude(of.start)
    statement = "all rows, each once: w₁ = w₀ − η∇L(w₀)"
    yield agree("w₁", statement, first[0], expected, size, of.unit)
