"""Products with a Hessian and its largest eigenvalue, against matrices and closed forms."""

import doctest

import mpmath
import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

import nnlib.hessian
from nnlib import Graph
from nnlib.hessian import hessian_vector_product, largest_eigenvalue, operator, sharpness

EPS = np.finfo(float).eps


def quadratic(H, dtype=np.float64):
    """½wᵀHw, whose Hessian is H."""
    g = Graph()
    w, A = g.tensor(np.zeros(len(H), dtype)), g.tensor(np.asarray(H, dtype))
    half = g.tensor(np.array(0.5, dtype))
    return g, g.mul(half, g.sum(g.mul(w, g.matmul(A, w)))), w


def network(activation, hidden=20, runs=None):
    """The network 1-20-1 on T₅ at 20 points with its loss, all parameters in rows of one leaf."""
    x = -1 + 2 * np.arange(20) / 19
    y = np.cos(5 * np.arccos(np.clip(x, -1, 1)))
    k = np.arange(1, hidden + 1)
    row = np.r_[
        np.sin(1.7 * k), np.cos(2.3 * k) / 2, np.sqrt(2 / hidden) * np.sin(0.9 * k + 0.3), 0.0
    ]
    m = 1 if runs is None else runs
    g = Graph()
    W = g.tensor(row[None] * (1 + np.arange(m)[:, None] / 8), "W")
    parts = [(0, (m, 1, hidden)), (1, (m, 1, hidden)), (2, (m, hidden, 1)), (3, (m, 1, 1))]
    w1, b1, w2, b2 = (
        g.reshape(g.getitem(W, (slice(None), slice(hidden * j, hidden * (j + 1)))), shape)
        for j, shape in parts
    )
    inner = g.add(g.matmul(g.tensor(x[:, None]), w1), b1)
    f = g.add(g.matmul(getattr(g, activation)(inner), w2), b2)
    squares = g.square(g.sub(f, g.tensor(y[:, None])))
    return g, g.mul(g.tensor(1 / 40), g.sum(squares)), W


# From an independent program in double precision; ReLU's also has the second derivative 0.
@pytest.mark.parametrize(
    ("activation", "loss", "expected"),
    [
        ("tanh", 0.2855798054777202, 3.33940036),
        ("relu", 0.2817085507415921, 3.115545248350),
    ],
)
def test_the_sharpness_of_a_network(activation, loss, expected):
    g, output, W = network(activation)
    g.run_eval(output)
    assert g.value[output] == pytest.approx(loss, rel=1e-14)
    assert sharpness(g, output, W) == pytest.approx(expected, abs=5e-9)


def test_products_are_those_of_the_second_derivatives_in_high_precision():
    """f = Σ tanh(Aw)² at a point, differentiated twice by mpmath."""
    rng = np.random.default_rng(0)
    A, point, v = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=2)
    g = Graph()
    w = g.tensor(point)
    output = g.sum(g.square(g.tanh(g.matmul(g.tensor(A), w))))

    def f(*w):
        return sum(mpmath.tanh(a[0] * w[0] + a[1] * w[1]) ** 2 for a in A.tolist())

    with mpmath.workdps(40):
        orders = [[(2, 0), (1, 1)], [(1, 1), (0, 2)]]
        H = np.array([[float(mpmath.diff(f, tuple(point), n)) for n in row] for row in orders])
    (product,) = hessian_vector_product(g, output, w)(point, v)
    # Some hundred roundings of numbers up to 10.
    np.testing.assert_allclose(product, H @ v, rtol=0, atol=1e3 * EPS)
    assert sharpness(g, output, w) == pytest.approx(np.linalg.eigvalsh(H)[-1], abs=1e3 * EPS)


def test_the_operator_is_symmetric_copies_and_takes_blocks():
    g, output, W = network("tanh")
    hessian = operator(hessian_vector_product(g, output, W))
    assert isinstance(hessian, LinearOperator)
    first = hessian.matvec(np.eye(61)[0])
    kept = first.copy()
    second = hessian.matvec(np.eye(61)[1])
    np.testing.assert_array_equal(first, kept)
    matrix = hessian @ np.eye(61)
    np.testing.assert_array_equal(matrix[:, 0], first)
    np.testing.assert_array_equal(matrix[:, 1], second)
    np.testing.assert_allclose(matrix, matrix.T, atol=100 * EPS)
    np.testing.assert_array_equal(hessian.rmatvec(np.ones(61)), hessian.matvec(np.ones(61)))


def test_stacked_runs_have_the_products_of_each():
    runs = 3
    stacked, v = network("tanh", runs=runs), np.random.default_rng(0).normal(size=(3, 61))
    value = stacked[0].value[stacked[2]]
    (products,) = hessian_vector_product(*stacked)(value, v)
    single = hessian_vector_product(*network("tanh"))
    for k in range(runs):
        (product,) = single(value[k : k + 1], v[k : k + 1])
        np.testing.assert_array_equal(products[k], product[0])


@pytest.mark.parametrize("hidden", [20, 60])
def test_both_ways_agree_with_the_dense_hessian(hidden):
    """61 parameters are taken as a matrix, 181 by Lanczos' method."""
    g, output, W = network("tanh", hidden)
    hessian = operator(hessian_vector_product(g, output, W))
    H = hessian @ np.eye(hessian.shape[0])
    expected = np.linalg.eigvalsh((H + H.T) / 2)[-1]
    assert sharpness(g, output, W) == pytest.approx(expected, rel=1e-10)


def rotated(eigenvalues):
    n = len(eigenvalues)
    Q, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(n, n)))
    H = (Q * eigenvalues) @ Q.T
    return (H + H.T) / 2


