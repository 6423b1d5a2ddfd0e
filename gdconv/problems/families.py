"""Problem families: from a checked configuration to the least-squares problem X, y."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdconv.config.rules import ConfigError, quoted, typed
from gdconv.config.sections import (
    Correlated,
    Csv,
    Gaussian,
    Polynomial,
    Prescribed,
    Problem,
    identity,
)
from gdconv.problems.doubled import blocks, product
from gdconv.problems.table import Table, content, is_number, listed, name_of, read_table

# If features lie in this range, sums of their squares, and their eigenvalues, are normal floats.
LARGEST_FEATURE, SMALLEST_FEATURE = 1e150, 1e-150


@dataclass(frozen=True)
class LeastSquares:
    """Minimise L(w) = ‖Xw − y‖² (1); X has shape (n, d) and y shape (n,).

    The last column of X is all ones, except in the family with a prescribed spectrum.
    """

    X: np.ndarray
    y: np.ndarray


def make(problem: Problem, seed: int, repetition: int) -> LeastSquares:
    """Return one problem of a family.

    The problem's random numbers depend only on seed and repetition.

    Raises
    ------
    ConfigError
        If the family reads a file, and the file will not do.
    """
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(repetition, 0)))
    return FAMILIES[problem.name](problem, generator)


def problem_identity(problem: Problem) -> dict[str, Any]:
    """Return a problem's part of a run's identity: its keys and, for a file, the content's hash.

    Raises
    ------
    ConfigError
        If the family reads a file, and the file will not do.
    """
    if not isinstance(problem, Csv):
        return identity(problem)
    table, _ = _table(problem)
    return identity(problem) | {"path": table.content}


def file_content(problem: Problem) -> str | None:
    """Return the first eight hex digits of the hash of a problem's file; None without a file.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    return content(problem.path)[:8] if isinstance(problem, Csv) else None


