"""The statement about restarts: each is due, and none is missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import EPS, FAILS, HOLDS, Check, agree
from gdconv.verify.chosen.steps import Step, choice, step_error, steps_of


def restarts(case: Case) -> Iterator[Check]:
    """A growing momentum is (k − 1)/(k + 2), k steps after the last restart, which is due.

    Where rounding may be as large as what decides, the run's own decision is taken.
    """
    of_run = choice(case)
    if of_run is None or not of_run.restart:
        return
    found, expected, sizes = [], [], []
    last: Step | None = None
    before, count, seen, decided, wrong = 0.0, 0, 0, 0, 0
    for number, step in enumerate(steps_of(case)):
        if step.moment.t != number:
            break
        times = step.moment.chosen["restarts"]
        if last is not None:
            value, error = rise(case, of_run.restart, last)
            restarted = times == before + 1
            if abs(value) > error:
                decided += 1
                wrong += restarted != (value > 0)
            wrong += times not in (before, before + 1)
            count = 0 if restarted else count + 1
        seen = step.moment.t
        before, last = times, step
        found.append(step.moment.chosen["momentum"])
        expected.append(max(count - 1, 0) / (count + 2))
        sizes.append(step.moment.chosen["step_size"] / case.step_size)
    text = f"β is (k − 1)/(k + 2) in the first {seen} steps, with {before:g} restarts"
    yield agree("restart", text, found, expected, 1.0, 4 * EPS, True)
    yield agree("restart", "η never changes", sizes, np.ones(len(sizes)), 1.0, 0.0, True)
    verdict = HOLDS if not wrong else FAILS
    text = f"each is due by its rule, and none is missing: {decided} decisions"
    yield Check("restart", text, "wrong", float(wrong), 0.0, verdict, not wrong)


def rise(case: Case, rule: str, step: Step) -> tuple[float, float]:
    """What decides on a restart after a step, and how far it may be off."""
    if rule == "function":
        before, after = (
            float(np.linalg.norm(case.X @ case.away(w))) for w in (step.moment.w, step.following)
        )
        off = step_error(case, step.moment)
        return after - before, 2 * off
    again = step.moment.chosen["momentum"] * step.s
    slope = case.gradient(step.moment.w + again)
    size = case.move_size(step.moment, case.lengths) + np.abs(again)
    off = 4 * case.unit * (np.abs(slope) @ size) + 2 * step.off @ np.abs(step.move)
    # The run takes ∇L(u) from u − w_{t+1}.
    off += 4 * case.unit * float(size @ np.abs(step.move)) / case.step_size
    return float(slope @ step.move), float(off)
