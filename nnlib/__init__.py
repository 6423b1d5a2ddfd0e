"""A small computation-graph library: build a graph, evaluate it, differentiate it, compile it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlib.graph import Graph
    from nnlib.inputs import Vertex
    from nnlib.program import Program, compile  # noqa: A004

_HOMES = {"Graph": "graph", "Vertex": "inputs", "Program": "program", "compile": "program"}
__all__ = ["Graph", "Program", "Vertex", "compile"]


def __getattr__(name: str) -> Any:
    # Imported late: a command sets up signals and streams with nnlib.terminal before NumPy loads.
    if name in _HOMES:
        return getattr(import_module(f"nnlib.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
