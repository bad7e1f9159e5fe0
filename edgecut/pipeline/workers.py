"""Tasks done in this process, or spread over Dask workers: the answers are the same, and so is their order of use."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import itertools
import logging
import math
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.records.packages import DASK, absent

if TYPE_CHECKING:
    from distributed import Client, Future, as_completed
    from distributed.security import Security

Task = TypeVar("Task")
Answer = TypeVar("Answer")
GivenUp = Callable[[Task, RunError], Answer]
"""What stands for the answer of a task that is given up."""

# How long a scheduler may take to answer, in seconds.
_CONNECT_S = 10.0
# How old the number of workers may be, in seconds.
_COUNTED_S = 1.0
# How long tasks wait where no worker is there, in seconds, unless Dask's own setting says it: as long as a scheduler
# waits for a worker that is silent (distributed.scheduler.worker-ttl), since one that died is mostly started again.
_ABSENT_S = 300.0
_NO_WORKERS = "distributed.scheduler.no-workers-timeout"
_LOOPBACK = "127.0.0.1"


class WorkersGoneError(RunError):
    """The scheduler, or all of its workers, are gone, with the tasks that they had begun."""


@dataclass(frozen=True)
class Tls:
    """PEM files for a scheduler at tls://: who signed the certificates, the own certificate, and its key.

    Those that aren't named are Dask's own settings (distributed.comm.tls: ca-file, client.cert, client.key).
    """

    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None


NO_TLS = Tls()


@dataclass(frozen=True)
class Spread:
    """Where tasks are done: by a Dask scheduler's workers, by so many processes, or else by this process.

    dashboard: the port on 127.0.0.1 where Dask shows what the processes do, None for none.
    """

    address: str | None = None
    count: int = 0
    dashboard: int | None = None
    tls: Tls = NO_TLS

    @property
    def is_asked(self) -> bool:
        """Whether anybody but this process is asked for."""
        return self.address is not None or bool(self.count) or self.dashboard is not None or self.tls != NO_TLS


HERE = Spread()


def spread_faults(spread: Spread) -> Iterator[str]:
    """What doesn't go together, or isn't there, as sentences that name the flags."""
    if spread.address is not None and spread.count:
        yield "--workers: starts a cluster, and --dask names one; give one of the two"
    if spread.count < 0:
        yield f"--workers: at least 1 process is started, found {spread.count}"
    if spread.dashboard is not None and spread.count < 1:
        yield "--dashboard: is of the processes of --workers; a scheduler of --dask has its own"
    for flag, path in _tls_files(spread.tls):
        if not (spread.address or "").startswith("tls://"):
            yield f"{flag}: is for a scheduler at tls://, found {spread.address!r} (--dask)"
        elif not Path(path).is_file():
            yield f"{flag}: no such file {str(path)!r}; a PEM file is expected"


def _tls_files(tls: Tls) -> Iterator[tuple[str, str | Path]]:
    for flag, path in (("--dask-ca", tls.ca), ("--dask-cert", tls.certificate), ("--dask-key", tls.key)):
        if path is not None:
            yield flag, path


class Workers(Protocol):
    """Whoever does tasks."""

    def each(
        self,
        function: Callable[[Task], Answer],
        tasks: Iterable[Task | None],
        given_up: GivenUp[Task, Answer] | None = None,
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, as it is done; `tasks` is asked for the next one only when it can begin.

        None among them: nothing may begin before one that runs is done.
        """


