"""report.html in a browser: the explorer computes what Python does; the table sorts and filters."""

import csv
import json
import math
import re
import shutil
import struct
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from gdconv.config.problems import Gaussian, Polynomial, Prescribed
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Eigenvector, Record, Step, Zeros
from gdconv.methods.chebyshev import Chebyshev
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.methods.heavy_ball import HeavyBall
from gdconv.methods.nesterov import Nesterov, best_momentum
from gdconv.methods.protocol import Method
from gdconv.methods.sgd import Sgd
from gdconv.report.numerals import rounded
from gdconv.report.page.document import page as make_page
from gdconv.report.page.index import write as write_index
from gdconv.sweep.sweep import run_study
from gdconv.tables.columns import COLUMNS, QUANTITIES
from gdconv.tables.csv import header, read
from gdconv.theory import bounds

pytestmark = pytest.mark.slow

STEPS = (0.3, 0.7, 1.0, 1.4, 1.8, 2.0, 2.1)
INSTALL = "tests of report.html need {}: apt-get install chromium chromium-driver"
QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-dev-shm-usage"""


def find_program(*names):
    for path in map(shutil.which, names):
        if path:
            return path
    return pytest.fail(INSTALL.format(names[0]), pytrace=False)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = find_program("chromium", "chromium-browser", "google-chrome")
    for argument in (*QUIET.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(find_program("chromedriver")))
    yield driver
    driver.quit()


def write_page(folder, figures=None):
    text = make_page(folder, read(folder), figures or {}, {})
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "sizes"
    configs = [RunConfig(Gaussian(60, d), step=Step(value=STEPS), repetitions=2) for d in (9, 4)]
    configs += [
        RunConfig(Gaussian(8, 12), Eigenvector("min"), step=Step(value=STEPS)),
        RunConfig(Polynomial(80, 9), step=Step("optimal", (0.5, 1.0))),
    ]
    run_study(configs, folder=folder)
    # Drawing real ones takes seconds.
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="500" height="300"/>'
    return write_page(folder, {"convergence": svg})


@pytest.fixture(scope="module")
def tables(folder):
    return read(folder)


@pytest.fixture
def page(driver, folder):
    """The page as it opens, 1200 pixels wide and light."""
    show(driver, folder, 1200)
    yield driver
    assert driver.get_log("browser") == []


@pytest.fixture
def downloads(driver, tmp_path):
    folder = tmp_path / "downloads"
    way = {"behavior": "allow", "downloadPath": str(folder), "eventsEnabled": True}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", way)
    return folder


def downloaded(driver, path):
    """The content of a file that the page saves; it has its name when it is complete."""
    WebDriverWait(driver, 20).until(lambda _: path.exists() and path.stat().st_size)
    return path.read_bytes()


def show(driver, folder, width=1200, scheme="light"):
    resize(driver, width)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.get((folder / "report.html").as_uri())


def resize(driver, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def by_id(page, name):
    return page.find_element(By.ID, name)


def number(page, name):
    return float(by_id(page, name).get_property("value"))


NUMBERS = """
return Object.fromEntries([...document.querySelectorAll("data")].map((e) => [e.id, e.value]))
"""


def slide(page, name, value):
    """Move a slider, or fill a field, at once; the input event follows."""
    page.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
        by_id(page, name),
        value,
    )


def press(page, name, slider="step"):
    page.find_element(By.CSS_SELECTOR, f"#{slider}-places [value={name}]").click()


def take(page, method):
    Select(by_id(page, "method")).select_by_visible_text(method)


def choose(page, run):
    """Show a run of the table in the explorer."""
    slide(page, "filter", f"run_id={run.run_id}")
    (button,) = cells(page, "tbody button")
    button.click()


def number_of_step(page):
    return number(page, "relative-step")


def verdict(page):
    return by_id(page, "verdict").find_element(By.TAG_NAME, "strong").text


def test_at_the_optimum_nu_is_that_of_theory(page, tables):
    problem = Select(by_id(page, "problem"))
    for option, label in enumerate(each.text for each in problem.options):
        problem.select_by_index(option)
        press(page, "optimum")
        assert verdict(page) == "Optimal."
        kappa = float(label.rpartition("κ = ")[2])
        (known,) = {k for k in tables.runs.condition_number if f"{k:.4g}" == f"{kappa:.4g}"}
        assert number(page, "nu") == pytest.approx((known - 1) / (known + 1), rel=1e-13)
        shown, nu = by_id(page, "nu").text, (known - 1) / (known + 1)
        if known < 1e3:
            assert shown == f"{nu:#.4g}"
        else:
            mantissa, power = f"{1 - nu:.3e}".split("e")
            small = "".join("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".index(c)] for c in str(int(power)))
            assert shown.replace("\u00a0", " ") == f"1 − {mantissa} × 10{small}"
    assert len(problem.options) == 6


def test_a_problem_with_several_parts_opens_first(driver, tmp_path):
    starts = (Eigenvector(), Zeros())
    run_study([RunConfig(Gaussian(20, 3), each) for each in starts], folder=tmp_path / "starts")
    show(driver, write_page(tmp_path / "starts"))
    opened = Select(by_id(driver, "problem"))
    assert [option.text.split(", ")[1] for option in opened.options] == ["eigenvector", "zeros"]
    assert opened.first_selected_option == opened.options[1]


def test_the_words_say_how_it_ends(page):
    by_id(page, "step").send_keys(Keys.END)
    assert number_of_step(page) > 2
    assert verdict(page) == "Diverges."
    assert by_id(page, "iterations").text == "never"
    press(page, "edge")
    assert verdict(page) == "On the edge."
    assert number(page, "nu") == 1
    by_id(page, "step").send_keys(Keys.ARROW_RIGHT)
    assert verdict(page) == "Diverges."
    press(page, "edge")
    by_id(page, "step").send_keys(Keys.ARROW_LEFT)
    assert verdict(page) == "Converges."
    press(page, "safe")
    assert verdict(page) == "Converges."
    assert number_of_step(page) == 1


@pytest.mark.parametrize("problem_number", range(6))
def test_gap_and_bounds_are_those_of_the_csv(page, tables, problem_number):
    runs = tables.runs
    of_problem = runs[runs.problem_id == runs.problem_id.unique()[problem_number]]
    for run in of_problem.iloc[problem_number % 2 :: 2].itertuples():
        compare_with_csv(page, run, tables)


def compare_with_csv(page, run, tables):
    choose(page, run)
    assert number_of_step(page) == run.relative_step
    assert number(page, "step-size") == run.step_size
    assert number(page, "nu") == pytest.approx(run.nu, rel=1e-14)
    assert number(page, "nu-coursework") == pytest.approx(run.nu_coursework, rel=1e-14)
    predicted = math.inf if pd.isna(run.iterations_predicted) else run.iterations_predicted
    assert number(page, "iterations") == predicted
    curve = tables.curves[tables.curves.run_id == run.run_id].set_index("iteration")
    last = int(by_id(page, "iteration").get_property("max"))
    times = [t for t in curve.index if t <= last]
    assert len(times) >= 3
    for t in {*times[:3], times[len(times) // 2], times[-1]}:
        slide(page, "iteration", int(t))
        shown = page.execute_script(NUMBERS)
        for cell, column in (
            ("gap", "gap_exact"),
            ("gap-bound", "gap_bound"),
            ("gap-bound-sharp", "gap_bound_sharp"),
            ("gap-bound-coursework", "gap_bound_coursework"),
        ):
            # The page has the squared components with 12 digits, and t roundings in a power.
            assert float(shown[cell]) == pytest.approx(curve[column][t], rel=1e-9), (t, cell)
    recorded = points_of(page, run)
    slide(page, "iteration", recorded[1])
    assert number(page, "measured") == pytest.approx(curve.gap[recorded[1]], rel=1e-5)
    told = by_id(page, "measured-run").text
    assert f"Run {run.run_id} has this step size. Status: {run.status}. Rate: " in told
    reached = run.iterations_to_tolerance
    assert f"tolerance: {'–' if pd.isna(reached) else f'{reached:,}'} measured" in told
    dots = page.find_elements(By.CSS_SELECTOR, "#gap-chart .dot")
    assert len(dots) == len(recorded)


def points_of(page, run):
    data = json.loads(by_id(page, "data").get_property("textContent"))
    (points,) = (
        points
        for problem in data["problems"]
        for row, points in zip(problem["row"], problem["points"], strict=True)
        if data["table"]["rows"][row][data["table"]["columns"].index("run_id")] == run.run_id
    )
    return points[0]


def test_the_drawn_curve_passes_through_the_chosen_point(page):
    slide(page, "iteration", 7)
    (here,) = page.find_elements(By.CSS_SELECTOR, "#gap-chart .here")
    (exact,) = page.find_elements(By.CSS_SELECTOR, "#gap-chart .exact")
    points = [point.split(",") for point in exact.get_attribute("d")[1:].split("L")]
    x, y = float(here.get_attribute("cx")), float(here.get_attribute("cy"))
    # Paths have two digits behind the point.
    assert min(abs(float(a) - x) + abs(float(b) - y) for a, b in points) <= 0.02


def test_curves_end_at_the_frame_and_numbers_beside_it_do_not(page):
    every = "return [...document.querySelectorAll('.charts svg')]"
    of_each = "[each.parentNode.tagName, getComputedStyle(each).overflow]"
    found = page.execute_script(f"{every}.map(each => {of_each})")
    assert {way for name, way in found if name == "figure".upper()} == {"visible"}
    assert {way for name, way in found if name == "svg"} == {"hidden"}


NAMES = """
return [...document.querySelectorAll("svg[role=img]")].filter((svg) => svg.checkVisibility())
  .map((svg) => [svg.ariaLabel, svg.querySelector("desc").textContent])
