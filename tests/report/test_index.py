"""index.html: what it tells of the studies in a folder, and where its links lead."""

import json
import re
import shutil
from html import unescape
from urllib.parse import unquote

import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step
from gdconv.report.page import index
from gdconv.report.report import main
from gdconv.sweep.sweep import run_study
from gdconv.tables.study import studies_in

DATES = {"early": "2026-01-02T03:04:05+00:00", "late & <b>": "2026-05-06T07:08:09+00:00"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two studies with dates of ours, one that is damaged, and a folder that is none."""
    folder = tmp_path_factory.mktemp("all") / "results"
    for name, started in DATES.items():
        steps = Step(value=(0.5, 2.1) if name == "early" else 1.0)
        run_study(RunConfig(Gaussian(20, 3), step=steps), folder=folder / name)
        path = folder / name / "provenance.json"
        history = json.loads(path.read_text())
        history["commands"][-1] |= {"started": started, "command": ["gdconv", "x=[1, 2]", name]}
        path.write_text(json.dumps(history))
    (folder / "damaged").mkdir()
    (folder / "damaged" / "runs.csv").write_text("no table")
    (folder / "none").mkdir()
    (folder / "late & <b>" / "figures").mkdir()
    for name in ("spectrum", "convergence"):
        (folder / "late & <b>" / "figures" / f"{name}.png").write_bytes(b"")
    (folder / "late & <b>" / "report.html").write_text("")
    return folder


def test_each_study_is_listed_with_what_is_known_of_it(results, capsys):
    assert main([str(results)]) == 0
    assert capsys.readouterr().out == f"index: {results / 'index.html'}\n"
    text = (results / "index.html").read_text()
    late, early, damaged = text.split("<section")[1:]
    assert "3 studies, the one with the latest command first." in text
    for card, name, rest in (
        (late, "late & <b>", "1 run: 1 converged"),
        (early, "early", "2 runs: 1 converged, 1 diverged"),
    ):
        facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", card))
        assert unescape(facts["typed"]).startswith("gdconv 'x=[1, 2]' ")
        assert facts["latest command"] == f"{DATES[name][:10]} {DATES[name][11:16]} UTC"
        assert facts["runs"] == rest
        assert facts["bound holds"] == ("1 of 1" if name != "early" else "2 of 2")
        assert "coursework&#x27;s bound fails" in card
    # The first figure in the order of reports; links hold for any name.
    found = {unquote(each) for each in re.findall('(?:href|src)="([^"]*)"', late)}
    assert found == {"late & <b>/report.html", "late & <b>/figures/convergence.png"}
    assert all((results / each).exists() for each in found)
    assert "<a " not in early
    assert "<code>gdconv-report results/early</code>" in early
    assert "cannot be read" in damaged
    assert "<b>" not in text


def test_the_same_studies_give_the_same_bytes(results, monkeypatch):
    first = index.write(results).read_bytes()
    monkeypatch.chdir(results)
    assert index.write(index.Path()).read_bytes() == first


def test_a_folder_of_studies_takes_no_options_of_one(results, tmp_path, capsys):
    for option in ("--figures=scaling", "--format=pdf", f"--compare={results / 'early'}"):
        assert main([str(results), option]) == 2
        name = option.partition("=")[0]
        assert f"holds studies and is none: {name} takes a study" in capsys.readouterr().err
    assert studies_in(results / "early") == studies_in(tmp_path / "not there") == []
    assert main([str(tmp_path)]) == 2
    assert "has no runs.csv" in capsys.readouterr().err


def test_the_status_of_a_folder_is_that_of_each_study(results, tmp_path, capsys):
    copied = tmp_path / "results"
    for study in studies_in(results):
        if study.name != "damaged":
            shutil.copytree(study, copied / study.name)
    main(["--status", "--json", str(copied)])
    names = [study["folder"] for study in json.loads(capsys.readouterr().out)]
    assert names == [str(study) for study in studies_in(copied)]
    assert len(names) > 1
