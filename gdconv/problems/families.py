"""Problem families: from a checked configuration to the least-squares problem X, y."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from gdconv.config.networks import Network
from gdconv.config.plugins import Family
from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Problem, Table
from gdconv.config.rules import ConfigError, typed
from gdconv.config.runs import identity
from gdconv.problems.blocks import LeastSquares, Rows, Tree, ends, height
from gdconv.problems.doubled import blocks, product
from gdconv.problems.table import reading

# If features lie in this range, sums of their squares, and their eigenvalues, are normal floats.
LARGEST_FEATURE, SMALLEST_FEATURE = 1e150, 1e-150
# So many rows are drawn together, from random numbers of their own.
CHUNK = 8192


def make(
    problem: Problem, seed: int, repetition: int, triangle: np.ndarray | None = None
) -> LeastSquares:
    """Return one problem of a family, by its triangle if it has more rows than one block.

    The problem's random numbers depend only on seed and repetition.

    Parameters
    ----------
    triangle : ndarray, optional
        That of all its rows, if it is known.

    Raises
    ------
    ConfigError
        If the family reads a file, and the file will not do.
    """
    rows = rows_of(problem, seed, repetition)
    blocks = block_ends(problem)
    if len(blocks) == 1:
        return rows.whole()
    if triangle is None:
        tree = tree_of(problem)
        for number, (start, stop) in enumerate(blocks):
            tree.add((0, number), rows.triangle(start, stop))
        triangle = tree.root
    assert triangle is not None
    return rows.of_triangle(triangle)


def rows_of(problem: Problem, seed: int, repetition: int) -> Rows:
    """Return the rows of one problem of a family, which have not been made yet.

    Raises
    ------
    ConfigError
        As `make`.
    """
    if isinstance(problem, Table):
        return TableRows(problem)
    if isinstance(problem, Family):
        return FamilyRows(problem, seed, repetition)
    kind = Spectrum if isinstance(problem, Prescribed) else Drawn
    return kind(problem, seed, repetition)


def block_ends(problem: Problem) -> list[tuple[int, int]]:
    """Return the first row of each of a problem's blocks, and the first one after it."""
    if isinstance(problem, Network | Family):
        return [(0, shape(problem)[0])]
    if isinstance(problem, Table) and not problem.block_rows and (found := _facts(problem).ends):
        return found
    return [*ends(shape(problem)[0], fitting_rows(problem))]


def fitting_rows(problem: Problem) -> int:
    """Return how many rows a problem may have to be made as a whole."""
    return problem.block_rows or height(shape(problem)[1] + 1)


def known(problem: Problem) -> Any:
    """Return what another process should not find out of a problem anew; None if that is little."""
    if not problem.table:
        return None
    data = reading.read(problem.table)
    return data if data.is_large or len(block_ends(problem)) > 1 else None


def remembered(problem: Problem, found: Any) -> AbstractContextManager[None]:
    """Take over what was found out of a problem before; see `known`."""
    if problem.table and found is not None:
        return reading.remembered(problem.table, found)
    return nullcontext()


def tree_of(problem: Problem) -> Tree:
    """Return a tree that joins the triangles of a problem's blocks."""
    from gdconv.problems.triangle import joined

    return Tree(len(block_ends(problem)), joined)


def problem_identity(problem: Problem) -> dict[str, Any]:
    """Return a problem's part of a run's identity: its keys and, for a file, the content's hash.

    Raises
    ------
    ConfigError
        If the family reads a file, and the file will not do.
    """
    if not problem.table:
        return identity(problem)
    facts = _facts(problem.table)
    return identity(problem) | facts.reading | {"path": facts.content}


def file_content(problem: Problem) -> str | None:
    """Return the first eight hex digits of the hash of a problem's file; None without a file.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    return _facts(problem.table).content[:8] if problem.table else None


def names_of_files(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """Return the names that each content of a file has in some problems.

    Names are without folders, because where a user keeps a file is private.

    Raises
    ------
    ConfigError
        If a file cannot be read.
    """
    names: dict[str, dict[str, None]] = {}
    for table in dict.fromkeys(problem.table for problem in problems):
        if table:
            content = _facts(table).content[:8]
            names.setdefault(content, {})[reading.names_of(table)] = None
    return {each: list(names[each]) for each in names}


def shape(problem: Problem) -> tuple[int, int]:
    """Return n_samples and n_features of a family's problems, without drawing one."""
    if table := problem.table:
        facts = _facts(table)
        return facts.rows, len(facts.names) + table.intercept
    keys: Any = problem
    return keys.n_samples, keys.n_features


def names_of_columns(problem: Problem, n_features: int) -> list[str]:
    """Return names of the columns of X: those of a table, or x1, x2, …"""
    if isinstance(problem, Table):
        return [*_facts(problem).names, *(["(intercept)"] if problem.intercept else [])]
    return [f"x{number}" for number in range(1, n_features + 1)]


