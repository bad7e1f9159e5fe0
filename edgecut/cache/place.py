"""Where builds keep their results, what is there, and how it is cleared."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgecut.cache.store import BLOBS, blob_fault, entry_files, read_entry, strange_names, total_bytes
from edgecut.errors import OutputError, RequestError
from edgecut.records.units import parse_bytes

_LIMIT_BYTES = 5 * 2**30


@dataclass(frozen=True)
class Kept:
    """An entry. size_bytes: of its files and its document; files are shared, so sizes can add up to more than all.

    modified: when it was last used, in seconds since 1970. sound: whether the entry can be read.
    """

    kind: str
    key: str
    title: str
    size_bytes: int
    modified: float
    sound: bool


def cache_folder() -> Path:
    """EDGECUT_CACHE, else the folder edgecut/builds of XDG_CACHE_HOME, else of ~/.cache.

    Raises OutputError where there is none of these, since the system doesn't know the user (as in a container).
    """
    named = os.environ.get("EDGECUT_CACHE")
    if named:
        return Path(named)
    home = os.path.expanduser("~")
    if home == "~" and not os.environ.get("XDG_CACHE_HOME"):
        raise OutputError("the cache: there is no home folder to keep it in; name a folder in EDGECUT_CACHE")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home) / ".cache") / "edgecut" / "builds"


def cache_limit() -> int | None:
    """EDGECUT_CACHE_MAX_SIZE in bytes, else 5 GiB; None for 0, which is no limit (as CCACHE_MAXSIZE has it).

    Raises RequestError for what is no size.
    """
    try:
        return parse_bytes(os.environ.get("EDGECUT_CACHE_MAX_SIZE") or _LIMIT_BYTES) or None
    except ValueError as exc:
        raise RequestError(f"EDGECUT_CACHE_MAX_SIZE: {exc}") from exc


def kept(folder: Path) -> tuple[Kept, ...]:
    """The entries of a cache, the last used first; none where there is no such folder."""
    rows = (_kept(folder, path) for path in entry_files(folder))
    return tuple(sorted((row for row in rows if row is not None), key=lambda row: -row.modified))


def faults(folder: Path) -> dict[Path, str]:
    """{an entry, or a file of entries: what is wrong with it}, every file read and hashed.

    A build would make anew what is named here; a file that no entry holds is none's fault.
    """
    found: dict[Path, str] = {}
    checked: dict[str, str | None] = {}
    for path in entry_files(folder):
        entry = read_entry(path)
        if entry is None:
            if path.exists():
                found[path] = "is damaged"
            continue
        for digest in set(entry["files"].values()):
            blob = folder / BLOBS / digest
            if digest not in checked:
                checked[digest] = blob_fault(blob, digest)
            fault = checked[digest]
            if fault is not None:
                found[path] = f"needs {BLOBS}/{digest[:12]}..., which {fault}"
                if fault != "is missing":
                    found[blob] = fault
    return found


def remove(paths: Iterable[Path]) -> int:
    """Remove files; how many are gone. Those that may not be removed stay."""
    gone = 0
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
            gone += 1
    return gone


def clear(folder: Path) -> int:
    """Remove every entry; the number of bytes that are free again.

    Only what a cache consists of is removed: a folder that holds anything else is left, and OutputError raised.
    """
    if not folder.is_dir():
        return 0
    strange = strange_names(folder)
    if strange:
        raise OutputError(
            f"{folder}: holds {strange[0]!r}, which is no part of a cache; remove it or set EDGECUT_CACHE"
        )
    freed = total_bytes(folder)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return freed


def _kept(folder: Path, path: Path) -> Kept | None:
    kind, _, key = path.stem.rpartition("-")
    try:
        entry, status = read_entry(path), path.stat()
        digests = set(entry["files"].values()) if entry is not None else set()
        blobs = [folder / BLOBS / digest for digest in digests]
        size = status.st_size + sum(blob.stat().st_size for blob in blobs if blob.is_file())
        sound = entry is not None and all(blob.is_file() for blob in blobs)
    except FileNotFoundError:  # another process has just removed it
        return None
    return Kept(kind, key, entry["title"] if entry is not None else "", size, status.st_mtime, sound)
