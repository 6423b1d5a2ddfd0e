"""Engines: the same bytes from all of them, and what remains when workers or the sweep die."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cloudpickle
import pytest

from gdconv import engines, runs
from gdconv.config import (
    Dask,
    Gaussian,
    GradientDescent,
    Processes,
    RunConfig,
    Serial,
    Step,
    StudyConfig,
)
from gdconv.keys import ConfigError
from gdconv.sweep import LARGEST_BLOCK, SMALLEST_BLOCK, blocks, grouped, plan, run_study, run_sweep
from gdconv.tables import COLUMNS

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


def content(folder):
    return {name: (folder / f"{name}.csv").read_bytes() for name in COLUMNS}


def study_in(folder, engine, **options):
    return StudyConfig(study="s", results_dir=str(folder), engine=engine, **options)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The files of CONFIGS, run in this process."""
    return content(run_sweep(CONFIGS, study_in(tmp_path_factory.mktemp("serial"), Serial())).folder)


# The same bytes


@pytest.mark.parametrize("engine", POOLS.values(), ids=POOLS)
def test_every_engine_gives_the_same_bytes(engine, expected, tmp_path):
    outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert (outcome.added, outcome.failed) == (210, 0)
    assert content(outcome.folder) == expected


@contextmanager
def cluster(folder, workers):
    """A scheduler and workers of their own on the loopback address, as one starts them by hand."""
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    commands = [[*dask, "scheduler", *local, "--port", "0", "--scheduler-file", str(file)]]
    one = ["--nthreads", "1", "--nworkers", "1", "--local-directory", str(folder)]
    commands += [[*dask, "worker", *local, *one, "--scheduler-file", str(file)]] * workers
    with (folder / "log").open("w") as log:
        started = [
            subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            for command in commands
        ]
        try:
            deadline = time.monotonic() + 60
            while not file.exists() or not file.read_text():
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            yield json.loads(file.read_text())["address"]
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGTERM)
            for process in started:
                process.wait(30)


def test_a_cluster_that_is_there_is_used(expected, tmp_path):
    with cluster(tmp_path, workers=2) as address:
        assert address.startswith("tcp://127.0.0.1:")
        engine = Dask(address=address)
        with engines.engine(engine) as ready:
            assert len(ready.client.nthreads()) >= 1
        outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert outcome.failed == 0
    assert content(outcome.folder) == expected


def test_a_local_cluster_listens_on_the_loopback_address_only():
    with engines.engine(Dask(workers=1)) as ready:
        info = ready.client.scheduler_info()
        workers = ready.client.run(os.getpid)
        pids = {os.getpid(), *workers.values()}
        assert info["address"].startswith("tcp://127.0.0.1:")
        assert all(address.startswith("tcp://127.0.0.1:") for address in workers)
        assert listening(pids) <= {"0100007F"}


def listening(pids):
    """The local addresses, in hexadecimal, of the TCP sockets these processes listen on."""
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
                found.add(cells[1].split(":")[0])
    return found


# Blocks


@pytest.mark.parametrize(("steps", "workers"), [(3, 1), (40, 2), (700, 1), (700, 4), (5000, 2)])
def test_large_groups_are_split_and_the_largest_come_first(steps, workers):
    config = RunConfig(step=Step(value=[1e-3 * (k + 1) for k in range(steps)]))
    small = RunConfig(Gaussian(n_features=3), step=Step(value=[0.5, 1.0]))
    planned = plan([small, config])
    parts = blocks(grouped(planned), workers)
    assert sorted(run_id for part in parts for run_id in part) == sorted(planned)
    assert max(map(len, parts)) <= LARGEST_BLOCK
    large = [part for part in parts if next(iter(part.values())).problem.n_features > 3]
    assert parts[-1].keys() == plan([small]).keys()
    assert sorted(map(len, large), reverse=True) == list(map(len, large))
    if steps > 2 * SMALLEST_BLOCK * workers:
        assert len(large) >= workers
    # All but the last are full blocks: their rows are a multiple of 8, none of them padding.
    assert all(len(part) % 8 == 0 for part in large[:-1])


# Workers that die


def deadly(marker, group):
    """Die at the first group with nine features, and then each time or only once."""
    if next(iter(group.values())).problem.n_features == 9 and not marker.exists():
        if marker.name == "once":
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return engines.work(group)


