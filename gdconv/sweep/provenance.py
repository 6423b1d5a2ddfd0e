"""Where the numbers of a study come from: configuration, versions, linear algebra, commit."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import threadpoolctl
import yaml

from gdconv.config.mapping import flat, to_mapping
from gdconv.config.runs import RunConfig
from gdconv.config.sections import StudyConfig

PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "hydra-core", "loky")


def configuration(configs: Sequence[RunConfig], study: StudyConfig) -> bytes:
    """Return YAML with what the jobs have in common and, under jobs, each one's own overrides."""
    jobs = [
        {key: _written(value) for key, value in flat(to_mapping(config)).items()}
        for config in configs
    ]
    common = {
        key: value for key, value in jobs[0].items() if all(job.get(key) == value for job in jobs)
    }
    mapping: dict[str, Any] = {"study": study.study}
    for key, value in common.items():
        group, _, name = key.rpartition(".")
        (mapping.setdefault(group, {}) if group else mapping)[name] = value
    if len(configs) > 1:
        mapping["jobs"] = [
            " ".join(_override(key, value) for key, value in job.items() if key not in common)
            for job in jobs
        ]
    return yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=1000).encode()


def _written(value: Any) -> Any:
    """A value as a text file can hold it, without the user's home folder."""
    if isinstance(value, list):
        return [_written(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_home(str(value))


def environment() -> dict[str, Any]:
    """Return the versions and properties of the machine that can change the last digits."""
    return {
        "gdconv": version("gdconv"),
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "linear_algebra": linear_algebra(),
    }


def linear_algebra() -> list[str]:
    """Return library, version and kernel of each BLAS that this process has loaded."""
    # Sorted, because the order in which libraries are found differs between processes.
    return sorted(
        " ".join(str(library.get(key)) for key in ("internal_api", "version", "architecture"))
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    )


def without_home(word: str) -> str:
    """Return a text with ~ for the user's home folder, wherever a path begins with it."""
    home = os.path.expanduser("~")
    # Of a hundred thousand jobs, most words have no path.
    if home not in word:
        return word
    return re.sub(rf"(?<![\w.\-/]){re.escape(home)}(?![\w.\-])", "~", word) if home != "/" else word


def _override(key: str, value: Any) -> str:
    """One key as it is typed; problem.name is typed as problem=..."""
    if isinstance(value, list):
        word = f"[{','.join(_override('', each)[1:] for each in value)}]"
    elif not isinstance(value, str):
        word = json.dumps(value)
    elif re.fullmatch(r"(?!(?i:true|false|null|inf|nan)$)[A-Za-z_/.][\w/.-]*", value, re.ASCII):
        word = value
    else:
        # Only before a quote, Hydra reads two backslashes as one.
        escaped = re.sub(r"\\+(?='|\Z)", lambda found: 2 * found[0], value).replace("'", "\\'")
        word = f"'{escaped}'"
    return f"{key.removesuffix('.name')}={word}"


def _commit() -> str | None:
    """The checkout's commit, with a + if files differ from it; None for an installed package."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return commit + ("+" if _git(checkout, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(checkout: Path, *arguments: str) -> str:
    # Otherwise git would take a lock to update its index, and leave the lock if it is killed.
    git = ["git", "--no-optional-locks", "-C", str(checkout)]
    return subprocess.run(
        [*git, *arguments], capture_output=True, check=True, text=True
    ).stdout.strip()
