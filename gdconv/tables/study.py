"""A study in memory, and the folder that a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.config.rules import ConfigError, shown
from gdconv.config.sections import StudyConfig

if TYPE_CHECKING:
    import pandas as pd

# What shows tables is in a higher room, so `gdconv` gives its functions here: html, draw.
VIEWS: dict[str, Callable[..., Any]] = {}


class Tables(NamedTuple):
    """The tables of a study as DataFrames, with the columns and types of COLUMNS.

    runs has one more column, `file`, with the names that the problem's file had, such as "a.csv" or
    "a.csv = b.csv"; NA without a file, or if no name is known.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame
    eigenvalues: pd.DataFrame
    coefficients: pd.DataFrame
    moments: pd.DataFrame


def path_of(key: str, given: str | PathLike[str]) -> Path:
    """Return a folder that was given from Python as a path; its home may be written as ~.

    Raises
    ------
    ConfigError
        If it is no path.
    """
    if not isinstance(given, str | PathLike):
        raise ConfigError(key, shown(given), "must be the path of a folder")
    return Path(given).expanduser()


def found(folder: Path) -> Path:
    """Return a study's folder; a name that is no folder here may be one of the folder results."""
    if folder.exists() or folder.name != str(folder):
        return folder
    usual = Path(StudyConfig().results_dir) / folder
    return usual if usual.is_dir() else folder
