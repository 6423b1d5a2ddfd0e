"""How the groups of runs are executed: by this process, by several, or by a Dask cluster."""

from __future__ import annotations

from gdconv.config.rules import Section
from gdconv.sweep.engines.cluster import Cluster
from gdconv.sweep.engines.pool import Engine
from gdconv.sweep.engines.processes import Processes
from gdconv.sweep.engines.serial import Serial

ENGINES = {"serial": Serial, "processes": Processes, "dask": Cluster}


def engine(section: Section) -> Engine:
    """Return the engine of a configuration, not yet entered."""
    return ENGINES[section.name](section)
