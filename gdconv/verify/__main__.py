"""`python -m gdconv.verify` does what `gdconv-verify` does."""

import sys

from gdconv.cli.commands import verify

sys.exit(verify())
