"""Gradient descent with benchopt's callback, at the step sizes of the benchmark `sweep`."""

import os

import numpy as np
from benchmarks.sweeps import RELATIVE_STEPS, grid, recorded_iterations
from benchopt import BaseSolver
from benchopt.stopping_criterion import StoppingCriterion

RECORDED = sorted(recorded_iterations(int(os.environ["ITERATIONS"])))


class AtRecorded(StoppingCriterion):
    """Ask for the gap at the recorded iterations."""

    def get_next_stop_val(self, stop_val):
        """Return the next one."""
        return RECORDED[RECORDED.index(stop_val) + 1]


class Solver(BaseSolver):
    """One matrix-vector product with X and one with its transpose an iteration."""

    name = "gradient descent"
    sampling_strategy = "callback"
    stopping_criterion = AtRecorded(strategy="callback")
    parameters = {"relative_step": grid(*RELATIVE_STEPS)}  # noqa: RUF012

    def set_objective(self, X, y):
        """Take one problem."""
        self.X, self.y = X, y
        self.step_size = self.relative_step / (2 * np.linalg.norm(X, 2) ** 2)

    def run(self, callback):
        """Iterate as long as the callback wants more."""
        self.w = np.zeros(self.X.shape[1])
        while callback():
            self.w = self.w - self.step_size * (2 * (self.X.T @ (self.X @ self.w - self.y)))

    def get_result(self):
        """Return the latest w."""
        return {"w": self.w}
