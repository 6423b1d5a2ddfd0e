"""Engines: all write the same bytes, and a study survives the death of a worker or of the sweep."""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest

from gdconv.config.problems import Gaussian, Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Dask, Processes, Serial, Step, StudyConfig
from gdconv.experiment import identity as runs
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.sweep import provenance
from gdconv.sweep.engines import cluster, groups, pool, processes, scratch
from gdconv.sweep.engines.groups import work
from gdconv.sweep.sweep import (
    LARGEST_BLOCK,
    SMALLEST_BLOCK,
    blocks,
    grouped,
    plan,
    run_study,
    run_sweep,
)
from gdconv.tables.columns import COLUMNS
from gdconv.tables.csv import header

GDCONV = Path(sys.executable).with_name("gdconv")
SWEEP = [
    *("-m", "study=s", "report=false", "problem.n_samples=60", "problem.n_features=5,20"),
    *("repetitions=3", "step.value=${linspace:0.02,2.1,200}", "method.iterations=300"),
]
CONFIGS = [
    RunConfig(
        Gaussian(n_samples=30, n_features=d),
        method=GradientDescent(iterations=100),
        step=Step(value=[0.02 * k for k in range(1, 106)]),
    )
    for d in (2, 9)
]
ENGINES = {
    "serial": Serial(),
    "processes": Processes(workers=2),
    "dask": Dask(workers=2),
}
POOLS = {name: section for name, section in ENGINES.items() if name != "serial"}
# A cluster takes seconds to start.
DASK_IS_SLOW = [
    pytest.param(section, id=name, marks=[pytest.mark.slow] if name == "dask" else [])
    for name, section in ENGINES.items()
]


def content(folder):
    return {name: (folder / f"{name}.csv").read_bytes() for name in COLUMNS}


