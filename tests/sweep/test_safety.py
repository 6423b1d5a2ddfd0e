"""Safety: no input is executed, all dependencies are listed, results contain no personal paths."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

from gdconv.sweep import provenance

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for package in ("gdconv", "nnlib") for path in (ROOT / package).rglob("*.py"))

# What runs code that comes in as data.
FUNCTIONS = {"eval", "exec", "__import__", "globals", "breakpoint"}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "code", "runpy", "ctypes", "pty"}
ATTRIBUTES = {
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "np.load", "joblib.load"),
    *("pd.read_pickle", "os.system", "os.popen", "subprocess.call", "tempfile.mktemp"),
}
# Copies configurations within its process. Beside it, loky and Dask pickle groups and rows, made by
# gdconv from checked configurations, on their way between its own processes.
# nnlib reads parameters with allow_pickle=False, so nothing is unpickled.
# The grader runs a student's file, as its help says, and the scripts of its own cases.
ALLOWED = {
    *{("composer.py", "pickle"), ("student.py", "exec")},
    *{("grade.py", "exec"), ("grade.py", "eval")},
    *{("parameters.py", "np.load"), ("parameters.py", "allow_pickle")},
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_it_reads(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names} & MODULES
            case ast.ImportFrom(module=str(module)):
                found |= {module} & MODULES
            case ast.Name(id=name) if name in FUNCTIONS:
                found.add(name)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                found |= {f"{module}.{name}"} & ATTRIBUTES
            case ast.keyword(arg="shell" | "allow_pickle" as option):
                found.add(option)
    assert {(path.name, what) for what in found} <= ALLOWED


def test_the_scan_finds_what_it_looks_for(tmp_path):
    path = tmp_path / "bad.py"
    for line in (
        "eval(x)",
        "import pickle",
        "from marshal import loads",
        "yaml.load(x)",
        "f(shell=1)",
    ):
        path.write_text(line)
        with pytest.raises(AssertionError):
            test_no_source_runs_what_it_reads(path)


def test_the_table_of_dependencies_is_complete_and_right():
    """Names as in pyproject.toml, licences as the installed packages have them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    given = [
        *project["project"]["dependencies"],
        *(each for extra in extras.values() for each in extra),
        *project["build-system"]["requires"],
    ]
    wanted = {re.match(r"[\w-]+", each)[0] for each in given} - {"gdconv"}
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = section.partition("## Dependencies")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert {name for name, _, _ in rows} == wanted
    for name, reason, licence in rows:
        told = metadata(name)
        said = [
            told.get("License-Expression"),
            told.get("License"),
            *(told.get_all("Classifier") or []),
        ]
        assert reason
        assert any(licence in text for text in said if text), (name, licence)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("problem.path=/home/me/a.csv", "problem.path=~/a.csv"),
        ("results_dir=/home/me", "results_dir=~"),
        ("problem.path='/home/me/a.csv','/home/me/b.csv'", "problem.path='~/a.csv','~/b.csv'"),
        ("problem.path=/home/mel/a.csv", "problem.path=/home/mel/a.csv"),
        ("problem.path=/mnt/home/me/a.csv", "problem.path=/mnt/home/me/a.csv"),
        ("study=s", "study=s"),
    ],
)
def test_the_home_folder_is_a_tilde(monkeypatch, word, written):
    monkeypatch.setenv("HOME", "/home/me")
    assert provenance.without_home(word) == written


def test_without_a_home_nothing_is_replaced(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert provenance.without_home("problem.path=/a.csv") == "problem.path=/a.csv"


@pytest.mark.parametrize("report", ["false", pytest.param("true", marks=pytest.mark.slow)])
def test_no_file_of_a_study_tells_where_it_was_made(report, tmp_path):
    """Paths of the user, of the checkout and of Python, in a study with a run that fails."""
    home, work = tmp_path / "someone", tmp_path / "someone" / "work"
    work.mkdir(parents=True)
    (home / "good.csv").write_text("a,y\n1,2\n2,3\n4,5\n")
    (home / "huge.csv").write_text("a,y\n1,1e200\n2,-1e200\n4,1e200\n")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("gdconv"),
            *("-m", "problem=csv", f"problem.path={home}/good.csv,{home}/huge.csv"),
            *("problem.target=y", f"results_dir={home}/results", "method.iterations=20", "study=s"),
            f"report={report}",
        ],
        cwd=work,
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    files = [path for path in (home / "results" / "s").rglob("*") if path.is_file()]
    assert len(files) >= (5 if report == "false" else 7)
    secrets = [str(tmp_path), "someone", str(ROOT), sys.prefix, sys.base_prefix]
    for path in files:
        content = path.read_bytes()
        told = [secret for secret in secrets if secret.encode() in content]
        assert not told, (path, told)
    assert "~/good.csv" in (home / "results" / "s" / "config.yaml").read_text()
