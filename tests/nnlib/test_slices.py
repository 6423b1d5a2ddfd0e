"""Slices of a vertex and parts put together, against NumPy."""

import pickle

import numpy as np
import pytest

from nnlib import Graph, Program, compile  # noqa: A004
from nnlib.check import check_gradients
from nnlib.slices import box, tiling


def everything(*limits):
    return tuple(slice(*each) if isinstance(each, tuple) else each for each in limits)


KEYS = [
    slice(None),
    slice(1, 3),
    slice(-2, None),
    slice(None, None, 2),
    slice(3, 1),
    slice(0, 100),
    (),
    (slice(1, 3), slice(None, 2)),
    [slice(None), slice(1, -1, 2)],
    (slice(None), slice(np.int64(1), np.int64(3))),
    range(1, 3),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_part_is_that_of_numpy_and_a_view_in_a_program(key):
    x = np.arange(20.0).reshape(4, 5)
    index = slice(key.start, key.stop) if isinstance(key, range) else key
    expected = x[tuple(index) if isinstance(index, list) else index]
    g = Graph()
    a = g.tensor(x)
    part = g.getitem(a, key)
    g.run_eval(part)
    assert g.shape[part] == expected.shape
    np.testing.assert_array_equal(g.value[part], expected)
    assert not g.value[part].flags.writeable
    loss = g.sum(g.square(part))
    g.run_grad(loss)
    gradient = np.zeros((4, 5))
    gradient[tuple(index) if isinstance(index, list) else index] = 2 * expected
    np.testing.assert_array_equal(g.grad[a], gradient)
    program = compile(g, loss, [a])
    assert not any("matmul" in line for line in program.instructions)
    np.testing.assert_array_equal(program(x)[0], gradient)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(program))(-x)[0], -gradient)


def test_a_scalar_has_one_part():
    g = Graph()
    part = g.getitem(g.tensor(3.0), ())
    g.run_eval(part)
    assert g.value[part].shape == ()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (1, "expected a slice or a tuple of slices, not 1: element k of an axis is slice"),
        ((slice(None), 0), "not 0"),
        (None, "not None"),
        (..., "not Ellipsis"),
        ([True, False], "not True"),
        (slice(None, None, -1), "expected a slice with a positive step, not -1"),
        (slice(None, None, 0), "expected a slice with a positive step, not 0"),
        (slice(0.5, None), "expected an integer, not 0.5"),
        ((slice(None),) * 3, "getitem: 3 slices are too many for 2 axes: vertex 0"),
    ],
)
def test_other_indices_are_refused(key, message):
    g = Graph()
    a = g.tensor(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=message):
        g.getitem(a, key)
    assert len(g) == 1


def test_a_vertex_is_no_limit_of_a_slice():
    g = Graph()
    a = g.tensor(np.zeros(4))
    with pytest.raises(ValueError, match="expected an integer, not vertex 0"):
        g.getitem(a, slice(a, None))


def test_box_and_tiling():
    assert box(slice(1, 3), (4, 2)) == (range(1, 3), range(2))
    halves = (range(2),), (range(2, 4),)
    assert tiling(halves, (4,)) == (True, True)
    assert tiling(halves, (5,)) == (True, False)
    assert tiling(((range(0, 4, 2),), (range(1, 4, 2),)), (4,)) == (True, True)
    assert tiling(((range(3),), (range(2, 4),)), (4,)) == (False, False)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (3, 0, 1, 2)])
def test_concatenate_is_that_of_numpy(sizes, axis):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 4) if axis == 0 else (4, n)) for n in sizes]
    parts[0][0, 0] = -0.0
    weights = rng.normal(size=np.concatenate(parts, axis).shape)
    g = Graph()
    leaves = [g.tensor(part) for part in parts]
    whole = g.concatenate(leaves, axis)
    loss = g.sum(g.mul(g.tensor(weights), g.square(whole)))
    for _ in range(3):
        g.run_eval(whole)
        np.testing.assert_array_equal(g.value[whole], np.concatenate(parts, axis))
        assert np.signbit(g.value[whole][0, 0])
        g.run_grad(loss)
        slopes = np.split(2 * weights * g.value[whole], np.cumsum(sizes)[:-1], axis)
        for leaf, slope in zip(leaves, slopes, strict=True):
            np.testing.assert_array_equal(g.grad[leaf], slope)
        g.set(leaves[0], parts[0])
    program = Program(g, leaves, [whole])
    np.testing.assert_array_equal(program(*parts)[0], np.concatenate(parts, axis))


