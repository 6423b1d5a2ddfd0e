"""The expectation of methods that draw samples, against the enumeration of all that can be drawn.

The data set is small enough for that: x_i = (i, 1) and y = (1, 0, 2, 5), from w_0 = 0. Numbers with
many digits are from other programs.
"""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from gdconv.theory.sampled import coordinates, high_dimension
from gdconv.theory.sampled.doubling import Doubling, cost
from gdconv.theory.sampled.fourth import fourth_moment_limit
from gdconv.theory.sampled.limits import SecondMoments, safe_limit
from gdconv.theory.sampled.moments import Average, Data, Moments, expected, share, weighted
from gdconv.theory.sampled.products import products

ROWS = [[0, 1], [1, 1], [2, 1], [3, 1]]
Y = [1, 0, 2, 5]
STAR = [Fraction(14, 10), Fraction(-1, 10)]
LOSS_STAR = 4.2
BATCHES = [(1, True), (2, True), (2, False), (3, False), (4, False)]
# Floats are rounded some hundred times.
CLOSE = {"rel": 1e-12}


def spectrum():
    X = np.array(ROWS, dtype=float)
    eigenvalues, right = np.linalg.eigh(2 * X.T @ X)
    return X, eigenvalues[::-1], right[:, ::-1]


def small(y=None):
    """The data, and e_0 along the eigenvectors."""
    X, eigenvalues, right = spectrum()
    star = np.array(STAR, dtype=float)
    residuals = X @ star - np.array(Y) if y is None else np.zeros(4)
    return Data(X @ right, residuals, eigenvalues, eigenvalues), right.T @ -star


def moments(step_size, batch_size=1, replacement=True, momentum=0.0):
    data, start = small()
    phi = share(4, batch_size, replacement)
    return Moments(data, start, *(np.array([each]) for each in (step_size, momentum, phi)))


def gaps(of, recorded):
    return np.concatenate(list(expected(of, np.array(recorded))))


def second(batch_size=1, replacement=True, momentum=0.0):
    return SecondMoments(small()[0], share(4, batch_size, replacement), momentum)


# All paths, in fractions


def batches(size, replacement):
    return list(product(range(4), repeat=size) if replacement else combinations(range(4), size))


def gap(w):
    """Exactly."""
    r = [
        sum(x * v for x, v in zip(row, w, strict=True)) - y for row, y in zip(ROWS, Y, strict=True)
    ]
    return sum(each * each for each in r) - Fraction(42, 10)


def stepped(w, before, step_size, momentum, batch):
    g = [Fraction(0)] * 2
    for i in batch:
        residual = sum(x * v for x, v in zip(ROWS[i], w, strict=True)) - Y[i]
        g = [
            a + Fraction(4, len(batch)) * 2 * x * residual for a, x in zip(g, ROWS[i], strict=True)
        ]
    each = zip(w, before, g, strict=True)
    return tuple(a + momentum * (a - b) - step_size * c for a, b, c in each)


def enumerated(step_size, size, replacement, momentum=0, steps=3):
    """E gap of w_t and of the average of w_0, ..., w_t, for t = 0, 1, ..."""
    paths = [[(Fraction(0), Fraction(0))]]
    found, of_average = [], []
    for _ in range(steps + 1):
        means = [[sum(part) / len(path) for part in zip(*path, strict=True)] for path in paths]
        found.append(float(sum(gap(path[-1]) for path in paths) / len(paths)))
        of_average.append(float(sum(map(gap, means)) / len(paths)))
        paths = [
            [*path, stepped(path[-1], path[-2 if path[1:] else -1], step_size, momentum, batch)]
            for path in paths
            for batch in batches(size, replacement)
        ]
    return found, of_average


@pytest.mark.parametrize("momentum", [Fraction(0), Fraction(1, 2)])
@pytest.mark.parametrize(("size", "replacement"), BATCHES)
def test_the_expectation_is_that_of_all_paths(size, replacement, momentum):
    steps = 4 if size in (1, 4) else 2
    found, of_average = enumerated(Fraction(1, 200), size, replacement, momentum, steps)
    given = 0.005, size, replacement, float(momentum)
    assert gaps(moments(*given), range(steps + 1)) == pytest.approx(found, **CLOSE)
    averaged = gaps(Average(moments(*given)), range(steps + 1))
    assert averaged == pytest.approx(of_average, **CLOSE)


