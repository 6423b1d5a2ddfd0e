"""Formulas that are made wrong: one operation is multiplied by a factor, and runs that show it."""

import ast
import re

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gdconv.cli.composition import configuration_folder
from gdconv.config.mapping import from_mapping
from gdconv.config.sections import expand
from gdconv.verify.case import Case
from gdconv.verify.statements import verify


def runs_named_in(page, words, change=lambda config: None):
    """The runs of the commands of gdconv-verify in a page whose words are like `words`."""
    runs = []
    with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
        for command in re.findall(rf"^    gdconv-verify ({words})$", page, re.MULTILINE):
            config = OmegaConf.to_container(compose("config", command.split()), resolve=True)
            change(config)
            runs += expand(from_mapping(config)[0])
    return runs


def noticed(runs):
    # The last ones diverge, so they are the shortest.
    return any(not check.passed for run in reversed(runs) for check in verify(Case(run)))


class Scaled(ast.NodeTransformer):
    """Multiplies the value of one node."""

    def __init__(self, node, factor):
        self.node, self.factor = node, factor

    def visit(self, node):
        if node is not self.node:
            return super().visit(node)
        statement = isinstance(node, ast.Return | ast.AugAssign)
        product = ast.BinOp(
            ast.Constant(self.factor), ast.Mult(), node.value if statement else node
        )
        if not statement:
            return product
        node.value = product
        return node


def scaled(source, operations, place, factor, file, name):
    """Run a module's source in which one operation is made wrong; return what it defines."""
    tree = ast.parse(source)
    wrong = ast.fix_missing_locations(Scaled(operations(tree)[place], factor).visit(tree))
    names = {"__name__": name}
    exec(compile(wrong, file, "exec"), names)
    return names
