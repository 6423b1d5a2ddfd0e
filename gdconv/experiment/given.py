"""Data given from Python in place of a configuration: a DataFrame, or X and y."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from gdconv.config.problems import Table
from gdconv.config.rules import ConfigError, nearest, shown, typed
from gdconv.config.runs import RunConfig
from gdconv.problems.blocks import LeastSquares
from gdconv.problems.table.files import held

OF_RUN = [each.name for each in fields(RunConfig) if each.name != "problem"]
OF_TABLE = [each.name for each in fields(Table) if each.name != "path"]
_WANTED = (
    "must be a RunConfig, several of them, LeastSquares(X, y), or a DataFrame with target=NAME"
)


def configurations(given: Any, keys: Mapping[str, Any]) -> list[RunConfig]:
    """Return what `run_study` is asked to run.

    Parameters
    ----------
    given : RunConfig, sequence of RunConfig, LeastSquares or DataFrame
    keys : mapping
        For data: the keys of RunConfig and of Table.

    Raises
    ------
    ConfigError
        If it is something else, or a key does not belong to it.
    """
    if isinstance(given, LeastSquares):
        return [_on_table(held.from_arrays(given.X, given.y), {"intercept": False}, keys, "y")]
    if _is_frame(given):
        frame = given if hasattr(given, "iloc") else given.to_pandas()
        return [_on_table(held.from_frame(frame), {}, keys, None)]
    configs = [given] if isinstance(given, RunConfig) else given
    whole = isinstance(configs, Iterable) and not isinstance(configs, str | bytes | Mapping)
    # A loop over an array would run over its rows.
    if not whole or hasattr(configs, "dtype"):
        raise ConfigError("configs", shown(given), _WANTED)
    configs = list(configs)
    for each in configs:
        if not isinstance(each, RunConfig):
            raise ConfigError("configs", shown(each), _WANTED)
    if keys:
        name, value = next(iter(keys.items()))
        raise ConfigError(name, value, "is a key for data; in a RunConfig it is set there")
    return configs


def _on_table(
    table: held.Held, usual: Mapping[str, Any], keys: Mapping[str, Any], target: str | None
) -> RunConfig:
    of_table = {name: value for name, value in keys.items() if name in OF_TABLE}
    of_run = {name: value for name, value in keys.items() if name in OF_RUN}
    for name, value in keys.items():
        if name not in {*OF_TABLE, *OF_RUN}:
            allowed = ", ".join([*OF_TABLE, *OF_RUN])
            raise ConfigError(
                name,
                value,
                f"is not a key; allowed: {allowed}{nearest(name, [*OF_TABLE, *OF_RUN])}",
            )
    if target is None and of_table.get("target") is None:
        columns = typed([str(name) for name in table.frame.columns])
        raise ConfigError("target", None, f"must be the name of a column, one of {columns}")
    of_target = {} if target is None else {"target": target}
    return RunConfig(Table(path=(table,), **{**usual, **of_target, **of_table}), **of_run)


def _is_frame(given: Any) -> bool:
    """Whether it is a DataFrame of pandas, or a table that can become one."""
    return hasattr(given, "columns") and (hasattr(given, "iloc") or hasattr(given, "to_pandas"))
