"""A model file of HDF5, or an archive of such, that a child process has read before this one opens it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecut.errors import SourceError
from edgecut.sandbox.child import ChildDied, run_job
from edgecut.sandbox.limits import Limits, read_limits

WORKER = "edgecut.sandbox.hdf5_worker"
FACTS_WORKER = "edgecut.sandbox.hdf5_facts_worker"
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


def read_texts(path: Path) -> Mapping[str, str]:
    """The model_config and keras_version of an .h5 file, as far as it has them; its weights aren't read.

    Raises SourceError for a file that ends its reader, takes too long, or that h5py refuses.
    """
    state = path.stat()
    texts, fault = _texts(path.absolute(), state.st_mtime_ns, state.st_size, read_limits())
    if fault:
        raise SourceError(f"{path}: {fault}")
    return texts


def are_zeros(path: Path, member: str, vectors: Sequence[tuple[Sequence[str], str]]) -> tuple[bool | None, ...]:
    """Whether each vector in an .h5 file, or in a member of an archive, is all zeros; None where it isn't found.

    vectors: (the places where one may be, the layer that it must be of where the file says that). Raises SourceError
    as read_texts does.
    """
    job = {"member": member, "vectors": [{"places": list(places), "layer": layer} for places, layer in vectors]}
    answer, fault = _facts(path, path.stat().st_size, read_limits(), job)
    if fault:
        raise SourceError(f"{path}: {fault}")
    return tuple(answer["zeros"])


@functools.lru_cache(maxsize=64)
def _texts(path: Path, _changed_ns: int, size_bytes: int, limits: Limits) -> tuple[dict[str, str], str]:
    answer, fault = _facts(path, size_bytes, limits, {"member": "", "vectors": []})
    return (answer["texts"] if answer else {}), fault


def _facts(path: Path, size_bytes: int, limits: Limits, job: Mapping[str, object]) -> tuple[Mapping[str, Any], str]:
    """(the worker's answer, why there is none: "" if there is)."""
    job = {"path": str(path), "seconds": limits.seconds, **job}
    try:
        answer = run_job(FACTS_WORKER, job, limits.seconds + _START_S, size_bytes)
    except ChildDied as exc:
        return {}, str(exc)
    fault = f"is truncated or damaged ({answer['fault']}); fetch or save it again" if answer["fault"] else ""
    return answer, fault


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