@pytest.mark.parametrize(
    ("size", "replacement", "known"),
    [
        (1, True, [19.096, 14.24029056, 10.715164823, 8.14920459749]),
        (2, True, [18.5547, 13.42435418, 9.78649262273]),
        (2, False, [18.3742666667, 13.1551512889, 9.48307635824, 6.89612825665]),
        (3, False, [18.1336888889, 12.7983731358, 9.0832532902]),
        (4, False, [18.0134, 12.62090936, 8.88535901062]),
    ],
)
def test_the_first_iterations(size, replacement, known):
    found = gaps(moments(0.005, size, replacement), range(1, len(known) + 1))
    assert found == pytest.approx(known, rel=1e-11)


def test_late_iterations():
    found = gaps(moments(0.01), [1, 10, 30, 100, 300, 1000])
    known = [15.984, 1.69139734553, 1.14103964721, 0.879246039423, 0.847973446176, 0.847762793511]
    assert found == pytest.approx(known, rel=2e-11)


def test_the_gap_of_the_mean_is_that_of_gradient_descent():
    of, gradient_descent = moments(0.005), moments(0.005, 4, False)
    for _ in range(5):
        of.step()
        gradient_descent.step()
    assert of.gap_of_mean == pytest.approx(gradient_descent.gap, **CLOSE)


def test_a_run_has_the_bits_that_it_has_alone():
    data, start = small()
    steps, momentum, phi = np.array([0.005, 0.01, 0.02]), np.array([0.0, 0.5, 0.9]), np.full(3, 0.5)
    together = Moments(data, start, steps, momentum, phi)
    alone = Moments(data, start, steps[1:2], momentum[1:2], phi[1:2])
    for _ in range(50):
        together.step()
        alone.step()
    assert together.gap[1] == alone.gap[0]
    assert together.gap_of_mean[1] == alone.gap_of_mean[0]


def test_sums_of_products_are_those_of_the_rows():
    """Case S by hand: its rows are (i, 1), so that the sums are those of powers of i and r."""
    r = np.array([-1.1, 1.3, 0.7, -0.9])
    indices, sums = products(np.array(ROWS, dtype=float), r)
    assert len(indices) == len({*map(tuple, indices.tolist())}) == 15 - 3
    for index, found in zip(indices.tolist(), sums, strict=True):
        assert index == sorted(index)
        powers = np.arange(4.0) ** index.count(1) * r ** index.count(0)
        assert found == pytest.approx(powers.sum(), abs=1e-14)


@pytest.mark.parametrize(("size", "replacement"), BATCHES)
@pytest.mark.parametrize("part", [0.01, 0.9, 1.05])
def test_doubling_leads_to_the_same_moments(size, replacement, part):
    """Step by step as well, also where the expectation grows by many powers of ten."""
    recorded = np.array([0, 1, 2, 3, 7, 8, 100, 1000, 1013])
    step_size = part * second(size, replacement).step_limit
    of, steps = moments(step_size, size, replacement), []
    for t in range(recorded[-1] + 1):
        if t:
            of.step()
        if t in recorded:
            steps.append([of.gap[0], of.gap_of_mean[0]])
    data, start = small()
    found = Doubling(data, start, share(4, size, replacement)).expected(step_size, recorded)
    assert np.transpose(found) == pytest.approx(np.array(steps), rel=1e-12, abs=1e-20)


def test_doubling_of_columns():
    """Coordinate descent, whose moments are those of Kaczmarz's method for other rows."""
    _, eigenvalues, right = spectrum()
    data, z = coordinates.drawn(right, eigenvalues), np.sqrt(eigenvalues) * small()[1]
    step_size, recorded = 1 / (2 * eigenvalues.sum()), np.array([0, 1, 2, 10, 50])
    found, _ = Doubling(data, z, 1.0).expected(step_size, recorded)
    known = [25.8, 2.18888888889, 1.58306878307, 0.578336714864, 0.00445845421961]
    assert found == pytest.approx(known, rel=1e-11)


def test_doubling_is_cheaper_with_few_features_or_many_iterations():
    recorded = np.array([0, 1, 2, 4, 1000, 2000])
    assert cost(100, 8, recorded) < 100 * 8**2 * 2000 / 5
    assert cost(400, 50, recorded) > 400 * 50**2 * 2000
    # By hand: k = 1 has matrices of 3 rows, and Δ = 1, 1, 2, 996, 1000 have 1, 1, 1, 6, 6 bits.
    assert cost(7, 1, recorded) == 7 * 1 * 3 + 9 * 27 + 15 * 9


