"""The engine on a Dask cluster: one made for the sweep on this machine, or an existing one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from threading import Timer
from typing import Any

from gdconv.config.rules import ConfigError
from gdconv.sweep.engines.pool import PATIENCE_SECONDS, Engine, Pool
from gdconv.sweep.engines.scratch import scratch
from gdconv.sweep.engines.worker import in_worker
from gdconv.tables import disk
from nnlib.terminal import ignoring_interrupts

log = logging.getLogger("gdconv")

CONNECT_SECONDS = 30
# A message says what is waited for if it takes longer than this.
SAY_SECONDS = 2


class Cluster(Pool):
    """A Dask cluster: one made for the sweep on this machine, or the one at engine.address."""

    def __enter__(self) -> Engine:
        """Connect to the scheduler, and make sure that all workers have the same versions.

        Raises
        ------
        ConfigError
            If Dask is not installed, no scheduler answers, there is no worker, or a worker has
            another version of gdconv, NumPy or SciPy, or another BLAS or kernel of it.
        """
        super().__enter__()
        self.address = self.section.address
        try:
            import distributed

            if self.address is None:
                import cryptography  # noqa: F401
        except ImportError:
            allowed = "needs Dask: pip install 'gdconv[dask]'"
            raise ConfigError("engine", "dask", allowed) from None
        # Its log messages on closing are useless; real problems arrive as exceptions.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.died = distributed.scheduler.KilledWorker
        self._empty = False
        with ExitStack() as undo:
            undo.push(self._open)
            if self.address is None:
                cluster = self._open.enter_context(_local_cluster(self.section.workers))
                self.address, security = cluster.scheduler_address, cluster.security
            else:
                security = _configured_security(self.address)
            try:
                self._connect(security)
            except (OSError, TimeoutError) as error:
                what = f"no scheduler with a worker answers there ({type(error).__name__})"
                raise ConfigError("engine.address", self.address, what) from None
            except ImportError as error:
                raise ConfigError("engine.address", self.address, f"its workers: {error}") from None
            undo.pop_all()
        return self

    def _connect(self, security: Any) -> None:
        from distributed import Client

        with _said_after(SAY_SECONDS, "waiting for a Dask scheduler at %s", self.address):
            client = Client(
                self.address, timeout=CONNECT_SECONDS, security=security, set_as_default=False
            )
        self.client = self._open.enter_context(client)
        with _said_after(SAY_SECONDS, "waiting for a worker of %s", self.address):
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        mine = _versions()
        for worker, versions in client.run(_versions).items():
            if difference := _difference(versions, mine):
                raise ConfigError("engine.address", self.address, f"worker {worker} {difference}")
        self.task = partial(_in_equal_worker, tuple(mine.items()))
        client.register_plugin(_one_death(client.id))
        self.executor = client.get_executor(pure=False)

    @property
    def workers(self) -> int:
        """How many groups the cluster runs at a time; this may grow and shrink."""
        return max(1, self._threads())

    def look(self) -> None:
        """Warn once if there is no worker left."""
        empty = self._threads() == 0
        if empty and not self._empty:
            log.warning("no worker of %s is left; waiting for one", self.address)
        self._empty = empty

    def _threads(self) -> int:
        with _said_after(PATIENCE_SECONDS, "waiting for the Dask scheduler at %s", self.address):
            return sum(self.client.nthreads().values())


def _configured_security(address: str) -> Any:
    """Return the certificates that Dask's configuration names, if the address needs them.

    Raises
    ------
    ConfigError
        If it needs certificates and has none, or the configuration requires encryption and the
        address has none.
    """
    from distributed.security import Security

    security = Security()
    if address.startswith("tls://"):
        try:
            context = security.get_connection_args("client")["ssl_context"]
        except OSError as error:
            what = f"the certificate in Dask's configuration cannot be used ({error})"
            raise ConfigError("engine.address", address, what) from None
        if context is None:
            what = "needs a certificate: name it in Dask's configuration, see docs/sweeps.md"
            raise ConfigError("engine.address", address, what)
    elif security.require_encryption:
        what = "must begin with tls://, Dask's configuration requires encryption"
        raise ConfigError("engine.address", address, what)
    return security


def _one_death(client: str) -> Any:
    """Return a plugin with which a scheduler gives up a group of this client after one death.

    By its own setting, `allowed-failures`, the scheduler would try the group on a few more workers.
    If the group killed them as well, other groups that they run would be lost too.
    """
    from distributed.diagnostics.plugin import SchedulerPlugin

    class OneDeath(SchedulerPlugin):
        name = f"gdconv-{client}"

        def update_graph(self, scheduler: Any, *, keys: Any, **given: Any) -> None:
            if given["client"] == client:
                for key in keys:
                    scheduler.tasks[key].suspicious = scheduler.allowed_failures

        def remove_client(self, scheduler: Any, client: str) -> None:
            if f"gdconv-{client}" == self.name:
                scheduler.remove_plugin(self.name)

    return OneDeath()


@contextmanager
def _local_cluster(workers: int | None) -> Iterator[Any]:
    """A cluster of single-threaded processes that listens on 127.0.0.1 only.

    It accepts only its own client, by a certificate made for this cluster, and has no dashboard.
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security
    from loky import cpu_count

    with ExitStack() as opened:
        folder = opened.enter_context(scratch())
        options = {
            "temporary-directory": str(folder),
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
        opened.enter_context(dask.config.set(options))
        temporary = Security.temporary()
        # If they were given in memory, each process would write them to a folder of its own.
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        with disk.named(folder):
            certificate.write_text(temporary.tls_ca_file)
            key.write_text(temporary.tls_client_key)
        files = {"cert": str(certificate), "key": str(key)}
        roles = ("client", "scheduler", "worker")
        given = {f"tls_{role}_{what}": file for role in roles for what, file in files.items()}
        with ignoring_interrupts():
            cluster = LocalCluster(
                host="127.0.0.1",
                protocol="tls://",
                security=Security(require_encryption=True, tls_ca_file=files["cert"], **given),
                n_workers=workers or cpu_count(),
                threads_per_worker=1,
                # Without a limit, Dask does not kill workers for the memory they use.
                memory_limit=0,
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
        with cluster:
            yield cluster


def _versions() -> dict[str, Any]:
    """Return the versions that all workers must share so that they compute the same bytes."""
    from importlib.metadata import version

    # What a run needs has to be loaded before its BLAS can be told.
    import gdconv.experiment.group  # noqa: F401
    from gdconv.experiment.identity import SCHEMA_VERSION
    from gdconv.sweep.provenance import linear_algebra

    packages = {name: version(name) for name in ("gdconv", "numpy", "scipy")}
    blas = ", ".join(linear_algebra())
    return packages | {"schema": SCHEMA_VERSION, "linear algebra": blas}


def _difference(theirs: dict[str, Any], mine: dict[str, Any]) -> str:
    """Say in what a worker differs from the process that asks; "" if in nothing."""
    names = [name for name in mine if theirs.get(name) != mine[name]]
    if not names:
        return ""
    has, wanted = ({name: each.get(name) for name in names} for each in (theirs, mine))
    return f"has {has}, this process {wanted}: its rows might differ in the last digits"


def _in_equal_worker(
    wanted: tuple[tuple[str, Any], ...], function: Callable[[Any], Any], item: Any
) -> Any:
    """Run an item, unless this worker, which may have come during the sweep, is another one.

    Raises
    ------
    OSError
        If its rows might have other bytes.
    """
    if difference := _difference_here(wanted):
        from distributed import get_worker

        raise OSError(f"worker {get_worker().address} {difference}")
    return in_worker(function, item)


@cache
def _difference_here(wanted: tuple[tuple[str, Any], ...]) -> str:
    return _difference(_versions(), dict(wanted))


@contextmanager
def _said_after(seconds: float, message: str, address: str) -> Iterator[None]:
    """Log what is waited for, if it takes longer than so many seconds."""
    timer = Timer(seconds, log.warning, (message, address))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
