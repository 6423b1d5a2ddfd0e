"""Write what documents have from declarations: their tables of columns and of keys.

docs/columns.md is made as a whole. In README.md a part stands between two comments.
"""

from collections.abc import Iterable
from pathlib import Path

from gdconv.config.mapping import declared_keys
from gdconv.tables.columns import DERIVED, KINDS, QUANTITIES, TABLE_COLUMNS

ROOT = Path(__file__).resolve().parents[1]
INTRODUCTION = """\
# The columns of the tables

*This page is made by `.venv/bin/python scripts/generate.py` from `gdconv/tables/columns.py`.*

An empty cell means that the value does not apply. The unit is that of the numbers in your table:
a gap has the unit of y². A number without a unit is a plain number. Summary, figures and page show
the name of a column or, if that is one letter, its symbol. The [README](../README.md) explains the
words gap, rounding floor and the coursework's bound (19). [methods.md](methods.md) explains the
methods and pₜ(λ), by which t iterations multiply the error along the eigenvector of λ. For gradient
descent it is (1 − ηλ)ᵗ. So where a symbol below has (1 − ηλᵢ)²ᵗ or ν²ᵗ, other methods have pₜ(λᵢ)²,
or the maximum of pₜ(λ)² over all λ from λ⁺min to λmax.
"""
ROWS = {
    "runs": "A row is a run.",
    "curves": "A row is a recorded iteration of a run.",
    "coefficients": "A row is an entry of a problem's w\\* or, with `record.coefficients=true`, of"
    " a run's last w.",
    "moments": "A row is a sum over the rows of X of products of four of their components along the"
    " eigenvectors and their residuals. It is there for `method=sgd` if at most 10 eigenvalues are"
    " not 0, and the page computes the expected gap from it.",
    "eigenvalues": "A row is an eigenvalue λᵢ of H; `problem_id` joins it to the runs.",
}
# The columns of runs.csv that the README explains.
FIRST = (
    *("status", "relative_step", "rate_predicted", "rate_measured", "iterations_to_tolerance"),
    *("iterations_predicted", "gap_floor", "bound_holds", "bound_coursework_holds"),
)


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    escaped = ([cell.replace("*", r"\*").replace("|", r"\|") for cell in row] for row in rows)
    lines = [heading, ["---" for _ in heading], *escaped]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def columns_page() -> str:
    """Return docs/columns.md."""
    parts = [INTRODUCTION]
    for name, columns in TABLE_COLUMNS.items():
        rows = (
            (f"`{each.name}`", each.words, each.symbol, each.meaning, each.unit, KINDS[each.kind])
            for each in columns
        )
        parts.append(f"\n## {name}.csv\n\n{ROWS[name]}\n\n")
        parts.append(table(("column", "name", "symbol", "meaning", "unit", "type"), rows))
    parts.append("\n## What the summary and the page add\n\n")
    parts.append(table(("name", "meaning"), ((each.words, each.meaning) for each in DERIVED)))
    return "".join(parts)


def first_columns() -> str:
    """Return the README's table of columns."""
    columns = [QUANTITIES[name] for name in FIRST]
    rows = ((f"`{each.name}`", each.title, each.meaning) for each in columns)
    text = table(("column of runs.csv", "name elsewhere", "meaning"), rows)
    return text.replace("](theory.md", "](docs/theory.md")


def keys_of_commands() -> str:
    """Return the README's table of keys."""
    rows = (
        (f"`{key.name}`", f"`{key.default}`" if key.default else "", key.unit, key.meaning)
        for key in declared_keys()
    )
    return table(("key", "default", "unit", "meaning"), rows)


PARTS = {"columns": first_columns, "keys": keys_of_commands}


def readme(text: str) -> str:
    """Return README.md with its generated parts made anew."""
    for name, part in PARTS.items():
        before, start, rest = text.partition(f"<!-- {name}: made by scripts/generate.py -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        text = "".join([before, start, part(), end, after])
    return text


def pages() -> dict[Path, str]:
    """Return the text of each file that has generated parts."""
    return {
        ROOT / "docs" / "columns.md": columns_page(),
        ROOT / "README.md": readme((ROOT / "README.md").read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
