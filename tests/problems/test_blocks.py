"""Problems by blocks of rows: the triangle of all rows stands for them, whoever joins blocks."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.problems.blocks import Tree
from gdconv.problems.families import CHUNK, block_ends, make, rows_of
from gdconv.problems.least_squares import Objective
from gdconv.problems.triangle import joined, triangle_of

CASES = Path(__file__).parents[1] / "data" / "cases"
FAMILIES = {
    "gaussian": Gaussian(40, 6),
    "far from 0": Gaussian(40, 6, feature_mean=1e6),
    "correlated": Correlated(40, 6),
    "spectrum": Prescribed(40, 8, condition_number=1e10),
    "polynomial": Polynomial(60, 12),
    "one feature": Gaussian(70, 1),
    "chunks": Gaussian(2 * CHUNK + 100, 4, feature_mean=3.0),
    "chunks, spectrum": Prescribed(2 * CHUNK + 100, 4),
}


def in_blocks(problem, count, n_samples):
    return replace(problem, block_rows=-(-n_samples // count))


def at_random_points(first, second, generator):
    """The losses of two problems at some points around their minimisers."""
    w = first.least_norm.w
    for size in (0.1, 1.0, 10.0):
        point = w + size * np.abs(w).max() * generator.standard_normal(len(w))
        yield first.loss(point), second.loss(point)


@pytest.mark.parametrize("count", [2, 7])
@pytest.mark.parametrize("problem", FAMILIES.values(), ids=FAMILIES)
def test_a_triangle_has_the_spectrum_minimiser_and_loss_of_all_rows(problem, count):
    whole = Objective(make(problem, 3, 1), "qr")
    cut = in_blocks(problem, count, problem.n_samples)
    assert len(block_ends(cut)) == count
    found = make(cut, 3, 1)
    assert found.X.shape == (problem.n_features + 1, problem.n_features)
    assert found.n_samples == problem.n_samples
    by_triangle = Objective(found, "qr")
    # Each column keeps its digits, so what is scaled to one size loses about its condition number.
    lost = np.linalg.cond(whole.problem.X / np.linalg.norm(whole.problem.X, axis=0))
    eigenvalues = whole.spectrum.eigenvalues
    assert by_triangle.spectrum.eigenvalues == pytest.approx(
        eigenvalues, rel=20 * 2**-53 * max(lost, 40)
    )
    # The part of y outside of the range is as exact as the range.
    assert by_triangle.offset == pytest.approx(whole.offset, rel=2**-50 * max(lost, 40))
    for one, other in at_random_points(whole, by_triangle, np.random.default_rng(0)):
        assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("count", [2, 7])
def test_with_fewer_rows_than_columns(count):
    problem = Gaussian(10, 25)
    whole, cut = (
        Objective(make(each, 0, 0), "qr") for each in (problem, in_blocks(problem, count, 10))
    )
    assert cut.spectrum.rank == 10
    assert cut.spectrum.eigenvalues[:10] == pytest.approx(
        whole.spectrum.eigenvalues[:10], rel=1e-13
    )
    assert cut.least_norm.w == pytest.approx(whole.least_norm.w, abs=1e-13)
    assert cut.offset <= 1e-24


@pytest.mark.parametrize("count", [2, 7])
def test_columns_that_depend_on_others_leave_the_rank(count, tmp_path):
    """Rounding in the last rows of a triangle is not a direction."""
    generator = np.random.default_rng(5)
    A = generator.standard_normal((5000, 3))
    cells = np.hstack([A, A @ [[1, 0], [2, 1], [0, 3]], 1e6 * A[:, :1], A[:, 1:2] - A[:, 2:]])
    path = tmp_path / "t.csv"
    np.savetxt(path, cells, delimiter=",", header="a,b,c,d,e,f,y", comments="", fmt="%.17g")
    for standardize in (False, True):
        config = in_blocks(Table(str(path), "y", standardize=standardize), count, 5000)
        assert Objective(make(config, 0, 0), "qr").spectrum.rank == 4


# Means of 1e14 and 1.7e12 beside variations of 1: the digits that vary are kept.
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize(
    ("name", "minimum", "lambda_min"),
    [
        ("big_x_3", 2.1220358831805e-28, 0.28241317),
        ("ticks", 1108.95501532319, 9.0219e-11),
        ("epoch", 2 / 3, 1.02818e-08),
        ("epoch_ms_year", 5033.69799341479, 0.0204544),
    ],
)
def test_columns_far_from_0_keep_the_digits_that_vary(
    name, minimum, lambda_min, count, standardize
):
    config = Table(str(CASES / f"{name}.csv"), "y", standardize=standardize)
    n_samples = len(make(config, 0, 0).y)
    found = Objective(make(in_blocks(config, count, n_samples), 0, 0), "qr")
    assert found.spectrum.rank == 2
    # A residual of 1e-14 beside features of 1e14 is rounding of y itself.
    assert found.least_norm.loss == pytest.approx(minimum, rel=0.02 if minimum < 1e-20 else 1e-13)
    if standardize:
        # Of one feature: λ = 2n twice.
        assert found.spectrum.eigenvalues == pytest.approx([2 * n_samples] * 2, rel=1e-14)
    else:
        assert found.spectrum.eigenvalues[-1] == pytest.approx(lambda_min, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_certified_polynomial_of_degree_10(count):
    """NIST's Filip: its residual sum of squares is 7.95851382172941e-4."""
    config = in_blocks(Table(str(CASES / "nist_filip.csv"), "y"), count, 82)
    found = Objective(make(config, 0, 0), "qr")
    assert found.spectrum.rank == 11
    # Its columns, scaled to one size, have a condition number of 5e9.
    assert found.least_norm.loss == pytest.approx(7.95851382172941e-4, rel=5e9 * 2**-53)


