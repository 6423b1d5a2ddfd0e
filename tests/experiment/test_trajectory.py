"""Numbers of many runs, one run after the other: what is found of each run at once."""

import numpy as np
import pytest

from gdconv.experiment import group
from gdconv.experiment.trajectory import CHOSEN, RECORDED, Trajectories

LENGTHS = (1, 4, 3, 1, 7, 2)


@pytest.fixture(params=range(20))
def values(request):
    """Numbers of all rows: some equal, some nan or infinite, and none finite in the second run."""
    rng = np.random.default_rng(request.param)
    found = rng.choice([0.1, 0.2, 0.3, 1e300, np.nan, np.inf, -np.inf], sum(LENGTHS))
    found[1:5] = np.nan
    return found


@pytest.fixture
def measured():
    column = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    t = np.concatenate([10 * np.arange(length) for length in LENGTHS])
    ends = np.cumsum(LENGTHS)
    none = dict.fromkeys((*RECORDED, *CHOSEN), np.zeros(len(t)))
    none |= dict.fromkeys(("to_tolerance", "reached_floor", "reached_ceiling"), ends)
    first = ends - LENGTHS
    rows = [slice(start, end) for start, end in zip(first, ends, strict=True)]
    return Trajectories(
        **none | {"column": column, "t": t, "rows": rows, "first": first, "last": ends - 1}
    )


def test_a_ufunc_reduces_the_rows_of_each_run(measured, values):
    largest = measured.of_runs(np.fmax, values)
    np.testing.assert_array_equal(largest, [np.fmax.reduce(values[rows]) for rows in measured.rows])
    chosen = values > 0.15
    found = measured.of_runs(np.logical_or, chosen).tolist()
    assert found == [any(chosen[rows]) for rows in measured.rows]


def test_the_first_iteration_that_is_chosen(measured, values):
    chosen = values > 0.15
    wanted = [
        next((int(t) for t, yes in zip(measured.t[rows], chosen[rows], strict=True) if yes), None)
        for rows in measured.rows
    ]
    assert measured.first_where(chosen) == wanted
    assert None in wanted
    nowhere = np.zeros(len(values), dtype=bool)
    assert measured.first_where(nowhere) == [None] * len(LENGTHS)


def test_a_table_has_a_row_for_each_run(measured):
    table = measured.table(measured.t, -1)
    assert table.shape == (len(LENGTHS), max(LENGTHS))
    for row, length in zip(table.tolist(), LENGTHS, strict=True):
        assert row == [*range(0, 10 * length, 10)] + [-1] * (max(LENGTHS) - length)


def test_medians_are_those_of_numpy(measured, values):
    finite = [values[rows][np.isfinite(values[rows])] for rows in measured.rows]
    wanted = [np.median(each) if len(each) else np.nan for each in finite]
    np.testing.assert_array_equal(group._medians(measured, values), wanted)
