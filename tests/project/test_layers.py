"""The rooms of gdconv: what each may import, and how many files it may have."""

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent.name for path in (ROOT / "gdconv").glob("*/__init__.py"))
# A file here is a figure or a method, so that there may be many.
ANY_NUMBER = {"figures", "methods"}
PLUMBING = {"logging", "os", "sys", "pathlib", "yaml", "pandas", "loky", "tqdm", "matplotlib"}
NNLIB = [
    *(
        "terminal",
        "inputs",
        "shapes",
        "slices",
        "rules",
        "ops",
        "build",
        "tape",
        "graph",
        "recorder",
        "program",
        "hessian",
    ),
    *("cases", "check", "draw", "nn", "sgd", "parameters", "datasets", "train"),
    *("mistakes", "questions", "student", "grade"),
]


def modules(package: str) -> dict[str, Path]:
    """Module name → file; `__main__` starts a command of the room at the top."""
    paths = (ROOT / package).rglob("*.py")
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in paths
        if path.name not in ("__init__.py", "__main__.py") and "_hydra" not in path.parts
    }


GDCONV = modules("gdconv")


def imports(path: Path) -> set[str]:
    """All modules that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            # What is imported from a package is a module of it.
            own = members & (GDCONV.keys() | {f"nnlib.{name}" for name in NNLIB})
            found |= own or {node.module}
    return found


def roots(path: Path) -> set[str]:
    return {each.split(".")[0] for each in imports(path)}


def room(module: str) -> str:
    return module.split(".")[1]


def allowed(name: str) -> set[str]:
    """The rooms that a room may import, as the docstring of its `__init__` says."""
    text = ast.get_docstring(ast.parse((ROOT / "gdconv" / name / "__init__.py").read_text()))
    (listed,) = re.findall(r"^May import: (.+)\.$", text, flags=re.MULTILINE)
    return set() if listed == "no other room" else set(listed.split(", "))


def test_every_module_is_in_a_room():
    assert {room(module) for module in GDCONV} == set(ROOMS)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_what_it_says_and_says_what_it_imports(name):
    found = {
        room(each)
        for module, path in GDCONV.items()
        if room(module) == name
        for each in imports(path)
        if each in GDCONV
    }
    assert found - {name} == allowed(name)


def test_no_circles():
    """Neither between rooms nor between modules: the sorter raises for one."""
    assert list(TopologicalSorter({name: allowed(name) for name in ROOMS}).static_order())
    graph = {module: imports(path) & GDCONV.keys() for module, path in GDCONV.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_rooms_are_few_and_small():
    assert len(ROOMS) <= 10
    for folder in {path.parent for path in GDCONV.values()}:
        if folder.name not in ANY_NUMBER:
            files = [path for path in folder.glob("*.py") if not path.name.startswith("__")]
            assert len(files) <= 9, folder


def length(function: ast.FunctionDef) -> int:
    """Lines of a function, its docstring left out."""
    first, *_ = function.body
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = first.end_lineno - first.lineno + 1 if told else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_functions_are_short():
    long = {
        f"{path.relative_to(ROOT)}, {node.name}": length(node)
        for package in ("gdconv", "nnlib")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and length(node) > 55
    }
    assert long == {}


def test_the_modules_of_nnlib_import_from_below():
    order = [f"nnlib.{name}" for name in NNLIB]
    assert set(modules("nnlib")) == set(order)
    beside = {
        "nnlib.hessian": {"scipy"},
        "nnlib.draw": {"matplotlib"},
        "nnlib.train": {"matplotlib", "threadpoolctl", "tqdm"},
    }
    for module, path in modules("nnlib").items():
        assert imports(path) & set(order) <= set(order[: order.index(module)])
        outside = {"nnlib", "numpy"} | beside.get(module, set())
        assert roots(path) <= outside | sys.stdlib_module_names, path


def test_only_composition_knows_hydra():
    knows = {name for name, path in GDCONV.items() if roots(path) & {"hydra", "omegaconf"}}
    assert knows == {"gdconv.cli.composition"}


def test_mathematics_has_no_plumbing():
    # The modules of `problems.table` read the user's file.
    mathematics = {
        module: path
        for module, path in GDCONV.items()
        if room(module) in ("config", "problems", "methods", "theory", "experiment", "verify")
        and not module.startswith(("gdconv.problems.table.", "gdconv.verify.table"))
    }
    assert len(mathematics) > 20
    for module, path in mathematics.items():
        assert not roots(path) & PLUMBING, module


def test_reports_recompute_no_mathematics():
    # The law of random matrices is of a size, not of a run: no table could hold its curve.
    for module, path in GDCONV.items():
        if room(module) == "report":
            theory = {each for each in imports(path) if each.startswith("gdconv.theory")}
            assert theory <= {"gdconv.theory.random_matrices"}, module
