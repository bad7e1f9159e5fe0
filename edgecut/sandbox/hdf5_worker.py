"""An HDF5 file, or those in a .keras archive, read to the end in a child process: a JSON job on stdin, a Survey's JSON.

A loop in the file, a crash of the library or an allocation ends this process, and nobody else's. What h5py itself
refuses is left to whoever reads the file after this, who says it with the layer's name.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import TypedDict, TypeVar

import h5py

from edgecut.sandbox.job import Timed, serve

T = TypeVar("T")
_REFUSALS = (AttributeError, LookupError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError)
_DAMAGE = (*_REFUSALS, EOFError, zipfile.BadZipFile, zlib.error)


class Job(Timed):
    """What main() is told. room_bytes: of what the file may unpack to."""

    room_bytes: int


class Answer(TypedDict):
    """links: sentences about what lies in other files. over: one about what is larger than the room, "" for nothing."""

    links: list[str]
    over: str


class _TooLarge(Exception):
    """What is said of it."""


class _Room:
    """What is left of the bytes that a file may unpack to."""

    def __init__(self, size_bytes: int) -> None:
        self.whole = self.left = size_bytes

    def take(self, what: str, size_bytes: int) -> None:
        self.left -= size_bytes
        if self.left < 0:
            raise _TooLarge(f"{what} brings what it unpacks to over {self.whole:,} bytes")


def main() -> None:
    """Do the job on stdin."""
    serve(_answer)


def _answer(job: Job) -> Answer:
    return survey(job["path"], _Room(job["room_bytes"]))


def survey(path: str, room: _Room) -> Answer:
    """What is in a file, all of it read."""
    links: list[str] = []
    over = ""
    try:
        for file in _files(path, room):
            with file:
                links += _links(file, room)
    except _TooLarge as exc:
        over = str(exc)
    except _DAMAGE:
        pass  # h5py's and zipfile's own words are those of the next reader
    return {"links": links, "over": over}


def _files(path: str, room: _Room) -> Iterator[h5py.File]:
    """The HDF5 files in a file, opened."""
    if not zipfile.is_zipfile(path):
        yield h5py.File(path, "r")
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            room.take(repr(member.filename), member.file_size)
        for member in archive.infolist():
            content = archive.read(member)
            if member.filename.endswith(".h5"):
                yield h5py.File(io.BytesIO(content), "r")


def _links(file: h5py.File, room: _Room) -> list[str]:
    """A sentence for each link that leaves the file; every attribute and every number is read."""
    links: list[str] = []
    _read_attributes(file, "/", room)
    seen, waiting = set[int](), [file]
    while waiting:
        group = waiting.pop()
        for name in _names(group):
            where = f"{group.name.rstrip('/')}/{name}".lstrip("/")
            link = _tried(group.get, name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                links.append(f"its weights {where!r} are a link to the file {link.filename!r}")
                continue
            item = _tried(group.get, name)
            if not isinstance(item, h5py.Group | h5py.Dataset) or (address := _address(item)) in seen:
                continue
            seen.add(address)
            _read_attributes(item, where, room)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            else:
                links += _read(item, where, room)
    return links


def _read(item: h5py.Dataset, where: str, room: _Room) -> list[str]:
    """A sentence if numbers lie elsewhere, where they aren't read."""
    if item.external:
        return [f"its weights {where!r} lie in the file {item.external[0][0]!r}"]
    if item.is_virtual:
        return [f"its weights {where!r} lie in the file {source.file_name!r}" for source in item.virtual_sources()[:1]]
    if item.shape is not None:
        room.take(repr(where), math.prod(item.shape) * item.dtype.itemsize)
        _tried(item.__getitem__, ())
    return []


def _read_attributes(item: h5py.Group | h5py.Dataset, where: str, room: _Room) -> None:
    for name in _names(item.attrs):
        attribute = _tried(item.attrs.get_id, name)
        if attribute is not None:
            room.take(f"the attribute {name!r} of {where!r}", math.prod(attribute.shape) * attribute.dtype.itemsize)
            _tried(item.attrs.__getitem__, name)


def _names(group: h5py.Group | h5py.AttributeManager) -> list[str]:
    return _tried(list, group) or []


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return int(h5py.h5o.get_info(item.id).addr)


def _tried(function: Callable[..., T], *arguments: object, **options: object) -> T | None:
    """What a function gives, None where h5py refuses: the rest of a damaged file is read all the same."""
    try:
        return function(*arguments, **options)
    except _REFUSALS:
        return None


if __name__ == "__main__":
    main()
