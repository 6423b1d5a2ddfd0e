"""The words in figures: what panels have in common, how they differ, which draws they show."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font

from gdconv.report.numerals import exact, number, with_powers
from gdconv.report.settings import options_of

_FORMS = {
    "n_samples": "$n$ = {}",
    "n_features": "$d$ = {}",
    "noise": "noise {}",
    "start": "start {}",
    "start_which": "$\\lambda_{{\\{}}}$",
    "start_radius": "radius {}",
}
# These names were given by the user and stay as they are.
_NAMES = ("study", "file", "target")


def names(settings: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Return in words what some settings have in common, and for each how it differs."""
    values = pd.DataFrame(settings)
    shared = [name for name in values if values[name].nunique(dropna=False) == 1]
    alone = len(settings) == 1 and "n_features" in shared
    told = [name for name in values if name not in shared] + ["n_features"] * alone
    common = [name for name in shared if name not in told]
    return _describe(settings[0], common), [_describe(each, told) for each in settings]


def with_kappa(title: str, runs: pd.DataFrame) -> str:
    """Return a title with the condition number of some runs, added unless it has one."""
    kappa = f"$\\kappa$ = {number(runs['condition_number'].median())}"
    return title if r"\kappa" in title else ", ".join(filter(None, (title, kappa)))


def count_draws(groups: Iterable[pd.DataFrame]) -> tuple[int, str]:
    """Return the largest number of draws in a group of runs, and the numbers of all in words."""
    counts = [len(runs[["seed", "repetition"]].drop_duplicates()) for runs in groups]
    most = max(counts)
    words = "one draw" if most == 1 else f"{most} draws"
    return most, words if min(counts) == most else f"up to {words}"


def which_draw(groups: Iterable[pd.DataFrame]) -> str:
    """Return in words which draw is shown, for groups of one draw each."""
    draws = pd.concat([runs[["seed", "repetition"]] for runs in groups]).drop_duplicates()
    if len(draws) > 1:
        return "the first draw of each"
    return "seed {}, repetition {}".format(*draws.iloc[0])


def wrapped(title: str, longest: int) -> str:
    """Return a title broken into lines between its parts, and inside a part that is too long."""
    lines = [""]
    for part in title.split(", "):
        line = f"{lines[-1]}, {part}" if lines[-1] else part
        if _length(line) <= longest:
            lines[-1] = line
            continue
        if lines[-1]:
            lines[-1] += ","
            lines.append("")
        whole = _length(part) <= longest
        lines[-1:] = [part] if whole else textwrap.wrap(part, longest, break_long_words=False)
    return "\n".join(lines)


def _length(text: str) -> int:
    """About how many letters wide a text is when it is drawn."""
    return len(re.sub(r"[$^{}]|\\[a-z]+", "", text))


def _describe(setting: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(_say(name, setting[name]) for name in names if pd.notna(setting[name]))


def _say(name: str, value: Any) -> str:
    if name == "problem_options":
        return ", ".join(_option(*option.partition("=")[::2]) for option in options_of(value))
    if isinstance(value, float):
        value = with_powers(exact(value, 3))
    elif isinstance(value, str):
        value = _plain(value if name in _NAMES else value.replace("_", " "))
    return _FORMS.get(name, "{}").format(value)


def _option(name: str, value: str) -> str:
    """An option of a problem, given as in problem_options, in few characters."""
    try:
        value = _plain(value) if name in _NAMES else with_powers(exact(float(value), 3))
    except ValueError:
        value = _plain(value.replace("_", " "))
    name = name.replace("_", " ")
    return f"$\\kappa$ = {value}" if name == "condition number" else f"{name} {value}"


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
