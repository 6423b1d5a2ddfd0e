"""Importing this imports all that a worker needs: see `processes.start_original`."""

import loky.process_executor  # noqa: F401
import threadpoolctl  # noqa: F401

from gdconv.sweep.engines.worker import import_group

import_group()
