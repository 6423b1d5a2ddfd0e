"""The commands, and the only room that knows Hydra.

May import: config, problems, report, sweep, tables, verify.
"""
