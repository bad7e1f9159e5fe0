"""`python -m edgecut.sandbox.confined MODULE [BYTES]`: a module run in a process without a network, and with limits.

It imports nothing that starts a thread: only a process of one thread can leave the network.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# From linux/sched.h.
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
VARIABLE = "EDGECUT_CONFINED"
"""What the process finds in its environment: "1" where it has no network, "0" where the system doesn't let it leave."""


def main() -> None:
    """Leave what isn't needed, and run the module."""
    module, *address_bytes = sys.argv[1:]
    sys.argv[1:] = []
    _leave_no_core()
    for number in address_bytes:
        limit_address_space(int(number))
    os.environ[VARIABLE] = str(int(leave_network()))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def leave_network() -> bool:
    """Whether this process has no network from now on; what it starts inherits that.

    Linux alone, in a user namespace of its own unless it is root's: some systems forbid those.
    """
    if sys.platform != "linux":
        return False
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NET if user == 0 else _NEW_USER | _NEW_NET) != 0:
        return False
    if user != 0:  # under the number that it had: a namespace knows none at first
        _map("setgroups", "deny")
        _map("uid_map", f"{user} {user} 1")
        _map("gid_map", f"{group} {group} 1")
    return True


def limit_address_space(address_bytes: int) -> None:
    """Let this process have so much address space at most, where the system knows such a limit."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_bytes if most < 0 else min(address_bytes, most), most))


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """SIGALRM ends this process, whatever native code does, where the block takes longer."""
    if sys.platform == "win32":
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _map(name: str, text: str) -> None:
    Path("/proc/self", name).write_text(text)


def _leave_no_core() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    main()
