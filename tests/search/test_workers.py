"""Work spread over processes: the same front bit for bit, also when one of them dies."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest

import edgecut
from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.pipeline.workers import Dask, workers
from edgecut.search import tasks

pytestmark = pytest.mark.tensorflow

Small = tuple[Path, Path]


@pytest.fixture(scope="module")
def two() -> Iterator[Dask]:
    with workers(count=2) as hands:
        assert isinstance(hands, Dask)
        yield hands


def square(number: int) -> int:
    return number * number


def dies_once(task: tuple[str, int]) -> int:
    """The square, after the first process that tries has been killed."""
    folder, number = task
    try:
        (Path(folder) / f"tried-{number}").touch(exist_ok=False)
    except FileExistsError:
        return number * number
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes on")


def test_every_task_is_answered(two: Dask) -> None:
    assert sorted(two.each(square, range(20))) == [(k, k * k) for k in range(20)]


def test_no_more_tasks_are_begun_than_there_are_workers(two: Dask) -> None:
    asked = []
    given = (asked.append(k) or k for k in range(10))  # type: ignore[func-returns-value]
    next(two.each(square, given))
    assert asked == [0, 1]


def test_a_task_whose_worker_is_killed_runs_elsewhere(two: Dask, tmp_path: Path) -> None:
    found = dict(two.each(dies_once, [(str(tmp_path), 3)]))
    assert found == {(str(tmp_path), 3): 9}


def test_a_task_that_ends_every_worker_is_given_up_alone() -> None:
    def dies(number: int) -> int:  # in here it is sent whole, and workers needn't import this module
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert distributed.config["distributed"]  # its settings are there before one is changed
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), workers(count=1) as hands:
        said = dict(hands.each(dies, [1, 2, 3], lambda task, exc: str(exc)))
    assert (said[1], said[3]) == (1, 3)
    assert str(said[2]).startswith("workers: a task ended each of the workers that began it (")


def test_an_interrupt_from_the_terminal_is_this_processs_own(two: Dask) -> None:
    """Workers that were interrupted, too, would write tracebacks."""

    def process(number: int) -> int:
        return os.getpid()

    pids = {pid for _, pid in two.each(process, range(8))}
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    assert {pid for _, pid in two.each(process, range(8))} <= pids


def test_without_workers_this_process_works_in_order() -> None:
    with workers() as hands:
        assert list(hands.each(square, [3, 1])) == [(3, 9), (1, 1)]


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecut.pipeline.workers._CONNECT_S", 0.2)
    with (
        pytest.raises(RequestError, match=r"^--dask: no scheduler answers at 'tcp://127\.0\.0\.1:1' "),
        workers(address="tcp://127.0.0.1:1"),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingRuntimeError) as caught, workers(count=2):
        pass
    assert str(caught.value) == "workers: Dask is absent; install edgecut[dask] for --workers and --dask"


def test_a_worker_with_other_code_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(small, Path())
    message = tasks.sent(request, {**tasks.facts_of(request), "code": "older"}, tasks.Look((16, 16), 3))
    with pytest.raises(RunError) as caught:
        tasks.work(message)
    assert str(caught.value) == (
        "workers: one has another code than this process; give all of them the same files under the same names, and "
        "install the same versions"
    )


def test_a_search_over_processes_of_which_one_is_killed_has_the_same_front(
    small: Small, two: Dask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = small
    settings: dict[str, Any] = {"sizes": ((16, 16), (12, 12)), "precisions": ("int8",), "preprocess": "tf", "top": 1}
    alone = edgecut.search(model, images, ["nucleo-l4r5zi"], out=tmp_path / "alone", **settings)
    killed = tmp_path / "killed"
    monkeypatch.setattr("edgecut.search.run.work", functools.partial(work_that_dies_once, str(killed)))
    spread = edgecut.search(model, images, ["nucleo-l4r5zi"], out=tmp_path / "spread", dask=two.address, **settings)
    assert killed.exists()
    assert spread == alone
    files = [{p.name: p.read_bytes() for p in (tmp_path / out / "models").iterdir()} for out in ("alone", "spread")]
    assert files[0] == files[1]


def work_that_dies_once(killed: str, message: tasks.Sent) -> Any:
    """tasks.work, but the first worker that has done its task is killed before it can answer."""
    answer = tasks.work(message)
    try:
        Path(killed).touch(exist_ok=False)
    except FileExistsError:
        return answer
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes on")


def asked(small: Small, out: Path) -> Any:
    from edgecut.records.profile_files import find_profile
    from edgecut.records.recipe import Data, Recipe, Source
    from edgecut.search.request import Request

    recipe = Recipe(source=Source(model=str(small[0]), preprocess="tf"), data=Data(train=str(small[1])))
    return Request(recipe, (find_profile("nucleo-l4r5zi"),), ((16, 16),), (3,), ("int8",), out, top=1)
