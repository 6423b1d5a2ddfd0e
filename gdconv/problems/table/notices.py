"""What the user should know of a table that was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdconv.config.problems import Columns
from gdconv.config.rules import on_one_line, quoted_list, typed
from gdconv.problems.table.columns import Chosen, Feature, is_number, listed
from gdconv.problems.table.looks import Range
from gdconv.problems.table.source import Source
from gdconv.problems.table.survey import Column

# What programs and people call a column that numbers the rows.
ROW_NUMBERS = {
    "rownames",
    "rowname",
    "row",
    "id",
    "ID",
    "index",
    "obs",
    "no",
    "No",
    "nr",
    "Nr",
    "X",
}


class Notices:
    """What the user should know of a table that was read."""

    def __init__(
        self,
        source: Source,
        keys: Columns,
        chosen: Chosen,
        columns: Sequence[Column],
        features: Sequence[Feature],
    ) -> None:
        self.source, self.keys, self.chosen = source, keys, chosen
        self.columns, self.features = columns, features

    def of_reading(self) -> list[str]:
        """How the files were read, and which columns have no name."""
        source, found = self.source, []
        if len(source.files) > 1:
            found.append(f"the first of {len(source.files)} files with the same columns")
        if source.dialect and source.dialect.notice:
            found.append(source.dialect.notice)
        if all(map(is_number, source.names)):
            found.append(f"its first line names the columns: {listed(source.names)}")
        for index in self.chosen.nameless:
            take = quoted_list("problem.columns", [f"column {index + 1}"])
            found.append(f"column {index + 1} has no name and is left out ({take} would take it)")
        return [self._told(each) for each in found]

    def of_cells(self, left_out: int) -> list[str]:
        """What became of texts, dates and missing cells, and which numbers were rounded."""
        found, used = [], {feature.column.index for feature in self.features}
        for column in self.columns:
            if column.index in used or not column.is_text:
                continue
            same = self.keys.text == "one_hot"
            why = "all its texts are the same" if same else "it has texts"
            found.append(f"{column.label} is left out, because {why}")
        found += [
            f"{column.label} is left out, because it is empty"
            for column in self.columns
            if column.index not in used and not column.is_text
        ]
        for column in self.columns:
            made = [each.name for each in self.features if each.column is column and each.level]
            if made:
                first = next(iter(column.levels))
                found.append(f"{column.label} becomes {listed(made)}, against {typed(first)}")
        found += [
            f"{typed(each.name)} counts days since {np.datetime64(int(each.origin // 1), 'D')}"
            for each in self.features
            if each.dates
        ]
        gone = [each for each in self.columns if each.missing and each.index in used]
        fills, rows = self.keys.missing == "mean", self.columns[0].rows
        # A target is never filled in.
        target = self.features[0].column if self.chosen.target is not None else None
        filled = [each for each in gone if each is not target]
        if fills and filled:
            cells = ", ".join(f"{each.name} {each.missing}" for each in filled)
            found.append(f"missing cells are filled with the mean of their column: {typed(cells)}")
        if left_out and fills and target:
            why = f"because {target.label} is missing there"
            found.append(f"{left_out} of {rows} rows are left out, {why}")
        elif left_out:
            cells = ", ".join(f"{each.name} {each.missing}" for each in gone)
            why = f"because cells are missing: {typed(cells)}"
            found.append(f"{left_out} of {rows} rows are left out, {why}")
        return [self._told(each) for each in found] + self._rounded()

    def of_numbers(self, ranges: Sequence[Range]) -> list[str]:
        """Which features are constant, equal, or number the rows."""
        found = []
        names = [each.name for each in self.features]
        first: dict[int, int] = {}
        for place in range(self.chosen.target is not None, len(names)):
            same = first.setdefault(ranges[place].mark, place)
            if ranges[place].most == ranges[place].least:
                found.append(f"{typed(names[place])} is constant, {ranges[place].most:.6g}")
            elif same != place:
                found.append(f"{typed(names[place])} is the same as {typed(names[same])}")
            elif names[place] in ROW_NUMBERS and self.features[place].column.counts:
                drop = quoted_list("problem.drop", [names[place]])
                found.append(f"{typed(names[place])} numbers the rows; {drop} leaves it out")
        return [self._told(each) for each in found]

    def _rounded(self) -> list[str]:
        """Text that says which whole numbers were rounded because they are no doubles."""
        rounded = [(*each.first_rounded, each) for each in self.columns if each.first_rounded]
        if not rounded:
            return []
        place, double, first = min(rounded, key=lambda each: (each[0].row, each[2].index))
        return [
            f"{on_one_line(place.part.path)}: whole numbers above 2^53 have been rounded to"
            f" doubles, {sum(each.rounded for *_, each in rounded)} in all, the first in row"
            f" {place.row}, {first.label}: {typed(place.written)} to {double}; if it matters,"
            " subtract a constant from the column"
        ]

    def _told(self, notice: str) -> str:
        return f"{on_one_line(self.source.name)}: {notice}"
