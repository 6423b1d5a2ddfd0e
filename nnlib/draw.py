"""Pictures of a graph: as text, for Graphviz, and as a figure that needs no Graphviz."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nnlib.graph import Graph
from nnlib.inputs import Vertex

LARGEST = 6
MOST_VERTICES = 300


def to_text(g: Graph, outputs: Sequence[Vertex] | None = None) -> str:
    """Return a table, a line for each vertex: what it is, its shape, small values and gradients.

    Gradients are left out if a leaf that they depend on was set after the run.

    Parameters
    ----------
    g : Graph
    outputs : sequence of Vertex, optional
        Shows only what these depend on; by default, all vertices.

    Raises
    ------
    ValueError
        If an output is no vertex.
    """
    rows = [("vertex", "is", "shape", "value", "gradient")]
    for i in _vertices(g, outputs):
        operands = ", ".join(f"v{child}" for child in g.children[i])
        what = f"{g.name[i]}({operands})" if operands else g.name[i]
        rows.append((f"v{i}", what, str(g.shape[i]), _small(g.value[i]), _gradient(g, i)))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def to_dot(g: Graph, outputs: Sequence[Vertex] | None = None) -> str:
    """Return the graph in the DOT language of Graphviz, from leaves on the left to outputs.

    Parameters and errors are those of `to_text`.
    """
    shown = _vertices(g, outputs)
    lines = ["digraph {", "  rankdir=LR", "  node [fontname=Helvetica]"]
    for i in shown:
        label = "\\n".join(_quoted(line) for line in _label(g, i))
        shape = "box" if g.operation[i] is None else "ellipse"
        lines.append(f'  v{i} [label="{label}", shape={shape}]')
    lines += [f"  v{child} -> v{i}" for i in shown for child in g.children[i]]
    return "\n".join([*lines, "}"])


def to_figure(g: Graph, outputs: Sequence[Vertex] | None = None) -> Figure:
    """Draw the graph from leaves on the left to outputs on the right, by topological depth.

    An operation stands to the right of all its operands, and a leaf just left of its first use. A
    box shows the ID, the name, the shape and, after a run, values and gradients (∂) with up to six
    elements.

    Parameters are those of `to_text`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If an output is no vertex, or more than 300 vertices would have to be drawn.
    """
    shown = _vertices(g, outputs)
    if len(shown) > MOST_VERTICES:
        raise ValueError(
            f"{len(shown)} vertices are too many for a figure, which takes {MOST_VERTICES}: "
            "choose outputs that depend on fewer, or use to_text or to_dot"
        )
    column = _columns(g, shown)
    edges = {(child, i): _route(column, child, i) for i in shown for child in g.children[i]}
    height = _heights(g, column, edges)
    labels = {i: "\n".join(_label(g, i)) for i in shown}
    across, width = _spread(column, labels)
    lines = max((label.count("\n") + 1 for label in labels.values()), default=1)
    up = 0.15 * lines + 0.3
    low, high = min(height.values(), default=0) - 0.5, max(height.values(), default=0) + 0.5
    figure = Figure(figsize=(width, up * (high - low)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(low, high))
    axes.axis("off")
    boxes = {}
    for i in shown:
        is_leaf = g.operation[i] is None
        style = {
            "boxstyle": "square,pad=0.4" if is_leaf else "round,pad=0.4,rounding_size=0.8",
            "facecolor": "white" if is_leaf else "#dbe9f6",
            "linewidth": 0.8,
        }
        at: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "fontsize": 8,
            "zorder": 3,
            "parse_math": False,
        }
        text = axes.text(across[column[i]], height[i], labels[i], bbox=style, **at)
        boxes[i] = text.get_bbox_patch()
    line: dict[str, Any] = {"color": "black", "linewidth": 0.8}
    for (child, i), route in edges.items():
        points = [(across[c], height[child, i, c]) for c in route]
        points = [(across[column[child]], height[child]), *points]
        axes.plot(*zip(*points, strict=True), **line, zorder=1)
        # Boxes get their sizes when they are drawn, so arrows that end at them are drawn later.
        ends = {"patchA": None if route else boxes[child], "patchB": boxes[i]}
        arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **ends, **line}
        end = across[column[i]], height[i]
        axes.annotate("", end, points[-1], arrowprops=arrow, zorder=4)
    return figure


def _vertices(g: Graph, outputs: Sequence[Vertex] | None) -> list[Vertex]:
    return g.vertices if outputs is None else g.order(outputs)


def _label(g: Graph, i: Vertex) -> list[str]:
    lines = [f"v{i} = {g.name[i]}", str(g.shape[i])]
    if value := _small(g.value[i]):
        lines.append(value)
    if gradient := _gradient(g, i):
        lines.append(f"∂ {gradient}")
    return lines


def _gradient(g: Graph, i: Vertex) -> str:
    """Return a gradient as `_small` does; "" if a leaf was set since it was computed."""
    return "" if g.stale else _small(g.grad[i])


def _small(array: np.ndarray | None) -> str:
    """Return an array in one line; "" if there is none, or it has too many elements."""
    if array is None or not 0 < array.size <= LARGEST:
        return ""
    text = np.array2string(array, precision=3, separator=", ", threshold=LARGEST + 1)
    return " ".join(text.split()).replace("[ ", "[")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _columns(g: Graph, shown: Sequence[Vertex]) -> dict[Vertex, int]:
    """Return the column of each vertex: right of its operands; a leaf is left of its first use."""
    column: dict[Vertex, int] = {}
    for i in shown:
        column[i] = 1 + max((column[child] for child in g.children[i]), default=-1)
    for i in shown:
        if g.operation[i] is None:
            uses = [column[parent] for parent in g.parents[i] if parent in column]
            column[i] = min(uses, default=1) - 1
    return column


def _route(column: dict[Vertex, int], child: Vertex, parent: Vertex) -> range:
    """Return the columns that an edge passes through between its ends."""
    return range(column[child] + 1, column[parent])


def _heights(
    g: Graph, column: dict[Vertex, int], edges: dict[tuple[Vertex, Vertex], range]
) -> dict[Any, float]:
    """Return the height of each vertex i, and of each edge (child, i) in a column c it passes.

    All are near their neighbours, and at least 1 apart in a column. Operations get their heights
    first, so that a chain of them is a straight line with its leaves beside it; edges get theirs
    last.
    """
    place: dict[Any, int] = dict(column)
    neighbours: dict[Any, list[Any]] = {i: [] for i in column}
    for (child, i), route in edges.items():
        points = [child, *((child, i, c) for c in route), i]
        place.update(zip(points[1:-1], route, strict=True))
        for left, right in pairwise(points):
            neighbours.setdefault(left, []).append(right)
            neighbours.setdefault(right, []).append(left)
    is_leaf = {i: g.operation[i] is None for i in column}
    in_order = sorted(place, key=lambda point: (is_leaf.get(point, 2), place[point]))
    height: dict[Any, float] = dict.fromkeys(place, 0.0)
    for _ in range(8):
        taken: dict[int, set[float]] = {}
        for point in in_order:
            near = neighbours[point]
            near = [other for other in near if is_leaf.get(other) is False] or near
            wanted = sum(height[other] for other in near) / max(1, len(near))
            height[point] = _free(round(2 * wanted) / 2, taken.setdefault(place[point], set()))
            taken[place[point]].add(height[point])
    return height


def _free(wanted: float, taken: set[float]) -> float:
    """Return the height nearest to the one wanted that is at least 1 away from those taken.

    All heights are multiples of ½.
    """
    candidates = [wanted, *(y + side for y in taken for side in (-1, 1))]
    possible = [y for y in candidates if taken.isdisjoint((y - 0.5, y, y + 0.5))]
    return min(possible, key=lambda y: (abs(y - wanted), y))


def _spread(column: dict[Vertex, int], labels: dict[Vertex, str]) -> tuple[list[float], float]:
    """Return the middle of each column and the total width, in inches."""
    characters = [1] * (max(column.values(), default=0) + 1)
    for i, label in labels.items():
        longest = max(map(len, label.split("\n")))
        characters[column[i]] = max(characters[column[i]], longest)
    widths = [0.07 * count + 0.5 for count in characters]
    ends = list(accumulate(widths))
    return [end - width / 2 for end, width in zip(ends, widths, strict=True)], ends[-1]
