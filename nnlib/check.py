"""Gradients against finite differences: python -m nnlib.check does it for every operation."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nnlib.cases import CASES, operands
from nnlib.graph import Graph
from nnlib.inputs import Vertex, frozen, is_number, real_array
from nnlib.shapes import Shape
from nnlib.terminal import run

# Differences with a step and with twice the step must agree to this part of the largest gradient.
# Where a kink lies between, they differ by about as much as the slopes on its sides.
_AGREEMENT = {"central": 1e-3, "forward": 1e-1}
_EPS = float(np.finfo(np.float64).eps)
# A gradient can be checked only if rounding is at most this part of it.
_RESOLUTION = 0.1


@dataclass(frozen=True)
class Report:
    """What `check_gradients` found at the coordinate with the largest error for its tolerance.

    Attributes
    ----------
    name : str
        The leaf's name.
    vertex : Vertex or None
        The leaf; None if there was no coordinate to check.
    index : tuple of int
        The coordinate.
    gradient, difference : float
        The two values that should agree.
    largest_error, tolerance : float
        The distance between them, and the largest one that differences of this step allow.
    coordinates : int
        How many were compared.
    note : str
        Why the check failed, if for another reason than the error; else empty.
    unresolved : tuple of str
        The coordinates whose gradient is too small beside the output's rounding to be checked.
    """

    name: str = ""
    vertex: Vertex | None = None
    index: tuple[int, ...] = ()
    gradient: float = 0.0
    difference: float = 0.0
    largest_error: float = 0.0
    tolerance: float = 0.0
    coordinates: int = 0
    note: str = ""
    unresolved: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all coordinates agree, and none of them is a kink or unresolved."""
        return not (self.note or self.unresolved) and self.largest_error <= self.tolerance

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "failed"
        if self.vertex is None:
            return f"{verdict}: no coordinate was compared{self.note}"
        text = (
            f"{verdict}: {self.coordinates} coordinates, largest error {self.largest_error:.3g} "
            f"(tolerance {self.tolerance:.3g}) at {_named(self.vertex, self.name, self.index)}: "
            f"gradient {self.gradient!r}, difference {self.difference!r}{self.note}"
        )
        if self.unresolved:
            more = len(self.unresolved) - 5
            text += (
                f"; {len(self.unresolved)} unresolved, for the output's rounding is as large as "
                f"what these coordinates change it by: {', '.join(self.unresolved[:5])}"
                + (f" and {more} more" if more > 0 else "")
                + " (take a larger step, or leave large constants out of the output)"
            )
        return text

    def raise_if_failed(self) -> None:
        """Raise an AssertionError that says where, unless all coordinates agree."""
        if not self.passed:
            raise AssertionError(str(self))


@np.errstate(all="ignore")
def check_gradients(
    g: Graph,
    output: Vertex,
    wrt: Sequence[Vertex] | None = None,
    grad: ArrayLike | None = None,
    method: str = "central",
    step: float | None = None,
) -> Report:
    """Compare `Graph.run_grad` with finite differences, (25), in every coordinate of every leaf.

    A difference with step h has a truncation error. It is estimated by doubling the step: f‴h²/6
    becomes four times as large for a central difference, f″h/2 twice as large for a forward one. A
    difference also has the rounding error of f, about eps |f| / h. The tolerance of each coordinate
    is three times the truncation error (twice for forward) plus a hundred times the rounding error.

    Two kinds of coordinates cannot be checked, and do not pass. At a *kink*, such as |a| at 0 or
    max(a, b) where a = b, the slope jumps, and a difference equals neither slope. A coordinate is
    *unresolved* if rounding is more than a tenth of the gradient; but a gradient of 0 agrees with
    an output that does not change at all. Rounding in float32 would leave many coordinates
    unresolved, so a graph of float32 is checked as one of float64.

    Parameters
    ----------
    g : Graph
        Left unchanged, values and gradients included.
    output : Vertex
    wrt : sequence of Vertex, optional
        Leaves; by default all that the output depends on, except class numbers, which cannot be
        changed by a small step.
    grad : array_like, shape of the output, optional
        The gradient of f = Σ grad · output with respect to the output; by default random numbers,
        so that errors in two elements cannot cancel.
    method : "central" or "forward"
        (f(x + h) − f(x − h)) / 2h, or (f(x + h) − f(x)) / h as in the coursework.
    step : float, optional
        h; by default eps^(1/3) max(1, |x|) for central and 1e-3 for forward differences.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If there is nothing to check, one of `wrt` is no leaf, or an option is not as above.
    """
    if method not in _AGREEMENT:
        raise ValueError(f"method={method!r} must be 'central' or 'forward'")
    if step is not None and not (is_number(step) and 0 < step < math.inf):
        raise ValueError(f"step={step!r} must be a positive number")
    (output,) = g.require([output])
    order = g.order([output])
    if wrt is None:
        wrt = [i for i in order if g.operation[i] is None and not _chooses(g, i)]
    wrt = g.require(wrt)
    if not wrt or any(g.operation[i] is not None for i in wrt):
        raise ValueError(f"wrt={wrt} must be one leaf or more")
    if grad is None:
        grad = np.random.default_rng(0).normal(size=g.shape[output])
    grad, twin = real_array(grad, np.dtype(np.float64)), _in_double(g)
    twin.run_grad(output, grad)

    found = []
    for leaf in wrt:
        start, gradient = twin.value[leaf], twin.grad[leaf]
        if gradient.shape != g.shape[leaf]:
            name = f"vertex {leaf} ({g.name[leaf]})"
            note = f": the gradient of {name} has shape {gradient.shape}, not {g.shape[leaf]}"
            return Report(note=note)
        for index in np.ndindex(g.shape[leaf]):
            h = step or (1e-3 if method == "forward" else _best(start[index]))
            differences = _differences(_line(twin, output, leaf, index), grad, method, h)
            twin.set(leaf, start)
            found.append(_Coordinate(leaf, index, float(gradient[index]), *differences))
    return _report(g, found, method) if found else Report()