def test_what_is_drawn_does_not_depend_on_the_blocks():
    problem = Gaussian(3 * CHUNK - 5, 3)
    X, y = np.empty(make(problem, 1, 0).X.shape), np.empty(problem.n_samples)
    for start, stop in [(0, 10), (10, CHUNK + 7), (CHUNK + 7, 2 * CHUNK), (2 * CHUNK, len(y))]:
        rows_of(problem, 1, 0).fill(start, stop, X[start:stop], y[start:stop])
    assert (make(problem, 1, 0).X == X).all()
    assert (make(problem, 1, 0).y == y).all()


@pytest.mark.parametrize("count", [*range(1, 6)])
def test_a_tree_has_the_same_bytes_in_every_order(count):
    generator = np.random.default_rng(count)
    parts = [triangle_of(generator.standard_normal((9, 4))) for _ in range(count)]
    found = set()
    for order in permutations(range(count)):
        tree = Tree(count, joined)
        for place, number in enumerate(order):
            assert tree.root is None
            assert [block for block in range(count) if tree.lacks(block)] == sorted(order[place:])
            tree.add((0, number), parts[number])
        found.add(tree.root.tobytes())
        assert len(tree.kept) == 1
    assert len(found) == 1
    R = np.frombuffer(found.pop()).reshape(4, 4)
    all_rows = np.vstack(parts)
    assert pytest.approx(all_rows.T @ all_rows, rel=1e-13, abs=1e-13) == R.T @ R


def test_a_block_with_fewer_rows_than_columns_has_a_square_triangle():
    block = np.arange(6.0).reshape(2, 3)
    R = triangle_of(block)
    assert R.shape == (3, 3)
    assert pytest.approx(block.T @ block, rel=1e-14) == R.T @ R


def test_a_default_block_holds_32_mebibytes():
    assert block_ends(Gaussian(10**6, 50))[0] == (0, 2**22 // 51)
    # But at least four times as many rows as columns.
    assert block_ends(Gaussian(10**5, 2000))[0] == (0, 4 * 2001)