# Limits, floor, rate


@pytest.mark.parametrize(
    ("batch", "limit", "floor", "rate"),
    [
        (BATCHES[0], 0.03267044855853845, 1.8844066482406279, 0.9255754671669607),
        (BATCHES[1], 0.04240173580676614, 1.2259103290392126, 0.9031309345368175),
        (BATCHES[2], 0.04698417624766559, 0.9058792894914361, 0.8925222480419477),
        (BATCHES[3], 0.05471643695741849, 0.35129483842064935, 0.8745681011554237),
        (BATCHES[4], 0.05948751620466728, 0.0, 0.8634585585449349),
    ],
)
def test_limit_floor_and_rate(batch, limit, floor, rate):
    of = second(*batch)
    assert of.step_limit == pytest.approx(limit, **CLOSE)
    assert of.floor(limit / 2) == pytest.approx(floor, rel=1e-12, abs=1e-14)
    assert of.rate(limit / 2) == pytest.approx(rate, **CLOSE)
    assert np.isinf(of.floor(1.01 * limit))


def radius(step_size, momentum):
    """That of E A⊗A for A = [[(1 + β) I − ηa, −β I], [I, 0]], a = 2n x xᵀ."""
    blocks = []
    for row in ROWS:
        A = (1 + momentum) * np.eye(2) - step_size * 8 * np.outer(row, row)
        full = np.block([[A, -momentum * np.eye(2)], [np.eye(2), np.zeros((2, 2))]])
        blocks.append(np.kron(full, full))
    return np.abs(np.linalg.eigvals(np.mean(blocks, axis=0))).max()


@pytest.mark.parametrize(
    ("momentum", "limit", "floor", "of_noise"),
    [
        (0.0, 0.032670448559, 0.352470790, 0.328021966),
        (0.5, 0.025888722794, 0.332463428, 0.310725846),
        (0.9, 0.00700281494658, 0.324881367, 0.304021999),
    ],
)
def test_momentum(momentum, limit, floor, of_noise):
    """At the same η/(1 − β) the floor hardly depends on β, and the limit grows a little.

    of_noise is the floor if only the noise at w* counted, that of an autoregression.
    """
    of, step_size = second(momentum=momentum), 0.005 * (1 - momentum)
    assert of.step_limit == pytest.approx(limit, rel=1e-10)
    assert radius(of.step_limit, momentum) == pytest.approx(1, rel=1e-10)
    assert of.floor(step_size) == pytest.approx(floor, rel=3e-9)
    assert of.rate(step_size) == pytest.approx(radius(step_size, momentum), rel=1e-10)
    assert gaps(moments(step_size, momentum=momentum), [3000]) == pytest.approx(floor, rel=3e-9)
    data, x = of.data, step_size * of.data.eigenvalues
    V = np.diag(data.second_moment(np.zeros((2, 2)), np.zeros(2)))
    shorter = (1 - momentum) * x * (2 * (1 + momentum) - x)
    additive = 0.5 * (x * step_size * V * (1 + momentum) / shorter).sum()
    assert additive == pytest.approx(of_noise, rel=3e-9)
    assert additive < of.floor(step_size)


def test_gradient_descent_with_momentum_has_its_own_limit():
    of = second(4, False, 0.5)
    assert of.step_limit == pytest.approx(3 / spectrum()[1][0], rel=1e-14)
    assert of.rate(0.01) == pytest.approx(of.mean_rate(0.01) ** 2, rel=1e-14)
    assert of.floor(0.01) == 0


def test_large_problems_are_done_without_matrices(monkeypatch):
    expected_ = [each for momentum in (0.0, 0.5) for each in numbers(momentum)]
    monkeypatch.setattr("gdconv.theory.sampled.limits.DENSE", 0)
    found = [each for momentum in (0.0, 0.5) for each in numbers(momentum)]
    assert found == pytest.approx(expected_, rel=1e-9)


def numbers(momentum):
    generator = np.random.default_rng(1)
    X, r = generator.standard_normal((30, 5)), generator.standard_normal(30)
    eigenvalues, right = np.linalg.eigh(2 * X.T @ X)
    data = Data(X @ right[:, ::-1], r, eigenvalues[::-1], eigenvalues[::-1])
    of = SecondMoments(data, 0.5, momentum)
    half = of.step_limit / 2
    return of.step_limit, of.floor(half), of.rate(half)


