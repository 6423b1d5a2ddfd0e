"""The law of Marchenko and Pastur, against integrals and eigenvalues of drawn matrices."""

import numpy as np
import pytest
from scipy.integrate import quad

from gdconv.theory import random_matrices

RATIOS = (0.02, 0.25, 0.5, 0.9, 1.0, 1.5, 4.0)


def integral(ratio, power=0):
    """∫ x^power density over its support, with x = a + (b − a) sin²: smooth at both ends."""
    low, high = random_matrices.edges(ratio)

    def smooth(angle):
        x = low + (high - low) * np.sin(angle) ** 2
        weight = (high - low) * np.sin(2 * angle)
        return x**power * float(random_matrices.density(x, ratio)) * weight

    return quad(smooth, 0, np.pi / 2, epsabs=1e-12, epsrel=1e-12)[0]


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_mass_is_one(ratio):
    # Quadrature of a smooth function: its tolerance, with a decimal to spare.
    total = integral(ratio) + random_matrices.mass_at_zero(ratio)
    assert total == pytest.approx(1, abs=1e-10)
    assert random_matrices.mass_at_zero(ratio) == pytest.approx(max(0, 1 - 1 / ratio), abs=1e-15)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_moments_are_those_of_the_trace(ratio):
    # E tr(XᵀX/n)/d = 1 and E tr((XᵀX/n)²)/d → 1 + d/n.
    assert integral(ratio, 1) == pytest.approx(1, abs=1e-10)
    assert integral(ratio, 2) == pytest.approx(1 + ratio, abs=1e-10)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_edges_are_where_the_density_ends(ratio):
    low, high = random_matrices.edges(ratio)
    assert (low, high) == pytest.approx(((1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2), abs=1e-15)
    width = high - low
    outside = [low - 1e-9 * width, high + 1e-9 * width, -1.0, 0.0]
    assert random_matrices.density(outside, ratio).tolist() == [0, 0, 0, 0]
    assert (random_matrices.density([low + 1e-6 * width, high - 1e-6 * width], ratio) > 0).all()


@pytest.mark.parametrize(("n", "d"), [(800, 200), (400, 400), (200, 500)])
def test_drawn_matrices_have_this_distribution(n, d):
    values = np.linalg.eigvalsh(np.cov(np.random.default_rng(0).standard_normal((d, n)), ddof=0))
    values = values[-min(n - 1, d) :]
    _, high = random_matrices.edges(d / n)
    for at in np.linspace(0.1, 0.9, 9) * high:
        below = quad(lambda x: float(random_matrices.density(x, d / n)), 0, at, limit=200)[0]
        # Eigenvalues repel: their counts are off by a few, not by the square root of d.
        assert np.sum(values <= at) == pytest.approx(d * below, abs=5)


@pytest.mark.parametrize(("n", "d"), [(200, 50), (200, 400), (60, 20)])
@pytest.mark.slow_where(case=lambda n: n != 60)
def test_extreme_eigenvalues_scatter_by_the_widths(n, d):
    """Tracy and Widom's law for β = 1 has the mean −1.207 and the standard deviation 1.268."""
    generator = np.random.default_rng(1)
    drawn = [generator.standard_normal((n, d)) for _ in range(200)]
    # The smaller of XᵀX and XXᵀ has all eigenvalues but zeros. The smallest loses no digit that is
    # looked at here.
    smaller = [X.T @ X if d < n else X @ X.T for X in drawn]
    squares = [np.linalg.eigvalsh(each / n)[::-1] for each in smaller]
    low, high = random_matrices.edges(d / n)
    below, above = random_matrices.edge_widths(n, d)
    largest = (np.array([values[0] for values in squares]) - high) / above
    smallest = (low - np.array([values[-1] for values in squares])) / below
    for scaled in (largest, smallest):
        # Corrections of d^(−2/3) and 200 draws leave a fifth of a standard deviation.
        assert scaled.mean() == pytest.approx(-1.207, abs=0.45)
        assert scaled.std() == pytest.approx(1.268, rel=0.25)
        assert scaled.max() < 5


def test_a_square_matrix_has_no_lower_edge():
    assert random_matrices.edge_widths(50, 50)[0] == 0
