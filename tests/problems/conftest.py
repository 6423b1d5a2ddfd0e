"""What tests of tables share: a table as a DataFrame, read whole or in pieces."""

import numpy as np
import pandas as pd
import pytest

from gdconv.problems.table import large, reading
from gdconv.problems.table.files import arrow, text

N = 400


@pytest.fixture
def frame():
    rng = np.random.default_rng(8)
    days = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 900, N), unit="D")
    found = pd.DataFrame(
        {
            "a": rng.standard_normal(N) + 1e9,
            "colour": rng.choice(["red", "green, blue", 'a "b"\nc'], N),
            "day": days.strftime("%Y-%m-%d"),
            "gap": np.where(rng.random(N) < 0.1, np.nan, rng.standard_normal(N)),
            "whole": rng.integers(0, 50, N),
        }
    )
    return found.assign(y=found.a - 1e9 + 0.1 * found.whole + rng.standard_normal(N))


@pytest.fixture
def small(monkeypatch):
    """Read pieces of 2,000 bytes, or 300 cells, and keep no table."""
    reading._read.cache_clear()
    reading._FACTS.clear()
    monkeypatch.setattr(text, "BYTES", 2000)
    monkeypatch.setattr(arrow, "CELLS", 300)
    monkeypatch.setattr(large, "KEPT", 100)
    yield
    reading._read.cache_clear()
    reading._FACTS.clear()
