"""The page of a study that is running, served on this machine and renewed by itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from hmac import compare_digest
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from string import Template
from urllib.parse import unquote

from gdconv.config.sections import FORMATS
from gdconv.report import curves, stamp
from gdconv.report.figures import NAMES
from gdconv.report.figures.files import drawn
from gdconv.report.options import why
from gdconv.report.page import explorer
from gdconv.report.page.document import asset, page, policy_hash
from gdconv.report.summary import Standing, status
from gdconv.tables import disk
from gdconv.tables.columns import FILES

SECONDS = 10
TYPES = {".csv": "text/csv", ".json": "application/json", ".yaml": "text/plain"}
TYPES |= {".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf"}


def progress(standing: Standing) -> tuple[str, str]:
    """Return as HTML what renews a page, and how far a study is; a finished one stays as it is."""
    there = standing.done + standing.failed
    total = there + standing.missing
    failed = f", {standing.failed} of them failed" if standing.failed else ""
    told = f"{there} of {total} runs are there{failed}."
    if standing.finished and not standing.missing:
        return "", f"<p>{told} The study is finished; the page is renewed no more.</p>"
    bar = f'<progress value="{there}" max="{total}"></progress>' if total else ""
    return _renewing(), f"<p>{told} The page renews itself every {SECONDS} seconds. {bar}</p>"


def live(folder: Path, made: dict[str, str]) -> str:
    """Return the page of a study as it stands; `made` keeps it as long as nothing changes."""
    try:
        sources = stamp.sources(folder)
        if sources not in made:
            made.clear()
            standing = status(folder)
            tables = curves.read(folder)
            needed = dict.fromkeys(NAMES, ("svg",))
            found, omitted, data = drawn(tables, needed, partial(explorer.embedded, tables))
            svg = {name: content["svg"] for name, content in found.items()}
            made[sources] = page(folder, tables, svg, omitted, data, progress(standing))
        return made[sources]
    except (OSError, ValueError) as error:
        # A study that begins has no tables yet, and a table may be just being written.
        return waiting(folder, why(folder, error))


def waiting(folder: Path, why: str) -> str:
    """Return the page of a study that cannot be read, or not yet."""
    style = asset("page.css")
    text = Template(asset("index.html")).substitute(
        title=escape(folder.resolve().name),
        count="",
        style=style,
        style_hash=policy_hash(style),
        studies=f"<p>{escape(why)}. The page renews itself every {SECONDS} seconds.</p>",
    )
    return text.replace("<title>", f"{_renewing()}\n<title>")


def _renewing() -> str:
    return f'<meta http-equiv="refresh" content="{SECONDS}">'


class Server(HTTPServer):
    """A server of one study: its page, its tables and its figures, for whoever has the address.

    Any user of this machine can reach the port, so the address has a token that is made anew for
    each server. Nothing is written.
    """

    def __init__(self, folder: Path, made: Callable[[], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.made = folder, made
        self.token = secrets.token_urlsafe(24)
        self.host = f"127.0.0.1:{self.server_port}"
        self.address = f"http://{self.host}/{self.token}/"

    def found(self, path: str, host: str) -> tuple[bytes, str] | None:
        """Return the content of a path and its type; None if it may not be had."""
        token, _, name = unquote(path.partition("?")[0]).removeprefix("/").partition("/")
        # Another name of this machine may be that of a page elsewhere, which must not read this.
        if not compare_digest(token.encode(), self.token.encode()) or host != self.host:
            return None
        if name in ("", "report.html"):
            return self.made().encode(errors="replace"), "text/html; charset=utf-8"
        figures = {f"figures/{each}.{suffix}" for each in NAMES for suffix in FORMATS}
        if name not in {*FILES, *figures} or not (self.folder / name).is_file():
            return None
        return disk.read_bytes(self.folder / name), TYPES[Path(name).suffix]


class _Handler(BaseHTTPRequestHandler):
    server: Server
    # A browser may open a connection without a request, which must not stop the others.
    timeout = 2

    def do_GET(self) -> None:
        found = self.server.found(self.path, self.headers.get("Host", ""))
        content, kind = found or (b"There is nothing here.\n", "text/plain")
        self.send_response(200 if found else 404)
        headers = {"Content-Type": kind, "Content-Length": str(len(content))}
        headers |= {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        for name, value in (headers | {"X-Content-Type-Options": "nosniff"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing: the terminal is for the address."""
