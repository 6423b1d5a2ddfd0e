"""Compiled programs: they compute the bits of the graph, and do and allocate nothing in vain."""

import copy
import doctest
import gc
import pickle
import re
import tracemalloc
import weakref

import cloudpickle
import numpy as np
import pytest

import nnlib.program
from nnlib import Graph, Program, compile  # noqa: A004


def least_squares(n_samples=20, n_features=5, columns=8, target_columns=None):
    """Return g, the leaf W, the residual RW − Z and the gradient of its squared norm."""
    rng = np.random.default_rng(0)
    target_columns = columns if target_columns is None else target_columns
    columns, target_columns = (() if m is None else (m,) for m in (columns, target_columns))
    g = Graph()
    R = g.tensor(rng.normal(size=(n_samples, n_features)), "R")
    W = g.tensor(rng.normal(size=(n_features, *columns)), "W")
    Z = g.tensor(rng.normal(size=(n_samples, *target_columns)), "Z")
    residual = g.sub(g.matmul(R, W), Z)
    (gradient,) = g.grad_graph(g.sum(g.square(residual)), [W])
    return g, W, residual, gradient


def network(dtype=np.float64):
    """Return g, all leaves, and the loss of a ReLU network with a bias, with all its gradients."""
    rng = np.random.default_rng(0)
    g = Graph()
    shapes = [(16, 4), (4, 8), (8,), (8, 3), (3,), (16, 3)]
    leaves = x, w1, b1, w2, b2, y = [
        g.tensor(rng.normal(size=shape).astype(dtype)) for shape in shapes
    ]
    output = g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)
    loss = g.sum(g.square(g.sub(output, y)))
    return g, leaves, [loss, *g.grad_graph(loss, leaves)]


def names(program):
    return [line.split(" = ")[1].split("(")[0] for line in program.instructions]


