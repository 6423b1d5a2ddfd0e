"""The words in figures: labels of axes, what panels have in common and how they differ, draws."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence, Sized
from functools import cache
from typing import Any

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font

from gdconv.report.numerals import exact, number, with_powers
from gdconv.report.settings import DRAW, differing, options_of
from gdconv.tables.columns import QUANTITIES, TEXT, WHOLE, Column

# Values that need no name beside them.
_ALONE = ("study", "problem", "file", "method")
# These names were given by the user and stay as they are.
_NAMES = ("study", "file", "target")
_TEX = {
    **{"κ": r"\kappa", "ν": r"\nu", "η": r"\eta\,", "λ": r"\lambda", "−": "-"},
    **{"⁺": "^+", "²": "^2", "*": "^*", "max": r"_{\max}", "min": r"_{\min}"},
}


def mathtext(symbol: str) -> str:
    """Return a symbol as Matplotlib's mathematics: λmax becomes $\\lambda_{\\max}$."""
    for plain, tex in _TEX.items():
        symbol = symbol.replace(plain, tex)
    return f"${symbol}$"


def with_unit(text: str, name: str) -> str:
    """Return a text with the unit of a quantity; a number of things has none."""
    column = QUANTITIES[name]
    if column.kind == WHOLE:
        return text
    unit = f"units of {mathtext(column.unit)}" if column.unit else "dimensionless"
    return f"{text}   ({unit})"


def axis(name: str) -> str:
    """Return the label of an axis: a quantity in words, its symbol and its unit."""
    column = QUANTITIES[name]
    symbol = f" {mathtext(column.symbol)}" if column.symbol else ""
    return with_unit(column.words + symbol, name)


def names(settings: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Return in words what some settings have in common, and for each how it differs."""
    told = differing(settings)
    if len(settings) == 1 and "n_features" in settings[0]:
        told = ["n_features"]
    common = [name for name in settings[0] if name not in told]
    return _describe(settings[0], common), [_describe(each, told) for each in settings]


def with_kappa(title: str, runs: pd.DataFrame) -> str:
    """Return a title with the condition number of some runs, added unless it has one."""
    return title if r"\kappa" in title else ", ".join(filter(None, (title, kappa(runs))))


def kappa(runs: pd.DataFrame) -> str:
    """Return the median condition number of some runs with its symbol."""
    value = number(runs["condition_number"].median())
    return QUANTITIES["condition_number"].tell(value, mathtext)


def part_of(shown: Sized, every: Sized, what: str) -> str:
    """Return in words how many of all problems or families are shown; empty if all are."""
    return f"{len(shown)} of {len(every)} {what}" * (len(every) > len(shown))


def count_draws(groups: Iterable[pd.DataFrame]) -> tuple[int, str]:
    """Return the largest number of draws in a group of runs, and the numbers of all in words."""
    counts = [len(runs[DRAW].drop_duplicates()) for runs in groups]
    most = max(counts)
    words = "one draw" if most == 1 else f"{most} draws"
    return most, words if min(counts) == most else f"up to {words}"


def which_draw(groups: Iterable[pd.DataFrame]) -> str:
    """Return in words which draw is shown, for groups of one draw each."""
    draws = pd.concat([runs[DRAW] for runs in groups]).drop_duplicates()
    if len(draws) > 1:
        return "the first draw of each"
    return "seed {}, repetition {}".format(*draws.iloc[0])


def wrapped(title: str, longest: int) -> str:
    """Return a title broken into lines between its parts, and inside a part that is too long."""
    lines = [""]
    for part in title.split(", "):
        line = f"{lines[-1]}, {part}" if lines[-1] else part
        if length(line) <= longest:
            lines[-1] = line
            continue
        if lines[-1]:
            lines[-1] += ","
            lines.append("")
        whole = length(part) <= longest
        lines[-1:] = [part] if whole else textwrap.wrap(part, longest, break_long_words=False)
    return "\n".join(lines)


def fitted(label: str, longest: int) -> str:
    """Return the label of an axis, without its unit or in two lines if it is too long."""
    if length(label) <= longest:
        return label
    words = label.partition("   ")[0]
    # A line must not end inside of a formula.
    blanks = [at for at, char in enumerate(words) if char == " " and words[:at].count("$") % 2 == 0]
    if length(words) <= longest or not blanks:
        return words
    middle = min(blanks, key=lambda at: abs(at - len(words) / 2))
    return f"{words[:middle]}\n{words[middle + 1 :]}"


def length(text: str) -> int:
    """About how many letters wide a text is when it is drawn."""
    return len(re.sub(r"[$^{}]|\\[a-z]+", "", text))


def _describe(setting: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(_say(name, setting[name]) for name in names if pd.notna(setting[name]))


def _say(name: str, value: Any) -> str:
    if name in ("problem_options", "method_options"):
        return ", ".join(_option(*option.partition("=")[::2]) for option in options_of(value))
    if isinstance(value, float):
        value = with_powers(exact(value, 3))
    elif isinstance(value, str):
        value = _plain(value if name in _NAMES else value.replace("_", " "))
    if name == "start_which":
        return mathtext(f"λ{value}")
    return value if name in _ALONE else _named(name, value)


def _named(name: str, value: str) -> str:
    return QUANTITIES.get(name, Column(name, TEXT, "")).tell(value, mathtext)


def _option(name: str, value: str) -> str:
    """An option of a problem or a method, given as in its column of options, in few characters."""
    try:
        value = _plain(value) if name in _NAMES else with_powers(exact(float(value), 3))
    except ValueError:
        words = QUANTITIES.get(name, Column(name, TEXT, "")).words
        return f"{words} {_plain(value.replace('_', ' '))}"
    return _named(name, value)


def can_draw(text: str) -> bool:
    """Return whether the figures' font has all letters of a text."""
    return all(ord(each) in _letters() for each in text)


def _plain(text: str) -> str:
    """Escape dollar signs, and letters that the font does not have."""
    shown = (each if can_draw(each) else ascii(each)[1:-1] for each in text)
    return "".join(shown).replace("$", r"\$")


@cache
def _letters() -> Mapping[int, int]:
    return get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
