"""results/reference, the stored study: this version makes the same rows, figures and page."""

import json
import re
import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Eigenvector, Record, Step, Zeros
from gdconv.report import report
from gdconv.report.figures import catalogue as figures
from gdconv.sweep.sweep import run_study
from gdconv.tables.csv import read

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
MOST_BYTES = 5e6
# Of one line of pixels on another machine: the edges of letters and lines, were they shifted.
SHIFTED = 0.002
# What the last digits of two BLAS libraries leave, and errors add to √gap.
RELATIVE = 1e-9

# Figures that a study of gradient descent alone does not have.
WITHOUT = {
    *("methods", "stability", "transient", "orthogonality", "zigzag", "halting"),
    *("noise", "batch", "averaging", "high_dimension"),
    *("sharpness", "flow", "landscape"),
}


@pytest.fixture(scope="module")
def tables():
    return read(REFERENCE)


@pytest.fixture(scope="module")
def drawn(tables):
    made, omitted = figures.draw(tables)
    # They need other methods, or several.
    assert omitted.keys() == WITHOUT
    return made


def test_it_is_complete_and_small(tables):
    files = [path for path in REFERENCE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    (command,) = json.loads((REFERENCE / "provenance.json").read_text())["commands"]
    assert command["command"][:2] == ["gdconv", "experiment=reference"]
    assert command["runs"] == len(tables.runs)
    assert set(tables.runs.status) == {"converged", "diverged", "max_iterations"}
    assert tables.runs.bound_holds.all()


@pytest.mark.slow
@pytest.mark.parametrize("name", [p.name for p in figures.FIGURES if p.name not in WITHOUT])
def test_the_committed_figures_are_those_of_the_committed_tables(drawn, name, tmp_path):
    (tmp_path / f"{name}.png").write_bytes(figures.rendered(drawn[name], "png"))
    made, committed = (
        matplotlib.image.imread(folder / f"{name}.png")
        for folder in (tmp_path, REFERENCE / "figures")
    )
    assert made.shape == committed.shape
    assert np.mean(np.abs(made - committed).max(axis=-1) > 0.1) <= SHIFTED


@pytest.mark.slow
def test_the_committed_page_is_that_of_the_committed_study(tmp_path):
    copy = shutil.copytree(REFERENCE, tmp_path / "reference")
    report.write(copy, formats=["png"])
    made, committed = (
        # Pictures are compared as pixels above. The last line tells of their bytes and the code.
        re.sub(
            r"base64,[^\"]*|<!--.*-->$", "", (folder / "report.html").read_text(encoding="utf-8")
        )
        for folder in (copy, REFERENCE)
    )
    assert made == committed


def test_a_slice_of_the_study_gives_the_committed_rows(tables):
    configs = [
        RunConfig(
            Gaussian(100, d),
            start,
            step=Step(value=(0.1, 1.0, 1.95, 2.02)),
            record=Record(points=20),
            repetitions=2,
        )
        for d in (2, 50, 150)
        for start in (Zeros(), Eigenvector())
    ]
    made = run_study(configs)
    runs = tables.runs[tables.runs.run_id.isin(made.runs.run_id)]
    assert len(runs) == len(made.runs) == 48
    exact = ["run_id", "status", "rank", "bound_holds", "bound_coursework_holds", "convergence"]
    for column in [*exact, "first_violation_coursework", "iterations_to_tolerance"]:
        assert made.runs[column].tolist() == runs[column].tolist(), column
    theory = ["step_size", "lambda_min_positive", "lambda_max", "nu", "rate_predicted"]
    for column in [*theory, "loss_star", "initial_gap", "initial_distance"]:
        expected = runs[column].to_numpy()
        assert made.runs[column].to_numpy() == pytest.approx(expected, RELATIVE), column
    gaps_agree(made.curves, tables.curves)


def gaps_agree(made, committed):
    """Above their floors to nine digits, as far as the floors allow."""
    both = made.merge(committed, on=["run_id", "iteration"], suffixes=("", "_committed"))
    # A run may come to rest an iteration earlier or later.
    assert len(both) >= 0.98 * len(made)
    both = both[both.gap > both.gap_floor]
    root, expected, floor = (
        np.sqrt(both[name].to_numpy()) for name in ("gap", "gap_committed", "gap_floor")
    )
    assert (np.abs(root - expected) <= RELATIVE * expected + 2 * floor).all()
    # A power of a factor that is off in its last digits is off as many times as much.
    many = 1e-15 * both["iteration"].to_numpy() * 100
    root, expected = (np.sqrt(both[name]) for name in ("gap_exact", "gap_exact_committed"))
    # A component of w_0 − w* is known to some roundings of its length, which the floor allows for.
    assert (np.abs(root - expected) <= (RELATIVE + many) * expected + floor).all()
    for bound in ("gap_bound", "gap_bound_sharp", "distance_bound"):
        expected = both[f"{bound}_committed"].to_numpy()
        assert (np.abs(both[bound] / expected - 1) <= RELATIVE + many).all(), bound


def test_the_comparison_of_gaps_notices_a_gap_that_is_off(tables):
    off = tables.curves.copy()
    row = int(np.argmax(off.gap > 1e6 * off.gap_floor))
    off.loc[off.index[row], "gap"] *= 1 + 1e-6
    with pytest.raises(AssertionError):
        gaps_agree(off, tables.curves)


def test_the_readmes_pictures_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", readme)
    assert any(path.startswith("results/reference/figures/") for path in pictures)
    assert all((ROOT / path).exists() for path in pictures)
