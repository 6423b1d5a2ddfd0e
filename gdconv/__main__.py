"""`python -m gdconv` does what `gdconv` does."""

import sys

from gdconv.cli.commands import study

sys.exit(study())
