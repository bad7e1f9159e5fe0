"""Tasks done in this process, or spread over Dask workers: the answers are the same, and so is their order of use."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Protocol, TypeVar

from edgecut.errors import MissingRuntimeError, RequestError, RunError

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Answer = TypeVar("Answer")
GivenUp = Callable[[Task, RunError], Answer]
"""What stands for the answer of a task that is given up."""

# How long a scheduler may take to answer, in seconds.
_CONNECT_S = 10.0


@dataclass(frozen=True)
class Spread:
    """Where tasks are done: by a Dask scheduler's workers, by so many processes, or else by this process."""

    address: str | None = None
    count: int = 0


HERE = Spread()


class Workers(Protocol):
    """Whoever does tasks."""

    def each(
        self, function: Callable[[Task], Answer], tasks: Iterable[Task], given_up: GivenUp[Task, Answer] | None = None
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, as it is done; `tasks` is asked for the next one only when it can begin."""


class Here:
    """This process does them, one after the other."""

    def each(
        self, function: Callable[[Task], Answer], tasks: Iterable[Task], given_up: GivenUp[Task, Answer] | None = None
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, in order."""
        for task in tasks:
            yield task, function(task)


class Dask:
    """The workers of a Dask scheduler do them, as many at a time as there are workers.

    A task whose worker dies begins anew on another one; one that ends four workers is given up (Dask's
    distributed.scheduler.allowed-failures). function and tasks are pickled, and so are the answers.
    """

    def __init__(self, client: Client) -> None:
        """client: connected."""
        self._client = client

    @property
    def address(self) -> str:
        """The scheduler's."""
        return str(self._client.scheduler_info()["address"])

    def each(
        self, function: Callable[[Task], Answer], tasks: Iterable[Task], given_up: GivenUp[Task, Answer] | None = None
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, in the order in which they are done.

        Raises RunError for one that is given up, unless given_up answers for it.
        """
        from distributed import KilledWorker, as_completed
        from distributed.client import Future

        rest, running = iter(tasks), dict[Future, Task]()
        done = as_completed()
        try:
            while True:
                for task in _next(rest, max(1, len(self._client.nthreads())) - len(running)):
                    # A task is no pure function of its pickled form: what it reads may have changed since.
                    future = self._client.submit(function, task, pure=False)
                    running[future] = task
                    done.add(future)
                if not running:
                    return
                future = next(done)
                task = running.pop(future)
                try:
                    answer = future.result()
                except KilledWorker as exc:
                    error = RunError(
                        f"workers: a task ended each of the workers that began it ({exc}); give them more memory, or "
                        "fewer workers"
                    )
                    if given_up is None:
                        raise error from exc
                    answer = given_up(task, error)
                yield task, answer
        finally:
            for future in running:
                future.cancel()


@contextmanager
def workers(*, address: str | None = None, count: int = 0) -> Iterator[Workers]:
    """This process, the workers of the scheduler at `address`, or a cluster of `count` processes on this machine.

    Raises MissingRuntimeError without Dask, RequestError where no scheduler answers or none of its workers is there.
    """
    if address is None and not count:
        yield Here()
        return
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as exc:
        raise MissingRuntimeError("workers: Dask is absent; install edgecut[dask] for --workers and --dask") from exc
    if address is not None:
        with _connected(Client, address) as client:
            yield Dask(client)
        return
    # Dask tells its workers to use one BLAS thread; with this process's own number they round as it does.
    environment = {"distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": "65536"}}
    with dask.config.set(environment):
        with _interrupts_held():
            cluster = LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs="CRITICAL"
            )
        with cluster, Client(cluster) as client:
            yield Dask(client)


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
def _connected(kind: type[Client], address: str) -> Iterator[Client]:
    try:
        client = kind(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as exc:
        raise RequestError(
            f"--dask: no scheduler answers at {address!r} ({exc}); start one with `dask scheduler`"
        ) from exc
    with client:
        if not client.nthreads():
            raise RequestError(f"--dask: the scheduler at {address!r} has no workers; start some with `dask worker`")
        yield client


def _next(tasks: Iterator[Task], count: int) -> Iterator[Task]:
    for _ in range(count):
        try:
            yield next(tasks)
        except StopIteration:
            return
