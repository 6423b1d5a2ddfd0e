"""Run a study from a fresh clone: python3 scripts/study.py [overrides of gdconv].

Needs only Python and pip. Makes .venv from requirements.lock if that has not been done, then runs
`gdconv` there with the overrides; without overrides, the default study.
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


def prepare() -> None:
    """Make .venv hold the packages of requirements.lock and this checkout; exit 1 if it cannot."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file an older Python gets to see
        sys.exit(f"gdconv needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    inputs = [(ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    wanted = hashlib.sha256(b"\0".join([*inputs, sys.version.encode()])).hexdigest()
    stamp = ROOT / ".venv" / "gdconv-setup"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("setting up .venv from requirements.lock; this is done once ...", file=sys.stderr)
    # Debian's Python has no ensurepip, so the caller's pip installs into the new environment.
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(ROOT / ".venv")
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet"]
    try:
        subprocess.run(
            [*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True
        )
        subprocess.run(
            [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True
        )
    except KeyboardInterrupt:
        sys.exit("setting up .venv was interrupted; the same command begins again")
    except subprocess.CalledProcessError:
        sys.exit("setting up .venv failed: see pip's message above; pip must be 22.3 or newer")
    stamp.write_text(wanted)


if __name__ == "__main__":
    prepare()
    program = str(PYTHON.with_name("gdconv"))
    os.execv(program, [program, *(sys.argv[1:] or ["experiment=default"])])