def study_in(folder, engine, **options):
    return StudyConfig(study="s", results_dir=str(folder), engine=engine, **options)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The files of CONFIGS, run in this process."""
    return content(run_sweep(CONFIGS, study_in(tmp_path_factory.mktemp("serial"), Serial())).folder)


# The same bytes


@pytest.mark.parametrize("engine", DASK_IS_SLOW[1:])
def test_every_engine_gives_the_same_bytes(engine, expected, tmp_path):
    outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert (outcome.added, outcome.failed) == (210, 0)
    assert content(outcome.folder) == expected


@pytest.mark.parametrize("engine", DASK_IS_SLOW)
def test_rounded_whole_numbers_are_told_once(engine, tmp_path, caplog, capfd):
    """By the process that plans; what a worker says would arrive at its standard error."""
    path = tmp_path / "t.csv"
    path.write_text("x,y\n9007199254740993,1\n2,2\n3,5\n")
    configs = [
        RunConfig(Table(str(path), target, standardize), method=GradientDescent(iterations=5))
        for target in "xy"
        for standardize in (True, False)
    ]
    assert len(run_study(configs, engine).runs) == 4
    said = [record.message for record in caplog.records if "2^53" in record.message]
    assert [line.partition(": whole numbers")[0] for line in said] == [str(path)]
    assert "2^53" not in capfd.readouterr().err


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def by_hand(folder, workers, *options, env=None):
    """A scheduler and workers of their own on the loopback address, as one starts them by hand."""
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    commands = [
        [*dask, "scheduler", *local, "--port", "0", "--scheduler-file", str(file), *options]
    ]
    one = ["--nthreads", "1", "--nworkers", "1", "--local-directory", str(folder)]
    commands += [[*dask, "worker", *local, *one, "--scheduler-file", str(file)]] * workers
    with (folder / "log").open("w") as log:
        started = [
            subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=env)
            for command in commands
        ]
        try:
            wait_for(lambda: file.exists() and file.read_text())
            yield json.loads(file.read_text())["address"], started[0]
        finally:
            # A worker whose scheduler is gone would wait for it.
            for process in reversed(started):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(60)


@pytest.mark.slow
def test_a_cluster_that_is_there(expected, tmp_path, dying, monkeypatch, caplog):
    """It is used, loses two workers to a group that kills them, no more, and is waited for."""
    monkeypatch.setattr(cluster, "SAY_SECONDS", 0)
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 0.2)
    with by_hand(tmp_path, workers=2) as (address, scheduler):
        assert address.startswith("tcp://127.0.0.1:")
        study = study_in(tmp_path, Dask(address=address), retry_failed=True)
        dying(tmp_path / "always")
        outcome = run_sweep(CONFIGS, study)
        assert (outcome.added, outcome.failed) == (210, 105)
        # The group is split in two; the scheduler's own setting would have made it sixteen.
        assert (tmp_path / "deaths").read_text() == 2 * "xx"
        assert f"waiting for a Dask scheduler at {address}" in caplog.messages
        (tmp_path / "always").touch()

        # What does not answer is told of once it has not for a while.
        caplog.clear()
        stopped = []

        def stop_the_scheduler(client):
            if not stopped:
                stopped.append(scheduler.send_signal(signal.SIGSTOP))
            return nthreads(client)

        def go_on(*message):
            real(*message)
            if stopped:
                scheduler.send_signal(signal.SIGCONT)

        from distributed import Client

        nthreads, real = Client.nthreads, cluster.log.warning
        monkeypatch.setattr(Client, "nthreads", stop_the_scheduler)
        monkeypatch.setattr(cluster.log, "warning", go_on)
        outcome = run_sweep(CONFIGS, study)
        assert stopped
        assert f"waiting for the Dask scheduler at {address}" in caplog.messages
        assert (outcome.added, outcome.failed) == (105, 0)
        assert content(outcome.folder) == expected


def test_that_no_worker_is_left_is_said_once(caplog):
    engine = cluster.Cluster(Dask(address="tcp://10.0.0.1:8786"))
    engine.address, engine._empty = "tcp://10.0.0.1:8786", False
    for there in ({}, {}, {"tcp://10.0.0.2:1": 1}, {}):
        engine.client = SimpleNamespace(nthreads=lambda there=there: there)
        engine.look()
    assert caplog.messages == ["no worker of tcp://10.0.0.1:8786 is left; waiting for one"] * 2


@pytest.mark.slow
def test_a_local_cluster_takes_orders_from_its_own_client_only(tmp_path):
    """Its ports are on the loopback address, and ask for a certificate or have nothing to show."""
    process = run(tmp_path, "engine=dask", "engine.workers=1", "method.iterations=100000")
    wait_for(lambda: (tmp_path / "s" / "runs.csv").exists())
    ports = listening(alive(str(tmp_path)))
    assert {host for host, _ in ports} == {"0100007F"}
    answers = Counter(stranger(int(port, 16)) for _, port in ports)
    # Scheduler, worker and the worker's nanny; two have a page each.
    assert answers == {"certificate required": 3, "no page": 2}
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143


PAGES = ("/", "/info/main/workers.html", "/json/counts.json", "/health", "/metrics")


def stranger(port):
    """What a process without a certificate gets from a port."""
    statuses = set()
    try:
        for page in PAGES:
            with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", page)
                statuses.add(connection.getresponse().status)
    except (OSError, HTTPException):
        # It does not speak HTTP.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
            context.wrap_socket(plain) as encrypted,
        ):
            encrypted.recv(1)
        return "certificate required"
    assert statuses == {404}
    return "no page"


def listening(pids):
    """Address and port, in hexadecimal, of the TCP sockets these processes listen on."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(link))
            except OSError:
                continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A" and f"socket:[{cells[9]}]" in inodes:
                found.add(tuple(cells[1].split(":")))
    return found


@pytest.mark.slow
def test_the_encrypted_cluster_of_the_documentation(undisturbed, tmp_path, monkeypatch):
    """The commands and the file of docs/sweeps.md, on the loopback address."""
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    section = text.partition("## An encrypted cluster")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    [certificates] = [block for block in blocks if "Security.temporary" in block]
    [yaml] = [block for block in blocks if "ca-file" in block]
    monkeypatch.chdir(tmp_path)
    script = f"PATH={GDCONV.parent}:$PATH\n{textwrap.dedent(certificates)}"
    subprocess.run(["bash", "-c", script], check=True)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "certificate.pem": 0o600,
        "key.pem": 0o600,
    }
    (tmp_path / "dask").mkdir()
    yaml = textwrap.dedent(yaml).replace("/home/me", str(tmp_path))
    (tmp_path / "dask" / "tls.yaml").write_text(yaml)
    assert "--protocol tls" in section
    configured = os.environ | {"DASK_CONFIG": str(tmp_path / "dask")}
    with by_hand(tmp_path, 1, "--protocol", "tls", env=configured) as (address, _):
        assert address.startswith("tls://127.0.0.1:")
        process = run(tmp_path, "engine=dask", f"engine.address={address}", env=configured)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert content(tmp_path / "s") == undisturbed


# Blocks


