"""The loss ‖Xw − y‖² as a graph of nnlib, for many w at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.linalg

from gdconv.problems import LeastSquares
from gdconv.products import Stack, padded, padded_shape, stack
from gdconv.spectra import nearest_minimiser, product, spectrum
from nnlib import Graph, Program


class Objective:
    """L(w) = ‖Xw − y‖² = ‖matrix w − target‖² + offset, the two sides with the same gradient.

    With reduce="qr" and more samples than features, X = QR and matrix = R, target = Qᵀy,
    offset = ‖y − QQᵀy‖²: an iteration costs d rows instead of n, and unlike XᵀX it does not square
    the condition number. Otherwise matrix = X, target = y, offset = 0.

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
            self.matrix = np.ascontiguousarray(R)
            w_star = nearest_minimiser(self.spectrum, problem.X, problem.y, np.zeros(n_features))
            self.spectrum = replace(self.spectrum, left=Q.T @ self.spectrum.left)
            self.target = self._with_minimiser(w_star, Q.T @ problem.y, problem)
            self.offset = float(np.sum((problem.y - Q @ self.target) ** 2))
        else:
            self.matrix, self.target, self.offset = problem.X, problem.y, 0.0

    def _with_minimiser(
        self, w_star: np.ndarray, target: np.ndarray, problem: LeastSquares
    ) -> np.ndarray:
        """Qᵀy as far as it is in the range of R, of which R has the same minimiser as X.

        Q spans the range of X but for eps σ_1/σ_i, and lets through so much of the residual. R w*
        is right along u_i but for eps σ_i ‖w*‖, the last digit of w*: it is taken where that is
        less. Outside the range, rounding has left R something to multiply a residual with.
        """
        left, values = self.spectrum.left, self.spectrum.singular_values
        outside = np.linalg.norm(problem.X @ w_star - problem.y)
        better = values**2 * np.linalg.norm(w_star) < values[0] * outside
        # Twice, because left is orthonormal but for some roundings.
        inside = left @ (left.T @ target)
        inside += left @ (left.T @ (target - inside))
        difference = left.T @ (product(self.matrix, w_star) - inside)
        return inside + left[:, better] @ difference[better]

    def stack(self, runs: int) -> Stack:
        """Return how to cut W with a row a run, so that no run knows of the others."""
        rows, columns = self.matrix.shape
        return stack(runs, padded_shape((rows, columns)))

    @property
    def rows_multiplied(self) -> str:
        """How the runs of a group are: together, or, where the BLAS compels to it, alone."""
        return "together" if self.stack(1).height > 1 else "alone"

    def program(self, *leading: int) -> Program:
        """Return a function from W to W matrixᵀ − target and the gradient (3), row by row.

        Both results are buffers that the next call overwrites. Row k of the gradient is that of the
        loss at row k of W: the rows share the graph, not the loss. Points are rows because BLAS is
        faster with few of them than with as few columns.

        Parameters
        ----------
        leading : int
            Number of rows, or of blocks and of rows in each: all dimensions of W but the last,
            which is that of `products.padded(matrix)`, as are those of the results.
        """
        matrix = padded(self.matrix)
        target = np.zeros(len(matrix))
        target[: len(self.target)] = self.target
        graph = Graph()
        A = graph.tensor(matrix, name="matrix")
        W = graph.tensor(np.zeros((*leading, matrix.shape[1])), name="W")
        b = graph.tensor(target, name="target")
        residual = graph.sub(graph.matmul(W, graph.transpose(A)), b)
        loss = graph.sum(graph.square(residual))
        (gradient,) = graph.grad_graph(loss, [W])
        return Program(graph, inputs=[W], outputs=[residual, gradient])

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """Return the gradient (3) at each row of points, of the same shape (k, d)."""
        program = self.program(len(points))
        (W,) = program.inputs
        W[:, : points.shape[1]] = points
        return program(W)[1][:, : points.shape[1]]
