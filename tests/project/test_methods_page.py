"""docs/methods.md: its Python blocks print what they show, and its commands pass and say so."""

import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from gdconv.config.sections import METHODS
from gdconv.methods.protocol import Choosing

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```\n", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^    (gdconv.*)$", PAGE, re.MULTILINE)
SCRIPTS = Path(sys.executable).parent


def test_every_method_has_a_section_with_a_command():
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    headings = {
        "gradient_descent": ["Gradient descent"],
        "heavy_ball": ["Heavy ball"],
        "nesterov": [
            "Nesterov's method with constant momentum",
            "Nesterov's method with growing momentum",
        ],
        "chebyshev": ["Chebyshev's method"],
        "marchenko_pastur": ["The best method on average"],
        "steepest_descent": ["Steepest descent"],
        "polyak": ["Polyak's step"],
        "barzilai_borwein": ["Barzilai and Borwein's step"],
        "conjugate_gradient": ["Conjugate gradients"],
    }
    # Methods that a user adds may be in the list, too.
    assert headings.keys() <= METHODS.keys()
    for method, wanted in headings.items():
        parts = ["**Update.**", "**What is proved.**"]
        if not issubclass(METHODS[method], Choosing):
            parts = [] if method == "chebyshev" else ["**Polynomial.**"]
        for heading in wanted:
            (text,) = (each for each in sections if each.startswith(f"{heading}\n"))
            assert re.search(r"^    gdconv-verify ", text, re.MULTILINE), heading
            for part in (*parts, "**Figure", "**Source.**"):
                assert part in text, (heading, part)


def numbers(text):
    return [float(each) for each in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


@pytest.mark.parametrize(("code", "shown"), BLOCKS)
def test_blocks_print_what_stands_below_them(code, shown):
    with redirect_stdout(StringIO()) as printed:
        exec(code, {})
    found = printed.getvalue()
    assert [re.sub(r"[\d.e-]+", "#", line) for line in found.splitlines()] == [
        re.sub(r"[\d.e-]+", "#", line) for line in shown.splitlines()
    ]
    # What is only rounding depends on the processor.
    assert numbers(found) == pytest.approx(numbers(shown), rel=1e-6, abs=1e-14)


def test_every_block_is_run():
    assert len(BLOCKS) == PAGE.count("```python") == PAGE.count("```text")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def printed(folder):
    """What each command prints."""
    outputs = {}
    for command in COMMANDS:
        words = shlex.split(command)
        done = subprocess.run(
            [SCRIPTS / words[0], *words[1:]], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        outputs[command] = done.stdout
    return outputs


@pytest.mark.slow
def test_every_true_statement_holds(printed):
    checked = [text for command, text in printed.items() if command.startswith("gdconv-verify")]
    assert len(checked) == len(COMMANDS) - 3
    assert not any("FAIL" in text for text in checked)


def gaps(text):
    """The gap at each iteration of a table."""
    heading = re.search(r"^ +t +gap .*$", text, re.MULTILINE)
    rows = [line.split() for line in text[heading.end() :].splitlines() if line.strip()]
    return {int(row[0]): float(row[1]) for row in rows}


@pytest.mark.slow
def test_the_transient_growth_is_as_told(printed):
    full, averaged = (
        gaps(text) for command, text in printed.items() if "start=eigenvector" in command
    )
    (told,) = re.findall(r"the gap at t = 3 is (\S+) times the gap at the start", PAGE)
    assert full[3] / full[0] == pytest.approx(float(told), rel=0.01)
    times = sorted(averaged)
    assert all(averaged[t] > averaged[s] for t, s in pairwise(times))


@pytest.mark.slow
def test_limits_are_as_told(printed):
    def slack(command, row):
        (line,) = re.findall(
            rf"^{row} .*it converges if and only if .*\(slack\) +(\S+) .* holds: (.*)$",
            command,
            re.M,
        )
        slack, outcome = line
        assert outcome == ("it converges" if float(slack) > 0 else "it does not converge")
        return float(slack)

    (nesterov,) = (
        text
        for command, text in printed.items()
        if "step.value=1.5" in command and "nesterov" in command
    )
    assert slack(nesterov, "η") < 0
    converges = [
        slack(text, r"a \+ b") > 0
        for command, text in printed.items()
        if "verify" in command and "chebyshev" in command
    ]
    assert converges == [True, True, False]


@pytest.mark.slow
def test_predictions_are_as_told(printed):
    (text,) = (text for command, text in printed.items() if "study=four" in command)
    for method in ("gradient_descent", "heavy_ball", "nesterov", "chebyshev"):
        assert re.search(rf"^spectrum .* {method} ", text, re.MULTILINE)
    assert re.search(r"gradient_descent .* 346 ", text)
    assert re.search(r"heavy_ball .* 5[89] ", text)


@pytest.mark.slow
def test_conjugate_gradients_end_and_are_delayed_as_told(printed, folder):
    (two,) = (gaps(text) for command, text in printed.items() if "two_point" in command)
    assert two[1] > 1e-6 * two[0]
    assert two[2] < 1e-20 * two[0]
    runs = pd.read_csv(folder / "results" / "delay" / "runs.csv")
    (told,) = re.findall(r"column `delayed_at` is about (\d+)", PAGE)
    assert runs["delayed_at"].tolist() == pytest.approx([int(told)], abs=5)
    assert runs["bound_holds"].tolist() == [True]