"""
CLIPPED = """
return [...document.querySelectorAll(".charts > figure > svg > text")].filter((text) => {
  const [inner, outer] = [text, text.parentNode].map((each) => each.getBoundingClientRect());
  return inner.width && (inner.right > outer.right + 0.5 || inner.left < outer.left - 0.5);
}).map((text) => text.textContent)
"""


def test_charts_have_names_and_descriptions_and_whole_ticks(page):
    press(page, "optimum")
    slide(page, "iteration", 7)
    captions = [each.text for each in page.find_elements(By.CSS_SELECTOR, ".charts figcaption")]
    found = page.execute_script(NAMES)
    assert [name for name, _ in found] == [text for text in captions if text]
    assert all(says.endswith(".") for _, says in found)
    gap, bound = (by_id(page, name).text for name in ("gap", "gap-bound"))
    said = found[0][1].replace("\u00a0", " ")
    assert f"after 7 iterations {gap}, its bound {bound};" in said
    # Next to the edge the axis of t has its widest numbers.
    press(page, "edge")
    by_id(page, "step").send_keys(Keys.ARROW_LEFT)
    assert int(by_id(page, "iteration").get_property("max")) > 10**6
    for width in (1200, 400):
        resize(page, width)
        check_widths(page, width)
        assert page.execute_script(CLIPPED) == []


def test_one_part_grows_and_two_grow(page):
    press(page, "edge")
    by_id(page, "step").send_keys(Keys.ARROW_RIGHT)
    assert " 1 of 4 parts grows" in by_id(page, "verdict").text
    said = []
    for option in range(6):
        Select(by_id(page, "problem")).select_by_index(option)
        by_id(page, "step").send_keys(Keys.END)
        said.append(by_id(page, "verdict").text)
    assert re.search(r" [2-9] of \d+ parts grow[,.]", " ".join(said))


def test_the_eigenvalues_parts_make_up_the_gap(page, tables):
    slide(page, "iteration", 3)
    data = json.loads(by_id(page, "data").get_property("textContent"))
    problem, step = data["problems"][data["first"]], number(page, "step-size")
    positive, squares = (np.array(problem[k]) for k in ("eigenvalue", "error_component_squared"))
    gap = bounds.exact_gap(positive, positive * squares / 2, step, 3)
    assert number(page, "gap") == pytest.approx(float(gap), rel=1e-12)
    assert len(page.find_elements(By.CSS_SELECTOR, "#part-chart .full")) == len(positive)


def test_another_tolerance_takes_other_iterations(page):
    Select(by_id(page, "tolerance")).select_by_value("1e-12")
    log_nu = math.log(number(page, "nu"))
    assert number(page, "iterations") == bounds.iterations_to(1e-12, log_nu)


def test_a_click_into_the_chart_of_rates_goes_there(page):
    chart = by_id(page, "rate-chart")
    ActionChains(page).move_to_element_with_offset(chart, 60, 0).click().perform()
    left = number_of_step(page)
    ActionChains(page).move_to_element_with_offset(chart, -60, 0).click().perform()
    assert number_of_step(page) < left


def read_of(page, chart):
    """The text that a chart shows of the place under the pointer or the focus."""
    script = "return arguments[0].closest('figure').querySelector('output').textContent"
    return page.execute_script(script, by_id(page, chart)).replace("\u00a0", " ")


def test_charts_tell_their_values_to_the_pointer_and_the_keyboard_and_a_click_sets_t(page):
    assert verdict(page) == "Optimal."
    chart = by_id(page, "gap-chart")
    ActionChains(page).move_to_element_with_offset(chart, 40, 0).perform()
    told = read_of(page, "gap-chart")
    ActionChains(page).click().perform()
    t = by_id(page, "iteration").get_property("value")
    gap, bound = (by_id(page, name).text for name in ("gap", "gap-bound"))
    assert told.startswith(f"t = {t}: exact gap {gap}, bound {bound}, sharp bound ")
    assert by_id(page, "iteration-shown").text == t != "0"
    ActionChains(page).move_to_element(by_id(page, "filter")).perform()
    assert read_of(page, "gap-chart") == ""
    # From the slider before the first chart to each chart, and a step to the side there.
    beginnings = {"gap": "t = ", "rate": "ηλmax = ", "part": "Eigenvalue ", "mode": "λ/λmax = "}
    by_id(page, "tolerance").send_keys("")
    for name, begins in beginnings.items():
        while page.switch_to.active_element != by_id(page, f"{name}-chart"):
            ActionChains(page).send_keys(Keys.TAB).perform()
        before = read_of(page, f"{name}-chart")
        ActionChains(page).send_keys(Keys.ARROW_LEFT).perform()
        after = read_of(page, f"{name}-chart")
        assert before.startswith(begins)
        assert after.startswith(begins)
        assert after != before or name == "part"
        if name == "rate":
            ActionChains(page).send_keys(Keys.ENTER).perform()
            assert verdict(page) == "Converges."
            x, factor = map(float, re.match(r"ηλmax = (\S+): ν² = ([^ ,]+),", after).groups())
            # The slider has other stops than the chart has places.
            assert number_of_step(page) == pytest.approx(x, rel=0.01)
            assert number(page, "nu") ** 2 == pytest.approx(factor, rel=0.05)


FRAMED = """
return [...document.querySelectorAll("[data-follows]")].filter((each) => each.checkVisibility())
  .map((each) => [getComputedStyle(each).boxShadow, each.innerText])
  .map(([shadow, text]) => [shadow !== "none", text.includes("moves with")])
