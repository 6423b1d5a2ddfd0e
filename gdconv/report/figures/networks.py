"""What the figures of networks share: which runs they show, and the colours of step sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdconv.report.curves import Shown
from gdconv.report.figures import drawing
from gdconv.report.figures.drawing import NothingToShowError
from gdconv.report.figures.scales import ascending
from gdconv.report.figures.titles import mathtext
from gdconv.report.numerals import distinct, number
from gdconv.report.settings import Setting, settings, spread

MOST_STEPS = 6


def trained(tables: Shown) -> pd.DataFrame:
    """Return the runs that train networks; raise NothingToShowError if there are none."""
    runs = tables.runs.dropna(subset=["threshold"])
    if runs.empty:
        raise NothingToShowError("no run trains a network")
    return runs


def chosen(runs: pd.DataFrame, most: int) -> tuple[list[Setting], list[Setting]]:
    """Return at most so many settings with the runs of one draw, and all of them."""
    every = [
        (setting, drawing.one_draw(runs.loc[group.index])) for setting, group in settings(runs)
    ]
    panels = [
        (setting, group.iloc[spread(len(group), MOST_STEPS)])
        for setting, group in drawing.choose(every, most)
    ]
    return panels, every


class Steps:
    """The step sizes of some runs, each with a colour and a name."""

    def __init__(self, groups: Sequence[pd.DataFrame]) -> None:
        sizes = np.concatenate([group["step_size"].to_numpy() for group in groups])
        self._sizes = sizes[ascending(sizes)]
        texts = distinct(list(self._sizes), 3, number)
        self._names = [f"{mathtext('η').replace(chr(92) + ',', '')} = {text}" for text in texts]

    def look(self, run: pd.Series) -> dict[str, Any]:
        """Return colour and label of a run."""
        index = int(np.argmin(np.abs(np.log(self._sizes / run["step_size"]))))
        part = index / max(len(self._sizes) - 1, 1)
        return {"color": drawing.COLOURS(part), "label": self._names[index]}