def test_rows_of_equal_length():
    """η_max = 1/(nc²), and the floor is ωL*/(2 − ω) with ω = 2nηc²."""
    angles = np.array([0.1, 0.7, 1.9, 3.0, 4.4])
    X, y = 3.0 * np.column_stack([np.cos(angles), np.sin(angles)]), np.array([1.0, 4, -2, 3, 5])
    eigenvalues, right = np.linalg.eigh(2 * X.T @ X)
    star = np.linalg.lstsq(X, y, rcond=None)[0]
    r = X @ star - y
    of = SecondMoments(Data(X @ right, r, eigenvalues, eigenvalues), 1.0)
    assert of.step_limit == pytest.approx(1 / (5 * 9), **CLOSE)
    for omega in (0.1, 1.0, 1.9):
        assert of.floor(omega / (2 * 5 * 9)) == pytest.approx(
            omega * r @ r / (2 - omega), rel=1e-11
        )


def test_simple_bounds_of_the_limit():
    """1/(n max ‖x‖²) and what traces give."""
    data, _ = small()
    squares = (data.rows**2).sum(axis=1)
    above = data.eigenvalues.sum() / (8 * (squares**2).sum())
    assert safe_limit(data) == pytest.approx(0.025, **CLOSE)
    assert above == pytest.approx(0.0346, abs=5e-5)
    assert safe_limit(data) <= second().step_limit <= above <= 2 / data.eigenvalues.sum()


# Fourth moments


def radius_of_fourth(step_size, size, replacement, momentum=0.0):
    total, every = 0.0, batches(size, replacement)
    for batch in every:
        G = 4 / size * sum(2.0 * np.outer(ROWS[i], ROWS[i]) for i in batch)
        M = (1 + momentum) * np.eye(2) - step_size * G
        if momentum:
            M = np.block([[M, -momentum * np.eye(2)], [np.eye(2), np.zeros((2, 2))]])
        pair = np.kron(M, M)
        total = total + np.kron(pair, pair)
    return np.abs(np.linalg.eigvals(total / len(every))).max()


@pytest.mark.parametrize(("size", "replacement"), [*BATCHES, (3, True), (5, True)])
def test_fourth_moments_stay_bounded_below_their_limit(size, replacement):
    limit = second(size, replacement).step_limit
    found = fourth_moment_limit(small()[0], size, replacement, limit)
    assert radius_of_fourth(found, size, replacement) == pytest.approx(1, rel=1e-12)
    assert radius_of_fourth(0.99 * found, size, replacement) < 1
    assert found <= limit
    if size == 1:
        assert found == pytest.approx(0.028837300035, rel=1e-10)


@pytest.mark.parametrize(
    ("size", "replacement", "momentum"), [(1, True, 0.5), (1, True, 0.9), (2, False, 0.5)]
)
def test_fourth_moments_with_momentum(size, replacement, momentum):
    limit = second(size, replacement, momentum).step_limit
    found = fourth_moment_limit(small()[0], size, replacement, limit, momentum)
    radii = [radius_of_fourth(part * found, size, replacement, momentum) for part in (1, 0.99, 0.4)]
    # The eigenvalues of a matrix that is not symmetric, of 256 rows.
    assert radii[0] == pytest.approx(1, rel=1e-9)
    assert max(radii[1:]) < 1
    assert found < limit


def test_fourth_moments_of_many_rows_are_added_up(monkeypatch):
    given = small()[0], 2, True, second(2, True).step_limit
    found = fourth_moment_limit(*given)
    monkeypatch.setattr("gdconv.theory.sampled.fourth.AT_ONCE", 20)
    assert fourth_moment_limit(*given) == pytest.approx(found, rel=1e-13)


# The average


def test_the_average():
    of = gaps(Average(moments(0.01)), [4, 100, 1000])
    known = [9.103556731631565, 0.1751058154547396, 0.01019947948013332]
    assert of == pytest.approx(known, **CLOSE)


def test_the_average_tends_to_half_the_trace_of_the_noise():
    """T E gap → ½ tr(H⁻¹V), V being the covariance of the gradient at rest; 9.3637 at T = 10⁴."""
    of = moments(0.01)
    average = Average(of)
    for _ in range(10_000):
        average.step()
    data = of.data
    V = data.second_moment(of.C[0], of.m[0]) - np.outer(*[data.eigenvalues] * 2) * of.C[0]
    limit = 0.5 * (np.diag(V) / data.eigenvalues).sum()
    assert limit == pytest.approx(9.270638853226098, rel=1e-9)
    assert second().averaging(0.01) == pytest.approx(9.270638853226098, rel=1e-12)
    assert second().averaging(1e-9) == pytest.approx(8.272, rel=1e-4)
    assert np.isinf(second().averaging(0.04))
    assert 10_000 * average.gap[0] == pytest.approx(9.3637, rel=1e-5)


