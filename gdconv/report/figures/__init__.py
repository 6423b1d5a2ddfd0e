"""A module for each figure, the parts they share (`panels`, `titles`), and the `catalogue`."""
