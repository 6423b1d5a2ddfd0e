"""Samples with classes: two spirals, or the user's table."""

from __future__ import annotations

import csv
import gzip
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np

MOST_CLASSES = 100


@dataclass(frozen=True)
class Dataset:
    """Samples, each with its class.

    Attributes
    ----------
    X : ndarray, shape (n_samples, n_features)
    labels : ndarray of int, shape (n_samples,)
        Class numbers from 0.
    classes, features : list of str
        Names of the classes, by class number, and of the columns of X.
    """

    X: np.ndarray
    labels: np.ndarray
    classes: list[str]
    features: list[str]


def spirals(n_samples: int, noise: float, rng: np.random.Generator) -> Dataset:
    """Draw two interleaved spirals of one turn each in the unit disk; each is a class.

    Parameters
    ----------
    n_samples : int
        Samples of both spirals together, in turn.
    noise : float
        Standard deviation of both coordinates around the spiral.
    rng : numpy.random.Generator
    """
    labels = np.arange(n_samples) % 2
    # The radius is the square root of a uniform number, so that the spirals are evenly dense.
    radius = np.sqrt(rng.uniform(0.01, 1, n_samples))
    angle = 2 * np.pi * radius + np.pi * labels
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    X += noise * rng.standard_normal(X.shape)
    return Dataset(X, labels, ["first spiral", "second spiral"], ["x₁", "x₂"])


def read(path: Path, target: str) -> Dataset:
    """Read a table of numbers, separated by commas, with one header line and a column of classes.

    All other columns are features, and are scaled to mean 0 and variance 1. A file whose name ends
    in .gz is unpacked.

    Raises
    ------
    ValueError
        If the file is no such table; the message names the row and the column.
    """
    try:
        with _open(path) as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
        header = [name.strip() for name in header]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from None
    if target not in header:
        raise ValueError(f"{path}: no column {target!r} among {', '.join(header) or 'none'}")
    if header.count(target) > 1:
        raise ValueError(f"{path}: column {target!r} is there {header.count(target)} times")
    column = header.index(target)
    features = header[:column] + header[column + 1 :]
    if not rows or not features:
        raise ValueError(f"{path}: needs a row and a column beside {target!r}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {number} has {len(row)} cells, the header {len(header)}")
    numbers = [row[:column] + row[column + 1 :] for row in rows]
    X = np.array([[_number(cell) for cell in row] for row in numbers])
    for row, k in np.argwhere(~np.isfinite(X))[:1]:
        cell = f"row {row + 1}, column {features[k]!r}: {numbers[row][k]!r}"
        raise ValueError(f"{path}: {cell} is not a finite number")
    classes, labels = np.unique([row[column] for row in rows], return_inverse=True)
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise ValueError(
            f"{path}: column {target!r} has {len(classes)} different values, which cannot be "
            f"classes: from 2 to {MOST_CLASSES} are allowed"
        )
    names = [f"{name} (standardised)" for name in features]
    return Dataset(_scaled(X, X), labels, classes.tolist(), names)


def split(
    data: Dataset, fraction: float, rng: np.random.Generator, scale: bool
) -> tuple[Dataset, Dataset]:
    """Return a random part of the samples to train on, and the rest to test with.

    Parameters
    ----------
    data : Dataset
    fraction : float in [0, 1]
        The part to test with, rounded to a whole number of samples.
    rng : numpy.random.Generator
    scale : bool
        Whether to scale to mean 0 and variance 1 of the part to train on, which must not know of
        the other.

    Raises
    ------
    ValueError
        If no sample is left in one of them.
    """
    n_samples = len(data.X)
    n_test = round(fraction * n_samples)
    if not 0 < n_test < n_samples:
        raise ValueError(f"of {n_samples} samples, {n_test} would be left to test with")
    order = rng.permutation(n_samples)
    # In the order of the table.
    train, test = np.sort(order[n_test:]), np.sort(order[:n_test])
    X = _scaled(data.X, data.X[train]) if scale else data.X
    first, second = (replace(data, X=X[k], labels=data.labels[k]) for k in (train, test))
    return first, second


def _scaled(X: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return X shifted and scaled so that the known rows have mean 0 and variance 1."""
    deviation = known.std(axis=0)
    return (X - known.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(newline="", encoding="utf-8-sig")


def _number(cell: str) -> float:
    try:
        return float(cell) if "_" not in cell else np.nan
    except ValueError:
        return np.nan
