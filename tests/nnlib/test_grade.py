"""The grader: right solutions pass, and every wrong one is told what to change."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnlib
from nnlib import grade
from nnlib.grade import counterexample
from nnlib.questions import ASKED, BEYOND
from nnlib.student import MODULE

ROOT = Path(__file__).resolve().parents[2]
STUDENT = ROOT / "tests" / "data" / "student_graph.py"
EXAMPLE = ROOT / "docs" / "examples" / "coursework_graph.py"
CHECKS = [check for stage in (*ASKED, BEYOND) for check in stage]


def patched(*patches):
    """The source of a student's right solution after some replacements, each of a single place."""
    source = STUDENT.read_text(encoding="utf-8")
    for old, new in patches:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def defined(source):
    names = {"__name__": MODULE}
    exec(source, names)
    return names["Graph"]


def faults(source):
    """Title → what fails, as in the report: up to the first stage in which something does."""
    graph = defined(source)
    for stage in (*ASKED, BEYOND):
        found = {check.title: counterexample(check, graph) for check in stage}
        if any(found.values()):
            return {title: fault for title, fault in found.items() if fault}
    return {}


ADD = """
        self.grad[a] = self.grad[n]
        self.grad[b] = self.grad[n]
"""
FOR_EACH = """
        for child in self.children[n]:
            {}
"""
UNLESS_NONE = """
        for child in self.children[n]:
            if child in self.grad:
                self.grad[child] += self.grad[n]
            else:
                self.grad[child] = self.grad[n]
"""
LAST_ROW = """for i in range(len(w)):
                self.grad[b] = np.outer(w[i], grad[i])"""

