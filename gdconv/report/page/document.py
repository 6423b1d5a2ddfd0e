"""report.html: the page of a study, in one file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from gdconv.report.curves import Shown
from gdconv.report.figures import catalogue
from gdconv.report.numerals import NONE, distinct, short
from gdconv.report.page import explorer, pictures
from gdconv.report.settings import (
    CHOOSING,
    DRAW,
    SETTING,
    STEP,
    of_gradient_descent,
    problem_name,
    told,
    with_all_parts,
    with_files,
)
from gdconv.report.summary import (
    by_status,
    errata_facts,
    of_networks,
    statuses,
    tables_of,
    verdicts,
)
from gdconv.tables import disk
from gdconv.tables.columns import FILES, QUANTITIES
from gdconv.tables.csv import Tables

# The problems whose coefficients are shown, and how many of each.
MOST_PROBLEMS, MOST_COEFFICIENTS = 6, 100
# So many values of a quantity are listed.
MOST_VALUES = 12
SCRIPTS = (
    *("plot.js", "hover.js", "methods.js", "charts.js", "explorer.js"),
    *("filter.js", "table.js", "figures.js", "address.js"),
)


def page(
    folder: Path,
    tables: Tables | Shown,
    drawn: Mapping[str, bytes],
    omitted: Mapping[str, str],
    data: str | None = None,
    progress: tuple[str, str] = ("", ""),
    before: str = "",
    title: str = "",
) -> str:
    """Return the page of a study as HTML.

    The page needs no other file; it only has links to them. Its content security policy keeps the
    browser from loading anything, and from running any script except the page's own.

    Parameters
    ----------
    folder : Path
        The folder of the study, with the files that the page links to or shows.
    tables : Tables or Shown
    drawn : mapping of str to bytes
        The figures to show: name → SVG.
    omitted : mapping of str to str
        Name of each figure that is left out → why.
    data : str, optional
        What `explorer.embedded` returns, if that is known already.
    progress : tuple of str, optional
        What `watch.progress` returns, for a page that is served while the study runs.
    before : str, optional
        HTML that comes first.
    title : str, optional
        By default the name of the folder.
    """
    runs = with_files(tables.runs)
    style, script = asset("page.css"), "".join(map(asset, SCRIPTS))
    names = {name: each.words for name, each in QUANTITIES.items()}
    titles = ("relative_step", "momentum", "nu", "step_size")
    names |= {name: QUANTITIES[name].title for name in titles}
    return Template(asset("page.html")).substitute(
        names,
        title=escape(title or folder.resolve().name),
        refresh=progress[0],
        progress=progress[1] + before,
        style=style,
        style_hash=policy_hash(style),
        script=script,
        script_hash=policy_hash(script),
        data=explorer.embedded(tables) if data is None else data,
        without=f'<p class="quiet">{escape(why)}</p>' if (why := explorer.without(tables)) else "",
        cards="\n".join(_cards(runs)),
        statuses="".join(_status_buttons(runs)),
        errata=definitions(errata_facts(runs)),
        subject=definitions(_subject(runs)),
        config=_text_file(folder / "config.yaml", "Configuration"),
        figures=pictures.figures(folder, catalogue.FIGURES, drawn, omitted),
        summary="\n".join(map(_table, tables_of(runs) or [[]])),
        coefficients=_coefficients(runs, tables.coefficients),
        cut=_cut(runs),
        files=", ".join(_link(name) for name in FILES if (folder / name).exists()),
        provenance=_text_file(folder / "provenance.json", "Provenance"),
    )


def asset(name: str) -> str:
    """Return a part of the page, a file of the folder web."""
    return files("gdconv.report.page").joinpath("web", name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """Return the source expression with which a security policy allows a script or a style."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _cards(runs: pd.DataFrame) -> list[str]:
    """The cards with the outcome of the whole study: a number each, and what it means."""
    verdict = {name: part.replace("/", " of ") for name, part in verdicts(runs).items()}
    of_nu = with_all_parts(runs[~runs["method"].isin(CHOOSING)])
    deviation = (of_nu["rate_measured"] - of_nu["rate_predicted"]).abs()
    largest, where = NONE, "no run has a rate that theory predicts"
    if deviation.notna().any():
        run = runs.loc[deviation.idxmax()]
        largest = short(deviation.max())
        at = told(run, ("method", "n_features", "repetition", "relative_step"))
        where = f"run {run['run_id']}: {problem_name(run)}, {at}"
    fails = ("coursework's bound fails", verdict["bound_coursework_fails"], "runs with a verdict")
    networks = of_networks(runs)
    ended = runs["verdict"][networks].value_counts().sort_index()
    at_edge = f"{ended.get('at_edge', 0)} of {networks.sum()}"
    words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in ended.items())
    cards: list[tuple[str, str, str]] = [
        ("runs", str(len(runs)), statuses(runs) or "none is complete yet")
    ]
    if networks.any():
        cards.append(("at the edge of stability", at_edge, words))
    tested = runs["expectation_agrees"].dropna()
    if len(tested):
        of = f"{tested.sum()} of {len(tested)}"
        cards.append(("expectation agrees", of, "runs whose mean over paths was tested"))
    drawn = runs[["gap_stationary", "step_limit_fourth_moment"]].notna().any(axis=1)
    others = runs[~networks & ~drawn]
    if runs.empty or len(others):
        cards.append(("bound holds", verdict["bound_holds"], "runs with a verdict"))
        cards += [fails] if runs.empty or len(of_gradient_descent(others)) else []
        cards.append((f"largest |{QUANTITIES['rate_measured'].words} − ν²|", largest, where))
    return [
        f"<div><dt>{escape(name)}</dt><dd><strong>{escape(number)}</strong>"
        f"{_bar(by_status(runs)) if name == 'runs' else ''}<span>{escape(says)}</span></dd></div>"
        for name, number, says in cards
    ]