def peak_of(program, arguments):
    """Return the most memory that a call takes, in bytes."""
    # Python and NumPy keep small objects that were freed, until they have some dozens.
    for _ in range(50):
        program(*arguments)
    tracemalloc.start()
    try:
        for _ in range(10):
            program(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Results


@pytest.mark.parametrize("columns", [1, 8])
def test_least_squares_is_three_instructions(columns):
    g, W, residual, gradient = least_squares(columns=columns)
    program = Program(g, inputs=[W], outputs=[residual, gradient])
    assert names(program) == ["matmul", "sub", "matmul"]
    assert program.instructions[:2] == ("v3 = matmul(v0, v1)", "v4 = sub(v3, v2)")
    turned = int(re.search(r"matmul\(2·v(\d+), v4\)", program.instructions[2])[1])
    g.run_eval(gradient)
    np.testing.assert_array_equal(g.value[turned], g.value[0].T)


def test_with_one_column_as_a_vector_it_is_four():
    g, W, residual, gradient = least_squares(columns=None)
    program = Program(g, inputs=[W], outputs=[residual, gradient])
    assert names(program) == ["matmul", "sub", "mul", "matmul"]


@pytest.mark.parametrize("factor", [2.0, 0.5, 2.0**-30, 1.0, 3.0, -2.0, 0.0, np.inf, np.nan])
@pytest.mark.parametrize("is_left", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_powers_of_two_are_moved_to_constant_matrices(factor, is_left, dtype):
    rng = np.random.default_rng(0)
    matrix, given = (rng.standard_normal((9, 9)).astype(dtype) for _ in range(2))
    g = Graph()
    A, B = g.tensor(matrix), g.tensor(given)
    scaled = g.mul(B, g.tensor(np.array(factor, dtype)))
    product = g.matmul(scaled, A) if is_left else g.matmul(A, scaled)
    program = Program(g, [B], [product])
    moved = factor in (2.0, 0.5, 2.0**-30)
    assert names(program) == (["matmul"] if moved or factor == 1 else ["mul", "matmul"])
    g.run_eval(product)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(program(given)[0], g.value[product])
    twin = pickle.loads(pickle.dumps(program))
    assert twin.instructions == program.instructions


@pytest.mark.parametrize("largest", [1.5e308, 5e-324])
def test_powers_of_two_stay_where_moving_them_would_not_be_exact(largest):
    g = Graph()
    A, B = g.tensor([[1.0, largest], [0.0, 1.0]]), g.tensor([[0.25, 0.25], [0.5, 0.0]])
    product = g.matmul(g.mul(B, g.tensor(2.0 if largest > 1 else 0.5)), A)
    program = Program(g, [B], [product])
    assert names(program) == ["mul", "matmul"]
    g.run_eval(product)
    np.testing.assert_array_equal(program(g.value[B])[0], g.value[product])


def test_a_product_with_a_power_of_two_that_is_asked_for_stays():
    g = Graph()
    A, B = g.tensor([[1.0, 3.0], [0.0, 1.0]]), g.tensor([[1.0, 0.25], [0.5, 0.0]])
    twice = g.mul(B, g.tensor(2.0))
    program = Program(g, [B], [twice, g.matmul(twice, A), g.matmul(twice, g.tensor([1.0, 1.0]))])
    twice, *products = program(g.value[B])
    np.testing.assert_array_equal(twice, 2 * g.value[B])
    for product, matrix in zip(products, (g.value[A], np.ones(2)), strict=True):
        np.testing.assert_array_equal(product, 2 * g.value[B] @ matrix)


@pytest.mark.parametrize(
    ("columns", "target_columns"), [(None, None), (1, 1), (8, 8), (8, 1), (32, 32)]
)
def test_least_squares_is_numpy_bit_for_bit(columns, target_columns):
    g, W, residual, gradient = least_squares(columns=columns, target_columns=target_columns)
    R, w, Z = g.value[:3]
    program = Program(g, inputs=[W], outputs=[residual, gradient])
    for scale in (1, -3):
        r, d = program(scale * w)
        np.testing.assert_array_equal(r, R @ (scale * w) - Z)
        np.testing.assert_array_equal(d, R.T @ (2 * (R @ (scale * w) - Z)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_program_is_graph_bit_for_bit(dtype):
    g, leaves, outputs = network(dtype)
    program = Program(g, inputs=leaves, outputs=outputs)
    for factor in (1, 2, -1):
        arrays = [factor * g.value[leaf] for leaf in leaves]
        results = program(*arrays)
        for leaf, array in zip(leaves, arrays, strict=True):
            g.set(leaf, array)
        for output, result in zip(outputs, results, strict=True):
            g.run_eval(output)
            np.testing.assert_array_equal(result, g.value[output])
            assert result.dtype == g.value[output].dtype == dtype


@pytest.mark.parametrize("n_features", [5, 25, 64])
def test_a_column_does_not_depend_on_the_others(n_features):
    # A property of the BLAS as well: it holds for multiples of 8 columns in C order.
    g, W, residual, gradient = least_squares(n_features, n_features, columns=32)
    together = Program(g, [W], [residual, gradient])(g.value[W])
    for start in range(0, 32, 8):
        part = slice(start, start + 8)
        h = Graph()
        R, V, Z = (h.tensor(x) for x in (g.value[0], g.value[1][:, part], g.value[2][:, part]))
        r = h.sub(h.matmul(R, V), Z)
        alone = Program(h, [V], [r, *h.grad_graph(h.sum(h.square(r)), [V])])(h.value[V])
        for all_columns, columns in zip(together, alone, strict=True):
            np.testing.assert_array_equal(all_columns[:, part], columns)


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(nnlib.program)
    assert (failed, attempted) == (0, 5)


def test_compile_gives_the_gradients_and_leaves_the_graph_alone():
    g, leaves, (loss, *gradients) = network()
    before = repr(g)
    program = compile(g, loss, leaves)
    assert repr(g) == before
    expected = Program(g, leaves, gradients)
    arrays = [np.full(g.shape[leaf], 0.5) for leaf in leaves]
    for ours, theirs in zip(program(*arrays), expected(*arrays), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(program.instructions) == len(expected.instructions)


@pytest.mark.parametrize(
    "build", [network, lambda: (lambda g, x, out: (g, [x], out))(*everything())]
)
def test_compile_notes_what_a_program_of_the_gradients_vertices_does(build):
    g, leaves, (loss, *_) = build()
    twin = g.copy()
    theirs = Program(twin, leaves, twin.grad_graph(loss, leaves))
    ours = compile(g, loss, leaves)
    assert ours.instructions == theirs.instructions
    arrays = [g.value[leaf] for leaf in leaves]
    for mine, other in zip(ours(*arrays), theirs(*arrays), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_compile_says_nothing_of_what_the_gradient_does_not_need():
    g = Graph()
    x, zero = g.tensor([1.0, 2.0]), g.tensor(0.0)
    program = compile(g, g.add(g.sum(g.square(x)), g.log(zero)), [x])
    assert names(program) == ["mul"]
    np.testing.assert_array_equal(program([3, 4])[0], [6, 8])


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_searched_for_afterwards_if_it_was_before(enabled):
    g, leaves, (loss, *_) = network()
    before = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        compile(g, loss, leaves)
        assert gc.isenabled() == enabled
        with pytest.raises(ValueError, match="not a single number"):
            compile(g, leaves[0], leaves)
        assert gc.isenabled() == enabled
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable() if before else gc.disable()


# Buffers


def test_outputs_are_reused_and_everything_is_in_c_order():
    g, leaves, outputs = network()
    program = Program(g, inputs=leaves, outputs=outputs)
    first = program(*[g.value[leaf] for leaf in leaves])
    kept = [array.copy() for array in first]
    second = program(*[np.zeros(g.shape[leaf]) for leaf in leaves])
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], kept[0])
    assert all(array.flags.c_contiguous for array in program.inputs + program.outputs)


def test_inputs_start_at_the_leaf_and_can_be_updated_in_place():
    g, W, residual, gradient = least_squares()
    program = Program(g, inputs=[W], outputs=[residual, gradient])
    (w,) = program.inputs
    np.testing.assert_array_equal(w, g.value[W])
    before = g.value[W]
    for _ in range(3):
        w -= 0.01 * program(w)[1]
    by_hand = before
    for _ in range(3):
        g.set(W, by_hand)
        g.run_eval(gradient)
        by_hand = by_hand - 0.01 * g.value[gradient]
    np.testing.assert_array_equal(w, by_hand)


def test_outputs_stay_when_an_input_is_updated_in_place():
    g = Graph()
    a, b = g.tensor([1.0, 2.0]), g.tensor([3.0, 4.0])
    program = compile(g, g.sum(g.mul(a, b)), [a, b])
    at, bt = program.inputs
    slope_a, slope_b = program(at, bt)
    at -= slope_a
    bt -= slope_b
    np.testing.assert_array_equal(program.inputs, [[-2, -2], [2, 2]])


def test_its_own_buffers_may_be_passed_in_any_place():
    g = Graph()
    a, b = g.tensor([1.0, 2.0]), g.tensor([3.0, 4.0])
    program = Program(g, [a, b], [g.sub(a, b)])
    at, bt = program.inputs
    np.testing.assert_array_equal(program(bt, at)[0], [2, 2])
    np.testing.assert_array_equal(program.inputs, [[3, 4], [1, 2]])
    (difference,) = program(at, bt)
    np.testing.assert_array_equal(program(difference, at)[0], [-1, -2])
    with pytest.raises(ValueError, match="input 1 has shape"):
        program([9, 9], [1])
    np.testing.assert_array_equal(program(at, bt)[0], [-1, -2])


def test_arguments_are_copied_and_never_written():
    g, W, residual, _ = least_squares()
    program = Program(g, inputs=[W], outputs=[residual])
    mine = np.ones((5, 8))
    program(mine)
    np.testing.assert_array_equal(mine, np.ones((5, 8)))
    program.inputs[0][:] = 7
    np.testing.assert_array_equal(mine, np.ones((5, 8)))
    assert g.value[W].max() < 7


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("target_columns", [1, 32])
def test_a_call_allocates_next_to_nothing(target_columns, in_place):
    g, W, residual, gradient = least_squares(200, 200, 32, target_columns)
    program = Program(g, inputs=[W], outputs=[residual, gradient])
    arguments = program.inputs if in_place else [g.value[W]]
    peak = peak_of(program, arguments)
    # A single temporary of the residual's shape takes 51,200 bytes.
    assert peak < 800


def test_a_training_step_allocates_next_to_nothing():
    rng = np.random.default_rng(0)
    g = Graph()
    x, w = g.tensor(rng.normal(size=(200, 20))), g.tensor(rng.normal(size=(20, 3)))
    labels = g.tensor(rng.integers(3, size=200))
    hidden = g.sigmoid(g.maximum(g.tanh(g.matmul(x, w)), g.tensor(0.1)))
    loss = g.add(g.softmax_cross_entropy(hidden, labels), g.mean(g.sqrt(g.abs(hidden))))
    penalty = g.mean_squared_error(g.log_softmax(hidden), hidden)
    loss = g.add(loss, penalty)
    inputs = [x, w, labels]
    program = Program(g, inputs, [loss, *g.grad_graph(loss, [x, w])])
    peak = peak_of(program, program.inputs)
    # NumPy's reductions take some 1,000 bytes, whatever the size; a single temporary of the shape
    # of the hidden layer would take 4,800.
    assert peak < 1800


def everything():
    """Return g, its leaf and outputs that need views, copies, buffers, spreads and constants."""
    rng = np.random.default_rng(0)
    g = Graph()
    x = g.tensor(rng.normal(size=(4, 6)), "x")
    row, column = g.tensor(rng.normal(size=6)), g.tensor(rng.normal(size=(4, 1)))
    turned = g.reshape(g.transpose(x), (3, 8))
    wide = g.broadcast_to(g.sum(x, axis=0), (4, 6))
    spread = g.add(g.mul(g.sum(x, axis=1, keepdims=True), x), g.maximum(column, row))
    loss = g.softmax_cross_entropy(g.add(spread, g.gate(x, g.relu(x))), g.tensor([0, 5, 2, 1]))
    loss = g.add(loss, g.mean_squared_error(g.matmul(wide, g.transpose(x)), g.tensor(np.eye(4))))
    loss = g.add(loss, g.sum(g.mul(turned, g.cast(g.sigmoid(turned), np.float32))))
    constant = g.transpose(g.tensor(rng.normal(size=(2, 3))))
    return g, x, [loss, *g.grad_graph(loss, [x]), g.transpose(x), x, wide, constant, constant]


COPIES = {
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda x, protocol=protocol: pickle.loads(pickle.dumps(x, protocol))
        for protocol in (2, 5)
    },
    "cloudpickle": lambda x: cloudpickle.loads(cloudpickle.dumps(x)),
    "a copy's copy": lambda x: copy.deepcopy(pickle.loads(pickle.dumps(x))),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_computes_the_same_bits(duplicate):
    g, x, outputs = everything()
    program = Program(g, [x], outputs)
    start = [array.copy() for array in program(g.value[x])]
    twin = duplicate(program)
    for kept, array in zip(start, twin.outputs, strict=True):
        np.testing.assert_array_equal(array, kept)
    np.testing.assert_array_equal(twin.inputs[0], g.value[x])
    rng = np.random.default_rng(1)
    for _ in range(3):
        point = rng.normal(size=(4, 6))
        for mine, other in zip(program(point), twin(point), strict=True):
            np.testing.assert_array_equal(mine, other)
            assert (mine.dtype, mine.strides) == (other.dtype, other.strides)
            assert mine.flags.writeable == other.flags.writeable
            assert mine.size == 0 or not np.may_share_memory(mine, other) or mine is other
    assert twin.instructions == program.instructions
    # The inputs of each can be updated in place, and do not reach the other.
    expected = program(program.inputs[0])[0].copy()
    twin.inputs[0][:] = 0
    assert twin(twin.inputs[0])[0] != expected
    assert program(program.inputs[0])[0] == expected


def test_arrays_copied_along_with_a_program_stay_its_own():
    g, W, residual, gradient = least_squares()
    program = Program(g, [W], [residual, gradient])
    twin, (w,) = copy.deepcopy((program, program.inputs))
    w[:] = 1.0
    expected = program(np.ones_like(w))[1].copy()
    np.testing.assert_array_equal(twin(twin.inputs[0])[1], expected)


def test_a_copy_out_of_memory_that_is_read_only():
    """As joblib's memory maps and buffers out of band can be."""
    g, W, residual, gradient = least_squares()
    program = Program(g, [W], [residual, gradient])
    buffers = []
    data = pickle.dumps(program, 5, buffer_callback=buffers.append)
    twin = pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])
    point = 2 * g.value[W]
    for mine, other in zip(program(point), twin(point), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_outputs_are_copies_if_asked_for():
    g, leaves, outputs = network()
    loss = outputs[0]
    reused, fresh = Program(g, leaves, outputs), Program(g, leaves, outputs, copy=True)
    arrays = [g.value[leaf] for leaf in leaves]
    first = fresh(*arrays)
    kept = [array.copy() for array in first]
    second = fresh(*[2 * array for array in arrays])
    for array, before, after in zip(first, kept, second, strict=True):
        np.testing.assert_array_equal(array, before)
        assert array is not after
        assert array.flags.writeable
    for mine, other in zip(reused(*arrays), kept, strict=True):
        np.testing.assert_array_equal(mine, other)
    gradients = compile(g, loss, leaves, copy=True)
    first = gradients(*arrays)
    gradients(*[2 * array for array in arrays])
    for array, before in zip(first, kept[1:], strict=True):
        np.testing.assert_array_equal(array, before)
    assert copy.deepcopy(fresh)(*arrays)[0] is not copy.deepcopy(fresh).outputs[0]


# What is left out


def test_what_does_not_depend_on_the_inputs_is_computed_once():
    g = Graph()
    x, a, b = g.tensor([1.0, 2.0]), g.tensor([3.0, 4.0]), g.tensor(5.0)
    constant = g.square(g.mul(a, b))
    output = g.add(x, constant)
    program = Program(g, inputs=[x], outputs=[output, constant])
    assert names(program) == ["add"]
    np.testing.assert_array_equal(program([1, 1])[0], [226, 401])
    np.testing.assert_array_equal(program.outputs[1], [225, 400])
    assert not program.outputs[1].flags.writeable
    g.set(b, 0)
    np.testing.assert_array_equal(program([1, 1])[0], [226, 401])


def test_what_no_output_needs_is_dropped():
    g = Graph()
    x = g.tensor(2.0)
    g.square(x)
    output = g.neg(x)
    g.square(output)
    assert names(Program(g, inputs=[x], outputs=[output])) == ["neg"]


def test_the_same_instruction_runs_once():
    g = Graph()
    x = g.tensor([[1.0, 2.0]])
    rows = [g.sum(g.transpose(g.square(x)), axis=0) for _ in range(2)]
    other = g.sum(g.transpose(g.square(x)), axis=1)
    program = Program(g, inputs=[x], outputs=[*rows, other])
    assert names(program) == ["square", "sum", "sum"]
    assert program.outputs[0] is program.outputs[1]
    np.testing.assert_array_equal(program([[2, 3]])[0], [13])
    np.testing.assert_array_equal(program.outputs[2], [4, 9])


def test_views_are_made_once():
    g = Graph()
    x = g.tensor(np.arange(6.0).reshape(2, 3))
    views = [g.transpose(x), g.reshape(x, (3, 2)), g.broadcast_to(x, (4, 2, 3))]
    program = Program(g, inputs=[x], outputs=views)
    assert program.instructions == ("v1 = copy(v1)", "v2 = copy(v2)", "v3 = copy(v3)")
    new = np.ones((2, 3)) * [[1], [2]]
    for view, expected in zip(program(new), [new.T, new.reshape(3, 2), [new] * 4], strict=True):
        np.testing.assert_array_equal(view, expected)


def test_a_reshape_that_has_to_copy_is_an_instruction():
    g = Graph()
    x = g.tensor(np.zeros((2, 3)))
    program = Program(g, inputs=[x], outputs=[g.reshape(g.transpose(x), (6,))])
    assert names(program) == ["reshape"]
    np.testing.assert_array_equal(program([[0, 1, 2], [3, 4, 5]])[0], [0, 3, 1, 4, 2, 5])


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("factor", "left"),
    [
        (np.ones((2, 3)), ["copy"]),
        (np.ones(3), ["copy"]),
        (1, ["copy"]),
        (np.float32(1), ["copy"]),
        (np.array([1, 1, 2]), ["mul"]),
        (np.ones((4, 2, 3)), ["mul"]),
    ],
)
def test_a_product_with_ones_is_left_out_unless_it_broadcasts(factor, left, swap):
    g = Graph()
    x, ones = g.tensor(np.zeros((2, 3))), g.tensor(factor)
    product = g.mul(ones, x) if swap else g.mul(x, ones)
    program = Program(g, inputs=[x], outputs=[product])
    assert names(program) == left
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(program(x)[0], factor * x)


def test_a_product_with_ones_stays_where_it_changes_the_order_in_memory():
    g = Graph()
    x, ones = g.tensor(np.random.default_rng(0).normal(size=(3, 5))), g.tensor(np.ones((5, 3)))
    total = g.sum(g.mul(g.transpose(x), ones), axis=None)
    program = Program(g, inputs=[x], outputs=[total])
    assert names(program) == ["mul", "sum"]
    for seed in range(20):
        g.set(x, np.random.default_rng(seed).normal(size=(3, 5)))
        g.run_eval(total)
        assert program(g.value[x])[0] == g.value[total]


def test_a_product_with_ones_stays_where_it_changes_the_type_or_the_ones_are_an_input():
    g = Graph()
    single, double = g.tensor(np.float32(3)), g.tensor(1.0)
    product = g.mul(single, double)
    assert names(Program(g, inputs=[single], outputs=[product])) == ["mul"]
    assert names(Program(g, inputs=[single, double], outputs=[product])) == ["mul"]


def test_an_input_or_a_constant_may_be_an_output():
    g = Graph()
    x, c = g.tensor([1.0, 2.0]), g.tensor(3.0)
    program = Program(g, inputs=[x], outputs=[x, c])
    program([4, 5])
    program.inputs[0][:] = 0
    np.testing.assert_array_equal(program.outputs[0], [4, 5])
    assert program.outputs[1] == 3


def test_arrays_without_elements():
    g = Graph()
    x = g.tensor(np.zeros((0, 3)))
    outputs = [g.sum(x, axis=0), g.broadcast_to(x, (2, 0, 3)), g.reshape(g.transpose(x), (0,))]
    results = Program(g, inputs=[x], outputs=outputs)(np.zeros((0, 3)))
    assert [result.shape for result in results] == [(3,), (2, 0, 3), (0,)]
    np.testing.assert_array_equal(results[0], [0, 0, 0])


# Refusals


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ("d", "d", r"\[3\] must be leaves"),
        ("abd", "d", r"\[0, 1, 3\] must be leaves"),
        ("aa", "d", r"\[0, 0\] must be leaves, each given once"),
        ([9], "d", "expected a vertex, .* not 9 of type int"),
        ("a", [3], r"not 3 of type int: .*, and vertex 3 is g.vertices\[3\]"),
        ("a", 3, r"expected a sequence of vertices, not 3: write \[3\]"),
        (0, "d", r"expected a sequence of vertices, not 0: write \[0\]"),
    ],
)
def test_vertices_that_do_not_fit_are_refused(inputs, outputs, message):
    g = Graph()
    a, b = g.tensor(1.0), g.tensor(2.0)
    known = {"a": a, "b": b, "c": g.neg(a), "d": g.add(a, b)}
    inputs, outputs = (
        [known[name] for name in each] if isinstance(each, str) else each
        for each in (inputs, outputs)
    )
    with pytest.raises(ValueError, match=message):
        Program(g, inputs, outputs)


