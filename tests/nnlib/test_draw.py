"""Pictures of a graph: all vertices and edges are there, in the right places, and legible."""

import re
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from nnlib import Graph
from nnlib.draw import to_dot, to_figure, to_text


def network():
    """Return g and the output of the network (21)."""
    g = Graph()
    x = g.tensor([[1, -2]], "x")
    w1 = g.tensor([[1, 2, 3], [2, 1, 1]], "w1")
    b1 = g.tensor([1, 1, 1], "b1")
    w2 = g.tensor([[1, 2], [3, 4], [5, 6]], "w2")
    b2 = g.tensor([10, 20], "b2")
    return g, g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)


def least_squares():
    """Return a graph with its backward pass: leaves used twice, edges past several columns."""
    g = Graph()
    X, w, y = g.tensor(np.ones((5, 2)), "X"), g.tensor([1.0, 2.0], "w"), g.tensor(np.ones(5), "y")
    loss = g.sum(g.square(g.sub(g.matmul(X, w), y)))
    g.grad_graph(loss, [w])
    return g, loss


def texts_of(figure):
    """Return the texts that are boxes."""
    return [t for t in figure.axes[0].texts if not isinstance(t, Annotation)]


def boxes(figure):
    """Return the texts that are boxes, with their extents in pixels."""
    FigureCanvasAgg(figure).draw()
    texts = texts_of(figure)
    return texts, [t.get_bbox_patch().get_window_extent() for t in texts]


def test_text_after_a_run():
    g, output = network()
    g.run_grad(output, [[1, 0]])
    lines = to_text(g).splitlines()
    assert lines[0].split() == ["vertex", "is", "shape", "value", "gradient"]
    assert re.split(r"\s{2,}", lines[1]) == ["v0", "x", "(1, 2)", "[[1., -2.]]", "[[21., 8.]]"]
    assert re.split(r"\s{2,}", lines[-1]) == [
        *("v9", "add(v8, v4)", "(1, 2)", "[[23., 36.]]", "[[1., 0.]]")
    ]
    assert len(lines) == 11


def test_text_before_a_run_and_of_large_arrays():
    g = Graph()
    g.neg(g.tensor(np.ones(7), "x"))
    assert to_text(g).splitlines()[1:] == ["v0      x        (7,)", "v1      neg(v0)  (7,)"]


def test_values_are_shown_to_three_decimals():
    g = Graph()
    g.tensor([1 / 3, -2 / 3], "x")
    assert to_text(g).splitlines()[1].endswith("[0.333, -0.667]")


def test_dot_has_every_vertex_and_edge():
    g, output = network()
    g.run_eval(output)
    dot = to_dot(g)
    assert dot.splitlines()[0] == "digraph {"
    assert dot.splitlines()[-1] == "}"
    assert re.findall(r"v(\d+) \[", dot) == [str(i) for i in range(10)]
    edges = {(int(a), int(b)) for a, b in re.findall(r"v(\d+) -> v(\d+)", dot)}
    assert edges == {(child, i) for i in range(10) for child in g.children[i]}
    assert r'v9 [label="v9 = add\n(1, 2)\n[[23., 36.]]", shape=ellipse]' in dot


def test_gradients_of_values_that_were_set_since_are_not_shown():
    g = Graph()
    x, y, apart = g.tensor([1.0, 2.0], "x"), g.tensor([3.0, 4.0], "y"), g.tensor(5.0, "apart")
    product = g.mul(x, y)
    output = g.sum(product)
    g.run_grad(output)
    shown = to_text(g), to_dot(g)
    assert "[3., 4.]" in shown[0].splitlines()[1]
    # Neither a leaf that the output does not depend on nor one that only follows it matters.
    g.set(apart, 5.0)
    g.run_eval(output)
    assert (to_text(g), to_dot(g)) == shown
    g.set(y, [30.0, 40.0])
    assert g.stale
    for picture in (to_text(g), to_dot(g), to_text(g.copy())):
        assert "[3., 4.]" not in picture
        assert "∂" not in picture
    # The gradients are there still, for the other parameters of the step.
    np.testing.assert_array_equal(g.grad[y], [1, 2])
    g.run_eval(output)
    assert "[3., 4.]" not in to_text(g)
    g.run_grad(output)
    assert "[30., 40.]" in to_text(g).splitlines()[1]


def test_dot_escapes_names():
    g = Graph()
    g.tensor(1.0, 'a "b" \\ c')
    assert 'label="v0 = a \\"b\\" \\\\ c\\n()' in to_dot(g)