@pytest.mark.parametrize(("steps", "workers"), [(3, 1), (40, 2), (700, 1), (700, 4), (5000, 2)])
def test_large_groups_are_split_and_the_largest_come_first(steps, workers):
    config = RunConfig(step=Step(value=[1e-3 * (k + 1) for k in range(steps)]))
    small = RunConfig(Gaussian(n_features=3), step=Step(value=[0.5, 1.0]))
    planned = plan([small, config]).runs
    parts = blocks(grouped(planned), workers)
    assert sorted(run_id for part in parts for run_id in part) == sorted(planned)
    assert max(map(len, parts)) <= LARGEST_BLOCK
    large = [part for part in parts if next(iter(part.values())).problem.n_features > 3]
    assert parts[-1].keys() == plan([small]).runs.keys()
    assert sorted(map(len, large), reverse=True) == list(map(len, large))
    if steps > 2 * SMALLEST_BLOCK * workers:
        assert len(large) >= workers
    # All but the last are full blocks: their rows are a multiple of 8, none of them padding.
    assert all(len(part) % 8 == 0 for part in large[:-1])


# Workers that die


def deadly(marker, task):
    """Die at the first group with nine features, and then each time or only once."""
    if next(iter(task.group.values())).problem.n_features == 9 and not marker.exists():
        with (marker.parent / "deaths").open("a") as deaths:
            deaths.write("x")
        if marker.name == "once":
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(task)


@pytest.fixture
def dying(monkeypatch):
    """Make a marker's path the cause of death of workers, or of another misfortune."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])

    def arm(marker, cause=deadly):
        monkeypatch.setattr(groups, "work", lambda task: cause(marker, task))

    yield arm
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
@pytest.mark.parametrize("engine", POOLS.values(), ids=POOLS)
def test_a_worker_that_dies_once_costs_nothing(engine, expected, tmp_path, dying, caplog):
    dying(tmp_path / "once")
    outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert (tmp_path / "once").exists()
    assert (outcome.added, outcome.failed) == (210, 0)
    assert content(outcome.folder) == expected
    assert "tried again, alone" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("engine", POOLS.values(), ids=POOLS)
def test_a_group_that_kills_its_worker_fails_alone_and_can_be_retried(
    engine, expected, tmp_path, dying, monkeypatch
):
    dying(tmp_path / "always")
    outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert (outcome.added, outcome.failed) == (210, 105)
    table = run_study(CONFIGS, folder=outcome.folder).runs
    failed = table[table.status == "failed"]
    assert set(failed.n_features) == {9}
    assert failed.error.str.startswith("tried twice: the worker process died").all()
    assert set(table.n_features[table.status != "failed"]) == {2}

    (tmp_path / "always").touch()
    assert run_sweep(CONFIGS, study_in(tmp_path, engine)).added == 0
    again = run_sweep(CONFIGS, study_in(tmp_path, engine, retry_failed=True))
    assert (again.added, again.failed) == (105, 0)
    assert content(again.folder) == expected


def hungry(marker, task):
    """Ask for more memory than there is: always with nine features, else once."""
    if next(iter(task.group.values())).problem.n_features == 9 or not marker.exists():
        marker.touch()
        np.empty(2**55)
    return work(task)


@pytest.mark.parametrize("engine", DASK_IS_SLOW)
def test_a_group_for_which_memory_does_not_suffice_is_tried_again(
    engine, expected, tmp_path, dying, caplog
):
    dying(tmp_path / "once", hungry)
    outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert (outcome.added, outcome.failed) == (210, 105)
    table = run_study(CONFIGS, folder=outcome.folder).runs
    failed = table[table.status == "failed"]
    assert set(failed.n_features) == {9}
    reason = "tried twice: memory did not suffice: Unable to allocate 256. PiB"
    assert failed.error.str.match(reason).all()
    rows = content(outcome.folder)["runs"].splitlines()
    assert {row for row in rows if b",failed," not in row} <= set(expected["runs"].splitlines())
    assert "tried again, alone" in caplog.text


# A sweep that dies


def run(folder, *arguments, program=(GDCONV,), env=os.environ, **options):
    # Started in the background, this process would ignore Ctrl-C, and so would its children.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*program, *SWEEP, f"results_dir={folder}", *arguments],
        cwd=folder,
        env={**env, "GDCONV_TEST": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    STARTED.append(process)
    return process


STARTED = []


@pytest.fixture(autouse=True)
def nothing_goes_on():
    """End what a failed test has left running."""
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.kill()


def alive(marker):
    """The processes that were started with this marker in their environment, by their command."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if f"GDCONV_TEST={marker}\0".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes()
            except OSError:
                continue
    return found


