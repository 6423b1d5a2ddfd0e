"""Least-squares problems: where X and y come from, their spectrum, minimiser and gradient.

May import: config.
"""
