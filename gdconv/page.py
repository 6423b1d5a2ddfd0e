"""report.html: the page of a study, one file that needs no other."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from gdconv.figures import FIGURES, FORMATS, Plot
from gdconv.summary import (
    SETTING,
    counts,
    errata_facts,
    headed,
    rows_by_setting,
    short,
    verdicts,
)

MOST_RUNS = 500
FILES = ("runs.csv", "curves.csv", "eigenvalues.csv", "config.yaml", "provenance.json")

# The columns of runs.csv that report.html shows.
_RUNS = (
    *("status", "problem", "n_samples", "n_features", "seed", "repetition", "relative_step"),
    *("bound_holds", "bound_as_stated_holds", "rate_predicted", "rate_measured", "convergence"),
    *("iterations", "iterations_to_tolerance", "iterations_predicted"),
    *("first_violation_as_stated", "condition_number", "error"),
)


def page(
    folder: Path, runs: pd.DataFrame, drawn: Collection[str], omitted: Mapping[str, str]
) -> str:
    """Return the page of a study as HTML.

    Parameters
    ----------
    folder : Path
        Holds the files that the page links to or shows, the figures among them.
    runs : DataFrame
    drawn : collection of str
        Names of the figures to show.
    omitted : mapping of str to str
        Names of the figures that are left out, and why.
    """
    shown = [_figure(folder, plot) for plot in FIGURES if plot.name in drawn]
    shown += [f"<p>{escape(name)} is left out: {escape(why)}.</p>" for name, why in omitted.items()]
    template = files("gdconv").joinpath("report.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(folder.resolve().name),
        result=_definitions(_result(runs)),
        subject=_definitions(_subject(runs)),
        config=_text_file(folder / "config.yaml", "Configuration"),
        figures="\n".join(shown),
        summary=_table([headed(row) for row in rows_by_setting(runs)]),
        runs=_run_table(runs),
        files=", ".join(_link(name) for name in FILES if (folder / name).exists()),
        provenance=_text_file(folder / "provenance.json", "Provenance"),
    )


def _result(runs: pd.DataFrame) -> dict[str, str]:
    """The outcome of the whole study in a few sentences."""
    verdict = {name: part.replace("/", " of ") for name, part in verdicts(runs).items()}
    facts = {
        "runs": counts(runs),
        "bound": f"holds in {verdict['bound_holds']} runs with a verdict",
        "bound as stated": f"fails in {verdict['bound_as_stated_fails']} runs with a verdict",
    }
    facts |= errata_facts(runs)
    deviation = (runs["rate_measured"] - runs["rate_predicted"]).abs()
    if deviation.notna().any():
        run = runs.loc[deviation.idxmax()]
        facts["largest |rate_measured − rate_predicted|"] = (
            f"{short(deviation.max())}, in run {run['run_id']}: {run['problem']},"
            f" n_features {short(run['n_features'])}, repetition {short(run['repetition'])},"
            f" relative step {short(run['relative_step'])}"
        )
    return facts


def _subject(runs: pd.DataFrame) -> dict[str, str]:
    """The values each axis of the study takes, or their number and range."""
    facts = {}
    for name in (*SETTING, "seed", "repetition", "step_unit", "step_value", "relative_step"):
        values = sorted(runs[name].dropna().unique())
        # Equal relative steps differ in their last digits from one problem to the next.
        if len(values) > 12 or (name == "relative_step" and len(values) > 1):
            count = "" if name == "relative_step" else f"{len(values)} values "
            facts[name] = f"{count}from {short(values[0])} to {short(values[-1])}"
        elif values:
            facts[name] = ", ".join(map(short, values))
    return facts


def _run_table(runs: pd.DataFrame) -> str:
    shown = runs[[name for name in _RUNS if name != "error" or runs["error"].notna().any()]]
    table = _table(shown[:MOST_RUNS].to_dict("records"))
    if len(runs) <= MOST_RUNS:
        return table
    return f"<p>The first {MOST_RUNS} of {len(runs)}; all are in {_link('runs.csv')}.</p>\n{table}"


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

    # A long name may be broken where it has an underscore.
    head = line("th", ((name, name) for name in rows[0])).replace("_", "_<wbr>")
    body = "\n".join(line("td", row.items()) for row in rows)
    return (
        '<div class="scroll" tabindex="0"><table>\n'
        f"<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _figure(folder: Path, plot: Plot) -> str:
    path = f"figures/{plot.name}"
    image = b64encode((folder / f"{path}.svg").read_bytes()).decode()
    links = ", ".join(_link(f"{path}.{suffix}", suffix.upper()) for suffix in FORMATS)
    return (
        '<figure>\n<div class="picture" tabindex="0">'
        f'<img src="data:image/svg+xml;base64,{image}" alt="{escape(plot.name)}"></div>\n'
        f"<figcaption><strong>{escape(plot.name)}</strong> {escape(plot.caption)} {links}"
        "</figcaption>\n</figure>"
    )


def _definitions(facts: dict[str, str]) -> str:
    return "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())


def _text_file(path: Path, title: str) -> str:
    if not path.exists():
        return f"<p>There is no {path.name}.</p>"
    text = escape(path.read_text(encoding="utf-8", errors="replace"))
    return f"<details>\n<summary>{title}: {path.name}</summary>\n<pre>{text}</pre>\n</details>"


def _link(path: str, text: str | None = None) -> str:
    return f'<a href="{path}">{text or path}</a>'
