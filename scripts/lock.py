"""Renew the locks from pyproject.toml: .venv/bin/python scripts/lock.py [options of uv].

requirements.lock has what a study needs, requirements-tests.lock what tests need as well. A lock
serves every supported Python, pins each package with the hashes of its files, and holds no address.
Options such as `--upgrade` or `--upgrade-package numpy` go to `uv pip compile`; without them the
versions in the locks are kept.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = """
    uv pip compile pyproject.toml
    --universal --python-version 3.11 --generate-hashes
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
"""
LOCKS = (
    "--extra build --output-file requirements.lock",
    "--extra dev --constraint requirements.lock --output-file requirements-tests.lock",
)


def main(options: list[str]) -> int:
    """Return the exit status of the first command that fails, or 0."""
    for lock in LOCKS:
        command = [sys.executable, "-m", *COMMAND.split(), *lock.split(), *options]
        if status := subprocess.call(command, cwd=ROOT):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
