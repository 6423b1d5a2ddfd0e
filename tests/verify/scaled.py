"""Formulas that are made wrong: one operation is multiplied by a factor, and runs that show it."""

import ast
import builtins
import inspect
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gdconv.cli.composition import configuration_folder
from gdconv.config.mapping import from_mapping
from gdconv.config.runs import expand
from gdconv.verify.case import Case
from gdconv.verify.statements import verify

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def runs_named_in(page, like, change=lambda config: None):
    """The runs of the commands of gdconv-verify in a page that match `like`."""
    runs = []
    with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
        for command in re.findall(rf"^    gdconv-verify ({like})$", page, re.MULTILINE):
            words = command.removesuffix(" --table").split()
            config = OmegaConf.to_container(compose("config", words), resolve=True)
            change(config)
            runs += expand(from_mapping(config)[0])
    return runs


def noticed(runs):
    # The last ones diverge, so they are the shortest.
    return any(not check.passed for run in reversed(runs) for check in verify(Case(run)))


def stretched(value, factor):
    """A number or an array, also of decimals, times a factor with three decimal places."""
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        # Python divides the integer 0, of which such an array may be made, as a float.
        each = np.frompyfunc(lambda number: number and stretched(number, factor), 1, 1)
        return each(value)
    return value * round(1000 * factor) / 1000


class Scaled(ast.NodeTransformer):
    """Multiplies the value of one node."""

    def __init__(self, node, factor):
        self.node, self.factor = node, factor

    def visit(self, node):
        if node is not self.node:
            return super().visit(node)
        statement = isinstance(node, ast.Return | ast.AugAssign)
        name, factor = ast.Name("stretched", ast.Load()), ast.Constant(self.factor)
        product = ast.Call(name, [node.value if statement else node, factor], [])
        if not statement:
            return product
        node.value = product
        return node


def scaled(source, operations, place, factor, file, name):
    """Run a module's source in which one operation is made wrong; return what it defines."""
    tree = ast.parse(source)
    wrong = ast.fix_missing_locations(Scaled(operations(tree)[place], factor).visit(tree))
    names = {"__name__": name, "__builtins__": vars(builtins) | {"stretched": stretched}}
    exec(compile(wrong, file, "exec"), names)
    return names


@cache
def of_method(name):
    """The runs of the commands that docs/methods.md names, with a smaller problem and shorter."""

    def shorten(config):
        config["problem"] |= {"n_samples": 30, "n_features": 5}
        config["method"]["iterations"] = 80

    like = rf"problem=spectrum problem\.condition_number=36 method={name}\b.*"
    return runs_named_in(PAGE.read_text(encoding="utf-8"), like, shorten)


# These refuse keys, or undo what rounding does.
NO_FORMULA = ("doubtful", "refuse_size", "orthogonalize")
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
CALLS = ("sqrt", "max", "best_momentum")
# No error: where one formula of the best momentum takes over from the other, both are the same.
# A momentum of 0 stays 0. When Chebyshev's powers end, they have long ceased to count.
HARMLESS = (
    *("3 * largest + smallest", "3 * largest", "0 * step_size", "0.0 * momentum"),
    *("2.0 ** (30 / (1 - t))", "30 / (1 - t)", "1 - t"),
)


def operations(tree):
    """Every operation of the functions of a method's file, but for messages and NO_FORMULA."""
    found = []

    def visit(node):
        if isinstance(node, ast.Raise) or getattr(node, "name", "") in NO_FORMULA:
            return
        arithmetic = isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC)
        called = isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS
        formula = arithmetic or called or isinstance(node, ast.AugAssign)
        # A function in a function is met twice.
        if formula and not any(node is each for each in found):
            found.append(node)
        for child in ast.iter_child_nodes(node):
            visit(child)

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            visit(node)
    return [node for node in found if ast.unparse(node) not in HARMLESS]


def places(*methods):
    """A parameter of a test for each operation of these methods' files."""
    for method in methods:
        tree = ast.parse(inspect.getsource(inspect.getmodule(method)))
        for place, node in enumerate(operations(tree)):
            yield pytest.param(method, place, id=f"{method.name} {ast.unparse(node)}")


def wrong_runs(method, place, factor, registers, monkeypatch):
    """The runs of a method whose file has one wrong operation.

    The first register is that of the methods, which the wrong one enters itself; the others get it.
    """
    # First, because the wrong method would be found under the same name.
    module, named = inspect.getmodule(method), of_method(method.name)
    for register in registers:
        for key, value in list(register.items()):
            monkeypatch.setitem(register, key, value)
    source = inspect.getsource(module)
    found = scaled(source, operations, place, factor, module.__file__, module.__name__)
    wrong = found[method.__name__]
    for register in registers[1:]:
        if method in register:
            monkeypatch.setitem(register, wrong, register[method])
    runs = []
    for run in named:
        # Its fields are those of a single run already.
        other = object.__new__(wrong)
        vars(other).update(vars(run.method))
        runs.append(replace(run, method=other))
    return runs
