"""Run the tests with the lowest versions that pyproject.toml allows.

    .venv/bin/python scripts/lowest.py [arguments of pytest]

They are installed into a temporary environment, with the Python that runs this. Without arguments,
all tests are run, on all cores.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
COMPILE = """
    pip compile pyproject.toml --extra dev --resolution lowest-direct
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
"""


def main(arguments: list[str]) -> int:
    """Return pytest's exit status, or that of the first step that fails."""
    with TemporaryDirectory(prefix="gdconv-lowest-") as folder:
        versions, python = Path(folder, "versions.txt"), Path(folder, "venv", "bin", "python")
        into = ["pip", "install", "--quiet", "--python", str(python)]
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [*uv, *COMPILE.split(), "--output-file", str(versions)],
            [*uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])],
            [*uv, *into, "--requirements", str(versions)],
            [*uv, *into, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
            [str(python), "-m", "pytest", *(arguments or ["-n", "auto", "--dist", "loadfile"])],
        ):
            environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
            if status := subprocess.call(command, cwd=ROOT, env=environment):
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
