"""Files written whole or not at all, by whoever writes one."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

PARTIAL = re.compile(r"\.[0-9a-f]{16}\.partial")
"""The names of files that are on their way to be another."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one move: a reader sees the old content or the new one, whatever happens.

    Missing folders are made. A link stays one, and what is no file (a device, a pipe) is written to where it is.
    Raises OSError, which names `path`.
    """
    with naming(path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _moved(target, content, None)


def replace_whole(path: Path, content: bytes, mode: int | None = None, by: Path | None = None) -> None:
    """The same in a folder where others may write, too: a link there is replaced, never followed.

    mode: permissions. by: the file that is written first and then moved, by one process at a time; one of that name is
    replaced. Without it, one of a name of its own beside `path` (PARTIAL), which a process that is killed leaves.
    """
    with naming(path):
        if by is not None:
            by.unlink(missing_ok=True)
        _moved(path, content, mode, by)


def _moved(target: Path, content: bytes, mode: int | None, by: Path | None = None) -> None:
    partial = by or target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                os.chmod(partial, mode)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let what the system refuses (an OSError) name `path`: by itself it names a scratch file, or nothing.

    What the system didn't refuse, such as a file whose content a library can't read, passes as it is.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno is None:
            raise
        # HDF5 puts a paragraph into strerror.
        raise OSError(exc.errno, os.strerror(exc.errno), str(path)) from exc


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let SIGINT and SIGTERM that come meanwhile count at the end: for moves that must all be done or none.

    Signals reach Python in its main thread alone; elsewhere nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def scratch_folder(prefix: str = "edgecut-", dir: Path | None = None) -> Iterator[Path]:
    """A new empty folder that is gone when the context ends, whenever a signal comes.

    tempfile.TemporaryDirectory leaves it where one comes before it is entered, or while it is removed.
    """
    folder: str | None = None
    try:
        with uninterrupted():
            folder = tempfile.mkdtemp(prefix=prefix, dir=dir)
        yield Path(folder)
    finally:
        if folder is not None:
            with uninterrupted():
                shutil.rmtree(folder, ignore_errors=True)
