"""How large a figure and its text are: as in the report, or as a paper asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from gdconv.config.rules import ConfigError, plain, shown

# Width in inches: at half a page's width the smallest text is still more than 4 points high.
WIDTH = 5.2
# Points of most texts; smaller ones are smaller by the same factor in every size.
FONT = 8
# Inches that a letter takes, and how much less high a narrow figure may be than in the report.
LETTER, NARROW = 0.065, 0.8
SMALLEST, LARGEST = 1, 40
SMALLEST_FONT, LARGEST_FONT = 3, 30


class Size(NamedTuple):
    """The size of a figure in inches, and of its text in points.

    Attributes
    ----------
    height : float or None
        None keeps the proportions that the figure has in the report.
    """

    width: float = WIDTH
    height: float | None = None
    font: float = FONT


REPORT = Size()
_ASKED: ContextVar[Size] = ContextVar("size", default=REPORT)


def size_of(figure_size: Any = None, font_size: Any = None) -> Size:
    """Return a size as it is given in Python.

    Parameters
    ----------
    figure_size : float or pair of float, optional
        The width in inches, or width and height; as in the report by default.
    font_size : float, optional
        Points of most texts.

    Raises
    ------
    ConfigError
        If they are no numbers, or too small or too large.
    """
    given = [] if figure_size is None else plain(figure_size)
    values = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if len(values) > 2 or not all(_between(SMALLEST, each, LARGEST) for each in values):
        allowed = f"must be inches from {SMALLEST} to {LARGEST}: a width, or width and height"
        raise ConfigError("figure_size", shown(figure_size), allowed)
    font = FONT if font_size is None else plain(font_size)
    if not _between(SMALLEST_FONT, font, LARGEST_FONT):
        allowed = f"must be points from {SMALLEST_FONT} to {LARGEST_FONT}"
        raise ConfigError("font_size", shown(font_size), allowed)
    width, height = [*map(float, values), None, None][:2]
    return Size(width or WIDTH, height, float(font))


def _between(low: float, value: Any, high: float) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and low <= value <= high


@contextmanager
def sized(size: Size) -> Iterator[None]:
    """Let the functions below answer for figures of a size."""
    token = _ASKED.set(size)
    try:
        yield
    finally:
        _ASKED.reset(token)


def points(usual: float) -> float:
    """Return the size of a text that has so many points in the report."""
    return usual * _ASKED.get().font / FONT


def letters(usual: int) -> int:
    """Return how many letters fit where so many do in the report."""
    size = _ASKED.get()
    return max(6, int(usual * size.width / WIDTH * FONT / size.font))


def inches(height: float) -> tuple[float, float]:
    """Return width and height of a figure that has a height in the report."""
    size = _ASKED.get()
    # A narrow figure is higher in proportion, because its text is as large as in a wide one.
    usual = height * max(size.width / WIDTH, NARROW * size.font / FONT)
    return size.width, size.height or usual


def letters_in(height: float) -> int:
    """Return about how many letters fit beside each other in so many inches."""
    return int(height / points(LETTER))


def taller(figure: Figure, height: float) -> None:
    """Make a figure higher for more lines of text, unless its height was asked for."""
    if _ASKED.get().height is None:
        figure.set_figheight(figure.get_figheight() + points(height))
