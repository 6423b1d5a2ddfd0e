"""Runs of methods that draw samples: what is drawn, the paths, what is expected, and the rows."""
