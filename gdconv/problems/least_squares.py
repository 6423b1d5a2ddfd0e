"""The loss ‖Xw − y‖² as a graph of nnlib, for many w at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdconv.problems.blocks import LeastSquares
from gdconv.problems.doubled import add
from gdconv.problems.minimisers import least_norm, loss
from gdconv.problems.products import (
    Stack,
    padded,
    padded_shape,
    rows_are_independent,
    stack,
)
from gdconv.problems.spectrum import spectrum
from nnlib import Graph, Program

Apply = Callable[[np.ndarray], np.ndarray]


class Objective:
    """L(w) = ‖Xw − y‖² = ‖matrix w − target‖² + offset; both sides have the same gradient.

    With r = y − Xw*, the part of y that is orthogonal to the range of X, L(w) is
    ‖Xw − (y − r)‖² + ‖r‖². With reduce="qr" and more samples than the rank, X = QR, and the first
    part is ‖Rw − Qᵀ(y − r)‖². Then an iteration works on rank rows instead of n, and unlike XᵀX, R
    does not square the condition number. Q and R are those of `spectrum`, whose Q spans the range
    of X to the last digit, even if the columns of X are nearly dependent.

    Attributes
    ----------
    problem : LeastSquares
    matrix : ndarray, shape (rank or n, d)
        R, or X.
    target : ndarray, shape (rows of matrix,)
        Qᵀ(y − r), or y − r: in the range of matrix, so that the residual at w* is 0.
    offset : float
        ‖r‖², the minimum of L.
    left : ndarray, shape (rows of matrix, rank)
        Left singular vectors of matrix.
    spectrum : Spectrum
        The spectrum of X, whether reduced or not.
    """

    def __init__(self, problem: LeastSquares, reduce: str) -> None:
        self.problem, self.matrix = problem, problem.X
        self.spectrum = spectrum(problem.X, problem.rows or 0)
        self.least_norm = least_norm(self.spectrum, problem.X, problem.y)
        outside = self.least_norm.residual
        self.target, self.offset = problem.y - outside, float(outside @ outside)
        if reduce == "qr" and len(problem.y) > self.spectrum.rank:
            self.matrix, self.left = self.spectrum.reduced, self.spectrum.turn
            _, self.target = self.spectrum.rows.reduced(self.target)
        else:
            self.left = self.spectrum.left

    def nearest_minimiser(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the minimiser nearest to w, of shape (d,), and its rounding error.

        It is w + X⁺(y − Xw), the point to which gradient descent from w converges. With full column
        rank it is the same for all w.
        """
        right, null = self.spectrum.right, np.zeros_like(w)
        if self.spectrum.rank < len(w):
            # Done twice, because the rounding errors of a large w would remain after once.
            null = w - right @ (right.T @ w)
            null = null - right @ (right.T @ null)
        w_star, lost = add(self.least_norm.w, null)
        return w_star, lost + self.least_norm.rest

    def loss(self, w: np.ndarray) -> float:
        """Return ‖Xw − y‖² at w of shape (d,), as if computed with twice the digits."""
        if np.array_equal(w, self.least_norm.w):
            return self.least_norm.loss
        return loss(self.problem.X, self.problem.y, w)

    def stack(self, runs: int) -> Stack:
        """Return how to cut W, with one row for each run, so that no run changes another's bits."""
        rows, columns = self.matrix.shape
        return stack(runs, padded_shape((rows, columns)))

    @property
    def rows_multiplied(self) -> str:
        """How the rows of a group are multiplied: together or, if the BLAS requires it, alone."""
        together = rows_are_independent(padded_shape(self.matrix.shape))
        return "together" if together else "alone"

    def program(self, *leading: int, with_gradient: bool = True) -> Program:
        """Return a function from W to W matrixᵀ − target and the gradient (3), row by row.

        Both results are buffers that the next call overwrites. Row k of the gradient belongs
        to the loss at row k of W: the rows share the graph, not the loss. Points are rows because
        BLAS is faster with a few rows than with as many columns.

        Parameters
        ----------
        leading : int
            Number of rows, or of blocks and of rows in each: all dimensions of W except the last.
            The last dimensions of W and of the results are those of `products.padded(matrix)`.
        with_gradient : bool
            Whether to compute the gradient too.
        """
        matrix = padded(self.matrix)
        target = np.zeros(len(matrix))
        target[: len(self.target)] = self.target
        graph = Graph()
        A = graph.tensor(matrix, name="matrix")
        W = graph.tensor(np.zeros((*leading, matrix.shape[1])), name="W")
        b = graph.tensor(target, name="target")
        residual = graph.sub(graph.matmul(W, graph.transpose(A)), b)
        if not with_gradient:
            return Program(graph, inputs=[W], outputs=[residual])
        loss = graph.sum(graph.square(residual))
        (gradient,) = graph.grad_graph(loss, [W])
        return Program(graph, inputs=[W], outputs=[residual, gradient])

    def products(self, *leading: int) -> tuple[Apply, Apply]:
        """Return functions from directions p to p matrixᵀ, and from residuals r to 2 r matrix.

        Their results are buffers that the next call overwrites.
        """
        matrix = padded(self.matrix)
        # In C order, as in `program`, so that a row gets the bits that `products` has tried.
        turned, double = np.ascontiguousarray(matrix.T), 2 * matrix
        images = np.zeros((*leading, len(matrix)))
        slopes = np.zeros((*leading, matrix.shape[1]))
        return (
            lambda directions: np.matmul(directions, turned, out=images),
            lambda residuals: np.matmul(residuals, double, out=slopes),
        )

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """Return the gradient (3) at each row of points, of the same shape (k, d)."""
        program = self.program(len(points))
        (W,) = program.inputs
        W[:, : points.shape[1]] = points
        return program(W)[1][:, : points.shape[1]]
