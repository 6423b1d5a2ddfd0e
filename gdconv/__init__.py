"""Convergence studies of gradient descent on least squares: theory beside measurement."""
