"""A machine behind ssh: the worker and the files go through one connection of the system's own client.

There it needs Python 3.9 and a runtime, nothing else. What is written there is removed; what a killed run left, the
next one removes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.bench.runners import remote, sent
from edgecut.bench.runners.local import checked
from edgecut.bench.runners.protocol import TIMEOUT_S
from edgecut.bench.runners.results import as_measurements, latency_job
from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.programs import SSH, lacking
from edgecut.records.recipe import Bench
from edgecut.sandbox.child import last_line

if TYPE_CHECKING:
    from io import FileIO
    from types import ModuleType

    from edgecut.bench.jobs import Job, Result

OPTIONS = "EDGECUT_SSH_OPTIONS"
"""Environment variable: more options for ssh, such as "-i key -o UserKnownHostsFile=hosts"."""

# ssh takes the first value that it is given for an option, so neither the user's file nor the variable can change
# these: nobody is asked anything, and a host whose key isn't known, or is another, is refused.
FIXED = (
    "-T",
    "-o",
    "BatchMode=yes",
    "-o",
    "StrictHostKeyChecking=yes",
    "-o",
    "ConnectTimeout=15",
    "-o",
    "ServerAliveInterval=10",
    "-o",
    "ServerAliveCountMax=6",
)
# Beside the job's own time: to connect and to send the files.
GRACE_S = 120.0
_HOST = r"(?P<host>\[[0-9A-Fa-f:.]+(?:%\w+)?\]|\w[\w.-]*)"
_FORM = re.compile(
    rf"ssh://(?:(?P<user>\w[\w.-]*)@)?{_HOST}(?::(?P<port>\d{{1,5}}))?(?P<python>(?:/[\w.+-]+)*)/?", re.A
)
_LOOPBACK = {"localhost", "::1"}
# What OpenSSH's client says (clientloop.c) where a connection ends that stood, its user having been let in.
_BROKE = re.compile(
    r"Connection to .* closed by remote host|Read from remote host |client_loop: |Timeout, server .* not responding"
)


@dataclass(frozen=True)
class Ssh:
    """A machine behind ssh, a Machine of protocol.py. python: the one to use there, a path or a name on its PATH."""

    host: str
    user: str = ""
    port: int | None = None
    python: str = "python3"

    @property
    def name(self) -> str:
        """As a user writes it, without the Python."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user}{'@' if self.user else ''}{host}{'' if self.port is None else f':{self.port}'}"

    @property
    def place(self) -> str:
        """The machine that does the work: this one, if the host is its loopback."""
        return "host" if self.host in _LOOPBACK or self.host.startswith("127.") else self.host

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """Wall latency, processor time and memory growth, measured there."""
        result = self.run(latency_job(settings), [path], timeout_s=settings.timeout_s)
        return as_measurements(result, settings, where=self.name, artifact=artifact, profile=profile)

    def run(self, job: Job, files: Sequence[Path], *, timeout_s: float = TIMEOUT_S) -> Result:
        """The result of a job of worker.py, done there in a child process."""
        child, stdout, stderr = _talk(self._command(), _request(job, files, timeout_s), timeout_s + GRACE_S, self.name)
        answers = [line for line in stdout.splitlines() if line.startswith(remote.RESULT)]
        if not answers:
            raise self._broken(child, stdout, stderr)
        answer = json.loads(answers[-1].removeprefix(remote.RESULT))
        if "result" in answer:
            return checked(answer["result"], files, self.name, self.python)
        if "No module named 'numpy'" in answer["said"]:
            raise MissingRuntimeError(
                f"{self.name}: its {self.python} has no numpy; a runtime brings it: {_pip(files)}"
            )
        raise RunError(f"{files[0]}: the process that ran it on {self.name} failed: {answer['said'].rstrip('.')}")

    def _command(self) -> list[str]:
        try:
            options = shlex.split(os.environ.get(OPTIONS, ""))
        except ValueError as exc:
            raise RequestError(f"{OPTIONS}: is no list of ssh options: {exc}") from exc
        target = [*(["-p", str(self.port)] if self.port else []), *(["-l", self.user] if self.user else [])]
        size = len(_source(remote))
        script = f"{shlex.quote(self.python)} -c 'import sys; exec(sys.stdin.buffer.read({size}))'"
        return ["ssh", *FIXED, *options, *target, "--", self.host, script]

    def _broken(self, code: int, stdout: str, stderr: str) -> RunError | MissingRuntimeError:
        """What went wrong where no result came."""
        said = last_line(stderr)
        if "IDENTIFICATION HAS CHANGED" in stderr:
            return RunError(
                f"{self.name}: refused: the host's key is not the one that is known for it, so it may be "
                "another machine; if its key was changed on purpose, replace it in the known hosts"
            )
        if "host key is known" in stderr or "Host key verification failed" in stderr:
            return RunError(
                f"{self.name}: refused: the host's key isn't known; connect once with ssh, compare the key, "
                "and accept it"
            )
        if code in {126, 127} or "not found" in said:
            return MissingRuntimeError(
                f"{self.name}: no {self.python!r} there ({said}); install Python 3.9 or newer, or name it: "
                f"{self.name}/path/to/python3"
            )
        if remote.HERE in stdout.splitlines() or _BROKE.match(said):
            return RunError(
                f"{self.name}: the connection broke while it measured ({said}); run it again: what this run left there "
                "is then removed"
            )
        if code == 255:
            return RunError(f"{self.name}: can't be reached: {said}; try it with ssh itself")
        return RunError(f"{self.name}: the job couldn't be started there: {said}")


