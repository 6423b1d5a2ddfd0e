"""A recorded iteration of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# A run is followed for at most so many iterations.
LONGEST = 10_000


@dataclass(frozen=True)
class Moment:
    """A recorded iteration of the run, and how far rounding errors may have moved it.

    Attributes
    ----------
    t : int
    w : ndarray, shape (d,)
    following : ndarray, shape (d,), or None
        w_{t+1}; None if the run was stopped because it had moved too far away.
    gap : float
        ‖X(w_t − w*)‖².
    components_error : ndarray, shape (rank,)
        How far v_iᵀ w_t may be off.
    distance_error, gap_error : float
        How far ‖w_t − w*‖ and √gap may be off; not finite if it is not known.
    """

    t: int
    w: np.ndarray
    following: Any
    gap: float
    components_error: np.ndarray
    distance_error: float
    gap_error: float
