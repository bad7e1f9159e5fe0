"""What native code writes to the process's descriptors, caught and kept."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def caught_output() -> Iterator[Callable[[], str]]:
    """Catch what is written to file descriptors 1 and 2; call the result for the text so far.

    C++ code writes to the descriptors, past sys.stdout and sys.stderr, so only a redirect of the descriptors
    catches it. They are restored on the way out, whatever happens. Not for use in several threads at once.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:

        def text() -> str:
            sys.stdout.flush()
            sys.stderr.flush()
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), size, 0).decode(errors="replace")

        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield text
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, copy in enumerate(saved, start=1):
                os.dup2(copy, target)
                os.close(copy)
