"""The errata as an experiment: measured thresholds against theory, and the figure."""

import numpy as np
import pytest

from gdconv import figures
from gdconv.cli import logspace
from gdconv.config import Eigenvector, Gaussian, GradientDescent, RunConfig, Step, Zeros
from gdconv.panels import EDGE
from gdconv.sweep import run_study

STEPS = logspace(-0.30103, 1.30103, 49)


def study(steps):
    return run_study(
        [
            RunConfig(
                Gaussian(n_samples=60, n_features=20),
                start=start,
                method=GradientDescent(iterations=400),
                step=Step(value=steps),
            )
            for start in (Zeros(), Eigenvector())
        ]
    )


@pytest.fixture(scope="module")
def tables():
    return study(STEPS)


def between(values, chosen):
    """The last value chosen and the first one not: a threshold lies between them."""
    order = np.argsort(values)
    values, chosen = values[order], chosen[order]
    assert (np.diff(chosen.astype(int)) <= 0).all()
    return values[chosen].max(), values[~chosen].min()


@pytest.mark.parametrize("start", ["zeros", "eigenvector"])
def test_runs_diverge_up_to_half_of_lambda_max(tables, start):
    runs = tables.runs[tables.runs.start == start]
    within = (runs.K / runs.lambda_max).to_numpy()
    last, first = between(within, (runs.status == "diverged").to_numpy())
    # On the edge itself, 1/2, the error along v_max neither shrinks nor grows.
    assert last < 1 / EDGE <= first
    assert first / last == pytest.approx((STEPS[-1] / STEPS[0]) ** (1 / 48), rel=1e-9)


def test_the_bound_as_stated_is_broken_up_to_the_mean_of_lambda_min_and_lambda_max(tables):
    runs = tables.runs[tables.runs.start == "eigenvector"]
    within = (runs.K / runs.lambda_max).to_numpy()
    broken = ~runs.bound_as_stated_holds.to_numpy(dtype=bool)
    last, first = between(within, broken)
    threshold = (1 + runs.lambda_min.iloc[0] / runs.lambda_max.iloc[0]) / 2
    assert last < threshold < first
    assert runs.bound_holds.all()
    # From other starts it may hold for longer, but not beyond.
    others = tables.runs[tables.runs.start == "zeros"]
    assert others.bound_as_stated_holds[others.K / others.lambda_max > threshold].all()


def test_the_figure_has_a_panel_a_start_with_every_run(tables):
    drawn, _ = figures.draw(tables)
    axes = drawn["errata"].axes
    assert len(axes) == 2
    for ax in axes:
        shown = [len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
        assert sum(shown) == 49
        assert ax.get_xlim()[0] < 0.05 < 2 < ax.get_xlim()[1]


def test_the_figure_is_left_out_with_a_reason_where_steps_are_few():
    _, omitted = figures.draw(study([0.5, 1.0, 2.1]))
    assert "8 relative steps" in omitted["errata"]
