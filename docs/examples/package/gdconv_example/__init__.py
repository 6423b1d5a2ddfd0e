"""problem=hilbert: rows of the Hilbert matrix, whose condition number grows like e^3.5d."""

from dataclasses import dataclass
from typing import ClassVar

from gdconv import Family
from gdconv.config.rules import integer, key, not_negative


@dataclass(frozen=True)
class Hilbert(Family):
    """X has the entries 1/(i + j − 1), and y = Xw + noise with a standard normal w."""

    name: ClassVar[str] = "hilbert"
    n_samples: int = key(20, integer(1, 10**6), "number n of rows of X")
    n_features: int = key(4, integer(1, 20), "number d of columns of X")
    noise: float = key(0.0, not_negative, "standard deviation of the noise in y", "y")

    def draw(self, generator):
        """Return X and y. NumPy is imported here, so that gdconv --help need not wait for it."""
        import numpy as np

        i, j = np.ogrid[1 : self.n_samples + 1, 1 : self.n_features + 1]
        X = 1.0 / (i + j - 1)
        noise = self.noise * generator.standard_normal(self.n_samples)
        return X, X @ generator.standard_normal(self.n_features) + noise
