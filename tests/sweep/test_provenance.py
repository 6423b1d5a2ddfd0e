"""What config.yaml and provenance.json say: values that can be typed again, and the commit."""

import os
import subprocess

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from gdconv.config.problems import Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import StudyConfig
from gdconv.sweep import provenance


@pytest.mark.parametrize(
    "target",
    [
        *("y", "Smith, J", "it's", 'say "y"', "a\\b", "a\\", "a\\\\", "\\'", "\\\\'x\\", "'"),
        *("2020", "1e5", "1_0", "0x10", "true", "NULL", "inf", "nan", "nano", "on", "yes"),
        *("a=b", "x y", "[1]", "{a: 1}", "a:b", "größe", "-", "+1", "~/a.csv", "$", "#", "12:30"),
    ],
)
def test_what_config_yaml_says_can_be_typed(target):
    configs = [RunConfig(Table(path="a.csv", target=name)) for name in (target, "other")]
    text = provenance.configuration(configs, StudyConfig())
    word, _ = yaml.safe_load(text)["jobs"]
    parsed = OverridesParser.create().parse_override(word)
    assert (parsed.key_or_group, parsed.value()) == ("problem.target", target)


def test_the_commit_of_a_checkout_and_whether_files_differ(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    module = tmp_path / "gdconv" / "sweep" / "provenance.py"
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance.environment()["commit"] is None
    git("init")
    # A repository without a commit.
    assert provenance.environment()["commit"] is None
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "one")
    commit = provenance.environment()["commit"]
    assert len(commit) == 40
    # Git's own files are left as they are: a lock on them might be left too.
    os.utime(tmp_path / "file", (0, 0))
    index = (tmp_path / ".git" / "index").read_bytes()
    assert provenance.environment()["commit"] == commit
    assert (tmp_path / ".git" / "index").read_bytes() == index
    (tmp_path / "file").write_text("2")
    assert provenance.environment()["commit"] == f"{commit}+"