@pytest.fixture
def dying(monkeypatch):
    """Make a marker's path the cause of death of workers."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    real = engines.work
    submit = engines._Pool._submit

    def arm(marker):
        def submit_deadly(self, group):
            monkeypatch.setattr(engines, "work", lambda group: deadly(marker, group))
            future = submit(self, group)
            monkeypatch.setattr(engines, "work", real)
            return future

        monkeypatch.setattr(engines._Pool, "_submit", submit_deadly)

    yield arm
    cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.parametrize("engine", POOLS.values(), ids=POOLS)
def test_a_worker_that_dies_once_costs_nothing(engine, expected, tmp_path, dying, caplog):
    dying(tmp_path / "once")
    outcome = run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert (tmp_path / "once").exists()
    assert (outcome.added, outcome.failed) == (210, 0)
    assert content(outcome.folder) == expected
    assert "tried again, alone" in caplog.text


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
    assert failed.error.str.startswith("the worker process died, twice").all()
    assert set(table.n_features[table.status != "failed"]) == {2}

    (tmp_path / "always").touch()
    assert run_sweep(CONFIGS, study_in(tmp_path, engine)).added == 0
    again = run_sweep(CONFIGS, study_in(tmp_path, engine, retry_failed=True))
    assert (again.added, again.failed) == (105, 0)
    assert content(again.folder) == expected


# A sweep that dies


def run(folder, *arguments, program=(GDCONV,), marker="", **options):
    # Started in the background, this process would ignore Ctrl-C, and so would its children.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = os.environ | {"GDCONV_TEST": marker or str(folder)}
    process = subprocess.Popen(
        [*program, *SWEEP, f"results_dir={folder}", *arguments],
        cwd=folder,
        env=environment,
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
    deadline = time.monotonic() + 10
    while left := alive(marker):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    process = run(folder)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return content(folder / "s")


@pytest.mark.parametrize("engine", POOLS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_sweep(engine, number, tmp_path):
    process = run(tmp_path, f"engine={engine}", "engine.workers=2", "method.iterations=100000")
    deadline = time.monotonic() + 60
    while len(alive(str(tmp_path))) < 3 or not (tmp_path / "s" / "runs.csv").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if number == signal.SIGINT:
        # As the terminal sends it: to every process of the group.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    statuses = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
    assert process.returncode == statuses[number]
    # Python tells so of an interrupt that came within a callback, and was lost there; what ends the
    # sweep then is that its patience is over.
    assert "Traceback" not in said.partition("Exception ignored in")[0]
    assert_none_left(str(tmp_path))


STUCK = """
import sys, threading
from gdconv import cli, engines

def stuck(*_):
    print("stuck", file=sys.stderr, flush=True)
    threading.Event().wait()

engines._Processes.__exit__ = stuck
sys.exit(cli.main())
"""


def test_a_lock_that_an_interrupt_leaves_held_keeps_nothing_alive(tmp_path):
    """Python's own lock on imports is one of those: seen in one interrupt of a hundred."""
    process = run(tmp_path, "engine=processes", program=[sys.executable, "-c", STUCK])
    deadline = time.monotonic() + 60
    while not (tmp_path / "s" / "runs.csv").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stuck\n" in said
    assert_none_left(str(tmp_path))


def test_whatever_kills_it_the_same_command_completes_the_study(tmp_path, undisturbed):
    """Twenty random moments: the sweep or one of its workers, killed, terminated, interrupted."""
    chance = random.Random(0)
    for moment in range(20):
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
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 1)
    engine = Dask(address="tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"engine.address=tcp://127.0.0.1:9: no scheduler with"):
        run_sweep(CONFIGS, study_in(tmp_path, engine))
    assert list(tmp_path.iterdir()) == []


def test_dask_without_its_packages_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"engine=dask: needs Dask: pip install 'gdconv\[dask\]'"):
        run_sweep(CONFIGS, study_in(tmp_path, Dask()))


def test_workers_of_another_version_are_refused(tmp_path, monkeypatch):
    # Of this process only: the workers import the module as it is.
    monkeypatch.setattr(runs, "SCHEMA_VERSION", 99)
    with pytest.raises(ConfigError, match=r"engine.address=.*: worker tcp://.* has .*'schema': 99"):
        run_sweep(CONFIGS, study_in(tmp_path, Dask(workers=1)))
    assert list(tmp_path.iterdir()) == []
