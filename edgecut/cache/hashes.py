"""The hashes of what builds read, remembered while no file of it has changed, as git's index remembers files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from edgecut.cache.store import Store
from edgecut.records.artifact import file_states, sha256_of

# A file that changed so shortly before it was read may change again and keep its time: FAT counts in steps of 2 s.
# (git's documentation, racy-git: such entries aren't trusted.)
_RACY_NS = 2_000_000_000


def remembered_hash(path: Path, store: Store) -> str:
    """sha256_of a file or folder, from the store where every file still has its size, times and inode.

    A file that is written gets a new change time, also where its modification time is set back.
    """
    now = time.time_ns()
    state, newest_ns = _state(path)
    facts: dict[str, object] = {"path": str(path.absolute()), "state": state}
    found = (store.get("hash", None, **facts) or {}).get("sha256")
    if isinstance(found, str):
        return found
    digest = sha256_of(path)
    if newest_ns < now - _RACY_NS and _state(path)[0] == state:
        with contextlib.suppress(OSError):
            store.put("hash", {"sha256": digest}, None, **facts)
    return digest


def _state(path: Path) -> tuple[str, int]:
    """(a hash of the sizes, times and inodes of all files, the newest time in ns since 1970)."""
    states = [("", os.stat(path))] if path.is_file() else sorted(file_states(path))
    digest = hashlib.sha256()
    for name, s in states:
        digest.update(os.fsencode(name))
        digest.update(f"\0{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino} {s.st_dev}\n".encode())
    return digest.hexdigest(), max((max(s.st_mtime_ns, s.st_ctime_ns) for _, s in states), default=0)
