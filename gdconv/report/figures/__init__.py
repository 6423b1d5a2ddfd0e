"""A module for each figure, the parts they share (`drawing`, `titles`), and the `catalogue`."""
