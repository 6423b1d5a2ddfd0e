"""`gdconv-report --watch`: who may read the page, how far it says the study is, how it ends."""

import json
import re
import signal
import subprocess
import sys
import threading
from http.client import HTTPConnection

import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Step
from gdconv.report.page import watch
from gdconv.report.report import main
from gdconv.report.summary import Standing
from gdconv.sweep.sweep import run_study

STEPS = (0.5, 1.0, 1.5, 2.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A study of four runs of which two are there, as if it were running."""
    folder = tmp_path_factory.mktemp("results") / "running"
    run_study(RunConfig(Gaussian(20, 3), step=Step(value=STEPS)), folder=folder)
    rows = (folder / "runs.csv").read_bytes().splitlines(keepends=True)
    (folder / "runs.csv").write_bytes(b"".join(rows[:3]) + rows[3][:20])
    history = json.loads((folder / "provenance.json").read_text())
    del history["checksums"]
    (folder / "provenance.json").write_text(json.dumps(history))
    return folder


def get(server, path, host=None):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers={"Host": host or server.host})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_only_who_has_the_address_reads_and_only_files_of_the_study(running):
    with watch.Server(running, lambda: "the page") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            own = f"/{server.token}/"
            assert server.address == f"http://127.0.0.1:{server.server_port}{own}"
            assert get(server, own) == (200, b"the page")
            assert get(server, own + "runs.csv") == (200, (running / "runs.csv").read_bytes())
            for path in (
                "/",
                "/runs.csv",
                f"/{server.token[:-1]}/",
                f"/{server.token}x/",
                own + "../running/runs.csv",
                own + "%2e%2e/runs.csv",
                own + ".lock",
                own + "figures/errata.png",
                "/%C3%A9%FF/",
            ):
                assert get(server, path)[0] == 404, path
            assert get(server, own, "example.org")[0] == 404
            assert len(server.token) >= 32
        finally:
            server.shutdown()
            thread.join()
    with watch.Server(running, str) as other:
        assert other.token != server.token


def test_a_page_says_how_far_a_study_is_until_it_is_finished():
    standing = Standing("s", 5, 1, 4, {}, "gdconv", "", False, [])
    renewing, told = watch.progress(standing)
    assert renewing == '<meta http-equiv="refresh" content="10">'
    assert "6 of 10 runs are there, 1 of them failed. The page renews itself" in told
    assert '<progress value="6" max="10">' in told
    renewing, told = watch.progress(standing._replace(missing=0, failed=0, finished=True))
    assert renewing == ""
    assert "5 of 5 runs are there. The study is finished" in told


def test_watch_takes_one_study_and_no_other_option(running, capsys):
    assert main(["--watch", str(running), str(running)]) == 2
    assert main(["--watch", "--format=png", str(running)]) == 2
    assert main(["--watch", "--status", str(running)]) == 2
    told = capsys.readouterr().err
    assert "--watch takes one RESULTS_DIR, not 2" in told
    assert "--watch cannot be used with --format" in told


@pytest.mark.slow
def test_the_command_serves_a_running_study_writes_nothing_and_ends_with_ctrl_c(running):
    def content():
        return {path: path.read_bytes() for path in running.rglob("*") if path.is_file()}

    before = content()
    command = [sys.executable, "-m", "gdconv.report", "--watch", str(running)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/\S+/)$", line.strip()).groups()
            connection = HTTPConnection("127.0.0.1", int(port), timeout=120)
            connection.request("GET", path)
            page = connection.getresponse().read().decode()
            assert "2 of 4 runs are there." in page
            assert '<meta http-equiv="refresh" content="10">' in page
            assert '<figure id="figure-convergence">' in page
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert content() == before


def test_what_cannot_be_read_yet_says_why_and_is_tried_again(tmp_path):
    page = watch.waiting(tmp_path / "<new>", "has no runs.csv")
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "has no runs.csv. The page renews itself every 10 seconds." in page
    assert "<h1>&lt;new&gt;</h1>" in page