"""


def test_what_moves_with_a_slider_says_so_and_is_framed_while_it_moves(page):
    assert {tuple(each) for each in page.execute_script(FRAMED)} == {(False, True)}
    for slider, framed in (("step", 6), ("iteration", 4)):
        by_id(page, slider).send_keys(Keys.ARROW_RIGHT)
        assert sum(shown for shown, _ in page.execute_script(FRAMED)) == framed
    assert by_id(page, "glossary").get_property("open") is False


# The methods


STEPS_OF_ALL = (0.5, 1.2, 1.9, 3.0)
METHODS = {
    "heavy ball": HeavyBall(momentum=(0.0, 0.5, 0.9), iterations=300),
    "heavy ball, averaged first step": HeavyBall(first_step="averaged", iterations=300),
    "Nesterov": Nesterov(momentum=(0.3, "optimal"), iterations=300),
    "Nesterov, convex momentum": Nesterov(momentum="convex", iterations=300),
    "Chebyshev": Chebyshev(iterations=300),
    "Chebyshev, lower=0.5 upper=1.5": Chebyshev(lower=0.5, upper=1.5, iterations=300),
}
WITH_MOMENTUM = ("heavy ball", "heavy ball, averaged first step", "Nesterov")


def configs_of(problem, method):
    if isinstance(method, Chebyshev):
        return [RunConfig(problem, method=method)]
    return [
        RunConfig(problem, step=Step(value=STEPS_OF_ALL), method=method),
        RunConfig(problem, step=Step("optimal", 1.0), method=method),
    ]


@pytest.fixture(scope="module")
def all_methods(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "methods"
    every = (*METHODS.values(), GradientDescent(iterations=300))
    problems = Gaussian(60, 9), Gaussian(40, 30)
    run_study([c for p in problems for m in every for c in configs_of(p, m)], folder=folder)
    return write_page(folder)


@pytest.fixture
def methods(driver, all_methods):
    """The page of a study of all methods."""
    show(driver, all_methods)
    yield driver
    assert driver.get_log("browser") == []


def runs_of(runs, method: Method):
    """The runs with the keys of a method, which may be lists."""
    options = runs.method_options.fillna("")
    chosen = runs.method == method.name
    for name, value in vars(method).items():
        if name in ("first_step", "lower", "upper"):
            chosen &= options.str.contains(
                f"{name}={value[0] if isinstance(value, tuple) else value}"
            )
        if name == "momentum":
            chosen &= options.str.contains("convex") == (value == ("convex",))
    return runs[chosen]


@pytest.mark.parametrize("words", METHODS)
def test_gap_and_bounds_of_every_method_are_those_of_the_csv(methods, all_methods, words):
    tables, method = read(all_methods), METHODS[words]
    runs = runs_of(tables.runs, method)
    assert len(runs) >= 2
    for run in runs.itertuples():
        choose(methods, run)
        assert Select(by_id(methods, "method")).first_selected_option.text == words
        assert by_id(methods, "measured-run").text.startswith(f"Run {run.run_id} has this ")
        curve = tables.curves[tables.curves.run_id == run.run_id].set_index("iteration")
        # The root of a number that is rounded has half as many digits, and ν may be such a root.
        assert number(methods, "nu") == pytest.approx(run.nu, rel=1e-7)
        last = int(by_id(methods, "iteration").get_property("max"))
        times = [t for t in curve.index if t <= last]
        for t in {*times[:2], times[len(times) // 2], times[-1]}:
            slide(methods, "iteration", int(t))
            shown = {k: float(v) for k, v in methods.execute_script(NUMBERS).items() if v}
            for name, column in (
                ("gap", "gap_exact"),
                ("gap-bound", "gap_bound"),
                ("gap-bound-sharp", "gap_bound_sharp"),
            ):
                # The page has the squared components with 12 digits, and t roundings in a power.
                assert shown[name] == pytest.approx(curve[column][t], rel=1e-9), (name, t)


def extremes(page):
    data = json.loads(by_id(page, "data").get_property("textContent"))
    problem = data["problems"][int(by_id(page, "problem").get_property("value"))]
    return problem["largest"], problem["smallest"], problem["distance_squared"]


def heavy_ball_full(t, kappa):
    rho = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    return rho, rho**t * (1 + t * (1 + rho))


def heavy_ball_averaged(t, kappa):
    rho = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    return rho, rho**t * (1 + t * (1 - rho**2) / (1 + rho**2))


def nesterov(t, kappa):
    rho = 1 - 1 / np.sqrt(kappa)
    return rho, rho**t * (1 + t / np.sqrt(kappa))


def chebyshev(t, kappa):
    rho = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    return rho, 1 / np.cosh(t * np.arccosh((kappa + 1) / (kappa - 1)))


# The closed forms of ν and max |p_t|: at the optimum of heavy ball, with both first steps, at step
# size 1/λmax of Nesterov's method with the best momentum, and of Chebyshev's method.
CLOSED = {
    "heavy ball": ("optimum", heavy_ball_full),
    "heavy ball, averaged first step": ("optimum", heavy_ball_averaged),
    "Nesterov": ("safe", nesterov),
    "Chebyshev": (None, chebyshev),
}


@pytest.mark.parametrize("words", CLOSED)
@pytest.mark.parametrize("option", [0, 1])
def test_closed_forms_of_the_maxima(methods, words, option):
    place, formula = CLOSED[words]
    Select(by_id(methods, "problem")).select_by_index(option)
    take(methods, words)
    if place:
        press(methods, place)
        press(methods, "best", "momentum")
    largest, smallest, distance = extremes(methods)
    kappa = largest / smallest
    for t in (0, 1, 2, 7, 20):
        slide(methods, "iteration", t)
        rho, most = formula(t, kappa)
        # Here a root is a double one, and t² times its rounding error is left.
        bound = largest / 2 * most**2 * distance
        assert number(methods, "gap-bound") == pytest.approx(bound, rel=1e-9), t
    assert number(methods, "nu") == pytest.approx(rho, rel=1e-13)
    every = formula(np.arange(1, 200), kappa)[1] ** 2
    for part in ("1e-2", "1e-6", "1e-12"):
        Select(by_id(methods, "tolerance")).select_by_value(part)
        assert number(methods, "iterations") == 1 + np.argmax(every <= float(part))


@pytest.mark.parametrize("words", WITH_MOMENTUM)
def test_without_momentum_every_number_is_that_of_gradient_descent(methods, words):
    for place in ("safe", "next", "optimum"):
        take(methods, "gradient descent")
        press(methods, place)
        slide(methods, "iteration", 5)
        before = methods.execute_script(NUMBERS)
        take(methods, words)
        press(methods, "zero", "momentum")
        after = methods.execute_script(NUMBERS)
        assert number(methods, "beta") == 0
        for name in ("gap", "gap-bound", "gap-bound-sharp", "nu", "iterations", "relative-step"):
            assert after[name] == before[name] != "", name
        assert after["gap-bound-coursework"] == ""


@pytest.mark.parametrize("words", WITH_MOMENTUM)
def test_the_best_momentum_is_that_of_the_formula(methods, words):
    Select(by_id(methods, "problem")).select_by_index(1)
    largest, smallest, _ = extremes(methods)
    take(methods, words)
    for index in (40, 100, 130, 145):
        press(methods, "zero", "momentum")
        slide(methods, "step", index)
        x = number_of_step(methods)
        press(methods, "best", "momentum")
        if words == "Nesterov":
            best = best_momentum(x, x * smallest / largest)
        else:
            best = max((1 - np.sqrt(x)) ** 2, (1 - np.sqrt(x * smallest / largest)) ** 2)
        # Nesterov's best momentum is found by bisection there.
        assert number(methods, "beta") == pytest.approx(best, abs=1e-12)
        nu = number(methods, "nu")
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT + Keys.ARROW_LEFT):
            by_id(methods, "momentum").send_keys(key)
            assert number(methods, "nu") > nu
    press(methods, "optimum")
    press(methods, "overall", "momentum")
    assert verdict(methods) == "Optimal."
    root = np.sqrt(largest / smallest)
    if words == "Nesterov":
        root = np.sqrt(3 * root**2 + 1)
        assert number(methods, "nu") == pytest.approx(1 - 2 / root, rel=1e-13)
    else:
        assert number(methods, "beta") == pytest.approx(((root - 1) / (root + 1)) ** 2, rel=1e-13)


def test_a_method_with_momentum_has_an_edge_of_its_own(methods):
    limits = {
        "heavy ball": lambda beta: 2 * (1 + beta),
        "Nesterov": lambda beta: (2 + 2 * beta) / (1 + 2 * beta),
        "Nesterov, convex momentum": lambda _: 4 / 3,
    }
    for words, limit in limits.items():
        take(methods, words)
        if words in WITH_MOMENTUM:
            slide(methods, "momentum", 55)
            assert 0.5 < number(methods, "beta") < 0.6
        press(methods, "edge")
        expected = limit(number(methods, "beta"))
        assert number_of_step(methods) == pytest.approx(expected, rel=1e-14)
        assert verdict(methods) == "On the edge."
        assert number(methods, "nu") == pytest.approx(1, rel=1e-7)
        by_id(methods, "step").send_keys(Keys.ARROW_RIGHT)
        assert verdict(methods) == "Diverges."
        assert number(methods, "nu") > 1
        by_id(methods, "step").send_keys(Keys.ARROW_LEFT + Keys.ARROW_LEFT)
        assert verdict(methods) == "Converges."
        assert number(methods, "nu") < 1


def test_controls_that_a_method_lacks_are_hidden_and_the_page_says_why(methods):
    why = {
        "gradient descent": (True, False, "Gradient descent has no momentum."),
        "heavy ball": (True, True, ""),
        "Nesterov, convex momentum": (True, False, "(t − 1)/(t + 2)"),
        "Chebyshev": (False, False, "cannot be chosen"),
    }
    for words, (step, momentum, said) in why.items():
        take(methods, words)
        assert by_id(methods, "step").is_displayed() == step
        assert by_id(methods, "momentum").is_displayed() == momentum
        assert by_id(methods, "plane-chart").is_displayed() == momentum
        assert by_id(methods, "rate-chart").is_displayed() == step
        shown = [each.text for each in methods.find_elements(By.CSS_SELECTOR, "p[data-for]")]
        assert [text for text in shown if said and said in text] == [
            text for text in shown if text
        ][: bool(said)]


def test_the_buttons_go_through_the_runs_of_the_method(methods, all_methods):
    runs = read(all_methods).runs
    of_problem = runs[runs.problem_id == runs.problem_id.iloc[0]]
    method = METHODS["heavy ball"]
    expected = (
        runs_of(of_problem, method).sort_values(["relative_step", "momentum"]).run_id.tolist()
    )
    choose(methods, next(of_problem[of_problem.run_id == expected[0]].itertuples()))
    said = []
    for _ in expected:
        said.append(by_id(methods, "measured-run").text.split()[1])
        press(methods, "next")
    assert said == expected
    press(methods, "previous")
    assert by_id(methods, "measured-run").text.split()[1] == expected[-2]


def test_a_click_into_the_plane_goes_there(methods):
    take(methods, "heavy ball")
    chart = by_id(methods, "plane-chart")
    ActionChains(methods).move_to_element_with_offset(chart, 40, 30).click().perform()
    step, momentum = number_of_step(methods), number(methods, "beta")
    ActionChains(methods).move_to_element_with_offset(chart, -40, -30).click().perform()
    assert number_of_step(methods) < step
    assert number(methods, "beta") > momentum


def test_a_run_that_is_near_is_told(methods):
    take(methods, "heavy ball")
    slide(methods, "momentum", 53)
    told = by_id(methods, "measured-run").text
    assert told.startswith("No run of this study has exactly this step size and momentum.")
    assert "The nearest has ηλmax = " in told
    assert " and β = 0.5000. " in told


@pytest.mark.parametrize("words", METHODS)
def test_a_study_of_one_method_opens_with_it(driver, tmp_path, words):
    run_study(configs_of(Gaussian(20, 5), METHODS[words]), folder=tmp_path / "one")
    show(driver, write_page(tmp_path / "one"))
    assert Select(by_id(driver, "method")).first_selected_option.text == words
    # At the optimum, where there is one; else at a run.
    if words in WITH_MOMENTUM:
        assert verdict(driver) == "Optimal."
    else:
        assert by_id(driver, "measured-run").text.startswith("Run ")
    assert number(driver, "gap") > 0
    assert driver.get_log("browser") == []


def test_the_table_shows_the_methods_where_they_differ(methods, all_methods):
    runs = read(all_methods).runs
    filters = {
        "method=heavy_ball": runs.method == "heavy_ball",
        "β > 0.5": runs.momentum > 0.5,
        "momentum > 0.5 nesterov": (runs.momentum > 0.5) & (runs.method == "nesterov"),
        "averaged": runs.method_options.str.contains("averaged", na=False),
    }
    for text, chosen in filters.items():
        type_filter(methods, text)
        # The table shows the first hundred.
        assert column(methods, "run_id") == runs.run_id[chosen][:100].tolist() != [], text


def test_the_table_of_one_method_does_not_name_it(page):
    names = {each.get_property("title") for each in cells(page, "thead button")}
    assert not names & {"method", "method_options", "momentum"}


# Stochastic gradient descent


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "sgd"
    steps = Step("limit", (0.4, 0.8))
    methods = [
        Sgd(iterations=300, paths=40, batch_size=(1, 4), replacement=each) for each in (True, False)
    ]
    configs = [RunConfig(Gaussian(30, d), step=steps, method=m) for d in (3, 10) for m in methods]
    rank = RunConfig(Gaussian(4, 6), step=steps, method=methods[0])
    plain = RunConfig(Gaussian(30, 3), method=GradientDescent(reduce="none"))
    run_study([*configs, rank, plain], folder=folder)
    return write_page(folder)


@pytest.fixture
def samples(driver, drawn):
    """The page of a study of stochastic gradient descent, and of gradient descent."""
    show(driver, drawn)
    problem = Select(by_id(driver, "problem"))
    (place,) = (k for k, each in enumerate(problem.options) if " 30 × 3," in each.text)
    problem.select_by_index(place)
    yield driver
    assert driver.get_log("browser") == []


SAMPLED = ("stochastic gradient descent", "stochastic gradient descent, without replacement")


def test_the_expectation_is_that_of_the_csv(samples, drawn):
    tables = read(drawn)
    runs = tables.runs[tables.runs.method == "sgd"]
    assert len(runs) == 20
    for run in runs.itertuples():
        choose(samples, run)
        told = by_id(samples, "measured-run").text
        assert told.startswith(f"Run {run.run_id} has this step size and batch size. ")
        words = Select(by_id(samples, "method")).first_selected_option.text
        assert words == SAMPLED["replacement=false" in run.method_options]
        assert f"batch_size={number(samples, 'beta'):.0f} " in run.method_options
        # A system of 55 equations, and a root by bisection.
        assert number(samples, "stepLimit") == pytest.approx(run.step_limit, rel=1e-12)
        assert number(samples, "floor") == pytest.approx(run.gap_stationary, rel=1e-9)
        assert verdict(samples) == "Converges."
        curve = tables.curves[tables.curves.run_id == run.run_id].set_index("iteration")
        recorded = points_of(samples, run)
        for t in (0, *recorded[1:3], recorded[-1]):
            slide(samples, "iteration", t)
            assert number(samples, "gap") == pytest.approx(curve.gap_expected[t], rel=1e-9)
            assert number(samples, "measured") == pytest.approx(curve.gap[t], rel=1e-5)
        assert len(samples.find_elements(By.CSS_SELECTOR, "#gap-chart .dot")) == len(recorded)


def test_beyond_its_limit_the_expected_gap_grows(samples):
    take(samples, SAMPLED[0])
    press(samples, "edge")
    assert verdict(samples) == "On the edge."
    assert number(samples, "step-size") == pytest.approx(number(samples, "stepLimit"), rel=1e-15)
    by_id(samples, "step").send_keys(Keys.ARROW_RIGHT)
    assert verdict(samples) == "Diverges."
    assert by_id(samples, "floor").text == "–"
    by_id(samples, "step").send_keys(Keys.END)
    slide(samples, "iteration", by_id(samples, "iteration").get_property("max"))
    assert number(samples, "gap") > 1e3
    press(samples, "safe")
    assert verdict(samples) == "Converges."
    edge = number(samples, "stepLimit")
    assert number(samples, "step-size") == pytest.approx(edge / 2, rel=1e-12)
    press(samples, "critical", "momentum")
    assert number(samples, "beta") > 1
    assert number(samples, "stepLimit") > edge


def test_all_rows_without_replacement_are_gradient_descent(samples):
    take(samples, SAMPLED[1])
    press(samples, "all", "momentum")
    press(samples, "edge")
    assert number(samples, "beta") == 30
    assert number_of_step(samples) == pytest.approx(2, rel=1e-14)
    press(samples, "safe")
    slide(samples, "iteration", 5)
    gap, step = number(samples, "gap"), number_of_step(samples)
    assert number(samples, "floor") == 0
    take(samples, "gradient descent")
    assert number_of_step(samples) == pytest.approx(step, rel=1e-14)
    slide(samples, "iteration", 5)
    # At ηλmax = 1 the square of 1 − ηλmax is lost in 1 − 2ηλmax + η²λmax².
    assert number(samples, "gap") == pytest.approx(gap, rel=1e-12)


def test_what_only_polynomials_have_is_hidden(samples):
    take(samples, SAMPLED[0])
    names = {"rate-chart": False, "mode-chart": False, "nu": False, "momentum": True, "floor": True}
    assert {name: by_id(samples, name).is_displayed() for name in names} == names
    assert [each.text for each in samples.find_elements(By.CSS_SELECTOR, "p[data-for]")] == [""] * 4
    shown = samples.find_elements(By.CSS_SELECTOR, ".readout tbody tr")
    assert [row.text.split(" gap")[0] for row in shown if row.text] == ["expected", "measured"]
    for width in (1200, 400):
        resize(samples, width)
        check_widths(samples, width)
    take(samples, "heavy ball")
    assert 0 < number(samples, "beta") < 1
    take(samples, SAMPLED[0])
    assert number(samples, "beta") == 1


def test_more_features_have_no_expectation_here(driver, tmp_path):
    method = Sgd(iterations=5, momentum=(0.0, 0.5))
    run_study([RunConfig(Gaussian(20, d), method=method) for d in (3, 11)], folder=tmp_path / "s")
    show(driver, write_page(tmp_path / "s"))
    (option,) = Select(by_id(driver, "problem")).options
    assert option.text.startswith("gaussian 20 × 3, ")
    assert len(cells(driver, "tbody button")) == 1
    assert driver.get_log("browser") == []


# The table


COLUMN = """
const [head, ...rows] = document.querySelectorAll("#run-table tr");
const column = [...head.cells].findIndex((cell) => cell.firstChild?.title === arguments[0]);
return rows.map((row) => row.cells[column].textContent);
"""


def column(page, name):
    """The cells below the heading that stands for a column of runs.csv."""
    return page.execute_script(COLUMN, name)


def cells(page, selector):
    return page.find_elements(By.CSS_SELECTOR, f"#run-table {selector}")


def sort_by(page, name):
    for button in cells(page, "thead button"):
        if button.get_property("title") == name:
            # The headings are drawn anew.
            button.send_keys(Keys.ENTER)
            return


def type_filter(page, text):
    by_id(page, "filter").clear()
    by_id(page, "filter").send_keys(text)


def test_the_table_shows_every_run(page, tables):
    assert column(page, "run_id") == tables.runs.run_id.tolist()
    assert by_id(page, "matching").text == f"{len(tables.runs)} of {len(tables.runs)} runs."


FILTERS = {
    "n_features=9": lambda run: run.n_features == 9,
    "n_features>4 n_features<=9": lambda run: 4 < run.n_features <= 9,
    "status=diverged": lambda run: run.status == "diverged",
    "status!=diverged DIVERG": lambda run: False,
    "bound_coursework_holds=no": lambda run: not run.bound_coursework_holds,
    "polynomial": lambda run: run.problem == "polynomial",
    "d > 4 n_features <= 9": lambda run: 4 < run.n_features <= 9,
    "d=9 κ > 3": lambda run: run.n_features == 9 and run.condition_number > 3,
    "relative step<1.4 (19) holds = no": lambda run: (
        float(f"{run.relative_step:.5g}") < 1.4 and not run.bound_coursework_holds
    ),
    "iterations to tolerance < 9 gauss": lambda run: (
        is_less(run.iterations_to_tolerance, 9) and run.problem == "gaussian"
    ),
    "iterations<9": lambda run: is_less(run.iterations, 9),
    "relative_step<1.4 seed>=": lambda run: float(f"{run.relative_step:.5g}") < 1.4,
    "iterations_to_tolerance<9": lambda run: is_less(run.iterations_to_tolerance, 9),
}


def test_the_table_filters(page, tables):
    for text, holds in FILTERS.items():
        type_filter(page, text)
        expected = [run.run_id for run in tables.runs.itertuples() if holds(run)]
        assert column(page, "run_id") == expected, text
        counted = f"{len(expected)} of {len(tables.runs)} runs. Understood: "
        assert by_id(page, "matching").text.startswith(counted)


# What is typed → the condition that is understood, and a hint.
NEAR_MISSES = {
    "n_features = 20": ("n_features = 20", ""),
    "status:diverged": ("status = diverged", ""),
    "STATUS == Diverged": ("status = diverged", ""),
    "d≥9": ("n_features >= 9", ""),
    "N_Features=>9": ("n_features >= 9", ""),
    'start = "eigenvector"': ("start = eigenvector", ""),
    "status=divergd": ("status = divergd", "(status is converged or diverged or max_iterations)"),
    "n_features 9": ("n_features", "(for a condition write n_features = "),
    "C:\\runs": ("C:\\runs", "in a cell"),
}


def test_near_misses_of_the_filter_work_or_say_what_is_understood(page):
    """Nothing is found in silence: a near miss finds what the right condition finds."""
    for typed, (meant, hint) in NEAR_MISSES.items():
        type_filter(page, meant)
        right = column(page, "run_id")
        type_filter(page, typed)
        said = by_id(page, "matching").text
        assert column(page, "run_id") == right or hint, typed
        assert meant.lower() in said.partition(" Understood: ")[2].lower(), typed
        assert hint in said, typed


def test_every_heading_filters_and_tells_its_name_in_the_csv(page, tables):
    """A condition with the heading finds what one with the name of runs.csv finds."""
    shown = [each.get_property("textContent") for each in cells(page, "thead button")]
    names = [each.get_property("title") for each in cells(page, "thead button")]
    assert shown == [QUANTITIES[name].heading for name in names]
    assert len(set(shown)) == len(names)
    assert all(name == heading for name, heading in zip(names, shown, strict=True) if name in shown)
    for heading, name in zip(shown, names, strict=True):
        value = column(page, name)[0]
        type_filter(page, f"{name}={value}")
        found = column(page, "run_id")
        type_filter(page, f"{heading} = {value}")
        assert column(page, "run_id") == found != [], heading
        type_filter(page, "")


def is_less(value, limit):
    return not pd.isna(value) and value < limit


def test_a_filter_that_makes_no_sense_says_so(page, tables):
    type_filter(page, "n_sample=3")
    assert by_id(page, "matching").text == "There is no column n_sample."
    type_filter(page, "dd > 3")
    assert by_id(page, "matching").text == "There is no column dd."
    type_filter(page, "n_samples=few")
    assert by_id(page, "matching").text == "few is not a number."


def test_a_status_is_shown_alone_and_all_again(page, tables):
    (button,) = page.find_elements(By.CSS_SELECTOR, "#statuses [value='status=diverged']")
    assert button.text == f"diverged {(tables.runs.status == 'diverged').sum()}"
    button.click()
    assert set(column(page, "status")) == {"diverged"}
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert len(column(page, "status")) == len(tables.runs)
    assert button.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("name", ["iterations_to_tolerance", "rate_measured", "status"])
def test_the_table_sorts_by_kind_with_empty_cells_last(page, tables, name):
    values = tables.runs[name].dropna()
    values = values if name == "status" else [float(rounded(value, 5)) for value in values]
    for down, said in ((False, "ascending"), (True, "descending")):
        sort_by(page, name)
        shown = column(page, name)
        full, empty = shown[: len(values)], shown[len(values) :]
        assert set(empty) <= {"–"}
        read_back = full if name == "status" else [float(cell) for cell in full]
        assert read_back == sorted(values, reverse=down)
        assert [each.get_attribute("aria-sort") for each in cells(page, "th[aria-sort]")] == [said]
    assert name != "iterations_to_tolerance" or empty


TITLES = "return [...document.querySelectorAll('#run-table thead button')].map((e) => e.title)"


def test_the_table_starts_with_what_differs_and_its_rows_are_saved(page, tables, downloads):
    shown = page.execute_script(TITLES)
    assert shown[:3] == ["problem", "n_samples", "n_features"]
    assert "status" in shown
    assert all(tables.runs[name].nunique(dropna=False) > 1 for name in shown)
    # The seed is the same in all runs: it is hidden until it is wanted.
    assert "seed" not in shown
    by_id(page, "columns").find_element(By.TAG_NAME, "summary").click()
    by_id(page, "columns").find_element(By.CSS_SELECTOR, "[value=seed]").click()
    by_id(page, "columns").find_element(By.CSS_SELECTOR, "[value=problem]").click()
    assert set(page.execute_script(TITLES)) == {*shown, "seed"} - {"problem"}
    type_filter(page, "status = converged")
    sort_by(page, "iterations_to_tolerance")
    by_id(page, "save-rows").click()
    saved = pd.read_csv(BytesIO(downloaded(page, downloads / "runs.csv")))
    known = tables.runs[tables.runs.status == "converged"].set_index("run_id")
    assert list(saved) == page.execute_script(TITLES)
    assert sorted(saved.run_id) == sorted(known.index)
    assert saved.iterations_to_tolerance.is_monotonic_increasing
    known = known.loc[saved.run_id]
    assert saved.rate_measured.to_numpy() == pytest.approx(known.rate_measured, rel=1e-4)
    for name in ("seed", "start", "bound_coursework_holds"):
        assert saved[name].tolist() == known[name].tolist()


def address(page):
    return page.execute_script("return decodeURIComponent(location.hash)")


def test_what_is_chosen_stands_in_the_address_and_back_works(page, folder):
    def wait_for(text):
        WebDriverWait(page, 10).until(lambda _: text in address(page))

    assert address(page) == ""
    by_id(page, "step").send_keys(Keys.ARROW_RIGHT * 3)
    wait_for("step=")
    step = page.execute_script(NUMBERS)
    slide(page, "iteration", 3)
    wait_for("t=3")
    type_filter(page, "status = diverged")
    wait_for("show=status+=+diverged")
    sort_by(page, "relative_step")
    wait_for("sort=relative_step")
    chosen = page.execute_script(NUMBERS), column(page, "run_id")
    shared = page.current_url
    # Back: the table as it was before it was sorted, and then each choice before.
    page.back()
    assert sorted(chosen[1]) == sorted(column(page, "run_id"))
    assert cells(page, "th[aria-sort]") == []
    page.back()
    assert by_id(page, "filter").get_property("value") == ""
    page.back()
    assert page.execute_script(NUMBERS) == step
    page.back()
    assert verdict(page) == "Optimal."
    # Someone else opens what was shared, and sections leave it there.
    page.get("about:blank")
    page.get(shared)
    assert (page.execute_script(NUMBERS), column(page, "run_id")) == chosen
    page.find_element(By.CSS_SELECTOR, "nav a[href='#runs']").click()
    assert page.current_url == shared
    for wrong in ("#problem=length&method=x&step=y&t=-1&sort=z&show=", "#runs", "#=&&columns=%"):
        page.get("about:blank")
        page.get((folder / "report.html").as_uri() + wrong)
        assert verdict(page) == "Optimal."


def test_a_run_of_the_table_is_shown_in_the_explorer(page, tables):
    type_filter(page, "n_features=4 status=diverged repetition=1")
    (button,) = cells(page, "tbody button")
    button.click()
    runs = tables.runs[(tables.runs.n_features == 4) & (tables.runs.status == "diverged")]
    run = runs[runs.repetition == 1].iloc[0]
    assert number_of_step(page) == run.relative_step
    assert run.run_id in by_id(page, "measured-run").text
    assert page.switch_to.active_element == by_id(page, "step")


def test_numbers_close_to_an_edge_are_not_taken_for_it(driver, tmp_path):
    """κ = 1, where the coursework's bound is true, and κ = 1e6, whose optimum is not 2."""
    steps = Step(value=1.5), Step("optimal", 1.0)
    run_study(
        [
            # Of so many equal eigenvalues some are rounded differently, whatever the kernel.
            RunConfig(Prescribed(200, 20, condition_number=kappa), step=step)
            for kappa, step in zip((1.0, 1e6), steps, strict=True)
        ],
        folder=tmp_path / "s",
    )
    show(driver, write_page(tmp_path / "s"))
    for run in read(tmp_path / "s").runs.itertuples():
        choose(driver, run)
        said = by_id(driver, "verdict").text
        if run.lambda_min > 0.5 * run.lambda_max:
            assert run.lambda_min < run.lambda_max
            assert "The coursework’s bound is true here." in said
        else:
            assert by_id(driver, "relative-step").text == "1.99999800"
            assert "0.999996 predicted" in by_id(driver, "measured-run").text
            assert by_id(driver, "nu-coursework").text == "0.999998"
            type_filter(driver, "relative_step<2 rate_predicted<1 condition_number>2")
            assert column(driver, "relative_step") == ["1.999998"]


