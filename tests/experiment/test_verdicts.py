"""The verdicts and the gaps of runs against the same iteration in exact arithmetic.

The oracle takes X, y, w_0 and the step size as the floats the run uses and iterates in integers,
fixed-point numbers with 260 binary digits after the size of w: 60 decimal digits and more. The
spectrum, w* and the bounds are those of mpmath with 80 digits. VERDICT_CASES=6400 tries more cases.
"""

import os
from dataclasses import dataclass

import mpmath
import numpy as np
import pytest

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Eigenvector, Normal, Record, Step, Zeros
from gdconv.experiment import group as study
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.nesterov import Nesterov, convex
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective
from gdconv.problems.starts import starting_point
from gdconv.theory.rounding import UNIT_ROUNDOFF

DIGITS = 80
# Where w* and w_0 differ by 100 orders of magnitude, to compute w*.
MORE_DIGITS = 300


def integers(values):
    """Floats as integers and the power of two that divides them all."""
    mantissas, exponents = np.frexp(values)
    lowest = int(exponents[mantissas != 0].min(initial=0)) - 53
    whole = np.array(
        [
            int(m * 2**53) << int(e - 53 - lowest) if m else 0
            for m, e in zip(mantissas.ravel(), exponents.ravel(), strict=True)
        ],
        dtype=object,
    )
    return whole.reshape(values.shape), -lowest


def scaled(values, factor, digits):
    """Integers times a float, without their last binary digits."""
    (whole,), more = integers(np.array([factor]))
    down = digits + more
    products = values * whole
    return np.array(
        [each >> down if down > 0 else each << -down for each in products], dtype=object
    )


@dataclass
class Oracle:
    """One problem and start in exact arithmetic."""

    X: np.ndarray
    y: np.ndarray
    start: np.ndarray
    rank: int

    def __post_init__(self):
        with mpmath.workdps(MORE_DIGITS):
            X, y, start = (mpmath.matrix(each.tolist()) for each in (self.X, self.y, self.start))
            values, vectors = mpmath.eigsy(2 * X.T * X)
            order = sorted(range(len(values)), key=lambda i: -values[i])
            self.eigenvalues = [values[i] for i in order]
            gradient = 2 * X.T * (y - X * start)
            self.w_star = start.copy()
            for i in order[: self.rank]:
                v = vectors[:, i]
                self.w_star += v * ((v.T * gradient)[0] / values[i])
            # What remains is rank deficiency: zero but for the digits.
            assert all(abs(each) < 1e-60 * self.largest for each in self.eigenvalues[self.rank :])
            self.distance = mpmath.norm(start - self.w_star) ** 2

    @property
    def largest(self):
        return self.eigenvalues[0]

    @property
    def smallest(self):
        return self.eigenvalues[self.rank - 1]

    def gaps(self, coefficients, ahead, recorded):
        """L(w_t) − L(w*) at the recorded iterations.

        coefficients(t) are momentum and step size of the step from w_t; ahead says whether the
        gradient is that at w_t + momentum (w_t − w_{t−1}).
        """
        X, x_digits = integers(self.X)
        sizes = [np.abs(self.start).max(), float(mpmath.norm(self.w_star, mpmath.inf))]
        smallest = min(size for size in [*sizes, 1.0] if size)
        digits = 260 - int(np.floor(np.log2(smallest)))
        with mpmath.workdps(MORE_DIGITS):
            fixed = [int(mpmath.nint(mpmath.ldexp(each, digits))) for each in self.w_star]
        w_star = np.array(fixed, dtype=object)
        y, y_digits = integers(self.y)
        shift = digits + x_digits - y_digits
        y = np.array([each << shift if shift > 0 else each >> -shift for each in y], dtype=object)
        w, w_digits = integers(self.start)
        shift = digits - w_digits
        w = np.array([each << shift if shift > 0 else each >> -shift for each in w], dtype=object)
        found, t, last = [], 0, w
        for iteration in recorded.tolist():
            while t < iteration:
                momentum, step_size = coefficients(t)
                moved = w + scaled(w - last, momentum, 0)
                at = moved if ahead else w
                w, last = moved - scaled(X.T @ (X @ at - y), step_size, 2 * x_digits - 1), w
                t += 1
            fit = X @ (w - w_star)
            with mpmath.workdps(DIGITS):
                found.append(mpmath.ldexp(mpmath.mpf(int(fit @ fit)), -2 * (digits + x_digits)))
        return found

    def bounds(self, step_size, recorded, lambda_min):
        """(18) and (19) at the recorded iterations."""
        with mpmath.workdps(DIGITS):
            nu = max(abs(1 - step_size * self.largest), abs(1 - step_size * self.smallest))
            stated = abs(1 - step_size * lambda_min)
            scale = self.largest / 2 * self.distance
            return [[scale * base ** (2 * t) for t in recorded.tolist()] for base in (nu, stated)]


