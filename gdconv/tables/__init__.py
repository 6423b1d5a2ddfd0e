"""The files of a study: columns, rows as CSV, what a folder holds, and safe writing.

May import: config, experiment.
"""
