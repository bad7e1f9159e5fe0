"""Tasks whose workers are all gone: they wait for a stated while, then end with one sentence."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import distributed
import pytest

from edgecut.pipeline.workers import Dask, Spread, WorkersGoneError, workers

LIMIT = "distributed.scheduler.no-workers-timeout"


def square(number: int) -> int:
    return number * number


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[distributed.LocalCluster]:
    """A worker that is a thread of this process. Workers are counted often."""
    monkeypatch.setattr("edgecut.pipeline.workers._COUNTED_S", 0.01)
    settings = {"distributed.deploy.lost-worker-timeout": "10ms"}  # how soon a lost worker can be replaced
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
    ):
        yield cluster


def without_workers(cluster: distributed.LocalCluster) -> Iterator[int]:
    """Numbers to take the square of; the worker is gone after the first of them."""
    yield 1
    for worker in list(cluster.workers.values()):
        cluster.sync(worker.close)
    yield from (2, 3)


def gone(hands: Dask, limit_s: str) -> str:
    return (
        f"workers: the scheduler at {hands.address!r} has had no worker for {limit_s} s, and 1 task that was sent is "
        "lost; start workers again, with more memory if that was what ended them, then run the same command again "
        "(Dask's distributed.scheduler.no-workers-timeout is how long is waited)"
    )


def test_tasks_whose_workers_are_all_gone_end_with_one_sentence(cluster: distributed.LocalCluster) -> None:
    with dask.config.set({LIMIT: "10ms"}), workers(Spread(cluster.scheduler_address)) as hands:
        assert isinstance(hands, Dask)
        answers = hands.each(square, without_workers(cluster))
        assert next(answers) == (1, 1)
        with pytest.raises(WorkersGoneError) as caught:
            list(answers)
        assert str(caught.value) == gone(hands, "0.01")


def test_a_scheduler_that_gives_up_sooner_says_the_same(cluster: distributed.LocalCluster) -> None:
    cluster.scheduler.no_workers_timeout = 0.01
    with workers(Spread(cluster.scheduler_address)) as hands:
        assert isinstance(hands, Dask)
        with pytest.raises(WorkersGoneError) as caught:
            list(hands.each(square, without_workers(cluster)))
        assert str(caught.value) == gone(hands, "0.01")


def test_what_stands_for_lost_tasks_stands_for_all_that_are_left(cluster: distributed.LocalCluster) -> None:
    """Rows of a matrix that are built already are worth as much as before."""
    with dask.config.set({LIMIT: "10ms"}), workers(Spread(cluster.scheduler_address)) as hands:
        assert isinstance(hands, Dask)
        found = list(hands.each(square, without_workers(cluster), lambda task, exc: str(exc)))
        assert found == [(1, 1), (2, gone(hands, "0.01")), (3, gone(hands, "0.01"))]


def test_workers_that_come_back_in_time_go_on(
    cluster: distributed.LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []

    def counted(hands: Dask) -> int:
        counts.append(count(hands))
        if not counts[-1]:
            cluster.scale(1)
        return counts[-1]

    count = Dask._count
    monkeypatch.setattr(Dask, "_count", counted)
    with workers(Spread(cluster.scheduler_address)) as hands:
        assert list(hands.each(square, without_workers(cluster))) == [(1, 1), (2, 4), (3, 9)]
    assert 0 in counts
