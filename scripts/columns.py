"""Write docs/columns.md, the meaning of every column, from gdconv.tables.columns."""

from pathlib import Path

from gdconv.tables.columns import KINDS, TABLES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "columns.md"
INTRODUCTION = """\
# The columns of the tables

*This page is made by `.venv/bin/python scripts/columns.py` from `gdconv/tables/columns.py`.*

An empty cell means that the value does not apply. The unit is that of the numbers in your table:
a gap has the unit of y². A number without a unit is a plain number. The
[README](../README.md) explains the words gap, rounding floor and the coursework's bound.
"""
ROWS = {
    "runs": "a run",
    "curves": "a recorded iteration of a run",
    "eigenvalues": "an eigenvalue λᵢ of H; `problem_id` joins it to the runs",
}


def page() -> str:
    """Return the text of docs/columns.md."""
    parts = [INTRODUCTION]
    for table, columns in TABLES.items():
        rows = [
            f"| `{each.name}` | {each.symbol} | {each.meaning} | {each.unit} | {KINDS[each.kind]} |"
            for each in columns
        ]
        heading = f"\n## {table}.csv\n\nA row is {ROWS[table]}.\n\n"
        head = "| column | symbol | meaning | unit | type |\n|---|---|---|---|---|\n"
        parts.append(heading + head + "\n".join(rows) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
