"""Combinations of lists of values, where some lists may be taken together instead of multiplied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from math import prod
from typing import Any

from gdconv.config.rules import ConfigError, Rule

# The keys of each pair: those whose values are taken together, the first with the first.
Pairs = tuple[tuple[str, ...], ...]


def _parse(value: Any) -> Pairs:
    """None or [] are no pair, [a,b] is one, [[a,b],[c,d]] are two."""
    if isinstance(value, str):
        raise ValueError
    pairs = list(value or [])
    if pairs and all(isinstance(each, str) for each in pairs):
        pairs = [pairs]
    keys = [key for pair in pairs for key in pair]
    if any(isinstance(pair, str) or len(pair) < 2 for pair in pairs):
        raise ValueError
    if len(set(keys)) < len(keys) or not all(isinstance(key, str) and key for key in keys):
        raise ValueError
    return tuple(tuple(pair) for pair in pairs)


pairs_of_keys = Rule(
    _parse,
    "must be a list of two or more different keys, as [step.value,method.momentum], or several such"
    " lists, as [[step.value,method.momentum],[seed,problem.noise]]",
)


def combined(lists: Mapping[str, Sequence[Any]], pairs: Pairs) -> Iterator[tuple[Any, ...]]:
    """Yield every combination once: a value of each list, in the order of the lists.

    Parameters
    ----------
    pairs
        The lists of these keys are of equal length.
    """
    axes = _axes(lists, pairs)
    places = list(chain.from_iterable(axes))
    order = [places.index(key) for key in lists]
    for rows in product(*axes.values()):
        values = list(chain.from_iterable(rows))
        yield tuple([values[place] for place in order])


def number_of_combinations(lists: Mapping[str, Sequence[Any]], pairs: Pairs) -> int:
    """Return how many tuples `combined` yields, without making them."""
    return prod(map(len, _axes(lists, pairs).values()))


def _axes(
    lists: Mapping[str, Sequence[Any]], pairs: Pairs
) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    """What is multiplied: the keys that are taken together, or one key, and their distinct values.

    A pair stands in the place of the first of its lists.
    """
    of_key = {key: pair for pair in pairs for key in pair}
    together = dict.fromkeys(of_key.get(key, (key,)) for key in lists)
    return {
        keys: list(dict.fromkeys(zip(*(lists[key] for key in keys), strict=True)))
        for keys in together
    }


def refuse_unequal(pair: Sequence[str], counts: Mapping[str, int]) -> None:
    """Raise ConfigError unless all keys of a pair have equally many values, at least two."""
    found = [counts[key] for key in pair]
    if len(set(found)) == 1 and found[0] > 1:
        return
    has = ", ".join(
        f"{key} has {count} value{'s' * (count != 1)}"
        for key, count in zip(pair, found, strict=True)
    )
    raise ConfigError("pair", pair, f"must be keys with equally many values, at least 2; {has}")