# What students get wrong: replacements in a right solution, the line of the report, its hint.
WRONG = {
    "IDs that repeat": (
        [("        self.count += 1\n", "")],
        "2(a) IDs",
        "a new vertex takes the number of vertices so far as its ID",
    ),
    "no parent": ([("self.parent[child] = i", "pass")], "2(a) IDs", "sets self.parent[child]"),
    "children swapped": (
        [('"matmul", [a, b]', '"matmul", [b, a]')],
        "2(a) IDs",
        "in the order they were passed in",
    ),
    "run_eval stops early": ([("range(output + 1)", "range(output)")], "2(b)", "before the output"),
    "element by element": (
        [("self.value[a] @ self.value[b]", "self.value[a] * self.value[b]")],
        "2(b)",
        "matmul is w @ A",
    ),
    "relu is the absolute value": ([("np.maximum(0, x)", "np.abs(x)")], "2(b)", "not |x|"),
    "relu is the minimum": (
        [("np.maximum(0, x)", "np.minimum(0, x)")],
        "2(b)",
        "not np.minimum(0, x)",
    ),
    "None for zeros": (
        [
            (ADD, FOR_EACH.format("self.grad[child] += self.grad[n]")),
            ("self.grad[output] = grad", "self.grad = [None] * output + [grad]"),
        ],
        "2(c)",
        "+= needs something to add to",
    ),
    "relu does nothing": ([("np.maximum(0, x)", "x")], "2(b)", "relu is np.maximum(0, x), not x"),
    "integers for floats": (
        [("self.value[i] = value", "self.value[i] = np.array(value, dtype=int)")],
        "2(b)",
        "an array of integers holds no fractions",
    ),
    "first child only": (
        [("        self.grad[b] = self.grad[n]\n", "")],
        "2(c)",
        "grad_add gives the second child nothing: set self.grad[self.children[n][1]] too",
    ),
    "second child only": (
        [("        self.grad[a] = self.grad[n]\n", "")],
        "2(c)",
        "grad_add gives the first child nothing",
    ),
    "product rule": (
        [("self.grad[a] = self.grad[n]", "self.grad[a] = self.grad[n] * self.value[b]")],
        "2(c)",
        "∂c/∂a is 1, not b",
    ),
    "sign": ([("self.grad[b] = self.grad[n]", "self.grad[b] = -self.grad[n]")], "2(c)", "the sign"),
    "added twice": (
        [("self.grad[b] = self.grad[n]", "self.grad[b] = self.grad[n] + self.grad[n]")],
        "2(c)",
        "the same contribution is added twice",
    ),
    "the gradient is 1": (
        [("self.grad[b] = self.grad[n]", "self.grad[b] = np.ones(np.shape(self.grad[n]))")],
        "2(c)",
        "∂f/∂c is missing",
    ),
    "transposed factor": (
        [("np.outer(w, grad)", "np.outer(grad, w)")],
        "2(d) grad_matmul, 1-D",
        "the order is wrong, which transposes the gradient of A: it is np.outer(w, grad)",
    ),
    "1-D w.T @ grad": (
        [("w.ndim == 1", "False")],
        "2(d) grad_matmul, 1-D",
        "w.T of a 1-D w is w itself",
    ),
    "factor w forgotten": (
        [("np.outer(w, grad)", "np.outer(np.ones(len(w)), grad)")],
        "2(d) grad_matmul, 1-D",
        "the factor w is missing",
    ),
    "no transpose of A": (
        [("grad @ A.T", "grad @ A")],
        "2(d) grad_matmul, 1-D",
        "sum over the wrong index: the gradient of w is grad @ A.T",
    ),
    "a vector for a matrix": (
        [("np.outer(w, grad)", "np.outer(w, grad).ravel()")],
        "2(d) grad_matmul, 1-D",
        "the numbers are right, the shape is not",
    ),
    "gradients are integers": (
        [
            (
                "np.outer(w, grad)",
                "np.zeros(A.shape, int)\n            self.grad[b] += np.outer(w, grad)",
            )
        ],
        "2(d) grad_matmul, 1-D",
        "make gradients of type float",
    ),
    "second child of matmul forgotten": (
        [("self.grad[b] = np.outer(w, grad)", "pass"), ("self.grad[b] = w.T @ grad", "pass")],
        "2(d) grad_matmul, 1-D",
        "grad_matmul gives the second child nothing",
    ),
    "outer product of matrices": (
        [("w.ndim == 1", "True")],
        "2(d) grad_matmul, 2-D",
        "np.outer treats a 2-D w as one long row",
    ),
    "no transpose of w": (
        [("w.T @ grad", "w @ grad")],
        "2(d) grad_matmul, 2-D",
        "the transpose is missing: the gradient of A is w.T @ grad",
    ),
    "wrong order": (
        [("w.T @ grad", "grad @ w.T")],
        "2(d) grad_matmul, 2-D",
        "the order is wrong: the gradient of A is w.T @ grad",
    ),
    "transposed product": (
        [("w.T @ grad", "grad.T @ w")],
        "2(d) grad_matmul, 2-D",
        "which transposes the gradient of A: it is w.T @ grad",
    ),
    "sum over rows forgotten": (
        [("self.grad[b] = w.T @ grad", LAST_ROW)],
        "2(d) grad_matmul, 2-D",
        "only one row of w counts",
    ),
    "upwards": (
        [
            ("range(output, -1, -1)", "range(output + 1)"),
            ('getattr(self, "grad_"', 'self.grad.setdefault(n)\n            getattr(self, "grad_"'),
        ],
        "2(e)",
        "run_grad goes through the IDs downwards",
    ),
    "the value of the output is used": (
        [("self.grad[output] = grad", "self.grad[output] = grad + 0 * self.value[output]")],
        "2(f)",
        "grad_matmul may use the values of w and A alone",
    ),
    "relu without its mask": ([(" * (x > 0)", "")], "gradient of relu", "grad * (x > 0)"),
    "seed changed in place": (
        [
            (
                "self.grad[self.children[n][0]] = self.grad[n] * (x > 0)",
                "self.grad[n] *= x > 0\n        self.grad[self.children[n][0]] = self.grad[n]",
            )
        ],
        "gradient of relu",
        "the graph kept an array of the caller's",
    ),
    "= for fan-out": ([], "a vertex that is used twice", "grad_add overwrites"),
    "= in matmul alone": (
        [
            (ADD, FOR_EACH.format("self.grad[child] = self.grad.get(child, 0) + self.grad[n]")),
            ("self.grad[output] = grad", "self.grad = {output: grad}"),
        ],
        "a vertex that is used twice",
        "grad_matmul overwrites",
    ),
    "+= on a shared array": (
        [(ADD, UNLESS_NONE), ("self.grad[output] = grad", "self.grad = {output: np.array(grad)}")],
        "a vertex that is used twice",
        "two vertices share one array",
    ),
    "sum over a bias forgotten": ([], "add with broadcasting", "sum over the axes"),
    "1-D on the right": ([], "matmul of 2-D with 1-D", "a 1-D A is a column"),
    "earlier gradients kept": (
        [(ADD, FOR_EACH.format("self.grad[child] = self.grad.get(child, 0) + self.grad[n]"))],
        "run_grad twice",
        "let run_grad begin with new gradients",
    ),
    "stale values": ([], "IDs that are no topological order", "let it raise an error"),
}


