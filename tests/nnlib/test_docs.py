"""docs/graph.md: its snippets print what it says, and its picture is what the code draws."""

import re
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from matplotlib.image import imread

from nnlib.draw import to_figure

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_snippet_prints_what_stands_below_it():
    page = (DOCS / "graph.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    assert len(snippets) == page.count("```python") == page.count("```text") == 12
    names = {}
    for code, expected in snippets:
        with redirect_stdout(StringIO()) as printed:
            exec(code, names)
        assert printed.getvalue() == expected


def test_the_picture_of_the_network_is_current():
    page = (DOCS / "graph.md").read_text(encoding="utf-8")
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]:
        with redirect_stdout(StringIO()):
            exec(code, names)
    drawn = BytesIO()
    to_figure(names["g"]).savefig(drawn, dpi=150)
    drawn.seek(0)
    now, stored = imread(drawn), imread(DOCS / "network.png")
    assert now.shape == stored.shape
    # Another version of Matplotlib may smooth edges differently.
    assert np.mean(np.abs(now - stored)) < 0.01
