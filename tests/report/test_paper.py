"""What a paper takes from a study: figures in a size of its own, and the summary for LaTeX."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from gdconv import Gaussian, RunConfig, Step, Table, draw, run_study
from gdconv.config.rules import ConfigError
from gdconv.report import report
from gdconv.report.figures import catalogue, drawing, sizes
from gdconv.report.figures.titles import fitted
from gdconv.report.forms import latex
from gdconv.report.summary import summary

STEPS = (0.3, 0.7, 1.0, 1.4, 1.8, 2.1)
# Some with one panel, some with several, and the ones with colour bars or insets.
DRAWN = ["convergence", "rate_vs_step", "scaling", "spectrum"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "sizes"
    configs = [RunConfig(Gaussian(60, d), step=Step(value=STEPS), repetitions=3) for d in (4, 9)]
    run_study(configs, folder=folder)
    return folder


def fonts(figure):
    texts = [each for each in figure.findobj(Text) if each.get_text().strip()]
    return {each.get_fontsize() for each in texts}


@pytest.mark.parametrize(
    ("figure_size", "inches"), [(3.3, 3.3), ((6.5, 3.25), (6.5, 3.25)), (np.array([4, 3]), (4, 3))]
)
def test_a_figure_has_the_size_that_is_asked_for(folder, figure_size, inches):
    drawn, _ = draw(folder, DRAWN[:2], figure_size=figure_size, font_size=6)
    for figure in drawn.values():
        found = figure.get_size_inches()[: np.size(inches)]
        assert found == pytest.approx(np.atleast_1d(inches))
        # 7 of 8 points is what small text has.
        assert fonts(figure) == {6, 6 * 7 / 8}


@pytest.mark.slow
def test_the_text_is_within_the_figure(folder):
    drawn, omitted = draw(folder, DRAWN, figure_size=3.3, font_size=7)
    assert omitted == {}
    for name, figure in drawn.items():
        renderer = figure.canvas.get_renderer()
        box = figure.bbox
        texts = [each for each in figure.findobj(Text) if each.get_text() and each.get_visible()]
        inside = [each.get_window_extent(renderer) for each in texts if each.figure is figure]
        assert len(inside) > 5
        # Titles, labels and the legend; ticks outside of an axis are not drawn.
        for text in [figure._suptitle, figure._supylabel, *figure.legends[:1]]:
            found = text.get_window_extent(renderer) if text else box
            assert box.x0 - 1 <= found.x0, (name, text)
            assert found.x1 <= box.x1 + 1, (name, text)
            assert box.y0 - 1 <= found.y0, (name, text)
            assert found.y1 <= box.y1 + 1, (name, text)


@pytest.mark.slow
def test_the_report_draws_as_ever(folder):
    """A size that is asked for leaves nothing behind, and the usual one changes nothing."""
    drawn, _ = draw(folder, ["convergence"])
    before = catalogue.rendered(drawn["convergence"], "svg")
    draw(folder, ["convergence"], 4, 10)
    again, _ = draw(folder, ["convergence"], sizes.WIDTH, sizes.FONT)
    assert catalogue.rendered(again["convergence"], "svg") == before
    assert fonts(drawn["convergence"]) == {8, 7}
    assert matplotlib.rcParams["font.size"] == matplotlib.rcParamsDefault["font.size"]


@pytest.mark.slow
def test_the_smallest_text_is_legible_at_half_a_page(folder):
    """Four points, if half a page is 3 inches wide; subscripts are smaller."""
    usual = {value for name, value in drawing.STYLE.items() if "size" in name}
    assert min(usual) * 3 / sizes.WIDTH > 4
    for figure in draw(folder)[0].values():
        assert min(fonts(figure)) * 3 / figure.get_figwidth() > 4


@pytest.mark.parametrize(
    ("label", "longest", "shown"),
    [
        ("gap $a - b$   (units of $y^2$)", 30, "gap $a - b$   (units of $y^2$)"),
        ("gap $a - b$   (units of $y^2$)", 12, "gap $a - b$"),
        ("first gap $a - b$", 6, "first gap\n$a - b$"),
        ("the $a - b$ gap", 6, "the $a - b$\ngap"),
        ("$a - b$", 3, "$a - b$"),
    ],
)
def test_a_long_label_loses_its_unit_and_then_is_broken(label, longest, shown):
    assert fitted(label, longest) == shown


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"figure_size": "3.3"}, "figure_size=3.3: must be inches from 1 to 40: a width, or"),
        ({"figure_size": (3, 2, 1)}, "figure_size=[3,2,1]: must be inches from 1 to 40"),
        ({"figure_size": 0.5}, "figure_size=0.5: must be inches from 1 to 40"),
        ({"figure_size": np.nan}, "figure_size=nan: must be inches"),
        ({"figure_size": np.ones((2, 2))}, "figure_size=array of shape (2, 2): must be inches"),
        ({"font_size": True}, "font_size=true: must be points from 3 to 30"),
        ({"font_size": 2}, "font_size=2: must be points from 3 to 30"),
    ],
)
def test_no_other_sizes_are_drawn(folder, given, told):
    with pytest.raises(ConfigError) as refused:
        draw(folder, "convergence", **given)
    assert str(refused.value).startswith(told)


def test_text_that_leaves_no_room_is_a_reason(folder):
    _, omitted = draw(folder, "convergence", figure_size=(1, 1), font_size=20)
    assert omitted == {"convergence": "in this size its text leaves no room for it"}


def test_the_command_writes_beside_the_report(folder, capsys):
    arguments = ["--figures", "convergence,errata", "--figure-size", "3.3x2.5", "--format", "svg"]
    assert report.main([str(folder), *arguments]) == 0
    path = folder / "figures-paper" / "convergence.svg"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"figures: {folder / 'figures-paper' / 'convergence'}.svg"
    assert printed[1].startswith("errata is left out: ")
    root = ElementTree.fromstring(path.read_text())
    # An SVG counts points, 72 an inch.
    assert (root.get("width"), root.get("height")) == ("237.6pt", "180pt")
    assert not (folder / "figures").exists()
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--figure-size", "3"], "--figure-size and --font-size need --figures=NAME,…"),
        (["--figures", "errata", "--figure-size", "0.5"], "--figure-size=0.5: must be inches"),
        (["--figures", "errata", "--figure-size", "axb"], "--figure-size=axb: must be inches"),
        (["--figures", "errata", "--font-size", "big"], "--font-size=big: must be points from"),
        (["--latex", "--figures", "errata"], "--latex goes without figures"),
        (["--latex", "--compare", "x"], "--latex goes without --compare"),
        (["--status", "--latex"], "--status draws nothing: it cannot be used with --latex"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(folder, capsys, arguments, told):
    assert report.main([str(folder), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"gdconv-report: {told}")


# What each command of LaTeX prints.
PRINTED = {
    **{"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbar": "|"},
    **{"textless": "<", "textgreater": ">", "textquotesingle": "'", "textasciigrave": "`"},
    **{"dots": "…", "kappa": "κ", "beta": "β", "times": "×", "leq": "≤", "$": "$", "{": "{"},
    **{"}": "}", "_": "_", "#": "#", "%": "%", "&": "&"},
}


def printed_by(tex):
    """A small reader of LaTeX: the text that is printed, without what only changes the font."""
    text = ""
    while tex:
        if found := re.match(r"\\([a-z]+|[$_#%&{}])(\{\})?", tex):
            text += PRINTED[found[1]]
        elif found := re.match(r"\{\}|\$", tex):
            pass
        elif found := re.match("--", tex):
            text += "–"
        elif found := re.match("''", tex):
            text += '"'
        else:
            # These mean something to LaTeX, so they must not stand alone.
            assert tex[0] not in "\\{}_^~#%&", tex
            found = re.match(".", tex)
            text += found[0]
        tex = tex[found.end() :]
    return text


@pytest.mark.parametrize(
    "text",
    [
        *("a_b.csv", "100 % & more", r"C:\new", "#1 {x} $y$ ~z^2", "a--b---c", "–", "x|y<z>'q`"),
        *("κ ≤ 9", "β × 2 …", "Größe – 5", 'the "best"', "-", ""),
    ],
)
def test_every_letter_is_printed_as_it_is(text):
    assert printed_by(latex.escaped(text)) == text


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("1.2e-07", r"$1.2 \times 10^{-7}$"),
        ("1e+20", r"$1 \times 10^{20}$"),
        ("-3", "$-3$"),
        ("0.25", "0.25"),
        ("–", "--"),
        ("inf", "inf"),
    ],
)
def test_numbers_are_formulas_where_they_need_one(number, shown):
    assert latex.number(number) == shown


def cells(tex):
    """Headings and rows of the first table."""
    inside = re.search(r"\\toprule\n(.*?)\\bottomrule", tex, re.DOTALL)[1]
    lines = [line.removesuffix(r" \\") for line in inside.splitlines() if line != r"\midrule"]
    return [[printed_by(cell) for cell in line.split(" & ")] for line in lines]


@pytest.mark.slow
def test_the_table_has_the_rows_that_the_terminal_prints(folder, capsys):
    assert report.main([str(folder), "--latex"]) == 0
    path = folder / "summary.tex"
    assert capsys.readouterr().out == f"table: {path}\n"
    tex = path.read_text(encoding="utf-8")
    heading, *rows = cells(tex)
    runs = pd.read_csv(folder / "runs.csv")
    told = summary(folder, report.renew(folder, ["svg"])).splitlines()
    (above,) = re.findall(r"^% In all rows: (.*)\.$", tex, re.MULTILINE)
    alike = dict(each.rsplit(" ", 1) for each in above.split(", "))
    for row, line, d in zip(rows, told[-2:], (4, 9), strict=True):
        values = dict(zip(heading, row, strict=True)) | alike
        assert values["d"] == str(d)
        # The terminal has all columns, and sorts them in the same way.
        assert sorted(values.values()) == sorted(line.split())
        kappa = runs[runs.n_features == d].condition_number.median()
        assert float(values["κ"]) == pytest.approx(kappa, rel=1e-3)
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", tex)[1]
    assert columns == "r" * len(heading)


def test_names_of_files_are_escaped_and_one_run_has_its_numbers(tmp_path):
    path = tmp_path / "50%_a&b.csv"
    path.write_text("a,y\n1,2\n3,5\n4,9\n")
    runs = run_study(RunConfig(Table(path, target="y"))).runs
    rows = dict(cells(latex.table(runs)))
    assert "50%_a&b.csv" in rows["problem"]
    assert float(rows["condition_number"]) == pytest.approx(runs.condition_number[0], rel=1e-4)
    with pytest.raises(ValueError, match=r"^no run is complete yet$"):
        latex.table(runs[:0])
