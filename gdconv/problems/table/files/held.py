"""Tables that are given from Python: a DataFrame, or the X and y of a problem."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from gdconv.config.rules import ConfigError, typed
from gdconv.problems.table.files.blocks import Block, Piece
from gdconv.problems.table.files.parts import Part

# The names of the columns of X and y that have none.
X_NAME, Y_NAME = "x{}", "y"


class Held:
    """A table in memory, in place of a file. Two are equal if they hold the same.

    Attributes
    ----------
    content : str
        The SHA-256 of its names and values, in hex digits.
    """

    # By this, a rule knows that it is a table: see `gdconv.config.rules.table_path`.
    held = True

    def __init__(self, frame: Any, kind: str) -> None:
        self.frame, self.kind = frame, kind
        self.content = _digest(frame)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.content == self.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __str__(self) -> str:
        return f"<{self.kind} {self.content[:8]}>"

    __repr__ = __str__


class HeldFile:
    """A table in memory with the methods of a file of `blocks`."""

    def __init__(self, held: Held) -> None:
        self.held, self.digest = held, held.content
        self.part = Part(str(held), 0, 0, held.kind, "", b"")
        self.names = [str(name).strip() for name in held.frame.columns]

    @property
    def cells(self) -> int:
        """How many cells it has that are not in memory."""
        return 0

    def blocks(self, used: Collection[int]) -> Iterator[Block]:
        """Yield the rows, all at once: they are in memory anyway."""
        yield self.block(Piece(0, 0, 0, len(self.held.frame)), used)

    def block(self, piece: Piece, used: Collection[int]) -> Block:
        """Return the rows."""
        frame = self.held.frame.set_axis(range(len(self.names)), axis=1)
        return Block(self.part, piece, frame)


def from_frame(frame: Any) -> Held:
    """Return a DataFrame as a table."""
    return Held(frame.reset_index(drop=True), "DataFrame")


def from_arrays(X: Any, y: Any) -> Held:
    """Return X and y as a table with the columns x1, x2, …, y.

    Raises
    ------
    ConfigError
        If they are no arrays of real, finite numbers that fit together.
    """
    import pandas as pd

    X, y = (_as_floats(name, array) for name, array in (("X", X), ("y", y)))
    if X.ndim != 2 or 0 in X.shape:
        raise ConfigError("X", _shape(X), "must have a row for each sample and a column or more")
    if y.shape != (len(X),):
        raise ConfigError(
            "y", _shape(y), f"must have the shape ({len(X)},), as X has {len(X)} rows"
        )
    frame = pd.DataFrame(X, columns=[X_NAME.format(j) for j in range(1, X.shape[1] + 1)], copy=True)
    return Held(frame.assign(**{Y_NAME: y}), "arrays")


def _as_floats(name: str, array: Any) -> np.ndarray:
    found = np.asarray(array)
    if found.dtype.kind not in "fiub":
        kind = type(array).__name__ if found.dtype.kind == "O" else found.dtype
        raise ConfigError(name, kind, "must be an array of real numbers")
    found = found.astype(float)
    wrong = np.argwhere(~np.isfinite(found))
    if len(wrong):
        place = ", ".join(map(str, wrong[0].tolist()))
        value = found[tuple(wrong[0])]
        raise ConfigError(name, f"{name}[{place}] = {value}", "must hold finite numbers only")
    return found


def _shape(array: np.ndarray) -> str:
    return f"array of shape {typed(str(array.shape))}"


def _digest(frame: Any) -> str:
    sha256 = hashlib.sha256()
    for name, column in frame.items():
        values = column.to_numpy()
        kind = values.dtype
        if kind.kind not in "fiubM":
            values = column.astype(object).where(column.notna(), None).to_numpy()
            lines = "\n".join(f"{type(cell).__name__} {cell}" for cell in values.tolist())
            data = lines.encode("utf-8", "surrogatepass")
        else:
            data = np.ascontiguousarray(values).tobytes()
        sha256.update(repr((str(name), str(kind), len(data))).encode())
        sha256.update(data)
    return sha256.hexdigest()
