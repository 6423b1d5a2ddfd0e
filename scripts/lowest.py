"""Run the tests with the lowest versions that pyproject.toml allows.

    .venv/bin/python scripts/lowest.py [arguments of pytest]

These versions are installed into a temporary environment, with the Python that runs this script.
Their own dependencies get the newest versions. Without arguments, all tests run, on all cores.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
COMPILE = """
    pip compile pyproject.toml --extra dev --resolution lowest-direct
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
"""
# Old packages use functions that newer dependencies deprecate. They also spell their licences in
# another way than the versions in the lock, which the table in CONTRIBUTING.md follows.
PYTEST = """
    pytest -W ignore::DeprecationWarning
    --deselect tests/sweep/test_safety.py::test_the_table_of_dependencies_is_complete_and_right
"""


def main(arguments: list[str]) -> int:
    """Return the exit status of pytest, or of the first step that fails."""
    with TemporaryDirectory(prefix="gdconv-lowest-") as folder:
        versions, python = Path(folder, "versions.txt"), Path(folder, "venv", "bin", "python")
        into = ["pip", "install", "--quiet", "--python", str(python)]
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [*uv, *COMPILE.split(), "--output-file", str(versions)],
            [*uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])],
            [*uv, *into, "--requirements", str(versions)],
            [*uv, *into, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
            [
                str(python),
                "-m",
                *PYTEST.split(),
                *(arguments or ["-n", "auto", "--dist", "worksteal"]),
            ],
        ):
            if status := subprocess.call(command, cwd=ROOT):
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
