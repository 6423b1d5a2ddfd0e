"""How tests are run: what scripts/test.py leaves out, and that each file says what it tests."""

import ast
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_a_file_says_in_a_sentence_what_it_tests(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, "has no docstring"
    sentence = text.partition("\n")[0]
    assert sentence.endswith(".")
    assert len(sentence.split()) >= 6


ALL_CORES = ["-n", "auto", "--dist", "worksteal"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [*ALL_CORES, "-m", "not slow"]),
        (["--all"], ALL_CORES),
        (["--all", "--trials", "10"], [*ALL_CORES, "--trials", "10"]),
        (["tests/cli"], ["tests/cli"]),
        (["-k", "lock", "-x"], ["-k", "lock", "-x"]),
    ],
)
def test_slow_tests_are_left_out_only_without_arguments(given, expected, monkeypatch):
    # It imports scripts/study.py.
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = runpy.run_path(str(ROOT / "scripts" / "test.py"))
    assert script["arguments_of_pytest"](given) == expected
