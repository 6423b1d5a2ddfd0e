"""Problem families: X and y are distributed as documented, and tables become problems."""

from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.linalg

from gdconv.config.problems import Correlated, Gaussian, Polynomial, Prescribed, Table
from gdconv.config.rules import ConfigError
from gdconv.problems.families import make, notices, problem_identity, profile, standardized

DIABETES = Path(__file__).parents[1] / "data" / "diabetes.csv"


def test_gaussian_has_the_moments_it_says():
    problem = make(Gaussian(n_samples=20_000, n_features=5, feature_mean=2.0, noise=0.5), 0, 0)
    features = problem.X[:, :-1]
    # Standard errors of 20,000 draws: 0.007 of a mean, 0.005 of a deviation; five of them.
    assert features.mean(axis=0) == pytest.approx(np.full(4, 2.0), abs=0.036)
    assert features.std(axis=0) == pytest.approx(np.ones(4), abs=0.025)
    assert (problem.X[:, -1] == 1).all()
    residual = problem.y - problem.X @ np.linalg.lstsq(problem.X, problem.y)[0]
    assert residual.std() == pytest.approx(0.5, abs=0.013)


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.6])
def test_correlated_has_the_covariance_it_says(correlation):
    draws = 20_000
    X = make(Correlated(draws, 6, correlation=correlation), 0, 0).X
    lags = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    # The standard error of a covariance is at most √(2 / draws): five of them.
    assert X[:, :-1].T @ X[:, :-1] / draws == pytest.approx(
        np.where(lags == 0, 1.0, correlation**lags), abs=5 * np.sqrt(2 / draws)
    )
    assert (X[:, -1] == 1).all()


@pytest.mark.parametrize("name", ["linear", "geometric", "power", "two_point"])
@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 9), (300, 2), (1, 4), (5, 1)])
@pytest.mark.parametrize("condition_number", [1.0, 30.0, 1e12])
def test_the_spectrum_is_the_prescribed_one(name, shape, condition_number):
    problem = Prescribed(*shape, condition_number=condition_number, profile=name)
    k, kappa = min(shape), condition_number
    i, last = np.arange(k), max(k - 1, 1)
    expected = {
        "linear": 1 - i / last * (1 - 1 / kappa),
        "geometric": kappa ** -(i / last),
        "power": (i + 1.0) ** -(np.log(kappa) / np.log(max(k, 2))),
        "two_point": np.where(2 * i < k, 1, 1 / kappa),
    }[name]
    found = 2 * scipy.linalg.svdvals(make(problem, 0, 0).X) ** 2
    # Singular values are right to a few eps of the largest, and squared that is √kappa of relative
    # error: 1e-9 for 1e12.
    tolerance = 100 * np.finfo(float).eps * np.sqrt(kappa)
    assert found == pytest.approx(2 * shape[0] * expected, rel=tolerance)


def test_a_condition_number_of_1e12_in_high_precision():
    problem = make(Prescribed(20, 6, condition_number=1e12), 0, 0)
    with mpmath.workdps(50):
        X = mpmath.matrix(problem.X.tolist())
        smallest = min(mpmath.eigsy(2 * X.T * X, eigvals_only=True))
    assert float(smallest) == pytest.approx(40 / 1e12, rel=1e-8)


def test_random_directions_have_random_signs():
    signs = {float(np.sign(make(Prescribed(1, 1), seed, 0).X[0, 0])) for seed in range(20)}
    assert signs == {-1.0, 1.0}


def test_random_directions_are_uniform():
    """The mean of vvᵀ over all directions is I / d; sign and order carry no information."""
    draws = 2000
    first = np.array(
        [make(Prescribed(1, 3, condition_number=1.0), seed, 0).X[0] for seed in range(draws)]
    )
    # Entries of vvᵀ vary by less than 0.3 about their means.
    assert first.T @ first / draws == pytest.approx(np.eye(3) / 3, abs=5 * 0.3 / np.sqrt(draws))
    assert first.mean(axis=0) == pytest.approx(np.zeros(3), abs=5 / np.sqrt(3 * draws))


def test_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="linear, geometric, power, two_point or strakos"):
        profile("bogus", 10.0, 3)


def test_polynomial_has_the_powers_of_points():
    problem = make(Polynomial(n_samples=500, degree=4, noise=0.0), 0, 0)
    points = problem.X[:, -2]
    powers = points[:, None] ** np.array([4, 3, 2, 1, 0])
    assert powers == pytest.approx(problem.X, rel=1e-15)
    assert (problem.X[:, -1] == 1).all()
    # Uniform on [−1, 1]: mean 0, variance 1/3; five standard errors.
    assert np.abs(points).max() <= 1
    assert points.mean() == pytest.approx(0, abs=5 * np.sqrt(1 / 3 / 500))
    assert points.var() == pytest.approx(1 / 3, abs=5 * 0.3 / np.sqrt(500))


