"""Formulas that predict a run: bounds, random matrices, rounding errors, the measured rate.

May import: problems.
"""