def test_long_tables_are_drawn_in_parts(driver, tmp_path):
    show(driver, study(tmp_path / "many", *({"seed": k} for k in range(1234))))
    assert len(column(driver, "seed")) == 100
    type_filter(driver, "seed>=1200")
    assert column(driver, "seed") == [str(k) for k in range(1200, 1234)]
    assert not by_id(driver, "more").is_displayed()
    type_filter(driver, "seed>=0")
    by_id(driver, "more").click()
    assert len(column(driver, "seed")) == 500
    assert driver.get_log("browser") == []


# The figures


def two_panels():
    """The SVG of a figure with two panels and a legend, as Matplotlib writes it."""
    figure = Figure(figsize=(5.2, 3.4))
    axes = figure.subplots(1, 2)
    for name in ("one", "two"):
        axes[0].plot([1, 2], label=name)
    figure.legend(loc="lower center", ncols=2)
    file = BytesIO()
    figure.savefig(file, format="svg")
    return file.getvalue()


CORNER = """
const canvas = document.createElement("canvas"), brush = canvas.getContext("2d");
brush.drawImage(document.querySelector(".picture img"), 0, 0);
return [...brush.getImageData(1, 1, 1, 1).data];
"""
STRIPS = """
return [...document.querySelectorAll(".strip")].map((each) => [each.naturalWidth, each.width])
"""