def line_of(name):
    """The title and the counterexample that the report has for a wrong solution."""
    patches, beginning, _ = WRONG[name]
    (line,) = ((t, f) for t, f in faults(patched(*patches)).items() if t.startswith(beginning))
    return line


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_solution_is_recognised(name):
    *_, fault, hint = line_of(name)[1].splitlines()
    assert WRONG[name][2] in hint
    assert re.search(r"expected .*, found |afterwards|, in \w+, line \d+$", fault)


def test_a_method_of_another_name_is_named():
    (fault,) = faults(patched(("def tensor(", "def vector("))).values()
    *_, error, hint = fault.splitlines()
    assert error == "AttributeError: 'Graph' object has no attribute 'tensor'"
    assert hint.startswith("hint: the class Graph has no tensor: ")


def test_wrong_solutions_are_told_apart():
    hints = [(title, fault.splitlines()[-1]) for title, fault in map(line_of, WRONG)]
    assert len(set(hints)) == len(WRONG)


# What may differ from the student's solution: names, containers, algorithms, what else is there.
DIFFERENT = {
    "lists": [
        (
            "self.parent, self.children, self.value, self.grad, self.name = {}, {}, {}, {}, {}",
            "self.parent, self.children, self.value, self.grad, self.name = "
            "([None] * 100 for _ in range(5))",
        )
    ],
    "IDs from 1": [
        ("self.count = 0", "self.count = 1"),
        ("range(output + 1)", "range(1, output + 1)"),
        ("range(output, -1, -1)", "range(output, 0, -1)"),
    ],
    "IDs of NumPy": [("i = self.count\n", "i = np.int64(self.count)\n")],
    "lists of parents": [("self.parent[child] = i", "self.parent.setdefault(child, []).append(i)")],
    "tuples of children": [('"add", [a, b]', '"add", (a, b)')],
    "lists for arrays": [
        ("        self.grad[a] = self.grad[n]\n", "        self.grad[a] = list(self.grad[n])\n")
    ],
    "single precision": [
        ("self.value[i] = value", "self.value[i] = np.array(value, dtype=np.float32)")
    ],
    "recursion": [
        (
            'for n in range(output + 1):\n            getattr(self, "eval_" + self.name[n])(n)',
            "for child in self.children[output]:\n            self.run_eval(child)\n"
            '        getattr(self, "eval_" + self.name[output])(output)',
        )
    ],
    "another outer product": [("np.outer(w, grad)", "w.reshape(-1, 1) @ grad.reshape(1, -1)")],
    "prints": [
        (
            "        self.grad[output] = grad",
            "        print(self.value)\n        self.grad[output] = grad",
        )
    ],
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_right_solution_may_look_different(name):
    graph = defined(patched(*DIFFERENT[name]))
    assert [counterexample(check, graph) for stage in ASKED for check in stage] == [""] * 7


def test_nnlib_and_the_example_pass_everything():
    example = defined(EXAMPLE.read_text(encoding="utf-8"))
    for graph in (nnlib.Graph, example):
        assert [counterexample(check, graph) for check in CHECKS] == [""] * 13


@pytest.mark.parametrize("name", WRONG)
def test_a_counterexample_can_be_typed_and_gives_what_it_says(name):
    preparation, script, fault, _ = line_of(name)[1].splitlines()

    def typed(graph):
        names = {"Graph": graph, "np": np}
        exec(f"{preparation}\n{script}", names)
        return names

    graph = defined(patched(*WRONG[name][0]))
    if values := re.fullmatch(r"(.+): expected (.+), found (.+)", fault):
        read, right, found = values.groups()
        assert grade._shown(grade._read(read, typed(nnlib.Graph))) == right
        assert grade._shown(grade._read(read, typed(graph))) == found
    elif changed := re.fullmatch(r"(\w), which was passed in, is (.+) afterwards", fault):
        assert str(typed(graph)[changed[1]].tolist()) == changed[2]
    elif accepted := re.fullmatch(r"expected an error, found (.+) = (.+)", fault):
        assert grade._shown(grade._read(accepted[1], typed(graph))) == accepted[2]
        with pytest.raises(ValueError, match="not a topological order"):
            typed(nnlib.Graph)
    else:
        with pytest.raises((LookupError, TypeError, ValueError)) as error:
            typed(graph)
        assert f": {error.value}, in " in fault


def test_no_mistake_explains_what_is_right():
    for check in CHECKS:
        for mistake in check.mistakes:
            told = []
            for case in check.cases:
                right = grade._attempt(case, nnlib.Graph)
                trial = grade.Trial(case, right, right)
                told.append(grade._explains(mistake, mistake.read, trial))
            # "found" stands for any wrong value.
            assert False in told or mistake.formula == "found", mistake


def test_the_report_says_which_case_and_which_numbers():
    fault = faults(patched(("np.outer(w, grad)", "np.outer(grad, w)")))
    assert fault["2(d) grad_matmul, 1-D with 2-D"].splitlines() == [
        "g = Graph(); w = g.tensor(np.array([1])); A = g.tensor(np.array([[2, 3]])); "
        "u = np.array([1, -2])",
        "y = g.matmul(w, A); g.run_eval(y); g.run_grad(y, u)",
        "g.grad[A]: expected [[1, -2]] of shape (1, 2), found [[1], [-2]] of shape (2, 1)",
        "hint: the order is wrong, which transposes the gradient of A: it is np.outer(w, grad)",
    ]


# The command


@pytest.fixture
def graded(tmp_path, capfd):
    """A function from a file's source to the exit status of the command and the lines it prints."""

    def run(source, *options):
        path = tmp_path / "nn.py"
        path.write_text(source, encoding="utf-8")
        status = grade.main([str(path), *options])
        printed = capfd.readouterr()
        assert not printed.err
        return status, printed.out.splitlines()

    return run


def verdicts(lines):
    """How often each verdict was given."""
    words = [line[:11].strip() for line in lines if not line.startswith((" ", "Beyond"))]
    return {word: words.count(word) for word in words}


def test_what_is_right_passes_with_remarks(graded):
    status, lines = graded(patched())
    assert (status, verdicts(lines)) == (0, {"passed": 10, "remark": 4})
    assert lines[8] == "Beyond the question:"
    status, lines = graded(EXAMPLE.read_text(encoding="utf-8"))
    assert (status, verdicts(lines), len(lines)) == (0, {"passed": 14}, 15)


def test_the_report_of_the_document_is_what_is_printed(graded):
    page = (ROOT / "docs" / "graph.md").read_text(encoding="utf-8")
    shown = re.search(r"^```\n(passed .*?)^```$", page, re.DOTALL | re.MULTILINE).group(1)
    status, lines = graded(patched(("np.outer(w, grad)", "np.outer(grad, w)")))
    assert (status, lines) == (1, shown.splitlines())


def test_what_comes_after_a_failure_is_not_tried(graded):
    status, lines = graded(patched(("grad @ A.T", "grad @ A")))
    assert (status, verdicts(lines)) == (1, {"passed": 4, "FAILED": 2, "not tried": 3})
    assert lines[-1] == "not tried  what is beyond the question"


def test_code_of_the_module_is_run_and_the_main_block_is_not(graded):
    main = 'if __name__ == "__main__":\n    raise SystemExit("main")\n'
    noise = "import sys\nprint('x' * 10**6)\nprint('x' * 10**6, file=sys.stderr)\n"
    status, lines = graded(patched() + main + noise)
    assert (status, lines[0]) == (0, "passed     the file has a class Graph")
    assert lines[1].startswith("passed")
    status, lines = graded(patched() + "\nanswer = input()\n")
    assert (status, lines[1]) == (
        0,
        "           what follows was not run: EOFError: EOF when reading a line, in <module>, line "
        + str(patched().count("\n") + 2),
    )


def test_the_file_is_run_as_python_runs_it(graded, tmp_path):
    (tmp_path / "beside.py").write_text(patched(), encoding="utf-8")
    # An annotation is evaluated, unless an import from __future__ postpones that.
    source = "from beside import Graph\nimport os\nos.chdir('/')\ndef f(x: 1 / 0): pass\n"
    status, lines = graded(source)
    assert (status, lines[1].strip()) == (
        0,
        "what follows was not run: ZeroDivisionError: division by zero, in <module>, line 4",
    )


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(:\n", "SyntaxError: invalid syntax, line 1"),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero, in <module>, line 2"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3, in <module>, line 2"),
        ("x = 1\n", "has no class Graph"),
        ("Graph = 3\n", "has no class Graph"),
    ],
)
def test_a_file_without_a_graph_fails(source, says, graded):
    assert graded(source) == (1, ["FAILED     the file", f"           {says}"])