def test_names_are_no_mathematics():
    g = Graph()
    g.tensor(1.0, "$a_$")
    assert boxes(to_figure(g))[0][0].get_text().startswith("v0 = $a_$\n")


def test_only_what_the_outputs_depend_on_is_shown():
    g, _ = network()
    relu = g.vertices[g.name.index("relu")]
    assert len(to_text(g, [relu]).splitlines()) == 1 + 6
    assert "v8" not in to_dot(g, [relu])
    assert len(boxes(to_figure(g, [relu]))[0]) == 6


@pytest.mark.parametrize("build", [network, least_squares])
@pytest.mark.parametrize("run", [False, True])
def test_boxes_say_what_they_are_and_do_not_overlap(build, run):
    g, output = build()
    if run:
        g.run_grad(output, np.ones(g.shape[output]))
    texts, extents = boxes(figure := to_figure(g))
    assert [t.get_text().split("\n")[:2] for t in texts] == [
        [f"v{i} = {g.name[i]}", str(g.shape[i])] for i in range(len(g))
    ]
    assert not any(a.overlaps(b) for a, b in combinations(extents, 2))
    page = figure.bbox
    assert all(page.x0 <= e.x0 and e.x1 <= page.x1 for e in extents)
    assert all(page.y0 <= e.y0 and e.y1 <= page.y1 for e in extents)


@pytest.mark.parametrize("build", [network, least_squares])
def test_every_edge_goes_to_the_right_and_ends_in_an_arrow(build):
    g, _ = build()
    texts, extents = boxes(figure := to_figure(g))
    across = [extent.x0 + extent.width / 2 for extent in extents]
    edges = [(child, i) for i in range(len(g)) for child in g.children[i]]
    assert all(across[child] < across[i] for child, i in edges)
    arrows = [t for t in figure.axes[0].texts if isinstance(t, Annotation)]
    places = [tuple(t.get_position()) for t in texts]
    ends = sorted(tuple(arrow.xy) for arrow in arrows)
    assert ends == sorted(places[i] for _, i in edges)


def test_a_leaf_stands_just_before_its_first_use():
    g, _ = network()
    texts, _ = boxes(to_figure(g))
    columns = sorted({t.get_position()[0] for t in texts})
    column = {i: columns.index(t.get_position()[0]) for i, t in enumerate(texts)}
    assert [column[i] for i in range(10)] == [0, 0, 1, 3, 4, 1, 2, 3, 4, 5]


def test_no_line_crosses_a_box_of_another_vertex():
    g, _ = least_squares()
    _, extents = boxes(figure := to_figure(g))
    axes = figure.axes[0]
    edges = [(child, i) for i in range(len(g)) for child in g.children[i]]
    for (child, parent), line in zip(edges, axes.lines, strict=True):
        corners = axes.transData.transform(line.get_xydata())[1:]
        others = [e for i, e in enumerate(extents) if i not in (child, parent)]
        assert not any(other.contains(*corner) for other in others for corner in corners)


def test_an_empty_graph_and_a_graph_too_large():
    g = Graph()
    assert to_text(g).split() == ["vertex", "is", "shape", "value", "gradient"]
    assert boxes(to_figure(g)) == ([], [])
    x = g.tensor(1.0)
    for _ in range(300):
        x = g.neg(x)
    with pytest.raises(ValueError, match="301 vertices are too many for a figure, which takes 300"):
        to_figure(g)
    assert len(to_figure(g, [g.vertices[5]]).axes[0].lines) == 5


@pytest.mark.parametrize("draw", [to_text, to_dot, to_figure])
def test_outputs_that_are_no_vertices_are_refused(draw):
    with pytest.raises(ValueError, match=r"expected a vertex, .* not 10 of type int"):
        draw(network()[0], [10])


def test_the_largest_graph_and_the_largest_value_that_are_shown():
    g = Graph()
    six = g.tensor(np.arange(6.0), "six")
    for _ in range(299):
        g.neg(six)
    assert len(texts_of(to_figure(g))) == 300
    assert "[0., 1., 2., 3., 4., 5.]" in to_text(g)


def test_vertices_are_boxes_for_leaves_and_ellipses_for_operations():
    g = Graph()
    g.neg(g.tensor(1.0, "x"))
    assert re.findall(r"v\d .*shape=(\w+)", to_dot(g)) == ["box", "ellipse"]
    assert "  rankdir=LR\n" in to_dot(g)