def test_figures_are_dark_can_be_saved_and_fit_a_narrow_window(driver, tmp_path, downloads):
    svg = two_panels()
    folder = study(tmp_path / "s", {"status": "converged"})
    show(driver, write_page(folder, {"convergence": svg}), 1200)
    assert driver.execute_script(CORNER) == [255, 255, 255, 255]
    assert by_id(driver, "figure-convergence").rect["width"] == 1024
    show(driver, folder, 400, "dark")
    assert driver.execute_script(CORNER) == [0x12, 0x16, 0x1B, 255]
    shown = WebDriverWait(driver, 10)
    shown.until(lambda _: all(width for width, _ in driver.execute_script(STRIPS)))
    # The header, a panel each, and the legend in two parts.
    widths = [shown for _, shown in driver.execute_script(STRIPS)]
    assert len(widths) == 5
    assert min(widths[:3]) > 370
    assert max(widths) <= 400
    picture = driver.find_element(By.CSS_SELECTOR, ".picture")
    assert picture.accessible_name.startswith("convergence: The gap L(wₜ) − L(w*)")
    check = "return document.documentElement.scrollWidth"
    assert driver.execute_script(check) <= 400
    driver.find_element(By.CSS_SELECTOR, "#figures summary").click()
    for kind in ("svg", "png"):
        driver.find_element(By.CSS_SELECTOR, f"#figures [value={kind}]").click()
    assert downloaded(driver, downloads / "convergence.svg") == svg
    png = downloaded(driver, downloads / "convergence.png")
    # Two numbers of four bytes after the signature and the name IHDR; 200 dots per inch.
    assert struct.unpack(">II", png[16:24]) == (round(5.2 * 200), round(3.4 * 200))
    resize(driver, 1200)
    shown.until(lambda _: driver.execute_script(STRIPS) == [])
    assert driver.get_log("browser") == []


