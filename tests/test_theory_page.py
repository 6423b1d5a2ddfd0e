"""docs/theory.md: it names the functions there are, and its example by hand is what happens."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gdconv import identities
from gdconv.descent import descend
from gdconv.objective import Objective
from gdconv.problems import LeastSquares

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "theory.md").read_text(encoding="utf-8")


def test_every_check_is_named_and_every_name_is_a_check():
    named = set(re.findall(r"`identities\.(\w+)`", PAGE))
    assert named == {function.__name__ for function in identities.EQUATIONS}


def test_links_within_the_page_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#(.*?)\)", PAGE)) <= anchors


@pytest.mark.parametrize(
    ("K", "losses"),
    [
        (Fraction(9, 2), [Fraction(4), Fraction(196, 81)]),
        (Fraction(3), [Fraction(4), Fraction(100, 9), Fraction(2500, 81)]),
        (Fraction(4), [Fraction(4)] * 5),
    ],
)
def test_the_example_by_hand(K, losses):
    objective = Objective(LeastSquares(np.diag([1.0, 2.0]), np.zeros(2)), "none")
    found = []
    descend(
        objective,
        np.array([0.0, 1.0]),
        np.array([float(1 / K)]),
        len(losses) - 1,
        lambda t, columns, W, residual: found.append(float(np.sum(residual[:, 0] ** 2))),
    )
    # A few roundings of numbers of the size of 1.
    assert found == pytest.approx([float(loss) for loss in losses], rel=1e-14)
