"""The summary of a study as a table for LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from gdconv.report.numerals import NONE, short
from gdconv.report.settings import with_files
from gdconv.report.summary import facts_of, tables_of
from gdconv.tables import disk

NAME = "summary.tex"
# Characters that mean something to LaTeX, or that its usual fonts have in formulas only.
ESCAPES = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"},
    **{"'": r"\textquotesingle{}", "`": r"\textasciigrave{}"},
    **{"–": "--", "…": r"\dots{}", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$"},
    **{"≤": r"$\leq$", "≥": r"$\geq$", "∞": r"$\infty$", "²": "$^2$", "⁺": "$^+$", "⁻": "$^-$"},
    **{"∇": r"$\nabla$", "‖": r"$\|$", "ₜ": "$_t$", "Δ": r"$\Delta$"},
}
GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta"},
    **{"κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ρ": "rho", "σ": "sigma", "ω": "omega"},
}
ESCAPES |= {letter: f"$\\{name}$" for letter, name in GREEK.items()}
# So many digits of a number that was computed.
DIGITS = 4
_NUMBER = re.compile(r"([-+]?)([\d.]+)(?:e([-+]\d+))?")


def write(folder: Path, runs: pd.DataFrame) -> Path:
    """Write the table of a study's summary into its folder, and return the path.

    Raises
    ------
    OSError, ValueError
        If it cannot be written, or no run is complete.
    """
    text = table(runs)
    disk.replace(folder / NAME, [text.encode(errors="replace")])
    disk.sync_folder(folder)
    return folder / NAME


def table(runs: pd.DataFrame) -> str:
    """Return the rows that the terminal prints as environments tabular; of one run, its numbers.

    Raises
    ------
    ValueError
        If there are no runs.
    """
    if runs.empty:
        raise ValueError("no run is complete yet")
    runs = with_files(runs)
    parts = ["% Made by gdconv-report --latex. It needs \\usepackage{booktabs,textcomp}."]
    if len(runs) == 1:
        facts = facts_of(runs.iloc[0])
        lines = [f"{escaped(name)} & {escaped(value)}" for name, value in facts.items()]
        parts.append(_tabular("ll", [], lines))
    for rows in tables_of(runs) if len(runs) > 1 else ():
        parts.append(_of_rows(rows))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text as LaTeX prints it, character by character."""
    line = " ".join(text.split())
    # Two hyphens would become a dash.
    apart = ("-{}" if pair == "--" else "" for pair in map("".join, pairwise(f"{line} ")))
    return "".join(more or ESCAPES.get(char, char) for char, more in zip(line, apart, strict=True))


def number(text: str) -> str:
    """Return a number, as a formula where it needs one: $1.2 \\times 10^{-7}$ for 1.2e-07."""
    found = _NUMBER.fullmatch(text)
    if not found or not any(found.group(1, 3)):
        return escaped(text)
    sign, mantissa, exponent = found.groups()
    power = "" if exponent is None else rf" \times 10^{{{int(exponent)}}}"
    return f"${sign}{mantissa}{power}$"


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table; what is the same in all of them stands above it, for the caption."""
    alike = [name for name in rows[0] if len({short(row[name]) for row in rows}) == 1]
    names = [name for name in rows[0] if name not in alike] if len(rows) > 1 else list(rows[0])
    texts = {name for name in names if any(isinstance(row[name], str) for row in rows)}
    # What is counted out of a number, as 7/9, is a text that is read as a number.
    aligned = "".join("l" if name in texts and not _counts(rows, name) else "r" for name in names)
    lines = [" & ".join(_cell(row[name]) for name in names) for row in rows]
    told = ", ".join(f"{_heading(name)} {_cell(rows[0][name])}" for name in alike)
    above = f"% In all rows: {told}.\n" if len(names) < len(rows[0]) else ""
    return above + _tabular(aligned, [_heading(name) for name in names], lines)


def _heading(name: str) -> str:
    return f"${name}$" if len(name) == 1 and name.isascii() else escaped(name)


def _counts(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return all(re.fullmatch(rf"\d+/\d+|{NONE}|[\d.e+-]+", short(row[name])) for row in rows)


def _cell(value: Any) -> str:
    return escaped(value) if isinstance(value, str) else number(short(value, DIGITS))


def _tabular(aligned: str, names: Sequence[str], lines: Sequence[str]) -> str:
    head = [" & ".join(names) + r" \\", r"\midrule"] if names else []
    body = [f"{line} \\\\" for line in lines]
    inside = "\n".join([r"\toprule", *head, *body, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{aligned}}}\n{inside}\n\\end{{tabular}}"
