"""docs/python.md: its examples run one after the other, and print what stands below them."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gdconv

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
# A block of code, and the text that it prints, if it prints any.
BLOCKS = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What each block prints, and the names that all of them leave."""
    folder, names, printed = tmp_path_factory.mktemp("page"), {"__name__": "__main__"}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MPLBACKEND", "agg")
        for code, _ in BLOCKS:
            with redirect_stdout(StringIO()) as output:
                exec(code, names)
            printed.append(output.getvalue())
    return folder, names, printed


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_prints_what_stands_below_it(page, number):
    assert page[2][number] == BLOCKS[number][1]


def test_its_results_are_right(page):
    folder, names, _ = page
    frame, fit = names["frame"], names["fit"]
    features = frame[["height", "width"]]
    centred = (features - features.mean()) / features.std(ddof=0)
    expected = np.linalg.lstsq(np.column_stack([centred, np.ones(60)]), frame.price)[0]
    assert fit.coefficients.coefficient.to_numpy() == pytest.approx(expected, rel=1e-9)
    assert names["exact"].runs.condition_number[0] == pytest.approx(
        np.linalg.cond(names["X"]) ** 2, rel=1e-9
    )
    # A line is unbroken if all that is empty stands at its end.
    gaps = names["gaps"]
    for column in gaps:
        assert gaps[column].first_valid_index() == 0
        assert gaps[column].loc[: gaps[column].last_valid_index()].notna().all()
    assert names["axes"].get_yscale() == "log"
    assert names["column"].get_figwidth() == pytest.approx(3.3)
    for name in ("convergence.pdf", "rate.pdf"):
        assert (folder / name).read_bytes().startswith(b"%PDF")
    assert len(pd.read_csv(folder / "results" / "steps" / "runs.csv")) == 5


def test_every_name_that_can_be_imported_is_on_the_page():
    # Serial is what runs if no engine is given.
    assert [name for name in gdconv.__all__ if not re.search(rf"\b{name}\b", PAGE)] == ["Serial"]
