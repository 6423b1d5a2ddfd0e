"""A column of a block: its cells as numbers, as dates and as texts."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

# What programs write where a cell is missing: in any column, and in a column of numbers.
MISSING = {"", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NULL", "null", "NaT", "?"}
AMONG_NUMBERS = MISSING | {"None", "none", ".", "-"}
# Beyond this, not every whole number is a float.
WHOLE = 2.0**53

# Other kinds of space are part of a text.
_SPACE = " \t\r\n\v\f"
# A date that begins with the year, and one that ends with it.
_YEAR_FIRST = r"\d{4}(?:[-/.]?\d{1,2}(?:[-/.]?\d{1,2})?)?(?:[T ].*)?"
_YEAR_LAST = r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{2,4})(?:[T ,].*)?"
_HAS_YEAR = re.compile(rf".*\d{{4}}.*|{_YEAR_LAST}", re.ASCII)
_LIKE_A_DATE = re.compile(
    rf"\d{{4}}[-/.]\d{{1,2}}([-/.]\d{{1,2}})?([T ].*)?|{_YEAR_LAST}", re.ASCII
)


class Cells(NamedTuple):
    """A column of a block: as numbers, or as dates, and as texts where these may differ.

    Attributes
    ----------
    numbers : ndarray of float
        nan where a cell is none; dates are days since 1970.
    texts : ndarray of str, or None
        The cells as they are written, empty where one is missing; None if all are numbers.
    dated : bool
        Whether the file says that the cells are dates.
    """

    numbers: np.ndarray
    texts: np.ndarray | None = None
    dated: bool = False


def cells_of(series: Any) -> Cells:
    """Return a column of a DataFrame as `Cells`."""
    import pandas as pd

    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return cells_of(series.astype(kind.categories.dtype))
    if pd.api.types.is_datetime64_any_dtype(kind):
        naive = series.dt.tz_convert(None) if getattr(kind, "tz", None) else series
        return Cells(days(naive), _texts(series), dated=True)
    if pd.api.types.is_bool_dtype(kind) or not pd.api.types.is_numeric_dtype(kind):
        texts = _texts(series)
        numbers = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(float)
        return Cells(numbers, texts)
    if pd.api.types.is_complex_dtype(kind):
        return Cells(np.full(len(series), np.nan), _texts(series))
    numbers = series.to_numpy(dtype=float, na_value=np.nan)
    whole = pd.api.types.is_integer_dtype(kind)
    if np.isfinite(numbers).all() and not (whole and (np.abs(numbers) >= WHOLE).any()):
        return Cells(numbers)
    texts = _texts(series)
    texts[np.isnan(numbers)] = ""
    return Cells(numbers, texts)


def as_texts(cells: Cells) -> np.ndarray:
    """Return a column as texts."""
    if cells.texts is not None:
        return cells.texts
    return np.array([f"{number:.17g}" for number in cells.numbers.tolist()], dtype=object)


def days(dates: Any) -> np.ndarray:
    """Return dates without a time zone as days since 1970, nan where one is missing."""
    since = dates.to_numpy().astype("datetime64[us]")
    found = since.astype(np.int64) / 86_400_000_000
    found[np.isnat(since)] = np.nan
    return found


def _texts(series: Any) -> np.ndarray:
    import pandas as pd

    texts = series.astype(object).to_numpy(copy=True)
    texts[pd.isna(series).to_numpy()] = ""
    return np.array([str(cell).strip(_SPACE) for cell in texts], dtype=object)


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
    # Without a year, pandas would take that of today.
    has_year = texts.map(lambda text: bool(_HAS_YEAR.fullmatch(text)), na_action="ignore")
    texts = texts.where(has_year.fillna(True).astype(bool))
    options: dict[str, Any] = {"format": "mixed", "dayfirst": day_first}
    if texts.dropna().str.fullmatch(_YEAR_FIRST).all():
        texts, options = texts.str.replace(r"^(\d{4})[/.]", r"\1-", regex=True), {}
        texts = texts.str.replace(r"^(\d{4}-\d{1,2})[/.]", r"\1-", regex=True)
        options["format"] = "ISO8601"
    dates = pd.to_datetime(texts, errors="coerce", utc=True, **options)
    return Cells(days(dates.dt.tz_convert(None)), as_texts(cells))
