"""How a configuration key is declared: its default, its rule and its meaning; and its error."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar

# The elements of a longer array are not told.
MOST_SHOWN = 8


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names key, value and what is allowed."""

    def __init__(self, key: str, value: Any, allowed: str) -> None:
        shown = typed(value)
        if key.endswith("path") and isinstance(value, str) and shown.endswith("..."):
            # The name of a file is at its end.
            shown = "..." + on_one_line(value)[-77:]
        super().__init__(f"{key}={shown}: {on_one_line(allowed)}")


class ElementError(ValueError):
    """One element of a list is not allowed; the message says which."""


def typed(value: Any) -> str:
    """Return a value as one types it on the command line, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(typed(element) for element in value) + "]"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if hasattr(value, "__array__"):
        kind = {"ndarray": "array"}.get(type(value).__name__, type(value).__name__)
        return f"{kind} of shape {value.shape}"
    text = on_one_line(str(value))
    return text if len(text) <= 80 else text[:77] + "..."


def on_one_line(text: str) -> str:
    """Return a text with blanks for line breaks, and escapes for control characters."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    # Otherwise file names and cells could send control sequences to the terminal.
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )


def quoted(key: str, value: str) -> str:
    """Return KEY=VALUE quoted for a shell and for Hydra, whatever characters the value has."""
    return shlex.quote(f"{key}={_in_quotes(value)}")


def _in_quotes(value: str) -> str:
    # Hydra reads a backslash before a quote as an escape.
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'


# What Hydra reads as it is, and as a text.
_PLAIN = re.compile(r"(?!(?i:true|false|null|inf|nan)$)[A-Za-z_][\w.*?-]*", re.ASCII)


def quoted_list(key: str, values: Iterable[str]) -> str:
    """Return KEY=[VALUE,...] as one types it, quoted where the shell or Hydra needs it."""
    words = [each if _PLAIN.fullmatch(each) else _in_quotes(each) for each in values]
    return shlex.quote(f"{key}=[{','.join(words)}]")


def nearest(word: str, words: Iterable[str]) -> str:
    """Return a question that asks for the most similar of some words; "" if none is similar."""
    from difflib import get_close_matches

    # What stands before the last dot is the same for all, and would make them similar.
    of_last = {each.rpartition(".")[2]: each for each in words}
    found = get_close_matches(word.rpartition(".")[2], of_last, n=1, cutoff=0.66)
    return f"; did you mean {of_last[found[0]]}?" if found else ""


def refuse_other(key: str, value: Any, kind: Any, allowed: str) -> None:
    """Raise ConfigError for a value that is not of a kind, which only a call from Python can be."""
    if not isinstance(value, kind):
        raise ConfigError(key, shown(value), f"must be {allowed}")


@dataclass(frozen=True)
class Rule:
    """What a key accepts: `parse` returns the value in its declared type or raises ValueError.

    options : the values that it can have, as they are typed, if they are a few words
    """

    parse: Callable[[Any], Any]
    allowed: str
    options: tuple[str, ...] = ()


