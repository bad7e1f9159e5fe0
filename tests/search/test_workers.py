"""Work spread over processes: the same front bit for bit, also when one of them dies."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import distributed
import psutil
import pytest

import edgecut
from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.pipeline.workers import Dask, Spread, Tls, WorkersGoneError, spread_faults, workers
from edgecut.search import tasks
from edgecut.search.parts import marked

pytestmark = pytest.mark.tensorflow

Small = tuple[Path, Path]


LIMIT = "distributed.scheduler.no-workers-timeout"


@pytest.fixture(scope="module")
def two() -> Iterator[Dask]:
    """Two processes, for which no test waits for ever should they be gone."""
    with dask.config.set({LIMIT: "2 minutes"}), workers(Spread(count=2)) as hands:
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
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), workers(Spread(count=1)) as hands:
        said = dict(hands.each(dies, [1, 2, 3], lambda task, exc: str(exc)))
    assert (said[1], said[3]) == (1, 3)
    assert str(said[2]).startswith("workers: a task ended each of the workers that began it (")


def test_a_search_whose_workers_are_all_gone_says_what_is_kept(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def each(self, *_: object) -> Iterator[None]:
            raise WorkersGoneError("workers: gone")

    monkeypatch.setattr("edgecut.search.run.workers", lambda spread: contextlib.nullcontext(Gone()))
    with pytest.raises(WorkersGoneError) as caught:
        edgecut.search(*small, ["nucleo-l4r5zi"], out=tmp_path / "out", preprocess="tf", sizes=((16, 16),))
    assert str(caught.value) == (
        f"workers: gone; {str(tmp_path / 'out')!r} keeps what was scored and built so far, and the same command goes "
        "on there"
    )


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
        workers(Spread("tcp://127.0.0.1:1")),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingRuntimeError) as caught, workers(Spread(count=2)):
        pass
    assert str(caught.value) == "distributed isn't here, and this needs it; it comes with: pip install 'edgecut[dask]'"


def test_nothing_listens_on_other_than_the_loopback_address(two: Dask) -> None:
    """Whoever reaches a scheduler runs what he likes; a dashboard says what runs."""
    me = psutil.Process()
    listening = [
        (process.name(), connection.laddr)
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 4
    assert {address.ip for _, address in listening} == {"127.0.0.1"}


def test_what_listens_tells_nothing_without_a_dashboard(two: Dask) -> None:
    ports = [service["dashboard"] for service in _services(two) if "dashboard" in service]
    assert ports
    for port in ports:
        for path in ("", "info/main/workers.html", "metrics", "health", "status", "json/counts.json"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10)
            assert caught.value.code == 404


def _services(hands: Dask) -> list[dict[str, int]]:
    info = hands._client.scheduler_info()
    return [info["services"], *(worker["services"] for worker in info["workers"].values())]


def test_a_dashboard_without_bokeh_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingRuntimeError) as caught, workers(Spread(count=1, dashboard=8787)):
        pass
    assert str(caught.value) == "--dashboard: Dask draws it with Bokeh, which is absent; install bokeh"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two authorities, and of each a certificate with its key."""
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    for name in ("ours", "other"):
        for words in (
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}-ca.key -out {name}-ca.pem",
            f"req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout {name}.key -out {name}.csr",
            f"x509 -req -days 2 -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial -out {name}.pem",
        ):
            subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    return folder


def tls_of(folder: Path, name: str) -> Tls:
    return Tls(folder / f"{name}-ca.pem", folder / f"{name}.pem", folder / f"{name}.key")


@pytest.fixture(scope="module")
def guarded(certificates: Path) -> Iterator[str]:
    """The address of a scheduler with a worker that speaks with nobody but who has a certificate of ours."""
    files = {"tls_ca_file": certificates / "ours-ca.pem"}
    for role in ("scheduler", "worker", "client"):
        files |= {f"tls_{role}_cert": certificates / "ours.pem", f"tls_{role}_key": certificates / "ours.key"}
    security = distributed.security.Security(require_encryption=True, **{key: str(path) for key, path in files.items()})
    with distributed.LocalCluster(
        n_workers=1,
        processes=False,
        protocol="tls",
        host="127.0.0.1",
        security=security,
        dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    ) as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_behind_tls_works_for_who_has_a_certificate(guarded: str, certificates: Path) -> None:
    assert guarded.startswith("tls://127.0.0.1:")
    with workers(Spread(guarded, tls=tls_of(certificates, "ours"))) as hands:
        assert sorted(hands.each(abs, [-1, -2])) == [(-2, 2), (-1, 1)]


