"""One group of runs: its identifiers, its iteration, its prediction, and its rows.

May import: config, methods, problems, theory.
"""
