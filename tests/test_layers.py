"""A module imports only from modules that stand before it here."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLOTS = [
    f"plots.{name}"
    for name in (
        *("titles", "panels", "families"),
        *("convergence", "rate_vs_step", "iterations_heatmap", "scaling", "spectrum", "tightness"),
        *("errata", "gallery"),
    )
]
GDCONV = [
    *("keys", "config"),
    *("doubled", "spectra", "minimisers", "bounds", "random_matrices", "rates", "rounding"),
    *("table", "problems", "runs", "products", "objective"),
    *("starts", "descent", "recorder", "theory"),
    *("checks", "case", "identities"),
    *("study", "disk", "tables"),
    *("contents", "lock", "provenance", "store", "scratch", "pool", "cluster", "engines", "sweep"),
    *("numerals", "settings", "summary", *PLOTS, "figures"),
    *("explorer", "page", "compare", "report"),
    *("verification", "composition", "cli", "commands"),
]
NNLIB = [
    *("terminal", "shapes", "rules", "ops", "inputs", "build", "graph", "program"),
    *("cases", "check", "draw", "nn", "sgd", "datasets", "train"),
    *("mistakes", "questions", "student", "grade"),
]
MATHEMATICS = ["keys", "config", *GDCONV[2 : GDCONV.index("study") + 1]]
# Reads the user's file.
MATHEMATICS.remove("table")
ORDER = [f"nnlib.{name}" for name in NNLIB] + ["nnlib"] + [f"gdconv.{name}" for name in GDCONV]


def imports(path: Path) -> set[str]:
    """All modules a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            # What is imported from a package may be all modules, which have places of their own.
            found |= members if members <= set(ORDER) else members | {node.module}
    return found


def files(package: str, names: list[str]) -> dict[str, Path]:
    return {name: ROOT / package / f"{name.replace('.', '/')}.py" for name in names}


def test_every_module_has_its_place():
    for package, names in (("gdconv", GDCONV), ("nnlib", NNLIB)):
        there = {
            ".".join(path.relative_to(ROOT / package).with_suffix("").parts)
            for path in (ROOT / package).rglob("*.py")
            if path.name != "__init__.py" and "_hydra" not in path.parts
        }
        assert there == set(names)


@pytest.mark.parametrize("module", [name for name in ORDER if name != "nnlib"])
def test_imports_come_from_below(module):
    package, name = module.split(".", 1)
    below = set(ORDER[: ORDER.index(module)])
    (path,) = files(package, [name]).values()
    own = {each for each in imports(path) if each in ORDER}
    assert own <= below


def test_nnlib_knows_numpy_and_nothing_of_gdconv():
    beside = {"draw": {"matplotlib"}, "train": {"matplotlib", "tqdm"}}
    for name, path in files("nnlib", NNLIB).items():
        roots = {each.split(".")[0] for each in imports(path)}
        allowed = {"nnlib", "numpy"} | beside.get(name, set())
        assert roots <= allowed | sys.stdlib_module_names, path


def test_only_the_command_line_knows_hydra():
    for name, path in files("gdconv", GDCONV).items():
        roots = {each.split(".")[0] for each in imports(path)}
        assert not roots & {"hydra", "omegaconf"} or name == "composition", path


@pytest.mark.parametrize("name", MATHEMATICS)
def test_mathematics_has_no_plumbing(name):
    roots = {each.split(".")[0] for each in imports(ROOT / "gdconv" / f"{name}.py")}
    plumbing = {"logging", "os", "sys", "pathlib", "yaml", "pandas", "joblib", "tqdm", "matplotlib"}
    assert not roots & plumbing


@pytest.mark.parametrize("name", [*GDCONV[GDCONV.index("numerals") : GDCONV.index("verification")]])
def test_figures_recompute_no_mathematics(name):
    mathematics = {f"gdconv.{each}" for each in GDCONV[2 : GDCONV.index("study") + 1]}
    # The law of random matrices is of a size, not of a run: no table could hold its curve.
    allowed = (
        {"gdconv.theory.random_matrices"} if name in ("plots.spectrum", "plots.scaling") else set()
    )
    (path,) = files("gdconv", [name]).values()
    assert imports(path) & mathematics <= allowed