class Here:
    """This process does them, one after the other."""

    def each(
        self,
        function: Callable[[Task], Answer],
        tasks: Iterable[Task | None],
        given_up: GivenUp[Task, Answer] | None = None,
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, in order. Raises ValueError for None, since nothing runs."""
        for task in tasks:
            if task is None:
                raise ValueError("no task runs, and none may begin")
            yield task, function(task)


class Dask:
    """The workers of a Dask scheduler do them, as many at a time as there are workers.

    A task whose worker dies begins anew on another one; one that ends four workers is given up (Dask's
    distributed.scheduler.allowed-failures). Where no worker is left, tasks wait for 300 s, or as long as Dask's
    distributed.scheduler.no-workers-timeout says. function and tasks are pickled, and so are the answers.
    """

    def __init__(self, client: Client) -> None:
        """client: connected."""
        import dask
        from dask.utils import parse_timedelta

        self._client = client
        self.address = str(client.scheduler_info()["address"])
        self._absent_s = float(parse_timedelta(dask.config.get(_NO_WORKERS, None)) or _ABSENT_S)

    def each(
        self,
        function: Callable[[Task], Answer],
        tasks: Iterable[Task | None],
        given_up: GivenUp[Task, Answer] | None = None,
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, in the order in which they are done.

        Tasks are sent, and answers fetched, in batches: as many as are free, or done, at the time. given_up answers for
        a task that is given up, and for all that are left where the scheduler or all workers are gone; without it both
        raise RunError.
        """
        rest, running = iter(tasks), cast("dict[Future, Task]", {})
        try:
            yield from self._answers(function, rest, running, given_up)
        except WorkersGoneError as exc:
            if given_up is None:
                raise
            for task in (*running.values(), *(task for task in rest if task is not None)):
                yield task, given_up(task, exc)
        finally:
            for future in running:
                future.cancel()

    def _answers(
        self,
        function: Callable[[Task], Answer],
        rest: Iterator[Task | None],
        running: dict[Future, Task],
        given_up: GivenUp[Task, Answer] | None,
    ) -> Iterator[tuple[Task, Answer]]:
        """The answers that come. running: what is sent and has none, kept here. Raises WorkersGoneError."""
        from distributed import as_completed

        count, counted_s, absent_s = 0, -math.inf, math.inf
        done = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        while True:
            if (now := time.monotonic()) - counted_s > _COUNTED_S:  # a round trip, too long for each short task
                count, counted_s = self._count(), now
                absent_s = math.inf if count else min(absent_s, now)
            if now - absent_s > self._absent_s:
                raise self._absent(len(running), self._absent_s)
            if ready := list(_next(rest, max(1, count) - len(running))):
                # A task is no pure function of its pickled form: what it reads may have changed since.
                futures = self._client.map(function, ready, pure=False)
                running.update(zip(futures, ready, strict=True))
                done.update(futures)
            if not running:
                return
            for future, answer in _batch(done):
                # A task without an answer stays among what runs until it is known that one stands for it.
                answered = answer if future.status == "finished" else self._failed(future, running, given_up)
                yield running.pop(future), answered

    def _count(self) -> int:
        try:
            return len(self._client.nthreads())
        except OSError as exc:  # Dask's CommClosedError
            raise self._lost() from exc

    def _failed(self, future: Future, running: Mapping[Future, Task], given_up: GivenUp[Task, Answer] | None) -> Answer:
        """What stands for the answer of a task that has none. Raises what the task raised."""
        from distributed import KilledWorker
        from distributed.scheduler import NoWorkerError

        try:
            return cast("Answer", future.result())
        except KilledWorker as exc:
            error = RunError(
                f"workers: a task ended each of the workers that began it ({exc}); give them more memory, or fewer "
                "workers"
            )
            if given_up is None:
                raise error from exc
            return given_up(running[future], error)
        except NoWorkerError as exc:  # a scheduler whose own limit is the shorter one
            raise self._absent(len(running), float(exc.timeout)) from exc
        except concurrent.futures.CancelledError as exc:
            raise self._lost() from exc

    def _absent(self, count: int, limit_s: float) -> WorkersGoneError:
        """count: the tasks that were sent."""
        tasks = "1 task that was sent is" if count == 1 else f"{count} tasks that were sent are"
        return WorkersGoneError(
            f"workers: the scheduler at {self.address!r} has had no worker for {limit_s:g} s, and {tasks} lost; "
            "start workers again, with more memory if that was what ended them, then run the same command again "
            f"(Dask's {_NO_WORKERS} is how long is waited)"
        )

    def _lost(self) -> WorkersGoneError:
        return WorkersGoneError(
            f"workers: the connection to the scheduler at {self.address!r} is lost; start it and its "
            "workers again, then run the same command again"
        )


@contextmanager
def workers(spread: Spread = HERE) -> Iterator[Workers]:
    """This process, the workers of the scheduler at an address, or a cluster of processes on this machine.

    What the cluster listens on, it listens on at 127.0.0.1 alone.
    Raises MissingRuntimeError without Dask, or without Bokeh for its dashboard; RequestError where no scheduler
    answers, its certificate isn't trusted, or none of its workers is there.
    """
    if spread.address is None and not spread.count:
        yield Here()
        return
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as exc:
        raise absent(DASK) from exc
    if spread.address is not None:
        with _connected(Client, spread.address, spread.tls) as client:
            yield Dask(client)
        return
    if spread.dashboard is not None and importlib.util.find_spec("bokeh") is None:
        raise MissingRuntimeError("--dashboard: Dask draws it with Bokeh, which is absent; install bokeh")
    with dask.config.set(_settings(spread)):
        with _interrupts_held():
            cluster = LocalCluster(
                n_workers=spread.count,
                threads_per_worker=1,
                processes=True,
                host=_LOOPBACK,
                # With None Dask would take port 8787, and complain where it isn't free.
                dashboard_address=f"{_LOOPBACK}:{spread.dashboard or 0}",
                worker_dashboard_address=f"{_LOOPBACK}:0",
                scheduler_kwargs={"dashboard": spread.dashboard is not None},
                silence_logs="CRITICAL",
            )
        with cluster, Client(cluster) as client:
            yield Dask(client)


def _settings(spread: Spread) -> dict[str, object]:
    # Dask tells its workers to use one BLAS thread; with this process's own number they round as it does.
    settings: dict[str, object] = {"distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": "65536"}}
    if spread.dashboard is None:  # its web servers then answer nothing, neither to say what runs nor how it goes
        settings |= {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    return settings


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C reaches this process after the context, and the processes that are started in it never.

    A terminal sends it to all of them: workers would write tracebacks while this process stops them in order.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which, where it isn't running yet, would end the block when a process starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _connected(kind: type[Client], address: str, tls: Tls) -> Iterator[Client]:
    security = _security(tls) if address.startswith("tls://") else None
    try:
        client = kind(address, timeout=_CONNECT_S, security=security)
    except (OSError, ValueError) as exc:
        raise RequestError(
            f"--dask: no scheduler answers at {address!r} ({exc}); start one with `dask scheduler`"
        ) from exc
    with _quiet(logging.getLogger("distributed.client")), client:
        if not client.nthreads():
            raise RequestError(f"--dask: the scheduler at {address!r} has no workers; start some with `dask worker`")
        yield client


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Nothing is logged in the context: of a scheduler that is gone an error says enough, and Dask logs tracebacks."""
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _security(tls: Tls) -> Security:
    """What a client shows and trusts. Raises RequestError without an authority, and for what is no certificate."""
    from distributed.security import Security

    named = {"tls_ca_file": tls.ca, "tls_client_cert": tls.certificate, "tls_client_key": tls.key}
    security = Security(require_encryption=True, **{key: str(path) for key, path in named.items() if path is not None})
    config = security.get_tls_config_for_role("client")
    if not (config["ca_file"] and config["cert"]):
        raise RequestError(
            "--dask: tls:// needs an authority to trust and a certificate to show; name their files with --dask-ca and "
            "--dask-cert (EDGECUT_DASK_CA, EDGECUT_DASK_CERT), or set distributed.comm.tls in Dask's settings"
        )
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as exc:
        raise RequestError(
            f"--dask: the certificates can't be used ({exc}); PEM files of an authority, of a certificate signed by "
            "it, and of its key are expected"
        ) from exc
    return security


def _batch(done: as_completed) -> list[tuple[Future, Any]]:
    """The futures that are done, with their answers first; none where that takes longer than workers stay counted."""
    # as_completed's own wait has no end while none is done.
    with done.thread_condition:
        if not done.has_ready():
            done.thread_condition.wait(_COUNTED_S)
    batch = cast("list[tuple[Future, Any]]", done.next_batch(block=False))
    return sorted(batch, key=lambda pair: pair[0].status != "finished")  # an error must not take answers along


def _next(tasks: Iterator[Task | None], count: int) -> Iterator[Task]:
    """At most so many tasks, up to the first None."""
    for task in itertools.islice(tasks, max(0, count)):
        if task is None:
            return
        yield task
