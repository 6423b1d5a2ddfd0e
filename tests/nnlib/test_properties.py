"""Random graphs: their gradients against autograd, finite differences and compiled programs."""

import autograd
import autograd.numpy as anp
import numpy as np
from autograd import tracer
from hypothesis import given
from hypothesis import strategies as st

from nnlib import Graph, compile  # noqa: A004
from nnlib.check import check_gradients
from nnlib.ops import OPS

SHAPES = [(), (1,), (3,), (2, 3), (2, 1), (1, 3), (3, 2), (3, 3), (4, 2, 3), (2, 1, 3)]
# Of the largest gradient: what some dozens of operations may lose to rounding, each up to 1e3 times
# as large as what is left of it.
AGREEMENT = 1e-10
# Of values and slopes; beyond it differences have too few digits left to tell anything.
LARGEST = 1e3
# How far from a kink or pole values have to be: a hundred times as far as differences step.
CLEARANCE = 1e-3


def log_softmax(a, axis):
    shifted = a - anp.max(a, axis=axis, keepdims=True)
    return shifted - anp.log(anp.sum(anp.exp(shifted), axis=axis, keepdims=True))


def padded(a, key, shape):
    widths = [(k.start, n - k.stop) for k, n in zip(key, shape, strict=True)]
    return anp.pad(a, widths, "constant") if widths else 1.0 * a


# What each operation is in terms of autograd's NumPy; one_hot has no slope and stands for labels.
BY_AUTOGRAD = {
    "add": anp.add,
    "sub": anp.subtract,
    "mul": anp.multiply,
    "div": anp.divide,
    "maximum": anp.maximum,
    "is_larger": lambda a, b: 0.0 * a + 0.0 * b + (tracer.getval(a) > tracer.getval(b)),
    "gate": anp.multiply,
    "matmul": anp.matmul,
    "neg": anp.negative,
    "relu": lambda a: anp.maximum(a, 0.0),
    "step": lambda a: 0.0 * a + (tracer.getval(a) > 0),
    "abs": anp.abs,
    "sign": lambda a: 0.0 * a + np.sign(tracer.getval(a)),
    "square": anp.square,
    "sqrt": anp.sqrt,
    "exp": anp.exp,
    "log": anp.log,
    "tanh": anp.tanh,
    "sigmoid": lambda a: 0.5 * (1.0 + anp.tanh(0.5 * a)),
    "cast": lambda a, dtype: 1.0 * a,
    "sum": lambda a, axis, keepdims: anp.sum(a, axis=axis, keepdims=keepdims),
    "mean": lambda a, axis, keepdims: anp.mean(a, axis=axis, keepdims=keepdims),
    # autograd fails for no axes at all.
    "max": lambda a, axis, keepdims: 1.0 * a if axis == () else anp.max(a, axis, keepdims=keepdims),
    "is_largest": lambda a, axis: (
        0.0 * a + (tracer.getval(a) == np.max(tracer.getval(a), axis, keepdims=True))
    ),
    "where": lambda condition, a, b: (
        a * (tracer.getval(condition) != 0) + b * (tracer.getval(condition) == 0) + 0.0 * condition
    ),
    "getitem": lambda a, key: a[tuple(slice(k.start, k.stop) for k in key)] if key else 1.0 * a,
    "embed": lambda a, keys, shape: padded(a, *keys, shape),
    "transpose": lambda a, axes: anp.transpose(a, axes),
    "reshape": lambda a, shape: anp.reshape(a, shape),
    "broadcast_to": lambda a, shape: a * np.ones(shape),
    "log_softmax": log_softmax,
    "mean_squared_error": lambda a, b: anp.mean((a - b) ** 2),
    "softmax_cross_entropy": lambda a, b: (
        -anp.sum(b * log_softmax(a, -1)) / (np.size(tracer.getval(a)[..., 0]))
    ),
}


