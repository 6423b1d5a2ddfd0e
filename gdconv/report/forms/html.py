"""The summary of a study as HTML, as a notebook shows `Tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gdconv.report.numerals import short
from gdconv.report.settings import with_files
from gdconv.report.summary import counts, facts_of, tables_of
from gdconv.tables.csv import Tables

# A notebook shows so many rows of a summary.
MOST_ROWS = 40


def summary(tables: Tables) -> str:
    """Return what the terminal prints of a study, as a fragment of HTML.

    Of a single run, these are its numbers; of several, tables with a row for each setting.
    """
    runs = with_files(tables.runs)
    parts = [f"<p><strong>{escape(counts(runs))}</strong></p>"]
    if len(runs) == 1:
        facts, left = facts_of(runs.iloc[0]), ' style="text-align: left"'
        lines = [_row("th", [name], left) + _row("td", [facts[name]], left) for name in facts]
        parts.append(_table([], lines))
    for rows in tables_of(runs) if len(runs) > 1 else ():
        parts += _rows(rows)
    errors = runs["error"].dropna().unique()
    parts += [f"<p>failed: {escape(str(error))}</p>" for error in errors[:1]]
    return "\n".join(parts)


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [_row("td", [short(value, 4) for value in row.values()]) for row in rows[:MOST_ROWS]]
    parts = [_table(list(rows[0]), lines)]
    if (more := len(rows) - MOST_ROWS) > 0:
        parts.append(f"<p>and {more} more rows; <code>tables.runs</code> has all runs</p>")
    return parts


def _row(tag: str, cells: Sequence[str], style: str = "") -> str:
    return "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in cells)


def _table(names: Sequence[str], lines: Sequence[str]) -> str:
    head = f"<thead><tr>{_row('th', names)}</tr></thead>" if names else ""
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>\n{head}<tbody>\n{body}\n</tbody></table>"
