"""The coursework's statements, (1) to (20), (j) and (k), each a function."""