@pytest.mark.parametrize("config", [Correlated, Prescribed, Polynomial])
def test_target_is_linear_plus_noise(config):
    problem = make(config(n_samples=5000, noise=0.5), 0, 0)
    residual = problem.y - problem.X @ np.linalg.lstsq(problem.X, problem.y)[0]
    # Standard error of the deviation of 5000 draws: 1 %.
    assert residual.std() == pytest.approx(0.5, rel=0.05)
    exact = make(config(n_samples=50, noise=0.0), 0, 0)
    residual = exact.y - exact.X @ np.linalg.lstsq(exact.X, exact.y)[0]
    assert residual == pytest.approx(np.zeros(50), abs=1e-12)


def test_draws_depend_on_seed_and_repetition_alone():
    config = Gaussian(n_samples=10, n_features=3)
    first = make(config, 0, 0)
    assert (make(config, 0, 0).X == first.X).all()
    assert (make(config, 0, 0).y == first.y).all()
    assert (make(config, 0, 1).X[:, 0] != first.X[:, 0]).all()
    assert (make(config, 1, 0).X[:, 0] != first.X[:, 0]).all()


def test_many_rows_are_drawn_in_chunks_with_random_numbers_of_their_own():
    """The coefficients follow the features of the first chunk."""
    parts, noise, w = [], [], np.empty(0)
    for number, count in enumerate([8192, 8192, 3616]):
        key = (1, 0, number) if number else (1, 0)
        generator = np.random.default_rng(np.random.SeedSequence(3, spawn_key=key))
        parts.append(2.0 + generator.standard_normal((count, 4)))
        w = w if number else generator.standard_normal(5)
        noise.append(generator.standard_normal(count))
    problem = make(Gaussian(20_000, 5, feature_mean=2.0, noise=0.5), 3, 1)
    assert (problem.X[:, :-1] == np.vstack(parts)).all()
    assert (problem.X[:, -1] == 1).all()
    # A sum of five numbers, whose order a BLAS may choose.
    assert np.abs(problem.y - (problem.X @ w + 0.5 * np.hstack(noise))).max() <= 1e-13


def test_repetitions_are_spawned_from_the_seed():
    config = Gaussian(n_samples=4, n_features=2)
    spawned = np.random.SeedSequence(7).spawn(3)[2].spawn(1)[0]
    expected = np.random.default_rng(spawned).standard_normal((4, 1))
    assert (make(config, 7, 2).X[:, :1] == expected).all()


def test_csv_is_the_table_with_a_column_of_ones():
    table = np.loadtxt(DIABETES, delimiter=",", skiprows=1)
    problem = make(Table(path=str(DIABETES), target="progression"), 0, 0)
    assert problem.X.shape == (442, 11)
    assert (problem.X[:, :-1] == table[:, :-1]).all()
    assert (problem.X[:, -1] == 1).all()
    assert (problem.y == table[:, -1]).all()


def test_standardized_features():
    problem = make(Table(path=str(DIABETES), target="progression", standardize=True), 0, 0)
    features = problem.X[:, :-1]
    assert features.mean(axis=0) == pytest.approx(np.zeros(10), abs=1e-13)
    assert features.std(axis=0) == pytest.approx(np.ones(10), rel=1e-13)


