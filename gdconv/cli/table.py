"""The command `gdconv-table`: it prints what a table holds, before anything is run on it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import yaml

from gdconv.cli.composition import CommandError
from gdconv.config.problems import Columns, Table
from gdconv.config.rules import nearest, quoted, quoted_list, typed
from nnlib import terminal

USAGE = """\
gdconv-table FILE ... [KEY=VALUE ...]

Prints the columns of a table: their types and ranges, missing cells and texts; then the rank and
the condition number κ of X, as it is and standardised, the column that makes κ large, and pairs of
correlated columns. A column is marked y if it is the target, and - if it is not used.

FILE is a file, a pattern, or a folder of parts. The keys are those of problem=table, with or
without "problem." before them:
"""
# Texts and missing cells would be refused, but a table can be looked at without them.
LENIENT = {"text": "drop", "missing": "drop_rows"}
# They have no effect here, or are given without a name.
NO_KEYS = {"path", "block_rows"}


def main() -> int:
    """Describe the table that the command line names, and return the exit status."""
    from gdconv.cli.main import exit_status

    return exit_status("gdconv-table", _describe)


def _describe() -> int:
    words = sys.argv[1:]
    if not words or {"--help", "-h"} & {*words}:
        print(USAGE + _keys())
        return 0 if words else 2
    paths, values = _sorted(words)
    if not paths:
        raise CommandError("gdconv-table needs the name of a file")
    target, intercept = values.pop("target", None), values.pop("intercept", True)
    standardize = values.pop("standardize", False)
    # Made for its checks, which are those of gdconv.
    goal = "y" if target is None else target
    of_all = {"path": tuple(paths), "target": goal, "standardize": standardize}
    table = Table(**of_all, intercept=intercept, **values)
    keys = Columns(**{"path": table.path} | LENIENT | values)
    from gdconv.problems.table.describe import describe

    named = None if target is None else table.target
    found = describe(keys, named, table.intercept)
    width = terminal.room()
    for line in found.lines:
        print(*terminal.folded(line, width, "    "), sep="\n")
    needed = {name: value for name, value in LENIENT.items() if name in found.needed}
    print("", *_lines(_command(paths, named, needed | values), width), sep="\n")
    return 0


def _sorted(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The files and the keys among the words of a command."""
    known = {each.name for each in fields(Table)} - NO_KEYS
    paths, values = [], {}
    for word in words:
        name, sign, value = word.removeprefix(Table.prefix).partition("=")
        if not sign or os.path.exists(word):
            paths.append(word)
        elif name == "path":
            paths.append(value)
        elif name in known:
            values[name] = _value(value)
        else:
            allowed = ", ".join(sorted(known))
            raise CommandError(f"{word}: is not a key; allowed: {allowed}{nearest(name, known)}")
    return paths, values


def _value(text: str) -> Any:
    """A value as Hydra reads it, or else the text itself."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, bool | int | float | str | list) else text


def _lines(words: Sequence[str], width: int | None) -> list[str]:
    """A command as one line, or as lines that end with a backslash, which a shell joins."""
    lines = ["next:"]
    for word in words:
        # A backslash has to fit as well.
        if width is not None and len(f"{lines[-1]} {word} \\") > width:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return lines


def _command(paths: Sequence[str], target: str | None, values: dict[str, Any]) -> list[str]:
    """The words of a command that runs a study on the table."""
    words = ["gdconv", "problem=table"]
    plain = paths[0] if len(paths) == 1 else None
    words.append(
        quoted_list("problem.path", paths) if plain is None else _word("problem.path", plain)
    )
    words.append(_word("problem.target", target) if target else "problem.target=COLUMN")
    for name, value in values.items():
        if isinstance(value, list):
            words.append(quoted_list(f"problem.{name}", map(str, value)))
        else:
            words.append(_word(f"problem.{name}", typed(value)))
    return [*words, "problem.standardize=true"]


def _word(key: str, value: str) -> str:
    plain = shlex.quote(value) == value and value.isascii() and "=" not in value
    return f"{key}={value}" if plain else quoted(key, value)


def _keys() -> str:
    told = [(each.name, each.metadata["meaning"].replace("`", "")) for each in fields(Table)]
    return "\n".join(f"  {name:12}{meaning}" for name, meaning in told if name not in NO_KEYS)
