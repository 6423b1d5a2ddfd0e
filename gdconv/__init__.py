"""Convergence studies of gradient descent on least squares: theory compared with measurement."""

from typing import Any

__all__ = ["run_study"]


def __getattr__(name: str) -> Any:
    # Imported late, so that the command line can check a configuration before NumPy is loaded.
    if name == "run_study":
        from gdconv.sweep.sweep import run_study

        return run_study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
