"""Random command lines: legal, illegal and absurd values for every key, and what is no key at all.

Whatever is typed, the command ends in time with exit status 0, 1 or 2, says in one line what is
wrong if it is 2, and writes nothing but the study. The cases are the same in every run;
`pytest --trials N` makes N times as many.
"""

import gc
import logging
import os
import random
import shutil
import signal
import sys
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper

import pytest
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig

from gdconv.cli import commands
from gdconv.config.problems import PROBLEMS
from gdconv.config.sections import ENGINES, METHODS, STARTS
from gdconv.sweep import engines, provenance, sweep
from gdconv.tables.columns import FILES
from nnlib import terminal

# Each mistake that was found in this way shows in several of the first 1,000 cases, but for one. It
# shows in these two.
CASES, FOUND = 1000, (1532, 1768)
PARTS, FAST_PARTS = range(40), 1
# Far more than a command takes that computes next to nothing, also on a busy machine.
SECONDS = 60

TABLE = "a,b,y\n1,2,3\n4,5,6\n7,8,10\n"
GROUPS = {"problem": PROBLEMS, "start": STARTS, "method": METHODS, "engine": ENGINES}
# Small legal values.
LEGAL = {
    "study": ["s", "2024", "'two words'", "'naïve ∂'", "x" * 200, "a=b", "-m", "'a,b'"],
    "results_dir": ["results", "./a/b", "../beside", "~/mine", "'da ta'", "'ordner ü'"],
    "report": ["false", "False", "no"],
    "retry_failed": ["true", "false"],
    "accept_changed": ["true", "false"],
    "seed": ["0", "7", "[1,2]", "9223372036854775807", "1e3", "0,1", "range(0,3)", "choice(4,5)"],
    "repetitions": ["1", "2", "2.0"],
    "step.unit": ["lambda_max", "optimal", "absolute", "K", "K,optimal"],
    "step.value": [
        *("1", "0.5", "1e-100", "1e100", "[0.5,1,1]", "[0.1,2.5]", "0.5,1.9", "[1],[2,3]"),
        *("${linspace:0.1,2,3}", "${logspace:-1,0,3}", "${multiply:0.5,3}", "1_0"),
    ],
    "record.points": ["2", "3", "60", "1000000"],
    "record.curves": ["log", "none"],
    "problem.n_samples": [
        "1",
        "6",
        "20",
        "${problem.n_features}",
        "1e1",
        '"${multiply:2,${seed}}"',
    ],
    "problem.n_features": ["1", "3", "8", "3,4"],
    "problem.noise": ["0", "1.5", "1e100", "1e300", "1.7e308", "1e-320"],
    "problem.feature_mean": ["0", "-1e10", "1e160", "-1.7e308"],
    "problem.correlation": ["0.5", "-0.999999999999999", "0"],
    "problem.condition_number": ["1", "1e18", "3"],
    "problem.profile": ["linear", "geometric", "power", "two_point"],
    "problem.degree": ["0", "4", "30"],
    "problem.path": ["table.csv", "./table.csv"],
    "problem.target": ["y", "a", "7"],
    "problem.standardize": ["true", "false"],
    "start.radius": ["1", "1e100", "1e-100"],
    "start.which": ["min", "max"],
    "method.iterations": ["1", "5", "40"],
    "method.tolerance": ["0.5", "1e-300", "0.9999999999999999"],
    "method.reduce": ["qr", "none"],
    "engine.workers": ["null", "1", "1000"],
    "engine.address": ["null", "tcp://127.0.0.1:1", "tls://host:99999"],
    "experiment": ["null", "default", "errata", "errata,default", "[errata,default]"],
    **{group: list(kinds) for group, kinds in GROUPS.items()},
    "problem=csv problem.path=table.csv problem.target": ["y", "b"],
}
# Of the cases from FIRST_OF_METHODS on.
OF_METHODS = {
    "method": [*METHODS, "gradient_descent,heavy_ball", "nesterov,chebyshev,heavy_ball"],
    "method.momentum": ["0.5", "optimal", "convex", "[0,0.9]", "[optimal,0.5]", "0.5,0.9"],
    "method.first_step": ["full", "averaged", "full,averaged"],
    "method.lower": ["1", "0.1", "[0.5,1]", "1,2", "1e9"],
    "method.upper": ["1", "1.5", "[1,2]", "1,2"],
    "step.value": ["1", "4", "[0.5,1]", "[1,1,2]", "0.5,1", "1,1,2"],
    "seed": ["0", "[1,2]", "0,1"],
    "problem.n_features": ["3", "3,4"],
    "pair": [
        *("[]", "null", "[seed,step.value]", "[step.value,method.momentum]", "[seed]"),
        *("[method,step.value]", "[[seed,problem.n_features],[method.lower,method.upper]]"),
        *("[seed,step.value,method.momentum]", "[a,b]", "[[seed,a],step.value]", "[seed,seed]"),
    ],
}
FIRST_OF_METHODS = 10**6
NO_KEYS = [
    *("typo", "seed.typo", "problem.typo", "step", "record", "problem.name", "start.name", "name"),
    *("hydra.run.dir", "hydra.sweep.dir", "hydra.output_subdir", "hydra.job.chdir", "hydra"),
    *("hydra.mode", "hydra.verbose", "hydra/launcher", "hydra/sweeper", "hydra.launcher._target_"),
    *("hydra.sweeper.params.seed", "hydra.searchpath", "hydra.job_logging.handlers", "_target_"),
    *("problem@other", "problem@_global_", "seed@x", "engine/x", "problem/gaussian", "a.b.c.d"),
    *("", ".", "..", "problem.", ".seed", "problem..noise", "ключ", "a b", "-", "=", "__class__"),
]
ABSURD = [
    *("", " ", "''", '""', "null", "???", "true", "[]", "{}", "[[1],[2]]", "[[[[[1]]]]]", "[null]"),
    *("{a:1}", "{a:{b:[1,{c:null}]}}", "[1,{2:3}]", "{value:{value:1}}", "{name:gaussian}"),
    *("0", "-1", "-0", "2.5", "1e400", "-1e400", "1e-400", "nan", "inf", "-inf", "9" * 400),
    *("9223372036854775808", "-9223372036854775809", "1" + "0" * 5000, "0x10", "1e", "1__0", "٣"),
    *(
        "a",
        "a,b",
        "a,",
        ",",
        "1,2,",
        "[1,2",
        "1]",
        "{",
        "}",
        "(",
        ")",
        "'",
        '"',
        "\\",
        "\\'",
        "=",
        "==",
    ),
    *(
        "données",
        "日本語",
        "\u202eevil",
        "\u0000".replace("\0", "\x01"),
        "\x1b[31mred",
        "a\nb",
        "\t",
    ),
    *(
        "\udcff",
        "a\udcfe/b",
        "\ud83d\ude00",
        "🙂",
        "é" * 150,
        "x" * 300,
        "x" * 20000,
        "a" * 9 + "/b",
    ),
    *("..", ".", "../up", "../../up", "/etc/passwd", "/dev/null/x", "/dev/zero", "/proc/self/mem"),
    *("a/../../b", "a\\b", ".hidden", "-", "--", "-m", "~nobody/x", "CON", "a:b", "*", "?", "a|b"),
    *("$(touch pwned)", "`touch pwned`", "; touch pwned", "'; touch pwned #'", "| touch pwned"),
    *("__import__('os').system('touch pwned')", "!!python/object/apply:os.system ['touch pwned']"),
    *("'!!python/object/apply:os.system [\"touch pwned\"]'", "{_target_:os.system,command:ls}"),
    *(
        "${seed}",
        "${nosuch}",
        "${study}",
        "${.noise}",
        "${..seed}",
        "${problem}",
        "${hydra:job.name}",
    ),
    *("${oc.env:NOSUCH}", "${oc.env:NOSUCH,3}", "${oc.decode:'[1,2]'}", "${oc.create:{a:1}}", "${"),
    *(
        "${oc.select:seed}",
        "${oc.dict.keys:problem}",
        "${oc.deprecated:seed}",
        "${nosuch:1}",
        "${}",
    ),
    *("${logspace:0,1}", "${logspace:0,400,3}", "${linspace:1e308,-1e308,5}", "${linspace:,,}"),
    *("${multiply:1e308,1e308}", "${multiply:a,b}", "${multiply:}", "${multiply:[1],{}}", "$"),
    *("${linspace:0.1,2,100000}", "${linspace:1,1,100001}", "${logspace:-300,300,3}", "${{}}"),
    *("range(0,0)", "range(0,1,0)", "range(0,1e9)", "range(1,1000000000000)", "interval(0,1)"),
    *("choice()", "choice(1,choice(2))", "glob(*)", "glob([*,a])", "shuffle(1,2)", "sort(2,1)"),
    *("sort(b,1)", "tag(a,1,2)", "int(x)", "int(3.7)", "float(1)", "str([1])", "json_str({a:1})"),
    *(
        "bool(x)",
        "extend_list(1)",
        "foo(1)",
        "int(int(1))",
        "range(a,b)",
        "int(" * 30 + "1" + ")" * 30,
    ),
    *("[" * 60 + "]" * 60, "[" * 1000 + "]" * 1000, "{a:" * 300 + "1" + "}" * 300, "${" * 200),
    *(
        "${multiply:1," * 300 + "1" + "}" * 300,
        "[" + "1," * 300 + "1]",
        "table.csv",
        "../table.csv",
    ),
]
OPTIONS = [
    *("-m", "--multirun", "--cfg", "--cfg=job", "--cfg=all", "--cfg hydra", "--cfg job --resolve"),
    *("--info", "--info=all", "--info searchpath", "--package", "--package=problem", "--resolve"),
    *("--help", "-h", "--hydra-help", "--version", "--run", "-r", "-c job", "-p problem", "--"),
    *("--config-name=nosuch", "--config-name=../config", "--config-path=..", "--config-dir=."),
    *("--config-dir nosuch", "-cd /", "--config-dir", "-cn", "--shell-completion=install=bash"),
    *("-sc query=bash", "--shell-completion", "--experimental-rerun=x", "--nosuch", "-x", "-mm"),
    *("--multi", "--config", "-m=1", "--cfg=", "---", "-1", "--csv", "--csv=x", "@file", "@"),
]


