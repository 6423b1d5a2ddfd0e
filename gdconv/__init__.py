"""Convergence studies of first-order methods on least squares: theory compared with measurement.

Users import the names below from here. Every other name may move to another module.
"""

from importlib import import_module
from typing import Any

import gdconv.methods  # noqa: F401
from gdconv.config.sections import METHODS
from gdconv.tables.study import VIEWS

# Imported late, so that the command line can check a configuration before NumPy is loaded.
_HOMES = {
    "run_study": "gdconv.sweep.sweep",
    "read": "gdconv.tables.csv",
    "LeastSquares": "gdconv.problems.families",
    "draw": "gdconv.report.figures.catalogue",
    "compare": "gdconv.report.compare",
    "Network": "gdconv.config.networks",
    "Family": "gdconv.config.plugins",
    **{method.__name__: method.__module__ for method in METHODS.values()},
    "RunConfig": "gdconv.config.runs",
    **dict.fromkeys(
        ("Gaussian", "Correlated", "Prescribed", "Polynomial", "Table", "Csv"),
        "gdconv.config.problems",
    ),
    **dict.fromkeys(
        ("Step", "Record", "Zeros", "Normal", "Eigenvector", "Serial", "Processes", "Dask"),
        "gdconv.config.sections",
    ),
}
__all__ = list(_HOMES)
# What Tables show of themselves is made in a room above them.
VIEWS["html"] = lambda tables: import_module("gdconv.report.forms.html").summary(tables)
VIEWS["draw"] = lambda *given: import_module("gdconv.report.figures.catalogue").draw(*given)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