class _Coordinate(NamedTuple):
    """What was found at a coordinate."""

    leaf: Vertex
    place: tuple[int, ...]
    gradient: float
    difference: float
    # How much doubling the step changes the difference, and the size of its rounding error.
    change: float
    rounding: float
    is_kink: bool


def _report(g: Graph, found: Sequence[_Coordinate], method: str) -> Report:
    gradients, differences, changes, roundings, kinks = np.array([each[2:] for each in found]).T
    errors = np.abs(gradients - differences)
    truncations = (2 if method == "forward" else 1) * changes
    tolerances = truncations + 100 * roundings
    sizes = np.maximum(np.abs(gradients), np.abs(differences))
    # If error and tolerance are both 0, they agree; NaN is the worst.
    excess = np.where(errors == 0, 0.0, errors / tolerances)
    doubtful = np.maximum(roundings, errors - truncations) > _RESOLUTION * sizes
    worst, note = int(np.argmax(np.nan_to_num(excess, nan=np.inf, posinf=np.inf))), ""
    if np.any(kinks):
        worst = int(np.argmax(kinks))
        note = "; the slope jumps here, so there is none to compare with: move the input away"
    elif np.max(changes) > _AGREEMENT[method] * np.max(sizes) + np.max(roundings):
        worst = int(np.argmax(changes))
        note = (
            "; a step twice as long changes the difference too much to tell: take a smaller step, "
            "or inputs further away from a kink"
        )
    unresolved = doubtful & (errors <= tolerances) & (sizes > 0) & (kinks == 0)
    leaf, index, gradient, difference, *_ = found[worst]
    return Report(
        name=g.name[leaf],
        vertex=leaf,
        index=index,
        gradient=gradient,
        difference=difference,
        largest_error=float(errors[worst]),
        tolerance=float(tolerances[worst]),
        coordinates=len(found),
        note=note,
        unresolved=tuple(
            _named(each.leaf, g.name[each.leaf], each.place)
            for each, is_one in zip(found, unresolved, strict=True)
            if is_one
        ),
    )


def _named(leaf: Vertex, name: str, index: tuple[int, ...]) -> str:
    return f"vertex {leaf} ({name}) {list(index)}"


def _chooses(g: Graph, leaf: Vertex) -> bool:
    """Return whether a leaf holds only labels or conditions, from which no step can be taken."""

    def only_chooses(parent: Vertex) -> bool:
        is_condition = g.name[parent] == "where" and leaf not in g.children[parent][1:]
        return g.name[parent] == "one_hot" or is_condition

    return bool(g.parents[leaf]) and all(map(only_chooses, g.parents[leaf]))


def _in_double(g: Graph) -> Graph:
    """Return a copy of a graph that computes in float64."""
    twin, double = g.copy(), np.dtype(np.float64)
    for i in twin.vertices:
        twin.dtype[i] = double
        is_leaf, attributes = twin.operation[i] is None, twin.attributes[i]
        twin.value[i] = frozen(np.asarray(g.value[i], double)) if is_leaf else None
        twin.attributes[i] = attributes | {"dtype": double} if "dtype" in attributes else attributes
    return twin


