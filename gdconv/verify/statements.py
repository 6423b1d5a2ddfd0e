"""The statements of the coursework, (1) to (20) and (a) to (k), as checks on one run.

Each equation has one function, which says what it compares. How large rounding may make the
difference is said there or in `gdconv.verify.case`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import Check
from gdconv.verify.error import (
    distance_14,
    eigenvectors_12,
    quadratic_form_13,
    step_6,
    step_7,
    step_8,
    unrolled_9,
)
from gdconv.verify.gap import bound_18, bound_19, gap_16, gap_17, taylor_15
from gdconv.verify.loss import gradient_3, hessian_4, loss_1, optimum_5
from gdconv.verify.rate import condition_j, kind_k, rate_20

EQUATIONS: Sequence[Callable[[Case], Iterator[Check]]] = (
    *(loss_1, gradient_3, hessian_4, optimum_5, step_6, step_7, step_8, unrolled_9),
    *(eigenvectors_12, quadratic_form_13, distance_14, taylor_15, gap_16, gap_17),
    *(bound_18, bound_19, rate_20, condition_j, kind_k),
)


def verify(case: Case) -> list[Check]:
    """Return every statement's check for one run."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return [check for equation in EQUATIONS for check in equation(case)]
