"""Least squares for benchopt: the gap, evaluated when its callback asks for it."""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """‖X(w − w*)‖²."""

    name = "gap"
    url = ""
    min_benchopt_version = "1.6"
    sampling_strategy = "callback"

    def set_data(self, X, y):
        """Take one problem."""
        self.X, self.y = X, y
        self.w_star = np.linalg.lstsq(X, y)[0]

    def get_one_result(self):
        """Return something that could be a result."""
        return {"w": np.zeros(self.X.shape[1])}

    def evaluate_result(self, w):
        """Return the gap at w."""
        error = self.X @ (w - self.w_star)
        return {"value": error @ error}

    def get_objective(self):
        """Return what a solver gets."""
        return {"X": self.X, "y": self.y}
