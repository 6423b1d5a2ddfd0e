"""Several tables of a user in one study: tables, figures and page tell them apart by content."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gdconv.config.problems import Gaussian, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step, StudyConfig
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.report import compare, report
from gdconv.report.figures import catalogue as figures
from gdconv.report.page import explorer
from gdconv.report.page.document import page
from gdconv.report.settings import settings, with_files
from gdconv.report.summary import summary
from gdconv.sweep.sweep import run_study, run_sweep
from gdconv.tables.columns import COLUMNS
from gdconv.tables.csv import read

DATA = Path(__file__).parents[1] / "data"
# The same X and so the same κ, another y: at the best w the loss of one is 1.8, of the other 66.7.
ONE, TWO = DATA / "merge_1.csv", DATA / "merge_2.csv"
STEPS = (0.5, 1.0, 1.9)


def config(path, target="y", steps=STEPS):
    method = GradientDescent(iterations=300)
    return RunConfig(Table(str(path), target), method=method, step=Step(value=steps))


def random_table(path, seed):
    """A table whose problem has the eight eigenvalues that a spectrum needs."""
    lines = [",".join([*(f"x{j}" for j in range(8)), "y"])]
    for i in range(30):
        lines.append(",".join(str((i * (j + 3) ** 2 + seed * j) % 31) for j in range(9)))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "merge"
    run_study([config(ONE), config(TWO)], folder=folder)
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    return read(folder)


def titles_of(tables, name):
    drawn, omitted = figures.draw(tables, [name])
    assert omitted == {}
    figure = drawn[name]
    return [ax.get_title().replace("\n", " ") for ax in figure.axes if ax.get_title()]


def files_of(folder):
    return json.loads((folder / "provenance.json").read_text())["files"]


def test_the_table_of_runs_tells_two_files_apart(tables):
    runs = tables.runs
    assert runs.groupby("file").loss_star.median().to_dict() == {
        "merge_1.csv": pytest.approx(1.8, rel=1e-12),
        "merge_2.csv": pytest.approx(66.7, rel=1e-12),
    }
    assert runs.groupby("file").content.nunique().tolist() == [1, 1]
    assert runs.content.nunique() == 2
    assert all(re.fullmatch(r"[0-9a-f]{8}", content) for content in runs.content)
    assert run_study(RunConfig(Gaussian(12, 3))).runs[["content", "file"]].isna().all(axis=None)


def test_the_summary_has_a_row_a_file(folder):
    lines = summary(folder).splitlines()
    assert [line.split()[:4] for line in lines[2:]] == [
        ["problem", "file", "n", "d"],
        ["table", "merge_1.csv", "4", "2"],
        ["table", "merge_2.csv", "4", "2"],
    ]
    first = read(folder).runs.run_id[:1]
    assert "table merge_2.csv, n_samples 4" in summary(folder, run_ids=first)


@pytest.mark.parametrize("name", ["convergence", "rate_vs_step", "tightness"])
def test_figures_have_panels_for_each_file(tables, name):
    titles = titles_of(tables, name)
    named = [title.split(",")[0] for title in titles]
    each = 3 if name == "tightness" else 1
    assert named == ["merge_1.csv"] * each + ["merge_2.csv"] * each


@pytest.mark.slow
def test_a_spectrum_is_that_of_one_file(tmp_path):
    paths = [random_table(tmp_path / name / "a$b_c.csv", seed) for seed, name in enumerate("xy")]
    tables = run_study([config(path, steps=1.0) for path in paths])
    contents = sorted(tables.runs.content)
    titles = titles_of(tables, "spectrum")
    assert [title.split(",")[0] for title in titles] == [
        rf"a\$b_c.csv ({content})" for content in contents
    ]
    assert all("one draw" in figures.draw(tables)[0]["spectrum"].get_suptitle() for _ in titles)


def test_files_are_no_family_that_grows(tmp_path):
    """Of tables that differ in their number of columns it is not d alone that varies."""
    small = tmp_path / "small.csv"
    small.write_text("a,b,y\n1,2,3\n2,5,1\n3,1,1\n4,4,0\n")
    _, omitted = figures.draw(run_study([config(ONE), config(small)]), ["scaling"])
    assert omitted["scaling"].startswith("no two problems differ only in n_features")


def test_the_page_names_the_files(folder, tables):
    text = page(folder, tables, {}, {})
    data = json.loads(explorer.embedded(tables))
    labels = [problem["label"] for problem in data["problems"]]
    assert sorted(labels) == [f"table merge_{k}.csv 4 × 2, κ = 55.78" for k in (1, 2)]
    column = data["table"]["columns"].index("file")
    assert data["table"]["kinds"][column] == "string"
    assert {row[column] for row in data["table"]["rows"]} == {"merge_1.csv", "merge_2.csv"}
    assert "<dt>file</dt><dd>merge_1.csv, merge_2.csv</dd>" in text
    assert ": table merge_" in text
    assert "<td class=text>merge_1.csv</td>" in text


def test_one_file_under_two_names_is_one_problem(tmp_path):
    copy = shutil.copy(ONE, tmp_path / "copy.csv")
    tables = run_study([config(ONE), config(copy)], folder=tmp_path / "s")
    assert len(tables.runs) == len(STEPS)
    (content,) = set(tables.runs.content)
    assert files_of(tmp_path / "s") == {content: ["merge_1.csv", "copy.csv"]}
    assert set(tables.runs.file) == {"merge_1.csv = copy.csv"}
    assert "table   merge_1.csv = copy.csv " in summary(tmp_path / "s")
    # A figure has room for one of them.
    drawn, _ = figures.draw(tables, ["convergence"])
    assert drawn["convergence"].get_suptitle().startswith("table, merge_1.csv, ")


def test_a_name_is_noted_also_if_there_is_nothing_to_run(tmp_path):
    study = StudyConfig(study="s", results_dir=str(tmp_path))
    folder = run_sweep([config(ONE)], study).folder
    before = {path: path.read_bytes() for path in folder.iterdir()}
    copy = shutil.copy(ONE, tmp_path / "copy.csv")
    assert run_sweep([config(copy)], study).added == 0
    assert list(files_of(folder).values()) == [["merge_1.csv", "copy.csv"]]
    changed = [path.name for path in before if path.read_bytes() != before[path]]
    assert changed == ["provenance.json"]
    # A name that is known changes nothing.
    stamp = (folder / "provenance.json").stat().st_mtime_ns
    assert run_sweep([config(ONE)], study).added == 0
    assert (folder / "provenance.json").stat().st_mtime_ns == stamp


def test_the_bytes_of_the_tables_depend_on_no_name(tmp_path, folder):
    (tmp_path / "elsewhere").mkdir()
    paths = [shutil.copy(path, tmp_path / "elsewhere" / f"z_{path.name}") for path in (TWO, ONE)]
    other = tmp_path / "other"
    run_study([config(path) for path in paths], folder=other)
    for name in COLUMNS:
        assert (other / f"{name}.csv").read_bytes() == (folder / f"{name}.csv").read_bytes()


def test_no_folder_of_the_user_is_told(tmp_path, folder):
    assert [*files_of(folder).values()] == [["merge_1.csv"], ["merge_2.csv"]]
    (folder / "config.yaml").rename(tmp_path / "config.yaml")
    text = page(folder, read(folder), {}, {})
    (tmp_path / "config.yaml").rename(folder / "config.yaml")
    for told in (text, (folder / "provenance.json").read_text(), summary(folder)):
        assert str(DATA) not in told


def test_the_content_stands_beside_a_name_that_two_files_have(tmp_path):
    for source, name in ((ONE, "x"), (TWO, "y")):
        (tmp_path / name).mkdir()
        shutil.copy(source, tmp_path / name / "data.csv")
    configs = [config(tmp_path / name / "data.csv") for name in "xy"]
    run_study([*configs, config(DATA / "diabetes.csv", "progression", 1.0)], folder=tmp_path / "s")
    tables = read(tmp_path / "s")
    runs = with_files(tables.runs)
    named = runs[["content", "file"]].drop_duplicates().set_index("content").file
    assert sorted(named) == [
        *sorted(f"data.csv ({content})" for content in named.index if named[content][1] == "a"),
        "diabetes.csv",
    ]
    titles = [title.split(",")[0] for title in titles_of(tables, "rate_vs_step")]
    assert titles == [name for name in sorted(named) if name != "diabetes.csv"]
    lines = summary(tmp_path / "s").splitlines()
    assert [name in line for name, line in zip(sorted(named), lines[-3:], strict=True)] == [
        True
    ] * 3
    # Also where this command's runs alone would need no more than the name.
    one = runs.run_id[runs.file == sorted(named)[0]]
    assert sorted(named)[0] in summary(tmp_path / "s", run_ids=one)


def test_without_a_name_the_content_is_told(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for text in (None, "{", "[]", '{"files": []}', '{"files": {"a": "b"}}', "[" * 10**5):
        (copy / "provenance.json").unlink(missing_ok=True)
        if text:
            (copy / "provenance.json").write_text(text)
        tables = read(copy)
        assert tables.runs.file.isna().all()
        assert set(with_files(tables.runs).file) == set(tables.runs.content)
        assert [len(group) for _, group in settings(tables.runs)] == [3, 3]
    assert all(content in summary(copy) for content in tables.runs.content)


def test_names_do_not_steer_the_terminal_and_are_no_longer_than_they_need(tables):
    runs = tables.runs
    first, second = sorted(set(runs.content))

    def called(*names):
        each = dict(zip((first, second), names, strict=True))
        found = with_files(runs.assign(file=runs.content.map(each))).groupby("content").file.first()
        return found[first], found[second]

    assert called("a\x1b[31m\n.csv", "b.csv") == ("a?[31m?.csv", "b.csv")
    long = "measurements_of_the_year_2024_{}.csv"
    assert called(long.format("a"), long.format("b")) == (
        *("measurements_…ear_2024_a.csv", "measurements_…ear_2024_b.csv"),
    )
    # Where they differ in what is left out.
    middle = "measurements_{}_of_the_year_2024.csv"
    short = "measurements_…_year_2024.csv"
    assert called(middle.format("may"), middle.format("june")) == (
        *(f"{short} ({first})", f"{short} ({second})"),
    )
    assert called("a = b = c = d", "e") == ("a = b and 2 more", "e")


def test_a_figure_shows_the_content_of_a_file_whose_name_its_font_cannot_write(tables):
    runs = tables.runs.assign(file=tables.runs.file.str.replace("merge_1", "日本"))
    (content,) = set(runs.content[runs.file == "日本.csv"])
    titles = titles_of(tables._replace(runs=runs), "rate_vs_step")
    assert {title.split(",")[0] for title in titles} == {content, "merge_2.csv"}


def test_two_studies_are_compared_by_content(tmp_path, folder):
    """A table that was changed is another one, under the same name; a copy is the same."""
    changed, copy = tmp_path / "merge_1.csv", tmp_path / "copy.csv"
    shutil.copy(TWO, changed)
    shutil.copy(ONE, copy)
    other = tmp_path / "other"
    tables = read(folder), run_study([config(changed), config(copy)], folder=other)
    labels = compare.labels([folder, other])
    table = compare.differences(*tables, labels)
    assert set(table.found_in) == {"both"}
    assert (table.rate_measured_difference.dropna() == 0).all()
    one, two = (
        "merge_1.csv = copy.csv ({})".format(
            table.content[table.file.str.contains("copy")].iloc[0]
        ),
        "merge_2.csv = merge_1.csv ({})".format(
            table.content[table.file.str.contains("merge_2")].iloc[0]
        ),
    )
    assert set(table.file) == {one, two}
    said = compare.describe(table, labels)
    assert one in said
    assert two in said
    drawn, _ = figures.draw(compare.together(tables, labels), ["rate_vs_step"])
    titles = [ax.get_title() for ax in drawn["rate_vs_step"].axes]
    assert len(titles) == 4
    assert len(set(titles)) == 4


def test_targets_that_differ_in_one_word_are_two_problems(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,blood pressure,blood sugar\n1,2,3\n2,5,1\n3,1,1\n4,4,0\n")
    long = "x" * 90
    (tmp_path / "long.csv").write_text(f"a,{long}1,{long}2\n1,2,3\n2,5,1\n3,1,1\n4,4,0\n")
    tables = run_study([config(path, f"blood {what}", 1.0) for what in ("pressure", "sugar")])
    options = [setting["problem_options"] for setting, _ in settings(tables.runs)]
    assert options == ["target=blood pressure", "target=blood sugar"]
    more = run_study([config(tmp_path / "long.csv", f"{long}{k}", 1.0) for k in (1, 2)])
    assert len(settings(more.runs)) == 2


@pytest.mark.slow
def test_the_command_sweeps_two_files(tmp_path):
    for path in (ONE, TWO):
        shutil.copy(path, tmp_path)
    command = "-m problem=csv problem.path=merge_1.csv,merge_2.csv problem.target=y study=m"
    gdconv = Path(sys.executable).with_name("gdconv")
    done = subprocess.run(
        [gdconv, *command.split(), "report=false"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[3:]] == [
        "merge_1.csv",
        "merge_2.csv",
    ]
    assert report.main([str(tmp_path / "results" / "m"), "--figures", "gallery"]) == 0
