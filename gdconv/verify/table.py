"""The coursework's statements, checked on one run: as a table for the terminal and as CSV."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from math import ceil

import numpy as np
import threadpoolctl

from gdconv.config.networks import Network
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig, expand
from gdconv.experiment.prediction import method_of
from gdconv.experiment.whole import refuse_whole
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import notices
from gdconv.problems.network import samples
from gdconv.verify.case import FEW, Case
from gdconv.verify.checks import Check
from gdconv.verify.coursework.rate import factor
from gdconv.verify.network.case import NetworkCase
from gdconv.verify.network.statements import verify_network
from gdconv.verify.sampled.case import SampledCase
from gdconv.verify.statements import verify
from nnlib import terminal

OF_GRADIENT_DESCENT = {
    "exact (17)": "gap_exact",
    "bound (18)": "gap_bound",
    "bound (19)": "gap_bound_coursework",
    "ν²ᵗ gap₀": "gap_bound_relative",
    "sharp": "gap_bound_sharp",
}
OF_OTHERS = {
    "exact": "gap_exact",
    "bound": "gap_bound",
    "relative": "gap_bound_relative",
    "sharp": "gap_bound_sharp",
}
OF_SAMPLES = {
    "expected": "gap_expected",
    "of the mean": "gap_of_mean",
    "many features": "gap_high_dimension",
}
log = logging.getLogger("gdconv")

NAMES = {
    "momentum": "β",
    "lower": "a",
    "upper": "b",
    "ratio": "r",
    "first": "η₀",
    "log_ratio": "ln r",
    "last": "η∞",
}
CSV_COLUMNS = ("equation", "statement", "measure", "value", "tolerance", "verdict")


def case_of(config: RunConfig) -> Case | NetworkCase:
    """Return the single run of a configuration as a case, which can be checked.

    Raises
    ------
    ConfigError
        If there are several runs, or the theory does not apply to the problem.
    """
    refuse_whole(config)
    runs = list(expand(config))
    if len(runs) > 1:
        lists = config.lists | {"repetitions": range(config.repetitions)}
        key = next(key for key, values in lists.items() if len(values) > 1)
        given = lists[key] if key in config.lists else config.repetitions
        raise ConfigError(key, given, "must be one value, because a single run is checked")
    try:
        with threadpoolctl.threadpool_limits(1):
            case: Case | NetworkCase
            if isinstance(config.problem, Network):
                samples.check(config.problem)
                case = NetworkCase(runs[0])
            else:
                case = (SampledCase if method_of(runs[0]).samples else Case)(runs[0])
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError("problem", config.problem.name, str(error)) from error
    for notice in notices([config.problem]):
        log.warning("%s", notice)
    return case


def checked(case: Case | NetworkCase) -> list[Check]:
    """Return the check of every statement."""
    with threadpoolctl.threadpool_limits(1):
        return verify_network(case) if isinstance(case, NetworkCase) else verify(case)


def as_table(case: Case | NetworkCase, checks: Sequence[Check]) -> str:
    """Return the run's numbers, a row for each statement, and the conclusion.

    On a terminal, no line is wider than it: a long statement is folded, and what explains a verdict
    stands below. Elsewhere each row is one line.
    """
    rows = [("", "statement", "deviation", "tolerance", " verdict")]
    for check in checks:
        mark = " (slack)" if check.measure == "slack" else ""
        sizes = f"{check.value:.1e}", f"{check.tolerance:.1e}"
        rows.append((check.equation, check.statement + mark, *sizes, f" {check.verdict}"))
    width = terminal.room()
    lines = terminal.columns(rows, "<<>><", " ")
    if width is not None and max(map(len, lines)) > width:
        narrow = [(*row[:-1], *_short(row[-1].strip())) for row in rows]
        lines = terminal.stacked(narrow, "<<>><<", width)
    # A line of numbers ends between two of them.
    given = (
        terminal.folded(each, width, whole=["(?<!,) "]) for each in numbers_of(case).split("\n")
    )
    return "\n".join([*chain(*given), "", *lines, "", conclusion(checks)])


def _short(verdict: str) -> tuple[str, str]:
    """The first words of a verdict, and all of it if there are more."""
    found = re.match(r"holds|fails|says nothing|no r below 1", verdict)
    return (found[0], verdict) if found and found[0] != verdict else (verdict, "")


def numbers_of(case: Case | NetworkCase) -> str:
    """Return the numbers that the rows are computed from, in three lines."""
    if isinstance(case, NetworkCase):
        return case.numbers()
    problem = case.objective.problem
    by_triangle = " by its triangle," if problem.rows else ""
    nu = "not known" if np.isnan(case.nu) else factor(case.log_nu)
    return "\n".join(
        [
            f"{case.run.problem.name}, n {problem.n_samples},{by_triangle} d {case.X.shape[1]},"
            f" rank {case.spectrum.rank},"
            f" start {case.run.start.name}, {case.moments[-1].t} iterations",
            f"λmin {case.lambda_min:.6g}, λmax {case.lambda_max:.6g},"
            f" κ {case.spectrum.condition_number:.6g}, ‖w₀ − w*‖² {case.distance_squared:.6g},"
            f" L(w₀) − L(w*) {case.moments[0].gap:.6g}",
            f"{_coefficients(case)}, ν {nu}",
        ]
    )


def _coefficients(case: Case) -> str:
    """The numbers that the run iterates with."""
    if isinstance(case.method, GradientDescent):
        return f"η {case.step_size:.6g}, K {case.K:.6g} = {case.K / case.lambda_max:.6g} λmax"
    of_run = case.coefficients
    words = [case.method.name]
    if "step_size" in of_run:
        relative = of_run["step_size"] * case.lambda_max
        words.append(f"η {of_run['step_size']:.6g} = {relative:.6g}/λmax")
    if "first" in of_run:
        # Heavy ball's is a part of the step size.
        of_run = of_run | {"first": of_run["first"] * of_run.get("step_size", 1.0)}
    for name, value in of_run.items():
        # A method that chooses its steps has the factor 1, unless it is a key.
        given = name != "factor" or hasattr(case.method, "factor")
        if name != "step_size" and given and not np.isnan(value):
            words.append(f"{NAMES.get(name, name)} {value:.6g}")
    return ", ".join(words)


# With a step that is too long, numbers grow beyond those of floats.
@np.errstate(over="ignore", invalid="ignore")
def gaps_of(case: Case | NetworkCase) -> str:
    """Return gap, exact gap and bounds at a few iterations, so that rows can be recomputed."""
    if isinstance(case, NetworkCase):
        return _in_columns(case.table())
    moments = [moment for moment in case.moments if moment.t in FEW]
    t = np.array([moment.t for moment in moments])
    known = {name: values[np.isin(case.times, FEW)] for name, values in case.curves.items()}
    columns: dict[str, Iterable[float]] = {"t": t, "gap": [moment.gap for moment in moments]}
    names = OF_GRADIENT_DESCENT if isinstance(case.method, GradientDescent) else OF_OTHERS
    if case.method.samples:
        names = OF_SAMPLES
    columns |= {shown: known[name] for shown, name in names.items()}
    if case.method.chooses:
        steps = [moment.chosen["step_size"] * case.lambda_max for moment in moments]
        columns |= {"η λmax": steps, "β": [moment.chosen["momentum"] for moment in moments]}
    # What is not known of the method is left out.
    given = {name: np.array(list(values), dtype=float) for name, values in columns.items()}
    stated = {name: values for name, values in given.items() if not np.isnan(values).all()}
    cells = [[name, *(f"{value:.6g}" for value in values)] for name, values in stated.items()]
    return _in_columns([*zip(*cells, strict=True)])


def _in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Cells of equal width; on a terminal without that room, parts that each begin with t."""
    width, count = terminal.room(), len(rows[0])
    if width is None or 15 * count <= width:
        return "\n".join("".join(f"{cell:>15}" for cell in row) for row in rows)
    parts, longest = [], max(max(map(len, row)) for row in rows)
    # As many parts as needed, of about the same number of columns.
    fit = max(1, (width + 1) // (longest + 1) - 1)
    each = ceil((count - 1) / ceil((count - 1) / fit))
    for start in range(1, count, each):
        part = [(row[0], *row[start : start + each]) for row in rows]
        parts.append("\n".join(terminal.columns(part, ">" * len(part[0]), " ")))
    return "\n\n".join(parts)


def conclusion(checks: Sequence[Check]) -> str:
    """Return how many statements hold, fail as theory predicts, say nothing, or FAIL."""
    failed = sum(not check.passed for check in checks)
    stated = sum(check.verdict.startswith("fails") for check in checks)
    empty = sum("says nothing" in check.verdict for check in checks)
    said = f"{len(checks) - failed - stated - empty} of {len(checks)} statements hold"
    if stated:
        said += f", {stated} fail{'s' * (stated == 1)} as expected"
    if empty:
        said += f", {empty} say nothing"
    return said + (f", {failed} FAIL" if failed else "")


def as_csv(checks: Sequence[Check]) -> str:
    """Return the table as CSV, with all digits of the numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for check in checks:
        writer.writerow([getattr(check, name) for name in CSV_COLUMNS])
    return text.getvalue()
