"""The data in report.html: the numbers it embeds, their limits, and its security policy."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from html import escape
from importlib.resources import files

import numpy as np
import pytest

from gdconv.config.problems import Gaussian, Polynomial
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Eigenvector, Step, Zeros
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.nesterov import Nesterov
from gdconv.methods.sgd import Sgd
from gdconv.report.figures.catalogue import FIGURES
from gdconv.report.page import explorer, moments, pictures
from gdconv.report.page.document import SCRIPTS, page
from gdconv.sweep.sweep import run_study
from gdconv.theory import bounds

STEPS = (0.5, 1.0, 2.1)


@pytest.fixture(scope="module")
def tables():
    steps = Step(value=STEPS)
    return run_study(
        [
            RunConfig(Gaussian(40, 5), step=steps, repetitions=3),
            RunConfig(Gaussian(6, 9), step=steps, repetitions=2),
            RunConfig(Gaussian(6, 9), Eigenvector("max"), step=steps),
            RunConfig(Polynomial(50, 11), step=steps, method=GradientDescent(iterations=400)),
        ]
    )


def embedded(tables):
    return json.loads(explorer.embedded(tables))


def test_eigenvalues_are_embedded_to_the_last_bit_and_give_the_exact_gap(tables):
    problems = embedded(tables)["problems"]
    assert len(problems) == tables.runs.problem_id.nunique()
    for problem in problems:
        positive = np.array(problem["eigenvalue"])
        squares = np.array(problem["error_component_squared"])
        for row, step in zip(problem["row"], problem["step_size"], strict=True):
            run = tables.runs.loc[row]
            assert step == run.step_size
            assert [positive[0], positive[-1]] == [run.lambda_max, run.lambda_min_positive]
            assert problem["lambda_min"] == run.lambda_min
            assert len(positive) == run["rank"]
            curve = tables.curves[tables.curves.run_id == run.run_id]
            gap = bounds.exact_gap(positive, positive * squares / 2, step, curve.iteration)
            # Twelve digits of the squares.
            assert gap == pytest.approx(curve.gap_exact.to_numpy(), rel=1e-11, abs=1e-300)


def test_the_runs_of_all_methods_belong_to_one_problem():
    problem, steps = Gaussian(40, 5), Step(value=STEPS)
    with_step = (
        GradientDescent(),
        HeavyBall(momentum=(0.3, 0.9)),
        HeavyBall(first_step="averaged", tuned_to="edges"),
        Nesterov(),
        Nesterov(momentum="convex"),
    )
    intervals = Chebyshev(lower=(0.5, 1.0))
    configs = [RunConfig(problem, step=steps, method=each) for each in with_step]
    tables = run_study([*configs, RunConfig(problem, method=intervals)])
    data = embedded(tables)
    (found,) = data["problems"]
    assert found["label"].startswith("gaussian 40 × 5, κ = ")
    for name in ("momentum", "step_size", "relative_step"):
        known = [None if np.isnan(value) else value for value in tables.runs[name][found["row"]]]
        assert found[name] == known
    averaged = "first_step=averaged tuned_to=edges"
    words = {
        "gradient_descent": "gradient descent",
        "heavy_ball first_step=full tuned_to=spectrum": "heavy ball",
        f"heavy_ball momentum=optimal {averaged}": "heavy ball, averaged first step",
        "nesterov momentum=optimal": "Nesterov",
        "nesterov momentum=convex": "Nesterov, convex momentum",
        "chebyshev lower=0.5 upper=1.0 tuned_to=spectrum": "Chebyshev, lower=0.5 upper=1.0",
        "chebyshev lower=1.0 upper=1.0 tuned_to=spectrum": "Chebyshev",
    }
    runs = tables.runs.loc[found["row"]]
    typed = (runs.method + " " + runs.method_options.fillna("")).str.strip()
    methods = [data["methods"][index]["words"] for index in found["method"]]
    assert methods == [words[each] for each in typed]
    assert set(methods) == set(words.values())
    assert [each["words"] for each in data["methods"] if not each["usual"]] == [
        "Chebyshev, lower=0.5 upper=1.0"
    ]


def test_problems_are_told_apart_by_what_differs(tables):
    labels = [problem["label"].rpartition(", κ = ")[0] for problem in embedded(tables)["problems"]]
    assert labels == [
        "gaussian 6 × 9, eigenvector, start which max, radius 1, repetition 0",
        *(f"gaussian 6 × 9, zeros, repetition {r}" for r in range(2)),
        *(f"gaussian 40 × 5, zeros, repetition {r}" for r in range(3)),
        "polynomial 50 × 12, zeros, repetition 0",
    ]
    alone = run_study(RunConfig(Gaussian(40, 5), Zeros()))
    assert embedded(alone)["problems"][0]["label"].startswith("gaussian 40 × 5, κ = ")


def test_every_setting_comes_before_a_second_draw_of_any(tables, monkeypatch):
    monkeypatch.setattr(explorer, "MOST_PROBLEMS", 4)
    problems = embedded(tables)["problems"]
    assert [problem["label"].count("repetition 0") for problem in problems] == [1, 1, 1, 1]


def test_eigenvalues_are_no_more_than_the_limit(tables, monkeypatch):
    monkeypatch.setattr(explorer, "MOST_EIGENVALUES", 9 + 9 + 5)
    problems = embedded(tables)["problems"]
    assert sum(len(problem["eigenvalue"]) for problem in problems) <= 23
    assert len(problems) == 3
    assert not any("polynomial" in problem["label"] for problem in problems)


def test_curves_are_thinned_from_end_to_end(tables, monkeypatch):
    for limit, most in ((10**6, 30), (12 * len(tables.runs), 12), (0, 6)):
        monkeypatch.setattr(explorer, "MOST_POINTS", limit)
        for problem in embedded(tables)["problems"]:
            for row, (times, gaps) in zip(problem["row"], problem["points"], strict=True):
                run_id = tables.runs.run_id[row]
                curve = tables.curves[tables.curves.run_id == run_id].set_index("iteration").gap
                assert len(times) == len(set(times)) == min(most, len(curve))
                assert [times[0], times[-1]] == [curve.index[0], curve.index[-1]]
                assert gaps == pytest.approx(curve[times].to_numpy(), rel=1e-5, abs=1e-320)


def test_nothing_in_the_data_can_end_its_element(tables):
    runs = tables.runs.assign(problem="</script><!--&\u2028")
    text = explorer.embedded(tables._replace(runs=runs))
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text)["problems"][0]["label"].startswith("</script><!--&\u2028 6 × 9")


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(tables, tmp_path):
    text = page(tmp_path, tables, {}, {})
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    assert rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    elements = {"style-src": "<style>(.*?)</style>", "script-src": "<script type=.module.>(.*?)</"}
    for name, pattern in elements.items():
        (content,) = re.findall(pattern, text, re.DOTALL)
        digest = rules.pop(name).removeprefix("'sha256-").removesuffix("'")
        assert b64decode(digest) == sha256(content.encode()).digest()
    assert rules == {}


def test_the_scripts_stay_readable():
    """Small enough to be read: at most 1,050 lines together, none of them hidden in a long one."""
    lines = [
        line
        for name in SCRIPTS
        for line in files("gdconv.report.page")
        .joinpath("web", name)
        .read_text("utf-8")
        .splitlines()
    ]
    assert 200 < len(lines) <= 1050
    assert max(map(len, lines)) <= 120
    assert "innerHTML" not in "".join(lines)


def test_moments_are_shown_of_whole_problems_and_not_of_too_many(monkeypatch):
    """A problem with one sum missing, or with one too large, or too many of them, has none."""
    method = Sgd(iterations=5, batch_size=2)
    tables = run_study([RunConfig(Gaussian(20, d), method=method) for d in (2, 3)])
    table, (first, second) = tables.moments, tables.moments.problem_id.unique()
    # 6 and 7 choose 4, without r⁴ and r³ times a component.
    sizes = table.groupby("problem_id", sort=False).size().tolist()
    assert sorted(sizes) == [15 - 3, 35 - 4]
    large = table.assign(moment=table.moment.mask(table.index == 1, 1e290))
    for some, kept in ((table, [first, second]), (table[1:], [second]), (large, [second])):
        assert moments.shown(some).problem_id.unique().tolist() == kept
        data = embedded(tables._replace(moments=some))
        assert len(data["problems"]) == len(kept)
        assert all(len(each["moments"]["rows"]) in (3, 6) for each in data["problems"])
    monkeypatch.setattr(moments, "MOST_SUMS", sizes[0])
    assert moments.shown(table).problem_id.unique().tolist() == [first]


def test_the_page_says_of_which_samples_it_has_no_expectation(tmp_path):
    method = Sgd(iterations=5)
    few, many = (run_study(RunConfig(Gaussian(20, d), method=method)) for d in (10, 11))
    assert len(many.moments) == 0
    said = "Of sgd it computes the expectation without momentum and averages, with up to 10"
    assert said in page(tmp_path, many, {}, {})
    assert said not in page(tmp_path, few, {}, {})


SVG = (
    '<svg viewBox="0 0 9 9"><g style="fill: #ffffff; stroke: #000000"/><g style="fill: #808080"/>'
    '<rect fill="#1f4e79"/><image href="data:image/png;base64,#aaaaaa"/></svg>\n'
)


def test_dark_colours_are_only_added_to_a_figure():
    made = pictures.dark(SVG.encode()).decode()
    assert re.sub('<g class="dark">.*?</g>', "", made) == SVG
    rules = dict(re.findall(r"([^{}]*){([^{}]*)}", made[made.index("@media") :].split("{", 1)[1]))
    paper, ink = "#12161b", "#e6eaef"
    assert rules.pop("svg") == f"fill:{ink}"
    assert rules.pop('[style*="fill: #ffffff"]') == f"fill:{paper}!important"
    assert rules.pop('[style*="stroke: #000000"]') == f"stroke:{ink}!important"
    # Grey in the middle stays there: 127/255 of the way from paper to ink.
    assert rules.pop('[style*="fill: #808080"]') == "fill:#7c8085!important"
    (blue,) = re.findall("fill:#(..)(..)(..)!", rules.pop('[fill="#1f4e79"]'))
    red, green, blue = (int(part, 16) for part in blue)
    assert red < green < blue > 128
    assert rules == {"image": "filter:url(#exchanged)"}


def test_a_caption_begins_with_a_sentence_and_what_is_left_out_takes_a_line(tables, tmp_path):
    drawn = {plot.name: SVG.encode() for plot in FIGURES}
    text = page(tmp_path / "a b", tables, drawn, {"one": "no <data>", "two": "none"})
    assert text.count("<figcaption><strong>") == len(FIGURES)
    for plot in FIGURES:
        first = escape(re.split(r"\.(?: |$)", plot.caption)[0])
        assert f'alt="{plot.name}: {first}."' in text
        assert f"<strong>{plot.name}</strong> {first}.\n<details>" in text
        command = f"gdconv-report 'a b' --format pdf --figures {plot.name}"
        assert f"<code>{escape(command)}</code>" in text
    assert "<summary>2 figures are left out: why</summary>" in text
    assert "<dt>one</dt><dd>no &lt;data&gt;</dd>" in text
    assert "<summary>1 figure is left out: why</summary>" in page(tmp_path, tables, {}, {"one": ""})
