"""A module for each figure, what they share (`drawing`, `titles`), the `catalogue`, and `files`."""

from gdconv.config.plugins import OF_FIGURES, found

# The figures in the order in which the page shows them; those of other packages come last.
OWN = (
    *("convergence", "methods", "rate_vs_step"),
    *("stability", "transient", "orthogonality", "zigzag", "halting"),
    *("noise", "batch", "averaging", "high_dimension"),
    *("sharpness", "flow", "landscape"),
    *("iterations_heatmap", "scaling"),
    *("spectrum", "tightness", "errata", "gallery"),
)
NAMES = (*OWN, *(name for name in found(OF_FIGURES) if name not in OWN))
