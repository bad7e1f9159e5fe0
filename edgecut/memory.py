"""Memory that isn't there: its many names, and what a limit of address space (ulimit -v) has no room for."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import re
import subprocess
import sys
from pathlib import Path

from edgecut.errors import StepError
from edgecut.records.units import format_bytes

_SIGNS = "MemoryError|bad_alloc|allocate memory|out of memory|memory allocation|failed to map segment"
_TRIAL_S = 300.0  # memory that runs out may leave threads that wait for each other
# In what a trial runs: the limit is set lower by what its parent uses already, and it not.
_LOWER = """
import resource, sys
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (max(most[0] - max({taken} - used, 0), used), most[1]))
"""


def out_of_memory(text: str) -> bool:
    """Whether a runtime's words are those of an allocation that failed."""
    return re.search(_SIGNS, text, re.IGNORECASE) is not None


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is of memory that isn't there."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, ImportError | OSError) and out_of_memory(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def address_limit() -> int | None:
    """The bytes of address space that this process may use, None without a limit."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def give_back() -> None:
    """Give the pages of freed memory back to the system: glibc keeps them, and they would be part of every later peak.

    The threads of TensorFlow have heaps of their own, whose pages nothing else is put into.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def check_room(name: str, code: str, *, spare_bytes: int = 0) -> None:
    """Nothing, if there is no limit of address space, or it has room for what `code` does, which a child process tries.

    Where it has none, native code doesn't raise a MemoryError: TensorFlow aborts, and OpenBLAS ends the process or
    sends it SIGINT. name: of what needs the room. spare_bytes: what must be left, where the need differs from one time
    to another.
    Raises StepError.
    """
    limit = address_limit()
    if limit is None:
        return
    command = [sys.executable, "-P", "-c", _LOWER.format(taken=_used_bytes() + spare_bytes) + code]
    try:
        child = subprocess.run(command, capture_output=True, timeout=_TRIAL_S, check=False)
        fits = child.returncode >= 0 and not out_of_memory(child.stderr.decode(errors="replace"))
    except subprocess.TimeoutExpired:
        fits = False
    if not fits:
        raise StepError(
            f"{name} can't be started: this process may use {format_bytes(limit)} of address space, which is too "
            "little for it; raise the limit (ulimit -v)"
        )


def _used_bytes() -> int:
    """What this process uses of its address space, 0 where the system doesn't tell."""
    if sys.platform != "linux":
        return 0
    import resource

    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
