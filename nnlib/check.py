"""Gradients against finite differences: python -m nnlib.check does it for every operation."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnlib.cases import CASES, operands
from nnlib.graph import Graph
from nnlib.shapes import Shape
from nnlib.terminal import run

# Differences with a step and with twice the step must agree to this part of the largest gradient.
# Where a kink lies between, they differ by about as much as the slopes on its sides.
_AGREEMENT = {"central": 1e-3, "forward": 1e-1}
# The part of the largest gradient that the tolerance for rounding may reach.
_RESOLUTION = 0.1


@dataclass(frozen=True)
class Report:
    """What `check_gradients` found at the coordinate with the largest error for its tolerance.

    Attributes
    ----------
    name : str
        The leaf's.
    vertex : int or None
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
        Why the check failed for another reason than the error; else empty.
    """

    name: str = ""
    vertex: int | None = None
    index: tuple[int, ...] = ()
    gradient: float = 0.0
    difference: float = 0.0
    largest_error: float = 0.0
    tolerance: float = 0.0
    coordinates: int = 0
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether all coordinates agree."""
        return not self.note and self.largest_error <= self.tolerance

    def __str__(self) -> str:
        if self.vertex is None:
            return f"{'passed' if self.passed else 'failed'}: no coordinate was compared{self.note}"
        return (
            f"{'passed' if self.passed else 'failed'}: {self.coordinates} coordinates, largest "
            f"error {self.largest_error:.3g} (tolerance {self.tolerance:.3g}) at vertex "
            f"{self.vertex} ({self.name}) {list(self.index)}: gradient {self.gradient!r}, "
            f"difference {self.difference!r}{self.note}"
        )

    def raise_if_failed(self) -> None:
        """Raise an AssertionError that says where, unless all coordinates agree."""
        if not self.passed:
            raise AssertionError(str(self))


