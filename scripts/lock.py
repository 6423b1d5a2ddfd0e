"""Renew requirements.lock from pyproject.toml: .venv/bin/python scripts/lock.py [options of uv].

The lock serves every supported Python, pins each package with the hashes of its files, and holds no
address. Options such as `--upgrade` or `--upgrade-package numpy` go to `uv pip compile`; without
them the versions in the lock are kept.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = """
    uv pip compile pyproject.toml --extra dev --output-file requirements.lock
    --universal --python-version 3.11 --generate-hashes
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
"""

if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", *COMMAND.split(), *sys.argv[1:]], cwd=ROOT))
