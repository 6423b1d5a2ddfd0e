"""Measure the speed of gdconv and nnlib: .venv/bin/python scripts/benchmark.py NAME.

nnlib    the gradient of ‖Xw − y‖² by nnlib, NumPy, and the peers that are installed (autograd,
         PyTorch, JAX), at eight sizes. All take turns; the figures are medians.
sweep    the whole command `gdconv -m` (start-up, CSVs; figures only with --report) on 384 runs,
         against a plain NumPy script that loops over the same runs one at a time, in turn; medians
         as well. With --workers 2 both use two processes, the script through joblib. With
         --momentum 0.9 both use heavy ball.
scale    a sweep of 100,000 runs against one of 10,000: time and memory a run.
flops    an iteration of groups of 1 to 512 runs, beside that of a plain script.
growth   how the time of a study grows with d, step sizes, iterations and repetitions.
problems the whole command on a tall problem, a square one and a large file, in time and memory,
         against the least that has to be done, in turn.
data     problems larger than a block of rows, in time, memory and rows a second.
startup  how long the shortest commands take.
setup    how long a fresh clone takes to install what a study needs, and what tests need.
networks training of networks: a study, a gradient against NumPy, a product with the Hessian.
methods  an iteration of each method beside gradient descent's, and studies of heavy ball.
reports  figures and page of the reference study, of one run, and of 100,000 runs.
all      all of these, written to docs/performance.md with the machine and the versions.

BLAS runs on one thread in all of them.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import fill

from benchmarks import data, gradients, methods, networks, problems, reports, sampling, sweeps
from benchmarks.common import compile_modules

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
VERSIONS = ("numpy", "scipy", "pandas", "hydra-core", "joblib")
PEERS = ("autograd", "torch", "jax", "benchopt")

# What docs/performance.md shows: the command's arguments and the section's heading.
SECTIONS = {
    "setup": "Set-up",
    "startup": "Start-up",
    "reports": "Reports",
    "sweep": "A sweep against a plain script",
    "sweep --iterations 10000 --workers 2": "The same, longer, with two processes",
    "sweep --iterations 10000 --workers 2 --report": "The same with its report",
    "sweep --iterations 10000 --workers 2 --momentum 0.5": "The same with heavy ball",
    "methods": "Methods",
    "sampling": "Stochastic gradient descent",
    "networks": "Networks",
    "scale": "100,000 runs",
    "problems": "Large problems",
    "data": "Data in blocks",
    "growth": "How cost grows",
    "nnlib": "Gradients",
    "flops": "The iteration",
}
# What the time of a section is spent on, and how near its limit it is.
NOTES = {
    "Set-up": "What is left is pip's own work: it unpacks 31 packages for a study, and 52 more for"
    " tests. What a study imports is compiled then.",
    "Start-up": "Of `gdconv --help`, half is the import of Hydra. A run adds the imports of NumPy,"
    " SciPy and pandas, which the first row has, and 0.2 s in which Hydra composes. Of a cell, half"
    " is Hydra's parser, and a fifth the row that is read back.",
    "Reports": "The limit is one figure. Eight figures, each as PNG and as SVG, are drawn by two"
    " processes; laying out and writing them is nearly all of it. Of 100,000 runs, reading"
    " curves.csv once is the most.",
    "A sweep against a plain script": "Half of gdconv's time is start-up and the summary. The rest"
    " is described below.",
    "The same, longer, with two processes": "Before the first group 0.5 s pass: Python, Hydra and"
    " the plan, while another process imports NumPy and SciPy, of which the workers are copies. The"
    " processors then work for 2.5 s, both at once: 1.0 s for the products of the iterations, which"
    " is their limit, 0.7 s for what surrounds them, 0.4 s for theory, rates and rows, and 0.3 s to"
    " import pandas for the summary. The end takes 0.2 s: workers end, the summary is made, Python"
    " ends. Without pyarrow, which only Parquet and tests need, pandas is imported faster, and the"
    " ratio was 9.6 and 10.0, where it was 8.7 with it.",
    "The same with its report": "Figures and page add what drawing eight figures twice takes, with"
    " two processes.",
    "100,000 runs": "Of 0.4 ms a run, the iterations take 0.13, theory and rates 0.08, the lines of"
    " CSV 0.07, and identifiers and the disk the rest.",
    "Large problems": "The tall problem is drawn, decomposed by blocks, and multiplied once with"
    " twice the digits. The square one has one QR and one SVD, which are its limit; a second"
    " opinion on the eigenvalues takes 0.6 s, products with twice the digits 0.3 s, start-up 0.7 s."
    " The file is read in 0.5 s by two threads, as pandas does, while a third hashes its bytes. The"
    " rest is start-up, and one look at every cell.",
    "Gradients": "Beside NumPy's own calls, `set` and `run_grad` check the snapshot of the graph"
    " and copy the gradient. A `Program` has neither.",
}


def write_all(only: str) -> None:
    """Run all benchmarks, or some, and write docs/performance.md."""
    wanted = only.split(",") if only else [*SECTIONS]
    if unknown := [each for each in wanted if each not in SECTIONS]:
        raise SystemExit(f"--only {','.join(unknown)}: must be of {', '.join(SECTIONS)}")
    kept = {}
    if only:
        _, *parts = PAGE.read_text(encoding="utf-8").split("\n## ")
        kept = {part.partition("\n")[0]: "## " + part.rstrip("\n") + "\n" for part in parts}
    text = [INTRODUCTION.format(machine=_machine(), versions=_versions())]
    for arguments, heading in SECTIONS.items():
        if arguments not in wanted:
            text += [kept[heading]] if heading in kept else []
            continue
        print(heading, file=sys.stderr, flush=True)
        command = [sys.executable, __file__, *arguments.split()]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        text.append(f"## {heading}\n\n`scripts/benchmark.py {arguments}`\n\n{done.stdout}")
        if heading in NOTES:
            text[-1] += "\n" + fill(NOTES[heading], 118, break_on_hyphens=False) + "\n"
    PAGE.write_text("\n".join(text), encoding="utf-8")


INTRODUCTION = """\
# Performance

