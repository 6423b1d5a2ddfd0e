"""Run the tests from a fresh clone: python3 scripts/test.py [arguments of pytest].

Needs only Python and pip; makes .venv as scripts/study.py does. Without arguments, all tests run,
on all cores.
"""

import os
import sys

from study import PYTHON, ROOT, prepare

if __name__ == "__main__":
    prepare()
    os.chdir(ROOT)
    # The tests of a file run in one process, so that what they share is made only once.
    arguments = sys.argv[1:] or ["-n", "auto", "--dist", "loadfile"]
    os.execv(PYTHON, [str(PYTHON), "-m", "pytest", *arguments])
