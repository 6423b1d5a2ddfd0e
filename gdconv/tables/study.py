"""A study in memory, and the folder that a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gdconv.config.rules import ConfigError, nearest, shown
from gdconv.config.sections import StudyConfig

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# The table that makes a folder a study.
RUNS = "runs.csv"
# Lists the studies of a folder, and stands beside them.
INDEX = "index.html"
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

    def __repr__(self) -> str:
        """How many runs there are with each status, and the rows of tables that are not empty."""
        counts = self.runs["status"].value_counts().sort_index().items()
        ended = ", ".join(f"{count} {status}" for status, count in counts)
        runs = f"{len(self.runs)} run{'s' * (len(self.runs) != 1)}" + f" ({ended})" * bool(ended)
        _, *others = self._asdict().items()
        rows = [f"{name} {len(table)} rows" for name, table in others if len(table)]
        return f"<Tables: {', '.join([runs, *rows])}>"

    def _repr_html_(self) -> str:
        """The summary that a notebook shows, with the rows that `gdconv` prints."""
        return str(VIEWS["html"](self))

    def plot(
        self,
        name: str,
        figure_size: float | tuple[float, float] | None = None,
        font_size: float | None = None,
    ) -> Figure:
        """Draw one figure of the report.

        Parameters
        ----------
        name : str
            As in docs/figures.md: "convergence", "rate_vs_step", …
        figure_size, font_size : optional
            For a paper: the width in inches, or width and height, and the points of the text.

        Raises
        ------
        ValueError
            If there is no such figure, or the study has no data for it; the message says why.
        """
        drawn, omitted = VIEWS["draw"](self, [name], figure_size, font_size)
        if omitted:
            raise ValueError(f"{name} is left out: {omitted[name]}")
        return drawn[name]

    def curves_with(self, *names: str, grid: bool = False) -> pd.DataFrame:
        """Return curves with columns of runs, so that each recorded iteration knows its run.

        Parameters
        ----------
        *names : str
            Columns of runs, as "status", "seed", "method". What curves has already stays as it is.
        grid : bool, optional
            Leave out the iterations that only some runs have which last as long, such as the last
            one of a run that ended early. Then `pivot` has no holes in the middle of a column, and
            lines that are drawn of it are not broken.

        Raises
        ------
        ConfigError
            If runs has no such column.
        """
        for name in names:
            if not isinstance(name, str) or name not in self.runs:
                meant = nearest(name, self.runs.columns) if isinstance(name, str) else ""
                raise ConfigError("curves_with", shown(name), f"is no column of runs{meant}")
        added = [name for name in dict.fromkeys(names) if name not in self.curves]
        curves = self.curves[_on_grid(self.curves)] if grid else self.curves
        return curves.merge(self.runs[["run_id", *added]], on="run_id", validate="many_to_one")

    def where(self, chosen: pd.Series) -> Tables:
        """Return the tables of some runs: `tables.where(tables.runs.n_features == 20)`.

        Parameters
        ----------
        chosen : Series or array of bool
            For each row of runs, whether it is kept; an empty value counts as False.

        Raises
        ------
        ConfigError
            If it is something else.
        """
        truth = str(getattr(chosen, "dtype", "")).startswith("bool")
        if not truth or len(chosen) != len(self.runs):
            allowed = "must be true or false for each row of runs, as tables.runs.n_features == 20"
            raise ConfigError("where", shown(chosen), allowed)
        runs = self.runs[chosen]
        kept, problems = runs["run_id"], runs["problem_id"]
        of_run = self.coefficients["run_id"]
        of_problem = of_run.isna() & self.coefficients["problem_id"].isin(problems)
        return Tables(
            runs.reset_index(drop=True),
            *(
                table[rows].reset_index(drop=True)
                for table, rows in (
                    (self.curves, self.curves["run_id"].isin(kept)),
                    (self.eigenvalues, self.eigenvalues["problem_id"].isin(problems)),
                    (self.coefficients, of_problem | of_run.isin(kept)),
                    (self.moments, self.moments["problem_id"].isin(problems)),
                )
            ),
        )


def _on_grid(curves: pd.DataFrame) -> pd.Series:
    """Which rows have an iteration that all runs have which last as long."""
    last = curves.groupby("run_id")["iteration"].max().sort_values()
    having = curves["iteration"].value_counts().sort_index()
    as_long = len(last) - last.searchsorted(having.index.to_numpy())
    return curves["iteration"].isin(having.index[having.to_numpy() == as_long])


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


def studies_in(folder: Path) -> list[Path]:
    """Return the studies that a folder holds; none if it is a study itself."""
    if not folder.is_dir() or (folder / RUNS).exists():
        return []
    return sorted(each.parent for each in folder.glob(f"*/{RUNS}"))
