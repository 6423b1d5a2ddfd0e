"""A small computation-graph library: build a graph, evaluate it, differentiate it, compile it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlib.graph import Graph
    from nnlib.program import Program, compile  # noqa: A004

__all__ = ["Graph", "Program", "compile"]


def __getattr__(name: str) -> Any:
    # A command sees to its signals and streams, with nnlib.terminal, before it imports NumPy.
    if name in __all__:
        return getattr(import_module("nnlib.graph" if name == "Graph" else "nnlib.program"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
