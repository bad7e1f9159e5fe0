"""Results kept by everything that they depend on: a document, and perhaps files, found again by the same facts."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, TypedDict

from edgecut.records.artifact import file_states, sha256_of
from edgecut.whole import replace_whole, scratch_folder

BLOBS = "files"
_TRIMMED = 0.9  # of the limit is left, so that not every entry that is put makes room again
# Only files of these names are ever removed: somebody's EDGECUT_CACHE may hold other things.
_ENTRY = re.compile(r"[a-z_]+-[0-9a-f]{32}\.json")
_HASH = re.compile(r"[0-9a-f]{64}")
_LEFT = re.compile(r"[0-9a-f]{64}|\.[a-z0-9_]{8}|\.[0-9a-f]{16}\.partial")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})  # of the build's own folder, where no build can go on
_LEFT_S = 3600.0  # after which what no entry holds was left by a build that ended early


class Entry(TypedDict):
    """What an entry's file holds. files: {name: SHA-256}."""

    title: str
    document: object
    files: dict[str, str]


class Store:
    """A folder of entries, each named by the hash of its facts; the files of entries lie beside, by their own hash.

    An entry appears whole or not at all, and one that was damaged counts as none.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, object], title: str = "", limit_bytes: int | None = None
    ) -> None:
        """facts: what all entries depend on: code, versions, machine. title: what a listing calls the entries.

        limit_bytes: of all stores in the folder; beyond it, what wasn't used for longest goes. None: no limit.
        """
        self.folder = folder
        self._limit_bytes = limit_bytes
        self._facts = dict(facts)
        self._title = title

    def get(self, kind: str, into: Path | None = None, **facts: object) -> dict[str, object] | None:
        """The document that was kept for these facts; None if there is none, or it or a file of it is damaged.

        into: the folder that gets the entry's files under the names that they were kept by.
        """
        path = self._path(kind, facts)
        entry = read_entry(path)
        if entry is None:
            return None
        if into is not None and not self._all_copied(entry["files"], into):
            self.forget(kind, **facts)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used now, which counts when the folder is full
        document = entry["document"]
        return document if isinstance(document, dict) else None

    def open(self, kind: str, name: str, **facts: object) -> IO[bytes] | None:
        """A file of an entry where it lies, read to the end and sound; None as `get` says.

        What is open can be read on when the entry is removed.
        """
        path = self._path(kind, facts)
        entry = read_entry(path)
        digest = entry["files"].get(name) if entry is not None else None
        if digest is None:
            return None
        file = _sound(self._blob(digest), digest)
        if file is None:
            self.forget(kind, **facts)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return file

    def put(
        self,
        kind: str,
        document: Mapping[str, object],
        files: Mapping[str, Path] | None = None,
        **facts: object,
    ) -> None:
        """Keep a document and files, by name. It is there whole or not at all, whenever the process ends.

        Files that lie in scratch() are moved, others are copied. Raises OSError where the folder can't be written.
        """
        digests = {name: self._kept(path) for name, path in (files or {}).items()}
        entry: Entry = {"title": self._title, "document": document, "files": digests}
        # Not sorted: texts of a bundle list operators in the order in which a file was read.
        text = json.dumps({"sha256": _digest(entry), "entry": entry})
        self._share(self.folder)
        replace_whole(self._path(kind, facts), text.encode(), _mode(self.folder))
        if self._limit_bytes is not None and total_bytes(self.folder) > self._limit_bytes:
            trim(self.folder, int(_TRIMMED * self._limit_bytes))

    def has_room(self, size_bytes: int) -> bool:
        """Whether a file of that size would be left when others have gone for it."""
        return self._limit_bytes is None or size_bytes <= _TRIMMED * self._limit_bytes

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new folder for a large file on its way to the store; what is left in it is gone when the context ends."""
        self._share(self.folder)
        self._share(self.folder / BLOBS)
        with scratch_folder(prefix=".", dir=self.folder / BLOBS) as folder:
            yield folder

    def forget(self, kind: str, **facts: object) -> None:
        """Remove an entry that can't be used, where the folder permits it."""
        with contextlib.suppress(OSError):
            self._path(kind, facts).unlink()

    def drop(self, kind: str, **facts: object) -> None:
        """Remove an entry with its files, where the folder permits it; another with one of them counts as none."""
        entry = read_entry(self._path(kind, facts))
        self.forget(kind, **facts)
        for digest in entry["files"].values() if entry is not None else ():
            _removed(self._blob(digest))

    def _share(self, folder: Path) -> None:
        """Make a folder, which whoever may use the store's own may use, too."""
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                folder.chmod(stat.S_IMODE(self.folder.stat().st_mode))

    def _all_copied(self, files: Mapping[str, str], into: Path) -> bool:
        into.mkdir(parents=True, exist_ok=True)
        with scratch_folder(prefix=".", dir=into) as scratch:
            for digest in set(files.values()):
                if not _copied(self._blob(digest), scratch / digest, digest):
                    return False
            for name, digest in files.items():
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(scratch / digest, into / name)
        return True

    def _kept(self, path: Path) -> str:
        digest = sha256_of(path)
        blob = self._blob(digest)
        if not _is_file_of(blob, path.stat().st_size, digest):
            with self.scratch() as scratch:
                copy = path if path.parent.parent == blob.parent else shutil.copyfile(path, scratch / digest)
                copy.chmod(_mode(self.folder))
                os.replace(copy, blob)
        return digest

    def _blob(self, digest: str) -> Path:
        return self.folder / BLOBS / digest

    def _path(self, kind: str, facts: Mapping[str, object]) -> Path:
        text = json.dumps({"kind": kind, "common": self._facts, "facts": facts}, sort_keys=True, default=str)
        return self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def read_entry(path: Path) -> Entry | None:
    """What an entry's file holds; None if it is absent, damaged, or no entry that a store wrote."""
    try:
        outer = json.loads(path.read_bytes()) if path.is_file() else {}
        entry: Entry = outer["entry"]
        sound = outer["sha256"] == _digest(entry) and isinstance(entry["title"], str)
        # Whoever shares the folder could name any file of the machine, to be read, written over or removed.
        sound = sound and all(_is_inside(name) and _HASH.fullmatch(hash_) for name, hash_ in entry["files"].items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return entry if sound else None


def blob_fault(blob: Path, digest: str) -> str | None:
    """What is wrong with the file of an entry: "is missing", "can't be read", "is damaged"; None for nothing."""
    try:
        if not blob.is_file():
            return "is missing"
        return None if sha256_of(blob) == digest else "is damaged"
    except OSError:
        return "can't be read"


def _sound(blob: Path, digest: str) -> IO[bytes] | None:
    """The file of an entry, open at its beginning; None where it is missing or damaged, and then it is gone."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(blob, "rb"))
        except OSError:
            return None
        if hashlib.file_digest(file, "sha256").hexdigest() == digest:
            file.seek(0)
            stack.pop_all()
            return file
    with contextlib.suppress(OSError):
        blob.unlink()
    return None


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _mode(folder: Path) -> int:
    """The permissions of a store's files: those of its folder, without execution."""
    return stat.S_IMODE(folder.stat().st_mode) & 0o666


def entry_files(folder: Path) -> list[Path]:
    """The files of a store's entries, sound or not, in no order."""
    return [path for path in folder.glob("*.json") if _ENTRY.fullmatch(path.name)] if folder.is_dir() else []


def total_bytes(folder: Path) -> int:
    """What a store takes on disk; of a folder that holds anything else, its own files alone count."""
    found = file_states(folder) if folder.is_dir() else ()
    return sum(state.st_size for name, state in found if _ENTRY.fullmatch(name) or name.startswith(f"{BLOBS}/"))


def strange_names(folder: Path) -> list[str]:
    """What lies in a store's folder and was put there by no store, relative to it, sorted."""
    found = []
    for path in folder.iterdir():
        if path.name == BLOBS and path.is_dir() and not path.is_symlink():
            found += [f"{BLOBS}/{blob.name}" for blob in path.iterdir() if not _LEFT.fullmatch(blob.name)]
        elif path.is_dir() or not (_ENTRY.fullmatch(path.name) or _LEFT.fullmatch(path.name)):
            found.append(path.name)
    return sorted(found)


def trim(folder: Path, limit_bytes: int, older_than_s: float = math.inf) -> int:
    """Remove the entries that weren't used for longest, down to limit_bytes; the number of bytes that are free again.

    older_than_s: entries that weren't used for so long go in any case. Another process may use the store meanwhile: an
    entry that it finds or puts, and whose file goes, counts as none.
    """
    now, freed, total = time.time(), 0, total_bytes(folder)
    holders: dict[str, set[Path]] = {}
    entries = []
    for path in entry_files(folder):
        entry = read_entry(path)
        digests = set(entry["files"].values()) if entry is not None else set()
        for digest in digests:
            holders.setdefault(digest, set()).add(path)
        entries.append((now - _age_s(path, now), path, digests))
    for path in [*folder.glob(".*.partial"), *(folder / BLOBS).glob("*")]:
        if path.name not in holders and _LEFT.fullmatch(path.name) and _age_s(path, now) > _LEFT_S:
            freed += _removed(path)
    for used, path, digests in sorted(entries, key=lambda row: row[0]):
        if total - freed <= limit_bytes and now - used <= older_than_s:
            break
        freed += _removed(path)
        for digest in digests:
            holders[digest].discard(path)
            freed += 0 if holders[digest] else _removed(folder / BLOBS / digest)
    return freed


def _age_s(path: Path, now: float) -> float:
    """Of a folder that of the file in it that was written last."""
    try:
        return now - max(each.stat().st_mtime for each in (path, *(path.iterdir() if path.is_dir() else ())))
    except OSError:
        return 0.0


def _removed(path: Path) -> int:
    """The bytes of what was removed; 0 where another process was quicker, or the folder's owner doesn't permit it."""
    if path.is_dir():
        size = sum(state.st_size for _, state in file_states(path))
        shutil.rmtree(path, ignore_errors=True)
        return size
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:  # another process was quicker, or it is another user's
        return 0
    return size


def _is_file_of(blob: Path, size_bytes: int, digest: str) -> bool:
    try:
        return blob.is_file() and blob.stat().st_size == size_bytes and sha256_of(blob) == digest
    except OSError:  # it went meanwhile, or can't be read: it is kept anew
        return False


def _digest(entry: object) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _copied(blob: Path, target: Path, digest: str) -> bool:
    """Whether the file was copied as it was kept. The copy is what is checked."""
    try:
        if not blob.is_file():
            return False
        shutil.copyfile(blob, target)
    except OSError as exc:
        if exc.errno in _NO_ROOM:
            raise
        return False
    if sha256_of(target) == digest:
        return True
    with contextlib.suppress(OSError):
        blob.unlink()
    return False