def test_concatenate_takes_the_wider_type_and_the_same_vertex_twice():
    g = Graph()
    a, b = g.tensor(np.float32([1, 2])), g.tensor([3.0])
    whole = g.concatenate([a, b, a])
    g.run_grad(whole, [1, 10, 100, 1000, 10000])
    assert g.dtype[whole] == np.float64
    np.testing.assert_array_equal(g.value[whole], [1, 2, 3, 1, 2])
    np.testing.assert_array_equal(g.grad[a], [1001, 10010])
    assert g.grad[a].dtype == np.float32
    program = Program(g, [a, b], [whole])
    np.testing.assert_array_equal(program([5, 6], [7])[0], [5, 6, 7, 5, 6])


@pytest.mark.parametrize(
    ("shapes", "axis", "message"),
    [
        ([], 0, "there is nothing to put together"),
        ([()], 0, "axis 0 is out of bounds"),
        ([(2, 3), (2, 4)], 0, "the shapes differ along other axes than axis 0: vertex 0"),
        ([(2, 3), (2,)], 0, "the shapes differ along other axes"),
        ([(2, 3)], 2, "axis 2 is out of bounds"),
    ],
)
def test_parts_that_do_not_fit_are_refused(shapes, axis, message):
    g = Graph()
    with pytest.raises(ValueError, match=message):
        g.concatenate([g.tensor(np.zeros(shape)) for shape in shapes], axis)


@pytest.mark.parametrize(
    ("keys", "shape", "message"),
    [
        ([slice(0, 3)], 5, r"embed: a part of shape \(2,\) does not fit"),
        ([slice(0, 2), slice(2, 4)], 5, "1 parts need as many keys, not 2"),
        ([slice(0, 2)], (5, 5), "does not fit"),
        ([slice(0, 2)], -1, "no negative size"),
    ],
)
def test_places_that_do_not_fit_are_refused(keys, shape, message):
    g = Graph()
    a = g.tensor([1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        g.embed(a, keys=keys, shape=shape)
    with pytest.raises(ValueError, match="needs at least one part"):
        g.embed(keys=[], shape=3)


def test_pieces_of_a_vertex_are_put_together_at_once_with_its_other_uses():
    g = Graph()
    w = g.tensor([1.0, 2.0, 3.0, 4.0])
    first, last, middle = (g.getitem(w, each) for each in (slice(2), slice(2, 4), slice(1, 3)))
    apart = g.add(g.sum(g.square(first)), g.sum(g.exp(last)))
    overlapping = g.add(apart, g.sum(g.square(middle)))
    everywhere = g.add(overlapping, g.sum(g.mul(w, g.square(w))))
    x = g.value[w]
    slopes = np.r_[2 * x[:2], np.exp(x[2:])]
    for output, added, count in (
        (apart, 0, 1),
        (overlapping, [0, 2 * x[1], 2 * x[2], 0], 1),
        (everywhere, np.r_[0, 2 * x[1:3], 0] + 3 * x**2, 1),
    ):
        check_gradients(g, output, [w]).raise_if_failed()
        program = compile(g, output, [w])
        names = [line.split(" = ")[1].split("(")[0] for line in program.instructions]
        assert names.count("embed") == count
        np.testing.assert_allclose(program(x)[0], slopes + added, rtol=1e-15)
        g.run_grad(output)
        np.testing.assert_array_equal(g.grad[w], program(x)[0])


def test_an_output_of_a_program_may_be_written_into():
    g = Graph()
    w = g.tensor([1.0, 2.0, 3.0])
    program = compile(g, g.sum(g.square(g.getitem(w, slice(1, 2)))), [w])
    (gradient,) = program([1, 2, 3])
    gradient += 100
    np.testing.assert_array_equal(program([1, 2, 3])[0], [0, 4, 0])
