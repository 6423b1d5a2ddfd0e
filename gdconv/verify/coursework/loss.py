"""Statements about the loss: (1), its gradient (3), its Hessian (4) and its minimiser (5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import Check, agree


def loss_1(case: Case) -> Iterator[Check]:
    """(1) L(w) = ‖Xw − y‖²."""
    found = np.array([case.loss(w) for w in case.points])
    expected = [np.sum((case.X @ w - case.y) ** 2) for w in case.points]
    sizes = np.array([case.magnitude(w) ** 2 for w in case.points])
    yield agree("(1)", "nnlib's loss is ‖Xw − y‖²", found, expected, sizes, 2 * case.unit)


def gradient_3(case: Case) -> Iterator[Check]:
    """(3) ∇L(w) = 2XᵀXw − 2Xᵀy, by `run_grad`, by the iteration's program, by differences.

    L is quadratic, so its central differences are exact for steps of any size; here the step is
    another of the points w.
    """
    expected = [2 * (case.X.T @ (case.X @ w)) - 2 * (case.X.T @ case.y) for w in case.points]
    sizes = np.array([2 * case.columns * case.magnitude(w) for w in case.points])
    found = np.array([case.gradient(w) for w in case.points])
    name = "2XᵀXw − 2Xᵀy"
    yield agree("(3)", f"nnlib's gradient is {name}", found, expected, sizes, case.unit)
    found = case.objective.gradients(case.points)
    yield agree("(3)", f"the iteration's gradient is {name}", found, expected, sizes, case.unit)
    pairs = list(zip(case.points, np.roll(case.points, 1, axis=0), strict=True))
    slopes = np.array([case.gradient(w) @ v for w, v in pairs])
    differences = np.array([(case.loss(w + v) - case.loss(w - v)) / 2 for w, v in pairs])
    sizes = np.array([case.magnitude(w, v) ** 2 for w, v in pairs])
    statement = "nnlib's gradient is the central difference of L"
    yield agree("(3)", statement, slopes, differences, sizes, 2 * case.unit)


def hessian_4(case: Case) -> Iterator[Check]:
    """(4) H = 2XᵀX, checked as H v: by differentiating the gradient's graph, and by differences."""
    pairs = list(zip(case.points, np.roll(case.points, 1, axis=0), strict=True))
    expected = np.array([case.hessian_times(v) for _, v in pairs])
    sizes = np.array([2 * case.columns * case.magnitude(w, v) for w, v in pairs])
    found = np.array([case.gradient_of_slope(w, v) for w, v in pairs])
    statement = "the gradient of nnlib's gradient is 2XᵀX"
    yield agree("(4)", statement, found, expected, sizes, case.unit)
    found = np.array([(case.gradient(w + v) - case.gradient(w - v)) / 2 for w, v in pairs])
    statement = "the central difference of nnlib's gradient is 2XᵀX"
    yield agree("(4)", statement, found, expected, sizes, case.unit)


def optimum_5(case: Case) -> Iterator[Check]:
    """(5) ½Hw* = Xᵀy, and w* is the solution nearest to w_0.

    With c_j the length of column j, component j may be off by unit c_j magnitude(w*). If X does not
    have full rank, the singular values that the rank rule takes for 0, of size unit σ_1, add to it.
    """
    found = case.hessian_times(case.w_star) / 2
    sizes = case.lengths * case.magnitude(case.w_star)
    yield agree("(5)", "½Hw* = Xᵀy", found, case.X.T @ case.y, sizes, case.unit)
    V, away = case.spectrum.right, case.start - case.w_star
    outside = np.linalg.norm(away - V @ (V.T @ away))
    size = np.linalg.norm(case.start) + np.linalg.norm(case.w_star)
    yield agree("(5)", "w* is the minimiser nearest to w₀", outside, 0.0, size, case.unit)
