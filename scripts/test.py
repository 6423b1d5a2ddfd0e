"""Run the tests from a fresh clone: python3 scripts/test.py [arguments of pytest].

Needs nothing but Python and pip; makes .venv as scripts/study.py does.
"""

import os
import sys

from study import PYTHON, ROOT, prepare

if __name__ == "__main__":
    prepare()
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "pytest", *sys.argv[1:]])