def plain(value: Any) -> Any:
    """Return a scalar of NumPy, or a row of them, as Python's own; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") and value.ndim <= 1 else value


def shown(value: Any) -> str:
    """Return a value of any kind for a message: as it is typed, or what kind of object it is."""
    usual = isinstance(value, str | bool | int | float | list | tuple | type | None)
    if usual or hasattr(value, "__array__"):
        return typed(value)
    return f"{type(value).__name__}(…)"


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def integer(low: int, high: int) -> Rule:
    """Whole numbers from low to high; 1e4 counts as one, 2.5 does not."""

    def parse(value: Any) -> int:
        if not _is_real(value):
            raise ValueError
        if not isinstance(value, Integral) and not float(value).is_integer():
            raise ValueError
        if not low <= value <= high:
            raise ValueError
        return int(value)

    return Rule(parse, f"must be a whole number from {low} to {high}")


def real(accept: Callable[[float], bool], allowed: str) -> Rule:
    """Finite numbers for which accept(value) is true."""

    def parse(value: Any) -> float:
        if not _is_real(value):
            raise ValueError
        number = float(value)
        if not (math.isfinite(number) and accept(number)):
            raise ValueError
        return number

    return Rule(parse, f"must be a finite number{allowed}")


def choice(*options: str) -> Rule:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in options:
            raise ValueError
        return value

    allowed = "must be " + "one of " * (len(options) > 1) + ", ".join(options)
    return Rule(parse, allowed, options)


def one_or_more(rule: Rule) -> Rule:
    """A value or a non-empty list of values, kept as a tuple."""

    def parse(value: Any) -> tuple[Any, ...]:
        # A loop over a DataFrame would run over the names of its columns.
        whole = isinstance(value, str) or hasattr(value, "columns")
        if whole or not isinstance(value, Iterable):
            value = [value]
        values = tuple(parse_element(element) for element in value)
        if not values:
            raise ValueError
        return values

    def parse_element(element: Any) -> Any:
        try:
            return rule.parse(element)
        except (ValueError, TypeError, OverflowError):
            raise ElementError(f"; {typed(element)} is not") from None

    return Rule(parse, f"{rule.allowed}, or a list of at least one of them", rule.options)


def list_of(rule: Rule) -> Rule:
    """A value or a list of values, which may be empty, kept as a tuple without repeats."""
    several = without_repeats(one_or_more(rule))

    def parse(value: Any) -> tuple[Any, ...]:
        none = isinstance(value, list | tuple) and not value
        return () if none else several.parse(value)

    return Rule(parse, rule.allowed)


def without_repeats(rule: Rule) -> Rule:
    """The tuple that another rule makes, each of its elements once."""
    return Rule(lambda value: tuple(dict.fromkeys(rule.parse(value))), rule.allowed, rule.options)


def either(first: Rule, second: Rule) -> Rule:
    """What one of two rules accepts."""

    def parse(value: Any) -> Any:
        try:
            return first.parse(value)
        except (ValueError, TypeError):
            return second.parse(value)

    allowed = f"{first.allowed}, or {second.allowed.removeprefix('must be ')}"
    return Rule(parse, allowed, first.options + second.options)


def optional(rule: Rule) -> Rule:
    """A value that the rule accepts, or null."""
    parse = rule.parse
    return Rule(lambda value: None if value is None else parse(value), rule.allowed, rule.options)


def _parse_text(value: Any) -> str:
    # Hydra reads results_dir=2024 as a number.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if hasattr(value, "__fspath__"):
        value = value.__fspath__()
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    return value


def _parse_path(value: Any) -> Any:
    # A table that was given from Python, see `gdconv.problems.table.files.held`, is no text.
    return value if getattr(value, "held", False) is True else _parse_text(value)


def _parse_column(value: Any) -> str:
    # Hydra reads problem.target=0.5 as a number.
    return _parse_text(str(value) if isinstance(value, float) else value).strip()


def _parse_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _parse_study(value: Any) -> str:
    # Hydra reads study=2024 as a number.
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str) or name != name.strip() or name.startswith("."):
        raise ValueError
    if not name or not name.isprintable() or set(name) & set("/\\") or len(name.encode()) > 200:
        raise ValueError
    return name


def _parse_address(value: Any) -> str:
    if not re.fullmatch(r"(tcp|tls)://[\w.\-\[\]:]+:\d{1,5}", value):
        raise ValueError
    return value


boolean = Rule(_parse_boolean, "must be true or false", ("true", "false"))
table_path = Rule(_parse_path, "must be the path of a table: a file, a pattern or a folder")
names_of_columns = list_of(
    Rule(_parse_column, "must be names of columns, as [a,b] (true, false and null in quotes)")
)
scheduler_address = Rule(_parse_address, "must be that of a Dask scheduler, as tcp://host:8786")
column_name = Rule(
    _parse_column, "must be the name of the target's column (true, false and null in quotes)"
)
folder_path = Rule(_parse_text, "must be the path of a folder")
study_name = Rule(
    _parse_study, "must be a folder's name: printable, no / or \\, no leading dot, up to 200 bytes"
)
# Outside this range a step size, its inverse or the square of a distance might not fit in a float.
positive = real(lambda value: 1e-100 <= value <= 1e100, " from 1e-100 to 1e100")
not_negative = real(lambda value: value >= 0, " of at least 0")
any_real = real(lambda value: True, "")
correlation = real(lambda value: -1 < value < 1, " greater than -1 and less than 1")
condition_number = real(lambda value: 1 <= value <= 1e18, " from 1 to 1e18")
fraction = real(lambda value: 0 < value < 1, " greater than 0 and less than 1")


def key(
    default: Any,
    rule: Rule,
    meaning: str | Callable[[], str],
    unit: str = "",
    kw_only: bool = False,
) -> Any:
    """Declare one configuration key.

    Parameters
    ----------
    default : object
    rule : Rule
        What it accepts.
    meaning : str, or callable that returns it
        One line for the documents and the help; it may have `code`.
    unit : str
        In units of the user's X and y, or in those of another key.
    kw_only : bool
        Whether it has to be named in Python. It comes last then.
    """
    metadata = {"rule": rule, "meaning": meaning, "unit": unit}
    # Unless it is said here, KW_ONLY in the class decides.
    return field(default=default, metadata=metadata, kw_only=kw_only or MISSING)


@dataclass(frozen=True)
class Section:
    """Base of the groups of keys below: every value is parsed by its rule when one is made.

    Raises ConfigError for the first value that its rule does not accept.
    """

    # A section that is not chosen by a name has an empty one.
    prefix: ClassVar[str] = ""
    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Parse every key that has a rule."""
        for declared in fields(self):
            rule = declared.metadata.get("rule")
            if rule is None:
                continue
            given = getattr(self, declared.name)
            value = plain(given)
            try:
                parsed = rule.parse(value)
            except (ValueError, TypeError, OverflowError) as error:
                several = isinstance(error, ElementError) and isinstance(value, list | tuple)
                allowed = rule.allowed + (str(error) if several and len(value) > 1 else "")
                long = value is not given and several and len(value) > MOST_SHOWN
                wrong = given if long else value
                raise ConfigError(self.prefix + declared.name, wrong, allowed) from None
            object.__setattr__(self, declared.name, parsed)
