"""The problems of the benchmark `sweep`."""

from benchmarks.sweeps import N_FEATURES, REPETITIONS, random_problem
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Random X and y."""

    name = "gaussian"
    parameters = {"n_features": list(N_FEATURES), "repetition": list(range(REPETITIONS))}  # noqa: RUF012

    def get_data(self):
        """Draw them."""
        X, y = random_problem(self.n_features, self.repetition)
        return {"X": X, "y": y}
