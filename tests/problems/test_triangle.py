"""QR by blocks of rows, against NumPy, closed forms and high precision, and without copies of X."""

import tracemalloc

import mpmath
import numpy as np
import pytest

from gdconv.config.problems import Gaussian, Table
from gdconv.problems.families import LeastSquares, make
from gdconv.problems.least_squares import Objective
from gdconv.problems.minimisers import least_norm, loss
from gdconv.problems.spectrum import spectrum
from gdconv.problems.triangle import Tall

EPS = np.finfo(float).eps


def gaussian(n_samples, n_features, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features))


def of_all_sizes(count, spread, seed=0):
    return 10.0 ** np.random.default_rng(seed).integers(-spread, spread + 1, count)


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (30, 4), (25_000, 6), (70_000, 5)])
@pytest.mark.parametrize("ordered", [False, True])
def test_triangle_and_image_are_those_of_numpy_but_for_signs(shape, ordered):
    """One block and several, of an unequal number of rows."""
    X, z = gaussian(*shape), gaussian(shape[0], 2, 1)
    order = np.argsort(X[:, 0]) if ordered else None
    rows = Tall(X.__getitem__, X.shape, order)
    R, along = rows.reduced(z)
    Q, expected = np.linalg.qr(X)
    signs = np.sign(np.diag(R) * np.diag(expected))
    # Backward errors of sums over n numbers, pairwise over blocks.
    tolerance = 100 * EPS * np.linalg.norm(X)
    of_z = 100 * EPS * np.linalg.norm(z)
    assert np.abs(signs[:, None] * R - expected).max() <= tolerance
    assert np.abs(signs[:, None] * along - Q.T @ z).max() <= of_z
    one, alone = rows.reduced(z[:, 0])
    assert (one == R).all()
    assert np.abs(alone - along[:, 0]).max() <= of_z
    assert np.abs(rows.times(R) - X @ R).max() <= tolerance * np.linalg.norm(R)
    values, exact = (np.linalg.svd(each, compute_uv=False) for each in (rows.compact(), X))
    assert np.abs(values - exact).max() <= tolerance


def test_rounding_errors_do_not_add_up_over_the_blocks():
    """In a chain of blocks, all roundings of the length of equal numbers have one sign."""
    column = np.full((10**6, 1), 0.1)
    R, _ = Tall(column.__getitem__, column.shape).reduced()
    assert abs(R[0, 0]) == pytest.approx(0.1 * 1000, rel=8 * EPS)


MANY, FEW = 15_000, 5
HARD = {
    "columns of all sizes": gaussian(MANY, FEW) * of_all_sizes(FEW, 20),
    "rows of all sizes": gaussian(MANY, FEW) * of_all_sizes(MANY, 10)[:, None],
    "rows and columns of all sizes": gaussian(MANY, FEW)
    * of_all_sizes(FEW, 20)
    * of_all_sizes(MANY, 10, 1)[:, None],
    "clock ticks": np.vander(4155915253.0 + 225 * np.arange(MANY), 2),
    "powers": np.vander(np.linspace(-1, 1, MANY), 8) * 1e3 ** np.arange(8),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.slow_where(case=lambda name: name in ("columns of all sizes", "powers"))
def test_many_rows_cost_no_digits(name):
    """Singular values, minimiser and residual of several blocks, in 200 digits."""
    X = HARD[name]
    n, d = X.shape
    y = X @ (1 / np.linalg.norm(X, axis=0)) + gaussian(n, 1, 2)[:, 0]
    found = spectrum(X)
    best = least_norm(found, X, y)
    with mpmath.workdps(200):
        columns = [[mpmath.mpf(each) for each in column] for column in [*X.T.tolist(), y.tolist()]]
        products = mpmath.matrix([[mpmath.fdot(a, b) for a in columns] for b in columns])
        H = products[:d, :d]
        eigenvalues = sorted((float(2 * each) for each in mpmath.eigsy(H)[0]), reverse=True)
        truth = mpmath.lu_solve(H, products[:d, d])
        off = [
            mpmath.mpf(a) + mpmath.mpf(b) - c
            for a, b, c in zip(best.w, best.rest, truth, strict=True)
        ]
        minimum = products[d, d] - mpmath.fdot(truth, products[:d, d])
        change = mpmath.matrix(found.right.T.tolist()) * mpmath.matrix(off)
        part = float(mpmath.norm(change) / mpmath.norm(truth))
    assert found.rank == d
    # Twice the square of a singular value that is right to some roundings.
    assert found.eigenvalues == pytest.approx(eigenvalues, rel=40 * EPS)
    # The rounding of w* to floats is in rest.
    assert part <= 0.1 * EPS
    assert best.residual @ best.residual == pytest.approx(float(minimum), rel=1e-13)


@pytest.mark.parametrize("reduce", ["qr", "none"])
def test_left_vectors_of_several_blocks(reduce):
    X = gaussian(MANY, FEW)
    objective = Objective(LeastSquares(X, gaussian(MANY, 1, 1)[:, 0]), reduce)
    U, found = objective.left, objective.spectrum
    assert np.abs(U.T @ U - np.eye(FEW)).max() <= 40 * EPS
    product = (U * found.singular_values) @ found.right.T
    assert np.abs(product - objective.matrix).max() <= 40 * EPS * found.singular_values[0]


def test_the_loss_at_the_minimiser_is_known_already():
    problem = make(Gaussian(40, 5), 0, 0)
    objective = Objective(problem, "qr")
    w = objective.least_norm.w
    assert objective.loss(w) == loss(problem.X, problem.y, w)
    # A step away, whose gap of 5 is the sum of the squares of X's columns.
    assert objective.loss(w + 1) > objective.loss(w)


def peak(call):
    """The most memory that a call holds at a time, in bytes."""
    tracemalloc.start()
    try:
        held = call()
        return tracemalloc.get_traced_memory()[1], held
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_no_copy_of_a_tall_problem_allocates():
    most, problem = peak(lambda: make(Gaussian(200_000, 40, block_rows=200_000), 0, 0))
    size = problem.X.nbytes
    # X itself, y and the vectors it is made of, of n numbers each; blocks of half a MiB.
    assert most <= size + 5 * problem.y.nbytes + 2**23
    most, _ = peak(lambda: Objective(problem, "qr"))
    assert most <= 10 * problem.y.nbytes + 2**23
    assert most < size / 2


@pytest.mark.slow
def test_no_copy_of_a_badly_scaled_tall_problem_allocates():
    X = gaussian(100_000, 40) * of_all_sizes(40, 10)
    problem = LeastSquares(X, X @ (1 / np.linalg.norm(X, axis=0)))
    most, _ = peak(lambda: Objective(problem, "qr"))
    # A block with its slices and all their products takes 20 MiB, however many blocks there are.
    assert most < X.nbytes


def test_no_copies_of_a_large_table_allocate(tmp_path):
    """Its cells and X are two tables of floats; pandas holds one more, and the text."""
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d,y\n" + "0.25,1.5,2.125,3,4\n1,2,3,5,6\n" * 50_000)
    config = Table(str(path), "y", standardize=True)
    make(config, 0, 0)
    most, problem = peak(lambda: make(config, 0, 0))
    assert most <= 2 * problem.X.nbytes
