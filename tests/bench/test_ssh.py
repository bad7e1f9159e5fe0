"""A machine behind ssh, which is this one through a real server."""

from __future__ import annotations

import ast
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgecut.bench.devices import devices
from edgecut.bench.interleaved import Turns, interleave
from edgecut.bench.operators import operator_times
from edgecut.bench.runners import remote, sent
from edgecut.bench.runners.ssh import OPTIONS
from edgecut.bench.runners.table import machine_of
from edgecut.errors import MissingRuntimeError, RunError
from tests.command_line import run
from tests.ssh_server import Server, descendants, kill_all, until

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
ENDLESS = ("bench", str(INT8), "--runs", "2000000000", "--runner")


def name_of(server: Server) -> str:
    return machine_of(server.runner).name


def start_endless(server: Server) -> subprocess.Popen[str]:
    """A bench that measures for hours, once it does."""
    before = set(server.left)
    process = subprocess.Popen(
        [sys.executable, "-m", "edgecut", *ENDLESS, server.runner], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    until(lambda: any((folder / "result").exists() for folder in set(server.left) - before))
    return process


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.int8.onnx"])
def test_a_file_is_measured_there_and_nothing_is_left(
    ssh: Server, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = ("bench", str(FIXTURES / name), "--runs", "5", "--profile", "raspberry-pi-4", "--json", "-q")
    answer = run(capsys, *words, "--runner", ssh.runner)
    rows = {m["metric"]: m for m in json.loads(answer.out)["measurements"] if m["kind"] == "measured"}
    assert (answer.code, answer.err) == (0, "")
    latency = rows["latency"]
    assert (latency["where"], latency["profile"], len(latency["values"])) == (name_of(ssh), "raspberry-pi-4", 5)
    assert latency["value"] > 0
    assert rows["memory"]["value"] > 0
    assert {"load", "governor", "pinned_to", "first_s", "cores"} <= latency["conditions"].keys()
    assert ssh.left == []


def test_the_profile_s_own_prediction_stands_beside_what_is_measured(
    ssh: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("bench", str(INT8), "--runs", "5", "--profile", "raspberry-pi-4", "--json", "-q", "--runner", ssh.runner)
    rows = json.loads(run(capsys, *words).out)["measurements"]
    found = [(m["kind"], m["where"]) for m in rows if m["metric"] == "latency"]
    assert found == [("estimated", "raspberry-pi-4"), ("measured", name_of(ssh))]


def test_operators_are_timed_there(ssh: Server) -> None:
    found = operator_times(INT8, runs=3, warmup=1, device=devices([ssh.runner], [])[0])
    assert [row.layer for row in found.in_graph.rows if row.layer] == [
        "stem", "depthwise", "pointwise", "pool", "scores",
    ]  # fmt: skip
    rows = found.one_by_one.rows
    assert [row.layer for row in rows] == ["stem", "depthwise", "pointwise", "pool", "scores", ""]
    assert all(row.seconds for row in rows)


def test_two_files_are_timed_in_turn_there(ssh: Server) -> None:
    found = interleave(INT8, FIXTURES / "tiny.float32.onnx", Turns(rounds=3, runs=3), machine=machine_of(ssh.runner))
    assert (found.where, len(found.wall.first), len(found.wall.second)) == (name_of(ssh), 3, 3)


def test_a_connection_that_is_killed_half_way_is_told_and_what_it_left_is_removed_by_the_next_run(
    ssh: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start_endless(ssh)
    kill_all(descendants(ssh.process.pid))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert f"{name_of(ssh)}: the connection broke while it measured" in err
    assert "run it again: what this run left there is then removed" in err
    assert len(ssh.left) == 1
    assert run(capsys, "bench", str(INT8), "--runs", "3", "--runner", ssh.runner).code == 0
    assert ssh.left == []


def test_the_other_end_stops_and_cleans_up_when_nobody_waits_any_more(ssh: Server) -> None:
    process = start_endless(ssh)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    until(lambda: not ssh.left)
    until(lambda: not descendants(ssh.process.pid))


def test_a_run_that_is_still_going_is_left_alone_by_another(ssh: Server, capsys: pytest.CaptureFixture[str]) -> None:
    process = start_endless(ssh)
    try:
        assert run(capsys, "bench", str(INT8), "--runs", "3", "--runner", ssh.runner).code == 0
        assert len(ssh.left) == 1
    finally:
        process.kill()
        process.communicate()
    until(lambda: not ssh.left)


@pytest.mark.parametrize(
    ("known_hosts", "reason"),
    [("wrong", "is not the one that is known for it"), ("none", "isn't known")],
)
def test_a_host_whose_key_is_wrong_or_unknown_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], known_hosts: str, reason: str
) -> None:
    """Even where the user's own options would have it otherwise."""
    monkeypatch.setenv(OPTIONS, f"-o StrictHostKeyChecking=no {server.options(known_hosts)}")
    answer = run(capsys, "bench", str(INT8), "--runner", server.runner)
    assert answer.code == 3
    assert f"{name_of(server)}: refused: the host's key {reason}" in answer.err


def test_a_machine_that_drops_out_doesn_t_lose_another_s_results(
    ssh: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("bench", str(INT8), "--runs", "3", "--json", "-q", "--runner", "ssh://127.0.0.1:1", "--runner", ssh.runner)
    answer = run(capsys, *words)
    rows = [m for m in json.loads(answer.out)["measurements"] if m["metric"] == "latency"]
    assert answer.code == 3
    assert [(m["where"], m["value"] is None) for m in rows] == [("ssh://127.0.0.1:1", True), (name_of(ssh), False)]
    assert answer.err.count("\n") == 1
    assert (
        "ssh://127.0.0.1:1: can't be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused" in answer.err
    )


def test_a_machine_without_that_python_is_told_how_to_name_another(ssh: Server) -> None:
    with pytest.raises(
        MissingRuntimeError, match=r"no '/no/python3' there .*; install Python 3\.9 or newer, or name it"
    ):
        machine_of(f"ssh://{name_of(ssh).removeprefix('ssh://')}/no/python3").run({"job": "latency"}, [INT8])


def test_a_file_that_takes_too_long_there_is_stopped(ssh: Server) -> None:
    job = {"job": "latency", "runs": 2_000_000_000, "warmup": 0, "threads": 1}
    with pytest.raises(RunError) as caught:
        machine_of(ssh.runner).run(job, [INT8], timeout_s=1.5)
    assert str(caught.value) == f"{INT8}: the process that ran it on {name_of(ssh)} failed: stopped after 1.5 s"
    assert ssh.left == []


def test_a_file_that_its_runtime_refuses_there_is_told_in_that_runtimes_words(ssh: Server, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(INT8.read_bytes()[:4000])
    with pytest.raises(RunError) as caught:
        machine_of(ssh.runner).run({"job": "latency", "runs": 1, "warmup": 0, "threads": 1}, [path])
    assert str(caught.value) == f"{path}: The model is not a valid Flatbuffer buffer"


def sent_sources() -> dict[str, str]:
    """What the archive has, and what unpacks it, by name."""
    with zipfile.ZipFile(io.BytesIO(sent.archive())) as file:
        found = {name: file.read(name).decode() for name in file.namelist() if name.startswith("edgecut/bench/")}
    return {**found, "remote": Path(remote.__file__).read_text()}


@pytest.mark.parametrize(("name", "source"), [each for each in sent_sources().items() if each[1]])
def test_what_is_sent_is_python_3_9(name: str, source: str) -> None:
    """Small boards have old systems; annotations aside, which aren't evaluated."""
    ast.parse(source, name, feature_version=(3, 9))
    assert "from __future__ import annotations" in source


def test_what_is_sent_imports_nothing_else_of_edgecut(tmp_path: Path) -> None:
    """The worker runs where only a runtime is installed."""
    path = tmp_path / sent.NAME
    path.write_bytes(sent.archive())
    job = {"job": "latency", "paths": [str(INT8)], "runs": 1, "warmup": 0, "threads": 1}
    script = (
        "import os, runpy, sys\n"
        "sys.path = [p for p in sys.path if not os.path.exists(os.path.join(p, 'edgecut', 'cli'))]\n"
        f"sys.path.insert(0, {str(path)!r})\n"
        f"try: runpy.run_path({str(path)!r}, run_name='__main__')\n"
        "finally: print({str(m.__file__) for n, m in sys.modules.items() if n.split('.')[0] == 'edgecut'}, "
        "file=sys.stderr)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", script]
    child = subprocess.run(
        command, input=json.dumps(job), env=environment, capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert len(json.loads(child.stdout)["wall_s"]) == 1
    loaded = ast.literal_eval(child.stderr.splitlines()[-1])
    assert {name for name in loaded if not name.startswith(str(path))} == set()


def test_the_same_sources_are_sent_as_the_same_bytes() -> None:
    assert sent.archive() == sent.archive()
