"""The same bytes however the work is cut, with each kernel that the processor can run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gdconv import products
from gdconv.config import Gaussian
from gdconv.descent import descend
from gdconv.objective import Objective
from gdconv.problems import make
from gdconv.study import run_group  # noqa: F401 - loads the BLAS of SciPy

SCRIPT = Path(__file__).parent / "data" / "rows_in_company.py"
# What a processor must have for OpenBLAS's kernels, as /proc/cpuinfo names it.
NEEDS = {
    "Prescott": {"pni"},
    "Nehalem": {"sse4_2"},
    "Sandybridge": {"avx"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512dq", "avx512vl"},
}


def kernels():
    """Those that this processor can run; elsewhere than on x86 only its own."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return [name for name, needed in NEEDS.items() if needed <= flags] or ["of this processor"]


@pytest.mark.parametrize("kernel", kernels())
def test_runs_have_the_same_bytes_alone_and_in_company(kernel):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    if kernel in NEEDS:
        environment["OPENBLAS_CORETYPE"] = kernel
    printed = subprocess.run(
        [sys.executable, SCRIPT], env=environment, check=True, capture_output=True, text=True
    ).stdout
    for shape, (compared, different) in json.loads(printed)["found"].items():
        # A row a run, and at least the first and the last of its curve.
        assert compared >= 3 * 203, shape
        assert different == [], shape
