"""`Tables`: what a notebook shows of them, and what they give without a merge by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from gdconv import (
    Gaussian,
    GradientDescent,
    HeavyBall,
    Record,
    RunConfig,
    Step,
    Table,
    read,
    run_study,
)
from gdconv.config.rules import ConfigError
from gdconv.report.summary import counts, summary

# The first one reaches its rounding floor, the last one diverges, each with a last iteration of its
# own; the others are cut.
STEPS = (1.0, 0.1, 0.05, 2.3)


def several():
    method = GradientDescent(iterations=300)
    return [
        RunConfig(Gaussian(40, d), method=method, step=Step(value=STEPS), seed=[0, 7])
        for d in (3, 6)
    ]


@pytest.fixture(scope="module")
def tables():
    return run_study(several())


def test_its_text_is_one_line(tables):
    rows = f"curves {len(tables.curves)} rows, eigenvalues 18 rows"
    assert repr(tables) == str(tables) == f"<Tables: 16 runs ({ended(tables)}), {rows}>"
    assert repr(run_study([])) == "<Tables: 0 runs>"
    assert repr(tables.where(tables.runs.index == 0)).startswith("<Tables: 1 run (")


def ended(tables):
    return counts(tables.runs).partition(": ")[2]


def cells_of(html):
    """The cells of the first table, by an independent reader of HTML."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_a_notebook_shows_the_rows_that_the_terminal_prints(tables, tmp_path):
    shown = cells_of(tables._repr_html_())
    printed = summary(tmp_path, tables.runs).splitlines()
    assert len(shown) == 1 + 2
    # The last lines are the rows; two lines of headings stand above them.
    assert shown[1:] == [line.split() for line in printed[-2:]]
    for heading in shown[0]:
        assert set(heading.split()) <= set(" ".join(printed[1:3]).split())


def test_of_one_run_a_notebook_shows_its_numbers(tables, tmp_path):
    one = tables.where(tables.runs.index == 3)
    printed = summary(tmp_path, one.runs).splitlines()[1:]
    shown = cells_of(one._repr_html_())
    assert [" ".join(row) for row in shown] == [" ".join(line.split()) for line in printed]


def test_what_a_notebook_shows_is_escaped(tmp_path):
    path = tmp_path / "<b>&.csv"
    path.write_text("a,y\n1,2\n3,5\n4,9\n")
    table = Table(path, target="y")
    for configs in ([RunConfig(table)], [RunConfig(table), RunConfig(Gaussian(9, 2))]):
        html = run_study(configs)._repr_html_()
        assert "&lt;b&gt;&amp;.csv" in html
        assert "<b>" not in html


def test_long_summaries_are_cut(monkeypatch, tables):
    monkeypatch.setattr("gdconv.report.forms.html.MOST_ROWS", 1)
    html = tables._repr_html_()
    assert len(cells_of(html)) == 1 + 1
    assert "and 1 more rows" in html


def test_plot_draws_one_figure(tables):
    figure = tables.plot("rate_vs_step")
    assert len(figure.axes) == 2
    content, metadata = figure._repr_png_()
    assert content.startswith(b"\x89PNG")
    assert metadata == {"width": 520}
    with pytest.raises(ValueError, match=r"^noise is left out: no run has a method that draws"):
        tables.plot("noise")
    with pytest.raises(ConfigError, match=r"; did you mean convergence\?$"):
        tables.plot("convergnce")


def test_curves_have_columns_of_their_runs(tables):
    table = tables.curves_with("status", "seed", "relative_step")
    assert table.columns.tolist() == [*tables.curves.columns, "status", "seed"]
    by_hand = tables.runs.set_index("run_id")
    assert len(table) == len(tables.curves)
    for name in ("status", "seed"):
        assert table[name].tolist() == by_hand.loc[table.run_id, name].tolist()
    with pytest.raises(ConfigError, match=r"^curves_with=stauts: is no column of runs; did you"):
        tables.curves_with("stauts")
    with pytest.raises(ConfigError, match=r"^curves_with=\[status\]: is no column of runs$"):
        tables.curves_with(["status"])


