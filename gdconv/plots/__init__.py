"""The figures, each in a module of its name, and what they share in `panels`."""