def names_of_files(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """Return the names that each content of a file has in some problems.

    Names are without folders, because where a user keeps a file is private.

    Raises
    ------
    ConfigError
        If a file cannot be read.
    """
    names: dict[str, dict[str, None]] = {}
    for problem in dict.fromkeys(problems):
        if isinstance(problem, Csv):
            names.setdefault(content(problem.path)[:8], {})[name_of(problem.path)] = None
    return {each: list(names[each]) for each in names}


def shape(problem: Problem) -> tuple[int, int]:
    """Return n_samples and n_features of a family's problems, without drawing one."""
    if isinstance(problem, Csv):
        return _table(problem)[0].cells.shape
    return problem.n_samples, problem.n_features


def gaussian(problem: Gaussian, generator: np.random.Generator) -> LeastSquares:
    """Independent normal features of variance 1 and a common mean; y = X w + noise, w normal."""
    X = _drawn(problem.n_samples, problem.n_features, generator)
    for rows in blocks(*X.shape):
        X[rows, :-1] += problem.feature_mean
    return _observed(X, problem.noise, generator)


def correlated(problem: Correlated, generator: np.random.Generator) -> LeastSquares:
    """Normal features of variance 1 with covariance correlation^|i − j|; y = X w + noise.

    A row is the stationary autoregression x_j = correlation x_{j−1} + √(1 − correlation²) z_j with
    x_1 = z_1 and z normal, whose covariance is the Toeplitz matrix of these powers.
    """
    rho = problem.correlation
    X = _drawn(problem.n_samples, problem.n_features, generator)
    for rows in blocks(*X.shape):
        features = X[rows, :-1]
        features[:, 1:] *= np.sqrt((1 - rho) * (1 + rho))
        for j in range(1, features.shape[1]):
            features[:, j] += rho * features[:, j - 1]
    return _observed(X, problem.noise, generator)


def prescribed(problem: Prescribed, generator: np.random.Generator) -> LeastSquares:
    """X = U Σ Vᵀ with random orthonormal U, V and prescribed eigenvalues of H; y = X w + noise.

    H = 2 XᵀX has k = min(n, d) non-zero eigenvalues, lambda_max times `profile`(...). lambda_max is
    2 n_samples, about as large as for independent features of variance 1. A column of ones would
    change the spectrum, so there is none.
    """
    rank = min(problem.n_samples, problem.n_features)
    eigenvalues = 2.0 * problem.n_samples * profile(problem.profile, problem.condition_number, rank)
    left = _orthonormal(problem.n_samples, rank, generator)
    right = _orthonormal(problem.n_features, rank, generator)
    X = (left * np.sqrt(eigenvalues / 2)) @ right.T
    return _observed(X, problem.noise, generator)


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


def polynomial(problem: Polynomial, generator: np.random.Generator) -> LeastSquares:
    """Powers degree, ..., 1, 0 of points drawn uniformly from [−1, 1]; y = X w + noise.

    With n points, X is rank-deficient if the degree is higher than n − 1.
    """
    points = generator.uniform(-1.0, 1.0, problem.n_samples)
    return _observed(np.vander(points, problem.degree + 1), problem.noise, generator)


def csv(problem: Csv, generator: np.random.Generator | None = None) -> LeastSquares:
    """The user's table; if standardized, features get mean 0 and variance 1 (constant ones get 0).

    Raises
    ------
    ConfigError
        If the file or one of its features cannot be used.
    """
    table, target = _table(problem)
    X = np.ones(table.cells.shape)
    X[:, :target], X[:, target:-1] = table.cells[:, :target], table.cells[:, target + 1 :]
    if problem.standardize:
        standardized(X[:, :-1])
    return LeastSquares(X, table.cells[:, target].copy())


def notices(problems: Iterable[Problem]) -> list[str]:
    """Return what the user should know about the files of some problems, each notice once.

    Raises
    ------
    ConfigError
        If a file cannot be used.
    """
    found = []
    for problem in dict.fromkeys(problems):
        if isinstance(problem, Csv):
            table, _ = _table(problem)
            found.append(table.notice)
            if all(map(is_number, table.names)):
                names = f"its first line names the columns: {listed(table.names)}"
                found.append(f"{typed(problem.path)}: {names}")
    return [*filter(None, dict.fromkeys(found))]


def _table(problem: Csv) -> tuple[Table, int]:
    """The table and the place of its target, after checking that it can be used."""
    table = read_table(problem.path)
    if problem.target not in table.names:
        raise _no_such_column(problem, table.names)
    if len(table.cells) < 2:
        reason = f"must have at least 2 rows of data, has {len(table.cells)}"
        raise ConfigError("problem.path", problem.path, reason)
    for name, size in zip(table.names, table.largest.tolist(), strict=True):
        extreme = size > LARGEST_FEATURE or 0 < size < SMALLEST_FEATURE
        if extreme and name != problem.target and not problem.standardize:
            reason = (
                f"must have features whose squares fit into floats: {typed(name)} has numbers up to"
                f" {size:.3g}; scale it, or give problem.standardize=true"
            )
            raise ConfigError("problem.path", problem.path, reason)
    return table, table.names.index(problem.target)


def _no_such_column(problem: Csv, names: Sequence[str]) -> ConfigError:
    if all(map(is_number, names)):
        reason = (
            f"must begin with a line of column names, begins with {listed(names)}; numbers are"
            " accepted as names if problem.target is one of them"
        )
        return ConfigError("problem.path", problem.path, reason)
    target = problem.target
    alike = [name for name in names if target.casefold() in name.casefold()]
    if is_number(target):
        # Hydra reads 1_000 as a number.
        alike += [name for name in names if is_number(name) and float(name) == float(target)]
    example = f"; type {quoted('problem.target', alike[0])}" if alike else ""
    allowed = f"must be a column of {typed(problem.path)}: {listed(names)}{example}"
    return ConfigError("problem.target", target, allowed)


FAMILIES: dict[str, Callable[[Any, np.random.Generator], LeastSquares]] = {
    Gaussian.name: gaussian,
    Correlated.name: correlated,
    Prescribed.name: prescribed,
    Polynomial.name: polynomial,
    Csv.name: csv,
}


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


def _drawn(n_samples: int, n_features: int, generator: np.random.Generator) -> np.ndarray:
    """Standard normal features and a column of ones."""
    X = np.ones((n_samples, n_features))
    for rows in blocks(*X.shape):
        X[rows, :-1] = generator.standard_normal((len(X[rows]), n_features - 1))
    return X


def _observed(X: np.ndarray, noise: float, generator: np.random.Generator) -> LeastSquares:
    """y = X w + noise with standard normal w."""
    n_samples, n_features = X.shape
    w = generator.standard_normal(n_features)
    return LeastSquares(X, X @ w + noise * generator.standard_normal(n_samples))


def _orthonormal(rows: int, columns: int, generator: np.random.Generator) -> np.ndarray:
    """Orthonormal columns, uniform among all such (Mezzadri, Notices of the AMS 54, 2007)."""
    # Imported here, because the process that only plans and writes does not need it.
    import scipy.linalg

    Q, R = scipy.linalg.qr(generator.standard_normal((rows, columns)), mode="economic")
    # Otherwise the signs would be those of Householder's reflections instead of random ones.
    return Q * np.copysign(1.0, np.diag(R))