def _best(x: float) -> float:
    """Return the step at which the two errors of a central difference, h² and eps/h, are equal."""
    return _EPS ** (1 / 3) * max(1.0, abs(float(x)))


# A point of a line: the rounded coordinate, and the output there.
_Point = tuple[np.float64, np.ndarray]


def _line(
    g: Graph, output: Vertex, leaf: Vertex, index: tuple[int, ...]
) -> Callable[[float], _Point]:
    """Return a function from the distance by which a leaf's coordinate is moved to the output."""
    start = g.value[leaf]

    @cache
    def at(move: float) -> _Point:
        moved = start.copy()
        moved[index] += move
        g.set(leaf, moved)
        g.run_eval(output)
        return moved[index], g.value[output]

    return at


def _differences(
    at: Callable[[float], _Point], grad: np.ndarray, method: str, h: float
) -> tuple[float, float, float, bool]:
    """Return the difference of Σ grad · output, its change and rounding, and whether it kinks."""

    def slope(high: _Point, low: _Point) -> float:
        # Divides by the distance of the rounded points, which is not exactly 2h.
        return float(np.sum(grad * (high[1] - low[1])) / (high[0] - low[0]))

    def jump(h: float) -> float:
        """How much larger the slope on the right is than on the left; f″h where f is smooth."""
        return abs(slope(at(h), at(0.0)) - slope(at(0.0), at(-h)))

    high, low = at(h), at(0.0 if method == "forward" else -h)
    short, long = slope(high, low), slope(at(2 * h), at(0.0 if method == "forward" else -2 * h))
    size = np.sum(np.abs(grad) * np.maximum(np.abs(high[1]), np.abs(low[1])))
    rounding = float(_EPS * size / (high[0] - low[0]))
    # At a kink the jump does not depend on the step. Rounding adds at most four to it.
    is_kink = (
        jump(h) > 400 * rounding and jump(2 * h) < 1.5 * jump(h) and jump(h / 8) > 0.5 * jump(h)
    )
    return short, abs(short - long), rounding, is_kink


def check_operation(op: str, shapes: Sequence[Shape], attributes: dict[str, Any]) -> list[Report]:
    """Check the gradient of an operation and, along a random direction, the gradient of that.

    Parameters
    ----------
    op, shapes, attributes
        A case of `nnlib.cases.CASES`.

    Returns
    -------
    list of Report
        One for the gradient, one for its gradient.
    """
    rng = np.random.default_rng(0)
    g = Graph()
    leaves = [g.tensor(x) for x in operands(op, shapes, rng)]
    output = getattr(g, op)(*leaves, **attributes)
    leaves = [leaf for leaf in leaves if not _chooses(g, leaf)]
    first = check_gradients(g, output, leaves)
    loss = g.sum(g.mul(output, g.tensor(rng.normal(size=g.shape[output]))))
    along = g.tensor(0.0)
    for gradient in g.grad_graph(loss, leaves):
        direction = g.tensor(rng.normal(size=g.shape[gradient]))
        along = g.add(along, g.sum(g.mul(gradient, direction)))
    # Without elements, nothing depends on the leaves.
    return [first, check_gradients(g, along, leaves)]


def main() -> int:
    """Print a table with a row for each case; return 1 if a gradient is wrong, else 0."""
    header = ("operation", "shapes", "error", "tolerance", "second", "tolerance")
    widths = "{:22} {:24} {:28} {:>9} {:>9} {:>9} {:>9}  {}"
    print(widths.format(*header[:2], "", *header[2:], "verdict"))
    failed = 0
    for op, shapes, attributes in CASES:
        reports = check_operation(op, shapes, attributes)
        passed = all(report.passed for report in reports)
        failed += not passed
        numbers = [f"{x:.1e}" for r in reports for x in (r.largest_error, r.tolerance)]
        options = " ".join(f"{key}={value}" for key, value in attributes.items())
        verdict = "passed" if passed else "FAILED"
        print(widths.format(op, ", ".join(map(str, shapes)), options, *numbers, verdict))
        for report in reports:
            if not report.passed:
                print(f"    {report}")
    print(f"{len(CASES)} cases, {failed} failed" if failed else f"{len(CASES)} cases, all passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(run("python -m nnlib.check", main))
