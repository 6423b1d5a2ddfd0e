"""The statements about a run that trains a network.

Their right sides do without nnlib and without the sharpness, the thresholds and the steps of the
experiment. Deviations are relative to the largest number among those that are compared: at a
minimum, loss and gradient are rounding noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from gdconv.experiment.network.training import Training
from gdconv.methods.protocol import Method
from gdconv.methods.sampling import Sampling
from gdconv.problems.network.model import Sharpness, gradient_program
from gdconv.verify.checks import Check, agree
from gdconv.verify.network.byhand import LONG, loss_and_gradient
from gdconv.verify.network.case import NetworkCase

# Sums of a few thousand products, and their differences, keep these parts of their digits.
ROUNDED, PRODUCTS = 1e-10, 1e-8
# So far apart, as a part of ‖w‖, are the points between which the slope of a gradient is taken. The
# error is about the square of that, and what rounding to long doubles makes of the quotient.
APART, SLOPE = 1e-5, 1e-6
# Not where the loss is this many times that at the start.
LARGE = 100
# The limit of stability is enclosed between this much less and this much more.
BESIDE = 1e-6
# So many steps are made again. After them, rounding has grown at most to PRODUCTS.
STEPS = 10
# A late iteration, at which momenta that grow have their limit.
LATE = 10**12


def of_loss(case: NetworkCase) -> Iterator[Check]:
    """The loss and its gradient are those of backpropagation by hand."""
    program = gradient_program(*case.given, 1)
    losses, gradients = [], []
    for w in case.points:
        loss, gradient = program(w[None, :], *program.inputs[1:])
        losses.append(float(loss[0]))
        gradients.append(gradient[0].copy())
    by_hand = [loss_and_gradient(*case.given, w) for w in case.points]
    expected = [float(loss) for loss, _ in by_hand]
    size = max(expected, default=0.0)
    yield agree("L", "nnlib's loss is that by hand", losses, expected, size, ROUNDED)
    slopes = np.array([each for _, each in by_hand], dtype=float)
    statement = "nnlib's gradient is that of backpropagation by hand"
    largest = float(np.abs(slopes).max())
    yield agree("∇L", statement, gradients, slopes, largest, ROUNDED)


def of_hessian(case: NetworkCase) -> Iterator[Check]:
    """Products with the Hessian are slopes of gradients; ReLU may not change between them."""
    sharpness, generator = Sharpness(*case.given), np.random.default_rng(0)
    found, expected = [], []
    for row in case.some_rows:
        w, v = row.w, generator.standard_normal(len(row.w))
        if row.loss > LARGE * case.rows[0].loss:
            # Where the run diverges, a small step changes too much.
            continue
        step = APART * max(1.0, float(np.linalg.norm(w))) / float(np.linalg.norm(v))
        ends = [w.astype(LONG) + side * LONG(step) * v for side in (1, -1)]
        if case.problem.activation == "relu" and len({case.active(end) for end in ends}) > 1:
            continue
        above, below = (loss_and_gradient(*case.given, end)[1] for end in ends)
        found.append(sharpness.hessian(w) @ v)
        expected.append(((above - below) / (2 * LONG(step))).astype(float))
    statement = "nnlib's Hessian times a vector is the slope of the gradient by hand"
    if found:
        size = float(np.abs(expected).max())
        yield agree("∇²L", statement, found, expected, size, SLOPE, True)


def of_sharpness(case: NetworkCase) -> Iterator[Check]:
    """The sharpness is the largest eigenvalue: a root of the Hessian shifted by it, and none above.

    The number of negative eigenvalues of H − s I is counted from its LDLᵀ (Sylvester's law).
    """
    from scipy.linalg import ldl

    sharpness, counts = Sharpness(*case.given), []
    for row in case.some_rows:
        hessian = sharpness.hessian(row.w)
        width = PRODUCTS * float(np.linalg.norm(hessian))
        for shift in (row.sharpness - width, row.sharpness + width):
            _, blocks, _ = ldl(hessian - shift * np.eye(len(hessian)))
            counts.append(float((np.linalg.eigvalsh(blocks) > 0).any()))
    expected = [1.0, 0.0] * (len(counts) // 2)
    statement = "the sharpness is the largest eigenvalue of the Hessian"
    yield agree("λmax", statement, counts, expected, 1.0, ROUNDED)


def of_step_size(case: NetworkCase) -> Iterator[Check]:
    """The step size is the one that was asked for."""
    value = case.run.step_value or 0.0
    start = Sharpness(*case.given).hessian(case.start)
    largest = float(np.linalg.eigvalsh(start)[-1])
    asked = value / largest if case.run.step_unit == "sharpness" else value
    ratio = case.coefficients["step_size"] / asked
    yield agree("η", "the step size is step.value in step.unit", ratio, 1.0, 1.0, PRODUCTS)


def of_threshold(case: NetworkCase) -> Iterator[Check]:
    """On a quadratic with the threshold as its curvature, the method's step is just stable.

    A step is a linear map of iterate and state, whose matrix is found by taking a step from each
    unit vector. Its largest eigenvalue in modulus is below 1 for less curvature, and above 1 for
    more.
    """
    size = case.coefficients["step_size"]
    radii = [
        radius(case.method, case.coefficients, case.threshold * (1 + side * BESIDE))
        for side in (-1, 1)
    ]
    signs = [math.copysign(1.0, each - 1) for each in radii]
    statement = f"with η = {size:.3g} the method is stable up to the threshold, and not beyond"
    yield agree("2/η", statement, signs, [-1.0, 1.0], 1.0, ROUNDED)


def radius(method: Method, coefficients: dict[str, float], curvature: float) -> float:
    """Return by how much a late step of a method grows at most, on the loss curvature · w²/2."""
    names = [*method.state]
    columns = []
    for index in range(1 + len(names)):
        w = np.array([[float(index == 0)]])
        state = {name: np.array([[float(index == 1 + k)]]) for k, name in enumerate(names)}
        of = {name: np.array([[value]]) for name, value in coefficients.items()}
        method.update(LATE, w, curvature * w, of, state)
        columns.append([float(w[0, 0]), *(float(state[name][0, 0]) for name in names)])
    return float(np.abs(np.linalg.eigvals(np.array(columns).T)).max())


def of_steps(case: NetworkCase) -> Iterator[Check]:
    """The first iterates are those of the method's formula, with gradients by hand."""
    if isinstance(case.method, Sampling):
        return
    of = {name: np.array([value]) for name, value in case.coefficients.items()}
    training = Training(case.setting, of)
    found, expected = [], []
    steps = min(STEPS, case.run.method.iterations)
    for w in _by_formula(case, steps):
        training.step(None)
        found.append(training.iterate[0].copy())
        expected.append(w.astype(float))
    size = float(np.abs(expected).max())
    statement = f"the first {steps} iterates are those of the method's formula"
    yield agree("w", statement, found, expected, size, PRODUCTS)


def _by_formula(case: NetworkCase, steps: int) -> Iterator[np.ndarray]:
    """w_1, w_2, …: u = w_t + β (w_t − w_{t−1}), w_{t+1} = u or w_t plus the move − η∇L."""
    size, momentum = case.coefficients["step_size"], case.coefficients.get("momentum")
    before = w = case.start.astype(LONG)
    for t in range(steps):
        beta = max(t - 1, 0) / (t + 2) if momentum is None else momentum
        if case.method.name == "gradient_descent":
            beta = 0.0
        ahead = w + LONG(beta) * (w - before)
        at = ahead if case.method.moves_ahead else w
        before, w = w, ahead - LONG(size) * loss_and_gradient(*case.given, at)[1]
        yield w


def of_crossing(case: NetworkCase) -> Iterator[Check]:
    """Where the sharpness is said to cross the threshold, it does."""
    crossing = case.record.crossing[0]
    if crossing is None or isinstance(case.method, Sampling):
        return
    of = {name: np.array([value]) for name, value in case.coefficients.items()}
    training, sharpness, beside = Training(case.setting, of), Sharpness(*case.given), []
    for t in range(crossing + 1):
        if t >= crossing - 1:
            beside.append(sharpness(training.iterate[0]) / case.threshold >= 1)
        training.step(None)
    statement = f"the sharpness crosses the threshold at iteration {crossing}"
    expected = [False, True][-len(beside) :]
    yield agree("λmax", statement, np.array(beside, float), np.array(expected, float), 1.0, ROUNDED)


def of_two_numbers(case: NetworkCase) -> Iterator[Check]:
    """For x = y = 1 and the identity, λmax = a + √(b² + c²) with the entries of ∇²(w₁w₂ − 1)².

    They are 2w₂², 2w₁² and 4w₁w₂ − 2. For ReLU it is the same as long as w₁ > 0.
    """
    if case.problem.data != "point" or case.problem.activation == "tanh" or case.shape.hidden:
        return
    rows = [row for row in case.rows if row.w[0] > 0 or case.problem.activation == "identity"]
    first, second = np.array([row.w for row in rows]).reshape(-1, 2).T
    off = 4 * first * second - 2
    expected = first**2 + second**2 + np.hypot(second**2 - first**2, off)
    found = [row.sharpness for row in rows]
    statement = "the sharpness of (w₁w₂ − 1)² is the closed form"
    yield agree("λmax", statement, found, expected, expected, ROUNDED)


STATEMENTS: tuple[Callable[[NetworkCase], Iterator[Check]], ...] = (
    *(of_loss, of_hessian, of_sharpness, of_step_size, of_threshold, of_steps, of_crossing),
    of_two_numbers,
)


def verify_network(case: NetworkCase) -> list[Check]:
    """Return every statement's check for one run."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return [check for statement in STATEMENTS for check in statement(case)]
