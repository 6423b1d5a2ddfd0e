"""Statements about single steps: how long they are, where they lead, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gdconv.verify.case import Case
from gdconv.verify.checks import HALF, Check, agree, not_below, positive, under
from gdconv.verify.chosen.known import Choice, choice_of
from gdconv.verify.moments import Moment
from gdconv.verify.polynomial import size_of_steps


class Step(NamedTuple):
    """The step from w_t, with g = ∇L(w_t) by nnlib and s = w_t − w_{t−1}, which is None at t = 0.

    off is how far each component of g may be off.
    """

    moment: Moment
    before: np.ndarray | None
    g: np.ndarray
    off: np.ndarray

    @property
    def s(self) -> np.ndarray:
        """w_t − w_{t−1}; 0 at t = 0."""
        return np.zeros_like(self.g) if self.before is None else self.moment.w - self.before

    @property
    def following(self) -> np.ndarray:
        """w_{t+1}."""
        return np.asarray(self.moment.following)

    @property
    def move(self) -> np.ndarray:
        """w_{t+1} − w_t."""
        return self.following - self.moment.w


class Length(NamedTuple):
    """The length of a vector, and how far it may be off."""

    value: float
    off: float

    def low(self) -> float:
        """The least that it may be."""
        return max(self.value - self.off, 0.0)

    def high(self) -> float:
        """The most."""
        return self.value + self.off


def choice(case: Case) -> Choice | None:
    """What is known of the run."""
    return choice_of(case.method, case.coefficients, case.ends)


def steps_of(case: Case) -> list[Step]:
    """The recorded steps of which also w_{t−1} is known."""
    found: list[Step] = []
    earlier: dict[int, np.ndarray] = {}
    largest = 0.0
    for moment in case.moves:
        earlier[moment.t], earlier[moment.t + 1] = moment.w, moment.following
        magnitude = case.magnitude(moment.w, case.w_star)
        largest = max(largest, magnitude)
        if moment.t == 0 or moment.t - 1 in earlier:
            # The residual of conjugate gradients is updated, not computed anew.
            size = (moment.t + 1) * largest if keeps_residual(case) else magnitude
            before = earlier[moment.t - 1] if moment.t else None
            off = case.unit * 2 * case.columns * size
            found.append(Step(moment, before, case.gradient(moment.w), off))
    return found


def keeps_residual(case: Case) -> bool:
    """Whether the gradient of the method is that of a residual of its own."""
    return bool(case.method.residuals)


def size_chosen(case: Case) -> Iterator[Check]:
    """The step size is the quotient that the method says, of nnlib's gradient; or it is fixed."""
    of_run = choice(case)
    if case.method.takes_step:
        yield from size_of_steps(case)
    if of_run is None or of_run.is_plane or of_run.restart:
        return
    found, tolerances = [], []
    for step in steps_of(case):
        top, bottom, factor = of_run.quotient(step.moment.t)
        numbers = lengths(case, step)
        above, below = numbers[top], numbers[bottom]
        if not (above.value > 0 and below.low() > 0):
            continue
        expected = float(factor) * (above.value / below.value) ** 2
        most = (above.high() / above.value * below.value / below.low()) ** 2 - 1
        if most < HALF:
            found.append(step.moment.chosen["step_size"] / expected)
            tolerances.append(most)
    yield agree("η", of_run.formula, found, np.ones(len(found)), 1.0, tolerances)


def lengths(case: Case, step: Step) -> Mapping[str, Length]:
    """The numbers of `Quotient` as squares of lengths.

    In a run, sᵀHs is s times a difference of gradients.
    """
    w, g, s = step.moment.w, step.g, step.s

    def image(direction: np.ndarray, off: np.ndarray | float) -> Length:
        length = float(np.linalg.norm(case.X @ direction))
        error = float(case.columns @ (off + case.unit * np.abs(direction)))
        return Length(np.sqrt(2) * length, np.sqrt(2) * error)

    gap = float(np.linalg.norm(case.X @ case.away(w)))
    along = image(s, 0.0)
    of_slopes = 2 * float(np.abs(s) @ step.off) / float(positive(along.value))
    return {
        "gap": Length(gap, 2 * case.unit * case.magnitude(w, case.w_star)),
        "gg": Length(float(np.linalg.norm(g)), float(np.linalg.norm(step.off))),
        "gHg": image(g, step.off),
        "ss": Length(float(np.linalg.norm(s)), case.unit * float(np.linalg.norm(s))),
        "sHs": Length(along.value, along.off + of_slopes),
    }


def step_taken(case: Case) -> Iterator[Check]:
    """w_{t+1} − w_t = −η_t ∇L(w_t) + β_t (w_t − w_{t−1}), with what the run has chosen."""
    found, expected, sizes = [], [], []
    of_run = choice(case)
    ahead = of_run is not None and bool(of_run.restart)
    for step in steps_of(case):
        chosen = step.moment.chosen
        found.append(step.move)
        again = chosen["momentum"] * step.s
        slope = case.gradient(step.moment.w + again) if ahead else step.g
        expected.append(again - chosen["step_size"] * slope)
        size = case.move_size(step.moment, case.lengths) + np.abs(again)
        sizes.append((1 + 2 * ahead) * size + abs(chosen["step_size"]) * step.off / case.unit)
    statement = "wₜ₊₁ − wₜ = −ηₜ∇L(wₜ) + βₜ(wₜ − wₜ₋₁)"
    if ahead:
        statement = "wₜ₊₁ = u − η∇L(u), u = wₜ + βₜ(wₜ − wₜ₋₁)"
    yield agree("wₜ₊₁", statement, found, expected, sizes, 2 * case.unit)


