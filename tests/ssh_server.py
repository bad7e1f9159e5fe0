"""An ssh server of the tests' own, on loopback, with keys made for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgecut.bench.runners.ssh import OPTIONS

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Server:
    """runner: what --runner takes. scratch: the TMPDIR of whatever is run there. folder: of keys and known hosts."""

    runner: str
    port: int
    scratch: Path
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def left(self) -> list[Path]:
        """The folders of runs that are there."""
        return [path for path in self.scratch.glob("edgecut-*/*") if path.is_dir()]

    def options(self, known_hosts: str = "known") -> str:
        """What EDGECUT_SSH_OPTIONS has to say."""
        return f"-i {self.folder / 'user'} -o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder / known_hosts}"


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    own = [int(word) for word in children.read_text().split()] if children.exists() else []
    return own + [inner for child in own for inner in descendants(child)]


def kill_all(pids: list[int]) -> None:
    """At once: all are stopped before the first dies, so that none does anything about another's death."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def until(true: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Waits for something that another process does."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that takes one user key; skipped without sshd and ssh."""
    if SSHD is None or shutil.which("ssh") is None or not Path("/proc/self/task").is_dir():
        pytest.skip("no sshd, ssh or /proc here; install openssh-server")
    folder = tmp_path_factory.mktemp("sshd")
    scratch = folder / "scratch"
    scratch.mkdir()
    for name in ("host", "user", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for file, key in (("known", "host"), ("wrong", "other")):
        (folder / file).write_text(f"[127.0.0.1]:{port} {(folder / f'{key}.pub').read_text()}")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'user.pub'}\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nSetEnv TMPDIR={scratch}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates its privileges, which a package's service makes
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=(folder / "log").open("w"))
    try:
        until(lambda: process.poll() is not None or _answers(port))
        if process.poll() is not None:
            pytest.skip(f"sshd doesn't start here: {(folder / 'log').read_text().strip()}")
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        yield Server(f"ssh://{user}@127.0.0.1:{port}{sys.executable}", port, scratch, folder, process)
    finally:
        kill_all([*descendants(process.pid), process.pid])
        process.wait()


@pytest.fixture
def ssh(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, which ssh can reach with the right key and known host."""
    monkeypatch.setenv(OPTIONS, server.options())
    return server


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
