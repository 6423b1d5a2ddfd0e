"""What is true of every problem and every legal step, on random ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdconv.config import (
    Correlated,
    Csv,
    Eigenvector,
    Gaussian,
    GradientDescent,
    Normal,
    Polynomial,
    Prescribed,
    Record,
    RunConfig,
    Step,
    Zeros,
    expand,
)
from gdconv.descent import descend
from gdconv.objective import Objective
from gdconv.problems import LeastSquares, make
from gdconv.recorder import Recorder
from gdconv.study import run_group
from gdconv.sweep import run_study
from gdconv.tables import encode
from gdconv.theory import Theory

ITERATIONS = 200
# Of two numbers that are computed in two ways, some dozens of roundings each.
ROUNDING = 1e-13

samples, features = st.integers(1, 30), st.integers(1, 12)
noises = st.just(0.0) | st.floats(1e-3, 10.0)
DRAWN = st.one_of(
    st.builds(Gaussian, samples, features, noises, st.floats(-100.0, 100.0)),
    st.builds(Correlated, samples, features, noises, st.floats(-0.999, 0.999)),
    st.builds(
        Prescribed,
        samples,
        features,
        noises,
        st.floats(0.0, 12.0).map(lambda exponent: 10.0**exponent),
        st.sampled_from(["linear", "geometric", "power", "two_point"]),
    ),
    st.builds(Polynomial, samples, st.integers(0, 8), noises),
)
STARTS = st.one_of(
    st.builds(Zeros),
    st.builds(Normal, st.floats(1e-3, 1e3)),
    st.builds(Eigenvector, st.sampled_from(["max", "min"]), st.floats(1e-3, 1e3)),
)
STEPS = st.builds(
    Step,
    st.sampled_from(["lambda_max", "optimal", "absolute", "K"]),
    st.lists(st.floats(0.01, 2.5) | st.floats(1e-100, 1e100), min_size=1, max_size=5),
)


@pytest.fixture(scope="module")
def table_path(tmp_path_factory):
    """A path that is always the same, so that nothing but the content tells tables apart."""
    return tmp_path_factory.mktemp("tables") / "table.csv"


@st.composite
def tables(draw):
    """Draw the text of a table of numbers of all sizes, some of its columns constant."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(2, 20)), draw(st.integers(1, 5))
    scales = 10.0 ** np.array(draw(st.lists(st.integers(-3, 3), min_size=columns, max_size=columns)))
    table = scales * (rng.integers(0, 3, columns) + rng.integers(-5, 6, (rows, columns)))
    lines = [",".join(map(repr, row)) for row in table.tolist()]
    return "\n".join([",".join("abcde"[: columns - 1] + "y"), *lines]) + "\n"


@st.composite
def configs(draw, path, **fixed):
    problem = draw(DRAWN | tables())
    if isinstance(problem, str):
        path.write_text(problem)
        problem = Csv(str(path), "y", draw(st.booleans()))
    keys = {"start": STARTS, "step": STEPS, "seed": st.integers(0, 2**32 - 1)} | fixed
    return RunConfig(problem, **{key: draw(value) for key, value in keys.items()})
