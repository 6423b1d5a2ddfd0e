"""Dates in cells: which way they are written, and the days between them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gdconv.problems.table.blocks import Cells, as_texts, days
from gdconv.problems.table.survey import MISSING

# A date that begins with the year, and one that ends with it.
_YEAR_FIRST = r"\d{4}(?:[-/.]?\d{1,2}(?:[-/.]?\d{1,2})?)?(?:[T ].*)?"
_YEAR_LAST = r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{2,4})(?:[T ,].*)?"
_LIKE_A_DATE = re.compile(
    rf"\d{{4}}[-/.]\d{{1,2}}([-/.]\d{{1,2}})?([T ].*)?|{_YEAR_LAST}", re.ASCII
)


def is_like(text: str) -> bool:
    """Whether a text is written like a date."""
    return bool(_LIKE_A_DATE.fullmatch(text))


def are_dates(numbers: np.ndarray) -> bool:
    """Whether numbers may be years, as 2024, or dates, as 20240131."""
    whole = bool((numbers == np.floor(numbers)).all())
    years = bool(((numbers >= 1000) & (numbers < 10**4)).all())
    return whole and (years or bool(((numbers >= 10**7) & (numbers < 10**8)).all()))


def order(texts: np.ndarray) -> tuple[int, int]:
    """Return the largest first and the largest second number of dates that end with the year.

    Both are 0 if there are none. In dates with points, as 31.12.2020, the day stands first.
    """
    import pandas as pd

    parts = pd.Series(texts, dtype=object).astype(str).str.extract(f"^{_YEAR_LAST}$")
    parts = parts.dropna()
    if parts.empty:
        return 0, 0
    if (parts[1] == ".").all():
        return 31, 12
    return int(parts[0].astype(int).max()), int(parts[2].astype(int).max())


def in_days(cells: Cells, day_first: bool) -> Cells:
    """Return dates as days since 1970; nan where a cell is none."""
    import pandas as pd

    if cells.dated:
        return cells
    texts = pd.Series(as_texts(cells), dtype=object).astype(str)
    texts = texts.mask(texts.isin(MISSING))
    options: dict[str, Any] = {"format": "mixed", "dayfirst": day_first}
    if texts.dropna().str.fullmatch(_YEAR_FIRST).all():
        texts, options = texts.str.replace(r"^(\d{4})[/.]", r"\1-", regex=True), {}
        texts = texts.str.replace(r"^(\d{4}-\d{1,2})[/.]", r"\1-", regex=True)
        options["format"] = "ISO8601"
    dates = pd.to_datetime(texts, errors="coerce", utc=True, **options)
    return Cells(days(dates.dt.tz_convert(None)), as_texts(cells))
