"""Run the tests from a fresh clone: python3 scripts/test.py [arguments of pytest].

Needs nothing but Python and pip; makes .venv as scripts/study.py does. Without arguments, all tests
are run, on all cores.
"""

import os
import sys

from study import PYTHON, ROOT, prepare

if __name__ == "__main__":
    prepare()
    os.chdir(ROOT)
    # What a file's tests share is made once: they stay together.
    arguments = sys.argv[1:] or ["-n", "auto", "--dist", "loadfile"]
    os.execv(PYTHON, [str(PYTHON), "-m", "pytest", *arguments])