def assert_none_left(marker):
    wait_for(lambda: not alive(marker))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    process = run(folder)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return content(folder / "s")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "engine"),
    [
        *((number, engine) for number in (signal.SIGTERM, signal.SIGINT) for engine in POOLS),
        (signal.SIGHUP, "processes"),
    ],
)
def test_no_process_outlives_the_sweep(engine, number, tmp_path):
    process = run(tmp_path, f"engine={engine}", "engine.workers=2", "method.iterations=1000000")
    wait_for(lambda: len(alive(str(tmp_path))) >= 3 and (tmp_path / "s" / "runs.csv").exists())
    if number == signal.SIGINT:
        # As the terminal sends it: to every process of the group.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    # Python tells so of an interrupt that came within a callback, and was lost there; what ends the
    # sweep then is that its patience is over.
    assert "Traceback" not in said.partition("Exception ignored in")[0]
    assert_none_left(str(tmp_path))


@pytest.fixture(params=["near", "far"])
def temporary(request, tmp_path):
    """A folder for temporary files; the socket of copied processes cannot be far down."""
    if request.param == "near":
        with tempfile.TemporaryDirectory(dir="/tmp", prefix="near-") as folder:
            yield Path(folder)
    else:
        folder = tmp_path / ("far" * 30)
        folder.mkdir()
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("engine", POOLS)
def test_nothing_is_left_after_a_kill_by_the_next_command(engine, tmp_path, temporary):
    """The processes end by themselves; folders and semaphores are removed by another sweep."""
    # It looks like one of ours and is not: its process is at work, or its name another's.
    kept = [f".gdconv-{os.getpid()}-abcdefgh", ".gdconv-notes", f".gdconv-{2**31}-abcdefgh"]
    for name in kept:
        (temporary / name).mkdir()
    (temporary / f".gdconv-{os.getpid()}-abcdefgh").with_name("link").symlink_to(tmp_path)
    env = os.environ | {"TMPDIR": str(temporary)}
    large = (f"engine={engine}", "engine.workers=2", "method.iterations=100000")
    process = run(tmp_path, *large, env=env)
    wait_for(lambda: (tmp_path / "s" / "runs.csv").exists())
    # All of them at once, loky's own cleaner included, as a job is ended on a cluster.
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert_none_left(str(tmp_path))
    names = f"sem.loky-{process.pid}-*"
    assert list(scratch.SEMAPHORES.glob(names))
    ours = [path for path in temporary.iterdir() if path.name not in {*kept, "link"}]
    assert len(ours) == 1 + (engine == "processes")
    shutil.rmtree(tmp_path / "s")
    process = run(tmp_path, f"engine={engine}", "method.iterations=1", env=env)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert not list(scratch.SEMAPHORES.glob(names))
    assert {path.name for path in temporary.iterdir()} == {*kept, "link"}


UNGUARDED = """
import sys
print("the script runs")
from gdconv.cli import commands
sys.argv[0] = "gdconv"
sys.exit(commands.study())
"""


@pytest.mark.slow
def test_a_script_that_calls_the_command_runs_once(tmp_path):
    """As with loky, and unlike with `multiprocessing`, which would run it in each worker."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    process = run(tmp_path, "engine=processes", program=[sys.executable, "script.py"])
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert printed.count("the script runs") == 1


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_files_beside_the_command_are_not_taken_for_modules(killed, tmp_path):
    """Neither by the process to copy, which is started again when it has died, nor by others."""
    for name in ("scipy", "loky", "threading"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError")
    process = run(tmp_path, "engine=processes", f"method.iterations={5000 if killed else 10}")
    if killed:
        wait_for(lambda: (tmp_path / "s" / "runs.csv").exists())
        os.kill(original(process, tmp_path), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert ",failed," not in (tmp_path / "s" / "runs.csv").read_text()


def original(process, marker):
    """The process that the workers of a command are copies of: they have no other parent."""
    parents = {
        int(Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()[1])
        for number in alive(str(marker))
        if number != process.pid
    }
    (original,) = parents - {process.pid}
    return original


@pytest.mark.slow
@pytest.mark.parametrize("config", [False, True])
def test_workers_of_a_command_are_copies_of_a_process_that_is_ready(config, tmp_path):
    """However the engine is asked for; their parent is not the command."""
    asked = ["engine=processes", "engine.workers=2"]
    if config:
        asked = ["++engine={name: processes, workers: 2}"]
    process = run(tmp_path, *asked, "method.iterations=100000")
    wait_for(lambda: (tmp_path / "s" / "runs.csv").exists())
    parent = original(process, tmp_path)
    assert b"gdconv.sweep.engines.ready" in Path(f"/proc/{parent}/cmdline").read_bytes()
    process.terminate()
    process.communicate(timeout=60)
    assert_none_left(str(tmp_path))


WITHOUT_SOCKET = """
import multiprocessing.util, os, shutil
from gdconv import run_study
from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Processes
from gdconv.sweep.engines.processes import start_original