def check_gradients(
    g: Graph,
    output: int,
    wrt: Sequence[int] | None = None,
    grad: ArrayLike | None = None,
    method: str = "central",
    step: float | None = None,
) -> Report:
    """Compare `Graph.run_grad` with finite differences, (25), in every coordinate of every leaf.

    A difference with step h is wrong by its truncation, which is estimated by doubling the step:
    f‴h²/6 becomes four times as large for a central difference, f″h/2 twice as large for a forward
    one. It is also wrong by the rounding of f, about eps |f| / h. The tolerance of each coordinate
    is three times the one (twice, forward) plus a hundred times the other.

    Parameters
    ----------
    g : Graph
        Left unchanged, values and gradients included.
    output : int
    wrt : sequence of int, optional
        Leaves; by default all that the output depends on, class numbers excepted: labels have no
        neighbours.
    grad : array_like, shape of the output, optional
        The gradient of f = Σ grad · output with respect to the output; by default random numbers,
        so that errors in two elements cannot cancel.
    method : "central" or "forward"
        (f(x + h) − f(x − h)) / 2h, or (f(x + h) − f(x)) / h as in the coursework.
    step : float, optional
        h; by default eps^(1/3) max(1, |x|) for central and 1e-3 for forward differences, eps being
        that of the coarsest type in the graph.

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
    if step is not None and not (math.isfinite(step) and step > 0):
        raise ValueError(f"step={step!r} must be a positive number")
    (output,) = g.vertices([output])
    order = g.order([output])
    if wrt is None:
        wrt = [i for i in order if g.operation[i] is None and not _holds_labels(g, i)]
    wrt = g.vertices(wrt)
    if not wrt or any(g.operation[i] is not None for i in wrt):
        raise ValueError(f"wrt={wrt} must be one leaf or more")
    if grad is None:
        grad = np.random.default_rng(0).normal(size=g.shape[output])
    grad, twin = np.asarray(grad, np.float64), g.copy()
    twin.run_grad(output, grad)
    eps = max(float(np.finfo(g.dtype[i]).eps) for i in order)

    found = []
    for leaf in wrt:
        gradient = twin.grad[leaf]
        if gradient.shape != g.shape[leaf]:
            name = f"vertex {leaf} ({g.name[leaf]})"
            note = f": the gradient of {name} has shape {gradient.shape}, not {g.shape[leaf]}"
            return Report(note=note)
        for index in np.ndindex(g.shape[leaf]):
            h = step or (1e-3 if method == "forward" else _best(eps, g.value[leaf][index]))
            short, rounding = _difference(twin, output, leaf, index, grad, method, h, eps)
            long, _ = _difference(twin, output, leaf, index, grad, method, 2 * h, eps)
            found.append((leaf, index, float(gradient[index]), short, abs(short - long), rounding))
    if not found:
        return Report()

    gradients, differences, changes, roundings = np.array([row[2:] for row in found]).T
    errors = np.abs(gradients - differences)
    tolerances = (2 if method == "forward" else 1) * changes + 100 * roundings
    with np.errstate(invalid="ignore", divide="ignore"):
        # Where both are 0, the differences agree; what is no number at all is worst.
        excess = np.where(errors == 0, 0.0, errors / tolerances)
    worst = int(np.argmax(np.nan_to_num(excess, nan=np.inf, posinf=np.inf)))
    largest = max(np.max(np.abs(differences)), np.max(np.abs(gradients)))
    limit, note = _AGREEMENT[method] * largest, ""
    if 100 * np.max(roundings) > _RESOLUTION * largest > 0:
        note = (
            "; the output's rounding is as large as what these gradients change it by: take a "
            "larger step or float64, or leave large constants out of the output"
        )
    if np.max(changes) > limit + np.max(roundings):
        worst = int(np.argmax(changes))
        note = (
            "; a step twice as long changes the difference too much to tell: take a smaller step, "
            "or inputs further away from a kink"
        )
    leaf, index, *_ = found[worst]
    return Report(
        name=g.name[leaf],
        vertex=leaf,
        index=index,
        gradient=float(gradients[worst]),
        difference=float(differences[worst]),
        largest_error=float(errors[worst]),
        tolerance=float(tolerances[worst]),
        coordinates=len(found),
        note=note,
    )


def _holds_labels(g: Graph, leaf: int) -> bool:
    return bool(g.parents[leaf]) and all(g.name[i] == "one_hot" for i in g.parents[leaf])


def _best(eps: float, x: float) -> float:
    """Return the step at which the errors of a central difference, h² and eps/h, are alike."""
    return eps ** (1 / 3) * max(1.0, abs(float(x)))


def _difference(
    g: Graph,
    output: int,
    leaf: int,
    index: tuple[int, ...],
    grad: np.ndarray,
    method: str,
    h: float,
    eps: float,
) -> tuple[float, float]:
    """Return the difference quotient of Σ grad · output, and the scale of its rounding error."""
    start, ends = g.value[leaf], []
    for move in (h, 0.0 if method == "forward" else -h):
        moved = start.copy()
        moved[index] += move
        g.set(leaf, moved)
        g.run_eval(output)
        ends.append((float(moved[index]), g.value[output].astype(np.float64)))
    g.set(leaf, start)
    (x_high, f_high), (x_low, f_low) = ends
    # The distance of the points as they were rounded, not 2h.
    distance = x_high - x_low
    rounding = eps * np.sum(np.abs(grad) * np.maximum(np.abs(f_high), np.abs(f_low)))
    return float(np.sum(grad * (f_high - f_low)) / distance), float(rounding / distance)


def check_operation(op: str, shapes: Sequence[Shape], attributes: dict[str, Any]) -> list[Report]:
    """Check the gradient of an operation and, along a random direction, the gradient of that.

    Parameters
    ----------
    op, shapes, attributes
        A case of `nnlib.cases.CASES`.

    Returns
    -------
    list of Report
        Of the gradient, and of its gradient.
    """
    rng = np.random.default_rng(0)
    g = Graph()
    leaves = [g.tensor(x) for x in operands(op, shapes, rng)]
    output = getattr(g, op)(*leaves, **attributes)
    first = check_gradients(g, output, leaves)
    loss = g.sum(g.mul(output, g.tensor(rng.normal(size=g.shape[output]))))
    along = g.tensor(0.0)
    for gradient in g.grad_graph(loss, leaves):
        direction = g.tensor(rng.normal(size=g.shape[gradient]))
        along = g.add(along, g.sum(g.mul(gradient, direction)))
    # Without elements, nothing depends on the leaves.
    return [first, check_gradients(g, along, leaves)]


def main() -> int:
    """Print a table, a row a case; return 1 if a gradient is wrong, else 0."""
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
