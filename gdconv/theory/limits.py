"""What theory proves of a run, whatever the method."""

from __future__ import annotations

from typing import Any, NamedTuple


class Limits(NamedTuple):
    """Upper bounds of what a gap or a squared distance is as a part of something.

    nan stands for no bound, of a method's `limits` also None.

    gap : of the initial gap
    distance : ‖w_t − w*‖² as a part of ‖w_0 − w*‖²
    sharp : the gap as a part of ½ ‖w_0 − w*‖²; of a method's `limits`, in units of λmax
    """

    gap: Any
    distance: Any
    sharp: Any
