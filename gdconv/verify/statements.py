"""The statements that are checked on one run.

Of gradient descent these are the coursework's, (1) to (20) and (a) to (k). Of another method these
are what the coursework says of the problem, and what follows from its residual polynomial. Each
statement or equation has one function, which says what it compares. How large rounding may make the
difference is said there or in `gdconv.verify.case`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gdconv.methods.gradient_descent import GradientDescent
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
from gdconv.verify.polynomial import bounds_hold, exact_gap, limit_of_steps, two_terms
from gdconv.verify.rate import condition_j, kind_k, rate_20

Equations = Sequence[Callable[[Case], Iterator[Check]]]
EQUATIONS: Equations = (
    *(loss_1, gradient_3, hessian_4, optimum_5, step_6, step_7, step_8, unrolled_9),
    *(eigenvectors_12, quadratic_form_13, distance_14, taylor_15, gap_16, gap_17),
    *(bound_18, bound_19, rate_20, condition_j, kind_k),
)


OF_ANY_METHOD: Equations = (
    *(loss_1, gradient_3, hessian_4, optimum_5, eigenvectors_12, quadratic_form_13, taylor_15),
    *(gap_16, two_terms, exact_gap, bounds_hold, limit_of_steps),
)


def verify(case: Case) -> list[Check]:
    """Return every statement's check for one run."""
    equations = EQUATIONS if isinstance(case.method, GradientDescent) else OF_ANY_METHOD
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return [check for equation in equations for check in equation(case)]
