"""Formulas that are made wrong: the value of one operation is multiplied by a factor."""

import ast


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