class Drawn(Rows):
    """A problem with random features; y = X w + noise with standard normal w.

    Rows come in chunks, each from random numbers of its own. w comes from those of the first chunk.
    """

    def __init__(self, problem: Any, seed: int, repetition: int) -> None:
        self.problem, self._key = problem, (seed, repetition)
        self.shape = problem.n_samples, problem.n_features

    @cached_property
    def w(self) -> np.ndarray:
        """The coefficients of y, shape (d,)."""
        generator = self._generator(0)
        self._features(0, generator)
        return self._shared(generator)

    def means(self) -> np.ndarray | None:
        """Return the expectations of the features and of y."""
        mean = getattr(self.problem, "feature_mean", 0.0)
        of_features = np.full(self.shape[1] - 1, mean)
        return np.append(of_features, of_features @ self.w[:-1] + self.w[-1])

    def fill(self, start: int, stop: int, X: np.ndarray, y: np.ndarray) -> None:
        """Write rows of the problem into arrays."""
        for number in range(start // CHUNK, -(-stop // CHUNK)):
            first = number * CHUNK
            part = slice(max(start - first, 0), stop - first)
            rows = slice(max(first - start, 0), max(first - start, 0) + CHUNK - part.start)
            features, noise = self._chunk(number)
            X[rows], y[rows] = features[part], self._observed(features, noise)[part]

    def _chunk(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The features of a chunk, and its noise."""
        generator = self._generator(number)
        features = self._features(number, generator)
        if number == 0:
            self._shared(generator)
        return features, self.problem.noise * generator.standard_normal(len(features))

    def _observed(self, features: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """What is observed as y of rows."""
        return features @ self.w + noise

    def _features(self, number: int, generator: np.random.Generator) -> np.ndarray:
        count = min(CHUNK, self.shape[0] - number * CHUNK)
        return FEATURES[self.problem.name](self.problem, count, generator)

    def _shared(self, generator: np.random.Generator) -> np.ndarray:
        """What all chunks share: w."""
        return generator.standard_normal(self.shape[1])

    def _generator(self, number: int) -> np.random.Generator:
        seed, repetition = self._key
        # What there was before chunks keeps its random numbers.
        chunk = (number,) if number else ()
        return np.random.default_rng(
            np.random.SeedSequence(seed, spawn_key=(repetition, 0, *chunk))
        )


def gaussian(problem: Gaussian, count: int, generator: np.random.Generator) -> np.ndarray:
    """Independent normal features of variance 1 and a common mean, and a column of ones."""
    X = _normal(count, problem.n_features, generator)
    for rows in blocks(*X.shape):
        X[rows, :-1] += problem.feature_mean
    return X


def correlated(problem: Correlated, count: int, generator: np.random.Generator) -> np.ndarray:
    """Normal features of variance 1 with covariance correlation^|i − j|, and a column of ones.

    A row is the stationary autoregression x_j = correlation x_{j−1} + √(1 − correlation²) z_j with
    x_1 = z_1 and z normal, whose covariance is the Toeplitz matrix of these powers.
    """
    rho = problem.correlation
    X = _normal(count, problem.n_features, generator)
    for rows in blocks(*X.shape):
        features = X[rows, :-1]
        features[:, 1:] *= np.sqrt((1 - rho) * (1 + rho))
        for j in range(1, features.shape[1]):
            features[:, j] += rho * features[:, j - 1]
    return X


def polynomial(problem: Polynomial, count: int, generator: np.random.Generator) -> np.ndarray:
    """Powers degree, ..., 1, 0 of points drawn uniformly from [−1, 1].

    With n points, X is rank-deficient if the degree is higher than n − 1.
    """
    points = generator.uniform(-1.0, 1.0, count)
    return np.vander(points, problem.degree + 1)


FEATURES: dict[str, Callable[[Any, int, np.random.Generator], np.ndarray]] = {
    Gaussian.name: gaussian,
    Correlated.name: correlated,
    Polynomial.name: polynomial,
}


class FamilyRows(Rows):
    """A problem of another package's family, which is made as a whole.

    Raises
    ------
    ValueError
        If it makes something else than numbers of the shapes that its keys promise.
    """

    def __init__(self, problem: Family, seed: int, repetition: int) -> None:
        self.problem, self._key = problem, (seed, repetition)
        self.shape = shape(problem)

    def whole(self) -> LeastSquares:
        """Return the problem with all its rows."""
        seed, repetition = self._key
        sequence = np.random.SeedSequence(seed, spawn_key=(repetition, 0))
        X, y = map(np.asarray, self.problem.draw(np.random.default_rng(sequence)))
        told = f"{type(self.problem).__qualname__}.draw returned"
        if X.shape != self.shape or y.shape != self.shape[:1]:
            raise ValueError(
                f"{told} X of shape {X.shape} and y of shape {y.shape}, but n_samples and"
                f" n_features are {self.shape}"
            )
        X, y = (np.array(each, dtype=float) for each in (X, y))
        if not (np.isfinite(X).all() and np.isfinite(y).all()):
            raise ValueError(f"{told} numbers that are not finite")
        return LeastSquares(X, y)


class Spectrum(Drawn):
    """X = U Σ Vᵀ with random orthonormal U, V and prescribed eigenvalues of H; y = X w + noise.

    H = 2 XᵀX has k = min(n, d) non-zero eigenvalues, lambda_max times `profile`(...). lambda_max is
    2 n_samples, about as large as for independent features of variance 1. A column of ones would
    change the spectrum, so there is none. U is Q of a normal matrix G = QR, and V likewise. Such a
    matrix is uniform among all with orthonormal columns, if R has a positive diagonal (Mezzadri,
    Notices of the AMS 54, 2007). The rows of a block are [G noise]. If its triangle has R and c
    above ρ, then U has the triangle I, and noise has c and ρ.
    """

    @property
    def columns(self) -> int:
        """The number of columns of G."""
        return min(self.shape)

    def means(self) -> None:
        """Return None, because no column is all ones."""

    def whole(self) -> LeastSquares:
        """Return the problem with all its rows."""
        normal, noise = np.empty((self.shape[0], self.columns)), np.empty(self.shape[0])
        self.fill(0, self.shape[0], normal, noise)
        X = (_orthonormal(normal) * self._singular_values()) @ self._right.T
        return LeastSquares(X, X @ self.w + noise)

    def of_triangle(self, triangle: np.ndarray) -> LeastSquares:
        """Return the problem from the triangle of all rows of [G noise]."""
        signs = np.copysign(1.0, np.diag(triangle)[:-1])
        X = np.zeros((self.columns + 1, self.shape[1]))
        X[:-1] = (self._right * self._singular_values()).T
        y = X @ self.w
        y[:-1] += signs * triangle[:-1, -1]
        y[-1] = triangle[-1, -1]
        return LeastSquares(X, y, self.shape[0])

    @cached_property
    def _right(self) -> np.ndarray:
        """V, shape (d, rank)."""
        generator = self._generator(0)
        self._features(0, generator)
        return _orthonormal(generator.standard_normal((self.shape[1], self.columns)))

    def _singular_values(self) -> np.ndarray:
        shares = profile(self.problem.profile, self.problem.condition_number, self.columns)
        return np.sqrt(2.0 * self.shape[0] * shares / 2)

    def _observed(self, features: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return noise

    def _features(self, number: int, generator: np.random.Generator) -> np.ndarray:
        count = min(CHUNK, self.shape[0] - number * CHUNK)
        return generator.standard_normal((count, self.columns))

    def _shared(self, generator: np.random.Generator) -> np.ndarray:
        generator.standard_normal((self.shape[1], self.columns))
        return super()._shared(generator)


def profile(name: str, condition_number: float, count: int) -> np.ndarray:
    """Return eigenvalues from 1 down to 1 / condition_number, shape (count,); a single one is 1.

    linear: evenly spaced. geometric: their logarithms are evenly spaced. power: i^−p for
    i = 1, 2, ..., where p is such that the last one is 1 / condition_number. two_point: the first
    half (rounded up) is 1, the others are 1 / condition_number. strakos: last + (1 − last)
    (i − 1)/(count − 1) 0.8^{count − i} for i = 1, 2, ... from the smallest on, which is hard for
    conjugate gradients with rounding (Strakoš, Linear Algebra Appl. 154, 1991).
    """
    last = 1 / condition_number
    if count == 1:
        return np.ones(1)
    if name == "linear":
        return np.linspace(1.0, last, count)
    if name == "geometric":
        return np.geomspace(1.0, last, count)
    if name == "power":
        values = np.exp(-np.log(condition_number) * np.log(np.arange(1, count + 1)) / np.log(count))
        values[-1] = last
        return values
    if name == "two_point":
        return np.where(np.arange(count) < (count + 1) // 2, 1.0, last)
    if name == "strakos":
        index = np.arange(count, 0, -1)
        return last + (1 - last) * (index - 1) / (count - 1) * 0.8 ** (count - index)
    raise ValueError(f"profile={name!r}: must be linear, geometric, power, two_point or strakos")


class TableRows(Rows):
    """The user's table; if standardized, features get mean 0 and variance 1 (constant ones get 0).

    Raises
    ------
    ConfigError
        If the file or one of its features cannot be used.
    """

    def __init__(self, problem: Table) -> None:
        self.problem = problem
        self.shape = shape(problem)

    @property
    def columns(self) -> int:
        """The number of features, and a column of ones if it is needed to subtract means."""
        return self.shape[1] + (self.problem.standardize and not self.problem.intercept)

    def fill(self, start: int, stop: int, X: np.ndarray, y: np.ndarray) -> None:
        """Write rows of the problem into arrays."""
        rows = reading.read(self.problem).between(start, stop)
        n_features = rows.shape[1] - 1
        X[:, :n_features], X[:, n_features:], y[...] = rows[:, 1:], 1.0, rows[:, 0]

    def means(self) -> np.ndarray | None:
        """Return about the means of the features and of the target."""
        if not (self.problem.intercept or self.problem.standardize):
            return None
        return np.roll(reading.read(self.problem).means, -1)

    def whole(self) -> LeastSquares:
        """Return the problem with all its rows."""
        found = super().whole()
        if self.problem.standardize:
            standardized(found.X[:, : self.shape[1] - self.problem.intercept])
        return found

    def of_triangle(self, triangle: np.ndarray) -> LeastSquares:
        """Return the problem from the triangle of all its rows."""
        found = super().of_triangle(triangle)
        if not self.problem.standardize:
            return found
        X, n_features = found.X, self.shape[1] - self.problem.intercept
        constant = np.array(_facts(self.problem).constant, dtype=bool)
        standardized_triangle(X[:, :n_features], constant, self.shape[0])
        return LeastSquares(X[:, : self.shape[1]].copy(), found.y, self.shape[0])


def standardized_triangle(features: np.ndarray, constant: np.ndarray, rows: int) -> None:
    """Standardise columns that stand for so many rows, in place; see `Rows.of_triangle`."""
    # The first row is along the ones: without it, columns have mean 0.
    features[0] = 0.0
    sizes = np.linalg.norm(features, axis=0) / np.sqrt(rows)
    features /= np.where(constant, 1.0, sizes)
    features[:, constant] = 0.0


def notices(problems: Iterable[Problem]) -> list[str]:
    """Return what the user should know about the files of some problems, each notice once.

    Raises
    ------
    ConfigError
        If a file cannot be used.
    """
    found: list[str] = []
    for table in dict.fromkeys(problem.table for problem in problems):
        if table:
            found += _facts(table).notices
    return [*dict.fromkeys(found)]


def _facts(problem: Table) -> reading.Facts:
    """What is known of a table, after checking that the squares of its features are floats."""
    facts = reading.facts(problem)
    if not facts.names and not problem.intercept:
        allowed = "must be true if the table has no other features"
        raise ConfigError("problem.intercept", problem.intercept, allowed)
    for name, size in zip(facts.names, facts.largest, strict=True):
        extreme = size > LARGEST_FEATURE or 0 < size < SMALLEST_FEATURE
        if extreme and not problem.standardize:
            reason = (
                f"must have features whose squares fit into floats: {typed(name)} has numbers up to"
                f" {size:.3g}; scale it, or give problem.standardize=true"
            )
            raise ConfigError("problem.path", problem.path[0], reason)
    return facts


def standardized(features: np.ndarray) -> np.ndarray:
    """Give columns mean 0 and variance 1, to the last digits, in place; constant ones become 0.

    If a column varies little about a large mean, as years do, the rounding error of the mean is
    large beside the variation. So the mean is subtracted twice: what is left after the first time
    has a mean close to 0, which is rounded far less.
    """
    # After scaling by a power of 2, the squares of columns of any size are floats.
    most, least = features.max(axis=0), features.min(axis=0)
    _, exponent = np.frexp(np.maximum(most, -least))
    np.ldexp(features, -exponent, out=features)
    for _ in range(2):
        total, _ = product(features.T, np.ones((len(features), 1)))
        features -= total[:, 0] / len(features)
    squares = sum(np.sum(features[rows] ** 2, axis=0) for rows in blocks(*features.shape))
    features /= np.where(most == least, 1.0, np.sqrt(squares / len(features)))
    features[:, most == least] = 0.0
    return features


def _normal(n_samples: int, n_features: int, generator: np.random.Generator) -> np.ndarray:
    """Standard normal features and a column of ones."""
    X = np.ones((n_samples, n_features))
    for rows in blocks(*X.shape):
        X[rows, :-1] = generator.standard_normal((len(X[rows]), n_features - 1))
    return X


def _orthonormal(normal: np.ndarray) -> np.ndarray:
    """Return Q of a normal matrix QR whose R has a positive diagonal."""
    # Imported here, because the process that only plans and writes does not need it.
    import scipy.linalg

    Q, R = scipy.linalg.qr(normal, mode="economic")
    # Otherwise the signs would be those of Householder's reflections instead of random ones.
    return Q * np.copysign(1.0, np.diag(R))
