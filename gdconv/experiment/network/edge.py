"""How a training ended: at the edge of stability, or otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence

# The last third of the iterations is the tail.
TAIL = 2 / 3
# At the edge, the mean of sharpness/threshold in the tail is at most this much below 1.
EDGE = 0.05
# A loss of at most this part of that at the start is small.
SMALL = 0.01


def tail(
    t: Sequence[int], ratios: Sequence[float], crossing: int | None = None
) -> tuple[float, float]:
    """Return mean and spread of sharpness/threshold over the tail, nan if none of it is known.

    Parameters
    ----------
    t, ratios : sequences
        The recorded iterations of a run, and sharpness/threshold there.
    crossing : int, optional
        The first crossing, if there was one. What comes before it is no part of the tail.
    """
    first = max(TAIL * t[-1], min(crossing or 0, t[-1]))
    late = [ratio for each, ratio in zip(t, ratios, strict=True) if each >= first]
    if not all(map(math.isfinite, late)):
        return math.nan, math.nan
    return sum(late) / len(late), max(late) - min(late)


def verdict(*, diverged: bool, dead: bool, crossed: bool, mean: float, left: float) -> str:
    """Return what stopped the sharpening of a run, in a word.

    Parameters
    ----------
    diverged : bool
        Whether the loss became too large.
    dead : bool
        Whether no unit has a gradient any more, so that nothing will change.
    crossed : bool
        Whether the sharpness came up to the threshold.
    mean : float
        That of sharpness/threshold in the tail.
    left : float
        What is left of the loss at the start.
    """
    if diverged:
        return "diverged"
    if dead:
        return "dead"
    if crossed and mean >= 1 - EDGE:
        return "at_edge"
    return "loss_small" if left <= SMALL else "below"
