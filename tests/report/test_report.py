"""The report: page and summary show what the CSV files say, and bad folders are refused."""

import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from itertools import product

import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import FORMATS, Record, Step
from gdconv.report import report
from gdconv.report.figures import catalogue
from gdconv.report.forms import text
from gdconv.report.page import explorer
from gdconv.report.summary import summary
from gdconv.sweep.sweep import run_study
from gdconv.tables import csv as csv_tables
from gdconv.tables.columns import COLUMNS
from gdconv.tables.csv import header

STEPS = (0.3, 0.7, 1.0, 1.4, 1.8, 2.1)
# The figures that a study of two sizes with these steps has.
DRAWN = ("convergence", "rate_vs_step", "iterations_heatmap", "scaling", "spectrum", "tightness")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "sizes"
    configs = [RunConfig(Gaussian(60, d), step=Step(value=STEPS), repetitions=3) for d in (4, 9)]
    run_study(configs, folder=folder)
    report.write(folder, FORMATS)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def rows_of(folder):
    with (folder / "runs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def make_study(folder, *runs):
    """A study of runs given by a few cells, without curves: no figure can be drawn of it."""
    folder.mkdir()
    for name in COLUMNS:
        (folder / f"{name}.csv").write_bytes(header(name))
    with (folder / "runs.csv").open("a", newline="") as file:
        csv.DictWriter(file, COLUMNS["runs"], restval="", lineterminator="\n").writerows(runs)
    return folder


def run(number=0, **cells):
    known = {
        "run_id": f"{number:016x}",
        "status": "converged",
        "problem": "gaussian",
        "n_samples": 60,
        "n_features": 4,
        "seed": 0,
        "repetition": 0,
        "step_unit": "lambda_max",
        "step_value": 1.0,
        "relative_step": 1.0,
    }
    return known | cells


class Page(HTMLParser):
    """Tables as lists of rows of text, every tag with its attributes, and the embedded data."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.tags, self.open = [], [], []
        self.scripts = []
        self.feed(text)
        assert self.open == []
        self.data = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "wbr", "input"}:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] == "script":
            self.scripts[-1] += data

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_stands_alone(page):
    for tag, attributes in Page(page).tags:
        assert tag not in {"iframe", "object", "embed"}
        for name in ("src", "srcset", "href"):
            value = attributes.get(name, "")
            assert value.startswith("data:") or (tag == "a" and ":" not in value) or not value
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"https?:|url\(|@import", page)
    assert page.count('src="data:image/svg+xml;base64,') == len(DRAWN)


def test_links_lead_to_files_of_the_study(folder, page):
    links = {attributes["href"] for tag, attributes in Page(page).tags if tag == "a"}
    assert {"runs.csv", "curves.csv", "eigenvalues.csv"} <= links
    assert {"config.yaml", "provenance.json", "figures/rate_vs_step.pdf"} <= links
    inside = {f"#{attributes['id']}" for _, attributes in Page(page).tags if "id" in attributes}
    assert all((folder / link).is_file() or link in inside for link in links)


def test_the_page_says_what_was_run_and_how_it_ended(folder, page):
    rows = rows_of(folder)
    statuses = [row["status"] for row in rows]
    assert "<dt>runs</dt><dd><strong>36</strong>" in page
    assert f"{statuses.count('converged')} converged, 6 diverged" in page
    held = sum(row["bound_holds"] == "True" for row in rows)
    broken = sum(row["bound_coursework_holds"] == "False" for row in rows)
    assert 0 < broken < 36
    assert f"<dt>bound holds</dt><dd><strong>{held} of 36</strong><span>runs with a verdict" in page
    assert f"bound fails</dt><dd><strong>{broken} of 36</strong><span>runs with a verdict" in page
    differences = {
        abs(float(row["rate_measured"]) - float(row["rate_predicted"])): row["run_id"]
        for row in rows
    }
    assert (
        f"<strong>{max(differences):.5g}</strong><span>run {differences[max(differences)]}" in page
    )
    assert "<dt>number of features d</dt><dd>4, 9</dd>" in page
    assert "<dt>step value</dt><dd>0.3, 0.7, 1, 1.4, 1.8, 2.1</dd>" in page
    assert "<dt>relative step ηλmax</dt><dd>from 0.3 to 2.1</dd>" in page
    assert "problem.n_features=4" in page
    assert "&quot;schema_version&quot;" in page


def test_the_page_shows_the_runs_with_the_names_of_the_csv(folder, page):
    known = Page(page)
    summary = known.tables[1]
    assert len(summary) == 1 + 2
    names, rows = known.data["table"]["columns"], rows_of(folder)
    assert set(names) < COLUMNS["runs"].keys()
    headings = dict(zip(names, known.data["table"]["headings"], strict=True))
    assert (headings["n_features"], headings["condition_number"]) == ("d", "κ")
    assert headings["iterations_to_tolerance"] == "iterations to tolerance"
    assert known.data["table"]["kinds"] == [COLUMNS["runs"][name] for name in names]
    for shown, row in zip(known.data["table"]["rows"], rows, strict=True):
        cells = dict(zip(names, shown, strict=True))
        assert cells["status"] == row["status"]
        assert cells["rate_measured"] == pytest.approx(float(row["rate_measured"]), rel=1e-4)
        assert cells["bound_holds"] == (row["bound_holds"] == "True")
        reached = row["iterations_to_tolerance"]
        assert cells["iterations_to_tolerance"] == (int(reached) if reached else None)


def test_captions_stand_below_their_figures(page):
    assert page.count("<figcaption><strong>") == len(DRAWN)
    assert page.index("<strong>convergence</strong>") < page.index("<strong>rate_vs_step</strong>")
    assert "‖w₀ − w*‖²" in page


@pytest.mark.slow
def test_the_same_files_give_the_same_page(folder, tmp_path):
    copy = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("figures", "report.html"))
    for path in copy.iterdir():
        os.utime(path, (0, 0))
    assert report.write(copy, FORMATS) == copy / "report.html"
    assert (copy / "report.html").read_bytes() == (folder / "report.html").read_bytes()
    assert {path.name for path in (copy / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in DRAWN for suffix in FORMATS
    }


def test_the_summary_has_a_row_for_each_size_with_the_numbers_of_the_csv(folder):
    first, *headings, four, nine = summary(folder).splitlines()
    statuses = [row["status"] for row in rows_of(folder)]
    assert first == f"{folder}: 36 runs: {statuses.count('converged')} converged, 6 diverged"
    assert len(headings) == 2
    for line, d in ((four, "4"), (nine, "9")):
        rows = [row for row in rows_of(folder) if row["n_features"] == d]
        medians = {}
        for step in STEPS:
            same = [row for row in rows if float(row["step_value"]) == step]
            counts = [float(row["iterations_to_tolerance"] or "inf") for row in same]
            predicted = [float(row["iterations_predicted"] or "inf") for row in same]
            medians[statistics.median(counts), statistics.median(predicted)] = step
        measured, predicted = min(medians)
        kappa = statistics.median(float(row["condition_number"]) for row in rows)
        broken = sum(row["bound_coursework_holds"] == "False" for row in rows)
        converged = sum(row["status"] == "converged" for row in rows)
        assert line.split() == [
            *("gaussian", "60", d, "18", str(converged), "3", "0", f"{kappa:.4g}"),
            *(f"{medians[measured, predicted]:.4g}", f"{measured:g}", f"{predicted:g}"),
            *("18/18", f"{broken}/18"),
        ]


def test_columns_are_aligned_and_narrow(tmp_path):
    wide = [
        run(
            number,
            n_samples=10**7,
            n_features=1000,
            noise=number / 8,
            condition_number=1.2345e19,
            iterations_to_tolerance=123456789,
            iterations_predicted=1234567890,
            bound_holds=True,
            bound_coursework_holds=False,
        )
        for number in range(3)
    ]
    for name, runs in (("wide", wide), ("plain", [run(0), run(1, n_features=12)])):
        lines = summary(make_study(tmp_path / name, *runs)).splitlines()[1:]
        assert {len(line) for line in lines} == {len(lines[0])}
        assert len(lines[0]) <= 100


def test_a_step_that_not_every_repetition_finishes_is_judged_by_the_median(tmp_path):
    counts = {0.5: (40, 42, 44), 1.0: (5, "", ""), 1.5: (30, 32, ""), 1.9: ("", "", "")}
    runs = [
        run(
            10 * k + r,
            repetition=r,
            step_value=step,
            relative_step=step,
            iterations_to_tolerance=count,
            iterations_predicted=50,
        )
        for k, (step, repetitions) in enumerate(counts.items())
        for r, count in enumerate(repetitions)
    ]
    line = summary(make_study(tmp_path / "study", *runs)).splitlines()[-1]
    assert line.split()[-5:-2] == ["1.5", "32", "50"]


def test_a_single_run_is_told_and_not_tabulated(tmp_path):
    cells = {
        "condition_number": 3.5,
        "step_size": 0.01,
        "rate_measured": 0.46471,
        "rate_predicted": 0.46494,
        "convergence": "linear",
        "iterations": 80,
        "iterations_to_tolerance": 14,
        "iterations_predicted": 19,
        "bound_holds": True,
        "bound_coursework_holds": False,
        "first_violation_coursework": 2,
    }
    first, *lines = summary(make_study(tmp_path / "one", run(**cells))).splitlines()
    assert first == f"{tmp_path / 'one'}: 1 run: 1 converged"
    facts = dict(line.split(maxsplit=1) for line in lines)
    assert facts["rate_measured"] == "0.46471 (linear), predicted 0.46494"
    assert facts["iterations_to_tolerance"] == "14, predicted 19"
    assert facts["bound_holds"] == "yes"
    assert facts["bound_coursework_holds"] == "no, first broken at iteration 2"


def test_a_single_run_with_momentum_says_what_matters_for_it(tmp_path):
    cells = {
        "method": "heavy_ball",
        "method_options": "momentum=optimal first_step=full",
        "momentum": 0.25,
        "step_limit": 0.02,
        "stable": True,
        "growth_predicted": 13.75,
        "bound_coursework_holds": "",
    }
    folder = make_study(tmp_path / "one", run(**cells))
    facts = dict(line.split(maxsplit=1) for line in summary(folder).splitlines()[1:])
    assert facts["method"] == "heavy_ball momentum=optimal first_step=full"
    assert facts["momentum"] == "0.25"
    assert facts["stable"] == "yes, limit of step_size 0.02"
    assert facts["growth_predicted"] == "at most 13.75 times the initial gap"
    assert "bound_coursework_holds" not in facts
    # Chebyshev's method has neither momentum nor step size, and this one does not grow.
    none = dict.fromkeys(("momentum", "step_limit", "step_size", "relative_step"), "")
    other = {"method": "chebyshev", "method_options": "lower=1.0 upper=0.5", "stable": False}
    folder = make_study(tmp_path / "other", run(**cells | none | other))
    facts = dict(line.split(maxsplit=1) for line in summary(folder).splitlines()[1:])
    assert facts["stable"] == "no"
    assert not facts.keys() & {"momentum", "relative_step", "growth_predicted"}


def test_methods_are_rows_and_what_all_share_is_told_once(tmp_path):
    methods = {
        "chebyshev": "lower=1.0 upper=1.0",
        "gradient_descent": "",
        "heavy_ball": "momentum=optimal first_step=averaged",
        "nesterov": "momentum=optimal",
    }
    runs = [
        run(
            number,
            problem="spectrum",
            problem_options=f"condition_number={kappa} profile=geometric",
            condition_number=kappa,
            method=method,
            method_options=methods[method],
            iterations_to_tolerance=10 + number,
            bound_coursework_holds=True if method == "gradient_descent" else "",
            **dict.fromkeys(("step_unit", "step_value", "relative_step"), "")
            if method == "chebyshev"
            else {},
        )
        for number, (kappa, method) in enumerate(product((100.0, 1e4), methods))
    ]
    runs.append(runs[2] | {"run_id": "z", "method_options": "momentum=optimal first_step=full"})
    _, shared, *lines = summary(make_study(tmp_path / "study", *runs)).splitlines()
    assert shared.startswith("in all rows: problem spectrum, n 60, d 4, ")
    # Two lines of headings, and nine rows.
    lines = lines[-11:]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= 100
    rows = [line.split() for line in lines[2:]]
    # The option that asks for κ is not told beside κ itself.
    assert not any("condition_number" in cell for row in rows for cell in row)
    assert sorted(row[0] for row in rows) == sorted([*methods, *methods, "heavy_ball"])
    for row in rows:
        # Method, iterations to the tolerance, and the coursework's bound.
        assert (row[-1] == "–") == (row[0] != "gradient_descent")
    # A method that takes no step has its iterations all the same.
    assert [row[-2] for row in rows if row[0] == "chebyshev"] == ["10", "14"]


def test_what_all_rows_share_takes_as_many_lines_as_it_needs(tmp_path):
    same = {"method": "heavy_ball", "problem": "polynomial", "problem_options": "degree=3"}
    runs = [
        run(number, **same, method_options=f"momentum={momentum} first_step={first}")
        for number, (momentum, first) in enumerate(product(("optimal",), ("full", "averaged")))
    ]
    _, *lines = summary(make_study(tmp_path / "study", *runs)).splitlines()
    assert max(map(len, lines)) <= 100
    first, second, *_ = lines
    assert first.startswith("in all rows: problem polynomial, ")
    assert second.startswith("  ")
    assert second.endswith("bound holds –")


@pytest.mark.parametrize(("rank", "said"), [(4, False), (3, True)])
def test_a_rank_below_the_number_of_features_is_said(tmp_path, rank, said):
    single = summary(make_study(tmp_path / "one", run(rank=rank)))
    assert ("n_features 4, rank 3 only, seed 0" in single) == said
    several = summary(make_study(tmp_path / "two", run(rank=rank), run(1, rank=rank, seed=1)))
    heading, row = several.splitlines()[2:4]
    assert ("rank" in heading.split()) == said
    assert (row.split()[3] == "3") == said


def test_only_the_options_that_differ_are_told(tmp_path):
    options = ["a=1 b=2", "a=1 b=3", "c=4"]
    problems = ["one", "one", "two"]
    runs = [
        run(number, problem=problem, problem_options=each)
        for number, (problem, each) in enumerate(zip(problems, options, strict=True))
    ]
    lines = summary(make_study(tmp_path / "study", *runs)).splitlines()
    assert [line.split()[3] for line in lines[3:]] == ["b=2", "b=3", "–"]
    alike = summary(make_study(tmp_path / "alike", runs[0], runs[2])).splitlines()
    assert "options" not in alike[2]


def test_options_are_in_the_order_of_their_numbers(tmp_path):
    options = ["profile=linear rho=10.0", "profile=linear rho=3.0", "profile=linear rho=-1e2"]
    runs = [run(number, problem_options=each) for number, each in enumerate(options)]
    lines = summary(make_study(tmp_path / "study", *runs)).splitlines()
    assert [line.split()[3] for line in lines[3:]] == ["rho=-1e2", "rho=3.0", "rho=10.0"]


def test_starts_that_differ_are_rows_of_their_own(tmp_path):
    runs = [
        run(number, start="eigenvector", start_which=which, start_radius=radius)
        for number, (which, radius) in enumerate([("max", 1.0), ("min", 1.0), ("min", 2.0)])
    ]
    lines = summary(make_study(tmp_path / "study", *runs)).splitlines()
    assert [line.split()[3:5] for line in lines[3:]] == [["max", "1"], ["min", "1"], ["min", "2"]]


def test_text_of_the_files_is_shown_as_text(tmp_path):
    evil = "<script>alert(1)</script>&'\"\u2028"
    folder = make_study(
        tmp_path / "<b>bold", run(), run(1, status="failed", problem="<i>", error=evil)
    )
    (folder / "config.yaml").write_text(f"study: {evil} $title\n")
    (folder / "provenance.json").write_bytes(b'{"command": "</pre><script>"} \xff')
    text = report.write(folder).read_text(encoding="utf-8")
    known = Page(text)
    assert [tag for tag, _ in known.tags].count("script") == 2
    assert not {tag for tag, _ in known.tags} & {"b"}
    assert "<title>&lt;b&gt;bold</title>" in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#x27;&quot;") == 1
    table = known.data["table"]
    assert table["rows"][1][table["columns"].index("error")] == evil
    assert not set(known.scripts[0]) & set("<>&\u2028")
    assert "$title" in text
    assert "1 failed: <script>" in summary(folder)


def test_figures_left_out_are_explained_and_their_old_files_removed(tmp_path):
    folder = make_study(tmp_path / "study", run())
    (folder / "figures").mkdir()
    stale = folder / "figures" / "convergence.png"
    stale.write_bytes(b"of an earlier study")
    text = report.write(folder).read_text(encoding="utf-8")
    assert "<dt>convergence</dt><dd>runs.csv has no values of condition_number" in text
    assert "<dt>rate_vs_step</dt><dd>" in text
    assert not stale.exists()
    assert "<img" not in text


def test_long_tables_are_cut_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "MOST_RUNS", 20)
    many = [run(number, step_value=number + 1) for number in range(27)]
    text = report.write(make_study(tmp_path / "many", *many)).read_text(encoding="utf-8")
    assert len(Page(text).data["table"]["rows"]) == 20
    assert "The first 20 of 27" in text


def test_a_study_without_runs_yet_is_reported(tmp_path, capsys):
    folder = make_study(tmp_path / "study")
    assert report.main([str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}: 0 runs\n")
    assert "No run is complete yet." in (folder / "report.html").read_text(encoding="utf-8")


def test_a_running_study_is_shown_as_far_as_it_has_come(tmp_path):
    folder = make_study(tmp_path / "study", run(), run(1, step_value=0.5))
    with (folder / "runs.csv").open("a") as file:
        file.write("0123456789abcdef,converged,gaus")
    assert summary(folder).startswith(f"{folder}: 2 runs: 2 converged\n")


def test_the_command_prints_summary_and_place_of_each_folder(tmp_path, capsys):
    folders = [make_study(tmp_path / name, run(), run(1)) for name in ("a", "b")]
    assert report.main([str(folder) for folder in folders]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for folder in folders:
        assert f"{summary(folder)}\nreport: {folder / 'report.html'}\n" in out


def missing(folder):
    shutil.rmtree(folder)


def without_runs(folder):
    (folder / "runs.csv").unlink()


def without_curves(folder):
    (folder / "curves.csv").unlink()


def of_another_version(folder):
    (folder / "runs.csv").write_text("a,b\n1,2\n")


def with_text_for_a_number(folder):
    with (folder / "runs.csv").open("a") as file:
        file.write("x,p,converged,gaussian,,,many" + "," * (len(COLUMNS["runs"]) - 7) + "\n")


def with_too_many_cells(folder):
    with (folder / "runs.csv").open("a") as file:
        file.write("x" + "," * 99 + "\n")


def not_a_folder(folder):
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (missing, "is not there"),
        (without_curves, "has no curves.csv"),
        (of_another_version, "runs.csv: line 1 is not the header"),
        (with_text_for_a_number, "many"),
        (with_too_many_cells, "100"),
    ],
)
def test_a_folder_that_will_not_do_is_refused_in_one_line(tmp_path, capsys, damage, says):
    good = make_study(tmp_path / "good", run())
    folder = make_study(tmp_path / "bad", run())
    damage(folder)
    before = sorted(tmp_path.rglob("*"))
    assert report.main([str(good), str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"gdconv-report: {folder}: ")
    assert says in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("damage", "says"),
    [(without_runs, "has no runs.csv"), (not_a_folder, "runs.csv: Not a directory")],
)
def test_alone_what_is_no_study_is_refused(tmp_path, capsys, damage, says):
    folder = make_study(tmp_path / "bad", run())
    damage(folder)
    assert report.main([str(folder)]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"gdconv-report: {folder}: {says}\n")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, capsys):
    folder = make_study(tmp_path / "study", run())
    (folder / "report.html").mkdir()
    assert report.main([str(folder)]) == 2
    assert (
        capsys.readouterr().err == f"gdconv-report: {folder}: report.html: is not a regular file\n"
    )


def test_the_arguments_are_explained(capsys):
    with pytest.raises(SystemExit, match="0"):
        report.main(["--help"])
    out = capsys.readouterr().out
    assert "RESULTS_DIR" in out
    assert "report.html" in out
    assert report.main([]) == 2
    assert "as in gdconv-report results/default" in capsys.readouterr().err


ELSEWHERE = """
import sys
from gdconv.report.report import main
try:
    main(["--help"])
except SystemExit:
    pass
assert not {"pandas", "matplotlib", "numpy"} & sys.modules.keys()
assert main(sys.argv[1:]) == 0
assert not {"hydra", "omegaconf", "matplotlib.pyplot"} & sys.modules.keys()
"""


def test_neither_hydra_nor_anything_slow_is_imported_without_need(tmp_path):
    folder = make_study(tmp_path / "study", run())
    subprocess.run([sys.executable, "-W", "error", "-c", ELSEWHERE, folder], check=True)
    assert (folder / "report.html").exists()


# Some of the figures


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def reported(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / folder.name)


def test_only_the_figures_asked_for_are_drawn_and_the_rest_stays(folder, reported, capsys):
    (reported / "figures" / "spectrum.png").write_bytes(b"old")
    (reported / "figures" / "scaling.svg").write_bytes(b"old")
    (reported / "figures" / "gallery.pdf").write_bytes(b"old")
    before = contents(reported)
    assert report.main([str(reported), "--figures", "scaling,gallery"]) == 0
    out = capsys.readouterr().out
    assert summary(reported) in out
    assert f"figures: {reported / 'figures' / 'scaling'}.png, .svg, .pdf\n" in out
    # One that can no longer be drawn would be of another study.
    assert "gallery is left out: no problem has runs at 3 of the relative steps" in out
    gone, redrawn = (reported / "figures" / name for name in ("gallery.pdf", "scaling.svg"))
    after = contents(reported)
    assert before.keys() - after.keys() == {gone}
    assert {path for path in after if before[path] != after[path]} == {redrawn}
    assert after[redrawn] == (folder / "figures" / "scaling.svg").read_bytes()


@pytest.mark.slow
def test_only_the_formats_asked_for_are_written(tmp_path, folder, capsys):
    ignored = shutil.ignore_patterns("figures", "report.html")
    fresh = shutil.copytree(folder, tmp_path / folder.name, ignore=ignored)
    assert report.main([str(fresh), "--format", "pdf,png", "--figures", "convergence"]) == 0
    made = fresh / "figures"
    assert contents(made) == {
        made / name: (folder / "figures" / name).read_bytes()
        for name in ("convergence.pdf", "convergence.png")
    }
    assert not (fresh / "report.html").exists()
    assert report.main([str(fresh), "--format", "svg"]) == 0
    assert {path.name for path in made.glob("*.svg")} == {f"{name}.svg" for name in DRAWN}
    assert len(list(made.iterdir())) == 2 + len(DRAWN)
    assert f"report: {fresh / 'report.html'}\n" in capsys.readouterr().out
    text = (fresh / "report.html").read_text(encoding="utf-8")
    assert "<dt>errata</dt><dd>no problem has verdicts" in text
    links = re.findall(r'href="figures/(.*?)"', text)
    assert sorted(links) == sorted(path.name for path in made.iterdir())


@pytest.mark.slow
def test_the_page_is_the_same_with_figures_it_does_not_find(tmp_path, folder, page):
    ignored = shutil.ignore_patterns("figures", "report.html")
    fresh = shutil.copytree(folder, tmp_path / folder.name, ignore=ignored)
    assert report.main([str(fresh), "--format", "png"]) == 0
    text, stamp = (fresh / "report.html").read_text(encoding="utf-8").rsplit("<!--", 1)
    expected, other = page.rsplit("<!--", 1)
    assert text == re.sub(r', <a href="figures/\w+\.(?:svg|pdf)">\w+</a>', "", expected)
    assert stamp != other


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--figures", "scaling,gallry"], "'gallry' is not one of convergence, methods,"),
        (["--figures", ""], "'' is not one of convergence,"),
        (["--format", "jpg"], "--format=jpg: 'jpg' is not one of png, svg, pdf"),
        (["--format", "png,"], "'' is not one of png, svg, pdf"),
        (
            ["--status", "--format", "png"],
            "--status draws nothing: it cannot be used with --format",
        ),
        (["y", "x", "--compare"], "--compare takes one RESULTS_DIR, not 2"),
    ],
)
def test_options_that_will_not_do_are_refused_in_one_line(reported, capsys, arguments, says):
    before = contents(reported)
    assert report.main([*arguments, str(reported)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gdconv-report: --")
    assert says in err
    assert err.count("\n") == 1
    assert contents(reported) == before


def test_the_runs_are_read_once_whether_the_report_is_current_or_not(reported, monkeypatch):
    read, checked = [], csv_tables.checked
    monkeypatch.setattr(
        csv_tables, "checked", lambda file, name: read.append(name) or checked(file, name)
    )
    kept = [plot for plot in catalogue.FIGURES if plot.name == "spectrum"]
    monkeypatch.setattr(catalogue, "FIGURES", kept)
    expected = summary(reported)
    for tables_read in (["runs"], ["runs", "eigenvalues", "coefficients", "moments", "curves"]):
        read.clear()
        assert summary(reported, report.renew(reported)) == expected
        assert read == tables_read
        assert report.is_current(reported)
        (reported / "report.html").unlink()


# How far a study has come


def test_status_of_a_finished_study(folder, capsys):
    assert report.main(["--status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{folder}: 36 done, 0 failed, 0 missing\n" in said
    assert "gdconv.run_study" in said
    assert "continues" not in said


def test_status_of_a_study_that_was_stopped(folder, tmp_path, capsys):
    part = shutil.copytree(folder, tmp_path / "part")
    lines = (part / "runs.csv").read_bytes().splitlines(keepends=True)
    failed = b",".join([b"f" * 16, b"", b"failed", *[b""] * (len(COLUMNS["runs"]) - 3)]) + b"\n"
    (part / "runs.csv").write_bytes(b"".join([*lines[:20], failed, lines[21][:30]]))
    history = json.loads((part / "provenance.json").read_text())
    del history["checksums"]
    (part / "provenance.json").write_text(json.dumps(history))
    before = {path: path.read_bytes() for path in part.rglob("*") if path.is_file()}
    assert report.main(["--status", str(folder), str(part)]) == 0
    said = capsys.readouterr().out
    assert f"{part}: 19 done, 1 failed, 16 missing\n" in said
    assert "the same command continues it" in said
    assert "retry_failed=true" in said
    assert {path: path.read_bytes() for path in part.rglob("*") if path.is_file()} == before


def test_status_as_json_has_the_same_numbers(folder, capsys):
    assert report.main(["--status", "--json", str(folder)]) == 0
    (study,) = json.loads(capsys.readouterr().out)
    assert (study["done"], study["failed"], study["missing"]) == (36, 0, 0)
    assert sum(study["statuses"].values()) == 36
    assert (study["finished"], study["changed"]) == (True, [])
    assert report.main(["--json", str(folder)]) == 2
    assert "--json belongs to --status" in capsys.readouterr().err


def test_folders_that_are_no_studies_are_named_and_passed_over(folder, tmp_path, capsys):
    for name in ("none", "empty"):
        (tmp_path / name).mkdir()
    assert report.main(["--status", str(tmp_path / "none"), str(folder)]) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / 'none'}: is no study" in said.err
    assert "36 done" in said.out
    assert report.main(["--status", str(tmp_path / "none"), str(tmp_path / "empty")]) == 2
    assert "none of them is a study" in capsys.readouterr().err


def test_the_list_of_studies_may_stand_among_them(folder, tmp_path, capsys):
    """As in results/*, after gdconv-report results."""
    for name in ("a", "b"):
        shutil.copytree(folder, tmp_path / name)
    assert report.main([str(tmp_path)]) == 0
    every = sorted(map(str, tmp_path.iterdir()))
    assert every[-1].endswith("index.html")
    capsys.readouterr()
    assert report.main(["--status", *every]) == 0
    said = capsys.readouterr()
    assert (said.out.count("36 done"), said.err) == (2, "")
    # A page of that name elsewhere is not the command's.
    (tmp_path / "a" / "index.html").touch()
    assert report.main(["--status", every[0], str(tmp_path / "a" / "index.html")]) == 0
    assert "index.html: is no study" in capsys.readouterr().err


def test_a_name_alone_is_looked_up_in_results(folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder, tmp_path / "results" / "mine")
    monkeypatch.chdir(tmp_path)
    assert report.main(["--status", "mine"]) == 0
    assert capsys.readouterr().out.startswith("results/mine: 36 done")
    (tmp_path / "mine").mkdir()
    assert report.main(["--status", "mine"]) == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"commands": []}', '{"commands": [{}]}', "\u00ff"])
def test_status_without_a_readable_history_is_refused(text, folder, tmp_path, capsys):
    part = shutil.copytree(folder, tmp_path / "part")
    (part / "provenance.json").write_text(text, encoding="latin-1")
    assert report.main(["--status", str(part)]) == 2
    assert "provenance.json is not as gdconv wrote it" in capsys.readouterr().err
    assert report.main(["--status", str(tmp_path / "none")]) == 2
    assert "none: is not there" in capsys.readouterr().err


def test_a_study_without_curves_has_a_report(tmp_path):
    config = RunConfig(Gaussian(60, 4), step=Step(value=STEPS), record=Record(curves="none"))
    run_study(config, folder=tmp_path / "s")
    assert (tmp_path / "s" / "curves.csv").read_bytes() == header("curves")
    text = report.write(tmp_path / "s").read_text(encoding="utf-8")
    assert "<dt>convergence</dt>" in text
    assert "6 runs" in summary(tmp_path / "s")


def test_the_summary_of_a_part_says_what_else_the_study_holds(tmp_path):
    few = RunConfig(Gaussian(20, 2), step=Step(value=[0.5, 1.0]))
    tables = run_study([few, RunConfig(Gaussian(20, 3))], folder=tmp_path / "s")
    runs = tables.runs
    (one,) = runs.run_id[(runs.n_features == 2) & (runs.step_value == 1.0)]
    said = summary(tmp_path / "s", run_ids=[one]).splitlines()[0]
    assert said.endswith(
        "(the study holds 3 runs, also of other problems; study=NAME keeps them apart)"
    )
    run_study(few, folder=tmp_path / "t")
    said = summary(tmp_path / "t", run_ids=[one]).splitlines()[0]
    assert said.endswith("(the study holds 2 runs)")
    assert "holds" not in summary(tmp_path / "t").splitlines()[0]


@pytest.mark.parametrize(("columns", "expected"), [(80, 80), (300, 100), (20, 60), (None, 100)])
def test_a_table_is_no_wider_than_the_terminal_if_it_can_be(columns, expected, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: columns is not None, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns or 7))
    assert text.room() == expected
    rows = [{"problem": "gaussian", "same": "x" * 30, "other": f"{k}" * 42} for k in range(3)]
    lines = text.table(rows, expected)
    assert max(map(len, lines)) <= 84
    assert lines[0].startswith("in all rows: ") == (expected < 84)


@pytest.mark.parametrize("steps", [(0.5,), (0.5, 1.0)])
def test_no_line_of_a_summary_is_wider_than_the_terminal(steps, tmp_path, monkeypatch):
    """Of one row, of what else the study holds, and of a failure."""
    configs = [RunConfig(Gaussian(20, 2), step=Step(value=steps)), RunConfig(Gaussian(20, 3))]
    runs = run_study(configs).runs
    runs.loc[runs.index[0], "error"] = "ValueError: " + "the reason is long, " * 6
    shown = runs.run_id[runs.n_features == 2]
    assert len(shown) == len(steps)
    folder = tmp_path / ("name_" * 9)
    wide = summary(folder, runs, shown)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for columns in (80, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        narrow = summary(folder, runs, shown)
        assert max(map(len, narrow.splitlines())) <= columns < max(map(len, wide.splitlines()))
        # Nothing is lost, though names and values may stand in another order.
        assert sorted("".join(narrow.split())) == sorted("".join(wide.split()))