def _status_buttons(runs: pd.DataFrame) -> list[str]:
    """Buttons that filter the table of runs by status."""
    return [
        f'<button type="button" value="status={escape(status)}">{escape(status)} {count}</button>'
        for status, count in by_status(runs).items()
    ]


def _bar(counts: Mapping[str, int]) -> str:
    """A bar whose parts show how many runs ended with each status."""
    total, left, parts = max(1, sum(counts.values())), 0.0, []
    for status, count in counts.items():
        width = 100 * count / total
        parts.append(
            f'<rect class="{escape(status)}" x="{left:.2f}%" width="{width:.2f}%" height="100%"/>'
        )
        left += width
    return f'<svg class="bar" aria-hidden="true">{"".join(parts)}</svg>'


def _cut(runs: pd.DataFrame) -> str:
    most = explorer.MOST_RUNS
    if len(runs) <= most:
        return ""
    return f"<p>The first {most} of {len(runs)} runs; all are in {_link('runs.csv')}.</p>"


def _subject(runs: pd.DataFrame) -> dict[str, str]:
    """The values of each quantity that was chosen, or their number and range."""
    facts = {}
    for name in (*SETTING, *DRAW, *STEP):
        if values := sorted(runs[name].dropna().unique()):
            facts[QUANTITIES[name].title] = values_told(values)
    if steps := sorted(runs["relative_step"].dropna().unique()):
        # The last digits of equal relative steps differ between problems, so they are not counted.
        told = values_told(steps) if len(steps) == 1 else _range(steps)
        facts[QUANTITIES["relative_step"].title] = told
    return facts


def values_told(values: Sequence[Any]) -> str:
    """Return ascending values in words, or their number and range if they are many."""
    if len(values) > MOST_VALUES:
        return f"{len(values)} values {_range(values)}"
    return ", ".join(distinct(values, 5) if isinstance(values[0], float) else map(short, values))


def _range(values: Sequence[Any]) -> str:
    return f"from {short(values[0])} to {short(values[-1])}"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "<p>No run is complete yet.</p>"
    text = {name for name in rows[0] if any(isinstance(row[name], str) for row in rows)}

    def line(tag: str, row: Iterable[tuple[str, Any]]) -> str:
        cells = (
            f"<{tag}{' class=text' * (name in text)}>{escape(short(value))}</{tag}>"
            for name, value in row
        )
        return f"<tr>{''.join(cells)}</tr>"

    head = line("th", ((name, name) for name in rows[0]))
    body = "\n".join(line("td", row.items()) for row in rows)
    return (
        '<div class="scroll" tabindex="0"><table>\n'
        f"<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _coefficients(runs: pd.DataFrame, coefficients: pd.DataFrame) -> str:
    """The coefficients w* of the first problems that have any, each with its columns' names."""
    minimisers = coefficients[coefficients["run_id"].isna()]
    firsts = runs.drop_duplicates("problem_id").set_index("problem_id")
    parts = []
    for problem, rows in list(minimisers.groupby("problem_id"))[:MOST_PROBLEMS]:
        run = firsts.loc[problem]
        name = f"{problem_name(run)}, {run['problem_options']}"
        shown = rows[:MOST_COEFFICIENTS]
        cells = zip(shown["column"], shown["coefficient"], strict=True)
        parts.append(f"<p>w* of {escape(name)}</p>")
        parts.append(_table([{"column": column, "coefficient": w} for column, w in cells]))
    if not parts:
        return ""
    told = f'<p class="quiet">All are in {_link("coefficients.csv")}.</p>'
    return "\n".join(["<h3>Coefficients</h3>", *parts, told])


def definitions(facts: Mapping[str, str]) -> str:
    """Return names and values as the content of a list of definitions."""
    return "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())


def _text_file(path: Path, title: str) -> str:
    if not path.exists():
        return f"<p>There is no {path.name}.</p>"
    text = escape(disk.read_bytes(path).decode(errors="replace"))
    return f"<details>\n<summary>{title}: {path.name}</summary>\n<pre>{text}</pre>\n</details>"


def _link(path: str, text: str | None = None) -> str:
    return f'<a href="{path}">{text or path}</a>'
