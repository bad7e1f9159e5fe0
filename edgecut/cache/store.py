"""Results kept by everything that they depend on: a document, and perhaps files, found again by the same facts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecut.records.artifact import sha256_of

BLOBS = "files"


class Store:
    """A folder of entries, each named by the hash of its facts; the files of entries lie beside, by their own hash.

    An entry appears whole or not at all, and one that was damaged counts as none.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], title: str = "") -> None:
        """facts: what all entries depend on: code, versions, machine. title: what a listing calls the entries."""
        self.folder = folder
        self._facts = dict(facts)
        self._title = title

    def get(self, kind: str, into: Path | None = None, **facts: Any) -> dict[str, Any] | None:
        """The document that was kept for these facts; None if there is none, or it or a file of it is damaged.

        into: the folder that gets the entry's files under the names that they were kept by.
        """
        path = self._path(kind, facts)
        entry = read_entry(path)
        if entry is None:
            return None
        if into is not None and not self._all_copied(entry["files"], into):
            path.unlink(missing_ok=True)
            return None
        document = entry["document"]
        return document if isinstance(document, dict) else None

    def put(
        self, kind: str, document: Mapping[str, Any], files: Mapping[str, Path] | None = None, **facts: Any
    ) -> None:
        """Keep a document and files, by name. It is there whole or not at all, whenever the process ends.

        Raises OSError where the folder can't be written.
        """
        digests = {name: self._kept(path) for name, path in (files or {}).items()}
        entry = {"title": self._title, "document": document, "files": digests}
        text = json.dumps({"sha256": _digest(entry), "entry": entry}, sort_keys=True)
        write_whole(self._path(kind, facts), text.encode())

    def _all_copied(self, files: Mapping[str, str], into: Path) -> bool:
        for name, digest in files.items():
            if not _copied(self._blob(digest), into / name, digest):
                for other in files:
                    (into / other).unlink(missing_ok=True)
                return False
        return True

    def _kept(self, path: Path) -> str:
        digest = sha256_of(path)
        blob = self._blob(digest)
        if not blob.is_file() or blob.stat().st_size != path.stat().st_size or sha256_of(blob) != digest:
            blob.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=blob.parent) as scratch:
                os.replace(shutil.copyfile(path, Path(scratch) / digest), blob)
        return digest

    def _blob(self, digest: str) -> Path:
        return self.folder / BLOBS / digest

    def _path(self, kind: str, facts: Mapping[str, Any]) -> Path:
        text = json.dumps({"kind": kind, "common": self._facts, "facts": facts}, sort_keys=True, default=str)
        return self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def read_entry(path: Path) -> dict[str, Any] | None:
    """{"title", "document", "files": {name: SHA-256}} of an entry's file; None if it is absent or damaged."""
    try:
        outer = json.loads(path.read_bytes())
        entry = outer["entry"]
        sound = outer["sha256"] == _digest(entry)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry if sound else None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one move: a reader sees the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _copied(blob: Path, target: Path, digest: str) -> bool:
    """Whether the file was copied as it was kept. The copy is what is checked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(blob, target)
    except FileNotFoundError:
        return False
    if sha256_of(target) == digest:
        return True
    target.unlink()
    blob.unlink(missing_ok=True)
    return False
