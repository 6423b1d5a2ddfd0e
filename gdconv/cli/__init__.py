"""The commands, and the only room that knows Hydra.

May import: config, report, sweep, tables, verify.
"""
