"""Problem families and figures of other packages, which name them as entry points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from gdconv.config.problems import PROBLEMS, OfRows
from gdconv.config.rules import ConfigError

if TYPE_CHECKING:
    import numpy as np

OF_PROBLEMS, OF_FIGURES = "gdconv.problems", "gdconv.figures"


@dataclass(frozen=True)
class Family(OfRows):
    """Base of the problem families of other packages.

    A subclass is a frozen dataclass whose fields are its keys, declared by `gdconv.config.rules`;
    it has a `name`, the numbers n_samples and n_features, as keys or as properties, and `draw`. An
    entry point NAME in the group gdconv.problems makes problem=NAME known to the commands.
    """

    def draw(self, generator: np.random.Generator) -> tuple[Any, Any]:
        """Return X of shape (n_samples, n_features) and y of shape (n_samples,).

        The generator is a new one for each seed and repetition.
        """
        raise NotImplementedError


@cache
def found(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, in alphabetic order."""
    return {each.name: each for each in sorted(entry_points(group=group), key=lambda e: e.name)}


@cache
def families() -> dict[str, type[Family]]:
    """Enter the families of other packages among the problems, and return them by name.

    Raises
    ------
    ConfigError
        If one cannot be imported, or is no family.
    """
    loaded = {}
    for name, entry in found(OF_PROBLEMS).items():
        package = entry.dist.name if entry.dist else entry.value
        try:
            kind = entry.load()
        except Exception as error:
            why = f"of the package {package} cannot be loaded, {type(error).__name__}: {error}"
            raise ConfigError("problem", name, f"{why}; mend or uninstall it") from error
        if not (isinstance(kind, type) and issubclass(kind, Family) and kind.name == name):
            why = f"of the package {package} must be a gdconv.Family whose name is {name}"
            raise ConfigError("problem", name, f"{why}; mend or uninstall it")
        if PROBLEMS.setdefault(name, kind) is not kind:
            why = f"of the package {package} has the name of a family of gdconv"
            raise ConfigError("problem", name, f"{why}; rename or uninstall it")
        loaded[name] = kind
    return loaded
