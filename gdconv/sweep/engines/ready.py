"""Importing this imports all that a worker needs: see `processes.start_original`."""

from gdconv.sweep.engines.worker import import_group

import_group()
