"""compare.html: several studies on one page, what they have in common first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from gdconv.report.page.document import definitions, page, values_told
from gdconv.tables.columns import QUANTITIES
from gdconv.tables.csv import Tables


def compared(
    folder: Path,
    tables: Tables,
    drawn: Mapping[str, bytes],
    shared: Mapping[str, Sequence[Any]],
    differences: Mapping[str, str],
) -> str:
    """Return the page of studies that are compared.

    Parameters
    ----------
    folder : Path
        Where the page will be.
    tables : Tables
        Those of all studies, from `compare.together`.
    drawn : mapping of str to bytes
        Their figures: name → SVG.
    shared : mapping
        What `compare.shared` returns.
    differences : mapping of str to str
        For each study but the first, what `compare.describe` says.
    """
    names = [*tables.runs["study"].unique()]
    facts = {QUANTITIES[name].title: values_told(values) for name, values in shared.items()}
    parts = [
        "<h2>What they have in common</h2>",
        f"<dl>{definitions(facts)}</dl>",
        "<h2>How they differ</h2>",
    ]
    for name, text in differences.items():
        title = f"{escape(names[0])} and {escape(name)}"
        parts.append(f"<h3>{title}</h3>\n<pre>{escape(text)}</pre>")
    before = f'<section id="compared">{"".join(parts)}</section>'
    title = f"{', '.join(names[:-1])} and {names[-1]}"
    return page(folder, tables, drawn, {}, before=before, title=title)