@pytest.mark.parametrize(
    ("output", "wrt", "message"),
    [
        ("c", "a", r"vertex 2 \(neg\) of shape \(2,\) is not a single number: sum it first"),
        ("d", "c", r"\[2\] must be leaves"),
        ("d", "aa", r"\[0, 0\] must be leaves, each given once"),
        ("d", 0, r"expected a sequence of vertices, not 0: write \[0\]"),
        (4, "a", "expected a vertex, .* not 4 of type int"),
    ],
)
def test_gradients_that_do_not_exist_are_refused(output, wrt, message):
    g = Graph()
    a, b = g.tensor([1.0, 2.0]), g.tensor(1.0)
    c = g.neg(a)
    known = {"a": a, "b": b, "c": c, "d": g.sum(c)}
    wrt = [known[name] for name in wrt] if isinstance(wrt, str) else wrt
    with pytest.raises(ValueError, match=message):
        compile(g, known.get(output, output), wrt)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "the program takes 1 arrays, not 0"),
        ([np.ones((5, 8))] * 2, "the program takes 1 arrays, not 2"),
        ([np.ones((5, 1))], r"input 0 has shape \(5, 8\), not \(5, 1\)"),
        ([1.0], r"input 0 has shape \(5, 8\), not \(\)"),
        ([np.ones((5, 8), bool)], "expected integers or floats, not values of type bool"),
        ([np.ones((5, 8), complex)], "expected integers or floats, not values of type complex"),
        ([np.full((5, 8), "1")], "expected integers or floats, not values of type <U1"),
        ([np.ma.ones((5, 8))], "expected an array without a mask"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, message):
    g, W, residual, _ = least_squares()
    program = Program(g, inputs=[W], outputs=[residual])
    with pytest.raises(ValueError, match=message):
        program(*arrays)


def test_programs_that_are_no_longer_used_are_not_kept():
    """A sweep makes one for every group; what they hold is freed without being asked for."""
    alive = []
    for _ in range(400):
        graph = Graph()
        x = graph.tensor(np.ones(3))
        (slope,) = graph.grad_graph(graph.sum(graph.square(x)), [x])
        program = Program(graph, inputs=[x], outputs=[slope])
        program(np.ones(3))
        alive.append(weakref.ref(graph))
    assert sum(each() is not None for each in alive) < 200


@pytest.mark.parametrize("how", ["compiled", "by vertices", "run_grad"])
def test_nothing_waits_for_the_search_for_garbage(how):
    """What has been used to make a program holds its arrays; it is freed at once."""
    g = Graph()
    x = g.tensor([1.0, 2.0])
    loss = g.sum(g.square(g.tanh(x)))
    (gradient,) = g.grad_graph(loss, [x])
    make = {
        "compiled": lambda: compile(g, loss, [x]),
        "by vertices": lambda: Program(g, [x], [loss, gradient]),
        "run_grad": lambda: g.run_grad(loss),
    }[how]
    make()
    gc.collect()
    gc.disable()
    try:
        make()
        assert gc.collect() == 0
    finally:
        gc.enable()
