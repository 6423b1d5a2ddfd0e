"""How the arguments of a caller are checked: vertices, numbers, arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

_NUMBERS = "where a number x is g.tensor(x)"
_COMPARISONS = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)


def _refused(instead: str) -> Callable[..., NoReturn]:
    """Return a method that refuses to compute and says what to write instead."""

    def refuse(*_operands: object) -> NoReturn:
        raise TypeError(f"a vertex is no number to compute with: write {instead}")

    return refuse


_any_other = _refused(f"an operation of the graph, {_NUMBERS}")


class Vertex(int):
    """The ID of a vertex: an integer that remembers which graph handed it out.

    It can be compared, hashed and used as an index like any integer. It refuses arithmetic, because
    the result would be the ID of another vertex. (It cannot refuse ``2.0 * v``, because Python's
    floats treat it as an integer. The result is a float, which no operation accepts.)
    """

    # The same for a graph, its copies and all of their vertices.
    lineage: str = ""

    __add__ = __radd__ = _refused(f"g.add(a, b), {_NUMBERS}")
    __sub__ = __rsub__ = _refused(f"g.sub(a, b), {_NUMBERS}")
    __mul__ = __rmul__ = _refused(f"g.mul(a, b), {_NUMBERS}")
    __truediv__ = __rtruediv__ = _refused(f"g.div(a, b), {_NUMBERS}")
    __matmul__ = __rmatmul__ = _refused("g.matmul(a, b), where an array x is g.tensor(x)")
    __pow__ = __rpow__ = _refused("g.square(a), or g.exp(g.mul(b, g.log(a)))")
    __neg__ = _refused("g.neg(a)")
    __abs__ = _refused("g.abs(a)")
    __pos__ = __invert__ = __round__ = _any_other
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _any_other
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _any_other
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _any_other

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Refuse arithmetic with NumPy's numbers and arrays too; compare as an integer."""
        if ufunc not in _COMPARISONS:
            _any_other()
        plain = (int(x) if isinstance(x, Vertex) else x for x in inputs)
        return getattr(ufunc, method)(*plain, **options)

    def __deepcopy__(self, _memo: object) -> Vertex:
        """Return itself, for it cannot change."""
        return self


def real(value: ArrayLike) -> np.ndarray:
    """Return real numbers as an array, not copied if it is one already.

    Raises
    ------
    ValueError
        Unless the values are integers or floats.
    """
    if type(value) is not np.ndarray:
        if _holds_vertex(value):
            raise ValueError(
                f"expected numbers, not vertices, which operations take as they are: {value!r}"
            )
        if np.ma.isMaskedArray(value):
            raise ValueError("expected an array without a mask: fill it first")
        value = np.asarray(value)
    if value.dtype.kind not in "iuf":
        raise ValueError(f"expected integers or floats, not values of type {value.dtype}")
    return value


def _holds_vertex(value: object) -> bool:
    if not isinstance(value, list | tuple):
        return isinstance(value, Vertex)
    # In a list of a million numbers, looking at types takes less time than converting them.
    kinds = set(map(type, value))
    is_nested = not kinds.isdisjoint((list, tuple))
    return Vertex in kinds or (is_nested and any(map(_holds_vertex, value)))


def real_array(value: ArrayLike, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a read-only copy of real numbers in C order, of a given type or as `tensor` has it.

    Raises
    ------
    ValueError
        Unless the values are integers or floats.
    """
    array = real(value)
    if dtype is None:
        # float16 is a format to store numbers in: its sums overflow at 65,504, and from 2,049 on it
        # leaves whole numbers out.
        is_float = array.dtype.kind == "f"
        dtype = np.promote_types(array.dtype, np.float32 if is_float else np.float64)
    return frozen(np.array(array, dtype, order="C"))


def frozen(array: np.ndarray) -> np.ndarray:
    """Return the same array, made read-only."""
    array.setflags(write=False)
    return array


def float_type(dtype: DTypeLike) -> np.dtype:
    """Return a type that a vertex can have.

    Raises
    ------
    ValueError
        Unless it is a floating-point type, of at least 32 bits.
    """
    try:
        found = np.dtype(dtype)
        if found.kind != "f" or found.itemsize < 4:
            raise TypeError
    except TypeError:
        raise ValueError(f"dtype={dtype!r} must be float32 or float64") from None
    return found.newbyteorder("=")


def is_number(value: object) -> bool:
    """Tell whether a value is a real number; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def integer(value: int) -> int:
    """Return an integer as such, out of the caller's reach.

    Raises
    ------
    ValueError
        If it is none. A bool is none, and a vertex is no axis and no size.
    """
    try:
        if isinstance(value, bool | Vertex):
            raise TypeError
        return operator.index(value)
    except TypeError:
        kind = "vertex " if isinstance(value, Vertex) else ""
        raise ValueError(f"expected an integer, not {kind}{value!r}") from None


def integers(values: int | Sequence[int]) -> tuple[int, ...]:
    """Return axes or a shape as a tuple of integers; a single one stands for itself.

    Raises
    ------
    ValueError
        Unless all are integers.
    """
    return tuple(map(integer, values if np.iterable(values) else (values,)))
