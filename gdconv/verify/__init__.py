"""The coursework's statements, checked on one run.

May import: config, problems, theory, experiment.
"""
