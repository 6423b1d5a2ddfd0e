"""The report of a study from its files alone: figures, report.html, a summary to print."""

from __future__ import annotations

import argparse
import sys
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

# What reads and draws is imported when it is needed: pandas and Matplotlib take a second.
if TYPE_CHECKING:
    import pandas as pd

    from gdconv.figures import Plot
    from gdconv.tables import Tables

MOST_RUNS = 500
WIDTH = 100
NONE = "–"
FILES = ("runs.csv", "curves.csv", "eigenvalues.csv", "config.yaml", "provenance.json")

# The summary's columns and their headings, in two lines, on the terminal.
_HEADINGS = {
    "problem": ("", "problem"),
    "n_samples": ("", "n"),
    "n_features": ("", "d"),
    "noise": ("", "noise"),
    "start": ("", "start"),
    "method": ("", "method"),
    "runs": ("", "runs"),
    "converged": ("", "conv."),
    "diverged": ("", "div."),
    "failed": ("", "fail."),
    "condition_number": ("", "κ"),
    "best_step": ("best", "step"),
    "iterations_to_tolerance": ("iterations", "measured"),
    "iterations_predicted": ("", "predicted"),
    "bound_holds": ("bound", "holds"),
    "bound_as_stated_fails": ("stated", "fails"),
}
# The columns of runs.csv that report.html shows.
_RUNS = (
    *("status", "problem", "n_samples", "n_features", "seed", "repetition", "relative_step"),
    *("condition_number", "rate_predicted", "rate_measured", "convergence", "iterations"),
    *("iterations_to_tolerance", "iterations_predicted", "bound_holds", "bound_as_stated_holds"),
    *("first_violation_as_stated", "error"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `gdconv-report`.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 all well, 2 a folder holds no study that can be read, or cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="gdconv-report",
        description="Draw the figures of a study and write its report.html from its CSV files;"
        " nothing is run again. A study that is still running is shown as far as it has come.",
        epilog="Written into each folder: report.html, one file that needs no other, and"
        " figures/NAME.png, .svg and .pdf. A summary is printed.",
    )
    parser.add_argument(
        "folders",
        metavar="RESULTS_DIR",
        nargs="+",
        type=Path,
        help="the folder of a study, with runs.csv, curves.csv and eigenvalues.csv",
    )
    folders = parser.parse_args(argv).folders

    from gdconv.tables import read

    studies = []
    for folder in folders:
        try:
            studies.append((folder, read(folder)))
        except (OSError, ValueError) as error:
            return _refuse(folder, error)
    for folder, tables in studies:
        try:
            path = write(folder, tables)
        except OSError as error:
            return _refuse(folder, error)
        print(summary(folder, tables), f"report: {path}", sep="\n")
    return 0


def write(folder: Path, tables: Tables | None = None) -> Path:
    """Draw the figures of a study and write its report.html.

    Parameters
    ----------
    folder : Path
        The study's folder. What is written depends on its files and its name alone.
    tables : Tables, optional
        Its tables, if they have been read already.

    Returns
    -------
    Path
        Of report.html, one file that refers to no other but by links.

    Raises
    ------
    FileNotFoundError, ValueError
        As `gdconv.tables.read`; nothing has been written then.
    """
    from gdconv import figures
    from gdconv.tables import read

    tables = tables or read(folder)
    drawn, omitted = figures.draw(tables)
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in drawn.items():
        figures.save(figure, folder / "figures" / name)
    for name in omitted:
        for suffix in figures.FORMATS:
            (folder / "figures" / f"{name}.{suffix}").unlink(missing_ok=True)
    shown = [_figure(folder, plot) for plot in figures.FIGURES if plot.name in drawn]
    shown += [f"<p>{escape(name)} is left out: {escape(why)}.</p>" for name, why in omitted.items()]

    runs = tables.runs
    page = Template(files("gdconv").joinpath("report.html").read_text(encoding="utf-8")).substitute(
        title=escape(folder.resolve().name),
        result=_definitions(_result(runs)),
        subject=_definitions(_subject(runs)),
        config=_text_file(folder / "config.yaml", "Configuration"),
        figures="\n".join(shown),
        summary=_table(_summary_rows(runs)),
        runs=_run_table(runs),
        files=", ".join(_link(name) for name in FILES if (folder / name).exists()),
        provenance=_text_file(folder / "provenance.json", "Provenance"),
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def summary(folder: Path, tables: Tables | None = None) -> str:
    """Return what the terminal shows of a study: where it is, how its runs ended, what came out.

    Parameters
    ----------
    folder : Path
    tables : Tables, optional
        Its tables, if they have been read already.

    Returns
    -------
    str
        The numbers of a single run; of more, a table with a row for each problem and size. Its
        best step is the relative step with the fewest iterations to the tolerance, in the median
        over repetitions.
    """
    from gdconv.tables import read

    runs = (tables or read(folder)).runs
    lines = [f"{folder}: {_counts(runs)}"]
    if len(runs) == 1:
        facts = _facts(runs.iloc[0])
        width = max(map(len, facts))
        lines += [f"  {name:{width}}  {value}" for name, value in facts.items()]
    elif len(runs):
        lines += _columns(_summary_rows(runs))
    for error in runs["error"].dropna().unique()[:1]:
        lines.append(f"first failure: {error}"[:WIDTH])
    return "\n".join(lines)


def _refuse(folder: Path, error: Exception) -> int:
    if isinstance(error, FileNotFoundError):
        missing = Path(error.filename).name
        what = f"has no {missing}" if folder.is_dir() else "is not there"
    elif isinstance(error, OSError):
        what = (
            f"{Path(error.filename).name}: {error.strerror}" if error.filename else error.strerror
        )
    else:
        what = " ".join(str(error).split())
    print(f"gdconv-report: {folder}: {what}", file=sys.stderr)
    return 2


def _counts(runs: pd.DataFrame) -> str:
    counts = runs["status"].value_counts().sort_index()
    parts = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{len(runs)} run{'s' * (len(runs) != 1)}" + (f": {parts}" if parts else "")


def _summary_rows(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each setting, named by its problem and size and by what else differs."""
    from gdconv.panels import SETTING, settings

    names = [*SETTING[:3], *(name for name in SETTING[3:] if runs[name].nunique(dropna=False) > 1)]
    rows = []
    for setting, group in settings(runs):
        status = group["status"].value_counts()
        rows.append(
            {name: setting[name] for name in names}
            | {"runs": len(group)}
            | {name: int(status.get(name, 0)) for name in ("converged", "diverged", "failed")}
            | {"condition_number": group["condition_number"].median()}
            | _best_step(group)
            | _verdicts(group)
        )
    return rows


def _best_step(runs: pd.DataFrame) -> dict[str, Any]:
    needed = ["relative_step", "iterations_to_tolerance", "iterations_predicted"]
    counts = runs[needed].astype("float64")
    # A run that never got there took longer than all others.
    counts["iterations_to_tolerance"] = counts["iterations_to_tolerance"].fillna(float("inf"))
    by_step = counts.groupby([runs["step_unit"], runs["step_value"]]).median()
    order = ["iterations_to_tolerance", "iterations_predicted", "relative_step"]
    best = by_step[by_step["iterations_to_tolerance"] < float("inf")].sort_values(order)[:1]
    values = best[needed].iloc[0] if len(best) else dict.fromkeys(needed)
    return {"best_step": values["relative_step"]} | {name: values[name] for name in needed[1:]}


def _verdicts(runs: pd.DataFrame) -> dict[str, str]:
    """In how many runs, of those with a verdict, the bound holds and as stated fails."""
    holds, stated = (runs[name].dropna() for name in ("bound_holds", "bound_as_stated_holds"))
    return {
        "bound_holds": f"{holds.sum()}/{len(holds)}",
        "bound_as_stated_fails": f"{(~stated).sum()}/{len(stated)}",
    }


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    headings = zip(*(_HEADINGS[name] for name in rows[0]), strict=True)
    lines = [*headings, *([_short(value, 4) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    apart = 2 if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1
    return [
        (" " * apart).join(
            f"{cell:{'<' if k == 0 else '>'}{width}}"
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _facts(run: pd.Series) -> dict[str, str]:
    """What one wants to know of a single run, as it stands in runs.csv."""
    value = run.map(_short)
    facts = {
        "problem": f"{value['problem']}, n_samples {value['n_samples']}, n_features"
        f" {value['n_features']}, seed {value['seed']}, repetition {value['repetition']}",
        "condition_number": value["condition_number"],
        "relative_step": f"{value['relative_step']} (step_size {value['step_size']})",
        "rate_measured": f"{value['rate_measured']} ({value['convergence']}),"
        f" predicted {value['rate_predicted']}",
        "iterations": value["iterations"],
        "iterations_to_tolerance": f"{value['iterations_to_tolerance']},"
        f" predicted {value['iterations_predicted']}",
        "final_gap": f"{value['final_gap']} of {value['initial_gap']}, rounding floor"
        f" {value['gap_floor']}",
        "bound_holds": value["bound_holds"],
        "bound_as_stated_holds": value["bound_as_stated_holds"],
    }
    if value["first_violation_as_stated"] != NONE:
        facts["bound_as_stated_holds"] += (
            f", first broken at iteration {value['first_violation_as_stated']}"
        )
    return facts if run["status"] != "failed" else {"problem": facts["problem"]}


def _result(runs: pd.DataFrame) -> dict[str, str]:
    """The outcome of the whole study in a few sentences."""
    verdicts = {name: part.replace("/", " of ") for name, part in _verdicts(runs).items()}
    facts = {
        "runs": _counts(runs),
        "bound": f"holds in {verdicts['bound_holds']} runs with a verdict",
        "bound as stated": f"fails in {verdicts['bound_as_stated_fails']} runs with a verdict",
    }
    deviation = (runs["rate_measured"] - runs["rate_predicted"]).abs()
    if deviation.notna().any():
        run = runs.loc[deviation.idxmax()]
        facts["largest |rate_measured − rate_predicted|"] = (
            f"{_short(deviation.max())}, in run {run['run_id']}: {run['problem']},"
            f" n_features {_short(run['n_features'])}, repetition {_short(run['repetition'])},"
            f" relative step {_short(run['relative_step'])}"
        )
    return facts


def _subject(runs: pd.DataFrame) -> dict[str, str]:
    """The values each axis of the study takes, or their number and range."""
    from gdconv.panels import SETTING

    facts = {}
    for name in (*SETTING, "seed", "repetition", "step_unit", "step_value", "relative_step"):
        values = sorted(runs[name].dropna().unique())
        # Equal relative steps differ in their last digits from one problem to the next.
        if len(values) > 12 or (name == "relative_step" and len(values) > 1):
            count = "" if name == "relative_step" else f"{len(values)} values "
            facts[name] = f"{count}from {_short(values[0])} to {_short(values[-1])}"
        elif values:
            facts[name] = ", ".join(map(_short, values))
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
            f"<{tag}{' class=text' * (name in text)}>{escape(_short(value))}</{tag}>"
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
    from gdconv.figures import FORMATS

    path = f"figures/{plot.name}"
    image = b64encode((folder / f"{path}.svg").read_bytes()).decode()
    links = ", ".join(_link(f"{path}.{suffix}", suffix.upper()) for suffix in FORMATS)
    return (
        f'<figure>\n<img src="data:image/svg+xml;base64,{image}" alt="{escape(plot.name)}">\n'
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


def _short(value: Any, digits: int = 5) -> str:
    """A value of a table as a reader wants it; NONE for one that does not apply."""
    from pandas import isna
    from pandas.api.types import is_bool

    if isna(value):
        return NONE
    if is_bool(value):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