def test_the_list_of_studies_shows_a_figure_of_each_and_fits_the_window(driver, tmp_path):
    folder = study(tmp_path / "a, <b>", {"status": "converged"})
    (folder / "figures").mkdir()
    Figure(figsize=(5.2, 3.4)).savefig(folder / "figures" / "errata.png")
    written = write_index(tmp_path)
    for width in (1200, 400):
        resize(driver, width)
        driver.get(written.as_uri())
        shown = driver.find_element(By.TAG_NAME, "img")
        assert shown.get_property("naturalWidth") == 520
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    shown.click()
    assert driver.current_url == (folder / "report.html").as_uri()
    assert driver.get_log("browser") == []


# The page as such


def study(folder, *rows):
    """A study of runs of a few cells, without curves and eigenvalues."""
    folder.mkdir()
    for name in COLUMNS:
        (folder / f"{name}.csv").write_bytes(header(name))
    with (folder / "runs.csv").open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS["runs"], restval="", lineterminator="\n")
        for number, row in enumerate(rows):
            writer.writerow({"run_id": number, "status": "converged", "problem": "gaussian"} | row)
    return write_page(folder)


def test_the_keyboard_will_do(page):
    """From the top by Tab to every control, in the order of the page, and arrows to move."""
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.HOME)
    reached, active = [], None
    while active is None or active.get_attribute("id") != "filter":
        ActionChains(page).send_keys(Keys.TAB).perform()
        active = page.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("value"))
        if active.get_attribute("id") == "step":
            before = number_of_step(page)
            active.send_keys(Keys.ARROW_RIGHT)
            assert number_of_step(page) > before
            active.send_keys(Keys.ARROW_LEFT)
            assert number_of_step(page) == before
            assert active.get_attribute("aria-valuetext").endswith(verdict(page).strip("."))
        if active.get_attribute("value") == "optimum":
            active.send_keys(Keys.ENTER)
            assert verdict(page) == "Optimal."
        if active.get_attribute("id") == "iteration":
            before = number(page, "gap")
            active.send_keys(Keys.ARROW_RIGHT)
            assert number(page, "gap") < before
    controls = ["problem", "method", "step", "previous", "safe", "optimum", "edge", "next"]
    controls.append("tolerance")
    assert [each for each in reached if each in {*controls, "iteration", "filter"}] == [
        *controls,
        "iteration",
        "filter",
    ]


