"""What a graph notes of its runs, so that the next ones are faster: flat lists of calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy import empty

from nnlib.build import Builder
from nnlib.inputs import Vertex, frozen
from nnlib.ops import ARRAYS, Kept, Op, evaluate, namespace, unchanged
from nnlib.shapes import Shape

# Computes an array from those in some places of a list.
Call = Callable[[Sequence[Any]], np.ndarray]


class Plan:
    """How an output of a graph is computed and differentiated, while the graph stays as it is.

    Nothing is noted in the first run, because that takes longer than a run: a graph that is built
    anew in each step would become slower.

    Attributes
    ----------
    order : list of Vertex
        What the output depends on, itself included, as `nnlib.graph.Graph.order` returns it.
    """

    def __init__(self) -> None:
        self._was_evaluated = self._was_differentiated = False
        self.renew([])

    def renew(self, order: list[Vertex]) -> None:
        """Take a new order, and forget what was noted."""
        self.order = order
        self._structure: list[Any] = []
        self._calls: list[Call | None] = []
        self._with_byproduct: list[Vertex] = []
        self._tapes: dict[bool, Tape] = {}

    def is_of(self, g: Builder) -> bool:
        """Return whether something was noted, and the vertices are still the same operations."""
        return bool(self._structure) and self._structure == _structure(g, self._pick)

    def calls(self, g: Builder) -> list[Call | None]:
        """Return what computes each vertex of the order from all values; None for a leaf."""
        if not self._was_evaluated:
            self._was_evaluated = True
            return [partial(_evaluate, g, i) if g.operation[i] else None for i in self.order]
        if not self._calls:
            self._note(g)
            self._calls = [_call_of(g, i) if g.operation[i] else None for i in self.order]
        return self._calls

    def gradients(
        self,
        g: Builder,
        seed: np.ndarray | None,
        backward: Callable[[SimpleNamespace], list[Any]],
    ) -> list[Any]:
        """Return the gradients of all vertices of the order, from the values of the graph.

        Parameters
        ----------
        g : Builder
        seed : ndarray or None
            The gradient of the output, if it is not always the same.
        backward : callable
            Computes the gradients in a namespace (see `nnlib.ops`); None where there is none.
        """
        if not self._was_differentiated:
            self._was_differentiated = True
            return backward(ARRAYS)
        self._note(g)
        kept: Any = [(g.operation[i], *g.byproduct[i]) for i in self._with_byproduct]
        inputs = [g.value[i] for i in self.order] + [array for _, _, array in kept]
        if seed is not None:
            inputs.append(seed)
        operands = [g.value[g.children[i][0]] for i in self._with_byproduct]
        if any(now is not then for now, (_, then, _) in zip(operands, kept, strict=True)):
            # A user has put in another array than the by-product belongs to.
            return backward(ARRAYS)
        if tape := self._tapes.get(seed is None):
            return tape.replay(inputs)
        if len(set(map(id, inputs))) < len(inputs):
            # A user has put one array into two places, and a tape could not tell them apart.
            return backward(ARRAYS)
        known = {op.byproduct_key(id(operand)): array for op, operand, array in kept}
        tape = Tape(inputs, known)
        gradients = tape.record(backward)
        self._tapes[seed is None] = tape
        return gradients

    def _note(self, g: Builder) -> None:
        if not self._structure:
            # Picks the output twice, because of a single vertex it would not make a tuple.
            self._pick = itemgetter(*self.order, self.order[-1])
            children, attributes, *others = _structure(g, self._pick)
            copies = tuple(map(list, children)), tuple(map(dict, attributes))
            self._structure = [*copies, *others]
            self._with_byproduct = [i for i in self.order if _fits(g.byproduct[i])]


def _fits(kept: Kept | None) -> bool:
    """Return whether there is a by-product, in the type that the operation would have."""
    return kept is not None and kept[0].dtype == kept[1].dtype


def _structure(g: Builder, pick: Callable[[Any], Any]) -> list[Any]:
    """Return all of a graph that a plan depends on."""
    return [*map(pick, (g.children, g.attributes, g.operation, g.shape, g.dtype))]


def _evaluate(g: Builder, i: Vertex, values: Sequence[Any]) -> np.ndarray:
    op: Any = g.operation[i]
    operands = [values[child] for child in g.children[i]]
    keep = partial(g.byproduct.__setitem__, i) if op.byproduct else None
    return evaluate(op, *operands, keep=keep, **g.attributes[i])


def _call_of(g: Builder, i: Vertex) -> Call:
    """Return what does the same faster, while the graph stays as it is."""
    op: Any = g.operation[i]
    children = g.children[i]
    kinds = [_Kind(g.shape[k], g.dtype[k]) for k in (*children, i)]
    keep = partial(g.byproduct.__setitem__, i)
    return _call(op, children, kinds, g.attributes[i], keep)


class Tape:
    """Operations on arrays, noted when they are computed first, to be computed from others again.

    What does not depend on the inputs is computed once, and what is computed twice is noted once.

    Parameters
    ----------
    inputs : sequence of ndarray
        All different objects.
    known : dict
        The key of an operation (see `nnlib.ops.Op`) → the input that is its value.
    """

    def __init__(
        self, inputs: Sequence[np.ndarray], known: dict[tuple[Any, ...], np.ndarray]
    ) -> None:
        # All arrays are kept while they are noted, so ids are unique.
        self._arrays: list[Any] = list(inputs)
        self._places = {id(array): k for k, array in enumerate(inputs)}
        self._varying = set(range(len(inputs)))
        self._known = known
        self._calls: list[tuple[int, Call]] = []
        self._results: list[int] = []

    def record(self, compute: Callable[[SimpleNamespace], list[Any]]) -> list[Any]:
        """Return the arrays that a function computes in a namespace, and note how it does."""
        results = compute(namespace(self._evaluate))
        self._results = [*map(self._place, results)]
        self._arrays = [None if k in self._varying else x for k, x in enumerate(self._arrays)]
        self._places, self._known = {}, {}
        return results

    def replay(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        """Return what the function would compute from other inputs; the arrays are read-only."""
        arrays = [*inputs, *self._arrays[len(inputs) :]]
        for place, call in self._calls:
            arrays[place] = frozen(call(arrays))
        return [arrays[place] for place in self._results]

    def _evaluate(self, op: Op, *operands: np.ndarray, **attributes: Any) -> np.ndarray:
        key = op.key(map(id, operands), attributes)
        if key in self._known:
            return self._known[key]
        value = evaluate(op, *operands, **attributes)
        places = [self._place(operand) for operand in operands]
        varies = [place in self._varying for place in places]
        if (same := unchanged(op, operands, varies, value)) is not None:
            value = operands[same]
        elif any(varies):
            place = self._place(value)
            self._varying.add(place)
            self._calls.append((place, _call(op, places, [*operands, value], attributes)))
        self._known[key] = value
        return value

    def _place(self, array: np.ndarray) -> int:
        place = self._places.setdefault(id(array), len(self._arrays))
        if place == len(self._arrays):
            self._arrays.append(array)
        return place


class _Kind(NamedTuple):
    shape: Shape
    dtype: np.dtype


def _call(
    op: Op,
    places: Sequence[int],
    arrays: Sequence[_Kind | np.ndarray],
    attributes: dict[str, Any],
    keep: Callable[[Kept], object] | None = None,
) -> Call:
    """Return what computes an operation as `nnlib.ops.evaluate` does, from operands in a list.

    `arrays` have the shapes and types of the operands and of the value. `keep` gets the by-product
    of each call, if the operation has one.
    """
    forward = partial(op.forward, **attributes) if attributes else op.forward
    a, b, (shape, dtype) = places[0], places[-1], (arrays[-1].shape, arrays[-1].dtype)
    if op.view:
        return lambda arrays: forward(arrays[a])
    if op.temporaries:
        kind = np.result_type(*[each.dtype for each in arrays[:-1]])
        room = op.temporaries(*[each.shape for each in arrays[:-1]], **attributes)

        def call(arrays: Sequence[Any]) -> np.ndarray:
            work = [empty(each, kind) for each in room]
            value = forward(*[arrays[k] for k in places], empty(shape, dtype), *work)
            if keep and op.byproduct:
                keep((arrays[a], work[0]))
            return value

        return call
    # A loop over the operands would take longer than a small operation.
    if len(places) == 1:
        return lambda arrays: forward(arrays[a], empty(shape, dtype))
    if len(places) > 2:
        return lambda arrays: forward(*[arrays[k] for k in places], empty(shape, dtype))
    return lambda arrays: forward(arrays[a], arrays[b], empty(shape, dtype))


@lru_cache
def filled(number: float, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Return a read-only array of equal numbers, which takes the memory of one."""
    return np.broadcast_to(np.array(number, dtype), shape)