def orthogonal(case: Case) -> Iterator[Check]:
    """Conjugate gradients: ∇L(w_{t+1})ᵀ∇L(w_t) = 0, and steps that follow each other are conjugate.

    They are so in the first steps; `off_orthogonal` says how rounding adds up.
    """
    steps = steps_of(case)
    first = [step for number, step in enumerate(steps) if step.moment.t == number]
    products, forms, passed_on = [], [], 0.0
    for step in first:
        after, image, last = case.gradient(step.following), case.X @ step.move, case.X @ step.s
        both = float(np.linalg.norm(last)), float(np.linalg.norm(image))
        eta, beta = (abs(step.moment.chosen[name]) for name in ("step_size", "momentum"))
        if step.moment.t:
            size = 2 * both[0] * both[1]
            off = eta * (passed_on + 2 * float(np.abs(step.g) @ step.off))
            off += 4 * case.unit * float(case.columns @ np.abs(step.move)) * both[0]
            forms.append((2 * float(image @ last), size, off))
        passed_on = off_orthogonal(case, step, after) + beta * passed_on
        product = float(after @ step.g)
        products.append((product, float(step.g @ step.g) + abs(product), passed_on))
    for rows, statement in (
        (products, "∇L(wₜ₊₁)ᵀ∇L(wₜ) = 0"),
        (forms, "(wₜ₊₁ − wₜ)ᵀH(wₜ − wₜ₋₁) = 0"),
    ):
        found, sizes, errors = np.array(rows).reshape(-1, 3).T
        tolerance = errors / positive(sizes)
        says = tolerance < HALF
        zeros = np.zeros(says.sum())
        yield agree("g ⊥ g₋", statement, found[says], zeros, sizes[says], tolerance[says])


def off_orthogonal(case: Case, step: Step, after: np.ndarray) -> float:
    """How far one step may move ∇L(w_{t+1})ᵀ∇L(w_t) away from 0.

    It is gᵀg − η gᵀHp, and if this step and the last one are conjugate, η gᵀHp = η pᵀHp = gᵀg. They
    are so if ∇L(w_t) and ∇L(w_{t−1}) are orthogonal. So what is off there is passed on, multiplied
    by β_t. Here are the errors of both gradients, of Xp, and of w_{t+1}.
    """
    w = np.abs(step.moment.w) + np.abs(step.following) + np.abs(case.w_star)
    eta = abs(step.moment.chosen["step_size"])
    size = 2 * case.columns * case.magnitude(step.following, case.w_star)
    of_both = 2 * step.off + case.unit * (size + np.abs(step.g))
    of_w = 4 * case.unit * case.columns * (case.columns @ w)
    off = float(np.abs(step.g) @ (of_both + of_w) + np.abs(after) @ step.off)
    image = float(np.linalg.norm(case.X @ step.move))
    of_image = 4 * case.unit * float(case.columns @ np.abs(step.move)) * image
    return off + (of_image / eta if eta else 0.0)


def not_above_line_search(case: Case) -> Iterator[Check]:
    """Conjugate gradients: no step leads to a larger gap than a line search from w_t."""
    slack, tolerance = [], []
    for step in steps_of(case):
        numbers = lengths(case, step)
        gap, gg, gHg = (numbers[name] for name in ("gap", "gg", "gHg"))
        if not (gHg.low() > 0 and gap.value > 0):
            continue
        # A line search subtracts ½ (gᵀg)²/(gᵀHg) from the gap.
        fall, least = (
            top**4 / bottom**2 / 2
            for top, bottom in ((gg.value, gHg.value), (gg.low(), gHg.high()))
        )
        after, off = gap_after(case, step.moment), step_error(case, step.moment)
        before = gap.value**2
        slack.append((before - fall - after**2) / before)
        off = 2 * after * off + off**2 + 2 * gap.value * gap.off + gap.off**2
        tolerance.append((off + fall - least) / before)
    statement = "L(wₜ₊₁) is not above that of a line search from wₜ"
    yield not_below("g ⊥ g₋", statement, slack, np.array(tolerance))


def gap_after(case: Case, moment: Moment) -> float:
    """√gap at w_{t+1}."""
    return float(np.linalg.norm(case.X @ case.away(np.asarray(moment.following))))


def step_error(case: Case, moment: Moment) -> float:
    """How far √gap at w_{t+1} may be off, given w_t."""
    moved = float(case.columns @ case.move_size(moment, case.lengths))
    return 2 * case.unit * (moved + case.magnitude(np.asarray(moment.following), case.w_star))


def one_step(case: Case) -> Iterator[Check]:
    """What is proved of a step holds for each step of the run."""
    of_run = choice(case)
    if of_run is None or of_run.is_plane or (base := of_run.base()) is None:
        return
    part = float(base[0]) ** base[1]
    rows: list[tuple[float, float, float]] = []
    for moment in case.moves:
        pair = [case.away(np.asarray(w)) for w in (moment.w, moment.following)]
        off = 2 * moment.distance_error
        if base[1] == 2:
            pair = [case.X @ each for each in pair]
            off = step_error(case, moment)
        before, after = (float(np.linalg.norm(each)) for each in pair)
        rows.append((after, np.sqrt(part) * before, off))
    what = "the gap" if base[1] == 2 else "‖w − w*‖²"
    statement = f"a step leaves at most {part:.6g} of {what}"
    yield under("one step", statement, *np.array(rows).reshape(-1, 3).T)
