"""The computation graph: evaluated upwards and differentiated downwards in the order of IDs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from nnlib.build import Builder
from nnlib.inputs import Vertex, frozen, real_array
from nnlib.ops import OPS
from nnlib.rules import sum_to_shape
from nnlib.slices import Piece
from nnlib.tape import Plan, filled

# A plan takes memory for every vertex that its output depends on.
_MOST_PLANS = 16


class Graph(Builder):
    """A graph whose vertices are variables (leaves, made by `tensor`) and operations.

    A vertex is an integer, its ID, handed out in order of creation. An operation is created after
    its operands, so the IDs are a topological order: `run_eval` walks them upwards, `run_grad`
    downwards, and nothing sorts or recurses. ``len(g)`` counts the vertices, ``print(g)`` lists
    them.

    Every operation is a method that takes its operands, each a `Vertex`, and returns the new one.
    It raises ValueError, naming the operands and their shapes, if one is not a vertex of this graph
    or if the shapes do not fit. Shapes and types follow NumPy's rules. Overflow and the like are no
    errors in a run: the values become infinite or NaN, as in IEEE 754.

    Attributes
    ----------
    vertices : list of Vertex
        Vertex i itself; methods do not accept a plain integer instead.
    name : list of str
        For a leaf the name that was given, else ``"tensor"``; for others the operation's name.
    children, parents : list of list of Vertex
        The operands of vertex i, in order; and the vertices that use it, each once and in order.
    parent : list of Vertex or None
        The latest of the parents; None for a root.
    shape, dtype : list
        Shape and type of the value of vertex i, known before any run.
    value : list of ndarray or None
        None for an operation until `run_eval`, and again once a leaf it depends on is `set`.
    grad : list of ndarray or None
        The gradient from the latest `run_grad`, with the shape and type of the vertex.
    stale : bool
        Whether a leaf that these gradients depend on was `set` since then.
    operation, attributes : list
        The row of `nnlib.ops.OPS`, None for a leaf; the operation's keyword arguments.

    Arrays in `value` and `grad` are read-only and never written again; a run puts new ones there.

    Examples
    --------
    >>> g = Graph()
    >>> w = g.tensor([1.0, 2.0], name="w")
    >>> loss = g.sum(g.square(w))
    >>> g.run_grad(loss)
    >>> g.grad[w]
    array([2., 4.])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stale = False
        # By output, the latest last.
        self._plans: dict[Vertex, Plan] = {}
        # The gradients, for the first vertices, of an output that depends on none of them.
        self._unrelated: tuple[np.ndarray | None, ...] = ()

    def set(self, leaf: Vertex, value: ArrayLike) -> None:
        """Give a leaf a copy of a new value and forget the values that depended on the old one.

        Parameters
        ----------
        leaf : Vertex
        value : array_like, shape of the leaf
            Cast to the leaf's type.

        Raises
        ------
        ValueError
            If the vertex is no leaf, or the value has another shape or is not real.
        """
        leaf = self._vertex(leaf)
        if self.operation[leaf] is not None:
            raise ValueError(f"set: {self._describe(leaf)} is an operation; only leaves can be set")
        array = real_array(value, self.dtype[leaf])
        if array.shape != self.shape[leaf]:
            raise ValueError(f"set: {self._describe(leaf)} cannot take the shape {array.shape}")
        self.value[leaf] = array
        # An operation has a gradient exactly if the output of the latest run_grad depends on it.
        self.stale |= any(self.grad[parent] is not None for parent in self.parents[leaf])
        outdated = list(self.parents[leaf])
        while outdated:
            vertex = outdated.pop()
            if self.value[vertex] is not None:
                self.value[vertex] = None
                outdated.extend(self.parents[vertex])

    def order(self, outputs: Sequence[Vertex]) -> list[Vertex]:
        """Return the vertices that the outputs depend on, themselves included, by ascending ID.

        Raises
        ------
        ValueError
            If an output is no vertex, or if one of these vertices has a child whose ID is not below
            its own, so that a walk in the order of IDs would reach it before its operands.
        """
        waiting = self.require(outputs)
        needed = set(waiting)
        while waiting:
            i = waiting.pop()
            for child in self.children[i]:
                if not 0 <= child < i:
                    raise ValueError(
                        f"{self._describe(i)} has child {child}: the IDs are not a topological "
                        "order, in which every child comes before its parent"
                    )
                if child not in needed:
                    needed.add(child)
                    waiting.append(child)
        return [self.vertices[i] for i in sorted(needed)]

    @np.errstate(all="ignore")
    def run_eval(self, output: Vertex, check_finite: bool = False) -> None:
        """Compute `value` of the output and of all it depends on, upwards in the order of IDs.

        Other vertices are left as they are.

        Parameters
        ----------
        output : Vertex
        check_finite : bool, optional
            Stop at the first value that is not finite.

        Raises
        ------
        ValueError
            If the output is no vertex, the order was broken (see `order`), or a label is no class
            (see `one_hot`).
        FloatingPointError
            With `check_finite`, naming the vertex and the element.
        """
        self._evaluate(self._plan(self._vertex(output)), check_finite)

    @np.errstate(all="ignore")
    def run_grad(
        self, output: Vertex, grad: ArrayLike | None = None, check_finite: bool = False
    ) -> None:
        """Compute `grad`, the gradient of f = Σ grad · output, downwards in the order of IDs.

        By the chain rule ∂f/∂a = Σ_c ∂f/∂c ∂c/∂a over the vertices c that use a, (22)-(24) of the
        coursework: the contributions of all uses of a are added up. Evaluates first if the output
        has no value. Earlier gradients are dropped. Afterwards every leaf has a gradient, which is
        0 if the output does not depend on it. So has every operation that the output depends on.

        Parameters
        ----------
        output : Vertex
        grad : array_like, shape of the output, optional
            ∂f/∂output; 1 by default, if the output is a single number.
        check_finite : bool, optional
            Evaluate anew, and stop at the first value or gradient that is not finite.

        Raises
        ------
        ValueError
            If `grad` has another shape, or is missing although the output is not a single number,
            and for the reasons of `run_eval`.
        FloatingPointError
            With `check_finite`, naming the vertex and the element. The gradients found so far stay.
        """
        output = self._vertex(output)
        if grad is None:
            seed = self._one(output, f"pass grad, of shape {self.shape[output]}")
        else:
            seed = real_array(grad, self.dtype[output])
            if seed.shape != self.shape[output]:
                raise ValueError(
                    f"run_grad: grad has shape {seed.shape}, but the output is "
                    f"{self._describe(output)}"
                )
        plan = self._plan(output)
        if check_finite or self.value[output] is None:
            self._evaluate(plan, check_finite)

        def backward(ops: Any) -> list[Any]:
            found = self._backward(
                ops, self.value.__getitem__, plan.order, {output: seed}, set(plan.order)
            )
            return [found.get(i) for i in plan.order]

        gradients = plan.gradients(self, None if grad is None else seed, backward)
        if (known := len(self._unrelated)) < len(self):
            new = self.vertices[known:]
            self._unrelated += tuple(None if self.operation[i] else self._zeros(i) for i in new)
        self.grad[:] = self._unrelated
        for i, gradient in zip(plan.order, gradients, strict=True):
            self.grad[i] = self._zeros(i) if gradient is None else gradient
        self.stale = False
        if check_finite:
            found = {i for i, x in zip(plan.order, gradients, strict=True) if x is not None}
            for i in reversed(plan.order):
                if not np.isfinite(self.grad[i]).all():
                    above = [parent for parent in self.parents[i] if parent in found]
                    self._raise_not_finite(i, "gradient", self.grad[i], above)

    def _plan(self, output: Vertex) -> Plan:
        """Return the plan for an output, renewed if what the output depends on has changed."""
        plan = self._plans.pop(output, None) or Plan()
        if not plan.is_of(self):
            plan.renew(self.order([output]))
        self._plans[output] = plan
        if len(self._plans) > _MOST_PLANS:
            del self._plans[next(iter(self._plans))]
        return plan

    def _evaluate(self, plan: Plan, check_finite: bool) -> None:
        for i, call in zip(plan.order, plan.calls(self), strict=True):
            if call is not None:
                self.value[i] = frozen(call(self.value))
            if check_finite and not np.isfinite(self.value[i]).all():
                self._raise_not_finite(i, "value", self.value[i], self.children[i])

    def _raise_not_finite(
        self, i: Vertex, what: str, array: np.ndarray, sources: Sequence[Vertex]
    ) -> NoReturn:
        index = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        where = f" at {list(index)}" if index else ""
        of = ", ".join(map(self._describe, sources))
        subject = "" if what == "value" else f"the {what} of "
        raise FloatingPointError(
            f"{subject}{self._describe(i)} is {array[index]}{where}"
            + (f", the first {what} that is not finite, computed from {of}" if of else "")
        )

    def grad_graph(self, output: Vertex, wrt: Sequence[Vertex]) -> tuple[Vertex, ...]:
        """Add the backward pass to the graph, as vertices that can be differentiated again.

        Parameters
        ----------
        output : Vertex
            A single number.
        wrt : sequence of Vertex
            The vertices to differentiate with respect to.

        Returns
        -------
        tuple of Vertex
            The gradient for each of `wrt`, of its shape; a leaf of zeros where the output does not
            depend on it.

        Raises
        ------
        ValueError
            If the output is not a single number, or the order was broken (see `order`).
        """
        output, wrt = self._vertex(output), self.require(wrt)
        return tuple(self.backward(output, wrt, self._namespace(), lambda i: i, self.tensor))

    def backward(
        self,
        output: Vertex,
        wrt: Sequence[Vertex],
        ops: Any,
        operand_of: Callable[[Vertex], Any],
        constant: Callable[[np.ndarray, str], Any],
    ) -> list[Any]:
        """Return what `grad_graph` does, in terms of another namespace (see `nnlib.ops`).

        `operand_of` maps a vertex, and `constant` an array with a name, to what it works on.
        """
        order = self.order([output])
        # Only vertices on a path to one of `wrt` get a gradient.
        wanted = set(wrt)
        for i in order:
            if not wanted.isdisjoint(self.children[i]):
                wanted.add(i)
        seed = constant(self._one(output, "sum it first"), "1")
        found = self._backward(ops, operand_of, order, {output: seed}, wanted)
        return [found[i] if i in found else constant(self._zeros(i), "0") for i in wrt]

    def copy(self) -> Graph:
        """Return an independent graph with the same vertices, under the same IDs, and values."""
        twin = Graph()
        twin.lineage, twin.stale = self.lineage, self.stale
        for name, column in vars(self).items():
            if isinstance(column, list):
                setattr(twin, name, [list(x) if isinstance(x, list) else x for x in column])
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what later runs find again."""
        return {**vars(self), "_plans": {}, "_unrelated": ()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copied or pickled graph, and make its arrays read-only again."""
        vars(self).update(state)
        for array in self.value + self.grad:
            if array is not None:
                frozen(array)

    def _backward(
        self,
        ops: Any,
        operand_of: Callable[[Vertex], Any],
        order: list[Vertex],
        found: dict[Vertex, Any],
        wanted: AbstractSet[Vertex],
    ) -> dict[Vertex, Any]:
        """Return the gradients of the wanted vertices from those that are known, in terms of `ops`.

        `operand_of` maps a vertex to what the namespace works on: its value, or the vertex itself.
        """
        pieces: dict[Vertex, list[Piece]] = {}
        for i in reversed(order):
            # All that use i have come before.
            if i in pieces:
                values, keys = zip(*pieces[i], strict=True)
                share = ops.embed(*values, keys=keys, shape=self.shape[i])
                found[i] = ops.add(found[i], share) if i in found else share
            op, children = self.operation[i], self.children[i]
            if op is None or i not in found:
                continue
            operands = [operand_of(child) for child in children]
            for k, child in enumerate(children):
                gradient = op.gradient(k)
                if gradient is None or child not in wanted:
                    continue
                share = gradient(ops, found[i], operand_of(i), *operands, **self.attributes[i])
                if isinstance(share, Piece):
                    pieces.setdefault(child, []).append(share)
                    continue
                share = sum_to_shape(ops, share, self.shape[child])
                if ops.dtype(share) != self.dtype[child]:
                    share = ops.cast(share, dtype=self.dtype[child])
                found[child] = ops.add(found[child], share) if child in found else share
        return found

    def _namespace(self) -> SimpleNamespace:
        """Return the namespace in which a gradient (see `nnlib.ops`) adds vertices to the graph."""

        @cache
        def constant(value: float, dtype: np.dtype) -> Vertex:
            return self.tensor(np.array(value, dtype), f"{value:g}")

        return SimpleNamespace(
            shape=self.shape.__getitem__,
            dtype=self.dtype.__getitem__,
            constant=lambda value, like: constant(value, self.dtype[like]),
            **{name: partial(self._apply, name) for name in OPS},
        )

    def _one(self, output: Vertex, advice: str) -> np.ndarray:
        """Return the gradient of an output with respect to itself."""
        if math.prod(self.shape[output]) != 1:
            raise ValueError(f"{self._describe(output)} is not a single number: {advice}")
        return filled(1.0, self.shape[output], self.dtype[output])

    def _zeros(self, i: int) -> np.ndarray:
        return filled(0.0, self.shape[i], self.dtype[i])
