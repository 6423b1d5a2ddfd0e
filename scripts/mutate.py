"""Do the tests notice a wrong operator or constant? .venv/bin/python scripts/mutate.py [FILE...]

Changes one operator or one constant of a file at a time, in a copy of the checkout, and runs the
tests of that file. A mutant is killed if they fail or take far too long. Survivors are printed;
docs/mutants.md says which of them behave like the original, and why.

    scripts/mutate.py --sample 15               # 15 random mutants of every file, always the same
    scripts/mutate.py --sample 15 --seed 1      # 15 others
    scripts/mutate.py nnlib/graph.py            # all of one file
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ["conf", "docs", "gdconv", "nnlib", "results", "scripts", "tests"]
COPIED += ["pyproject.toml", "README.md"]
# File → the tests that should notice, the quickest first. nnlib/cases.py is itself input of tests.
TESTS = {
    "gdconv/theory/bounds.py": ["theory/test_bounds", "verify/test_identities"],
    "gdconv/theory/recurrence.py": ["methods/test_methods", "methods/test_momentum"],
    "gdconv/theory/roots.py": ["methods/test_momentum"],
    "gdconv/theory/maxima/momentum.py": ["methods/test_momentum"],
    "gdconv/theory/maxima/chebyshev.py": ["methods/test_momentum"],
    "gdconv/theory/maxima/convex.py": ["methods/test_momentum"],
    "gdconv/theory/maxima/concave.py": ["methods/test_momentum"],
    "gdconv/theory/maxima/search.py": ["methods/test_momentum"],
    "gdconv/theory/measured/oscillating.py": ["theory/test_oscillating"],
    "gdconv/theory/chosen.py": ["methods/test_chosen"],
    "gdconv/methods/protocol.py": ["methods/test_methods"],
    "gdconv/theory/measured/rates.py": ["theory/test_rates"],
    "gdconv/problems/doubled.py": ["problems/test_doubled", "problems/test_spectra"],
    "gdconv/problems/spectrum.py": ["problems/test_spectra", "problems/test_starts"],
    "gdconv/problems/minimisers.py": ["problems/test_minimisers"],
    "gdconv/problems/least_squares.py": [
        "problems/test_objective",
        "problems/test_starts",
        "experiment/test_properties",
    ],
    "gdconv/experiment/iterate.py": ["experiment/test_descent", "experiment/test_study"],
    "gdconv/problems/network/model.py": ["problems/test_network"],
    "gdconv/problems/network/samples.py": ["problems/test_network"],
    "gdconv/experiment/network/training.py": ["experiment/test_networks"],
    "gdconv/experiment/network/record.py": ["experiment/test_networks"],
    "gdconv/experiment/network/edge.py": ["experiment/test_networks"],
    "gdconv/sweep/store.py": ["sweep/test_store"],
    "nnlib/terminal.py": ["cli/test_terminal"],
    "nnlib/shapes.py": ["nnlib/test_graph", "nnlib/test_ops"],
    "nnlib/slices.py": ["nnlib/test_slices", "nnlib/test_ops"],
    "nnlib/rules.py": ["nnlib/test_ops", "nnlib/test_check", "nnlib/test_properties"],
    "nnlib/ops.py": ["nnlib/test_ops", "nnlib/test_check"],
    "nnlib/inputs.py": ["nnlib/test_graph", "nnlib/test_program"],
    "nnlib/build.py": ["nnlib/test_graph", "nnlib/test_ops"],
    "nnlib/tape.py": ["nnlib/test_tape", "nnlib/test_graph"],
    "nnlib/graph.py": ["nnlib/test_graph", "nnlib/test_properties"],
    "nnlib/recorder.py": ["nnlib/test_program", "nnlib/test_tape"],
    "nnlib/program.py": ["nnlib/test_program"],
    "nnlib/hessian.py": ["nnlib/test_hessian"],
    "nnlib/check.py": ["nnlib/test_check"],
    "nnlib/draw.py": ["nnlib/test_draw", "nnlib/test_docs"],
    "nnlib/nn.py": ["nnlib/test_nn"],
    "nnlib/sgd.py": ["nnlib/test_sgd"],
    "nnlib/parameters.py": ["nnlib/test_parameters"],
    "nnlib/datasets.py": ["nnlib/test_datasets"],
    "nnlib/train.py": ["nnlib/test_train"],
    "nnlib/mistakes.py": ["nnlib/test_grade"],
    "nnlib/questions.py": ["nnlib/test_grade"],
    "nnlib/student.py": ["nnlib/test_grade"],
    "nnlib/grade.py": ["nnlib/test_grade"],
}
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.MatMult: ast.Mult},
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.USub: ast.UAdd},
}


# Keyword arguments that only guard against mistakes: nothing is computed from them.
GUARDS = {"strict", "frozen", "slots"}


class Mutant(NamedTuple):
    """A file with one change."""

    file: str
    line: int
    change: str
    source: str


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for index, (node, name, value) in enumerate(_places(tree)):
        for changed in _changes(value):
            twin = deepcopy(tree)
            other, _, _ = list(_places(twin))[index]
            before = ast.unparse(node)
            setattr(other, name, changed)
            yield Mutant(file, node.lineno, f"{before}  →  {ast.unparse(other)}", ast.unparse(twin))


def _places(node: ast.AST) -> Iterator[tuple[Any, str, Any]]:
    """Every operator, constant and `not x` outside annotations, as (node, field, value)."""
    if isinstance(node, ast.keyword) and node.arg in GUARDS:
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        is_constant = isinstance(node, ast.Constant) and name == "value"
        is_comparison = isinstance(node, ast.Compare) and name == "ops"
        is_negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        is_negated &= name == "operand"
        if type(value) in OPERATORS or is_constant or is_comparison or is_negated:
            yield node, name, value
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _places(child)


def _changes(value: Any) -> Iterator[Any]:
    """Replacements for an operator or a constant; none for text."""
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
        case float():
            yield 2 * value if value else 1.0
        case list():
            for index, operator in enumerate(value):
                twin = list(value)
                twin[index] = OPERATORS[type(operator)]()
                yield twin
        case ast.expr():
            # For the operand of `not x`.
            yield ast.UnaryOp(ast.Not(), value)
        case ast.AST():
            yield OPERATORS[type(value)]()


def run_tests(folder: Path, file: str, timeout: float | None = None) -> bool:
    """Return whether the tests of a file pass in a copy of the checkout."""
    tests = [f"tests/{name}.py" for name in TESTS[file]]
    options = ["-x", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "gdconv" / "_hydra")]),
        # Python could use stale bytecode, since two versions may have the same size and time.
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def survives(folders: SimpleQueue[Path], timeout: float, mutant: Mutant) -> bool:
    """Return whether the tests pass although a file was changed."""
    folder = folders.get()
    path = folder / mutant.file
    original = path.read_bytes()
    try:
        path.write_text(mutant.source, encoding="utf-8")
        return run_tests(folder, mutant.file, timeout)
    finally:
        path.write_bytes(original)
        folders.put(folder)


def main() -> int:
    """Print how many mutants of each file are killed, and those that are not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", default=list(TESTS))
    parser.add_argument("--sample", type=int, metavar="N", help="so many random ones of each file")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sample")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="at a time")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the survivors there")
    options = parser.parse_args()
    unknown = set(options.files) - set(TESTS)
    if unknown:
        parser.error(f"{', '.join(unknown)}: must be one of {', '.join(TESTS)}")
    survivors: list[Mutant] = []
    killed = total = 0
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.workers) as pool:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.workers):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            for name in COPIED:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, folder / name)
            folders.put(folder)
        for file in options.files:
            chosen = list(mutants(file))
            if options.sample is not None:
                size = min(options.sample, len(chosen))
                chosen = random.Random(options.seed).sample(chosen, size)
            folder = folders.get()
            started = time.monotonic()
            if not run_tests(folder, file):
                sys.exit(f"{file}: its tests fail without any change")
            timeout = 10 + 5 * (time.monotonic() - started)
            folders.put(folder)
            lived = list(pool.map(partial(survives, folders, timeout), chosen))
            here = [mutant for mutant, alive in zip(chosen, lived, strict=True) if alive]
            print(f"{file:24} {len(chosen) - len(here):4} of {len(chosen):4} killed", flush=True)
            for mutant in here:
                print(f"    line {mutant.line}: {mutant.change}", flush=True)
            survivors += here
            killed += len(chosen) - len(here)
            total += len(chosen)
    print(f"{'all':24} {killed:4} of {total:4} killed: {killed / max(total, 1):.1%}")
    if options.output:
        lines = [f"{each.file}:{each.line}: {each.change}\n" for each in survivors]
        options.output.write_text("".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
