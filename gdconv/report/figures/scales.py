"""Axes of figures: logarithmic ones that can be read, and positions of labels beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator
from numpy.typing import ArrayLike

from gdconv.report.figures.sizes import letters
from gdconv.report.numerals import ROUNDING, ten_to

MANY_DECADES = 2.2
# The part of a panel's width that neighbouring labels are apart at least.
LABEL_APART = 0.13
# What stays in this part of a panel's height is hidden by the frame.
FRAME = 0.01


class _Powers(LogLocator):
    """Powers of ten that are numbers: the gap of a run that diverges comes near the largest one."""

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Return the ticks between two numbers and a few beside them."""
        with np.errstate(over="ignore"):
            ticks = np.asarray(super().tick_values(vmin, vmax))
        return [float(each) for each in ticks if 0 < each < np.inf]


def ascending(values: np.ndarray) -> np.ndarray:
    """Return indices of positive values in ascending order, each value once.

    Values that differ by rounding only count as one. Values that are nan come last.
    """
    order = np.argsort(values, kind="stable")
    again = np.diff(values[order], prepend=-np.inf) <= ROUNDING * values[order]
    return order[~again]


def logarithmic(axis: Axis, decades: float) -> None:
    """Label a logarithmic axis that spans so many decades, at 1, 2, 5 or at powers of ten."""
    if decades < MANY_DECADES:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades > 0.5 else range(1, 10)))
        axis.set_major_formatter("{x:g}")
    else:
        axis.set_major_locator(_Powers())
        axis.set_major_formatter(lambda value, _: ten_to(round(np.log10(value))))
    axis.set_minor_locator(NullLocator())


def both_logarithmic(ax: Axes, last: float, low: float, high: float) -> None:
    """Make both axes logarithmic: from 1 to `last`, and from below `low` to above `high`.

    This comes before anything is drawn. Limits that Matplotlib chooses itself for the gaps of a run
    that diverges are beyond the largest number.
    """
    bottom, top = low / 2, min(2 * high, float(np.finfo(float).max))
    ax.set_xlim(1, last)
    ax.set_ylim(bottom, top)
    ax.set(xscale="log", yscale="log")
    logarithmic(ax.yaxis, np.log10(top) - np.log10(bottom))


def is_seen(ax: Axes, heights: ArrayLike) -> bool:
    """Return whether a line through some heights is within a panel with a logarithmic axis."""
    bottom, top = np.log(ax.get_ylim())
    with np.errstate(divide="ignore"):
        y = (np.log(np.asarray(heights, dtype=float)) - bottom) / (top - bottom)
    # Comparisons with nan are false, so a gap in the line is not seen.
    pieces = np.column_stack([y[:-1], y[1:]])
    return bool(((pieces.max(axis=1) > FRAME) & (pieces.min(axis=1) < 1)).any())


def evenly_by_factors(values: ArrayLike) -> bool:
    """Return whether some positive values are spaced by equal factors rather than evenly."""
    distinct = np.asarray(values)[ascending(np.asarray(values))]
    gaps, factors = np.diff(distinct), np.diff(np.log(distinct))
    return len(distinct) > 2 and factors.std() / factors.mean() < gaps.std() / gaps.mean()


def from_zero(ax: Axes, last: int) -> None:
    """Make the horizontal axis linear from 0 to 1 and logarithmic from there to `last`."""
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(0, last)
    powers = [10**power for power in range(len(str(last))) if 10**power <= last]
    ax.xaxis.set_major_locator(FixedLocator([0, *powers]))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())


def around(ax: Axes, centre: float, width: float, limits: tuple[float, float]) -> None:
    """Make the horizontal axis linear near a number and logarithmic in the distance from it.

    Parameters
    ----------
    centre, width : float
        Up to about this distance from the centre the axis is linear.
    limits : tuple of float
        The ends of the axis.
    """

    def forward(x: np.ndarray) -> np.ndarray:
        return np.arcsinh((x - centre) / width)

    def backward(place: np.ndarray) -> np.ndarray:
        # Matplotlib also asks for places far beyond the axis.
        return centre + width * np.sinh(np.clip(place, -100, 100))

    ax.set_xscale("function", functions=(forward, backward))
    ax.set_xlim(*limits)
    powers = 10.0 ** np.arange(1, -7, -1)
    far = [first * power for first in (1, 2, 5) for power in powers]
    wanted = [centre, *far[:2], *(centre + sign * off for off in far for sign in (1, -1))]
    # A smaller figure has room for fewer labels.
    room = (
        LABEL_APART
        * 100
        / letters(100)
        * (forward(np.array(limits[1])) - forward(np.array(limits[0])))
    )
    ticks: list[float] = []
    for tick in (float(f"{each:.12g}") for each in wanted if limits[0] <= each <= limits[1]):
        places = forward(np.array(ticks)), forward(np.array(tick))
        if (np.abs(places[0] - places[1]) >= room).all():
            ticks.append(tick)
    ax.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    ax.xaxis.set_major_formatter("{x:.7g}")
    ax.xaxis.set_minor_locator(NullLocator())


def apart(positions: Sequence[float], distance: float, last: float = np.inf) -> list[float]:
    """Return ascending positions, moved until neighbours are a distance apart.

    They are pushed up; those that would end above `last` are then pushed down.
    """
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + distance) if moved else position)
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], last - distance * (len(moved) - 1 - index))
    return moved