def test_any_column_can_be_the_target(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y,b\n1,2,3\n4,5,6\n")
    problem = make(Table(path=str(path), target="y"), 0, 0)
    assert problem.X.tolist() == [[1, 3, 1], [4, 6, 1]]
    assert problem.y.tolist() == [2, 5]


def test_a_constant_feature_standardizes_to_zero(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n0.1,1,1\n0.1,2,2\n0.1,4,3\n")
    problem = make(Table(path=str(path), target="y", standardize=True), 0, 0)
    assert problem.X[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(3, 20), (20_000, 11)])
def test_columns_are_standardized_alone_or_together(shape):
    table = 1e3 + np.random.default_rng(0).standard_normal(shape)
    alone = [standardized(table[:, [j]].copy())[:, 0] for j in range(shape[1])]
    # Sums of squares are added up in blocks of rows, whose height depends on the columns.
    assert np.abs(standardized(table.copy()) - np.column_stack(alone)).max() <= 1e-14


def test_identity_is_the_content_not_the_path(tmp_path):
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    for path in (here, there):
        path.write_text("a,y\n1,2\n3,4\n")
    same = [problem_identity(Table(path=str(path), target="y")) for path in (here, there)]
    assert same[0] == same[1]
    there.write_text("a,y\n1,2\n3,5\n3,6\n")
    assert problem_identity(Table(path=str(there), target="y")) != same[0]


@pytest.mark.parametrize("name", ["NA", "nan", "null", "a,b", "größe (∂)", "1"])
def test_a_target_of_any_name(tmp_path, name):
    path = tmp_path / "t.csv"
    path.write_text(f'x,"{name}"\n1,2\n3,4\n')
    assert make(Table(path=str(path), target=name), 0, 0).y.tolist() == [2, 4]


@pytest.mark.parametrize("target", [2021, 0.5, " 2021 ", "0.5"])
def test_a_target_that_hydra_reads_as_a_number_is_a_name(tmp_path, target):
    path = tmp_path / "t.csv"
    path.write_text("2021,0.5\n1,2\n3,4\n")
    problem = Table(path=str(path), target=target)
    assert problem == Table(path=str(path), target=str(target).strip())
    assert make(problem, 0, 0).y.tolist() == ([2, 4] if "0.5" in str(target) else [1, 3])


def test_names_that_are_numbers_are_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("2019,2020,2021\n1,2,3\n2,3,5\n")
    problems = [Table(path=str(path), target=target) for target in (2020, 2021)]
    assert notices(problems) == [f"{path}: its first line names the columns: 2019, 2020, 2021"]


def test_no_line_of_names_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,2\n3,4\n5,6\n")
    message = refusal(Table(path=str(path), target="y"))
    assert message.startswith(
        f"problem.path={path}: must begin with a line of column names, begins"
    )
    assert message.endswith(
        "with 1, 2; numbers are accepted as names if problem.target is one of them, and with"
        " problem.header=false the columns are called x1 to x2"
    )


@pytest.mark.parametrize(
    ("names", "target", "said"),
    [
        ("a,z", "y", "a, z"),
        ("x,Mass (kg)", "mass", "x, Mass (kg); type 'problem.target=\"Mass (kg)\"'"),
        (
            'x,"Smith, J"',
            "Smith",
            'x, "Smith, J"; type \'problem.target="Smith, J"\'',
        ),
        ("x,a\x1b[31m", "y", r"x, a\x1b[31m"),
    ],
)
def test_a_target_that_is_no_column_is_refused(tmp_path, names, target, said):
    path = tmp_path / "t.csv"
    path.write_text(f"{names}\n1,2\n3,4\n")
    message = refusal(Table(path=str(path), target=target))
    assert message == f"problem.target={target}: must be a column of {path}: {said}"


@pytest.mark.parametrize(("name", "target"), [("1.50", 1.5), ("1_000", 1000), ("1e3", 1000.0)])
def test_a_name_that_hydra_reads_as_a_number_is_a_name(tmp_path, name, target):
    path = tmp_path / "t.csv"
    path.write_text(f"x,{name}\n1,2\n3,4\n")
    assert make(Table(str(path), target), 0, 0).y.tolist() == [2, 4]
    assert make(Table(str(path), "x", drop=[target]), 0, 0).X.tolist() == [[1], [1]]


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_are_refused(tmp_path, rows):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "1,2\n" * rows)
    assert refusal(Table(path=str(path), target="y")).endswith(
        f"at least 2 rows of data, has {rows}"
    )


@pytest.mark.slow
def test_ten_thousand_columns(tmp_path):
    names = [f"a{i}" for i in range(10_000)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([",".join(names), *[",".join("1234567890" * 1000)] * 2]) + "\n")
    assert make(Table(path=str(path), target="a9"), 0, 0).X.shape == (2, 10_000)
    message = refusal(Table(path=str(path), target="y"))
    assert message.startswith(f"problem.target=y: must be a column of {path}: a0, a1, ")
    assert message.endswith("...")


def refusal(problem):
    with pytest.raises(ConfigError) as caught:
        make(problem, 0, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CLOCK = 4155915253.0 + 225.0 * np.arange(60) + np.arange(60) ** 2 % 13


@pytest.mark.parametrize(
    "column",
    [
        CLOCK,
        CLOCK * 2.0**20,
        np.array([1.7e308, -1.7e308, 0.0]),
        np.array([5e-324, 1e-323, 0.0]),
        1e-300 * np.arange(9.0) ** 2,
        1e300 * np.arange(9.0) ** 2,
        np.array([1.0, 1.0, 1 + 2.0**-52]),
    ],
    ids=["clock ticks", "finer ticks", "largest", "smallest", "tiny", "huge", "one digit"],
)
def test_standardizing_in_high_precision(column):
    found = standardized(np.column_stack([column, np.ones(len(column))]))
    with mpmath.workdps(400):
        numbers = [mpmath.mpf(each) for each in column.tolist()]
        mean = sum(numbers) / len(numbers)
        deviation = mpmath.sqrt(sum((each - mean) ** 2 for each in numbers) / len(numbers))
        exact = [float((each - mean) / deviation) for each in numbers]
    # The rounding of a number, of what is left of the mean, and of a square root and a quotient.
    eps = np.finfo(float).eps
    assert found[:, 0] == pytest.approx(exact, rel=4 * eps, abs=2 * eps)
    assert (found[:, 1] == 0).all()


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_a_feature_whose_squares_are_no_floats_is_named(tmp_path, size):
    path = tmp_path / "t.csv"
    path.write_text("a,y,b,zero\n" + "".join(f"{i},{i * i},{i * size!r},0\n" for i in range(4)))
    message = refusal(Table(str(path), "y", standardize=False))
    assert message == (
        f"problem.path={path}: must have features whose squares fit into floats: b has numbers up"
        f" to {3 * size:.3g}; scale it, or give problem.standardize=true"
    )
    # As it is told to, and the target may be of any size.
    found = make(Table(str(path), "y", standardize=True), 0, 0).X
    assert found[:, 1] == pytest.approx(found[:, 0], rel=1e-14)
    assert make(Table(str(path), "b", standardize=True), 0, 0).y.tolist() == [
        i * size for i in range(4)
    ]
