"""What figures of methods that draw samples share."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdconv.report.curves import Shown
from gdconv.report.figures.drawing import NothingToShowError
from gdconv.report.settings import SAMPLING, options_of

# What of such a curve stands in which style; all have a value in every row or in none.
BAND = ("gap_p10", "gap_p90")


def options(run: pd.Series) -> dict[str, str]:
    """Return the options of a run's method, by name."""
    return dict(word.split("=", 1) for word in options_of(str(run["method_options"])))


def with_options(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return runs with some options of their methods as columns; NA where a method has none."""
    found = [options(run) if pd.notna(run["method_options"]) else {} for _, run in runs.iterrows()]
    columns = {name: [each.get(name, pd.NA) for each in found] for name in names}
    return runs.assign(**columns)


def of_samples(tables: Shown) -> pd.DataFrame:
    """Return the runs that draw samples and did not fail; raise NothingToShowError if none does."""
    runs = tables.runs[tables.runs["method"].isin(SAMPLING)]
    runs = runs.dropna(subset=["initial_gap"])
    if runs.empty:
        raise NothingToShowError("no run has a method that draws samples")
    return runs