def random_problem(rng):
    n, d = int(rng.integers(3, 11)), int(rng.integers(2, 7))
    noise = float(rng.choice([0.0, 0.1, 1.0, 100.0]))
    match rng.integers(5):
        case 0:
            return Gaussian(n, d, noise, feature_mean=float(rng.choice([0.0, 0.0, 3.0, 300.0])))
        case 1:
            return Correlated(n, d, noise, correlation=float(rng.choice([0.5, -0.9, 0.999])))
        case 2:
            return Polynomial(n, int(rng.integers(1, 4)), noise)
        case _:
            profile = str(rng.choice(["linear", "geometric", "power", "two_point"]))
            return Prescribed(n, d, noise, float(10 ** rng.uniform(0, 10)), profile)


def random_start(rng):
    radius = float(10 ** rng.uniform(-2, 3))
    return [Zeros(), Normal(radius), Eigenvector("max", radius), Eigenvector("min", radius)][
        rng.integers(4)
    ]


def random_steps(rng, kappa):
    """Relative steps, the landmarks among them: 1, the optimum and the edge, and just beside."""
    optimum = 2 / (1 + 1 / kappa)
    beside = 1 + float(rng.choice([-1e-3, 1e-3, 1e-9, -1e-9, -1e-13]))
    landmarks = [1.0, optimum, optimum * beside, 2.0, 2 * beside, 1.999]
    return {
        float(10 ** rng.uniform(-3, np.log10(2.5))),
        float(rng.uniform(1, 2.5)),
        *(float(each) for each in rng.choice(landmarks, 2, replace=False)),
    }


def rescaled(data, rng):
    """Half of them in other units, with columns of all sizes, a column twice or nearly so."""
    X, y = data.X, data.y
    match rng.integers(10):
        case 0:
            X = X * float(rng.choice([1e-100, 1e100]))
        case 1:
            y = y * float(rng.choice([1e-100, 1e100]))
        case 2:
            X = np.column_stack([X[:, :1], X])
        case 3 | 4:
            X = X * 2.0 ** rng.integers(-40, 41, X.shape[1])
            if rng.integers(2):
                X = np.column_stack([X[:, :1], X])
        case 5:
            twin = X[:, :1] * (1 + 1e-13 * rng.integers(-9, 10, (len(X), 1)))
            X = np.column_stack([twin, X])
    return LeastSquares(X, y)


def groups(monkeypatch, rng, count, method_of=lambda rng, **keys: GradientDescent(**keys)):
    """Tables of random groups, each with its oracle and its spectrum."""
    for seed in range(count):
        problem, start = random_problem(rng), random_start(rng)
        data = rescaled(make(problem, seed, 0), rng)
        method = method_of(
            rng, iterations=int(rng.choice([20, 100, 400])), reduce=str(rng.choice(["qr", "none"]))
        )
        objective = Objective(data, method.reduce)
        spectrum = objective.spectrum
        w = starting_point(start, seed, 0, objective)
        steps = sorted(random_steps(rng, spectrum.condition_number))
        config = RunConfig(
            *(problem, start, method, Step(value=steps), Record(points=25)), seed=seed
        )
        runs = list(expand(config))
        monkeypatch.setattr(study, "make", lambda *_, data=data: data)
        tables = study.run_group(runs)
        yield tables, Oracle(data.X, data.y, w, spectrum.rank), spectrum


# The fast ones are a part that is a quarter as large.
PARTS = [(4, 0.25), *(pytest.param(part, 1, marks=pytest.mark.slow) for part in range(4))]


