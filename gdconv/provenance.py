"""Where a study's numbers come from: versions, linear algebra, commit; no paths, no names."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import threadpoolctl

PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "hydra-core", "joblib")


def environment() -> dict[str, Any]:
    """Return versions and properties of the machine that can change the last digits."""
    return {
        "gdconv": version("gdconv"),
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "linear_algebra": [
            {key: library.get(key) for key in ("internal_api", "version", "architecture")}
            for library in threadpoolctl.threadpool_info()
        ],
    }


def _commit() -> str | None:
    """The checkout's commit, with a + if files differ from it; None for an installed package."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return commit + ("+" if _git(checkout, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(checkout: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, check=True, text=True
    ).stdout.strip()