def arguments_of(number):
    """The command line of a case: a small study, and up to five random words."""
    rng = random.Random(number)
    of_methods = number >= FIRST_OF_METHODS
    legal = OF_METHODS if of_methods else LEGAL

    def word():
        # What is no key is tried often enough without the keys of methods.
        kind = rng.uniform(0.43, 1) if of_methods else rng.random()
        if kind < 0.06:
            return rng.choice(OPTIONS).split(" ")
        if kind < 0.12:
            return [rng.choice(["", "+", "~", "+seed", "seed", "problem"]) + rng.choice(ABSURD)]
        if kind < 0.24:
            key, value = rng.choice(NO_KEYS), rng.choice(ABSURD)
        elif kind < 0.45:
            key, value = rng.choice(list(legal)), rng.choice(ABSURD)
        elif kind < 0.5:
            key, value = rng.choice(list(legal)), rng.choice(rng.choice(list(legal.values())))
        else:
            key = rng.choice(list(legal))
            value = rng.choice(legal[key])
        *given, key = key.split(" ") if "=" in key else [key]
        prefix = rng.choice(["", "+", "++", "~"]) if rng.random() < 0.1 else ""
        return [*given, f"{prefix}{key}={value}"]

    words = [each for _ in range(rng.randint(1, 5)) for each in word()]
    if of_methods:
        words.insert(0, f"method={rng.choice(OF_METHODS['method'])}")
    if rng.random() < 0.3 or (of_methods and "," in "".join(words)):
        words.insert(rng.randrange(len(words) + 1), "-m")
    small = ["report=false", "method.iterations=20", "problem.n_samples=9", "problem.n_features=3"]
    if any(each.startswith(("problem=csv", "problem=polynomial")) for each in words):
        del small[2:]
    return [*small, *words]