SPREAD = np.linspace(0.0, 2.0, 99)
HARD = {
    "zero": np.zeros((100, 100)),
    "identity": np.eye(100),
    "minus identity": -np.eye(100),
    "two values": np.diag(np.r_[np.full(40, 3.0), np.full(60, -7.0)]),
    "rank 3": rotated(np.r_[5.0, 4.0, 3.0, np.zeros(97)]),
    "nothing above 0": np.diag(np.r_[-np.arange(1.0, 51.0), np.zeros(50)]),
    "rank 50, negative": rotated(np.r_[-np.linspace(1, 5, 50), np.zeros(50)]),
    "largest in modulus is negative": rotated(np.r_[-100.0, SPREAD]),
    "definite, negative": rotated(np.r_[-SPREAD - 1, -5.0]),
    "close together": rotated(np.r_[2.0, 2.0 - 1e-12, 2.0 - 1e-9, SPREAD[:97] / 2]),
    "too close for Lanczos": rotated(np.r_[0.0, -np.geomspace(1e-9, 1.0, 149)]),
    "tiny": 1e-200 * rotated(np.r_[1.0, SPREAD / 3]),
    "huge": 1e200 * rotated(np.r_[1.0, SPREAD / 3]),
    "two blocks": np.kron(np.diag([1.0, 2.0]), rotated(SPREAD)),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("start", [None, "lowest", "first"])
def test_hard_matrices_give_the_right_value_and_the_same_bits(name, start):
    H = HARD[name]
    n = len(H)
    v0 = {None: None, "lowest": np.linalg.eigh(H)[1][:, 0], "first": np.eye(n)[0]}[start]
    g, output, w = quadratic(H)
    found = sharpness(g, output, w, v0)
    # ARPACK's and eigvalsh's errors, relative to the largest eigenvalue in modulus.
    assert abs(found - np.linalg.eigvalsh(H)[-1]) <= 100 * EPS * np.abs(H).sum(axis=1).max()
    # What draws random numbers inside ARPACK changes its hidden state.
    for seed in range(2):
        eigsh(np.diag(np.r_[np.ones(50), np.zeros(50)]), k=1, v0=np.eye(100)[seed])
        assert sharpness(g, output, w, v0) == found


@pytest.mark.parametrize("n", [1, 2, 64, 65])
def test_every_number_of_parameters(n):
    g, output, w = quadratic(rotated(np.arange(1.0, n + 1)))
    assert sharpness(g, output, w) == pytest.approx(n, rel=100 * EPS)


@pytest.mark.parametrize("n", [5, 80])
def test_float32(n):
    g, output, w = quadratic(rotated(np.arange(1.0, n + 1)), np.float32)
    assert sharpness(g, output, w) == pytest.approx(n, rel=1e-5)


@pytest.mark.parametrize("n", [5, 80])
def test_an_output_whose_hessian_is_zero(n):
    g = Graph()
    w = g.tensor(np.ones(n))
    for output in (g.sum(w), g.sum(g.relu(w)), g.tensor(1.0)):
        assert sharpness(g, output, w) == 0


@pytest.mark.parametrize("n", [5, 80])
@pytest.mark.parametrize("value", [1e200, np.inf, np.nan])
def test_products_that_are_not_finite_give_nan(n, value):
    g = Graph()
    w = g.tensor(np.r_[np.ones(n - 1), value])
    assert np.isnan(sharpness(g, g.sum(g.square(g.square(w))), w))


def test_a_program_is_used_at_many_points_and_the_graph_left_alone():
    g = Graph()
    w = g.tensor([1.0, 2.0])
    output = g.sum(g.mul(w, g.square(w)))
    before = repr(g)
    program = hessian_vector_product(g, output, w)
    assert [largest_eigenvalue(program, point) for point in ([1, 2], [5, 3])] == [12, 30]
    np.testing.assert_array_equal(operator(program).matvec([1, 1]), [30, 18])
    assert repr(g) == before
    np.testing.assert_array_equal(g.value[w], [1, 2])


def test_other_leaves_are_constants():
    g = Graph()
    w, x = g.tensor([1.0, 2.0]), g.tensor([3.0, 4.0])
    program = hessian_vector_product(g, g.sum(g.mul(x, g.square(w))), w)
    g.set(x, [0.0, 0.0])
    np.testing.assert_array_equal(program([1, 2], [1, 1])[0], [6, 8])


def test_bad_input_is_refused():
    g = Graph()
    w, empty = g.tensor([1.0, 2.0]), g.tensor(np.zeros(0))
    square = g.square(w)
    with pytest.raises(ValueError, match="is not a single number: sum it first"):
        hessian_vector_product(g, square, w)
    with pytest.raises(ValueError, match="must be leaves"):
        hessian_vector_product(g, g.sum(square), square)
    with pytest.raises(ValueError, match=r"v0 has shape \(3,\), not \(2,\)"):
        sharpness(g, g.sum(square), w, [1, 2, 3])
    for v0 in ([0, 0], [1, np.nan], [np.inf, 1]):
        with pytest.raises(ValueError, match="v0 must be finite and not 0"):
            sharpness(g, g.sum(square), w, v0)
    with pytest.raises(ValueError, match="without parameters there is no eigenvalue"):
        sharpness(g, g.sum(empty), empty)
    with pytest.raises(ValueError, match=r"input 0 has shape \(2,\), not \(3,\)"):
        largest_eigenvalue(hessian_vector_product(g, g.sum(square), w), [1, 2, 3])


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(nnlib.hessian)
    assert (failed, attempted) == (0, 7)
