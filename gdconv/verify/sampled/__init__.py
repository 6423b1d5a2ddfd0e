"""Statements about methods that draw samples, checked on one path of a run."""
