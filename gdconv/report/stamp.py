"""What a report was made of. By its stamp the next command knows whether it is still right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from gdconv.config.plugins import OF_FIGURES, found
from gdconv.tables import disk
from gdconv.tables.columns import FILES

CODE = {".py", ".html", ".css", ".js"}


def sources(folder: Path) -> str:
    """Return a checksum of all that a report is made from.

    These are the folder's name, its tables, configuration and history, gdconv and Matplotlib.

    Raises
    ------
    OSError
        As `disk.check`.
    """
    found = [name for name in FILES if (folder / name).exists()]
    known = (f"{name} {disk.checksum(folder / name)}" for name in found)
    return _checksum([folder.resolve().name, *known, _software()])


def stamp(folder: Path, made_of: str) -> bytes:
    """Return the last line of a report: a comment with a checksum of its sources and figures.

    Parameters
    ----------
    folder : Path
    made_of : str
        What `sources` returns.
    """
    figures = sorted(path for path in (folder / "figures").glob("*.*") if path.name[0] != ".")
    known = (f"{path.name} {disk.checksum(path)}" for path in figures)
    return f"<!-- made of files with the checksum {_checksum([made_of, *known])} -->\n".encode()


def is_on(folder: Path, made_of: str) -> bool:
    """Return whether the report of a study, with its figures, was made of these sources."""
    try:
        return disk.read_bytes(folder / "report.html").endswith(stamp(folder, made_of))
    except OSError:
        # A report that is not there, or is no file, is made anew, or refused when it is written.
        return False


@cache
def _software() -> str:
    """A checksum of gdconv's code, with the versions of Matplotlib and of others' figures."""
    package = Path(__file__).resolve().parents[1]
    code = sorted(path for path in package.rglob("*") if path.suffix in CODE)
    names = (path.relative_to(package).as_posix() for path in code)
    known = [f"{name} {disk.checksum(path)}" for name, path in zip(names, code, strict=True)]
    others = [
        f"{each.value} {each.dist and each.dist.version}" for each in found(OF_FIGURES).values()
    ]
    return _checksum([version("matplotlib"), *others, *known])


def _checksum(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