def test_tls_is_taken_from_dasks_own_settings(guarded: str, certificates: Path) -> None:
    names = {"ca-file": "ours-ca.pem", "client.cert": "ours.pem", "client.key": "ours.key"}
    settings = {f"distributed.comm.tls.{key}": str(certificates / name) for key, name in names.items()}
    with dask.config.set(settings), workers(Spread(guarded)) as hands:
        assert list(hands.each(abs, [-1])) == [(-1, 1)]


def test_a_certificate_of_another_authority_is_refused(
    guarded: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecut.pipeline.workers._CONNECT_S", 2.0)
    with (
        pytest.raises(RequestError, match=rf"^--dask: no scheduler answers at '{guarded}' "),
        workers(Spread(guarded, tls=tls_of(certificates, "other"))),
    ):
        pass


def test_tls_without_an_authority_or_a_certificate_is_refused(tmp_path: Path) -> None:
    for tls in (Tls(), Tls(ca=tmp_path / "ca.pem")):
        with pytest.raises(RequestError) as caught, workers(Spread("tls://127.0.0.1:1", tls=tls)):
            pass
        assert str(caught.value) == (
            "--dask: tls:// needs an authority to trust and a certificate to show; name their files with --dask-ca and "
            "--dask-cert (EDGECUT_DASK_CA, EDGECUT_DASK_CERT), or set distributed.comm.tls in Dask's settings"
        )


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("x")
    spread = Spread("tls://127.0.0.1:1", tls=Tls(*[tmp_path / "x.pem"] * 3))
    with pytest.raises(RequestError, match=r"^--dask: the certificates can't be used \(.*\); PEM"), workers(spread):
        pass


def test_flags_of_tls_and_of_the_dashboard_that_do_nothing_are_refused(tmp_path: Path) -> None:
    asked = Spread("tcp://there:1", dashboard=8787, tls=Tls(ca=tmp_path / "ca.pem"))
    assert list(spread_faults(asked)) == [
        "--dashboard: is of the processes of --workers; a scheduler of --dask has its own",
        "--dask-ca: is for a scheduler at tls://, found 'tcp://there:1' (--dask)",
    ]
    assert list(spread_faults(Spread("tls://there:1", tls=Tls(key=tmp_path / "a.key")))) == [
        f"--dask-key: no such file {str(tmp_path / 'a.key')!r}; a PEM file is expected"
    ]


def test_a_worker_with_other_code_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(small, Path())
    facts = {**tasks.facts_of(request), "code": "older"}
    with pytest.raises(RunError) as caught:
        tasks.work(tasks.Sent(tasks.Scoring((16, 16), 3), tasks.portable(request), facts, "mark"))
    assert str(caught.value) == (
        "workers: one has another code than this process; give all of them the same files under the same names, and "
        "install the same versions"
    )


def test_a_worker_that_does_not_see_the_output_folder_is_refused(small: Small, tmp_path: Path) -> None:
    request = asked(small, tmp_path / "out")
    facts = tasks.facts_of(request)
    with marked(tasks.store_of(request, facts), "mark"), pytest.raises(RunError) as caught:
        tasks.work(tasks.Sent(tasks.Scoring((16, 16), 3), tasks.portable(request), facts, "another's"))
    assert str(caught.value) == (
        f"workers: one doesn't see what this process wrote to {tmp_path / 'out' / 'cache'}; choose an OUT (-o) on a "
        "disk that all of them share, under the same name"
    )


def begun(*words: str, until: str) -> tuple[subprocess.Popen[str], str]:
    """A process of Dask's command line, and the line that it says until when it is waited for."""
    child = subprocess.Popen([sys.executable, "-m", "dask", *words], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    return child, next(line for line in child.stderr if until in line)


def test_a_scheduler_that_is_killed_is_named_and_nothing_else_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    scheduler, line = begun("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", until="Scheduler at:")
    address = line.split()[-1]
    worker, _ = begun("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", until="Registered to:")
    try:
        with workers(Spread(address)) as hands:
            answers = hands.each(abs, range(100))
            assert next(answers) == (0, 0)
            scheduler.kill()
            with pytest.raises(RunError) as caught:
                list(answers)
    finally:
        for child in (scheduler, worker):
            child.kill()
            child.communicate()
    assert str(caught.value) == (
        f"workers: the connection to the scheduler at {address!r} is lost; start it and its workers again, then run "
        "the same command again"
    )
    assert capfd.readouterr().err == ""


def test_what_waits_for_a_running_task_begins_after_it(two: Dask) -> None:
    ready = [1, 2]

    def agenda() -> Iterator[int | None]:
        while len(answers) < 4:
            yield ready.pop(0) if ready else None

    answers: list[tuple[int, int]] = []
    for task, answer in two.each(square, agenda()):
        answers.append((task, answer))
        ready += [10 * task] if task < 10 else []
    assert sorted(answers) == [(1, 1), (2, 4), (10, 100), (20, 400)]


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
