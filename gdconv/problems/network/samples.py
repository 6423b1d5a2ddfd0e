"""What a network is trained on, and where its parameters start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gdconv.config.networks import Network
from gdconv.config.rules import ConfigError
from gdconv.problems.blocks import height
from gdconv.problems.families import standardized
from gdconv.problems.table import reading
from nnlib.datasets import MOST_CLASSES, spirals

# Standard deviation of the points about their spirals.
SPREAD = 0.02
# As the random numbers of a problem have the key 0, and those of its start 1.
SAMPLES, START = 0, 1


@dataclass(frozen=True)
class Shape:
    """Numbers of samples, inputs, hidden units and outputs of a network; 0 units: two numbers."""

    samples: int
    inputs: int
    hidden: int
    outputs: int

    @property
    def layers(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each part of the parameters, in their order in a flat vector."""
        if not self.hidden:
            return [("w1", (1, 1)), ("w2", (1, 1))]
        return [
            ("W1", (self.inputs, self.hidden)),
            ("b1", (1, self.hidden)),
            ("W2", (self.hidden, self.outputs)),
            ("b2", (1, self.outputs)),
        ]

    @property
    def parameters(self) -> int:
        """How many parameters there are."""
        return sum(rows * columns for _, (rows, columns) in self.layers)

    @property
    def names(self) -> list[str]:
        """The name of each parameter, as W1[1,2]."""
        if not self.hidden:
            return ["w1", "w2"]
        return [
            f"{name}[{row},{column}]" if name.startswith("W") else f"{name}[{column}]"
            for name, (rows, columns) in self.layers
            for row in range(1, rows + 1)
            for column in range(1, columns + 1)
        ]


@dataclass(frozen=True)
class Samples:
    """The samples of a network.

    Attributes
    ----------
    X : ndarray, shape (n, inputs)
    Y : ndarray, shape (n, outputs)
        What the outputs should be; for cross-entropy, 1 in the column of the class.
    """

    X: np.ndarray
    Y: np.ndarray

    def shape(self, hidden: int) -> Shape:
        """Return the shape of a network with so many units for these samples."""
        return Shape(len(self.X), self.X.shape[1], hidden, self.Y.shape[1])


def samples_of(problem: Network, seed: int, repetition: int) -> Samples:
    """Return what a network is trained on; random numbers depend on seed and repetition.

    Raises
    ------
    ConfigError
        If its table cannot be used.
    """
    if problem.data == "point":
        return Samples(np.ones((1, 1)), np.ones((1, 1)))
    if problem.table:
        rows = reading.read(problem.table).between(0, reading.facts(problem.table).rows)
        X, target = rows[:, 1:].copy(), rows[:, 0].copy()
        if problem.standardize:
            standardized(X)
        return Samples(X, _wanted(problem, target))
    assert problem.n_samples is not None
    if problem.data == "chebyshev":
        x = np.linspace(-1.0, 1.0, problem.n_samples) if problem.n_samples > 1 else np.ones(1)
        return Samples(x[:, None], np.cos(5 * np.arccos(x))[:, None])
    found = spirals(problem.n_samples, SPREAD, _generator(seed, repetition, SAMPLES))
    return Samples(found.X, _wanted(problem, found.labels.astype(float)))


def _wanted(problem: Network, target: np.ndarray) -> np.ndarray:
    """What the outputs should be, shape (n, outputs)."""
    if problem.loss == "cross_entropy":
        classes = np.unique(target)
        if not 2 <= len(classes) <= MOST_CLASSES:
            allowed = (
                f"has {len(classes)} different values, which are no classes: cross_entropy takes"
                f" from 2 to {MOST_CLASSES}; or give problem.loss=mean_squared_error"
            )
            raise ConfigError("problem.target", problem.target, allowed)
        return (target[:, None] == classes).astype(float)
    return (target if problem.data == "table" else 2 * target - 1)[:, None]


def _generator(seed: int, repetition: int, key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(repetition, key)))


def start_of(problem: Network, shape: Shape, seed: int, repetition: int) -> np.ndarray:
    """Return the parameters at the start, shape (parameters,), with biases 0 unless fixed."""
    if problem.weights is not None:
        return problem.scale * np.array(problem.weights)
    if problem.initialisation == "fixed":
        k = np.arange(1, shape.hidden + 1)
        outer = np.sqrt(2 / shape.hidden) * np.sin(0.9 * k + 0.3)
        return problem.scale * np.concatenate([np.sin(1.7 * k), np.cos(2.3 * k) / 2, outer, [0.0]])
    generator, parts = _generator(seed, repetition, START), []
    for name, (rows, columns) in shape.layers:
        if name.startswith("b"):
            parts.append(np.zeros(columns))
            continue
        variance = 2 / rows if problem.initialisation == "he" else 2 / (rows + columns)
        parts.append(np.sqrt(variance) * generator.standard_normal(rows * columns))
    return problem.scale * np.concatenate(parts)


def check(problem: Network) -> None:
    """Raise ConfigError if the samples of a network cannot be used, or keys do not fit to them."""
    if not problem.table:
        return
    rows, inputs = reading.facts(problem.table).rows, len(reading.facts(problem.table).names)
    if rows > (fitting := height(inputs + 1)):
        allowed = f"has {rows} rows, but a network is trained on all at once: {fitting} fit"
        raise ConfigError("problem.path", problem.path, allowed)
    samples_of(problem, 0, 0)
    if inputs > 1 and problem.initialisation == "fixed":
        about = f"is for one input, but the table has {inputs} features"
        if problem.hidden:
            raise ConfigError("problem.initialisation", "fixed", f"{about}; take he or xavier")
        raise ConfigError("problem.hidden", 0, f"{about}; give hidden units")
