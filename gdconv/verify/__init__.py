"""The coursework's statements, checked on one run.

May import: config, experiment, methods, problems, theory.
"""
