"""The README's table of keys and its Python example are those of the code."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gdconv.config import ENGINES, METHODS, PROBLEMS, STARTS, Record, RunConfig, Step, StudyConfig

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def declared():
    """Key → default of every key that has a rule."""
    kinds = [*PROBLEMS.values(), *STARTS.values(), *METHODS.values(), *ENGINES.values()]
    return {
        kind.prefix + field.name: field.default
        for kind in [*kinds, Step, Record, RunConfig, StudyConfig]
        for field in fields(kind)
        if "rule" in field.metadata
    }


def test_the_table_of_keys_is_complete_and_has_the_defaults():
    section = README.partition("### Configuration keys")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \|(.*?)\|", section, re.MULTILINE)
    table = {key: default.strip("` ") for key, default in rows}
    for key, default in declared().items():
        if isinstance(default, bool) or default is None:
            assert table[key] == {True: "true", False: "false", None: ""}[default]
        elif isinstance(default, str):
            assert table[key] == default
        else:
            assert float(table[key]) == default
    choices = {"problem": PROBLEMS, "start": STARTS, "method": METHODS, "engine": ENGINES}
    assert table.keys() == declared().keys() | choices.keys() | {"experiment"}
    for group, kinds in choices.items():
        row = section.partition(f"| `{group}` |")[2].partition("\n")[0]
        assert all(f"`{name}`" in row for name in kinds)


def shown_by(example):
    """The value of an example's last line."""
    *statements, expression = example.strip().splitlines()
    names = {}
    exec("\n".join(statements), names)
    return eval(expression, names)


def test_the_python_examples_run():
    study, network = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    value, gradient = shown_by(network)
    assert value.tolist() == [[23, 36]]
    assert gradient.tolist() == [[0, 3, 5], [0, -6, -10]]
    shown = shown_by(study)
    assert shown.relative_step.tolist() == pytest.approx([0.5, 1.0, 1.9], rel=1e-15)
    assert shown.rate_measured.to_numpy() == pytest.approx(shown.rate_predicted, rel=0.05)
