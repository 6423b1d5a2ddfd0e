"""Programs: parts of a graph as flat lists of instructions with fixed buffers, for hot loops."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import is_not
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nnlib.graph import Graph
from nnlib.inputs import Vertex, real
from nnlib.recorder import Recorder
from nnlib.shapes import Shape

# So many objects take tenths of a second to search.
MANY = 100_000


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for garbage: half the time, among many new objects that all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if gc.get_count()[0] > MANY and gc.get_freeze_count() == 0:
                # Puts new objects with the old ones, or the search would begin with all of them.
                # Garbage among them is then found late, so this is for a long program only.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


class Program:
    """A part of a graph as a function of some leaves that reuses its buffers.

    Values that do not depend on the inputs are computed when the program is made, from the present
    values of the other leaves; a later `Graph.set` does not change them. Views are made once, since
    buffers stay where they are. The program leaves out what no output needs, what is already
    computed, and products with 1. In A(2B), with a constant matrix A, it multiplies A by 2 when it
    is made, and B never; so it does with all powers of 2, where that is exact. The rest runs in the
    order of the graph, and the results equal those of `Graph.run_eval` bit for bit, with two
    exceptions. What would have overflowed in 2B alone does not. A constant matrix that is
    transposed for a product of matrices is laid out in C order, which is faster. For small
    products, the rounding of OpenBLAS's AVX-512 kernels depends on this order.

    Calling it with one array for each input returns `outputs`. **They are the same arrays at every
    call, and the next call overwrites them**: copy results that you keep, or let the program copy
    them with `copy`. For the same reason a program must not be called from two threads at once.

    An array that is passed is copied into the program's own array, unless it *is* that array:
    ``W = program.inputs[0]`` can be updated in place and passed without a copy.

    NumPy's settings decide how overflow and the like are reported. Setting `numpy.errstate` once
    around a loop costs less than in every call.

    Parameters
    ----------
    graph : Graph
        Left unchanged, and not needed by the program.
    inputs : sequence of Vertex
        Leaves, each once.
    outputs : sequence of Vertex
        Any vertices, those added by `Graph.grad_graph` included.
    copy : bool, optional
        A call returns copies of `outputs`, which nothing overwrites.

    Attributes
    ----------
    inputs : tuple of ndarray
        Writable; they start with the values of the leaves.
    outputs : tuple of ndarray
        Without meaning before the first call. They may share memory with each other, but never with
        an input.

    Raises
    ------
    ValueError
        If an input is not a leaf or is given twice, or a vertex does not exist.
    """

    @_without_collection()
    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[Vertex],
        outputs: Sequence[Vertex],
        copy: bool = False,
    ) -> None:
        inputs, outputs = graph.require(inputs), graph.require(outputs)
        recorder = Recorder(graph, _leaves(graph, inputs))
        numbers = recorder.vertices(graph.order(outputs))
        self._take_over(recorder, inputs, [numbers[i] for i in outputs], copy)

    def _take_over(
        self, recorder: Recorder, inputs: Sequence[int], outputs: Sequence[int], copy: bool
    ) -> None:
        array, lines = recorder.array, recorder.needed(outputs)
        self.inputs = tuple(array[i] for i in inputs)
        for i in dict.fromkeys(outputs):
            # Updating an input in place must not change an output.
            if any(np.may_share_memory(array[i], own) for own in self.inputs):
                own = np.empty(array[i].shape, array[i].dtype)
                lines.append(((i, "copy", [i]), [partial(np.copyto, own, array[i])]))
                array[i] = own
        self.outputs = tuple(array[i] for i in outputs)
        # From lists, because generators take twice as long.
        self._lines = tuple([line for line, calls in lines if calls])
        self._steps = tuple([call for _, calls in lines for call in calls])
        self._labels = recorder.labels
        self._copy = bool(copy)

    @property
    def instructions(self) -> tuple[str, ...]:
        """What a call computes, such as ``"v4 = sub(v3, v2)"``, v3 being vertex 3 of the graph."""
        # Put into words when asked for: in a long program that takes as long as making the calls.
        return tuple(
            f"v{i} = {name}({', '.join(self._labels.get(k, f'v{k}') for k in given)})"
            for i, name, given in self._lines
        )

    def __call__(self, *arrays: ArrayLike) -> tuple[np.ndarray, ...]:
        """Run on new values of the inputs and return `outputs`, or copies of them.

        Raises
        ------
        ValueError
            If the number of arrays or the shape of one does not fit, one does not hold integers or
            floats, or a label is no class.
        """
        if len(arrays) != len(self.inputs):
            raise ValueError(f"the program takes {len(self.inputs)} arrays, not {len(arrays)}")
        if any(map(is_not, arrays, self.inputs)):
            pairs = enumerate(zip(arrays, self.inputs, strict=True))
            self._take({k: real(array) for k, (array, own) in pairs if array is not own})
        for step in self._steps:
            step()
        return tuple(x.copy() for x in self.outputs) if self._copy else self.outputs

    def _take(self, given: dict[int, np.ndarray]) -> None:
        """Copy arrays into the inputs that they are given for."""
        for k, array in given.items():
            if array.shape != self.inputs[k].shape:
                raise ValueError(f"input {k} has shape {self.inputs[k].shape}, not {array.shape}")
        if len(given) > 1:
            given = {k: self._apart(array) for k, array in given.items()}
        for k, array in given.items():
            np.copyto(self.inputs[k], array)

    def _apart(self, array: np.ndarray) -> np.ndarray:
        """Return a copy of an array that shares memory with an input, which may be overwritten."""
        is_own = any(np.may_share_memory(array, own) for own in self.inputs)
        return array.copy() if is_own else array

    def __getstate__(self) -> dict[str, Any]:
        """Describe every array by its place in memory, because pickle would not keep it shared."""
        steps = [(step.func, [*map(_place, step.args)], step.keywords) for step in self._steps]
        shown = {"inputs": [*map(_place, self.inputs)], "outputs": [*map(_place, self.outputs)]}
        return {**vars(self), **shown, "_steps": steps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make new arrays; those that shared memory share it again."""
        memory: dict[int, np.ndarray] = {}

        def arrays(places: Sequence[_Place]) -> tuple[np.ndarray, ...]:
            return tuple(_array(place, memory) for place in places)

        steps = (partial(call, *arrays(args), **options) for call, args, options in state["_steps"])
        shown = {name: arrays(state[name]) for name in ("inputs", "outputs")}
        vars(self).update({**state, **shown, "_steps": tuple(steps)})


