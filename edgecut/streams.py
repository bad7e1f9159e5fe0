"""What native code writes to the process's descriptors, caught and kept."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from edgecut.whole import uninterrupted


@contextmanager
def caught_output() -> Iterator[Callable[[], str]]:
    """Catch what is written to file descriptors 1 and 2; call the result for the text so far.

    C++ code writes to the descriptors, past sys.stdout and sys.stderr, so only a redirect of the descriptors
    catches it. They are restored on the way out, whatever happens; what can't be written is lost. Not for use
    in several threads at once.
    """
    with nameless_file() as file:

        def text() -> str:
            _flush()
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), size, 0).decode(errors="replace")

        _flush()
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield text
        finally:
            with uninterrupted():  # or the sentence that says so would be caught, too
                _flush()
                for target, copy in enumerate(saved, start=1):
                    os.dup2(copy, target)
                    os.close(copy)


def nameless_file() -> IO[bytes]:
    """A file in memory where the system has such: a full disk is not what this room should fail of."""
    return open(os.memfd_create("caught"), "w+b") if sys.platform == "linux" else tempfile.TemporaryFile()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