def test_the_keyboard_moves_the_momentum(methods):
    take(methods, "heavy ball")
    by_id(methods, "step").send_keys("")
    reached = []
    while "tolerance" not in reached:
        ActionChains(methods).send_keys(Keys.TAB).perform()
        active = methods.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("value"))
        if reached[-1] == "momentum":
            before = number(methods, "beta")
            active.send_keys(Keys.ARROW_RIGHT)
            assert number(methods, "beta") > before
            assert active.get_attribute("aria-valuetext").endswith(verdict(methods).strip("."))
        if reached[-1] == "zero":
            active.send_keys(Keys.ENTER)
            assert number(methods, "beta") == 0
    assert reached[-5:] == ["momentum", "zero", "best", "overall", "tolerance"]


def test_nothing_is_requested_but_the_page_itself(driver, folder):
    driver.get_log("performance")
    show(driver, folder)
    press(driver, "optimum")
    sort_by(driver, "status")
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    requested = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert (folder / "report.html").as_uri() in requested
    assert all(url.startswith("data:image/svg+xml") for url in requested if "report" not in url)
    blocked = driver.execute_async_script(
        "fetch('runs.csv').then(() => arguments[0](false), () => arguments[0](true))"
    )
    assert blocked
    driver.get_log("browser")


def test_nothing_is_wider_than_the_window(page, folder):
    """Opened in each width, and resized: the charts are drawn anew."""
    for width in (1200, 700, 400, 320):
        resize(page, width)
        check_widths(page, width)
    show(page, folder, 400)
    check_widths(page, 400)


