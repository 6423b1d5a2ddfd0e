"""The statements that are checked on one run.

Of gradient descent these are the coursework's, (1) to (20) and (a) to (k). Of another method these
are what the coursework says of the problem, and what follows from its residual polynomial. Each
statement or equation has one function, which says what it compares. How large rounding may make the
difference is said there or in `gdconv.verify.case`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.conjugate_gradient import ConjugateGradient
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.marchenko_pastur import MarchenkoPastur
from gdconv.methods.nesterov import Nesterov
from gdconv.methods.protocol import Method
from gdconv.verify.case import Case
from gdconv.verify.checks import Check
from gdconv.verify.chosen.restarts import restarts
from gdconv.verify.chosen.steps import (
    not_above_line_search,
    one_step,
    orthogonal,
    size_chosen,
    step_taken,
)
from gdconv.verify.chosen.whole import (
    end,
    exact_run,
    late_steps,
    proved_bounds,
    spectrum_bound,
    steps_needed,
)
from gdconv.verify.coursework.error import (
    distance_14,
    eigenvectors_12,
    quadratic_form_13,
    step_6,
    step_7,
    step_8,
    unrolled_9,
)
from gdconv.verify.coursework.gap import bound_18, bound_19, gap_16, gap_17, taylor_15
from gdconv.verify.coursework.loss import gradient_3, hessian_4, loss_1, optimum_5
from gdconv.verify.coursework.rate import condition_j, kind_k, rate_20
from gdconv.verify.largest import iterations_predicted, largest_values, least_of_any_method
from gdconv.verify.momentum import interval, invariant, least_on_average, momentum_asked_for
from gdconv.verify.polynomial import (
    bounds_hold,
    contraction,
    exact_gap,
    limit_of_steps,
    size_of_steps,
    two_terms,
)
from gdconv.verify.sampled.expectation import (
    all_rows,
    balance,
    limit_expected,
    one_step_expected,
    rest_expected,
    size_drawn,
    unbiased,
)

Equations = Sequence[Callable[[Case], Iterator[Check]]]
EQUATIONS: Equations = (
    *(loss_1, gradient_3, hessian_4, optimum_5, step_6, step_7, step_8, unrolled_9),
    *(eigenvectors_12, quadratic_form_13, distance_14, taylor_15, gap_16, gap_17),
    *(bound_18, bound_19, rate_20, condition_j, kind_k),
)
OF_PROBLEM: Equations = (
    *(loss_1, gradient_3, hessian_4, optimum_5, eigenvectors_12, quadratic_form_13, taylor_15),
    gap_16,
)
OF_ANY_METHOD: Equations = (
    *OF_PROBLEM,
    *(size_of_steps, limit_of_steps, two_terms, exact_gap, bounds_hold, largest_values),
    *(contraction, iterations_predicted, least_of_any_method),
)
# Of a method that chooses each step by what it sees.
OF_CHOOSING: Equations = (
    *OF_PROBLEM,
    *(size_chosen, step_taken, one_step, exact_run, proved_bounds, late_steps, steps_needed),
)
# Of a method that draws samples.
OF_SAMPLING: Equations = (
    *OF_PROBLEM,
    *(size_drawn, unbiased, one_step_expected, limit_expected, rest_expected, balance, all_rows),
)
# What is checked besides.
OF_ONE_METHOD: Mapping[type[Method], Equations] = {
    HeavyBall: (momentum_asked_for, invariant),
    Nesterov: (momentum_asked_for, restarts),
    Chebyshev: (interval,),
    MarchenkoPastur: (least_on_average,),
    ConjugateGradient: (orthogonal, not_above_line_search, spectrum_bound, end),
}


def verify(case: Case) -> list[Check]:
    """Return every statement's check for one run."""
    equations = EQUATIONS
    if not isinstance(case.method, GradientDescent):
        common = OF_CHOOSING if case.method.chooses else OF_ANY_METHOD
        if case.method.samples:
            common = OF_SAMPLING
        equations = (*common, *OF_ONE_METHOD.get(type(case.method), ()))
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return [check for equation in equations for check in equation(case)]
