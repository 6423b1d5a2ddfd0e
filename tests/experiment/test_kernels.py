"""Runs have the same bytes alone and in groups, with every BLAS kernel of this processor."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gdconv.config.problems import Gaussian
from gdconv.experiment.group import run_group  # noqa: F401 - loads the BLAS of SciPy
from gdconv.experiment.iterate import iterate
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems import products
from gdconv.problems.families import make
from gdconv.problems.least_squares import Objective

SCRIPT = Path(__file__).parents[1] / "data" / "rows_in_company.py"
sys.path.insert(0, str(SCRIPT.parent))
from rows_in_company import CHOOSING, compare_choosing  # noqa: E402

# What a processor must have for OpenBLAS's kernels, as /proc/cpuinfo names it.
NEEDS = {
    "Prescott": {"pni"},
    "Nehalem": {"sse4_2"},
    "Sandybridge": {"avx"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512dq", "avx512vl"},
}


def kernels():
    """Those that this processor can run; elsewhere than on x86 only its own."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return [name for name, needed in NEEDS.items() if needed <= flags] or ["of this processor"]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", kernels())
def test_runs_have_the_same_bytes_alone_and_in_company(kernel):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    if kernel in NEEDS:
        environment["OPENBLAS_CORETYPE"] = kernel
    printed = subprocess.run(
        [sys.executable, SCRIPT], env=environment, check=True, capture_output=True, text=True
    ).stdout
    found = json.loads(printed)
    for shape, (compared, different) in found["found"].items():
        # A row a run, and at least the first and the last of its curve.
        assert compared >= 3 * 203, shape
        assert different == [], shape
    assert {name: each for name, each in found["chosen"].items() if each[1]} == {}


def multiplied_in_order(a, b, out=None):
    """A product whose rows are all summed in one order, whatever the BLAS does."""
    product = np.sum(a[..., None] * b, axis=-2)
    if out is None:
        return product
    out[...] = product
    return out


def multiplied_by_place(a, b, out=None):
    """A product in which the last row of each block is summed in another order."""
    product = multiplied_in_order(a, b, out)
    product[..., -1, :] = multiplied_in_order(a[..., -1, ::-1], b[::-1])
    return product


def multiplied_by_height(a, b, out=None):
    """A product whose rows are summed in another order if there are not just 24, 40 or 64."""
    if a.ndim > 1 and a.shape[-2] in (24, 40, 64):
        return np.matmul(a, b, out)
    return np.matmul(a[..., ::-1], b[::-1], out)


@pytest.fixture
def forgetful():
    """Trials are made again, before and after."""
    for trial in (products.same_bits, products.stack):
        trial.cache_clear()
    yield
    for trial in (products.same_bits, products.stack):
        trial.cache_clear()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 5), (20, 20), (136, 200)])
def test_a_trial_finds_that_the_place_decides(shape, monkeypatch, forgetful):
    monkeypatch.setattr(products, "multiply", multiplied_in_order)
    assert products.rows_are_independent(shape)
    products.same_bits.cache_clear()
    products.stack.cache_clear()
    monkeypatch.setattr(products, "multiply", multiplied_by_place)
    # A sum of one term has but one order.
    assert products.rows_are_independent(shape) == (shape == (1, 1))


def test_a_trial_finds_the_heights_that_change_nothing(monkeypatch, forgetful):
    monkeypatch.setattr(products, "multiply", multiplied_by_height)
    shape = (20, 20)
    assert [h for h in range(8, 200, 8) if products.same_bits(h, shape)] == [24, 40, 64]
    cut = {rows: products.stack(rows, shape) for rows in (0, 1, 24, 25, 41, 64, 65, 129, 513)}
    assert {rows: (each.blocks, each.height) for rows, each in cut.items()} == {
        0: (0, 0),
        1: (1, 24),
        24: (1, 24),
        25: (1, 40),
        41: (1, 64),
        64: (1, 64),
        65: (2, 40),
        129: (3, 64),
        513: (9, 64),
    }
    assert all(each.rows >= rows for rows, each in cut.items())


def iterates(objective, step_sizes):
    seen = []

    def observe(iteration, runs, W, residual, _):
        seen.append((W[: len(runs)].copy(), residual[: len(runs)].copy()))
        return runs == iteration

    start = np.zeros(objective.matrix.shape[1])
    iterate(GradientDescent(), objective, start, {"step_size": step_sizes}, 9, observe)
    return seen


