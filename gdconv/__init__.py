"""Convergence studies of gradient descent on least squares: theory beside measurement."""

from typing import Any

__all__ = ["run_study"]


def __getattr__(name: str) -> Any:
    # The command line checks a configuration before it pays for importing NumPy and SciPy.
    if name == "run_study":
        from gdconv.sweep import run_study

        return run_study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
