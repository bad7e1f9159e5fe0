"""A model file of HDF5, or an archive of such, that a child process has read before this one opens it."""

from __future__ import annotations

import functools
from pathlib import Path

from edgecut.errors import SourceError
from edgecut.sandbox.child import ChildDied, run_job
from edgecut.sandbox.limits import Limits, read_limits

WORKER = "edgecut.sandbox.hdf5_worker"
_START_S = 30.0  # for the child to be there, on a machine that is busy


def check_hdf5(path: Path) -> tuple[str, ...]:
    """What of an .h5 or .keras file lies in other files, a sentence each; () for a file that is whole.

    A file is read once. Raises SourceError for one that ends its reader, takes too long, or unpacks to more than the
    limits let it.
    """
    state = path.stat()
    links, fault = _surveyed(path.absolute(), state.st_mtime_ns, state.st_size, read_limits())
    if fault:
        raise SourceError(f"{path}: {fault}")
    return links


@functools.lru_cache(maxsize=64)
def _surveyed(path: Path, _changed_ns: int, size_bytes: int, limits: Limits) -> tuple[tuple[str, ...], str]:
    """(what lies in other files, why the file can't be read: "" if it can)."""
    # What is unpacked is held twice, as an archive's member and as numbers.
    room = limits.address_bytes_for(size_bytes) // 2
    job = {"path": str(path), "seconds": limits.seconds, "room_bytes": room}
    try:
        answer = run_job(WORKER, job, limits.seconds + _START_S, size_bytes)
    except ChildDied as exc:
        return (), str(exc)
    over = f"{answer['over']}; {limits.hint('bytes')}" if answer["over"] else ""
    return tuple(answer["links"]), over
