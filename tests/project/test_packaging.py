"""The wheel: it holds all it needs, and its commands work from any folder without the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd, **kwargs):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env=environment, check=True, capture_output=True, text=True, **kwargs
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    run(*pip, "wheel", *options, "--wheel-dir", ".", str(ROOT), cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the commands of a new environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    commands = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "install"]
    run(*pip, "--no-deps", "--no-index", "--quiet", str(wheel), cwd=folder)
    # The dependencies come from the environment of the tests, whose own gdconv (a .pth file, which
    # counts only where it is installed) does not come along.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return commands


def test_the_wheel_holds_what_it_needs_and_no_more(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "gdconv/conf/config.yaml" in names
    assert "hydra_plugins/gdconv/__init__.py" in names
    assert "hydra_plugins/__init__.py" not in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"gdconv", "nnlib", "hydra_plugins", "gdconv-0.1.0.dist-info"}
    configuration = {
        f"gdconv/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")
    }
    assert configuration <= set(names)
    web, cli = ROOT / "gdconv" / "report" / "page" / "web", ROOT / "gdconv" / "cli"
    assets = {str(path.relative_to(ROOT)) for path in (*web.iterdir(), *cli.glob("*.txt"))}
    assert len(assets) == 14
    assert assets <= set(names)


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    code = "import gdconv, nnlib, hydra_plugins.gdconv as plugin; print(gdconv.__file__); "
    code += "print(nnlib.__file__); print(plugin.__file__)"
    shown = run(str(installed / "python"), "-c", code, cwd=tmp_path).stdout.split()
    assert len(shown) == 3
    assert all(Path(path).is_relative_to(installed.parent) for path in shown)


def test_commands_work_from_an_empty_folder(installed, tmp_path):
    small = ["problem.n_samples=20", "method.iterations=100"]
    single = run(str(installed / "gdconv"), *small, "study=one", cwd=tmp_path)
    assert "results/one" in single.stdout
    swept = ["-m", "study=many", "problem.n_features=2,3", "step.value=0.5,1.0", "report=false"]
    run(str(installed / "gdconv"), *swept, *small, cwd=tmp_path)
    report = run(str(installed / "gdconv-report"), "results/many", cwd=tmp_path)
    assert "results/many" in report.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
    for study, runs in (("one", 1), ("many", 4)):
        folder = tmp_path / "results" / study
        assert len((folder / "runs.csv").read_text().splitlines()) == runs + 1
        assert (folder / "report.html").stat().st_size > 1000
        assert list((folder / "figures").glob("convergence.*"))
