"""docs/figures.md: it has a section for each figure, with the columns that the figure needs."""

import re
from pathlib import Path

import pytest

from gdconv.report.figures.catalogue import FIGURES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "figures.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_figure_has_a_section_in_the_order_of_the_registry():
    assert list(SECTIONS) == [plot.name for plot in FIGURES]


@pytest.mark.parametrize("plot", FIGURES, ids=lambda plot: plot.name)
def test_a_section_says_what_how_and_when_and_has_the_columns_of_the_registry(plot):
    section = SECTIONS[plot.name]
    for part in ("**Shows**", "**How to read it.**", "**Needs**"):
        assert section.count(part) == 1
    columns = section.partition("**Columns**")[2]
    told = {
        table: tuple(re.findall(r"`(\w+)`", names))
        for table, names in re.findall(r"of (\w+)\.csv:(.*?)(?=of \w+\.csv:|\Z)", columns, re.S)
    }
    also = {"runs": plot.also, "curves": plot.also_curves}
    used = {table: (*names, *also.get(table, ())) for table, names in plot.columns.items()}
    assert told == used
