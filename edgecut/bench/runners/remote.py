"""What runs at the other end of an ssh connection: it unpacks what stdin brings, does the job, and leaves nothing.

`runners/ssh.py` sends this file as it stands, so it imports nothing but the standard library, and does with Python 3.9.
Stdin: a line of JSON ({"job", "timeout_s", "files": [[name, bytes], ...]}, the first file being the worker), then the
files' bytes. Stdin stays open: its end means that nobody waits for the result any more. Stdout: a line HERE once all
has come, then a line RESULT with JSON: {"result": the worker's}, or {"ended": return code, "said": its last line}.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, BinaryIO

HERE, RESULT = "edgecut-here", "edgecut-result "
LOCK = "lock"
ENDINGS = (signal.SIGHUP, signal.SIGTERM)


def main() -> None:
    """Do what stdin asks for."""
    for number in ENDINGS:
        signal.signal(number, end)
    stream = sys.stdin.buffer
    request = json.loads(stream.readline())
    folder, lock = own_folder()
    with contextlib.closing(lock):
        try:
            paths = [received(stream, os.path.join(folder, name), size) for name, size in request["files"]]
            print(HERE, flush=True)
            answer = done(paths[0], dict(request["job"], paths=paths[1:]), request["timeout_s"], folder)
            print(RESULT + json.dumps(answer), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def end(*_: object) -> None:
    """End in order; what comes while that lasts is ignored."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def own_folder() -> tuple[str, IO[str]]:
    """(a new folder, its locked file); folders that a run left when it was killed are removed first."""
    base = os.path.join(tempfile.gettempdir(), f"edgecut-{os.getuid()}")
    os.makedirs(base, mode=0o700, exist_ok=True)
    if os.path.islink(base) or os.stat(base).st_uid != os.getuid():
        sys.exit(f"{base} belongs to somebody else")
    with open(os.path.join(base, LOCK), "w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for name in os.listdir(base):
            left = os.path.join(base, name)
            if os.path.isdir(left) and nobody_s(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.mkdtemp(dir=base)
        lock = open(os.path.join(folder, LOCK), "w")  # noqa: SIM115 (held for as long as the folder is in use)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def nobody_s(folder: str) -> bool:
    """Whether no living process has the folder's lock."""
    try:
        with open(os.path.join(folder, LOCK)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def received(stream: BinaryIO, path: str, size: int) -> str:
    """The path, with the next `size` bytes of the stream in it."""
    with open(path, "wb") as file:
        while size:
            part = stream.read(min(size, 1 << 20))
            if not part:
                sys.exit("the connection ended before all files had come")
            file.write(part)
            size -= len(part)
    return path


def done(worker: str, job: dict[str, object], timeout_s: float, folder: str) -> dict[str, object]:
    """What the worker made of the job, in a child process that ends with this one, with the connection, or in time."""
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    with open(os.path.join(folder, "noise"), "w+b") as noise, open(os.path.join(folder, "result"), "w+b") as result:
        child = subprocess.Popen(
            [sys.executable, *safe, worker],
            stdin=subprocess.PIPE,
            stdout=result,
            stderr=noise,
            cwd=folder,
            preexec_fn=end_with_parent,
        )
        threading.Thread(target=watch, args=(child,), daemon=True).start()
        try:
            child.communicate(json.dumps(job).encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return {"ended": None, "said": f"stopped after {timeout_s:g} s"}
        finally:
            child.kill()
            child.wait()
        noise.seek(0)
        result.seek(0)
        lines = [line.strip() for line in noise.read().decode(errors="replace").splitlines() if line.strip()]
        if child.returncode == 0:
            return {"result": json.load(result)}
    return {"ended": child.returncode, "said": lines[-1] if lines else "nothing"}


def end_with_parent() -> None:
    """The child is killed when this process dies, however it does (Linux: prctl(2), PR_SET_PDEATHSIG = 1)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def watch(child: subprocess.Popen[bytes]) -> None:
    """Stop the child when the connection ends."""
    # Not by the stream: its lock, held by a thread, keeps Python from ending.
    while os.read(0, 1):
        continue
    child.kill()


if __name__ == "__main__":
    main()
