"""gdconv-verify of methods that draw samples: it passes, and notices what is made wrong."""

import numpy as np
import pytest

from gdconv import (
    CoordinateDescent,
    Csv,
    Eigenvector,
    Gaussian,
    Kaczmarz,
    Prescribed,
    RunConfig,
    Sgd,
    Step,
    Zeros,
)
from gdconv.theory.sampled.limits import SecondMoments
from gdconv.theory.sampled.moments import Data
from gdconv.verify.sampled.case import SampledCase
from gdconv.verify.table import as_table, case_of, checked, gaps_of

SHORT = {"iterations": 50}
METHODS = {
    "one row": (Sgd(**SHORT), Step("limit", 0.5)),
    "in units of samples": (Sgd(**SHORT), Step("samples", 0.01)),
    "a batch": (Sgd(**SHORT, batch_size=3), Step("limit", 0.5)),
    "without replacement": (Sgd(**SHORT, batch_size=3, replacement=False), Step("limit", 0.9)),
    "all rows": (Sgd(**SHORT, batch_size=9, replacement=False), Step("limit", 0.5)),
    "momentum": (Sgd(**SHORT, momentum=0.9), Step("limit", 0.5)),
    "average": (Sgd(**SHORT, average="all"), Step("K", 1e4)),
    "too long": (Sgd(**SHORT), Step("limit", 1.2)),
    "Kaczmarz": (Kaczmarz(**SHORT, relaxation=1.7), Step()),
    "coordinates": (CoordinateDescent(**SHORT), Step()),
    "in order": (CoordinateDescent(**SHORT, order="cyclic"), Step()),
}
PROBLEMS = {
    "noisy": (Gaussian(9, 4), Zeros()),
    "exact fit": (Gaussian(9, 4, noise=0.0), Zeros()),
    "wide": (Gaussian(9, 12), Zeros()),
    "along an eigenvector": (Gaussian(9, 4), Eigenvector()),
    "condition number 1e4": (Prescribed(9, 4, condition_number=1e4), Zeros()),
}


def case(method, step, problem=Gaussian(9, 4), start=Zeros()):  # noqa: B008
    return case_of(RunConfig(problem, start, method, step))


def said(of):
    """Which rows fail."""
    return {check.equation for check in checked(of) if not check.passed}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", METHODS)
def test_every_statement_holds(method, problem):
    of = case(*METHODS[method], *PROBLEMS[problem])
    assert isinstance(of, SampledCase)
    assert said(of) == set()


def test_large_problems_are_checked_as_far_as_possible():
    of = case(Sgd(**SHORT), Step("limit", 0.5), Gaussian(300, 60))
    rows = [check.equation for check in checked(of)]
    assert said(of) == set()
    assert "E gap" in rows
    assert "floor" not in rows


def test_what_is_printed():
    of = case(*METHODS["one row"])
    assert "sgd, η" in as_table(of, checked(of))
    header, first, *_ = gaps_of(of).splitlines()
    assert header.split() == ["t", "gap", "expected", "of", "the", "mean", "many", "features"]
    values = np.array(first.split(), dtype=float)
    assert (values[1:] == values[1]).all()


def test_numbers_that_grow_beyond_floats_are_printed():
    of = case(Sgd(iterations=1000), Step("limit", 5.0), Gaussian(20, 4))
    assert said(of) == set()
    last = gaps_of(of).splitlines()[-1].split()
    assert max(map(float, last[2:])) > 1e100


def test_a_moment_without_its_cross_term_is_noticed(monkeypatch):
    """The gap after one step is 19.096, and 18.774 without 2 r_i x_iᵀm."""

    def without(self, C, m):
        squares = ((self.rows @ C) * self.rows).sum(axis=-1) + self.residuals**2
        return 4 * len(self.rows) * (self.rows.T @ (squares[..., None] * self.rows))

    of = case(*METHODS["one row"])
    monkeypatch.setattr(Data, "second_moment", without)
    assert said(of) == {"E gap"}


@pytest.mark.parametrize(("part", "rows"), [("rate", {"rate"}), ("floor", {"floor"})])
def test_numbers_that_are_off_by_a_thousandth_are_noticed(monkeypatch, part, rows):
    right = getattr(SecondMoments, part)
    monkeypatch.setattr(SecondMoments, part, lambda self, step: 1.001 * right(self, step))
    # With noise the slower mean decides on the rate, and without it the floor is 0.
    problem = Gaussian(9, 4, noise=0.0 if part == "rate" else 1.0)
    for name in ("one row", "momentum", "Kaczmarz"):
        assert said(case(*METHODS[name], problem)) == rows


def test_a_limit_that_is_off_is_noticed(monkeypatch):
    right = SecondMoments.step_limit.func
    wrong = property(lambda self: 1.001 * right(self))
    monkeypatch.setattr(SecondMoments, "step_limit", wrong)
    assert said(case(*METHODS["one row"])) == {"η_max"}


def test_rows_of_one_length(tmp_path):
    """A feature of ±1 beside the constant: c² = 2."""
    path = tmp_path / "equal.csv"
    path.write_text("x,y\n" + "".join(f"{(-1) ** i},{i * i % 7}\n" for i in range(6)))
    of = case(Sgd(**SHORT), Step("limit", 0.5), Csv(path=str(path), target="y"))
    assert said(of) == set()
    assert "rows of one length c: η_max = 1/(nc²)" in [check.statement for check in checked(of)]
    assert of.numbers.step_limit == pytest.approx(1 / 12, rel=1e-12)


def test_a_wrong_gradient_is_noticed(monkeypatch):
    """That of a batch twice as large."""
    from gdconv.experiment.sampled import paths

    right = paths.OfBatches.__call__
    monkeypatch.setattr(paths.OfBatches, "__call__", lambda self, drawn: 1.001 * right(self, drawn))
    assert said(case(*METHODS["all rows"])) == {"∇L", "w₁"}
