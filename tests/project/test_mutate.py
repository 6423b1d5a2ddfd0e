"""The script scripts/mutate.py: which operators and constants it changes."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("mutate", ROOT / "scripts" / "mutate.py")
mutate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutate)


def test_every_file_of_nnlib_has_its_tests():
    files = {f"nnlib/{path.name}" for path in (ROOT / "nnlib").glob("*.py")}
    assert files - {"nnlib/__init__.py", "nnlib/cases.py"} == {
        file for file in mutate.TESTS if file.startswith("nnlib/")
    }
    for file, tests in mutate.TESTS.items():
        assert (ROOT / file).exists()
        assert all((ROOT / "tests" / f"{test}.py").exists() for test in tests)


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("a + b * -c", ["a - b * -c", "a + b / -c", "a + b * +c"]),
        ("x ** 2", ["x * 2", "x ** 3"]),
        ("a <= b < c", ["a < b < c", "a <= b <= c"]),
        ("a and (not b)", ["a or not b", "a and (not not b)"]),
        ("f(0, 1.5, True, None, 'text')", ["f(1, 1.5, True, None, 'text')"]),
        ("x: int | None = 0", ["x: int | None = 1"]),
        ("a += 1", ["a -= 1", "a += 2"]),
        ("zip(a, b, strict=True)", []),
        ('"""Text."""', []),
    ],
)
def test_what_is_changed(tmp_path, monkeypatch, source, changes):
    (tmp_path / "file.py").write_text(source)
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    found = [mutant.source for mutant in mutate.mutants("file.py")]
    assert found[: len(changes)] == changes
    assert len(found) == len(set(found))