def test_every_operation_has_its_counterpart():
    assert {*BY_AUTOGRAD, "one_hot"} == set(OPS)


def far_from(values, point):
    return not np.any(np.abs(values - point) < CLEARANCE)


# Where values allow an operation: off its kinks and poles, and not so large that it explodes.
ALLOWED = {
    "div": lambda a, b: not np.any(np.abs(b) < 0.1),
    "maximum": lambda a, b: far_from(np.subtract(a, b), 0),
    "is_larger": lambda a, b: far_from(np.subtract(a, b), 0),
    "max": lambda a: far_from(np.diff(np.sort(a, axis=None)), 0),
    "is_largest": lambda a: far_from(np.diff(np.sort(a, axis=None)), 0),
    "relu": lambda a: far_from(a, 0),
    "step": lambda a: far_from(a, 0),
    "abs": lambda a: far_from(a, 0),
    "sign": lambda a: far_from(a, 0),
    "sqrt": lambda a: not np.any(a < 0.1),
    "log": lambda a: not np.any(a < 0.1),
    "exp": lambda a: not np.any(a > 5),
}


def axes_of(draw, ndim):
    """None, one axis, counted from either end, or several."""
    if ndim == 0:
        return draw(st.sampled_from([None, ()]))
    several = st.lists(st.integers(0, ndim - 1), unique=True).map(tuple)
    return draw(st.one_of(st.none(), st.integers(-ndim, ndim - 1), several))


def attributes_of(draw, op, shape):
    """Keyword arguments for an operation on an operand of this shape; None if there are none."""
    if op in ("sum", "mean", "max"):
        return {"axis": axes_of(draw, len(shape)), "keepdims": draw(st.booleans())}
    if op == "is_largest":
        return {"axis": axes_of(draw, len(shape))}
    if op == "getitem":
        starts = [draw(st.integers(0, n - 1)) for n in shape]
        stops = [draw(st.integers(k + 1, n)) for k, n in zip(starts, shape, strict=True)]
        return {"key": tuple(map(range, starts, stops))}
    if op == "embed":
        starts = [draw(st.integers(0, 1)) for _ in shape]
        key = tuple(range(k, k + n) for k, n in zip(starts, shape, strict=True))
        return {"keys": (key,), "shape": tuple(k.stop + draw(st.integers(0, 1)) for k in key)}
    if op == "transpose":
        return {"axes": draw(st.none() | st.permutations(range(len(shape))))}
    if op == "reshape":
        flat, parted = (-1,), (*shape[:1], 1, *shape[1:])
        return {"shape": draw(st.sampled_from([flat, shape[::-1], (1, -1), parted]))}
    if op == "broadcast_to":
        front = draw(st.sampled_from([(), (2,), (3, 1)]))
        return {"shape": (*front, *(draw(st.sampled_from([1, 3])) if n == 1 else n for n in shape))}
    if op == "log_softmax":
        return {"axis": draw(st.integers(-len(shape), len(shape) - 1))} if shape else None
    if op == "cast":
        return {"dtype": np.dtype(np.float64)}
    return {}


def fit(op, *shapes):
    try:
        OPS[op].shape(*shapes)
    except ValueError:
        return False
    return True


