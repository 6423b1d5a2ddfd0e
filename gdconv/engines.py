"""Who works the groups off: this process, processes beside it, or a Dask cluster.

An engine is an executor of `concurrent.futures` and what to do when a worker dies. Workers compute
and return rows; they write nothing, so one that dies takes no more than its own group with it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from gdconv.keys import ConfigError, Section

# NumPy and SciPy are imported by what works: the command line starts its workers before it pays
# for its own copy.
if TYPE_CHECKING:
    from gdconv.runs import Group
    from gdconv.tables import Rows

log = logging.getLogger("gdconv")


class Engine:
    """Works groups off, one after the other in this process; the other engines are kinds of it.

    A context manager: entered, it is ready to work; left, all that it started is gone.
    """

    def __init__(self, section: Section) -> None:
        self.section: Any = section
        self._workers = 1
        self._open = ExitStack()

    @property
    def workers(self) -> int:
        """How many groups are worked off at a time."""
        return self._workers

    def __enter__(self) -> Engine:
        """Get ready to work.

        Raises
        ------
        ConfigError
            If the engine cannot be had as it was asked for.
        """
        return self

    def __exit__(self, *exception: Any) -> None:
        """End all that was started."""
        self._open.__exit__(*exception)

    def work_off(self, groups: Sequence[Group]) -> Iterator[Rows]:
        """Yield the rows of all groups, in any order."""
        import threadpoolctl

        # What is limited is the BLAS that has been loaded; afterwards the caller has its own again.
        import gdconv.study  # noqa: F401

        with threadpoolctl.threadpool_limits(1):
            yield from map(work, groups)


class _Pool(Engine):
    """An engine whose groups are worked off by other processes, one for each worker at a time."""

    # What a future raises when its worker has died.
    died: type[Exception]
    executor: Any

    def mend(self) -> None:
        """Make the executor usable again after a worker has died."""

    def work_off(self, groups: Sequence[Group]) -> Iterator[Rows]:
        """Yield the rows of all groups, in any order.

        The groups that were at work when a worker died are tried once more at the end, each alone.
        If a worker dies again, it is the group that kills it, and its runs have failed.
        """
        waiting, suspects = deque(groups), []
        working: dict[Future[Rows], tuple[Group, Executor]] = {}
        finished: list[Rows] = []
        while waiting or working or finished:
            while waiting and len(working) < self.workers:
                group = waiting.popleft()
                working[self._submit(group)] = group, self.executor
            # While these are stored, the workers are at the next ones.
            yield from finished
            finished = []
            for future in wait(working, return_when=FIRST_COMPLETED).done:
                group, executor = working.pop(future)
                try:
                    finished.append(_result(future))
                except self.died:
                    suspects.append(group)
                    if executor is self.executor:
                        self.mend()
        for group in suspects:
            log.warning("a worker has died; its %d runs are tried again, alone", len(group))
            try:
                yield _result(self._submit(group))
            except self.died:
                self.mend()
                yield _failed(group, "the worker process died, twice; was there memory enough?")

    def _submit(self, group: Group) -> Future[Rows]:
        try:
            return self.executor.submit(_in_worker, work, group)
        except self.died:
            self.mend()
            return self.executor.submit(_in_worker, work, group)


class _Processes(_Pool):
    """Processes on this machine, kept by loky."""

    died = BrokenExecutor

    def __enter__(self) -> Engine:
        """Start the processes."""
        from joblib import cpu_count

        self._workers = self.section.workers or cpu_count()
        self._open.callback(lambda: self.executor.shutdown(wait=True, kill_workers=True))
        self.mend()
        return self

    def mend(self) -> None:
        """Start an executor, in place of one that a death has broken."""
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        self.executor = ProcessPoolExecutor(
            self.workers, initializer=_prepare, initargs=(os.getpid(),), env=ONE_THREAD
        )
        with _ignoring_interrupts():
            self.executor.submit(int)


class _Dask(_Pool):
    """A Dask cluster: one on this machine, made for the sweep, or the one at engine.address."""

    def __enter__(self) -> Engine:
        """Connect to the scheduler, and make sure that the workers compute the same bytes.

        Raises
        ------
        ConfigError
            If Dask is not installed, no scheduler answers, no worker is there, or one has another
            version of gdconv, NumPy or SciPy.
        """
        try:
            import distributed
        except ImportError:
            allowed = "needs Dask: pip install 'gdconv[dask]'"
            raise ConfigError("engine", "dask", allowed) from None
        # Its closing words are no news; what is, reaches us as an exception.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.died = distributed.scheduler.KilledWorker
        address = self.section.address
        with ExitStack() as undo:
            undo.push(self._open)
            if address is None:
                cluster = self._open.enter_context(_local_cluster(self.section.workers))
                address = cluster.scheduler_address
            try:
                self.client = self._open.enter_context(
                    distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
                )
                self.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
                found = self.client.run(_versions)
            except (OSError, TimeoutError) as error:
                what = f"no scheduler with a worker answers there ({type(error).__name__})"
                raise ConfigError("engine.address", address, what) from None
            except ImportError as error:
                raise ConfigError("engine.address", address, f"its workers: {error}") from None
            for worker, versions in found.items():
                if versions != _versions():
                    what = f"worker {worker} has {versions}, this process {_versions()}"
                    raise ConfigError("engine.address", address, what)
            self.executor = self.client.get_executor(pure=False)
            undo.pop_all()
        return self

    @property
    def workers(self) -> int:
        """How many groups the cluster works at; it may grow and shrink."""
        return max(1, sum(self.client.nthreads().values()))


ENGINES = {"serial": Engine, "processes": _Processes, "dask": _Dask}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CONNECT_SECONDS = 30


def engine(section: Section) -> Engine:
    """Return the engine of a configuration, not yet entered."""
    return ENGINES[section.name](section)


def work(group: Group) -> Rows:
    """Run one group; if it cannot be run, its rows say why and the sweep goes on."""
    from gdconv.study import run_group
    from gdconv.tables import encode

    try:
        return encode(run_group(list(group.values()), list(group)))
    except Exception as error:
        log.debug("group failed", exc_info=True)
        return _failed(group, f"{type(error).__name__}: {error}")


def _failed(group: Group, reason: str) -> Rows:
    from gdconv.provenance import without_home
    from gdconv.runs import failed_group
    from gdconv.tables import encode

    return encode(failed_group(list(group.values()), list(group), without_home(reason)))


def _result(future: Future[Rows]) -> Rows:
    try:
        return future.result()
    except CancelledError:
        raise ConnectionError("the Dask scheduler is gone") from None


def _in_worker(function: Callable[[Group], Rows], group: Group) -> Rows:
    _one_thread()
    return function(group)


@cache
def _one_thread() -> None:
    """Keep BLAS on one thread in this worker: two make small products several times slower."""
    import threadpoolctl

    import gdconv.study  # noqa: F401

    threadpoolctl.threadpool_limits(1)


def _prepare(parent: int) -> None:
    """Make a process a worker, which ends when its parent does, however that ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _one_thread()


def _versions() -> dict[str, Any]:
    """Return what must be the same in all workers for them to compute the same bytes."""
    from importlib.metadata import version

    from gdconv.runs import SCHEMA_VERSION

    packages = {name: version(name) for name in ("gdconv", "numpy", "scipy")}
    return packages | {"schema": SCHEMA_VERSION}


@contextmanager
def _local_cluster(workers: int | None) -> Iterator[Any]:
    """A cluster of single-threaded processes that listens on 127.0.0.1 only, without dashboard."""
    from tempfile import TemporaryDirectory

    import dask
    from distributed import LocalCluster
    from joblib import cpu_count

    # Nothing is retried behind our back, and no worker is killed for the memory it uses.
    options = {"distributed.scheduler.allowed-failures": 0}
    with dask.config.set(options), TemporaryDirectory() as folder:
        with _ignoring_interrupts():
            cluster = LocalCluster(
                host="127.0.0.1",
                n_workers=workers or cpu_count(),
                threads_per_worker=1,
                memory_limit=0,
                local_directory=folder,
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
        with cluster:
            yield cluster


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, as they inherit it from this one.

    A terminal sends it to all of its processes, and only this one may act on it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
