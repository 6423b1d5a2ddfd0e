"""`python -m gdconv.report` does what `gdconv-report` does."""

import sys

from gdconv.cli.commands import report

sys.exit(report())