@pytest.mark.parametrize(("size", "replacement"), [(1, True), (2, False)])
def test_the_average_with_momentum_tends_to_it_too(size, replacement):
    average = Average(moments(0.004, size, replacement, 0.5))
    found = [(t + 1) * gap for t, gap in enumerate(gaps(average, range(8000)))]
    # What is left falls like 1/t, and this takes it out.
    expected_ = second(size, replacement, 0.5).averaging(0.004)
    assert 2 * found[7999] - found[3999] == pytest.approx(expected_, rel=1e-10)


# Many features


def like_gaussian(sigma, s2):
    """A data set with the moments of Gaussian rows up to the fourth, and of independent noise.

    Hermite's nodes 0 and ±√3 with the weights 4, 1 and 1 have those of one normal number.
    """
    nodes = np.repeat([0.0, np.sqrt(3), -np.sqrt(3)], [4, 1, 1])
    rows = np.array(list(product(nodes, repeat=len(sigma)))) * np.sqrt(sigma)
    residuals = np.sqrt(s2) * np.repeat([1.0, -1.0], len(rows))
    eigenvalues = 2 * len(residuals) * sigma
    return Data(np.vstack([rows, rows]), residuals, eigenvalues, eigenvalues)


STREAM = np.array([1, 0.5, 0.25, 0.1, 0.05])


@pytest.fixture(name="stream", scope="module")
def _stream():
    return like_gaussian(STREAM, 0.04)


@pytest.mark.parametrize(
    ("size", "known", "floor"),
    [
        (1, [1.54186, 0.398376014404, 0.028362892209], 0.0231053857087),
        (4, [1.291283125, 0.195524160218, 0.00660030235064], 0.00359169249137),
    ],
)
def test_gaussian_rows(stream, size, known, floor):
    """E (xᵀe)² of new Gaussian rows: c' = (1 − 2γσ + (1 + 1/B)γ²σ²)c + (γ²/B)σ(Σσc + s²)."""
    n, phi = len(stream.rows), np.array([1 / size])
    step_size = np.array([0.3 / (2 * n)])
    of = Moments(stream, np.ones(5), step_size, np.zeros(1), phi)
    assert gaps(of, [1, 10, 100]) / n == pytest.approx(known, rel=3e-11)
    assert SecondMoments(stream, phi[0]).floor(step_size[0]) / n == pytest.approx(floor, rel=1e-11)


@pytest.mark.parametrize(
    ("size", "limit"),
    [
        (1, 0.5728649271521682),
        (2, 0.9120661289377254),
        (4, 1.277290039367951),
        (16, 1.7693195122796241),
    ],
)
def test_the_limit_of_gaussian_rows(stream, size, limit):
    found = SecondMoments(stream, 1 / size).step_limit * 2 * len(stream.rows)
    assert found == pytest.approx(limit, **CLOSE)


