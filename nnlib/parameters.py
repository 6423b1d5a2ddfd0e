"""Parameters of a graph in a file: NumPy's npz format, without pickled objects."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnlib.graph import Graph
from nnlib.inputs import Vertex

_CORRUPT = (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)


def save(path: str | Path, g: Graph, parameters: Sequence[Vertex]) -> None:
    """Write the values of leaves into a file, each under its place and its name, such as "0 W".

    The file is complete or is not there: it replaces an older one only when all is written. The
    same values give the same bytes.

    Parameters
    ----------
    path : str or Path
        Used as it is; ".npz" is the usual ending.
    g : Graph
    parameters : sequence of Vertex
        Leaves, such as the `parameters` of a layer.

    Raises
    ------
    ValueError
        If a parameter is no leaf.
    OSError
        If the file cannot be written.
    """
    arrays = {key: g.value[i] for key, i in _keys(g, parameters).items()}
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | Path, g: Graph, parameters: Sequence[Vertex]) -> None:
    """Set leaves to the values that `save` wrote: all of them, or none if one does not fit.

    Raises
    ------
    ValueError
        If the file is no such file or is damaged, or the names, shapes or types differ from those
        of the parameters. The message says which.
    OSError
        If the file cannot be read.
    """
    keys = _keys(g, parameters)
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("it holds one array, not several by name")
            found = {key: archive[key] for key in archive.files}
    except _CORRUPT as error:
        raise ValueError(f"{path}: no file of parameters, or damaged: {error}") from None
    if found.keys() != keys.keys():
        names = [", ".join(map(repr, each)) or "none" for each in (found, keys)]
        raise ValueError(f"{path}: has the parameters {names[0]}, not {names[1]}")
    for key, i in keys.items():
        there, here = (found[key].shape, found[key].dtype), (g.shape[i], g.dtype[i])
        if there != here:
            described = "{1} of shape {0}"
            raise ValueError(
                f"{path}: parameter {key!r} is {described.format(*there)}, "
                f"not {described.format(*here)}"
            )
    for key, i in keys.items():
        g.set(i, found[key])


def _keys(g: Graph, parameters: Sequence[Vertex]) -> dict[str, Vertex]:
    parameters = g.require(parameters)
    if any(g.operation[i] is not None for i in parameters):
        raise ValueError(f"{parameters} must be leaves")
    return {f"{k} {g.name[i]}": i for k, i in enumerate(parameters)}
