"""The comparison of two studies: which runs both have, how these differ, and what is drawn."""

import re
import sys

import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Gaussian, Table
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.report import compare, report
from gdconv.report.figures import catalogue as figures
from gdconv.sweep.sweep import run_study
from gdconv.tables.columns import COLUMNS
from gdconv.tables.csv import read

STEPS = (0.3, 0.7, 1.0, 1.4, 1.8, 2.1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of sizes 4 and 9, and of 9 and 14 with fewer iterations; the short study has a step more."""
    root = tmp_path_factory.mktemp("results")
    common = {"repetitions": 2}
    long = [RunConfig(Gaussian(60, d), step=Step(value=STEPS), **common) for d in (4, 9)]
    method = GradientDescent(iterations=100)
    short = [
        RunConfig(Gaussian(60, d), method=method, step=Step(value=(*STEPS, 1.9)), **common)
        for d in (9, 14)
    ]
    for name, configs in (("long", long), ("short_$1", short)):
        run_study(configs, folder=root / name)
    return root / "long", root / "short_$1"


@pytest.fixture(scope="module")
def tables(folders):
    return tuple(read(folder) for folder in folders)


@pytest.fixture(scope="module")
def table(folders, tables):
    return compare.differences(*tables, compare.labels(folders))


def test_every_run_has_a_row_and_those_of_both_studies_share_one(tables, table):
    first, second = (each.runs for each in tables)
    counts = table.found_in.value_counts()
    assert counts.to_dict() == {"both": 12, "long": 12, "short_$1": 2 + 14}
    assert counts.sum() + counts["both"] == len(first) + len(second)
    assert set(table.n_features[table.found_in == "both"]) == {9}


def test_differences_are_those_of_the_two_tables(tables, table):
    both = table[table.found_in == "both"]
    assert (both.iterations_difference != 0).any()
    keys = ["n_features", "repetition", "step_value"]
    for _, row in both.iterrows():
        first, second = (
            each.runs[(each.runs[keys] == row[keys].to_list()).all(axis=1)].iloc[0]
            for each in tables
        )
        for name in ("rate_measured", "iterations"):
            assert row[f"{name}_1"] == first[name]
            assert row[f"{name}_2"] == second[name]
            assert row[f"{name}_difference"] == second[name] - first[name]
        assert (row.status_1, row.status_2) == (first.status, second.status)
    alone = table[table.found_in == "long"]
    assert alone.rate_measured_2.isna().all()
    assert alone.rate_measured_difference.isna().all()
    assert alone.rate_measured_1.notna().any()
    assert alone.relative_step.notna().all()


def test_a_study_compared_with_its_copy_differs_in_nothing(tables):
    table = compare.differences(tables[0], tables[0], ("a", "b"))
    assert set(table.found_in) == {"both"}
    for name in ("rate_measured", "iterations"):
        assert (table[f"{name}_difference"].dropna() == 0).all()
    said = compare.describe(table, ("a", "b"))
    assert said.startswith("24 runs in both, 0 only in a, 0 only in b\n")
    assert "largest differences" not in said


def test_two_files_with_the_same_options_are_told_apart(tmp_path):
    for name, slope in (("a", 1), ("b", 50)):
        lines = [f"{i % 7},{slope * (i * i % 5)},{i % 3}" for i in range(20)]
        (tmp_path / f"{name}.csv").write_text("a,b,y\n" + "\n".join(lines) + "\n")
    configs = [RunConfig(Table(str(tmp_path / f"{name}.csv"), "y")) for name in ("b", "a")]
    tables = run_study(configs)
    table = compare.differences(tables, run_study(configs[::-1]), ("x", "y"))
    assert table.found_in.tolist() == ["both", "both"]
    assert table.condition_number.nunique() == 2
    assert (table.rate_measured_difference == 0).all()


def test_the_terminal_shows_counts_largest_differences_and_what_only_one_has(table):
    lines = compare.describe(table, ("long", "short_$1")).splitlines()
    assert lines[0] == "12 runs in both, 12 only in long, 16 only in short_$1"
    above, headings, *rows = lines[1:6]
    assert headings.split() == [
        *("problem", "n", "d", "both", "long", "short_$1"),
        *("|Δ", "rate", "measured|", "|Δ", "iterations|", "|Δ", "iterations", "to", "tolerance|"),
    ]
    assert above.split() == ["only", "only", "max", "max", "max"]
    found = {row.split()[2]: row.split()[3:6] for row in rows}
    assert found == {"4": ["0", "12", "0"], "9": ["12", "0", "2"], "14": ["0", "0", "14"]}
    largest = table.rate_measured_difference.abs()
    run = table.loc[largest.idxmax()]
    at = lines.index("largest differences of the rate:") + 1
    assert f"repetition {run.repetition}" in lines[at]
    assert f"{run.rate_measured_1:.5g} and {run.rate_measured_2:.5g}" in lines[at]
    alone = lines.index("only in short_$1:")
    assert "step.lambda_max 1.9" in lines[alone + 1]
    assert lines[-1] == "  and 11 more: see differences.csv"


def test_labels_are_names_or_paths_where_names_agree(tmp_path):
    a, b, c = tmp_path / "x" / "s", tmp_path / "y" / "s", tmp_path / "t"
    for folder in (a, b, c):
        folder.mkdir(parents=True)
    assert compare.labels([a, c]) == ["s", "t"]
    assert compare.labels([a, b, c]) == [str(a), str(b), str(c)]
    with pytest.raises(ValueError, match="is the study that it is to be compared with"):
        compare.labels([a, c, a / ".." / "s"])


def test_together_keeps_the_runs_of_two_studies_apart(tables):
    both = compare.together(tables, ("a", "b"))
    assert both.runs.run_id.is_unique
    assert len(both.curves) == sum(len(each.curves) for each in tables)
    joined = both.curves.merge(both.runs[["run_id", "study"]], on="run_id")
    assert len(joined) == len(both.curves)
    counts = both.runs.groupby("study").size().to_dict()
    assert counts == {"a": len(tables[0].runs), "b": len(tables[1].runs)}
    columns = {name: list(COLUMNS[name]) for name in COLUMNS}
    assert list(both.runs) == [*columns["runs"], "file", "study"]
    assert list(both.curves) == columns["curves"]


@pytest.mark.slow
def test_problems_of_both_studies_stand_side_by_side(tables):
    both = compare.together(tables, ("a", "b_$1"))
    drawn, _ = figures.draw(both, ["rate_vs_step", "convergence", "scaling"])
    for name in ("rate_vs_step", "convergence"):
        titles = [ax.get_title() for ax in drawn[name].axes if ax.get_title()]
        assert [title.split(",")[0] for title in titles] == ["a", r"b_\$1"]
        assert "$d$ = 9" in drawn[name].get_suptitle()
    tight, _ = figures.draw(both, ["tightness"])
    titles = [ax.get_title().replace("\n", " ") for ax in tight["tightness"].axes]
    assert [title.split(",")[0] for title in titles] == ["a", r"b_\$1"] * 3
    steps = [title.split("step ")[1].split(",")[0] for title in titles]
    # The second study has a step more, 1.9, that is closest to the edge.
    assert steps[:2] == ["1", "1"]
    names = {line.get_label() for line in drawn["scaling"].axes[1].lines}
    assert names == {"a", r"b_\$1", "predicted"}


def test_the_command_writes_figures_and_differences_below_the_first_study(folders, capsys):
    before = {path.name for path in folders[0].iterdir()}
    second = sorted(folders[1].iterdir())
    arguments = ["--compare", str(folders[1]), "--figures", "scaling,errata", "--format", "svg"]
    assert report.main([str(folders[0]), *arguments]) == 0
    out = capsys.readouterr().out
    made = folders[0] / "compare-short_$1"
    assert {path.name for path in folders[0].iterdir()} == before | {made.name}
    assert {path.name for path in made.iterdir()} == {
        *("differences.csv", "scaling.svg", "compare.html")
    }
    assert sorted(folders[1].iterdir()) == second
    assert out.startswith(f"{folders[0]} and {folders[1]}: 12 runs in both")
    assert f"figures: {made / 'scaling'}.svg\nerrata is left out: no problem has" in out
    files = f"differences: {made / 'differences.csv'}\npage: {made / 'compare.html'}\n"
    assert out.endswith(files)
    written = pd.read_csv(made / "differences.csv")
    assert written.found_in.value_counts().to_dict() == {"short_$1": 16, "both": 12, "long": 12}
    again = compare.differences(*map(read, folders), compare.labels(folders))
    # Floats are written so that they read back bit for bit.
    np.testing.assert_array_equal(
        written.rate_measured_difference, again.rate_measured_difference.to_numpy(float)
    )


def test_no_line_of_a_comparison_is_wider_than_the_terminal(folders, capsys, monkeypatch):
    """Nothing of it is lost, and the page stays the same."""
    arguments = ["--figures", "halting,transient,zigzag", "--format", "svg"]
    page = folders[0] / "compare-short_$1" / "compare.html"
    printed, pages = [], []
    for columns in (None, 80, 60):
        tty = columns is not None
        monkeypatch.setattr(sys.stdout, "isatty", lambda tty=tty: tty, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns or 7))
        assert report.main([str(folders[0]), "--compare", str(folders[1]), *arguments]) == 0
        printed.append(capsys.readouterr().out)
        pages.append(page.read_bytes())
    assert pages[1:] == pages[:1] * 2
    wide, *narrow = printed
    both = compare.differences(*map(read, folders), compare.labels(folders))
    said = compare.describe(both, compare.labels(folders))
    assert wide.startswith(f"{folders[0]} and {folders[1]}: {said}\ntransient is left out: ")
    for columns, each in zip((80, 60), narrow, strict=True):
        # Paths stay whole, for whoever copies them.
        lines = each.splitlines()
        assert [line.split(":")[0] for line in lines[-2:]] == ["differences", "page"]
        assert lines[-2:] == wide.splitlines()[-2:]
        assert max(map(len, lines[:-2])) <= columns < max(map(len, wide.splitlines()[:-2]))
        texts = ["".join(text[text.index("largest diff") :].split()) for text in (each, wide)]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("other", ["missing", "itself", "empty"])
def test_another_study_that_will_not_do_is_refused(folders, other, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    place = {"missing": tmp_path / "none", "itself": folders[0], "empty": tmp_path / "empty"}[other]
    before = sorted(folders[0].rglob("*"))
    assert report.main([str(folders[0]), "--compare", str(place)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"gdconv-report: {place}: ")
    assert err.count("\n") == 1
    assert sorted(folders[0].rglob("*")) == before


def small(folder, *sizes, **keys):
    """A study of a few runs."""
    steps = keys.pop("steps", (0.5, 1.0))
    method = keys.pop("method", GradientDescent(iterations=30))
    configs = [RunConfig(Gaussian(20, d), method=method, step=Step(value=steps)) for d in sizes]
    run_study(configs, folder=folder)
    return folder


def test_any_number_of_studies_stands_on_one_page_what_they_share_first(tmp_path, capsys):
    first = small(tmp_path / "a", 2, 3)
    others = [
        small(tmp_path / "b", 3, 4, steps=(1.0, 1.5)),
        small(tmp_path / "c", 3, method=HeavyBall(iterations=30)),
    ]
    arguments = ["--figures", "convergence", "--format", "svg", "--compare"]
    assert report.main([str(first), *arguments, *map(str, others)]) == 0
    out = capsys.readouterr().out
    made = first / "compare-b-c"
    names = {"differences-b.csv", "differences-c.csv", "convergence.svg", "compare.html"}
    assert {path.name for path in made.iterdir()} == names
    assert f"{first} and {others[0]}: 1 runs in both" in out
    assert f"{first} and {others[1]}: 0 runs in both" in out
    text = (made / "compare.html").read_text(encoding="utf-8")
    common, differ, rest = re.split("<h2>(?:What they have in common|How they differ)</h2>", text)[
        0:3
    ]
    assert "<h1>a, b and c</h1>" in common
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", differ))
    assert facts["number of features d"] == "3"
    assert "method" not in facts
    assert [title for title in ("a and b", "a and c") if f"<h3>{title}</h3>" in rest] == [
        *("a and b", "a and c")
    ]
    assert "convergence" in rest
    assert report.main([str(first), *arguments, *map(str, others)]) == 0
    assert (made / "compare.html").read_text(encoding="utf-8") == text


def test_studies_without_a_common_problem_are_refused_with_what_differs(tmp_path, capsys):
    first, other = small(tmp_path / "a", 2), small(tmp_path / "b", 3, 4)
    before = sorted(first.rglob("*"))
    assert report.main([str(first), "--compare", str(other)]) == 2
    _, err = capsys.readouterr()
    assert "a and b have no problem in common: n_features is 2 in a, and 3 or 4 in b" in err
    assert sorted(first.rglob("*")) == before


def test_three_studies_that_share_problems_only_in_pairs_are_refused(tmp_path):
    tables = [
        run_study([RunConfig(Gaussian(20, d), method=GradientDescent(iterations=5)) for d in sizes])
        for sizes in ((2, 3), (3, 4), (2, 4))
    ]
    with pytest.raises(ValueError, match="no problem is in all of a, b, c"):
        compare.shared(tables, ["a", "b", "c"])
    assert compare.shared(tables[:2], ["a", "b"])["n_features"] == [3]
