"""Problems that differ in one thing alone: what a figure has an axis for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gdconv.numerals import distinct, exact, number, with_powers
from gdconv.plots.panels import NothingToShowError
from gdconv.settings import Setting, settings

# Column → its name on an axis, and in a label.
AXES = {
    "n_features": ("number of features $d$", "$d$"),
    "n_samples": ("number of samples $n$", "$n$"),
    "condition_number": (r"condition number $\kappa$   (dimensionless)", r"$\kappa$"),
}

# What may vary, and the column that then tells the problems apart. n may grow with d.
_VARYING = (
    ({"n_features"}, "n_features"),
    ({"n_features", "n_samples"}, "n_features"),
    ({"n_samples"}, "n_samples"),
    ({"problem_options"}, "condition_number"),
)


@dataclass(frozen=True)
class Family:
    """Problems that differ in `column` alone.

    Attributes
    ----------
    setting : dict
        What they have in common.
    column : str
    members : list of (float, DataFrame)
        Value of that column → its runs, ascending.
    """

    setting: dict[str, Any]
    column: str
    members: list[tuple[float, pd.DataFrame]]

    @property
    def runs(self) -> pd.DataFrame:
        """Those of all members."""
        return pd.concat([runs for _, runs in self.members])

    def labels(self) -> list[str]:
        """The members' values in a few characters, each another; n and d are whole."""
        values = [value for value, _ in self.members]
        if self.column == "condition_number":
            return distinct(values, 3, number)
        return [with_powers(exact(value, 3)) for value in values]


def families(runs: pd.DataFrame) -> list[Family]:
    """Split the runs of a study into families of problems, by the first of d, n and κ that varies.

    Raises
    ------
    NothingToShowError
        If none does.
    """
    every = settings(runs)
    for varying, column in _VARYING:
        alike: dict[str, list[Setting]] = {}
        for setting, group in every:
            # The degree of a polynomial is its number of features less one: no option beside it.
            fixed = {"problem_options"} if setting["problem"] == "polynomial" else set()
            common = {name: setting[name] for name in setting if name not in varying | fixed}
            alike.setdefault(str(common), []).append((common, group))
        found = [_family(column, members) for members in alike.values()]
        found = [family for family in found if len(family.members) > 1]
        if found:
            return found
    raise NothingToShowError(
        "no two problems differ in n_features, n_samples or condition_number alone"
    )


def _family(column: str, members: Sequence[Setting]) -> Family:
    values = [(float(runs[column].median()), runs) for _, runs in members]
    by_value: dict[float, list[pd.DataFrame]] = {}
    for value, runs in values:
        by_value.setdefault(value, []).append(runs)
    joined = [(value, pd.concat(by_value[value])) for value in sorted(by_value)]
    known = [(value, runs) for value, runs in joined if np.isfinite(value)]
    return Family(members[0][0], column, known)
