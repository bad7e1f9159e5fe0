"""What a child process that opens foreign files can't do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgecut.cli.doctor import network_words
from edgecut.sandbox.child import ChildDied, run_job
from edgecut.sandbox.confined import VARIABLE

PROBE = """
import json, os, resource, socket, sys

try:
    socket.create_connection(("127.0.0.1", {port}), timeout=5).close()
    reached = True
except OSError:
    reached = False
limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_AS)]
read = open({file!r}).read()
user = os.geteuid()
print(json.dumps([reached, os.environ["EDGECUT_CONFINED"], limits, read, user, sys.argv[1:], __name__]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process leave the network")
def test_a_child_has_no_network_and_the_files_and_the_user_that_it_had(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("mine")
    (tmp_path / "own").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = PROBE.format(port=server.getsockname()[1], file=str(tmp_path / "own"))
        (tmp_path / "probe.py").write_text(text)
        words = [sys.executable, "-m", "edgecut.sandbox.confined", "probe", str(1 << 33)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    reached, confined, limits, read, user, arguments, name = json.loads(done.stdout)
    assert (limits, read, user, arguments, name) == ([0, 1 << 33], "mine", os.geteuid(), [], "__main__")
    assert reached == (confined == "0")
    if confined == "0":
        pytest.skip("this system forbids namespaces")


def test_a_job_that_takes_more_than_its_address_space_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=64MiB")
    with pytest.raises(ChildDied) as death:
        run_job("edgecut.sandbox.hdf5_worker", {"path": "", "seconds": 60, "room_bytes": 0}, 60)
    assert str(death.value) == (
        "the child process that ran it needs more than 64 MiB of address space; EDGECUT_LIMITS='bytes=128MiB' raises "
        "the limit"
    )


def test_doctor_says_whether_children_have_a_network() -> None:
    assert network_words(True) == "files of others are opened in child processes without a network"
    assert network_words(False) == (
        "files of others are opened in child processes that have the network, which this system doesn't let them leave"
    )


def test_the_name_of_the_variable_is_that_of_the_probe() -> None:
    assert VARIABLE in PROBE
