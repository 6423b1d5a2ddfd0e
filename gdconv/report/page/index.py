"""index.html: all studies of a folder on one page, with links to their reports."""

from __future__ import annotations

import os
import shlex
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple
from urllib.parse import quote

from gdconv.report.figures import NAMES
from gdconv.report.page.document import asset, policy_hash
from gdconv.report.summary import counts, of_networks, verdicts
from gdconv.tables import contents, disk
from gdconv.tables.csv import read_runs
from gdconv.tables.study import INDEX, studies_in


class Entry(NamedTuple):
    """A study in the list: when it began last, its folder, and what is told of it."""

    started: str
    folder: Path
    facts: dict[str, str]


def write(folder: Path) -> Path:
    """Write index.html into a folder of studies, and return its path.

    It depends only on the files of the studies. A study that cannot be read is listed with the
    reason.
    """
    found = sorted(map(_entry, studies_in(folder)), key=lambda each: each.folder.name)
    found.sort(key=lambda each: each.started, reverse=True)
    style = asset("page.css")
    text = Template(asset("index.html")).substitute(
        title=escape(folder.resolve().name),
        count=f"{len(found)} {'studies' if len(found) > 1 else 'study'}, the one with the latest"
        " command first.",
        style=style,
        style_hash=policy_hash(style),
        studies="\n".join(map(_card, found)),
    )
    path = folder / INDEX
    # A folder's name may contain bytes that are not valid text.
    disk.replace(path, [text.encode(errors="replace")])
    disk.sync_folder(folder)
    return path


def _entry(folder: Path) -> Entry:
    try:
        runs = read_runs(folder)
        latest = contents.provenance(folder)["commands"][-1]
        typed, started = shlex.join(latest["command"]), str(latest["started"])
        missing = max(0, latest["held"] + latest["planned"] - len(runs))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        return Entry("", folder, {"cannot be read": " ".join(str(error).split())})
    facts = {"latest command": f"{started[:16].replace('T', ' ')} UTC", "typed": typed}
    facts["runs"] = counts(runs) + (f"; {missing} missing" if missing else "")
    networks = of_networks(runs)
    ended = runs["verdict"][networks].value_counts().sort_index()
    if len(ended):
        facts["networks"] = ", ".join(
            f"{count} {name.replace('_', ' ')}" for name, count in ended.items()
        )
    words = {"bound_holds": "bound holds", "bound_coursework_fails": "coursework's bound fails"}
    for name, told in verdicts(runs[~networks]).items():
        if not told.endswith("/0"):
            facts[words[name]] = told.replace("/", " of ")
    return Entry(started, folder, facts)


def _card(entry: Entry) -> str:
    folder, name = entry.folder, escape(entry.folder.name)
    place = quote(os.fsencode(folder.name))
    has_page = (folder / "report.html").exists()
    title = f'<a href="{place}/report.html">{name}</a>' if has_page else name
    pictures = [each for each in NAMES if (folder / "figures" / f"{each}.png").exists()]
    image = ""
    if pictures:
        shown = f'<img src="{place}/figures/{pictures[0]}.png" alt="{pictures[0]} of {name}">'
        image = f'<a href="{place}/report.html">{shown}</a>' if has_page else shown
    facts = "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entry.facts.items())
    path = f"{folder.parent.resolve().name}/{folder.name}"
    command = escape(f"gdconv-report {shlex.quote(path)}")
    hint = "" if has_page else f'<p class="quiet">It has no report: <code>{command}</code></p>\n'
    return (
        f'<section class="panel study">\n<div class="thumbnail">{image}</div>\n'
        f"<div><h2>{title}</h2>\n<dl>\n{facts}\n</dl>\n{hint}</div>\n</section>"
    )