def grow(draw, g, leaves):
    """Add one random operation on random vertices, the result of which is harmless."""
    op = draw(st.sampled_from(sorted(BY_AUTOGRAD)))
    operands = [draw(st.sampled_from(g.vertices))]
    attributes = attributes_of(draw, op, g.shape[operands[0]])
    if attributes is None:
        return
    if op == "where":
        # Of 0 and other numbers that a small step does not change.
        conditions = [i for i in g.vertices if g.name[i] in ("step", "sign", "is_largest")]
        if not conditions:
            return
        operands.insert(0, draw(st.sampled_from(conditions)))
    if len(OPS[op].gradients) == len(operands) + 1:
        shapes = [g.shape[i] for i in operands]
        partners = [i for i in g.vertices if fit(op, *shapes, g.shape[i])]
        if not partners:
            return
        operands.append(draw(st.sampled_from(partners)))
    twin = g.copy()
    vertex = getattr(twin, op)(*operands, **attributes)
    twin.run_eval(vertex)
    if not ALLOWED.get(op, lambda *_: True)(*(twin.value[i] for i in operands)):
        return
    loss = twin.sum(vertex)
    twin.run_grad(loss)
    known = [twin.value[vertex], *(twin.grad[leaf] for leaf in leaves)]
    if twin.value[vertex].size <= 200 and all(np.all(np.abs(x) < LARGEST) for x in known):
        g.run_eval(getattr(g, op)(*operands, **attributes))


@st.composite
def graphs(draw):
    """Draw a graph, its leaves and the vertex of a loss: a random weighting of all its ends."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g, leaves = Graph(), []
    for shape in draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4)):
        x = rng.normal(size=shape)
        leaves.append(g.tensor(x + 0.1 * np.sign(x)))
    for _ in range(draw(st.integers(1, 25))):
        grow(draw, g, leaves)
    loss = g.tensor(0.0)
    for i in [i for i in g.vertices[:-1] if not g.parents[i]]:
        weights = g.tensor(rng.normal(size=g.shape[i]))
        loss = g.add(loss, g.sum(g.mul(weights, i)))
    # Without them autograd warns of gradients that do not depend on the leaves, and the loss may be
    # so close to 0 that the rounding of its parts is more than check_gradients allows for.
    for leaf in leaves:
        loss = g.add(loss, g.sum(g.square(leaf)))
    return g, leaves, loss


def by_autograd(g, leaves, loss):
    """The loss as a function of the leaves' values, computed with autograd's NumPy."""

    def value(arrays):
        known = dict(zip(leaves, arrays, strict=True))
        for i in g.order([loss]):
            if g.operation[i] is not None:
                operands = [known[child] for child in g.children[i]]
                known[i] = BY_AUTOGRAD[g.name[i]](*operands, **g.attributes[i])
            elif i not in known:
                known[i] = g.value[i]
        return known[loss]

    return value


def assert_agree(found, others):
    """Compare gradients; what cancels in one may be as large as the largest of them."""
    scale = max(1.0, *(np.abs(each).max() for each in found))
    for mine, other in zip(found, others, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=AGREEMENT * scale)


@given(graphs())
def test_gradients_of_random_graphs(drawn):
    g, leaves, loss = drawn
    g.run_grad(loss)
    found, values = [g.grad[leaf] for leaf in leaves], [g.value[leaf] for leaf in leaves]
    assert_agree(found, autograd.grad(by_autograd(g, leaves, loss))([x.copy() for x in values]))
    for mine, compiled in zip(found, compile(g, loss, leaves)(*values), strict=True):
        np.testing.assert_array_equal(mine, compiled)
    check_gradients(g, loss, leaves).raise_if_failed()


@given(graphs())
def test_second_derivatives_of_random_graphs(drawn):
    """The gradient along a random direction, differentiated once more."""
    g, leaves, loss = drawn
    rng = np.random.default_rng(0)
    directions = [rng.normal(size=g.shape[leaf]) for leaf in leaves]
    gradient_of = autograd.grad(by_autograd(g, leaves, loss))

    def along(arrays):
        parts = zip(gradient_of(arrays), directions, strict=True)
        return sum(anp.sum(gradient * direction) for gradient, direction in parts)

    others = autograd.grad(along)([g.value[leaf].copy() for leaf in leaves])
    total = g.tensor(0.0)
    for gradient, direction in zip(g.grad_graph(loss, leaves), directions, strict=True):
        total = g.add(total, g.sum(g.mul(gradient, g.tensor(direction))))
    g.run_grad(total)
    assert_agree([g.grad[leaf] for leaf in leaves], others)
