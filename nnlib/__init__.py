"""A small computation-graph library: build a graph, evaluate it, differentiate it, compile it."""

from nnlib.graph import Graph
from nnlib.inputs import Vertex
from nnlib.program import Program, compile  # noqa: A004

__all__ = ["Graph", "Program", "Vertex", "compile"]
