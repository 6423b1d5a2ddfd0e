"""Run a study from a fresh clone: python3 scripts/study.py [overrides of gdconv].

Needs only Python and pip. Makes .venv from requirements.lock if that has not been done, in half a
minute, then runs `gdconv` there with the overrides; without overrides, the default study.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"

# What a study imports of other packages.
IMPORTED = (
    "numpy, scipy.linalg, pandas, hydra, yaml, orjson, loky, threadpoolctl, tqdm,"
    " matplotlib.figure, matplotlib.backends.backend_agg, matplotlib.backends.backend_svg"
)
# The second one has all that the first one has.
LOCKS = ("requirements.lock", "requirements-tests.lock")


def prepare(lock: str = LOCKS[0]) -> None:
    """Make .venv hold the packages of a lock and this checkout; exit 1 if it cannot."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file an older Python gets to see
        sys.exit(f"gdconv needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    stamp = ROOT / ".venv" / "gdconv-setup"
    known = stamp.read_text() if stamp.exists() else ""
    if known in map(_wanted, LOCKS[LOCKS.index(lock) :]):
        return
    print(f"setting up .venv from {lock}; this is done once ...", file=sys.stderr)
    if known != _wanted(LOCKS[0]):
        # Debian's Python has no ensurepip, so the caller's pip installs into the new environment.
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(ROOT / ".venv")
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet"]
    pip += ["--no-compile"]
    # To compile all modules that are installed takes longer than the rest, so only those that a
    # study imports are compiled. Where PYTHONDONTWRITEBYTECODE is set, it would never happen.
    writing = {name: os.environ[name] for name in os.environ.keys() - {"PYTHONDONTWRITEBYTECODE"}}
    packages = [str(ROOT / name) for name in ("gdconv", "nnlib", ".venv/lib")]
    compiling = [str(PYTHON), "-m", "compileall", "-q", "-j", "0"]
    try:
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / lock)], check=True)
        subprocess.run(
            [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True
        )
        # Packages may hold files that no Python compiles, which changes nothing.
        if lock == LOCKS[0]:
            subprocess.run([str(PYTHON), "-c", f"import {IMPORTED}"], check=False, env=writing)
            packages.pop()
        subprocess.run([*compiling, *packages], check=False, stdout=subprocess.DEVNULL)
    except KeyboardInterrupt:
        sys.exit("setting up .venv was interrupted; the same command begins again")
    except subprocess.CalledProcessError:
        sys.exit("setting up .venv failed: see pip's message above; pip must be 22.3 or newer")
    stamp.write_text(_wanted(lock))


def _wanted(lock: str) -> str:
    """A checksum of all that decides what .venv holds."""
    inputs = [(ROOT / name).read_bytes() for name in (lock, "pyproject.toml")]
    return hashlib.sha256(b"\0".join([*inputs, sys.version.encode()])).hexdigest()


if __name__ == "__main__":
    prepare()
    program = str(PYTHON.with_name("gdconv"))
    os.execv(program, [program, *(sys.argv[1:] or ["experiment=default"])])
