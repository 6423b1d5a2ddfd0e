"""Runs that need all rows of a problem at a time."""

from __future__ import annotations

from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.problems.families import block_ends, fitting_rows, shape


def refuse_whole(config: RunConfig) -> None:
    """Raise ConfigError if a problem with too many rows for one block is not to be reduced."""
    problem, method = config.problem, config.method
    if method.reduce != "none" or len(block_ends(problem)) == 1:
        return
    rows, columns = shape(problem)
    if "qr" not in method.reductions:
        allowed = (
            f"draws from all {rows} rows, but {fitting_rows(problem)} fit into memory together"
            f" with {columns} columns; take a smaller problem, or give"
            f" problem.block_rows={rows}"
        )
        raise ConfigError("method", method.name, allowed)
    allowed = (
        f"would need all {rows} rows in memory, but they are decomposed in blocks; leave it"
        f" at qr, which gives the same iterates, or give problem.block_rows={rows}"
    )
    raise ConfigError("method.reduce", method.reduce, allowed)