class Hang(BaseException):
    """Nothing in the command catches it."""


class NotRun(BaseException):
    """A legal command that asks for more than a test should compute."""


RUN_SWEEP, GET_MODE = sweep.run_sweep, Hydra.get_mode


def run_if_small(configs, *arguments, **meanwhile):
    runs = sum(len(each.seed) * each.repetitions * len(each.step.value) for each in configs)
    size = max(sum(sweep.shape(each.problem)) for each in configs)
    iterations = max(each.method.iterations for each in configs)
    if runs > 30 or size > 1000 or iterations > 3000:
        raise NotRun
    return RUN_SWEEP(configs, *arguments, **meanwhile)


@pytest.fixture(scope="module")
def fast(quick_hydra):
    """Do not let Hydra compose for a mode either that an experiment may set."""

    def get_mode(self, config_name, overrides):
        asked_for = any("hydra" in word for word in overrides)
        return GET_MODE(self, config_name, overrides) if asked_for else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", get_mode)
        patch.setattr(provenance, "_commit", lambda: None)
        gc.freeze()
        yield
        gc.unfreeze()


@pytest.fixture
def world(tmp_path, monkeypatch, fast):
    """The only folder to write into, with a home in it; and no other processes."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "run_sweep", run_if_small)
    monkeypatch.setattr(engines, "ENGINES", dict.fromkeys(engines.ENGINES, engines.Serial))
    loggers = [(log, log.level, log.handlers[:]) for log in map(logging.getLogger, ["", "gdconv"])]
    terminated = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, terminated)
    for log, level, handlers in loggers:
        log.level, log.handlers = level, handlers


def enter(world):
    """Empty the world, and go into a folder of it in which there is nothing but a table."""
    os.chdir(world)
    for entry in world.iterdir():
        shutil.rmtree(entry)
    work = world / "home" / "work"
    work.mkdir(parents=True)
    (work / "table.csv").write_text(TABLE)
    os.chdir(work)


@contextmanager
def within(seconds):
    def hang(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def call(arguments, monkeypatch, encoding):
    """Exit status, or None for what is legal and too large, with what was printed."""
    out, err = (
        TextIOWrapper(BytesIO(), encoding, errors, write_through=True)
        for errors in ("strict", "backslashreplace")
    )
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["gdconv", *arguments])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.setattr(HydraConfig.instance(), "cfg", None)
        # The signals are this process's own.
        patch.setattr(terminal, "_listen", lambda handler: None)
        try:
            with within(SECONDS):
                status = commands.study()
        except NotRun:
            status = None
    return status, *(stream.buffer.getvalue().decode(encoding) for stream in (out, err))


STUDY = {*FILES}


def complaint(arguments, status, out, err, written):
    """What is wrong with the end of a command; None if nothing is."""
    if any(word.startswith("--info") for word in arguments):
        # Hydra has answered a part of the question before it gets to what is wrong.
        out = ""
    if status not in (None, 0, 1, 2):
        return f"status {status}"
    if "Traceback" in out + err:
        return "a traceback"
    if status == 2 and (out or len(err.splitlines()) != 1 or not err.startswith("gdconv: ")):
        return f"more or less than one line: {out!r} {err!r}"
    if status in (None, 2) and written:
        return f"files of a command that has run nothing: {written}"
    # All that is written stands in one folder, that of the study.
    if not {path.name for path in written} <= STUDY or len({path.parent for path in written}) > 1:
        return f"files beside the study: {written}"
    return None


@pytest.mark.parametrize(
    "part",
    [part if part < FAST_PARTS else pytest.param(part, marks=pytest.mark.slow) for part in PARTS],
)
def test_any_command_line(part, world, monkeypatch, trials):
    found, statuses = {}, []
    of_methods = range(FIRST_OF_METHODS, FIRST_OF_METHODS + CASES * trials // 4)
    for number in sorted({*range(CASES * trials), *FOUND, *of_methods})[part :: len(PARTS)]:
        enter(world)
        arguments = arguments_of(number)
        try:
            ended = call(arguments, monkeypatch, "utf-8" if number % 3 else "ascii")
        except (Exception, Hang) as error:
            found[number] = f"{arguments}: {type(error).__name__}: {str(error)[:200]}"
            continue
        statuses.append(ended[0])
        files = {path for path in world.rglob("*") if path.is_file() or path.is_symlink()}
        if wrong := complaint(arguments, *ended, files - {world / "home" / "work" / "table.csv"}):
            found[number] = f"{arguments}: {wrong}"
    assert not found, "\n".join(f"case {number}: {what}" for number, what in found.items())
    # The grammar is neither all legal nor all refused.
    assert {0, 2} <= set(statuses)