Written by `.venv/bin/python scripts/benchmark.py all`. BLAS runs on one thread. Times depend on the
machine and on what else it does; ratios, taken in turn, less so.

{machine}. {versions}.
"""


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
        cores = sum(line.startswith("processor") for line in lines)
    except (OSError, StopIteration):
        return f"{model}, {platform.system()}"
    return f"{model}, {cores} cores, {platform.system()}"


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in (*VERSIONS, *PEERS):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> None:
    """Parse the command line and run one benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="NAME", dest="name")

    def add(name: str, run: Callable[..., None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        return command

    command = add("nnlib", gradients.nnlib, "gradients by nnlib, NumPy and peers")
    command.add_argument("--rounds", type=int, default=15)
    command = add("sweep", sweeps.sweep, "the command against a plain NumPy script")
    command.add_argument("--iterations", type=int, default=2000)
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--report", action="store_true")
    command.add_argument("--momentum", type=float, default=0.0)
    command = add("scale", sweeps.scale, "100,000 runs against 10,000")
    command.add_argument("--runs", type=int, default=100_000)
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--curves", choices=["log", "none"], default="log")
    command = add("flops", gradients.flops, "an iteration of groups of runs")
    command.add_argument("--rounds", type=int, default=7)
    command = add("growth", sweeps.growth, "time against each size of a study")
    command.add_argument("--rounds", type=int, default=3)
    command = add("problems", problems.problems, "large problems against the least to be done")
    command.add_argument("--rounds", type=int, default=3)
    command = add("data", data.data, "data in blocks")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--rows", type=int, default=data.DRAWN)
    command.add_argument("--gigabytes", type=float, default=5.0, help="of CSV; 0 for no tables")
    command = add("startup", sweeps.startup, "the shortest commands")
    command.add_argument("--rounds", type=int, default=7)
    command = add("methods", methods.methods, "methods with momentum")
    command.add_argument("--rounds", type=int, default=5)
    add("plain-momentum", methods.plain_momentum, "a plain script of heavy ball by itself")
    command = add("sampling", sampling.sampling, "stochastic gradient descent")
    command.add_argument("--rounds", type=int, default=3)
    command = add("plain-sampling", sampling.plain_sampling, "a plain script of it by itself")
    command.add_argument("--batch", type=int, default=1)
    command = add("networks", networks.networks, "training of networks")
    command.add_argument("--rounds", type=int, default=5)
    command = add("reports", reports.reports, "figures and page")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--runs", type=int, default=100_000)
    command = add("plain", sweeps.plain, "the plain NumPy script by itself")
    command.add_argument("--momentum", type=float, default=0.0)
    command.add_argument("--iterations", type=int, default=2000)
    command.add_argument("--workers", type=int, default=1)
    add("setup", sweeps.setup, "the set-up of a fresh clone")
    command = add("all", write_all, "all of these, for docs/performance.md")
    command.add_argument("--only", default="", help="some, as startup,data; other sections stay")
    arguments = vars(parser.parse_args())
    run: Callable[..., None] = arguments.pop("run")
    # The plain scripts are timed as they are.
    if not arguments.pop("name").startswith("plain"):
        compile_modules()
    run(**arguments)


if __name__ == "__main__":
    main()
