"""What tests of commands share: the command, run in this process and in an empty folder."""

import sys

import pytest
from hydra.core.hydra_config import HydraConfig

from gdconv.cli import main as cli
from gdconv.cli.composition import compose


@pytest.fixture
def gdconv(tmp_path, monkeypatch, capsys, hydras_logging, quick_hydra):
    """Run the command and return its exit status and what it says, or only compose its jobs."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, composed=False, command=cli.main):
        monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
        monkeypatch.setattr(sys, "argv", ["gdconv", *arguments])
        if composed:
            return [config for config, _ in compose()]
        capsys.readouterr()
        status = command()
        return status, capsys.readouterr().err

    return run
