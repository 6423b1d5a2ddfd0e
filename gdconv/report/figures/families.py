"""Families: problems that differ in one quantity only, so that a figure can have it on an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gdconv.report.figures.drawing import NothingToShowError
from gdconv.report.numerals import distinct, exact, number, with_powers
from gdconv.report.settings import Setting, options_of, settings

# Columns that may vary, and the one that goes on the axis. n may grow with d.
_VARYING = (
    ({"n_features"}, "n_features"),
    ({"n_features", "n_samples"}, "n_features"),
    ({"n_samples"}, "n_samples"),
)


@dataclass(frozen=True)
class Family:
    """Problems that differ in `column` only.

    Attributes
    ----------
    setting : dict
        What they have in common.
    column : str
    members : list of (float, DataFrame)
        Each value of that column and the runs with it, in ascending order.
    """

    setting: dict[str, Any]
    column: str
    members: list[tuple[float, pd.DataFrame]]

    @property
    def runs(self) -> pd.DataFrame:
        """The runs of all members."""
        return pd.concat([runs for _, runs in self.members])

    def labels(self) -> list[str]:
        """Return the members' values in few characters, all different; n and d are integers."""
        values = [value for value, _ in self.members]
        if self.column == "condition_number":
            return distinct(values, 3, number)
        return [with_powers(exact(value, 3)) for value in values]


def families(runs: pd.DataFrame) -> list[Family]:
    """Split the runs of a study into families of problems.

    The quantity on the axis is the first of d, n and κ that varies. κ counts if problems differ in
    exactly one option, whatever it is.

    Raises
    ------
    NothingToShowError
        If none of them varies.
    """
    every = settings(runs)
    # A polynomial's degree is d − 1, so it must not count as an option that varies beside d.
    named = dict.fromkeys(
        option.partition("=")[0]
        for setting, _ in every
        if setting["problem"] != "polynomial"
        for option in _options(setting)
    )
    candidates = [(varying, column, "") for varying, column in _VARYING]
    candidates += [(set(), "condition_number", option) for option in named]
    for varying, column, option in candidates:
        alike: dict[str, list[Setting]] = {}
        for setting, group in every:
            common = {name: setting[name] for name in setting if name not in varying}
            rest = [each for each in _options(setting) if each.partition("=")[0] != option]
            of_degree = setting["problem"] == "polynomial"
            common["problem_options"] = " ".join(rest) if rest and not of_degree else pd.NA
            alike.setdefault(str(common), []).append((common, group))
        found = [_family(column, members) for members in alike.values()]
        found = [family for family in found if len(family.members) > 1]
        if found:
            return found
    raise NothingToShowError(
        "no two problems differ only in n_features, n_samples or condition_number"
    )


def _options(setting: Mapping[str, Any]) -> list[str]:
    options = setting["problem_options"]
    return options_of(options) if pd.notna(options) else []


def _family(column: str, members: Sequence[Setting]) -> Family:
    values = [(float(runs[column].median()), runs) for _, runs in members]
    by_value: dict[float, list[pd.DataFrame]] = {}
    for value, runs in values:
        by_value.setdefault(value, []).append(runs)
    joined = [(value, pd.concat(by_value[value])) for value in sorted(by_value)]
    known = [(value, runs) for value, runs in joined if np.isfinite(value)]
    return Family(members[0][0], column, known)
