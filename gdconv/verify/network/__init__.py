"""Statements about networks: loss, gradient, sharpness, threshold, and the steps of a run."""
