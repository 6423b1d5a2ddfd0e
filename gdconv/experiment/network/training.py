"""The iterations that train networks, for all runs of a group at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdconv.config.networks import Network
from gdconv.methods.protocol import Method
from gdconv.methods.sampling import Sampling
from gdconv.problems.network.model import gradient_program
from gdconv.problems.network.samples import Samples

Coefficients = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """What all runs of a group share: method, network, samples, and the parameters at the start."""

    method: Method
    problem: Network
    samples: Samples
    start: np.ndarray


class Training:
    """Runs with sets of coefficients, at one iteration; each has the bits that it has alone.

    Attributes
    ----------
    t : int
    W : ndarray, shape (runs, parameters)
        Where the next gradient is taken.
    """

    def __init__(self, setting: Setting, coefficients: Coefficients) -> None:
        self.method, samples = setting.method, setting.samples
        runs = len(next(iter(coefficients.values())))
        shape = samples.shape(setting.problem.hidden or 0)
        self._all = gradient_program(setting.problem, shape, samples, runs)
        self.W, self._samples = self._all.inputs[0], samples
        self._batch = None
        if isinstance(self.method, Sampling):
            batch = Samples(samples.X[: self.method.draws], samples.Y[: self.method.draws])
            self._batch = gradient_program(setting.problem, shape, batch, runs)
        self.t, self.W[...] = 0, setting.start
        self.coefficients = {
            name: np.repeat(values[:, None], shape.parameters, axis=1)
            for name, values in coefficients.items()
        }
        self.state = {name: np.zeros_like(self.W) for name in self.method.state}
        if self.method.moves_ahead:
            self.state["before"][...] = self.W

    @property
    def iterate(self) -> np.ndarray:
        """w_t of each run."""
        return self.state["before"] if self.method.moves_ahead else self.W

    def at_iterate(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses and gradients at w_t."""
        ahead = self.W.copy()
        losses, gradients = (each.copy() for each in self._at(self.iterate))
        self.W[...] = ahead
        return losses, gradients

    def step(self, drawn: np.ndarray | None) -> np.ndarray:
        """Go on to w_{t+1}; return the losses where the gradient was taken.

        drawn are the numbers of the samples of a batch, for a method that draws them.
        """
        if self._batch is None:
            losses, gradient = self._at(self.W)
        else:
            X, Y = (each[drawn] for each in (self._samples.X, self._samples.Y))
            losses, gradient = self._batch(self.W, X, Y)
        at = self.t + self.method.moves_ahead
        self.method.update(at, self.W, gradient, self.coefficients, self.state)
        self.t += 1
        return losses

    def _at(self, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        losses, gradient = self._all(W, *self._all.inputs[1:])
        return losses, gradient

    def stop(self, runs: np.ndarray) -> None:
        """Let some runs rest at w = 0, where nothing overflows."""
        for each in (self.W, *self.state.values(), *self.coefficients.values()):
            each[runs] = 0.0

    def saved(self, run: int) -> Checkpoint:
        """Return all that one run goes on from."""
        state = {name: each[run].copy() for name, each in self.state.items()}
        return Checkpoint(self.t, self.W[run].copy(), state)

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        """Put the only run where another one was."""
        self.t, self.W[0] = checkpoint.t, checkpoint.w
        for name, each in checkpoint.state.items():
            self.state[name][0] = each


@dataclass(frozen=True)
class Checkpoint:
    """A run at iteration t: w, where the next gradient is taken, and the method's state."""

    t: int
    w: np.ndarray
    state: dict[str, np.ndarray]