@_without_collection()
def compile(  # noqa: A001
    graph: Graph, output: Vertex, wrt: Sequence[Vertex], copy: bool = False
) -> Program:
    """Return the gradient of an output as a function of leaves, for hot loops.

    Parameters
    ----------
    graph : Graph
        Left unchanged.
    output : Vertex
        A single number.
    wrt : sequence of Vertex
        The leaves to differentiate with respect to, each once.
    copy : bool, optional
        A call returns new arrays, which the next one does not overwrite.

    Returns
    -------
    Program
        Called with one array for each of `wrt`, it returns their gradients.

    Raises
    ------
    ValueError
        If the output is not a single number, or one of `wrt` is no leaf or is given twice.

    Examples
    --------
    >>> g = Graph()
    >>> X, w, y = g.tensor([[1.0, 2.0], [3.0, 4.0]]), g.tensor([0.0, 0.0]), g.tensor([1.0, 1.0])
    >>> loss = g.sum(g.square(g.sub(g.matmul(X, w), y)))
    >>> gradient = compile(g, loss, [w])
    >>> gradient([1.0, 1.0])
    (array([40., 56.]),)
    """
    (output,), wrt = graph.require([output]), graph.require(wrt)
    recorder = Recorder(graph, _leaves(graph, wrt), takes_byproducts=False)
    # The gradient may not need all that is constant.
    with np.errstate(all="ignore"):
        numbers = recorder.vertices(graph.order([output]))
    operand_of, constant = numbers.__getitem__, recorder.constant
    gradients = graph.backward(output, wrt, recorder.namespace(), operand_of, constant)
    program = Program.__new__(Program)
    program._take_over(recorder, wrt, gradients, copy)
    return program


def _leaves(graph: Graph, inputs: Sequence[Vertex]) -> Sequence[Vertex]:
    if len(set(inputs)) < len(inputs) or any(graph.operation[i] for i in inputs):
        raise ValueError(f"{inputs} must be leaves, each given once")
    return inputs


class _Place(NamedTuple):
    """Where an array lies in the memory that another array owns."""

    owner: np.ndarray
    offset: int
    shape: Shape
    strides: tuple[int, ...]
    dtype: np.dtype
    writeable: bool


def _place(array: np.ndarray) -> _Place:
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    offset = array.ctypes.data - owner.ctypes.data
    return _Place(owner, offset, array.shape, array.strides, array.dtype, array.flags.writeable)


def _array(place: _Place, memory: dict[int, np.ndarray]) -> np.ndarray:
    """Return the array at a place, in writable memory even if the pickled one was read-only."""
    key = id(place.owner)
    if key not in memory:
        memory[key] = np.require(place.owner, requirements="W")
    array = np.ndarray(place.shape, place.dtype, memory[key], place.offset, place.strides)
    array.setflags(write=place.writeable)
    return array