@pytest.mark.parametrize("how", [multiplied_by_place, multiplied_by_height])
@pytest.mark.parametrize(("n", "d"), [(9, 3), (90, 40), (150, 137)])
def test_the_iteration_is_the_same_however_it_is_cut(how, n, d, monkeypatch, forgetful):
    """Several blocks, or each run alone: to some roundings what one product gives."""
    objective = Objective(make(Gaussian(n, d), 0, 0), "qr")
    steps = np.linspace(0.1, 1.9, 70) / objective.spectrum.lambda_max
    together = iterates(objective, steps)
    assert objective.rows_multiplied == "together"
    products.same_bits.cache_clear()
    products.stack.cache_clear()
    monkeypatch.setattr(products, "multiply", how)
    alone = how is multiplied_by_place
    assert objective.rows_multiplied == ("alone" if alone else "together")
    assert objective.stack(70).blocks == (70 if alone else 2)
    size = np.abs(together[-1][0]).max() + np.abs(together[-1][1]).max()
    for expected, found in zip(together, iterates(objective, steps), strict=True):
        for a, b in zip(expected, found, strict=True):
            # Ten steps with sums of n and d numbers, each step no longer than 2 of its own length.
            assert np.abs(a - b).max() <= 100 * (n + d) * np.finfo(float).eps * size


def test_padding_is_zeros_and_for_large_matrices_alone():
    small, large = np.ones((125, 125)), np.ones((126, 131))
    assert products.padded(small).shape == (125, 125)
    wide = products.padded(large)
    assert wide.shape == (128, 136)
    assert wide.sum() == large.sum()
    assert (wide[:126, :131] == 1).all()


@pytest.mark.parametrize("shape", [(3, 1), (2, 5, 20), (1, 8, 137)])
def test_inner_products_are_those_of_rows(shape):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, *shape))
    rows = (each.reshape(-1, shape[-1]) for each in (a, b))
    expected = [math.fsum(x * y) for x, y in zip(*rows, strict=True)]
    found = products.inner([shape[-1]])(a, b)
    assert found.shape == (*shape[:-1], 1)
    # Sums of so many numbers of about 1, and their products.
    assert found.ravel() == pytest.approx(expected, abs=shape[-1] ** 0.5 * 20 * np.finfo(float).eps)


def test_a_trial_finds_that_the_place_in_memory_decides(monkeypatch):
    """Then the sum is one whose order is always the same."""
    right = np.vecdot

    def aligned(a, b, keepdims=False):
        first = a.ctypes.data % 16 // 8
        return right(a[first:], b[first:], keepdims=keepdims) + (a[:first] * b[:first]).sum()

    assert products.place_does_not_matter(1)
    monkeypatch.setattr(np, "vecdot", aligned)
    products.place_does_not_matter.cache_clear()
    try:
        assert not products.place_does_not_matter(20)
        space = np.zeros(61)
        row = np.random.default_rng(0).standard_normal(20)
        found = set()
        for place in range(8):
            space[place : place + 20] = row
            given = space[None, place : place + 20]
            found.add(float(products.inner([20])(given, given)[0, 0]))
    finally:
        products.place_does_not_matter.cache_clear()
    assert len(found) == 1
    assert found.pop() == pytest.approx(math.fsum(row**2), rel=1e-14)


def test_a_quotient_is_0_where_it_would_divide_by_0():
    top, bottom = np.array([[1.0], [2.0], [0.0]]), np.array([[4.0], [0.0], [0.0]])
    with np.errstate(all="ignore"):
        assert products.quotient(top, bottom).tolist() == [[0.25], [0.0], [0.0]]
    assert bottom.tolist() == [[4.0], [0.0], [0.0]]


@pytest.mark.parametrize("method", CHOOSING, ids=lambda each: f"{each.name} {each.kind}")
@pytest.mark.slow
def test_a_run_that_chooses_has_the_same_bits_alone_and_in_company(method):
    for d in (6, 130):
        compared, different = compare_choosing(method, d)
        assert compared == 5 + 5 + 14 + 75
        assert different == []