def ssh_of(text: str) -> Ssh:
    """The machine at ssh://[user@]host[:port][/path/to/python]. Raises RequestError for any other text."""
    match = _FORM.fullmatch(text)
    if match is None or not 0 < int(match["port"] or 22) < 65536:
        raise RequestError(f"--runner: ssh://[user@]host[:port][/path/to/python3] is expected, found {text!r}")
    return Ssh(
        host=match["host"].strip("[]"),
        user=match["user"] or "",
        port=int(match["port"]) if match["port"] else None,
        python=match["python"] or "python3",
    )


def _request(job: Job, files: Sequence[Path], timeout_s: float) -> list[bytes]:
    """What is written into the connection, in parts."""
    contents = [sent.archive(), *(file.read_bytes() for file in files)]
    names = [sent.NAME, *(f"{number}{file.suffix.lower()}" for number, file in enumerate(files))]
    head = {
        "job": dict(job),
        "timeout_s": timeout_s,
        "files": [[name, len(content)] for name, content in zip(names, contents, strict=True)],
    }
    return [_source(remote), json.dumps(head).encode() + b"\n", *contents]


def _talk(command: Sequence[str], parts: Sequence[bytes], timeout_s: float, name: str) -> tuple[int, str, str]:
    """(return code, stdout, stderr) of ssh, fed with the parts; its stdin stays open until it has ended.

    Raises MissingRuntimeError without a client, RunError if it takes longer than timeout_s.
    """
    source, sink = os.pipe()
    with os.fdopen(sink, "wb", buffering=0) as stdin:
        try:
            child = subprocess.Popen(
                command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
            )
        except FileNotFoundError as exc:
            raise lacking([SSH]) from exc
        finally:
            os.close(source)
        with child:
            threading.Thread(target=_feed, args=(stdin, parts), daemon=True).start()
            try:
                stdout, stderr = child.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as exc:
                raise RunError(f"{name}: no result came in {timeout_s:g} s") from exc
            finally:
                child.kill()
    return child.returncode, stdout, stderr


def _feed(stdin: FileIO, parts: Sequence[bytes]) -> None:
    # Who closed the pipe says why on stderr.
    with suppress(OSError, ValueError):
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[stdin.write(view) :]


def _source(module: ModuleType) -> bytes:
    return Path(str(module.__file__)).read_bytes()


def _pip(files: Sequence[Path]) -> str:
    package = "onnxruntime" if files[0].suffix.lower() == ".onnx" else "ai-edge-litert"
    return f"`python3 -m pip install {package}` there"
