"""One run with all quantities that the statements about it use, and how far rounding may move them.

Rounding errors are bounded from the sizes of the terms that are added up, as in Higham, Accuracy
and Stability of Numerical Algorithms (2002). Let c_j = ‖X_j‖ be the lengths of the columns and

    magnitude(w) = Σ_j c_j |w_j| + ‖y‖    >= ‖|X||w|‖ + ‖y‖.

A computed residual Xw − y is off by at most unit * magnitude(w), and component j of a computed
gradient by at most unit * 2 c_j magnitude(w). Here unit = (n + d + 10) eps, which allows for inner
products of length n and d on both sides of a comparison, and ten more operations. The accurate
decomposition is backward stable for each column, so its errors are no larger. The ordinary one is
so only for X as a whole; if `spectra` used it, c_j stands for ‖X‖. No constant was fitted to
results.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from gdconv.config.runs import Run
from gdconv.experiment.iterate import Beside, iterate
from gdconv.experiment.prediction import Theory, method_of
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.problems.families import make
from gdconv.problems.least_squares import Objective
from gdconv.problems.starts import starting_point
from gdconv.theory import bounds
from gdconv.verify.moments import Moment, rounding_of
from nnlib import Graph

POINTS = 40
FARTHEST = 1e250
RANDOM_POINTS = 8
# These iterations are recorded too, so that a reader can compute them by hand.
FEW = (0, 1, 2, 3, 10, 100, 1000, 10_000)
# And so many at the start if the method chooses each step.
FIRST = 20
# And of those that choose when to restart, which takes a few multiples of √κ iterations.
UNTIL_RESTARTS = 300


class Case:
    """One run: its problem, its graph, its spectrum, its trajectory.

    Raises
    ------
    ConfigError
        If the problem's file cannot be used.
    ValueError
        If X is zero or the squares of its singular values do not fit into floats.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.method = run, method_of(run)
        problem = make(run.problem, run.seed, run.repetition)
        self.X, self.y = problem.X, problem.y
        self.objective = Objective(problem, run.method.reduce)
        self.start = starting_point(run.start, run.seed, run.repetition, self.objective)
        self.theory = self._theory()
        self.spectrum = self.theory.spectrum
        self.w_star, self.distance_squared = self.theory.w_star, self.theory.distance_squared
        self.lambda_max = self.spectrum.lambda_max
        self.lambda_min = self.spectrum.lambda_min
        self.lambda_min_positive = self.spectrum.lambda_min_positive
        self.eigenvalues = self.spectrum.eigenvalues[: self.spectrum.rank]
        # nan if the method takes no step size.
        self.step_size = float(self.theory.step_size[0])
        self.K = 1 / self.step_size
        columns = np.linalg.norm(self.X, axis=0)
        self.width = float(np.linalg.norm(columns))
        norm = float(self.spectrum.singular_values[0])
        self.columns = np.full_like(columns, norm) if self.spectrum.is_ordinary else columns
        self.unit = (sum(self.X.shape) + 10) * float(np.finfo(float).eps)
        self.components = self.spectrum.right.T @ self.away(self.start)
        generator = np.random.default_rng(
            np.random.SeedSequence(run.seed, spawn_key=(run.repetition, 2))
        )
        # Scaled so that each column contributes about ‖y‖ to Xw.
        size = np.linalg.norm(self.y) or 1.0
        draws = generator.standard_normal((RANDOM_POINTS, self.X.shape[1]))
        self.points = draws * size / np.where(columns > 0, columns, 1.0)
        self._graph()
        with np.errstate(over="ignore", invalid="ignore"):
            self.moments = self._follow()

    def _theory(self) -> Any:
        """What theory says of the run."""
        return Theory(self.objective, self.start, [self.run])

    def away(self, w: np.ndarray) -> np.ndarray:
        """Return w − w*, shape (d,)."""
        return (w - self.w_star) - self.theory.rest

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest eigenvalue that is not 0, and the largest."""
        return self.lambda_min_positive, self.lambda_max

    @property
    def nu(self) -> float:
        """The contraction factor ν."""
        return float(self.theory.nu[0])

    @property
    def log_nu(self) -> float:
        """ln ν."""
        return float(self.theory.of_method.log_contraction()[0])

    @property
    def coefficients(self) -> dict[str, float]:
        """The numbers that the run iterates with."""
        return {name: float(values[0]) for name, values in self.theory.coefficients.items()}

    @property
    def factors(self) -> np.ndarray:
        """The factor by which an iteration multiplies the error along each v_i in the long run."""
        return self.theory.of_method.factors()[:, 0]

    @property
    def logs(self) -> np.ndarray:
        """ln |1 − step_size λ_i|, shape (rank,), accurate for a small step_size λ_i as well."""
        values = self.eigenvalues.tolist()
        return np.array([bounds.log_contraction(self.step_size, each, each) for each in values])

    def powers(self, t: int) -> np.ndarray:
        """(1 − step_size λ_i)^t, shape (rank,)."""
        x = self.step_size * self.eigenvalues
        small = np.minimum(x, 0.5)
        return np.where(x <= 0.5, np.exp(t * np.log1p(-small)), (1 - x) ** t)

    @property
    def shares(self) -> np.ndarray:
        """½ λ_i c_i², the part of the initial gap along each v_i."""
        return self.eigenvalues / 2 * self.components**2

    @property
    def times(self) -> np.ndarray:
        """The recorded iterations."""
        return np.array([moment.t for moment in self.moments])

    @property
    def recorded(self) -> tuple[np.ndarray, np.ndarray]:
        """The run's number, which is 0, and the iteration of each recorded iteration."""
        return np.zeros_like(self.times), self.times

    @property
    def measured(self) -> tuple[np.ndarray, np.ndarray]:
        """√gap at the recorded iterations, and how far rounding may have moved it.

        The closed forms compared with it are exponentials of t ln ν. If ν > 1, computing one adds a
        relative error of eps times the exponent.
        """
        gaps = np.sqrt([moment.gap for moment in self.moments])
        errors = np.array([moment.gap_error for moment in self.moments])
        # ν is nan if nothing is proved of the method.
        growth = float(np.fmax(self.log_nu, 0.0))
        return gaps, errors + 4 * np.finfo(float).eps * self.times * growth * gaps

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """What theory says of the recorded iterations; see `Theory.curves`."""
        return self.theory.curves(*self.recorded)

    @property
    def lengths(self) -> np.ndarray:
        """c_j; without full rank, plus ‖X‖ for the part that the rank rule takes for 0."""
        full = self.spectrum.rank == min(self.X.shape)
        return self.columns + (0.0 if full else self.width)

    @property
    def moves(self) -> list[Moment]:
        """The recorded iterations whose next iterate is known."""
        return [moment for moment in self.moments if moment.following is not None]

    def move_size(self, moment: Moment, lengths: np.ndarray | float) -> np.ndarray:
        """The size of the terms added up in a step and in w − w*, for each component."""
        if moment.chosen:
            step_size = abs(moment.chosen["step_size"])
        else:
            _, relative = self.method.recurrence(moment.t, self.lambda_max, self.coefficients)
            step_size = float(relative) / self.lambda_max
        values = np.abs(moment.w) + np.abs(moment.following) + np.abs(self.w_star)
        return values + 2 * step_size * lengths * self.magnitude(moment.w, self.w_star)

    def step_along(self, index: int) -> tuple[float, float]:
        """Return the factor by which one step with nnlib's gradient multiplies an error along v_i.

        By theory it is |1 − step_size λ_i|. The second number says how far off it may be, as a part
        of 1 + step_size λmax. The step starts so far from w* that X times the distance is as large
        as the terms added up at w* anyway.
        """
        v, singular = self.spectrum.right[:, index], self.spectrum.singular_values[index]
        length = (self.magnitude(self.w_star) or 1.0) / singular
        w = self.w_star + length * v
        after = w - self.step_size * self.gradient(w)
        factor = abs(float(v @ (after - self.w_star)) / length)
        error = np.abs(v) @ (np.abs(w) + np.abs(after) + np.abs(self.w_star))
        magnitude = self.magnitude(w, self.w_star)
        error += 2 * self.step_size * (singular + self.width) * magnitude
        return factor, 2 * self.unit * error / length / (1 + self.step_size * self.lambda_max)

    def magnitude(self, *points: np.ndarray) -> float:
        """The size of the terms added up in the residuals at these points."""
        norm = float(np.linalg.norm(self.y))
        return sum(float(self.columns @ np.abs(w)) + norm for w in points)

    def hessian_times(self, w: np.ndarray) -> np.ndarray:
        """H w = 2 Xᵀ(X w), shape (d,)."""
        return 2 * (self.X.T @ (self.X @ w))

    def loss(self, w: np.ndarray) -> float:
        """L(w), computed by nnlib's graph."""
        self.graph.set(self.vertex_w, w)
        self.graph.run_eval(self.vertex_loss)
        return float(self.graph.value[self.vertex_loss])

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """The gradient of L at w by nnlib's `run_grad`, shape (d,)."""
        self.graph.set(self.vertex_w, w)
        self.graph.run_grad(self.vertex_loss)
        return self.graph.grad[self.vertex_w]

    def gradient_of_slope(self, w: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """The gradient of directionᵀ∇L at w, from the graph of the gradient; it is H direction."""
        self.graph.set(self.vertex_w, w)
        self.graph.set(self.vertex_direction, direction)
        self.graph.run_grad(self.vertex_slope)
        return self.graph.grad[self.vertex_w]

    def _graph(self) -> None:
        graph = Graph()
        X, y = graph.tensor(self.X, name="X"), graph.tensor(self.y, name="y")
        self.vertex_w = graph.tensor(self.w_star, name="w")
        self.vertex_loss = graph.sum(graph.square(graph.sub(graph.matmul(X, self.vertex_w), y)))
        (gradient,) = graph.grad_graph(self.vertex_loss, [self.vertex_w])
        self.vertex_direction = graph.tensor(self.w_star, name="direction")
        self.vertex_slope = graph.sum(graph.mul(gradient, self.vertex_direction))
        self.graph = graph

    def _follow(self) -> list[Moment]:
        """Run the iteration, and find out how far rounding may move it."""
        rounding = rounding_of(self)
        first = FIRST if self.method.chooses else 0
        if self.method.chooses and self.method.takes_step:
            first = UNTIL_RESTARTS
        few = {*FEW, *range(first)}
        recorded = few.union(recorded_iterations(rounding.iterations, POINTS).tolist())
        largest = self.factors.max()
        moments: list[Moment] = []

        def observe(
            t: int, runs: np.ndarray, W: np.ndarray, residual: np.ndarray, beside: Beside
        ) -> np.ndarray | None:
            w, along = W[0].copy(), residual[0]
            gap = float(along @ along)
            # If the start is tiny or 0 along the slowest v_i, the power overflows before the gap.
            if not gap <= FARTHEST or largest ** (2 * t) > FARTHEST:
                return np.array([True])
            noise = rounding.of_gap(t, w)
            if moments and moments[-1].t == t - 1:
                moments[-1] = replace(moments[-1], following=w)
            if t in recorded:
                chosen = {name: float(values[0]) for name, values in beside.chosen().items()}
                moments.append(Moment(t, w, None, gap, *rounding.of_error(t, w), noise, chosen))
            rounding.step(w, along)
            return np.array([True]) if t >= POINTS and gap <= noise**2 else None

        longest = rounding.iterations + 1
        coefficients = self.theory.coefficients
        iterate(self.method, self.objective, self.start, coefficients, longest, observe)
        return moments
