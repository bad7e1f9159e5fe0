"""The child processes in which native code touches a model file: started here, limited, and ended with a reason.

A LiteRT or an ONNX Runtime that a file makes crash, loop or fill the memory ends its child; this process says so in a
sentence and goes on.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np

from edgecut.memory import out_of_memory
from edgecut.records.packages import missing_in
from edgecut.records.units import format_bytes
from edgecut.sandbox.limits import Limits, read_limits
from edgecut.sandbox.wire import Header, receive, send
from edgecut.streams import nameless_file
from edgecut.whole import uninterrupted

WORKER = "edgecut.runtime.worker"
CRASHES = frozenset({signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV})
_LAST_WORDS_S = 5.0  # for a process that has closed its pipes to end
_NOISE_BYTES = 1 << 20


class ChildDied(Exception):
    """A child ended before it had answered; the message is how a sentence about its file ends.

    crashed: native code died of the file itself, not of a limit.
    """

    def __init__(self, message: str, *, crashed: bool = False) -> None:
        """message: what ended it."""
        super().__init__(message)
        self.crashed = crashed


class Child:
    """A process that answers one message after another (wire.py), as a module of its own says."""

    def __init__(self, module: str = WORKER) -> None:
        """Start it; it gets ready while this process goes on. module: by default what keeps model files open."""
        self.limits = read_limits()
        self._limits = {"seconds": self.limits.seconds, "address_bytes": self.limits.address_bytes}
        self.ended = False
        self.unused: list[int] = []
        """Numbers of files that nobody will run any more; the next message tells it."""
        self._lock = threading.Lock()
        self._noise = _nameless()
        self._count = 0
        with uninterrupted():
            self._process = _start(module, self._noise)
            weakref.finalize(self, _close, self._process, self._noise, os.getpid())

    def number(self) -> int:
        """A number for a file, which no other has."""
        self._count += 1
        return self._count

    def ask(
        self, header: Mapping[str, object], arrays: Sequence[np.ndarray] = ()
    ) -> tuple[Header, list[np.ndarray], str]:
        """(the answer's header, its arrays, what was written to stderr meanwhile). The child is told the limits, too.

        Raises ChildDied if there is none any more, MissingRuntimeError if it died of a package that isn't here.
        """
        with self._lock:
            if self.ended:
                raise ChildDied("the child process that was to run it has ended; run the same command again")
            close, self.unused = self.unused, []
            os.ftruncate(self._noise.fileno(), 0)
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert isinstance(stdout, io.BufferedReader)
            try:
                send(stdin, {**self._limits, **header, "close": close}, arrays)
                answer = receive(stdout)
            except OSError:
                answer = None  # it died, perhaps before it had read everything
            except BaseException:
                self._end(0)  # a half-read answer would be taken for the next one's
                raise
            if answer is None or "memory" in answer[0]:
                self._end(_LAST_WORDS_S if answer is None else 0)
                said = _text(self._noise)
                raise missing_in(last_line(said)) or ChildDied(
                    death(None if answer else self._process.returncode, said, self.limits)
                )
            return *answer, _text(self._noise)

    def end(self) -> None:
        """Stop it; another thread that waits for its answer gets ChildDied."""
        self._end(0)

    def _end(self, patience_s: float) -> None:
        self.ended = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        stop(self._process)


def the_child(module: str = WORKER, place: int = 0) -> Child:
    """This process's child of a module; another one takes the place of one that died.

    place: which, where several work side by side. By default it is the one in which model files are opened.
    """
    key = (os.getpid(), module, place)
    child = _children().get(key)
    if child is None or child.ended or child.limits != read_limits():
        child = _children()[key] = Child(module)
    return child


def end_children(module: str) -> None:
    """Stop this process's children of a module, also while threads wait for their answers."""
    for (process, name, _), child in list(_children().items()):
        if (process, name) == (os.getpid(), module) and not child.ended:
            child.end()


def run_job(module: str, job: Mapping[str, object], timeout_s: float, size_bytes: int = 0) -> dict[str, Any]:
    """The JSON that a module, run once as a child process, answers to a job's JSON.

    size_bytes: of the file that it works on, which says with the limits how much address space it gets.
    Raises ChildDied, and MissingRuntimeError if it died of a package that isn't here.
    """
    limits = read_limits()
    limits = replace(limits, address_bytes=limits.address_bytes_for(size_bytes))
    with _nameless() as noise:
        child = _start(module, noise, limits.address_bytes)
        try:
            out, _ = child.communicate(json.dumps(job).encode(), timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise ChildDied(f"the child process that ran it was stopped after {timeout_s:g} s") from exc
        finally:
            stop(child)
        if child.returncode != 0:
            said = _text(noise)
            crashed = -child.returncode in CRASHES and not out_of_memory(last_line(said))
            raise missing_in(last_line(said)) or ChildDied(death(child.returncode, said, limits), crashed=crashed)
    result: dict[str, Any] = json.loads(out)
    return result


def death(code: int | None, noise: str, limits: Limits) -> str:
    """Why a child ended, by its exit code (None: it said itself that memory ran out) and what it wrote on stderr."""
    last = last_line(noise)
    if code is None or out_of_memory(last):
        size = format_bytes(limits.address_bytes)
        return f"the child process that ran it needs more than {size} of address space; {limits.hint('bytes')}"
    if code >= 0:
        return f"the child process that ran it failed: {last}"
    name = signal.Signals(-code).name
    if name == "SIGALRM":
        return (
            f"the child process that ran it was stopped after {limits.seconds:g} s; a loop in the file may have no "
            f"end, else {limits.hint('seconds')}"
        )
    if name == "SIGKILL":
        return (
            "the child process that ran it was stopped by SIGKILL, as Linux does where memory runs out; close other "
            "programs, or cut the model smaller"
        )
    return f"the child process that ran it was stopped by {name}; it last wrote: {last}"


def last_line(text: str) -> str:
    """The last line that says something, without its full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "nothing"


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a child and whatever it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


@functools.cache
def _children() -> dict[tuple[int, str, int], Child]:
    """By the process that started them, since a fork must not talk to its parent's child; module and place."""
    return {}


def _start(module: str, noise: IO[bytes], address_bytes: int | None = None) -> subprocess.Popen[bytes]:
    """`python -m module`, confined, in a session of its own: Ctrl-C reaches this process alone, which ends it."""
    # -P: a file named numpy.py in the user's folder must not be imported.
    command = [sys.executable, "-P", "-m", "edgecut.sandbox.confined", module]
    if address_bytes is not None:
        command.append(str(address_bytes))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with uninterrupted():  # a child that nobody knows couldn't be ended
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            start_new_session=True,
            env=environment,
        )


def _close(process: subprocess.Popen[bytes], noise: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not in a fork, whose parent still uses it
        stop(process)
        noise.close()


def _nameless() -> IO[bytes]:
    """A file without a name, to whose end each writer writes."""
    file = nameless_file()
    if sys.platform != "win32":
        import fcntl

        fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


def _text(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), _NOISE_BYTES, 0).decode(errors="replace")