start_original()
shutil.rmtree(os.path.dirname(multiprocessing.util.get_temp_dir()))
print(*run_study(RunConfig(Gaussian(9, 2)), engine=Processes(workers=2)).runs.status)
"""


@pytest.mark.slow
def test_workers_start_by_themselves_if_the_process_to_copy_is_out_of_reach(tmp_path):
    """As after temporary files have been cleaned up while a long sweep was running."""
    command = [sys.executable, "-c", WITHOUT_SOCKET]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "converged\n"
    assert "Traceback" not in done.stderr


def test_a_temporary_folder_is_removed_by_its_own_process_only():
    context = scratch.scratch()
    folder = context.__enter__()
    child = os.fork()
    if not child:
        context.__exit__(None, None, None)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert folder.is_dir()
    context.__exit__(None, None, None)
    assert not folder.exists()


def test_an_interrupt_while_workers_are_started_takes_effect_afterwards(monkeypatch):
    """The wait for the process to copy takes as long as its imports, and the sweep would go on."""
    started = []

    def start(engine, **how):
        os.kill(os.getpid(), signal.SIGINT)
        engine.executor = SimpleNamespace(shutdown=lambda **how: started.append("ended"))
        started.append("started")

    monkeypatch.setattr(processes.Processes, "_start", start)
    monkeypatch.setattr(processes.forkserver, "ensure_running", lambda: None)
    monkeypatch.setattr(processes, "_copying", SimpleNamespace(is_set=lambda: True))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), processes.Processes(Processes(workers=1)):
            started.append("went on")
    finally:
        signal.signal(signal.SIGINT, before)
    assert started == ["started", "ended"]


STUCK = """
import sys, threading
from gdconv.cli import commands
from gdconv.sweep import engines

def stuck(*_):
    print("stuck", file=sys.stderr, flush=True)
    threading.Event().wait()

engines.Processes.__exit__ = stuck
sys.exit(commands.study())
"""


@pytest.mark.slow
def test_a_lock_that_an_interrupt_leaves_held_keeps_nothing_alive(tmp_path):
    """Python's own lock on imports is one of those: seen in one interrupt of a hundred."""
    process = run(tmp_path, "engine=processes", program=[sys.executable, "-c", STUCK])
    wait_for(lambda: (tmp_path / "s" / "runs.csv").exists())
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stuck\n" in said
    assert_none_left(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("study", range(4))
def test_whatever_kills_it_the_same_command_completes_the_study(study, tmp_path, undisturbed):
    """Five random moments: the sweep or one of its workers, killed, terminated, interrupted."""
    chance = random.Random(study)
    for moment in range(5):
        engine = "engine=processes" if moment % 4 else "engine=serial"
        process = run(tmp_path, engine, "retry_failed=true")
        time.sleep(chance.uniform(0.4, 2.2))
        number = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        victim = process.pid
        if chance.random() < 0.3:
            victim = chance.choice([*(alive(str(tmp_path)) or [process.pid])])
            number = signal.SIGKILL
        try:
            os.kill(victim, number)
        except ProcessLookupError:
            assert process.poll() is not None
        process.communicate(timeout=120)
        if chance.random() < 0.2 and (tmp_path / "s" / "runs.csv").exists():
            # What was finished is there: rows of an interrupted sweep are those of a whole one.
            rows = (tmp_path / "s" / "runs.csv").read_bytes().splitlines()
            finished = [row for row in rows[:-1] if b",failed," not in row]
            assert set(finished) <= set(undisturbed["runs"].splitlines())
    process = run(tmp_path, "engine=processes", "retry_failed=true")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert content(tmp_path / "s") == undisturbed
    # Neither the lock nor a temporary file.
    assert not list((tmp_path / "s").glob(".*"))
    assert_none_left(str(tmp_path))


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path, undisturbed):
    """A limit on the size of a file stands in for the disk's."""
    for part in (0.0001, 0.3, 0.9):
        limit = int(part * len(undisturbed["curves"]))
        process = run(
            tmp_path,
            preexec_fn=lambda limit=limit: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
            ),
        )
        _, said = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "File too large" in said
        assert said.endswith("the same command continues the study\n")
        assert "Traceback" not in said
    process = run(tmp_path)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert content(tmp_path / "s") == undisturbed