@pytest.mark.parametrize(("part", "size"), PARTS)
def test_gaps_and_verdicts_are_those_of_exact_arithmetic(monkeypatch, part, size):
    """A gap may be off by its floor, a verdict by nothing that the floor does not excuse.

    The tolerance is the one docs/theory.md derives; it is compared with roots, because errors add
    to w − w*, of which the gap is the square.
    """
    groups_of_part = int(size * int(os.environ.get("VERDICT_CASES", "640"))) // 16
    rng = np.random.default_rng(part)
    runs = violations = close = 0
    for tables, oracle, spectrum in groups(monkeypatch, rng, groups_of_part):
        rounding = 8 * np.sqrt(spectrum.right.shape[0]) * UNIT_ROUNDOFF
        lambda_min = oracle.smallest if spectrum.lambda_min else 0
        run_ids = np.array(tables.curves["run_id"])
        for index, run_id in enumerate(tables.runs["run_id"]):
            run = {name: values[index] for name, values in tables.runs.items()}
            curve = {
                name: np.array(values)[run_ids == run_id] for name, values in tables.curves.items()
            }
            t = np.array(curve["iteration"])
            exact = roots(oracle.gaps(lambda _, run=run: (0.0, run["step_size"]), False, t))
            bound, stated = map(roots, oracle.bounds(run["step_size"], t, lambda_min))
            gap, floor = (np.sqrt(curve[name]) for name in ("gap", "gap_floor"))
            tolerance = floor + rounding * exact
            above = gap > floor
            assert (np.abs(gap - exact) <= tolerance).all()
            assert (exact <= bound * (1 + 1e-14)).all()
            assert run["bound_holds"] is (True if above.any() else None)
            broken = above & (exact > stated * (1 + 1e-14))
            clearly = above & (exact - stated > 2 * tolerance)
            if run["bound_coursework_holds"] is False:
                first = run["first_violation_coursework"]
                assert broken[t == first].all()
                assert not clearly[t < first].any()
            else:
                assert not clearly.any()
            runs += 1
            violations += clearly.any()
            close += broken.any() and not clearly.any()
    assert runs >= 3.9 * groups_of_part
    assert violations >= 0.05 * runs
    # Those that only more digits could tell from an equality, as at the optimum from along v_max.
    assert close <= 0.05 * runs


def roots(values):
    with mpmath.workdps(DIGITS):
        return np.array([float(mpmath.sqrt(each)) for each in values])


def random_method(rng, **keys):
    """Any method with momentum, tuned well or not."""
    momentum = [float(rng.uniform(0, 1)), float(1 - 10 ** rng.uniform(-5, -1)), 0.0]
    momentum = [each for each in momentum if each < 1]
    match rng.integers(4):
        case 0:
            return HeavyBall(
                momentum=momentum, first_step=str(rng.choice(["full", "averaged"])), **keys
            )
        case 1:
            return Nesterov(momentum=["optimal", *momentum], **keys)
        case 2:
            return Nesterov(momentum="convex", **keys)
        case _:
            ends = {"lower": [0.5, 1.0], "upper": [1.0, 1.2]}
            return Chebyshev(**ends, **keys)


def coefficients_of(method, values):
    """t → momentum and step size of its step from w_t, as floats."""

    def at(t):
        if isinstance(method, Chebyshev):
            step_size, momentum = Chebyshev.of_step(t, values)
            return momentum, step_size
        if isinstance(method, Nesterov):
            return values.get("momentum", convex(t)) if t else 0.0, values["step_size"]
        first = values["first"] if t == 0 else 1.0
        return values["momentum"], values["step_size"] * first

    return at


@pytest.mark.parametrize(("part", "size"), PARTS)
def test_gaps_and_bounds_with_momentum_are_those_of_exact_arithmetic(monkeypatch, part, size):
    """Of each method with momentum: a gap is off by its floor at most, and no verdict is false."""
    rng = np.random.default_rng(100 + part)
    runs = grown = 0
    made = []
    right = study.Theory

    def remembered(*given):
        made.append((right(*given), given[2]))
        return made[-1][0]

    monkeypatch.setattr(study, "Theory", remembered)
    groups_of_part = int(size * int(os.environ.get("VERDICT_CASES", "640"))) // 32
    for tables, oracle, spectrum in groups(monkeypatch, rng, groups_of_part, random_method):
        theory, planned = made[-1]
        rounding = 8 * np.sqrt(spectrum.right.shape[0]) * UNIT_ROUNDOFF
        run_ids = np.array(tables.curves["run_id"])
        for index, run_id in enumerate(tables.runs["run_id"]):
            method = planned[index].method
            values = {name: each[index] for name, each in theory.coefficients.items()}
            curve = {
                name: np.array(column)[run_ids == run_id] for name, column in tables.curves.items()
            }
            t = np.array(curve["iteration"])
            ahead = isinstance(method, Nesterov)
            exact = roots(oracle.gaps(coefficients_of(method, values), ahead, t))
            gap, floor = (np.sqrt(curve[name]) for name in ("gap", "gap_floor"))
            assert (np.abs(gap - exact) <= floor + rounding * exact).all(), method
            for name in ("gap_bound", "gap_bound_relative", "gap_bound_sharp"):
                assert (exact <= np.sqrt(curve[name]) * (1 + 1e-9) + floor).all(), (method, name)
            above = gap > floor
            assert tables.runs["bound_holds"][index] is (True if above.any() else None)
            runs += 1
            grown += exact.max() > exact[0]
    assert runs >= 4 * groups_of_part
    assert grown >= 0.1 * runs