@pytest.mark.parametrize("words", ["heavy ball", "Nesterov, convex momentum", "Chebyshev"])
def test_charts_of_every_method_fit_into_the_window(methods, words):
    take(methods, words)
    for width in (1200, 700, 400, 320):
        resize(methods, width)
        check_widths(methods, width)


def check_widths(page, width):
    wide, window = page.execute_async_script(
        "requestAnimationFrame(() => requestAnimationFrame(() =>"
        " arguments[0]([document.documentElement.scrollWidth, innerWidth])))"
    )
    assert window == width
    assert wide <= width
    for chart in ("gap-chart", "rate-chart", "part-chart", "mode-chart", "plane-chart"):
        if not by_id(page, chart).is_displayed():
            continue
        box = by_id(page, chart).rect
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert box["height"] >= 150
        frame = by_id(page, chart).find_element(By.CSS_SELECTOR, ".frame").rect
        assert box["width"] - 80 <= frame["width"] < box["width"]


CONTRAST = """
const luminance = (colour) => {
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = colour.match(/[0-9.]+/g).map((each) => linear(each / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (node) => {
  const colour = getComputedStyle(node).backgroundColor;
  return colour === "rgba(0, 0, 0, 0)" ? ground(node.parentElement) : colour;
};
const text = "p, dt, dd, td, th, a, h1, h2, #verdict strong, button, select, figcaption";
return [...document.querySelectorAll(text)]
  .filter((node) => node.textContent.trim() && node.checkVisibility())
  .map((node) => [luminance(getComputedStyle(node).color), luminance(ground(node))]);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(driver, all_methods, scheme):
    show(driver, all_methods, 1200, scheme)
    for style in ("safe", "optimum", "edge", "heavy ball", "Chebyshev", "end"):
        if style in METHODS:
            take(driver, style)
        elif style == "end":
            take(driver, "gradient descent")
            by_id(driver, "step").send_keys(Keys.END)
        else:
            press(driver, style)
        pairs = driver.execute_script(CONTRAST)
        assert len(pairs) > 100
        for ink, ground in pairs:
            assert (ink > ground) == (scheme == "dark")
            # WCAG 2.2, 1.4.3: the least contrast of text, level AA.
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def test_hostile_text_is_text(driver, tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\u2028&amp;'\""
    rows = [{"status": evil, "problem": evil, "error": "</script><script>alert(2)</script>"}, {}]
    folder = study(tmp_path / "<script>alert(1)<b>", *rows)
    (folder / "config.yaml").write_text(evil)
    (folder / "provenance.json").write_text(evil)
    show(driver, write_page(folder))
    assert driver.find_element(By.TAG_NAME, "h1").text == "<script>alert(1)<b>"
    assert driver.title == "<script>alert(1)<b>"
    assert column(driver, "status")[0] == evil
    assert column(driver, "error")[0] == rows[0]["error"]
    assert len(driver.find_elements(By.TAG_NAME, "script")) == 2
    assert driver.find_elements(By.TAG_NAME, "img") == []
    assert driver.find_elements(By.ID, "explorer") == []
    assert driver.get_log("browser") == []


def test_hostile_text_in_an_explored_problem_is_text(driver, tmp_path):
    config = RunConfig(Gaussian(20, 3), step=Step(value=(0.5, 1.0)), record=Record(curves="none"))
    folder = tmp_path / "evil"
    run_study(config, folder=folder)
    path = folder / "runs.csv"
    path.write_text(path.read_text().replace(",gaussian,", ",</select><script>alert(1)</script>,"))
    show(driver, write_page(folder))
    (option,) = Select(by_id(driver, "problem")).options
    assert option.text.startswith("</select><script>alert(1)</script> 20 × 3, κ = ")
    assert driver.get_log("browser") == []


def test_a_study_without_runs_has_a_page(driver, tmp_path):
    show(driver, study(tmp_path / "empty"))
    assert "No run is complete yet." in by_id(driver, "summary").text
    assert by_id(driver, "matching").text == "0 of 0 runs."
    assert driver.get_log("browser") == []
