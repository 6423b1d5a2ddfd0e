"""The loss ‖Xw − y‖² as a graph of nnlib, for many w at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.linalg

from gdconv.problems import LeastSquares
from gdconv.spectra import nearest_minimiser, spectrum
from nnlib import Graph, Program


class Objective:
    """L(w) = ‖Xw − y‖² = ‖matrix w − target‖² + offset, the two sides with the same gradient.

    With reduce="qr" and more samples than features, X = QR and matrix = R, target = R w*,
    offset = ‖X w* − y‖²: an iteration costs d rows instead of n, and unlike XᵀX it does not square
    the condition number. Otherwise matrix = X, target = y, offset = 0. R w* is Qᵀy but for what is
    outside X's range; computed as Qᵀy it would let the rounding of Q, which spans a slightly other
    space than X, move w* by eps times the condition number and the residual.

    Attributes
    ----------
    matrix : ndarray, shape (min(n, d) or n, d)
    target : ndarray, shape (rows of matrix,)
    offset : float
    spectrum : Spectrum
        That of X, whether reduced or not, with the left vectors of matrix.
    """

    def __init__(self, problem: LeastSquares, reduce: str) -> None:
        n_samples, n_features = problem.X.shape
        self.spectrum = spectrum(problem.X)
        if reduce == "qr" and n_samples > n_features:
            Q, R = scipy.linalg.qr(problem.X, mode="economic")
            w_star = nearest_minimiser(self.spectrum, problem.X, problem.y, np.zeros(n_features))
            self.matrix = np.ascontiguousarray(R)
            self.spectrum = replace(self.spectrum, left=Q.T @ self.spectrum.left)
            self.target = R @ w_star
            self.offset = float(np.sum((problem.X @ w_star - problem.y) ** 2))
        else:
            self.matrix, self.target, self.offset = problem.X, problem.y, 0.0

    def program(self, runs: int) -> Program:
        """Return a function from W (runs x d) to W matrixᵀ − target and the gradient (3).

        Both results are buffers that the next call overwrites. Row k of the gradient is that of the
        loss at row k of W: the rows share the graph, not the loss. Points are rows because BLAS is
        faster with few of them than with as few columns.
        """
        graph = Graph()
        matrix = graph.tensor(self.matrix, name="matrix")
        W = graph.tensor(np.zeros((runs, self.matrix.shape[1])), name="W")
        target = graph.tensor(self.target, name="target")
        residual = graph.sub(graph.matmul(W, graph.transpose(matrix)), target)
        loss = graph.sum(graph.square(residual))
        (gradient,) = graph.grad_graph(loss, [W])
        return Program(graph, inputs=[W], outputs=[residual, gradient])
