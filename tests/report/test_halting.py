"""The figure of halting times: its clouds, its lines, and the draws on which a method diverges."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv import Gaussian, GradientDescent, HeavyBall, Prescribed, RunConfig, Step, run_study

sys.path.insert(0, str(Path(__file__).parent))
from panels import drawn_of, lines, omitted_of, panels

SIZES = (8, 16, 32)
DRAWS = 6


@pytest.fixture(scope="module")
def tables():
    """With d = 8 some draws diverge."""
    methods = (
        GradientDescent(iterations=300),
        HeavyBall(first_step="averaged", tuned_to="edges", iterations=300),
    )
    return run_study(
        [
            RunConfig(Gaussian(2 * d, d), method=method, step=Step("optimal"), repetitions=DRAWS)
            for d in SIZES
            for method in methods
        ]
    )


def of(tables, method, d):
    runs = tables.runs[(tables.runs.method == method) & (tables.runs.n_features == d)]
    return runs.sort_values("repetition")


def test_a_cloud_has_all_draws_in_their_order_and_lines_the_tables_numbers(tables):
    figure = drawn_of(tables, "halting")
    (ax,) = panels(figure)
    assert ax.get_title() == "$d/n$ = 0.5"
    assert "6 draws" in figure.get_suptitle()
    for method, name in (("gradient_descent", "gradient descent"), ("heavy_ball", "heavy ball")):
        clouds = lines(ax, f"draws, {name}")
        assert len(clouds) == len(SIZES)
        for cloud, d in zip(clouds, SIZES, strict=True):
            runs = of(tables, method, d)
            fine = runs[runs.stable]["iterations_to_tolerance"].dropna()
            x, y = cloud.get_data()
            assert y[y < 350].tolist() == fine[fine < 350].tolist()
            assert (np.diff(x) > 0).all()
            # Next to their dimension, and not next to another one.
            assert (np.abs(np.log2(x / d)) < 0.5).all()
        for label, column in (("limit", "average"), ("worst case", "predicted")):
            (line,) = lines(ax, f"{label}, {name}")
            medians = [of(tables, method, d)[f"iterations_{column}"].median() for d in SIZES]
            assert line.get_xdata().tolist() == list(SIZES)
            assert line.get_ydata() == pytest.approx(medians)


def test_draws_that_diverge_are_crosses_and_counted(tables):
    (ax,) = panels(drawn_of(tables, "halting"))
    bad = {d: int((~of(tables, "heavy_ball", d).stable).sum()) for d in SIZES}
    assert sum(bad.values()) > 0
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    found = [len(line.get_xdata()) for line in crosses]
    assert found == [count for count in bad.values() if count]
    texts = [text.get_text() for text in ax.texts]
    assert texts == [f"{count} of {DRAWS}" for count in bad.values() if count]


def test_few_draws_one_size_or_another_family_are_not_shown(tables):
    for kept in (tables.runs.n_features == 8, tables.runs.repetition < 2):
        assert "3 draws" in omitted_of(tables._replace(runs=tables.runs[kept]), "halting")
    other = run_study([RunConfig(Prescribed(2 * d, d), repetitions=3) for d in (4, 8)])
    assert "iterations_average" in omitted_of(other, "halting")


def test_problems_with_another_ratio_have_their_own_panel(tables):
    wide = run_study([RunConfig(Gaussian(d, 2 * d), repetitions=3) for d in (4, 8)])
    both = [pd.concat(parts, ignore_index=True) for parts in zip(tables, wide, strict=True)]
    both = type(tables)(*both)
    assert [ax.get_title() for ax in panels(drawn_of(both, "halting"))] == [
        "$d/n$ = 0.5",
        "$d/n$ = 2",
    ]