ENDLESS = """while True:
            pass"""
STUBBORN = """while True:
            try:
                while True:
                    pass
            except:
                pass"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (ENDLESS, r"TooLong: no end after 1 s, in grad_add, line \d+"),
        pytest.param(
            STUBBORN,
            "no end, and no way to interrupt it: nothing more can be checked",
            marks=pytest.mark.slow,
        ),
        (
            "import os; os._exit(7)",
            "Python ended or crashed, with exit status 7: nothing more can be checked",
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            "Python ended or crashed, with exit status -9: nothing more .*",
        ),
        ("import sys; sys.exit(3)", r"SystemExit: 3, in grad_add, line \d+"),
        ("raise ValueError('long ' * 10**6)", r"ValueError: [long ]+ …, in grad_add, line \d+"),
    ],
    ids=["endless", "stubborn", "ends Python", "crashes Python", "exits", "says too much"],
)
def test_whatever_a_student_s_code_does_is_a_result(code, says, graded):
    seconds = ["--seconds", "1"] if "while" in code else []
    status, lines = graded(patched(("self.grad[b] = self.grad[n]", code)), *seconds)
    assert status == 1
    failed = lines.index("FAILED     2(c) grad_add")
    assert any(re.fullmatch(f" +{says}", line) for line in lines[failed + 1 : failed + 4])
    # Without a process nothing more is tried, otherwise the rest of the stage is.
    tried = 1 if "nothing more" in says else 3
    assert verdicts(lines) == {"passed": 2 + tried, "FAILED": 1, "not tried": 6 - tried}
    assert max(map(len, lines)) < 300


def test_a_file_that_cannot_be_read_is_refused(tmp_path, capsys):
    notebook = tmp_path / "nn.ipynb"
    notebook.write_text("{}")
    for argument, says in (
        ([str(tmp_path / "nn.py")], "nn.py: No such file or directory"),
        ([str(tmp_path)], "Is a directory"),
        ([str(notebook)], "is a notebook: save it as a Python file first"),
        ([str(STUDENT), "--seconds", "0"], "--seconds 0: must be a positive number"),
    ):
        with pytest.raises(SystemExit) as exit_:
            grade.main(argument)
        assert exit_.value.code == 2
        printed = capsys.readouterr()
        assert not printed.out
        assert printed.err.strip().endswith(says)


def test_an_interrupt_is_no_traceback(tmp_path):
    path = tmp_path / "nn.py"
    path.write_text(
        "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "nnlib.grade", str(path), "--seconds", "60"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "python -m nnlib.grade: interrupted\n"


def test_the_help_says_that_the_file_is_run(capsys):
    with pytest.raises(SystemExit):
        grade.main(["--help"])
    assert "The file is run as code, with your rights" in " ".join(capsys.readouterr().out.split())
