"""Tasks that several processes share: their results, and that no process is left."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest

from gdconv.report import parallel


@pytest.fixture(params=[0, 1, 3])
def helpers(request, monkeypatch):
    monkeypatch.setattr(parallel, "_number_of_helpers", lambda tasks: request.param)
    return request.param


def square_of(number):
    return number**2, os.getpid()


def test_results_are_in_the_order_of_the_tasks(helpers):
    found = parallel.results([partial(square_of, number) for number in range(200)])
    assert [square for square, _ in found] == [number**2 for number in range(200)]
    assert len({process for _, process in found}) <= 1 + helpers
    assert not active_children()


def test_no_task_has_no_result(helpers):
    assert parallel.results([]) == []


def slow(number):
    time.sleep(0.02)
    return square_of(number)


def test_the_helpers_take_part(monkeypatch):
    monkeypatch.setattr(parallel, "_number_of_helpers", lambda tasks: 2)
    found = parallel.results([partial(slow, number) for number in range(30)])
    assert len({process for _, process in found}) == 3


def fails_at(bad, number):
    if number == bad:
        raise ValueError(f"task {number}")
    return number


@pytest.mark.parametrize("bad", [0, 7, 19])
def test_an_error_of_a_task_is_raised_here(helpers, bad):
    with pytest.raises(ValueError, match=f"task {bad}"):
        parallel.results([partial(fails_at, bad, number) for number in range(20)])
    assert not active_children()


def dies_elsewhere(parent, number):
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def test_what_a_killed_helper_has_taken_is_done_here(helpers):
    tasks = [partial(dies_elsewhere, os.getpid(), number) for number in range(20)]
    assert parallel.results(tasks) == list(range(20))
    assert not active_children()


def test_no_helper_without_a_second_core_or_beside_another_thread(monkeypatch):
    monkeypatch.setattr(parallel.threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)))
    assert [parallel._number_of_helpers(tasks) for tasks in (0, 1, 2, 9)] == [0, 0, 1, 3]
    monkeypatch.setattr(parallel.threading, "active_count", lambda: 2)
    assert parallel._number_of_helpers(9) == 0
    monkeypatch.setattr(parallel.threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5})
    assert parallel._number_of_helpers(9) == 0


LONG = """
import os, sys, time
from functools import partial
from pathlib import Path
from gdconv.report import parallel
from nnlib.terminal import run

def work(number):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)

def main():
    parallel._number_of_helpers = lambda tasks: 3
    parallel.results([partial(work, number) for number in range(8)])

sys.exit(run("long", main))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whole_group", [True, False])
def test_a_signal_ends_all_processes(tmp_path, number, whole_group):
    command = [sys.executable, "-c", LONG, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, text=True)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 4)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert process.pid in workers
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert len(said.splitlines()) == 1
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def wait_until(true, seconds=20):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


ORPHANS = """
import os, sys, time
from functools import partial
from pathlib import Path
from gdconv.report import parallel

def work(parent, number):
    if os.getpid() == parent:
        time.sleep(60)
    Path(sys.argv[1], f"{os.getpid()}-{number}").touch()
    time.sleep(0.5)

parallel._number_of_helpers = lambda tasks: 2
parallel.results([partial(work, os.getpid(), number) for number in range(100)])
"""


@pytest.mark.slow
def test_a_helper_whose_parent_was_killed_ends_after_its_task(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ORPHANS, str(tmp_path)])
    wait_until(lambda: len({path.name.split("-")[0] for path in tmp_path.iterdir()}) == 2)
    process.kill()
    process.wait()
    workers = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert len(list(tmp_path.iterdir())) < 20
