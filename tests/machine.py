"""What a machine can refuse, played without harming it."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def full_disk(size_bytes: int = 0) -> Iterator[None]:
    """While it lasts, no file of this process and its children grows beyond so many bytes: the system says EFBIG.

    No bytecode is written meanwhile: Python takes a part that was written for the whole, and keeps it for all later.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    no_bytecode = mock.patch.object(sys, "dont_write_bytecode", True)
    with no_bytecode, mock.patch.dict(os.environ, {"PYTHONDONTWRITEBYTECODE": "1"}):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
