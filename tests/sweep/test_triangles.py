"""Problems with more rows than a block in a sweep: same bytes, and nothing is made twice."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Gaussian, Prescribed
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Dask, Processes, Serial, Step, StudyConfig
from gdconv.experiment.identity import rows_id
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.sweep import triangles
from gdconv.sweep.sweep import run_study, run_sweep
from gdconv.tables.columns import COLUMNS

GDCONV = Path(sys.executable).with_name("gdconv")
CONFIGS = [
    RunConfig(problem, method=GradientDescent(iterations=50), step=Step(value=[0.5, 1.0]))
    for problem in (
        Gaussian(1000, 5, block_rows=130),
        Prescribed(500, 4, block_rows=100),
        Gaussian(60, 3),
    )
]
BLOCKS = 8 + 5
ENGINES = {"processes": Processes(workers=2), "dask": Dask(workers=2)}


def content(folder):
    return {name: (folder / f"{name}.csv").read_bytes() for name in COLUMNS}


def study_in(folder, engine=None):
    return StudyConfig(study="s", results_dir=str(folder), engine=engine or Serial())


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return content(run_sweep(CONFIGS, study_in(tmp_path_factory.mktemp("serial"))).folder)


@pytest.fixture
def decomposed(monkeypatch):
    """The blocks that this process decomposes."""
    found, real = [], triangles._decomposed

    def noting(block):
        found.append((block.run.problem.name, block.number))
        return real(block)

    monkeypatch.setattr(triangles, "_decomposed", noting)
    return found


@pytest.mark.parametrize(
    "engine",
    [pytest.param(each, id=name, marks=pytest.mark.slow) for name, each in ENGINES.items()],
)
def test_every_engine_gives_the_same_bytes(engine, expected, tmp_path):
    assert content(run_sweep(CONFIGS, study_in(tmp_path, engine)).folder) == expected


def test_rows_are_those_of_the_whole_problem_but_for_rounding():
    for config in CONFIGS[:2]:
        cut, whole = (
            run_study(replace(config, problem=replace(config.problem, block_rows=rows)))
            for rows in (config.problem.block_rows, None)
        )
        assert (cut.runs.n_samples == config.problem.n_samples).all()
        assert cut.curves.iteration.tolist() == whole.curves.iteration.tolist()
        for name in ("lambda_max", "lambda_min", "loss_star", "initial_gap"):
            assert cut.runs[name].tolist() == pytest.approx(whole.runs[name].tolist(), rel=1e-12)
        large = whole.curves.gap > 1e-20 * whole.curves.gap.max()
        assert cut.curves.gap[large].tolist() == pytest.approx(
            whole.curves.gap[large].tolist(), rel=1e-9
        )


def test_an_interrupted_sweep_goes_on_with_its_blocks(expected, tmp_path, decomposed, monkeypatch):
    store = triangles._store

    def stopped(*given):
        store(*given)
        if len(decomposed) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(triangles, "_store", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(CONFIGS, study_in(tmp_path))
    monkeypatch.setattr(triangles, "_store", store)
    assert len(decomposed) == 5
    assert content(run_sweep(CONFIGS, study_in(tmp_path)).folder) == expected
    assert len(decomposed) == BLOCKS
    assert len(set(decomposed)) == BLOCKS


def test_further_runs_of_a_problem_decompose_nothing(tmp_path, decomposed, caplog):
    run_sweep(CONFIGS, study_in(tmp_path))
    more = [replace(config, step=Step(value=[1.5])) for config in CONFIGS]
    caplog.set_level(logging.INFO)
    outcome = run_sweep(more, study_in(tmp_path))
    assert (outcome.added, len(decomposed)) == (3, BLOCKS)
    assert "gaussian, 1000 rows of 5 features, in 8 blocks: decomposed before" in caplog.messages


def test_a_damaged_triangle_is_made_again(expected, tmp_path, decomposed):
    folder = run_sweep(CONFIGS, study_in(tmp_path)).folder
    (run, *_) = expand(CONFIGS[0])
    [path] = (folder / triangles.FOLDER / rows_id(run)).iterdir()
    assert path.name.startswith("3-0-")
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    (path.parent / "notes.txt").write_text("what does not belong there")
    for name in COLUMNS:
        (folder / f"{name}.csv").unlink()
    (folder / "provenance.json").unlink()
    run_sweep(CONFIGS, study_in(tmp_path))
    assert content(folder) == expected
    # Eight of the problem whose triangle was damaged.
    assert len(decomposed) == BLOCKS + 8


def test_a_block_that_fails_costs_only_its_problem(expected, tmp_path, monkeypatch):
    real = triangles.rows_of

    def rows_of(problem, seed, repetition):
        if problem.name == "gaussian":
            raise OSError("part 3 has vanished")
        return real(problem, seed, repetition)

    monkeypatch.setattr(triangles, "rows_of", rows_of)
    outcome = run_sweep(CONFIGS, study_in(tmp_path))
    assert (outcome.added, outcome.failed) == (6, 2)
    lines = (outcome.folder / "runs.csv").read_text().splitlines()
    assert sum("rows 1 to 130: OSError: part 3 has vanished" in line for line in lines) == 2
    monkeypatch.setattr(triangles, "rows_of", real)
    study = replace(study_in(tmp_path), retry_failed=True)
    assert content(run_sweep(CONFIGS, study).folder) == expected


def test_what_needs_all_rows_is_refused():
    config = replace(CONFIGS[0], method=GradientDescent(reduce="none"))
    with pytest.raises(ConfigError, match=r"method.reduce=none: would need all 1000 rows.*=1000"):
        run_study(config)
    whole = replace(config, problem=replace(config.problem, block_rows=1000))
    assert len(run_study(whole).runs) == 2


def test_blocks_that_were_not_asked_for_leave_no_trace():
    """A problem's identifier is that of earlier versions, and blocks of a given size show."""
    first, second = (
        run_study(replace(CONFIGS[2], problem=each)).runs
        for each in (Gaussian(60, 3), Gaussian(60, 3, block_rows=60))
    )
    assert first.problem_options[0] == "feature_mean=0.0"
    assert second.problem_options[0] == "block_rows=60 feature_mean=0.0"
    assert first.problem_id[0] != second.problem_id[0]


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from gdconv.cli.main import main
sys.exit(main())
"""


def limited(folder, study, *words):
    """Run a command whose processes may have 1 GiB each, and return the bytes of its tables."""
    words = [*words, "method.iterations=20", "report=false", f"results_dir={folder}"]
    # Memory that threads reserve and do not use counts, too.
    few = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *words, f"study={study}"],
        env=os.environ | few,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return content(folder / study)


def first_run(tables):
    names, values = (line.split(",") for line in tables["runs"].decode().splitlines()[:2])
    return dict(zip(names, values, strict=True))


@pytest.mark.slow
def test_a_drawn_problem_three_times_as_large_as_the_memory(tmp_path):
    """8 million rows of 50 features are 3.2 GB."""
    words = ["problem.n_samples=8000000", "problem.n_features=50"]
    run = first_run(limited(tmp_path, "s", *words, "engine=processes", "engine.workers=2"))
    assert run["n_samples"] == "8000000"
    # Marchenko and Pastur: 2n (1 ± √(d/n))² are the ends, off by about n^(-2/3) at the edges.
    for name, sign in (("lambda_max", 1), ("lambda_min", -1)):
        edge = 2 * 8e6 * (1 + sign * np.sqrt(50 / 8e6)) ** 2
        assert float(run[name]) == pytest.approx(edge, rel=1e-3)


@pytest.mark.slow
def test_a_table_three_times_as_large_as_the_memory(tmp_path):
    """8.1 million rows of 50 numbers are 3.24 GB; a scheduler has the same bytes as one process."""
    count, folder = 20, tmp_path / "parts"
    folder.mkdir()
    # Few different numbers, so that the files are small.
    cells = np.random.default_rng(5).integers(0, 200, (400_000, 50)).astype(float)
    frame = pd.DataFrame(cells, columns=[*(f"x{j}" for j in range(49)), "y"])
    frame.to_parquet(folder / "00.parquet", index=False)
    for number in range(1, count):
        os.link(folder / "00.parquet", folder / f"{number:02}.parquet")
    frame[:100_000].to_csv(folder / "last.csv", index=False)
    words = ["problem=table", f"problem.path={folder}", "problem.target=y"]
    one = limited(tmp_path, "one", *words)
    two = limited(tmp_path, "two", *words, "engine=dask", "engine.workers=2")
    assert one == two
    run = first_run(one)
    assert run["n_samples"] == "8100000"
    cells[:, -1] = 1.0
    # Sums of whole numbers are exact.
    gram = count * (cells.T @ cells) + cells[:100_000].T @ cells[:100_000]
    values = 2 * np.linalg.eigvalsh(gram)
    # Rounding is relative to the largest one.
    assert float(run["lambda_max"]) == pytest.approx(values[-1], rel=1e-13)
    assert float(run["lambda_min"]) == pytest.approx(values[0], abs=1e-13 * values[-1])


@pytest.fixture
def verified(monkeypatch, capsys):
    """Run gdconv-verify on 1000 rows in blocks: exit status, output, error."""
    from gdconv.cli.main import verify

    def run(*words):
        words = ["gdconv-verify", "problem.n_samples=1000", "problem.block_rows=130", *words]
        monkeypatch.setattr(sys, "argv", words)
        return verify(), *capsys.readouterr()

    return run


def test_a_run_in_blocks_is_verified(verified):
    status, told, _ = verified()
    assert status == 0
    assert "gaussian, n 1000, by its triangle, d 20" in told


@pytest.mark.parametrize("words", ["method=sgd", "method=kaczmarz", "method.reduce=none"])
def test_what_needs_all_rows_is_not_verified_on_a_triangle(verified, words):
    status, told, error = verified(words)
    assert (status, told) == (2, "")
    assert "all 1000 rows" in error
    assert "problem.block_rows=1000" in error
