"""Run the tests from a fresh clone: python3 scripts/test.py [--all] [arguments of pytest].

    python3 scripts/test.py                 the fast tests, which are most of them, on all cores
    python3 scripts/test.py --all           all tests, on all cores
    python3 scripts/test.py tests/cli -x    pytest with these arguments, in one process

The first command leaves out the tests that are marked as slow. The others do not: where you choose
the tests, none is left out. Arguments after `--all` go to pytest as well. Needs only Python and
pip; makes .venv as scripts/study.py does.
"""

import os
import sys

from study import LOCKS, PYTHON, ROOT, prepare

# A worker that has nothing left to do takes tests from another. There are as many as cores, so BLAS
# has one thread in each.
ON_ALL_CORES = ["-n", "auto", "--dist", "worksteal"]


def arguments_of_pytest(given: list[str]) -> list[str]:
    """Return what pytest gets for the arguments of this script."""
    if not given:
        return [*ON_ALL_CORES, "-m", "not slow"]
    if given[0] == "--all":
        return [*ON_ALL_CORES, *given[1:]]
    return given


if __name__ == "__main__":
    prepare(LOCKS[1])
    os.chdir(ROOT)
    arguments = arguments_of_pytest(sys.argv[1:])
    if arguments[: len(ON_ALL_CORES)] == ON_ALL_CORES:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.execv(PYTHON, [str(PYTHON), "-m", "pytest", *arguments])