def gaussian(n, d, part):
    """The largest relative deviation from the exact expectation for noisy Gaussian rows."""
    generator = np.random.default_rng(0)
    X, w = generator.standard_normal((n, d)), generator.standard_normal(d)
    y = X @ w + generator.standard_normal(n)
    eigenvalues, right = np.linalg.eigh(2 * X.T @ X)
    star = np.linalg.lstsq(X, y, rcond=None)[0]
    data = Data(X @ right, X @ star - y, eigenvalues, eigenvalues)
    step_size, start = np.array([2 * part / eigenvalues.sum()]), right.T @ -star
    recorded = np.arange(0, 3 * n, n // 4)
    one = np.ones(1)
    exact = gaps(Moments(data, start, step_size, 0 * one, one), recorded)
    given = data.residuals @ data.residuals, start**2, eigenvalues, step_size, one, recorded
    close = np.concatenate(list(high_dimension.expected(*given)))
    return np.abs(close / exact - 1).max()


def test_the_prediction_for_many_features_is_close():
    assert gaussian(100, 50, 0.25) < 0.03
    assert gaussian(200, 100, 0.25) < 0.015


def test_its_growth():
    """For B = 1 it is η tr(H)/2, and the loss at rest is L*/(1 − h)."""
    data, start = small()
    step_size, one = np.array([0.01]), np.ones(1)
    h = high_dimension.growth(data.eigenvalues, step_size, one)[0]
    assert h == pytest.approx(0.01 * 36 / 2, **CLOSE)
    at = LOSS_STAR, start**2, data.eigenvalues, step_size, one, np.array([5000])
    (last,) = high_dimension.expected(*at)
    assert last[0] == pytest.approx(LOSS_STAR * h / (1 - h), rel=1e-9)
    assert high_dimension.critical_batch(data.eigenvalues) == pytest.approx(
        36 / data.eigenvalues[0]
    )


# Kaczmarz, and coordinate descent


def kaczmarz(omega, consistent=False):
    data, start = small("consistent" if consistent else None)
    squares = (data.rows**2).sum(axis=1)
    drawn = weighted(data.rows, data.residuals, data.eigenvalues, squares / squares.sum())
    step_size = np.array([omega / data.eigenvalues.sum()])
    return Moments(drawn, start, step_size, np.zeros(1), np.ones(1)), drawn, step_size[0]


@pytest.mark.parametrize(
    ("consistent", "known"),
    [
        (False, {0: 1.97, 1: 0.77, 2: 0.692839506173, 10: 0.633080690173, 2000: 0.994182058047}),
        (True, {1: 0.536666666667, 2: 0.409172839506, 10: 0.186769423825, 50: 0.00403101100644}),
    ],
)
def test_kaczmarz(consistent, known):
    of, *_ = kaczmarz(1.0, consistent)
    found = {}
    for t in range(max(known) + 1):
        found[t] = np.trace(of.C[0])
        of.step()
    assert [found[t] for t in known] == pytest.approx(list(known.values()), rel=1e-11)


@pytest.mark.parametrize("omega", [0.25, 1.0, 1.5, 1.9])
def test_kaczmarz_balance_and_floor(omega):
    """‖X‖² (E‖e'‖² − E‖e‖²) = ω²L* − ω(2 − ω) E gap."""
    of, data, step_size = kaczmarz(omega)
    for _ in range(5):
        before, loss = np.trace(of.C[0]), of.gap[0]
        of.step()
        change = (np.trace(of.C[0]) - before) * data.eigenvalues.sum() / 2
        assert change == pytest.approx(omega**2 * LOSS_STAR - omega * (2 - omega) * loss, rel=1e-10)
    at_rest = SecondMoments(data, 1.0)
    assert at_rest.floor(step_size) == pytest.approx(omega * LOSS_STAR / (2 - omega), rel=1e-11)
    assert at_rest.step_limit == pytest.approx(2 / data.eigenvalues.sum(), **CLOSE)


def test_a_row_that_is_never_drawn_does_not_count():
    data, _ = small()
    rows = np.vstack([data.rows, np.zeros(2)])
    p = np.array([0.25, 0.25, 0.25, 0.25, 0])
    found = weighted(rows, np.append(data.residuals, 3.0), data.eigenvalues, p)
    assert found.rows == pytest.approx(data.rows)
    assert found.residuals == pytest.approx(data.residuals)


def test_random_coordinates():
    _, eigenvalues, right = spectrum()
    data = coordinates.drawn(right, eigenvalues)
    start = np.sqrt(eigenvalues) * (right.T @ -np.array(STAR, dtype=float))
    step_size = np.array([1 / data.eigenvalues.sum()])
    of = Moments(data, start, step_size, np.zeros(1), np.ones(1))
    known = [25.8, 2.18888888889, 1.58306878307, 0.578336714864, 0.00445845421961]
    assert gaps(of, [0, 1, 2, 10, 50]) == pytest.approx(known, rel=1e-11)
    # Leventhal and Lewis
    assert SecondMoments(data, 1.0).rate(step_size[0]) <= 1 - eigenvalues[-1] / eigenvalues.sum()


def test_coordinates_in_order():
    """Gauss and Seidel's method, whose radius is 9/14."""
    _, eigenvalues, right = spectrum()
    of = coordinates.Cyclic(right, eigenvalues, right.T @ -np.array(STAR, dtype=float))
    found = []
    for _ in range(5):
        of.step()
        of.step()
        found.append(of.gap)
    known = [0.009183673469387695, 0.00026787502453997974]
    assert [found[0], found[4]] == pytest.approx(known, rel=1e-11)
    assert of.rate() == pytest.approx((9 / 14) ** 2, **CLOSE)
