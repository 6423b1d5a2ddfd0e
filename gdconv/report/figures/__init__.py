"""A module for each figure, the parts they share (`drawing`, `titles`), and the `catalogue`."""

# The figures in the order in which the page shows them.
NAMES = (
    *("convergence", "methods", "rate_vs_step"),
    *("stability", "transient", "orthogonality", "zigzag", "halting"),
    *("noise", "batch", "averaging", "high_dimension"),
    *("sharpness", "flow", "landscape"),
    *("iterations_heatmap", "scaling"),
    *("spectrum", "tightness", "errata", "gallery"),
)
