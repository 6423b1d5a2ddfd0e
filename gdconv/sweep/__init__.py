"""All groups of a study: planned, run by an engine, and stored so that nothing is lost.

May import: config, methods, problems, experiment, tables.
"""
