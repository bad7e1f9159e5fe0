"""Evaluations kept by what they were made from, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Store:
    """A folder of JSON documents, each named by the hash of everything that it depends on."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """facts: what all evaluations depend on: model, images, settings, versions."""
        self.folder = folder
        self._facts = dict(facts)

    def get(self, kind: str, **facts: Any) -> dict[str, Any] | None:
        """The evaluation that was kept for these facts, None if there is none or it can't be read."""
        path = self._path(kind, facts)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def put(self, kind: str, document: Mapping[str, Any], **facts: Any) -> None:
        """Keep an evaluation. It is there whole or not at all, whenever the process ends."""
        write_whole(self._path(kind, facts), json.dumps(document, sort_keys=True).encode())

    def _path(self, kind: str, facts: Mapping[str, Any]) -> Path:
        text = json.dumps({"kind": kind, "common": self._facts, "facts": facts}, sort_keys=True, default=str)
        return self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


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


@functools.cache
def code_hash(package: Path) -> str:
    """A hash of the package's modules, those that only show results left out: another version computes anew.

    Read once in a process, whose own code doesn't change either.
    """
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith(("cli/", "render/", "handoff/")):
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
