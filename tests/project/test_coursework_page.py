"""docs/coursework.md: it answers all parts, its formulas hold, its commands print what it shows."""

import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from fractions import Fraction
from io import StringIO
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from matplotlib.image import imread

import nnlib
from gdconv import run_study
from gdconv.experiment.iterate import iterate
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.problems.families import LeastSquares
from gdconv.problems.least_squares import Objective

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PAGE = (DOCS / "coursework.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")

# As in the coursework.
MARKS = dict(
    zip(
        [*(f"1({part})" for part in "abcdefghijk"), *(f"2({part})" for part in "abcdef")],
        [2, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5, 10, 5, 10, 10, 5, 10],
        strict=True,
    )
)


def sections():
    """The text of each part, by its heading."""
    found = re.findall(r"^### (\d\(\w\))\n(.*?)(?=^###? |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


@pytest.fixture
def examples(monkeypatch):
    """Python as if started in docs/examples."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_every_part_is_answered_in_order_and_with_its_marks():
    assert list(sections()) == list(MARKS)
    assert sum(MARKS.values()) == 100
    for part, text in sections().items():
        assert text.strip().startswith(f"*{MARKS[part]} marks.* **Question.** ")
        pieces = re.findall(r"\*\*(Question|Answer|Check|Figure)\b", text)
        assert pieces == ["Question", "Answer", "Check", "Figure"], part


def test_the_readme_leads_to_every_part():
    first_screen = README.partition("\n## ")[0]
    linked = re.findall(r"\[\((\w)\)\]\(docs/coursework\.md#(\w+)\)", first_screen)
    assert [f"{name[0]}({part})" for part, name in linked] == list(MARKS)


def test_every_equation_has_its_number_once():
    formulas = "".join(re.findall(r"\$\$(.*?)\$\$", PAGE, re.DOTALL))
    numbers = [int(number) for number in re.findall(r"\((\d+)\)", formulas)]
    assert numbers == [1, *range(3, 10), *range(12, 21)]


# Question 1: its formulas, in double precision on a small problem. Tolerances are a few hundred
# roundings of the numbers compared, which are of the size of 1 to 1000.
ROUNDING = 1e-12


@pytest.fixture
def problem():
    """X, y, w_0, H, w*, its eigenvalues from the largest, its eigenvectors as columns."""
    rng = np.random.default_rng(1)
    X, y, start = rng.normal(size=(7, 3)), rng.normal(size=7), rng.normal(size=3)
    eigenvalues, vectors = np.linalg.eigh(2 * X.T @ X)
    return X, y, start, 2 * X.T @ X, np.linalg.lstsq(X, y)[0], eigenvalues[::-1], vectors[:, ::-1]


def close(left, right):
    return np.allclose(left, right, rtol=ROUNDING, atol=ROUNDING)


def test_the_formulas_of_a_to_c(problem):
    X, y, w, H, w_star, *_ = problem
    gradient = 2 * X.T @ X @ w - 2 * X.T @ y
    residuals = [row @ w - value for row, value in zip(X, y, strict=True)]
    sums = [sum(2 * X[i, k] * residuals[i] for i in range(7)) for k in range(3)]
    assert close(gradient, sums)
    second = [[sum(2 * X[i, k] * X[i, m] for i in range(7)) for m in range(3)] for k in range(3)]
    assert close(H, second)
    g = nnlib.Graph()
    leaf = g.tensor(w)
    residual = g.sub(g.matmul(g.tensor(X), leaf), g.tensor(y))
    g.run_grad(g.sum(g.square(residual)))
    assert close(gradient, g.grad[leaf])
    assert close(w @ H @ w, 2 * np.sum((X @ w) ** 2))
    assert close(H @ w_star / 2, X.T @ y)
    assert close(gradient, H @ (w - w_star))


@pytest.mark.parametrize("relative_step", [0.5, 1.0, 1.7, 2.1])
def test_the_formulas_of_d_to_k(problem, relative_step):
    X, y, start, H, w_star, eigenvalues, vectors = problem
    largest, smallest = eigenvalues[0], eigenvalues[-1]
    step_size = relative_step / largest
    M = np.eye(3) - step_size * H
    nu = max(abs(1 - step_size * largest), abs(1 - step_size * smallest))
    assert close(nu, np.max(np.abs(np.linalg.eigvalsh(M))))
    components = vectors.T @ (start - w_star)
    w, distance, gap = start, np.sum((start - w_star) ** 2), np.sum((X @ (start - w_star)) ** 2)
    ratios = [0.0]
    for t in range(1, 20):
        following = w - step_size * (2 * X.T @ (X @ w - y))
        assert close(following, w - step_size * H @ (w - w_star))
        assert close(following - w_star, M @ (w - w_star))
        w, error = following, following - w_star
        assert close(error, np.linalg.matrix_power(M, t) @ (start - w_star))
        power = np.linalg.matrix_power(M, 2 * t)
        assert close(error @ error, (start - w_star) @ power @ (start - w_star))
        assert error @ error <= nu ** (2 * t) * distance * (1 + ROUNDING)
        assert error @ H @ error <= largest * error @ error * (1 + ROUNDING)
        now = np.sum((X @ w - y) ** 2) - np.sum((X @ w_star - y) ** 2)
        assert close(now, error @ H @ error / 2)
        factors = (1 - step_size * eigenvalues) ** (2 * t)
        now = np.sum(eigenvalues * factors * components**2) / 2
        assert close(now, error @ H @ error / 2)
        assert now <= largest / 2 * nu ** (2 * t) * distance * (1 + ROUNDING)
        assert now <= nu ** (2 * t) * gap * (1 + ROUNDING)
        before = np.sum(eigenvalues * (1 - step_size * eigenvalues) ** (2 * t - 2) * components**2)
        ratios.append(2 * now / before)
    # (k): the ratio never exceeds r, and never falls.
    assert max(ratios) <= nu**2 * (1 + ROUNDING)
    assert np.all(np.diff(ratios) >= -ROUNDING)


def test_the_expansion_of_g_and_the_quadratic_form_of_e(problem):
    X, y, _, H, _, eigenvalues, vectors = problem
    rng = np.random.default_rng(2)
    for w1, w2 in rng.normal(size=(5, 2, 3)):
        slope = 2 * X.T @ (X @ w2 - y)
        expansion = np.sum((X @ w2 - y) ** 2) + slope @ (w1 - w2) + (w1 - w2) @ H @ (w1 - w2) / 2
        assert close(np.sum((X @ w1 - y) ** 2), expansion)
        assert w1 @ H @ w1 <= eigenvalues[0] * w1 @ w1
    assert close(vectors.T @ H @ vectors, np.diag(eigenvalues))


def test_why_a_has_to_be_symmetric():
    assert "the rows (0, 2) and (0, 0) has the eigenvalue 0 alone, yet wᵀAw = 2 at w = (1, 1)" in (
        sections()["1(e)"].replace("\n", " ")
    )
    A, w = np.array([[0, 2], [0, 0]]), np.ones(2)
    assert np.linalg.eigvals(A).tolist() == [0, 0]
    assert w @ A @ w == 2


def told(part):
    """Return a function that wants a text, with fractions written as on the page, in a part."""
    text = " ".join(sections()[part].split())

    def in_page(template, *numbers):
        shown = template.format(*(str(number).replace("-", "−") for number in numbers))
        assert shown in text

    return in_page


def path(K):
    """w_0, w_1 and w_2 of the example by hand, in fractions, by (3) and (6)."""
    X, w = [[1, 0], [0, 2]], [Fraction(0), Fraction(1)]
    points = [w]
    for _ in range(2):
        residual = [sum(x * z for x, z in zip(row, w, strict=True)) for row in X]
        gradient = [2 * sum(X[i][k] * residual[i] for i in range(2)) for k in range(2)]
        w = [z - slope / K for z, slope in zip(w, gradient, strict=True)]
        points.append(w)
    return points


def loss(w):
    return w[0] ** 2 + 4 * w[1] ** 2


def test_the_example_by_hand_of_f():
    K, in_page = Fraction(9, 2), told("1(f)")
    low, high = 1 - 8 / K, 1 - 2 / K
    in_page("The eigenvalues of I − ηH are {} and {}", high, low)
    in_page("The largest is {}, the largest absolute one is {}", max(low, high), max(-low, high))
    _, (zero, w), _ = path(K)
    assert zero == 0
    in_page("leads to w₁ = (0, {})", w)
    in_page(
        "‖w₁ − w\\*‖² = {}, which is ({})², and more than ({})² = {}", w**2, -low, high, high**2
    )
    assert w**2 == low**2 > high**2


def test_the_example_by_hand_of_j():
    in_page = told("1(j)")
    in_page("λmin = 2, λmax = 8, L(w₀) = {}, and each iteration", loss(path(Fraction(3))[0]))
    _, w1, w2 = path(Fraction(3))
    in_page("Take K = 3. Then w₁ = (0, {}) and w₂ = (0, {})", w1[1], w2[1])
    in_page("L(w₁) = {} and L(w₂) = {}.", loss(w1), loss(w2))
    in_page("promises L(w₁) ≤ 4·({})² = {}", 1 - Fraction(2, 3), 4 * (1 - Fraction(2, 3)) ** 2)
    w, rate = path(K := Fraction(9, 2))[1], 1 - 2 / K
    in_page("Take K = 4.5. Then w₁ = (0, {})", w[1])
    in_page("L(w₁) = {} ≈ {:.4}", loss(w), f"{float(loss(w)):.2f}")
    in_page("L(w₁) ≤ 4·({})² = {} ≈ {}", rate, 4 * rate**2, f"{float(4 * rate**2):.2f}")
    for K in (Fraction(3), Fraction(9, 2)):
        reached, promised = loss(path(K)[1]), 4 * (1 - 2 / K) ** 2
        slack = f"{float(1 - reached / promised):g}"
        in_page("1 − ({})/({}) = {}", reached, promised, slack)
    in_page("| K ≤ λmax/2 | K ≤ {} |", 8 // 2)
    in_page("| λmax/2 < K < (λmin + λmax)/2 | {} < K < {} |", 8 // 2, (2 + 8) // 2)
    # On the first threshold the error keeps its size; on the second both eigenvalues shrink alike.
    assert [loss(w) for w in path(Fraction(4))] == [4, 4, 4]
    assert 8 / Fraction(5) - 1 == 1 - 2 / Fraction(5)


def test_gradient_descent_does_the_example_by_hand():
    objective = Objective(LeastSquares(np.diag([1.0, 2.0]), np.zeros(2)), "none")
    for K in (Fraction(9, 2), Fraction(3), Fraction(4)):
        found = []
        iterate(
            GradientDescent(),
            objective,
            np.array([0.0, 1.0]),
            {"step_size": np.array([float(1 / K)])},
            2,
            lambda t, runs, W, residual, _, found=found: found.append(np.sum(residual[0] ** 2)),
        )
        # A few roundings of numbers of the size of 1.
        assert found == pytest.approx([float(loss(w)) for w in path(K)], rel=1e-14)


def test_the_run_in_the_figure_of_k_converges_linearly(examples):
    from linear_convergence import CONFIG, ITERATIONS

    tables = run_study(CONFIG)
    gap, rate = tables.curves["gap"].to_numpy(), tables.runs["rate_predicted"].item()
    assert tables.curves["iteration"].tolist() == list(range(ITERATIONS + 1))
    ratios = gap[1:] / gap[:-1]
    # The gaps are far above their floor, with an error of 1e-10 of them.
    assert np.all(ratios <= rate * (1 + 1e-10))
    assert np.all(np.diff(ratios) >= -1e-10)
    assert rate - ratios[-1] < 0.01 * rate
    assert np.all(np.log(gap) <= np.log(tables.curves["gap_bound"]))


# Question 2

BLOCKS = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", PAGE, re.DOTALL)
QUOTED = [code for code, _ in BLOCKS if code.startswith("# ")]
CODE = [(code, printed) for code, printed in BLOCKS if not code.startswith("# ")]


def run(code, names):
    with redirect_stdout(StringIO()) as printed:
        exec(code, names)
    return printed.getvalue()


def test_quoted_lines_are_those_of_the_files():
    assert len(BLOCKS) == PAGE.count("```python")
    assert len(QUOTED) == 8
    for block in QUOTED:
        file, code = block.removeprefix("# ").split("\n", 1)
        quoted = indent(code.replace("\n\n\n", "\n\n"), "    ")
        assert quoted.rstrip() in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("nnlib/build.py", "def _add("),
        ("nnlib/build.py", 'self._apply("add", a, b)'),
        ("nnlib/tape.py", "evaluate(op, *operands"),
        ("nnlib/graph.py", "found[child] = ops.add(found[child], share)"),
        ("nnlib/graph.py", "sum_to_shape("),
        ("nnlib/graph.py", "self.order([output])"),
    ],
)
def test_what_became_of_the_scaffolding_stands_there(file, code):
    told = code.removeprefix("def _").removeprefix("self.").strip("(")
    assert told in PAGE.partition("## From the scaffolding to nnlib")[2]
    assert code in (ROOT / file).read_text(encoding="utf-8")


def test_every_block_of_code_prints_what_stands_below_it(examples):
    names = {}
    for code, printed in CODE:
        assert run(code, names) == printed


@pytest.mark.parametrize("block", [CODE[0], CODE[-1]], ids=["network", "finite differences"])
def test_nnlib_prints_the_same(block):
    code, printed = block
    imported = "from coursework_graph import Graph"
    names = {"np": np, "Graph": nnlib.Graph}
    assert run(code.replace(imported, "from nnlib import Graph"), names) == printed


@pytest.mark.parametrize(
    ("operation", "left", "right"),
    [("add", (3, 2), (3, 2)), ("matmul", (3,), (3, 2)), ("matmul", (4, 3), (3, 2))],
)
def test_the_plain_gradients_are_those_of_nnlib(examples, operation, left, right):
    from coursework_graph import Graph

    names = {"np": np}
    plain = f"def grad_{operation}(self, n):"
    exec(next(code for code, _ in CODE if code.startswith(plain)), names)
    Plain = type("Plain", (Graph,), {f"grad_{operation}": names[f"grad_{operation}"]})
    rng = np.random.default_rng(0)
    values, found = [rng.normal(size=left), rng.normal(size=right)], []
    seed = rng.normal(
        size=(values[0] + values[1] if operation == "add" else values[0] @ values[1]).shape
    )
    for kind in (Plain, nnlib.Graph):
        g = kind()
        a, b = map(g.tensor, values)
        g.run_grad(getattr(g, operation)(a, b), seed)
        found.append((g.grad[a], g.grad[b]))
    for plain, expected in zip(*found, strict=True):
        np.testing.assert_allclose(plain, expected, rtol=1e-14, atol=1e-15)


def test_the_transpose_of_a_row_is_no_column():
    w, y_grad = np.array([1.0, 2, 3]), np.array([1.0, 0])
    with pytest.raises(ValueError, match="mismatch"):
        w.T @ y_grad
    assert np.ndim(w.T @ w) == 0


def test_the_figure_of_a_has_the_numbers_told(examples):
    names = {}
    run(CODE[0][0], names)
    g, output, w2 = names["g"], names["output"], names["w2"]
    g.run_grad(output, np.array([[1.0, 0]]))
    told("2(d)")("v3) is the column (0, 1, 2)ᵀ times the row (1, 0)")
    assert (w2, g.children[8]) == (3, [7, 3])
    assert (g.value[7].tolist(), g.grad[8].tolist()) == ([[0, 1, 2]], [[1, 0]])
    np.testing.assert_array_equal(g.grad[w2], np.outer([0, 1, 2], [1, 0]))
    told("2(c)")("v6 = add hands its gradient (∂) to v5 and to v2 unchanged")
    assert (g.name[6], g.children[6]) == ("add", [5, 2])
    np.testing.assert_array_equal(g.grad[6], g.grad[5])
    np.testing.assert_array_equal(g.grad[6][0], g.grad[2])


def test_the_errors_of_finite_differences_are_as_told(examples):
    from finite_differences import STEPS, largest_errors

    assert STEPS[-4:] == pytest.approx([1e-3, 1e-2, 1e-1, 1])
    forward, central = largest_errors(False, "forward"), largest_errors(False, "central")
    # Terms of the next order are a few hundredths of the first one at ε = 0.01.
    assert forward[-3] / forward[-4] == pytest.approx(10, rel=0.1)
    assert central[-3] / central[-4] == pytest.approx(100, rel=0.1)
    # Values below 1 are off by a few eps, and the difference by that over ε.
    linear = np.array(largest_errors(True, "forward"))
    assert np.all(linear <= 4 * np.finfo(float).eps / STEPS)
    told("2(f)")("The values of y are at most 28")
    assert np.max(np.array([1, 2, 3]) @ np.array([[1, 2], [3, 4], [5, 6]])) == 28


# Commands

INDENTED = re.findall(r"^    ((?:gdconv|python).*)$", PAGE, re.MULTILINE)
INLINE = re.findall(r"`((?:gdconv|gdconv-verify|python) [^`]*)`", PAGE)
SCRIPTS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each command of the page prints, in a folder with the project's docs and a table."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "docs").symlink_to(DOCS)
    (folder / "mine.csv").write_text("size,rooms,price\n50,2,100\n70,3,180\n90,3,200\n30,1,90\n")
    outputs = {}
    for command in dict.fromkeys(INDENTED + INLINE):
        words = shlex.split(command.replace("FILE", "mine.csv").replace("COLUMN", "price"))
        done = subprocess.run(
            [SCRIPTS / words[0], *words[1:]], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)
        outputs[command] = done.stdout
    return folder, outputs


def shape(text):
    """The lines of a text without their numbers and without the widths of their columns."""
    lines = (re.sub(r"[-+]?\d[\d.e+-]*", "#", line) for line in text.splitlines())
    return [" ".join(line.split()) for line in lines]


@pytest.mark.slow
def test_commands_print_the_lines_shown(printed):
    _, outputs = printed
    after = r"\n\n(?:[^`]*?\n\n)?```text\n(.*?)```"
    shown = re.findall(r"^    ((?:gdconv|python)[^\n]*)" + after, PAGE, re.MULTILINE | re.DOTALL)
    assert [command for command, _ in shown] == INDENTED
    for command, lines in shown:
        assert set(shape(lines)) <= set(shape(outputs[command]))


@pytest.mark.slow
def test_the_rows_named_are_printed_and_hold(printed):
    _, outputs = printed
    rows = outputs["gdconv-verify"].splitlines()
    for text in sections().values():
        for named in re.findall(r"`gdconv-verify`, rows? ((?:\(\w+\)(?:, | and )?)+)", text):
            for equation in re.findall(r"\(\w+\)", named):
                about = [row for row in rows if row.startswith(equation)]
                assert about
                assert all("holds" in row for row in about)
    grade = "python -m nnlib.grade docs/examples/coursework_graph.py"
    for part, text in sections().items():
        if part.startswith("2"):
            assert re.search(rf"`{grade}`, lines? {re.escape(part)}", text)
            assert f"\npassed     {part} " in outputs[grade]


@pytest.mark.slow
def test_the_factors_of_the_example_by_hand_are_printed(printed):
    _, outputs = printed
    for command, factor in [("step.value=4.5", 7 / 9), ("step.value=3", 5 / 3)]:
        (text,) = (text for given, text in outputs.items() if given.endswith(command))
        assert f"|1 − λmax/K| = {factor:.6g} " in text


@pytest.mark.slow
def test_the_rates_of_k_are_printed(printed):
    _, outputs = printed
    rates = r"rate_measured +(\S+) \(linear\), predicted (\S+)"
    (shown,) = re.findall(rates, PAGE)
    (found,) = re.findall(rates, outputs["gdconv problem.n_features=50"])
    # Where a run ends depends on the last digits, which processors round differently.
    assert [float(each) for each in found] == pytest.approx(list(map(float, shown)), abs=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["linear.png", "differences.png"])
def test_figures_are_current(printed, figure):
    folder, _ = printed
    now, stored = imread(folder / figure), imread(DOCS / figure)
    assert now.shape == stored.shape
    # Another version of Matplotlib may smooth edges differently.
    assert np.mean(np.abs(now - stored)) < 0.01