# Refusals


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (lambda: Processes(workers=0), "engine.workers=0: must be a whole number from 1 to 1000"),
        (lambda: Dask(workers=2.5), "engine.workers=2.5: must be a whole number"),
        (lambda: Dask(address="localhost:8786"), "engine.address=localhost:8786: must be that of"),
        (lambda: Dask(address=8786), "engine.address=8786: must be that of a Dask scheduler"),
    ],
)
def test_bad_keys_are_refused(engine, message):
    with pytest.raises(ConfigError, match=message):
        engine()


def test_an_address_without_a_scheduler_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    engine = Dask(address="tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"engine.address=tcp://127.0.0.1:9: no scheduler with"):
        run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "configured", "message"),
    [
        ("tls://127.0.0.1:9", {}, "needs a certificate: name it in Dask's configuration"),
        ("tls://127.0.0.1:9", {"tls.ca-file": "no", "tls.client.cert": "no"}, "No such file"),
        ("tls://127.0.0.1:9", {"tls.ca-file": __file__, "tls.client.cert": __file__}, "NO_CERT"),
        ("tcp://127.0.0.1:9", {"require-encryption": True}, "must begin with tls://"),
    ],
)
def test_certificates_that_will_not_do_are_refused(address, configured, message, tmp_path):
    import dask

    # Otherwise its defaults would come meanwhile, and would be taken back with what is given.
    import distributed  # noqa: F401

    given = {f"distributed.comm.{key}": value for key, value in configured.items()}
    with dask.config.set(given), pytest.raises(ConfigError, match=message):
        run_sweep(CONFIGS, study_in(tmp_path, Dask(address=address)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["distributed", "cryptography"])
def test_dask_without_its_packages_is_refused(missing, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"engine=dask: needs Dask: pip install 'gdconv\[dask\]'"):
        run_sweep(CONFIGS, study_in(tmp_path, Dask()))


@pytest.mark.slow
def test_workers_of_another_version_are_refused(tmp_path, monkeypatch):
    # Of this process only: the workers import the module as it is.
    monkeypatch.setattr(runs, "SCHEMA_VERSION", 99)
    with pytest.raises(ConfigError, match=r"engine.address=.*: worker tls://.* has .*'schema': 99"):
        run_sweep(CONFIGS, study_in(tmp_path, Dask(workers=1)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_workers_with_another_kernel_are_refused(tmp_path, monkeypatch):
    """One that is there before anything is written, one that comes later with its first group."""
    import distributed

    # Of this process only.
    monkeypatch.setattr(provenance, "linear_algebra", lambda: ["openblas 0.3 Katmai"])
    told = r"worker tls://\S* has {'linear algebra': '\w.*'}, this process {.* Katmai'}: its rows"
    with pytest.raises(ConfigError, match=f"engine.address=.*: {told}"):
        run_sweep(CONFIGS, study_in(tmp_path, Dask(workers=1)))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(distributed.Client, "run", lambda *_: {})
    with pytest.raises(OSError, match=f"^{told}"):
        run_sweep(CONFIGS, study_in(tmp_path, Dask(workers=1)))
    assert (tmp_path / "s" / "runs.csv").read_bytes() == header("runs")


def test_only_what_scipy_copies_for_nothing_is_left_out_of_its_import():
    """The tools of NumPy for tests and for Fortran; whoever asks for them gets them as ever."""
    script = """
import sys, numpy
before = numpy.__all__, sorted(numpy.__all__), sorted(dir(numpy))
from gdconv.sweep.engines.worker import import_group
import_group()
parts = ["numpy.f2py", "numpy.testing", "numpy.polynomial", "unittest"]
print([name for name in parts if name in sys.modules], "scipy.linalg" in sys.modules)
print((numpy.__all__, sorted(numpy.__all__), sorted(dir(numpy))) == before)
from numpy import *
print(f2py.__name__, testing.__name__, polynomial.__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        *("[] True", "True", "numpy.f2py numpy.testing numpy.polynomial"),
    ], done.stderr
