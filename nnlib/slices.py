"""Parts of arrays: how a slice is checked, and how parts are put together again.

A *box* is the checked form of slices: a range of indices for every axis. Ranges can be hashed and
compared, which slices cannot in every version of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from nnlib.inputs import integer
from nnlib.shapes import Shape

Box = tuple[range, ...]
# What a caller may write for a box.
Key = slice | range | Sequence["slice | range"]


class Piece(NamedTuple):
    """A gradient that is 0 outside a part of the operand: its values there, and which part it is.

    The graph puts all pieces for an operand together at once, because an array of zeros for each of
    them would take several times as long.
    """

    values: Any
    box: Box


def box(key: Key, shape: Shape) -> Box:
    """Return a range of indices for every axis of a shape; axes without a slice are whole.

    Raises
    ------
    ValueError
        Unless the key is a slice or a tuple of slices, at most one for each axis, with positive
        steps.
    """
    given = key if isinstance(key, tuple | list) else (key,)
    if len(given) > len(shape):
        raise ValueError(f"{len(given)} slices are too many for {len(shape)} axes")
    whole = [slice(None)] * (len(shape) - len(given))
    return tuple(_range(each, n) for each, n in zip([*given, *whole], shape, strict=True))


def _range(each: slice | range, size: int) -> range:
    if not isinstance(each, slice | range):
        raise ValueError(
            f"expected a slice or a tuple of slices, not {each!r}: element k of an axis is "
            "slice(k, k + 1), whose axis reshape drops"
        )
    limits = (each.start, each.stop, each.step)
    start, stop, step = (None if limit is None else integer(limit) for limit in limits)
    if step is not None and step < 1:
        raise ValueError(f"expected a slice with a positive step, not {step}")
    return range(size)[slice(start, stop, step)]


def index(part: Box) -> tuple[Any, ...]:
    """Return the index of a part, with which NumPy always makes a view."""
    return (*(slice(each.start, each.stop, each.step) for each in part), ...)


def getitem(x: np.ndarray, *, key: Box) -> np.ndarray:
    """Return a part of x, as a view."""
    return x[index(key)]


def getitem_shape(_a: Shape, *, key: Box) -> Shape:
    """Return the number of indices along each axis."""
    return tuple(map(len, key))


def embed(*arrays: Any, keys: tuple[Box, ...], shape: Shape) -> np.ndarray:
    """Return zeros with each part in its place, written into the array after the parts, if any."""
    parts, (out, *_) = arrays[: len(keys)], [*arrays[len(keys) :], None]
    if out is None:
        out = np.empty(shape, np.result_type(*parts))
    are_apart, are_all = tiling(keys, shape)
    if not are_all:
        out.fill(0.0)
    for part, key in zip(parts, keys, strict=True):
        place = out[index(key)]
        # Adding to 0 would change −0 to 0.
        np.copyto(place, part) if are_apart else np.add(place, part, place)
    return out


def embed_shape(*parts: Shape, keys: tuple[Box, ...], shape: Shape) -> Shape:
    """Return the shape that was asked for, if every part has the shape of its place."""
    if not parts or min(shape, default=0) < 0:
        raise ValueError(f"needs at least one part, and no negative size in the shape {shape}")
    if len(parts) != len(keys):
        raise ValueError(f"{len(parts)} parts need as many keys, not {len(keys)}")
    for part, key in zip(parts, keys, strict=True):
        if part != getitem_shape(shape, key=key):
            raise ValueError(f"a part of shape {part} does not fit {key} of the shape {shape}")
    return shape


@lru_cache
def tiling(keys: tuple[Box, ...], shape: Shape) -> tuple[bool, bool]:
    """Tell whether boxes have no element in common, and whether they then fill the whole shape."""
    taken, are_apart = np.zeros(shape, bool), True
    for key in keys:
        place = taken[index(key)]
        are_apart = are_apart and not place.any()
        place[...] = True
    return are_apart, are_apart and bool(taken.all())
