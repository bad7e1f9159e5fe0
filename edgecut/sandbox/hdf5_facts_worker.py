"""Few facts of an HDF5 file, or of the one in a .keras archive, read in a child process; its weights stay unread.

A JSON job on stdin, JSON on stdout. A loop in the file, a crash of the library or an allocation ends this process, and
nobody else's.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import TypedDict

import h5py

from edgecut.sandbox.job import Timed, serve

_TEXTS = ("model_config", "keras_version")
_MOST_VALUES = 1 << 20  # of a weight that is held against zero
_REFUSALS = (AttributeError, LookupError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError)


class Vector(TypedDict):
    """Where a layer's vector may be. places: in the file, one of them. layer: whose it is where the file says it."""

    places: list[str]
    layer: str


class Job(Timed):
    """What main() is told. member: of an archive, "" for a file of its own."""

    member: str
    vectors: list[Vector]


class Answer(TypedDict):
    """texts: the file's attributes, "" for one that is no text.

    zeros: whether each vector is all zeros, None where it isn't there. fault: why h5py can't read the file, or "".
    """

    texts: dict[str, str]
    zeros: list[bool | None]
    fault: str


def main() -> None:
    """Do the job on stdin."""
    serve(_answer)


def _answer(job: Job) -> Answer:
    return read(job["path"], job["member"], job["vectors"])


def read(path: str, member: str, vectors: Sequence[Vector]) -> Answer:
    """The facts of a file."""
    try:
        if not member:
            with h5py.File(path, "r") as file:
                return _facts(file, vectors)
        with zipfile.ZipFile(path) as archive, archive.open(member) as content, h5py.File(content, "r") as file:
            return _facts(file, vectors)
    except (*_REFUSALS, EOFError, zipfile.BadZipFile) as exc:
        return {"texts": {}, "zeros": [None] * len(vectors), "fault": str(exc)}


def _facts(file: h5py.File, vectors: Sequence[Vector]) -> Answer:
    texts = {name: file.attrs[name] for name in _TEXTS if name in file.attrs}
    decoded = {key: text.decode(errors="replace") if isinstance(text, bytes) else text for key, text in texts.items()}
    said = {key: text if isinstance(text, str) else "" for key, text in decoded.items()}
    return {"texts": said, "zeros": [_is_zero(file, vector) for vector in vectors], "fault": ""}


def _is_zero(file: h5py.File, vector: Vector) -> bool | None:
    for place in vector["places"]:
        try:
            weights = file.get(place)
            if not isinstance(weights, h5py.Dataset) or weights.external or weights.is_virtual:
                continue
            owner = weights.parent.attrs.get("name", vector["layer"])
            if owner == vector["layer"] and weights.size <= _MOST_VALUES:
                return not weights[()].any()
        except _REFUSALS:
            continue
    return None


if __name__ == "__main__":
    main()
