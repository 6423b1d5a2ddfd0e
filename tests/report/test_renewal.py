"""What of a report is made again: only what is not there, or was made of something else."""

import re
import shutil

import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import FORMATS, Step
from gdconv.report import parallel, report, stamp
from gdconv.report.figures import NAMES, catalogue
from gdconv.sweep.sweep import run_study

CONFIGS = [RunConfig(Gaussian(30, d), step=Step(value=(0.5, 1.0, 1.9, 2.1))) for d in (3, 8)]
DRAWN = ("convergence", "rate_vs_step", "iterations_heatmap", "scaling", "spectrum", "tightness")
FEW = ("iterations_heatmap", "spectrum")
FIGURES = catalogue.FIGURES

PICTURE = r'src="data:image/svg\+xml;base64,[^"]*'


@pytest.fixture(scope="module", params=[FEW, pytest.param(DRAWN, marks=pytest.mark.slow)], ids=len)
def drawn(request):
    """The figures that reports have: two that are drawn quickly, or all that are possible."""
    kept = [plot for plot in FIGURES if plot.name in request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "FIGURES", kept)
        yield request.param


@pytest.fixture(scope="module")
def made(drawn, tmp_path_factory):
    """A study with its report, as one process makes it."""
    folder = tmp_path_factory.mktemp("results") / "s"
    run_study(CONFIGS, folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "_number_of_helpers", lambda tasks: 0)
        report.write(folder)
    return folder


@pytest.fixture
def study(made, tmp_path):
    return shutil.copytree(made, tmp_path / made.name)


@pytest.fixture
def rendered(monkeypatch):
    """The formats of all figures that are rendered, in this process."""
    formats, render = [], catalogue.rendered
    monkeypatch.setattr(parallel, "_number_of_helpers", lambda tasks: 0)
    monkeypatch.setattr(
        catalogue,
        "rendered",
        lambda figure, suffix: formats.append(suffix) or render(figure, suffix),
    )
    return formats


def state(folder):
    """What the files are: a file that was written anew is another one."""
    return {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_made_again(study, rendered, capsys):
    before = state(study)
    report.renew(study)
    assert report.main([str(study)]) == 0
    assert f"report: {study / 'report.html'}\n" in capsys.readouterr().out
    assert report.main([str(study), "--figures", "iterations_heatmap,spectrum"]) == 0
    assert f"figures: {study / 'figures' / 'spectrum'}.png, .svg\n" in capsys.readouterr().out
    assert rendered == []
    assert state(study) == before


def test_the_figures_are_png_and_svg_by_default(made, drawn):
    names = {path.name for path in (made / "figures").iterdir()}
    assert names == {f"{name}.{suffix}" for name in drawn for suffix in ("png", "svg")}


@pytest.mark.slow
def test_another_format_is_added_and_then_kept_up_to_date(study, made, drawn, rendered):
    before = state(study / "figures")
    report.renew(study, ["pdf"])
    assert rendered == ["pdf"] * len(drawn)
    assert before.items() <= state(study / "figures").items()
    page = (study / "report.html").read_text(encoding="utf-8")
    assert page.count('.pdf">PDF</a>') == len(drawn)
    pictures = re.findall(PICTURE, page)
    assert pictures == re.findall(PICTURE, (made / "report.html").read_text("utf-8"))
    rendered.clear()
    old = contents(study / "figures")
    run_study([*CONFIGS, RunConfig(Gaussian(30, 5), step=CONFIGS[0].step)], folder=study)
    report.renew(study)
    assert sorted(rendered) == sorted(FORMATS * len(drawn))
    new = contents(study / "figures")
    assert new.keys() == old.keys()
    # Of three eigenvalues, or five, no spectrum is drawn.
    assert {name.split(".")[0] for name in new if new[name] == old[name]} == {"spectrum"}


@pytest.mark.slow
def test_a_page_without_its_svg_files_has_the_same_pictures(made, drawn, tmp_path, rendered):
    ignored = shutil.ignore_patterns("figures", "report.html")
    fresh = shutil.copytree(made, tmp_path / made.name, ignore=ignored)
    report.write(fresh, ["png"])
    report.write(fresh, ["pdf"])
    assert {path.suffix for path in (fresh / "figures").iterdir()} == {".png", ".pdf"}
    pages = [(folder / "report.html").read_text(encoding="utf-8") for folder in (fresh, made)]
    one, other = (re.findall(PICTURE, page) for page in pages)
    assert len(one) == len(drawn)
    assert one == other


def changed_figure(study, patch):
    (study / "figures" / "spectrum.png").write_bytes(b"mine")


def lost_figure(study, patch):
    (study / "figures" / "spectrum.png").unlink()


def changed_code(study, patch):
    patch.setattr(stamp, "_software", lambda: "of another version")


def changed_history(study, patch):
    path = study / "provenance.json"
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize("change", [changed_figure, lost_figure, changed_code, changed_history])
@pytest.mark.slow_where(case=lambda change: change is not changed_figure)
def test_all_is_made_again_of_other_sources(study, made, drawn, rendered, monkeypatch, change):
    change(study, monkeypatch)
    assert not report.is_current(study)
    report.renew(study)
    assert sorted(rendered) == sorted(["png", "svg"] * len(drawn))
    assert report.is_current(study)
    assert contents(study / "figures") == contents(made / "figures")


def test_the_software_is_gdconvs_code_and_matplotlibs_version(tmp_path, monkeypatch):
    package = tmp_path / "gdconv"
    shutil.copytree(stamp.Path(stamp.__file__).parents[1], package)
    monkeypatch.setattr(stamp, "__file__", str(package / "report" / "stamp.py"))
    found = [stamp._software.__wrapped__()]
    for name in ("tables/csv.py", "report/page/web/page.css", "report/page/web/plot.js"):
        with (package / name).open("a") as file:
            file.write("\n")
        found.append(stamp._software.__wrapped__())
    monkeypatch.setattr(stamp, "version", lambda name: f"{name} 0.1")
    found.append(stamp._software.__wrapped__())
    assert len(set(found)) == len(found)


def test_one_process_and_several_make_the_same_bytes(made, tmp_path, monkeypatch):
    ignored = shutil.ignore_patterns("figures", "report.html")
    fresh = shutil.copytree(made, tmp_path / made.name, ignore=ignored)
    monkeypatch.setattr(parallel, "_number_of_helpers", lambda tasks: 2)
    report.write(fresh)
    assert contents(fresh) == contents(made)


def test_a_format_has_the_same_bytes_alone_and_with_others(study, made, tmp_path):
    ignored = shutil.ignore_patterns("figures", "report.html")
    fresh = shutil.copytree(made, tmp_path / "fresh" / made.name, ignore=ignored)
    report.write(fresh, FORMATS)
    report.write(study, ["pdf"])
    assert contents(fresh) == contents(study)


def test_a_cell_that_is_read_only_when_it_is_drawn_may_be_refused(study, capsys):
    lines = (study / "curves.csv").read_bytes().splitlines(keepends=True)
    cells = lines[8].split(b",")
    cells[6] = b"many"
    (study / "curves.csv").write_bytes(b"".join([*lines[:8], b",".join(cells), *lines[9:]]))
    before = state(study)
    assert report.main([str(study)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"gdconv-report: {study}: curves.csv: ")
    assert "many" in err
    assert err.count("\n") == 1
    assert state(study) == before


def test_every_figure_has_its_name():
    assert [plot.name for plot in FIGURES] == list(NAMES)