def holes(table):
    """Columns in which an empty cell stands above one that is not empty."""
    return [
        name
        for name in table
        if table[name].dropna().size <= table.index.get_loc(table[name].last_valid_index())
    ]


def test_on_the_grid_no_line_is_broken(tables):
    last = tables.runs.set_index("run_id").iterations
    # Runs that end early, at iterations of their own, are what the grid is for.
    assert last.nunique() > 4
    pivots = [
        tables.curves_with("seed", grid=grid).pivot(
            index="iteration", columns=["n_features", "seed", "relative_step"], values="gap"
        )
        for grid in (False, True)
    ]
    assert holes(pivots[0])
    assert holes(pivots[1]) == []
    # Of the longest runs every iteration is kept, and of the others all but the last.
    whole = tables.curves[tables.curves.run_id.map(last) == 300]
    assert pivots[1].index.tolist() == sorted(whole.iteration.unique())
    for (d, seed, step), gap in pivots[1].items():
        runs = tables.runs
        (run,) = runs[
            (runs.n_features == d) & (runs.seed == seed) & (runs.relative_step == step)
        ].itertuples()
        own = tables.curves[tables.curves.run_id == run.run_id].set_index("iteration").gap
        kept = own if run.iterations in gap.index else own[:-1]
        pd.testing.assert_series_equal(gap.dropna(), kept, check_names=False)


def test_of_runs_of_different_length_the_common_iterations_are_kept():
    record = Record(points=10**6)
    configs = [
        RunConfig(
            Gaussian(40, 3), method=method(iterations=last), record=record, step=Step(value=s)
        )
        for method, last, s in [(GradientDescent, 20, 0.01), (HeavyBall, 30, 0.02)]
    ]
    every = run_study(configs)
    thinned = every._replace(
        curves=every.curves[(every.curves.iteration % 3 > 0) | (every.curves.relative_step < 0.015)]
    )
    kept = thinned.curves_with(grid=True)
    expected = {t for t in range(31) if t % 3 > 0}
    assert set(kept.iteration) == expected
    assert len(kept) == len(expected) + len([t for t in expected if t <= 20])


def test_where_keeps_what_belongs_to_some_runs(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,2\n3,5\n4,9\n")
    record = Record(coefficients=True)
    configs = [
        RunConfig(problem, step=Step(value=[0.5, 1.0]), record=record)
        for problem in (Table(path, target="y"), Gaussian(9, 2))
    ]
    whole = run_study(configs, folder=tmp_path / "whole")
    alone = run_study([configs[0]], folder=tmp_path / "alone")
    half = whole.where(whole.runs.problem == "table")
    for found, expected in zip(half, alone, strict=True):
        pd.testing.assert_frame_equal(found, expected)
    assert len(whole.where(whole.runs.momentum > 0).runs) == 0
    # method_options and delayed_at are empty here, so that both comparisons are, too.
    for empty in (whole.runs.method_options == "x", whole.runs.delayed_at > 0):
        assert len(whole.where(empty).runs) == 0
    for wrong in ("status", whole.runs, [True] * 4, whole.runs.status, whole.runs.stable[:2]):
        with pytest.raises(ConfigError, match=r"must be true or false for each row of runs, as"):
            whole.where(wrong)
    # It can be drawn.
    assert half.plot("convergence").axes
    assert read(tmp_path / "whole").runs.shape == whole.runs.shape


def test_the_gap_of_a_pivot_is_that_of_theory(tables):
    """(1 − ηλ)²ᵗ along each eigenvector, from eigenvalues.csv."""
    some = tables.where((tables.runs.n_features == 3) & (tables.runs.seed == 0))
    pivot = some.curves_with(grid=True).pivot(
        index="iteration", columns="relative_step", values="gap"
    )
    (run,) = some.runs[some.runs.relative_step == 0.05].itertuples()
    values, squares = some.eigenvalues[["eigenvalue", "error_component_squared"]].to_numpy().T
    t = pivot.index.to_numpy()[:, None]
    gap = np.sum(values / 2 * squares * (1 - run.step_size * values) ** (2 * t), axis=1)
    # All gaps of this run are far above their rounding floor.
    assert pivot[0.05].to_numpy() == pytest.approx(gap, rel=1e-6)
